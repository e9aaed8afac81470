"""The phrases that tickets are made of, and how they are parted by role."""

import itertools

import pytest

from triage.demo import articles
from triage.demo.phrases import LANGUAGES, Pool, lexicon, parted


@pytest.mark.parametrize("content", articles.files(), ids=lambda content: content["key"])
def test_an_article_has_45_symptoms_in_english_and_18_in_each_other_language(
    content: dict[str, dict[str, str]],
) -> None:
    counted = {name: len({*text.strip().splitlines()}) for name, text in content["phrases"].items()}
    assert counted["en"] >= 45
    assert all(counted[language] >= 18 for language in LANGUAGES[1:])


def test_no_phrase_is_in_two_pools_not_even_of_different_lists() -> None:
    pools = [{line.casefold() for _, line in lexicon(pool).everything() if len(line) >= 12} for pool in Pool]
    for one, other in itertools.combinations(pools, 2):
        assert not one & other


def test_every_list_has_phrases_in_every_pool() -> None:
    names = [{name for name, _ in lexicon(pool).everything()} for pool in Pool]
    assert names[0] == names[1] == names[2]


def test_certification_and_stream_get_parts_of_one_size() -> None:
    sizes = [sum(1 for _ in lexicon(pool).everything()) for pool in (Pool.CERTIFY, Pool.STREAM)]
    assert abs(sizes[0] - sizes[1]) <= 0.05 * sizes[1]


def test_where_a_phrase_goes_does_not_depend_on_the_order_of_its_list() -> None:
    lines = tuple(f"phrase {number}" for number in range(20))
    assert parted("list", "en", lines) == parted("list", "en", lines[::-1])


def test_a_list_too_short_for_three_pools_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="KB0001 fr"):
        parted("KB0001", "fr", ("one", "two"))
