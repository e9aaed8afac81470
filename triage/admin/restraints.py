"""Settings pages for what holds runs back: limits, windows, freezes, environments; each says what is in force."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.utils import timezone

from runbooks import windows
from runbooks.environments import ENVIRONMENTS, strictest
from runbooks.registry import RUNBOOKS
from triage import obstacles
from triage.admin.logged import LoggedAdmin
from triage.models import Freeze, Limit, RunbookState, Window
from triage.targets import target_for

RULES = {"run": "by itself", "approve": "a person must approve", "never": "never"}


def _choice(environment: str) -> forms.ChoiceField:
    return forms.ChoiceField(
        required=False,
        label=f"In {environment}",
        choices=[("", "as the runbook says"), *RULES.items()],
        help_text="The strictest of what the runbook and this page say counts.",
    )


class RunbookStateForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's generic parameters say nothing here
    """What a runbook may do at a customer; one choice for each environment."""

    in_production = _choice("production")
    in_staging = _choice("staging")
    in_test = _choice("test")
    in_development = _choice("development")

    class Meta:
        model = RunbookState
        fields = ("customer", "runbook", "runs_an_hour", "concurrent")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        said = self.instance.environments or {}
        for environment in ENVIRONMENTS:
            self.fields[f"in_{environment}"].initial = said.get(environment, "")

    def clean_runbook(self) -> str:
        """Refuse what no runbook is called."""
        return _known_runbook(self.cleaned_data["runbook"])

    def save(self, commit: bool = True) -> Any:
        """Store the rules of the environments; what is left to the runbook is not stored."""
        said = {name: self.cleaned_data.get(f"in_{name}") for name in ENVIRONMENTS}
        self.instance.environments = {name: rule for name, rule in said.items() if rule}
        return super().save(commit=commit)


class LimitForm(forms.ModelForm):  # type: ignore[type-arg]  # as above
    """A limit that limits something, on a target of its own customer."""

    class Meta:
        model = Limit
        fields = ("customer", "runbook", "target", "each", "runs_an_hour", "concurrent")

    def clean(self) -> dict[str, Any]:
        """Refuse an empty limit, another customer's target, and a second limit of the same."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("runs_an_hour") is None and cleaned.get("concurrent") is None:
            self.add_error("runs_an_hour", "Give at least one: runs an hour, or runs at the same moment.")
        _same_customer(self, cleaned)
        alike = {name: cleaned.get(name) for name in ("customer", "runbook", "target", "each")}
        if Limit.objects.filter(**alike).exclude(pk=self.instance.pk).exists():
            self.add_error(None, "There is a limit for exactly this already: change that one.")
        return cleaned

    def clean_runbook(self) -> str:
        """Refuse what no runbook is called."""
        return _known_runbook(self.cleaned_data["runbook"])


class WindowForm(forms.ModelForm):  # type: ignore[type-arg]  # as above
    """A window that can be read and that comes at all, on a target of its own customer."""

    class Meta:
        model = Window
        fields = ("customer", "runbook", "target", "days", "begins", "ends", "zone", "first_day")
        help_texts = {
            "days": "FREQ=WEEKLY;BYDAY=SA,SU is every Saturday and Sunday, FREQ=DAILY every day, "
            "FREQ=MONTHLY;BYDAY=2TU the second Tuesday of each month (RFC 5545).",
            "zone": "As in Europe/Berlin. The window keeps these hours when the clocks change.",
        }

    def clean(self) -> dict[str, Any]:
        """Refuse days, hours and zones that could not work, with what to write."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        _same_customer(self, cleaned)
        if not self.errors:
            names = ("days", "begins", "ends", "zone", "first_day")
            trouble = windows.trouble_with(windows.Window(*(cleaned[name] for name in names)))
            if trouble:
                self.add_error("zone" if "time zone" in trouble else "days", trouble)
        return cleaned

    def clean_runbook(self) -> str:
        """Refuse what no runbook is called."""
        return _known_runbook(self.cleaned_data["runbook"])


class FreezeForm(forms.ModelForm):  # type: ignore[type-arg]  # as above
    """A freeze that lasts some time."""

    class Meta:
        model = Freeze
        fields = ("customer", "begins", "ends", "reason")

    def clean(self) -> dict[str, Any]:
        """Refuse one that is over before it begins."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        begins, ends = cleaned.get("begins"), cleaned.get("ends")
        if begins and ends and ends <= begins:
            self.add_error("ends", "A freeze ends after it begins: give a later time.")
        return cleaned


