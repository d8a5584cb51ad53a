"""How does the official library speak to Stripe through our own client? It builds the request; what leaves goes out once.

The library is imported here alone, and only when a call is made. It never retries, reports nothing about this machine,
and opens no connection: the bridge hands its finished request to `send`, which knows whether a byte may have left.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import stripe

from payments.gateways.base import Send, WireAnswer, WireRequest
from payments.gateways.errors import GatewayError, NotSent, OutcomeUnknown
from payments.gateways.stripe.intents import NEW_CUSTOMER
from payments.gateways.stripe.values import id_in, read_json

# The library writes requests and answers to its log at lower levels.
logging.getLogger("stripe").setLevel(logging.ERROR)
stripe.enable_telemetry = False

# It describes the machine and its software: nobody at the other end needs to know.
_NOT_SENT = frozenset({"x-stripe-client-user-agent", "user-agent"})


class Bridge(stripe.HTTPClient):
    """An HTTP client of the library's form that sends by `send` and remembers the one raw answer."""

    name = "counterfoil"

    def __init__(self, base_url: str, send: Send) -> None:
        super().__init__()
        self.answer: WireAnswer | None = None
        self._base_url = base_url
        self._send = send

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """Called by the library with the finished request. Raises what `send` raises, unchanged."""
        if self.answer is not None:
            raise NotSent("the library wanted to send a second time")
        if not url.startswith(self._base_url):
            raise NotSent("the library wanted to send to another address")
        outgoing = WireRequest(
            method.upper(),
            url.removeprefix(self._base_url),
            content=post_data.encode() if isinstance(post_data, str) else post_data or b"",
            headers={name: value for name, value in (headers or {}).items() if name.lower() not in _NOT_SENT},
        )
        self.answer = self._send(outgoing)
        return self.answer.body.decode("utf-8", "replace"), self.answer.status, {}

    def close(self) -> None:
        """Nothing is kept open."""


def speak(request: WireRequest, secret_key: str, base_url: str, send: Send) -> WireAnswer:
    """The raw answer to one request, put by the library and sent once by `send`.

    Where the payment method is to be stored and there is no customer yet, that is made first, by a call that moves no
    money: without a customer nothing has been asked.
    Raises: NotSent, OutcomeUnknown.
    """
    if request.form.get("customer") == NEW_CUSTOMER:
        made = {**request.form, "customer": _new_customer(request, secret_key, base_url, send)}
        request = WireRequest(request.method, request.path, made, headers=request.headers)
    return _once(request, secret_key, base_url, send)


def _once(request: WireRequest, secret_key: str, base_url: str, send: Send) -> WireAnswer:
    base_url = base_url.rstrip("/")
    bridge = Bridge(base_url, send)
    client = stripe.StripeClient(
        secret_key, base_addresses={"api": base_url}, max_network_retries=0, http_client=bridge
    )
    options = {"idempotency_key": request.headers["Idempotency-Key"]} if "Idempotency-Key" in request.headers else {}
    try:
        client.raw_request(request.method.lower(), request.path, **request.form, **options)
    except GatewayError:
        raise
    except Exception as trouble:
        # A refusal raises as well. Whatever the library makes of an answer, the answer itself is what counts.
        if bridge.answer is None:
            raise NotSent(f"the library sent nothing: {type(trouble).__name__}") from trouble
    if bridge.answer is None:
        raise NotSent("the library sent nothing")
    return bridge.answer


def _new_customer(request: WireRequest, secret_key: str, base_url: str, send: Send) -> str:
    form = {name: value for name, value in request.form.items() if name.startswith("metadata[")}
    headers = {"Idempotency-Key": f"{request.headers['Idempotency-Key']}-customer"}
    try:
        answer = _once(WireRequest("POST", "/v1/customers", form, headers=headers), secret_key, base_url, send)
        customer = id_in(read_json(answer.body), "id") if answer.status == 200 else ""
    except OutcomeUnknown as trouble:
        raise NotSent(f"no customer could be made, so nothing was asked: {trouble}") from trouble
    except GatewayError as trouble:
        raise NotSent(f"no customer could be made, so nothing was asked: {trouble}") from trouble
    if not customer:
        raise NotSent(f"no customer could be made, so nothing was asked: HTTP status {answer.status}")
    return customer
