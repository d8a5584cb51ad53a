"""Do the tests run where they say they do: as the application's role, on a database and a Redis of their own?"""

import subprocess
import sys

import psycopg
import pytest
import redis as redis_client
from django.contrib.auth.models import Group, User
from django.db import ProgrammingError, connection

from tests import services


def one(query: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
    assert row is not None
    return row[0]


@pytest.mark.django_db
class TestTheRole:
    def test_is_the_application_role_on_this_workers_database(self) -> None:
        assert one("SELECT current_user") == "counterfoil_app"
        assert one("SELECT current_database()") == services.DATABASE

    def test_owns_nothing_and_is_no_superuser(self) -> None:
        assert one("SELECT count(*) FROM pg_class WHERE relowner = 'counterfoil_app'::regrole") == 0
        assert (
            one("SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = current_user") is False
        )

    def test_may_not_make_a_table(self) -> None:
        with pytest.raises(ProgrammingError, match="permission denied for schema public"):
            one("CREATE TABLE mine (id int)")

    def test_may_not_switch_triggers_off(self) -> None:
        with pytest.raises(ProgrammingError, match="session_replication_role"):
            one("SET session_replication_role = replica")


@pytest.mark.django_db(transaction=True)
class TestTheEmptying:
    @pytest.mark.parametrize("again", [1, 2])
    def test_leaves_nothing_from_the_test_before(self, again: int) -> None:
        assert User.objects.count() == 0
        User.objects.create_user(f"someone-{again}")
        assert User.objects.count() == 1

    def test_keeps_what_the_migrations_put_there(self) -> None:
        assert one("SELECT count(*) > 20 FROM auth_permission") is True
        assert Group.objects.count() == one("SELECT count(*) FROM auth_group")


@pytest.mark.django_db(transaction=True)
def test_the_owner_connection_sees_committed_rows(owner_connection: psycopg.Connection) -> None:
    User.objects.create_user("someone")

    assert owner_connection.execute("SELECT current_user, count(*) FROM auth_user").fetchone() == (
        "counterfoil_owner",
        1,
    )


@pytest.mark.django_db(transaction=True)
def test_a_process_started_by_a_test_uses_the_same_database(live_env: dict[str, str]) -> None:
    User.objects.create_user("someone")
    code = (
        "import django; django.setup(); from django.contrib.auth.models import User; print(User.objects.get().username)"
    )

    seen = subprocess.run(
        [sys.executable, "-c", code], env={**live_env, "DJANGO_SETTINGS_MODULE": "config.settings"},
        cwd=services.ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert seen.stdout == "someone\n"


def test_redis_is_empty_and_not_the_shared_one(redis: "redis_client.Redis") -> None:
    assert redis.dbsize() == 0
    assert redis.connection_pool.connection_kwargs["db"] > 0
    redis.set("a", "b")
