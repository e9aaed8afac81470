"""Tickets that nobody labelled teach what words mean, where that helps; where it does not, they change nothing."""

import random
from pathlib import Path

import numpy as np
import pytest

from classifier import artifact, pretraining
from classifier.estimator import ArticleClassifier
from classifier.fasttext_model import FastTextModel
from classifier.text import Document, TextPipeline

KEY = b"0123456789abcdef0123456789abcdef"
TOPICS = ("network", "printing", "accounts", "payroll")
FEW = FastTextModel(epochs=25, buckets=2000)


def _invented(rng: random.Random, count: int) -> list[str]:
    """Words without any letters in common but by chance, so that nothing but their neighbours tells what they mean."""
    return ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(count)]


class Desk:
    """Tickets in an invented language: each topic has words that labelled tickets use, and words that none does."""

    def __init__(self) -> None:
        rng = random.Random(5)
        self.rng = rng
        self.labelled_words = {topic: _invented(rng, 60) for topic in TOPICS}
        self.other_words = {topic: _invented(rng, 20) for topic in TOPICS}
        self.fillers = _invented(rng, 20)
        self.labels = [topic for topic in TOPICS for _ in range(15)]
        self.labelled = [self.ticket(self.labelled_words[topic]) for topic in self.labels]
        self.truth = [topic for topic in TOPICS for _ in range(25)]
        self.asked = [self.ticket(self.other_words[topic]) for topic in self.truth]
        self.unlabelled = [
            self.ticket([*self.labelled_words[topic], *self.other_words[topic]]) for topic in TOPICS for _ in range(300)
        ]

    def ticket(self, words: list[str]) -> Document:
        return Document("", " ".join([*self.rng.sample(words, 4), *self.rng.sample(self.fillers, 2)]))

    def trained(self, unlabelled: list[Document], *, jobs: int = 2) -> ArticleClassifier:
        model = ArticleClassifier(folds=2, fasttext=FEW, jobs=jobs)
        return model.fit(self.labelled, self.labels, unlabelled=unlabelled)

    def accuracy(self, model: ArticleClassifier) -> float:
        return float((model.predict(self.asked) == np.array(self.truth)).mean())


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


@pytest.fixture(scope="module")
def without(desk: Desk) -> ArticleClassifier:
    return desk.trained([])


@pytest.fixture(scope="module")
def pretrained(desk: Desk) -> ArticleClassifier:
    return desk.trained(desk.unlabelled)


def test_words_that_no_labelled_ticket_has_are_understood_from_the_words_beside_them(
    desk: Desk, without: ArticleClassifier, pretrained: ArticleClassifier
) -> None:
    assert desk.accuracy(without) < 0.6
    assert desk.accuracy(pretrained) > 0.9
    assert pretrained.report_["pretrained"]
    assert pretrained.report_["unlabelled"] == len(set(desk.unlabelled))
    assert pretrained.report_["log_loss_with_vectors"] < pretrained.report_["log_loss_without_vectors"]


def test_a_stored_model_keeps_what_unlabelled_tickets_taught_it(
    desk: Desk, pretrained: ArticleClassifier, tmp_path: Path
) -> None:
    artifact.save(pretrained, tmp_path / "model", key=KEY, golden=desk.asked[:5], metadata={})
    opened = artifact.load(tmp_path / "model", key=KEY)
    assert opened.rank(desk.asked) == pretrained.rank(desk.asked)
    assert opened.report_["pretrained"] is True


def test_the_same_training_gives_the_same_model_in_one_thread_or_two(
    desk: Desk, pretrained: ArticleClassifier, tmp_path: Path
) -> None:
    again = desk.trained(desk.unlabelled, jobs=1)
    for name, model in (("one", pretrained), ("two", again)):
        model.fasttext_.save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert np.array_equal(again.predict_proba(desk.asked), pretrained.predict_proba(desk.asked))


def test_vectors_that_do_not_win_out_of_fold_change_nothing(desk: Desk, without: ArticleClassifier) -> None:
    foreign = _invented(random.Random(1), 100)
    model = desk.trained([Document("", " ".join(desk.rng.sample(foreign, 6))) for _ in range(1000)])
    assert (model.report_["unlabelled"], model.report_["pretrained"]) == (1000, False)
    assert model.report_["log_loss_with_vectors"] == pytest.approx(model.report_["log_loss_without_vectors"])
    assert np.array_equal(model.predict_proba(desk.asked), without.predict_proba(desk.asked))


def test_too_few_texts_beyond_the_labelled_ones_change_nothing(desk: Desk, without: ArticleClassifier) -> None:
    few = desk.unlabelled[: pretraining.FEWEST - 1]
    model = desk.trained([*few, *few, *desk.labelled * 20, Document("", "")])
    assert model.report_["unlabelled"] == len(set(few))
    assert not model.report_["pretrained"]
    assert np.array_equal(model.predict_proba(desk.asked), without.predict_proba(desk.asked))


@pytest.mark.parametrize(
    "texts",
    [
        [f"\x00\n</s> __label__{i} \ud800 __label__ network" for i in range(1000)],
        [chr(0x4E00 + i) * 3 for i in range(1000)],
        [f"u{i}nique" for i in range(1000)],
        [f"{i} " + "x" * 50_000 for i in range(1000)],
    ],
    ids=["traps", "unspaced", "no word twice", "long words"],
)
def test_no_unlabelled_text_breaks_a_training(desk: Desk, texts: list[str]) -> None:
    model = desk.trained([Document(text[:5], text) for text in texts])
    assert set(model.classes_) == set(TOPICS)
    assert np.isfinite(model.predict_proba(desk.asked)).all()


def test_vectors_are_bounded_centred_and_of_a_known_length(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining, "MOST_WORDS", 40)
    lines = TextPipeline().lines(desk.unlabelled[::4])
    vectors = pretraining.learn(lines, dimensions=10)
    assert vectors.values.shape == (40, 10)
    assert np.linalg.norm(vectors.values.mean(axis=0)) == pytest.approx(0, abs=0.01)
    assert np.sqrt((vectors.values**2).sum(axis=1).mean()) == pytest.approx(pretraining.LENGTH, rel=0.01)
    assert set(vectors.words) >= set(desk.fillers)


def test_of_very_much_text_the_first_words_are_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = TextPipeline().lines(desk.unlabelled[:100])
    read = pretraining.learn(lines, dimensions=5)
    monkeypatch.setattr(pretraining, "_READ", sum(len(line.split()) for line in lines))
    more = pretraining.learn([*lines, "one more line", *lines], dimensions=5)
    assert more.words == read.words
    assert np.array_equal(more.values, read.values)


def test_the_linear_family_alone_has_no_use_for_vectors(desk: Desk) -> None:
    model = ArticleClassifier(folds=2, fasttext=FEW, families="linear")
    model.fit(desk.labelled, desk.labels, unlabelled=desk.unlabelled)
    assert not model.report_["pretrained"]
    assert "log_loss_with_vectors" not in model.report_
