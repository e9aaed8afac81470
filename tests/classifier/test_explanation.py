"""Explanations: the contributions add up to the models' own scores, stand where the words stand, and are what counts."""

import json
import random
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier import contributions as parts_of
from classifier.alignment import Place, places
from classifier.estimator import ArticleClassifier, Ranking
from classifier.explanation import Explanation, Token, explain
from classifier.fasttext_model import FastTextModel
from classifier.text import BAR, Document, TextPipeline, normalise
from tests.classifier.samples import ARTICLES, tickets

ODD = (
    Document("", ""),
    Document("Ünlock ﬁle", "日本語 zz √ ½ …"),
    Document("x" * 300, "aaaaaaaaaa account " * 400),
    Document("", "account"),
    Document("locked " * 30, ""),
    Document("unknownish wordless", "qqq www eee"),
)
FRAGMENTS = st.sampled_from(
    [
        "account ",
        "Straße",
        "ﬁ",
        "½",
        "e\u0301",
        "\u200b",
        "\u0301",
        "日本",
        "が",
        "か\u3099",
        "ｶﾞ",
        "한",
        "ㅎ",
        "\ud800",
        " ",
        "\n",
        "¨",
        "<b>",
        "||",
    ]
)


def _scores(model: ArticleClassifier, line: str) -> dict[str, float]:
    """The combined score of each label as the models themselves compute it."""
    linear, fasttext = model.linear_.decision_function([line]), model.fasttext_.decision_function([line])
    combined = model.weights_.linear * linear[0] + model.weights_.fasttext * fasttext[0]
    return dict(zip(model.classes_.tolist(), combined.tolist(), strict=True))


def _size(explanation: Explanation) -> float:
    return abs(explanation.intercept) + sum(abs(token.contribution) for token in explanation.tokens)


@pytest.mark.parametrize(
    ("documents", "tolerance"), [(tickets(40, seed=9)[0], 1e-6), (ODD, 1e-5)], ids=["tickets", "odd and long"]
)
def test_contributions_add_up_to_the_difference_of_the_combined_scores(
    fitted: ArticleClassifier, documents: Sequence[Document], tolerance: float
) -> None:
    # the models compute in float32: a millionth of what was added up, and more over thousands of words
    for document in documents:
        for label, against in ((None, None), (ARTICLES[0], ARTICLES[1])):
            found = explain(fitted, document, label=label, against=against)
            scores = _scores(fitted, found.ranking.line)
            one, other = scores[found.label], scores[found.against]
            size = abs(one) + abs(other) + _size(found)
            assert found.difference == pytest.approx(one - other, abs=tolerance * max(1.0, size))


@pytest.mark.parametrize(
    "family", [{"word_ngrams": 1}, {"word_ngrams": 3}, {"longest": 0, "shortest": 0}, {"min_count": 4}]
)
def test_any_fasttext_model_is_taken_apart_exactly(family: dict[str, Any]) -> None:
    documents, labels = tickets(60)
    lines = TextPipeline().lines(documents)
    model = FastTextModel(dimensions=8, epochs=5, buckets=2_000, **family).fit(lines, labels)
    for line in ("", "account", "my account is locked", "ünseen wörds 日 本", *lines[:5]):
        logits = model.decision_function([line])[0]
        parts = parts_of.fasttext_parts(model, line, 2, 5)
        assert parts.sum() == pytest.approx(logits[2] - logits[5], abs=1e-5)


def test_what_is_there_without_words_is_the_intercept_alone(fitted: ArticleClassifier) -> None:
    empty = explain(fitted, Document("", ""), label=ARTICLES[0], against=ARTICLES[1])
    scores = _scores(fitted, "")
    assert empty.tokens == ()
    assert empty.difference == empty.intercept == pytest.approx(scores[ARTICLES[0]] - scores[ARTICLES[1]])


def test_swapping_the_labels_turns_every_sign(fitted: ArticleClassifier) -> None:
    document = tickets(1, seed=5)[0][0]
    one = explain(fitted, document, label=ARTICLES[2], against=ARTICLES[3])
    two = explain(fitted, document, label=ARTICLES[3], against=ARTICLES[2])
    assert [t.contribution for t in one.tokens] == pytest.approx([-t.contribution for t in two.tokens])


def test_an_unknown_or_equal_label_is_named(fitted: ArticleClassifier) -> None:
    with pytest.raises(ValueError, match="does not know the label 'KB9'"):
        explain(fitted, Document("", "x"), label="KB9")
    with pytest.raises(ValueError, match="told apart from itself"):
        explain(fitted, Document("", "x"), label=ARTICLES[0], against=ARTICLES[0])


def test_every_token_stands_where_the_page_shows_it(fitted: ArticleClassifier) -> None:
    document = Document(
        "Account  LOCKED!", "My\u200b Ac\u00adcount — the ﬁle, ½ of café (cafe\u0301) — is locked\r\n\tagain"
    )
    found = explain(fitted, document)
    for token in found.tokens:
        if token.text == BAR:
            assert token.place is None
        else:
            assert token.place is not None
            raw = getattr(document, token.place.part)[token.place.start : token.place.end]
            assert token.text in normalise(raw).replace(" ", "")
    shown = [document.body[span.start : span.end] for span in found.spans if span.part == "body"]
    assert shown[:6] == ["My\u200b", "Ac\u00adcount", "—", "the", "ﬁle", ","]
    assert shown[6:] == ["½", "of", "café", "(", "cafe\u0301", ")", "—", "is", "locked", "again"]
    assert sum(span.weight for span in found.spans) == pytest.approx(
        sum(token.contribution for token in found.tokens if token.place)
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(FRAGMENTS, max_size=12).map("".join), st.lists(FRAGMENTS, max_size=40).map("".join))
def test_alignment_finds_every_token_of_any_text(subject: str, body: str) -> None:
    document = Document(subject, body)
    tokens = TextPipeline().line(document).split()
    for token, place in zip(tokens, places(tokens, document, limit=4000), strict=True):
        if token == BAR:
            continue
        assert place is not None
        raw = getattr(document, place.part)[place.start : place.end]
        assert token in normalise(raw).replace(" ", "")


