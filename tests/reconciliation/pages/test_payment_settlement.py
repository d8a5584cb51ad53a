"""Does a payment's page say of each movement whether it is settled and reconciled, by which line and payout, and what is open?"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from ledger.money import Money
from payments.facts import PayoutTold
from payments.models import Movement, Payment, Payout
from payments.services.payouts import tell_payout
from payments.states import MovementKind, PayoutState
from reconciliation.models import Break, Line, Run, StatementAccount
from reconciliation.services.settlement import settle
from reconciliation.states import BreakType, LineKind
from tests.payments.admin import payment_scenes as scenes
from tests.payments.admin.desk import signed_in, text_of
from tests.reconciliation.booking.world import LINE_OF, World
from tests.reconciliation.factories import a_break

pytestmark = pytest.mark.django_db(transaction=True)

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
NIGHT = datetime(2026, 3, 3, 6, tzinfo=UTC)


class Nmi(World):
    """NMI, whose batches stand for payouts."""

    def __init__(self) -> None:
        super().__init__("nmi", "nmi")
        Run.objects.all().delete()

    def compared(self) -> Run:
        run = Run(account=self.account, day=AT.date())
        run.mark_running()
        run.mark_done()
        run.save()
        return run

    def line_for(self, movement: Movement, minor: int = 0, **fields: Any) -> Line:
        sign = 1 if movement.kind == "capture" else -1
        return self.line(LINE_OF[MovementKind(movement.kind)], sign * (minor or movement.amount_minor), **fields)

    def reported(self, payment: Payment, payout_id: str = "batch-7") -> list[Line]:
        """Each movement meets a line of its own, as a night leaves it."""
        lines = []
        for movement in money_of(payment):
            lines.append(self.line_for(movement, payout_id=payout_id))
            self.match(lines[-1], movement)
        settle(self.compared(), NIGHT)
        return lines


@pytest.fixture
def nmi(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Nmi:
    settings.DEMO = True
    scenes.set_credentials(monkeypatch)
    return Nmi()


@pytest.fixture
def fay(nmi: Nmi) -> Client:
    return signed_in("finance", "fay")


def money_of(payment: Payment) -> list[Movement]:
    return list(Movement.objects.filter(payment=payment).exclude(kind="authorisation").order_by("pk"))


def page(person: Client, payment: Payment) -> Any:
    answer = person.get(reverse("admin:payments_payment_change", args=(payment.public_id,)))
    assert answer.status_code == 200
    return answer


def settlement(answer: Any) -> str:
    """The section alone, with its markup."""
    found = re.search(r"<h2>Settlement</h2>(.*?)</section>", answer.content.decode(), re.DOTALL)
    return found.group(1) if found else ""


def words(answer: Any) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", settlement(answer))).split())


def test_a_movement_that_met_a_line_and_its_payout_leads_to_both(nmi: Nmi, fay: Client) -> None:
    payment = scenes.captured(AT)
    told = PayoutTold("batch-7", PayoutState.IN_TRANSIT, Money(12_500, "USD"), AT, AT)
    tell_payout("nmi", told, now=NIGHT)
    [line] = nmi.reported(payment)

    shown = settlement(page(fay, payment))

    assert "reconciled" in shown
    assert f'href="{reverse("admin:reconciliation_line_change", args=(line.pk,))}"' in shown
    assert f"march.csv, line {line.number}" in shown
    payout = Payout.objects.get()
    assert f'href="{reverse("admin:payments_payout_change", args=(payout.public_id,))}"' in shown
    assert "Open differences" not in text_of(page(fay, payment))


def test_a_line_without_a_known_payout_names_it_and_leads_nowhere(nmi: Nmi, fay: Client) -> None:
    payment = scenes.captured(AT)
    nmi.reported(payment, payout_id="batch-8")

    shown = settlement(page(fay, payment))

    assert "batch-8" in shown
    assert "payout/" not in shown


def test_several_lines_of_one_movement_stand_in_a_row_each(nmi: Nmi, fay: Client) -> None:
    payment = scenes.captured(AT)
    [capture] = money_of(payment)
    lines = [nmi.line_for(capture, minor) for minor in (10_000, 2_500)]
    for line in lines:
        nmi.match(line, capture, many_lines=True)
    settle(nmi.compared(), NIGHT)

    shown = words(page(fay, payment))

    assert [f"march.csv, line {line.number}" in shown for line in lines] == [True, True]
    assert shown.count("Capture") == 1


def test_refund_and_capture_stand_apart_and_an_open_difference_is_linked(nmi: Nmi, fay: Client) -> None:
    payment = scenes.captured(AT)
    [capture] = money_of(payment)
    nmi.reported(payment)
    refund = nmi.moved(MovementKind.REFUND, 500)
    Movement.objects.filter(pk=refund.pk).update(payment=payment)
    refund.refresh_from_db()
    broken = a_break(nmi.account, BreakType.MISSING_AT_GATEWAY, movement=refund, because="No report has it.")

    answer = page(fay, payment)

    assert re.findall(r"(Capture|Refund) [\d.,]+ USD \S+ (reconciled|in an open difference)", words(answer)) == [
        ("Capture", "reconciled"),
        ("Refund", "in an open difference"),
    ]
    assert f'href="{reverse("admin:reconciliation_break_change", args=(broken.public_id,))}"' in answer.content.decode()
    assert "Missing at the gateway" in text_of(answer)
    assert capture.pk != refund.pk


def test_a_line_nobody_knows_is_an_open_difference_of_its_payment(nmi: Nmi, fay: Client) -> None:
    payment = scenes.captured(AT)
    nmi.reported(payment)
    line = nmi.line(LineKind.REFUND, -700)
    broken = a_break(nmi.account, BreakType.REFUND_UNMATCHED, line=line)
    Break.objects.filter(pk=broken.pk).update(payment_id=payment.pk, payment_public_id=payment.public_id)

    assert "Refund unknown to us" in text_of(page(fay, payment))


def test_an_ended_difference_is_gone_from_the_page(nmi: Nmi, fay: Client) -> None:
    payment = scenes.captured(AT)
    [line] = nmi.reported(payment)
    broken = a_break(nmi.account, BreakType.AMOUNT_MISMATCH, line=line, movement=money_of(payment)[0])
    assert "in an open difference" in words(page(fay, payment))

    Break.objects.filter(pk=broken.pk).update(state="resolved", ended_at=NIGHT)

    answer = page(fay, payment)
    assert "reconciled" in words(answer)
    assert "Open differences" not in text_of(answer)


class TestNotReported:
    """Empty: it says when the report is expected, or why it is not."""

    def test_before_its_hour_it_says_when(self, nmi: Nmi, fay: Client) -> None:
        now = datetime.now(UTC)
        payment = scenes.captured(now)
        StatementAccount.objects.update(fetched=True, nightly_hour=6)
        expected = f"nmi's report of {now:%d %b %Y} is expected on {now + timedelta(days=1):%d %b %Y}, 06:00 UTC."

        assert words(page(fay, payment)) == f"event_upcoming In no report yet {expected}"

    def test_the_hour_is_that_of_its_zone_and_a_file_is_called_one(self, nmi: Nmi, fay: Client) -> None:
        now = datetime.now(UTC)
        payment = scenes.captured(now)
        StatementAccount.objects.update(fetched=False, nightly_hour=6, time_zone="Asia/Kolkata")

        shown = words(page(fay, payment))

        assert ", 00:30 UTC. It is a file that somebody imports." in shown

    def test_a_late_one_says_so_and_why(self, nmi: Nmi, fay: Client) -> None:
        payment = scenes.captured(AT)
        run = Run(account=nmi.account, day=AT.date(), because="The gateway gave no page 1.")
        run.mark_waiting()
        run.save()

        shown = words(page(fay, payment))

        assert "was expected on 03 Mar 2026, 06:00 UTC and has not come. The gateway gave no page 1." in shown

    def test_a_report_that_does_not_list_it_says_until_when_it_may_come(self, nmi: Nmi, fay: Client) -> None:
        payment = scenes.captured(AT)
        nmi.compared()

        shown = words(page(fay, payment))

        assert "nmi's report of 02 Mar 2026 does not list it." in shown
        assert "after 04 Mar 2026 it counts as missing" in shown

    def test_nothing_is_awaited_before_the_books_start_or_where_nothing_is_compared(
        self, nmi: Nmi, fay: Client
    ) -> None:
        payment = scenes.captured(AT)
        StatementAccount.objects.update(books_start_on="2026-04-01")
        assert "before nmi's books start" in words(page(fay, payment))

        StatementAccount.objects.update(gateway_account=None)
        assert "no report is awaited" in words(page(fay, payment))

    def test_money_held_and_money_given_back_the_same_day_is_in_no_report(self, nmi: Nmi, fay: Client) -> None:
        assert "The money is held, not taken" in words(page(fay, scenes.authorised(AT)))
        taken = scenes.captured(AT, reference="order-2")
        [capture] = money_of(taken)
        Movement.objects.create(
            gateway_account=nmi.gateway, gateway_id=capture.gateway_id, kind="void", of_captured_money=True, payment=taken,
            amount_minor=capture.amount_minor, currency="USD", occurred_at=AT, posted_at=AT, entry_source_key="void",
        )  # fmt: skip
        assert "given back before it settled" in words(page(fay, taken))

    def test_a_payment_without_any_movement_has_no_such_section(self, nmi: Nmi, fay: Client) -> None:
        assert settlement(page(fay, scenes.stored(AT))) == ""


def test_support_reads_how_it_stands_without_the_books(nmi: Nmi) -> None:
    payment = scenes.captured(AT)
    [line] = nmi.reported(payment)
    a_break(nmi.account, BreakType.AMOUNT_MISMATCH, line=line, movement=money_of(payment)[0])

    answer = page(signed_in("support", "sue"), payment)

    assert "in an open difference" in words(answer)
    assert "/admin/reconciliation/" not in settlement(answer)
    assert "Open differences" not in text_of(answer)


def test_the_number_of_queries_does_not_grow(nmi: Nmi, fay: Client) -> None:
    payment = scenes.captured(AT)
    nmi.reported(payment)
    for number in range(3):
        refund = nmi.moved(MovementKind.REFUND, 100 + number)
        Movement.objects.filter(pk=refund.pk).update(payment=payment)
    page(fay, payment)
    with CaptureQueriesContext(connection) as few:
        page(fay, payment)

    for number in range(9):
        refund = nmi.moved(MovementKind.REFUND, 100 + number)
        Movement.objects.filter(pk=refund.pk).update(payment=payment)
        refund.refresh_from_db()
        if number % 3 == 0:
            nmi.match(nmi.line_for(refund, payout_id=f"batch-{number}"), refund)
        elif number % 3 == 1:
            a_break(nmi.account, BreakType.MISSING_AT_GATEWAY, movement=refund)
    with CaptureQueriesContext(connection) as many:
        page(fay, payment)

    assert len(many) <= len(few)
