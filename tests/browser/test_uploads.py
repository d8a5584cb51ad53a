"""Does a person get from the template to paid rows in a browser, and does the page follow the upload by itself?"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from payments.models import Batch, Payment
from payments.services.batches.running import run_batch
from tests.browser.conftest import Window
from tests.payments.batches.sheets import CARD, csv_file, order
from tests.payments.batches.uploads import allow_alone, started
from tests.payments.factories import Clock, nmi_account

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def account() -> None:
    nmi_account()


def dues(tmp_path: Path) -> str:
    rows = [order(f"member-{number:03d}", f"{number}.50") for number in range(1, 70)]
    rows += [
        order("member-001"),
        order("member-x", "12.345"),
        order("member-y", "1.2E+3"),
        order("member-z", currency="usd"),
    ]
    rows += [order("member-v", token=CARD), order("member-w", "500", "JPY"), order("", "5.00")]
    path = tmp_path / "dues-march.csv"
    path.write_bytes(csv_file(*rows).getvalue())
    return str(path)


def test_upload_read_the_dry_run_start_and_watch(window: Window, tmp_path: Path) -> None:
    clock = Clock()
    window.sign_in("operator")
    allow_alone()
    allow_alone(currency="JPY")
    window.open("/admin/payments/batch/")
    window.shot("uploads-empty")
    window.press("Upload payments")
    window.shot("uploads-form")
    window.page.set_input_files("[name=file]", dues(tmp_path))
    window.press("Read and check")
    window.says("Nothing is started yet.")
    window.says("The same reference stands in line")
    window.shot("uploads-dry-run")
    window.press("Start it")
    window.press("Show what will happen")
    window.shot("uploads-start")
    window.press("Start it")
    window.says("Started. This page follows it.")
    window.shot("uploads-started")

    batch = Batch.objects.get()
    run_batch(batch.pk, clock)
    paid = Payment.objects.order_by("id")[:30].values_list("pk", flat=True)
    Payment.objects.filter(pk__in=list(paid)).update(state="captured", waits_for="", next_check_at=None)
    failed = Payment.objects.filter(state="initiated").order_by("id")[:8].values_list("pk", flat=True)
    Payment.objects.filter(pk__in=list(failed)).update(state="failed", waits_for="", next_check_at=None)
    unknown = Payment.objects.filter(state="initiated").order_by("id").values_list("pk", flat=True)[:2]
    Payment.objects.filter(pk__in=list(unknown)).update(state="pending", waits_for="look_up")
    expect(window.page.locator("#live")).to_contain_text("paid 30", timeout=30_000)
    window.shot("uploads-running")
    window.page.get_by_role("link", name="failed 8").click()
    expect(window.page.locator(".cf-rows tbody tr")).to_have_count(8)
    window.shot("uploads-failed")
    window.open("/admin/payments/batch/")
    window.shot("uploads-list")


def test_the_page_stops_asking_once_nothing_moves(window: Window) -> None:
    clock = Clock()
    batch = started(clock, "a", "b")
    run_batch(batch.pk, clock)
    window.sign_in("operator")
    window.open(f"/admin/payments/batch/{batch.public_id}/")
    expect(window.page.locator("#live[hx-get]")).to_have_count(1)

    Payment.objects.update(state="captured", waits_for="", next_check_at=None)

    expect(window.page.locator("#live:not([hx-get])")).to_have_count(1, timeout=30_000)
    expect(window.page.locator("#live")).to_contain_text("all begun")


def test_a_paused_upload_says_why_and_goes_on(window: Window) -> None:
    batch = started(Clock(), *[f"o-{number}" for number in range(5)])
    window.sign_in("operator")
    window.open(f"/admin/payments/batch/{batch.public_id}/")
    window.press("Pause")
    window.page.fill("[name=because]", "the bank has an incident")
    window.press("Show what will happen")
    window.press("Pause it")
    window.says("Paused: the bank has an incident (operator,")
    window.shot("uploads-paused")
    window.press("Resume")
    window.press("Show what will happen")
    window.press("Let it go on")
    window.says("It goes on.")


def test_the_template_is_downloaded_as_a_workbook(window: Window, tmp_path: Path) -> None:
    window.sign_in("operator")
    window.open("/admin/payments/batch/upload/")
    with window.page.expect_download() as download:
        window.press("XLSX template")
    path = tmp_path / "template.xlsx"
    download.value.save_as(path)

    assert download.value.suggested_filename == "payments-template.xlsx"
    assert path.read_bytes().startswith(b"PK")
