"""Who a name could mean in a large directory: uids by uid, mail address and display name, read now and then.

Servers compare names by rules of their own, so a text's spelling of a name is compared here, as everywhere else.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from runbooks.names import handle_key, words_key

FRESH_SECONDS = 300.0
"""How long a book serves: who joined since is not found by it, neither as requester nor where a text names them."""


class Listed(NamedTuple):
    """One account's names."""

    uid: str
    mails: tuple[str, ...]
    display_names: tuple[str, ...]


class NameBook:
    """One directory's names; may be shared by clients and threads of one process."""

    def __init__(self, *, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._fresh = fresh_seconds
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._handles: dict[str, frozenset[str]] = {}
        self._names: dict[str, frozenset[str]] = {}

    def meant(self, names: Collection[str], *, read: Callable[[], Iterable[Listed]]) -> dict[str, frozenset[str]]:
        """Return for each name that means somebody the uids; `read` lists the directory when the book is too old."""
        with self._lock:
            if time.monotonic() - self._read_at > self._fresh:
                self._fill(read())
            handles, spoken = self._handles, self._names
        found: dict[str, frozenset[str]] = {}
        nobody: frozenset[str] = frozenset()
        for name in names:
            uids = handles.get(handle_key(name), nobody) | spoken.get(words_key(name), nobody)
            if uids:
                found[name] = uids
        return found

    def _fill(self, listed: Iterable[Listed]) -> None:
        handles: dict[str, set[str]] = {}
        names: dict[str, set[str]] = {}
        for account in listed:
            for handle in (account.uid, *account.mails):
                handles.setdefault(handle_key(handle), set()).add(account.uid)
            for name in account.display_names:
                names.setdefault(words_key(name), set()).add(account.uid)
        for keys in (handles, names):
            keys.pop("", None)
        self._handles = {key: frozenset(uids) for key, uids in handles.items()}
        self._names = {key: frozenset(uids) for key, uids in names.items()}
        self._read_at = time.monotonic()
