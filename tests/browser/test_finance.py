"""Finance's morning, whole: last night's run, a difference, its fix by two people, reports, the close, the certificate.

Two people in two browsers, Stripe as a process with its webhooks. Two days and their nights are over when they sit down:
Stripe's clock starts in the past, and what workers do is called here, with the time of then.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from openpyxl import load_workbook
from playwright.sync_api import expect

from ledger.queries import closed_through
from payments.models import Movement, Payment
from payments.services.accounts import ensure_gateway_account
from payments.services.inbox import drain_inbox
from payments.services.refunds import advance_refund, request_refund
from reconciliation.models import Break
from reconciliation.services.contract_rates import RateWanted, ensure_rates
from reconciliation.services.nightly import Ran, run_due, tick
from reconciliation.services.terms import ensure_statement_accounts
from tests.browser.conftest import Window
from tests.browser.worker import CREDENTIALS, credentials
from tests.payments.factories import Clock, operator, paid
from tests.simulator_fixture import SimulatorProcess, start_simulator

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ONE = timedelta(days=1)
DAY: date = (datetime.now(UTC) - timedelta(hours=7)).date() - ONE  # over, and its night too, whatever the time of day
EVE = DAY - ONE
SOLD = (2_000, 2_500, 3_000, 3_500, 4_000)
GIVEN_BACK = 700
Equation = dict[str, tuple[int, Decimal]]


def moment(day: date, hour: int, minute: int = 0) -> timedelta:
    """From the real present back to then."""
    return datetime.combine(day, time(hour, minute), UTC) - datetime.now(UTC)


@pytest.fixture
def stripe(live_server: Any, windows: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatorProcess]:
    """Stripe at noon of the first day, posting its webhooks to the server under test; its account is compared nightly."""
    behind = str(-moment(EVE, 12).total_seconds())
    running = start_simulator(webhooks=f"{live_server.url}/webhooks", env=CREDENTIALS, options=("--behind", behind))
    for name, value in credentials(running).items():
        monkeypatch.setenv(name, value)
    ensure_gateway_account("stripe", "stripe", "Stripe")
    ensure_statement_accounts()
    ensure_rates(
        "stripe",
        [
            RateWanted("stripe", kind, "USD", percent, fixed, "2020-01-01", "Stripe's standard contract (simulated)")
            for kind, percent, fixed in (("charge", "2.9", "0.30"), ("refund", "0", "0"))
        ],
    )
    yield running
    running.stop()


def advance_to(stripe: SimulatorProcess, clock: Clock, day: date, hour: int, minute: int = 0) -> None:
    """Stripe's time and ours go on together."""
    before, clock.offset = clock.offset, moment(day, hour, minute)
    stripe.act("advance_clock", "stripe", seconds=(clock.offset - before).total_seconds())


def sold(clock: Clock, *amounts: int) -> list[Payment]:
    return [paid(clock, amount_minor=minor) for minor in amounts]


def two_days(stripe: SimulatorProcess) -> Payment:
    """Sales, a refund of ours, one made in Stripe's dashboard whose message is lost, payouts; both nights. The payment it is of.

    Stripe's look-ups of that payment fail during the second night: no rule can end the difference by itself.
    """
    clock = Clock(moment(EVE, 12))
    first, refunded, *_ = sold(clock, *SOLD[:3])
    ours = request_refund(
        first.public_id, amount_minor=500, reason="asked", actor=operator("refund_payment"), now=clock()
    )
    advance_refund(ours.pk, clock)
    charge = refunded.attempts.get()
    stripe.fault("webhook_missing", "refund", "stripe", times=1)
    stripe.act("refund_from_dashboard", "stripe", transaction_id=charge.gateway_id, amount_minor=GIVEN_BACK)
    stripe.act("settle", "stripe")
    advance_to(stripe, clock, DAY, 6, 30)
    stripe.wait_until_quiet()
    drain_inbox(timezone.now)
    assert tick(clock) == Ran(planned=1, done=1)

    advance_to(stripe, clock, DAY, 12)
    sold(clock, *SOLD[3:])
    stripe.fault("lookup_down", "query", "stripe", reference=charge.gateway_id)
    advance_to(stripe, clock, DAY + ONE, 6, 30)
    assert tick(clock) == Ran(planned=1, done=1)
    assert set(stripe.faults()["struck"]) == {"webhook_missing", "lookup_down"}
    stripe.clear_faults()
    stripe.act("advance_clock", "stripe", seconds=-clock.offset.total_seconds())
    return refunded


