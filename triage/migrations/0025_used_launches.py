from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("triage", "0024_source_public_hosts"),
    ]

    operations = [
        migrations.CreateModel(
            name="UsedLaunch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "digest",
                    models.CharField(max_length=64, unique=True, verbose_name="SHA-256 of the launch's own number"),
                ),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.AddField(
            model_name="refusal",
            name="proved",
            field=models.BooleanField(default=False, verbose_name="whoever sent it holds the secret"),
        ),
    ]
