"""Does a person get a statement in: look at a file, mend the mapping with a second person, import it, see what it changed?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciliation.models import Statement
from tests.browser.conftest import Window
from tests.reconciliation.ingestion.reports import csv_file, gateway, read, sale

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def _choose(window: Window, tmp_path: Path, *rows: str, field: str = "file") -> None:
    path = tmp_path / "acquirer-2026-11-20.csv"
    path.write_bytes(csv_file(*rows))
    window.page.set_input_files(f"[name={field}]", str(path))


def test_before_there_is_an_account_the_import_leads_to_asking_for_one(window: Window) -> None:
    window.sign_in("finance")
    window.open("/admin/reconciliation/statement/upload/")
    window.says("No account is compared yet")
    window.shot("statement-no-account")
    window.press("Ask for a bank account")
    window.page.wait_for_url("**/statementaccount/add_bank/")


def test_before_there_is_a_file_the_import_says_which_it_takes(window: Window) -> None:
    gateway(name="Acme Acquirer")
    window.expected = {422}
    window.sign_in("finance")
    window.page.set_viewport_size({"width": 390, "height": 844})
    window.open("/admin/reconciliation/statement/upload/")
    window.press("Look at the file")
    window.says("Choose a file first.")
    window.says("What happens then")
    window.shot("statement-no-file-phone")
    assert window.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_statement_is_looked_at_imported_and_explained(window: Window, tmp_path: Path) -> None:
    gateway(name="Acme Acquirer")
    window.sign_in("finance")
    window.open("/admin/reconciliation/statement/")
    window.says("No report has come yet")
    window.shot("statements-empty")
    window.press("Import a statement")
    _choose(window, tmp_path, sale(1), sale(2), sale(3, Type="Auto"), sale(4, gross="10,00"))
    window.press("Look at the file")
    window.says("4 lines read, 2 of them rejected")
    window.shot("statement-look")
    window.press("Import it")
    window.says("Known")
    window.says("The kind 'Auto' is not in the mapping.")
    window.shot("statement-rejected")
    restated = read("acme", csv_file(sale(1), sale(2, fee="0.50", net="9.50"), sale(5)))
    window.open(f"/admin/reconciliation/statement/{restated.public_id}/")
    window.says("What it says differently")
    window.shot("statement-restated")
    assert Statement.objects.count() == 2


def test_a_mapping_is_mended_by_two_people(windows: Callable[[], Window], tmp_path: Path) -> None:
    account = gateway(name="Acme Acquirer")
    window = windows()
    window.sign_in("finance")
    window.open(f"/admin/reconciliation/statementaccount/{account.pk}/")
    window.shot("compared-account")
    window.open(f"/admin/reconciliation/columnmapping/{account.mappings.get().pk}/")
    window.shot("mapping")
    window.press("Ask for a change")
    window.page.fill("[name=kinds]", "Sale = charge\nAuto = charge")
    window.page.fill("[name=reason]", "The acquirer has a new word")
    _choose(window, tmp_path, sale(1), sale(3, Type="Auto"), field="sample")
    window.press("Try it")
    window.says("2 lines read, 0 of them rejected")
    window.says("What would change")
    window.shot("mapping-tried")
    window.press("Ask a second person")
    window.says("Change a column mapping")
    window.shot("mapping-asked")
