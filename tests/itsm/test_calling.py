"""Names of ITSMs are looked up for each call: what a customer's administrator entered never leads into our network."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone

from tests import factories
from tests.itsm.fakes import standard as fake
from triage import itsm
from triage.connecting import ConnectRefused, making
from triage.environment import EnvironmentInvalid, environment
from triage.feeds import base
from triage.itsm import calling, credentials, outgoing, rest
from triage.models import ArticleFeed, Person, Role, Source

PUBLIC = "93.184.216.34"
LIST = "/tickets?since=2026-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def server() -> Iterator[fake.Itsm]:
    with fake.running() as found:
        yield found


class Names:
    """A resolver: each look at a name takes its next answer, and the last one stays."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.looks: list[str] = []
        self.real = socket.getaddrinfo

    def getaddrinfo(self, host: str, port: Any, *args: Any, **more: Any) -> Any:
        if host not in self.answers:
            return self.real(host, port, *args, **more)
        self.looks.append(host)
        turns = self.answers[host]
        numbers = turns.pop(0) if len(turns) > 1 else turns[0]
        return [entry for number in numbers for entry in self.real(number, port, *args, **more)]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    found = Names()
    monkeypatch.setattr(socket, "getaddrinfo", found.getaddrinfo)
    yield found
    environment.cache_clear()


def source(server: fake.Itsm, *, public: bool) -> Source:
    host = "desk.example"
    settings = {"api_url": server.url.replace("127.0.0.1", host)}
    return Source(
        pk=7001, slug="desk", settings=settings, credentials=server.credentials(), public_hosts=[host] if public else []
    )


def test_a_name_that_turns_to_a_private_address_is_not_called(server: fake.Itsm, names: Names) -> None:
    names.answers["desk.example"] = [["127.0.0.1"]]
    with pytest.raises(outgoing.ExchangeFailed, match=r"desk\.example is 127\.0\.0\.1, in our own network") as refused:
        rest.call(source(server, public=True), "GET", LIST)
    assert not refused.value.permanent  # a name may turn back
    assert rest.call(source(server, public=False), "GET", LIST).body


def test_the_call_goes_to_the_number_that_was_looked_at(server: fake.Itsm, names: Names) -> None:
    """A second look would find another host; there is none."""
    names.answers["desk.example"] = [["127.0.0.1"], [PUBLIC]]
    assert rest.call(source(server, public=False), "GET", LIST).body
    assert names.looks == ["desk.example"]


def test_one_private_address_among_public_ones_is_enough_to_refuse(server: fake.Itsm, names: Names) -> None:
    names.answers["desk.example"] = [[PUBLIC, "10.0.0.7"]]
    with pytest.raises(outgoing.ExchangeFailed, match=r"10\.0\.0\.7, in our own network"):
        rest.call(source(server, public=True), "GET", LIST)


