"""Forms for what is written and never shown again."""

from typing import Any

from django import forms


class SecretForm(forms.ModelForm):  # type: ignore[type-arg]  # several tables share it
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
