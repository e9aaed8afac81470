"""The generated tickets: what is promised of their mixture, their truth and their distance from training."""

import hashlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from runbooks import parameters
from runbooks.registry import RUNBOOKS
from runbooks.targets import directory
from tests.demo.conftest import Made, text
from triage.demo import accounts, articles, tickets
from triage.demo.phrases import LANGUAGES, Pool, lexicon

_PRINT = """
import hashlib
from triage.demo import tickets
made = repr(tickets.generate(seed=5, n=400, stream=True)).encode()
print(hashlib.sha256(made).hexdigest())
"""


def test_equal_seeds_give_equal_tickets_in_any_process_and_other_seeds_others() -> None:
    here = hashlib.sha256(repr(tickets.generate(seed=5, n=400, stream=True)).encode()).hexdigest()
    there = subprocess.run([sys.executable, "-c", _PRINT], check=True, capture_output=True, text=True).stdout.strip()
    assert there == here
    assert tickets.generate(seed=6, n=400, stream=True) != tickets.generate(seed=5, n=400, stream=True)


def test_as_many_tickets_come_as_were_asked_for_with_ids_of_their_own(made: Made) -> None:
    assert [len(part) for part in made] == [3000, 1500, 1500]
    assert len({sample.external_id for sample in made.everything}) == 6000
    assert tickets.generate(seed=1, n=0, stream=True) == []
    with pytest.raises(ValueError, match="-1"):
        tickets.generate(seed=1, n=-1, stream=True)


def test_time_runs_forward_and_certification_is_newer_than_training(made: Made) -> None:
    for part in made:
        assert [sample.offset for sample in part] == sorted(sample.offset for sample in part)
    assert made.train[-1].offset < tickets.CERTIFIED_FROM + 600 < made.certify[-1].offset <= 600
    assert made.stream[0].offset == 0


@pytest.mark.parametrize("part", ["train", "certify", "stream"])
def test_the_mixture_is_as_promised(made: Made, part: str) -> None:
    samples = getattr(made, part)
    shares = Counter(sample.language for sample in samples)
    assert {*shares} == {*LANGUAGES}
    assert min(shares.values()) >= 0.06 * len(samples)
    assert 0.055 <= sum(sample.truth is None for sample in samples) / len(samples) <= 0.085
    assert 0.08 <= sum(sample.actor == "machine" for sample in samples) / len(samples) <= 0.25
    with_runbook = sum(sample.truth in articles.runbook_articles() for sample in samples) / len(samples)
    assert 0.45 <= with_runbook <= 0.58
    assert {sample.truth for sample in samples} - {None} == {content["key"] for content in articles.files()}


def test_a_ticket_is_worded_by_its_own_pool_only(made: Made) -> None:
    for pool, part in zip(Pool, made, strict=True):
        mine = {line for _, line in lexicon(pool).everything()}
        assert {sample.template for sample in part} - {""} <= mine


def test_hardly_any_new_ticket_resembles_one_that_was_learnt_from(made: Made) -> None:
    share = tickets.near_duplicate_share([text(one) for one in made.train], [text(one) for one in made.stream])
    assert share <= 0.2


def test_tickets_are_hostile_short_long_shouted_empty_and_garbled(made: Made) -> None:
    bodies = [sample.body for sample in made.everything]
    for piece in ("<script>", "{{", "=cmd|", "__label__", r"\u0000", "Ignore all previous instructions", "Traceback"):
        assert any(piece in body for body in bodies), piece
    lengths = [len(body.strip()) for body in bodies]
    assert min(lengths) == 0
    assert sum(length < 40 for length in lengths) > 100
    assert max(lengths) > 2000
    assert any(len(body) > 20 and body.split("\n")[0].isupper() for body in bodies)


def test_storms_are_one_alert_again_and_again_with_nothing_new_but_the_time(made: Made) -> None:
    alerts = [sample for sample in made.everything if sample.actor == "machine"]
    repeated = Counter((sample.subject, tuple(sample.fields.items())) for sample in alerts)
    (storm, times) = repeated.most_common(1)[0]
    assert times >= 5
    bodies = [sample.body for sample in alerts if (sample.subject, tuple(sample.fields.items())) == storm]
    assert len(set(bodies)) >= 5


def test_what_the_truth_says_is_what_extraction_finds_or_a_person_is_asked(made: Made, tmp_path: Path) -> None:
    """Complete parameters that differ from the truth would be wrong runs that no classifier can prevent."""
    path = tmp_path / "directory.sqlite3"
    directory.create(path, accounts.people(), groups=accounts.groups(), policies=accounts.policies())
    client = directory.SqliteDirectory(path)
    runbooks = articles.runbook_articles()
    unclear = {
        line for pool in Pool for group in lexicon(pool).ambiguous for lines in group.lines.values() for line in lines
    }
    outcomes: Counter[str] = Counter()
    for sample in (*made.certify[::2], *made.stream[::2]):
        if sample.truth not in runbooks or sample.template in unclear:
            continue
        found = parameters.extract(
            RUNBOOKS[runbooks[sample.truth]],
            subject=sample.subject,
            body=sample.body,
            requester=sample.requester,
            fields=sample.fields,
            directory=client,
            machine=sample.actor == "machine",
        )
        same = found.values == sample.truth_parameters
        outcomes["asked" if not found.complete else "right" if same else "wrong"] += 1
    client.close()
    assert outcomes["wrong"] == 0
    assert outcomes["right"] > 0.65 * outcomes.total()
    assert outcomes["asked"] > 0.05 * outcomes.total()


def test_most_asks_can_be_done_and_some_meet_a_hold_a_closed_group_or_a_policy(made: Made) -> None:
    people = {person.uid: person for person in accounts.people()}
    asked = [people[sample.truth_parameters["account"]] for sample in made.stream if sample.truth_parameters]
    odd = [person for person in asked if person.privileged or not person.enabled or person.lock_reason == "security"]
    assert 0 < len(odd) < 0.15 * len(asked)
    capped = {policy.subject for policy in accounts.policies() if policy.kind == "quota_cap"}
    assert any(
        sample.truth_parameters.get("account") in capped
        and int(sample.truth_parameters.get("quota_mb", "0")) > accounts.CAP_MB
        for sample in made.stream
    )
    closed = {group.name for group in accounts.groups() if not group.self_service}
    assert any(name in text(sample) for sample in made.stream for name in closed)
    assert not closed & {sample.truth_parameters.get("group") for sample in made.stream}
