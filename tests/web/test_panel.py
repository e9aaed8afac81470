"""The panel inside the ITSM: a pass alone opens it, for its ticket and agent, framed by the source's own origins alone."""

import base64
import json
import random
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from tests import factories
from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage import panel, review, tokens
from triage.api import access
from triage.logs import _without_secrets
from triage.models import (
    AuditEvent,
    Customer,
    Label,
    Membership,
    Mode,
    Panel,
    Person,
    Review,
    Role,
    Run,
    Ticket,
    Token,
    UsedLaunch,
    Writeback,
)
from triage.models.panel import check_origins

ORIGIN = "https://acme.service-now.com"
NONE = "frame-ancestors 'none'"


@pytest.fixture
def opened(scene: Scene) -> Panel:
    """The panel of the scene's source, with an administrator whose token the ITSM's server holds."""
    access.buckets.cache_clear()
    factories.member(scene.nordwind, Role.ADMIN, username="snow")
    return Panel.objects.create(source=scene.tickets[0].source, enabled=True, origins=[ORIGIN])


def ask(
    who: str, ticket: str, agent: str, *, source: str = "nordwind-snow", scopes: tuple[str, ...] = ("panel",)
) -> Any:
    """What the ITSM's server is answered."""
    person = Person.objects.get(username=who)
    token = tokens.issue(person=person, name="panel", scopes=scopes, days="30", at=timezone.now())
    asked = {"source": source, "ticket": ticket, "agent": agent}
    headers = {"Authorization": f"Bearer {token}"}
    return Client().post("/api/panel-tokens/", asked, content_type="application/json", headers=headers)


def launch(ticket: Ticket, agent: str = "bea") -> panel.Launch:
    return panel.launch(
        token=token_of("snow"), slug=ticket.source.slug, ref=ticket.external_id, agent=agent, at=timezone.now()
    )


def token_of(who: str) -> Token:
    """The token that the ITSM's server holds."""
    person = Person.objects.get(username=who)
    known = tokens.of(person).first()
    if known is None:
        tokens.issue(person=person, name="panel", scopes=("panel",), days="30", at=timezone.now())
    return known or token_of(who)


class Sitting:
    """A panel that was opened, with no cookie: it keeps the pass that each answer brings."""

    def __init__(self, ticket: Ticket, agent: str = "bea") -> None:
        self.base = f"/panel/{ticket.source.slug}/{ticket.external_id}/"
        self.ticket, self.secret = ticket, launch(ticket, agent).token
        self.client = Client(enforce_csrf_checks=True)
        assert self.post("enter").status_code == 200

    def _answered(self, answer: Any) -> Any:
        self.secret = answer.headers.get("X-Panel-Pass", self.secret)
        assert not answer.cookies
        return answer

    def get(self, what: str, **query: str) -> Any:
        headers = {"Authorization": f"Bearer {self.secret}"}
        return self._answered(self.client.get(f"{self.base}{what}/", query, headers=headers))

    def post(self, what: str, **given: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.secret}"}
        return self._answered(self.client.post(f"{self.base}{what}/", given, headers=headers))

    def shown(self) -> str:
        return str(self.get("state").content.decode())

    def accept(self, article: str = "KB0001", **given: str) -> Any:
        return self.post(
            "verdict", **{"text_hash": self.ticket.text_hash, "article": article, "follow": "keep", **given}
        )


def test_the_itsms_server_gets_a_pass_for_its_agent_behind_the_hash_of_the_address(scene: Scene, opened: Panel) -> None:
    ticket = scene.tickets[0]
    for name in (ticket.external_id, str(ticket.uuid)):
        for agent in ("bea", "BEA@desk.example"):
            answer = ask("snow", name, agent)
            told = answer.json()
            assert answer.status_code == 201
            path, _, secret = told["url"].partition("#pass=")
            assert path.endswith(f"/panel/nordwind-snow/{ticket.uuid}/")
            assert "?" not in path
            assert told["agent"] == "bea"
            assert panel.seated(
                secret.replace("%3A", ":"), kind="launch", slug="nordwind-snow", ref=name, at=timezone.now()
            ).person == (scene.agent)
    assert AuditEvent.objects.filter(event="panel opened", actor=f"person:{scene.agent.pk}").count() == 4


