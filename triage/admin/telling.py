"""Settings pages for who is told: owners of runbooks, and programs that hear by signed webhooks."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from runbooks.registry import RUNBOOKS
from triage.admin.logged import LoggedAdmin
from triage.admin.secret import SecretForm
from triage.itsm import addresses, standard
from triage.models import EventEndpoint, Membership, RunbookOwner
from triage.telling.kinds import EVENTS

WANTED = "A secret is whsec_ and at least 24 bytes in base64: echo whsec_$(openssl rand -base64 32)"


class OwnerForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's generic parameters say nothing here
    """Who owns a runbook, at one customer or at all."""

    runbook = forms.ChoiceField()

    class Meta:
        model = RunbookOwner
        fields = ("customer", "runbook", "people", "mail")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = [(key, f"{one.title} ({one.owner})") for key, one in sorted(RUNBOOKS.items())]
        gone = self.instance.runbook
        kept = [(gone, f"{gone} (no longer there)")] if gone and gone not in RUNBOOKS else []
        self.fields["runbook"] = forms.ChoiceField(choices=known + kept)

    def clean(self) -> dict[str, Any]:
        """An owner is somebody, and sees the customer's rows; one row for each customer and runbook."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        people, customer = list(cleaned.get("people") or ()), cleaned.get("customer")
        if not people and not cleaned.get("mail"):
            raise forms.ValidationError("Name people, the mail address of a team, or both.")
        for person in people if customer else ():
            if not person.is_superuser and not Membership.objects.filter(person=person, customer=customer).exists():
                self.add_error("people", f"{person} has no role at {customer}: give one first.")
        same = RunbookOwner.objects.filter(customer=customer, runbook=cleaned.get("runbook"))
        if same.exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("This runbook has an owner here already: change that row.")
        return cleaned


class EndpointForm(SecretForm):
    """An endpoint; its signing secrets are write-only."""

    secret_column = "secrets"  # noqa: S105 - a column's name
    kinds = forms.MultipleChoiceField(
        choices=[(event, event) for event in EVENTS],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None ticked: all but ticket.decided, of which there is one for each ticket.",
    )

    class Meta:
        model = EventEndpoint
        fields = ("customer", "name", "url", "kinds", "internal", "enabled")

    def clean_url(self) -> str:
        """Refuse what could never be called; what the name means is looked at before each message."""
        url: str = self.cleaned_data["url"]
        try:
            addresses.check(url)
        except addresses.AddressRefused as error:
            raise forms.ValidationError(str(error)) from None
        return url

    def clean_new_secret(self) -> str:
        """One secret a line, the newest first; two while one is being rotated."""
        lines = [line.strip() for line in self.cleaned_data["new_secret"].splitlines() if line.strip()]
        if not all(standard.is_secret(line) for line in lines):
            raise forms.ValidationError(f"{WANTED}.")
        if not lines and not self.instance.secrets:
            raise forms.ValidationError(f"Messages are signed. {WANTED}.")
        if len(lines) > 2:
            raise forms.ValidationError("At most two secrets: the new one, and below it the one before.")
        return "\n".join(lines)


@admin.register(RunbookOwner)
class RunbookOwnerAdmin(LoggedAdmin):
    """Who hears of a runbook's troubles."""

    form = OwnerForm
    list_display = ("runbook", "customer", "mail")
    list_filter = ("customer",)


@admin.register(EventEndpoint)
class EventEndpointAdmin(LoggedAdmin):
    """Programs that are told by signed webhooks."""

    form = EndpointForm
    list_display = ("name", "customer", "enabled", "failing_since", "disabled_because")
    readonly_fields = ("failing_since", "disabled_because")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Switched on again, it starts afresh."""
        if obj.enabled:
            obj.failing_since, obj.disabled_because = None, ""
        super().save_model(request, obj, form, change)
