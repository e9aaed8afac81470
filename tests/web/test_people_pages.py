"""People, roles, customers and tokens, as administrators change them; and what no administrator can do."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests import factories, mailbox
from tests.web.conftest import client_of
from triage import customers, people, tokens
from triage.environment import environment
from triage.models import AuditEvent, Customer, Membership, Mode, Person, Role, Token
from triage.web.signin import make_sign_in_link

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer() -> Customer:
    return factories.customer(slug="nordwind", name="Nordwind AG")


@pytest.fixture
def chief(customer: Customer) -> Person:
    """An administrator of one customer."""
    return factories.member(customer, Role.ADMIN, username="chief")


@pytest.fixture
def root() -> Person:
    """A provider's administrator."""
    return factories.person(username="root", is_superuser=True, is_staff=True)


def _roles(person: Person, customer: Customer) -> set[str]:
    return set(Membership.objects.filter(person=person, customer=customer).values_list("role", flat=True))


def _invite(client: Client, **values: object) -> str:
    given = {"name": "Ada Lovelace", "username": "ada", "mail": "ada@nordwind.example", "customer": "nordwind"}
    return client.post("/people/add/", {**given, "role": ["agent"], **values}, follow=True).content.decode()


def test_an_invitation_makes_an_account_and_a_link_that_signs_in_once(chief: Person, customer: Customer) -> None:
    page = _invite(client_of(chief), role=["agent", "approver"])
    path = re.search(r"/sign-in/[\w-]{43}/", page)
    assert path
    ada = Person.objects.get(username="ada")
    assert (ada.first_name, ada.last_name, ada.has_usable_password()) == ("Ada", "Lovelace", False)
    assert _roles(ada, customer) == {"agent", "approver"}
    client = Client()
    assert client.post(path[0])["Location"] == "/me/"
    assert Client().post(path[0]).status_code == 410
    assert path[0] not in client_of(chief).get(f"/people/{ada.pk}/").content.decode()
    given = AuditEvent.objects.filter(subject="membership", event="role given", actor=f"person:{chief.pk}")
    assert {(row.reason, row.customer_id) for row in given} == {
        ("agent to ada", customer.pk),
        ("approver to ada", customer.pk),
    }
    assert AuditEvent.objects.get(event="sign-in link made").subject_id == ada.pk


def test_an_invitation_goes_by_mail_where_there_is_mail_and_is_shown_where_it_fails(
    chief: Person, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mailbox.running() as box:
        monkeypatch.setenv("TRIAGE_MAIL_URL", box.url)
        monkeypatch.setenv("TRIAGE_MAIL_FROM", "Triage <triage@desk.example>")
        environment.cache_clear()
        page = _invite(client_of(chief), send="1")
        assert "on its way to ada@nordwind.example" in page
        assert not re.search(r"/sign-in/[\w-]{43}/", page)
        ((to, letter),) = box.letters
        path = re.search(r"/sign-in/[\w-]{43}/", letter.get_content())
        assert path
        assert to == "ada@nordwind.example"
        assert Client().post(path[0])["Location"] == "/me/"
        box.refuse = "550 no such mailbox"
        failed = _invite(client_of(chief), send="1", username="eve", mail="eve@nordwind.example")
        assert "The mail did not go out" in failed
        assert re.search(r"/sign-in/[\w-]{43}/", failed)
    environment.cache_clear()


def test_who_has_the_address_already_gets_the_roles_and_no_link(
    chief: Person, root: Person, customer: Customer
) -> None:
    other = factories.member(factories.customer(), username="grace", email="Grace@Contoso.example")
    page = _invite(client_of(root), mail="grace@contoso.example", username="mallory")
    assert "has an account here already" in page
    assert "/sign-in/" not in page
    assert _roles(other, customer) == {"agent"}
    assert "has an account here already" in _invite(client_of(chief), mail="grace@contoso.example", role=["approver"])
    assert _roles(other, customer) == {"agent", "approver"}
    assert not Person.objects.filter(username="mallory").exists()


def test_an_account_that_another_customer_made_under_somebodys_address_gets_no_role_by_it(
    chief: Person, customer: Customer
) -> None:
    elsewhere = factories.customer()
    squatter = factories.member(elsewhere, Role.ADMIN)
    made, _new = people.add(
        by=squatter,
        username="alice",
        mail="alice@nordwind.example",
        name="",
        customer=elsewhere,
        roles=["agent"],
        at=timezone.now(),
    )
    page = _invite(client_of(chief), mail="Alice@nordwind.example", username="alice2", role=["admin"])
    assert "Ask the provider&#x27;s administrators" in page
    assert _roles(made, customer) == set()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"username": "CHIEF"}, "taken"),
        ({"username": "a b"}, "letters, digits"),
        ({"mail": "<script>@x"}, "not a mail address"),
        ({"role": ["owner"]}, "Choose roles from the list"),
        ({"role": []}, "at least one role"),
    ],
)
def test_an_invitation_that_cannot_be_says_why(chief: Person, values: dict[str, object], said: str) -> None:
    page = _invite(client_of(chief), **values)
    assert said in page
    assert "<script>@x" not in page
    assert not Person.objects.filter(username="ada").exists()


