"""The job of an upload, whole: a spreadsheet with mistakes, a second person, a gateway that goes down half-way, and the results.

Everything is real: two people in two browsers, a worker process, the gateways as a process with their webhooks. Only what
would take a quarter of an hour, the proof that the lost gateway took nothing, is hurried by a clock of the test's own.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_client
from openpyxl import load_workbook
from playwright.sync_api import Locator, expect

from payments.models import Batch, Payment
from payments.services.accounts import ensure_gateway_account
from payments.services.sweep import sweep
from tests.browser.conftest import Window
from tests.browser.worker import CREDENTIALS, credentials, running_worker
from tests.payments.batches.sheets import CARD, order, xlsx_file
from tests.payments.factories import Clock
from tests.simulator_fixture import SimulatorProcess, start_simulator

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]
ROWS = 150
GOOD = [order(f"member-{number:03d}", f"{number}.50") for number in range(1, ROWS + 1)]
BAD = {
    7: order("member-003", "8.50"),
    40: order("member-041", "12.345"),
    41: order("member-042", "1.2E+3"),
    60: order("member-061", currency="usd"),
    80: order("member-081", token=CARD),
    120: order("member-121", "1.234,50"),
    149: order("", "150.50"),
}


@pytest.fixture
def simulator(live_server: Any, windows: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatorProcess]:
    """NMI first and ConvesioPay as the fallback, posting their webhooks to the server under test."""
    running = start_simulator(webhooks=f"{live_server.url}/webhooks", env=CREDENTIALS)
    for name, value in credentials(running).items():
        monkeypatch.setenv(name, value)
    ensure_gateway_account("nmi", "nmi", "NMI", priority=1)
    ensure_gateway_account("convesiopay", "convesiopay", "ConvesioPay", priority=2)
    yield running
    running.stop()


@pytest.fixture
def worker(
    simulator: SimulatorProcess, redis: redis_client.Redis, live_env: dict[str, str], tmp_path: Path
) -> Iterator[None]:
    with running_worker({**live_env, **credentials(simulator), "DEMO": "1"}, tmp_path / "worker.log"):
        yield


def upload(window: Window, path: Path, rows: list[tuple[str, ...]]) -> None:
    path.write_bytes(xlsx_file(*rows).getvalue())
    window.open("/admin/payments/batch/")
    window.press("Upload payments")
    window.page.set_input_files("[name=file]", str(path))
    window.press("Read and check")
    window.says("Nothing is started yet.")


def download(window: Window, kind: str, folder: Path) -> Path:
    with window.page.expect_download() as started:
        window.press(kind)
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


def live(window: Window, pattern: str, seconds: float) -> None:
    """Wait until the part of the page that follows the upload by itself says it."""
    expect(window.page.locator("#live")).to_contain_text(re.compile(pattern), timeout=seconds * 1000)


def counted(window: Window, label: str, seconds: float) -> Locator:
    """Wait until so many rows have this outcome; the link that leads to them."""
    link = window.page.locator(".cf-pick").get_by_role("link", name=label, exact=True)
    expect(link).to_be_visible(timeout=seconds * 1000)
    return link


def test_from_a_spreadsheet_with_mistakes_to_its_results_past_a_gateway_that_goes_down(
    windows: Callable[[], Window], simulator: SimulatorProcess, worker: None, tmp_path: Path
) -> None:
    olga, fred = windows(), windows()
    olga.sign_in("operator")

    # Olga uploads, reads what is wrong, and puts the file away.
    upload(olga, tmp_path / "dues.xlsx", [BAD.get(line, row) for line, row in enumerate(GOOD)])
    live(olga, rf"Good rows\s*{ROWS - len(BAD)}\s*With problems\s*{len(BAD)}", 60)
    for sentence in ("stands in line 4", "Write USD in capitals", "looks like a card number", "reference is missing"):
        olga.says(sentence)
    olga.shot("job-1-dry-run")
    olga.page.get_by_role("link", name=f"problem {len(BAD)}").click()
    expect(olga.page.locator(".cf-rows tbody tr")).to_have_count(len(BAD))
    olga.shot("job-2-problems")
    olga.press("Discard it")
    olga.press("Show what will happen")
    olga.press("Discard it")
    olga.says("dues.xlsx is discarded.")

    # She corrects it, uploads it again and asks for a second person.
    upload(olga, tmp_path / "dues-corrected.xlsx", GOOD)
    live(olga, rf"Good rows\s*{ROWS}\s*With problems\s*0", 60)
    olga.press("Start it")
    olga.page.fill("[name=reason]", "The dues of March.")
    olga.press("Show what will happen")
    olga.says(f"A second person is asked to let {ROWS} payments begin.")
    olga.shot("job-3-asks")
    olga.press("Start it")
    olga.says("waits for a second person")
    olga.shot("job-4-waits")
    assert not Payment.objects.exists()

    # Fred agrees, in a browser of his own.
    fred.sign_in("finance")
    fred.shot("job-5-second-person-home")
    fred.page.locator(".cf-page").get_by_role("link", name="Start an upload").first.click()
    fred.shot("job-6-approval")
    fred.press("Agree")
    fred.press("Show what will happen")
    fred.says("dues-corrected.xlsx")
    fred.shot("job-7-agree")
    fred.press("Agree: do it")
    fred.says(f"Started: {ROWS} rows become payments.")

    # Olga's page follows by itself. NMI goes down while she looks.
    expect(olga.page.locator(".cf-pick").get_by_role("link", name=re.compile("^paid [0-9]+$"))).to_be_visible(
        timeout=60_000
    )
    simulator.fault("outage", "any", gateway="nmi")
    fred.open("/admin/payments/gatewayaccount/")
    nmi = fred.page.locator("#result_list tbody tr", has_text="NMI")
    for _ in range(30):
        if "breaker open" in nmi.inner_text():
            break
        fred.page.reload()
    expect(nmi).to_contain_text("breaker open")
    fred.says("NMI: calls get no answer, new payments go elsewhere since")
    fred.shot("job-8-breaker-open")
    nmi.get_by_role("link").first.click()
    fred.says("No answer 3 times in a row")
    fred.shot("job-9-gateway")
    olga.shot("job-10-running")

    # The rest is taken by ConvesioPay. What NMI was asked last stays unknown: nobody is charged twice.
    live(olga, "all begun", 60)
    expect(olga.page.locator("#live")).not_to_contain_text("on its way", timeout=60_000)
    unknown = Payment.objects.filter(state="pending", waits_for="look_up").count()
    assert 3 <= unknown <= 20
    counted(olga, f"paid {ROWS - unknown}", 60)
    counted(olga, f"unknown {unknown}", 60)
    olga.shot("job-11-unknown")

    # NMI comes back; it is asked until it is proven that it took nothing, and ConvesioPay takes these as well.
    simulator.clear_faults()
    clock = Clock()
    for _ in range(12):
        clock.pass_(minutes=3)
        assert sweep(clock).failed == {}
    counted(olga, f"paid {ROWS}", 60).click()
    expect(olga.page.locator(".cf-rows")).to_contain_text("NMI")
    olga.shot("job-12-done")

    _assert_results(olga, simulator, tmp_path)


def _assert_results(window: Window, simulator: SimulatorProcess, folder: Path) -> None:
    """Both files name every row, who took it, and agree with what the gateways themselves have."""
    rows = list(csv.DictReader(io.StringIO(download(window, "CSV", folder).read_text("utf-8-sig"))))
    assert Counter(row["outcome"] for row in rows) == {"paid": ROWS}
    assert [row["reference"] for row in rows] == [reference for reference, *_ in GOOD]
    assert [row["amount"] for row in rows] == [amount for _, amount, *_ in GOOD]
    by_gateway = Counter(row["taken_by"] for row in rows)
    assert set(by_gateway) == {"NMI", "ConvesioPay"}
    for slug, name in (("nmi", "NMI"), ("convesiopay", "ConvesioPay")):
        taken = [m for m in simulator.movements(gateway=slug) if m["kind"] == "capture"]
        assert len(taken) == by_gateway[name]

    sheet = load_workbook(download(window, "XLSX", folder))["Payments"]
    head, *lines = sheet.iter_rows(values_only=True)
    assert [dict(zip(head, line, strict=True))["payment"] for line in lines] == [row["payment"] for row in rows]
    assert Batch.objects.get(name="dues-corrected.xlsx").rows.filter(payment=None).count() == 0
