"""What if many ask at once, of a real server? One key makes one payment and one answer."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from django.utils import timezone

from payments.models import IdempotencyRecord, Payment
from payments.services.accounts import ensure_gateway_account
from payments.services.tokens import issue_token
from tests.conftest import environment_of_a_process
from tests.payments.api.callers import CARD, intent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

CLIENTS = 50


@dataclass(frozen=True)
class Reply:
    """What came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """A real web server process on this worker's database."""

    port: int
    log: Path
    token: str

    def post(self, path: str, body: bytes | Iterator[bytes], **headers: str) -> Reply:
        """One request on a connection of its own; an iterator is sent in chunks."""
        return self._ask("POST", path, body, headers)

    def get(self, path: str) -> Reply:
        return self._ask("GET", path, None, {})

    def _ask(self, method: str, path: str, body: bytes | Iterator[bytes] | None, headers: dict[str, str]) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.request(method, f"/api/v1{path}", body, sent | headers)
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def process(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests here: what they store is emptied in between, and each has a token of its own."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = Server(port, folder / "server.log", token="")
    command = [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
        "--blocking-threads", str(CLIENTS + 4), "--workers", "1", "config.wsgi:application",
    ]  # fmt: skip
    env = environment_of_a_process(folder) | {"LOG_LEVEL": "DEBUG", "PASSWORD_HASHERS": ""}
    with started.log.open("w") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out)
    try:
        until(lambda: answers(started, process), seconds=120)
        yield started
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def server(process: Server) -> Server:
    ensure_gateway_account("nmi", "nmi", "NMI")
    process.token = issue_token("shop", now=timezone.now()).token
    return process


