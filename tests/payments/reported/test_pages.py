"""Are a gateway's books read page by page to their end, and is a page that fails named and never taken for the last?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from payments.services.accounts import ensure_gateway_account
from payments.services.reported import ReportNotTold, ReportPage, ReportQuestion, pages, reports_of
from tests.payments.factories import Clock
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.slow


@pytest.fixture
def simulator(
    simulator_process: SimulatorProcess, monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> SimulatorProcess:
    simulator_process.reset()
    for slug in ("NMI", "STRIPE"):
        monkeypatch.setenv(f"GATEWAY_{slug}_BASE_URL", f"{simulator_process.url}/{slug.lower()}")
        monkeypatch.setenv(f"GATEWAY_{slug}_WEBHOOK_SECRET", "secret")
    monkeypatch.setenv("GATEWAY_NMI_SECURITY_KEY", "demo-nmi-security-key")
    monkeypatch.setenv("GATEWAY_STRIPE_SECRET_KEY", "sk_test_demo")
    for slug in ("nmi", "stripe", "convesiopay"):
        ensure_gateway_account(slug, slug, slug.capitalize())
    return simulator_process


@pytest.fixture
def clock() -> Clock:
    return Clock()


def today(clock: Clock, what: str) -> ReportQuestion:
    return ReportQuestion(what, start=clock() - timedelta(hours=1), end=clock() + timedelta(hours=1))


def all_pages(slug: str, question: ReportQuestion, clock: Clock) -> list[ReportPage]:
    return list(pages(slug, question, clock))


def test_stripe_by_cursor_over_several_pages_and_by_payout(simulator: SimulatorProcess, clock: Clock) -> None:
    for number in range(101):
        simulator.act("sale", "stripe", reference=f"att_{number}", amount_minor=1_000)
    payout = simulator.act("settle", "stripe")["payout"]
    simulator.wait_until_quiet()

    balance = all_pages("stripe", today(clock, "balance"), clock)
    assert [len(page.rows) for page in balance] == [100, 2]
    assert [page.last for page in balance] == [False, True]

    [told] = [told for page in all_pages("stripe", today(clock, "payouts"), clock) for told in page.payouts]
    assert (told.gateway_id, told.money.amount_minor, told.itemised) == (payout["id"], payout["amount"], True)

    of_payout = ReportQuestion("balance", payout_id=told.gateway_id)
    rows = [row for page in all_pages("stripe", of_payout, clock) for row in page.rows]
    assert sum(row["net"] for row in rows if row["type"] != "payout") == payout["amount"]  # type: ignore[misc]  # JSON


def test_nmi_by_number_to_the_empty_page(simulator: SimulatorProcess, clock: Clock) -> None:
    for number in range(101):
        simulator.act("sale", reference=f"att_{number}", amount_minor=1_000)

    read = all_pages("nmi", today(clock, "window"), clock)

    assert [len(page.rows) for page in read] == [100, 1, 0]
    assert {row["order_id"] for page in read for row in page.rows} == {f"att_{number}" for number in range(101)}


def test_a_page_that_fails_is_named_with_its_gateway(simulator: SimulatorProcess, clock: Clock) -> None:
    for number in range(101):
        simulator.act("sale", "stripe", reference=f"att_{number}", amount_minor=1_000)
    asked = pages("stripe", today(clock, "balance"), clock)
    assert len(next(asked).rows) == 100
    simulator.fault("server_error", "query", "stripe", times=1)

    with pytest.raises(ReportNotTold, match="Stripe gave no whole page 2 of its balance"):
        next(asked)


def test_what_a_payout_is_made_of_is_no_empty_page_before_it_is_known(
    simulator: SimulatorProcess, clock: Clock
) -> None:
    simulator.act("sale", "stripe", reference="att_1", amount_minor=1_000)
    payout = simulator.act("settle", "stripe")["payout"]

    with pytest.raises(ReportNotTold, match="not ready"):
        all_pages("stripe", ReportQuestion("balance", payout_id=payout["id"]), clock)


def test_a_gateway_whose_reports_are_files_is_not_asked(simulator: SimulatorProcess, clock: Clock) -> None:
    assert reports_of("convesiopay") == frozenset()
    with pytest.raises(ReportNotTold, match="as a file"):
        all_pages("convesiopay", today(clock, "window"), clock)
