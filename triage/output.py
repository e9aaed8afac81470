"""What every command says and leaves: words on standard error, one JSON object on demand, its own name in the log."""

import json
import os
from pathlib import Path
from typing import Any

import click

JSON_HELP = "write one JSON object to this file; - for standard output"


def who() -> str:
    """The actor that the log names for a command."""
    return f"system:command:{os.environ.get('USER', 'unknown')}"[:80]


def tell(text: str) -> None:
    """Say something beside the result."""
    click.echo(text, err=True)


def write(file: str | None, result: dict[str, Any]) -> None:
    """Write the result where it is wanted."""
    if file == "-":
        click.echo(json.dumps(result, ensure_ascii=False))
    elif file:
        Path(file).write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
