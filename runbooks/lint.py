"""Finds in a runbook's Python steps what lets a ticket's words become a command, and checks that cannot say no.

By reading the source alone: nothing is run. It is no proof that steps are safe, only that they avoid what goes wrong
most often. An error keeps `triage runbook check` from passing, a warning is for a person to judge.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from runbooks import files
from runbooks.base import Runbook
from runbooks.files import DEFINITION
from runbooks.source import NEEDED, PHASES, STEPS
from runbooks.targets.accounts import Directory
from runbooks.targets.journal import Journal

Severity = Literal["error", "warning"]
FEW = 20
"""A repetition with fewer possible lengths than this is bounded enough."""

SHELLS = frozenset(
    {"sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "busybox", "cmd", "cmd.exe", "powershell", "pwsh"}
)
BY_SHELL = frozenset({"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "pty.spawn"})
INTO_CODE = frozenset({"eval", "exec", "compile", "__import__", "importlib.import_module", "runpy.run_path"})
UNPACKERS = (
    "pickle.load",
    "pickle.loads",
    "marshal.load",
    "marshal.loads",
    "shelve.open",
    "yaml.load",
    "yaml.unsafe_load",
)
STARTERS = ("subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.Popen")
CLIENTS: Mapping[str, type] = {"directory": Directory, "journal": Journal}
"""What steps see of a target, by its kind."""

STATEMENTS = ("execute", "executemany", "executescript")


@dataclass(frozen=True)
class Finding:
    """One thing found: where, how bad, and what to do instead. line: from 1; 0 for the whole file."""

    file: Path
    line: int
    severity: Severity
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else f"{self.file}"
        return f"{place}: {self.message}"


def check(runbook: Runbook) -> list[Finding]:
    """Return what is found in the definition and the steps of a runbook that could be read, in order of lines."""
    found = [Finding(runbook.folder / DEFINITION, 0, "warning", message) for message in _patterns(runbook)]
    if runbook.runner == "python":
        path = runbook.folder / STEPS
        tree = ast.parse(files.verified(runbook.folder, runbook.steps.digests)[STEPS])
        told = sorted({*_calls(tree), *_shape(tree, runbook), *_names(tree, runbook)})
        found += [Finding(path, line, severity, message) for line, severity, message in told]
    return found


def _patterns(runbook: Runbook) -> Iterator[str]:
    for parameter in runbook.parameters:
        if can_hang(parameter.pattern):
            field = f"parameters ({parameter.name}).pattern"
            yield f"{field}: a repetition within a repetition can take for ever on a hostile value: write it without"


def can_hang(pattern: str) -> bool:
    """Whether matching the pattern, which must compile, can take more than linear time in a value's length."""
    return _repeats_within(_parse(pattern))


# Private, but the only parser that reads what the engine reads.
_parse: Callable[[str], Any] = getattr(re, "_parser").parse  # noqa: B009 - a private name, which type stubs lack
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")


def _repeats_within(parsed: Any, *, inside: bool = False) -> bool:
    """Whether something that may be repeated any number of times holds something that may be, too."""
    for operation, argument in parsed:
        many = inside
        if str(operation) in _REPEATS and argument[1] - argument[0] > FEW:
            if inside:
                return True
            many = True
        if any(_repeats_within(inner, inside=many) for inner in _subpatterns(argument)):
            return True
    return False


def _subpatterns(argument: Any) -> Iterator[Any]:
    """The patterns within an operation's argument, however deep: groups, branches, repeats."""
    if type(argument).__name__ == "SubPattern":
        yield argument
    elif isinstance(argument, (list, tuple)):
        for inner in argument:
            yield from _subpatterns(inner)


Told = tuple[int, Severity, str]


def _calls(tree: ast.Module) -> Iterator[Told]:
    names = _imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = _name(node.func, names)
            yield from _forbidden(node, name)
            if name in STARTERS:
                yield from _started(node, name)
            if isinstance(node.func, ast.Attribute) and node.func.attr in STATEMENTS and _built(_first(node)):
                yield node.lineno, "error", "SQL is put together from values: write ? and hand the values over apart"
            if _option(node, "verify", False):
                yield node.lineno, "error", "verify=False trusts any server: give the file of its certificate authority"


def _forbidden(node: ast.Call, name: str) -> Iterator[Told]:
    if name in BY_SHELL or name.startswith(("os.exec", "os.spawn", "os.posix_spawn")):
        instead = "subprocess.run([program, ...], timeout=...)"
        yield node.lineno, "error", f"{name} starts programs by a shell or unwatched: use {instead}"
    if name in INTO_CODE:
        yield node.lineno, "error", f"{name} makes text into code: write the code itself"
    if name in UNPACKERS and not (name == "yaml.load" and "Safe" in ast.unparse(node)):
        yield node.lineno, "error", f"{name} runs what the data says: use JSON"
    shell = next((word.value for word in node.keywords if word.arg == "shell"), None)
    if shell is not None and not (isinstance(shell, ast.Constant) and not shell.value):
        yield node.lineno, "error", "shell=True makes a ticket's words a command: give a list of arguments"


