"""Which merchant system is calling, and what may it do? The only writer of API tokens; a secret is shown once."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from payments.errors import Forbidden, InvalidInput, NotFound, PaymentsError
from payments.models import ApiToken
from payments.services import rate_limit
from payments.services.actors import Actor

SCOPES = {
    "payments:read": "read payments and refunds",
    "payments:write": "create, capture and cancel payments",
    "refunds:write": "refund payments",
}
PER_MINUTE = 6000
_USE_NOTED_EVERY = timedelta(minutes=1)


class Unauthorised(PaymentsError):
    """No token, or one that is unknown or revoked; which of them is not said."""

    code, status = "unauthorised", 401


@dataclass(frozen=True, slots=True)
class Caller:
    """A known token. Its row stands for the owner: a renewed secret keeps the owner's idempotency keys."""

    token_id: int
    name: str
    scopes: frozenset[str]

    @property
    def actor(self) -> Actor:
        """Who acts, as services ask it."""
        return Actor.api(self.name, sorted(self.scopes))


@dataclass(frozen=True, slots=True)
class Issued:
    """A token as it is shown once. `renewed` says that an earlier secret of this name has stopped working."""

    name: str
    token: str
    scopes: tuple[str, ...]
    per_minute: int
    renewed: bool


def admit(presented: str, *, scope: str, now: datetime) -> Caller:
    """This function will say who calls, if they may do what needs `scope`.

    Raises: Unauthorised; TooManyRequests; Forbidden naming the scope. Writes: last use, once a minute.
    """
    token = ApiToken.objects.filter(digest=_digest(presented), revoked_at__isnull=True).first()
    if token is None:
        raise Unauthorised("A valid bearer token is needed: Authorization: Bearer ….")
    rate_limit.spend(str(token.pk), token.per_minute, now=now)
    if scope not in token.scopes:
        raise Forbidden(f"The token “{token.name}” lacks the scope {scope}.")
    _note_use(token, now)
    return Caller(token.pk, token.name, frozenset(token.scopes))


@transaction.atomic
def issue_token(
    name: str, *, scopes: Iterable[str] | None = None, per_minute: int | None = None, now: datetime
) -> Issued:
    """This function will make a token, or renew the secret of the one with this name and lift its revocation.

    Without `scopes` a new token gets all and an existing one keeps its own; the same for `per_minute`.
    Raises: InvalidInput naming scope, name or rate. Writes: the token's digest.
    """
    name, wanted = name.strip(), None if scopes is None else _checked_scopes(scopes)
    if not 1 <= len(name) <= 80:
        raise InvalidInput("A token needs a name of 1 to 80 characters.", field="name")
    if per_minute is not None and not 1 <= per_minute <= 1_000_000:
        raise InvalidInput("The rate is between 1 and 1,000,000 requests a minute.", field="per_minute")
    secret = f"cf_{secrets.token_urlsafe(32)}"
    token = ApiToken.objects.select_for_update().filter(name=name).first()
    renewed = token is not None
    if token is None:
        token = ApiToken(name=name, scopes=sorted(SCOPES), per_minute=PER_MINUTE, created_at=now)
    token.digest, token.prefix, token.revoked_at = _digest(secret), secret[:8], None
    token.scopes = wanted or token.scopes
    token.per_minute = per_minute or token.per_minute
    token.save()
    return Issued(name, secret, tuple(token.scopes), token.per_minute, renewed)


def revoke_token(name: str, *, now: datetime) -> None:
    """This function will end the token with this name. Idempotent on: name. Raises: NotFound. Writes: revoked_at."""
    known = ApiToken.objects.filter(name=name.strip())
    if not known.filter(revoked_at__isnull=True).update(revoked_at=now) and not known.exists():
        raise NotFound(f"There is no token named “{name}”.")


def _checked_scopes(scopes: Iterable[str]) -> list[str]:
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        raise InvalidInput(f"Scopes are {', '.join(SCOPES)}; not {', '.join(unknown) or 'none'}.", field="scopes")
    return wanted


def _digest(secret: str) -> str:
    """Plain SHA-256 is enough: the secret has 256 random bits, there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _note_use(token: ApiToken, now: datetime) -> None:
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - _USE_NOTED_EVERY)
    ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
