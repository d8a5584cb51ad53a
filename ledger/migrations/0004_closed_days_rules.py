"""Hands the rule of closed days to PostgreSQL (sql/0004_closed_days.sql)."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_closed_days")]

    operations = [
        migrations.RunSQL(
            (SQL / "0004_closed_days.sql").read_text(), (SQL / "0004_closed_days_undo.sql").read_text()
        )
    ]
