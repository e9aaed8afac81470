"""The one Django app."""

from django.apps import AppConfig


class TriageConfig(AppConfig):
    """Loads the system checks when Django starts."""

    name = "triage"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks."""
        from triage import checks

        checks.register_all()
