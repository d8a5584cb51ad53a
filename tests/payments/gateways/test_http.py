"""Does the one HTTP client know whether a byte left, and does it end in time? Against real sockets of broken servers."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import httpcore
import pytest

from payments.gateways import http
from payments.gateways.base import WireAnswer, WireRequest
from payments.gateways.errors import NotSent, OutcomeUnknown
from tests.payments.gateways.loopback import HEAD, TLS, Server, answering, reset
from tests.simulator_fixture import wait_for

REQUEST = WireRequest("POST", "/api/transact.php", {"type": "sale", "amount": "49.99", "security_key": "s3cret-key"})
OK = HEAD + b"Content-Length: 10\r\n\r\nresponse=1"


def now() -> datetime:
    return datetime.now(UTC)


def send(
    url: str,
    *,
    send_seconds: float = 5,
    total_seconds: float = 10,
    clock: Callable[[], datetime] = now,
    request: WireRequest = REQUEST,
) -> WireAnswer:
    start = now()
    return http.send(
        request,
        base_url=url,
        send_before=start + timedelta(seconds=send_seconds),
        done_before=start + timedelta(seconds=total_seconds),
        clock=clock,
    )


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine's test certificate is trusted, by the variable an operator would use."""
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "loopback.crt"))
    http.tls_context.cache_clear()
    yield
    http.tls_context.cache_clear()


