"""Drafts made of an AWX's job templates: whole, honest about what is missing, harmless, and never over a person's work."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runbooks import awx_drafts, checking, drafts, importing, registry
from runbooks.importing import Imported, NotImported
from runbooks.runners import awx_survey
from runbooks.runners.awx_survey import Unfit
from tests.runbooks.awx_server import Awx, Template, _page, question
from tests.runbooks.job_server import TOKEN, Fault, Request, serving

HOSTILE = 'x"\n]\n[awx.undo]\ntemplate = 1\n# \x1b[2J\u202e\\ \'\'\' """'


class Catalogue(Awx):
    """An AWX that lists all templates, too."""

    def find_templates(self, request: Request) -> tuple[int, Any]:
        if "name" in request.query:
            return super().find_templates(request)
        return 200, _page([self.templates[number].fields for number in sorted(self.templates)], request)

    def add(self, number: int, name: str, *questions: dict[str, Any], **fields: Any) -> Template:
        """Add a template as most are at first: nothing prompted for."""
        made = self.templates[number] = Template(number, name)
        made.survey = list(questions)
        made.fields |= fields
        return made


@pytest.fixture(scope="module")
def running() -> Iterator[Catalogue]:
    system = Catalogue()
    with serving(system):
        yield system


@pytest.fixture
def system(running: Catalogue) -> Catalogue:
    """No templates; the rest as an AWX is at first."""
    fresh = Catalogue()
    running.templates, running.projects, running.faults = {}, fresh.projects, []
    running.requests.clear()
    return running


def imported(system: Catalogue, into: Path, taken: tuple[str, ...] = (), **settings: str) -> dict[int, Imported]:
    target = {"url": system.url, "token": TOKEN, "insecure": "true", "inventory": "7", **settings}
    address, found = importing.awx(target, into=into, taken=taken)
    assert address == system.url
    return {one.number: one for one in found}


def table(one: Imported) -> dict[str, Any]:
    return tomllib.loads((one.folder / "runbook.draft.toml").read_text(encoding="utf-8"))


@pytest.fixture
def volume(system: Catalogue, tmp_path: Path) -> Imported:
    """A template that asks every kind of question."""
    system.add(
        9,
        "Extend a volume",
        question("triage_run"),
        question("volume", min=3, max=20, required=True, question_name="Which volume?"),
        question("Notes", "textarea"),
        question("gigabytes", "integer", required=True, min=1, max=50),
        question("factor", "float"),
        question("tier", "multiplechoice", choices="gold\nsilver\n$(reboot)\ngold"),
        question("weird", "multiplechoice", choices=["$a", "/b"], required=True),
        question("root_password", "password", required=True),
        question("zones", "multiselect", choices=["a", "b"]),
        question("ansible_host", required=True),
        question("notes", "text"),
        ask_limit_on_launch=True,
        description="Grows\na volume",
        timeout=120,
    )
    return imported(system, tmp_path)[9]


def test_every_kind_of_question_that_a_ticket_can_answer_becomes_a_parameter(volume: Imported) -> None:
    assert (volume.state, volume.key, volume.parameters) == ("new", "extend_a_volume", 7)
    found = table(volume)
    assert found["title"] == "Extend a volume"
    assert (found["article_keys"], found["tier"], found["time_limit"]) == ([], "high", 120)
    by_name = {each["name"]: each for each in found["parameters"]}
    assert list(by_name) == ["volume", "notes", "gigabytes", "factor", "tier", "notes_2", "host"]
    assert by_name["volume"]["title"] == "Which volume?"
    assert by_name["volume"]["pattern"] == r"[^\x00-\x1f\x7f]{3,20}"
    assert by_name["volume"]["max_length"] == 20
    assert "required" not in by_name["volume"]
    assert by_name["notes"]["required"] is False
    assert by_name["tier"]["choices"] == ["gold", "silver"]
    assert found["awx"]["variables"]["Notes"] == "notes"
    assert (found["awx"]["limit"], found["awx"]["action"]) == ("host", {"template": 9})