def test_only_the_customers_administrators_vouch_and_only_for_its_own_people(scene: Scene, opened: Panel) -> None:
    ticket = scene.tickets[0].external_id
    factories.member(scene.contoso, Role.ADMIN, username="rival")
    factories.person(username="root", is_superuser=True)
    factories.member(scene.nordwind, username="twin", email="bea@desk.example")
    factories.member(scene.nordwind, username="left", is_active=False)
    assert ask("bea", ticket, "bea").status_code == 403
    assert ask("snow", ticket, "bea", scopes=("tickets:read",)).status_code == 403
    assert ask("rival", ticket, "bea").status_code == 404
    for agent in ("sam", "nobody", "root", "left", "bea@desk.example", " ", "%"):
        assert ask("snow", ticket, agent).status_code == 403, agent
    assert ask("snow", "INC404", "bea").status_code == 404
    assert ask("snow", ticket, "bea", source="elsewhere").status_code == 404
    assert ask("snow", Ticket.objects.filter(customer=scene.contoso)[0].external_id, "bea").status_code == 404
    for change in ({"enabled": False}, {"enabled": True, "origins": []}):
        Panel.objects.update(**change)
        assert ask("snow", ticket, "bea").status_code == 404
    assert not AuditEvent.objects.filter(event="panel opened").exists()


def test_the_panel_shows_articles_probability_in_words_and_number_why_and_text(scene: Scene, opened: Panel) -> None:
    sitting = Sitting(scene.tickets[0])
    shown = sitting.shown()
    for words in ("<b>likely</b>", "93\u00a0%", "both models agree", "Account locked after", "hand it to Security"):
        assert words in shown
    assert "KB0007" in sitting.get("search", q="printer").content.decode()
    assert "Second factor" in sitting.get("article", article="KB0005").content.decode()
    mark = re.findall(r"mark=([0-9a-f]{16})", shown)[0]
    assert sitting.get("state", mark=mark).status_code == 204


def test_accept_other_and_none_are_recorded_once_with_their_provenance(scene: Scene, opened: Panel) -> None:
    one, two, three = (Sitting(ticket) for ticket in scene.tickets[:3])
    assert "Decided by <b>Bea Meyer</b> in the ITSM&#x27;s panel" in one.accept().content.decode()
    two.accept("KB0007", follow="")
    three.post("verdict", text_hash=three.ticket.text_hash, none="yes", note="flaky fibre", follow="run")
    again = one.accept("KB0004")
    assert (again.status_code, "KB0001" in again.content.decode()) == (409, True)
    said = Review.objects.order_by("pk").values_list("verdict", "article", "note", "follow", "provenance", "person")
    bea = scene.agent.pk
    assert list(said) == [
        ("article", "KB0001", "", "keep", "panel", bea),
        ("article", "KB0007", "", "", "panel", bea),
        ("none", "", "flaky fibre", "", "panel", bea),
    ]
    assert set(Label.objects.values_list("provenance", flat=True)) == {"panel"}
    assert Writeback.objects.count() == 3
    actors = set(AuditEvent.objects.filter(event="verdict").values_list("actor", flat=True))
    assert actors == {f"person:{bea}"}


def test_a_verdict_can_be_undone_for_ten_seconds_by_who_gave_it(scene: Scene, opened: Panel) -> None:
    factories.member(scene.nordwind, username="dora")
    ticket = scene.tickets[0]
    mine, other = Sitting(ticket), Sitting(ticket, "dora")
    mine.accept()
    said = Review.objects.get()
    assert f'name="review" value="{said.pk}"' in mine.shown()
    assert 'name="review"' not in other.shown()
    assert other.post("undo", review=said.pk).status_code == 404
    assert Sitting(scene.tickets[1]).post("undo", review=said.pk).status_code == 404
    assert "Use this article" in mine.post("undo", review=said.pk).content.decode()
    ticket.refresh_from_db()
    assert ticket.status == Ticket.Status.NEEDS_REVIEW
    mine.accept()
    Review.objects.filter(undone_at__isnull=True).update(decided_at=timezone.now() - timedelta(seconds=30))
    assert mine.post("undo", review=Review.objects.latest("pk").pk).status_code == 409


def test_a_stale_text_a_colleague_and_a_missing_role_are_refused_with_the_reason(scene: Scene, opened: Panel) -> None:
    factories.member(scene.nordwind, Role.AUDITOR, username="audrey")
    ticket = scene.tickets[0]
    refused = Sitting(ticket, "audrey")
    assert "Use this article" not in refused.shown()
    assert refused.accept().status_code == 403
    sitting = Sitting(ticket)
    stale = sitting.accept(text_hash="f" * 64)
    assert (stale.status_code, "text has changed" in stale.content.decode()) == (409, True)
    review.hold(ticket, person=factories.member(scene.nordwind, first_name="Dora"), at=timezone.now())
    held = sitting.accept()
    assert (held.status_code, "Dora has this ticket open" in held.content.decode()) == (409, True)
    assert not Review.objects.exists()


