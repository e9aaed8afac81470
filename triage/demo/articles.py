"""The knowledge articles of the sample company's IT department, one file each in `knowledge/`.

A translation is an article of its own with the key of the English one as its translation group, which is the label.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

FOLDER = "knowledge"


@dataclass(frozen=True, kw_only=True)
class Article:
    """One article in one language. `runbook` is the key of its runbook, or empty."""

    key: str
    title: str
    symptoms: str
    body: str
    aliases: tuple[str, ...]
    language: str
    translation_group: str
    runbook: str = ""


@cache
def files() -> tuple[dict[str, Any], ...]:
    """The contents of the article files by key; ValueError naming a file whose key is not its name."""
    folder = resources.files("triage.demo") / FOLDER
    found = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".toml"):
            content = tomllib.loads(entry.read_text(encoding="utf-8"))
            if f"{content['key']}.toml" != entry.name:
                raise ValueError(f"{FOLDER}/{entry.name} has the key {content['key']!r}: rename one of them")
            found.append(content)
    return tuple(found)


@cache
def articles() -> tuple[Article, ...]:
    """Every article, translations after their English one."""
    return tuple(article for content in files() for article in _of_file(content))


def runbook_articles() -> dict[str, str]:
    """The runbook's key by the key of each English article that has one."""
    return {content["key"]: content["runbook"] for content in files() if content.get("runbook")}


def _of_file(content: dict[str, Any]) -> list[Article]:
    key, runbook = content["key"], content.get("runbook", "")
    aliases = tuple(content["aliases"])
    versions = {"en": content, **content.get("translations", {})}
    return [
        Article(
            key=key if language == "en" else f"{key}-{language.upper()}",
            title=version["title"],
            symptoms=" ".join(version["symptoms"].split()),
            body=version["body"].strip(),
            aliases=aliases if language == "en" else (),
            language=language,
            translation_group=key,
            runbook=runbook,
        )
        for language, version in versions.items()
    ]
