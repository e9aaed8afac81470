"""Settings pages for administrators: who belongs where, what is connected, what runbooks may touch.

What holds runs back has a file of its own.
Rows with a status are not here: `triage.lifecycle` alone changes those, and the desk shows them.
"""

import base64
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest
from django.utils import timezone

from runbooks.registry import RUNBOOKS
from triage import bell, intake, targets
from triage.admin import restraints
from triage.admin.logged import LoggedAdmin
from triage.models import (
    Article,
    Customer,
    EventEndpoint,
    Membership,
    Person,
    RunbookOwner,
    Source,
    SourceMapping,
    Target,
)
from triage.telling import addresses
from triage.telling.kinds import EVENTS

__all__ = ["LoggedAdmin", "restraints"]

admin.site.site_header = admin.site.site_title = "Triage settings"
admin.site.index_title = "Settings"


class SecretForm(forms.ModelForm):  # type: ignore[type-arg]  # two tables share it
    """Secrets are written here and never shown again: an empty field keeps what is stored."""

    secret_column = ""
    new_secret = forms.CharField(
        required=False,
        strip=True,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"}),
    )

    def save(self, commit: bool = True) -> Any:
        """Take over a new secret, if one was entered."""
        entered = self.cleaned_data.get("new_secret")
        if entered:
            setattr(self.instance, self.secret_column, entered)
        return super().save(commit=commit)


class SourceForm(SecretForm):
    """A source; its signing secrets are write-only."""

    secret_column = "secrets"  # noqa: S105 - a column's name

    class Meta:
        model = Source
        fields = ("slug", "kind", "name", "customer", "settings", "assurance", "enabled")
        help_texts = {"assurance": 'By channel: {"portal": "portal", "mail": "mail", "monitoring": "monitored"}'}


class TargetForm(SecretForm):
    """A target; its connection and credentials are write-only."""

    secret_column = "settings"  # noqa: S105 - a column's name

    class Meta:
        model = Target
        fields = ("customer", "key", "kind", "environment")

    def clean(self) -> dict[str, Any]:
        """Refuse settings that could not work, with what to mend and without repeating any of them."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        settings = cleaned.get("new_secret") or self.instance.settings
        trouble = targets.trouble_with(cleaned.get("kind", ""), settings) if settings else ""
        if trouble:
            self.add_error("new_secret", trouble)
        return cleaned


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


WANTED = "A secret is whsec_ and at least 24 bytes in base64: echo whsec_$(openssl rand -base64 32)"


class EndpointForm(SecretForm):
    """An endpoint; its signing secrets are write-only."""

    secret_column = "secrets"  # noqa: S105 - a column's name
    kinds = forms.MultipleChoiceField(
        choices=[(event, event) for event in EVENTS],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None ticked: all.",
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
        for line in lines:
            try:
                good = len(base64.b64decode(line.removeprefix("whsec_"), validate=True)) >= 24
            except ValueError:
                good = False
            if not good or not line.startswith("whsec_"):
                raise forms.ValidationError(f"{WANTED}.")
        if not lines and not self.instance.secrets:
            raise forms.ValidationError(f"Messages are signed. {WANTED}.")
        if len(lines) > 2:
            raise forms.ValidationError("At most two secrets: the new one, and below it the one before.")
        return "\n".join(lines)


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg]  # Django's generic parameters say nothing here
    """Roles on the person's page."""

    model = Membership
    extra = 1


class MappingInline(admin.TabularInline):  # type: ignore[type-arg]  # as above
    """Which of the ITSM's owners is which customer."""

    model = SourceMapping
    extra = 1


@admin.register(Person)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]  # as above
    """People and their roles; groups and single permissions are not used."""

    inlines = (MembershipInline,)
    list_display = ("username", "first_name", "last_name", "email", "is_active", "is_superuser")
    list_filter = ("is_active", "is_superuser")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("About", {"fields": ("first_name", "last_name", "email", "zone")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser")}),
    )


@admin.register(Customer)
class CustomerAdmin(LoggedAdmin):
    """Customers and how far Triage may go for them."""

    list_display = ("name", "slug", "mode", "automation_enabled")
    readonly_fields = ("uuid", "created_at", "automation_enabled")  # switched on the desk, with a reason


@admin.register(Source)
class SourceAdmin(LoggedAdmin):
    """Connections to ITSMs."""

    form = SourceForm
    inlines = (MappingInline,)
    list_display = ("name", "slug", "kind", "customer", "enabled")
    readonly_fields = ("uuid", "created_at")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Tickets that waited for an owner go to the customers that the source and its mappings name now."""
        super().save_related(request, form, formsets, change)
        mapped = intake.map_waiting(source=form.instance, at=timezone.now())
        if mapped:
            bell.ring("classify_waiting")
            self.message_user(request, f"{mapped} waiting tickets have found their customer.")


@admin.register(Target)
class TargetAdmin(LoggedAdmin):
    """What runbooks may touch."""

    form = TargetForm
    list_display = ("key", "kind", "customer")


@admin.register(Article)
class ArticleAdmin(LoggedAdmin):
    """Knowledge articles."""

    list_display = ("key", "title", "language", "customer", "runbook", "retired_at")
    list_filter = ("language", "customer")
    search_fields = ("key", "title")
