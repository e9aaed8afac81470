"""Where operators' runbooks are found, who may write there, and that one bad folder never stops the others."""

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbooks import places, registry
from runbooks.registry import RUNBOOKS, SHIPPED, RegistryError
from tests.runbooks import folders


@pytest.fixture(autouse=True)
def only_shipped_afterwards() -> Iterator[None]:
    yield
    registry.use("", packages=False)
    assert dict(RUNBOOKS) == dict(SHIPPED)


def told() -> str:
    return "\n".join(problem for trouble in registry.troubles() for problem in trouble.problems)


def test_folders_of_the_setting_hold_runbooks_or_are_one(tmp_path: Path) -> None:
    folders.write(tmp_path / "many", "one")
    folders.write(tmp_path / "many", "two")
    (tmp_path / "many" / "docs").mkdir()
    (tmp_path / "many" / ".git").mkdir()
    alone = folders.write(tmp_path, "alone")
    registry.use(f"{tmp_path / 'many'}:{alone}:{tmp_path / 'many'}:")
    assert set(RUNBOOKS) == {*SHIPPED, "one", "two", "alone"}
    assert registry.troubles() == ()
    assert registry.get("two").folder == tmp_path / "many" / "two"
    registry.use(str(alone))
    assert set(RUNBOOKS) == {*SHIPPED, "alone"}


def test_one_bad_folder_never_stops_the_others_and_says_why(tmp_path: Path) -> None:
    good = folders.write(tmp_path, "good")
    bad = folders.write(tmp_path, "bad", definition=folders.DEFINITION.replace('"low"', '"x"'))
    lost = folders.write(tmp_path, "lost")
    (lost / "runbook.toml").unlink()
    registry.use(f"{tmp_path}:/nowhere/at/all:relative/path")
    assert set(RUNBOOKS) == {*SHIPPED, "good"}
    assert registry.get("good").folder == good
    assert {trouble.key for trouble in registry.troubles()} == {"bad", "lost", "all", "path"}
    assert f"{bad / 'runbook.toml'}: tier: Input should be" in told()
    assert f"{lost / 'runbook.toml'}: no such file" in told()
    assert "/nowhere/at/all: No such file or directory: make the folder readable, or take it out of the list" in told()
    assert "relative/path: write the whole path" in told()
    with pytest.raises(RegistryError, match="the runbook bad is unavailable: runbook.toml: tier: Input should be"):
        registry.get("bad")
    assert registry.why_not("good") == registry.why_not("unheard_of") == ""


def test_a_folder_without_any_runbook_is_told(tmp_path: Path) -> None:
    registry.use(str(tmp_path))
    assert f"{tmp_path}: holds no runbook: a runbook is a folder with a runbook.toml" in told()


def test_a_key_that_is_taken_stays_with_who_had_it(tmp_path: Path) -> None:
    first = folders.write(tmp_path / "a", "stamp")
    second = folders.write(tmp_path / "b", "stamp")
    pretender = folders.write(tmp_path / "c", "unlock_account")
    registry.use(":".join(str(tmp_path / name) for name in "abc"))
    assert RUNBOOKS["stamp"].folder == first
    assert RUNBOOKS["unlock_account"] is SHIPPED["unlock_account"]
    assert f"{second}: key: {first} has the key 'stamp' already: rename this one" in told()
    assert f"{pretender}: key: {SHIPPED['unlock_account'].folder} has the key" in told()


def test_an_operators_own_runbook_for_an_article_goes_before_a_shipped_one(tmp_path: Path) -> None:
    assert registry.for_article("KB0001") is SHIPPED["unlock_account"]
    folders.write(tmp_path, definition=folders.DEFINITION.replace("KB0042", "KB0001"))
    registry.use(str(tmp_path))
    found = registry.for_article("KB0001")
    assert found is not None
    assert found.key == "stamp"


