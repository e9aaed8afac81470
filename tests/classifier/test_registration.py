"""Planning from unlabelled scores: where the sequences start, and what is refused as out of reach."""

import itertools

import numpy as np
import pytest

from classifier.bounds import NotCertifiable, betting_sample_size, sample_size
from classifier.registration import Registration, draw_share, plan

SCORES = np.random.default_rng(5).random(2000).round(6).tolist()


def planned(scores: list[float] = SCORES, **changes: object) -> Registration:
    values = {"gate": "0" * 64, "runbooks": ["b", "a"], "alpha": 0.05, "delta": 0.05, "starts": 5}
    return plan(scores, **{**values, **changes})  # type: ignore[arg-type]  # mixed values


def passing(threshold: float, scores: list[float] = SCORES) -> int:
    return int((np.array(scores) >= threshold).sum())


def test_the_first_start_lies_where_exactly_the_error_free_sample_passes() -> None:
    registered = planned()
    assert passing(registered.grid[registered.starts[0]]) == sample_size(alpha=0.05, delta=0.05, starts=5) == 90
    assert registered.n == 2000
    assert registered.runbooks == ("a", "b")


def test_starts_are_spread_further_down_and_the_grid_reaches_every_positive_score() -> None:
    registered = planned()
    counts = [passing(registered.grid[start]) for start in registered.starts]
    assert len(counts) == 5
    assert all(1.5 < later / earlier < 2.5 for earlier, later in itertools.pairwise(counts))
    assert passing(registered.grid[-1]) == 2000


def test_other_traffic_is_scaled_to_the_units_to_come_with_room_for_chance() -> None:
    registered = planned(n=500)
    assert registered.n == 500
    assert 4 * 90 < passing(registered.grid[0]) == 4 * (90 + 19)


def test_continuous_looks_are_planned_for_their_larger_sample_and_fix_no_number() -> None:
    registered = planned(n=2000, continuous=True)
    assert registered.n is None
    assert passing(registered.grid[0]) > betting_sample_size(alpha=0.05, delta=0.05, starts=5)
    with pytest.raises(ValueError, match="need n"):
        planned(continuous=True)


def test_clusters_count_once() -> None:
    registered = planned(SCORES + SCORES, clusters=[*range(2000), *range(2000)])
    assert registered == planned()


def test_ties_are_never_split_and_insufficient_evidence_never_passes() -> None:
    scores = [1.0] * 200 + [0.5] * 300 + [0.0] * 500
    registered = planned(scores)
    assert registered.grid == (0.500001, 0.5)
    assert registered.n == 1000


def test_what_cannot_be_reached_is_refused_with_the_sample_that_would_do() -> None:
    scores = [0.9] * 40 + [0.0] * 40
    with pytest.raises(
        NotCertifiable, match=r"needs at least 90 clusters .* only 40 of 80 .* pool runbooks"
    ) as refusal:
        planned(scores)
    assert refusal.value.needed == 180
    enough = [0.9] * 90 + [0.0] * 90
    assert planned(enough).n == refusal.value.needed


@pytest.mark.parametrize("scores", [[], [0.0] * 500])
def test_without_any_score_the_refusal_names_no_number_it_cannot_know(scores: list[float]) -> None:
    with pytest.raises(NotCertifiable) as refusal:
        planned(scores)
    assert refusal.value.needed is None


def test_scores_that_are_no_scores_are_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        planned([0.5, 1.5])


def test_the_share_to_draw_brings_what_is_needed_in_time_or_is_refused() -> None:
    assert draw_share(needed=450, clusters_a_day=50) == pytest.approx(0.1)
    with pytest.raises(NotCertifiable, match="450 clusters are needed within 90 days and 270 are expected: pool"):
        draw_share(needed=450, clusters_a_day=3)
