"""The second factor: set up, asked for at each sign-in, demanded where the installation says so, lost and reset."""

import base64
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.db import connection, connections
from django.test import Client
from django.utils import timezone

from tests import factories
from tests.web.conftest import client_of
from triage import people, second_factor
from triage.environment import environment
from triage.models import AuditEvent, Person, RecoveryCode, Role, SecondFactor
from triage.web.signin import make_sign_in_link

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough password"


def code_at(secret: str, at: datetime | None = None) -> str:
    """What the phone shows: computed from the secret as it was shown, not from ours."""
    moment = at.timestamp() if at else time.time()
    return TOTP(base64.b32decode(secret), 6, SHA1(), 30).generate(moment).decode()  # noqa: S303 - what apps do


def enrol(person: Person, *, at: datetime | None = None) -> tuple[str, list[str]]:
    """A person with a second factor whose first code lies in the past: its secret and recovery codes."""
    before = (at or timezone.now()) - timedelta(minutes=5)
    secret = second_factor.begin(person, at=before).secret
    return secret, second_factor.confirm(person, code_at(secret, before), at=before)


def password(client: Client, name: str, **more: str) -> str:
    return client.post("/sign-in/", {"username": name, "password": PASSWORD, **more}).get("Location", "")


def signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_it_is_set_up_with_a_picture_and_asked_for_from_then_on() -> None:
    person = factories.person(username="bea")
    client = client_of(person)
    assert (
        "That is not your password"
        in client.post("/me/second-factor/", {"step": "begin", "password": "x"}).content.decode()
    )
    assert not SecondFactor.objects.exists()
    client.post("/me/second-factor/", {"step": "begin", "password": PASSWORD})
    page = client.get("/me/second-factor/").content.decode()
    assert "<svg" in page
    assert " style=" not in page
    secret = re.search(r'<code class="secret">([A-Z2-7 ]{39})</code>', page)
    assert secret
    plain = secret[1].replace(" ", "")
    assert "not the code" in client.post("/me/second-factor/", {"step": "confirm", "code": "000000"}).content.decode()
    done = client.post("/me/second-factor/", {"step": "confirm", "code": code_at(plain)}).content.decode()
    codes = re.findall(r"<li><code>((?:[a-z0-9]{4}-){3}[a-z0-9]{4})</code></li>", done)
    assert len(set(codes)) == 10
    later = client.get("/me/second-factor/").content.decode()
    assert plain not in later.replace(" ", "")
    assert codes[0] not in later
    other = Client()
    assert password(other, "bea", next="/overview/") == "/sign-in/code/"
    assert not signed_in(other)
    assert other.get("/")["Location"].startswith("/sign-in/?next=")
    assert other.post("/sign-in/code/", {"code": codes[3]})["Location"] == "/overview/"
    assert signed_in(other)


def test_nothing_of_it_is_stored_in_plain() -> None:
    person = factories.person()
    secret, codes = enrol(person)
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM triage_secondfactor")
        assert secret not in cursor.fetchone()[0]
        cursor.execute("SELECT digest FROM triage_recoverycode")
        stored = {row[0] for row in cursor.fetchall()}
    assert len(stored) == 10
    assert not any(code.replace("-", "") in "".join(stored) for code in codes)


@pytest.mark.parametrize("seconds", [-30, 0, 30])
def test_a_clock_that_is_half_a_minute_off_still_opens(seconds: int) -> None:
    person, at = factories.person(), timezone.now()
    secret, _codes = enrol(person, at=at)
    second_factor.check(person, code_at(secret, at + timedelta(seconds=seconds)), at=at)


def test_a_code_opens_once_and_none_before_it() -> None:
    person, at = factories.person(), timezone.now()
    secret, codes = enrol(person, at=at)
    second_factor.check(person, code_at(secret, at), at=at)
    earlier = at - timedelta(seconds=30)
    for used in (code_at(secret, at), code_at(secret, earlier)):
        with pytest.raises(second_factor.CodeRefused, match="does not open"):
            second_factor.check(person, used, at=at)
    spoken = codes[0].upper().replace("-", " ")
    second_factor.check(person, spoken, at=at)
    with pytest.raises(second_factor.CodeRefused):
        second_factor.check(person, codes[0], at=at)
    assert second_factor.codes_left(person) == 9
    assert AuditEvent.objects.get(event="recovery code used").reason == "9 left"


