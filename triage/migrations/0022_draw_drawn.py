"""Drawn tickets are found without looking at all draws."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("triage", "0021_duplicate_of"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="draw",
            index=models.Index(
                condition=models.Q(purpose__in=("holdout", "verify", "reopened")),
                fields=["customer", "ticket"],
                name="draw_drawn",
            ),
        ),
    ]
