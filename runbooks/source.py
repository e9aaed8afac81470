"""Reads a runbook's steps as text: which phases a folder has, and digests over them.

The steps are never imported here, so that reading a runbook runs nothing of it.
"""

import ast
import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from runbooks import files

PHASES = ("pre_check", "action", "post_check", "undo", "undo_check")
NEEDED = ("pre_check", "action", "post_check")
STEPS = "steps.py"
ENGINES = {"ansible": "ansible-core"}
"""The package that carries out what a runner's files say: another version of it may do something else."""


class SourceError(ValueError):
    """A runbook's steps cannot be used; the message says which file and what is missing."""


@dataclass(frozen=True)
class Steps:
    """What a runbook runs, as it was when this process first read it.

    functions: the source of each phase. shared: the source of all that phases share. digests: sha256 (hex) of
    every file of the folder by its relative name, for `files.verified`.
    """

    folder: Path
    functions: Mapping[str, str]
    shared: str
    digests: Mapping[str, str]


def digest(parts: Iterable[str]) -> str:
    """Return the sha256 (hex) of the parts, unambiguously joined as canonical JSON."""
    text = json.dumps(list(parts), ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


@cache
def engine(runner: str) -> str:
    """Return name and version of the package that a runner's files are for; empty where there is none."""
    try:
        return f"{ENGINES[runner]} {importlib.metadata.version(ENGINES[runner])}" if runner in ENGINES else ""
    except importlib.metadata.PackageNotFoundError:
        return ""


@cache
def read(folder: Path, *, runner: str, reversible: bool) -> Steps:
    """Read what the folder runs, once a process; SourceError when a phase is missing or takes other arguments.

    The runner `python` has its phases as functions in steps.py. Every other one has them as files named after the
    phase, where it needs them (`action.yml`). Whatever else lies in the folder is shared by all phases.
    """
    try:
        data = files.contents(folder)
    except (files.FolderError, OSError) as error:
        raise SourceError(str(error)) from error
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in data.items()}
    if runner == "python":
        functions, shared = _python(folder / STEPS, data.get(STEPS), reversible=reversible)
        others = {name: sha256 for name, sha256 in digests.items() if name != STEPS}
    else:
        phases = {name: PurePosixPath(name).stem for name in digests if PurePosixPath(name).stem in PHASES}
        functions = {phase: "" for phase in PHASES if phase in phases.values()}
        for name, phase in phases.items():
            functions[phase] += f"{name} {digests[name]}\n"
        shared, others = "", {name: sha256 for name, sha256 in digests.items() if name not in phases}
    shared += "".join(f"\n{name} {sha256}" for name, sha256 in others.items())
    return Steps(folder, functions, shared, digests)


def _python(path: Path, data: bytes | None, *, reversible: bool) -> tuple[dict[str, str], str]:
    """Return the source of each phase, and of everything else in the file."""
    if data is None:
        raise SourceError(f"{path}: no such file; a Python runbook's folder needs a {STEPS}")
    try:
        # Line endings differ between checkouts of the same source; digests must not.
        text = data.decode("utf-8").replace("\r\n", "\n")
        tree = ast.parse(text)
    except SyntaxError as error:
        raise SourceError(f"{path}:{error.lineno}: {error.msg}") from error
    except ValueError as error:
        raise SourceError(f"{path}: no Python source in UTF-8: {error}") from error
    except (RecursionError, MemoryError) as error:
        raise SourceError(f"{path}: nested too deep to be read") from error
    lines = text.split("\n")
    functions: dict[str, str] = {}
    shared: list[str] = []
    for node in tree.body:
        piece = _piece(node, lines)
        if isinstance(node, ast.FunctionDef) and node.name in PHASES:
            _check_phase(path, node, already=node.name in functions)
            functions[node.name] = piece
        elif not _is_docstring(node):
            shared.append(piece)
    wanted = PHASES if reversible else NEEDED
    missing = [name for name in wanted if name not in functions]
    if missing:
        raise SourceError(f"{path}: define {', '.join(f'{name}(context)' for name in missing)}")
    return functions, "\n".join(shared)


def _piece(node: ast.stmt, lines: list[str]) -> str:
    first = node.lineno
    if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)) and node.decorator_list:
        first = node.decorator_list[0].lineno
    return "\n".join(line.rstrip() for line in lines[first - 1 : node.end_lineno])


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _check_phase(path: Path, node: ast.FunctionDef, *, already: bool) -> None:
    arguments = node.args
    if (
        len([*arguments.posonlyargs, *arguments.args]) != 1
        or arguments.kwonlyargs
        or arguments.vararg
        or arguments.kwarg
    ):
        raise SourceError(f"{path}:{node.lineno}: {node.name} takes exactly one argument, the context")
    if already:
        raise SourceError(f"{path}:{node.lineno}: {node.name} is defined twice: take one of them out")
