"""`triage apply`: a file of customers becomes rows, all or none, shown before and changed once."""

import json
import re
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests import factories
from triage import applying, installation, intake
from triage.cli import cli
from triage.environment import environment
from triage.itsm import credentials
from triage.models import (
    AuditEvent,
    Customer,
    EventEndpoint,
    Freeze,
    Limit,
    Membership,
    Person,
    RunbookState,
    Source,
    SourceMapping,
    Target,
    Ticket,
    Token,
    Window,
)
from triage.targets import settings_of

pytestmark = pytest.mark.django_db
DOCUMENT = Path(__file__).parent.parent / "docs" / "customers.md"
HIDDEN = "hunter2-of-the-tests"


@pytest.fixture(autouse=True)
def _ready_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One test goes the command's whole way; for the others database and servers are looked after already."""
    if "lake" not in request.fixturenames:
        monkeypatch.setattr(installation, "ready", nullcontext)


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of docs/customers.md, with what it refers to."""
    found = re.search(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    jira = tmp_path / "initech-jira.json"
    jira.write_text(json.dumps({"kind": "bearer", "token": HIDDEN}))
    for name in ("ACME_BIND_PASSWORD", "SERVICENOW_PASSWORD", "INITECH_WEBHOOK_SECRET"):
        monkeypatch.setenv(name, f"{HIDDEN}-{name}")
    file = tmp_path / "customers.yaml"
    file.write_text(found[1].replace("/etc/triage/initech-jira.json", str(jira)))
    return file


def triage(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(one) for one in arguments])


def applied(file: Path, *options: str) -> dict[str, object]:
    ended = triage("apply", file, "--json", "-", *options)
    assert ended.exit_code == 0, (ended.output, ended.exception)
    told: dict[str, object] = json.loads(ended.stdout)
    return told


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    return file


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("lake")
def test_the_example_of_the_document_is_applied_once(example: Path) -> None:
    before = Customer.objects.count()
    shown = triage("apply", example)
    assert shown.exit_code == 0
    assert "Nothing was written" in shown.stderr
    assert Customer.objects.count() <= before + 1  # the installation's own first customer

    ended = triage("apply", example, "--yes")
    assert ended.exit_code == 0, (ended.output, ended.exception)
    acme = Customer.objects.get(slug="acme")
    assert (acme.name, acme.mode, acme.write_back, acme.alpha_by_tier) == (
        "ACME Ltd",
        "observe",
        False,
        {"low": 0.05, "medium": 0.02},
    )
    initech = Customer.objects.get(slug="initech")
    assert (initech.mode, initech.write_back) == ("suggest", True)
    cleo = Person.objects.get(username="cleo")
    roles = Membership.objects.filter(customer=acme).values_list("person__username", "role").order_by("role")
    assert list(roles) == [("cleo", "agent"), ("ben", "approver"), ("cleo", "auditor")]
    assert not cleo.has_usable_password()
    assert not Token.objects.exists()
    assert Person.objects.get(username="ada").is_superuser
    assert not RunbookState.objects.get(customer=acme, runbook="free_disk_space").enabled
    policy = RunbookState.objects.get(customer=acme, runbook="restart_service")
    assert (policy.enabled, policy.runs_an_hour, policy.environments) == (True, 10, {"production": "approve"})
    target = Target.objects.get(customer=acme)
    assert settings_of(target)["bind_password"] == f"{HIDDEN}-ACME_BIND_PASSWORD"
    assert Limit.objects.filter(customer=acme, target=target, each=True, runs_an_hour=3).exists()
    window = Window.objects.get(customer=acme)
    assert (window.begins.hour, window.ends.hour, window.zone) == (20, 6, "Europe/Berlin")
    assert Freeze.objects.filter(customer=acme).count() == Freeze.objects.filter(customer=None).count() == 1
    assert len(EventEndpoint.objects.get(customer=acme).signing_secrets()) == 1
    shared = Source.objects.get(slug="servicenow")
    assert (shared.kind, shared.customer, shared.pull_every, shared.enabled) == ("servicenow", None, 300, True)
    assert SourceMapping.objects.get(source=shared, value="ACME Ltd").customer == acme
    assert credentials.read(Source.objects.get(slug="initech").credentials).kind == "bearer"

    again = applied(example, "--yes")
    assert (again["changes"], again["applied"]) == ([], True)


def test_secrets_are_shown_once_where_they_were_made_and_never_else(example: Path, tmp_path: Path) -> None:
    file = tmp_path / "made"
    ended = triage("apply", example, "--yes", "--secrets", file, "--json", "-")
    made = dict(line.split("\t") for line in file.read_text().splitlines())
    assert file.stat().st_mode & 0o777 == 0o600
    assert set(made) == {"source servicenow", "endpoint acme: chat"}
    assert made["source servicenow"] == Source.objects.get(slug="servicenow").secrets
    said = ended.output + "".join(AuditEvent.objects.values_list("reason", flat=True))
    assert HIDDEN not in said
    assert not any(secret in said for secret in made.values())
    assert "secrets: (made; shown once)" in ended.stderr
    assert "credentials: (set)" in ended.stderr
    # shown at the terminal where no file was named
    text = "customers: [{slug: a}]\nsources: [{slug: s, customer: a}]"
    shown = triage("apply", written(tmp_path, text), "--yes").stderr
    assert f"source s: {Source.objects.get(slug='s').secrets}" in shown


def test_a_change_is_shown_as_old_and_new_and_logged_with_who_made_it(example: Path) -> None:
    applied(example, "--yes")
    Source.objects.filter(slug="servicenow").update(pull_every=60)
    ada = Source.objects.get(slug="initech")
    ada.credentials = json.dumps({"kind": "bearer", "token": "another"})
    ada.save(update_fields=["credentials"])
    AuditEvent.objects.all().delete()
    ended = triage("apply", example, "--yes")
    assert "~ source servicenow\n    pull_every: 60 -> 300" in ended.stderr
    assert "credentials: (set) -> (changed)" in ended.stderr
    logged = AuditEvent.objects.get(subject="source", subject_id=Source.objects.get(slug="servicenow").pk)
    assert (logged.event, logged.actor.startswith("system:command:")) == ("changed", True)
    assert logged.reason == "customers.yaml: source servicenow; pull_every: 60 -> 300"


def test_what_is_no_document_is_refused_with_its_lines(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """\
defaults:
  customer: {wndows: []}