def test_what_a_ticket_cannot_answer_and_what_a_person_must_add_is_named(volume: Imported) -> None:
    said = "\n".join(volume.lacks)
    for name, words in (
        ("survey question weird", "has no choice that can be a value, and it must be answered: no run can"),
        ("survey question root_password", "asks for a password, which no ticket ever brings, and it must be answered"),
        ("survey question zones", "asks for several choices at once, which no value of a ticket answers: left out"),
        ("survey question ansible_host", "no run may set a variable of this name"),
        ("survey question tier", "1 of its 3 choices cannot be values"),
        ("survey question Notes", "may have several lines"),
        ("parameters (volume).pattern", "any text is taken"),
        ("article_keys", "no article is named"),
        ("awx.pre_check", "no job looks beforehand"),
        ("awx.post_check", "no job looks afterwards"),
        ("awx.undo", "no job takes the action back"),
        ("awx.undo_check", "no job looks whether the former state"),
    ):
        assert f"{name}: {words}" in said
    assert "parameters (gigabytes)" not in said
    assert "limit:" not in said


@pytest.mark.parametrize(
    ("kind", "text", "number"),
    [
        ("integer", "5", 5), ("integer", "-40", -40), ("integer", "007", None), ("integer", "-0", None),
        ("integer", "5.5", None), ("integer", "５", None), ("float", "5", 5), ("float", "1.5", 1.5),
        ("float", "1.50", None), ("float", "1e3", None), ("float", "nan", None), ("float", "inf", None),
    ],
)  # fmt: skip
def test_a_number_in_a_ticket_answers_a_question_for_numbers_as_awx_writes_it_back(
    kind: str, text: str, number: float | None
) -> None:
    pattern = awx_drafts.WHOLE if kind == "integer" else awx_drafts.DECIMAL
    asked = question("n", kind, min=-50, max=50)
    if number is None:
        with pytest.raises(Unfit, match="wants a"):
            awx_survey.answer(asked, text)
        assert not re.fullmatch(pattern, text)
    else:
        assert re.fullmatch(pattern, text)
        answered = awx_survey.answer(asked, text)
        assert (answered, type(answered)) == (number, type(number))
    with pytest.raises(Unfit, match="-50 to 50"):
        awx_survey.answer(asked, "51")


def test_what_a_template_and_its_project_lack_is_said(system: Catalogue, tmp_path: Path) -> None:
    system.projects[3]["scm_update_on_launch"] = True
    system.projects[4] = {"id": 4, "name": "manual", "scm_update_on_launch": False, "scm_type": ""}
    system.add(1, "all wrong", become_enabled=True, inventory=8, job_slice_count=3, job_type="check", timeout=3600)
    system.add(2, "asks", ask_inventory_on_launch=True, ask_credential_on_launch=True, project=4)
    system.add(3, "open", ask_variables_on_launch=True, project=None).passwords = ["become_password"]
    found = imported(system, tmp_path)
    for number, sentences in {
        1: (
            "triage_run: AWX would drop the run's identity",
            "limit: is not prompted for",
            "inventory: the template's is 8, the target's is 7",
            "project: scm_update_on_launch is set",
            "privileged: its playbook runs as root",
            "slices:",
            "job_type: is check",
            "timeout: is 3600 s",
        ),
        2: ("inventory: is prompted for", "credential: is prompted for", "project: has no revision"),
        3: ("survey: there is none and any variable is taken", "project: the template has none", "become_password"),
    }.items():
        said = "\n".join(found[number].lacks)
        for sentence in sentences:
            assert sentence in said
    assert table(found[1])["time_limit"] == 840


