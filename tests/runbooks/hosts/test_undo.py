"""Every shipped runbook on its real target: done, not verified, taken back. One that has no case here fails.

The shipped steps run, with a post-check that finds nothing done. While it looks, the effect must be there; after the
undo the state must be the former one. What cannot be undone says so by its tier, and takes the word of two people.
"""

import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runbooks import registry
from runbooks.base import Runbook
from runbooks.context import Context, Refused
from runbooks.library.reset_password import steps
from runbooks.runners import RUNNERS
from runbooks.targets import open_directory
from runbooks.targets.journal import Journal
from runbooks.watch import Watch
from tests import mailbox
from tests.mailbox import Mailbox
from tests.runbooks.hosts import authority, sshd
from tests.runbooks.hosts.test_host_runbooks import Daemon
from tests.runbooks.slapd import Slapd, group, person
from triage.routing.deciding import PEOPLE

IRREVERSIBLE = {
    "free_disk_space": "the pre-check notes how many files and MiB will go, and a dry run lists them beforehand",
    "rotate_logs": "the rotated log stays beside the new one, as its own configuration says",
    "kill_runaway_process": "the pre-check notes exactly which process it was",
}
"""What stands in for an undo."""

NOT_SEEN = {
    "python": '\n\ndef post_check(context):\n    import time\n    time.sleep(0.5)\n    raise NotDone("not to be seen")\n',
    "ansible": "- ansible.builtin.fail: {msg: not to be seen}\n",
}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run. state: what must be as before at the end. effect: what the action changes, by default that state.

    wrong: what the shipped post-check finds wrong; empty where another one finds nothing done.
    """

    values: Mapping[str, str]
    target: Mapping[str, Any]
    state: Callable[[], object]
    effect: Callable[[], object] | None = None
    handed: Mapping[str, str] = field(default_factory=dict)
    wrong: str = ""


Case = Callable[[pytest.FixtureRequest], Trial]
CASES: dict[str, Case] = {}


def case(made: Case) -> Case:
    """The case of the runbook of the same name."""
    CASES[made.__name__] = made
    return made


@case
def unlock_account(request: pytest.FixtureRequest) -> Trial:
    server: Slapd = request.getfixturevalue("ldap_server")
    server.fail_to_sign_in("j.smith")
    return Trial(
        values={"account": "j.smith"},
        target=server.settings(),
        state=lambda: server.values(person("j.smith"), "pwdAccountLockedTime"),
    )


@case
def add_to_group(request: pytest.FixtureRequest) -> Trial:
    server: Slapd = request.getfixturevalue("ldap_server")
    return Trial(
        values={"account": "j.smith", "group": "VPN Users"},
        target=server.settings(),
        state=lambda: server.values(group("VPN Users"), "member"),
    )


@case
def raise_mailbox_quota(request: pytest.FixtureRequest) -> Trial:
    server: Slapd = request.getfixturevalue("ldap_server")
    return Trial(
        values={"account": "j.smith", "quota_mb": "20480"},
        target=server.settings(),
        state=lambda: server.values(person("j.smith"), "mailQuota"),
    )


@case
def reset_password(request: pytest.FixtureRequest) -> Trial:
    """A mail stays sent. Its link opens for succeeded runs only, as tests/test_links.py shows; the password is as it was."""
    server: Slapd = request.getfixturevalue("ldap_server")
    box: Mailbox = request.getfixturevalue("box")
    return Trial(
        values={"account": "j.smith"},
        target=server.settings(contact_attribute="recoveryMail"),
        handed={
            "link": "https://triage.corp.example/set-password/0123456789/",
            "link_until": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
            "mail_url": box.url,
            "mail_from": "triage@corp.example",
        },
        state=lambda: (server.values(person("j.smith"), "userPassword"), server.lets_in("j.smith")),
        effect=lambda: [(to, "/set-password/0123456789/" in mail.get_content()) for to, mail in box.letters],
    )


@case
def record_only(request: pytest.FixtureRequest) -> Trial:
    path: Path = request.getfixturevalue("journal_path")

    def standing() -> int:
        with closing(Journal(path)) as journal:
            whats = [entry.what for entry in journal.entries()]
        return whats.count("would run") - whats.count("withdrawn")

    return Trial(values={"article": "KB1"}, target={"path": str(path)}, state=standing)


def host(request: pytest.FixtureRequest, **settings: Any) -> dict[str, Any]:
    server: sshd.Sshd = request.getfixturevalue("ssh_server")
    return {"hosts": {"web1": server.host()}, "private_key": server.private_key, **settings}


@case
def restart_service(request: pytest.FixtureRequest) -> Trial:
    """It was down, and goes down again."""
    daemon = Daemon(request.getfixturevalue("tmp_path"))
    request.addfinalizer(lambda: daemon.do("stop"))
    return Trial(
        values={"host": "web1", "service": "web"},
        target=host(request, services={"web": daemon.settings()}),
        state=lambda: daemon.do("pid") > 0,
    )


@case
def renew_certificate(request: pytest.FixtureRequest) -> Trial:
    """Behind links, as certbot has them: renewing writes another file and changes the link. It is for another name."""
    web: authority.Authority = request.getfixturevalue("web")
    for name in ("cert", "key"):
        (web.folder / f"{name}.pem").rename(web.folder / f"{name}1")
        (web.folder / f"{name}.pem").symlink_to(f"{name}1")

    def links() -> list[bool]:
        return [(web.folder / f"{name}.pem").is_symlink() for name in ("cert", "key")]

    return Trial(
        values={"host": "web1", "certificate": "web"},
        target=host(request, **web.settings(renew=web.command("other.corp.example"))),
        state=lambda: (web.served(), web.files(), links()),
        effect=links,
        wrong="is for DNS:other.corp.example",
    )


@case
def collect_diagnostics(request: pytest.FixtureRequest) -> Trial:
    """It reads only, so its effect is what it says, and there is nothing to take back."""
    return Trial(values={"host": "web1"}, target=host(request), state=lambda: None)


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox.running() as made:
        yield made


@pytest.fixture
def web(tmp_path: Path) -> Iterator[authority.Authority]:
    with authority.running(tmp_path) as made:
        yield made


def unverified(runbook: Runbook, folder: Path) -> Runbook:
    """The shipped runbook, but for a post-check that finds nothing done."""
    copy = folder / "altered" / runbook.key
    shutil.copytree(runbook.folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
    if runbook.runner == "python":
        steps = (copy / "steps.py").read_text(encoding="utf-8").replace("def post_check(", "def shipped_post_check(")
        (copy / "steps.py").write_text(steps + NOT_SEEN["python"], encoding="utf-8")
    else:
        (copy / "post_check.yml").write_text(NOT_SEEN[runbook.runner], encoding="utf-8")
    return runbook.model_copy(update={"folder": copy})


@pytest.mark.parametrize("key", sorted(key for key, runbook in registry.SHIPPED.items() if runbook.reversible))
def test_what_could_not_be_verified_is_taken_back(key: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    assert key in CASES, f"{key} is shipped and nothing here shows that its undo works: add a case"
    trial = CASES[key](request)
    effect = trial.effect or trial.state
    before, seen = (trial.state(), effect()), []

    def look(phase: str) -> None:
        if phase == "post_check":
            seen.append(effect())

    runbook = registry.SHIPPED[key]
    outcome = RUNNERS[runbook.runner](
        runbook if trial.wrong else unverified(runbook, tmp_path),
        parameters=trial.values,
        target={name: value if isinstance(value, str) else json.dumps(value) for name, value in trial.target.items()},
        run_id=str(uuid.uuid4()),
        handed=trial.handed,
        watch=Watch(on_phase=look),
    )
    assert outcome.status == "undone", outcome
    assert (trial.wrong or "not to be seen") in outcome.message
    assert trial.state() == before[0]
    if key == "collect_diagnostics":
        assert "changed=1" not in outcome.output
        assert "diagnostics" in outcome.remembered
    else:
        assert len(seen) == 1
        assert seen[0] != before[1], "the action did nothing, so its undo proves nothing"


@pytest.mark.parametrize("key", sorted(key for key, runbook in registry.SHIPPED.items() if not runbook.reversible))
def test_what_cannot_be_undone_says_so_and_takes_the_word_of_two_people(key: str) -> None:
    runbook = registry.SHIPPED[key]
    assert key in IRREVERSIBLE, f"{key} is shipped and nothing here says what stands in for its undo"
    assert (runbook.tier, PEOPLE[runbook.tier]) == ("irreversible", 2)
    assert not {"undo", "undo_check"} & set(runbook.steps.functions)


def test_a_link_goes_to_the_contact_of_an_ldap_directory_and_the_run_says_where_without_saying_it(
    ldap_server: Slapd, box: Mailbox, request: pytest.FixtureRequest
) -> None:
    trial = reset_password(request)
    outcome = RUNNERS["python"](
        registry.SHIPPED["reset_password"],
        parameters=trial.values,
        target=trial.target,
        run_id="11111111-2222-4333-8444-555555555555",
        handed=trial.handed,
    )
    assert outcome.status == "succeeded", outcome
    ((to, mail),) = box.letters
    assert (to, mail["Message-ID"]) == (
        "jane@home.example",
        "<11111111-2222-4333-8444-555555555555.link@corp.example>",
    )
    assert "Hello Jane Smith," in mail.get_content()
    assert outcome.output == "a link to set a new password for j.smith went to j***@home.example\n"
    assert outcome.remembered == {"contact": "j***@home.example", "mail_server_said": "250 taken as 4711"}
    assert trial.handed["link"] not in repr(outcome)
    assert ldap_server.lets_in("j.smith")


REFUSED = {
    "n.ested": "privileged",
    "g.one": "disabled",
    "s.held": "security investigation",
    "m.muster": "no contact on file for m.muster, or several",
    "bjones": "no contact on file",
    "n.oquota": "not one plain mail address",
    "no.body": "has no account no.body",
}


def test_no_link_goes_out_for_these(ldap_server: Slapd) -> None:
    ldap_server.change(person("n.oquota"), "recoveryMail", "a@x.example, mallory@evil.example")
    with closing(open_directory(ldap_server.settings(contact_attribute="recoveryMail"))) as directory:
        for uid, words in REFUSED.items():
            with pytest.raises(Refused, match=words):
                steps.pre_check(Context(target=directory, parameters={"account": uid}, run_id="r"))
