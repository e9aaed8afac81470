"""What is found in steps by reading them: words that become commands, checks that cannot say no."""

import ast
import sys
import uuid
from pathlib import Path

import pytest

from runbooks import checking, definition, lint
from runbooks.registry import RUNBOOKS
from tests.runbooks import folders

WRITE = 'context.target.append(context.run_id, "stamped", context.text("note"))'


def found(where: Path, line: str, *, head: str = "") -> list[tuple[str, str]]:
    """What is found where the action is this line; (severity, message)."""
    steps = folders.STEPS.replace(WRITE, line, 1)
    assert line in steps
    folder = folders.write(where / uuid.uuid4().hex, steps=f"{head}\n{steps}")
    return [(each.severity, each.message) for each in lint.check(definition.read(folder))]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('os.system("ls " + context.text("note"))', "os.system starts programs by a shell or unwatched"),
        ("os.popen('ls')", "os.popen starts"),
        ("os.execv('/bin/ls', ['ls'])", "os.execv starts"),
        ("run(context.text('note'))", "os.system starts"),
        ("sub.getoutput('ls')", "subprocess.getoutput starts"),
        ("sub.run(['ls'], shell=True, timeout=5)", "shell=True makes a ticket's words a command"),
        ("sub.run(['ls'], shell=bool(1), timeout=5)", "shell=True makes"),
        ("anything(['ls'], shell=1)", "shell=True makes"),
        ("sub.run(f'ls {context}', timeout=5)", "the command is one text: give a list"),
        ("sub.run('ls %s' % context, timeout=5)", "the command is one text"),
        ("sub.run('ls {}'.format(context), timeout=5)", "the command is one text"),
        ("sub.run('ls', timeout=5)", "the command is one text"),
        ("sub.run(['/bin/sh', '-c', f'ls {context}'], timeout=5)", "sh reads its arguments as commands"),
        ("sub.Popen(['bash', '-c', context.text('note')])", "bash reads its arguments as commands"),
        ("sub.run(['ssh', 'host', f'ls {context}'], timeout=5)", "ssh hands its arguments to a shell"),
        ("eval(context.text('note'))", "eval makes text into code"),
        ("builtins.exec('1')", "exec makes text into code"),
        ("__import__(context.text('note'))", "__import__ makes text into code"),
        ("loads(b'')", "pickle.loads runs what the data says"),
        ("yaml.load('x', Loader=yaml.Loader)", "yaml.load runs what the data says"),
        ("base.execute(f'SELECT {context}')", "SQL is put together from values"),
        ("base.cursor().executemany('SELECT ' + context, [])", "SQL is put together from values"),
        ("get('https://x', verify=False)", "verify=False trusts any server"),
    ],
)
def test_what_makes_words_into_commands_is_an_error(tmp_path: Path, line: str, message: str) -> None:
    head = "import builtins, os, yaml\nimport subprocess as sub\nfrom os import system as run\nfrom pickle import loads"
    errors = [told for severity, told in found(tmp_path, line, head=head) if severity == "error"]
    assert any(message in told for told in errors), errors


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("context.text('nte')", "the runbook has no parameter 'nte'; there is note"),
        ('context.number("other")', "the runbook has no parameter 'other'"),
        ("context.parameters['x']", "the runbook has no parameter 'x'"),
        ("context.target.apend('x')", "a journal has no 'apend'; there is allow_changes, append, close, entries"),
    ],
)
def test_names_that_do_not_exist_are_found_before_a_run_finds_them(tmp_path: Path, line: str, message: str) -> None:
    ((severity, told),) = found(tmp_path, line)
    assert (severity, message in told) == ("error", True), told


