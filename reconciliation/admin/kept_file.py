"""How does a form carry a file from looking at it to using it? Compressed in a hidden field, and only if it is not too long."""

from __future__ import annotations

import base64
import zlib
from typing import Final

_LONGEST: Final = 2_000_000  # characters; Django refuses forms of 2.5 MB
_MAX_BYTES: Final = 20 * 1024 * 1024


def pack(content: bytes) -> str:
    """The file as a hidden field holds it; empty if it is too long: then it has to be chosen once more."""
    packed = base64.b64encode(zlib.compress(content, 6)).decode()
    return packed if len(packed) <= _LONGEST else ""


def unpack(kept: str) -> bytes:
    """The file again; empty for what is no packed file. Never more than an upload may be."""
    try:
        found = zlib.decompressobj().decompress(base64.b64decode(kept, validate=True), _MAX_BYTES + 1)
    except (ValueError, zlib.error):
        return b""
    return found if len(found) <= _MAX_BYTES else b""
