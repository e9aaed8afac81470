"""Log lines as one JSON object each, so that a ticket's newlines can never forge a line of their own."""

import json
import logging
import re
from datetime import UTC, datetime

_SECRET = re.compile(r"(/(?:set-password|sign-in)/|[#?&]pass=)[^/&\s\"']+")
"""One-time links, whose path alone opens them, and passes to a panel."""


def _without_secrets(text: str) -> str:
    return _SECRET.sub(r"\1***", text)


class JsonLines(logging.Formatter):
    """`{"at", "level", "logger", "message", "error"}`; the message is cut at 4,000 characters."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _without_secrets(record.getMessage()[:4000]),
        }
        if record.exc_info:
            line["error"] = _without_secrets(self.formatException(record.exc_info)[-8000:])
        return json.dumps(line, ensure_ascii=True)
