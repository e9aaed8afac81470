"""Server time and queries of the desk's pages with many tickets in PostgreSQL, as a member of three customers has them.

    python -m tests.benchmarks.desk --tickets 200000 [--waiting 20000] [--times 80] [--json FILE]

Rows are made by the database itself in a PostgreSQL of the benchmark's own. Each page of PAGES is asked for through
the whole of Django, middleware and templates included, without a socket. Prints p50, p95 and the least in milliseconds,
what of it was processor time of Python's, and the number of queries; ends with 1 where a p95 is above LIMIT. On a busy
machine p95 says more of the others than of the page: `load` is what was running meanwhile, and `least_ms` and `cpu_ms`
hardly depend on it.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import servers
from tests.benchmarks import bulk, control_room

LIMIT = 100.0
"""Milliseconds that the p95 of a page may take."""

CUSTOMERS, MINE = 20, 3
_HEX = "md5({0}::text) || md5({0}::text || 'x')"

ROWS = """
INSERT INTO triage_ticket (uuid, customer_id, source_id, external_id, subject, body, requester, channel, actor, language,
  kind, itsm_status, itsm_group, priority, due_at, fields, attachments, created_at, updated_at, received_at, text_hash,
  storm_key, status, reason, changed_at, attempts, occasion, alike, spoken, turn)
SELECT gen_random_uuid(), c.customer_id, c.id, 'INC' || n, w.words || ' on host-' || n % 9000,
  repeat(w.words || ' since this morning, ticket ' || n || ' of somebody who waits. ', 8), 'person' || n % 5000 || '@example.org',
  'portal', CASE WHEN n % 4 = 0 THEN 'machine' ELSE 'person' END, '', 'incident', 'new', 'Group ' || n % 12, '',
  CASE WHEN n % 3 > 0 THEN now() + (n % 20000 - 4000) * interval '1 minute' END, '{{"host": "h"}}', '[]',
  now() - n * interval '1 second', now(), now() - n * interval '1 second', {hash}, CASE WHEN n % 40 = 0 THEN {storm} ELSE {hash} END,
  CASE WHEN n <= {waiting} * 0.95 THEN 'needs_review' WHEN n <= {waiting} THEN 'waiting_approval'
    ELSE (ARRAY['resolved', 'answered', 'observed', 'withdrawn'])[1 + n % 4] END,
  'The score ' || n % 97 || ' % is below what the certificate needs.', now() - n * interval '1 second', 0, 1,
  CASE WHEN n % 40 = 0 THEN {storm} ELSE {hash} END, (ARRAY['en', 'de', 'fr', 'ja'])[1 + n % 4], n % 1000
FROM generate_series(1, {tickets}) n
JOIN triage_source c ON c.id = (SELECT min(id) FROM triage_source) + n % {customers}
JOIN LATERAL (SELECT (ARRAY['VPN drops', 'Mailbox full', 'Account locked', 'Printer broken', 'Disk full',
  'Postfach voll', 'Dossier partage', 'Screen black', 'Phone lost', 'Invoice wrong'])[1 + n % 10] AS words) w ON true
"""

PREDICTIONS = """
INSERT INTO triage_prediction (customer_id, ticket_id, text_hash, release, matches, new_articles, probability, score,
  evidence, reason, in_force, made_at)
SELECT customer_id, id, text_hash, '1', jsonb_build_array(
    jsonb_build_object('label', 'KB' || id % 200, 'probability', 0.7, 'source', 'labels'),
    jsonb_build_object('label', 'KB' || (id + 1) % 200, 'probability', 0.2, 'source', 'labels')), '[]', 0.7, 0.7,
  '{"sufficient": true, "in_scope": 0.8, "known_share": 0.9, "known_count": 12, "language": "en", "agreement": 0.9,
    "reason": "known words"}', 'known words', true, received_at
FROM triage_ticket
"""

DECISIONS = """
INSERT INTO triage_decision (customer_id, ticket_id, text_hash, mode, article, runbook, parameters, reason, in_force,
  made_at)
SELECT customer_id, id, text_hash, CASE WHEN status = 'waiting_approval' THEN 'approve' ELSE 'suggest' END,
  'KB' || id % 200, '', '{}', 'The score is below what the certificate needs.', true, received_at FROM triage_ticket
"""

DRAWS = """
INSERT INTO triage_draw (ticket_id, customer_id, cluster, purpose, probability, drawn_at)
SELECT id, customer_id, storm_key, CASE id / 20 % 20 WHEN 0 THEN 'holdout' WHEN 1 THEN 'verify' ELSE 'none' END,
  0.05, received_at FROM triage_ticket