customers:
  - slug: acme
    name: 12
    runbooks: {unlock_acount: {}}
  - slug: beta
""",
    )
    with pytest.raises(applying.DocumentInvalid) as refused:
        applying.load(file)
    assert str(refused.value) == (
        "c.yaml:2: there is no wndows here; did you mean windows?\nc.yaml:5: customers.name: this must be text: put it in quotes"
    )


def test_a_bad_line_changes_nothing_and_every_error_names_its_line(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """\
customers:
  - slug: acme
    runbooks: {unlock_acount: {}}
    limits: [{target: nowhere, runs_an_hour: 3}]
    windows: [{begins: 20:00, ends: 21:00, zone: Europe/Berln}]
    targets: {d: {kind: directory, settings: {url: ldaps://d.example, bind_password: in-the-clear}}}
    events: [{name: chat, url: "ftp://x", kinds: [run.finishd]}]
sources:
  - {slug: s, kind: jra, customer: acme}
  - {slug: t, customer: acm}
  - {slug: u, customer: acme, secrets: env:NOT_SET_ANYWHERE, settings: {api_token: x}}
  - {slug: v}
""",
    )
    ended = triage("apply", file, "--yes")
    assert isinstance(ended.exception, applying.DocumentInvalid)
    lines = str(ended.exception).splitlines()
    for line, words in (
        (3, "there is no runbook unlock_acount; did you mean unlock_account?"),
        (4, "acme has no target nowhere"),
        (5, "no time zone"),
        (6, "a secret does not stand here in the clear: write env:NAME"),
        (7, "Give an address such as"),
        (7, "there is no event run.finishd; did you mean run.finished?"),
        (9, "there is no kind of source jra; did you mean jira?"),
        (10, "there is no customer acm; did you mean acme?"),
        (11, "the environment variable NOT_SET_ANYWHERE is not set here"),
        (11, "api_token looks like a secret"),
        (12, "whose tickets are those of v?"),
    ):
        assert any(found.startswith(f"c.yaml:{line}: ") and words in found for found in lines), (words, lines)
    assert len(lines) == 11
    assert not Customer.objects.filter(slug="acme").exists()
    assert "in-the-clear" not in str(ended.exception)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("customers: [", "1: this is no YAML"),
        ("a: &a [*a]", "1: an alias stands within what it names"),
        ("customers: []\ncustomers: []", "2: customers stands here and on line 1"),
        ("a: !!python/object/apply:os.system [x]", "1: this is no YAML"),
        ("- 1", "1: the file must be a mapping"),
        ("customers: [{slug: a}, {slug: a}]", "1: a stands here for the second time"),
        ("a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
            f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)), "more than 1000000 values"),
    ],
)  # fmt: skip
def test_what_is_no_document_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(applying.DocumentInvalid, match=re.escape(words)):
        applying.read(text, file="c.yaml")


def test_hours_and_words_are_text_as_in_yaml_1_2(tmp_path: Path) -> None:
    text = "customers: [{slug: no, name: on, windows: [{begins: 22:00, ends: 04:00, first_day: 2026-01-05}]}]"
    applied(written(tmp_path, text), "--yes")
    row = Window.objects.get(customer__slug="no", customer__name="on")
    assert (row.begins.hour, row.first_day.isoformat()) == (22, "2026-01-05")


def test_the_export_of_an_installation_changes_nothing_when_it_is_applied(example: Path, tmp_path: Path) -> None:
    applied(example, "--yes")
    factories.source(settings={"reply_url": "http://x"}, secrets="", pull_every=5)
    factories.member(factories.customer(), "steward", email="s@x", is_active=False)
    state = Customer.objects.get(slug="globex")
    RunbookState.objects.create(customer=state, runbook="gone_runbook")
    ended = triage("apply", "--export")
    assert ended.exit_code == 0, ended.exception
    assert HIDDEN not in ended.stdout
    assert "whsec_" not in ended.stdout
    again = applied(written(tmp_path, ended.stdout), "--yes", "--prune")
    assert again["changes"] == []
    assert int(again["counts"]["unchanged"]) > 40  # type: ignore[index]  # the JSON of a plan


@pytest.mark.parametrize("stored", [None, "stored", "same"])
def test_credentials_go_to_another_host_only_where_the_file_gives_them_again(
    tmp_path: Path, stored: str | None
) -> None:
    credentials_text = json.dumps({"kind": "bearer", "token": HIDDEN})
    there = tmp_path / "token.json"
    there.write_text(credentials_text)
    source = factories.source(
        settings={"read_url": "https://one.example.org/{external_id}"}, credentials=credentials_text
    )
    settings = {"read_url": "https://two.example.org/{external_id}"}
    entry: dict[str, object] = {"slug": source.slug, "kind": "standard", "settings": settings}
    if stored:
        entry["credentials"] = f"file:{there}" if stored == "same" else stored
    file = written(tmp_path, json.dumps({"sources": [entry]}))
    if stored == "stored":
        ended = triage("apply", file, "--yes")
        assert ended.exit_code
        assert "another host" in str(ended.exception)
    else:
        told = applied(file, "--yes")
        assert any("another host" in note for note in told["notes"]) is (stored is None)  # type: ignore[attr-defined]  # JSON
    source.refresh_from_db()
    assert source.credentials == ("" if stored is None else credentials_text)
    assert (source.settings == settings) is (stored != "stored")


def test_a_file_takes_away_no_last_administrator_and_ends_the_sessions_of_whom_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIAGE_SECOND_FACTOR", "admins")
    environment.cache_clear()
    Person.objects.filter(is_superuser=True).update(is_superuser=False)
    only = factories.person(username="root", is_superuser=True)
    agent, off = factories.person(username="agent"), factories.person(username="leaver")
    factories.customer(slug="acme")
    for told in ({"administrator": False}, {"active": False}):
        file = written(tmp_path, json.dumps({"people": [{"name": "root", **told}]}))
        ended = triage("apply", file, "--yes")
        assert "last administrator" in str(ended.exception), told
        only.refresh_from_db()
        assert (only.is_superuser, only.is_active) == (True, True)
    people_told = [{"name": "leaver", "active": False}]
    customer = {"slug": "acme", "people": {"admin": ["agent"], "steward": ["root"]}}
    applied(written(tmp_path, json.dumps({"people": people_told, "customers": [customer]})), "--yes")
    eras = [(one.sessions_era, Person.objects.get(pk=one.pk).sessions_era) for one in (agent, off, only)]
    assert [after - before for before, after in eras] == [1, 1, 0]


def test_what_the_file_lacks_stays_until_prune_takes_it_out_of_use(example: Path, tmp_path: Path) -> None:
    applied(example, "--yes")
    ticket = factories.ticket(customer=Customer.objects.get(slug="globex"))
    less = written(tmp_path, "customers: [{slug: acme, people: {agent: [cleo]}, limits: []}]\nsources: []\npeople: []")
    assert applied(less, "--yes")["changes"] == []
    told = applied(less, "--yes", "--prune")
    assert any("--prune removes" in note and "limit" in note for note in told["notes"])  # type: ignore[attr-defined]  # JSON
    verbs = {(one["verb"], one["what"], one["name"]) for one in told["changes"]}  # type: ignore[attr-defined]  # JSON
    assert {
        ("switch off", "source", "servicenow"),
        ("switch off", "customer", "initech"),
        ("switch off", "endpoint", "acme: chat"),
        ("remove", "role", "ben approver at acme"),
        ("remove", "role", "ben approver at globex"),
    } <= verbs
    acme = Customer.objects.get(slug="acme")
    assert list(Membership.objects.filter(customer=acme).values_list("person__username", flat=True)) == ["cleo"]
    assert not Limit.objects.filter(customer=acme).exists()
    assert Window.objects.filter(customer=acme).exists()  # the file does not speak of windows
    assert not Source.objects.get(slug="servicenow").enabled
    assert Customer.objects.get(slug="initech").mode == "observe"
    assert Ticket.objects.filter(pk=ticket.pk).exists()
    assert applied(less, "--yes", "--prune")["changes"] == []


def test_a_runbook_that_a_person_stopped_stays_off(example: Path) -> None:
    applied(example, "--yes")
    state = RunbookState.objects.get(customer__slug="acme", runbook="restart_service")
    RunbookState.objects.filter(pk=state.pk).update(enabled=False)
    AuditEvent.objects.create(
        at=factories.NOW, subject="runbookstate", subject_id=state.pk, event="runbook stopped", actor="person:1"
    )
    ended = triage("apply", example, "--yes")
    assert "restart_service at acme stays off: a person stopped it" in ended.stderr
    state.refresh_from_db()
    assert not state.enabled
    # what a file switched off, a file switches on
    RunbookState.objects.filter(customer__slug="acme", runbook="unlock_account").delete()
    other = RunbookState.objects.get(customer__slug="acme", runbook="free_disk_space")
    text = "customers: [{slug: acme, runbooks: {free_disk_space: {enabled: true}}}]"
    applied(written(example.parent, text), "--yes")
    other.refresh_from_db()
    assert other.enabled


def test_nothing_is_written_where_the_installation_changed_after_the_plan_was_shown(tmp_path: Path) -> None:
    read = applying.read("customers: [{slug: acme, mode: suggest}]", file="c.yaml")
    shown = applying.plan(read)
    factories.customer(slug="acme", mode="observe")
    with pytest.raises(applying.PlanChanged):
        applying.carry_out(read, shown=shown, prune=False, actor="system:test", at=factories.NOW)
    assert Customer.objects.get(slug="acme").mode == "observe"


def test_a_secret_that_cannot_be_told_is_not_made_and_a_told_one_is_never_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, "customers: [{slug: a}]\nsources: [{slug: s, customer: a}]")
    taken, made = tmp_path / "taken", tmp_path / "made"
    taken.write_text("somebody's")
    ended = triage("apply", file, "--yes", "--secrets", taken)
    assert (ended.exit_code, "is there already" in ended.stderr, taken.read_text()) == (2, True, "somebody's")
    assert not Source.objects.exists()

    def dies(**_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(intake, "map_waiting", dies)
    factories.ticket(source=factories.source(customer=None, slug="many"), customer=None)
    text = (
        "customers: [{slug: a}]\nsources: [{slug: s, customer: a}, {slug: many, mappings: [{company: A, customer: a}]}]"
    )
    assert triage("apply", written(tmp_path, text), "--yes", "--secrets", made).exit_code != 0
    assert made.read_text() == f"source s\t{Source.objects.get(slug='s').secrets}\n"


def test_tickets_that_waited_find_their_customer_and_new_people_get_links_on_demand(tmp_path: Path) -> None:
    source = factories.source(customer=None, slug="many")
    waiting = factories.ticket(source=source, customer=None, fields={"company": "ACME"})
    text = """
customers: [{slug: acme, people: {agent: [zoe]}}]
sources: [{slug: many, mappings: [{company: ACME, customer: acme}]}]
"""
    ended = triage("apply", written(tmp_path, text), "--yes", "--links")
    assert "1 waiting tickets have found their customer" in ended.stderr
    waiting.refresh_from_db()
    assert waiting.customer == Customer.objects.get(slug="acme")
    assert re.search(r"zoe signs in once by http\S+/\S{40,}", ended.stderr)
    assert Token.objects.filter(person__username="zoe").count() == 1


def test_forty_customers_are_applied_in_seconds_and_the_second_time_nothing_changes(tmp_path: Path) -> None:
    lines = ["defaults: {customer: {allowed_runbooks: [unlock_account]}}", "customers:"]
    for n in range(40):
        people = f"{{agent: [a{n}, b{n}], approver: [c{n}]}}"
        lines.append(f"  - {{slug: c{n}, name: Customer {n}, people: {people}, limits: [{{runs_an_hour: 5}}]}}")
    lines.append("sources:")
    lines += [f"  - {{slug: s{n}, mappings: [{{company: Company {n}, customer: c{n}}}]}}" for n in range(40)]
    file = written(tmp_path, "\n".join(lines))
    assert applied(file, "--yes")["counts"]["create"] > 40 * 15  # type: ignore[index]  # the JSON of a plan
    assert Membership.objects.count() == 120
    assert applied(file, "--yes")["changes"] == []