def test_an_administrator_reaches_the_people_of_their_customers_only(chief: Person, customer: Customer) -> None:
    elsewhere = factories.customer(slug="contoso", name="Contoso Ltd")
    stranger = factories.member(elsewhere, username="stranger")
    both = factories.member(customer, username="both")
    Membership.objects.create(person=both, customer=elsewhere, role=Role.AGENT)
    client = client_of(chief)
    listed = client.get("/people/").content.decode()
    assert "both" in listed
    assert "stranger" not in listed
    assert "Contoso" not in listed + client.get(f"/people/{both.pk}/").content.decode()
    for path in (f"/people/{stranger.pk}/", "/customers/contoso/settings/", f"/people/{both.pk}/roles/contoso/"):
        answer = client.post(path, {"role": "admin"}) if "roles" in path else client.get(path)
        assert answer.status_code == 404, path
    assert client.post("/people/add/", {"customer": "contoso", "username": "x", "role": "agent"}).status_code == 404
    for what in ("off", "link", "factor", "sessions", "about", "links", "provider"):
        assert client.post(f"/people/{both.pk}/change/", {"what": what, "email": "x@y.example"}).status_code == 403, (
            what
        )
    both.refresh_from_db()
    assert both.is_active
    assert both.email == ""


def test_no_customers_administrator_makes_one_of_the_installation(chief: Person, customer: Customer) -> None:
    agent = factories.member(customer, username="agent")
    client = client_of(chief)
    assert client.post(f"/people/{agent.pk}/change/", {"what": "provider"}).status_code == 403
    assert client.post(f"/people/{chief.pk}/change/", {"what": "provider"}).status_code == 403
    assert client.post("/customers/add/", {"slug": "mine", "name": "Mine"}).status_code == 403
    assert not Person.objects.filter(is_superuser=True).exists()


def test_a_link_for_somebody_who_has_signed_in_is_for_the_provider(
    chief: Person, root: Person, customer: Customer
) -> None:
    agent = factories.member(customer, username="agent", last_login=timezone.now())
    refused = client_of(chief).post(f"/people/{agent.pk}/change/", {"what": "link"}, follow=True).content.decode()
    assert "Only the provider" in refused
    assert not Token.objects.exists()
    moved = client_of(chief).post(f"/people/{agent.pk}/change/", {"what": "about", "email": "c@x.example"}, follow=True)
    assert "Only the provider" in moved.content.decode()
    old = make_sign_in_link(agent, at=timezone.now())
    assert "/sign-in/" in client_of(root).post(f"/people/{agent.pk}/change/", {"what": "link"}).content.decode()
    assert Client().post(old).status_code == 410


def test_switching_off_ends_sessions_and_tokens_at_once(chief: Person, customer: Customer) -> None:
    agent = factories.member(customer, username="agent")
    theirs = client_of(agent)
    at = timezone.now()
    secret = tokens.issue(person=agent, name="script", scopes=["tickets:read"], days="30", at=at)
    assert theirs.get("/").status_code == 200
    client_of(chief).post(f"/people/{agent.pk}/change/", {"what": "off"})
    assert theirs.get("/")["Location"].startswith("/sign-in/")
    assert tokens.opened(secret, at=at) is None
    client_of(chief).post(f"/people/{agent.pk}/change/", {"what": "on"})
    assert theirs.get("/")["Location"].startswith("/sign-in/"), "an old session must stay closed"
    assert tokens.opened(secret, at=at)


