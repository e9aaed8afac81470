from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("triage", "0023_knowledge"),
    ]

    operations = [
        migrations.AddField(
            model_name="source",
            name="public_hosts",
            field=models.JSONField(
                blank=True,
                default=list,
                editable=False,
                verbose_name="hosts that a customer's administrator entered: called at public addresses only",
            ),
        ),
    ]
