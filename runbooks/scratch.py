"""A folder that is one run's alone: removed when all of the run has ended, after a last word to another host.

Standard library only: this is loaded in the guardian of every run.
"""

import contextlib
import json
import shutil
import subprocess
from pathlib import Path

WORD_SECONDS = 4.0
_WORD = "last_word.json"


def leave_word(folder: Path, argv: list[str], text: str) -> None:
    """Note the command, and its standard input, that a broken run ends with."""
    (folder / _WORD).write_text(json.dumps([argv, text]), encoding="utf-8")


def finish(folder: Path, *, broken: bool) -> None:
    """Say the last word if the run broke off, then remove the folder; nothing that goes wrong is raised."""
    with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
        if broken:
            argv, text = json.loads((folder / _WORD).read_text(encoding="utf-8"))
            quiet = subprocess.DEVNULL
            subprocess.run(argv, input=text.encode(), stdout=quiet, stderr=quiet, timeout=WORD_SECONDS, check=False)
    shutil.rmtree(folder, ignore_errors=True)
