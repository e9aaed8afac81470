"""Each trap of fastText, shown closed."""

from pathlib import Path

import fasttext
import numpy as np
import pytest
from sklearn.base import clone

from classifier.fasttext_model import FastTextError, FastTextModel, Vectors, profile, skipgram
from classifier.text import TextPipeline
from tests.classifier.samples import tickets

DOCUMENTS, LABELS = tickets(240)
LINES = TextPipeline().lines(DOCUMENTS)
SMALL = FastTextModel(dimensions=10, epochs=15, buckets=2000)


@pytest.fixture(scope="module", params=["softmax", "ova"])
def model(request: pytest.FixtureRequest) -> FastTextModel:
    model: FastTextModel = clone(SMALL).set_params(loss=request.param)
    return model.fit(LINES, LABELS)


def test_rows_sorted_by_label_are_learnt_all_the_same(model: FastTextModel) -> None:
    unseen, truth = tickets(120, seed=1)
    assert (model.predict(TextPipeline().lines(unseen)) == np.array(truth)).mean() > 0.9


def test_the_same_training_gives_the_same_file(model: FastTextModel, tmp_path: Path) -> None:
    again = clone(model).fit(LINES, LABELS)
    model.save(tmp_path / "one.bin")
    again.save(tmp_path / "two.bin")
    assert (tmp_path / "one.bin").read_bytes() == (tmp_path / "two.bin").read_bytes()


def test_another_seed_gives_another_model(model: FastTextModel) -> None:
    other = clone(model).set_params(seed=7).fit(LINES, LABELS)
    assert not np.array_equal(other.decision_function(LINES), model.decision_function(LINES))


def test_logits_are_those_of_the_library(model: FastTextModel, tmp_path: Path) -> None:
    model.save(tmp_path / "model.bin")
    library = fasttext.load_model(str(tmp_path / "model.bin"))
    logits = model.decision_function(LINES[:20])
    if model.loss == "ova":
        ours = 1 / (1 + np.exp(-logits))
    else:
        ours = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for line, row in zip(LINES[:20], ours, strict=True):
        labels, probabilities = library.predict(line, k=-1)
        theirs = {int(label.removeprefix("__label__")): p for label, p in zip(labels, probabilities, strict=True)}
        # The library looks its sigmoid up in a table of 512 steps.
        assert row == pytest.approx([theirs[code] for code in range(len(row))], abs=0.01)


def test_probabilities_are_probabilities(model: FastTextModel) -> None:
    probabilities = model.predict_proba(LINES)
    assert probabilities.min() >= 0
    assert probabilities.max() <= 1
    assert probabilities.sum(axis=1) == pytest.approx(1)


def test_a_text_has_the_same_bits_in_any_batch(model: FastTextModel) -> None:
    whole = model.decision_function(LINES[:50])
    assert np.array_equal(whole, np.vstack([model.decision_function([line]) for line in LINES[:50]]))


@pytest.mark.parametrize("line", ["", " ", "\n", "\x00", "</s>", "__label__"])
def test_an_empty_text_favours_no_article(model: FastTextModel, line: str) -> None:
    assert model.predict_proba([line]) == pytest.approx(1 / len(model.classes_))


def test_a_text_can_neither_break_its_line_nor_forge_a_label() -> None:
    hostile = ["a b\n__label__5 c d", "__label__evil x\x00y", "p </s> q\r\n", "\ud800 z", "a __label____label__1 b"]
    model = clone(SMALL).fit([*LINES, *hostile], [*LABELS, *["vpn-down"] * len(hostile)])
    assert set(model.classes_) == set(LABELS)
    assert model.decision_function(hostile).shape == (len(hostile), len(model.classes_))


def test_any_label_comes_back_as_it_was() -> None:
    names = ["KB 001", "__label__x", "日本", "a\nb", "</s>", "0"]
    renamed = dict(zip(sorted(set(LABELS)), names, strict=True))
    model = clone(SMALL).fit(LINES, [renamed[label] for label in LABELS])
    assert sorted(model.classes_) == sorted(names)
    assert model.predict([LINES[0]])[0] == renamed[LABELS[0]]


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(FastTextError, match="lower learning_rate"):
        clone(SMALL).set_params(learning_rate=1e9).fit(LINES, LABELS)


def test_want_of_memory_is_an_error_of_ours_and_no_memory_error() -> None:
    with pytest.raises(FastTextError, match="use fewer"):
        FastTextModel(dimensions=400_000, buckets=2_000_000_000, epochs=1).fit(LINES, LABELS)


def test_a_stored_model_answers_as_before(model: FastTextModel, tmp_path: Path) -> None:
    model.save(tmp_path / "model.bin")
    opened = clone(model).restore(tmp_path / "model.bin", model.classes_.tolist())
    assert np.array_equal(opened.decision_function(LINES), model.decision_function(LINES))


def test_a_file_that_is_no_model_is_refused(model: FastTextModel, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"no model at all")
    with pytest.raises(FastTextError, match="not a fastText model"):
        FastTextModel().restore(tmp_path / "model.bin", ["a"])
    model.save(tmp_path / "good.bin")
    with pytest.raises(FastTextError, match="labels"):
        FastTextModel().restore(tmp_path / "good.bin", ["a", "b"])


