"""An administrator lays down limits, windows and environments, is told what is in force, and what could not work."""

import pytest
from django.urls import reverse

from tests import factories
from tests.web.conftest import client_of
from triage.models import AuditEvent, Customer, Freeze, Limit, RunbookState, Window

pytestmark = pytest.mark.django_db
WINDOW = {"runbook": "", "target": "", "days": "FREQ=WEEKLY;BYDAY=SA", "begins": "22:00", "ends": "06:00"}
WINDOW |= {"zone": "Europe/Berlin", "first_day": "2024-01-01"}


@pytest.fixture
def customer() -> Customer:
    return factories.customer(name="Nordwind")


def post(name: str, form: dict[str, object]) -> str:
    """The page after a form: the list where it was taken, the form with what is wrong where not."""
    chief = client_of(factories.person(is_superuser=True, is_staff=True))
    return chief.post(reverse(f"admin:triage_{name}_add"), form, follow=True).content.decode()


def test_a_limit_is_laid_down_and_read_back_as_a_sentence(customer: Customer) -> None:
    target = factories.target(customer, key="web")
    form = {"customer": customer.pk, "runbook": "unlock_account", "target": target.pk, "each": "on", "runs_an_hour": 3}
    page = post("limit", form)
    assert "At most 3 runs an hour of Unlock an account that failed sign-ins have locked on web, for every" in page
    assert Limit.objects.count() == 1
    assert AuditEvent.objects.get(subject="limit").customer_id == customer.pk
    assert "There is a limit for exactly this already" in post("limit", form)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"runs_an_hour": ""}, "Give at least one"),
        ({"runbook": "no_such"}, "There is no runbook &#x27;no_such&#x27;"),
        ({"target": "another"}, "belongs to another customer"),
    ],
)
def test_a_limit_that_could_not_work_is_refused(customer: Customer, change: dict[str, object], said: str) -> None:
    other = factories.target(factories.customer())
    form = {"customer": customer.pk, "runbook": "", "target": "", "runs_an_hour": 3, **change}
    assert said in post("limit", {**form, "target": other.pk if form["target"] else ""})
    assert not Limit.objects.exists()


def test_a_window_says_when_it_opens_next(customer: Customer) -> None:
    page = post("window", {"customer": customer.pk, **WINDOW})
    assert "Every runbook at Nordwind starts only inside this window" in page
    assert Window.objects.get().zone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"days": "on Saturdays"}, "Write the days as a rule such as FREQ=WEEKLY"),
        ({"zone": "Berlin"}, "There is no time zone"),
    ],
)
def test_a_window_that_could_not_work_is_refused(customer: Customer, change: dict[str, str], said: str) -> None:
    assert said in post("window", {"customer": customer.pk, **WINDOW, **change})
    assert not Window.objects.exists()


def test_a_freeze_must_end_after_it_begins() -> None:
    form = {"customer": "", "reason": "closing", "begins_0": "2026-12-20", "begins_1": "00:00"}
    assert "ends after it begins" in post("freeze", {**form, "ends_0": "2026-12-19", "ends_1": "00:00"})
    post("freeze", {**form, "ends_0": "2027-01-02", "ends_1": "00:00"})
    assert Freeze.objects.get().customer is None


def test_environments_are_chosen_and_what_is_in_force_is_said(customer: Customer) -> None:
    form = {"customer": customer.pk, "runbook": "unlock_account", "in_production": "approve", "in_test": ""}
    post("runbookstate", {**form, "concurrent": 2})
    state = RunbookState.objects.get()
    assert (state.environments, state.concurrent, state.enabled) == ({"production": "approve"}, 2, True)
    chief = client_of(factories.person(is_superuser=True, is_staff=True))
    page = chief.get(reverse("admin:triage_runbookstate_change", args=[state.pk])).content.decode()
    assert "and 2 at the same moment. In production: a person must approve. In staging: by itself." in page
