"""The `folder` feed: Markdown files below a folder of the host that the workers run on, such as a checkout of a wiki.

A file may begin with front matter in YAML between two lines `---`: `key`, `title`, `language`, `translation_of` (a
key), `symptoms`, `aliases` (a list), `retired` and `draft` (true or false). Otherwise the title is the first heading,
the key the path with dashes, and the language the last part of a name such as `vpn.de.md`. Links are never followed.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated

import yaml
from pydantic import StringConstraints

from triage.feeds import base
from triage.feeds.base import Entry, Kind, Listed, RecordRefused, Stated, Unusable
from triage.itsm import rest
from triage.itsm.outgoing import ExchangeFailed
from triage.models import ArticleFeed

PAGE = 100
MOST_FILES = 20_000
FILE_BYTES = 1024 * 1024
HEAD_BYTES = 16 * 1024
MOST_OPEN = 200
ENDINGS = (".md", ".markdown")
_HEAD = re.compile(r"\A---[ \t]*\n(?P<head>.*?)(?:^|\n)---[ \t]*(?:\n|\Z)", re.DOTALL)
_HEADING = re.compile(r"^#{1,6}[ \t]+(?P<title>[^\n]+)$", re.MULTILINE)
_SPOKEN = re.compile(r"(?P<name>.+)\.(?P<language>[a-z]{2,3}(?:-[A-Za-z]{2,4})?)")
_OTHER = re.compile(r"[^A-Za-z0-9._]+")

Place = Annotated[str, StringConstraints(pattern=r"^/[^\x00]{1,1000}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})?$")]


class Settings(Stated):
    """`path`: an absolute path that the workers can read; `language`: of files that name none."""

    path: Place
    language: Language = "en"


def listed(feed: ArticleFeed, *, since: datetime | None, cursor: str, at: datetime) -> Listed:  # noqa: ARG001 - one form
    """All files in the order of their paths: a checkout sets no times to go by. The cursor is the last path."""
    with rest.pulling():
        said = base.read(Settings, feed)
        files = [path for path in _files(Path(said.path)) if path > cursor]
        entries: list[Entry] = []
        unusable: list[Unusable] = []
        for path in files[:PAGE]:
            try:
                entries.append(_entry(path, *_text(Path(said.path), path), said=said))
            except (RecordRefused, OSError) as error:
                unusable.append(Unusable(external_id=_name(path), reason=f"{path}: {error}"[: base.LONGEST_REASON]))
        going_on = files[PAGE - 1] if len(files) > PAGE else ""
        return Listed(entries=tuple(entries), unusable=tuple(unusable), cursor=going_on)


def _files(folder: Path) -> list[str]:
    """Paths of Markdown files below the folder, in order; hidden ones and links are left out."""
    try:
        found = sorted(_below(folder))
    except OSError as error:
        raise ExchangeFailed(f"the folder cannot be read: {error}", permanent=False) from error
    if len(found) > MOST_FILES:
        raise ExchangeFailed(f"the folder has more than {MOST_FILES} Markdown files", permanent=True)
    return found


def _below(folder: Path) -> Iterator[str]:
    def stop(error: OSError) -> None:
        raise error  # a folder that cannot be read is no empty one

    for place, inner, names in os.walk(folder, onerror=stop, followlinks=False):
        inner[:] = [name for name in inner if not name.startswith(".")]
        for name in names:
            path = Path(place, name)
            if name.endswith(ENDINGS) and not name.startswith(".") and not path.is_symlink():
                shown = os.fsencode(path.relative_to(folder)).decode("utf-8", "replace")
                yield shown


def _text(folder: Path, path: str) -> tuple[str, datetime]:
    """The file's text and when it was changed; a link that stands on the way by now is not followed."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        *inner, name = PurePosixPath(path).parts
        for part in inner:
            handle, outer = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle), handle
            os.close(outer)
        # O_NONBLOCK: a pipe of that name must not be waited for
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
    finally:
        os.close(handle)
    with os.fdopen(file, "rb") as opened:
        known = os.fstat(file)
        if not stat.S_ISREG(known.st_mode):
            raise RecordRefused("it is no file")
        raw = opened.read(FILE_BYTES + 1)
    moment = datetime.fromtimestamp(known.st_mtime, UTC)
    if len(raw) > FILE_BYTES:
        raise RecordRefused("it has more than 1 MiB")
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n"), moment
    except UnicodeDecodeError as error:
        raise RecordRefused(f"byte {error.start} is not UTF-8") from None


