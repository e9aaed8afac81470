"""Stored models: complete, unaltered, repeatable, or refused before anything is opened."""

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import fasttext
import numpy as np
import pytest

from classifier import alone, artifact, golden
from classifier.artifact import ArtifactError
from classifier.estimator import ArticleClassifier
from classifier.fasttext_model import FastTextModel
from classifier.text import Document
from tests.classifier.samples import tickets

KEY = b"k" * 32
DOCUMENTS = [*tickets(60, seed=5)[0], Document("", ""), Document("今日は", "\x00__label__x")]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def stored(fitted: ArticleClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "v1"
    artifact.save(fitted, folder, key=KEY, golden=DOCUMENTS[:20], metadata={"customer": "default"})
    return folder


@pytest.fixture
def copy(stored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stored, tmp_path / "copy"))


def test_a_loaded_model_answers_to_the_last_place_as_the_fitted_one(fitted: ArticleClassifier, stored: Path) -> None:
    loaded = artifact.load(stored, key=KEY)
    assert loaded.rank(DOCUMENTS) == fitted.rank(DOCUMENTS)
    assert np.array_equal(loaded.predict_proba(DOCUMENTS), fitted.predict_proba(DOCUMENTS))
    assert loaded.classes_.tolist() == fitted.classes_.tolist()
    assert loaded.pipeline_ == fitted.pipeline_


def test_equal_models_have_equal_digests_whatever_their_golden_set(
    fitted: ArticleClassifier, stored: Path, tmp_path: Path
) -> None:
    manifest = artifact.save(
        artifact.load(stored, key=KEY), tmp_path / "again", key=b"x" * 32, golden=[], metadata={"other": "words"}
    )
    assert manifest.digest == artifact.digest(stored) == artifact.digest(tmp_path / "again")
    family = FastTextModel(dimensions=5, epochs=5, buckets=1000)
    fitted_again = ArticleClassifier(folds=2, fasttext=family).fit(*tickets(120))
    other = artifact.save(fitted_again, tmp_path / "other", key=KEY, golden=[], metadata={})
    assert other.digest != manifest.digest


def test_the_manifest_says_what_is_there(stored: Path) -> None:
    manifest = artifact.read_manifest(stored, key=KEY)
    assert manifest.metadata == {"customer": "default"}
    assert set(manifest.files) | {"manifest.json"} == {path.name for path in stored.iterdir()}
    assert manifest.size == sum(path.stat().st_size for path in stored.iterdir() if path.name != "manifest.json")
    assert not [path for path in stored.iterdir() if path.suffix in (".pkl", ".joblib")]


def test_the_binary_is_fasttexts_own(stored: Path) -> None:
    assert fasttext.load_model(str(stored / "model.bin")).predict("my password is forgotten")[0]