def test_a_long_text_is_aligned_at_both_ends() -> None:
    body = "start " + "padding words " * 3000 + "ends here"
    document = Document("s", body)
    tokens = TextPipeline().line(document).split()
    found = places(tokens, document, limit=4000)
    for token, place in zip(tokens, found, strict=True):
        if place is not None:
            assert getattr(document, place.part)[place.start : place.end].startswith(token)
    assert found[-1] == ("body", len(body) - 4, len(body))
    assert sum(place is None for place in found) == 1  # the bar


def test_masked_words_have_no_place_and_the_others_keep_theirs() -> None:
    document = Document("", "host 10.2.3.4 is down since 2026-11-02 please look")
    pipeline = TextPipeline(masks=("hosts", "times"))
    tokens = pipeline.line(document).split()
    found = dict(zip(tokens, places(tokens, document, limit=4000), strict=True))
    assert found["<host>"] is None
    assert {t for t, place in found.items() if place and document.body[place.start : place.end] == t} >= {
        "host",
        "is",
        "down",
        "since",
        "please",
        "look",
    }


@pytest.mark.parametrize(
    "piece", ["\u0301", "a\u0301", "日本語", "\ufdfa", "\u1100\u1161", "\u200b", "account ", "a" * 99 + " "]
)
def test_hostile_text_of_any_size_is_explained_in_bounded_time(fitted: ArticleClassifier, piece: str) -> None:
    document = Document("", piece * (1_000_000 // len(piece)))
    started = time.process_time()
    explain(fitted, document)
    assert time.process_time() - started < 2.0


def _without(document: Document, found: Explanation, chosen: list[int]) -> Document:
    """The raw text without the tokens of these numbers."""
    texts = document._asdict()
    taken = [found.tokens[i].place for i in chosen]
    for place in sorted((place for place in taken if place), key=lambda place: -place.start):
        texts[place.part] = f"{texts[place.part][: place.start]} {texts[place.part][place.end :]}"
    return Document(**texts)


def test_deleting_the_words_that_count_most_changes_the_answer_more_than_deleting_any(
    fitted: ArticleClassifier,
) -> None:
    rng = random.Random(0)
    drops: dict[str, list[tuple[float, float, bool]]] = {"strongest": [], "random": []}
    for document in tickets(90, seed=11)[0]:
        found = explain(fitted, document)
        placed = [i for i, token in enumerate(found.tokens) if token.place and token.text.isalnum()]
        ways = {
            "strongest": sorted(placed, key=lambda i: -found.tokens[i].contribution)[:5],
            "random": rng.sample(placed, 5),
        }
        column = fitted.classes_.tolist().index(found.label)
        before = fitted.predict_proba([document])[0, column]
        for way, chosen in ways.items():
            left = _without(document, found, chosen)
            after = explain(fitted, left, label=found.label, against=found.against)
            probabilities = fitted.predict_proba([left])[0]
            turned = int(probabilities.argmax()) != column
            drops[way].append((found.difference - after.difference, before - probabilities[column], turned))
    strongest, chance = (np.mean(drops[way], axis=0) for way in ("strongest", "random"))
    assert strongest[0] > 2 * chance[0] > 0  # score
    assert strongest[1] > chance[1] + 0.2  # probability
    assert strongest[2] > chance[2] + 0.2  # share of answers that turned over


def test_an_explanation_is_json_with_the_words_that_count(fitted: ArticleClassifier) -> None:
    document = Document("", "my printer is jammed paper stuck on the third floor")
    found = explain(fitted, document)
    told = json.loads(json.dumps(found.as_dict()))
    assert (told["label"], told["against"]) == (found.label, found.against) == ("printer-jam", told["against"])
    assert told["difference"] == pytest.approx(told["intercept"] + sum(t["contribution"] for t in told["tokens"]))
    assert document.body[told["spans"][1]["start"] : told["spans"][1]["end"]] == "printer"
    speak_for, speak_against = found.words(most=3)
    assert speak_for
    assert set(speak_for) <= {"printer", "jammed", "paper", "stuck", "third", "floor"}
    assert not set(speak_for) & set(speak_against)


def test_characters_of_a_script_without_spaces_are_told_as_phrases() -> None:
    text = "印刷できません printer"
    tokens = [*"印刷できません", "printer"]
    places_of = [Place("body", i, i + 1) for i in range(7)] + [Place("body", 8, 15)]
    weights = [2.0, 1.0, -1.0, 0.1, 0.1, 0.1, 0.1, 1.5]
    ranking = Ranking(matches=(), evidence=None, line=text)  # type: ignore[arg-type]  # words() never looks at it
    found = Explanation(
        label="a", against="b", ranking=ranking, tokens=tuple(map(Token, tokens, weights, places_of)), intercept=0.0
    )
    assert found.words(most=3) == (["印刷", "printer"], ["で"])
