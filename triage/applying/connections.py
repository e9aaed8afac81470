"""The plan for what is connected: targets of runbooks, ITSMs with their mappings, programs that are told."""

import json
from typing import Any

from runbooks.targets import TARGETS
from triage import itsm, targets
from triage.applying import document, references
from triage.applying.customers import Building, Path
from triage.applying.plan import MADE, Difference
from triage.applying.reading import nearest
from triage.applying.references import KEPT, NONE, ReferenceInvalid
from triage.connecting.vendors import vendor_of
from triage.itsm import addresses, calling, credentials, standard
from triage.models import Customer, EventEndpoint, Source, SourceMapping, Target
from triage.telling.kinds import EVENTS

SECRET_NAMES = frozenset({"password", "token", "value", "client_secret"})
NOT_SET: Any = object()


def touched(building: Building, said: document.Customer, row: Customer, path: Path) -> None:
    """What runbooks may touch at the customer."""
    there = {one.key: one for one in building.standing.of(building.standing.targets, row)}
    for key, one in said.targets.items():
        at = (*path, "targets", key)
        if one.kind not in TARGETS:
            building.wrong((*at, "kind"), f"there is no target kind {one.kind}; {nearest(one.kind, TARGETS)}")
            continue
        found = there.get(key)
        values: dict[str, Any] = {"kind": one.kind}
        if "environment" in one.model_fields_set:
            values["environment"] = one.environment or ""
        settings = _settings(building, one, found, (*at, "settings"))
        if settings is not NOT_SET:
            values["settings"] = settings
        new = {"customer": row, "key": key}
        building.plan.want(
            found, Target, what="target", name=f"{key} at {said.slug}", values=values, new=new, secret=("settings",)
        )


def _settings(building: Building, said: document.Touched, found: Target | None, path: Path) -> Any:
    """The settings' JSON as it is to be stored; NOT_SET where they stay or are wrong."""
    if said.settings == KEPT:
        if found is None:
            building.wrong(path, f"nothing is stored for this target yet: {references.WAYS}, or give its settings")
        return NOT_SET
    try:
        if isinstance(said.settings, str):
            text = references.followed(said.settings)
        else:
            text = json.dumps(references.tree(said.settings), sort_keys=True)
    except ReferenceInvalid as error:
        building.wrong((*path, *error.path), str(error))
        return NOT_SET
    trouble = targets.trouble_with(said.kind, text)
    if trouble:
        building.wrong(path, f"settings: {trouble}")
        return NOT_SET
    return NOT_SET if found is not None and _equal(found.settings, text) else text


def source(building: Building, said: document.Connection, path: Path) -> None:
    """One ITSM, and whose its tickets are."""
    if said.kind not in itsm.SOURCES:
        building.wrong((*path, "kind"), f"there is no kind of source {said.kind}; {nearest(said.kind, itsm.SOURCES)}")
        return
    found = building.standing.sources.get(said.slug)
    values = said.said("settings", "assurance", "pull_every", "enabled") | {"kind": said.kind}
    for bad in references.in_the_clear(said.settings):
        building.wrong(
            (*path, "settings", *bad), f"{bad[-1]} looks like a secret, and settings are not: see credentials"
        )
    if said.name is not None:
        values["name"] = said.name
    if said.customer is not None or said.mappings:
        values["customer"] = _owner(building, said.customer, (*path, "customer")) if said.customer else None
    values |= _credentials(building, said, found, path) | signing(building, said, found, path)
    _check_host(building, said, found, values, path)
    if found is not None and found.public_hosts:
        written, secret = values.get("settings") or {}, values.get("credentials", "")
        values["public_hosts"] = calling.vouched(found.public_hosts, settings=written, secret=secret)
    new = {"slug": said.slug, "name": said.slug, "enabled": True}
    if said.customer is None and not said.mappings and found is None:
        building.wrong(path, f"whose tickets are those of {said.slug}? Name a customer, or mappings")
    row = building.plan.want(
        found, Source, what="source", name=said.slug, values=values, new=new, secret=("secrets", "credentials")
    )
    _make_secret(building, said, row, found)
    _mappings(building, said, row, path)


def _check_host(
    building: Building, said: document.Connection, found: Source | None, values: dict[str, Any], path: Path
) -> None:
    """Stored credentials go to no host that they were not entered for: the file gives them again, or they go."""
    moved = found is not None and calling.led_astray(found.settings, values.get("settings") or {})
    if found is None or not found.credentials or not moved or said.credentials not in (None, KEPT):
        return
    if said.credentials == KEPT:
        building.wrong(
            (*path, "credentials"),
            f"the address of {said.slug} names another host, which the stored credentials were not entered for: "
            f"give them again, {references.WAYS}",
        )
        return
    values["credentials"] = ""
    building.plan.notes.append(
        f"{said.slug}: the address names another host, so the stored credentials are removed; give them in the file"
    )


