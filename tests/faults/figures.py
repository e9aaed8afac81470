"""What a fault run has found: printed, and kept in the file that `--json` names."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def tell(figures: Mapping[str, Any], *, file: str | None) -> None:
    """Print the figures as JSON; `-` or nothing for `file` keeps them nowhere else."""
    text = json.dumps(figures, indent=1)
    print(text)
    if file and file != "-":
        Path(file).write_text(text + "\n", encoding="utf-8")
