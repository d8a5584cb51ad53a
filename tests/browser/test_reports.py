"""Does a person get a report in a browser: ask, watch it being written, take it away and find in it what the books say?"""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest
from openpyxl import load_workbook

from reconciliation.models import ReportJob
from reconciliation.services import report_jobs
from reconciliation.services.report_sweep import sweep_reports
from tests.browser.conftest import Window
from tests.reconciliation.reports.books import books

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def taken(window: Window, folder: Path) -> Path:
    """The file that Download hands out."""
    with window.page.expect_download() as started:
        window.press("Download")
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


def test_ask_watch_and_open_it(
    window: Window, settings: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_DIR = tmp_path
    books()
    window.sign_in("finance")
    window.open("/admin/reconciliation/reportjob/")
    window.shot("reports-empty")
    window.press("New report")
    window.shot("reports-cards")

    journal = window.page.locator("#journal")
    journal.locator("select[name=currency]").select_option("USD")
    journal.get_by_role("button", name="XLSX").click()
    window.says("Journal is ready: 8 rows.")
    window.shot("report-ready")
    sheet = load_workbook(taken(window, tmp_path)).active
    debits = [float(str(row[9].value or 0)) for row in sheet.iter_rows(min_row=2)]
    assert sum(debits) == pytest.approx(152.49)

    monkeypatch.setattr(report_jobs, "AT_ONCE_ROWS", -1)  # from here on nothing is small
    window.open("/admin/reconciliation/reportjob/ask/")
    window.page.locator("#open_items").get_by_role("button", name="CSV").click()
    window.says("You may leave this page")
    window.shot("report-waits")
    sweep_reports(lambda: datetime.now(UTC))
    window.says("Control totals")  # the page has followed by itself
    rows = list(csv.DictReader(taken(window, tmp_path).read_text().splitlines()))
    assert {(row["item"], row["debit"]) for row in rows if row["currency"] == "KWD"} == {("pay_3", "1.234")}

    window.open(f"/admin/reconciliation/reportjob/{ReportJob.objects.latest('id').public_id}/")
    window.says("Taken by")
    window.shot("report-taken")


def test_a_schedule_is_set_up(window: Window) -> None:
    window.sign_in("finance")
    window.open("/admin/reconciliation/reportschedule/")
    window.press("New schedule")
    window.page.select_option("[name=report]", "trial_balance")
    window.page.select_option("[name=every]", "month")
    window.page.fill("[name=recipients]", "books@example.com")
    window.shot("schedule-form")
    window.press("Show what will happen")
    window.says("Figures leave the house by e-mail")
    window.press("Set it up")
    window.says("on the first, of the month before")
    window.shot("schedule")
