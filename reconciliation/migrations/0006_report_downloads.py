"""Keeps who downloaded a report, and what makes one be asked for, scheduled and handed over once."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('reconciliation', '0005_bookings_of_days'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ReportDownload',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('by', models.CharField(max_length=100)),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name='reportjob',
            name='for_day',
            field=models.DateField(help_text='Of its schedule: made once a day.', null=True),
        ),
        migrations.AddField(
            model_name='reportjob',
            name='mail_failed_because',
            field=models.CharField(blank=True, max_length=400),
        ),
        migrations.AddField(
            model_name='reportjob',
            name='mail_tries',
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='reportjob',
            name='mailed_at',
            field=models.DateTimeField(help_text='When its e-mail left.', null=True),
        ),
        migrations.AddField(
            model_name='reportjob',
            name='request_id',
            field=models.CharField(help_text='Asking twice with it makes one report.', max_length=64, null=True),
        ),
        migrations.AddField(
            model_name='reportjob',
            name='tries',
            field=models.PositiveSmallIntegerField(default=0, help_text='Workers that began it.'),
        ),
        migrations.AddField(
            model_name='reportschedule',
            name='request_id',
            field=models.CharField(help_text='Pressing twice makes one schedule.', max_length=64, null=True),
        ),
        migrations.AlterField(
            model_name='handover',
            name='totals',
            field=models.JSONField(default=dict, help_text='Currency to debits and credits, minor units.'),
        ),
        migrations.AddIndex(
            model_name='reportschedule',
            index=models.Index(condition=models.Q(('enabled', True), ('next_check_at__isnull', False)), fields=['next_check_at'], name='report_schedule_due'),
        ),
        migrations.AddConstraint(
            model_name='handover',
            constraint=models.UniqueConstraint(fields=('day',), name='a_day_is_handed_over_once'),
        ),
        migrations.AddConstraint(
            model_name='reportjob',
            constraint=models.UniqueConstraint(fields=('request_id',), name='a_report_is_asked_for_once'),
        ),
        migrations.AddConstraint(
            model_name='reportjob',
            constraint=models.UniqueConstraint(fields=('schedule', 'for_day'), name='a_scheduled_report_is_made_once_a_day'),
        ),
        migrations.AddConstraint(
            model_name='reportschedule',
            constraint=models.UniqueConstraint(fields=('request_id',), name='a_schedule_is_made_once'),
        ),
        migrations.AddField(
            model_name='reportdownload',
            name='job',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='downloads', to='reconciliation.reportjob'),
        ),
    ]
