"""Do the tables that are made at once come complete, and do they go again?"""

import re

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader

pytestmark = pytest.mark.django_db

MODELS = ("payments", "0001_models")


def statements(*, backwards: bool) -> str:
    """What the migration of the app's tables asks of the database."""
    loader = MigrationLoader(connection)
    return "\n".join(loader.collect_sql([(loader.graph.nodes[MODELS], backwards)]))


def test_keys_to_tables_that_come_later_are_added_before_the_migration_is_noted() -> None:
    """What is put off past the last operation would be noted in another transaction, and a cut between them hurts."""
    loader = MigrationLoader(connection)
    before, after = loader.project_state(MODELS, at_end=False), loader.project_state(MODELS)
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        for operation in loader.graph.nodes[MODELS].operations:
            operation.database_forwards("payments", editor, before, after)
        put_off = list(editor.deferred_sql)

    assert put_off == []
    assert any('ALTER TABLE "payments_review" ADD CONSTRAINT' in statement for statement in editor.collected_sql)


def test_every_table_goes_with_the_step_back() -> None:
    made = re.findall(r'CREATE TABLE "(\w+)"', statements(backwards=False))
    dropped = re.findall(r'DROP TABLE "(\w+)"', statements(backwards=True))

    assert len(made) > 30
    assert dropped == made[::-1]
