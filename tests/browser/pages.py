"""Every page of the desk, and how to reach it on the believable desk: one list for looks, policy and hostile texts.

A new address must stand here, or in EXCEPTIONS with a reason: tests/browser/test_pages.py compares with the resolver.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib.sessions.backends.db import SessionStore
from django.test import Client
from django.urls import URLPattern

from runbooks import registry
from tests import factories
from tests.web.scene import Scene
from tests.web.sending import send
from triage import links, second_factor
from triage.models import (
    Article,
    Delivery,
    Panel,
    Person,
    Release,
    Run,
    SavedFilter,
    SecondFactor,
    Ticket,
)
from triage.review import together
from triage.web import signin
from triage.web import together as together_pages
from triage.web.urls import urlpatterns

NOBODY, EVERYTHING, AGENT = "", "bea", "carl"
EXCEPTIONS = {
    "icon": "a redirect to a picture",
    "openid": "a redirect to the sign-in service: tests/web/test_oidc.py",
    "openid-done": "where the sign-in service sends people back to: tests/web/test_oidc.py",
    "panel-state": "a pass opens it, and the panel shows it: tests/browser/test_panel.py",
    "panel-article": "as above",
    "panel-search": "as above",
}


@dataclass(frozen=True)
class Page:
    """One page as a picture shows it.

    `route`: the address's name in the resolver, empty for one that none answers. `who`: the username of the person who
    looks at it; empty for nobody. `keys`: pressed after it has come. `part`: a piece of a page that htmx asks for.
    """

    name: str
    route: str
    path: str
    who: str = EVERYTHING
    keys: tuple[str, ...] = ()
    part: bool = False
    status: int = 200


@dataclass
class Desk:
    """The believable desk with what single pages need besides, and the sessions of the people who look at it."""

    scene: Scene
    storm: list[Ticket]
    finished: Run
    delivery: Delivery
    article: Article
    sign_in_path: str
    set_password_path: str
    sessions: dict[str, str] = field(default_factory=dict)

    def client(self, who: str) -> Client:
        """A browser of this person that needs no real one."""
        client = Client(raise_request_exception=False)
        if self.sessions.get(who):
            client.cookies["sessionid"] = self.sessions[who]
        return client


def furnish(scene: Scene, *, at: datetime) -> Desk:
    """What the believable desk lacks for some page: a message, links, a storm, an answer given together, sessions."""
    Person.objects.filter(pk=scene.agent.pk).update(is_superuser=True, is_staff=True)
    scene.agent.refresh_from_db()
    source = scene.tickets[0].source
    send(source, key="msg_7", external_id="INC77")
    send(source, key="odd", external_id="INC9", kind="comment", body="Any news?", updated_at="2026-11-20T09:00:00Z")
    storm = [
        factories.ticket(
            source=source,
            subject=f"Disk full on web{number}",
            body=f"/var on web{number} is 97 % full.",
            status=Ticket.Status.NEEDS_REVIEW,
            alike="a" * 64,
            fields={"host": f"web{number}"},
            received_at=at - timedelta(minutes=number),
        )
        for number in range(6)
    ]
    finished = factories.run(
        storm[0],
        scene.target,
        runbook="reset_password",
        target_object="ada.lovelace",
        parameters={"account": "ada.lovelace"},
        status=Run.Status.SUCCEEDED,
        requested_at=at,
        started_at=at,
        finished_at=at,
    )
    handed = links.prepare(finished, registry.get("reset_password"), at=at)
    Panel.objects.create(source=source, enabled=True, origins=["https://acme.service-now.example"])
    Release.objects.filter(status="retired").update(in_force_at=at - timedelta(days=50))
    SavedFilter.objects.create(person=scene.agent, name="Finance, urgent", query={"language": "de"})
    desk = Desk(
        scene,
        storm,
        finished,
        Delivery.objects.get(key="msg_7"),
        Article.objects.get(key="KB0001"),
        signin.make_sign_in_link(scene.approver, at=at),
        f"/{links.PATH}/{handed['link'].split('/')[4]}/",
    )
    _sessions(desk, at=at)
    return desk


def _sessions(desk: Desk, *, at: datetime) -> None:
    for person in (desk.scene.agent, desk.scene.approver):
        client = Client()
        client.force_login(person, backend=signin.BACKEND)
        desk.sessions[person.username] = client.cookies["sessionid"].value
    answer = together.Answer(verdict="none", article="", note="disk alerts", follow="")
    together.decide_together(tickets=desk.storm[3:], person=desk.scene.agent, answer=answer, at=at)
    _remember(desk.sessions[EVERYTHING], together_pages.KEPT, {"at": at.isoformat(), "left": []})
    factor = second_factor.begin(desk.scene.stranger, at=at)
    SecondFactor.objects.filter(pk=factor.pk).update(confirmed_at=at)
    fresh = SessionStore()
    fresh.create()
    begun = {
        "person": desk.scene.stranger.pk,
        "until": (at + timedelta(minutes=10)).timestamp(),
        "hash": desk.scene.stranger.get_session_auth_hash(),
        "onward": "/",
        "way": "signed in with a password",
    }
    desk.sessions["half"] = str(fresh.session_key)
    _remember(desk.sessions["half"], signin.BEGUN, begun)


def _remember(key: str, name: str, value: Any) -> None:
    session = SessionStore(key)
    session[name] = value
    session.save()


def pages(desk: Desk) -> list[Page]:
    """All pages, in the order of the navigation; those of nobody last."""
    return [*_work(desk), *_parts(desk), *_proofs(desk), *_administration(desk), *_outside(desk)]


def _work(desk: Desk) -> Iterator[Page]:
    scene = desk.scene
    ticket = f"/tickets/{scene.tickets[0].uuid}/"
    chosen = f"/choose/{scene.tickets[0].uuid}/{scene.tickets[0].text_hash[:16]}"
    three = urlencode([("t", row.pk) for row in desk.storm[:3]])
    yield Page("queue", "queue", "/?status=")
    yield Page("queue-keys", "queue", "/?status=", keys=("?",))
    yield Page("queue-filters", "queue", "/?language=de", keys=("f",))
    yield Page("queue-all", "queue", "/?status=all")
    yield Page("queue-empty", "queue", "/?text=nothing-like-this")
    yield Page("queue-saved", "queue-saved", "/queue/saved/", part=True)
    yield Page("ticket", "ticket", ticket, who=AGENT)
    yield Page("ticket-run", "ticket", ticket, keys=("r",))
    yield Page("ticket-none", "ticket", ticket, keys=("n",))
    yield Page("ticket-more", "ticket", ticket, keys=("m",))
    yield Page("ticket-long", "ticket", f"/tickets/{scene.tickets[4].uuid}/")
    yield Page("ticket-resolved", "ticket", f"/tickets/{desk.storm[4].uuid}/")
    yield Page("blind", "ticket", f"/tickets/{scene.blind.uuid}/")
    yield Page("together", "together", f"/together/?{three}")
    yield Page("together-done", "together-done", "/together/done/")
    yield Page("choice", "choice", f"{chosen}/accept/")
    yield Page("choice-other", "choice", f"{chosen}/other/")
    yield Page("approvals", "approvals", "/approvals/", who=AGENT)
    yield Page("approval", "approval", f"/approvals/{scene.waiting.approvals.get().uuid}/", who=AGENT)
    yield Page("runs", "runs", "/runs/")
    yield Page("run", "run", f"/runs/{scene.lost.uuid}/")
    yield Page("run-done", "run", f"/runs/{desk.finished.uuid}/", who=AGENT)
    yield Page("articles", "articles", "/articles/")
    yield Page("article", "article", f"/articles/{desk.article.pk}/")
    gap = scene.nordwind.gap_set.get().pk
    yield Page("article-new", "article-new", f"/articles/new/?gap={gap}")
    yield Page("article-edit", "article-edit", f"/articles/{desk.article.pk}/edit/")
    yield Page("article-retire", "article-retire", f"/articles/{desk.article.pk}/retire/")
    yield Page("gaps", "gaps", "/knowledge/gaps/")
    yield Page("gap", "gap", f"/knowledge/gaps/{gap}/")
    yield Page("labels", "labels", "/knowledge/labels/")
    yield Page("notifications", "notifications", "/notifications/")
    yield Page("me", "me", "/me/")
    yield Page("me-second-factor", "me-second-factor", "/me/second-factor/")


def _parts(desk: Desk) -> Iterator[Page]:
    scene = desk.scene
    ticket = f"/tickets/{scene.tickets[0].uuid}"
    yield Page("queue-changes", "queue-changes", "/queue/changes/?status=", part=True)
    yield Page("queue-alike", "queue-alike", f"/queue/alike/{desk.storm[0].pk}/", part=True)
    yield Page("ticket-article", "ticket-article", f"{ticket}/article/?article=KB0001", part=True)
    yield Page("ticket-search", "ticket-search", f"{ticket}/search/?q=printer", part=True)
    yield Page("ticket-reply", "ticket-reply", f"{ticket}/reply/?follow=reply&article=KB0001", part=True)
    yield Page("ticket-why", "ticket-why", f"{ticket}/why/", part=True)
    yield Page("ticket-similar", "ticket-similar", f"{ticket}/similar/", part=True)
    yield Page("run-live", "run-live", f"/runs/{scene.lost.uuid}/live/", part=True)


def _proofs(desk: Desk) -> Iterator[Page]:
    proof = desk.scene.nordwind.certificate_set.get()
    yield Page("overview", "overview", "/overview/")
    yield Page("certificates", "certificates", "/certificates/")
    yield Page("certificate", "certificate", f"/certificates/{proof.uuid}/")
    yield Page("certificate-curve", "certificate-curve", "/certificates/nordwind/unlock_account/curve/")
    yield Page("models", "models", "/models/")
    yield Page("model", "model", "/models/nordwind/2026-11-20.1/")
    yield Page("model-promote", "model-promote", "/models/nordwind/2026-10-02.3/promote/")
    yield Page("model-roll-back", "model-roll-back", "/models/nordwind/2026-11-20.1/roll-back/")
    yield Page("runbooks", "runbooks", "/customers/nordwind/runbooks/")
    yield Page("runbook", "runbook", "/customers/nordwind/runbooks/unlock_account/")


def _administration(desk: Desk) -> Iterator[Page]:
    snow = "/sources/nordwind-snow"
    yield Page("audit", "audit", "/audit/")
    yield Page("audit-empty", "audit", "/audit/?text=nothing-like-this")
    yield Page("start", "start", "/start/?customer=nordwind")
    yield Page("start-live", "start-live", "/start/live/?customer=nordwind", part=True)
    yield Page("sources", "sources", "/sources/")
    yield Page("source-new", "source-new", "/sources/new/")
    yield Page("source", "source", f"{snow}/")
    yield Page("source-connect", "source-connect", f"{snow}/connect/")
    yield Page("source-test", "source-test", f"{snow}/test/")
    yield Page("deliveries", "deliveries", f"{snow}/deliveries/")
    yield Page("delivery", "delivery", f"{snow}/deliveries/{desk.delivery.uuid}/")
    yield Page("people", "people", "/people/")
    yield Page("person", "person", f"/people/{desk.scene.approver.pk}/")
    yield Page("customers", "customers", "/customers/")
    yield Page("customer-settings", "customer-settings", "/customers/nordwind/settings/")
    yield Page("tokens", "tokens", "/tokens/")
    yield Page("api", "api", "/api/")


def _outside(desk: Desk) -> Iterator[Page]:
    yield Page("sign-in", "sign-in", "/sign-in/", who=NOBODY)
    yield Page("sign-in-code", "sign-in-code", "/sign-in/code/", who="half")
    yield Page("sign-in-link", "sign-in-link", desk.sign_in_path, who=NOBODY)
    yield Page("set-password", "set-password", desk.set_password_path, who=NOBODY)
    yield Page("set-password-dead", "set-password", "/set-password/guessed/", who=NOBODY, status=410)
    yield Page("panel", "panel", f"/panel/nordwind-snow/{desk.scene.tickets[0].external_id}/", who=NOBODY)
    yield Page("nothing-here", "", "/no/such/page/", status=404)
    yield Page("not-allowed", "", "/people/", who=AGENT, status=403)
    yield Page("damaged-link", "queue", "/?after=damaged", status=400)


def only_posts(pattern: URLPattern) -> bool:
    """Whether the address shows nothing by itself: its view takes forms alone."""
    view: Callable[..., Any] = pattern.callback
    return "@require_POST" in inspect.getsource(inspect.unwrap(view))


def routes() -> set[str]:
    """The names of all addresses that answer GET with something to look at."""
    return {str(one.name) for one in urlpatterns if not only_posts(one)} | {"api"}