@pytest.mark.parametrize("name", ["model.bin", "linear.npz", "vocabulary.json", "classifier.json", "golden.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "append", "remove", "empty"])
def test_any_damage_to_any_file_is_refused(copy: Path, name: str, damage: str) -> None:
    path = copy / name
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    damaged = {"flip": bytes(content), "truncate": content[:-1], "append": content + b"\0", "empty": b""}
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(bytes(damaged[damage]))
    with pytest.raises(ArtifactError, match=name.replace(".", r"\.")):
        artifact.load(copy, key=KEY)


def test_another_key_opens_nothing(stored: Path) -> None:
    with pytest.raises(ArtifactError, match="not signed with this installation's key"):
        artifact.load(stored, key=b"z" * 32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": {"customer": "another"}}, "not signed"),
        ({"digest": "0" * 64}, "not signed"),
        ({"hmac": None}, "not signed"),
        ({"hmac": "é"}, "not signed"),
    ],
)
def test_a_changed_manifest_is_refused(copy: Path, change: dict[str, object], message: str) -> None:
    values = json.loads((copy / "manifest.json").read_bytes())
    (copy / "manifest.json").write_text(json.dumps({**values, **change}))
    with pytest.raises(ArtifactError, match=message):
        artifact.load(copy, key=KEY)


@pytest.mark.parametrize("content", [b'{"size":NaN}', b"", b"[]", b"{", b"\xff", b"[" * 200_000, b"{}"])
def test_a_manifest_that_is_none_is_refused(copy: Path, content: bytes) -> None:
    (copy / "manifest.json").write_bytes(content)
    with pytest.raises(ArtifactError):
        artifact.load(copy, key=KEY)


def test_a_swapped_but_signed_file_list_does_not_escape_the_folder(copy: Path) -> None:
    values = json.loads((copy / "manifest.json").read_bytes())
    del values["hmac"]
    values["files"]["../../etc/passwd"] = "0" * 64
    values["hmac"] = artifact._signature(values, KEY)
    (copy / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(ArtifactError, match="does not list the files"):
        artifact.load(copy, key=KEY)


def test_a_signed_model_of_another_shape_is_refused_in_words(fitted: ArticleClassifier, copy: Path) -> None:
    described = json.loads((copy / "classifier.json").read_bytes())
    described["classes"] = described["classes"][:-1]
    (copy / "classifier.json").write_bytes(artifact._canonical(described))
    values = json.loads((copy / "manifest.json").read_bytes())
    del values["hmac"]
    values["files"]["classifier.json"] = artifact._sha256(copy / "classifier.json")
    values["digest"] = artifact._digest(values["files"])
    values["hmac"] = artifact._signature(values, KEY)
    (copy / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(ArtifactError, match="does not fit this version"):
        artifact.load(copy, key=KEY)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no readable manifest"):
        artifact.load(tmp_path / "nowhere", key=KEY)


def test_a_model_is_never_overwritten(fitted: ArticleClassifier, stored: Path) -> None:
    before = artifact.digest(stored)
    with pytest.raises(ArtifactError, match="exists already"):
        artifact.save(fitted, stored, key=KEY, golden=[], metadata={})
    assert artifact.digest(stored) == before


def test_a_save_that_fails_leaves_nothing_behind(fitted: ArticleClassifier, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 16"):
        artifact.save(fitted, tmp_path / "model", key=b"short", golden=[], metadata={})
    assert list(tmp_path.iterdir()) == []


def test_the_golden_set_repeats_in_a_fresh_process(stored: Path) -> None:
    golden.check_in_child(stored, key=KEY)


def test_a_model_that_answers_otherwise_than_it_was_saved_fails_in_the_child(copy: Path) -> None:
    values = json.loads((copy / "golden.json").read_bytes())
    values["rankings"][3]["matches"][0]["label"] = "no-such-article"
    (copy / "golden.json").write_bytes(artifact._canonical(values))
    manifest = json.loads((copy / "manifest.json").read_bytes())
    del manifest["hmac"]
    manifest["files"]["golden.json"] = artifact._sha256(copy / "golden.json")
    manifest["hmac"] = artifact._signature(manifest, KEY)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=r"1 of 20 answers changed; document 4: articles .*no-such-article"):
        golden.check_in_child(copy, key=KEY)


def test_a_child_that_hangs_is_given_up(stored: Path) -> None:
    with pytest.raises(ArtifactError, match="did not answer"):
        golden.check_in_child(stored, key=KEY, seconds=0.05)


def test_differences_beyond_the_last_place_are_told(fitted: ArticleClassifier) -> None:
    one = [ranking.as_dict() for ranking in fitted.rank(DOCUMENTS[:2])]
    assert golden.differences(one, one) == []
    other = json.loads(json.dumps(one))
    other[1]["matches"][0]["probability"] += 1e-6
    assert golden.differences(one, other) == []
    other[1]["matches"][0]["probability"] += 1e-3
    assert golden.differences(one, other)[0].startswith("document 2: a number differs")
    assert golden.differences(one, one[:1]) == ["2 rankings expected, 1 found"]


def _alone(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "classifier.alone", str(folder)]
    return subprocess.run(command, input=text, capture_output=True, text=True, cwd=ROOT, check=False, timeout=120)


def test_one_ticket_alone_is_ranked_as_in_the_worker(fitted: ArticleClassifier, stored: Path) -> None:
    document = DOCUMENTS[0]
    done = _alone(stored, f"{KEY.hex()}\n{json.dumps(document._asdict())}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == fitted.rank([document])[0].as_dict()


@pytest.mark.parametrize(
    ("key", "text"),
    [("", ""), (KEY.hex(), ""), (KEY.hex(), "[]"), ("zz", "{}"), ("00" * 32, '{"subject":"","body":""}')],
)
def test_what_cannot_be_ranked_alone_fails_with_a_reason(
    stored: Path, key: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{key}\n{text}"))
    assert alone.main([str(stored)]) == 1
    assert capsys.readouterr().err.strip()


def test_a_damaged_model_fails_the_child_without_a_traceback(copy: Path) -> None:
    (copy / "model.bin").write_bytes(b"")
    done = _alone(copy, f'{KEY.hex()}\n{{"subject":"","body":""}}')
    assert done.returncode == 1
    assert done.stderr.startswith("ArtifactError: model.bin")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("main", [alone.main, golden.main])
def test_the_commands_tell_their_usage(
    main: Callable[[Sequence[str]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("usage: python -m classifier.")
