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
from reconciliation.models import (
    Alert,
    Break,
    BreakEvidence,
    ColumnMapping,
    ContractRate,
    DayClose,
    Line,
    OpeningFile,
    ReportJob,
    ReportSchedule,
    Resolution,
    Run,
    Statement,
    StatementAccount,
)

_SEES = frozenset({"operator", "finance", "auditor", "admin", "superuser without a role"})
_FINANCE = frozenset({"finance"})

_EXPORTS = frozenset({"operator", "finance", "auditor"})

_RESOLVES = frozenset({"operator", "finance"})
_FIXES = (
    "replay_fact", "record_refund", "adopt_amount", "post_fee", "post_exchange", "post_reserve", "mark_timing", "rounding",
    "accept_restated", "close_explained", "write_off",
)  # fmt: skip
_FIXES_OF_ONE = ("link_by_hand", "refund_payer", "dismiss_duplicate", "mend_row")

PAGES: dict[str, frozenset[str]] = {
    "reconciliation_run_changelist": _SEES,
    "reconciliation_run_change": _SEES,
    "reconciliation_run_dashboard": _SEES,
    "reconciliation_run_proof": _SEES,
    "reconciliation_run_proof_file": _SEES,
    "reconciliation_line_changelist": _SEES,
    "reconciliation_line_change": _SEES,
    "reconciliation_break_changelist": _SEES,
    "reconciliation_break_change": _SEES,
    "reconciliation_break_causes": _SEES,
    "reconciliation_break_cause": _SEES,
    "reconciliation_break_file": _SEES,
    "reconciliation_resolution_changelist": _SEES,
    "reconciliation_resolution_change": _SEES,
    "payments_payout_changelist": _SEES | {"support"},
    "payments_payout_change": _SEES | {"support"},
    "reconciliation_statement_changelist": _SEES,
    "reconciliation_statement_change": _SEES,
    "reconciliation_statement_rejected": _SEES,
    "reconciliation_statementaccount_changelist": _SEES,
    "reconciliation_statementaccount_change": _SEES,
    "reconciliation_columnmapping_changelist": _SEES,
    "reconciliation_columnmapping_change": _SEES,
    "reconciliation_contractrate_changelist": _SEES,
    "reconciliation_contractrate_change": _SEES,
    "reconciliation_alert_changelist": _SEES,
    "reconciliation_alert_change": _SEES,
    "reconciliation_reportjob_changelist": _SEES,
    "reconciliation_reportjob_change": _SEES,
    "reconciliation_reportjob_progress": _SEES,
    "reconciliation_reportjob_manifest": _SEES,
    "reconciliation_reportschedule_changelist": _SEES,
    "reconciliation_reportschedule_change": _SEES,
    "reconciliation_dayclose_changelist": _SEES,
    "reconciliation_dayclose_change": _SEES,
    "reconciliation_dayclose_certificate": _SEES,
    "reconciliation_dayclose_verify": _SEES,
    "reconciliation_openingfile_changelist": _SEES,
    "reconciliation_openingfile_change": _SEES,
    "reconciliation_openingfile_template": _SEES,
}
COMMANDS: dict[str, frozenset[str]] = {
    "reconciliation_run_compare": _RESOLVES,
    "reconciliation_run_again": _RESOLVES,
    **{f"reconciliation_break_{name}": _RESOLVES for name in ("take", "release", "give", "snooze", "note", "evidence")},
    **{f"reconciliation_break_fix_{name}": _RESOLVES for name in (*_FIXES, *_FIXES_OF_ONE)},
    **{f"reconciliation_break_bulk_{name}": _RESOLVES for name in _FIXES},
    "reconciliation_break_fix_post_journal": _FINANCE,
    "reconciliation_resolution_undo": _RESOLVES,
    "reconciliation_resolution_agree": _RESOLVES,
    "reconciliation_resolution_disagree": _RESOLVES,
    "reconciliation_resolution_journal": _FINANCE,
    "reconciliation_statement_upload": _RESOLVES,
    "reconciliation_statementaccount_add_bank": _FINANCE,
    "reconciliation_statementaccount_edit": _FINANCE,
    "reconciliation_columnmapping_add": _FINANCE,
    "reconciliation_columnmapping_edit": _FINANCE,
    "reconciliation_contractrate_add": _FINANCE,
    "reconciliation_contractrate_end": _FINANCE,
    "reconciliation_reportjob_ask": _EXPORTS,
    "reconciliation_reportjob_cancel": _EXPORTS,
    "reconciliation_reportjob_download": _EXPORTS,
    "reconciliation_reportschedule_add": _FINANCE,
    "reconciliation_reportschedule_pause": _FINANCE,
    "reconciliation_reportschedule_resume": _FINANCE,
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
         "reports": [], "open_breaks": [], "previous": None, "closed_at": now.isoformat(), "closed_by": mia.label,
         "approved_by": ""}
    )  # fmt: skip
    account = StatementAccount.objects.create(slug="walked", name="Walked", kind="gateway", source="csv_mapped")
    broken = Break.objects.create(
        account=account, kind="balance_drift", key="walk", currency="USD", day=now.date(), cause="walk", because="walk",
        opened_at=now, last_seen_at=now, due_at=now, version=1,
    )  # fmt: skip
    BreakEvidence.objects.create(
        broken=broken, name="walk.txt", content_type="text/plain", content=b"walk", size=4, sha256="0" * 64, at=now
    )
    run = Run.objects.create(account=account, day=date(2020, 1, 1))
    statement = Statement.objects.create(
        account=account, source="csv_mapped", name="walk.csv", sha256="0" * 64, starts_on=run.day, ends_on=run.day,
        received_at=now,
    )  # fmt: skip
    ColumnMapping.objects.create(account=account, number=1, columns={"gross": "Gross"}, made_at=now, made_by=mia.label)
    Line.objects.create(
        account=account, statement=statement, number=1, line_key="walk", kind="charge", day=run.day, occurred_at=now,
        currency="USD", gross_minor=100, content_hash="0" * 64,
    )  # fmt: skip
    Resolution.objects.create(command="walk", reason="other", request_id="walk", rule="walk", sampled=True, at=now)
    Alert.objects.create(account=account, kind="count", level=1, detail="1 open break", raised_at=now)
    ContractRate.objects.create(
        account=account, kind="charge", currency="USD", fixed_minor=30, valid_from=date(2020, 1, 1), source="annex A"
    )
    gateway, made = ensure_gateway_account("walked-payouts", "stripe", "Walked"), now
    tell_payout(gateway.slug, PayoutTold("po_walk", PayoutState.PAID, Money(100, "USD"), made, made), now=now)
    schedule = ReportSchedule.objects.create(
        report="journal", format="csv", every="day", recipients=["books@example.com"], made_by=mia.label
    )
    ReportJob.objects.create(
        report="journal",
        format="csv",
        state="failed",
        asked_by=mia.label,
        asked_at=now,
        schedule=schedule,
        manifest={"rows": 0},
    )  # it has ended and has no file: cancelling and downloading are refused, so that the walk sees nothing written
    DayClose.objects.create(
        day=date(2020, 1, 1), closed_at=now, closed_by=mia.label, certificate=said, digest=said["digest"]
    )
    OpeningFile.objects.create(
        name="walk.csv", sha256="0" * 64, text="", books_start_on=date(2020, 1, 1), rows_count=0, uploaded_at=now
    )


