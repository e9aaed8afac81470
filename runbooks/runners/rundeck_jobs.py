"""Reads a phase's Rundeck job before it is run, and refuses what could do more, or elsewhere, than was decided.

Definitions are the job-json format, since version 44 of the API. Rundeck pastes `${option.x}` into commands, so every
option that is given a ticket's word must itself say which words it takes.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

from runbooks import rules
from runbooks.runners.exchange import Denied, Server
from runbooks.runners.job_settings import RundeckSettings
from runbooks.runners.jobs import LaunchRefused
from runbooks.targets.job_systems import Rundeck

MOST_JOBS = 20
"""How many jobs one phase may consist of, by reference."""
COSMETIC = frozenset({"averageDuration", "defaultTab", "description", "group", "name", "permalink"})
"""What of a definition changes nothing of what is done."""

_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


@dataclass(frozen=True)
class Wanted:
    """What a phase's execution is to be. node: the one that it works on; None where the job has its own."""

    job: str
    options: Mapping[str, str]
    node: str | None

    def differences(self, execution: Mapping[str, Any], project: str) -> list[str]:
        """Say in what an execution is another."""
        job = _table(execution.get("job"))
        options = _table(job.get("options"))
        found = ["project"] if execution.get("project") != project else []
        found += ["job"] if job.get("id") != self.job else []
        return found + [f"option {name}" for name, value in self.options.items() if options.get(name) != value]


def _table(given: object) -> dict[str, Any]:
    return given if isinstance(given, dict) else {}


class Definitions:
    """The jobs of one runbook at one customer."""

    def __init__(self, server: Server, system: Rundeck, settings: RundeckSettings) -> None:
        self._server = server
        self._system = system
        self._settings = settings
        self.api = f"/api/{system.api}"

    def wanted(self, phase: str, *, parameters: Mapping[str, str | int], mark: str) -> Wanted:
        """What the phase's execution is to be. mark: the run's identity."""
        given = {name: str(parameters[own]) for name, own in self._settings.given(phase).items() if own in parameters}
        node = None if self._settings.node is None else str(parameters.get(self._settings.node, ""))
        return Wanted(self._settings.of(phase).job, {**given, self._settings.run_option: mark}, node)

    def prepared(self, wanted: Wanted) -> dict[str, Any]:
        """Return what to send. LaunchRefused where Rundeck would not do exactly what is wanted; RemoteError."""
        try:
            self._in_project(wanted.job)
            definition = self.definition(wanted.job)
            body: dict[str, Any] = {"options": dict(wanted.options)}
            _runs_once(definition)
            self._takes(definition, wanted.options)
            if wanted.node is None:
                self._own_nodes(definition)
            else:
                body["filter"] = self._one_node(definition, wanted.node)
        except Denied as error:
            raise LaunchRefused(str(error)) from error
        return body

    def definition(self, job: str) -> dict[str, Any]:
        """A job as Rundeck has it now; Denied where there is none."""
        found = self._server.get(f"{self.api}/job/{job}", format="json")
        if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], dict):
            raise Denied(f"Rundeck gave no definition of job {job}")
        if found[0].get("uuid", found[0].get("id")) != job:
            raise Denied(f"Rundeck gave another job than {job}")
        return found[0]

    def version(self, phase: str) -> list[Any]:
        """All that Rundeck would run for the phase now, jobs that it refers to included."""
        waiting, told = [self._settings.of(phase).job], dict[str, dict[str, Any]]()
        while waiting:
            job = waiting.pop()
            if job in told:
                continue
            if len(told) >= MOST_JOBS:
                raise LaunchRefused(f"the {phase} refers to more than {MOST_JOBS} jobs: put fewer together")
            definition = self.definition(job)
            told[job] = {name: value for name, value in definition.items() if name not in COSMETIC}
            waiting += _references(definition)
        return [phase, *(told[job] for job in sorted(told))]

    def _in_project(self, job: str) -> None:
        info = self._server.table(f"{self.api}/job/{job}/info")
        if info.get("project") != self._system.project:
            raise LaunchRefused(f"job {job} is in another project than the target's, {self._system.project}")

    def _takes(self, definition: Mapping[str, Any], given: Mapping[str, str]) -> None:
        name = _named(definition)
        options = {str(each.get("name")): each for each in definition.get("options") or [] if isinstance(each, dict)}
        for option, value in given.items():
            if option not in options:
                raise LaunchRefused(f"{name} has no option {option}: add it")
            if why := self._unfit(options[option], value):
                raise LaunchRefused(f"{name}, option {option}: {why}")
        for option, each in options.items():
            if each.get("required") and option not in given and not (each.get("value") or each.get("storagePath")):
                raise LaunchRefused(f"{name} needs the option {option}, which nobody gives: name its parameter")

    def _unfit(self, option: Mapping[str, Any], value: str) -> str:
        """Why an option must not be given the value; empty where it may."""
        delimiter = option.get("delimiter")
        several = bool(option.get("multivalued")) and (not delimiter or str(delimiter) in value)
        against = (
            (option.get("type") == "file", "is a file, and values are texts"),
            (option.get("secure"), "is secret, and a ticket's words are not: make it plain"),
            (not value.isprintable(), "the value holds a line break or another invisible character"),
            ("${" in value or "@option." in value, "the value holds what Rundeck would put another value for"),
            (several, "takes several values, and the value would be more than one: make it single"),
        )
        if why := next((words for holds, words in against if holds), ""):
            return why
        return "" if option.get("name") == self._settings.run_option else _restricted(option, value)

    def _own_nodes(self, definition: Mapping[str, Any]) -> None:
        """A job without a node from us works on the server alone, or on few nodes that are always the same."""
        nodes = definition.get("nodefilters") or {}
        chosen = nodes.get("filter") if isinstance(nodes, dict) else None
        if not nodes:
            return
        if not isinstance(chosen, str) or not chosen.strip():
            raise LaunchRefused(f"{_named(definition)} works on nodes and does not say on which: give it a node filter")
        if "$" in chosen:
            raise LaunchRefused(
                f"{_named(definition)} chooses its nodes by an option: use node instead, or fixed names"
            )
        found = len(self._nodes(chosen))
        if not 1 <= found <= self._system.max_hosts:
            raise LaunchRefused(
                f"{_named(definition)} works on {found} nodes, and may on 1 to {self._system.max_hosts}: narrow its"
                " node filter, or set max_hosts in the target"
            )

    def _one_node(self, definition: Mapping[str, Any], node: str) -> str:
        if not _NODE.fullmatch(node):
            raise LaunchRefused(f"{rules.short(node)} is no name of one node")
        if self._system.hosts and node not in self._system.hosts:
            raise LaunchRefused(f"{node} is none of the target's {len(self._system.hosts)} hosts")
        if definition.get("nodeFilterEditable") is not True or not definition.get("nodefilters"):
            raise LaunchRefused(
                f"{_named(definition)} lets nobody choose its node, and would work on its own: dispatch it to nodes,"
                " and make its node filter editable"
            )
        chosen = f"name: {node}"
        if self._nodes(chosen) != [node]:
            raise LaunchRefused(f"project {self._system.project} has not exactly one node that is called {node}")
        return chosen

    def _nodes(self, chosen: str) -> list[str]:
        place = f"{self.api}/project/{quote(self._system.project, safe='')}/resources"
        return [str(name) for name in self._server.table(place, filter=chosen, format="json")]


