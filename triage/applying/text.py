"""YAML as the file was written: its data, and on which line each value stands.

Plain values are read as YAML 1.2's core schema has them: 22:00 and no are text, not 1320 and false.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MOST_CHARACTERS = 4_000_000
MOST_VALUES = 1_000_000
"""With every alias written out: a file of a few lines can stand for more than fits any memory."""

DEEPEST = 60

Path = tuple[str | int, ...]


class YamlInvalid(Exception):
    """This is no YAML that can be used; `line` counts from 1."""

    def __init__(self, message: str, *, line: int) -> None:
        super().__init__(message)
        self.line = line


class _Loader(yaml.SafeLoader):
    """Safe, and without YAML 1.1's dates, base-60 numbers and words for yes and no."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(0|[1-9][0-9]*)?\.[0-9]+([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("merge", r"<<", "<"),
):
    firsts = ["" if letter == "\0" else letter for letter in _first]
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), firsts)


@dataclass(frozen=True)
class Text:
    """What the file says, and where."""

    data: Any
    root: Node | None

    def line_of(self, path: Sequence[str | int]) -> tuple[int, int]:
        """The line (from 1) of the value at `path`, or of what comes nearest above; how many parts were found."""
        node, line, found = self.root, self.root.start_mark.line if self.root else 0, 0
        for part in path:
            step = _step(node, part)
            if step is None:
                break
            node, line, found = step[0], step[1], found + 1
        return line + 1, found


def read(text: str) -> Text:
    """Parse one document; YamlInvalid names the line."""
    if len(text) > MOST_CHARACTERS:
        raise YamlInvalid(f"the file has more than {MOST_CHARACTERS} characters: split it", line=1)
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return Text(None, None)
        _check(root)
        return Text(loader.construct_document(root), root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.context, error.problem) if part)
        raise YamlInvalid(f"this is no YAML: {said}", line=mark.line + 1 if mark else 1) from None
    except yaml.YAMLError as error:
        raise YamlInvalid(f"this is no YAML: {error}", line=1) from None
    except ValueError as error:  # a tag such as !!int before what is none
        raise YamlInvalid(f"a value cannot be read: {error}", line=1) from None
    finally:
        loader.dispose()


def _step(node: Node | None, part: str | int) -> tuple[Node, int] | None:
    if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
        child = node.value[part]
        return child, child.start_mark.line
    if isinstance(node, MappingNode):
        for key, value in reversed(node.value):  # a key of its own comes after those that were merged in
            if isinstance(key, ScalarNode) and key.value == str(part):
                return value, key.start_mark.line
    return None


def _check(root: Node) -> None:
    """Refuse keys that stand twice, aliases within themselves, and more values than can be meant."""
    sizes: dict[int, int] = {}
    if _size(root, sizes, depth=0) > MOST_VALUES:
        raise YamlInvalid(f"with its aliases written out the file has more than {MOST_VALUES} values", line=1)


def _size(node: Node, sizes: dict[int, int], *, depth: int) -> int:
    known = sizes.get(id(node))
    if known is not None:
        if known < 0:
            raise YamlInvalid("an alias stands within what it names", line=node.start_mark.line + 1)
        return known
    if depth > DEEPEST:
        raise YamlInvalid("lists and mappings lie too deep in each other", line=node.start_mark.line + 1)
    sizes[id(node)] = -1
    total = 1
    if isinstance(node, SequenceNode):
        total += sum(_size(child, sizes, depth=depth + 1) for child in node.value)
    elif isinstance(node, MappingNode):
        _once(node)
        total += sum(1 + _size(value, sizes, depth=depth + 1) for _, value in node.value)
    sizes[id(node)] = total
    return total


def _once(node: MappingNode) -> None:
    seen: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode):
            raise YamlInvalid("a name must be a plain word", line=line)
        if key.tag != "tag:yaml.org,2002:merge" and key.value in seen:
            raise YamlInvalid(f"{key.value} stands here and on line {seen[key.value]}: keep one", line=line)
        seen[key.value] = line