def test_all_sessions_end_and_only_theirs(chief: Person, customer: Customer) -> None:
    agent = factories.member(customer, username="agent")
    first, second, mine = client_of(agent), client_of(agent), client_of(chief)
    mine.post(f"/people/{agent.pk}/change/", {"what": "sessions"})
    assert [client.get("/").status_code for client in (first, second, mine)] == [302, 302, 200]
    agent.refresh_from_db()
    here, there = client_of(agent), client_of(agent)
    here.post("/me/", {"end-sessions": "1"})
    assert [client.get("/").status_code for client in (here, there)] == [200, 302]


def test_nobody_changes_their_own_standing_and_the_last_administrator_stays(
    chief: Person, root: Person, customer: Customer
) -> None:
    for what in ("off", "no-provider"):
        page = client_of(root).post(f"/people/{root.pk}/change/", {"what": what}, follow=True).content.decode()
        assert "your own" in page
    with pytest.raises(people.PersonRefused, match="yourself"):
        people.set_roles(chief, customer, ["agent"], by=chief, at=timezone.now())
    second = factories.person(username="second", is_superuser=True)
    Person.objects.filter(pk=root.pk).update(is_active=False)
    root.is_active = True  # as a request holds it that began before
    changes: tuple[Callable[[], object], ...] = (
        lambda: people.set_provider(second, provider=False, by=root, at=timezone.now()),
        lambda: people.set_active(second, active=False, by=root, at=timezone.now()),
    )
    for change in changes:
        with pytest.raises(people.PersonRefused, match="last administrator"):
            change()
    second.refresh_from_db()
    assert second.is_superuser
    assert second.is_active


def test_roles_are_exactly_those_that_were_ticked(chief: Person, customer: Customer) -> None:
    agent = factories.member(customer, Role.AGENT, username="agent")
    client_of(chief).post(f"/people/{agent.pk}/roles/nordwind/", {"role": ["auditor", "steward"]})
    assert _roles(agent, customer) == {"auditor", "steward"}
    said = AuditEvent.objects.filter(subject="membership").values_list("event", "reason")
    assert set(said) == {
        ("role taken", "agent of agent"),
        ("role given", "auditor to agent"),
        ("role given", "steward to agent"),
    }
    other = factories.customer(slug="south")
    Membership.objects.create(person=chief, customer=other, role=Role.ADMIN)
    client_of(chief).post(f"/people/{agent.pk}/role/", {"customer": "south", "role": ["agent"]})
    assert _roles(agent, other) == {"agent"}
    assert client_of(chief).post(f"/people/{agent.pk}/role/", {"role": ["agent"]}).status_code == 404
    client_of(chief).post(f"/people/{agent.pk}/roles/south/", {})
    gone = client_of(chief).post(f"/people/{agent.pk}/roles/nordwind/", {})
    assert gone["Location"] == "/people/", "who has no role left is nobody that this administrator sees"


def test_people_without_the_role_reach_none_of_these_pages(customer: Customer) -> None:
    for role in (Role.AGENT, Role.APPROVER, Role.STEWARD, Role.AUDITOR):
        client = client_of(factories.member(customer, role))
        for path in ("/people/", "/customers/", "/tokens/", "/customers/nordwind/settings/"):
            assert client.get(path).status_code == 403, (role, path)
        assert "/people/" not in client.get("/me/").content.decode()


def test_tokens_are_listed_without_secrets_and_end_at_once(chief: Person, customer: Customer) -> None:
    at = timezone.now()
    agent = factories.member(customer, username="agent")
    stranger = factories.member(factories.customer(), username="stranger")
    secret = tokens.issue(person=agent, name="nightly import", scopes=["tickets:read"], days="30", at=at)
    tokens.issue(person=stranger, name="theirs", scopes=["tickets:read"], days="30", at=at)
    Membership.objects.create(person=stranger, customer=customer, role=Role.AGENT)  # works for both: not ours to end
    page = client_of(chief).get("/tokens/").content.decode()
    assert "nightly import" in page
    assert "theirs" not in page
    assert secret not in page
    mine, other = Token.objects.order_by("pk")
    assert client_of(chief).post(f"/tokens/{other.pk}/revoke/").status_code == 404
    assert client_of(chief).post(f"/tokens/{mine.pk}/revoke/").status_code == 302
    assert tokens.opened(secret, at=at) is None
    assert AuditEvent.objects.get(event="token revoked").actor == f"person:{chief.pk}"