@pytest.mark.parametrize("number", ["169.254.169.254", "fe80::1", "100.100.100.200", "::ffff:169.254.169.254"])
def test_metadata_and_link_local_addresses_are_called_for_nobody(
    server: fake.Itsm, names: Names, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIAGE_ITSM_NETWORKS", "0.0.0.0/0,::/0")
    environment.cache_clear()
    names.answers["desk.example"] = [[number]]
    for public in (True, False):
        with pytest.raises(outgoing.ExchangeFailed, match="it is not called"):
            rest.call(source(server, public=public), "GET", LIST)


def test_networks_that_are_shared_with_customers_may_be_called(
    server: fake.Itsm, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.answers["desk.example"] = [["127.0.0.1"]]
    monkeypatch.setenv("TRIAGE_ITSM_NETWORKS", "10.20.0.0/16, 127.0.0.0/8")
    environment.cache_clear()
    assert rest.call(source(server, public=True), "GET", LIST).body
    monkeypatch.setenv("TRIAGE_ITSM_NETWORKS", "10.20.0.1/16")
    environment.cache_clear()
    with pytest.raises(EnvironmentInvalid, match=r"TRIAGE_ITSM_NETWORKS: .*has host bits set"):
        environment()


def test_the_next_number_is_tried_where_nothing_listens_at_the_first(server: fake.Itsm, names: Names) -> None:
    names.answers["desk.example"] = [["::1", "127.0.0.1"]]  # the server listens at the second alone
    assert rest.call(source(server, public=False), "GET", LIST).body


def test_every_way_out_of_a_source_is_looked_at(server: fake.Itsm, names: Names) -> None:
    names.answers["desk.example"] = [["127.0.0.1"]]
    url = server.url.replace("127.0.0.1", "desk.example")
    settings = {
        "read_url": f"{url}/tickets/{{external_id}}",
        "pull_url": f"{url}/tickets?since={{since}}&cursor={{cursor}}",
        "reply_url": f"{url}/replies",
    }
    ours = Source(pk=7002, slug="desk", kind="standard", secrets=factories.SECRET, settings=settings)
    ours.public_hosts = ["desk.example"]
    kind = itsm.SOURCES["standard"]
    with pytest.raises(itsm.ReadFailed, match="it is not called"):
        kind.read(ours, "TEST-1")
    with pytest.raises(itsm.PullFailed, match="it is not called"):
        kind.pull(ours, since=datetime(2026, 1, 1, tzinfo=UTC), cursor="")
    told = {**json.loads(server.credentials()), "token_url": f"{url}/token"}
    client = Source(pk=7003, slug="desk", credentials=json.dumps(told), public_hosts=["desk.example"])
    with pytest.raises(outgoing.ExchangeFailed, match=r"no token from the token_url .*it is not called"):
        credentials.authorised(client)
    feed = ArticleFeed(pk=7, slug="kb", kind="zendesk", source=source(server, public=True))
    with pytest.raises(outgoing.ExchangeFailed, match="it is not called"):
        base.ask(feed, "/articles", {})


def settled(row: Source, person: Person, **told: str) -> list[str]:
    making.set_settings(row, told=told, person=person, at=timezone.now())
    found: list[str] = Source.objects.get(pk=row.pk).public_hosts
    return found


@pytest.mark.django_db
def test_a_host_is_whose_who_entered_it(names: Names) -> None:
    customer = factories.customer()
    row = factories.source(customer=customer, kind="jira")
    theirs = factories.member(customer, Role.ADMIN, username="theirs")
    provider = Person.objects.create(username="provider", is_superuser=True)
    names.answers |= {"jira.example": [[PUBLIC]], "login.example": [[PUBLIC]], "inside.example": [["10.0.0.7"]]}
    assert settled(row, theirs, api_url="https://jira.example") == ["jira.example"]
    oauth = {"kind": "oauth2_client", "token_url": "https://login.example/t", "client_id": "a", "client_secret": "b"}
    making.set_credentials(row, told=oauth, person=theirs, at=timezone.now())
    row.refresh_from_db()
    assert row.public_hosts == ["jira.example", "login.example"]
    assert settled(row, provider, api_url="https://jira.example", own_user="bot") == row.public_hosts  # nothing entered
    with pytest.raises(ConnectRefused, match=r"10\.0\.0\.7, in our own network"):
        settled(row, theirs, api_url="https://inside.example")
    # another host: the stored credentials are gone, and their token_url with them
    assert settled(row, provider, api_url="https://inside.example") == []
    # theirs may save the rest of the form beside an address that the provider's administrator entered
    assert settled(row, theirs, api_url="https://inside.example", own_user="us") == []
    assert settled(row, theirs, api_url="https://jira.example") == ["jira.example"]
    assert settled(row, provider, api_url="https://jira.example/x") == []


def test_a_file_or_the_settings_pages_vouch_for_what_they_write() -> None:
    said = {"api_url": "https://JIRA.example/x", "own_user": "https://other.example"}
    secret = '{"kind": "oauth2_client", "token_url": "https://login.example/t"}'
    hosts = ["jira.example", "login.example", "other.example"]
    assert calling.vouched(hosts, settings=said, secret=secret) == ["other.example"]
    assert calling.vouched(hosts, settings={}, secret="") == hosts
