"""Tickets as machines write them: alerts of monitoring tools, and forms of the portal with a field for each value."""

import json
import random

from triage.demo.phrases import Lexicon
from triage.demo.values import drawn, filled, gaps

_SEVERITIES = ("INFO", "WARNING", "MINOR", "MAJOR", "CRITICAL")
_OF_THE_DIRECTORY = frozenset({"account", "group", "quota", "used"})
SENDERS = ("monitor@example.com", "alerts@example.org", "scheduler@example.com", "no-reply@example.test")


def alert(
    lexicon: Lexicon, rng: random.Random, *, article: str, template: str, given: dict[str, str], stamp: str
) -> tuple[str, str, dict[str, str]]:
    """Subject, body and fields of one alert that happened at `stamp`."""
    severity = rng.choice(_SEVERITIES)
    host = given.setdefault("host", drawn("host", rng))
    first = filled(template, given, rng)
    lines = [first]
    unknown = _OF_THE_DIRECTORY - (given.keys() & gaps(template))
    related = [
        other for other in lexicon.symptoms(article, "machine") if other != template and not gaps(other) & unknown
    ]
    if related and rng.random() < 0.35:
        lines.append(filled(rng.choice(related), given, rng))
    tail = filled(rng.choice(lexicon.general("machine_tails")), given, rng)
    number = str(rng.randint(10000, 999999))
    fields = {"severity": severity.lower(), "alert_id": number}
    if "{host}" in template:
        fields["host"] = host
    subject = rng.choice((first, f"[{severity}] {host}", f"{severity}: {first}", f"Alert {number}", first[:40]))
    return subject, _laid_out(rng, lines, tail, severity=severity, stamp=stamp, number=number), fields


def _laid_out(rng: random.Random, lines: list[str], tail: str, *, severity: str, stamp: str, number: str) -> str:
    match rng.randrange(5):
        case 0:
            return "\n".join((*lines, f"Severity: {severity}", f"Time: {stamp}", tail))
        case 1:
            return json.dumps({"id": number, "at": stamp, "severity": severity, "text": lines, "note": tail})
        case 2:
            return "\n".join(f"{stamp} {severity} {line}" for line in (*lines, tail))
        case 3:
            return "\n".join((f"*** {severity} ***", *lines, "", tail, f"({stamp}, #{number})"))
        case _:
            return "\n".join((*lines, stamp))


def form(rng: random.Random, *, template: str, given: dict[str, str]) -> tuple[str, str]:
    """Subject and body of a request that was filled in at the portal."""
    text = filled(template, given, rng)
    comments = ("", "", "Comment: none", "Comment: please as soon as possible", "Submitted from the portal")
    body = "\n".join(line for line in (text, rng.choice(comments)) if line)
    return rng.choice((text, f"Portal request {rng.randint(1000, 99999)}", text[:45])), body
