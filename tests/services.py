"""Which PostgreSQL and Redis do the tests run on? Loaded before Django's settings, it decides the URLs they will read.

The tests work as the application's role on a database of their own: a copy of a template that was migrated once by the
owner. Any number of runs may go on at once in one checkout; they share the servers (tests/keeper.py) and nothing else.
"""

import atexit
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TextIO

import psutil
import psycopg
import redis
from psycopg import sql

from config.embedded import APP, OWNER
from tests.keeper import DATABASES, servers

ROOT = Path(__file__).resolve().parent.parent
FOLDER = (
    Path(tempfile.gettempdir())
    / f"counterfoil-tests-{os.getuid()}-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
)
TEMPLATES_KEPT = 4
POSTGRES, VALKEY = servers(FOLDER)
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
_held: list[TextIO] = []  # the lease, open until this process ends
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    # Not beside the sources, then: but a run starts hundreds of processes of the same code, which compile it once.
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(FOLDER / "compiled")
    sys.dont_write_bytecode = False


def _lock(name: str, kind: int) -> TextIO:
    handle = (FOLDER / name).open("w")
    fcntl.flock(handle, kind)
    return handle


def _reach_servers() -> None:
    """Take the lease, then start the keeper unless its servers answer."""
    FOLDER.mkdir(mode=0o711, exist_ok=True)
    with _lock("starting", fcntl.LOCK_EX):
        _held.append(_lock("lease", fcntl.LOCK_SH))
        atexit.register(_held[-1].close)
        if (FOLDER / "ready").exists() and VALKEY.answers() and _postgres_answers():
            return
        (FOLDER / "ready").unlink(missing_ok=True)
        with (FOLDER / "keeper.log").open("w") as log:
            keeper = subprocess.Popen(
                [sys.executable, "-m", "tests.keeper", str(FOLDER)],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while not (FOLDER / "ready").exists():
            if keeper.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"The test servers do not start:\n{(FOLDER / 'keeper.log').read_text()}")
            time.sleep(0.02)
        keeper.returncode = 0  # it is meant to outlive this run: no "still running" warning


def _postgres_answers() -> bool:
    try:
        psycopg.connect(POSTGRES.url("postgres"), connect_timeout=3).close()
    except psycopg.OperationalError:
        return False
    return True


def _digest() -> str:
    """What the template's content depends on."""
    files = [ROOT / "requirements.lock", ROOT / "config/settings.py", ROOT / "console/tables.py"]
    for app in ("config", "console", "ledger", "payments", "reconciliation"):
        files += sorted((ROOT / app / "migrations").rglob("*.py")) + sorted((ROOT / app / "migrations").rglob("*.sql"))
    content = hashlib.sha256()
    for path in files:
        content.update(str(path).encode() + b"\0" + path.read_bytes() + b"\0")
    return content.hexdigest()[:16]


def _make_template(admin: psycopg.Connection) -> str:
    """Migrate once for each state of the migrations; runs that arrive together wait for the first."""
    name = f"template_{_digest()}"
    admin.execute("SELECT pg_advisory_lock(735001)")
    try:
        found = admin.execute("SELECT datistemplate FROM pg_database WHERE datname = %s", [name]).fetchone()
        if found == (True,):
            return name
        _drop(admin, name)
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(OWNER)))
        with nullcontext() if _templates(admin) else _reading_along():
            migrated = subprocess.run(
                [sys.executable, str(ROOT / "manage.py"), "migrate", "--skip-checks", "--verbosity", "0"],
                cwd=ROOT, capture_output=True, text=True, check=False,
                env={**os.environ, "DATABASE_URL": POSTGRES.url(name, APP), "DATABASE_OWNER_URL": POSTGRES.url(name, OWNER)},
            )  # fmt: skip
        if migrated.returncode:
            raise SystemExit(f"The migrations do not apply:\n{migrated.stdout}{migrated.stderr}")
        admin.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE true").format(sql.Identifier(name)))
        _drop_old_templates(admin)
    finally:
        admin.execute("SELECT pg_advisory_unlock(735001)")
    return name


