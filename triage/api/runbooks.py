"""Runbooks: what can be done by itself here, what each needs and how far it may go."""

from typing import Annotated

from django.http import Http404, HttpRequest
from ninja import Path, Router, Schema

from runbooks.base import Runbook
from runbooks.registry import RUNBOOKS
from triage.api.access import person_of
from triage.api.problems import PROBLEMS

router = Router(tags=["runbooks"])


class ParameterOut(Schema):
    """One value that a runbook needs."""

    name: str
    kind: str
    title: str
    required: bool
    choices: list[str]


class RunbookOut(Schema):
    """One runbook. `assurance`: how sure the channel must be of who asks; `time_limit` in seconds."""

    key: str
    title: str
    tier: str
    reversible: bool
    assurance: str
    time_limit: float
    runner: str
    target_kind: str
    parameters: list[ParameterOut]
    selection_digest: str
    action_digest: str


class Runbooks(Schema):
    """All of them, by key."""

    items: list[RunbookOut]


@router.get("/", response={200: Runbooks, **PROBLEMS}, operation_id="list_runbooks")
def runbooks(request: HttpRequest) -> Runbooks:
    """Every runbook of this installation."""
    person_of(request, "runbooks:read")
    return Runbooks(items=[_shown(RUNBOOKS[key]) for key in sorted(RUNBOOKS)])


@router.get("/{key}", response={200: RunbookOut, **PROBLEMS}, operation_id="read_runbook")
def runbook(request: HttpRequest, key: Annotated[str, Path(max_length=60)]) -> RunbookOut:
    """One runbook."""
    person_of(request, "runbooks:read")
    if key not in RUNBOOKS:
        raise Http404
    return _shown(RUNBOOKS[key])


def _shown(one: Runbook) -> RunbookOut:
    return RunbookOut(
        key=one.key,
        title=one.title,
        tier=one.tier,
        reversible=one.reversible,
        assurance=one.assurance,
        time_limit=float(one.time_limit),
        runner=one.runner,
        target_kind=one.target_kind,
        parameters=[
            ParameterOut(name=it.name, kind=it.kind, title=it.title, required=it.required, choices=list(it.choices))
            for it in one.parameters
        ],
        selection_digest=one.selection_digest,
        action_digest=one.action_digest,
    )
