"""What is shipped is pinned once, the same everywhere, and names no place to fetch it from."""

import ast
import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)")


def pins(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return {found[1].lower().replace("_", "-"): found[2] for line in lines if (found := PIN.match(line))}


def test_the_constraints_and_the_lock_hold_the_same_pins() -> None:
    assert pins("constraints.txt") == pins("requirements.lock")
    assert len(pins("constraints.txt")) > 50


def test_every_locked_package_carries_hashes() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert text.count("--hash=sha256:") >= len(pins("requirements.lock"))


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [*project["dependencies"], *(name for extra in project["optional-dependencies"].values() for name in extra)]
    wanted = {re.split(r"[\[<>=]", name)[0].lower().replace("_", "-") for name in named}
    assert wanted - set(pins("constraints.txt")) == set()


def brought_along(names: list[str]) -> set[str]:
    """The distributions that installing these brings, themselves included."""
    found: set[str] = set()
    waiting = [Requirement(name) for name in names]
    while waiting:
        requirement = waiting.pop()
        name = requirement.name.lower().replace("_", "-")
        found.add(name)
        for line in metadata.requires(name) or []:
            inner = Requirement(line)
            wanted = inner.marker is None or any(
                inner.marker.evaluate({"extra": extra}) for extra in (*requirement.extras, "")
            )
            if wanted and inner.name.lower().replace("_", "-") not in found:
                waiting.append(inner)
    return found


def imported(file: Path) -> set[str]:
    """The packages that a file imports when it runs; what only type checkers read does not count."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def test_what_the_product_imports_comes_with_it_and_not_with_the_tests() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    shipped = brought_along([*project["dependencies"], *extras["embedded"], *extras["ansible"]])
    owners = metadata.packages_distributions()
    files = [file for room in ("triage", "classifier", "runbooks") for file in (ROOT / room).rglob("*.py")]
    used = set().union(*(imported(file) for file in files)) - {"triage", "classifier", "runbooks"}
    missing = {
        name for name in used & set(owners) if not {one.lower().replace("_", "-") for one in owners[name]} & shipped
    }
    assert missing == set()


def test_no_file_names_a_place_to_fetch_packages_from() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    words = ("--index-url", "--extra-index-url", "--find-links", "--trusted-host", "pypi.org", "files.pythonhosted")
    found = [
        file
        for file in listed
        if not file.endswith("test_packaging.py")
        and (ROOT / file).is_file()
        and any(word in (ROOT / file).read_text(encoding="utf-8", errors="ignore") for word in words)
    ]
    assert found == []


def test_the_top_level_holds_what_the_layout_names_and_nothing_else() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    top = {file.split("/")[0] for file in listed if not file.startswith(".")}
    allowed = {"pyproject.toml", "README.md", "manage.py", "triage", "classifier", "runbooks", "tests"}
    allowed |= {"constraints.txt", "requirements.lock", "Dockerfile", "compose.yaml", "deploy", "docs"}
    assert top <= allowed