def test_the_state_of_the_run_is_shown(scene: Scene, opened: Panel) -> None:
    Run.objects.filter(pk=scene.lost.pk).update(status="succeeded")
    assert "Succeeded" in Sitting(scene.lost.ticket).shown()


def test_a_sealed_ticket_is_answered_blind(scene: Scene, opened: Panel) -> None:
    sitting = Sitting(scene.blind)
    before = sitting.shown()
    assert "Blind check" in before
    assert "97\u00a0%" not in before
    assert "both models agree" not in before
    assert before.index("KB0001") < before.index("KB0005"), "by key, not by what fits"
    after = sitting.accept("KB0005", also="KB0001").content.decode()
    assert "97\u00a0%" not in after, "while it can be undone, nothing is told"
    said = Review.objects.get()
    assert (said.blind, said.provenance, said.also_acceptable) == (True, "panel", ["KB0001"])
    assert Label.objects.get().provenance == "panel-blind"


def test_in_observe_mode_panel_and_links_suggest_nothing(scene: Scene, opened: Panel) -> None:
    ticket = scene.tickets[0]
    link = reverse("choice", args=[ticket.uuid, ticket.text_hash[:16], "accept"])
    bea = client_of(scene.agent)
    assert "KB0001" in Sitting(ticket).shown()
    assert "KB0001" in bea.get(link).content.decode()
    Customer.objects.update(mode=Mode.OBSERVE)
    for page in (Sitting(ticket).shown(), bea.get(link).content.decode()):
        assert ticket.external_id in page
        assert "KB0001" not in page
        assert "%" not in page


def test_no_session_opens_a_panel_and_no_pass_a_page(scene: Scene, opened: Panel) -> None:
    sitting, signed_in = Sitting(scene.tickets[0]), client_of(scene.agent)
    for what in ("enter", "state", "article", "search", "verdict", "undo"):
        for answer in (signed_in.get(f"{sitting.base}{what}/"), signed_in.post(f"{sitting.base}{what}/")):
            assert answer.status_code in (401, 405)
    headers = {"Authorization": f"Bearer {sitting.secret}"}
    assert Client().get(f"/tickets/{scene.tickets[0].uuid}/", headers=headers).status_code == 302
    assert Client().get("/api/tickets/", headers=headers).status_code == 401
    assert sitting.client.get(f"{sitting.base}state/?pass={sitting.secret}").status_code == 401
    assert not Review.objects.exists()


def test_who_loses_what_the_pass_was_given_for_is_out_at_once(scene: Scene, opened: Panel) -> None:
    def out(change: Any, back: Any) -> None:
        sitting = Sitting(scene.tickets[0])
        change()
        assert sitting.get("state").status_code == 401
        back()

    people, panels = Person.objects.filter(pk=scene.agent.pk), Panel.objects.all()
    out(lambda: people.update(is_active=False), lambda: people.update(is_active=True))
    out(lambda: people.update(sessions_era=1), lambda: people.update(sessions_era=0))
    out(lambda: panels.update(enabled=False), lambda: panels.update(enabled=True))
    out(lambda: panels.update(origins=[]), lambda: panels.update(origins=[ORIGIN]))
    mine, snow = Token.objects.filter(person__username="snow"), Person.objects.filter(username="snow")
    out(lambda: mine.update(revoked_at=timezone.now()), lambda: mine.update(revoked_at=None))
    out(lambda: snow.update(is_active=False), lambda: snow.update(is_active=True))
    keeper = Membership.objects.filter(person__username="snow")
    out(lambda: keeper.update(role=Role.AGENT), lambda: keeper.update(role=Role.ADMIN))
    member = Membership.objects.filter(person=scene.agent)
    out(lambda: member.update(customer=scene.contoso), lambda: member.update(customer=scene.nordwind))


def test_passes_end_and_are_renewed_for_a_shift_at_most(scene: Scene, opened: Panel) -> None:
    ticket, at = scene.tickets[0], timezone.now()
    given = {"slug": "nordwind-snow", "ref": ticket.external_id}
    first = launch(ticket).token
    with pytest.raises(panel.PanelRefused, match="expired"):
        panel.seated(first, kind="launch", **given, at=at + timedelta(minutes=2, seconds=2))
    with pytest.raises(panel.PanelRefused, match="not one of ours"):
        panel.seated(first, kind="seat", **given, at=at)
    seat = panel.seated(first, kind="launch", **given, at=at)
    tenths = 0  # of an hour, between two looks
    while tenths < 79:
        secret = panel.pass_for(seat, at=at + timedelta(hours=tenths / 10))
        tenths += 1
        seat = panel.seated(secret, kind="seat", **given, at=at + timedelta(hours=tenths / 10))
    last = panel.pass_for(seat, at=at + timedelta(hours=7.95))
    with pytest.raises(panel.PanelRefused, match="expired"):
        panel.seated(last, kind="seat", **given, at=at + timedelta(hours=8.01))


