"""What every runner whose jobs run in another system does alike, before its jobs are led."""

from collections.abc import Callable, Mapping

from runbooks.base import Runbook
from runbooks.outcome import Outcome
from runbooks.runners import remote
from runbooks.runners.conversation import check_id, cleaner
from runbooks.runners.jobs import Jobs
from runbooks.targets.sqlite import TargetError
from runbooks.watch import Watch

OUTPUT_SECONDS = 15.0
"""How long the rest of an output is read once its job has ended."""


def carried_out(
    system: str,
    runbook: Runbook,
    client: Callable[[], Jobs],
    *,
    target: Mapping[str, str],
    run_id: str,
    handed: Mapping[str, str] | None,
    watch: Watch,
    job: str,
    time_limit: float | None,
) -> Outcome:
    """Make the run's client and lead its jobs, or lead them on; the arguments are a runner's.

    system: what people call it. client: made once, here; what it raises as TargetError or ValueError (a value that
    does not fit) ends the run before anything was launched.
    """
    if handed:
        raise ValueError(f"handed: {system} keeps and shows what a job is given, so it is given no secret")
    check_id(run_id)
    clean = cleaner(target)
    try:
        jobs = client()
    except (TargetError, ValueError) as error:
        return remote.not_led(job, str(error), clean)
    return remote.lead(runbook, jobs, job=job, clean=clean, watch=watch, time_limit=time_limit)