def money(text: str) -> Decimal:
    """The sum of the amounts written in a cell."""
    found = re.findall(r"[\u2212-]?[\d,]+\.\d\d", text)
    return sum((Decimal(one.replace("\u2212", "-").replace(",", "")) for one in found), Decimal(0))


def equations(window: Window) -> list[Equation]:
    """What both tables of a run's page say: each term's count and sum."""
    return [
        {
            row.locator("th").inner_text().split()[0]: (
                int(row.locator(".cf-equation__count").inner_text()),
                money(row.locator(".cf-equation__sums").inner_text()),
            )
            for row in table.locator("tr").all()
        }
        for table in window.page.locator(".cf-equation").all()
    ]


def adds_up(equation: Equation, whole: str) -> bool:
    """The whole is the sum of its parts, in rows and in money."""
    parts = [part for name, part in equation.items() if name != whole]
    return equation[whole] == (sum(part[0] for part in parts), sum((part[1] for part in parts), Decimal(0)))


def proof(window: Window) -> dict[str, Decimal]:
    """What the proof's page says, by kind of step."""
    said: dict[str, Decimal] = {}
    for step in window.page.locator(".cf-proof__step").all():
        name = step.locator(".cf-proof__name").inner_text()
        kind = next(one for one in ("Our books", "On its way", "Difference", "Left over", "The gateway") if one in name)
        said[kind] = said.get(kind, Decimal(0)) + money(step.locator(".cf-proof__amount").inner_text())
    return said


def taken(window: Window, label: str, folder: Path) -> Path:
    """The file that a button or link hands out."""
    with window.page.expect_download() as started:
        window.press(label)
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


def verdict(path: Path) -> tuple[int, str]:
    """What verify_close says of a file: exit code and sentence."""
    output = StringIO()
    try:
        call_command("verify_close", str(path), stdout=output)
    except SystemExit as end:
        return int(str(end.code)), output.getvalue()
    return 0, output.getvalue()


