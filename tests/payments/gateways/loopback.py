"""How does a test play a broken server? A listening socket on this machine whose every connection goes to one function."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

TLS = Path(__file__).resolve().parents[2] / "fixtures" / "tls"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"

Play = Callable[[socket.socket], None]


@dataclass
class Server:
    """A server that plays `play` for each connection; `requests` is what came in, whole or not."""

    play: Play
    tls: bool = False
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    def __enter__(self) -> Server:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(60)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                connection.settimeout(60)
                self._play(connection)

    def _play(self, connection: socket.socket) -> None:
        try:
            if not self.tls:
                self.play(connection)
                return
            with self._sealed(connection) as sealed:
                self.play(sealed)
        except OSError:
            return  # the client left, which most of these tests are about

    def _sealed(self, connection: socket.socket) -> socket.socket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / "loopback.crt", TLS / "loopback.key")
        return context.wrap_socket(connection, server_side=True)

    def read(self, connection: socket.socket) -> bytes:
        """The whole request: head, and as much body as it declares."""
        got = b""
        while b"\r\n\r\n" not in got and (part := connection.recv(65536)):
            got += part
        head, _, body = got.partition(b"\r\n\r\n")
        declared = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        while declared and len(body) < int(declared[0]) and (part := connection.recv(65536)):
            body += part
        self.requests.append(head + b"\r\n\r\n" + body)
        return body


def answering(answer: bytes) -> Server:
    """A server that reads the request and says these bytes."""

    def play(connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(answer)

    server = Server(play)
    return server


def reset(connection: socket.socket) -> None:
    """Close with RST, as a crashed or overloaded server does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
