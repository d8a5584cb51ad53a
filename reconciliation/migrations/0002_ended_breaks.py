"""Until when is the line or movement of a break expected, by somebody's word?"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reconciliation", "0001_tables")]

    operations = [
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
                condition=models.Q(("expected_until__isnull", False)),
                fields=["expected_until"],
                name="breaks_expected",
            ),
        ),
    ]
