"""How does one request reach a gateway once and inside its time? The one HTTP client; it retries and logs nothing.

Three promises that a general client does not make:

* it knows whether a byte of the request may have left this machine. Until then every trouble is `NotSent`, after it
  every trouble is `OutcomeUnknown`;
* it refuses the first byte from `send_before` on, so that a worker that slept can not charge somebody later;
* all of it ends at `done_before`, also against a server that answers one byte at a time.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cache
from ipaddress import ip_address
from typing import Any

import httpcore
import httpx

from payments.gateways.base import WireAnswer, WireRequest
from payments.gateways.errors import GatewayError, NotSent, NotTried, OutcomeUnknown

LARGEST_ANSWER = 8 * 1024 * 1024  # bytes; an answer beyond it is foreign, and a look-up tells what happened
_CHUNK = 16 * 1024

# An answer must come as it was signed off by the gateway: no compression to undo, no connection to keep.
_HEADERS = {"Accept-Encoding": "identity", "Connection": "close", "User-Agent": "counterfoil"}


def send(
    request: WireRequest,
    *,
    base_url: str,
    send_before: datetime,
    done_before: datetime,
    clock: Callable[[], datetime],
) -> WireAnswer:
    """Send the request once, over a connection of its own, and return whatever HTTP answer comes, a redirect included.

    A fresh connection each time is deliberate: on a kept one, a server that closes it while we write leaves us unable
    to say whether it read the request. `base_url` is the account's, `request.path` goes below it.

    Raises: NotSent (the gateway provably got nothing), OutcomeUnknown (a byte may have left, no whole answer came).
    """
    times = _Times(send_before, done_before, clock)
    backend = _Backend(times)
    try:
        return _exchange(_outgoing(request, base_url), backend)
    except GatewayError:
        raise
    except Exception as trouble:
        # Certainty must not depend on a list of exception types: whatever went wrong, only the bytes decide.
        if times.left:
            raise OutcomeUnknown(f"no whole answer after sending: {_words(trouble)}", raw=_raw(trouble)) from trouble
        raise NotSent(f"nothing was sent: {_words(trouble)}", raw=_raw(trouble)) from trouble


class _Times:
    """The two limits of one call, and whether its first byte may have left."""

    def __init__(self, send_before: datetime, done_before: datetime, clock: Callable[[], datetime]) -> None:
        self.left = False
        self._send_before = send_before
        self._done_before = done_before
        self._clock = clock
        # The wall clock may be set back while we wait, and the monotonic one stands still while the machine sleeps:
        # the earlier end of both counts.
        self._ends = time.monotonic() + (done_before - clock()).total_seconds()

    def remaining(self) -> float:
        """Seconds until the end of this call, above zero. Raises TimeoutError."""
        wall = (self._done_before - self._clock()).total_seconds()
        seconds = min(wall, self._ends - time.monotonic())
        if seconds <= 0:
            raise TimeoutError("the total time of this call is over")
        return seconds

    def until_sending(self) -> float:
        """Seconds in which the first byte may still leave, above zero. Raises NotSent, TimeoutError."""
        seconds = (self._send_before - self._clock()).total_seconds()
        if seconds <= 0:
            raise NotTried("send_before had passed before the first byte")
        return min(seconds, self.remaining())


class _Stream(httpcore.NetworkStream):
    """A connection that holds the request back until it is whole, then lets it go under one decision."""

    def __init__(self, inner: httpcore.NetworkStream, times: _Times) -> None:
        self._inner = inner
        self._times = times
        self._held = bytearray()

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # Head and body come as two writes. A process stopped between them would finish the request when it wakes up,
        # long after send_before; so nothing leaves before all is here.
        self._held += buffer

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._held:
            self._let_go()
        return self._inner.read(max_bytes, self._times.remaining())

    def _let_go(self) -> None:
        self._times.until_sending()
        held, self._held = bytes(self._held), bytearray()
        # Before the call, not after it: a failed send may have sent a part.
        self._times.left = True
        for start in range(0, len(held), _CHUNK):
            self._inner.write(held[start : start + _CHUNK], self._times.remaining())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        # The handshake carries nothing of the request: its failure is still "not sent".
        return _Stream(
            self._inner.start_tls(ssl_context, server_hostname, self._times.until_sending()),
            self._times,
        )

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Opens the connection in the time left for sending. The system's resolver keeps its own time, but sends nothing."""

    def __init__(self, times: _Times) -> None:
        self._times = times
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        self._times.until_sending()
        addresses = dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        trouble: Exception = NotSent(f"{host} has no address")
        for address in addresses:
            try:
                inner = self._inner.connect_tcp(
                    address, port, self._times.until_sending(), local_address, socket_options
                )
            except (httpcore.NetworkError, httpcore.TimeoutException) as refused:
                trouble = refused
            else:
                return _Stream(inner, self._times)
        raise trouble


