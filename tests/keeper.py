"""Who keeps the test servers running? One process a checkout, started by the first run, gone soon after the last one.

`python -m tests.keeper FOLDER` starts PostgreSQL and Valkey below FOLDER and waits. Every run holds a shared lock on
FOLDER/lease; the kernel drops it even when a run is killed. Once nobody holds it for a while, the servers end.
"""

import fcntl
import os
import signal
import sys
import time
from pathlib import Path

from config.embedded import OWNER, TEST_TUNING, EmbeddedError, Postgres, Valkey, make_roles, wipe

IDLE_SECONDS = 12.0
DATABASES = 8192  # Valkey's numbered databases: each test process takes the next one


def servers(folder: Path) -> tuple[Postgres, Valkey]:
    """The two servers that live below `folder`, running or not."""
    return (
        Postgres(folder / "pg", tuning=TEST_TUNING),
        Valkey(folder / "valkey", databases=DATABASES, durable=False),
    )


def start(folder: Path) -> tuple[Postgres, Valkey]:
    """Start both; a directory a killed run left unusable is thrown away, it holds nothing of value."""
    postgres, valkey = servers(folder)
    try:
        postgres.start()
    except EmbeddedError:
        wipe([postgres.data_dir])
        postgres.start()
    valkey.start()
    import psycopg

    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        make_roles(connection)
        # Lets the owner switch triggers off: emptying the books between tests, planting damage.
        connection.execute(f"GRANT SET ON PARAMETER session_replication_role TO {OWNER}")
    return postgres, valkey


def main(folder: Path) -> None:
    """Keep the servers up while anybody holds the lease."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    postgres, valkey = start(folder)
    try:
        (folder / "ready").write_text(str(os.getpid()))
        unused_since = time.monotonic()
        with (folder / "lease").open("w") as lease:
            while time.monotonic() - unused_since < IDLE_SECONDS:
                time.sleep(0.5)
                if postgres.process is None or postgres.process.poll() is not None or not valkey.answers():
                    return  # a run that finds them gone starts anew
                try:
                    fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    unused_since = time.monotonic()
                    continue
                if time.monotonic() - unused_since < IDLE_SECONDS:
                    fcntl.flock(lease, fcntl.LOCK_UN)
            (folder / "ready").unlink(missing_ok=True)  # still under the lock: a new run waits, then starts anew
            valkey.stop()
            postgres.stop()
    finally:
        (folder / "ready").unlink(missing_ok=True)
        valkey.stop()
        postgres.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
