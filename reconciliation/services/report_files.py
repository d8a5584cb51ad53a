"""Where do the files of reports lie? Below DATA_DIR, named at random, readable by this service's user alone.

Workers write and web processes read: on several machines DATA_DIR/reports is one shared folder.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

from django.conf import settings

FORGOTTEN = timedelta(days=2)
"""A file that no report names for this long was left by a worker that died."""


def folder() -> Path:
    """The folder, made on first use."""
    path = Path(settings.DATA_DIR) / "reports"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def begin(kind: str) -> tuple[str, IO[bytes]]:
    """A new file of a name nobody can guess, open for writing."""
    name = f"{secrets.token_hex(24)}.{kind}"
    handle = os.open(folder() / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    return name, os.fdopen(handle, "wb")


def path_of(name: str) -> Path:
    """Where a report's file lies."""
    return folder() / name


def remove(name: str) -> None:
    """Take it away; one that is gone already is fine."""
    if name:
        path_of(name).unlink(missing_ok=True)


def names_older_than(now: datetime) -> list[str]:
    """Files that were last written long ago."""
    limit = (now - FORGOTTEN).timestamp()
    return [entry.name for entry in os.scandir(folder()) if entry.is_file() and entry.stat().st_mtime < limit]


def remove_all(names: Collection[str]) -> None:
    """Take several away."""
    for name in names:
        remove(name)