def rows() -> dict[str, str]:
    """What stands for a row in addresses, by model."""
    return {
        "run": Run.objects.values_list("public_id", flat=True)[0],
        "line": str(Line.objects.values_list("pk", flat=True)[0]),
        "statement": Statement.objects.values_list("public_id", flat=True)[0],
        "statementaccount": str(StatementAccount.objects.values_list("pk", flat=True)[0]),
        "columnmapping": str(ColumnMapping.objects.values_list("pk", flat=True)[0]),
        "break": Break.objects.values_list("public_id", flat=True)[0],
        "evidence": str(BreakEvidence.objects.values_list("pk", flat=True)[0]),
        "resolution": Resolution.objects.values_list("public_id", flat=True)[0],
        "alert": str(Alert.objects.values_list("pk", flat=True)[0]),
        "contractrate": str(ContractRate.objects.values_list("pk", flat=True)[0]),
        "payout": Payout.objects.values_list("public_id", flat=True)[0],
        "reportjob": ReportJob.objects.values_list("public_id", flat=True)[0],
        "reportschedule": str(ReportSchedule.objects.values_list("pk", flat=True)[0]),
        "dayclose": DayClose.objects.values_list("public_id", flat=True)[0],
        "openingfile": OpeningFile.objects.values_list("public_id", flat=True)[0],
    }