def test_a_draft_is_checked_listed_and_never_run_and_a_completed_one_is_a_runbook(
    system: Catalogue, tmp_path: Path
) -> None:
    system.add(5, "Restart app", question("triage_run"), question("app", "multiplechoice", choices=["crm"]))
    one = imported(system, tmp_path)[5]
    checked = list(checking.folders([tmp_path]))
    assert [(each.key, each.errors, each.runbook) for each in checked] == [("restart_app", (), None)]
    assert checked[0].lacks == one.lacks
    try:
        registry.use(str(tmp_path), packages=False)
        assert (registry.drafts(), registry.troubles()) == ((one.folder,), ())
        assert "restart_app" not in registry.RUNBOOKS
        assert registry.why_not("restart_app") == "the runbook restart_app is a draft, by which nothing runs"
        draft = one.folder / "runbook.draft.toml"
        text = draft.read_text(encoding="utf-8").replace("article_keys = []", 'article_keys = ["KB1"]')
        lacks = text.index("lacks = ["), text.index("]\n", text.index("lacks = [")) + 2
        done = text[: lacks[0]] + text[lacks[1] :]
        done += "".join(f"\n[awx.{name}]\ntemplate = 5\n" for name in ("pre_check", "post_check", "undo", "undo_check"))
        draft.write_text(done, encoding="utf-8")
        assert drafts.read(one.folder) == drafts.Draft(one.folder, "restart_app", (), ())
        draft.rename(one.folder / "runbook.toml")
        registry.use(str(tmp_path), packages=False)
        assert (registry.drafts(), registry.troubles()) == ((), ())
        assert registry.RUNBOOKS["restart_app"].settings["action"]["template"] == 5  # type: ignore[index,call-overload]
    finally:
        registry.use("", packages=False)
    again = imported(system, tmp_path)[5]
    assert (again.state, again.diff, again.lacks) == ("in use", "", ())
    system.templates[5].survey.append(question("site"))
    again = imported(system, tmp_path)[5]
    assert again.state == "in use"
    assert '+name = "site"' in again.diff
    assert not (one.folder / "runbook.draft.toml").exists()


def test_errors_of_a_hand_are_errors_and_not_what_a_draft_lacks(system: Catalogue, tmp_path: Path) -> None:
    system.add(5, "Restart app")
    draft = imported(system, tmp_path)[5].folder / "runbook.draft.toml"
    text = draft.read_text(encoding="utf-8")
    for old, new, said in (
        ('tier = "high"', 'tier = "huge"', "tier: "),
        ("template = 5", "template = 0", "awx.action.template"),
        ("lacks = [", "lacks = [1,", "lacks: write a list of texts"),
        ('key = "', "key = ", "this is no TOML"),
    ):
        draft.write_text(text.replace(old, new), encoding="utf-8")
        checked = next(checking.folders([tmp_path]))
        assert said in "\n".join(checked.errors)


def test_a_second_import_overwrites_only_what_nobody_edited_and_shows_what_changed(
    system: Catalogue, tmp_path: Path
) -> None:
    system.add(1, "Mine", question("a"))
    system.add(2, "Theirs", question("a"))
    assert {one.state for one in imported(system, tmp_path).values()} == {"new"}
    assert {one.state for one in imported(system, tmp_path).values()} == {"unchanged"}
    mine = tmp_path / "mine" / "runbook.draft.toml"
    edited = mine.read_text(encoding="utf-8").replace('tier = "high"', 'tier = "low"')
    mine.write_text(edited, encoding="utf-8")
    system.templates[1].fields["name"] = "Mine, renamed"
    system.templates[2].fields["name"] = "Theirs, renamed"
    found = imported(system, tmp_path)
    assert (found[1].state, found[1].key) == ("edited", "mine")
    assert '-tier = "low"' in found[1].diff
    assert mine.read_text(encoding="utf-8") == edited
    assert (found[2].state, found[2].key) == ("updated", "theirs")
    assert '+title = "Theirs, renamed"' in found[2].diff
    assert table(found[2])["title"] == "Theirs, renamed"
    del system.templates[2]
    assert imported(system, tmp_path)[2].state == "gone"
    assert (tmp_path / "theirs" / "runbook.draft.toml").exists()


