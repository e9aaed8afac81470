"""What several pages of a source share: finding it, what the other side needs, and one message as it was understood."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _

from triage import connecting
from triage.connecting import Setting, Vendor, making, vendor_of
from triage.models import Delivery, Source
from triage.queries.sources import sources_of
from triage.web.page import DeskRequest, now

MADE = "made_secret"


@dataclass(frozen=True)
class Paste:
    """A text to copy to the other side; `key` names it in the page."""

    key: str
    label: str
    text: str

    @property
    def long(self) -> bool:
        """Whether it takes more than a line."""
        return "\n" in self.text


def source_or_404(request: DeskRequest, slug: str) -> Source:
    """One of the sources that the person keeps."""
    found: Source = get_object_or_404(sources_of(request.user), slug=slug)
    return found


def remember(request: DeskRequest, source: Source) -> None:
    """The next page shows the newest secret, once: the session keeps which one, never the secret itself."""
    known = source.signing_secrets()
    if known:
        request.session[MADE] = [source.pk, making.name_of(known[0])]


def setup(request: DeskRequest, source: Source) -> dict[str, Any]:
    """What the other side needs, and what is set here; a secret that was just made is shown this once."""
    vendor, known = vendor_of(source.kind), source.signing_secrets()
    made = request.session.pop(MADE, None)
    secret = known[0] if known and made == [source.pk, making.name_of(known[0])] else ""
    return {
        "vendor": vendor,
        "url": url_of(source),
        "insecure": settings.BASE_URL.startswith("http:"),
        "secret": secret,
        "secrets": [making.name_of(one) for one in known],
        "most_secrets": making.MOST_SECRETS,
        "pastes": list(_pastes(vendor, source, secret)),
        "fields": [_field(source, setting) for setting in vendor.settings],
        "credential_kinds": vendor.credentials,
        "pulls": making.PULLS,
    }


def url_of(source: Source) -> str:
    """Where the other side posts to."""
    return f"{settings.BASE_URL}/webhooks/{source.slug}/"


def message_context(source: Source, row: Delivery) -> dict[str, Any]:
    """One message as it came and as it was understood; or why its bytes cannot be had."""
    try:
        raw = connecting.raw_of(row)
    except connecting.BytesAway as error:
        return {"away": str(error), "headers": connecting.shown_headers(row.headers)}
    found = connecting.understand(source, body=raw, headers=row.headers, received_at=row.received_at)
    first = found.readings[0] if found.readings else None
    return {
        "raw": connecting.shown_raw(source, raw),
        "cut": len(raw) > connecting.RAW_BYTES,
        "headers": connecting.shown_headers(row.headers),
        "understood": found,
        "would": connecting.would(source, first, at=now()) if first else None,
    }


def _pastes(vendor: Vendor, source: Source, secret: str) -> Iterator[Paste]:
    shown = secret or _("(the secret: shown once, when it is made)")
    for number, (label, text) in enumerate(vendor.pastes):
        filled = text.replace("{url}", url_of(source)).replace("{secret}", shown)
        yield Paste(f"paste-{number}", str(label), filled)
    file = settings.BASE_DIR / "docs" / vendor.script
    if vendor.script and file.is_file():
        yield Paste("script", vendor.script.rpartition("/")[2], file.read_text(encoding="utf-8"))


def _field(source: Source, setting: Setting) -> dict[str, Any]:
    value = source.settings.get(setting.name, "")
    if isinstance(value, list):
        value = "\n".join(str(one) for one in value)
    choices = setting.form if isinstance(setting.form, tuple) else ()
    return {"setting": setting, "value": str(value), "choices": choices}
