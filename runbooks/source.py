"""Reads a runbook's steps as text: where they lie, which functions they have, and digests over them.

The steps are never imported here, so that reading a runbook runs nothing of it.
"""

import ast
import hashlib
import importlib.util
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PHASES = ("pre_check", "action", "post_check", "undo", "undo_check")
NEEDED = ("pre_check", "action", "post_check")


class SourceError(ValueError):
    """A runbook's steps cannot be used; the message says which file and what is missing."""


@dataclass(frozen=True)
class Steps:
    """The steps of one runbook: file, sha256 of its bytes, source of each phase, and of all they share."""

    path: Path
    sha256: str
    functions: dict[str, str]
    shared: str


def digest(parts: Iterable[str]) -> str:
    """Return the sha256 (hex) of the parts, unambiguously joined as canonical JSON."""
    text = json.dumps(list(parts), ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def locate(entry: str) -> Path:
    """Return the file of the module `entry`, without running that module."""
    try:
        found = importlib.util.find_spec(entry)
    except ModuleNotFoundError as error:
        raise SourceError(f"{entry}: {error.name} cannot be imported") from error
    if found is None or not found.origin or not found.origin.endswith(".py"):
        raise SourceError(f"{entry}: no such Python file; a runbook's folder needs a steps.py")
    return Path(found.origin)


@cache
def read(entry: str, *, reversible: bool) -> Steps:
    """Read the steps of `entry`, once a process; SourceError when a phase is missing or takes other arguments."""
    path = locate(entry)
    data = path.read_bytes()
    # Line endings differ between checkouts of the same source; digests must not.
    text = data.decode("utf-8").replace("\r\n", "\n")
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise SourceError(f"{path}:{error.lineno}: {error.msg}") from error
    lines = text.split("\n")
    functions: dict[str, str] = {}
    shared: list[str] = []
    for node in tree.body:
        piece = _piece(node, lines)
        if isinstance(node, ast.FunctionDef) and node.name in PHASES:
            _check_arguments(path, node)
            functions[node.name] = piece
        elif not _is_docstring(node):
            shared.append(piece)
    wanted = PHASES if reversible else NEEDED
    missing = [name for name in wanted if name not in functions]
    if missing:
        raise SourceError(f"{path}: define {', '.join(f'{name}(context)' for name in missing)}")
    return Steps(path, hashlib.sha256(data).hexdigest(), functions, "\n".join(shared))


def _piece(node: ast.stmt, lines: list[str]) -> str:
    first = node.lineno
    if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)) and node.decorator_list:
        first = node.decorator_list[0].lineno
    return "\n".join(line.rstrip() for line in lines[first - 1 : node.end_lineno])


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _check_arguments(path: Path, node: ast.FunctionDef) -> None:
    if len(node.args.args) != 1 or node.args.kwonlyargs or node.args.vararg or node.args.kwarg:
        raise SourceError(f"{path}:{node.lineno}: {node.name} takes exactly one argument, the context")
