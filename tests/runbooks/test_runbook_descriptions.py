"""What a runbook may be, what the registry accepts, and which change moves which digest."""

import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from runbooks import base, registry, source
from runbooks.base import Limits, Parameter, Resources, Runbook, assurance_reaches
from runbooks.registry import RUNBOOKS, RegistryError, registered
from runbooks.source import SourceError

ROOT = Path(__file__).parents[2]
UNLOCK = RUNBOOKS["unlock_account"]


def described(**changes: Any) -> Runbook:
    given: dict[str, Any] = {
        "key": "sample",
        "title": "A sample",
        "owner": "tests",
        "tier": "low",
        "reversible": True,
        "assurance": "none",
        "folder": RUNBOOKS["record_only"].folder,
        "target_kind": "journal",
    }
    return Runbook(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"colour": "red"}, "Extra inputs are not permitted"),
        ({"key": "Not A Key"}, "String should match pattern"),
        ({"tier": "harmless"}, "'low', 'medium', 'high' or 'irreversible'"),
        ({"tier": "irreversible"}, "belong together"),
        ({"reversible": False}, "belong together"),
        ({"folder": "somewhere"}, "instance of Path"),
        ({"time_limit": 0}, "greater than or equal to 1"),
        ({"time_limit": 3600}, "less than or equal to 840"),
        ({"time_limit": "20"}, "valid integer"),
        ({"article_keys": ("KB1", "KB1")}, "stands twice"),
        ({"parameters": (UNLOCK.parameters[0],) * 2}, "same name"),
    ],
)
def test_a_description_that_does_not_hold_together_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        described(**changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kind": "choice"}, "at least one"),
        ({"kind": "account", "choices": ("a",)}, "choices belong to"),
        ({"kind": "group", "own": True}, "own belongs to"),
        ({"kind": "size_mb"}, "needs both"),
        ({"kind": "account", "maximum": 5}, "belong to the kind 'size_mb'"),
        ({"kind": "size_mb", "minimum": 5, "maximum": 4}, "minimum is above maximum"),
        ({"kind": "text"}, "name at least one in fields"),
        ({"kind": "account", "pattern": "(["}, "not a regular expression"),
    ],
)
def test_a_parameter_that_does_not_fit_its_kind_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(sentence)):
        Parameter(name="p", title="a parameter", **changes)


def test_limits_whose_circuit_could_never_open_are_refused() -> None:
    with pytest.raises(ValidationError, match="could never open"):
        Limits(circuit_failures=5, circuit_runs=4)
    with pytest.raises(ValidationError, match="greater than or equal"):
        Resources(memory_mb=1)


def test_a_description_cannot_be_changed_once_made() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(UNLOCK, "tier", "high")  # noqa: B010 - a plain assignment is refused by the type checker already


def test_the_longest_run_includes_the_undo_where_there_is_one() -> None:
    assert described(time_limit=20, undo_time_limit=15).longest_seconds == 35
    assert described(time_limit=20, tier="irreversible", reversible=False).longest_seconds == 20


def test_assurance_grows_from_nobody_to_a_signed_in_portal() -> None:
    reached = [(have, need) for have in base.ASSURANCES for need in base.ASSURANCES if assurance_reaches(have, need)]
    assert len(reached) == 10
    assert assurance_reaches("portal", "mail")
    assert not assurance_reaches("monitored", "mail")


def test_the_registry_names_what_contradicts_itself() -> None:
    other = described(key="other", article_keys=("KB0001",))
    for runbooks, sentence in (
        ([UNLOCK, UNLOCK], "two runbooks have the key 'unlock_account'"),
        ([UNLOCK, other], "unlock_account and other both claim the article 'KB0001'"),
    ):
        with pytest.raises(RegistryError, match=sentence):
            registered(runbooks)


