"""What somebody wrote in the first message of a ticket: without the mail they answered and without their signature.

Ours because mail-parser-reply 1.36 needs 63 s for 20,000 empty lines (measured); here each line is looked at once.
"""

import re

# an attribution or a header is one short line; longer ones are text, and are never searched
LONGEST_MARK = 200
SIGNATURE_LINES = 12
HEADER_LINES = 6

_FORWARDED = re.compile(r"\s*(?:fwd?|wg|tr|rv|i|enc|doorst)\s*:", re.IGNORECASE)
_ORIGINAL = re.compile(
    r"[-_]{2,10} ?(?:original message|original appointment|ursprüngliche nachricht|originalnachricht|message d'origine|"
    r"message original|mensaje original|messaggio originale|mensagem original|oorspronkelijk bericht) ?[-_]{2,10}",
    re.IGNORECASE,
)
_SAYS = re.compile(r"(?:on|am|le|el|il|op|em|den) .*\d", re.IGNORECASE)
_WROTE = (" wrote:", " wrote :", " a écrit :", " a écrit:", " escribió:", " ha scritto:", " escreveu:", " skrev:")
_WROTE_INSIDE = re.compile(r"(?:schrieb|schreef) [^:]*:")
_FROM = re.compile(r"\*?(?:from|von|de|da|van|fra|från) ?:\*? ?\S", re.IGNORECASE)
_SENT = re.compile(
    r"\*?(?:sent|date|gesendet|datum|envoyé|enviado|enviado el|inviato|data|verzonden|fecha|skickat) ?:\*? ?\S",
    re.IGNORECASE,
)
_DEVICE = re.compile(
    r"(?:sent from my |sent from mail for |get outlook for |von meinem .{1,40} gesendet|gesendet von (?:mail|outlook|"
    r"meinem) |envoyé de mon |envoyé depuis mon |enviado desde mi |inviato da |inviato dal mio |verzonden vanaf mijn )",
    re.IGNORECASE,
)


def first_message(text: str, *, subject: str = "") -> str:
    """The text above an answered mail and a signature; the whole text where nothing is left, or where it is a forward.

    Understands Outlook, Gmail and Apple Mail in English, German, French, Spanish, Italian, Dutch and Portuguese.
    """
    if _FORWARDED.match(subject[:20]):
        return text
    lines = text.split("\n")
    end = _answered(lines)
    end = _unquoted(lines, end)
    end = _unsigned(lines, end)
    kept = "\n".join(lines[:end]).rstrip()
    return kept if any(letter.isalnum() for letter in kept) else text


def _answered(lines: list[str]) -> int:
    """The number of the line where an answered mail begins."""
    for number, line in enumerate(lines):
        mark = line.strip()
        if not mark or len(mark) > LONGEST_MARK:
            continue
        if _ORIGINAL.fullmatch(mark) or _attributes(mark, lines, number):
            return number
        if _FROM.match(mark) and any(
            _SENT.match(near.strip()[:40]) for near in lines[number + 1 : number + HEADER_LINES]
        ):
            return number
    return len(lines)


def _attributes(mark: str, lines: list[str], number: int) -> bool:
    """`On Friday ... Ada wrote:`, on one line or wrapped onto the next."""
    if not _SAYS.match(mark):
        return False
    following = lines[number + 1].strip() if number + 1 < len(lines) else ""
    both = (mark, f"{mark} {following}") if len(following) <= LONGEST_MARK else (mark,)
    return any(said.endswith(_WROTE) or _closes(said) for said in both)


def _closes(said: str) -> bool:
    return said.endswith(":") and _WROTE_INSIDE.search(said) is not None


def _unquoted(lines: list[str], end: int) -> int:
    """Without the quoted lines at the end; `>>>` is no quote but a prompt."""
    last = end
    while last and (not lines[last - 1].strip() or _is_quote(lines[last - 1])):
        last -= 1
    return last


def _is_quote(line: str) -> bool:
    return line.startswith(">") and not line.startswith(">>>")


def _unsigned(lines: list[str], end: int) -> int:
    """Without a signature: after `-- ` (RFC 3676) when it is short, or the one that a telephone adds."""
    if end and _DEVICE.match(lines[end - 1].strip()[:80]):
        end -= 1
        while end and not lines[end - 1].strip():
            end -= 1
    for number in range(end - 1, max(end - SIGNATURE_LINES, 0) - 1, -1):
        if lines[number].rstrip() == "--":
            return number
    return end
