"""Telling Jira: one comment for each key, and the way to a finished status, chosen among those that the issue has."""

from collections.abc import Mapping
from typing import Any

from triage.itsm import rest, strict_json
from triage.itsm.base import PayloadInvalid
from triage.itsm.jira_text import document, to_text, wiki
from triage.itsm.outgoing import ExchangeFailed
from triage.models import Source

MARK = "triage.reply"
PAGE = 100
PAGES = 20
# Jira Service Management hides a comment with this property from the portal
INTERNAL = "sd.public.comment"
_GOOD_STATUS = ("resolved", "done", "completed", "closed", "fixed")
_BAD_WORDS = ("cancel", "declin", "reject", "won't", "duplicate", "invalid", "abort")
_GOOD_RESOLUTION = ("done", "fixed", "resolved", "completed")


def tell(source: Source, place: str, *, cloud: bool, key: str, what: str, content: Mapping[str, object]) -> str:
    """Comment on the issue at `place` and, for `resolve`, finish it; a sentence of what was done now.

    Raises ExchangeFailed.
    """
    public = bool(content.get("public"))
    mark = rest.mark(f"{source.uuid} {key}")
    text = str(content.get("text") or what)
    if _told_before(source, place, mark):
        said = "The comment was there already"
    else:
        comment = _comment(source, text, mark, cloud=cloud, public=public)
        _sent(source, f"{place}/comment", comment)
        said = f"A {'public' if public else 'internal'} comment was added"
    return f"{said}; {_finish(source, place)}." if what == "resolve" else f"{said}."


def _comment(source: Source, text: str, mark: str, *, cloud: bool, public: bool) -> dict[str, object]:
    """The mark stands in a property and, where properties are not given back, in the text."""
    signed = f"{text}\n(Triage {mark})"
    properties = [{"key": MARK, "value": {"key": mark}}, {"key": INTERNAL, "value": {"internal": not public}}]
    told: dict[str, object] = {"body": document(signed) if cloud else wiki(signed), "properties": properties}
    limited = source.settings.get("note_visibility")
    if isinstance(limited, dict) and not public:
        told["visibility"] = {"type": limited.get("type"), "value": limited.get("value")}
    return told


def _told_before(source: Source, place: str, mark: str) -> bool:
    """Whether a comment with this mark is there; the newest first, at most two thousand."""
    for number in range(PAGES):
        query = {"startAt": str(number * PAGE), "maxResults": str(PAGE), "orderBy": "-created", "expand": "properties"}
        told = _asked(source, f"{place}/comment", query)
        comments = told.get("comments")
        if not isinstance(comments, list):
            raise ExchangeFailed("Jira answered, but with no list of comments", permanent=False)
        if any(_is_marked(item, mark) for item in comments):
            return True
        total = told.get("total")
        if not comments or (isinstance(total, int) and number * PAGE + len(comments) >= total):
            return False
    return False


def _is_marked(comment: object, mark: str) -> bool:
    if not isinstance(comment, dict):
        return False
    listed = comment.get("properties")
    for item in listed if isinstance(listed, list) else []:
        value = item.get("value") if isinstance(item, dict) and item.get("key") == MARK else None
        if isinstance(value, dict) and value.get("key") == mark:
            return True
    return f"(Triage {mark})" in to_text(comment.get("body"))