"""

REVIEWS = """
INSERT INTO triage_review (customer_id, ticket_id, person_id, verdict, article, also_acceptable, parameters, note, follow,
  blind, provenance, text_hash, decided_at)
SELECT customer_id, id, (SELECT max(id) FROM triage_person), 'article', 'KB' || id % 200, '[]', '{}', '', '', false,
  'desk', text_hash, received_at FROM triage_ticket WHERE status IN ('resolved', 'answered')
"""

APPROVALS = """
INSERT INTO triage_approval (uuid, customer_id, ticket_id, decision_id, runbook, parameters, binding, people_needed,
  status, asked_at, expires_at, refusal)
SELECT gen_random_uuid(), t.customer_id, t.id, d.id, 'unlock_account', '{}', t.storm_key, 1, 'asked', t.received_at,
  now() + interval '1 day', ''
FROM triage_ticket t JOIN triage_decision d ON d.ticket_id = t.id WHERE t.status = 'waiting_approval'
"""

AUDIT = """
INSERT INTO triage_auditevent (at, customer_id, subject, subject_id, event, before, after, actor, reason)
SELECT received_at, customer_id, 'ticket', id, 'status', b, 'needs_review', 'system:prediction', 'decided'
FROM triage_ticket, (VALUES ('received'), ('classified')) v(b)
"""

FILLED = {
    "triage_ticket": ROWS,
    "triage_prediction": PREDICTIONS,
    "triage_decision": DECISIONS,
    "triage_draw": DRAWS,
    "triage_review": REVIEWS,
    "triage_approval": APPROVALS,
    "triage_auditevent": AUDIT,
}
"""The tables in the order in which they are filled."""


def _deep() -> str:
    """The queue a good way in."""
    from triage.models import Ticket
    from triage.queries.order import cursor

    rows = Ticket.objects.filter(status="needs_review", customer__slug__in=["bench-0", "bench-1", "bench-2"])
    return f"/?status=&after={cursor(rows.order_by('place', 'pk')[min(1500, rows.count() // 2)])}"


def _ticket(**wanted: Any) -> str:
    """The page of some ticket of the first customer."""
    from triage.models import Ticket

    found = Ticket.objects.filter(customer__slug="bench-0", **wanted).order_by("place").first()
    assert found is not None
    return f"/tickets/{found.uuid}/"


def _together() -> str:
    from django.db.models import Count

    from triage.models import Ticket

    rows = Ticket.objects.filter(customer__slug="bench-0", status="needs_review")
    large = rows.values("alike").annotate(size=Count("pk")).order_by("-size").first()
    assert large is not None
    return f"/together/?t={rows.filter(alike=large['alike'])[0].pk}"


def _changes() -> str:
    from triage.models import Ticket

    rows = Ticket.objects.filter(status="needs_review", customer__slug="bench-0").order_by("place", "pk")[:50]
    return "/queue/changes/?customer=bench-0&shown=" + ",".join(f"{row.pk}.x" for row in rows)


PAGES: list[tuple[str, Callable[[], str]]] = [
    ("queue", lambda: "/?status="),
    ("queue: a later page", _deep),
    ("queue: one customer, drawn, due in 4 h", lambda: "/?status=&customer=bench-1&drawn=yes&due=4h"),
    ("queue: language, group, mode", lambda: "/?status=&language=de&group=Group+1&mode=suggest"),
    ("queue: reason", lambda: "/?status=&reason=certificate+13"),
    ("queue: text that many have", lambda: "/?status=&text=mailbox"),
    ("queue: text that none has", lambda: "/?status=&text=zeppelin"),
    ("queue: every status", lambda: "/?status=all"),
    ("queue: blind checks", lambda: "/?status=verify"),
    ("queue: what changed", _changes),
    ("queue: saved filters", lambda: "/queue/saved/"),
    ("several at once", _together),
    ("ticket", lambda: _ticket(status="needs_review")),
    ("ticket that is resolved", lambda: _ticket(status="resolved")),
    *control_room.PAGES,
]
"""Name and address of every page that is measured. An address is made after the rows are there."""


def main() -> int:
    """Run it in an installation of its own."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--tickets", type=int, default=200_000)
    parser.add_argument("--waiting", type=int, default=0, help="how many of them wait for people; a tenth by default")
    parser.add_argument("--times", type=int, default=80)
    parser.add_argument("--only", default="", help="pages whose name has this in it")
    parser.add_argument("--explain", action="store_true", help="print the slowest query of each page with its plan")
    parser.add_argument("--json", default="")
    given = parser.parse_args()
    with installed():
        began = time.perf_counter()
        fill(given.tickets, given.waiting or given.tickets // 10)
        counting = control_room.fill()
        filled = time.perf_counter() - began
        print(f"filled in {filled:.0f} s", file=sys.stderr)
        figures = {}
        for name, address in PAGES:
            if given.only in name:
                figures[name] = measure(address(), times=given.times, explain=given.explain)
                print(name, figures[name], file=sys.stderr)
    told = json.dumps(
        {
            "tickets": given.tickets,
            "limit_ms": LIMIT,
            "filled_seconds": round(filled, 1),
            "counting": counting,
            "load": {"processors": os.cpu_count(), "load_average_1_5_15": [round(load, 2) for load in os.getloadavg()]},
            "pages": figures,
        },
        indent=2,
    )
    if given.json and given.json != "-":
        Path(given.json).write_text(told + "\n", encoding="utf-8")
    print(told)
    return int(any(row["p95_ms"] > LIMIT for row in figures.values()))


@contextmanager
def installed() -> Iterator[None]:
    """A PostgreSQL of the benchmark's own, with the tables and no rows."""
    with tempfile.TemporaryDirectory(prefix="triage-benchmark-") as home, servers.postgres() as url:
        os.environ |= {
            "TRIAGE_HOME": home,
            "TRIAGE_DATABASE_URL": url,
            "TRIAGE_ALLOWED_HOSTS": "testserver",
            "TRIAGE_LOG_LEVEL": "ERROR",
            "DJANGO_SETTINGS_MODULE": "triage.settings",
        }
        import django
        from django.core.management import call_command
        from django.db import connections

        django.setup()
        try:
            call_command("migrate", verbosity=0)
            yield
        finally:
            connections.close_all()


def fill(tickets: int, waiting: int) -> None:
    """Customers with sources, articles, and as many tickets with all that belongs to them."""
    from django.db import connection

    from tests import factories
    from triage.models import Membership, Person, SavedFilter

    person = factories.person(username="member")
    for number in range(CUSTOMERS):
        customer = factories.customer(slug=f"bench-{number}", name=f"Bench {number}")
        factories.source(slug=f"bench-{number}", customer=customer)
        if number < MINE:
            Membership.objects.create(person=person, customer=customer, role="agent")
    for number in range(200):
        factories.article(key=f"KB{number}", translation_group=f"KB{number}")
    for name, query in (("Late", {"due": "late"}), ("German", {"language": "de"}), ("Drawn", {"drawn": "yes"})):
        SavedFilter.objects.create(person=Person.objects.get(username="member"), name=name, query=query)
    rows = ROWS.format(
        hash=_HEX.format("n"),
        storm=_HEX.format("(n % 700 / 35)"),
        tickets=tickets,
        waiting=waiting,
        customers=CUSTOMERS,
    )
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SET session_replication_role = replica")  # each reference would be looked up, row by row
        cursor.execute("SET maintenance_work_mem = '256MB'")
        for table, statement in FILLED.items():
            bulk.fill(cursor, table, rows if statement is ROWS else statement)
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("VACUUM ANALYZE")


def measure(path: str, *, times: int, explain: bool = False) -> dict[str, Any]:
    """p50, p95, the least, and processor time, in milliseconds, and queries, of one page, warmed up by three times."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from triage.models import Person

    client = Client()
    client.force_login(Person.objects.get(username="member"), backend="django.contrib.auth.backends.ModelBackend")
    for _ in range(3):
        assert client.get(path).status_code == 200, path
    took, worked = [], []
    for _ in range(times):
        began, busy = time.perf_counter(), time.process_time()
        client.get(path)
        worked.append((time.process_time() - busy) * 1000)
        took.append((time.perf_counter() - began) * 1000)
    with CaptureQueriesContext(connection) as caught:
        client.get(path)
    if explain:
        _explain(path, caught)
    cuts = statistics.quantiles(took, n=20, method="inclusive")
    return {
        "p50_ms": round(cuts[9], 1),
        "p95_ms": round(cuts[18], 1),
        "least_ms": round(min(took), 1),
        "cpu_ms": round(statistics.median(worked), 1),
        "least_cpu_ms": round(min(worked), 1),
        "queries": len(caught),
    }


def _explain(path: str, caught: Any) -> None:
    from django.db import connection

    slowest = max(caught.captured_queries, key=lambda row: float(row["time"]))
    print(path, slowest["time"], slowest["sql"], file=sys.stderr)
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, BUFFERS) " + slowest["sql"].replace("%", "%%"), [])
        print("\n".join(row[0] for row in cursor.fetchall()), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
