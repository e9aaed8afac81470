"""Draws: by cluster, repeatable, at the shares asked for, by keys that tell nothing of each other."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from math import sqrt

import pytest

from tests import factories
from triage import sampling
from triage.models import Customer, Draw

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC)
N = 4000


def purposes(customer: Customer, at: datetime = AT) -> list[str]:
    return [sampling.draw(customer=customer, storm_key=f"{number:064x}", at=at).purpose for number in range(N)]


def near(count: int, share: float) -> bool:
    """Within five standard deviations of a binomial count."""
    return abs(count - N * share) <= 5 * sqrt(N * share * (1 - share))


def test_a_cluster_is_drawn_as_one_on_its_day_and_anew_on_the_next() -> None:
    customer = factories.customer(holdout_share=0.5, verify_share=0.5)
    first = sampling.draw(customer=customer, storm_key="a" * 64, at=AT - timedelta(hours=20))
    assert sampling.draw(customer=customer, storm_key="a" * 64, at=AT) == first
    later = sampling.draw(customer=customer, storm_key="a" * 64, at=AT + timedelta(seconds=1))
    assert later.cluster != first.cluster
    assert len(first.cluster) == 64


def test_the_shares_come_out_and_their_probabilities_are_kept() -> None:
    customer = factories.customer(holdout_share=0.3, verify_share=0.2)
    drawn = [sampling.draw(customer=customer, storm_key=f"{number:064x}", at=AT) for number in range(N)]
    counts = Counter(found.purpose for found in drawn)
    assert near(counts[Draw.Purpose.HOLDOUT], 0.3)
    assert near(counts[Draw.Purpose.VERIFY], 0.7 * 0.2)
    told = {found.purpose: found.probability for found in drawn}
    assert told == pytest.approx({"holdout": 0.3, "verify": 0.14, "none": 0.56})


def test_shares_of_nothing_and_of_all_are_exact() -> None:
    assert set(purposes(factories.customer(holdout_share=0.0, verify_share=0.0))) == {"none"}
    assert set(purposes(factories.customer(holdout_share=1.0, verify_share=1.0))) == {"holdout"}
    assert set(purposes(factories.customer(holdout_share=0.0, verify_share=1.0))) == {"verify"}


def test_one_customers_draws_tell_nothing_of_anothers() -> None:
    one, other = (purposes(factories.customer(holdout_share=0.5)) for _ in range(2))
    assert near(sum(a == b for a, b in zip(one, other, strict=True)), 0.5)


def test_being_left_out_of_the_holdout_tells_nothing_of_verification() -> None:
    holdout = purposes(factories.customer(holdout_share=0.5))
    assert near(holdout.count("holdout"), 0.5)
    customer = factories.customer(holdout_share=0.5, verify_share=0.5)
    rest = [purpose for purpose in purposes(customer) if purpose != "holdout"]
    assert abs(rest.count("verify") / len(rest) - 0.5) < 0.05


def test_raising_a_share_keeps_what_was_drawn() -> None:
    customer = factories.customer(holdout_share=0.1)
    before = purposes(customer)
    customer.holdout_share = 0.2
    after = purposes(customer)
    assert all(b == "holdout" for a, b in zip(before, after, strict=True) if a == "holdout")