@pytest.mark.parametrize(
    "line",
    [
        "sub.run(['/bin/ls', '--', context.text('note')], timeout=5, check=True)",
        "sub.run(['ls'], shell=False, timeout=5)",
        "sub.run(['bash', '-c', 'ls'], timeout=5)",
        "sub.run(['ssh', 'host', 'ls', shlex.quote(context.text('note'))], timeout=5)",
        "base.execute('SELECT ?', [context.text('note')])",
        "yaml.load('x', Loader=yaml.SafeLoader)",
        "context.evaluate('x')",
    ],
)
def test_what_is_done_properly_is_left_alone(tmp_path: Path, line: str) -> None:
    assert found(tmp_path, line, head="import shlex, yaml\nimport subprocess as sub") == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("subprocess.run(['ls'])", "without timeout"),
        ("subprocess.run([context.text('note')], timeout=5)", "which program is started depends on values"),
        ("subprocess.run(['ssh', host, command], timeout=5)", "ssh hands its arguments to a shell"),
    ],
)
def test_what_a_person_must_judge_is_a_warning(tmp_path: Path, line: str, message: str) -> None:
    told = found(tmp_path, line, head="import subprocess")
    assert [(severity, message in what) for severity, what in told] == [("warning", True)]


def test_a_check_that_cannot_say_no_is_an_error(tmp_path: Path) -> None:
    steps = folders.STEPS[: folders.STEPS.index("def post_check")] + (
        "def post_check(context):\n    return\n\ndef undo(context):\n    pass\n\ndef undo_check(context):\n    assert 1\n"
    )
    findings = lint.check(definition.read(folders.write(tmp_path, steps=steps)))
    assert [each.message for each in findings] == [
        "post_check can never say no: raise NotDone when the state is another"
    ]
    assert steps.splitlines()[findings[0].line - 1].startswith("def post_check")


def test_code_outside_the_phases_and_an_undo_that_never_runs_are_warnings(tmp_path: Path) -> None:
    text = folders.DEFINITION.replace("reversible = true", "reversible = false").replace('"low"', '"irreversible"')
    folder = folders.write(tmp_path, definition=text, steps=f"{folders.STEPS}\nprint('loaded')\n")
    told = [str(each) for each in lint.check(definition.read(folder))]
    assert [each.split(": ")[1] for each in told] == [
        "undo never runs, since reversible is false",
        "undo_check never runs, since reversible is false",
        "this runs when the file is loaded, before the pre-check",
    ]


def test_a_pattern_that_can_take_for_ever_is_a_warning(tmp_path: Path) -> None:
    patterns = {"(a+)+b": True, "([a-z0-9-]+[.])*x": True, "(?:a|b*)*": True, "[a-z]+[.][a-z]+": False}
    patterns |= {"([0-9]{1,3}[.]){3}[0-9]{1,3}": False, "(?:a{0,30}){0,30}": True}
    for pattern, slow in patterns.items():
        text = folders.DEFINITION + f"pattern = '{pattern}'\n"
        folder = folders.write(tmp_path / uuid.uuid4().hex, definition=text)
        told = [str(each) for each in lint.check(definition.read(folder))]
        assert [f"{folder / 'runbook.toml'}: parameters (note).pattern: a repetition" in each for each in told] == (
            [True] if slow else []
        )


def test_shipped_steps_import_the_standard_library_and_runbooks_only() -> None:
    for runbook in RUNBOOKS.values():
        for path in runbook.folder.glob("steps.py"):
            nodes = list(ast.walk(ast.parse(path.read_bytes())))
            named = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
            named |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
            assert {name.split(".")[0] for name in named} <= {*sys.stdlib_module_names, "runbooks"}, path


def test_the_shipped_runbooks_have_nothing_to_find() -> None:
    for one in checking.everything():
        assert (one.key, one.errors, one.warnings) == (one.key, (), ())
    assert len(list(checking.everything())) == len(RUNBOOKS)


def test_a_folder_is_checked_before_it_is_registered_with_all_that_is_wrong(tmp_path: Path) -> None:
    folders.write(tmp_path, "unlock_account", steps=folders.STEPS.replace(WRITE, "eval('1')"))
    folders.write(tmp_path, "broken", steps="")
    folders.write(tmp_path, "fine").chmod(0o777)
    broken, fine, taken = checking.folders([tmp_path])
    assert [broken.key, fine.key, taken.key] == ["broken", "fine", "unlock_account"]
    assert "define pre_check(context), action(context)" in broken.errors[0]
    assert "others can write to it" in fine.errors[0]
    assert [("has the key" in told, "eval makes" in told) for told in taken.errors] == [(True, False), (False, True)]
    assert taken.warnings == ()
