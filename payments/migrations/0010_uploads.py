"""Uploads say how they were read, and can ask for their declined rows again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0009_dispute_order")]

    operations = [
        migrations.AddField(
            "batch",
            "read_as",
            models.CharField(blank=True, help_text="What was told about it: kind, separator, sheet.", max_length=200),
        ),
        migrations.AddField(
            "batch",
            "retry_by",
            models.CharField(blank=True, help_text="Who last asked for its declined rows again.", max_length=100),
        ),
        migrations.AddField(
            "batchrow",
            "retry_due",
            models.BooleanField(default=False, help_text="Its declined payment shall be tried again."),
        ),
        migrations.AddField(
            "batchrow",
            "retry_said",
            models.CharField(blank=True, help_text="What came of that: begun, or why not.", max_length=300),
        ),
        migrations.AddIndex("batch", models.Index(fields=["sha256"], name="batch_same_file")),
        migrations.AddIndex(
            "batchrow",
            models.Index(condition=models.Q(("retry_due", True)), fields=["batch", "number"], name="row_retry"),
        ),
    ]
