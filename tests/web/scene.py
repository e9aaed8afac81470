"""A believable desk: two customers, articles, tickets in every state that a person has to do with."""

import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from runbooks.targets import accounts
from runbooks.targets import directory as directories
from tests import factories
from triage import approvals, counting, lifecycle
from triage.models import (
    Article,
    ArticleCount,
    ArticleFeed,
    ArticleWeek,
    CertificateCount,
    Comparison,
    Customer,
    FeedArticle,
    Gap,
    GapMember,
    Mode,
    Notification,
    Person,
    Release,
    Role,
    Run,
    Source,
    Suspect,
    Target,
    Ticket,
    Tuning,
    WorkerBeat,
)

ARTICLES = (
    ("KB0001", "Account locked after failed sign-ins", "unlock_account"),
    ("KB0002", "VPN does not connect from home", ""),
    ("KB0003", "Mailbox is full", "raise_mailbox_quota"),
    ("KB0004", "Password forgotten or expired", ""),
    ("KB0005", "Second factor lost or replaced", ""),
    ("KB0006", "Access to a shared folder", "add_to_group"),
    ("KB0007", "Printer on the floor does not print", ""),
)
SYMPTOMS = "Sign-in to Windows, mail or the intranet is refused. The password itself is known and still valid."
BODY = """An account is locked for 30 minutes after seven wrong passwords within fifteen minutes.

1. Check in the directory that the account is enabled and that the lock reason is "failed sign-ins". An account under
   a security hold is never unlocked from a ticket: hand it to Security.
2. Unlock the account.
3. Ask the user to sign in once at a wired workplace, then to update the stored password on phone and tablet.

Not this article: the password is forgotten or expired (KB0004)."""

COUNTED = {
    "tickets": 240,
    "draws": 61,
    "verdicts": 80,
    "agreed": 74,
    "confirmed": 71,
    "tickets_90": 702,
    "verdicts_90": 230,
    "agreed_90": 211,
    "confirmed_90": 219,
}

# minutes old, minutes until due (0: none), language, subject, body, ranked labels, probability, reason
TICKETS = (
    (
        190,
        -25,
        "en",
        "Locked out before the board meeting",
        "My account ada.lovelace is locked since this morning, I know my password. Please unlock it, the board meets at ten.",
        "KB0001 KB0004 KB0005",
        0.93,
        "The score 93 % is below the 96 % that the certificate needs.",
    ),
    (
        55,
        40,
        "de",
        "Postfach voll, kann nichts mehr senden",
        "Guten Morgen, mein Postfach ist voll und ich kann seit heute früh keine Mails mehr senden. Bitte vergrößern.",
        "KB0003 KB0004",
        0.88,
        "A runbook fits, but the wanted size is neither in a field nor in the text.",
    ),
    (
        48,
        130,
        "en",
        "VPN drops every few minutes",
        "Since the update on Monday the VPN connects and drops again after two or three minutes. Home office, fibre, laptop only.",
        "KB0002 KB0007",
        0.71,
        "The article has no runbook.",
    ),
    (
        33,
        0,
        "fr",
        "Impossible d'accéder au dossier partagé",
        "Bonjour, je n'ai plus accès au dossier partagé de l'équipe Finance depuis mon changement de service.",
        "KB0006 KB0001",
        0.64,
        "The score 64 % is below the 96 % that the certificate needs.",
    ),
    (
        21,
        0,
        "ja",
        "プリンターが印刷できません",
        "3階のプリンターが昨日から印刷できません。紙詰まりはありません。",
        "KB0007 KB0002",
        0.58,
        "The article has no runbook.",
    ),
    (
        14,
        0,
        "en",
        "Question about holidays",
        "Who do I ask about carrying over holidays into next year?",
        "KB0004",
        0.12,
        "Too few known words: nothing like this was ever solved with an article.",
    ),
    (
        6,
        0,
        "en",
        "Phone replaced, code does not arrive",
        "I have a new phone and the second factor still goes to the old one, which is gone.",
        "KB0005 KB0001",
        0.97,
        "The article has no runbook.",
    ),
)


