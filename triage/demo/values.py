"""What stands in the gaps of a phrase: hosts, dates, numbers, names, all of them invented.

Domains are example.com, .org and .test, addresses lie in 192.0.2.0/24 and 198.51.100.0/24 (RFC 5737).
"""

import random
import re

from triage.demo import accounts

_GAP = re.compile(r"\{(\w+)\}")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CITIES = ("Berlin", "Lyon", "Osaka", "Leeds", "Bern", "Graz", "Lille", "Nagoya", "Dublin", "Bremen", "Nantes", "Kobe")
_ROLES = ("app", "db", "web", "fs", "mail", "erp", "bld", "srv", "print", "cache")
_SITES = ("ber", "lyo", "osa", "lee", "dub", "nan", "kob", "gra")
_NAMES = ("portal", "shop", "api", "intra", "extranet", "login", "files", "wiki", "orders", "partner", "status", "cdn")
_APPS = (
    "Draftwell",
    "PlotMaster",
    "Foxgrid",
    "NoteHarbour",
    "Statista Nova",
    "PixelForge",
    "MindTrellis",
    "CutList Pro",
    "Formulix",
    "GanttBird",
    "VectorLoom",
    "PDF Tailor",
    "Codewright",
    "Chartisan",
)
_TCODES = ("ME21N", "VA01", "FB60", "MIGO", "MM03", "CAT2", "F110", "XD02", "ME29N", "CO11N")
_JOBS = ("BILLING", "ORDERS", "LEDGER", "STOCK", "PRICES", "EXPORT", "REPORT", "INVOICE", "MASTER", "HRSYNC")
_FOLDERS = ("projects", "teams", "plans", "offers", "archive", "quality")
_FIRST_STRANGER = 400
_STRANGERS = 300


def filled(template: str, given: dict[str, str], rng: random.Random) -> str:
    """The template with every gap filled: from `given`, else drawn and kept in `given` for the rest of the ticket.

    {n} is drawn anew each time. ValueError names a gap that nothing fills.
    """

    def value(match: re.Match[str]) -> str:
        gap = match[1]
        if gap == "n":
            return str(rng.choice((rng.randint(2, 9), rng.randint(10, 99), rng.randint(100, 9999))))
        if gap not in given:
            given[gap] = drawn(gap, rng)
        return given[gap]

    return _GAP.sub(value, template)


def gaps(template: str) -> set[str]:
    """The names of a template's gaps."""
    return set(_GAP.findall(template))


def drawn(gap: str, rng: random.Random) -> str:
    """A value for a gap that has nothing to do with the directory; ValueError for a name that is not known."""
    number = rng.randint
    match gap:
        case "host":
            return f"{rng.choice(_ROLES)}-{rng.choice(_SITES)}-{number(1, 60):02}"
        case "pc":
            return f"{rng.choice(('NB', 'PC', 'WS'))}-{number(10000, 99999)}"
        case "printer":
            return f"PRN-{number(1000, 9999)}"
        case "ip":
            return f"{rng.choice(('192.0.2', '198.51.100'))}.{number(1, 254)}"
        case "domain":
            return f"{rng.choice(_NAMES)}{number(1, 40)}.example.{rng.choice(('com', 'org', 'test'))}"
        case "job":
            return f"{rng.choice(_JOBS)}_{number(1, 999):03}"
        case "path":
            return rf"\\files.example.com\{rng.choice(_FOLDERS)}\{number(2019, 2026)}\{rng.choice(_SITES)}"
        case _:
            return _small(gap, rng)


def _small(gap: str, rng: random.Random) -> str:
    number = rng.randint
    choices = {"city": _CITIES, "app": _APPS, "tcode": _TCODES, "drive": ("C:", "D:", "E:", "L:", "S:")}
    if gap in choices:
        return rng.choice(choices[gap])
    match gap:
        case "room":
            return f"{rng.choice('ABC')}{number(1, 5)}.{number(1, 30):02}"
        case "date":
            day, month, year = number(1, 28), number(1, 12), 2026
            return rng.choice(
                (f"{day} {_MONTHS[month - 1]}", f"{day:02}.{month:02}.{year}", f"{year}-{month:02}-{day:02}")
            )
        case "time":
            return f"{number(6, 19):02}:{rng.choice((0, 5, 10, 15, 30, 45)):02}"
        case "pct":
            return str(number(81, 100))
        case "person":
            return accounts.stranger(_FIRST_STRANGER + number(0, _STRANGERS - 1))
        case _:
            raise ValueError(f"no value is known for the gap {{{gap}}}: correct the phrase or add it here")
