"""Which of a target's hosts a ticket names: by full name, or by a first label that only one host has.

The value is always the target's own spelling; a name that it does not know is never replaced by a similar one.
"""

import re

from runbooks.mentions import UNSPACED_RUN
from runbooks.rules import Unfit, listed, short
from runbooks.targets.lists import Index

_TOKEN = re.compile(r"[\w.-]+")
_SUFFIX = re.compile(r"-(?:servers?|hosts?|nodes?|rechners?|serveurs?)$", re.IGNORECASE)
_PATTERN_BEHIND = re.compile(r"[*\[{]|[,/+&] ?[0-9]")
_LABELLED = re.compile(
    r"(?<!\w)(?:host(?:[ _-]?name)?|servers?|node|machine|rechner|serveur|hôte|ホスト名?|サーバー?名?)"
    r" ?[:=] ?([A-Za-z0-9][A-Za-z0-9._-]{0,252})",
    re.IGNORECASE,
)


def in_field(text: str, known: Index) -> str:
    """Return the one host that a whole field names; Unfit with what it could have meant."""
    name = text.strip().rstrip(".")
    meant = known.called(name)
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise Unfit(f"{short(name)} can mean {listed(meant)}", meant)
    within = {host for token in _TOKEN.findall(name) for host in known.meant(token.strip("._-"))}
    raise Unfit(f"the target has no host {short(name)}", tuple(sorted(within | set(known.near(name)))))


def in_text(text: str, known: Index) -> str:
    """Return the one host that a cleaned text names, or an empty text; Unfit where it is not surely the one."""
    found = _Found(known)
    spaced = UNSPACED_RUN.sub(" ", text)
    for match in _LABELLED.finditer(text):
        found.labelled(match[1].rstrip("._-"))
    for match in _TOKEN.finditer(spaced):
        found.token(match, spaced)
    return found.one()


class _Found:
    """What a text named so far. possible: hosts whose names may just be words. strange: unknown, and like a host."""

    def __init__(self, known: Index) -> None:
        self.known = known
        self.certain: dict[str, None] = {}
        self.possible: dict[str, None] = {}
        self.strange: dict[str, tuple[str, ...]] = {}
        self.pattern = ""

    def labelled(self, name: str) -> None:
        meant = self.known.meant(name)
        self.certain.update(dict.fromkeys(meant))
        if not meant and not name.isalpha():
            self.strange[name] = self.known.near(name)

    def token(self, match: re.Match[str], text: str) -> None:
        name = match[0].strip("._-")
        before, behind = text[max(0, match.start() - 1) : match.start()], text[match.end() : match.end() + 3]
        meant = self.known.meant(name) or self.known.meant(_SUFFIX.sub("", name))
        if not meant:
            if near := self.known.near(name):
                self.strange[name] = near
            return
        if before != "*" and _PATTERN_BEHIND.match(behind):
            self.pattern = self.pattern or f"{name}{behind.strip()}"
        # A host called mail or 365 is no host in most sentences, and the domain of an address is none either.
        sure = not name.isalpha() and not name.isdecimal() and before != "@"
        (self.certain if sure else self.possible).update(dict.fromkeys(meant))

    def one(self) -> str:
        hosts = tuple(sorted({*self.certain, *self.possible}))
        if self.strange:
            name, near = next(iter(self.strange.items()))
            raise Unfit(f"the target has no host {short(name)}", tuple(sorted({*hosts, *near})))
        if self.pattern:
            raise Unfit(f"{short(self.pattern)} may mean several hosts, and one is wanted", hosts)
        if len(hosts) > 1:
            raise Unfit(f"the text names {listed(hosts)}, and one is wanted", hosts)
        if hosts and not self.certain:
            raise Unfit(f"{short(hosts[0])} may be meant, and may be a word of the text", hosts)
        return hosts[0] if hosts else ""
