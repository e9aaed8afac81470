"""Secrets that a file names and does not hold: `env:NAME`, `file:/path`, and words for what is there already."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

KEPT = "stored"
"""What the installation has already stays; an export writes it for every secret."""

NONE = "none"
"""There is to be none."""

WAYS = "write env:NAME, file:/whole/path, or plain:VALUE if it may stand in this file"
MOST_BYTES = 256 * 1024
_SECRET = re.compile(r"(^|_)(password|passphrase|secrets?|token|private_key|api_key|secret_key|secret_access_key)$")
_REFERENCE = re.compile(r"^(env|file|plain):")


class ReferenceInvalid(Exception):
    """The reference leads nowhere, or a secret stands in the clear; `path` is where below what was looked at."""

    def __init__(self, message: str, *, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


def followed(text: str) -> str:
    """What the reference leads to; raises ReferenceInvalid. The value is in no message."""
    way, _, rest = text.partition(":")
    if way == "plain" and rest:
        return rest
    if way == "env":
        found = os.environ.get(rest, "").strip()
        if not found:
            raise ReferenceInvalid(f"the environment variable {rest} is not set here: set it, or {WAYS}")
        return found
    if way == "file":
        return _content(Path(rest))
    raise ReferenceInvalid(f"a secret does not stand here in the clear: {WAYS}")


def lines(said: str | list[str]) -> str:
    """Signing secrets, one a line; the first reference is the newest one."""
    named = [said] if isinstance(said, str) else said
    found = [line.strip() for text in named for line in followed(text).splitlines()]
    return "\n".join(line for line in found if line)


def tree(value: Any, *, secret: frozenset[str] = frozenset(), path: tuple[str | int, ...] = ()) -> Any:
    """The value with every reference followed; a name that tells of a secret must hold one.

    `secret`: further names whose values are secret, whatever they are called.
    """
    if isinstance(value, Mapping):
        return {name: _entry(name, one, secret=secret, path=(*path, name)) for name, one in value.items()}
    if isinstance(value, list):
        return [tree(one, secret=secret, path=(*path, number)) for number, one in enumerate(value)]
    return _followed(value, path) if is_reference(value) else value


def in_the_clear(value: Any, *, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where names that tell of a secret hold one, in what is stored for all to read."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            if isinstance(one, str) and one and _SECRET.search(str(name)):
                yield (*path, str(name))
            else:
                yield from in_the_clear(one, path=(*path, str(name)))


def is_reference(value: object) -> bool:
    """Whether this text names a value that lies elsewhere, or says that it may stand here."""
    return isinstance(value, str) and _REFERENCE.match(value) is not None


def _entry(name: str, value: Any, *, secret: frozenset[str], path: tuple[str | int, ...]) -> Any:
    tells = name in secret or _SECRET.search(str(name)) is not None
    if tells and isinstance(value, Mapping):  # a mapping of secrets: each of them is one
        return {key: _followed(one, (*path, key)) for key, one in value.items()}
    if tells and isinstance(value, str) and value:
        return _followed(value, path)
    return tree(value, secret=secret, path=path)


def _followed(value: Any, path: tuple[str | int, ...]) -> str:
    try:
        return followed(str(value))
    except ReferenceInvalid as error:
        raise ReferenceInvalid(str(error), path=path) from None


def _content(path: Path) -> str:
    if not path.is_absolute():
        raise ReferenceInvalid(f"give the whole path of {path}, as in file:/etc/triage/secret")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ReferenceInvalid(f"{path} is too large for a secret")
        found = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ReferenceInvalid(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'no text'}") from None
    if not found:
        raise ReferenceInvalid(f"{path} is empty")
    return found
