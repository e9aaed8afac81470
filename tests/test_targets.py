"""A customer's directory is a file or an LDAP server by its settings; everything above works alike on both."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import timezone

from classifier.text import Document
from runbooks import parameters, registry
from runbooks.targets import OpenDirectory, TargetError
from runbooks.targets.accounts import Account
from runbooks.targets.directory import create
from tests import factories
from tests.runbooks import slapd
from tests.runbooks.slapd import SERVICE_PASSWORD, Slapd, person
from tests.runs import Scene
from tests.test_routing import ranking
from tests.web.conftest import client_of
from triage import doctor, execution, routing, targets
from triage.embedded import Endpoints
from triage.models import AuditEvent, Mode, Run, Target, Ticket
from triage.review import ReviewRefused, ordering
from triage.serving import offers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server() -> Iterator[Slapd]:
    yield from slapd.fresh()


def target(settings: dict[str, str]) -> Target:
    return factories.target(factories.customer(), settings=json.dumps(settings))


def client(target: Target) -> OpenDirectory:
    opened = targets.directory(target)
    assert opened is not None
    return opened


def test_a_run_on_a_server_resolves_the_ticket_and_its_password_is_in_no_row(
    server: Slapd, lake: Endpoints, tmp_path: Path
) -> None:
    server.fail_to_sign_in("j.smith")
    scene = Scene(tmp_path, account="j.smith")
    scene.target.settings = json.dumps(server.settings())
    scene.target.save()
    run = scene.request()
    assert [execution.execute(run.pk, at=timezone.now()) for _ in range(2)] == [True, False]
    run.refresh_from_db()
    scene.ticket.refresh_from_db()
    assert (run.status, scene.ticket.status) == (Run.Status.SUCCEEDED, Ticket.Status.RESOLVED)
    assert server.lets_in("j.smith")
    assert [dn for dn, _ in server.changes(str(run.uuid))] == [person("j.smith")]
    assert SERVICE_PASSWORD not in repr(list(AuditEvent.objects.values()) + list(Run.objects.values()))


def test_a_ticket_is_understood_by_what_the_server_knows(server: Slapd) -> None:
    set_up = target(server.settings())
    factories.article(customer=set_up.customer, key="KB0001", runbook="unlock_account")
    with offers.offered(set_up.customer) as found:
        (offer,) = found.values()
        assert (offer.trouble, offer.runbook) == ("", registry.get("unlock_account"))
        read = parameters.extract(
            registry.get("unlock_account"),
            subject="Locked out",
            body="I cannot sign in any more",
            requester="j.smith@corp.example",
            fields={},
            directory=offer.directory,
        )
        assert read.values == {"account": "j.smith"}
    server.stop()
    with offers.offered(set_up.customer) as found:
        (offer,) = found.values()
        assert offer.directory is None
        assert f"127.0.0.1:{server.port}" in offer.trouble


def test_an_order_is_refused_in_words_when_the_server_is_lost(server: Slapd) -> None:
    set_up = target(server.settings(answer_seconds="1"))
    runbook = registry.get("unlock_account")
    assert ordering.problems_with(runbook, {"account": "j.smith"}, target=set_up) == ()
    assert "no account" in ordering.problems_with(runbook, {"account": "nobody"}, target=set_up)[0]

    def look_up_while_it_dies() -> None:
        with ordering.opened(set_up) as opened:
            assert opened is not None
            server.stop()
            opened.account("j.smith")

    for ask in (look_up_while_it_dies, lambda: ordering.problems_with(runbook, {"account": "j.smith"}, target=set_up)):
        with pytest.raises(ReviewRefused, match="cannot be reached"):
            ask()


def test_names_are_read_once_for_all_clients_of_a_process_until_the_settings_change(server: Slapd) -> None:
    set_up = target(server.settings())
    with closing(client(set_up)) as first:
        assert first.find(["Jane Smith"])
    with server.root() as connection:
        connection.add(person("n.ew"), ["inetOrgPerson"], {"cn": "Newly Come", "sn": "Come", "uid": "n.ew"})
    with closing(client(set_up)) as second:
        assert second.find(["Newly Come"]) == {}
        assert second.account("n.ew") is not None
    set_up.settings = json.dumps(server.settings(answer_seconds="6"))
    set_up.save()
    with closing(client(set_up)) as third:
        assert [account.uid for account in third.find(["Newly Come"])["Newly Come"]] == ["n.ew"]


def test_before_a_start_the_values_are_held_against_the_target_as_it_is_now(lake: Endpoints, tmp_path: Path) -> None:
    scene, unlock = Scene(tmp_path), registry.get("unlock_account")
    run = scene.request()
    Ticket.objects.filter(pk=run.ticket_id).update(requester="a@example.org")
    run.ticket.refresh_from_db()
    assert targets.still_fit(run, unlock) == ""
    Ticket.objects.filter(pk=run.ticket_id).update(requester="b@example.org")
    run.ticket.refresh_from_db()
    assert "a.locked is not the requester's own account" in targets.still_fit(run, unlock)
    run.ordered_by = factories.person()
    assert targets.still_fit(run, unlock) == ""
    with sqlite3.connect(scene.path) as file:
        file.execute("UPDATE accounts SET privileged = 1 WHERE uid = 'a.locked'")
    said = "account: a.locked is a privileged account, which no runbook ever touches: do this by hand"
    assert targets.still_fit(run, unlock) == f"What the run was decided with does not fit any more: {said}."
    with sqlite3.connect(scene.path) as file:
        file.execute("DELETE FROM accounts WHERE uid = 'a.locked'")
    assert "no account a.locked" in targets.still_fit(run, unlock)
    with sqlite3.connect(scene.path) as file:
        file.execute("DROP TABLE accounts")
    with pytest.raises(TargetError, match="cannot be asked"):
        targets.still_fit(run, unlock)


def test_a_host_that_left_the_targets_list_no_longer_fits() -> None:
    def hosts(*names: str) -> str:
        return json.dumps({"hosts": {name: {"connection": "local"} for name in names}})

    set_up = factories.target(factories.customer(), kind="host", settings=hosts("web1.corp.example", "web2"))
    ticket = factories.ticket(customer=set_up.customer)
    run = factories.run(ticket, set_up, runbook="collect_diagnostics", parameters={"host": "web1.corp.example"})
    diagnose = registry.get("collect_diagnostics")
    assert targets.still_fit(run, diagnose) == ""
    set_up.settings = hosts("web1.lab.example")
    set_up.save()
    run.refresh_from_db()
    assert "the target has no host web1.corp.example" in targets.still_fit(run, diagnose)
    set_up.settings = json.dumps({"hosts": {}})
    set_up.save()
    run.refresh_from_db()
    with pytest.raises(TargetError, match="do not fit"):
        targets.still_fit(run, diagnose)


def test_a_decision_names_the_hosts_that_a_ticket_could_mean() -> None:
    names = ("web1.corp.example", "web1.lab.example")
    settings = json.dumps({"hosts": {name: {"connection": "local"} for name in names}})
    set_up = factories.target(factories.customer(), kind="host", settings=settings)
    factories.article(customer=set_up.customer, key="KB0001", runbook="collect_diagnostics")
    with offers.offered(set_up.customer) as found:
        picked = [
            routing.selected(
                ranking=ranking("KB0001"),
                articles=found,
                document=Document("Slow", body),
                requester="",
                fields={},
            )
            for body in ("web1 is slow", "web1.lab.example is slow")
        ]
    assert picked[1].parameters == {"host": "web1.lab.example"}
    situation = routing.Situation(at=factories.NOW, mode=Mode.AUTOMATE, pick=picked[0], touched_at=factories.NOW)
    reason = routing.decide(situation).reason
    assert all(name in reason for name in names)


def test_settings_may_hold_lists_and_numbers(server: Slapd) -> None:
    given: dict[str, object] = dict(server.settings())
    given |= {"privileged_groups": json.loads(str(given["privileged_groups"])), "answer_seconds": 4, "start_tls": True}
    set_up = factories.target(factories.customer(), settings=json.dumps(given))
    assert targets.settings_of(set_up)["answer_seconds"] == "4"
    with closing(client(set_up)) as opened:
        assert opened.known("p.admin").privileged


def test_the_doctor_looks_at_every_target_and_names_those_that_are_amiss(server: Slapd, tmp_path: Path) -> None:
    create(tmp_path / "directory.sqlite3", [Account("a.b", "A B", "a@b.example")])
    target({"path": str(tmp_path / "directory.sqlite3")})
    set_up = target(server.settings())
    good = doctor._look("targets", doctor._targets)
    assert good.good
    assert "a file with 1 accounts" in good.words
    assert f"{set_up.key}: signed in, TLS, 2 groups may be asked for" in good.words
    wrong = target(server.settings(bind_password="not-the-pass-9"))
    finding = doctor._look("targets", doctor._targets)
    assert not finding.good
    assert finding.words.startswith(f"{wrong.key}: the directory at 127.0.0.1:{server.port} refused signing in")
    assert "not-the-pass-9" not in finding.words


def test_settings_that_cannot_work_are_refused_where_they_are_entered() -> None:
    browser = client_of(factories.person(is_superuser=True, is_staff=True))
    form = {"customer": factories.customer().pk, "key": "ldap", "kind": "directory"}
    path = reverse("admin:triage_target_add")
    for settings, said in (
        ('{"url": "ldap://directory.example.org", "start_tls": false}', "bind_password: Field required"),
        ("ldaps://directory.example.org", "one JSON object"),
    ):
        page = browser.post(path, {**form, "new_secret": settings})
        assert said in page.content.decode()
    assert not Target.objects.exists()
    good = {
        "url": "ldaps://directory.example.org", "bind_dn": "cn=t,dc=e", "bind_password": "p", "base_dn": "dc=e",
        "privileged_filter": "(adminCount=1)",
    }  # fmt: skip
    assert browser.post(path, {**form, "new_secret": json.dumps(good)}).status_code == 302
    assert Target.objects.get().kind == "directory"
