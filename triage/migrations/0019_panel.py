"""Where an ITSM may show a ticket's panel."""

import django.db.models.deletion
from django.db import migrations, models

import triage.models.panel


class Migration(migrations.Migration):

    dependencies = [
        ('triage', '0018_source_setup'),
    ]

    operations = [
        migrations.CreateModel(
            name='Panel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('enabled', models.BooleanField(default=False, verbose_name='agents may use the panel inside the ITSM')),
                ('origins', models.JSONField(blank=True, default=list, validators=[triage.models.panel.check_origins], verbose_name="the ITSM's addresses that may embed it, as a list")),
                ('source', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='panel', to='triage.source')),
            ],
        ),
    ]
