"""Settings pages whose every change stands in the product's own log."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminSplitDateTime
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from triage import lifecycle


class Moment(AdminSplitDateTime):
    """A date and a time, each with a name of its own for a screen reader."""

    def __init__(self, attrs: Any = None) -> None:
        super().__init__(attrs)
        for widget, name in zip(self.widgets, (gettext_lazy("Date"), gettext_lazy("Time")), strict=True):
            widget.attrs["aria-label"] = name


class LoggedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # one class serves every table
    """Every change goes into the product's own log too, with the names of the changed columns and never values."""

    formfield_overrides = {models.DateTimeField: {"form_class": forms.SplitDateTimeField, "widget": Moment}}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save and record."""
        super().save_model(request, obj, form, change)
        lifecycle.record(
            row=obj,
            event="changed" if change else "added",
            at=timezone.now(),
            actor=f"person:{request.user.pk}",
            reason=", ".join(form.changed_data),
        )

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Record and delete."""
        lifecycle.record(
            row=obj, event="deleted", at=timezone.now(), actor=f"person:{request.user.pk}", reason=str(obj)
        )
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        """Record and delete each of several."""
        for obj in queryset:
            self.delete_model(request, obj)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Save and record what was changed in rows that belong to this one, such as a person's roles."""
        super().save_formset(request, form, formset, change)
        said = [f"added {row}" for row in formset.new_objects]
        said += [f"changed {row}: {', '.join(names)}" for row, names in formset.changed_objects]
        said += [f"deleted {row}" for row in formset.deleted_objects]
        if said:
            lifecycle.record(
                row=form.instance,
                event="changed",
                at=timezone.now(),
                actor=f"person:{request.user.pk}",
                reason="; ".join(said)[:500],
            )


class KeptAdmin(LoggedAdmin):
    """Rows that the past speaks of: nobody deletes them here, one by one or many at once."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django names them
        """Nobody."""
        return False


def tell_lost(page: "admin.ModelAdmin[Any]", request: HttpRequest, row: Any, form: Any) -> None:
    """Where a new address took the stored credentials out of use, the person hears of it and the log too."""
    if not form.lost:
        return
    lifecycle.record(
        row=row,
        event="credentials removed",
        at=timezone.now(),
        actor=f"person:{request.user.pk}",
        reason="the address names another host",
    )
    said = _("The address names another host, so the stored credentials were removed. Enter them for this host.")
    page.message_user(request, said, messages.WARNING)