@pytest.mark.parametrize(
    "code", ["", "0", "12345", "1234567", "１２３４５６", "abcdef", "x" * 10_000, "' OR 1=1 --", "\x00"]
)
def test_what_is_no_code_is_refused(code: str) -> None:
    person, at = factories.person(), timezone.now()
    enrol(person, at=at)
    with pytest.raises(second_factor.CodeRefused):
        second_factor.check(person, code, at=at)


def test_five_wrong_codes_stop_the_right_one_too_for_a_quarter_of_an_hour() -> None:
    person, at = factories.person(), timezone.now()
    secret, codes = enrol(person, at=at)
    for _try in range(5):
        with pytest.raises(second_factor.CodeRefused, match="does not open"):
            second_factor.check(person, "000000", at=at)
    for right in (code_at(secret, at), codes[0]):
        with pytest.raises(second_factor.CodeRefused, match="Too many"):
            second_factor.check(person, right, at=at)
    assert AuditEvent.objects.filter(event="last try of a second factor", subject_id=person.pk).exists()
    later = at + timedelta(minutes=15)
    second_factor.check(person, code_at(secret, later), at=later)
    for _try in range(4):
        with pytest.raises(second_factor.CodeRefused, match="does not open"):
            second_factor.check(person, "000000", at=later)
    second_factor.check(person, codes[0], at=later)


def test_the_code_alone_opens_nothing() -> None:
    secret, codes = enrol(factories.person(username="bea"))
    stranger = Client()
    assert stranger.get("/sign-in/code/")["Location"] == "/sign-in/"
    for code in (code_at(secret), codes[0]):
        assert stranger.post("/sign-in/code/", {"code": code})["Location"] == "/sign-in/"
    assert not signed_in(stranger)


def test_what_was_begun_is_void_after_ten_minutes_or_a_new_password() -> None:
    person = factories.person(username="bea")
    secret, _codes = enrol(person)
    for spoil in ("late", "password", "off"):
        client = Client()
        assert client.post(make_sign_in_link(person, at=timezone.now()))["Location"] == "/sign-in/code/"
        if spoil == "late":
            session = client.session
            session["sign-in-begun"] = {**session["sign-in-begun"], "until": time.time() - 1}
            session.save()
        elif spoil == "password":
            Person.objects.filter(pk=person.pk).update(sessions_era=1)
        else:
            Person.objects.filter(pk=person.pk).update(is_active=False)
        assert client.post("/sign-in/code/", {"code": code_at(secret)})["Location"] == "/sign-in/", spoil
        assert not signed_in(client)


def test_a_one_time_link_asks_for_it_too() -> None:
    person = factories.person()
    _secret, codes = enrol(person)
    client = Client()
    assert client.post(make_sign_in_link(person, at=timezone.now()))["Location"] == "/sign-in/code/"
    assert not signed_in(client)
    assert client.post("/sign-in/code/", {"code": codes[0]}).status_code == 302
    assert signed_in(client)
    told = AuditEvent.objects.get(event="signed in by link")
    assert told.reason == "and a second factor"


