"""What does an account's priority mean now that routes say who is asked? Words beside the field; no row changes."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0017_schedule_history")]

    operations = [
        migrations.AlterField(
            model_name="gatewayaccount",
            name="priority",
            field=models.PositiveSmallIntegerField(
                default=100, help_text="Its place in lists. Which account is asked first stands in the routes."
            ),
        ),
    ]