def answers(server: Server, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, server.log.read_text()
    try:
        return server.get("/openapi.json").status == 200
    except OSError:
        return False


def until(reached: Callable[[], bool], *, seconds: float) -> None:
    """Poll, and fail when the time is up."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def test_fifty_clients_with_one_key_get_one_payment_and_one_answer(server: Server) -> None:
    body = json.dumps(intent()).encode()
    barrier = threading.Barrier(CLIENTS)

    def ask(_client: int) -> Reply:
        barrier.wait(30)
        return server.post("/payments", body, **{"Idempotency-Key": "one"})

    with ThreadPoolExecutor(CLIENTS) as pool:
        replies = list(pool.map(ask, range(CLIENTS)))

    assert {reply.status for reply in replies} == {202}
    assert len({reply.body for reply in replies}) == 1
    assert sum("idempotent-replayed" not in reply.headers for reply in replies) == 1
    assert Payment.objects.count() == 1
    assert IdempotencyRecord.objects.count() == 1


def test_fifty_clients_with_keys_of_their_own_make_one_payment_of_a_reference(server: Server) -> None:
    body = json.dumps(intent()).encode()
    barrier = threading.Barrier(CLIENTS)

    def ask(client: int) -> Reply:
        barrier.wait(30)
        return server.post("/payments", body, **{"Idempotency-Key": f"key-{client}"})

    with ThreadPoolExecutor(CLIENTS) as pool:
        statuses = sorted(reply.status for reply in pool.map(ask, range(CLIENTS)))

    assert statuses == [202] + [409] * (CLIENTS - 1)
    assert Payment.objects.count() == 1


def test_chunked_bodies_are_read_whole_and_limited(server: Server) -> None:
    body = json.dumps(intent(metadata={"note": "x" * 20_000})).encode()
    pieces = (body[start : start + 1000] for start in range(0, len(body), 1000))
    created = server.post("/payments", pieces, **{"Idempotency-Key": "a"})
    assert created.status == 202, created.body
    assert Payment.objects.get().metadata == {"note": "x" * 20_000}

    endless = (b" " * 1000 for _ in range(70))
    refused = server.post("/payments", endless, **{"Idempotency-Key": "b"})
    assert (refused.status, refused.headers["content-type"]) == (413, "application/problem+json")


def test_waiting_ends_when_the_payment_moves_on(server: Server) -> None:
    moved: list[float] = []

    def move_on() -> None:
        until(lambda: Payment.objects.exists(), seconds=60)
        time.sleep(0.5)  # the request is in its wait by now
        moved.append(time.monotonic())
        Payment.objects.update(state="captured", waits_for="", next_check_at=None)

    mover = threading.Thread(target=closing(move_on))
    mover.start()
    reply = server.post("/payments", json.dumps(intent()).encode(), **{"Idempotency-Key": "w", "Prefer": "wait=8"})
    answered = time.monotonic()
    mover.join()

    assert (reply.status, json.loads(reply.body)["state"]) == (202, "captured")
    assert reply.headers["preference-applied"] == "wait=8"
    assert 0 < answered - moved[0] < 7.4  # the time it may wait began half a second before
    again = server.post("/payments", json.dumps(intent()).encode(), **{"Idempotency-Key": "w"})
    assert json.loads(again.body)["state"] == "initiated"  # the stored first answer


@pytest.mark.parametrize(("prefer", "applied"), [("wait=1", "wait=1"), ("respond-async, wait=1", "wait=1")])
def test_waiting_ends_when_the_time_is_up(server: Server, prefer: str, applied: str) -> None:
    began = time.monotonic()
    reply = server.post("/payments", json.dumps(intent()).encode(), **{"Idempotency-Key": "w", "Prefer": prefer})
    assert time.monotonic() - began >= 1
    assert (reply.status, json.loads(reply.body)["state"]) == (202, "initiated")
    assert reply.headers["preference-applied"] == applied


def test_a_waiting_request_keeps_no_database_connection(server: Server, owner_connection: psycopg.Connection) -> None:
    def idle() -> int:
        row = owner_connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'"
            " AND pid <> pg_backend_pid() AND query LIKE '%payments_operation%'"
        ).fetchone()
        return int(row[0]) if row else 0

    bodies = [json.dumps(intent(reference=f"order-{number}")).encode() for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        waiting = [
            pool.submit(server.post, "/payments", body, **{"Idempotency-Key": f"w{number}", "Prefer": "wait=8"})
            for number, body in enumerate(bodies)
        ]
        until(lambda: psql_count(owner_connection) == 8, seconds=60)
        # Eight waiting requests, mostly without a connection: kept ones would all stand there until the wait ends.
        until(lambda: sum(idle() for _ in range(10)) < 40, seconds=7)
        assert {future.result().status for future in waiting} == {202}


def psql_count(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM payments_payment").fetchone()
    return int(row[0]) if row else 0


PLACES = {
    "reference": intent(reference=f"order {CARD}"),
    "currency": intent(currency=CARD),
    "method.token": intent(method={"type": "card", "token": "4111-1111-1111-1111"}),
    "method.number": intent(method={"type": "card", "number": CARD}),
    "method.credentials.nmi": intent(method={"type": "card", "credentials": {"nmi": "4111 1111 1111 1111"}}),
    "method.credentials[key]": intent(method={"type": "card", "credentials": {CARD: "x"}}),
    "payer.id": intent(payer={"id": CARD}),
    "payer.email": intent(payer={"email": f"{CARD}@example.test"}),
    "payer.name": intent(payer={"name": f"Ada {CARD}"}),
    "gateway": intent(gateway=CARD),
    "return_url": intent(return_url=f"https://shop.example.test/?pan={CARD}"),
    "metadata.a.b.1": intent(metadata={"a": {"b": ["x", f"pan={CARD} exp 12/29"]}}),
    "metadata.n": intent(metadata={"n": int(CARD)}),
    "metadata.deep[key]": intent(metadata={"deep": {CARD: True}}),
    "[key]": intent() | {CARD: 1},
    "card_number": intent() | {"card_number": CARD},
}


def test_a_card_number_is_refused_wherever_it_is_and_stands_nowhere_afterwards(
    server: Server, owner_connection: psycopg.Connection
) -> None:
    for number, (field, body) in enumerate(PLACES.items()):
        reply = server.post("/payments", json.dumps(body).encode(), **{"Idempotency-Key": f"card-{number}"})
        problem = json.loads(reply.body)
        assert (reply.status, problem["code"], problem["field"]) == (422, "card_number_refused", field), field
        assert not holds_card(reply.body.decode())
    payment = json.loads(server.post("/payments", json.dumps(intent()).encode(), **{"Idempotency-Key": "ok"}).body)
    for path, body in (
        (f"/payments/{payment['id']}/refunds", {"amount_minor": 1, "reason": f"card {CARD}"}),
        (f"/payments/{payment['id']}/capture", {"final": CARD}),
        (f"/payments/{payment['id']}/cancel", {CARD: 1}),
    ):
        reply = server.post(path, json.dumps(body).encode(), **{"Idempotency-Key": "c"})
        assert json.loads(reply.body)["code"] == "card_number_refused"
    reply = server.post("/payments", json.dumps(intent()).encode(), **{"Idempotency-Key": CARD})
    assert json.loads(reply.body)["field"] == "Idempotency-Key"
    assert server.get(f"/payments/{CARD}").status == 404
    server.post("/payments", b'{"reference": "' + CARD.encode() + b'"', **{"Idempotency-Key": "broken"})

    assert [text for text in everything_stored(owner_connection) if holds_card(text)] == []
    log = server.log.read_text()
    assert "Not Found: /api/v1/payments/[card number]" in log  # the log is on, and does not repeat an address either
    assert not holds_card(log)


def holds_card(text: str) -> bool:
    return any(spelling in text for spelling in (CARD, "4111 1111 1111 1111", "4111-1111-1111-1111"))


def everything_stored(connection: psycopg.Connection) -> Iterator[str]:
    """Every row of every table as text, bytes decoded."""
    tables = connection.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    ).fetchall()
    assert len(tables) > 20
    for (table,) in tables:
        for row in connection.execute(f"SELECT * FROM {table}"):
            for value in row:
                yield bytes(value).decode(errors="replace") if isinstance(value, bytes | memoryview) else str(value)


def test_an_amount_that_looks_like_a_card_number_is_an_amount(server: Server) -> None:
    body = json.dumps(intent(amount_minor=int(CARD))).encode()
    reply = server.post("/payments", body, **{"Idempotency-Key": "a"})
    assert (reply.status, json.loads(reply.body)["amount_minor"]) == (202, int(CARD))


def closing(work: Callable[[], None]) -> Callable[[], None]:
    """A thread's own database connection is closed with it."""
    from django.db import connection

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    return run
