"""Renewing a certificate over ssh: a real authority, real files, a real TLS server that presents them."""

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runbooks import registry
from runbooks.outcome import Outcome
from runbooks.targets import TargetError, host
from tests.runbooks.hosts import authority
from tests.runbooks.hosts.authority import Authority
from tests.runbooks.hosts.conftest import Execute
from tests.runbooks.hosts.sshd import Sshd


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Authority]:
    with authority.running(tmp_path) as made:
        yield made


@pytest.fixture
def renew(execute: Execute, ssh_server: Sshd) -> Execute:
    def run(settings: dict[str, Any], certificate: str = "web") -> Outcome:
        return execute(
            registry.get("renew_certificate"),
            hosts={"web1": ssh_server.host()},
            settings={"private_key": ssh_server.private_key, **settings},
            host="web1",
            certificate=certificate,
        )

    return run


def test_a_renewed_certificate_is_presented_and_the_former_one_is_kept(renew: Execute, web: Authority) -> None:
    before, files = web.served(), web.files()
    outcome = renew(web.settings())
    assert outcome.status == "succeeded", outcome.output
    assert web.served() != before
    assert {path.name.partition(".triage-")[0]: path.read_bytes() for path in web.copies()} == {
        name: content for name, (content, _) in files.items()
    }
    assert [oct(path.stat().st_mode & 0o077) for path in web.copies() if path.name.startswith("key")] == ["0o0"]
    again = renew(web.settings())
    assert again.status == "refused"
    assert "web is valid for 89 more days" in again.message


def test_a_key_of_another_certificate_or_one_that_nobody_can_read_is_told_apart(web: Authority) -> None:
    """What the pre-check asks first, and refuses by."""
    path = registry.get("renew_certificate").folder / "library" / "certificate_files.py"
    problem = runpy.run_path(str(path))["key_problem"]
    certificate = str(web.folder / "cert.pem")
    assert problem(certificate, str(web.folder / "key.pem")) == ""
    assert "KEY_VALUES_MISMATCH" in problem(certificate, str(web.folder / "ca.key"))
    assert "do not belong together" in problem(certificate, str(web.folder / "nowhere"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"renew": "certbot renew"}, "certificates.web.renew"),
        ({"key": "key.pem"}, "certificates.web.key"),
        ({"address": "corp.example/x"}, "certificates.web.address"),
        ({"days": 0}, "certificates.web.days"),
    ],
)
def test_settings_that_cannot_work_are_named(changes: dict[str, Any], words: str) -> None:
    given = {"certificate": "/c", "key": "/k", "renew": ["r"], "reload": ["s"], **changes}
    hosts = {"here": {"connection": "local"}}
    with pytest.raises(TargetError, match=words):
        host.parse({"hosts": json.dumps(hosts), "certificates": json.dumps({"web": given})})
