"""What does the certificate of a closed day say, and does its digest hold? Canonical JSON and SHA-256; no database. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

FORMAT = "counterfoil close certificate 1"
_DIGEST = "digest"


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content with its format and the digest over all of it."""
    body = {"format": FORMAT, **content}
    return {**body, _DIGEST: digest_of(body)}


def digest_of(certificate: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of everything but the digest itself: keys sorted, no blanks, UTF-8."""
    body = {key: value for key, value in certificate.items() if key != _DIGEST}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def objections(certificate: object) -> list[str]:
    """What is wrong with a certificate by itself: not one of ours, or changed after it was made. Empty: it is whole."""
    if not isinstance(certificate, dict) or certificate.get("format") != FORMAT:
        return ["This is no certificate of a closed day in a format that is known here."]
    if certificate.get(_DIGEST) != digest_of(certificate):
        return ["It was changed after it was made: its digest is not the one over its content."]
    return []
