"""Where a value was not found, the page offers what could be meant and what there is; what is typed is checked."""

import json
from typing import Any

from django.test import Client
from django.urls import reverse

from tests import factories
from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage.models import Run, Ticket


def _post(client: Client, ticket: Ticket, **values: Any) -> Any:
    form = {"verdict": "article", "text_hash": "e" * 64, **values}
    return client.post(reverse("ticket-verdict", args=[ticket.uuid]), form, follow=True)


def test_a_person_chooses_among_what_the_target_has_and_nothing_is_chosen_beforehand(scene: Scene) -> None:
    hosts = {name: {"connection": "local"} for name in ("web1.corp.example", "web1.lab.example", "db1")}
    commands = {verb: ["/bin/true"] for verb in ("pid", "restart", "stop")}
    settings = {"hosts": hosts, "services": {"nginx": commands, "sshd": commands}}
    factories.target(scene.nordwind, kind="host", settings=json.dumps(settings))
    factories.article(key="KB0099", title="A service hangs", runbook="restart_service")
    ticket = scene.tickets[2]
    Ticket.objects.filter(pk=ticket.pk).update(body="<b>nginx</b> hangs on web1 again", text_hash="e" * 64)
    client, path = client_of(scene.agent), reverse("ticket-run", args=[ticket.uuid])
    page = client.post(path, {"article": "KB0099"}).content.decode()
    assert "the text names web1.corp.example, web1.lab.example" in page
    may, others = page.split('label="The ticket may mean"')[1].split('label="Others"')
    assert "<option >web1.corp.example</option><option >web1.lab.example</option>" in may
    assert "db1" in others.split("</optgroup>")[0]
    assert 'name="p-host" required' in page
    assert page.count('<option value="">Choose one</option>') == 1
    assert "<option selected>nginx</option>" in page
    for host in ("web1", "../etc", "-oProxyCommand=x", "web9"):
        answer = _post(client, ticket, article="KB0099", follow="run", **{"p-host": host, "p-service": "nginx"})
        assert "cannot work with this" in answer.content.decode()
    assert not Run.objects.filter(ticket=ticket).exists()
    _post(client, ticket, article="KB0099", follow="run", **{"p-host": "web1.lab.example", "p-service": "nginx"})
    run = Run.objects.get(ticket=ticket)
    assert (run.target_object, run.parameters) == (
        "web1.lab.example",
        {"host": "web1.lab.example", "service": "nginx"},
    )
