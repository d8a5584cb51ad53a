"""Which addresses of reconciliation and finance are walked, who may, and one row of everything that has a page there."""

from __future__ import annotations

from datetime import date, datetime

from ledger.money import Money
from payments.facts import PayoutTold
from payments.models import Payout
from payments.services.accounts import ensure_gateway_account
from payments.services.actors import Actor
from payments.services.payouts import tell_payout
from payments.states import PayoutState
from reconciliation import certificate
from reconciliation.models import Alert, ContractRate, DayClose, OpeningFile, StatementAccount

_SEES = frozenset({"operator", "finance", "auditor", "admin", "superuser without a role"})
_FINANCE = frozenset({"finance"})

PAGES: dict[str, frozenset[str]] = {
    "payments_payout_changelist": _SEES | {"support"},
    "payments_payout_change": _SEES | {"support"},
    "reconciliation_contractrate_changelist": _SEES,
    "reconciliation_contractrate_change": _SEES,
    "reconciliation_alert_changelist": _SEES,
    "reconciliation_alert_change": _SEES,
    "reconciliation_dayclose_changelist": _SEES,
    "reconciliation_dayclose_change": _SEES,
    "reconciliation_dayclose_certificate": _SEES,
    "reconciliation_dayclose_verify": _SEES,
    "reconciliation_openingfile_changelist": _SEES,
    "reconciliation_openingfile_change": _SEES,
    "reconciliation_openingfile_template": _SEES,
}
COMMANDS: dict[str, frozenset[str]] = {
    "reconciliation_contractrate_add": _FINANCE,
    "reconciliation_contractrate_end": _FINANCE,
    "reconciliation_dayclose_close": _FINANCE,
    "reconciliation_dayclose_leave_out": _FINANCE,
    "reconciliation_dayclose_reopen": _FINANCE,
    "reconciliation_openingfile_upload": _FINANCE,
}


def make_rows(now: datetime, mia: Actor) -> None:
    """One row of everything, made as plainly as a page needs it."""
    books = {"entries": 0, "digest": "", "debits_minor": {}, "trial_balance": [], "findings": 0}
    said = certificate.sealed(
        {"day": "2020-01-01", "first_day": "", "time_zone": "UTC", "books": books, "exceptions": {}, "runs": [],
         "reports": [], "open_breaks": [], "previous": None}
    )  # fmt: skip
    account = StatementAccount.objects.create(slug="walked", name="Walked", kind="gateway", source="csv_mapped")
    Alert.objects.create(account=account, kind="count", level=1, detail="1 open break", raised_at=now)
    ContractRate.objects.create(
        account=account, kind="charge", currency="USD", fixed_minor=30, valid_from=date(2020, 1, 1), source="annex A"
    )
    gateway, made = ensure_gateway_account("walked-payouts", "stripe", "Walked"), now
    tell_payout(gateway.slug, PayoutTold("po_walk", PayoutState.PAID, Money(100, "USD"), made, made), now=now)
    DayClose.objects.create(
        day=date(2020, 1, 1), closed_at=now, closed_by=mia.label, certificate=said, digest=said["digest"]
    )
    OpeningFile.objects.create(
        name="walk.csv", sha256="0" * 64, text="", books_start_on=date(2020, 1, 1), rows_count=0, uploaded_at=now
    )


def rows() -> dict[str, str]:
    """What stands for a row in addresses, by model."""
    return {
        "alert": str(Alert.objects.values_list("pk", flat=True)[0]),
        "contractrate": str(ContractRate.objects.values_list("pk", flat=True)[0]),
        "payout": Payout.objects.values_list("public_id", flat=True)[0],
        "dayclose": DayClose.objects.values_list("public_id", flat=True)[0],
        "openingfile": OpeningFile.objects.values_list("public_id", flat=True)[0],
    }
