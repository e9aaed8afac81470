"""No kind of source is left out of the contract: each verifier is tried with the mutated signatures of the suite."""

from tests.itsm import contract, test_freshservice, test_github, test_jira, test_servicenow, test_zendesk
from triage.itsm import SOURCES, roundup, standard
from triage.itsm.base import Connector

TRIED: tuple[type[contract.Contract], ...] = (
    test_freshservice.TestFreshservice,
    test_github.TestGitHub,
    test_jira.TestCloud,
    test_jira.TestDataCenter,
    test_servicenow.TestServiceNow,
    test_zendesk.TestZendesk,
)
ELSEWHERE: tuple[Connector, ...] = (roundup, standard)
"""Their verifier is ServiceNow's; Roundup itself is tried by tests/journeys/test_real_ticket_system.py."""


def test_every_verifier_is_tried_with_ten_thousand_mutated_signatures() -> None:
    assert contract.MUTATIONS >= 10_000
    assert {connector.verify for connector in SOURCES.values()} == {one.adapter.verify for one in TRIED}


def test_every_kind_keeps_the_contract_or_is_tried_otherwise() -> None:
    assert {one.adapter for one in TRIED} | set(ELSEWHERE) == set(SOURCES.values())
