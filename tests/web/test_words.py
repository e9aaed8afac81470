"""How times, probabilities and texts are put into words."""

from datetime import timedelta

import pytest
from django.utils import timezone

from triage.web import words


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "–"), (0.0, "0 %"), (0.0004, "<0.1 %"), (0.004, "0.4 %"), (0.5, "50 %"), (0.994, "99.4 %"), (0.99999, "99.9 %"), (1.0, "100 %")],
)  # fmt: skip
def test_a_share_is_never_rounded_to_certainty(share: float | None, text: str) -> None:
    assert words.percent(share).replace("\xa0", " ") == text


@pytest.mark.parametrize(
    ("probability", "text"), [(0.96, "very likely"), (0.8, "likely"), (0.79, "perhaps"), (0.3, "unlikely"), (0.0, "very unlikely")]
)  # fmt: skip
def test_a_probability_has_a_word(probability: float, text: str) -> None:
    assert words.sure(probability) == text


def test_wrapped_lines_become_paragraphs_and_items() -> None:
    text = "First line\nof a paragraph.\n\n1. One item\n   goes on\n2. Two\n\n- dash\n* star\n\nEnd 3. not an item"
    found = [(block["kind"], block["lines"]) for block in words.blocks(text)]
    assert found == [
        ("p", ["First line of a paragraph."]),
        ("ol", ["One item goes on", "Two"]),
        ("ul", ["dash", "star"]),
        ("p", ["End 3. not an item"]),
    ]
    assert words.blocks("") == []


def test_marking_escapes_the_text_and_the_values() -> None:
    assert words.marked("<b>a&b.c</b>", {"x": "a&b.c"}) == "&lt;b&gt;<mark>a&amp;b.c</mark>&lt;/b&gt;"
    assert words.marked("ada ADA", {"x": "ada", "y": "a"}) == "<mark>ada</mark> <mark>ADA</mark>"
    assert words.marked("<i>", {}) == "&lt;i&gt;"


def test_what_stands_between_backticks_is_code_and_nothing_else_is() -> None:
    assert words.coded("Send `<b>` and `x`.") == "Send <code>&lt;b&gt;</code> and <code>x</code>."
    assert words.coded("<i>") == "&lt;i&gt;"


@pytest.mark.parametrize(
    ("code", "kept"), [("en", "en"), ("pt-BR", "pt-BR"), ('en" onx="', ""), ("", ""), ("english", "")]
)
def test_only_a_language_code_becomes_an_attribute(code: str, kept: str) -> None:
    assert words.lang(code) == kept


def test_times_are_said_in_the_coarsest_unit_that_tells() -> None:
    now = timezone.now()
    assert words.ago(now - timedelta(seconds=5)) == "5 s"
    assert words.ago(now - timedelta(minutes=59, seconds=30)) == "59 min"
    assert words.ago(now - timedelta(hours=30)) == "30 h"
    assert words.ago(now - timedelta(days=3)) == "3 d"
    assert words.left(now - timedelta(minutes=3)) == "3 min over"
    assert words.left(now + timedelta(hours=2, seconds=5)) == "in 2 h"
    assert words.overdue(now - timedelta(seconds=1))
    assert not words.overdue(None)