@pytest.mark.parametrize("what", ["", "steps.py", "runbook.toml", "deep", "deep/data.csv", ".hidden"])
@pytest.mark.parametrize("bits", [0o020, 0o002])
def test_what_others_can_write_to_is_refused(tmp_path: Path, what: str, bits: int) -> None:
    folder = folders.write(tmp_path)
    (folder / "deep").mkdir()
    for name in ("deep/data.csv", ".hidden"):
        (folder / name).touch()
    open_to_all = folder / what
    open_to_all.chmod(open_to_all.stat().st_mode | bits)
    registry.use(str(folder))
    assert "stamp" not in RUNBOOKS
    assert f"{open_to_all}: others can write to it" in told()
    assert f"chmod go-w {open_to_all}" in told()
    open_to_all.chmod(open_to_all.stat().st_mode & ~bits)
    registry.use(str(folder))
    assert "stamp" in RUNBOOKS


def test_who_can_write_above_the_folder_can_replace_it_unless_the_place_is_sticky(tmp_path: Path) -> None:
    folder = folders.write(tmp_path / "above" / "between")
    (tmp_path / "above").chmod(0o777)
    assert places.writable_by_others(folder) == [
        f"{tmp_path / 'above'}: others can write to it (mode 777): chmod go-w {tmp_path / 'above'}"
    ]
    (tmp_path / "above").chmod(0o1777)
    assert places.writable_by_others(folder) == []
    folder.chmod(0o1777)
    assert len(places.writable_by_others(folder)) == 1


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folders.write(tmp_path)
    if os.geteuid() == 0:
        os.chown(folder / "steps.py", 65534, 65534)
    else:  # a user cannot give files away, but can look at them as another would
        monkeypatch.setattr(os, "geteuid", lambda: 65533)
    owner = (folder / "steps.py").stat().st_uid
    told = places.writable_by_others(folder)
    assert f"{folder / 'steps.py'}: belongs to another user (uid {owner}): chown it to this user or to root" in told


def package(site: Path, name: str, value: str, code: str = "") -> Path:
    """Install a package by hand: its folder and the metadata with the entry point."""
    inner = site / name
    inner.mkdir()
    (inner / "__init__.py").write_text(code)
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[triage.runbooks]\nours = {value}\n")
    return inner


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    where = tmp_path / "site"
    where.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(where)
    importlib.invalidate_caches()
    yield where
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_packages_bring_runbooks_by_their_folder_or_by_a_function(site: Path) -> None:
    witness = site / "witness"
    by_folder = package(site, "acme_folder", "acme_folder", f"open({str(witness)!r}, 'w').close()")
    folders.write(by_folder, "brought")
    by_function = package(
        site,
        "acme_function",
        "acme_function:where",
        "from pathlib import Path\n\ndef where():\n    return Path(__file__).parent / 'books'\n",
    )
    folders.write(by_function / "books", "returned")
    registry.use("")
    assert {"brought", "returned"} < set(RUNBOOKS)
    assert registry.troubles() == ()
    assert not witness.exists()
    registry.use("", packages=False)
    assert "brought" not in RUNBOOKS


def test_a_package_that_fails_is_told_and_stops_no_other(site: Path, tmp_path: Path) -> None:
    package(site, "acme_raises", "acme_raises:where", "def where():\n    raise SystemExit('not today')\n")
    package(site, "acme_number", "acme_number:where", "def where():\n    return 7\n")
    package(site, "acme_module", "acme_module.nowhere")
    folders.write(tmp_path / "own")
    registry.use(str(tmp_path / "own"))
    assert set(RUNBOOKS) == {*SHIPPED, "stamp"}
    assert "entry point ours = acme_raises:where: SystemExit: not today: mend the package" in told()
    assert "acme_number:where: ValueError: the function must return a folder or a list of folders" in told()
    assert "acme_module.nowhere: ValueError: there is no package acme_module.nowhere" in told()


def test_loading_folders_leaves_the_import_path_alone(tmp_path: Path) -> None:
    before = list(sys.path)
    folders.write(tmp_path)
    registry.use(str(tmp_path))
    assert sys.path == before
    assert not any("stamp" in name for name in sys.modules)
