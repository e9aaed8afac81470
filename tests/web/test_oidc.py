"""Signing in at an OpenID provider that speaks over HTTP: the whole way, and everything that must not get in."""

import http.client
import json
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from tests import factories, openid_provider
from tests.openid_provider import Provider
from triage import doctor, openid
from triage.environment import environment
from triage.models import AuditEvent, Identity, Membership, Person, Role
from triage.web import openid as pages

pytestmark = pytest.mark.django_db
ADA = {"preferred_username": "ada", "email": "ada@nordwind.example", "email_verified": True, "groups": []}


@pytest.fixture(scope="module")
def served() -> Iterator[Provider]:
    with openid_provider.serving() as provider:
        yield provider


@pytest.fixture
def provider(served: Provider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    fresh = Provider(issuer=served.issuer, person=dict(ADA))
    vars(served).update(vars(fresh))
    for name, value in {
        "ISSUER": served.issuer,
        "CLIENT_ID": openid_provider.CLIENT,
        "CLIENT_SECRET": openid_provider.SECRET,
    }.items():
        monkeypatch.setenv(f"TRIAGE_OIDC_{name}", value)
    environment.cache_clear()
    pages.forget()
    yield served
    environment.cache_clear()
    pages.forget()


def set_up(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"TRIAGE_{name.upper()}", value)
    environment.cache_clear()


def begin(client: Client, onward: str = "") -> str:
    """To the provider and back as far as the address that the browser is sent to, with code and state."""
    there = client.get("/sign-in/openid/", {"next": onward} if onward else {})
    assert there.status_code == 302, there.content
    asked = urlsplit(there["Location"])
    connection = http.client.HTTPConnection(asked.netloc, timeout=5)
    try:
        connection.request("GET", f"{asked.path}?{asked.query}")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 302
        back = answer.headers["Location"]
    finally:
        connection.close()
    assert back.startswith(openid_provider.REDIRECT)
    return back.removeprefix("http://127.0.0.1:8000")


def sign_in(client: Client, onward: str = "") -> HttpResponse:
    return client.get(begin(client, onward))  # type: ignore[return-value]  # the test client's own kind of response


def who(client: Client) -> str | None:
    key = client.session.get("_auth_user_id")
    return Person.objects.get(pk=key).username if key else None


def test_a_person_with_a_verified_address_signs_in_and_is_known_by_the_subject_from_then_on(provider: Provider) -> None:
    ada = factories.person(username="ada.lovelace", email="Ada@Nordwind.example")
    client = Client()
    assert sign_in(client, "/articles/?text=vpn")["Location"] == "/articles/?text=vpn"
    assert who(client) == "ada.lovelace"
    assert Identity.objects.get(person=ada).subject == "subject-1"
    assert AuditEvent.objects.filter(subject_id=ada.pk, event="signed in by OpenID Connect").exists()
    provider.person = {"email": "renamed@elsewhere.example", "email_verified": False}
    again = Client()
    sign_in(again)
    assert who(again) == "ada.lovelace"
    assert Identity.objects.count() == 1


def test_the_request_has_state_nonce_pkce_and_our_redirect(provider: Provider) -> None:
    there = Client().get("/sign-in/openid/")
    asked = parse_qs(urlsplit(there["Location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == [openid_provider.REDIRECT]
    assert asked["scope"] == ["openid email profile"]
    assert len({asked["state"][0], asked["nonce"][0], asked["code_challenge"][0]}) == 3
    assert openid_provider.SECRET not in there["Location"]
    assert there["Cache-Control"].find("no-store") >= 0


@pytest.mark.parametrize("verified", [False, None, "false", 1, "yes"])
def test_an_unverified_address_takes_nobodys_account(provider: Provider, verified: object) -> None:
    factories.person(username="root", email="ada@nordwind.example", is_superuser=True)
    provider.person = {**ADA, "email_verified": verified}
    client = Client()
    refused = sign_in(client)
    assert refused.status_code == 403
    assert "Ask an administrator to invite you" in refused.content.decode()
    assert who(client) is None
    assert not Identity.objects.exists()


def test_an_unverified_address_is_not_taken_over_into_a_new_account_either(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(monkeypatch, oidc_create="true")
    factories.person(username="ada", email="ada@nordwind.example")
    provider.person = {**ADA, "email_verified": False}
    client = Client()
    sign_in(client)
    assert who(client) == "ada-2"
    assert Person.objects.get(username="ada-2").email == ""


def test_another_subject_with_the_same_address_is_a_stranger(provider: Provider) -> None:
    factories.person(username="ada", email="ada@nordwind.example")
    sign_in(Client())
    provider.person = {**ADA, "sub": "subject-2"}
    client = Client()
    assert "another account" in sign_in(client).content.decode()
    assert who(client) is None


def test_two_people_with_one_address_are_not_guessed_between(provider: Provider) -> None:
    for _number in range(2):
        factories.person(email="ada@nordwind.example")
    client = Client()
    assert "Several people" in sign_in(client).content.decode()
    assert who(client) is None


def test_who_was_switched_off_stays_out(provider: Provider) -> None:
    ada = factories.person(email="ada@nordwind.example")
    sign_in(Client())
    Person.objects.filter(pk=ada.pk).update(is_active=False)
    for _known in (True, False):
        client = Client()
        assert sign_in(client).status_code == 403
        assert who(client) is None
        Identity.objects.all().delete()
    assert not Identity.objects.exists()


def test_addresses_may_be_told_not_to_link(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(monkeypatch, oidc_link_by_mail="false")
    factories.person(email="ada@nordwind.example")
    client = Client()
    assert sign_in(client).status_code == 403
    assert who(client) is None


def test_unknown_people_get_an_account_without_password_where_that_is_set(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(monkeypatch, oidc_create="true")
    provider.person = {
        **ADA,
        "preferred_username": "ada lovelace\u202e<b>",
        "given_name": "Ada",
        "family_name": "Lovelace",
    }
    client = Client()
    assert sign_in(client)["Location"] == "/"
    person = Person.objects.get()
    assert person.username == "ada@nordwind.example", "a name with a control character is no name"
    assert (person.first_name, person.email, person.has_usable_password()) == ("Ada", "ada@nordwind.example", False)
    assert not person.is_superuser
    assert not Membership.objects.exists()


def test_roles_follow_the_groups_and_those_given_by_hand_stay(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    nordwind, contoso = factories.customer(slug="nordwind"), factories.customer(slug="contoso")
    table = {
        "desk": ["nordwind:agent", "nowhere:agent"],
        "leads": ["nordwind:admin", "contoso:approver", "nordwind:owner"],
    }
    set_up(monkeypatch, oidc_roles=json.dumps(table))
    ada = factories.person(email="ada@nordwind.example")
    Membership.objects.create(person=ada, customer=contoso, role=Role.AUDITOR)

    def roles() -> set[tuple[str, str]]:
        return set(Membership.objects.filter(person=ada).values_list("customer__slug", "role"))

    provider.person = {**ADA, "groups": ["desk", "unknown"]}
    sign_in(Client())
    assert roles() == {("contoso", "auditor"), ("nordwind", "agent")}
    provider.person = {**ADA, "groups": ["leads"]}
    sign_in(Client())
    assert roles() == {("contoso", "auditor"), ("nordwind", "admin"), ("contoso", "approver")}
    provider.person = {key: value for key, value in ADA.items() if key != "groups"}
    sign_in(Client())
    assert roles() == {("contoso", "auditor")}, "who is in no group any more has none of their roles"
    told = AuditEvent.objects.filter(subject="membership", customer_id=nordwind.pk).values_list("event", "reason")
    assert ("role given", f"admin to {ada}, by group") in told
    assert ("role taken", f"admin of {ada}, by group") in told
    assert openid.unknown_roles() == ["nordwind:owner"]


def _without(name: str) -> Callable[[openid_provider.Claims], openid_provider.Claims]:
    return lambda claims: {key: value for key, value in claims.items() if key != name}


SPOILT: dict[str, Callable[[openid_provider.Claims], openid_provider.Claims]] = {
    "another nonce": lambda claims: {**claims, "nonce": "n-0S6_WzA2Mj-of-somebody-else"},
    "no nonce": _without("nonce"),
    "another audience": lambda claims: {**claims, "aud": "another-client"},
    "an audience that is not ours among several": lambda claims: {**claims, "aud": ["a", "b"], "azp": "a"},
    "made for another party": lambda claims: {**claims, "aud": [openid_provider.CLIENT, "b"], "azp": "b"},
    "no audience": _without("aud"),
    "another issuer": lambda claims: {**claims, "iss": "https://login.evil.example"},
    "no issuer": _without("iss"),
    "expired": lambda claims: {**claims, "iat": claims["iat"] - 7200, "exp": claims["iat"] - 3600},
    "no end": _without("exp"),
    "from the future": lambda claims: {**claims, "nbf": claims["iat"] + 3600},
    "no subject": _without("sub"),
    "an empty subject": lambda claims: {**claims, "sub": ""},
    "a subject that is a list": lambda claims: {**claims, "sub": ["subject-1"]},
    "too long a subject": lambda claims: {**claims, "sub": "x" * 256},
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_claim_that_is_not_ours_opens_nothing(provider: Provider, what: str) -> None:
    factories.person(email="ada@nordwind.example")
    provider.spoil = SPOILT[what]
    client = Client()
    refused = sign_in(client)
    assert refused.status_code == 403
    assert "does not hold" in refused.content.decode()
    assert who(client) is None
    assert not Identity.objects.exists()
    provider.spoil = lambda claims: claims
    sign_in(client)
    assert who(client), "the same sign-in with honest claims opens"


@pytest.mark.parametrize(
    "sign",
    [
        openid_provider.by_another_key,
        openid_provider.by_nobody,
        openid_provider.by_our_secret,
        openid_provider.by_the_public_key,
        lambda claims: "not.a.token",
        lambda claims: openid_provider.by_its_key(claims)[:-6] + "AAAAAA",
    ],
)
@pytest.mark.parametrize("offers", [["RS256"], ["none", "HS256", "RS256"]])
def test_only_the_providers_own_signature_counts(
    provider: Provider, sign: Callable[[openid_provider.Claims], str], offers: list[str]
) -> None:
    factories.person(email="ada@nordwind.example")
    provider.metadata = {"id_token_signing_alg_values_supported": offers}
    provider.sign = sign
    client = Client()
    assert sign_in(client).status_code == 403
    assert who(client) is None


def test_a_code_opens_once_for_the_browser_that_began(provider: Provider) -> None:
    factories.person(email="ada@nordwind.example")
    client, thief = Client(), Client()
    back = begin(client)
    assert thief.get(back).status_code == 403, "another browser knows no state"
    begin(thief)
    own = parse_qs(urlsplit(begin(thief)).query)["state"][0]
    stolen = parse_qs(urlsplit(back).query)["code"][0]
    assert thief.get("/sign-in/openid/done/", {"code": stolen, "state": own}).status_code == 403
    assert any("invalid_grant" in refusal for refusal in provider.refused), "PKCE: the verifier is another one"
    assert who(thief) is None
    fresh = begin(client)
    assert client.get(fresh).status_code == 302
    client.post("/sign-out/")
    assert client.get(fresh).status_code == 403, "the address of an old sign-in opens nothing"
    assert who(client) is None


@pytest.mark.parametrize(
    "answer",
    [
        lambda answer: {key: value for key, value in answer.items() if key != "id_token"},
        lambda answer: {"error": "server_error"},
        lambda answer: ["no", "object"],
        lambda answer: {**answer, "id_token": None},
        lambda answer: {**answer, "id_token": {"a": 1}},
    ],
)
def test_an_answer_without_a_proof_opens_nothing(
    provider: Provider, answer: Callable[[openid_provider.Claims], openid_provider.Claims]
) -> None:
    factories.person(email="ada@nordwind.example")
    provider.answer = answer
    client = Client()
    assert sign_in(client).status_code == 403
    assert who(client) is None


def test_claims_may_come_from_userinfo_of_the_same_subject_only(provider: Provider) -> None:
    factories.person(username="ada", email="ada@nordwind.example")
    provider.person = {}
    provider.userinfo = {"sub": "somebody-else", **ADA}
    client = Client()
    assert sign_in(client).status_code == 403
    assert who(client) is None
    provider.userinfo = {"sub": "subject-1", "iss": "https://evil.example", **ADA}
    sign_in(client)
    assert who(client) == "ada"
    assert Identity.objects.get().issuer == provider.issuer


@pytest.mark.parametrize(
    "next_", ["https://evil.example/", "//evil.example/x", "javascript:alert(1)", "/\\evil.example"]
)
def test_nobody_is_sent_elsewhere_afterwards(provider: Provider, next_: str) -> None:
    factories.person(email="ada@nordwind.example")
    assert sign_in(Client(), next_)["Location"] == "/"


def test_a_refusal_of_the_provider_is_told_without_its_words(provider: Provider) -> None:
    page = Client().get("/sign-in/openid/done/", {"error": "access_denied", "error_description": "<b>call 555</b>"})
    assert page.status_code == 403
    assert "555" not in page.content.decode()
    assert "did not sign you in" in page.content.decode()


def test_a_provider_that_is_away_or_another_is_told_and_the_page_stays(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.metadata = {"issuer": "https://login.evil.example"}
    assert Client().get("/sign-in/openid/").status_code == 503
    set_up(monkeypatch, oidc_issuer="http://127.0.0.1:9")
    away = Client().get("/sign-in/openid/")
    assert away.status_code == 503
    assert "cannot be reached" in away.content.decode()
    assert Client().get("/sign-in/").status_code == 200


def test_signing_out_leads_to_the_provider_too(provider: Provider) -> None:
    factories.person(email="ada@nordwind.example")
    client = Client()
    sign_in(client)
    page = client.post("/sign-out/").content.decode()
    assert who(client) is None
    assert f'href="{provider.issuer}/end?client_id=triage-desk&amp;post_logout_redirect_uri=' in page
    local = Client()
    factories.person(username="local")
    local.force_login(Person.objects.get(username="local"), backend=pages.BACKEND)
    assert local.post("/sign-out/")["Location"] == "/sign-in/"


def test_the_sign_in_page_offers_what_the_installation_has(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(monkeypatch, oidc_label="Nordwind ID")
    page = Client().get("/sign-in/", {"next": "/overview/"}).content.decode()
    assert "Sign in with Nordwind ID" in page
    assert "/sign-in/openid/?next=%2Foverview%2F" in page
    assert 'name="password"' in page
    set_up(monkeypatch, local_passwords="false")
    person = factories.person(username="bea")
    assert 'name="password"' not in Client().get("/sign-in/").content.decode()
    refused = Client().post("/sign-in/", {"username": "bea", "password": "a long enough password"})
    assert refused.status_code == 403
    client = Client()
    client.force_login(person, backend=pages.BACKEND)
    new = "another quite long phrase"
    client.post("/me/", {"old_password": "a long enough password", "new_password1": new, "new_password2": new})
    person.refresh_from_db()
    assert not person.check_password(new)


def test_an_installation_without_a_provider_has_no_such_door() -> None:
    for path in ("/sign-in/openid/", "/sign-in/openid/done/?code=x&state=y"):
        assert Client().get(path)["Location"] == "/sign-in/"
    assert "openid" not in Client().get("/sign-in/").content.decode()


def test_linking_again_takes_an_administrator(provider: Provider) -> None:
    ada = factories.person(username="ada", email="ada@nordwind.example")
    sign_in(Client())
    root = factories.person(is_superuser=True)
    openid.unlink(Identity.objects.get(), actor=f"person:{root.pk}", at=timezone.now())
    provider.person = {**ADA, "sub": "subject-2"}
    client = Client()
    sign_in(client)
    assert who(client) == "ada"
    assert list(AuditEvent.objects.filter(event="OpenID account unlinked").values_list("subject_id", flat=True)) == [
        ada.pk
    ]


def test_the_doctor_asks_the_provider_and_names_roles_that_there_are_not(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.person(is_superuser=True)
    well = doctor._look("sign-in", doctor._sign_in)
    assert well.good
    assert well.words.startswith("OpenID Connect and passwords; second factor optional, 1 administrators have none")
    set_up(monkeypatch, oidc_roles='{"leads": ["nordwind:owner"]}')
    assert "nordwind:owner" in doctor._look("sign-in", doctor._sign_in).words
    set_up(monkeypatch, oidc_roles="{}", oidc_issuer="http://127.0.0.1:9")
    away = doctor._look("sign-in", doctor._sign_in)
    assert not away.good
    assert "TRIAGE_OIDC_ISSUER" in away.words
