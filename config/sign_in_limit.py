"""Has this name been tried too often from here? A count in the cache; with Redis away nobody is locked out.

It slows guessing down, it guards no money: losing the count is harmless, locking everybody out would not be. What is
counted is the pair of name and address, so that a stranger elsewhere cannot lock a person out.
"""

import hashlib
import logging

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

TRIES = 10  # that failed, of one name from one address
WINDOW_SECONDS = 900  # after the first of them the count begins anew


def note_try(request: HttpRequest | None, name: str) -> bool:
    """Count one try before it is judged, so that many at once are counted too; False: there were too many."""
    key = _key(request, name)
    try:
        cache.add(key, 0, timeout=WINDOW_SECONDS)
        return int(cache.incr(key)) <= TRIES
    except (RedisError, OSError, ValueError) as trouble:  # a key that ends between the two calls is a ValueError
        log.warning("Sign-ins are not counted: %s", type(trouble).__name__)
        return True


def forget_tries(request: HttpRequest | None, name: str) -> None:
    """Begin anew after a sign-in that succeeded."""
    try:
        cache.delete(_key(request, name))  # house: writes: a count in the cache
    except (RedisError, OSError, ValueError) as trouble:
        log.warning("Sign-ins are not counted: %s", type(trouble).__name__)


def _key(request: HttpRequest | None, name: str) -> str:
    """A digest: what people type as their name may be their password, and it shall not lie in Redis."""
    who = f"{name.casefold()}\n{_address(request)}"
    return f"sign-in:{hashlib.sha256(who.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _address(request: HttpRequest | None) -> str:
    """Where the request comes from. Behind our proxy (TLS=1) its last word counts; what stands before is the visitor's."""
    if request is None:
        return ""
    if settings.TLS:
        forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        if forwarded:
            return forwarded
    return str(request.META.get("REMOTE_ADDR", ""))