def test_from_last_nights_run_to_a_verified_certificate(
    windows: Callable[[], Window], stripe: SimulatorProcess, settings: Any, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    refunded = two_days(stripe)
    fay, carl = windows(), windows()
    fay.sign_in("finance", "fay")
    carl.sign_in("finance", "carl")

    reads_last_nights_run(fay)
    asks_for_the_fix(fay, refunded)
    agrees(carl)
    said, books = sees_it_gone(fay, refunded)
    exports(fay, tmp_path, said, books)
    certificate = closes(fay, tmp_path)

    assert verdict(certificate) == (0, f"The certificate of {DAY} is true.\n")
    certificate.write_text(certificate.read_text().replace('"closed_by": "fay"', '"closed_by": "fax"'))
    code, objections = verdict(certificate)
    assert (code, "changed after it was made" in objections) == (1, True)


def reads_last_nights_run(fay: Window) -> None:
    """Both equations hold, with one line in an open difference; the proof leads from our books to the gateway over it."""
    fay.open("/admin/reconciliation/run/dashboard/")
    fay.says("Value at risk")
    fay.shot("finance-1-dashboard")
    opens_the_run(fay)
    fay.shot("finance-2-run")
    lines, movements = equations(fay)
    assert lines == {"Lines": (3, Decimal("65.22")), "matched": (2, Decimal("72.22")), "broken": (1, Decimal("-7.00"))}
    assert movements == {"Our": (2, Decimal("75.00")), "matched": (2, Decimal("75.00")), "broken": (0, Decimal(0))}
    assert adds_up(lines, "Lines")
    assert adds_up(movements, "Our")

    fay.page.get_by_role("link", name="USD", exact=True).click()
    fay.says("Left over")
    assert proof(fay) == {
        "Our books": Decimal("79.22"), "Difference": Decimal("-7.00"), "Left over": Decimal(0), "The gateway": Decimal("72.22")
    }  # fmt: skip
    fay.page.locator(".cf-proof__step", has_text="Refund unknown to us").click()
    fay.shot("finance-3-proof")


def opens_the_run(fay: Window) -> None:
    fay.open("/admin/reconciliation/run/")
    fay.page.get_by_role("link", name=str(DAY), exact=True).click()
    fay.says("Lines of the report")


def asks_for_the_fix(fay: Window, refunded: Payment) -> None:
    """From the proof to the difference, its fix, what it would book, and the question to a second person."""
    fay.page.get_by_role("link", name=Break.objects.get().public_id).click()
    fay.says("The gateway refunded 7.00 USD, and no refund of ours says so.")
    expect(fay.page.get_by_role("link", name=refunded.public_id)).to_be_visible()
    fay.shot("finance-4-difference")
    fay.page.get_by_role("link", name="Prepare “Record the refund made elsewhere”").click()
    fay.page.select_option("[name=reason]", "made_at_gateway")
    fay.page.fill("[name=note]", "The owner of the shop did it in the dashboard.")
    fay.page.locator(".cf-page").get_by_role("button").first.click()
    fay.says("0: nothing of it stays unexplained")
    fay.says("7.00 USD went back at the gateway, not on our request.")
    fay.says("Confirming asks a second person.")
    fay.shot("finance-5-preview")
    assert not Movement.objects.filter(amount_minor=GIVEN_BACK).exists()
    fay.press("Record the refund made elsewhere")
    fay.says("waits for another person")
    fay.shot("finance-6-asked")


def agrees(carl: Window) -> None:
    """The second person finds it on the home page, reads what will be booked, and agrees."""
    carl.page.reload()
    carl.shot("finance-7-second-person-home")
    carl.page.locator(".cf-page").get_by_role("link", name="Resolve a break").first.click()
    carl.press("Agree")
    carl.press("Show what will happen")
    carl.says("Debit 2020 Sales clearing: 7.00 USD")
    carl.shot("finance-8-agree")
    carl.press("Agree: do it")
    carl.says("carried out")
    carl.shot("finance-9-agreed")


def sees_it_gone(fay: Window, refunded: Payment) -> tuple[tuple[Equation, Equation], Decimal]:
    """The difference is over; compared again, every line has met a movement, the payment's refund among them.

    Answers with both equations and the balance of our books, as the pages say them.
    """
    fay.open(f"/admin/reconciliation/break/{Break.objects.get().public_id}/")
    fay.says("fay, agreed to by carl")
    fay.shot("finance-10-over")
    opens_the_run(fay)
    fay.press("Compare it again")
    fay.press("Show what will happen")
    fay.press("Compare it again")
    fay.says("due again")
    assert run_due(timezone.now) == Ran(done=1)
    fay.page.reload()
    lines, movements = equations(fay)
    assert lines == {"Lines": (3, Decimal("65.22")), "matched": (3, Decimal("65.22")), "broken": (0, Decimal(0))}
    assert movements == {"Our": (3, Decimal("68.00")), "matched": (3, Decimal("68.00")), "broken": (0, Decimal(0))}
    fay.says("None: everything lines up.")
    fay.shot("finance-11-compared-again")
    fay.page.get_by_role("link", name="USD", exact=True).click()
    fay.says("Left over")
    now = proof(fay)
    assert now == {"Our books": Decimal("72.22"), "Left over": Decimal(0), "The gateway": Decimal("72.22")}
    fay.shot("finance-12-proof")

    fay.open(f"/admin/payments/payment/{refunded.public_id}/")
    settlement = fay.page.locator("section", has=fay.page.get_by_role("heading", name="Settlement", exact=True))
    met = r".*reconciled.*balance of .*po_"
    expect(settlement.locator("tbody tr")).to_have_text([re.compile(f"{one} USD{met}") for one in ("25.00", "7.00")])
    fay.shot("finance-13-payment")
    return (lines, movements), now["Our books"]


def exports(fay: Window, folder: Path, said: tuple[Equation, Equation], books: Decimal) -> None:
    """A CSV with what the run's page said, and an XLSX with the account behind the proof; each as its manifest tells."""
    asks(fay, "reconciliation_summary", "CSV", **{"from": str(DAY), "to": str(DAY)})
    file = as_told(fay, folder)
    [row] = csv.DictReader(file.read_text().splitlines())
    lines, movements = said
    assert (row["day"], row["account"], row["state"], row["breaks_open"]) == (str(DAY), "stripe", "done", "0")
    assert {name: int(row[f"lines_{name}"]) for name in ("read", "matched", "broken")} == counts(lines, "read")
    assert {name: int(row[f"movements_{name}"]) for name in ("open", "matched", "broken")} == counts(movements, "open")

    asks(fay, "account_statement", "XLSX", code="1110", to=str(DAY), currency="USD")
    fay.shot("finance-14-report")
    file = as_told(fay, folder)
    names, *cells = load_workbook(file).active.iter_rows(values_only=True)
    rows = [dict(zip(names, each, strict=True)) for each in cells]
    assert Decimal(str(rows[-1]["balance"])) == books
    sums = {side: sum((Decimal(str(row[side] or 0)) for row in rows), Decimal(0)) for side in ("debit", "credit")}
    assert sums["debit"] - sums["credit"] == books
    totals = fay.page.locator("section", has=fay.page.get_by_role("heading", name="Control totals"))
    assert [money(cell) for cell in totals.locator("tbody td").all_inner_texts()[-2:]] == [*sums.values()]


def asks(fay: Window, report: str, kind: str, **answers: str) -> None:
    """Fill in the report's card and press its format."""
    fay.open("/admin/reconciliation/reportjob/ask/")
    card = fay.page.locator(f"#{report}")
    for name, value in answers.items():
        field = card.locator(f"[name={name}]")
        field.select_option(value) if field.evaluate("node => node.tagName") == "SELECT" else field.fill(value)
    card.get_by_role("button", name=kind, exact=True).click()
    fay.says("is ready")


def as_told(fay: Window, folder: Path) -> Path:
    """The report's file, which is to the byte what its manifest and its page say."""
    file, manifest = taken(fay, "Download", folder), json.loads(taken(fay, "Manifest", folder).read_text())
    content = file.read_bytes()
    assert (manifest["sha256"], manifest["size"]) == (hashlib.sha256(content).hexdigest(), len(content))
    fay.says(manifest["sha256"])
    return file


def counts(equation: Equation, whole: str) -> dict[str, int]:
    """The rows of an equation, its first term under the name the export has for it."""
    (_, first), *parts = equation.items()
    return {whole: first[0], **{name: part[0] for name, part in parts}}


def closes(fay: Window, folder: Path) -> Path:
    """The day is closed, its certificate taken away and verified on its page."""
    fay.open("/admin/reconciliation/dayclose/")
    fay.press("Close a day")
    fay.page.fill("[name=day]", str(DAY))
    fay.press("Show what will happen")
    fay.says("This closes the books through")
    fay.shot("finance-15-close")
    assert closed_through() is None
    fay.press("Close the day")
    fay.says(f"{DAY} is closed.")
    assert closed_through() == DAY
    certificate = taken(fay, "Download the certificate", folder)
    fay.says(json.loads(certificate.read_text())["digest"])
    fay.press("Verify now")
    fay.says(f"The certificate is true: every number of {DAY} is as it was certified.")
    fay.shot("finance-16-certificate")
    return certificate
