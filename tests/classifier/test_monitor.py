"""The monitor revokes what no longer holds, pauses on change and silence, and leaves a kept promise alone."""

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest

from classifier.monitor import (
    PAUSED,
    REVOKED,
    STEADY,
    Monitor,
    ScopeAlarm,
    advance,
    bets,
    growth,
    observe,
    resume,
    scope_alarm,
    verification_share,
    verifications_needed,
)
from tests.benchmarks.certificates import lives


def after(verdicts: Sequence[bool | None], state: Monitor | None = None) -> Monitor:
    state = state or Monitor(alpha=0.05)
    for wrong in verdicts:
        state = advance(state, wrong=wrong)
    return state


def random_verdicts(count: int, rate: float, seed: int) -> list[bool | None]:
    return list((np.random.default_rng(seed).random(count) < rate).tolist())


def test_the_recursion_is_the_sum_over_start_times_of_the_design() -> None:
    verdicts = [False, True, False, False, True, False, True]
    products = [[growth(0.05, wrong=wrong, weight=1.0) for wrong in verdicts[k - 1 :]] for k in range(1, 8)]
    total = 0.0
    for bet in range(len(bets(0.05))):
        for k, factors in enumerate(products, start=1):
            total += math.prod(factor[bet] for factor in factors) / (k * (k + 1)) / len(bets(0.05))
    state = after(list(verdicts))
    assert state.wealth == pytest.approx(total + 1 / 8, rel=1e-12)
    detector = sum(math.prod(f[bet] for f in factors) for factors in products for bet in range(4)) / 4
    assert state.change == pytest.approx(detector, rel=1e-12)


def test_no_bet_gains_on_average_while_the_promise_holds_and_none_can_fall_below_zero() -> None:
    for weight in (1.0, 0.2):
        right, wrong = (growth(0.05, wrong=verdict, weight=weight) for verdict in (False, True))
        assert all(0.0 <= low < 1.0 < high for low, high in zip(right, wrong, strict=True))
        assert all(0.05 * high + 0.95 * low == pytest.approx(1.0) for low, high in zip(right, wrong, strict=True))
    assert Monitor(alpha=0.05).wealth == 1.0


def test_a_kept_promise_is_rarely_revoked_at_whatever_moment_one_looks() -> None:
    outcome = lives(count=300, runs=600, alpha=0.05, delta=0.05)
    assert outcome["broken"] <= outcome["limit"]


def test_a_broken_promise_is_revoked_within_the_verifications_that_were_planned() -> None:
    needed = verifications_needed(alpha=0.05)
    revoked = [after(random_verdicts(needed, 0.15, seed)).status == REVOKED for seed in range(100, 200)]
    assert 80 <= sum(revoked) <= 98


def test_a_promise_that_breaks_late_is_noticed_too() -> None:
    state = after(random_verdicts(1000, 0.03, 1))
    assert state.status == STEADY
    state = after(random_verdicts(600, 0.25, 2), state)
    assert state.status == REVOKED
    assert "the promise no longer holds" in state.reason


def test_a_revoked_certificate_stays_revoked() -> None:
    revoked = after([True] * 10)
    assert revoked.status == REVOKED
    assert after([False] * 1000, revoked) == revoked


def test_a_change_pauses_before_it_revokes_and_a_person_may_resume() -> None:
    state = Monitor(alpha=0.05, delta=1e-9)
    state = after([False] * 500 + [True] * 8, state)
    assert state.status == PAUSED
    assert "something changed" in state.reason
    again = resume(state)
    assert (again.status, again.change, again.wealth) == (STEADY, 0.0, state.wealth)
    with pytest.raises(ValueError, match="only a paused monitor"):
        resume(again)


def test_a_paused_certificate_can_still_be_revoked() -> None:
    paused = after([False] * 500 + [True] * 8, Monitor(alpha=0.05, delta=1e-9))
    assert after([True] * 30, paused).status == REVOKED


def test_more_than_a_tenth_of_the_verdicts_missing_pauses() -> None:
    assert after([None] * 2 + [False] * 18).status == STEADY
    state = after([None] * 3 + [False] * 17)
    assert (state.status, state.reason) == (PAUSED, "3 of 20 verdicts are missing")


def test_a_state_survives_json_to_the_last_bit() -> None:
    state = after(random_verdicts(200, 0.04, 3))
    again = Monitor.from_dict(json.loads(json.dumps(state.as_dict())))
    assert again == state
    assert advance(again, wrong=True) == advance(state, wrong=True)


def test_rows_verified_more_often_than_others_weigh_less() -> None:
    heavy, light = (advance(Monitor(alpha=0.05), wrong=True, weight=weight) for weight in (1.0, 0.1))
    assert heavy.wealth > light.wealth > 1.0
    with pytest.raises(ValueError, match="a weight must lie above 0"):
        advance(Monitor(alpha=0.05), wrong=True, weight=0.0)


def test_reopened_tickets_verified_always_do_not_revoke_a_kept_promise() -> None:
    random = np.random.default_rng(11)
    revoked = plain = 0
    for _ in range(60):
        weighted, unweighted = Monitor(alpha=0.05, delta=0.05), Monitor(alpha=0.05, delta=0.05)
        for _ in range(4000):
            wrong = bool(random.random() < 0.045)
            pi = 1.0 if wrong and random.random() < 0.5 else 0.1  # half of the wrong ones come back
            if random.random() < pi:
                weighted = advance(weighted, wrong=wrong, weight=0.1 / pi)
                unweighted = advance(unweighted, wrong=wrong)
        revoked += weighted.status == REVOKED
        plain += unweighted.status == REVOKED
    assert revoked <= 8  # the 99 % quantile of Bin(60, .05)
    assert plain == 60


def test_the_share_to_verify_follows_from_what_must_be_seen() -> None:
    needed = verifications_needed(alpha=0.05)
    assert verification_share(alpha=0.05, runs=10 * needed) == pytest.approx(0.1)
    assert verification_share(alpha=0.05, runs=needed - 1) is None
    assert verifications_needed(alpha=0.01) > 3 * needed


def test_the_unlabelled_alarm_rings_within_hundreds_of_tickets_and_not_before() -> None:
    random = np.random.default_rng(4)
    alarm = scope_alarm(random.beta(8, 2, 2000).tolist())
    for score in random.beta(8, 2, 5000):
        alarm = observe(alarm, in_scope=float(score))
    assert not alarm.paused
    assert alarm.low / alarm.n == pytest.approx(0.05, abs=0.01)
    before = alarm.n
    while not alarm.paused:
        strange = random.random() < 0.2
        alarm = observe(alarm, in_scope=float(random.beta(2, 4) if strange else random.beta(8, 2)))
    assert alarm.n - before < 400
    assert observe(alarm, in_scope=1.0) == alarm
    assert ScopeAlarm.from_dict(json.loads(json.dumps(alarm.as_dict()))) == alarm


def test_an_alarm_needs_a_reference() -> None:
    with pytest.raises(ValueError, match="at least 100 reference scores, and 99"):
        scope_alarm([0.5] * 99)
