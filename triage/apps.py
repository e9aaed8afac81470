"""The one Django app."""

import logging

from django.apps import AppConfig

log = logging.getLogger(__name__)


class TriageConfig(AppConfig):
    """Loads operators' runbooks and the system checks when Django starts."""

    name = "triage"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Make the operators' runbooks known and who runs their steps, and register the system checks."""
        from runbooks import registry
        from runbooks.runners import python
        from triage import checks
        from triage.environment import environment

        registry.use(environment().runbooks)
        python.use(run_as=environment().run_as)
        for trouble in registry.troubles():
            log.warning("the runbook %s is unavailable: %s", trouble.key, trouble.problems[0])
        checks.register_all()
