"""Can a row slip between two pages that go by number? A list out of order counts only if nothing moved while it was read."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from payments.services.accounts import ensure_gateway_account
from payments.services.reported import ReportNotTold, ReportQuestion, pages
from tests.payments.factories import Clock
from tests.payments.gateways.loopback import HEAD, Server
from tests.payments.gateways.test_reports import START, transaction

LATE = "20260301120000"


class Report:
    """NMI's query, answering what the test says: pages by number, and what changed since."""

    def __init__(self, *pages: list[int], changed: tuple[int, ...] = ()) -> None:
        self.pages, self.changed = pages, changed

    def answer(self, body: str) -> str:
        form = dict(pair.split("=") for pair in body.split("&"))
        if form["start_date"] != "20260301000000":
            return "".join(transaction(number, LATE) for number in self.changed)
        page = int(form["page_number"])
        return "".join(transaction(number, LATE) for number in (self.pages[page] if page < len(self.pages) else []))


@pytest.fixture
def server(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    ensure_gateway_account("nmi", "nmi", "NMI")
    with Server(lambda connection: None) as listener:
        monkeypatch.setenv("GATEWAY_NMI_BASE_URL", listener.url)
        monkeypatch.setenv("GATEWAY_NMI_SECURITY_KEY", "key")
        monkeypatch.setenv("GATEWAY_NMI_WEBHOOK_SECRET", "secret")
        yield listener


def told(server: Server, report: Report) -> list[object]:
    def play(connection: socket.socket) -> None:
        request = server.read(connection)
        body = report.answer(request.decode().rpartition("\r\n\r\n")[2])
        content = f"<nm_response>{body}</nm_response>".encode()
        connection.sendall(HEAD + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(content) + content)

    server.play = play
    question = ReportQuestion("window", start=START, end=Clock()())
    return [row["transaction_id"] for page in pages("nmi", question, Clock()) for row in page.rows]


def test_a_list_that_only_grows_is_whole_whatever_changes_meanwhile(server: Server) -> None:
    assert told(server, Report([1, 2], [3, 4], changed=(1, 4))) == ["1", "2", "3", "4"]


def test_one_out_of_order_is_whole_if_nothing_changed_meanwhile(server: Server) -> None:
    assert told(server, Report([4, 2], [3, 1])) == ["4", "2", "3", "1"]


def test_one_out_of_order_is_refused_if_something_changed(server: Server) -> None:
    with pytest.raises(ReportNotTold, match="changed its window while it was read"):
        told(server, Report([4, 2], [3, 1], changed=(2,)))
