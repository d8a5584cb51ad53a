"""Routes are data from here on: each account that exists gets the one it had in effect, everything by its priority."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def forwards(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    accounts = apps.get_model("payments", "GatewayAccount").objects.order_by("priority", "slug")
    apps.get_model("payments", "Route").objects.bulk_create(
        apps.get_model("payments", "Route")(
            name=f"Everything to {account.name}", gateway_account=account, priority=account.priority
        )
        for account in accounts
    )


class Migration(migrations.Migration):
    dependencies = [("payments", "0005_cards_at_volume")]

    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]
