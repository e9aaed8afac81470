"""Pictures of every page at desktop and phone width, light and dark, some in German and Japanese, by one command.

`python -m tests.browser.screenshots --out DIR`; each picture is named after its page and look.
"""

import argparse
import sys
from pathlib import Path

from tests.browser.looks import run


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.screenshots", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the folder that the pictures are written to")
    parser.add_argument("--pages", default="", help="only pages whose name begins so")
    parser.add_argument("--once", action="store_true", help="one look at each page, not all")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    looks = "" if given.once else "all"
    wanted = {"TRIAGE_SCREENSHOTS": str(given.out.resolve()), "TRIAGE_LOOKS": looks, "TRIAGE_LOOKS_AT": given.pages}
    return run(["-k", "every_page"], **wanted)


if __name__ == "__main__":
    sys.exit(main())
