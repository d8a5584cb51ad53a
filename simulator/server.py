"""How do bytes come in and go out? HTTP/1.1 on loopback, and the ways an exchange can end; knows nothing of money."""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit

from simulator.messages import Answer, Ending, Request

LARGEST_BODY = 1024 * 1024
LONGEST_HANG_SECONDS = 60.0
_RST_ON_CLOSE = struct.pack("ii", 1, 0)


class SimulatorServer(ThreadingHTTPServer):
    """One thread a connection; `route` answers every request."""

    daemon_threads = True
    request_queue_size = 512
    allow_reuse_address = True

    def __init__(self, port: int, route: Callable[[Request], Answer]) -> None:
        self.route = route
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def server_bind(self) -> None:
        """Without the look-up of a host name that http.server does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that left is no error of ours; everything else is shown."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one segment an answer
    timeout = 120.0
    server: SimulatorServer
    server_version: ClassVar[str] = "simulator"  # type: ignore[misc]
    sys_version: ClassVar[str] = ""  # type: ignore[misc]

    def _serve(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            self.close_connection = True
            self._send(Answer(b"the body is too large\n", 413, "text/plain"))
            return
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, parts.path, query, self.rfile.read(int(length)), headers, parts.query)
        self._end(self.server.route(request))

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = _serve  # noqa: N815 - names http.server looks for

    def log_message(self, *_: object) -> None:
        """No access log: bodies and queries carry keys."""

    def _end(self, answer: Answer) -> None:
        if answer.delay_seconds:
            time.sleep(answer.delay_seconds)
        if answer.ending is Ending.SEND:
            self._send(answer)
            return
        self.close_connection = True
        if answer.ending is Ending.HANG:
            self._wait_until_client_leaves()
        if answer.ending is Ending.RESET:
            self._reset()

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _wait_until_client_leaves(self) -> None:
        """A read that gives nothing is the client's goodbye; should it send more, the hang runs its full time."""
        started = time.monotonic()
        self.connection.settimeout(LONGEST_HANG_SECONDS)
        try:
            if self.connection.recv(1, socket.MSG_PEEK):
                time.sleep(max(0.0, LONGEST_HANG_SECONDS - (time.monotonic() - started)))
        except OSError:
            return

    def _reset(self) -> None:
        """Close with RST at once; the orderly shutdown that follows then finds nothing to do."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
        socket.close(self.connection.detach())


def serve_in_background(server: SimulatorServer) -> None:
    """Accept connections on a daemon thread."""
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.5}, name="accept", daemon=True).start()
