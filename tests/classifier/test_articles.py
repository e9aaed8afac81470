"""New articles are found by their texts, by how rare their words are in past tickets, and placed by a stated rule."""

import time

import numpy as np
import pytest

from classifier.articles import BODY_READ, LEAST, STRONG, ArticleMatcher, ArticleText, Likeness, Placed, place
from classifier.estimator import ArticleClassifier
from classifier.text import Document

BADGE = ArticleText(
    label="badge",
    title="Door badge does not open the gate",
    symptoms="The badge reader stays red. The gate or the turnstile does not open although the badge is valid.",
    aliases=("access card", "keycard"),
    body="Program the badge anew at the reception desk.",
)
TABLET = ArticleText(
    label="tablet",
    title="Tablet of the sales team does not charge",
    symptoms="The tablet shows an empty battery although it lay on its charger.",
    body="Replace the charger and the cable.",
)
TICKETS = (
    (Document("badge", "hello team, my badge does not open the gate any more, the reader is red"), "badge"),
    (Document("", "urgent: keycard refused at the turnstile since today"), "badge"),
    (Document("tablet", "please help, my tablet does not charge, battery empty"), "tablet"),
    (Document("", "the charger of my tablet is broken"), "tablet"),
)


@pytest.fixture(scope="module")
def matcher(fitted: ArticleClassifier) -> ArticleMatcher:
    return ArticleMatcher.beside(fitted, [TABLET, BADGE])


def alike(document: Document, *articles: ArticleText, beside: ArticleClassifier | None = None) -> dict[str, float]:
    matcher = ArticleMatcher.beside(beside, articles) if beside else ArticleMatcher(articles)
    return dict(zip(matcher.labels_, matcher.match([document])[0].tolist(), strict=True))


def test_tickets_find_the_article_that_no_ticket_taught(matcher: ArticleMatcher, fitted: ArticleClassifier) -> None:
    found = matcher.match([document for document, _ in TICKETS])
    assert matcher.labels_ == ("badge", "tablet")
    assert [matcher.labels_[column] for column in found.argmax(axis=1)] == [label for _, label in TICKETS]
    assert found.max(axis=1).min() > LEAST
    known = matcher.match([Document("vpn", "vpn tunnel drops from home"), Document("", "printer jammed, paper stuck")])
    assert known.max() < found.max(axis=1).min()


def test_the_best_come_first_and_likeness_stays_within_one(matcher: ArticleMatcher) -> None:
    lines = matcher.pipeline_.lines([document for document, _ in TICKETS])
    for best in matcher.best(lines, k=2):
        assert [type(one) for one in best] == [Likeness, Likeness]
        assert 1 >= best[0].likeness >= best[1].likeness >= 0
    itself = Document(BADGE.title, f"{BADGE.symptoms} {' '.join(BADGE.aliases)}")
    assert 0.9 < matcher.match([itself])[0, 0] <= 1


def test_words_that_no_ticket_had_count_more_than_those_that_many_had(fitted: ArticleClassifier) -> None:
    rare = ArticleText(label="rare", title="Zebrafix")
    common = ArticleText(label="common", title="hello team please help since today")
    ticket = Document("", "hello team, please help, zebrafix since today")
    found = alike(ticket, rare, common, beside=fitted)
    unaware = alike(ticket, rare, common)
    assert found["rare"] / found["common"] > 1.2 * unaware["rare"] / unaware["common"]


def test_words_that_nobody_knows_make_a_ticket_less_alike(matcher: ArticleMatcher) -> None:
    plain = matcher.match([Document("", "badge does not open the gate")])[0, 0]
    foreign = "kqzxv jjwqy zzkpo wxyqq vvkjq qqzzk xxwvj pqkzj"
    assert matcher.match([Document("", f"badge does not open the gate {foreign}")])[0, 0] < 0.8 * plain
    assert matcher.match([Document("", foreign)]).max() < LEAST


def test_a_title_is_not_drowned_by_a_long_body() -> None:
    long = ArticleText(
        label="long", title="Badge refused at the gate", body="configure the server and restart it " * 400
    )
    other = ArticleText(label="other", title="Restart of the server", body="configure the gate")
    found = alike(Document("", "my badge was refused at the gate"), long, other)
    assert found["long"] > 2 * found["other"]