def _started(node: ast.Call, name: str) -> Iterator[Told]:
    """A program that is started: how its arguments are made, and whether anybody waits for ever."""
    argv = _first(node)
    if isinstance(argv, (ast.List, ast.Tuple)):
        yield from _arguments(argv, node.lineno)
    elif _built(argv) or (isinstance(argv, ast.Constant) and isinstance(argv.value, str)):
        yield node.lineno, "error", "the command is one text: give a list, one argument an item"
    if name != "subprocess.Popen" and not any(word.arg in ("timeout", None) for word in node.keywords):
        yield node.lineno, "warning", f"{name} without timeout: the run ends by its time limit and is UNKNOWN"


def _arguments(argv: ast.List | ast.Tuple, line: int) -> Iterator[Told]:
    program = argv.elts[0] if argv.elts else None
    called = _text(program).rsplit("/", 1)[-1]
    rest = [item for item in argv.elts[1:] if not isinstance(item, ast.Constant) and not _quoted(item)]
    if called in SHELLS and rest:
        yield line, "error", f"{called} reads its arguments as commands: start the program itself"
    elif called == "ssh" and any(_built(item) for item in rest):
        yield line, "error", "ssh hands its arguments to a shell at the other end: quote each with shlex.quote"
    elif called == "ssh" and len(rest) > 1:
        yield line, "warning", "ssh hands its arguments to a shell at the other end: quote each with shlex.quote"
    elif program is not None and not isinstance(program, (ast.Constant, ast.Name, ast.Attribute)):
        yield line, "warning", "which program is started depends on values: write its path"


def _shape(tree: ast.Module, runbook: Runbook) -> Iterator[Told]:
    """The phases and what is beside them."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in PHASES:
            if node.name.endswith("_check") and node.name != "pre_check" and not _can_say_no(node):
                yield node.lineno, "error", f"{node.name} can never say no: raise NotDone when the state is another"
            if node.name not in NEEDED and not runbook.reversible:
                yield node.lineno, "warning", f"{node.name} never runs, since reversible is false: take it out"
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield (
                node.lineno,
                "warning",
                "this runs when the file is loaded, before the pre-check: move it into a phase",
            )


def _names(tree: ast.Module, runbook: Runbook) -> Iterator[Told]:
    """Parameters and parts of the target that are asked for under a name that they do not have."""
    phases = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in PHASES]
    contexts = {"context", *(argument.arg for phase in phases for argument in phase.args.args)}
    known = {parameter.name for parameter in runbook.parameters}
    client = CLIENTS.get(runbook.target_kind)
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.expr)):
        name = _parameter(node, contexts)
        if name is not None and name not in known:
            has = f"; there is {', '.join(sorted(known))}" if known else ""
            yield node.lineno, "error", f"the runbook has no parameter {name!r}{has}"
        if not isinstance(node, ast.Attribute) or client is None or hasattr(client, node.attr):
            continue
        target = node.value
        if isinstance(target, ast.Attribute) and target.attr == "target" and _is_name(target.value, contexts):
            there = ", ".join(sorted(part for part in vars(client) if not part.startswith("_")))
            yield node.lineno, "error", f"a {runbook.target_kind} has no {node.attr!r}; there is {there}"


def _parameter(node: ast.expr, contexts: set[str]) -> str | None:
    """The parameter that `context.text("x")`, `context.number("x")` or `context.parameters["x"]` asks for."""
    asked: ast.expr | None = None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("text", "number"):
        asked = _first(node) if _is_name(node.func.value, contexts) else None
    elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "parameters":
        asked = node.slice if _is_name(node.value.value, contexts) else None
    return asked.value if isinstance(asked, ast.Constant) and isinstance(asked.value, str) else None


def _is_name(node: ast.expr, names: set[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def _can_say_no(function: ast.FunctionDef) -> bool:
    """Whether anything in it could raise on purpose: a call may, by what it calls."""
    return any(isinstance(node, (ast.Raise, ast.Assert, ast.Call)) for node in ast.walk(function))


def _imported(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for: `from os import system as run` is {"run": "os.system"}."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _name(function: ast.expr, names: dict[str, str]) -> str:
    """The dotted name of what is called, imports resolved; empty where it is not a plain name."""
    parts: list[str] = []
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    if not isinstance(function, ast.Name):
        return ""
    return ".".join([names.get(function.id, function.id), *reversed(parts)]).removeprefix("builtins.")


def _first(node: ast.Call) -> ast.expr | None:
    given = next((word.value for word in node.keywords if word.arg in ("args", "sql")), None)
    return node.args[0] if node.args else given


def _built(node: ast.expr | None) -> bool:
    """Whether a text is put together from values: f"", +, % and format."""
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod)):
        return any(_is_text(part) or _built(part) for part in (node.left, node.right))
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("format", "join")


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _quoted(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("shlex.quote", "quote")


def _option(node: ast.Call, name: str, value: object) -> bool:
    return any(
        word.arg == name and isinstance(word.value, ast.Constant) and word.value.value is value
        for word in node.keywords
    )
