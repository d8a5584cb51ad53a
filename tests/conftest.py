"""What does every test get? A database as the application's role, a Redis of its own, and the way to a live process."""

import gc
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import redis as redis_client
from django.conf import settings
from django.db import connections
from django.test import TransactionTestCase
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django.plugin import DjangoDbBlocker

from tests import services
from tests.exploring import EXPLORE
from tests.forks import Forks
from tests.simulator_fixture import SimulatorProcess, start_simulator

pytest_plugins = ["tests.payments.gateways.assumptions"]
# How long an example takes says what else this machine is doing.
# The same examples each time, so that a change is judged by itself; EXPLORE=1 draws new ones.
hypothesis_settings.register_profile(
    "suite",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not EXPLORE,
)
hypothesis_settings.load_profile("suite")

# Rows a migration put there, which every test may count on.
KEPT = (
    "django_migrations",
    "django_content_type",
    "auth_permission",
    "auth_group",
    "auth_group_permissions",
)
# As the owner with triggers off: TRUNCATE is slower for many small tables, and the application's role may not empty the books.
_KEPT = ", ".join(f"'{table}'" for table in KEPT)
EMPTY = f"""
SET lock_timeout = '20s'; SET session_replication_role = replica;
DO $$ DECLARE r record; BEGIN
  FOR r IN SELECT oid::regclass AS t FROM pg_class
           WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> ALL (ARRAY[{_KEPT}])
  LOOP EXECUTE format('DELETE FROM %s', r.t); END LOOP; END $$;
"""
MOST_WORKERS = 32
# The shell is Chromium without what only a window needs: the same pages for half the processor time.
BROWSER = os.environ.get("CHROMIUM") or shutil.which("chromium-headless-shell") or shutil.which("chromium")
_owner: list[psycopg.Connection] = []


def _owner_connection() -> psycopg.Connection:
    if not _owner or _owner[0].closed:
        _owner[:] = [psycopg.connect(services.owner_url(), autocommit=True)]
    return _owner[0]


def _empty_database(_case: TransactionTestCase) -> None:
    _owner_connection().execute(EMPTY)
    _owner_connection().execute("RESET session_replication_role")


