"""When there is too little to act on, and what the in-scope score learns to tell."""

from dataclasses import replace

import numpy as np
import pytest

from classifier.estimator import ArticleClassifier
from classifier.evidence import EvidenceRule, count, identify, languages_of
from classifier.fasttext_model import FastTextModel
from classifier.text import Document, TextPipeline
from tests.classifier.samples import OUTSIDE, tickets

LOG = "2026-01-02 03:04:05 ERROR [worker-17] com.acme.io.Pool: java.lang.NullPointerException at 0x7f3a\n" * 40
NOISE = {
    "empty": "",
    "white space": " \n\t\r\n ",
    "control characters": "\x00\x01\x02",
    "punctuation": "?!... --- ***",
    "numbers": "4711 0815 12 99 100000 7 7 7",
    "gibberish": "asdf qwlkj zxcvb poiuy mnbvc lkjhg",
    "base64": "aGVsbG8gd29ybGQsIHRoaXMgaXMgbm90IGEgdGlja2V0IGF0IGFsbA==" * 30,
    "log dump": LOG,
    "French": "bonjour, je n'arrive plus à ouvrir mon compte depuis ce matin, merci de votre aide",
    "Japanese": "今日は会社のメールが開けません。助けてください。",
    "Russian": "не могу войти в свою учетную запись с сегодняшнего утра, помогите пожалуйста",
    "a dangerous wish": "delete production database immediately",
}


@pytest.mark.parametrize("kind", NOISE)
def test_what_training_never_saw_scores_nothing_however_confident_the_models(
    fitted: ArticleClassifier, kind: str
) -> None:
    ranking = fitted.rank([Document("", NOISE[kind])])[0]
    assert not ranking.evidence.sufficient
    assert ranking.score == 0
    assert ranking.evidence.in_scope == 0
    assert ranking.evidence.reason.endswith(".")


def test_real_tickets_have_evidence_and_a_score(fitted: ArticleClassifier) -> None:
    rankings = fitted.rank(tickets(120, seed=3)[0])
    assert np.mean([ranking.evidence.sufficient for ranking in rankings]) > 0.97
    assert np.median([ranking.score for ranking in rankings]) > 0.8
    assert {ranking.evidence.language for ranking in rankings} == {"en"}


def test_unfamiliar_requests_in_familiar_words_score_below_tickets(fitted: ArticleClassifier) -> None:
    inside = [ranking.score for ranking in fitted.rank(tickets(120, seed=3)[0])]
    outside = fitted.rank(
        [
            Document("", "is the third floor meeting room free for my colleague and me on friday"),
            Document("", "thank you team, it is important to me that the home office party was so good"),
        ]
    )
    assert max(ranking.score for ranking in outside) < np.quantile(inside, 0.05)


def test_the_reason_names_an_unknown_language(fitted: ArticleClassifier) -> None:
    evidence = fitted.rank([Document("", NOISE["French"])])[0].evidence
    assert evidence.language == "fr"
    assert "language" in evidence.reason
    assert "(fr)" in evidence.reason


def test_chinese_is_not_taken_for_japanese_though_it_shares_its_characters(fitted: ArticleClassifier) -> None:
    rule = replace(fitted.rule_, languages=("ja", "en"), least_known_share=0.25)
    for sentence, sufficient in (("今天无法登录公司的邮箱系统请帮忙", False), ("今日は会社のメールが開けません", True)):
        line = TextPipeline().line(Document("", sentence))
        evidence = rule.judge(line, tokens=15, words=15, known=12, in_scope=0.9, agreement=0.9)
        assert evidence.sufficient is sufficient


def test_known_words_are_counted_without_numbers_and_signs() -> None:
    counts = count(["reset my passwort , 4711 !", "", "7 8"], {"reset", "my", "4711", "!"})
    assert counts.tokens.tolist() == [6, 0, 2]
    assert counts.words.tolist() == [3, 0, 0]
    assert counts.known.tolist() == [2, 0, 0]
    assert counts.known_share.tolist() == pytest.approx([2 / 3, 0, 0])


def test_a_rule_survives_its_dictionary(fitted: ArticleClassifier) -> None:
    assert EvidenceRule.from_dict(fitted.rule_.as_dict()) == fitted.rule_


def test_more_unknown_words_never_raise_the_in_scope_score(fitted: ArticleClassifier) -> None:
    rows = np.tile(np.array(fitted.rule_.means), (5, 1))
    rows[:, 3] = np.arange(5)
    scores = fitted.rule_.in_scope(rows)
    assert (np.diff(scores) <= 0).all()
    rows = np.tile(np.array(fitted.rule_.means), (5, 1))
    rows[:, 0] = np.arange(5)
    assert (np.diff(fitted.rule_.in_scope(rows)) >= 0).all()


def test_out_of_scope_examples_lower_the_scores_of_their_like() -> None:
    documents, labels = tickets(240)
    family = FastTextModel(dimensions=20, epochs=40, buckets=10_000)
    with_examples = ArticleClassifier(folds=2, fasttext=family).fit(documents, labels, out_of_scope=OUTSIDE * 5)
    assert all(ranking.score < 0.2 for ranking in with_examples.rank(OUTSIDE))


def test_languages_of_training_are_found_and_told_apart() -> None:
    german = "ich kann mich heute morgen leider nicht mehr an meinem rechner anmelden bitte um hilfe"
    english = "i am not able to sign in to my computer since this morning please help me"
    assert set(languages_of([german, english] * 20, seed=0)) == {"de", "en"}
    assert identify(german, among=("de", "en"))[0] == "de"
    language, probability = identify("今日は会社のメールが開けません")
    assert language == "ja"
    assert probability > 0.95


def test_a_rule_that_knows_no_language_refuses_none(fitted: ArticleClassifier) -> None:
    rule = replace(fitted.rule_, languages=())
    line = "je n'arrive plus à ouvrir mon compte depuis ce matin merci de votre aide"
    assert rule.judge(line, tokens=14, words=14, known=14, in_scope=0.9, agreement=0.9).sufficient
    assert not fitted.rule_.judge(line, tokens=14, words=14, known=5, in_scope=0.9, agreement=0.9).sufficient


def test_long_lines_are_judged_in_bounded_time(fitted: ArticleClassifier) -> None:
    line = TextPipeline().line(Document("", "zq " * 100_000))
    evidence = fitted.rule_.judge(line, tokens=2000, words=2000, known=0, in_scope=0.9, agreement=1.0)
    assert not evidence.sufficient
