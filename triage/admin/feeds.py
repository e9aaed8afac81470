"""Settings pages of article feeds: checked before they are saved, credentials never shown again."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from pydantic import ValidationError

from triage.admin.logged import LoggedAdmin, tell_lost
from triage.admin.secret import SecretForm
from triage.feeds import KINDS
from triage.feeds.base import Kind, Reached, first_of
from triage.itsm import calling, credentials
from triage.models import ArticleFeed, Customer, Source


class FeedForm(SecretForm):
    """A feed; its credentials are write-only."""

    secret_column = "credentials"  # noqa: S105 - a column's name
    lost = False
    kind = forms.ChoiceField(choices=[(name, kind.words) for name, kind in KINDS.items()])

    class Meta:
        model = ArticleFeed
        fields = (
            *("slug", "name", "kind", "customer", "source", "settings", "every", "full_every", "most_gone"),
            *("adopt", "enabled"),
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.before = dict(self.instance.settings or {})
        examples = "; ".join(f"{name}: {dict(kind.example)}" for name, kind in KINDS.items())
        self.fields["settings"].help_text = _("As JSON, for example %(examples)s") % {
            "examples": examples.replace("'", '"').replace("True", "true")
        }
        self.fields["new_secret"].help_text = credentials.KINDS
        self.fields["new_secret"].label = _("New credentials")

    def clean_new_secret(self) -> str:
        """Refuse credentials that could not work, without repeating any of them."""
        entered = str(self.cleaned_data.get("new_secret") or "")
        try:
            if entered:
                credentials.read(entered)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
        return entered

    def clean(self) -> dict[str, Any]:
        """Refuse settings that could not work, and a source that belongs to somebody else."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        kind = KINDS.get(str(cleaned.get("kind") or ""))
        if kind is None or "settings" not in cleaned:
            return cleaned
        try:
            said = kind.settings.model_validate(cleaned["settings"])
        except ValidationError as error:
            self.add_error("settings", first_of(error))
            return cleaned
        source = cleaned.get("source")
        if source is not None:
            self._check_source(kind, source, cleaned.get("customer"))
        elif isinstance(said, Reached) and not said.api_url:
            self.add_error("settings", _("api_url is missing; or choose a source whose address is to be used"))
        return cleaned

    def _check_source(self, kind: Kind, source: Source, customer: Customer | None) -> None:
        if source.kind not in kind.lenders:
            self.add_error("source", _("A source of this kind cannot lend its address and credentials to this feed."))
        elif source.customer_id is not None and source.customer_id != (customer.pk if customer else None):
            self.add_error("source", _("This source is another customer's: its articles would be shown to others."))

    def save(self, commit: bool = True) -> Any:
        """What was mended is tried at once, and everything is listed: other settings may mean other articles."""
        row = self.instance
        entered = self.cleaned_data.get("new_secret")
        self.lost = bool(row.credentials) and not entered and calling.led_astray(self.before, row.settings)
        row.credentials = "" if self.lost else row.credentials
        row.due_at, row.full_at, row.pass_id, row.cursor = None, None, None, ""
        return super().save(commit=commit)


@admin.register(ArticleFeed)
class ArticleFeedAdmin(LoggedAdmin):
    """Where articles come from."""

    form = FeedForm
    list_display = ("name", "slug", "kind", "customer", "enabled", "done_at", "failure")
    readonly_fields = ("created_at", "done_at", "full_at", "failure", "held_back")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Say where credentials went."""
        super().save_model(request, obj, form, change)
        tell_lost(self, request, obj, form)
