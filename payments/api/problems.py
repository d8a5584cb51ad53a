"""How does a refusal leave the API? As problem+json with a status; never with a trace, a secret or the input itself."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from payments.errors import InvalidInput, PaymentsError
from payments.queries.problems import PROBLEM_TYPE, problem_view
from payments.services.idempotency import as_json
from payments.services.rate_limit import TooManyRequests
from payments.services.tokens import Unauthorised

log = logging.getLogger(__name__)

SHOWN_ERRORS = 20  # of one body; the first is the one `field` names
_RETRY_AFTER_SECONDS = 5


class Unreadable(PaymentsError):
    """The request could not be read: broken JSON, a body cut short, a header missing or malformed."""

    code, status = "unreadable_request", 400


class UnknownAddress(PaymentsError):
    code, status = "not_found", 404


class MethodRefused(PaymentsError):
    code, status = "method_not_allowed", 405


class TooLarge(PaymentsError):
    code, status = "body_too_large", 413


class MediaTypeRefused(PaymentsError):
    code, status = "unsupported_media_type", 415


class _Broken(PaymentsError):
    code, status = "internal_error", 500


class _Away(PaymentsError):
    code, status = "temporarily_unavailable", 503


def problem(error: PaymentsError) -> HttpResponse:
    """The refusal as an answer, with the headers its status asks for."""
    response = HttpResponse(as_json(problem_view(error)), status=error.status, content_type=PROBLEM_TYPE)
    if isinstance(error, Unauthorised):
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, _Away):
        response.headers["Retry-After"] = str(_RETRY_AFTER_SECONDS)
    return response


def speak_problems(api: NinjaAPI) -> None:
    """Make every exception of the API a problem."""
    handlers: dict[type[Exception], Callable[..., HttpResponse]] = {
        PaymentsError: _refused,
        ValidationError: _invalid,
        AuthenticationError: _unknown_caller,
        HttpError: _http_error,
        OperationalError: _database_away,
        InterfaceError: _database_away,
        Exception: _broken,
    }
    for kind, handler in handlers.items():
        api.add_exception_handler(kind, handler)


def _refused(_request: HttpRequest, error: PaymentsError) -> HttpResponse:
    return problem(error)


def _invalid(_request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = [_field_error(item["loc"], item["msg"]) for item in error.errors[:SHOWN_ERRORS]]
    first = errors[0]
    return problem(InvalidInput(first["detail"], field=first["field"], errors=errors))


def _field_error(location: tuple[str | int, ...], message: str) -> dict[str, str]:
    """ "body", "payload", "payer", "email" -> payer.email; the framework's first two steps mean nothing to a caller."""
    steps = location[2:] if location[0] == "body" else location[1:]
    field = ".".join(str(step) for step in steps) or str(location[0])
    return {"field": field, "detail": f"{field}: {message.removeprefix('Value error, ')}"}


def _unknown_caller(_request: HttpRequest, _error: AuthenticationError) -> HttpResponse:
    return problem(Unauthorised("A valid bearer token is needed: Authorization: Bearer …."))


def _http_error(_request: HttpRequest, error: HttpError) -> HttpResponse:
    refusal = Unreadable(str(error))
    refusal.status = error.status_code
    return problem(refusal)


def _database_away(_request: HttpRequest, error: Exception) -> HttpResponse:
    log.warning("The database did not serve an API request: %s", type(error).__name__)
    return problem(_Away("Nothing was stored. Send the same request with the same Idempotency-Key again."))


def _broken(request: HttpRequest, error: Exception) -> HttpResponse:
    log.error("The API failed at %s %s.", request.method, request.path, exc_info=error)
    return problem(_Broken("The fault is ours. Send the same request with the same Idempotency-Key again."))