@dataclass
class Scene:
    """What the tests refer to by name."""

    nordwind: Customer
    contoso: Customer
    agent: Person
    approver: Person
    stranger: Person
    target: Target
    tickets: list[Ticket]
    blind: Ticket
    waiting: Ticket
    lost: Run


def articles() -> list[Article]:
    """The shared articles."""
    return [
        factories.article(key=key, title=title, runbook=runbook, symptoms=SYMPTOMS, body=BODY)
        for key, title, runbook in ARTICLES
    ]


def directory(folder: Path) -> Path:
    """A directory file with Ada, whose account is locked."""
    path = folder / "directory.sqlite3"
    path.write_bytes(_directory())
    return path


@cache
def _directory() -> bytes:
    """Made once: a directory's file waits for the disk until it is safe."""
    people = [
        accounts.Account(
            "ada.lovelace", "Ada Lovelace", "ada@nordwind.example", locked=True, lock_reason="failed_logins"
        ),
        accounts.Account(
            "grace.hopper", "Grace Hopper", "grace@nordwind.example", locked=True, lock_reason="failed_logins"
        ),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "directory.sqlite3"
        directories.create(path, people)
        return path.read_bytes()


def build(*, at: datetime, folder: Path) -> Scene:
    """The whole desk, as of `at`."""
    nordwind = factories.customer(slug="nordwind", name="Nordwind AG", mode=Mode.AUTOMATE)
    contoso = factories.customer(slug="contoso", name="Contoso Ltd")
    agent = factories.member(nordwind, username="bea", first_name="Bea", last_name="Meyer", email="bea@desk.example")
    approver = factories.member(nordwind, Role.APPROVER, username="carl", first_name="Carl", last_name="Ito")
    stranger = factories.member(contoso, username="sam", first_name="Sam", last_name="Stranger")
    articles()
    target = factories.target(nordwind, key="nordwind-ad", settings=f'{{"path": "{directory(folder)}"}}')
    source = factories.source(customer=nordwind, name="ServiceNow", slug="nordwind-snow")
    tickets = [_ticket(source, row, at=at) for row in TICKETS]
    for other in ("Contoso printer on fire", "Contoso secret project"):
        factories.ticket(
            customer=contoso, subject=other, status=Ticket.Status.NEEDS_REVIEW, received_at=at, changed_at=at
        )
    blind = tickets[-1]
    factories.draw(blind, "holdout", 0.5)
    for ticket in tickets[:-1]:
        factories.draw(ticket)
    return Scene(
        nordwind,
        contoso,
        agent,
        approver,
        stranger,
        target,
        tickets,
        blind,
        _waiting(source, at=at),
        _lost(source, target, at=at),
    )


def busy(scene: Scene, *, at: datetime) -> None:
    """What makes the overview worth looking at."""
    release = factories.release(scene.nordwind, version="2026-11-20.1", status="in_force", accuracy=0.914, rows=8120)
    factories.release(scene.nordwind, version="2026-10-02.3", status="retired", accuracy=0.902, rows=7410)
    factories.certificate(release, issued_at=at - timedelta(days=12), expires_at=at + timedelta(days=78))
    for number in range(24):
        status = ("resolved", "resolved", "resolved", "observed", "answered", "withdrawn")[number % 6]
        row = factories.ticket(
            source=scene.tickets[0].source, status=status, received_at=at - timedelta(hours=number), changed_at=at
        )
        if number % 6 == 0:
            factories.run(row, scene.target, status="succeeded", requested_at=at, started_at=at, finished_at=at)
    for name in ("classify", "runbooks", "background"):
        WorkerBeat.objects.create(name=name, pid=1, at=at)
    WorkerBeat.objects.create(name="reconciler", pid=1, at=at - timedelta(minutes=4))
    _feeds(scene, at=at)
    Notification.objects.create(
        customer=scene.nordwind,
        kind="run_unknown",
        key="n1",
        text="Unlock an account: unknown. The worker was lost.",
        link=f"/runs/{scene.lost.uuid}/",
        created_at=at,
    )
    _counted(scene, release, at=at)
    _knowledge(scene, release, at=at)


def _knowledge(scene: Scene, release: Release, *, at: datetime) -> None:
    """What no article answers, a label that is probably wrong, and weeks of an article's use."""
    gap = Gap.objects.create(
        customer=scene.nordwind,
        words="door badge replaced",
        terms=["badge", "door", "gate"],
        notes=["door badge replaced", "badge"],
        size=14,
        weeks=[0, 0, 1, 0, 1, 2, 1, 0, 1, 2, 3, 3],
        first_at=at - timedelta(days=70),
        last_at=at - timedelta(hours=3),
        made_at=at - timedelta(days=40),
        grouped_at=at - timedelta(hours=5),
    )
    for place, floor in enumerate(("second", "third", "ground")):
        body = f"My door badge opens no gate on the {floor} floor since Monday. Who replaces it?"
        ticket = factories.ticket(
            source=scene.tickets[0].source,
            subject=f"Badge does not work, {floor} floor",
            body=body,
            status="answered",
            received_at=at - timedelta(days=place + 1),
            changed_at=at,
        )
        factories.draw(ticket)
        GapMember.objects.create(gap=gap, ticket=ticket, place=place)
    for place, (given, likely) in enumerate((("KB0004", "KB0001"), ("KB0007", "KB0002"))):
        text = {"subject": "Cannot sign in", "body": "My account is locked, but I know my password.", "article": given}
        label = factories.label(scene.nordwind, **text)
        values = {"given": given, "likely": likely, "probability": 0.93, "self_confidence": 0.02, "place": place}
        Suspect.objects.create(customer=scene.nordwind, release=release, label=label, text_key=f"{place:016}", **values)
    Release.objects.filter(customer=scene.nordwind, status="retired").update(created_at=at - timedelta(days=50))
    monday = (at - timedelta(days=at.weekday())).date()
    for back in range(13):
        counts = {"tickets": 12 + 7 * back % 11, "verdicts": 9, "agreed": 7 + back % 3}
        week = monday - timedelta(weeks=back)
        ArticleWeek.objects.update_or_create(customer=scene.nordwind, article="KB0001", week=week, defaults=counts)
    report = Tuning.objects.get(release=release).report
    Tuning.objects.filter(release=release).update(
        report={**report, "confused": [["KB0004", "KB0001", 11], ["KB0001", "KB0005", 4]]}
    )


def _counted(scene: Scene, release: Release, *, at: datetime) -> None:
    """What the reconciler counts, and what a training leaves behind."""
    counting.all_anew(at=at)
    sure = [[round(0.999 - step / 400, 4), round(0.999 - step / 420, 4), int(step % 29 != 28)] for step in range(180)]
    rows = {"KB0001": sure, "KB0004": [[0.4, 0.5 + step / 80, step % 3 > 0] for step in range(40)]}
    labels = {key: 40 + 17 * number for number, (key, _title, _runbook) in enumerate(ARTICLES)}
    report = {"accuracy_linear": 0.902, "accuracy_fasttext": 0.884, "families": "both"}
    Tuning.objects.create(release=release, rows=rows, labels=labels, report=report)
    ArticleCount.objects.update_or_create(customer=scene.nordwind, article="KB0001", defaults=COUNTED)
    CertificateCount.objects.update_or_create(
        certificate=release.certificate_set.get(), defaults={"runs": 412, "verified": 63, "wrong": 1, "missing": 2}
    )
    old = Release.objects.get(customer=scene.nordwind, status="retired")
    found = [{"old": "KB0001", "new": "KB0004", "count": 9, "tickets": [str(scene.tickets[0].uuid)]}]
    Comparison.objects.create(
        customer=scene.nordwind, new=release, old=old, made_at=at, since=at, tickets=800, differing=9, found=found
    )


def _feeds(scene: Scene, *, at: datetime) -> None:
    """A feed that fails, has lost many of its articles and lists one that cannot be taken over; and one in step."""
    common = {"done_at": at, "counts": {"added": 3, "changed": 12, "retired": 1, "back": 0}}
    failing = {"failure": "wiki.nordwind.example answered 401; check the address and the secret", "held_back": 14}
    feed = ArticleFeed.objects.create(
        slug="wiki", kind="confluence_dc", name="Wiki", customer=scene.nordwind, failing_since=at, **failing, **common
    )
    article = Article.objects.get(key="KB0002", customer=None)
    shared = ArticleFeed.objects.create(slug="kb", kind="servicenow", name="ServiceNow IT knowledge", **common)
    url = "https://acme.service-now.example/kb_view.do?sysparm_article=KB0002"
    FeedArticle.objects.create(feed=shared, external_id="KB0002", article=article, url=url, changed_at=at)
    problem = 'KB0007 is in use: an article that all customers share, "Printer on the floor does not print".'
    FeedArticle.objects.create(feed=feed, external_id="70007", title="Printers", url=url, problem=problem)


def _ticket(source: Source, row: tuple[int, int, str, str, str, str, float, str], *, at: datetime) -> Ticket:
    age, due, language, subject, body, labels, probability, reason = row
    received = at - timedelta(minutes=age)
    ticket = factories.ticket(
        source=source,
        subject=subject,
        body=body,
        language=language,
        status=Ticket.Status.NEEDS_REVIEW,
        reason=reason,
        requester="ada@nordwind.example",
        due_at=at + timedelta(minutes=due) if due else None,
        created_at=received,
        received_at=received,
        changed_at=received,
        priority="high" if due < 0 else "",
        fields={"category": "access", "site": "Hamburg"},
    )
    ranked = labels.split()
    rest = (1 - probability) / max(1, len(ranked))
    matches = [{"label": ranked[0], "probability": probability}]
    matches += [{"label": label, "probability": round(rest / place, 6)} for place, label in enumerate(ranked[1:], 1)]
    evidence = {
        "known_share": 0.86,
        "known_count": 14,
        "language": language,
        "in_scope": round(probability, 2),
        "agreement": 0.91,
        "sufficient": probability > 0.3,
        "reason": "86 % of the words are known from solved tickets; both models agree.",
    }
    factories.prediction(ticket, matches=matches, probability=probability, score=probability, evidence=evidence)
    parameters = {"account": "ada.lovelace"} if ranked[0] == "KB0001" else {}
    runbook = "unlock_account" if parameters else ""
    factories.decision(ticket, article=ranked[0], runbook=runbook, parameters=parameters, reason=reason)
    lifecycle.record(row=ticket, event="received", at=received, actor="system:intake")
    return ticket


def _waiting(source: Source, *, at: datetime) -> Ticket:
    """A ticket whose runbook waits for a person's word."""
    ticket = factories.ticket(
        source=source,
        subject="Please unlock grace.hopper",
        body="Locked out after lunch. My user is grace.hopper.",
        requester="grace@nordwind.example",
        status=Ticket.Status.CLASSIFIED,
        received_at=at,
        changed_at=at,
        created_at=at,
    )
    factories.prediction(ticket, score=0.94)
    decision = factories.decision(
        ticket,
        Mode.APPROVE,
        runbook="unlock_account",
        parameters={"account": "grace.hopper"},
        reason="No certificate covers this runbook yet, so a person confirms.",
    )
    approvals.ask(ticket=ticket, decision=decision, people_needed=1, at=at)
    ticket.refresh_from_db()
    return ticket


def _lost(source: Source, target: Target, *, at: datetime) -> Run:
    """A run whose worker was lost after the start."""
    ticket = factories.ticket(
        source=source,
        subject="Account alan.turing locked",
        status=Ticket.Status.NEEDS_REVIEW,
        received_at=at,
        changed_at=at,
        due_at=at + timedelta(minutes=90),
        reason="The worker was lost after the start. Look at the target, then say whether it happened.",
    )
    return factories.run(
        ticket,
        target,
        target_object="alan.turing",
        parameters={"account": "alan.turing"},
        status=Run.Status.UNKNOWN,
        requested_at=at - timedelta(minutes=9),
        started_at=at - timedelta(minutes=9),
        reason=ticket.reason,
        phases=[{"phase": "pre_check", "ok": True, "message": "", "seconds": 0.21}],
    )
