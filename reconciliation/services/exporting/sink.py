"""Where do a report's bytes go, and what are they? A file in blocks, with digest, size and rows counted on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import IO

Progress = Callable[[int, int], None]
"""Told how many rows are written, of how many, now and then. May raise to stop the report."""
BLOCK = 64 * 1024
PAUSE_ROWS = 5_000
"""Rows between two words about progress, where rows cost much."""


def no_progress(rows: int, total: int) -> None:
    """Nobody listens."""


class Sink:
    """Gathers small pieces into blocks. `flush` after the last one."""

    def __init__(self, file: IO[bytes], progress: Progress = no_progress, *, total: int = 0) -> None:
        self._file, self._progress, self._total = file, progress, total
        self._digest = hashlib.sha256()
        self._held = bytearray()
        self.size = 0
        self.rows = 0

    def write(self, piece: bytes | memoryview) -> None:
        """A piece that is no whole row: a heading, a part of an archive."""
        self._held += piece
        if len(self._held) >= BLOCK:
            self.flush()

    def write_row(self, piece: bytes | memoryview) -> None:
        """A piece that is one row."""
        self._held += piece
        self.rows += 1
        if len(self._held) >= BLOCK:
            self.flush()
            self._progress(self.rows, self._total)

    def count_row(self) -> None:
        """A row that is written by somebody else."""
        self.rows += 1
        if self.rows % PAUSE_ROWS == 0:
            self._progress(self.rows, self._total)

    def flush(self) -> None:
        """Write what is held."""
        self._digest.update(self._held)
        self.size += len(self._held)
        self._file.write(self._held)
        self._held = bytearray()

    @property
    def sha256(self) -> str:
        """Of everything flushed so far."""
        return self._digest.hexdigest()