def test_a_launch_opens_one_panel_and_no_second(scene: Scene, opened: Panel) -> None:
    ticket = scene.tickets[0]
    sitting = Sitting(ticket)
    assert sitting.get("state").status_code == 200
    first = launch(ticket).token
    path = f"/panel/{ticket.source.slug}/{ticket.external_id}/enter/"
    headers = {"Authorization": f"Bearer {first}"}
    assert Client().post("/panel/nordwind-snow/another/enter/", headers=headers).status_code == 401
    assert Client().post(path, headers=headers).status_code == 200, "a refusal elsewhere does not use it up"
    again = Client().post(path, headers=headers)
    assert again.status_code == 401
    assert "used already" in again.content.decode()
    assert "X-Panel-Pass" not in again.headers
    assert UsedLaunch.objects.count() == 2
    UsedLaunch.objects.update(expires_at=timezone.now() - timedelta(minutes=5))
    Sitting(ticket)
    assert UsedLaunch.objects.count() == 1, "what has ended is not kept"


def test_no_changed_expired_or_foreign_pass_opens_anything(scene: Scene, opened: Panel) -> None:
    random.seed(7)
    here, elsewhere = scene.tickets[0], scene.tickets[1]
    now = timezone.now()
    other = Ticket.objects.filter(customer=scene.contoso)[0]
    factories.member(scene.contoso, Role.ADMIN, username="rival")
    Panel.objects.create(source=other.source, enabled=True, origins=[ORIGIN])
    foreign = panel.launch(
        token=token_of("rival"),
        slug=other.source.slug,
        ref=other.external_id,
        agent="sam",
        at=now,
    ).token
    good = launch(here).token
    bad = [foreign, launch(elsewhere).token, "", ":", "a:b", "\x00", "ü" * 40, "." * 9000, *_forged(good)]
    letters = "ABCxyz019-_:.=% \x00é"
    while len(bad) < 2100:
        place, letter = random.randrange(len(good)), random.choice(letters)
        cut = random.choice(
            [
                good[:place] + letter + good[place + 1 :],
                good[:place] + letter + good[place:],
                good[:place],
                good[place:] + good[:place],
            ]
        )
        if cut != good:
            bad.append(cut)
    accepted = 0
    for number, secret in enumerate(bad):
        for kind in ("launch", "seat") if number < 100 else ("launch",):
            try:
                panel.seated(secret, kind=kind, slug="nordwind-snow", ref=here.external_id, at=now)
                accepted += 1
            except panel.PanelRefused:
                pass
    assert accepted == 0
    panel.seated(good, kind="launch", slug="nordwind-snow", ref=here.external_id, at=now)
    for path in (elsewhere.external_id, str(elsewhere.uuid), other.external_id, "x%00y", "%ff"):
        answer = Client().post(f"/panel/nordwind-snow/{path}/enter/", headers={"Authorization": f"Bearer {good}"})
        assert answer.status_code == 401, path
    for secret in bad[:8]:
        headers = {"Authorization": f"Bearer {secret}".encode("utf-8", "replace").decode("latin-1")}
        assert Client().post(f"/panel/nordwind-snow/{here.uuid}/enter/", headers=headers).status_code == 401


def _forged(good: str) -> list[str]:
    """Passes with other contents under a signature that was made for these, or for nothing."""
    body, _, signature = good.rpartition(":")
    told = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    forged = []
    for name, value in (("p", told["p"] + 1), ("t", "0" * 36), ("e", 2**33), ("s", 0), ("v", 9), ("b", 1)):
        text = json.dumps({**told, name: value}, separators=(",", ":")).encode()
        changed = base64.urlsafe_b64encode(text).rstrip(b"=").decode()
        forged += [f"{changed}:{signature}", f"{changed}:", f"{changed}:{make_password('x')[-43:]}"]
    return forged


