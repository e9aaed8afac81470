"""Who watches the watcher: whoever works looks now and then whether the reconciler still holds its lease."""

import time
from datetime import datetime, timedelta

from triage.models import Job, Notification
from triage.telling.rows import tell

RECONCILER = "reconciler"
SILENCE = timedelta(minutes=3)  # a restart by a supervisor takes less
EACH_SECONDS = 60.0
_looked: list[float] = []


def watch_reconciler(*, at: datetime) -> Notification | None:
    """Tell once of each time that the reconciler fell silent; one look a minute and process."""
    now = time.monotonic()
    if _looked and now - _looked[0] < EACH_SECONDS:
        return None
    _looked[:] = [now]
    lease = Job.objects.filter(name=RECONCILER, leased_until__lt=at - SILENCE).values_list("leased_until", flat=True)
    ended = lease.first()
    if ended is None:
        return None
    return tell(
        kind="reconciler_stalled",
        customer=None,
        key=f"reconciler-{ended.isoformat()}",
        text=f"The reconciler was last there at {ended:%Y-%m-%d %H:%M} UTC: what gets stuck stays stuck. Start "
        "`triage reconcile` again, or look why `triage up` cannot.",
        link="/overview/",
        at=at,
    )
