"""The plan for customers: who they are, who belongs to them, and what runbooks may do there and when."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.hashers import make_password

from runbooks import windows
from runbooks.registry import RUNBOOKS
from triage.applying import document
from triage.applying.plan import Plan
from triage.applying.reading import Problem, nearest
from triage.applying.standing_rows import STARTED, STOPPED, Standing
from triage.models import Customer, Freeze, Limit, Membership, Mode, Person, RunbookState, Target, Window

PLAIN = ("mode", "write_back", "holdout_share", "verify_share", "yearly_delta", "alpha_by_tier")
Path = tuple[str | int, ...]


@dataclass
class Building:
    """A plan in the making, with what is found wrong on the way. `prune`: take out of use what the file lacks."""

    standing: Standing
    prune: bool
    plan: Plan = field(default_factory=Plan)
    problems: list[Problem] = field(default_factory=list)

    def wrong(self, path: Path, message: str) -> None:
        """Something that the file must be mended for."""
        self.problems.append(Problem(path, message))


def people(building: Building, said: list[document.Human]) -> None:
    """Accounts: without a password, so that a sign-in link is the first way in."""
    for human in said:
        values = human.said("email", "first_name", "last_name")
        if "active" in human.model_fields_set:
            values["is_active"] = human.active
        if "administrator" in human.model_fields_set:
            values |= {"is_superuser": human.administrator, "is_staff": human.administrator}
        _person(building, human.name, values)


def customer(building: Building, said: document.Customer, path: Path) -> Customer:
    """One customer and everything that stands below it, but for targets and endpoints."""
    values = said.said(*PLAIN)
    if said.name is not None:
        values["name"] = said.name
    found = building.standing.customers.get(said.slug)
    new = {"slug": said.slug, "name": said.slug, "mode": Mode.OBSERVE, "write_back": False}
    row = building.plan.want(found, Customer, what="customer", name=said.slug, values=values, new=new)
    building.standing.customers[said.slug] = row
    if row.mode == Mode.AUTOMATE and not row.write_back:
        building.plan.notes.append(f"{said.slug} runs by itself without write_back: the ITSM never hears that it did")
    _memberships(building, said, row)
    _policies(building, said, row, path)
    return row


def below(building: Building, said: document.Customer, row: Customer, path: Path) -> None:
    """What names targets, so planned after them."""
    _limits(building, said, row, path)
    _windows(building, said, row, path)
    freezes(building, said.freezes, row, told="freezes" in said.model_fields_set)


def freezes(building: Building, said: list[document.Frozen], row: Customer | None, *, told: bool) -> None:
    """Change freezes of one customer, or of all."""
    there = {(one.begins, one.ends, one.reason): one for one in building.standing.of(building.standing.freezes, row)}
    for one in said:
        values = {"begins": one.begins, "ends": one.ends, "reason": one.reason}
        name = f"{row.slug if row else 'all'}: {one.reason}"
        found = there.pop((one.begins, one.ends, one.reason), None)
        building.plan.want(found, Freeze, what="freeze", name=name, values=values, new={"customer": row})
    if building.prune and told:
        for left in there.values():
            building.plan.remove(left, what="freeze", name=f"{row.slug if row else 'all'}: {left.reason}")


def _person(building: Building, name: str, values: Mapping[str, Any]) -> Person:
    found = building.standing.people.get(name)
    if found is None:
        # no password that anybody could have, in the form that Django makes
        row = building.plan.want(None, Person, what="person", name=name, values={"username": name, **values})
        row.password = make_password(None)
    else:
        row = building.plan.want(found, Person, what="person", name=name, values=values)
    building.standing.people[name] = row
    return row


def _memberships(building: Building, said: document.Customer, row: Customer) -> None:
    there = {(one.person_id, one.role): one for one in building.standing.of(building.standing.memberships, row)}
    for role, names in said.people.items():
        for name in dict.fromkeys(names):
            person = building.standing.people.get(name) or _person(building, name, {})
            found = there.pop((person.pk, role), None) if person.pk else None
            building.plan.want(
                found,
                Membership,
                what="role",
                name=f"{name} {role} at {said.slug}",
                values={},
                new={"person": person, "customer": row, "role": role},
            )
    if building.prune:
        for left in there.values():
            building.plan.remove(left, what="role", name=f"{left.person.username} {left.role} at {said.slug}")


def _policies(building: Building, said: document.Customer, row: Customer, path: Path) -> None:
    wanted: dict[str, dict[str, Any]] = {}
    for key, policy in said.runbooks.items():
        if _known(building, key, (*path, "runbooks", key)):
            wanted[key] = policy.said("enabled", "runs_an_hour", "concurrent", "environments")
    if said.allowed_runbooks is not None:
        for number, key in enumerate(said.allowed_runbooks):
            _known(building, key, (*path, "allowed_runbooks", number))
        for key in RUNBOOKS:
            wanted.setdefault(key, {})["enabled"] = key in said.allowed_runbooks
    there = {one.runbook: one for one in building.standing.of(building.standing.policies, row)}
    for key, values in sorted(wanted.items()):
        _policy(building, there.get(key), row, key, values)


def _policy(building: Building, found: RunbookState | None, row: Customer, key: str, values: dict[str, Any]) -> None:
    if found is None and values == {"enabled": True}:
        return  # as it is without a row
    name, event = f"{key} at {row.slug}", ""
    if found is not None and "enabled" in values and values["enabled"] != found.enabled:
        if values["enabled"] and found.pk in building.standing.stopped_by_people:
            building.plan.notes.append(f"{name} stays off: a person stopped it, and a person allows it again")
            del values["enabled"]
        else:
            event = STARTED if values["enabled"] else STOPPED
    new = {"customer": row, "runbook": key}
    building.plan.want(found, RunbookState, what="runbook", name=name, values=values, new=new, event=event)


def _limits(building: Building, said: document.Customer, row: Customer, path: Path) -> None:
    there = {
        (one.runbook, one.target.key if one.target else "", one.each): one
        for one in building.standing.of(building.standing.limits, row)
    }
    for number, one in enumerate(said.limits):
        at = (*path, "limits", number)
        if not _names(building, one.runbook, one.target, row, at):
            continue
        building.plan.want(
            there.pop((one.runbook, one.target, one.each), None),
            Limit,
            what="limit",
            name=_title(row, one.runbook, one.target),
            values={"runs_an_hour": one.runs_an_hour, "concurrent": one.concurrent},
            new={"customer": row, "each": one.each, **_on(building, one.runbook, one.target, row)},
        )
    if building.prune and "limits" in said.model_fields_set:
        for left in there.values():
            building.plan.remove(
                left, what="limit", name=_title(row, left.runbook, left.target.key if left.target else "")
            )


def _windows(building: Building, said: document.Customer, row: Customer, path: Path) -> None:
    there = {_window_key(one): one for one in building.standing.of(building.standing.windows, row)}
    for number, one in enumerate(said.windows):
        at = (*path, "windows", number)
        trouble = windows.trouble_with(windows.Window(one.days, one.begins, one.ends, one.zone, one.first_day))
        if trouble:
            building.wrong(at, f"window: {trouble}")
        if not _names(building, one.runbook, one.target, row, at) or trouble:
            continue
        hours = {name: getattr(one, name) for name in ("days", "begins", "ends", "zone", "first_day")}
        found = there.pop((one.runbook, one.target, *hours.values()), None)
        name = f"{_title(row, one.runbook, one.target)}: {one.days} {one.begins:%H:%M}-{one.ends:%H:%M} {one.zone}"
        new = {"customer": row, **hours, **_on(building, one.runbook, one.target, row)}
        building.plan.want(found, Window, what="window", name=name, values={}, new=new)
    if building.prune and "windows" in said.model_fields_set:
        for left in there.values():
            building.plan.remove(left, what="window", name=f"{row.slug}: {left}")


def _window_key(row: Window) -> tuple[object, ...]:
    where = (row.runbook, row.target.key if row.target else "")
    return (*where, row.days, row.begins, row.ends, row.zone, row.first_day)


def _on(building: Building, runbook: str, target: str, row: Customer) -> dict[str, Any]:
    return {"runbook": runbook, "target": target_of(building, row, target) if target else None}


def target_of(building: Building, row: Customer, key: str) -> Target | None:
    """The customer's target of this key, there already or in the plan."""
    there = building.standing.of(building.standing.targets, row)
    planned = (one.row for one in building.plan.changes if isinstance(one.row, Target))
    mine = (one for one in planned if one.customer.slug == row.slug)
    return next((one for one in (*there, *mine) if one.key == key), None)


def _names(building: Building, runbook: str, target: str, row: Customer, path: Path) -> bool:
    """Whether runbook and target, where they are named, are there."""
    good = not runbook or _known(building, runbook, path)
    if target and target_of(building, row, target) is None:
        building.wrong(path, f"{row.slug} has no target {target}: describe it under targets")
        return False
    return good


def _known(building: Building, key: str, path: Path) -> bool:
    if key in RUNBOOKS:
        return True
    building.wrong(path, f"there is no runbook {key}; {nearest(key, RUNBOOKS)}")
    return False


def _title(row: Customer, runbook: str, target: str) -> str:
    return " ".join(
        part for part in (f"{row.slug}:", runbook or "all runbooks", f"on {target}" if target else "") if part
    )
