"""What does a break that was ended by hand leave to later runs? Two columns, and the indexes runs ask by."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reconciliation", "0001_tables")]

    operations = [
        migrations.AddField(
            model_name="break",
            name="explained",
            field=models.BooleanField(
                default=False,
                help_text="Ended by an entry of its own: a run asks nothing more of its line and movement.",
            ),
        ),
        migrations.AddField(
            model_name="break",
            name="expected_until",
            field=models.DateField(
                help_text="Marked as timing: its line or movement is expected, and no break, up to this day.", null=True
            ),
        ),
        migrations.AddIndex(
            model_name="break",
            index=models.Index(
                condition=models.Q(("explained", True)), fields=["account", "kind", "key"], name="breaks_explained"
            ),
        ),
        migrations.AddIndex(
            model_name="break",
            index=models.Index(
                condition=models.Q(("expected_until__isnull", False)),
                fields=["expected_until"],
                name="breaks_expected",
            ),
        ),
    ]
