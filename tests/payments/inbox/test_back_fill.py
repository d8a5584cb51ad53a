"""Back-fill: the gateway's window is listed page by page, and each movement in it is booked once, webhook or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from threading import Thread
from urllib.parse import parse_qs

import pytest
from django.core.management import CommandError, call_command

from payments.errors import Forbidden, InvalidInput, NotFound
from payments.models import GatewayAccount, Review
from payments.services.actors import SYSTEM, Actor
from payments.services.inbox import GatewayDidNotAnswer, back_fill
from payments.states import PaymentState
from tests.payments.inbox.conftest import SetClock, assert_exactly_once, drained, store, waiting_payment
from tests.payments.inbox.deliveries import WHEN, sale

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)


class Window:
    """NMI's query.php as far as a window needs it: pages of XML, counted from 0, an empty one after the last."""

    def __init__(self) -> None:
        self.pages: list[list[str]] = []
        self.asked: list[dict[str, str]] = []
        self.broken_page: int | None = None

    def answer(self, form: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append(form)
        page = int(form["page_number"])
        if page == self.broken_page:
            return 503, b"<html>maintenance</html>"
        listed = self.pages[page] if page < len(self.pages) else []
        return 200, f"<?xml version='1.0'?><nm_response>{''.join(listed)}</nm_response>".encode()


def sold(transaction_id: str, reference: str, *, amount: str = "12.34", condition: str = "pendingsettlement") -> str:
    return (
        f"<transaction><transaction_id>{transaction_id}</transaction_id><order_id>{reference}</order_id>"
        f"<condition>{condition}</condition><currency>USD</currency><cc_number>4xxxxxxxxxxx1111</cc_number>"
        f"<action><amount>{amount}</amount><action_type>sale</action_type><date>{WHEN:%Y%m%d%H%M%S}</date>"
        "<success>1</success><batch_id>0</batch_id><response_code>100</response_code>"
        "<response_text>SUCCESS</response_text></action></transaction>"
    )


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> Iterator[Window]:
    script = Window()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            form = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
            status, body = script.answer(form)
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    monkeypatch.setenv("GATEWAY_NMI_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    yield script
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def late(clock: SetClock) -> SetClock:
    """Ten minutes after everything happened."""
    clock.advance(minutes=10)
    return clock


def test_movements_whose_webhooks_never_came_are_booked_once(
    account: GatewayAccount, window: Window, late: SetClock
) -> None:
    attempts = [waiting_payment(account) for _ in range(3)]
    window.pages = [
        [sold(f"900{n}", a.reference) for n, a in enumerate(attempts[:2])],
        [sold("9002", attempts[2].reference)],
    ]

    first = back_fill("nmi", WHEN - HOUR, WHEN + HOUR, late, actor=SYSTEM)
    second = back_fill("nmi", WHEN - HOUR, WHEN + HOUR, late, actor=SYSTEM)

    assert (first.pages, first.facts, first.changed, first.waiting) == (2, {"apply": 3}, 3, ())
    assert (second.facts, second.changed) == ({"no_op": 3}, 0)
    assert [form["page_number"] for form in window.asked[:3]] == ["0", "1", "2"]
    for attempt in attempts:
        attempt.payment.refresh_from_db()
        assert attempt.payment.state == PaymentState.CAPTURED
    assert_exactly_once(movements=3)


def test_a_webhook_after_the_back_fill_counts_nothing_twice(
    account: GatewayAccount, window: Window, late: SetClock
) -> None:
    attempt = waiting_payment(account)
    window.pages = [[sold("9001", attempt.reference)]]
    back_fill("nmi", WHEN - HOUR, WHEN + HOUR, late, actor=SYSTEM)
    store(sale("9001", attempt.reference))

    assert drained(late) == {"ignored": 1}
    assert_exactly_once()


def test_money_of_nobody_waits_while_it_is_young_and_is_an_orphan_later(
    account: GatewayAccount, window: Window, late: SetClock
) -> None:
    window.pages = [[sold("9001", "someone-else")]]

    young = back_fill("nmi", WHEN - HOUR, WHEN + HOUR, late, actor=SYSTEM)

    assert (young.facts, young.changed, young.waiting) == ({"park": 1}, 0, ("9001",))
    assert young.again_after == WHEN + timedelta(seconds=account.orphan_seconds)
    assert_exactly_once(movements=0)
    late.now = young.again_after
    assert back_fill("nmi", WHEN - HOUR, WHEN + HOUR, late, actor=SYSTEM).facts == {"review": 1}
    assert Review.objects.get().kind == "orphan"
    assert_exactly_once()


def test_a_transaction_that_can_not_be_read_is_named_and_hides_no_other(
    account: GatewayAccount, window: Window, late: SetClock
) -> None:
    window.pages = [[sold("9001", "cf-x", amount="plenty"), sold("9002", waiting_payment(account).reference)]]

    filled = back_fill("nmi", WHEN - HOUR, WHEN + HOUR, late, actor=SYSTEM)

    assert filled.changed == 1
    (named,) = filled.unreadable
    assert "9001" in named


def test_a_page_that_does_not_come_is_an_error_and_what_came_before_stays(
    account: GatewayAccount, window: Window, late: SetClock
) -> None:
    window.pages = [
        [sold("9001", waiting_payment(account).reference)],
        [sold("9002", waiting_payment(account).reference)],
    ]
    window.broken_page = 1

    with pytest.raises(GatewayDidNotAnswer, match="page 1"):
        back_fill("nmi", WHEN - HOUR, WHEN + HOUR, late, actor=SYSTEM)

    assert_exactly_once()
    window.broken_page = None
    assert back_fill("nmi", WHEN - HOUR, WHEN + HOUR, late, actor=SYSTEM).facts == {"no_op": 1, "apply": 1}
    assert_exactly_once(movements=2)


def test_a_gateway_that_can_not_be_reached_is_an_error(
    account: GatewayAccount, late: SetClock, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_NMI_BASE_URL", f"http://127.0.0.1:{free_port}")

    with pytest.raises(GatewayDidNotAnswer, match="NMI did not answer for page 0"):
        back_fill("nmi", WHEN - HOUR, WHEN + HOUR, late, actor=SYSTEM)


def test_wrong_questions_are_refused_before_anything_is_asked(
    account: GatewayAccount, window: Window, late: SetClock
) -> None:
    with pytest.raises(NotFound, match="nobody"):
        back_fill("nobody", WHEN - HOUR, WHEN, late, actor=SYSTEM)
    with pytest.raises(InvalidInput):
        back_fill("nmi", WHEN, WHEN, late, actor=SYSTEM)
    with pytest.raises(Forbidden):
        back_fill("nmi", WHEN - HOUR, WHEN, late, actor=Actor(label="sam"))
    assert window.asked == []


class TestCommand:
    def test_it_lists_a_window_and_says_what_it_did(self, account: GatewayAccount, window: Window) -> None:
        window.pages = [[sold("9001", waiting_payment(account).reference), sold("9002", "cf-x", amount="plenty")]]
        out = StringIO()

        call_command("back_fill", "nmi", "--start", "2026-01-05T11:00", "--end", "2026-01-05T14:00+01:00", stdout=out)

        assert out.getvalue().startswith("1 facts on 1 pages, 1 changed something.\nnot readable: ")
        assert (window.asked[0]["start_date"], window.asked[0]["end_date"]) == ("20260105110000", "20260105130000")
        assert_exactly_once()

    def test_it_speaks_json(self, account: GatewayAccount, window: Window) -> None:
        out = StringIO()

        call_command("back_fill", "nmi", "--start", "2026-01-05T11:00+00:00", "--json", stdout=out)

        assert json.loads(out.getvalue()) == {
            "pages": 0, "facts": {}, "changed": 0, "waiting": [], "again_after": None, "unreadable": [],
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            (["nmi", "--start", "yesterday"], "--start: 'yesterday' is no date and time"),
            (["nmi", "--start", "2026-02-30T00:00"], "--start: '2026-02-30T00:00' is no date and time"),
            (["nobody", "--start", "2026-01-05T11:00"], "There is no gateway account nobody."),
            (["nmi", "--start", "2026-01-05T11:00", "--end", "2026-01-05T10:00"], "The window ends before it starts."),
        ],
    )
    def test_wrong_arguments_are_named(
        self, account: GatewayAccount, window: Window, arguments: list[str], complaint: str
    ) -> None:
        with pytest.raises(CommandError, match=complaint):
            call_command("back_fill", *arguments)
        assert window.asked == []
