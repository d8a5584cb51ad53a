"""Who is calling? The bearer token of a request to a known caller; the rights themselves are the tokens service's."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest
from django.utils import timezone
from ninja.security import HttpBearer

from payments.services.tokens import Caller, admit


class Bearer(HttpBearer):
    """Lets a request in whose token has the scope."""

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        """Raises: Unauthorised, TooManyRequests, Forbidden."""
        return admit(token, scope=self.scope, now=timezone.now())


def caller_of(request: HttpRequest) -> Caller:
    """The caller `Bearer` let in."""
    return cast(Caller, request.auth)  # type: ignore[attr-defined]
