"""Has this caller asked too often? A count in Redis for each started minute; with Redis away nothing is limited.

It guards the machine, not the money: losing the count is harmless, refusing all of the API for it would not be.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import cache

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from payments.errors import PaymentsError

log = logging.getLogger(__name__)

WINDOW_SECONDS = 60
PATIENCE_SECONDS = 0.5  # of a connection or an answer; a hanging Redis must not hang the API
_REST = timedelta(seconds=5)  # after a failure Redis is left alone for this long
_away_until: dict[str, datetime] = {}


class TooManyRequests(PaymentsError):
    """The caller's allowance of this minute is spent. Nothing was executed; `retry_after` seconds later it is new."""

    code, status = "too_many_requests", 429

    def __init__(self, per_minute: int, retry_after: int) -> None:
        super().__init__(f"More than {per_minute} requests in one minute. Try again in {retry_after} s.")
        self.retry_after = retry_after


def spend(caller: str, per_minute: int, *, now: datetime) -> None:
    """This function will count one request of the caller. Raises: TooManyRequests. Writes: a counter in Redis."""
    second = int(now.timestamp())
    used = _count(f"api:requests:{caller}:{second // WINDOW_SECONDS}", now)
    if used > per_minute:
        raise TooManyRequests(per_minute, WINDOW_SECONDS - second % WINDOW_SECONDS)


def _count(key: str, now: datetime) -> int:
    """How often the key was counted, this time included; 0 while Redis is away."""
    if now < _away_until.get(settings.REDIS_URL, now):
        return 0
    try:
        with _client(settings.REDIS_URL).pipeline(transaction=False) as pipe:
            pipe.incr(key)
            pipe.expire(key, 2 * WINDOW_SECONDS)
            return int(pipe.execute()[0])
    except (RedisError, OSError, ValueError) as error:  # redis-py 8.1: a handshake timing out ends in a ValueError
        log.warning("Redis is away (%s): the rate limit is off.", type(error).__name__)
        _away_until[settings.REDIS_URL] = now + _REST
        return 0


@cache
def _client(url: str) -> Redis:
    return Redis.from_url(
        url,
        socket_timeout=PATIENCE_SECONDS,
        socket_connect_timeout=PATIENCE_SECONDS,
        protocol=2,  # no greeting to wait for
        retry=Retry(NoBackoff(), 0),
    )