def _entry(path: str, text: str, moment: datetime, *, said: Settings) -> Entry:
    head, text = _parted(text)
    name = PurePosixPath(path).with_suffix("").as_posix()
    spoken = _SPOKEN.fullmatch(name)
    key = base.key(head["key"]) if head.get("key") else _key(name)
    group = _key(spoken["name"]) if spoken and not head.get("key") else key
    heading = _HEADING.search(text)
    named = head.get("title") or (heading["title"].rstrip(" \t#") if heading else PurePosixPath(name).name)
    body = text if heading is None or head.get("title") else text[: heading.start()] + text[heading.end() :]
    language = head.get("language") or head.get("lang") or (spoken["language"] if spoken else "")
    return Entry(
        external_id=key if head.get("key") else _name(path),  # a file with a key may move
        key=key,
        group=base.key(head["translation_of"]) if head.get("translation_of") else group,
        title=base.title(named),
        body=base.body(body),
        language=base.language(language, said.language),
        live=not any(head.get(word, "").lower() in {"true", "yes"} for word in ("retired", "draft")),
        url=_name(path),
        changed_at=moment,
        symptoms=base.body(head.get("symptoms", "")),
        aliases=tuple(base.title(alias) for alias in head.get("aliases", "").split("\n") if alias.strip())[:50],
    )


def _parted(text: str) -> tuple[dict[str, str], str]:
    """The front matter, lists as lines, and the text below it. Every value is text: YAML's own types are not wanted."""
    found = _HEAD.match(text) if text.startswith("---") else None
    if found is None:
        return {}, text
    if len(found["head"]) > HEAD_BYTES:
        raise RecordRefused("its front matter has more than 16 KiB")
    if found["head"].count("[") + found["head"].count("{") > MOST_OPEN:  # PyYAML's time grows with their square
        raise RecordRefused(f"its front matter has more than {MOST_OPEN} brackets")
    try:
        told = yaml.load(found["head"], Loader=yaml.BaseLoader)  # noqa: S506 - BaseLoader makes text, lists and maps only
    except (yaml.YAMLError, RecursionError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = f", line {line + 2}" if line is not None else ""
        raise RecordRefused(f"its front matter is no YAML{where}; write `name: value` on each line") from None
    if told in (None, ""):
        told = {}
    if not isinstance(told, dict):
        raise RecordRefused("its front matter is no list of `name: value`")
    kept = {str(name): _line(value) for name, value in told.items() if isinstance(name, str)}
    return kept, text[found.end() :]


def _line(value: object) -> str:
    if isinstance(value, list):
        return "\n".join(" ".join(one.split())[:200] for one in value[:100] if isinstance(one, str))
    return value if isinstance(value, str) else ""


def _key(name: str) -> str:
    """A path as a key; one that is too long or loses something keeps what tells it from others."""
    plain = _OTHER.sub("-", name).strip("-._")
    if plain and len(plain) <= 60 and "--" not in plain:
        return plain
    return f"{plain[:48].strip('-._') or 'article'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _name(path: str) -> str:
    """The file's id: its path, or what stands for one that is too long."""
    return path if len(path) <= 180 else f"{path[:120]}…{hashlib.sha256(path.encode()).hexdigest()[:16]}"


KIND = Kind(
    words="Folder of Markdown files",
    settings=Settings,
    listed=listed,
    example={"path": "/srv/articles", "language": "en"},
    changes=False,
)