def _mappings(building: Building, said: document.Connection, row: Source, path: Path) -> None:
    there = {(one.part, one.value): one for one in (building.standing.mappings.get(row.pk, []) if row.pk else [])}
    for number, one in enumerate(said.mappings):
        owner = _owner(building, one.customer, (*path, "mappings", number, "customer"))
        if owner is None:
            continue
        part, value = one.owner
        building.plan.want(
            there.pop((part, value), None),
            SourceMapping,
            what="mapping",
            name=f"{said.slug}: {part} {value}",
            values={"customer": owner},
            new={"source": row, "part": part, "value": value},
        )
    if building.prune and (said.mappings or said.customer):
        for left in there.values():
            building.plan.remove(left, what="mapping", name=f"{said.slug}: {left.part} {left.value}")


def _owner(building: Building, slug: str | None, path: Path) -> Customer | None:
    found = building.standing.customers.get(slug or "")
    if found is None:
        building.wrong(path, f"there is no customer {slug}; {nearest(slug or '', building.standing.customers)}")
    return found


def _credentials(building: Building, said: document.Connection, found: Source | None, path: Path) -> dict[str, str]:
    given, at = said.credentials, (*path, "credentials")
    if given is None:
        return {}
    if given == NONE:
        return {"credentials": ""}
    if given == KEPT:
        if found is None or not found.credentials:
            building.wrong(at, f"no credentials are stored for {said.slug} yet: {references.WAYS}")
        return {}
    try:
        if isinstance(given, str):
            text = references.followed(given)
        else:
            text = json.dumps(references.tree(given, secret=SECRET_NAMES), sort_keys=True)
        credentials.read(text)
    except (ReferenceInvalid, ValueError) as error:
        building.wrong((*at, *getattr(error, "path", ())), str(error))
        return {}
    return {} if found is not None and _equal(found.credentials, text) else {"credentials": text}


def signing(
    building: Building, said: document.Connection | document.Endpoint, found: Source | EventEndpoint | None, path: Path
) -> dict[str, str]:
    """The signing secrets to be stored; nothing where they stay, or are to be made."""
    at = (*path, "secrets")
    if said.secrets is None:
        return {}
    if said.secrets == NONE:
        return {"secrets": ""}
    if said.secrets == KEPT:
        if found is None or not found.secrets:
            building.wrong(
                at, f"no signing secret is stored here yet: leave the line out to have one made, or {references.WAYS}"
            )
        return {}
    try:
        text = references.lines(said.secrets)
    except ReferenceInvalid as error:
        building.wrong(at, str(error))
        return {}
    if found is not None and found.signing_secrets() == text.splitlines():
        return {}
    return {"secrets": text}


def _make_secret(
    building: Building, said: document.Connection | document.Endpoint, row: Source | EventEndpoint, found: object
) -> None:
    """A new row that no secret was given for has one made when it is written."""
    if found is not None or said.secrets is not None:
        return
    if isinstance(said, document.Connection) and vendor_of(said.kind).theirs:
        building.plan.notes.append(f"{said.slug}: {said.kind} makes its signing secret itself; give it under secrets")
        return
    change = building.plan.changes[-1]
    assert change.row is row  # noqa: S101 - it was planned just before
    change.differences += (Difference("secrets", None, MADE),)


def endpoints(building: Building, said: list[document.Endpoint], row: Customer | None, path: Path) -> None:
    """Programs that hear of one customer, or of all."""
    there = {one.name: one for one in building.standing.of(building.standing.endpoints, row)}
    for number, one in enumerate(said):
        at = (*path, "events", number)
        _check_endpoint(building, one, at)
        found = there.pop(one.name, None)
        given = signing(building, one, found, at)
        if given and not _signs(given["secrets"]):
            building.wrong((*at, "secrets"), "a secret is whsec_ and at least 24 bytes in base64; at most two")
        values = {"url": one.url, **one.said("kinds", "internal", "enabled"), **given}
        name = f"{row.slug if row else 'all'}: {one.name}"
        new = {"customer": row, "name": one.name}
        made = building.plan.want(
            found, EventEndpoint, what="endpoint", name=name, values=values, new=new, secret=("secrets",)
        )
        _make_secret(building, one, made, found)
    if building.prune:
        for left in there.values():
            _off(building, left, f"{row.slug if row else 'all'}: {left.name}")


def _off(building: Building, left: EventEndpoint, name: str) -> None:
    building.plan.want(left, EventEndpoint, what="endpoint", name=name, values={"enabled": False}, verb="switch off")


def _check_endpoint(building: Building, one: document.Endpoint, path: Path) -> None:
    try:
        addresses.check(one.url)
    except addresses.AddressRefused as error:
        building.wrong((*path, "url"), str(error))
    for number, kind in enumerate(one.kinds):
        if kind not in EVENTS:
            building.wrong((*path, "kinds", number), f"there is no event {kind}; {nearest(kind, EVENTS)}")


def _signs(secrets: str) -> bool:
    lines = secrets.splitlines()
    return 1 <= len(lines) <= 2 and all(standard.is_secret(line) for line in lines)


def _equal(stored: str, wanted: str) -> bool:
    """Whether both say the same, however the JSON is written."""
    try:
        return bool(json.loads(stored or "null") == json.loads(wanted))
    except ValueError:
        return stored == wanted
