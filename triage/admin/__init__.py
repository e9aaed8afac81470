"""Settings pages for administrators: who belongs where, what is connected, what runbooks may touch.

What holds runs back, and who is told, have files of their own.
Rows with a status are not here: `triage.lifecycle` alone changes those, and the desk shows them.
"""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.utils import timezone

from triage import bell, intake, targets
from triage.admin import feeds, restraints, telling
from triage.admin.logged import KeptAdmin, LoggedAdmin, tell_lost
from triage.admin.secret import SecretForm, WriteOnly
from triage.itsm import calling, credentials, placing
from triage.models import Article, Customer, Membership, Panel, Person, Source, SourceMapping, Target

__all__ = ["LoggedAdmin", "feeds", "restraints", "telling"]

admin.site.site_header = admin.site.site_title = "Triage settings"
admin.site.index_title = "Settings"
admin.site.unregister(Group)  # roles are memberships: docs/sign-in.md


class SourceForm(SecretForm):
    """A source; its signing secrets and the credentials for its API are write-only."""

    secret_column = "secrets"  # noqa: S105 - a column's name
    lost = False
    new_credentials = forms.CharField(required=False, help_text=credentials.KINDS, widget=WriteOnly())

    class Meta:
        model = Source
        fields = ("slug", "kind", "name", "customer", "settings", "assurance", "pull_every", "enabled")
        help_texts = {"assurance": 'By channel: {"portal": "portal", "mail": "mail", "monitoring": "monitored"}'}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.before = dict(self.instance.settings or {})

    def clean_new_credentials(self) -> str:
        """Refuse credentials that could not work, without repeating any of them."""
        entered = str(self.cleaned_data["new_credentials"] or "")
        try:
            if entered:
                credentials.read(entered)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
        return entered

    def clean_settings(self) -> Any:
        """Refuse a `placing` that would place nothing, and say which key is wrong."""
        told = self.cleaned_data["settings"]
        if wrong := placing.problems(told if isinstance(told, dict) else {}):
            raise forms.ValidationError(wrong)
        return told

    def save(self, commit: bool = True) -> Any:
        """Take over new credentials, if any were entered; what was mended is tried at once."""
        row, entered = self.instance, self.cleaned_data.get("new_credentials") or ""
        written = row.settings if "settings" in self.changed_data else {}
        row.public_hosts = calling.vouched(row.public_hosts, settings=written, secret=entered)
        self.lost = bool(row.credentials) and not entered and calling.led_astray(self.before, row.settings)
        row.credentials = "" if self.lost else entered or row.credentials
        self.instance.pull_due_at = None
        return super().save(commit=commit)


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


class PanelInline(admin.StackedInline):  # type: ignore[type-arg]  # Django's generic parameters say nothing here
    """Whether and where the ITSM may show the panel."""

    model = Panel


class MembershipInline(admin.StackedInline):  # type: ignore[type-arg]  # as above
    """Roles on the person's page."""

    model = Membership
    extra = 1


class MappingInline(admin.StackedInline):  # type: ignore[type-arg]  # as above
    """Which of the ITSM's owners is which customer."""

    model = SourceMapping
    extra = 1


@admin.register(Person)
class PersonAdmin(LoggedAdmin, UserAdmin):  # type: ignore[type-arg]  # as above
    """People and their roles; groups and single permissions are not used."""

    inlines = (MembershipInline,)
    list_display = ("username", "first_name", "last_name", "email", "is_active", "is_superuser")
    list_filter = ("is_active", "is_superuser")
    filter_horizontal = ()
    readonly_fields = ("is_active", "is_staff", "is_superuser")  # changed on /people/, which keeps the last one
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("About", {"fields": ("first_name", "last_name", "email", "zone")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser")}),
    )


@admin.register(Customer)
class CustomerAdmin(KeptAdmin):
    """Customers and how far Triage may go for them; one that leaves is offboarded (`triage offboard`)."""

    list_display = ("name", "slug", "mode", "automation_enabled")
    readonly_fields = ("uuid", "created_at", "automation_enabled")  # switched on the desk, with a reason


@admin.register(Source)
class SourceAdmin(LoggedAdmin):
    """Connections to ITSMs."""

    form = SourceForm
    inlines = (MappingInline, PanelInline)
    list_display = ("name", "slug", "kind", "customer", "enabled")
    readonly_fields = ("uuid", "created_at", "pulled_until", "pull_failure")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Say where credentials went."""
        super().save_model(request, obj, form, change)
        tell_lost(self, request, obj, form)

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
class ArticleAdmin(KeptAdmin):
    """Knowledge articles; one that is not to be used any more is retired."""

    list_display = ("key", "title", "language", "customer", "runbook", "retired_at")
    list_filter = ("language", "customer")
    search_fields = ("key", "title")