def _known_runbook(key: str) -> str:
    if key and key not in RUNBOOKS:
        raise forms.ValidationError(f"There is no runbook {key!r}. There are: {', '.join(RUNBOOKS)}.")
    return key


def _same_customer(form: forms.ModelForm, cleaned: dict[str, Any]) -> None:  # type: ignore[type-arg]  # as above
    target, customer = cleaned.get("target"), cleaned.get("customer")
    if target and customer and target.customer_id != customer.pk:
        form.add_error("target", "This target belongs to another customer.")


@admin.register(RunbookState)
class RunbookStateAdmin(LoggedAdmin):
    """Limits and environments of single runbooks at a customer. Switch and circuit are on the desk, with a reason."""

    form = RunbookStateForm
    list_display = ("runbook", "customer", "enabled", "in_force")
    readonly_fields = ("enabled", "circuit_closed_at", "in_force")

    @admin.display(description="in force now")
    def in_force(self, state: RunbookState) -> str:
        """Every limit and rule that holds for this runbook there, in sentences."""
        return _of_runbook(state) if state.pk else ""


@admin.register(Limit)
class LimitAdmin(LoggedAdmin):
    """Limits over a customer, a target, a runbook, or every host or account by itself."""

    form = LimitForm
    list_display = ("in_force", "customer", "runbook", "target")
    list_filter = ("customer",)
    readonly_fields = ("in_force",)

    @admin.display(description="in force now")
    def in_force(self, limit: Limit) -> str:
        """The limit in a sentence."""
        return _of_limit(limit) if limit.pk else ""


@admin.register(Window)
class WindowAdmin(LoggedAdmin):
    """When runs may start at all."""

    form = WindowForm
    list_display = ("in_force", "customer", "runbook", "target")
    list_filter = ("customer",)
    readonly_fields = ("in_force",)

    @admin.display(description="in force now")
    def in_force(self, window: Window) -> str:
        """The window in a sentence, with its next opening."""
        return _of_window(window, at=timezone.now()) if window.pk else ""


@admin.register(Freeze)
class FreezeAdmin(LoggedAdmin):
    """Times in which nothing starts."""

    form = FreezeForm
    list_display = ("reason", "customer", "begins", "ends")
    list_filter = ("customer",)


def _of_runbook(state: RunbookState) -> str:
    runbook = RUNBOOKS.get(state.runbook)
    if runbook is None:
        return "There is no such runbook any more."
    customer = state.customer
    said = list(obstacles.limits_of(customer, runbook, target=target_for(customer, runbook)))
    rules = obstacles.rules_for(customer, runbook)
    for environment in ENVIRONMENTS:
        rule = RULES[strictest(environment, *rules)]
        said.append(f"In {environment}: {rule}.")
    return " ".join(said)


def _of_limit(limit: Limit) -> str:
    what = RUNBOOKS[limit.runbook].title if limit.runbook in RUNBOOKS else limit.runbook or "all runbooks together"
    where = f"on {limit.target.key}" if limit.target else f"at {limit.customer.name}"
    each = ", for every host or account by itself" if limit.each else ""
    most = [f"{limit.runs_an_hour} runs an hour"] if limit.runs_an_hour is not None else []
    most += [f"{limit.concurrent} at the same moment"] if limit.concurrent is not None else []
    return f"At most {' and '.join(most)} of {what} {where}{each}."


def _of_window(window: Window, *, at: datetime) -> str:
    what = RUNBOOKS[window.runbook].title if window.runbook in RUNBOOKS else window.runbook or "Every runbook"
    where = f"on {window.target.key}" if window.target else f"at {window.customer.name}"
    opens = windows.next_open([[obstacles.arithmetic(window)]], [], at)
    if opens is None:
        return f"{what} {where} starts only inside this window, which does not open within a year."
    when = "it is open now" if opens <= at else f"it opens next on {opens:%A %d %B %Y at %H:%M} UTC"
    return f"{what} {where} starts only inside this window: {when}."
