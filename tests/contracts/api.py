"""`python -m tests.contracts.api`: Schemathesis against the published description, on a real server with a real desk.

It asks as a steward with every scope, then as a stranger of another customer and without a token. Exit 0 where no
check fails. `--schemathesis` names the program, for one that is installed elsewhere; `--seconds` bounds each pass.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PORT_TRIES = 60
CONFIG = """
[checks.negative_data_rejection]
# 409: a key that was used before is refused before anything else is read; 413: so is what is too large
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 428]

[checks.positive_data_acceptance]
# 412, 428: whether the thing is there, and with which ETag it was read, no schema can say (RFC 6585)
expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 412, 428, 429, "5xx"]
"""


def main() -> int:
    """Build the desk in a home of its own, serve it, and try it."""
    parser = argparse.ArgumentParser(prog="python -m tests.contracts.api", description=__doc__)
    parser.add_argument("--schemathesis", default=str(Path(sys.executable).with_name("schemathesis")))
    parser.add_argument("--seconds", type=int, default=60, help="of each of the passes")
    parser.add_argument("--only", choices=["steward", "stranger", "nobody"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tri-", ignore_cleanup_errors=True) as folder:
        os.environ |= {"TRIAGE_HOME": folder, "TRIAGE_API_RATE": "1000000", "DJANGO_SETTINGS_MODULE": "triage.settings"}
        secrets = _desk(Path(folder))
        server, url = _serve(folder)
        try:
            passes = {name: secret for name, secret in secrets.items() if given.only in (None, name)}
            codes = [_run(given.schemathesis, url, secret, given.seconds) for secret in passes.values()]
        finally:
            server.terminate()
            server.wait(timeout=30)
    return max(codes)


def _desk(folder: Path) -> dict[str, str]:
    """The believable desk with a model in force; the tokens of those who ask."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.utils import timezone

    from tests import factories, trained
    from tests.web import scene as scenes
    from triage import tokens
    from triage.models import Membership, Person, Role

    call_command("migrate", verbosity=0)
    at = timezone.now()
    scene = scenes.build(at=at, folder=folder)
    factories.certificate(trained.release(scene.nordwind))
    factories.article(customer=scene.nordwind, key="NW1", translation_group="NW1")
    factories.review(scene.tickets[4], scene.agent)
    steward = factories.member(scene.nordwind, Role.STEWARD)
    Membership.objects.create(person=steward, customer=scene.nordwind, role=Role.APPROVER)

    def token(person: Person) -> str:
        return tokens.issue(person=person, name="contract", scopes=tuple(tokens.SCOPES), days="30", at=at)

    return {"steward": token(steward), "stranger": token(scene.stranger), "nobody": ""}


def _serve(folder: str) -> tuple["subprocess.Popen[bytes]", str]:
    import urllib3

    from triage.ports import free_ports

    (port,) = free_ports(1)
    argv = [
        "-m",
        "gunicorn",
        "--config",
        "python:triage.gunicorn",
        "triage.wsgi:application",
        "--bind",
        f"127.0.0.1:{port}",
        "--worker-class",
        "gthread",
    ]
    argv += ["--threads", "4", "--no-control-socket", "--log-level", "warning", "--worker-tmp-dir", folder]
    server = subprocess.Popen([sys.executable, *argv], env=dict(os.environ))
    url, http = f"http://127.0.0.1:{port}", urllib3.PoolManager(retries=False, timeout=5)
    for _ in range(PORT_TRIES):
        try:
            if http.request("GET", f"{url}/api/openapi.json").status == 200:
                return server, url
        except urllib3.exceptions.HTTPError:
            time.sleep(0.5)
    server.kill()
    raise SystemExit("the server did not start")


def _run(program: str, url: str, secret: str, seconds: int) -> int:
    config = Path(os.environ["TRIAGE_HOME"]) / "schemathesis.toml"
    config.write_text(CONFIG)
    argv = [
        program,
        "--config-file",
        str(config),
        "run",
        f"{url}/api/openapi.json",
        "--checks",
        "all",
        "--continue-on-failure",
    ]
    argv += ["--max-time", str(seconds), "--phases", "examples,coverage,fuzzing", "--seed", "1"]
    argv += ["--warnings", "off", "--no-color"]
    if secret:
        argv += ["--header", f"Authorization: Bearer {secret}"]
    return subprocess.run(argv, check=False, cwd=os.environ["TRIAGE_HOME"]).returncode


if __name__ == "__main__":
    sys.exit(main())