class TestAnAnswer:
    def test_comes_back_whole_and_the_request_went_out_once(self) -> None:
        with answering(OK) as server:
            answer = send(server.url)

        assert answer == WireAnswer(200, "text/plain", b"response=1")
        assert len(server.requests) == 1
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        assert head.startswith(b"POST /api/transact.php HTTP/1.1\r\n")
        assert b"content-type: application/x-www-form-urlencoded" in head.lower()
        assert b"connection: close" in head.lower()
        assert b"accept-encoding: identity" in head.lower()
        assert parse_qs(body.decode()) == {name: [value] for name, value in REQUEST.form.items()}

    def test_path_goes_below_the_account_s_base(self) -> None:
        with answering(OK) as server:
            send(f"{server.url}/nmi/")

        assert server.requests[0].startswith(b"POST /nmi/api/transact.php HTTP/1.1\r\n")

    def test_values_of_the_form_arrive_as_they_are(self) -> None:
        odd = "Ünï & =+ 100%\n"
        with answering(OK) as server:
            send(server.url, request=WireRequest("POST", "/", {"orderdescription": odd}))

        assert parse_qs(server.requests[0].partition(b"\r\n\r\n")[2].decode()) == {"orderdescription": [odd]}

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_of_a_redirect_is_an_answer_and_nobody_follows_it(self, status: int) -> None:
        with answering(OK) as elsewhere:
            moved = f"HTTP/1.1 {status} Moved\r\nLocation: {elsewhere.url}/\r\nContent-Length: 0\r\n\r\n".encode()
            with answering(moved) as server:
                answer = send(server.url)

        assert answer.status == status
        assert (len(server.requests), elsewhere.connections) == (1, 0)

    @pytest.mark.parametrize("status", [400, 401, 429, 500, 502, 503, 504])
    def test_of_an_error_is_an_answer_and_nobody_retries_it(self, status: int) -> None:
        with answering(
            f"HTTP/1.1 {status} Trouble\r\nContent-Length: 2\r\nRetry-After: 0\r\n\r\nno".encode()
        ) as server:
            answer = send(server.url)

        assert (answer.status, answer.body, server.connections) == (status, b"no", 1)

    def test_in_chunks_and_after_a_100_continue_is_joined(self) -> None:
        chunked = (
            b"HTTP/1.1 100 Continue\r\n\r\n"
            + HEAD
            + b"Transfer-Encoding: chunked\r\n\r\n5\r\nrespo\r\n5\r\nnse=1\r\n0\r\n\r\n"
        )
        with answering(chunked) as server:
            assert send(server.url).body == b"response=1"

    def test_uses_no_proxy_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with answering(OK) as proxy, answering(OK) as server:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
                monkeypatch.setenv(name, proxy.url)
            send(server.url)

        assert (proxy.connections, server.connections) == (0, 1)

    def test_each_call_has_a_connection_of_its_own(self) -> None:
        with answering(OK) as server:
            send(server.url)
            send(server.url)

        assert server.connections == 2

    def test_leaves_in_one_piece_so_that_no_half_of_it_can_follow_late(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = httpcore.SyncBackend.connect_tcp
        pieces: list[bytes] = []

        def watched(*args: Any, **kwargs: Any) -> httpcore.NetworkStream:
            stream = real(*args, **kwargs)
            write = stream.write

            def kept(piece: bytes, timeout: float | None) -> None:
                pieces.append(piece)
                write(piece, timeout)

            monkeypatch.setattr(stream, "write", kept)
            return stream

        monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", watched)
        with answering(OK) as server:
            send(server.url)

        assert pieces == server.requests

    def test_nothing_of_the_form_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        with answering(OK) as server:
            send(server.url)

        assert "s3cret-key" not in caplog.text
        assert "49.99" not in caplog.text


class TestNothingIsSent:
    def test_when_the_port_refuses(self, free_port: int) -> None:
        with pytest.raises(NotSent) as refused:
            send(f"http://127.0.0.1:{free_port}")

        assert str(refused.value) == "nothing was sent: the connection was refused"
        assert refused.value.raw.startswith("ConnectError: [Errno 111]")

    def test_when_the_name_has_no_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)

        with pytest.raises(NotSent, match="nothing was sent: its name has no address") as refused:
            send("https://gateway.example")

        assert "Name or service not known" in refused.value.raw

    def test_when_nobody_accepts_in_time(self) -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            waiting = [socket.socket() for _ in range(4)]
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(full.getsockname())
            started = time.monotonic()

            with pytest.raises(NotSent):
                send(f"http://127.0.0.1:{full.getsockname()[1]}", send_seconds=0.3, total_seconds=60)

            assert time.monotonic() - started < 30
            for one in waiting:
                one.close()

    def test_when_send_before_has_passed_already(self) -> None:
        with answering(OK) as server:
            with pytest.raises(NotSent, match="send_before had passed"):
                send(server.url, send_seconds=0)

            assert server.connections == 0

    def test_when_send_before_passes_between_connecting_and_the_first_byte(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A worker that was stopped there and wakes up an hour later."""
        connect, connected = httpcore.SyncBackend.connect_tcp, threading.Event()

        def watched(*args: Any, **kwargs: Any) -> httpcore.NetworkStream:
            stream = connect(*args, **kwargs)
            connected.set()
            return stream

        monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", watched)
        with answering(OK) as server:
            with pytest.raises(NotSent, match="send_before had passed"):
                send(server.url, clock=lambda: now() + timedelta(hours=1 if connected.is_set() else 0))
            wait_for(lambda: server.requests)

        assert server.requests == [b"\r\n\r\n"]

    def test_when_the_server_speaks_no_tls(self) -> None:
        plain = Server(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
        with plain as server, pytest.raises(NotSent, match="no secure connection") as refused:
            send(server.url.replace("http:", "https:"))

        assert "SSL" in refused.value.raw

    def test_when_the_certificate_is_not_trusted(self) -> None:
        with (
            Server(lambda connection: None, tls=True) as server,
            pytest.raises(NotSent, match="its certificate is not trusted") as refused,
        ):
            send(server.url)

        assert "CERTIFICATE_VERIFY_FAILED" in refused.value.raw

    @pytest.mark.usefixtures("trusted")
    def test_when_the_certificate_is_for_another_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with Server(lambda connection: None, tls=True) as server:
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", server.port))])
            with pytest.raises(NotSent, match="is another name's"):
                send(f"https://gateway.example:{server.port}")

    def test_when_the_connection_is_reset_within_the_handshake(self) -> None:
        def play(connection: socket.socket) -> None:
            # Within it, not before: Python leaves its socket to the garbage collector, with a warning, if the reset is
            # there already when it begins.
            connection.recv(1)
            reset(connection)

        with Server(play) as server, pytest.raises(NotSent):
            send(server.url.replace("http:", "https:"))

    def test_when_the_handshake_hangs(self) -> None:
        release = threading.Event()

        def play(connection: socket.socket) -> None:
            release.wait(60)

        with Server(play) as server:
            started = time.monotonic()
            with pytest.raises(NotSent):
                send(server.url.replace("http:", "https:"), send_seconds=0.3, total_seconds=60)
            assert time.monotonic() - started < 30
            release.set()

    @pytest.mark.parametrize(
        ("url", "why"),
        [
            ("", "must begin with https"),
            ("secure.nmi.com", "must begin with https"),
            ("ftp://secure.nmi.com", "must begin with https"),
            ("https://", "must begin with https"),
            ("https://[::1", "not an address"),
            ("http://secure.nmi.com", "over https only"),
            ("http://127.0.0.1.example.com", "over https only"),
        ],
    )
    def test_to_an_address_that_must_not_get_a_secret(self, url: str, why: str) -> None:
        with pytest.raises(NotSent, match=why):
            send(url)


class TestTheOutcomeIsUnknown:
    def test_when_the_connection_is_reset_after_the_request(self) -> None:
        def play(connection: socket.socket) -> None:
            server.read(connection)
            reset(connection)

        with Server(play) as server, pytest.raises(OutcomeUnknown) as broken:
            send(server.url)

        assert len(server.requests) == 1
        assert str(broken.value).startswith("no whole answer after sending: the connection ")
        assert "Errno" not in str(broken.value)
        assert broken.value.raw

    def test_when_the_connection_is_reset_before_it_is_read(self) -> None:
        """We can not tell this from a reset after reading: the bytes had left."""
        accepted = threading.Event()

        def play(connection: socket.socket) -> None:
            connection.recv(1)
            accepted.set()
            reset(connection)

        with Server(play) as server, pytest.raises(OutcomeUnknown):
            send(server.url)

        assert (accepted.is_set(), server.connections) == (True, 1)

    def test_when_the_server_closes_without_a_word(self) -> None:
        with answering(b"") as server, pytest.raises(OutcomeUnknown):
            send(server.url)

    def test_when_the_body_is_shorter_than_declared(self) -> None:
        with answering(HEAD + b"Content-Length: 100\r\n\r\nresponse=1") as server, pytest.raises(OutcomeUnknown):
            send(server.url)

    def test_when_the_last_chunk_is_missing(self) -> None:
        with (
            answering(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nrespo\r\n") as server,
            pytest.raises(OutcomeUnknown),
        ):
            send(server.url)

    @pytest.mark.parametrize("noise", [b"\x00\x01\x02\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n"])
    def test_when_the_answer_is_no_http(self, noise: bytes) -> None:
        with answering(noise) as server, pytest.raises(OutcomeUnknown):
            send(server.url)

    def test_when_the_head_never_ends(self) -> None:
        with answering(HEAD + b"X-Filler: " + b"a" * 300_000) as server, pytest.raises(OutcomeUnknown):
            send(server.url)

    def test_when_the_body_is_larger_than_any_answer(self) -> None:
        def play(connection: socket.socket) -> None:
            server.read(connection)
            connection.sendall(HEAD + b"Content-Length: 999999999\r\n\r\n")
            for _ in range(10):
                connection.sendall(b"a" * 1024 * 1024)

        with Server(play) as server, pytest.raises(OutcomeUnknown, match="larger than 8388608 bytes"):
            send(server.url)

    def test_when_nothing_comes_until_the_end(self) -> None:
        release = threading.Event()

        def play(connection: socket.socket) -> None:
            server.read(connection)
            release.wait(60)

        with Server(play) as server:
            started = time.monotonic()
            with pytest.raises(OutcomeUnknown, match="no whole answer"):
                send(server.url, total_seconds=1.5)
            assert 1.4 < time.monotonic() - started < 30
            release.set()

    def test_when_the_answer_drips_and_the_total_time_ends(self) -> None:
        """Each read gets its byte in time; only the total tells that this never ends."""

        def play(connection: socket.socket) -> None:
            server.read(connection)
            for byte in (HEAD + b"Content-Length: 5000\r\n\r\n" + b"a" * 5000)[:2000]:
                connection.sendall(bytes([byte]))
                time.sleep(0.01)

        with Server(play) as server:
            started = time.monotonic()
            with pytest.raises(OutcomeUnknown):
                send(server.url, total_seconds=1.5)
            assert 1.4 < time.monotonic() - started < 15  # all of it would take twenty

    def test_when_the_wall_clock_jumps_past_the_end_during_the_call(self) -> None:
        """The monotonic clock stands still while a machine sleeps."""
        with answering(OK) as server:

            def clock() -> datetime:
                return now() + timedelta(hours=1 if server.requests else 0)

            def play(connection: socket.socket) -> None:
                server.read(connection)
                connection.sendall(HEAD)
                time.sleep(0.05)
                connection.sendall(OK.removeprefix(HEAD))

            server.play = play
            with pytest.raises(OutcomeUnknown, match="total time"):
                send(server.url, clock=clock)

    @pytest.mark.usefixtures("trusted")
    def test_when_tls_breaks_after_the_request(self) -> None:
        def play(connection: socket.socket) -> None:
            server.read(connection)
            reset(connection)

        with Server(play, tls=True) as server, pytest.raises(OutcomeUnknown):
            send(server.url)


class TestTls:
    @pytest.mark.usefixtures("trusted")
    def test_a_trusted_server_answers(self) -> None:
        def play(connection: socket.socket) -> None:
            server.read(connection)
            connection.sendall(OK)
            if isinstance(connection, ssl.SSLSocket):
                connection.unwrap()

        with Server(play, tls=True) as server:
            assert send(server.url).body == b"response=1"

    def test_names_and_certificates_are_always_checked(self) -> None:
        context = http.tls_context()

        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
