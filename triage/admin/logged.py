"""Settings pages whose every change stands in the product's own log."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from triage import lifecycle


class LoggedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # one class serves every table
    """Every change goes into the product's own log too, with the names of the changed columns and never values."""

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