def _restricted(option: Mapping[str, Any], value: str) -> str:
    values, pattern = option.get("values"), option.get("regex")
    if option.get("enforced") and isinstance(values, list) and values:
        return "" if value in map(str, values) else "the value is none of its allowed values"
    if isinstance(pattern, str) and pattern:
        return _against(pattern, value)
    return "takes any text, which its commands may read as more: enforce its values, or give it a pattern"


def _against(pattern: str, value: str) -> str:
    """Rundeck checks its own pattern itself, by Java's rules; here only what both agree on is let through."""
    try:
        fits = re.fullmatch(pattern, value)
    except (re.error, RecursionError):
        return "has a pattern that only Java reads: write it plainly"
    return "" if fits else "the value does not fit its pattern"


def _runs_once(definition: Mapping[str, Any]) -> None:
    retry = definition.get("retry")
    times = retry.get("retry") if isinstance(retry, dict) else retry
    if times not in (None, "", "0", 0):
        raise LaunchRefused(f"{_named(definition)} is retried by Rundeck when it fails: set its retry to 0")
    if definition.get("executionEnabled") is False:
        raise LaunchRefused(f"{_named(definition)} is switched off in Rundeck: enable its execution")


def _references(definition: Mapping[str, Any]) -> Iterator[str]:
    """The UUIDs of the jobs that a job's steps and error handlers are; LaunchRefused where one is not fixed."""
    sequence = definition.get("sequence")
    steps = sequence.get("commands") if isinstance(sequence, dict) else None
    for step in steps if isinstance(steps, list) else ():
        handlers = [step.get("errorhandler")] if isinstance(step, dict) else []
        for each in [step, *handlers]:
            if not isinstance(each, dict):
                continue
            if each.get("scripturl"):
                raise LaunchRefused(f"{_named(definition)} runs what lies at an address: put the script into the job")
            if isinstance(reference := each.get("jobref"), dict):
                yield _uuid(reference.get("uuid"), definition)


def _uuid(given: object, definition: Mapping[str, Any]) -> str:
    try:
        return str(UUID(str(given)))
    except ValueError:
        raise LaunchRefused(
            f"{_named(definition)} refers to a job by its name: refer by UUID, so that it stays the same"
        ) from None


def _named(definition: Mapping[str, Any]) -> str:
    return f"job {definition.get('uuid', definition.get('id'))} ({rules.short(str(definition.get('name')))})"
