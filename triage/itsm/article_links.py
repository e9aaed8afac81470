"""Articles that agents refer to by a link in their comments, where the ITSM keeps no list of attached articles.

Only where a source's settings say `"article_links": true`: it costs a request for each ticket that is finished. Also
`article_hosts` (further names of the vendor's help centre) and `article_url` (`https://wiki.example.org/kb/{key}`, for
articles that lie elsewhere).
"""

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from triage.itsm.outgoing import ExchangeFailed
from triage.models import Source

KEY = "{key}"
LONGEST_KEY = 60
MOST_TEXT = 200_000
_ADDRESS = re.compile(r"https?://[^\s<>\"'\[\](){}|\\^`]{1,1000}")


def wanted(source: Source) -> bool:
    """Whether links in comments are to be read at all."""
    return source.settings.get("article_links") is True


def newest(source: Source, texts: Iterable[str], *, path: "re.Pattern[str] | None" = None) -> str:
    """The key or number of the article that the first of the texts with such a link names last; empty without one.

    `path`: how the vendor's help centre writes an article's path, its number as group 1. Raises ExchangeFailed where
    the setting `article_url` cannot be used.
    """
    template = _template(source)
    hosts = _hosts(source)
    for text in texts:
        found = [key for match in _ADDRESS.finditer(text[:MOST_TEXT]) if (key := _key(match[0], path, hosts, template))]
        if found:
            return found[-1]
    return ""


def _key(address: str, path: "re.Pattern[str] | None", hosts: frozenset[str], template: str) -> str:
    address = address.rstrip(".,;:!?")
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return ""
    if path is not None and host in hosts and (match := path.match(parts.path)):
        return match[1]
    if not template or not address.startswith(template):
        return ""
    key = unquote(re.split(r"[/?#]", address[len(template) :], maxsplit=1)[0])
    return key if key.isprintable() and len(key) <= LONGEST_KEY else ""


def _hosts(source: Source) -> frozenset[str]:
    named = source.settings.get("article_hosts")
    own = urlsplit(str(source.settings.get("api_url") or "")).hostname
    return frozenset(
        {str(name).strip().lower() for name in (named if isinstance(named, list) else ())} | ({own} if own else set())
    )


def _template(source: Source) -> str:
    told = source.settings.get("article_url")
    if not told:
        return ""
    before, found, after = str(told).partition(KEY)
    if not found or not urlsplit(before).hostname or after not in {"", "/"}:
        raise ExchangeFailed(
            f"article_url {str(told)[:200]!r} must be an address that ends in {KEY}, such as "
            "https://wiki.example.org/kb/{key}",
            permanent=True,
        )
    return before