TransactionTestCase._fixture_teardown = _empty_database  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A copy of the migrated template, dropped at the end."""
    services.make_database()
    yield
    with django_db_blocker.unblock():
        for connection in connections.all(initialized_only=True):
            connection.close()
    for owner in _owner:
        owner.close()
    services.drop_database()
    services.remove_data()


@pytest.fixture
def redis() -> Iterator["redis_client.Redis"]:
    """This worker's own Redis database, empty before and after."""
    with redis_client.Redis.from_url(services.REDIS_URL) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def owner_connection(django_db_setup: None) -> Iterator[psycopg.Connection]:
    """The owner's connection (autocommit), for planting damage the application's role cannot do.

    Use it in tests with `transaction=True`: it does not see another connection's open transaction.
    """
    with psycopg.connect(services.owner_url(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def live_env(django_db_setup: None, tmp_path: Path) -> dict[str, str]:
    """The environment for a process of ours started by a test: this worker's database and Redis, no owner's URL."""
    return environment_of_a_process(tmp_path)


def environment_of_a_process(data_dir: Path) -> dict[str, str]:
    """The same for one that outlives a test."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GATEWAY_"))}
    inherited.pop("DATABASE_OWNER_URL", None)
    return {**inherited, "DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(services.ROOT)}


@pytest.fixture(scope="session")
def forks(django_db_setup: None) -> Iterator[Forks]:
    """Starts processes of ours on this worker's database and Redis. Use it where nothing but gateways' variables differs."""
    # A web server of a production start would be refused for the suite's fast password hasher.
    made = Forks({**environment_of_a_process(services.DATA_DIR), "DEMO": "1"})
    yield made
    made.end()


@pytest.fixture(scope="session")
def simulator_process() -> Iterator[SimulatorProcess]:
    """One simulator a worker, for all tests that want no options of it. Who uses it empties it first."""
    running = start_simulator()
    yield running
    running.stop()


@pytest.fixture
def server_path() -> Iterator[Path]:
    """A folder for a PostgreSQL of the test's own. Not `tmp_path`: pytest closes its parents to the server's user."""
    with tempfile.TemporaryDirectory(dir=services.FOLDER, prefix="server-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port on the loopback where nobody listens, and which nobody is given by chance while the test lasts; so the next two.

    Each is held by a socket that does not listen: a server that names the port may take it beside (both with
    SO_REUSEADDR), and as long as none has, a connection is refused.
    """
    with ExitStack() as holders:
        first = _hold(holders, 0)
        while not (_hold(holders, first + 1) and _hold(holders, first + 2)):
            first = _hold(holders, 0)
        yield first


def _hold(holders: ExitStack, port: int) -> int:
    """The port, or any for 0, until the end of the stack; 0 where somebody has it."""
    holder = holders.enter_context(socket.socket())
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind(("127.0.0.1", port))
    except (OSError, OverflowError):
        return 0
    found: int = holder.getsockname()[1]
    return found


def pytest_configure() -> None:
    """Every test client loads the middleware anew; WhiteNoise would walk all static files each time, in 10 ms."""
    settings.WHITENOISE_AUTOREFRESH = True


def pytest_collection_finish() -> None:
    """Collect garbage seldom: Django's and the tests' own objects stay for good, and walking them took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def pytest_xdist_auto_num_workers() -> int:
    """Half as many workers again as there are processors, and one more: tests wait for processes and databases.

    Not more than the test server has connections for.
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_WORKERS, 1 + processors * 3 // 2)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long begins first; browser tests need a browser."""
    if worker := getattr(config, "workerinput", None):
        items[:] = dealt_out(items, int(worker["workercount"]))
    _skip_without_browser(items)


def dealt_out(items: Sequence[pytest.Item], workers: int) -> list[pytest.Item]:
    """The same tests so that each worker's part of the list, an unbroken one, begins with slow ones.

    Nothing long is left for the end then, when the other workers have nothing to do. A module stays in one hand, as do the
    browser tests: they share processes that are dear to start.
    """
    families: dict[str, list[pytest.Item]] = {}
    quick: list[pytest.Item] = []
    for item in items:
        if item.get_closest_marker("browser"):
            families.setdefault("browser", []).append(item)
        elif item.get_closest_marker("slow"):
            families.setdefault(item.nodeid.partition("::")[0], []).append(item)
        else:
            quick.append(item)
    hands: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for family in sorted(families.values(), key=len, reverse=True):
        min(hands, key=len).extend(family)
    dealt: list[pytest.Item] = []
    for left, hand in zip(range(workers, 0, -1), hands, strict=True):
        share = max(0, (len(items) - len(dealt)) // left - len(hand))
        dealt += [*hand, *quick[:share]]
        del quick[:share]
    return [*dealt, *quick]


def _skip_without_browser(items: list[pytest.Item]) -> None:
    """They are skipped loudly, or fail where REQUIRE_BROWSER=1."""
    if BROWSER or os.environ.get("REQUIRE_BROWSER") == "1":
        return
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason="no Chromium"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """With REQUIRE_BROWSER=1 a missing browser is a failure that says so."""
    if item.get_closest_marker("browser") and not BROWSER:
        pytest.fail("REQUIRE_BROWSER=1, and there is no Chromium: install it or set CHROMIUM.", pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A skipped browser test is said in red at the very end."""
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "no Chromium" in str(report.longrepr)]
    if skipped:
        terminalreporter.write_line(
            f"BROWSER TESTS DID NOT RUN: {len(skipped)} skipped, no Chromium. Install chromium-headless-shell or set CHROMIUM.",
            red=True, bold=True,
        )  # fmt: skip
