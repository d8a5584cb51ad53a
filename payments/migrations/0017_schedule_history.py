"""What was changed of a recurring charge, by whom; since when it stands still; one running schedule for a reference."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0016_rule_history_stays"),
    ]

    operations = [
        migrations.CreateModel(
            name="ScheduleChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                ("by", models.CharField(blank=True, help_text="Empty: it did itself.", max_length=200)),
                ("what", models.CharField(max_length=500)),
            ],
            options={
                "ordering": ("-id",),
            },
        ),
        migrations.AddField(
            model_name="duedate",
            name="heard",
            field=models.BooleanField(
                default=False, help_text="Its payment has ended, and the schedule has followed from it."
            ),
        ),
        migrations.AddField(
            model_name="schedule",
            name="halted_at",
            field=models.DateTimeField(help_text="Since when it is paused or stopped.", null=True),
        ),
        migrations.AddField(
            model_name="schedule",
            name="halted_by",
            field=models.CharField(
                blank=True, help_text="Who paused or stopped it; empty: it did itself.", max_length=100
            ),
        ),
        migrations.AddConstraint(
            model_name="schedule",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ("active", "paused"))),
                fields=("reference",),
                name="one_schedule_per_reference",
            ),
        ),
        migrations.AddField(
            model_name="schedulechange",
            name="schedule",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="changes", to="payments.schedule"
            ),
        ),
        migrations.RunSQL(
            "CREATE TRIGGER schedule_changes_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE"
            " ON payments_schedulechange FOR EACH STATEMENT EXECUTE FUNCTION payments_refuse_change()",
            "DROP TRIGGER schedule_changes_are_append_only ON payments_schedulechange",
        ),
    ]
