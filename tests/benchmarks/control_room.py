"""The control room's part of `tests.benchmarks.desk`: runs, certificates, verdicts and 90 days of counts, and its pages.

Counting everything anew, as the reconciler does after an import, is measured as well.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

RUNS = """
INSERT INTO triage_run (uuid, customer_id, ticket_id, runbook, occasion, target_id, target_object, parameters, decision_id,
  text_hash, action_digest, status, reason, fence, attempts, requested_at, started_at, finished_at, phase, phases, output,
  job, alarm)
SELECT gen_random_uuid(), t.customer_id, t.id, 'unlock_account', 1, g.id, 'account-' || t.id, '{}', d.id, t.text_hash, '',
  'succeeded', '', 1, 1, t.received_at, t.received_at, t.received_at, '', '[]', '', '', false
FROM triage_ticket t JOIN triage_target g ON g.customer_id = t.customer_id JOIN triage_decision d ON d.ticket_id = t.id
WHERE t.status = 'resolved'
"""

DECISIONS = """
UPDATE triage_decision d SET mode = 'automate', certificate_id = c.id, expires_at = now()
FROM triage_certificate c, triage_ticket t
WHERE c.customer_id = d.customer_id AND t.id = d.ticket_id AND t.status = 'resolved'
"""

VERDICTS = """
UPDATE triage_review r SET blind = true FROM triage_draw d WHERE d.ticket_id = r.ticket_id AND d.purpose <> 'none'
"""

HOURS = """
INSERT INTO triage_hourcount (customer_id, hour, by_itself, on_word, by_person, waiting, under_way, observed, withdrawn,
  in_time, too_late)
SELECT c.id, date_trunc('hour', now()) - h * interval '1 hour', 3 + h % 5, 1, 4, 0, 0, h % 2, 1, 3, 1
FROM triage_customer c, generate_series(60, 2200) h ON CONFLICT DO NOTHING
"""

PAGES: list[tuple[str, Callable[[], str]]] = [
    ("control room: 7 days", lambda: "/overview/"),
    ("control room: 24 hours", lambda: "/overview/?range=24h"),
    ("control room: 90 days", lambda: "/overview/?range=90d"),
    ("control room: one customer", lambda: "/overview/?range=90d&customer=bench-1"),
    ("certificates", lambda: "/certificates/"),
    ("models", lambda: "/models/"),
]


def fill() -> dict[str, Any]:
    """A certificate for every customer with its runs, and the counts; seconds that counting all anew took."""
    from django.db import connection
    from django.utils import timezone

    from tests import factories
    from triage import counting
    from triage.models import Customer

    at = timezone.now()
    for customer in Customer.objects.all():
        factories.target(customer)
        release = factories.release(customer, status="in_force")
        factories.certificate(release, issued_at=at, expires_at=at + timedelta(days=60))
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for statement in (RUNS, DECISIONS, VERDICTS):
            cursor.execute(statement)
        cursor.execute("VACUUM ANALYZE")
    began = time.perf_counter()
    counting.all_anew(at=at)
    anew = time.perf_counter() - began
    began = time.perf_counter()
    counting.keep(at=at + counting.EVERY[counting.HOURS])
    soon = time.perf_counter() - began
    with connection.cursor() as cursor:
        cursor.execute(HOURS)
        cursor.execute("VACUUM ANALYZE triage_hourcount")
    return {"counted_anew_seconds": round(anew, 2), "next_pass_seconds": round(soon, 2)}
