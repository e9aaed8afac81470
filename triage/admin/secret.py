"""Forms for what is written and never shown again."""

from typing import Any

from django import forms


class WriteOnly(forms.Textarea):
    """A field that is sent and never filled in again, not even when the form is refused."""

    def __init__(self) -> None:
        super().__init__(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"})

    def format_value(self, value: Any) -> str:  # noqa: ARG002 - Django names it
        """Nothing."""
        return ""


class SecretForm(forms.ModelForm):  # type: ignore[type-arg]  # several tables share it
    """Secrets are written here and never shown again: an empty field keeps what is stored."""

    secret_column = ""
    new_secret = forms.CharField(required=False, strip=True, widget=WriteOnly())

    def save(self, commit: bool = True) -> Any:
        """Take over a new secret, if one was entered."""
        entered = self.cleaned_data.get("new_secret")
        if entered:
            setattr(self.instance, self.secret_column, entered)
        return super().save(commit=commit)
