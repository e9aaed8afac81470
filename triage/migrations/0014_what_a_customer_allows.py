from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('triage', '0013_person_looks'),
    ]

    operations = [
        migrations.AddField(
            model_name='customer',
            name='write_back',
            field=models.BooleanField(default=True, verbose_name='the ITSM may be told: notes, resolutions; never in observe mode'),
        ),
        migrations.AddField(
            model_name='customer',
            name='alpha_by_tier',
            field=models.JSONField(blank=True, default=dict, verbose_name='by risk tier, the highest alpha of a certificate that runs count on: {"medium": 0.02}'),
        ),
    ]
