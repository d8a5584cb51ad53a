"""A limit is changed by those who hold the right to ask for it."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("payments", "0007_attempt_handle")]

    operations = [
        migrations.AlterModelOptions(
            name="limit",
            options={"permissions": (("edit_limit", "Can ask for changes of limits"),)},
        ),
    ]