def test_what_is_chosen_by_size_keeps_the_file_small() -> None:
    for rows, characters in ((10, 100), (4_000, 200_000), (15_000, 600_000), (200_000, 50_000_000)):
        chosen = profile(rows=rows, characters=characters)
        assert chosen.buckets * chosen.dimensions * 4 <= 21_000_000
    few, many = profile(rows=1_000, characters=50_000), profile(rows=100_000, characters=5_000_000)
    assert few.epochs > many.epochs
    assert few.buckets < many.buckets


def test_a_vocabulary_of_identifiers_does_not_blow_up_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classifier.fasttext_model._MOST_WORDS", 50)
    model = clone(SMALL).fit(LINES, LABELS)
    assert len(model.model_.get_words()) <= 51
    assert model.min_count_ > 1
    assert (model.predict(LINES) == np.array(LABELS)).mean() > 0.9


def test_parameters_follow_scikit_learn() -> None:
    model = FastTextModel(loss="softmax", epochs=3)
    assert clone(model).get_params() == model.get_params()
    assert model.fit(LINES, LABELS) is model
    assert model.epochs is model.epochs_ == 3
    assert model.dimensions is None


@pytest.mark.parametrize(
    ("lines", "labels", "message"), [([], [], "at least one"), (["a"], [], "1 lines and 0 labels")]
)
def test_training_without_rows_is_refused(lines: list[str], labels: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FastTextModel().fit(lines, labels)


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="softmax, ova"):
        FastTextModel(loss="hs").fit(LINES, LABELS)


def test_words_of_given_vectors_are_known_though_no_line_has_them() -> None:
    vectors = Vectors(("vpn", "zzyzx", "qwfpg"), np.eye(3, 10, dtype=np.float32))
    model = clone(SMALL).fit(LINES, LABELS, vectors=vectors)
    assert {"zzyzx", "qwfpg"} <= set(model.model_.get_words())
    plain = clone(SMALL).fit(LINES, LABELS)
    assert not np.array_equal(model.decision_function(["zzyzx"]), plain.decision_function(["zzyzx"]))
    row = model.model_.get_input_vector(model.model_.get_word_id("zzyzx"))
    assert row == pytest.approx(vectors.values[1])
    assert (model.predict(LINES) == np.array(LABELS)).mean() > 0.9


def test_a_vector_for_each_of_many_words_does_not_make_training_longer() -> None:
    foreign = Vectors(tuple(f"foreign{i}" for i in range(20_000)), np.zeros((20_000, 10), dtype=np.float32))
    plain, started = (clone(SMALL).fit(LINES, LABELS, vectors=vectors) for vectors in (None, foreign))
    sizes = [np.linalg.norm(model.model_.get_output_matrix()) for model in (plain, started)]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.25)  # six times the updates would make it far larger


def test_vectors_of_other_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="3 dimensions, the model 10"):
        clone(SMALL).fit(LINES, LABELS, vectors=Vectors(("a",), np.ones((1, 3), dtype=np.float32)))


def test_no_vectors_are_as_good_as_none() -> None:
    nothing = Vectors((), np.zeros((0, 3), dtype=np.float32))
    one, other = (clone(SMALL).fit(LINES, LABELS, vectors=vectors) for vectors in (None, nothing))
    assert np.array_equal(one.decision_function(LINES), other.decision_function(LINES))


@pytest.mark.parametrize("lines", [[], [""] * 3, ["a b c"], ["\x00", "</s> </s>"]])
def test_lines_without_a_word_that_occurs_twice_have_no_vectors(lines: list[str]) -> None:
    assert skipgram(lines, dimensions=5, epochs=1, most_words=10).words == ()


def test_no_line_forges_a_word_of_the_librarys() -> None:
    words = skipgram(["__label__x </s> a\nb " + "y" * 100] * 5, dimensions=5, epochs=1, most_words=10).words
    assert sorted(words) == ["a", "b", "x"]


def test_vectors_repeat_and_follow_the_seed() -> None:
    one, again, other = (skipgram(LINES, dimensions=5, epochs=2, most_words=50, seed=seed) for seed in (0, 0, 1))
    assert len(one.words) == 50
    assert one.text == again.text
    assert one.text != other.text


def test_rows_of_many_words_are_learnt_at_a_higher_rate() -> None:
    rates = [profile(rows=1000, characters=50_000, words=words).learning_rate for words in (1, 12, 36, 500)]
    assert rates == [0.5, 0.5, 1.5, 2.0]
    assert clone(SMALL).fit([f"{line} " * 8 for line in LINES], LABELS).learning_rate_ == 2.0


def test_a_rate_that_was_chosen_is_halved_until_the_numbers_stay_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    family, lines = clone(SMALL).set_params(loss="softmax", epochs=60), [f"{line} " * 9 for line in LINES]
    with pytest.raises(FastTextError, match=r"lower learning_rate \(64"):
        clone(family).set_params(learning_rate=64).fit(lines, LABELS)
    monkeypatch.setattr("classifier.fasttext_model._RATES", (64, 64))
    model = family.fit(lines, LABELS)
    assert model.learning_rate_ in {1, 2, 4, 8, 16, 32}
    assert np.isfinite(model.decision_function(lines)).all()
