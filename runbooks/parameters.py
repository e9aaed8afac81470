"""A runbook's parameters: found in a ticket, checked against schema and target, typed for the steps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from runbooks import base, mentions, rules, search
from runbooks.base import Parameter, Runbook
from runbooks.rules import Known
from runbooks.targets.accounts import Directory
from runbooks.targets.lists import Lists

EXTRACTOR = base.extractor()
"""The version of parameter extraction, for the gate."""


class ParameterError(ValueError):
    """Values do not fit a runbook's schema; the message names the parameter and what would fit."""


@dataclass(frozen=True)
class Extraction:
    """What was found. problems: one sentence for each parameter that is missing, ambiguous or not allowed.

    sources: where a value came from: `field <name>`, `text`, `requester`. candidates: what the text offered
    where a parameter has a problem.
    """

    values: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    candidates: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """True when every needed value was found and nothing speaks against any."""
        return not self.problems


def extract(
    runbook: Runbook,
    *,
    subject: str,
    body: str,
    requester: str,
    fields: Mapping[str, object],
    directory: Directory | None = None,
    lists: Lists | None = None,
    machine: bool = False,
    reference: str = "",
    written_at: datetime | None = None,
) -> Extraction:
    """Find the runbook's parameters in a ticket.

    requester: mail address or uid of who asks, as the source vouches for it. fields: the ITSM's, names compared
    caselessly, values text, numbers or a list of one. directory: the target's; without it an account is only what
    its shape says, and no mailbox, no group nor "my account" can be known. lists: the target's, without which no
    host nor what else only a target lists can be known. machine: a monitored machine wrote the ticket, so it must
    name an account, and `own` does not hold. reference: the ticket's own number, which refers to no other.
    written_at: for saying which days `tomorrow` could be; no value ever depends on it.
    """
    text = mentions.clean(f"{subject}\n{body}")
    ticket = search.Ticket(
        text=text,
        unreadable=mentions.unreadable(subject, body, text),
        fields={name.casefold(): value for name, value in fields.items()},
        requester=requester,
        known=Known(directory, lists),
        machine=machine,
        reference=reference,
        written_at=written_at,
    )
    return _searched(runbook, ticket)


def _searched(runbook: Runbook, ticket: search.Ticket) -> Extraction:
    """Each parameter in turn: a later one may depend on what the earlier ones were found to be."""
    values: dict[str, str] = {}
    sources: dict[str, str] = {}
    candidates: dict[str, tuple[str, ...]] = {}
    problems: list[str] = []
    for parameter in runbook.parameters:
        try:
            value, source = search.find(parameter, ticket, values)
        except rules.Unfit as unfit:
            problems.append(f"{parameter.name}: {unfit.told}")
            candidates[parameter.name] = unfit.candidates
        else:
            if value:
                values[parameter.name], sources[parameter.name] = value, source
    return Extraction(values, sources, tuple(problems), candidates)


def validate(
    runbook: Runbook,
    extraction: Extraction,
    *,
    directory: Directory | None,
    requester: str,
    machine: bool = False,
    lists: Lists | None = None,
) -> tuple[str, ...]:
    """Return what speaks against these values now: schema, and with a target existence, uniqueness, openness, `own`.

    Also for values that a person typed, and once more before a run starts, since targets change.
    An account must be given by its uid, a mailbox by its address and a host by its name, as the target writes it.
    """
    known = Known(directory, lists)

    def check(parameter: Parameter, value: str) -> None:
        rules.check_value(parameter, value)
        rules.check_plain(parameter, value)
        rules.check_target(parameter, value, known, None if machine else requester)

    return _misfits(runbook, extraction, check)


def typed(runbook: Runbook, values: Mapping[str, str]) -> dict[str, str | int]:
    """Return the values as steps get them (sizes as int, MiB); ParameterError where one does not fit the schema.

    Whatever else speaks against a value is `validate`'s to say, before a run begins: a runner must bear any text.
    """
    problems = _misfits(runbook, Extraction(dict(values)), rules.check_value)
    if problems:
        raise ParameterError("; ".join(problems))
    sizes = {parameter.name for parameter in runbook.parameters if parameter.kind == "size_mb"}
    return {name: int(value) if name in sizes else value for name, value in values.items()}


def _misfits(runbook: Runbook, extraction: Extraction, check: Callable[[Parameter, str], None]) -> tuple[str, ...]:
    problems = [*extraction.problems]
    unknown = sorted(set(extraction.values) - {parameter.name for parameter in runbook.parameters})
    problems += [f"{rules.short(name)}: {runbook.key} has no such parameter" for name in unknown]
    for parameter in runbook.parameters:
        value = extraction.values.get(parameter.name)
        if value is None:
            if parameter.required and not any(p.startswith(f"{parameter.name}: ") for p in problems):
                problems.append(f"{parameter.name}: {parameter.title} is missing")
            continue
        try:
            check(parameter, value)
        except rules.Unfit as unfit:
            problems.append(f"{parameter.name}: {unfit}")
    return tuple(problems)
