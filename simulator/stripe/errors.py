"""How does Stripe say no? Error bodies with their HTTP status; whether the answer is kept for its idempotency key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DOCS = "https://stripe.com/docs/error-codes/"


class ApiError(Exception):
    """One error answer. `kept`: the endpoint had begun to execute, so a repetition of the key gets this answer again.

    Sources agree that validation failures, 401, 409 and 429 are not kept. That a missing object is kept is assumed.
    """

    def __init__(self, status: int, body: Mapping[str, Any], *, kept: bool = True) -> None:
        super().__init__(body.get("message", ""))
        self.status = status
        self.error = dict(body)
        self.kept = kept
        code = self.error.get("code")
        if code:
            self.error.setdefault("doc_url", DOCS + str(code).replace("_", "-"))


def invalid(message: str, param: str = "", code: str = "") -> ApiError:
    """A parameter that fails validation: nothing was begun."""
    return ApiError(400, _request_error(message, code, param), kept=False)


def missing_parameter(param: str) -> ApiError:
    return invalid(f"Missing required param: {param}.", param, "parameter_missing")


def no_such(what: str, object_id: str, param: str = "") -> ApiError:
    """404 for an object named in the path (no `param`), 400 for one named by a parameter."""
    error = _request_error(f"No such {what}: '{object_id}'", "resource_missing", param or "id")
    return ApiError(400 if param else 404, error)


def refused(message: str, code: str, param: str = "", **more: Any) -> ApiError:
    """The state of things does not allow it."""
    return ApiError(400, _request_error(message, code, param) | more)


def unexpected_state(intent: Mapping[str, Any], wish: str, allowed: str) -> ApiError:
    """The intent is in another state; the answer carries it."""
    text = (
        f"You cannot {wish} this PaymentIntent because it has a status of {intent['status']}. "
        f"Only a PaymentIntent with one of the following statuses may be: {allowed}."
    )
    return refused(text, "payment_intent_unexpected_state", payment_intent=dict(intent))


def unauthenticated(message: str) -> ApiError:
    return ApiError(401, _request_error(message, "", ""), kept=False)


def rate_limited() -> ApiError:
    text = "Request rate limit exceeded."
    return ApiError(429, _request_error(text, "rate_limit", ""), kept=False)


def key_in_use(key: str) -> ApiError:
    text = (
        f"There is currently another in-progress request using this Idempotent Key ({key}), "
        "likely because you submitted twice or an earlier request is still being processed."
    )
    return ApiError(409, {"type": "idempotency_error", "code": "idempotency_key_in_use", "message": text}, kept=False)


def key_reused(key: str) -> ApiError:
    text = (
        f"Keys for idempotent requests can only be used with the same parameters they were first used with. "
        f"Try using a key other than '{key}' if you meant to execute a different request."
    )
    return ApiError(400, {"type": "idempotency_error", "message": text}, kept=False)


def internal() -> ApiError:
    return ApiError(500, {"type": "api_error", "message": "An unknown error occurred."})


def _request_error(message: str, code: str, param: str) -> dict[str, Any]:
    found = {"type": "invalid_request_error", "message": message, "code": code, "param": param}
    return {name: value for name, value in found.items() if value}
