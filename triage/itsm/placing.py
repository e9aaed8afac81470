"""Assignment and category in the ITSM, where a customer allows it: the settings, and what may be set of what is wanted.

Off unless a source's settings have `placing`. What a person set is never overwritten: a field is written only where it
is empty, holds a value that counts as unset, or holds what we ourselves wrote there last.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from triage.itsm import rest
from triage.itsm.base import ReplyFailed
from triage.models import Source

Wanted = Mapping[str, str | list[str]]
"""Names of PLACES (or `field:<the ITSM's own name>`) and values; a list is added to what is there."""

ASSIGNS = frozenset({"group", "assignee"})
LISTS = frozenset({"labels", "components"})
FIELD = "field:"
ALREADY = "it stands so already"
FINISHED = "the ticket is finished there"
TAKEN = "the ticket is assigned to somebody already"
UNKNOWN = "this kind of source has no such field"

Short = Annotated[str, Field(min_length=1, max_length=200)]


class Place(BaseModel):
    """Where tickets of one article or runbook belong. Groups and people as the vendor names them (docs)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: str = Field("", max_length=200)
    assignee: str = Field("", max_length=200)
    category: str = Field("", max_length=200)
    subcategory: str = Field("", max_length=200)
    labels: tuple[Short, ...] = Field((), max_length=20)
    components: tuple[Short, ...] = Field((), max_length=20)
    fields: dict[Short, Short] = Field(default_factory=dict, max_length=20)

    def wanted(self) -> dict[str, str | list[str]]:
        """What is set here, flat."""
        flat: dict[str, str | list[str]] = {
            name: getattr(self, name)
            for name in ("group", "assignee", "category", "subcategory")
            if getattr(self, name)
        }
        flat |= {name: list(getattr(self, name)) for name in sorted(LISTS) if getattr(self, name)}
        return flat | {f"{FIELD}{name}": value for name, value in self.fields.items()}


class Allowed(BaseModel):
    """What one customer allows. `from_probability`: from where on a decision of the model alone is enough."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    may_assign: bool = False
    may_categorise: bool = False
    from_probability: Annotated[float, Field(ge=0.5, le=1)] | None = None


class Placing(BaseModel):
    """The setting `placing` of a source. `groups`: what agents call a group, and the vendor's id or name of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customers: dict[str, Allowed]
    articles: dict[str, Place] = Field(default_factory=dict)
    runbooks: dict[str, Place] = Field(default_factory=dict)
    groups: dict[str, Short] = Field(default_factory=dict)
    unset: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    def group_called(self, said: str) -> str:
        """The vendor's group that an agent's words name, whatever their case; empty for words that name none."""
        wanted = " ".join(said.split()).casefold()
        return next((group for name, group in self.groups.items() if name.casefold() == wanted), "")


def problems(settings: Mapping[str, Any]) -> list[str]:
    """What is wrong with the setting `placing`, each as one line that names the place; empty where nothing is."""
    if settings.get("placing") is None:
        return []
    try:
        Placing.model_validate(settings["placing"])
    except ValidationError as error:
        return [f"placing.{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
    return []


def of(source: Source) -> Placing | None:
    """The source's setting; None where it has none that can be used."""
    told = source.settings.get("placing") if isinstance(source.settings, dict) else None
    if told is None:
        return None
    try:
        return Placing.model_validate(told)
    except ValidationError:
        return None


def permitted(wanted: Wanted, allowed: Allowed | None) -> tuple[dict[str, str | list[str]], dict[str, str]]:
    """What of it this customer allows, and why not the rest."""
    kept: dict[str, str | list[str]] = {}
    left: dict[str, str] = {}
    for name, value in wanted.items():
        switch = "may_assign" if name in ASSIGNS else "may_categorise"
        if allowed is not None and getattr(allowed, switch):
            kept[name] = value
        else:
            left[name] = f"the customer does not allow it ({switch})"
    return kept, left


@dataclass(frozen=True)
class Order:
    """What is wanted for a ticket; `last`: what we set on it before; `key`: the same for every try."""

    key: str
    wanted: Wanted
    last: Wanted


@dataclass(frozen=True)
class Placed:
    """What was set, what was left and why. `echo`: ticket fields as our own change will come back."""

    set: Mapping[str, str | list[str]] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)
    echo: Mapping[str, str] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """For the history."""
        done = ", ".join(f"{_shown(name)} {_text(value)}" for name, value in self.set.items())
        why = "; ".join(f"{_shown(name)}: {reason}" for name, reason in self.left.items())
        return f"{f'Set: {done}.' if done else 'Nothing was set.'}{f' Left: {why}.' if why else ''}"


@dataclass(frozen=True)
class Choice:
    """What is to be written, and why the rest is left."""

    set: dict[str, str | list[str]]
    left: dict[str, str]


def finished(order: Order) -> Placed:
    """Nothing is written to a ticket that is finished there."""
    return Placed(left=dict.fromkeys(order.wanted, FINISHED))


def choose(
    source: Source,
    *,
    order: Order,
    now: Mapping[str, str | Collection[str]],
    unset: Mapping[str, Collection[str]] | None = None,
) -> Choice:
    """Of what is wanted, what may be written over what stands there `now`.

    `unset`: the vendor's own values for a field that nobody filled. A ticket that a person holds keeps its group, and a
    category that a person chose its subcategory.
    """
    wanted, last = order.wanted, order.last
    told = of(source)
    blank = {name: set(values) for name, values in (told.unset if told else {}).items()}
    for name, values in (unset or {}).items():
        blank.setdefault(name, set()).update(values)
    choice = Choice({}, {})
    for name, value in wanted.items():
        if name not in now:
            choice.left[name] = UNKNOWN
        elif isinstance(value, list):
            _add(choice, name, value, now[name], before=last.get(name, []))
        else:
            _set(choice, name, value, str(now[name]), last=last.get(name), blank=blank.get(name, set()))
    held = str(now.get("assignee", ""))
    if "group" in choice.set and held and held not in (last.get("assignee"), *blank.get("assignee", ())):
        del choice.set["group"]
        choice.left["group"] = TAKEN
    if "subcategory" in choice.set and choice.left.get("category", ALREADY) != ALREADY:
        del choice.set["subcategory"]
        choice.left["subcategory"] = "it belongs to another category than the one chosen there"
    return choice


def _set(choice: Choice, name: str, value: str, now: str, *, last: object, blank: Collection[str]) -> None:
    if now == value:
        choice.left[name] = ALREADY
    elif not now or now == last or now in blank:
        choice.set[name] = value
    else:
        choice.left[name] = f"somebody set {now[:80]}"


def _add(choice: Choice, name: str, value: list[str], now: str | Collection[str], *, before: str | list[str]) -> None:
    there = {now} if isinstance(now, str) else set(now)
    removed = [one for one in value if one in before and one not in there]
    missing = [one for one in value if one not in there and one not in removed]
    if missing:
        choice.set[name] = missing
    if removed:
        choice.left[name] = f"somebody took {', '.join(removed)[:80]} away"
    elif not missing:
        choice.left[name] = ALREADY


def numbered(name: str, value: object, *, vendor: str) -> int:
    """A group or person of a vendor that knows them by number; raises ReplyFailed."""
    number = rest.whole(value)
    if number is None:
        why = f"{name} {str(value)[:60]!r} is no number; {vendor} names groups and people so"
        raise ReplyFailed(why, permanent=True)
    return number


def _shown(name: str) -> str:
    return name.removeprefix(FIELD)


def _text(value: str | list[str]) -> str:
    return ", ".join(value) if isinstance(value, list) else value
