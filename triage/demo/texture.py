"""What hands and mail programs do to a text: slips of the keyboard, capitals, noise from a cat or a log."""

import base64
import random
import string

_KEYS = {"a": "s", "e": "r", "i": "o", "n": "m", "o": "p", "r": "t", "s": "d", "t": "z", "l": "k", "c": "v"}


def with_typos(template: str, rng: random.Random, *, most: int = 3) -> str:
    """The template with one to `most` slips in its words; gaps stay as they are."""
    words = template.split(" ")
    usable = [place for place, word in enumerate(words) if len(word) > 3 and word.isalpha() and word.isascii()]
    for place in rng.sample(usable, min(len(usable), rng.randint(1, most))):
        words[place] = _slip(words[place], rng)
    return " ".join(words)


def _slip(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    match rng.randrange(4):
        case 0:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        case 1:
            return word[:at] + word[at + 1 :]
        case 2:
            return word[:at] + word[at] + word[at:]
        case _:
            return word[:at] + _KEYS.get(word[at], word[at]) + word[at + 1 :]


def shouted(template: str) -> str:
    """The template in capitals; gaps keep their names."""
    pieces = template.split("{")
    rest = [piece.partition("}") for piece in pieces[1:]]
    return pieces[0].upper() + "".join("{" + gap + brace + text.upper() for gap, brace, text in rest)


def noise(rng: random.Random) -> str:
    """A body that says nothing to anybody: empty, keys pressed at random, base64, or a log without a question."""
    match rng.randrange(4):
        case 0:
            return rng.choice(("", "", "   ", ".", "???"))
        case 1:
            return " ".join(
                "".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 12))) for _ in range(rng.randint(2, 14))
            )
        case 2:
            coded = base64.b64encode(rng.randbytes(rng.randint(60, 900))).decode()
            return "\n".join(coded[start : start + 76] for start in range(0, len(coded), 76))
        case _:
            return "\n".join(_log_line(rng) for _ in range(rng.randint(8, 60)))


def _log_line(rng: random.Random) -> str:
    stamp = f"2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}T{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:07Z"
    level = rng.choice(("DEBUG", "INFO", "TRACE"))
    unit = "".join(rng.choices(string.ascii_lowercase, k=6))
    return f"{stamp} {level} [{unit}] handled item={rng.getrandbits(40):x} in {rng.randint(1, 900)}ms"