@contextmanager
def _reading_along() -> Iterator[None]:
    """On a fresh checkout nothing is compiled either: one process compiles all tests while another migrates.

    Otherwise each worker would, all of them the same. It reaches no server, as a worker that is given no test.
    """
    compiler = subprocess.Popen(
        [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider", str(ROOT / "tests")],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTEST_XDIST_WORKER": "compiler", "TEST_RUN": str(os.getpid()), "TEST_TEMPLATE": ""},
    )  # fmt: skip
    try:
        yield
    finally:
        with suppress(subprocess.TimeoutExpired):
            compiler.wait(60)
        compiler.kill()
        compiler.wait(10)


def _templates(admin: psycopg.Connection) -> list[str]:
    """Of this and earlier states of the migrations, the newest first."""
    rows = admin.execute(
        "SELECT datname FROM pg_database WHERE datname LIKE 'template\\_%' AND datname NOT IN ('template0', 'template1')"
        " AND datistemplate ORDER BY oid DESC"
    ).fetchall()
    return [name for (name,) in rows]


def _drop_old_templates(admin: psycopg.Connection) -> None:
    for name in _templates(admin)[TEMPLATES_KEPT:]:
        admin.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(sql.Identifier(name)))
        _drop(admin, name)


def _drop_leftovers(admin: psycopg.Connection) -> None:
    """Databases of runs that were killed: their name carries the number of a process that is gone."""
    for (name,) in admin.execute("SELECT datname FROM pg_database WHERE datname LIKE 'test\\_%'").fetchall():
        run = name.split("_")[1]
        if not run.isdigit() or not psutil.pid_exists(int(run)):
            _drop(admin, name)


def _drop(admin: psycopg.Connection, name: str) -> None:
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def make_database() -> None:
    """This process's database, a fresh copy of the template (about 0.1 s)."""
    with psycopg.connect(POSTGRES.url("postgres"), autocommit=True) as admin:
        _drop(admin, DATABASE)
        admin.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(DATABASE), sql.Identifier(OWNER), sql.Identifier(os.environ["TEST_TEMPLATE"])
            )
        )


def drop_database() -> None:
    """Forget this process's database, whoever is still connected."""
    with psycopg.connect(POSTGRES.url("postgres"), autocommit=True) as admin:
        _drop(admin, DATABASE)


def owner_url() -> str:
    """The owner's URL of this process's database, for planting damage."""
    return POSTGRES.url(DATABASE, OWNER)


def superuser_url() -> str:
    """The server's own superuser in this process's database, for what even the owner may not look at."""
    return POSTGRES.url(DATABASE)


def _take_redis_database() -> int:
    """The next numbered database (0 keeps the count), emptied."""
    with redis.Redis(unix_socket_path=str(VALKEY.socket), db=0) as counter:
        number = 1 + int(counter.incr("taken")) % (DATABASES - 1)
    with redis.Redis(unix_socket_path=str(VALKEY.socket), db=number) as mine:
        mine.flushdb()
    return number


if WORKER == "main":  # the controller of a parallel run, or a run without workers
    _reach_servers()
    with psycopg.connect(POSTGRES.url("postgres"), autocommit=True) as _admin:
        _drop_leftovers(_admin)
        os.environ["TEST_TEMPLATE"] = _make_template(_admin)
    os.environ["TEST_RUN"] = str(os.getpid())

DATABASE = f"test_{os.environ['TEST_RUN']}_{WORKER}"
REDIS_URL = VALKEY.url(_take_redis_database())
DATA_DIR = FOLDER / f"data-{os.environ['TEST_RUN']}-{WORKER}"
ENVIRONMENT = {
    "DATABASE_URL": POSTGRES.url(DATABASE, APP),
    "DATABASE_OWNER_URL": owner_url(),
    "REDIS_URL": REDIS_URL,
    "DATA_DIR": str(DATA_DIR),
    "PASSWORD_HASHERS": "django.contrib.auth.hashers.MD5PasswordHasher",
    "SECRET_KEY": "a-key-for-tests-only-" + "x" * 40,
    "DEBUG": "0",
    "DEMO": "0",
}
for _name in [name for name in os.environ if name.startswith("GATEWAY_")]:
    del os.environ[_name]  # a developer's own gateway secrets have no business in a test
os.environ.update(ENVIRONMENT)


def remove_data() -> None:
    """Forget this process's files."""
    shutil.rmtree(DATA_DIR, ignore_errors=True)