def _patterns(rows: list[Any], before: str = "") -> list[str]:
    """Every address of the installation, with something in the place of what it asks for."""
    found = []
    for row in rows:
        part = str(row.pattern)
        if isinstance(row, URLResolver):
            found += _patterns(row.url_patterns, before + part)
        elif isinstance(row, URLPattern):
            whole = re.sub(
                r"<(\w+:)?\w+>",
                lambda kind: {"uuid:": "0" * 8 + "-0000-4000-8000-" + "0" * 12, "int:": "1"}.get(kind[1] or "", "x"),
                before + part,
            )
            found.append("/" + re.sub(r"\(\?P?(<\w+>)?[^)]*\)[?*+]?|[\^$?]|\\Z|\\", "x" if "(" in whole else "", whole))
    return found


def test_only_the_panels_page_may_be_framed_and_only_by_its_own_origins(scene: Scene, opened: Panel) -> None:
    paths = _patterns(get_resolver().url_patterns)
    assert len(paths) > 100
    scene.agent.is_superuser = scene.agent.is_staff = True
    scene.agent.save()
    signed_in = client_of(scene.agent)
    sitting = Sitting(scene.tickets[0])
    # Django's own pages are slow to make and are all alike: those are asked for by nobody in particular
    answers: list[Any] = [(Client() if path.startswith("/admin/") else signed_in).get(path) for path in paths]
    answers += [sitting.get(what) for what in ("state", "article", "search")]
    answers += [Client().get("/panel/nobody/INC1/"), Client().get("/nowhere/"), sitting.accept()]
    statuses = {answer.status_code for answer in answers}
    assert {200, 302, 401, 404, 405} <= statuses
    for answer in answers:
        assert NONE in answer["Content-Security-Policy"]
        assert answer["X-Frame-Options"] == "DENY"
    page = Client().get(sitting.base)
    assert f"frame-ancestors {ORIGIN};" in page["Content-Security-Policy"] + ";"
    assert "default-src 'none'" in page["Content-Security-Policy"]
    assert "X-Frame-Options" not in page
    assert (page["Referrer-Policy"], page["Cache-Control"]) == ("no-referrer", "no-store")
    assert not page.cookies
    Panel.objects.update(enabled=False)
    assert Client().get(sitting.base).status_code == 404


def test_the_page_is_the_same_for_a_ticket_that_is_not_there(scene: Scene, opened: Panel) -> None:
    there, not_there = (
        Client().get(f"/panel/nordwind-snow/{scene.tickets[0].uuid}/"),
        Client().get("/panel/nordwind-snow/x/"),
    )
    assert there.content == not_there.content


@pytest.mark.parametrize(
    "bad",
    [
        "https://a.example",
        {"a": 1},
        [1],
        ["http://a.example"],
        ["https://A.example"],
        ["https://a.example/"],
        ["https://a.example; script-src *"],
        ["https://a.example 'self'"],
        ["https://*"],
        ["https://*.com"],
        ["*"],
        ["'none'"],
        ["https://a.example\n"],
        ["https://user@a.example"],
        ["https://a.example:x"],
        ["data:"],
        ["https://a.example"] * 11,
    ],
)
def test_origins_that_could_open_more_than_they_say_are_refused(bad: object) -> None:
    with pytest.raises(ValidationError):
        check_origins(bad)


def test_origins_as_vendors_have_them_are_taken() -> None:
    check_origins(
        [ORIGIN, "https://acme.zendesk.com", "https://*.cdn.prod.atlassian-dev.net", "https://itsm.example:8443"]
    )


def test_the_settings_page_refuses_a_bad_origin_and_keeps_a_good_one(scene: Scene) -> None:
    root = client_of(factories.person(username="root", is_superuser=True, is_staff=True))
    source = scene.tickets[0].source
    path = reverse("admin:triage_source_change", args=[source.pk])
    page = root.get(path).context["adminform"].form
    given = {name: page.initial.get(name) or "" for name in page.fields}
    given |= {
        "settings": "{}",
        "assurance": "{}",
        "enabled": "on",
        "mappings-TOTAL_FORMS": "0",
        "mappings-INITIAL_FORMS": "0",
    }
    given |= {
        "panel-TOTAL_FORMS": "1",
        "panel-INITIAL_FORMS": "0",
        "panel-0-enabled": "on",
        "panel-0-source": source.pk,
    }
    assert "is no origin" in root.post(path, {**given, "panel-0-origins": '["https://a.example/x"]'}).content.decode()
    assert not Panel.objects.exists()
    assert root.post(path, {**given, "panel-0-origins": json.dumps([ORIGIN])}).status_code == 302
    assert Panel.objects.get().origins == [ORIGIN]


def test_a_pass_does_not_stay_in_the_log() -> None:
    line = "GET /panel/snow/INC1/#pass=eyJzIjoxfQ:abc-DEF_123 and ?pass=eyJzIjoxfQ%3Aabc"
    assert "eyJ" not in _without_secrets(line)
