from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reconciliation", "0007_fewer_indexes_of_matches")]

    operations = [
        migrations.AddField(
            model_name="alert",
            name="told_to",
            field=models.JSONField(default=list, help_text="Who was told when it was told last."),
        ),
        migrations.AddField(
            model_name="alert",
            name="failed_because",
            field=models.CharField(blank=True, help_text="Why the last e-mail did not leave.", max_length=200),
        ),
        migrations.AddField(
            model_name="alert",
            name="next_check_at",
            field=models.DateTimeField(help_text="When it is to be told, or tried again.", null=True),
        ),
    ]
