"""Where the figures of a benchmark go."""

import json
import sys
from pathlib import Path
from typing import Any


def write(figures: dict[str, Any], place: str | None) -> None:
    """One JSON object into a file, on standard output for "-", nowhere for None."""
    text = json.dumps(figures, indent=1, allow_nan=False) + "\n"
    if place == "-":
        sys.stdout.write(text)
    elif place:
        Path(place).write_text(text, encoding="utf-8")
