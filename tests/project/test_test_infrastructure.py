"""Do the tests run where they say they do: as the application's role, on a database and a Redis of their own?"""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis as redis_client
from django.contrib.auth.models import Group, User
from django.db import ProgrammingError, connection

from tests import services
from tests.conftest import dealt_out
from tests.forks import Forks


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


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_fork_is_a_process_of_its_own_on_the_same_database(forks: Forks, tmp_path: Path) -> None:
    User.objects.create_user("someone")
    code = "import os, sys; print(os.getpid(), os.getsid(0), os.environ['GATEWAY_X'], User.objects.get()); sys.exit(3)"
    with (tmp_path / "said").open("w") as said:
        told, killed = (
            forks.start("manage", "shell", "-v0", "-c", program, stdout=said.fileno(), GATEWAY_X="their own")
            for program in (code, "import time; time.sleep(600)")
        )

    assert told.wait(60) == 3
    assert (tmp_path / "said").read_text() == f"{told.pid} {told.pid} their own someone\n"
    assert killed.poll() is None
    killed.kill()
    assert killed.wait(60) == -signal.SIGKILL


def test_redis_is_empty_and_not_the_shared_one(redis: "redis_client.Redis") -> None:
    assert redis.dbsize() == 0
    assert redis.connection_pool.connection_kwargs["db"] > 0
    redis.set("a", "b")


class Named:
    """As much of a test as is needed to deal it out."""

    def __init__(self, nodeid: str, *marks: str) -> None:
        self.nodeid, self.marks = nodeid, marks

    def get_closest_marker(self, name: str) -> str | None:
        return name if name in self.marks else None


class TestDealingOut:
    QUICK: tuple[Any, ...] = tuple(Named(f"test_quick.py::test_{number}") for number in range(94))
    SLOW: tuple[Any, ...] = tuple(
        Named(f"test_{file}.py::test_{number}", "slow") for number in range(3) for file in ("up", "drill")
    )
    BROWSER: tuple[Any, ...] = (
        Named("test_page.py::test_0", "browser", "slow"),
        Named("test_job.py::test_0", "browser"),
    )

    @pytest.mark.parametrize("workers", [1, 2, 3, 4, 7])
    def test_each_test_is_dealt_once_and_the_order_of_quick_ones_stays(self, workers: int) -> None:
        dealt = dealt_out([*self.QUICK[:50], *self.SLOW, *self.BROWSER, *self.QUICK[50:]], workers)

        assert sorted(map(id, dealt)) == sorted(map(id, [*self.QUICK, *self.SLOW, *self.BROWSER]))
        assert [item for item in dealt if not item.marks] == list(self.QUICK)

    def test_each_part_begins_with_slow_ones_that_share_their_processes(self) -> None:
        dealt = dealt_out([*self.QUICK, *self.SLOW, *self.BROWSER], 3)

        parts = [dealt[:34], dealt[34:68], dealt[68:]]
        slow = [[item.nodeid.partition("::")[0] for item in part if item.marks] for part in parts]
        assert sorted(slow) == [["test_drill.py"] * 3, ["test_page.py", "test_job.py"], ["test_up.py"] * 3]
        for part, names in zip(parts, slow, strict=True):
            assert all(item.marks for item in part[: len(names)])
