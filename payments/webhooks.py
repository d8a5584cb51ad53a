"""How does a gateway hand us a message? Bytes in, one service call, a status out. It decides nothing.

The answers are the public contract: 200 stored or already known, 400 unreadable, 401 signature, 404 unknown account,
405 not posted, 413 too large, 503 the database is away.
"""

from __future__ import annotations

import logging
from typing import BinaryIO

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from payments.services.inbox import Receipt, receive_event

log = logging.getLogger(__name__)

LIMIT = 1024 * 1024  # bytes; the largest message seen is a settlement batch, some 40 KB a thousand transactions
_CHUNK = 64 * 1024
_RETRY_AFTER = "30"  # seconds
_STATUS = {Receipt.STORED: 200, Receipt.KNOWN: 200, Receipt.BAD_SIGNATURE: 401, Receipt.UNKNOWN_ACCOUNT: 404}


class _Refused(Exception):
    """The body can not be taken; carries the status and the sentence."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@csrf_exempt  # a gateway has no cookie of ours: the signature over the raw bytes is its proof
def receive(request: HttpRequest, slug: str) -> HttpResponse:
    """Store one delivery for the gateway account `slug`. Nothing else happens in the request."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"], "Webhooks are posted.\n", content_type="text/plain")
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        received = receive_event(slug, headers, _body(request), now=timezone.now())
    except _Refused as refused:
        return _plain(str(refused), refused.status)
    except (OperationalError, InterfaceError) as trouble:
        # The gateway delivers again on anything but 2xx; a 500 would do the same but page somebody for a bug.
        log.warning("The database is away, a webhook for %s was turned back: %s", slug, type(trouble).__name__)
        response = _plain("The database is away; deliver again.", 503)
        response.headers["Retry-After"] = _RETRY_AFTER
        return response
    if received.answer:
        return HttpResponse(received.answer, content_type="text/plain")
    return _plain(received.receipt.value, _STATUS[received.receipt])


def _plain(text: str, status: int) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain")


def _body(request: HttpRequest) -> bytes:
    """The raw bytes as they were signed. Raises _Refused: 413 before reading what is too long, 400 if it came short."""
    declared = request.META.get("CONTENT_LENGTH") or ""
    try:
        return _declared_body(request, declared) if declared else _chunked_body(request)
    except UnreadablePostError as gone:
        raise _Refused(400, "The connection broke off inside the body.") from gone


def _declared_body(request: HttpRequest, declared: str) -> bytes:
    if not (declared.isascii() and declared.isdigit()):
        raise _Refused(400, "Content-Length is not a number.")
    length = int(declared[:20])
    if length > LIMIT:
        raise _Refused(413, f"A webhook is at most {LIMIT} bytes.")
    body = request.body
    if len(body) < length:
        raise _Refused(400, f"The body ends after {len(body)} of {length} bytes.")
    return body


def _chunked_body(request: HttpRequest) -> bytes:
    """A chunked request has no length, and Django shows an empty body: it is read here, up to the limit."""
    if not request.META.get("wsgi.input_terminated"):
        return b""
    stream: BinaryIO = request.META["wsgi.input"]
    body = bytearray()
    while len(body) <= LIMIT:
        try:
            part = stream.read(min(_CHUNK, LIMIT + 1 - len(body)))
        except OSError as gone:
            raise _Refused(400, "The connection broke off inside the body.") from gone
        if not part:
            return bytes(body)
        body += part
    raise _Refused(413, f"A webhook is at most {LIMIT} bytes.")
