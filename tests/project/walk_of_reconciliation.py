"""Which addresses of reconciliation and finance are walked, who may, and one row of everything that has a page there."""

from __future__ import annotations

from datetime import date, datetime

from payments.services.actors import Actor
from reconciliation import certificate
from reconciliation.models import DayClose, OpeningFile

_SEES = frozenset({"operator", "finance", "auditor", "admin", "superuser without a role"})
_FINANCE = frozenset({"finance"})

PAGES: dict[str, frozenset[str]] = {
    "reconciliation_dayclose_changelist": _SEES,
    "reconciliation_dayclose_change": _SEES,
    "reconciliation_dayclose_certificate": _SEES,
    "reconciliation_dayclose_verify": _SEES,
    "reconciliation_openingfile_changelist": _SEES,
    "reconciliation_openingfile_change": _SEES,
    "reconciliation_openingfile_template": _SEES,
}
COMMANDS: dict[str, frozenset[str]] = {
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
    DayClose.objects.create(
        day=date(2020, 1, 1), closed_at=now, closed_by=mia.label, certificate=said, digest=said["digest"]
    )
    OpeningFile.objects.create(
        name="walk.csv", sha256="0" * 64, text="", books_start_on=date(2020, 1, 1), rows_count=0, uploaded_at=now
    )


def rows() -> dict[str, str]:
    """What stands for a row in addresses, by model."""
    return {
        "dayclose": DayClose.objects.values_list("public_id", flat=True)[0],
        "openingfile": OpeningFile.objects.values_list("public_id", flat=True)[0],
    }
