"""A folder of Markdown files; nothing of it is asked over HTTP."""

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.feeds.fakes.library import Library


class Folder(Library):
    """Files named by number."""

    has_credentials = False
    lists_changes = False
    credentials = {}

    def settings(self) -> dict[str, Any]:
        return {"path": str(self.folder)}

    def write(self, *, title: str, html: str, changed: datetime, language: str = "en", of: str = "") -> str:
        key = f"{of}-{language}" if of else f"a{len(list(self.folder.iterdir())):04}"
        head = f"key: {key}\nlanguage: {language}\n" + (f"translation_of: {of}\n" if of else "")
        self._put(key, f"---\n{head}---\n# {title}\n\n{html}\n", changed)
        return key

    def _put(self, key: str, text: str, changed: datetime) -> None:
        file = self._file(key)
        file.write_text(text, encoding="utf-8")
        os.utime(file, (changed.timestamp(), changed.timestamp()))

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.md"

    def change(self, key: str, *, changed: datetime, title: str | None = None, html: str | None = None) -> None:
        before, _, text = self._file(key).read_text(encoding="utf-8").partition("# ")
        old_title, _, old = text.partition("\n\n")
        self._put(key, f"{before}# {title or old_title}\n\n{old if html is None else html}", changed)

    def retire(self, key: str, *, changed: datetime) -> None:
        text = self._file(key).read_text(encoding="utf-8")
        self._put(key, text.replace("---\n", "---\nretired: true\n", 1), changed)

    def publish(self, key: str, *, changed: datetime) -> None:
        self._put(key, self._file(key).read_text(encoding="utf-8").replace("retired: true\n", ""), changed)

    def remove(self, key: str) -> None:
        self._file(key).unlink()

    def spoil(self, key: str, *, changed: datetime) -> None:
        self._put(key, "---\nkey: [a\n---\n# Broken", changed)

    def partly(self) -> None:
        """The folder is not there: a mount that failed."""
        self.folder.rename(self.folder.with_name("away"))

    def whole_again(self) -> None:
        """It is back."""
        self.folder.with_name("away").rename(self.folder)
