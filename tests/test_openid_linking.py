"""The first sign-in by OpenID Connect joins an account by its address, and shuts out whoever held it before."""

import pytest
from django.utils import timezone

from tests import factories
from triage import openid, people, tokens
from triage.models import AuditEvent, Membership, Person, Role
from triage.openid import Claims
from triage.web.signin import _consume, make_sign_in_link

pytestmark = pytest.mark.django_db
CLAIMS = Claims(issuer="https://login.example", subject="ada-1", mail="ada@nordwind.example")


def _held_by_somebody(by: Person) -> tuple[Person, str, str]:
    """An account under Ada's address whose password, link and token its maker has."""
    customer, at = factories.customer(), timezone.now()
    Membership.objects.create(person=by, customer=customer, role=Role.ADMIN)
    person, _new = people.add(
        by=by, username="ada", mail=CLAIMS.mail, name="", customer=customer, roles=["agent"], at=at
    )
    person.set_password("what only the maker knows")
    person.save()
    token = tokens.issue(person=person, name="kept", scopes=["tickets:read"], days="30", at=at)
    return person, token, make_sign_in_link(person, at=at).rstrip("/").rpartition("/")[2]


def _opens(person: Person, token: str, link: str) -> list[bool]:
    at = timezone.now()
    person.refresh_from_db()
    known = person.check_password("what only the maker knows")
    return [known, tokens.opened(token, at=at) is not None, _consume(link, at=at) is not None]


def test_who_made_the_account_at_a_customer_keeps_no_way_into_it() -> None:
    person, token, link = _held_by_somebody(factories.person())
    era = person.sessions_era
    joined = openid.arrive(CLAIMS, at=timezone.now())
    assert joined.pk == person.pk
    assert joined.sessions_era > era
    assert _opens(person, token, link) == [False, False, False]
    assert AuditEvent.objects.filter(subject="person", subject_id=person.pk, event="other ways in closed").count() == 1


def test_an_account_that_the_provider_made_keeps_its_password_and_tokens() -> None:
    person, token, link = _held_by_somebody(factories.person(is_superuser=True))
    assert openid.arrive(CLAIMS, at=timezone.now()).pk == person.pk
    assert _opens(person, token, link) == [True, True, True]
