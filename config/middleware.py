"""What stands between every request and its view? Headers that protect a page, and a plain word when the database is away."""

import logging
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse

log = logging.getLogger(__name__)

STRICT = "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
# Alpine inside Unfold evaluates its attribute expressions with `new Function`, and colours its theme by inline styles.
ADMIN = f"{STRICT}; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
# The API's docs page draws icons from data: URLs and styles itself inline; it evaluates nothing.
DOCS = f"{STRICT}; style-src 'self' 'unsafe-inline'; img-src 'self' data:"


class ContentSecurityPolicy:
    """Adds the policy to every answer that does not bring its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, then say what a browser may load for it."""
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", policy_for(request.path))
        response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()")
        return response


def policy_for(path: str) -> str:
    """The policy of the part of the site `path` belongs to."""
    if path.startswith("/admin/"):
        return ADMIN
    return DOCS if path.startswith("/api/v1/docs") else STRICT


class DatabaseAway:
    """Answers 503 where a page could not be made because the database is away; nothing it was to write stands."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass it on; what a view raises comes to `process_exception`."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Say so in one sentence, and log the kind of the error alone. Any other error is left to Django."""
        if not isinstance(error, OperationalError | InterfaceError):
            return None
        log.warning("The database did not serve %s: %s", request.path, type(error).__name__)
        words = (
            "The database does not answer, so this page cannot be shown. Nothing was changed. Try again in a minute.\n"
        )
        return HttpResponse(words, status=503, content_type="text/plain; charset=utf-8", headers={"Retry-After": "30"})