def _outgoing(request: WireRequest, base_url: str) -> httpcore.Request:
    """The bytes to be, from our own value. Raises NotSent for an address that must not get a secret."""
    try:
        url = httpx.URL(base_url.rstrip("/") + request.path)
    except httpx.InvalidURL as wrong:
        raise NotSent("the base URL of the gateway account is not an address") from wrong
    if url.scheme not in ("http", "https") or not url.host:
        raise NotSent("the base URL of the gateway account must begin with https:// and a host")
    if url.scheme == "http" and not _is_this_machine(url.host):
        raise NotSent(f"credentials go to {url.host} over https only; plain http is for a simulator on this machine")
    body: dict[str, Any] = {"data": dict(request.form)} if request.form else {}
    if request.json is not None:
        body = {"json": dict(request.json)}
    elif request.content:
        body = {"content": request.content}
    made = httpx.Request(request.method, url, headers={**request.headers, **_HEADERS}, **body)
    return httpcore.Request(made.method, str(url), headers=made.headers.raw, content=made.read())


def _exchange(outgoing: httpcore.Request, backend: _Backend) -> WireAnswer:
    connection = httpcore.HTTPConnection(
        origin=outgoing.url.origin,
        ssl_context=tls_context() if outgoing.url.scheme == b"https" else None,
        network_backend=backend,
    )
    with connection:
        response = connection.handle_request(outgoing)
        try:
            body = bytearray()
            for part in response.iter_stream():
                body += part
                if len(body) > LARGEST_ANSWER:
                    raise OutcomeUnknown(f"the answer is larger than {LARGEST_ANSWER} bytes")
        finally:
            response.close()
    kinds = [value for name, value in response.headers if name.lower() == b"content-type"]
    return WireAnswer(response.status, kinds[0].decode("latin-1") if kinds else "", bytes(body))


@cache
def tls_context() -> ssl.SSLContext:
    """Certificates and names are always checked: by the bundle of the client, or by SSL_CERT_FILE (a company's own)."""
    return httpx.create_ssl_context()


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# What operators read; the exception's own words are kept beside it for whoever has to dig.
_IN_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (httpcore.ConnectTimeout, "the connection could not be made in time"),
    (socket.gaierror, "its name has no address"),
    (httpcore.ConnectError, "no connection could be made"),
    (httpcore.ReadTimeout, "no answer came in time"),
    (httpcore.RemoteProtocolError, "the connection was cut before a whole answer"),
    (httpcore.ReadError, "the connection broke while waiting for the answer"),
    (httpcore.WriteError, "the connection broke while sending"),
    (TimeoutError, "the total time of this call is over"),
)
# What several ways of not connecting have in common by type, and tell apart by what they say.
_BY_SIGN = (
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted, or is another name's"),
    ("SSL", "no secure connection could be made"),
    ("refused", "the connection was refused"),
)


def _words(trouble: Exception) -> str:
    signs = (words for sign, words in _BY_SIGN if isinstance(trouble, httpcore.ConnectError) and sign in str(trouble))
    kinds = (words for kind, words in _IN_WORDS if isinstance(trouble, kind))
    return next(signs, "") or next(kinds, "the connection failed")


def _raw(trouble: Exception) -> str:
    return f"{type(trouble).__name__}: {trouble}".removesuffix(": ")
