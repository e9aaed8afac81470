"""What a target's settings let a ticket name: its hosts, services, folders, logs and software. Read in the worker."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pydantic import TypeAdapter, ValidationError

from runbooks import plain
from runbooks.targets.sqlite import TargetError

SOFTWARE = "software"
"""The one setting of these that targets of every kind may have: the aliases of each name, as JSON."""

MOST_SOFTWARE = 1_000
_ADDRESS = re.compile(r"[0-9.]+")
_NAMES = TypeAdapter(dict[str, tuple[str, ...]])


@dataclass(frozen=True)
class Index:
    """Hosts by caseless name and by caseless first label; addresses and numbers have no label."""

    exact: frozenset[str]
    names: Mapping[str, tuple[str, ...]]
    labels: Mapping[str, tuple[str, ...]]

    def called(self, name: str) -> tuple[str, ...]:
        """Return the hosts that a whole field can mean, where a full name goes before a first label."""
        key = name.casefold()
        return (name,) if name in self.exact else self.names.get(key) or self.labels.get(key, ())

    def meant(self, name: str) -> tuple[str, ...]:
        """Return the hosts that a name within a text can mean."""
        key = name.casefold()
        full = (name,) if name in self.exact else self.names.get(key, ())
        return tuple(dict.fromkeys([*full, *self.labels.get(key, ())]))

    def near(self, name: str) -> tuple[str, ...]:
        """Return the hosts whose first label is that of an unknown full name."""
        label, dot, _ = name.casefold().partition(".")
        return self.labels.get(label, ()) if dot else ()


def index(hosts: Collection[str]) -> Index:
    """Return the hosts by what a ticket may call them."""
    names: dict[str, tuple[str, ...]] = {}
    labels: dict[str, tuple[str, ...]] = {}
    for host in sorted(hosts):
        key = host.casefold()
        names[key] = (*names.get(key, ()), host)
        label = key.partition(".")[0]
        if not _ADDRESS.fullmatch(label):
            labels[label] = (*labels.get(label, ()), host)
    return Index(frozenset(hosts), names, labels)


@dataclass(frozen=True)
class Lists:
    """The names that a target allows. software: with the aliases of each."""

    hosts: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    software: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def host_index(self) -> Index:
        """The hosts by what a ticket may call them."""
        return index(self.hosts)


def read(kind: str, settings: Mapping[str, str]) -> Lists:
    """Return the lists in a target's settings; TargetError where they do not fit."""
    if kind in ("awx", "rundeck"):
        from runbooks.targets import job_systems

        return Lists(hosts=job_systems.parse(kind, settings).hosts, software=software(settings))
    if kind == "ssm":
        from runbooks.targets import ssm

        return Lists(hosts=tuple(ssm.parse(settings).hosts), software=software(settings))
    if kind != "host":
        return Lists(software=software(settings))
    from runbooks.targets import host

    given = host.parse(settings)
    return Lists(
        hosts=tuple(given.hosts),
        services=tuple(given.services),
        folders=tuple(given.folders),
        logs=tuple(given.logs),
        certificates=tuple(given.certificates),
        software=software(settings),
    )


def software(settings: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the software that a target's settings name, with aliases; TargetError where the table does not fit."""
    if SOFTWARE not in settings:
        return {}
    try:
        found = _NAMES.validate_python(json.loads(settings[SOFTWARE]))
    except (ValueError, RecursionError, ValidationError):
        raise TargetError(
            'software: must be a table of names and their aliases, such as {"Visio": ["Microsoft Visio"]}'
        ) from None
    if len(found) > MOST_SOFTWARE:
        raise TargetError(f"software: {len(found)} names are more than the {MOST_SOFTWARE} that can be looked for")
    for name in found:
        if why := plain.trouble_with(name):
            raise TargetError(f"software: a name {why}, which no value may")
    return found