def _finish(source: Source, place: str) -> str:
    """Bring the issue into a finished status, unless it is in one; what a person set stays."""
    told = _asked(source, place, {"fields": "status,resolution"})
    now = rest.part(told, "fields")
    if rest.part(rest.part(now, "status"), "statusCategory").get("key") == "done":
        return f"the issue was finished already ({rest.part(now, 'status').get('name')})"
    ways = _asked(source, f"{place}/transitions", {"expand": "transitions.fields"}).get("transitions")
    way = _chosen(source, [item for item in ways if isinstance(item, dict)] if isinstance(ways, list) else [])
    order: dict[str, object] = {"transition": {"id": str(way.get("id"))}}
    fields = rest.part(way, "fields")
    if "resolution" in fields and not now.get("resolution"):
        order["fields"] = {"resolution": {"name": _resolution(source, rest.part(fields, "resolution"))}}
    missing = [
        name
        for name, field in fields.items()
        if name != "resolution" and rest.part(fields, name).get("required") is True and not field.get("hasDefaultValue")
    ]
    if missing:
        raise ExchangeFailed(
            f"the transition {way.get('name')!r} asks for {', '.join(sorted(missing))}; name one that does not as "
            "resolve_transition",
            permanent=True,
        )
    _sent(source, f"{place}/transitions", order)
    return f"the issue went to {rest.part(way, 'to').get('name')}"


def _chosen(source: Source, ways: list[dict[str, Any]]) -> dict[str, Any]:
    """The transition that the settings name, else the best that leads to a status of the category Done."""
    wanted = str(source.settings.get("resolve_transition") or "").strip().casefold()
    names = [(str(way.get("name")), str(rest.part(way, "to").get("name"))) for way in ways]
    if wanted:
        for way, both in zip(ways, names, strict=True):
            if wanted in {name.casefold() for name in both}:
                return way
        offered = ", ".join(sorted({name for name, _ in names})) or "none"
        raise ExchangeFailed(f"the issue offers no transition {wanted!r}, but {offered}", permanent=True)
    good: list[tuple[int, dict[str, Any]]] = []
    for way, (name, to) in zip(ways, names, strict=True):
        words = f"{name} {to}".casefold()
        if rest.part(rest.part(way, "to"), "statusCategory").get("key") == "done" and not any(
            bad in words for bad in _BAD_WORDS
        ):
            known = to.casefold()
            good.append((_GOOD_STATUS.index(known) if known in _GOOD_STATUS else len(_GOOD_STATUS), way))
    if not good:
        raise ExchangeFailed(
            "no transition leads from the issue's status to one of the category Done; name one as resolve_transition, "
            "or let the workflow offer one to our user",
            permanent=True,
        )
    return min(good, key=lambda pair: pair[0])[1]


def _resolution(source: Source, field: Mapping[str, Any]) -> str:
    """The resolution of the settings, else the usual one among those that the site allows."""
    listed = field.get("allowedValues")
    allowed = [str(item.get("name")) for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    wanted = str(source.settings.get("resolution") or "")
    if wanted:
        if allowed and wanted not in allowed:
            raise ExchangeFailed(f"the site has no resolution {wanted!r}, but {', '.join(allowed)}", permanent=True)
        return wanted
    for good in _GOOD_RESOLUTION:
        if found := [name for name in allowed if name.casefold() == good]:
            return found[0]
    if not allowed:
        return "Done"
    raise ExchangeFailed(f"set which resolution is right: {', '.join(allowed)}", permanent=True)


def _asked(source: Source, path: str, query: Mapping[str, str]) -> dict[str, Any]:
    return rest.told(rest.call(source, "GET", path, query=query).body)


def _sent(source: Source, path: str, told: Mapping[str, object]) -> None:
    """Write to Jira; a refusal carries Jira's own first words, which are untrusted."""
    try:
        rest.call(source, "POST", path, send=told)
    except ExchangeFailed as error:
        if not error.body:
            raise
        raise ExchangeFailed(f"{error}{_words(error.body)}", permanent=error.permanent, status=error.status) from error


def _words(body: bytes) -> str:
    try:
        told = strict_json.loads(body)
    except PayloadInvalid:
        return ""
    said = told if isinstance(told, dict) else {}
    messages, fields = said.get("errorMessages"), said.get("errors")
    words = [*(messages if isinstance(messages, list) else []), *(fields.values() if isinstance(fields, dict) else [])]
    return f". Jira said {strict_json.shown(words[0])}" if words else ""
