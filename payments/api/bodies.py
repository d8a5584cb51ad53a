"""What did the caller send? Bytes to a checked document, or a refusal naming what and where. Keeps and logs nothing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from django.http import HttpRequest, UnreadablePostError
from ninja.params.models import Body, BodyModel

from payments.api.problems import MediaTypeRefused, TooLarge, Unreadable
from payments.card_numbers import find_card_number, has_card_number, without_card_numbers
from payments.errors import CardNumberRefused, InvalidInput

LIMIT = 64 * 1024  # bytes
DEPTH = 20  # levels of nesting
KEY_HEADER = "Idempotency-Key"
AMOUNTS = frozenset({"amount_minor", "expires_in_seconds"})  # numbers there are quantities, not text
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL's text holds neither NUL nor half a surrogate pair


class _KeyedJson(BodyModel):
    """The framework's body model reading by our rules: its own sees no chunked body and takes doubled keys."""

    @classmethod
    def get_request_data(cls, request: HttpRequest, api: Any, path_params: dict[str, Any]) -> dict[str, Any]:
        idempotency_key(request)
        return {cls.__read_from_single_attr__: read_document(request)}


class _KeyedBody(Body):  # type: ignore[misc]  # the framework's own parameters inherit from the final class too
    _model = _KeyedJson

    @classmethod
    def _param_source(cls) -> str:
        return "body"


def keyed_body() -> Any:
    """Marks an endpoint's payload: a JSON object under an Idempotency-Key. An absent body is an empty object."""
    return _KeyedBody(...)


def idempotency_key(request: HttpRequest) -> str:
    """The request's key. Raises: Unreadable naming the header; CardNumberRefused."""
    key = request.headers.get(KEY_HEADER, "")
    if not key:
        raise Unreadable(
            f"Every POST needs the header {KEY_HEADER}: a value of your own, new for each new request.",
            field=KEY_HEADER,
        )
    if not _KEY.fullmatch(key):
        raise Unreadable(f"{KEY_HEADER} is 1 to 255 visible ASCII characters without blanks.", field=KEY_HEADER)
    if has_card_number(key):
        raise _card_number(KEY_HEADER)
    return key


def read_document(request: HttpRequest) -> dict[str, Any]:
    """The body as a JSON object without doubled keys, card numbers and characters that cannot be stored.

    Raises: TooLarge, MediaTypeRefused, Unreadable, InvalidInput, CardNumberRefused.
    """
    raw = _raw(request)
    if not raw:
        return {}
    if request.content_type != "application/json":
        raise MediaTypeRefused("Send JSON, with Content-Type: application/json.", field="Content-Type")
    document = _decoded(raw)
    found = find_card_number(document, amounts=AMOUNTS)
    if found is not None:
        raise _card_number(found)
    for path, text in _texts(document):
        if _UNSTORABLE.search(text):
            raise InvalidInput(f"{path}: holds a character that cannot be stored (NUL or half a pair).", field=path)
    return document


def _card_number(field: str) -> CardNumberRefused:
    return CardNumberRefused(
        f"{field}: looks like a card number. It was not stored. Send the token of the gateway's own form instead.",
        field=field,
    )


def _raw(request: HttpRequest) -> bytes:
    declared = request.META.get("CONTENT_LENGTH") or ""
    try:
        return _declared_body(request, str(declared)) if declared else _chunked_body(request)
    except (UnreadablePostError, OSError) as gone:
        raise Unreadable("The connection broke off inside the body.") from gone


def _declared_body(request: HttpRequest, declared: str) -> bytes:
    if not (declared.isascii() and declared.isdigit()):
        raise Unreadable("Content-Length is not a number.", field="Content-Length")
    length = int(declared[:20])
    if length > LIMIT:
        raise TooLarge(f"A body is at most {LIMIT} bytes.")
    if len(request.body) < length:
        raise Unreadable(f"The body ends after {len(request.body)} of {length} bytes.")
    return request.body


def _chunked_body(request: HttpRequest) -> bytes:
    """Without a length Django shows an empty body; a server that ends the stream lets it be read here."""
    if not request.META.get("wsgi.input_terminated"):
        return b""
    stream: BinaryIO = request.META["wsgi.input"]
    body = bytearray()
    while part := stream.read(LIMIT + 1 - len(body)):
        body += part
        if len(body) > LIMIT:
            raise TooLarge(f"A body is at most {LIMIT} bytes.")
    return bytes(body)


def _decoded(raw: bytes) -> dict[str, Any]:
    try:
        document = json.loads(raw.decode(), object_pairs_hook=_object, parse_constant=_no_number, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise Unreadable(f"The body is not UTF-8 (byte {error.start}).") from error
    except json.JSONDecodeError as error:
        raise Unreadable(f"The body is not JSON: {error.msg}, line {error.lineno} column {error.colno}.") from error
    except RecursionError as error:
        raise Unreadable(f"The body is nested more than {DEPTH} levels deep.") from error
    except ValueError as error:  # a number of thousands of digits
        raise Unreadable("The body holds a number that is too long.") from error
    if not isinstance(document, dict):
        raise Unreadable("The body must be a JSON object.")
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        keys = [key for key, _ in pairs]
        doubled = next(key for key in keys if keys.count(key) > 1)
        raise Unreadable(
            f"The key {without_card_numbers(doubled)!r} stands twice in one object.",
            field=without_card_numbers(doubled),
        )
    return members


def _no_number(name: str) -> None:
    raise Unreadable(f"The body is not JSON: {name} is no JSON number.")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Unreadable("The body holds a number that is too large.")
    return number


def _texts(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every text with its path, keys included. Raises: Unreadable for a document too deep."""
    pending: list[tuple[str, Any, int]] = [("", document, 0)]
    while pending:
        path, value, depth = pending.pop()
        if depth > DEPTH:
            raise Unreadable(f"The body is nested more than {DEPTH} levels deep.")
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, dict):
            yield from ((f"{path}[key]", key) for key in value)
            pending.extend((f"{path}.{key}" if path else key, child, depth + 1) for key, child in value.items())
        elif isinstance(value, list):
            pending.extend((f"{path}.{number}", child, depth + 1) for number, child in enumerate(value))
