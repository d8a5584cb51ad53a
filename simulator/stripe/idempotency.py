"""Was this request asked before? Answers kept by idempotency key for a day; callers hold the lock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from simulator.stripe.errors import invalid, key_in_use, key_reused

KEPT = timedelta(hours=24)
_LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Reply:
    """The first answer to a key, and what was asked."""

    asked: str
    status: int
    body: bytes
    request_id: str
    at: datetime


class Replies:
    """Kept answers, and keys whose request is still being worked on."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._kept: dict[str, Reply] = {}
        self._busy_until: dict[str, datetime] = {}

    def find(self, key: str, asked: str, now: datetime) -> Reply | None:
        """The kept answer of this very request. Raises: ApiError for a key in use or used for another request."""
        if len(key) > _LONGEST_KEY:
            raise invalid(f"Idempotency keys have up to {_LONGEST_KEY} characters.", "Idempotency-Key")
        if self._busy_until.get(key, now) > now:
            raise key_in_use(key)
        reply = self._kept.get(key)
        if reply is None or now - reply.at >= KEPT:
            return None
        if reply.asked != asked:
            raise key_reused(key)
        return reply

    def keep(self, key: str, reply: Reply) -> None:
        self._kept[key] = reply

    def occupy(self, key: str, until: datetime) -> None:
        """Until then the request counts as being worked on."""
        self._busy_until[key] = until