def test_every_folder_of_the_library_is_a_runbook_and_nothing_else_is_shipped() -> None:
    library = ROOT / "runbooks" / "library"
    folders = {path for path in library.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {runbook.folder for runbook in RUNBOOKS.values()} == folders
    assert list(RUNBOOKS) == sorted(path.name for path in folders)


def test_runbooks_are_found_by_key_and_by_article() -> None:
    assert registry.for_article("KB0001") is UNLOCK
    assert registry.for_article("unheard of") is None
    with pytest.raises(RegistryError, match="no runbook 'x'; there is add_to_group"):
        registry.get("x")


STEPS = """
import re
WORD = "x"

def pre_check(context):
    assert re.match(WORD, "x")

# between
def action(context):
    pass

def post_check(context):
    pass

def undo(context):
    pass

def undo_check(context):
    pass
"""


class Folder:
    """Writes each text into a folder of its own, since a process reads the steps of one folder only once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def runbook(self, text: str, **changes: Any) -> Runbook:
        folder = self.path / uuid.uuid4().hex
        folder.mkdir()
        (folder / "steps.py").write_bytes(text.encode())
        return described(folder=folder, **changes)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_each_digest_moves_with_its_own_part_only(folder: Folder) -> None:
    first = folder.runbook(STEPS)

    def moved(text: str = STEPS, **changes: Any) -> tuple[bool, bool]:
        now = folder.runbook(text, **changes)
        return (
            now.selection_digest != first.selection_digest,
            now.action_digest != first.action_digest,
        )

    assert moved() == (False, False)
    assert moved(STEPS.replace('re.match(WORD, "x")', 're.match(WORD, "y")')) == (True, False)
    for name in ("action", "post_check", "undo", "undo_check"):
        changed = STEPS.replace(f"def {name}(context):\n    pass", f"def {name}(context):\n    print()")
        assert moved(changed) == (False, True)
    assert moved(STEPS.replace('WORD = "x"', 'WORD = "."')) == (True, True)
    assert moved(article_keys=("KB9",)) == (True, False)
    assert moved(parameters=(UNLOCK.parameters[0],)) == (True, False)
    assert moved(assurance="mail") == (True, False)
    assert moved(title="Another title", owner="others") == (False, False)


def test_digests_do_not_depend_on_line_endings_or_comments_between_functions(folder: Folder) -> None:
    first = folder.runbook(STEPS)
    for text in (STEPS.replace("\n", "\r\n"), STEPS.replace("# between\n", ""), STEPS.replace("pass\n", "pass  \n")):
        now = folder.runbook(text)
        assert (now.selection_digest, now.action_digest) == (first.selection_digest, first.action_digest)


def test_article_keys_in_another_order_are_the_same_selection() -> None:
    one, other = described(article_keys=("a", "b")), described(article_keys=("b", "a"))
    assert one.selection_digest == other.selection_digest


def test_a_copy_with_changes_has_digests_of_its_own() -> None:
    before = UNLOCK.selection_digest
    changed = UNLOCK.model_copy(update={"article_keys": ("KB9999",)})
    assert changed.selection_digest != before
    assert changed.action_digest == UNLOCK.action_digest


def test_digests_are_the_same_in_another_process_and_folder(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from runbooks.registry import RUNBOOKS\n"
        "for r in RUNBOOKS.values(): print(r.selection_digest, r.action_digest)"
    )
    argv = [sys.executable, "-c", code]
    seen = subprocess.run(argv, cwd=tmp_path, env={"PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True)
    here = [f"{runbook.selection_digest} {runbook.action_digest}" for runbook in RUNBOOKS.values()]
    assert seen.stdout.splitlines() == here
    assert all(re.fullmatch(r"[0-9a-f]{64} [0-9a-f]{64}", line) for line in here)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (STEPS.replace("def undo(context)", "def restore(context)"), r"define undo\(context\)"),
        (STEPS.replace("def action(context)", "def action(context, force)"), "exactly one argument"),
        (STEPS.replace("def action(context)", "async def action(context)"), r"define action\(context\)"),
        (STEPS + "def (:", "invalid syntax"),
    ],
)
def test_steps_that_cannot_be_used_are_named_with_their_file(folder: Folder, text: str, sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        _ = folder.runbook(text).steps


def test_what_cannot_be_undone_needs_no_undo(folder: Folder) -> None:
    text = STEPS[: STEPS.index("def undo(")]
    runbook = folder.runbook(text, tier="irreversible", reversible=False)
    assert set(runbook.steps.functions) == set(source.NEEDED)


def test_reading_steps_runs_nothing_of_them(folder: Folder, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    runbook = folder.runbook(STEPS + f"\nopen({str(witness)!r}, 'w')\n")
    assert runbook.action_digest
    assert not witness.exists()


def test_a_child_process_loads_no_heavy_library() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import runbooks.phases, runbooks.process\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'pydantic', 'psutil', 'django', 'numpy'}))"
    )
    seen = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout == "[]\n"
