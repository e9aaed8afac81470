"""A text in pieces: nothing lost, marks where the spans are, values found for the runbook kept whole."""

import time

from classifier.explanation import Span
from triage.queries.why import Piece, Stretch, highlighted


def _text(stretches: list[Stretch]) -> str:
    return "".join(piece.text for stretch in stretches for piece in stretch.pieces)


def _spans(text: str, weights: dict[str, float], *, part: str = "body") -> list[Span]:
    return [Span(part, text.index(word), text.index(word) + len(word), weight) for word, weight in weights.items()]


def test_words_are_marked_by_side_and_strength() -> None:
    text = "my account is locked, printer fine"
    found = highlighted(
        text,
        part="body",
        spans=_spans(text, {"my": 0.1, "account": 2.0, "locked": 1.0, "printer": -0.5, ",": 2.0}),
        values=(),
    )
    assert found == [
        Stretch(
            False,
            [
                Piece("my "),
                Piece("account", "for", 3),
                Piece(" is "),
                Piece("locked", "for", 2),
                Piece(", "),
                Piece("printer", "against", 1),
                Piece(" fine"),
            ],
        )
    ]


def test_neighbours_that_weigh_alike_are_one_mark() -> None:
    text = "locked  out today"
    found = highlighted(text, part="body", spans=_spans(text, {"locked": 1.0, "out": 0.9, "today": -1.0}), values=())
    assert [piece.text for piece in found[0].pieces if piece.level] == ["locked  out", "today"]


def test_strength_is_measured_over_subject_and_body_together() -> None:
    spans = [*_spans("vpn", {"vpn": 4.0}, part="subject"), *_spans("down", {"down": 1.0})]
    assert highlighted("down", part="body", spans=spans, values=())[0].pieces == [Piece("down", "for", 1)]
    assert highlighted("vpn", part="subject", spans=spans, values=())[0].pieces == [Piece("vpn", "for", 3)]


def test_a_later_piece_of_a_text_keeps_its_marks() -> None:
    text = "aaa locked bbb"
    spans = _spans(text, {"locked": 1.0})
    for cut in range(len(text)):
        halves = [(text[:cut], 0), (text[cut:], cut)]
        parts = [highlighted(half, part="body", spans=spans, values=(), start=start) for half, start in halves]
        assert "".join(map(_text, parts)) == text
        marked = [piece.text for part in parts for stretch in part for piece in stretch.pieces if piece.level]
        assert "".join(marked) == "locked"


def test_values_stay_whole_and_words_inside_them_are_marked() -> None:
    text = "unlock ADA.lovelace now"
    spans = _spans(text, {"unlock": 1.0, "lovelace now": 1.0})
    found = highlighted(text, part="body", spans=spans, values=["ada.lovelace", "x"])
    assert [stretch.found for stretch in found] == [False, True, False]
    assert found[1].pieces == [Piece("ADA."), Piece("lovelace", "for", 3)]
    assert found[2].pieces == [Piece(" now", "for", 3)]
    assert _text(found) == text


def test_nothing_to_mark_is_the_text_alone() -> None:
    assert highlighted("some text", part="body", spans=[], values=()) == [Stretch(False, [Piece("some text")])]
    assert highlighted("", part="body", spans=[], values=()) == []


def test_many_values_and_many_words_take_linear_time() -> None:
    text = "abc " * 50_000
    spans = [Span("body", 4 * i, 4 * i + 3, 1.0 if i % 2 else -1.0) for i in range(50_000)]
    started = time.process_time()
    found = highlighted(text, part="body", spans=spans, values=["abc"])
    assert time.process_time() - started < 3
    assert _text(found) == text
