"""Hands the rules of the books and of their closed days to PostgreSQL (sql/0002_rules.sql)."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    replaces = [("ledger", "0002_enforcement"), ("ledger", "0004_closed_days_rules")]

    dependencies = [("ledger", "0001_models")]

    operations = [
        migrations.RunSQL((SQL / "0002_rules.sql").read_text(), (SQL / "0002_rules_undo.sql").read_text()),
    ]
