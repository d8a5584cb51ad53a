"""Rights over decline codes, an index to count them by, and the networks' ceilings to start with."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models

_MONTH = 30 * 24
_CEILINGS: tuple[dict[str, Any], ...] = (
    {"network": "visa", "declines": 15, "window_hours": _MONTH},
    {"network": "mastercard", "declines": 10, "window_hours": 24, "calendar_day": True},
    {"network": "mastercard", "declines": 35, "window_hours": _MONTH, "same_amount": True},
    {"network": "", "declines": 15, "window_hours": _MONTH},
)


def fill(apps: Any, schema_editor: Any) -> None:
    """One row for each, unless somebody has made some."""
    ceilings = apps.get_model("payments", "NetworkCeiling")
    if not ceilings.objects.exists():
        ceilings.objects.bulk_create([ceilings(**values) for values in _CEILINGS])


class Migration(migrations.Migration):
    dependencies = [("payments", "0010_uploads")]

    operations = [
        migrations.AlterModelOptions(
            name="declinerule",
            options={
                "permissions": (("edit_decline_rule", "Can ask for changes of decline codes and network ceilings"),)
            },
        ),
        migrations.AlterModelOptions(
            name="unmappedcode",
            options={
                "ordering": ("-seen", "code"),
                "permissions": (("classify_code", "Can classify decline codes that nobody knows"),),
            },
        ),
        migrations.AddIndex(
            model_name="operation",
            index=models.Index(
                fields=("ended_at",),
                condition=models.Q(state__in=["declined", "failed"]) & ~models.Q(code=""),
                include=("gateway_account", "code", "failure_class"),
                name="operation_codes",
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