def test_a_body_tells_what_an_article_without_symptoms_is_about_but_only_its_beginning_is_read() -> None:
    ticket = Document("", "the turnstile does not react to my badge")
    told = ArticleText(label="a", title="Procedure 17", body="The turnstile does not react to the badge.")
    late = ArticleText(label="b", title="Procedure 18", body="x " * BODY_READ + told.body)
    found = alike(ticket, told, late)
    assert found["a"] > STRONG > LEAST > found["b"]


def test_translations_are_one_label_and_each_ticket_meets_the_one_in_its_language(fitted: ArticleClassifier) -> None:
    german = ArticleText(label="badge", title="Ausweis öffnet die Schranke nicht", symptoms="Das Lesegerät bleibt rot.")
    japanese = ArticleText(label="badge", title="入館カードでゲートが開かない", symptoms="カードリーダーが赤いまま。")
    matcher = ArticleMatcher.beside(fitted, [BADGE, german, TABLET, japanese])
    assert matcher.labels_ == ("badge", "tablet")
    tickets = [
        Document("", "mein Ausweis öffnet die Schranke nicht"),
        Document("", "入館カードを使ってもゲートが開きません"),
    ]
    found = matcher.match(tickets)
    assert (found[:, 0] > STRONG).all()
    assert (found[:, 1] < LEAST).all()


def test_a_ticket_gets_the_same_answer_in_any_batch(matcher: ArticleMatcher) -> None:
    documents = [document for document, _ in TICKETS] * 100
    together = matcher.match(documents)
    assert np.array_equal(together[:4], together[-4:])
    assert np.array_equal(together[:4], np.vstack([matcher.match([document]) for document in documents[:4]]))


@pytest.mark.parametrize("text", ["", " \n\t", "??? !!!", "\x00\ud800", "__label__badge </s> ||"])
def test_what_says_nothing_is_like_nothing(matcher: ArticleMatcher, text: str) -> None:
    found = matcher.match([Document(text, text)])
    assert np.isfinite(found).all()
    assert found.max() <= 1


def test_without_articles_nothing_is_found(fitted: ArticleClassifier) -> None:
    empty = ArticleMatcher.beside(fitted, [])
    assert empty.match([document for document, _ in TICKETS]).shape == (4, 0)
    assert empty.best(["badge"]) == [()]
    assert alike(TICKETS[0][0], ArticleText(label="blank", title="")) == {"blank": 0.0}


@pytest.mark.parametrize("piece", ["a", "badge ", "é", "\u0301", "入", "1.", "|| "])
def test_hostile_length_costs_no_more_than_the_text_that_is_read(matcher: ArticleMatcher, piece: str) -> None:
    matcher.match([Document(piece * 10, piece * 10)])
    started = time.process_time()
    matcher.match([Document(piece * 300_000, piece * 300_000)])
    assert time.process_time() - started < 1.5


def test_a_new_article_leads_where_it_is_alike_and_the_model_knows_no_better() -> None:
    strong, fair, weak = Likeness("a", 0.42), Likeness("b", 0.2), Likeness("c", 0.05)
    assert place([strong, fair, weak], in_scope=0.1) == Placed((strong, fair), ())
    assert place([strong, fair, weak], in_scope=0.6) == Placed((strong,), (fair,))
    assert place([strong, fair, weak], in_scope=0.97) == Placed((), (strong,))
    assert place([fair, weak], in_scope=0.5) == Placed((), (fair,))
    assert place([fair, weak], in_scope=0.97) == place([weak], in_scope=0.0) == place([], in_scope=0.0) == Placed()
    assert [one.strong for one in (strong, fair)] == [True, False]


def test_more_likeness_or_less_scope_never_puts_a_new_article_further_back() -> None:
    def rank(likeness: float, in_scope: float) -> int:
        placed = place([Likeness("a", likeness)], in_scope=in_scope)
        return 2 if placed.in_front else 1 if placed.after else 0

    grid = np.array([[rank(a / 20, s / 20) for s in range(21)] for a in range(21)])
    assert (np.diff(grid, axis=0) >= 0).all()
    assert (np.diff(grid, axis=1) <= 0).all()
    assert set(grid.ravel()) == {0, 1, 2}


def test_at_most_three_are_shown_and_two_stand_in_front() -> None:
    many = [Likeness(name, 0.5) for name in "abcde"]
    placed = place(many, in_scope=0.1)
    assert (len(placed.in_front), len(placed.after)) == (2, 1)
