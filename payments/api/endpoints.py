"""Which requests are there? One function an address: it reads the clock, makes one service call, renders the answer."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router

from payments.api.access import Bearer, caller_of
from payments.api.bodies import KEY_HEADER, idempotency_key, keyed_body
from payments.api.schemas import (
    CancelIn,
    CaptureIn,
    PaymentIn,
    PaymentOut,
    PaymentPage,
    Problem,
    RefundIn,
    RefundOut,
    Strict,
)
from payments.api.waiting import preferred_wait, view_after_waiting
from payments.card_numbers import has_card_number
from payments.errors import NotFound
from payments.queries.api_views import list_payments_by_reference, payment_by_id, refund_by_id
from payments.queries.problems import PROBLEM_TYPE
from payments.services import api_commands
from payments.services.idempotency import Answer, KeyedCall, as_json

router = Router()

READ, WRITE, REFUND = Bearer("payments:read"), Bearer("payments:write"), Bearer("refunds:write")
_ID = re.compile(r"[a-z]{1,5}_[0-9a-z]{1,26}")
_PROBLEM = {"content": {PROBLEM_TYPE: {"schema": Problem.model_json_schema()}}}
_READING: dict[str, Any] = {
    "responses": {
        401: {"description": "no valid token"} | _PROBLEM,
        403: {"description": "the token lacks the scope"} | _PROBLEM,
        404: {"description": "not found"} | _PROBLEM,
        422: {"description": "invalid input, with its field"} | _PROBLEM,
        429: {"description": "too many requests; see Retry-After"} | _PROBLEM,
    }
}
_KEYED: dict[str, Any] = {
    "parameters": [
        {
            "in": "header",
            "name": KEY_HEADER,
            "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            "description": "New for each new request. A repeated one gets the first answer, for 90 days.",
        }
    ],
    "responses": _READING["responses"]
    | {
        400: {"description": "unreadable body, or Idempotency-Key missing"} | _PROBLEM,
        409: {"description": "refused by the state of things"} | _PROBLEM,
        413: {"description": "more than 64 KiB"} | _PROBLEM,
        415: {"description": "not JSON"} | _PROBLEM,
    },
}
_CREATING: dict[str, Any] = _KEYED | {
    "parameters": [
        *_KEYED["parameters"],
        {
            "in": "header",
            "name": "Prefer",
            "schema": {"type": "string", "example": "wait=8"},
            "description": "Answer once the payment is no longer pending, or after so many seconds (at most 8).",
        },
    ]
}


@router.post("/payments", auth=WRITE, response={202: PaymentOut}, tags=["payments"], openapi_extra=_CREATING)
def create_payment(request: HttpRequest, payload: Annotated[PaymentIn, keyed_body()]) -> HttpResponse:
    """Store a payment intent. Execution follows; `Prefer: wait=8` waits for it a little."""
    answer = api_commands.create_payment(_keyed(request, payload), payload.to_request(), now=timezone.now())
    return _waited(request, answer)


@router.get("/payments", auth=READ, response=PaymentPage, tags=["payments"], openapi_extra=_READING)
def list_payments(
    request: HttpRequest,
    reference: Annotated[str, Query(min_length=1, max_length=100)],
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    before: Annotated[str | None, Query(max_length=40)] = None,
) -> HttpResponse:
    """The payments of one reference, newest first."""
    page = list_payments_by_reference(_storable(reference), limit=limit, before=before and _storable(before))
    return _shown(page)


@router.get("/payments/{payment_id}", auth=READ, response=PaymentOut, tags=["payments"], openapi_extra=_READING)
def get_payment(request: HttpRequest, payment_id: str) -> HttpResponse:
    """One payment as it is now."""
    return _shown(payment_by_id(_known_id(payment_id)))


@router.post(
    "/payments/{payment_id}/capture", auth=WRITE, response={202: PaymentOut}, tags=["payments"], openapi_extra=_KEYED
)
def capture_payment(request: HttpRequest, payment_id: str, payload: Annotated[CaptureIn, keyed_body()]) -> HttpResponse:
    """Take held money, all or a part."""
    answer = api_commands.capture_payment(
        _keyed(request, payload),
        _known_id(payment_id),
        amount_minor=payload.amount_minor,
        final=payload.final,
        now=timezone.now(),
    )
    return _answered(answer)


@router.post(
    "/payments/{payment_id}/cancel",
    auth=WRITE,
    response={200: PaymentOut, 202: PaymentOut},
    tags=["payments"],
    openapi_extra=_KEYED,
)
def cancel_payment(request: HttpRequest, payment_id: str, payload: Annotated[CancelIn, keyed_body()]) -> HttpResponse:
    """Cancel what has not been taken. 202 with `cancel_requested` while something is open at the gateway."""
    answer = api_commands.cancel_payment(_keyed(request, payload), _known_id(payment_id), now=timezone.now())
    return _answered(answer)


@router.post(
    "/payments/{payment_id}/refunds", auth=REFUND, response={202: RefundOut}, tags=["refunds"], openapi_extra=_KEYED
)
def create_refund(request: HttpRequest, payment_id: str, payload: Annotated[RefundIn, keyed_body()]) -> HttpResponse:
    """Give captured money back, all or a part."""
    answer = api_commands.request_refund(
        _keyed(request, payload),
        _known_id(payment_id),
        amount_minor=payload.amount_minor,
        reason=payload.reason,
        now=timezone.now(),
    )
    return _answered(answer)


@router.get("/refunds/{refund_id}", auth=READ, response=RefundOut, tags=["refunds"], openapi_extra=_READING)
def get_refund(request: HttpRequest, refund_id: str) -> HttpResponse:
    """One refund as it is now."""
    return _shown(refund_by_id(_known_id(refund_id)))


def _keyed(request: HttpRequest, payload: Strict) -> KeyedCall:
    """The digest is of the members that were sent, whatever their order and spacing."""
    sent = json.dumps(payload.model_dump(mode="json", exclude_unset=True), sort_keys=True, separators=(",", ":"))
    return KeyedCall(
        caller=caller_of(request),
        method=request.method or "",
        path=request.path,
        key=idempotency_key(request),
        request_digest=hashlib.sha256(sent.encode()).hexdigest(),
    )


def _known_id(public_id: str) -> str:
    """The id, if it could be one of ours: the address is stored with the answer and must hold nothing else."""
    if not _ID.fullmatch(public_id) or has_card_number(public_id):
        raise NotFound("There is nothing with this id.")
    return public_id


def _storable(text: str) -> str:
    """No stored text has a NUL, and PostgreSQL cannot even be asked for one."""
    return text.replace("\x00", "\ufffd")


def _waited(request: HttpRequest, answer: Answer) -> HttpResponse:
    seconds = preferred_wait(request)
    if seconds is None or answer.payment is None:
        return _answered(answer)
    view = view_after_waiting(answer.payment, seconds)
    response = HttpResponse(as_json(view), status=answer.status, content_type=answer.content_type)
    response.headers["Preference-Applied"] = f"wait={seconds}"
    return _marked(response, answer)


def _answered(answer: Answer) -> HttpResponse:
    return _marked(HttpResponse(answer.body, status=answer.status, content_type=answer.content_type), answer)


def _marked(response: HttpResponse, answer: Answer) -> HttpResponse:
    if answer.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def _shown(view: dict[str, object]) -> HttpResponse:
    return HttpResponse(as_json(view), content_type="application/json")
