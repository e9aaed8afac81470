"""Gates, looks and verdicts: what is a unit, what is counted, what is refused."""

import dataclasses
from collections.abc import Sequence

import pytest

from classifier.bounds import tail, upper_bound
from classifier.certificate import BREAKS, Gate, Registration, Verdict, continuous_look, one_look

PARTS = {
    "text": "1", "model": "aa", "calibrator": "bb", "evidence": "cc", "extractor": "2",
    "runbooks": {"unlock": "d1", "quota": "d2"},
}  # fmt: skip


def registration(**changes: object) -> Registration:
    values = {"gate": "0" * 64, "runbooks": ("unlock",), "alpha": 0.05, "delta": 0.05, "grid": (0.9, 0.6, 0.3),
              "starts": (0, 1), "n": 200}  # fmt: skip
    return Registration.from_dict({**Registration(**values).as_dict(), **changes})  # type: ignore[arg-type]  # mixed values


def look(scores: list[float], wrong: Sequence[bool | None], registered: Registration | None = None) -> Verdict:
    return one_look(registered or registration(), scores=scores, wrong=wrong, clusters=range(len(scores)))


def test_a_gate_changes_its_hash_with_every_part_and_with_nothing_else() -> None:
    gate = Gate.from_dict(PARTS)
    assert Gate.from_dict({**PARTS, "runbooks": {"quota": "d2", "unlock": "d1"}}).hash == gate.hash
    assert Gate.from_dict(gate.as_dict()) == gate
    changed = [Gate.from_dict({**PARTS, name: "other"}) for name in PARTS if name != "runbooks"]
    changed.append(Gate.from_dict({**PARTS, "runbooks": {"unlock": "d9", "quota": "d2"}}))
    assert len({gate.hash, *(other.hash for other in changed)}) == 7


def test_a_registration_is_immutable_and_survives_json() -> None:
    registered = registration()
    with pytest.raises(dataclasses.FrozenInstanceError):
        registered.alpha = 0.5  # type: ignore[misc]  # that it cannot be set is what is tested
    assert Registration.from_dict(registered.as_dict()) == registered
    assert registration(alpha=0.02).hash != registered.hash


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"grid": [0.3, 0.9]}, "from high to low"),
        ({"grid": [0.9, 0.0]}, "above 0"),
        ({"grid": []}, "from high to low"),
        ({"starts": [0, 7]}, "outside the grid"),
        ({"starts": []}, "rising indexes"),
        ({"alpha": 0}, "alpha must lie"),
        ({"delta": 1}, "delta must lie"),
        ({"basis": "hope"}, "draws, history"),
        ({"n": 0}, "at least one unit"),
        ({"draw_floor": 0}, "draw floor"),
        ({"more": 1}, "more missing or unknown"),
    ],
)
def test_a_registration_that_makes_no_sense_is_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        registration(**changes)


def test_the_lowest_rejected_threshold_wins_and_every_figure_can_be_checked_by_hand() -> None:
    scores = [0.95] * 80 + [0.7] * 60 + [0.4] * 60
    wrong = [False] * 139 + [True] * 61
    verdict = look(scores, wrong)
    assert (verdict.certified, verdict.threshold, verdict.n, verdict.errors) == (True, 0.6, 140, 1)
    assert verdict.upper_bound == upper_bound(1, 140, delta=0.05)
    assert [(tried.threshold, tried.n, tried.errors, tried.level, tried.rejected) for tried in verdict.tried] == [
        (0.9, 80, 0, 0.025, True),
        (0.6, 140, 1, 0.05, True),
        (0.3, 200, 61, 0.05, False),
    ]
    assert verdict.tried[0].p == tail(0, 80, 0.05)
    assert "With confidence 95 %, at most 5 % of what this gate runs is wrong" in verdict.sentence
    assert "1 of the 140 units at or above 0.600000" in verdict.sentence
    assert verdict.breaks == BREAKS


def test_a_sequence_that_reaches_the_next_start_adds_its_level_and_a_stopped_one_does_not() -> None:
    scores = [0.95] * 80 + [0.7] * 20 + [0.4] * 100
    three = registration(starts=[0, 1, 2])
    reached = look(scores, [False] * 200, three)
    assert [tried.level for tried in reached.tried] == pytest.approx([0.05 / 3, 0.10 / 3, 0.05])
    stopped = look(scores, [True] * 2 + [False] * 198, three)
    assert [tried.level for tried in stopped.tried] == pytest.approx([0.05 / 3] * 3)
    assert [tried.rejected for tried in stopped.tried] == [False, False, True]