def test_equal_names_shipped_names_and_names_of_no_letters_get_folders_of_their_own(
    system: Catalogue, tmp_path: Path
) -> None:
    (tmp_path / "busy").mkdir()
    for number, name in enumerate(("Same!", "same", "再起動", "", "restart service", "42", "busy"), 1):
        system.add(number, name)
    found = imported(system, tmp_path, taken=("restart_service",))
    assert [found[number].key for number in sorted(found)] == [
        "same", "same_2", "job_template_3", "job_template_4", "restart_service_5", "job_42", "busy_7"
    ]  # fmt: skip
    assert [one.state for one in imported(system, tmp_path).values()] == ["unchanged"] * 7


def test_hostile_names_texts_and_choices_are_values_and_nothing_else(system: Catalogue, tmp_path: Path) -> None:
    into = tmp_path / "into"
    asked = question("v", question_name=HOSTILE)
    system.add(1, f"../../{HOSTILE}", asked, description=HOSTILE, summary_fields={"organization": {"name": HOSTILE}})
    system.add(2, "../../etc/passwd", question(HOSTILE), question("c", "multiplechoice", choices=["ok", HOSTILE]))
    found = imported(system, into)
    assert {path.name for path in tmp_path.iterdir()} == {"into"}
    assert {path.parent for path in into.rglob("*.toml")} == {one.folder for one in found.values()}
    first = table(found[1])
    assert set(first["awx"]) == {"variables", "action"}
    assert first["title"].startswith('../../x" ] [awx.undo] template = 1 #')
    text = (found[1].folder / "runbook.draft.toml").read_text(encoding="utf-8")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert table(found[2])["parameters"] == [
        {"name": "c", "kind": "choice", "title": "c", "fields": ["c"], "choices": ["ok"], "required": False}
    ]
    assert [each.errors for each in checking.folders([into])] == [(), ()]


def test_a_link_is_never_written_through_and_others_cannot_change_what_was_written(
    system: Catalogue, tmp_path: Path
) -> None:
    outside, into = tmp_path / "outside", tmp_path / "into"
    outside.mkdir()
    into.mkdir()
    system.add(1, "Linked")
    folder = imported(system, into)[1].folder
    assert (folder / "runbook.draft.toml").stat().st_mode & 0o022 == 0
    (folder / "runbook.draft.toml").rename(outside / "kept")
    (folder / "runbook.draft.toml").symlink_to(outside / "kept")
    before = (outside / "kept").read_bytes()
    system.templates[1].fields["name"] = "Another"
    (outside / "kept").write_bytes(before)
    found = imported(system, into)
    assert (outside / "kept").read_bytes() == before
    assert found[1].folder != folder or found[1].state == "unreadable"


def test_sixty_templates_are_read_page_by_page_each_once(system: Catalogue, tmp_path: Path) -> None:
    for number in range(1, 61):
        system.add(number, f"Job {number}", question("a", required=True), ask_limit_on_launch=True)
    found = imported(system, tmp_path)
    assert len(found) == 60
    assert len(system.asked("GET /api/v2/job_templates/$")) == 2
    assert len(system.asked("GET /api/v2/projects/3/")) == 1
    assert system.asked("POST") == []
    assert all(one.state == "new" for one in found.values())
    assert sum(1 for each in checking.folders([tmp_path]) if not each.errors) == 60


def test_an_awx_that_says_no_or_nothing_is_told_and_nothing_is_written(system: Catalogue, tmp_path: Path) -> None:
    system.add(1, "One")
    into = tmp_path / "into"
    with pytest.raises(NotImported, match="give the target a token that is valid"):
        imported(system, into, token="tok-another-4711")
    system.faults = [Fault("job_templates/$", "garbage")]
    with pytest.raises(NotImported, match="something else than JSON"):
        imported(system, into)
    with pytest.raises(NotImported, match="inventory"):
        imported(system, into, inventory="none")
    assert not into.exists()
    system.faults = [Fault("survey_spec", "refuse", status=403)]
    assert imported(system, into)[1].state == "unreadable"
