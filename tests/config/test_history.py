"""Does a database of before the squash go on, and is one in the middle of the old history refused with a sentence?"""

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from config.history import stranded

pytestmark = pytest.mark.django_db

LAST = ("reconciliation", "0012_statement_account")
ADVICE = (
    "The database stands before reconciliation.0012_statement_account, which is part of reconciliation.0001_models now: "
    "migrate it with the version that still had that file, or begin with an empty database."
)


def squashed() -> list[tuple[str, str]]:
    """The migrations that stand for others."""
    return [key for key, migration in MigrationLoader(None).disk_migrations.items() if migration.replaces]


def test_a_database_at_the_end_of_the_old_history_has_nothing_to_run_and_is_noted() -> None:
    recorder = MigrationRecorder(connection)
    for key in squashed():
        recorder.record_unapplied(*key)

    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    executor.migrate(executor.loader.graph.leaf_nodes())

    assert (stranded(connection), plan) == ("", [])
    assert set(squashed()) <= set(recorder.applied_migrations())


def test_a_database_in_the_middle_of_the_old_history_is_refused() -> None:
    MigrationRecorder(connection).record_unapplied(*LAST)

    with pytest.raises(CommandError) as refusal:
        call_command("migrate", skip_checks=True, verbosity=0)

    assert str(refusal.value) == ADVICE


def test_a_database_in_the_middle_of_the_old_history_is_not_ready(client: Client) -> None:
    MigrationRecorder(connection).record_unapplied(*LAST)

    assert client.get("/readyz").json()["missing"]["migrations"] == ADVICE


def test_a_first_start_that_was_cut_short_goes_on() -> None:
    recorder = MigrationRecorder(connection)
    for key in MigrationLoader(None).disk_migrations["payments", "0002_rules"].replaces:
        recorder.record_unapplied(*key)

    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())

    assert stranded(connection) == ""
    assert [str(migration) for migration, _ in plan] == ["payments.0002_rules"]
