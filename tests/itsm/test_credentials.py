"""Credentials become headers; a token is kept until a minute before its end, and for its own credentials only."""

import json
from collections.abc import Iterator

import pytest

from tests.itsm.fakes import standard as fake
from triage.itsm import credentials, outgoing
from triage.models import Source


@pytest.fixture(scope="module")
def itsm() -> Iterator[fake.Itsm]:
    with fake.running() as found:
        yield found


def source(text: str, number: int) -> Source:
    return Source(pk=number, slug=f"source-{number}", credentials=text)


@pytest.mark.parametrize(
    ("told", "headers"),
    [
        ({"kind": "basic", "user": "ada", "password": "pä:ss"}, {"authorization": "Basic YWRhOnDDpDpzcw=="}),
        ({"kind": "bearer", "token": "t0ken"}, {"authorization": "Bearer t0ken"}),
        ({"kind": "token", "header": "X-Api-Key", "value": "k3y"}, {"x-api-key": "k3y"}),
        ({"kind": "token", "value": "token k3y"}, {"authorization": "token k3y"}),
    ],
)
def test_each_kind_becomes_its_header(told: dict[str, str], headers: dict[str, str]) -> None:
    assert credentials.authorised(source(json.dumps(told), 9001)) == headers


def test_without_credentials_nothing_is_said() -> None:
    assert credentials.authorised(source("", 9002)) == {}


@pytest.mark.parametrize(
    "text",
    [
        "s3cret",
        '{"kind": "magic", "s3cret": 1}',
        '{"kind": "bearer", "token": "s3cret\\r\\nx-evil: 1"}',
        '{"kind": "token", "header": "a b", "value": "s3cret"}',
        '{"kind": "basic", "user": "s3cret"}',
    ],
)
def test_what_cannot_be_used_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(outgoing.ExchangeFailed, match="credentials: ") as refused:
        credentials.authorised(source(text, 9003))
    assert refused.value.permanent
    assert "s3cret" not in str(refused.value).replace(credentials.KINDS, "")


def test_a_token_is_kept_until_a_minute_before_its_end(itsm: fake.Itsm) -> None:
    itsm.tokens.clear()
    itsm.expires_in = 3600
    long = source(itsm.credentials(), 9004)
    assert {credentials.authorised(long)["authorization"] for _ in range(3)} == {"Bearer token-1"}
    itsm.expires_in = 60
    short = source(itsm.credentials(), 9005)
    assert [credentials.authorised(short)["authorization"] for _ in range(2)] == ["Bearer token-2", "Bearer token-3"]


def test_changed_credentials_never_use_the_token_of_those_before(itsm: fake.Itsm) -> None:
    itsm.expires_in = 3600
    before = credentials.authorised(source(itsm.credentials(), 9006))
    changed = json.dumps({**json.loads(itsm.credentials()), "scope": "other"})
    assert credentials.authorised(source(changed, 9006)) != before


def test_a_retry_after_that_is_a_date_is_seconds_from_now(itsm: fake.Itsm) -> None:
    itsm.refuse += [(429, {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}), (429, {"Retry-After": "soon"})]
    waits = []
    for _ in range(2):
        with pytest.raises(outgoing.ExchangeFailed) as refused:
            outgoing.exchange("GET", f"{itsm.url}/tickets", headers={})
        waits.append((refused.value.retry_after, refused.value.status, refused.value.body))
    assert waits == [(outgoing.LONGEST_WAIT, 429, b'{"error": "not now"}'), (0.0, 429, b'{"error": "not now"}')]
