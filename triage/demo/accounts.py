"""The people of the sample company: their accounts, the groups they may ask for, and the directory's own policies.

Made so that every check of the runbooks has something to find: holds, disabled and privileged accounts make the
check beforehand refuse, policies make the check afterwards fail.
"""

import unicodedata
from functools import cache

from runbooks.targets.directory import (
    LOCKED_BY_FAILED_LOGINS,
    LOCKED_FOR_SECURITY,
    Account,
    Group,
    Policy,
)

MOST = 1296
"""How many people there are names for."""

# One line a region: given names, family names. The n-th person of a region never shares both with another.
_NAMES = (
    (
        "Alice James Grace Oliver Hannah Daniel Emily Thomas Chloe Samuel Lucy Henry Nora Adam Ruby Simon Ella Frank",
        "Smith Harper Bennett Clarke Dawson Ellis Fletcher Graham Holt Ingram Jarvis Keane Lowell Mercer Norton "
        "Osborne Palmer Quinn",
    ),
    (
        "Anna Jonas Lena Felix Marie Paul Sophie Lukas Katrin Stefan Ute Jürgen Heike Rainer Silke Bernd Petra Uwe",
        "Müller Becker Vogel Krüger Lange Schäfer Winter Brandt Kühn Seidel Horn Franke Roth Böhm Engel Haas Jung "
        "Ziegler",
    ),
    (
        "Camille Hugo Léa Louis Manon Jules Chloé Nathan Inès Lucas Élodie Rémi Sylvie Gilles Aurore Didier Maëlle Yves",
        "Martin Dubois Lefèvre Moreau Girard Rousseau Blanc Faure Mercier Chevalier Renaud Gauthier Perrin Marchand "
        "Noël Dumas Picard Roche",
    ),
    (
        "Haruka Kenji Yui Takumi Aoi Daiki Sakura Ren Misaki Shota Naoko Hiroshi Emi Koji Ayaka Satoshi Mei Yuto",
        "Tanaka Suzuki Sato Watanabe Ito Nakamura Kobayashi Kato Yoshida Yamada Sasaki Matsumoto Inoue Kimura Hayashi "
        "Shimizu Mori Ikeda",
    ),
)

_OPEN = (
    ("sales-reports", "Sales reports"),
    ("sales-offers", "Offers of the sales teams"),
    ("marketing-assets", "Pictures and layouts of marketing"),
    ("marketing-events", "Planning of events and fairs"),
    ("engineering-docs", "Engineering documents"),
    ("engineering-drawings", "Drawings and models"),
    ("quality-records", "Records of quality assurance"),
    ("purchasing-suppliers", "Suppliers and framework contracts"),
    ("logistics-planning", "Planning of logistics"),
    ("warehouse-inventory", "Inventory of the warehouse"),
    ("support-knowledge", "Knowledge of customer support"),
    ("project-aurora", "Project Aurora"),
    ("project-lighthouse", "Project Lighthouse"),
    ("project-meridian", "Project Meridian"),
    ("project-saffron", "Project Saffron"),
    ("training-material", "Material for courses"),
    ("facility-plans", "Floor plans of all sites"),
    ("research-archive", "Archive of research"),
)
_CLOSED = (
    ("payroll-data", "Payroll"),
    ("personnel-files", "Personnel files"),
    ("legal-contracts", "Contracts of the legal department"),
    ("board-minutes", "Minutes of the board"),
)
_PRIVILEGED = (("domain-admins", "Administrators of the domain"), ("backup-operators", "Operators of the backup"))

_GROUPS: tuple[Group, ...] = (
    *(Group(name, title, self_service=True) for name, title in _OPEN),
    Group("site-berlin", "Everybody in Berlin, kept by a rule", self_service=True),
    *(Group(name, title) for name, title in _CLOSED),
    *(Group(name, title, privileged=True) for name, title in _PRIVILEGED),
)

# Places in the list of people that are unlike the others; the rest alternates between locked and in use.
_ADMINISTRATORS = frozenset({5, 30, 62, 93})
_DISABLED = frozenset({9, 40, 71, 102})
_HELD = frozenset({14, 46, 78, 110})
_CAPPED = (3, 17, 35)
_LOCKS_AGAIN = (20, 56)
_NAMESAKE = {118: 10}
_QUOTAS = (2048, 2048, 2048, 3072, 4096)
CAP_MB = 4096


def people(count: int = 120) -> tuple[Account, ...]:
    """The accounts of the first `count` people (at most MOST), always the same ones in the same order."""
    if not 0 <= count <= MOST:
        raise ValueError(f"there are names for {MOST} people, not for {count}: ask for fewer")
    return _people(count)


@cache
def _people(count: int) -> tuple[Account, ...]:
    accounts: list[Account] = []
    taken: set[str] = set()
    for place in range(count):
        given, family = _name(place)
        uid = _free(f"{_ascii(given)[0]}.{_ascii(family)}", taken)
        taken.add(uid)
        shown = " ".join(_name(_NAMESAKE.get(place, place)))
        accounts.append(_account(place, uid, shown))
    return tuple(accounts)


def groups() -> tuple[Group, ...]:
    """The groups of the directory: open ones, closed ones, and two that give power."""
    return _GROUPS


def policies(count: int = 120) -> tuple[Policy, ...]:
    """What the directory of these people does by itself: size caps, locks that return, membership by rule."""
    accounts = people(count)
    capped = [Policy("quota_cap", accounts[place].uid, CAP_MB) for place in _CAPPED if place < count]
    again = [Policy("locks_again", accounts[place].uid) for place in _LOCKS_AGAIN if place < count]
    return (*capped, *again, Policy("membership_rule", "site-berlin"))


def stranger(place: int) -> str:
    """The name of somebody who has no account as long as there are at most `place` people."""
    return " ".join(_name(place))


def _name(place: int) -> tuple[str, str]:
    given, family = (names.split() for names in _NAMES[place % len(_NAMES)])
    turn = place // len(_NAMES)
    return given[turn % len(given)], family[(turn + turn // len(given)) % len(family)]


def _ascii(name: str) -> str:
    german = name.lower().replace("ä", "ae").replace("ö", "oe").replace("ü", "ue")
    return "".join(c for c in unicodedata.normalize("NFD", german) if "a" <= c <= "z")


def _free(wanted: str, taken: set[str]) -> str:
    number, uid = 1, wanted
    while uid in taken:
        number += 1
        uid = f"{wanted}{number}"
    return uid


def _account(place: int, uid: str, shown: str) -> Account:
    held = place in _HELD
    locked = held or place % 2 == 0
    quota = _QUOTAS[place % len(_QUOTAS)]
    first = place * 5 % len(_OPEN)
    return Account(
        uid=uid,
        display_name=shown,
        mail=f"{uid}@example.{'org' if place % 9 == 4 else 'com'}",
        locked=locked,
        lock_reason=(LOCKED_FOR_SECURITY if held else LOCKED_BY_FAILED_LOGINS) if locked else "",
        enabled=place not in _DISABLED,
        privileged=place in _ADMINISTRATORS,
        groups=tuple(sorted({_OPEN[first][0], _OPEN[(first + place // 4 + 1) % len(_OPEN)][0]})),
        quota_mb=quota,
        quota_used_mb=quota * (87 + place * 7 % 13) // 100,
    )
