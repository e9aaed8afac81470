"""Who asks for what: the accounts, groups and sizes that tickets of the runbooks' articles name.

Asks follow the directory, so that most runs find what they are to change; now and then somebody asks whose
account is held, privileged, disabled, or bound by a policy.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from runbooks.targets.directory import LOCKED_BY_FAILED_LOGINS, Account, Group
from triage.demo import articles

_SIZES_MB = (3072, 4096, 5120, 6144, 7168, 8192, 10240)
_SIZE_FORMS = {
    "en": ("{gb} GB", "{gb}GB", "{mb} MB", "{gb} gigabytes"),
    "de": ("{gb} GB", "{gb}GB", "{mb} MB", "{dotted} MB"),
    "fr": ("{gb} Go", "{gb} GB", "{mb} Mo"),
    "ja": ("{gb} GB", "{gb}GB", "{mb} MB", "{gb}ギガ"),
}
_ODD_SHARE = 0.05
_CLOSED_SHARE = 0.04


@dataclass(frozen=True)
class Ask:
    """One request: whose account, whose else is mentioned, which group or size. `parameters`: what is right."""

    runbook: str
    account: Account
    other: Account
    group: str = ""
    quota_mb: int = 0

    def parameters(self, account: Account) -> dict[str, str]:
        """What a person would run the runbook with, for this account."""
        extra = {"add_to_group": {"group": self.group}, "raise_mailbox_quota": {"quota_mb": str(self.quota_mb)}}
        return {"account": account.uid, **extra.get(self.runbook, {})}


class _Deck:
    """Deals accounts so that each comes once before any comes again."""

    def __init__(self, cards: Iterable[Account], rng: random.Random) -> None:
        self._cards = tuple(cards)
        self._left: list[Account] = []
        self._rng = rng

    def deal(self) -> Account:
        if not self._left:
            self._left = self._rng.sample(self._cards, len(self._cards))
        return self._left.pop()


class Asks:
    """Deals asks for the runbooks over one directory."""

    def __init__(self, people: Sequence[Account], groups: Sequence[Group], rng: random.Random) -> None:
        self._rng = rng
        self._state = {person.uid: person for person in people}
        self._open = [group.name for group in groups if group.self_service]
        self._closed = [group.name for group in groups if not group.self_service]
        odd = [person for person in people if _odd(person)]
        plain = [person for person in people if not _odd(person)]
        self._anybody = _Deck(people, rng)
        self._odd = _Deck(odd or people, rng)
        self._decks = {
            "unlock_account": _Deck([person for person in plain if person.locked] or people, rng),
            "add_to_group": _Deck([person for person in plain if not person.locked] or people, rng),
            "raise_mailbox_quota": _Deck(plain or people, rng),
        }

    def anybody(self) -> Account:
        """Somebody who writes about something else."""
        return self._anybody.deal()

    def ask(self, article: str) -> Ask:
        """The next ask for an article with a runbook."""
        runbook = articles.runbook_articles()[article]
        deck = self._odd if self._rng.random() < _ODD_SHARE else self._decks[runbook]
        account, other = deck.deal(), self._decks[runbook].deal()
        while other.uid == account.uid:
            other = self._anybody.deal()
        ask = Ask(runbook, account, other)
        if runbook == "add_to_group":
            return replace(ask, group=self._group(account))
        if runbook == "raise_mailbox_quota":
            return replace(ask, quota_mb=self._quota(account))
        return ask

    def _group(self, account: Account) -> str:
        if self._rng.random() < _CLOSED_SHARE:
            return self._rng.choice(self._closed)
        member = self._state[account.uid]
        free = [name for name in self._open if name not in member.groups] or self._open
        group = self._rng.choice(free)
        self._state[account.uid] = replace(member, groups=(*member.groups, group))
        return group

    def _quota(self, account: Account) -> int:
        mailbox = self._state[account.uid]
        larger = [size for size in _SIZES_MB if size > mailbox.quota_mb][:3] or [_SIZES_MB[-1]]
        size = self._rng.choice(larger)
        self._state[account.uid] = replace(mailbox, quota_mb=size)
        return size


def _odd(person: Account) -> bool:
    held = person.locked and person.lock_reason != LOCKED_BY_FAILED_LOGINS
    return held or person.privileged or not person.enabled


def written_size(quota_mb: int, language: str, rng: random.Random) -> str:
    """A size as people of a language write it."""
    form = rng.choice(_SIZE_FORMS[language])
    return form.format(gb=quota_mb // 1024, mb=quota_mb, dotted=f"{quota_mb:,}".replace(",", "."))


def written_account(person: Account, rng: random.Random) -> str:
    """An account as people write it: uid, mail address, or with the domain in front."""
    chance = rng.random()
    if chance < 0.6:
        return person.uid
    return person.mail if chance < 0.85 else f"EXAMPLE\\{person.uid}"
