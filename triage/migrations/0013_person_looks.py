"""The language and theme that a person chose for the pages."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("triage", "0012_kept_answers")]

    operations = [
        migrations.AddField(
            "person",
            "language",
            models.CharField(blank=True, max_length=8, verbose_name="language of the pages; empty: the browser's"),
        ),
        migrations.AddField(
            "person",
            "theme",
            models.CharField(
                blank=True,
                choices=[("light", "Light"), ("dark", "Dark")],
                max_length=8,
                verbose_name="empty: as the system has it",
            ),
        ),
        migrations.AddConstraint(
            "person",
            models.CheckConstraint(condition=models.Q(theme__in=["", "light", "dark"]), name="person_theme_known"),
        ),
    ]