def test_delta_is_split_over_the_starts() -> None:
    scores = [0.95] * 59 + [0.1] * 141
    wrong = [False] * 200
    assert not look(scores, wrong).certified
    assert look(scores, wrong, registration(starts=[0])).certified


def test_a_sequence_stops_at_its_first_failure_but_a_later_start_may_go_on() -> None:
    scores = [0.95] * 80 + [0.7] * 120
    wrong = [True] * 2 + [False] * 198
    verdict = look(scores, wrong, registration(grid=[0.9, 0.6]))
    assert verdict.threshold == 0.6
    assert not look(scores, wrong, registration(grid=[0.9, 0.6], starts=[0])).certified


def test_without_a_certificate_the_verdict_says_how_near_it_came() -> None:
    verdict = look([0.95] * 200, [True] * 20 + [False] * 180)
    assert (verdict.certified, verdict.threshold, verdict.errors, verdict.n) == (False, None, 20, 200)
    assert verdict.sentence.startswith("Not certified")
    assert verdict.upper_bound > 0.1


def test_a_missing_verdict_counts_as_wrong() -> None:
    assert look([0.95] * 200, [None] * 20 + [False] * 180).errors == 20


def test_six_hundred_alerts_of_one_cause_are_one_observation() -> None:
    with pytest.raises(ValueError, match="registered is one look at 200 units, but 1 were given"):
        one_look(registration(), scores=[0.95] * 600, wrong=[False] * 600, clusters=["storm"] * 600)


def test_a_cluster_is_wrong_when_any_member_that_passes_is() -> None:
    clusters = [*range(200), 0, 1]
    verdict = one_look(
        registration(), scores=[0.95] * 200 + [0.91, 0.5], wrong=[False] * 200 + [True, True], clusters=clusters
    )
    assert [(tried.n, tried.errors) for tried in verdict.tried] == [(200, 1), (200, 1), (200, 2)]


def test_a_cluster_passes_when_any_member_does() -> None:
    clusters = [*range(200), *range(200)]
    verdict = one_look(
        registration(), scores=[0.2] * 200 + [0.95] * 200, wrong=[True] * 200 + [False] * 200, clusters=clusters
    )
    assert (verdict.threshold, verdict.n, verdict.errors) == (0.3, 200, 0)


def test_one_look_takes_exactly_the_registered_units() -> None:
    with pytest.raises(ValueError, match="one look at 200 units, but 199"):
        look([0.95] * 199, [False] * 199)
    with pytest.raises(ValueError, match="do not pair up"):
        one_look(registration(), scores=[0.5], wrong=[], clusters=[1])
    with pytest.raises(ValueError, match="between 0 and 1"):
        look([float("nan")] * 200, [False] * 200)


def test_scores_are_compared_at_six_places() -> None:
    verdict = look([0.8999996] * 200, [False] * 200)
    assert verdict.tried[0].n == 200


def test_continuous_looks_certify_as_soon_as_the_evidence_is_there_and_stay_so() -> None:
    registered = registration(n=None, grid=[0.9], starts=[0])

    def after(units: int, errors: int = 0) -> Verdict:
        wrong = [False] * (units - errors) + [True] * errors
        return continuous_look(registered, scores=[0.95] * units, wrong=wrong, clusters=range(units))

    first = next(units for units in range(1, 200) if after(units).certified)
    assert 59 < first < 118
    assert 0.048 < after(first).upper_bound <= 0.05
    assert 0.05 < after(first - 1).upper_bound < 0.052
    assert after(first + 30, errors=30).certified
    assert not after(first, errors=1).certified
    assert not after(0).certified


def test_the_two_kinds_of_look_refuse_each_others_registrations() -> None:
    with pytest.raises(ValueError, match="use continuous_look"):
        look([0.95], [False], registration(n=None))
    with pytest.raises(ValueError, match="use one_look"):
        continuous_look(registration(), scores=[], wrong=[], clusters=[])