def test_a_customers_settings_are_saved_with_what_changed(chief: Person, customer: Customer) -> None:
    form = {
        "name": "Nordwind SE",
        "mode": "approve",
        "holdout_share": "12,5",
        "verify_share": "2.5",
        "minutes_a_ticket": "7",
    }
    assert client_of(chief).post("/customers/nordwind/settings/", form).status_code == 302
    customer.refresh_from_db()
    assert (customer.name, customer.mode, customer.holdout_share, customer.verify_share) == (
        "Nordwind SE",
        Mode.APPROVE,
        0.125,
        0.025,
    )
    assert not customer.write_back
    said = AuditEvent.objects.get(event="settings changed", customer_id=customer.pk).reason
    assert "mode suggest -> approve" in said
    assert "holdout_share 0.0 -> 0.125" in said
    assert client_of(chief).post("/customers/nordwind/settings/", form).status_code == 302
    assert AuditEvent.objects.filter(event="settings changed").count() == 1


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("holdout_share", "101", "percent from 0 to 100"),
        ("verify_share", "nan", "percent from 0 to 100"),
        ("mode", "reckless", "Choose one of the modes"),
        ("name", "   ", "Give the customer a name"),
        ("minutes_a_ticket", "-1", "whole number"),
    ],
)
def test_a_setting_that_cannot_be_is_named_and_nothing_is_lost(
    chief: Person, customer: Customer, field: str, value: str, said: str
) -> None:
    form = {
        "name": "Nordwind SE",
        "mode": "approve",
        "holdout_share": "5",
        "verify_share": "2",
        "minutes_a_ticket": "7",
    }
    answer = client_of(chief).post("/customers/nordwind/settings/", {**form, field: value})
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert field == "verify_share" or 'value="2"' in answer.content.decode(), "what was typed is still there"
    customer.refresh_from_db()
    assert customer.name == "Nordwind AG"


def test_a_new_customer_begins_with_observing(root: Person) -> None:
    made = client_of(root).post("/customers/add/", {"slug": "contoso", "name": "Contoso"})
    assert made["Location"] == "/customers/contoso/settings/"
    assert Customer.objects.get(slug="contoso").mode == Mode.OBSERVE
    again = client_of(root).post("/customers/add/", {"slug": "contoso", "name": "Contoso"}, follow=True)
    assert "already" in again.content.decode()
    for slug in ("Con toso", "-x", "a" * 41, ""):
        with pytest.raises(customers.CustomerRefused):
            customers.add(by=root, slug=slug, name="x", at=timezone.now())


def test_the_list_goes_on_over_pages_and_takes_as_many_queries_for_many(
    root: Person, customer: Customer, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    Person.objects.bulk_create(Person(username=f"p{number:03}", password="!") for number in range(120))
    members = [Membership(person=person, customer=customer, role="agent") for person in Person.objects.all()]
    Membership.objects.bulk_create(members)
    client = client_of(root)
    seen: list[str] = []
    after = ""
    for _page in range(4):
        with django_assert_max_num_queries(16):
            page = client.get("/people/", {"after": after}).content.decode()
        names = re.findall(r'<span class="under">(p\d{3}|root)', page)
        seen += names
        if "More</a>" not in page:
            break
        after = names[-1]
    assert seen == sorted(set(seen))
    assert len(seen) == 121


def test_the_right_of_each_change_is_checked_where_it_is_made(customer: Customer) -> None:
    agent, other = factories.member(customer), factories.member(customer)
    at = timezone.now()
    changes: tuple[Callable[[], object], ...] = (
        lambda: people.set_roles(other, customer, ["admin"], by=agent, at=at),
        lambda: people.set_active(other, active=False, by=agent, at=at),
        lambda: people.set_provider(agent, provider=True, by=agent, at=at),
        lambda: people.end_sessions(other, by=agent, at=at),
        lambda: people.reset_second_factor(other, by=agent, at=at),
        lambda: people.check_can_make_link(other, by=agent),
        lambda: people.rename(other, values={"email": "a@b.example"}, by=agent, at=at),
        lambda: customers.change(customer, {}, by=agent, at=at),
        lambda: people.add(by=agent, username="x", mail="", name="", customer=customer, roles=["agent"], at=at),
        lambda: people.add(by=agent, username="x", mail="", name="", customer=None, roles=[], at=at),
    )
    for change in changes:
        with pytest.raises(PermissionDenied):
            change()
    assert timedelta(0) <= timezone.now() - at
