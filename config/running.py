"""Which system runs under DATA_DIR? `up` notes its environment while it runs; commands beside it work on the same system.

The note holds secrets: mode 0600, inside a folder of mode 0700, gone when the system stops. Set variables always win.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_OWN = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DEMO")


def note_of(data_dir: Path) -> Path:
    """Where the note lies."""
    return data_dir / "run" / "environment.json"


@contextmanager
def noted(data_dir: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Keep the note while the system runs."""
    note = note_of(data_dir)
    shared = {k: v for k, v in environment.items() if k in _OWN or k.startswith("GATEWAY_")}
    note.unlink(missing_ok=True)
    with os.fdopen(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(shared, file)
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def adopt(data_dir: Path) -> None:
    """Work on the system that runs under `data_dir`, unless the environment names a database itself."""
    note = note_of(data_dir)
    if os.environ.get("DATABASE_URL") or not note.exists():
        return
    for name, value in json.loads(note.read_text()).items():
        os.environ.setdefault(name, value)
