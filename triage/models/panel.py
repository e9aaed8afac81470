"""Whether and where an ITSM may show a ticket's panel inside its own pages."""

import re
from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import models

from triage.models.source import Source

MOST_ORIGINS = 10
_HOST = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]"
_ORIGIN = re.compile(
    rf"https://(?:\*\.(?=[^.]+\.[^.]+))?{_HOST}(?::[0-9]{{1,5}})?|https?://(?:127\.0\.0\.1|localhost)(?::[0-9]{{1,5}})?"
)


def check_origins(given: object) -> None:
    """Raise ValidationError unless these are origins that may stand in `frame-ancestors`, in small letters.

    https only, but for this machine itself; `https://*.example.net` stands for every host below example.net.
    """
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise ValidationError('Give a list, such as ["https://acme.service-now.com"].')
    if len(given) > MOST_ORIGINS:
        raise ValidationError(f"At most {MOST_ORIGINS} origins.")
    for origin in given:
        if not isinstance(origin, str) or len(origin) > 200 or not _ORIGIN.fullmatch(origin):
            shown = str(origin)[:80]
            raise ValidationError(
                f"{shown!r} is no origin: https:// and a host name in small letters, such as https://acme.zendesk.com; "
                "no path and no slash at its end."
            )


class Panel(models.Model):
    """The panel of one source. While it is off, or names no origin, nobody opens it and no pass of it is good."""

    source = models.OneToOneField(Source, on_delete=models.CASCADE, related_name="panel")
    enabled = models.BooleanField("agents may use the panel inside the ITSM", default=False)
    origins = models.JSONField(
        "the ITSM's addresses that may embed it, as a list", default=list, blank=True, validators=[check_origins]
    )

    def __str__(self) -> str:
        return f"panel of {self.source_id}"


class UsedLaunch(models.Model):
    """A launch that opened a panel and opens none again; kept until it would have ended by itself."""

    digest = models.CharField("SHA-256 of the launch's own number", max_length=64, unique=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.digest[:8]