@pytest.mark.parametrize(
    ("setting", "who", "due"),
    [
        ("optional", "root", False),
        ("admins", "root", True),
        ("admins", "chief", True),
        ("admins", "agent", False),
        ("everyone", "agent", True),
    ],
)
def test_where_it_is_demanded_nothing_opens_before_it_is_set_up(
    setting: str, who: str, due: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIAGE_SECOND_FACTOR", setting)
    environment.cache_clear()
    role = Role.ADMIN if who == "chief" else Role.AGENT
    standing = {"is_superuser": who == "root", "is_staff": True, "password": "!"}
    person = factories.member(factories.customer(), role, username=who, **standing)
    client = Client()
    first_steps = who in ("root", "chief")  # nothing is decided yet where they administer
    led_to = client.post(make_sign_in_link(person, at=timezone.now()))["Location"]
    assert led_to == ("/start/" if first_steps else "/me/")
    for path in ("/", "/people/", "/admin/", "/me/", "/audit/export/"):
        answer = client.get(path)
        assert (answer.get("Location") == "/me/second-factor/") is due, path
    if due:
        assert "Set it up now" in client.get("/me/second-factor/").content.decode()
        client.post("/me/second-factor/", {"step": "begin"})
        secret = SecondFactor.objects.get(person=person).secret
        client.post("/me/second-factor/", {"step": "confirm", "code": code_at(secret)})
        refused = client.post("/me/second-factor/", {"step": "remove", "code": code_at(secret)})
        assert "may not do without" in refused.content.decode()
    assert client.get("/").status_code == 200
    environment.cache_clear()


def test_who_becomes_an_administrator_where_it_is_demanded_signs_in_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIAGE_SECOND_FACTOR", "admins")
    environment.cache_clear()
    customer = factories.customer()
    agent, root = factories.member(customer), factories.person(is_superuser=True)
    client = client_of(agent)
    people.set_roles(agent, customer, ["admin"], by=root, at=timezone.now())
    assert client.get("/")["Location"].startswith("/sign-in/")
    environment.cache_clear()


def test_new_codes_and_doing_without_take_a_code() -> None:
    person = factories.person()
    _secret, codes = enrol(person)
    client = client_of(person)
    for step in ("codes", "remove"):
        assert client.post("/me/second-factor/", {"step": step, "code": "000000"}).status_code == 422
    assert second_factor.of(person)
    fresh = client.post("/me/second-factor/", {"step": "codes", "code": codes[0]}).content.decode()
    renewed = re.findall(r"<li><code>([a-z0-9-]{19})</code></li>", fresh)
    assert len(renewed) == 10
    with pytest.raises(second_factor.CodeRefused):
        second_factor.check(person, codes[1], at=timezone.now())
    assert client.post("/me/second-factor/", {"step": "remove", "code": renewed[0]}).status_code == 302
    assert not SecondFactor.objects.exists()
    assert not RecoveryCode.objects.exists()


def test_an_administrator_resets_what_was_lost_and_the_log_knows() -> None:
    customer = factories.customer()
    chief, agent = factories.member(customer, Role.ADMIN), factories.member(customer, username="bea")
    enrol(agent)
    client_of(chief).post(f"/people/{agent.pk}/change/", {"what": "factor"})
    assert second_factor.of(agent) is None
    event = AuditEvent.objects.get(event="second factor removed")
    assert (event.actor, event.subject_id) == (f"person:{chief.pk}", agent.pk)
    assert Client().post(make_sign_in_link(agent, at=timezone.now()))["Location"] == "/"
    enrol(chief)
    with pytest.raises(people.PersonRefused, match="own page"):
        people.reset_second_factor(chief, by=chief, at=timezone.now())


@pytest.mark.django_db(transaction=True)
def test_many_tries_at_the_same_moment_are_no_more_than_five_and_one_code_opens_one_door() -> None:
    person, at = factories.person(), timezone.now()
    secret, codes = enrol(person, at=at)

    def attempt(code: str) -> str:
        try:
            second_factor.check(person, code, at=at)
        except second_factor.CodeRefused as error:
            return str(error)
        finally:
            connections.close_all()
        return "in"

    with ThreadPoolExecutor(8) as pool:
        same = list(pool.map(attempt, [code_at(secret, at)] * 4))
        assert same.count("in") == 1
        SecondFactor.objects.update(failures=0, blocked_until=None)
        wrong = list(pool.map(attempt, [f"{number:06}" for number in range(20)]))
    assert sum("does not open" in said for said in wrong) <= 5
    assert attempt(codes[0]).startswith("Too many")


def test_the_settings_of_django_have_no_door_of_their_own() -> None:
    person = factories.person(username="root", is_superuser=True, is_staff=True)
    _secret, codes = enrol(person)
    client = Client()
    door = client.post("/admin/login/", {"username": "root", "password": PASSWORD})
    assert door["Location"] == "/sign-in/?next=/admin/"
    assert not signed_in(client)
    assert password(client, "root", next="/admin/") == "/sign-in/code/"
    assert client.post("/sign-in/code/", {"code": codes[0]})["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200
    agent = client_of(factories.person())
    assert agent.get("/admin/", follow=True).status_code == 403
