"""`python -m tests.faults.runbooks --runs N --json F`: what holds of runbooks whatever dies, doubles, is lost or restored.

Ends with 1 where an effect came twice, something is unresolved, an unknown outcome is with nobody, or a hostile value
did something or arrived as another.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults import figures

AT_ONCE = 2
PARTS = ("crashes", "restore", "endings", "injection")

WANTED_NONE = (
    "double_effects",
    "unresolved",
    "unknown_though_followed",
    "orphans",
    "canaries",
    "altered",
    "acted_on_hostile_values",
)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def part(name: str, *, runs: int, seed: int) -> dict[str, Any]:
    """One part in this process, since each has an installation of its own."""
    from tests.faults.runbooks import crashes, endings, injection, restore

    run = {"crashes": crashes.run, "restore": restore.run, "endings": endings.run, "injection": injection.run}[name]
    with tempfile.TemporaryDirectory(prefix="tri-runbooks-", ignore_cleanup_errors=True) as folder:
        return run(Path(folder), runs=runs, seed=seed, say=_say)


def _alone(name: str, *, runs: int, seed: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.faults.runbooks", "--runs", str(runs), "--seed", str(seed), "--part", name]
    began = time.monotonic()
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    _say(f"{name}: {ended.stdout.strip()}")
    return {**json.loads(ended.stdout), "seconds": round(time.monotonic() - began, 1)}


def whole(*, runs: int, seed: int) -> dict[str, Any]:
    """All parts, each in a process of its own and two at once, and the figures of all.

    Endings are timed, so that part is alone.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        first = [name for name in PARTS if name != "endings"]
        found = dict(zip(first, pool.map(partial(_alone, runs=runs, seed=seed), first), strict=True))
    found["endings"] = _alone("endings", runs=runs, seed=seed)
    crashes, restored, endings, injection = (found[name] for name in PARTS)
    return {
        "runs": crashes["runs"],
        "crash_points": len(crashes["killed"]),
        "kills": crashes["kills"],
        "double_effects": crashes["double_effects"] + restored["double_effects"],
        "unresolved": crashes["unresolved"] + restored["unresolved"],
        "unknown_to_person": min(crashes["unknown_to_person"], restored["unknown_to_person"]),
        "unknown_though_followed": crashes["unknown_though_followed"],
        "orphans": endings["orphans"],
        "payloads": injection["payloads"],
        "canaries": sum(injection["canaries"].values()),
        "altered": injection["altered"],
        "acted_on_hostile_values": injection["acted"],
        **found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--part", choices=PARTS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(part(options.part, runs=options.runs, seed=options.seed)))
        return
    began = time.monotonic()
    result = whole(runs=options.runs, seed=options.seed)
    result["seconds"] = round(time.monotonic() - began, 1)
    figures.tell(result, file=options.json)
    good = not any(result[name] for name in WANTED_NONE)
    sys.exit(0 if good and result["unknown_to_person"] == 1 else 1)


if __name__ == "__main__":
    main()
