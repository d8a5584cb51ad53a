"""What may a person type to end a break, or to work on it? Forms that name what is wrong and where; they store nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

from django import forms

from ledger.chart import CHART
from ledger.money import Money, MoneyError
from payments.admin.payment_forms import CommandForm
from payments.errors import InvalidInput
from reconciliation.fixes import Fix
from reconciliation.services.resolutions.commanding import REASONS
from reconciliation.services.resolutions.post_journal import MANUAL

_REASONS = [("", "Choose\u2026"), *((code, code.replace("_", " ")) for code in REASONS)]
_ACCOUNTS = ", ".join(f"{code} {CHART[code].name}" for code in MANUAL)


class FixForm(CommandForm):
    """What every fix needs: a reason from the list, and a note in the person's own words."""

    reason = forms.ChoiceField(choices=_REASONS)
    note = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 4}),
        max_length=2000,
        help_text="What did you see, and why this? A second person and the auditor read it.",
    )


class FeeForm(FixForm):
    """What becomes of what the gateway kept?"""

    treatment = forms.ChoiceField(
        choices=[
            ("", "Choose\u2026"),
            ("variance", "Accept it as fee variance (5015)"),
            ("fee", "Accept it as a gateway fee (5010)"),
            ("dispute_fee", "Accept it as a dispute fee (5025)"),
            ("claim", "Claim it back from the gateway (1160)"),
        ]
    )
    field_order = ("treatment", "reason", "note")


class LinkForm(FixForm):
    """Which is the other side, and what do the sums differ by?"""

    counterpart = forms.CharField(
        label="The other side",
        max_length=140,
        help_text="A movement, mov_\u2026; the key of a line; for a line of the bank a payout, po_\u2026. It must be free.",
    )
    rest = forms.ChoiceField(
        label="If the sums differ",
        required=False,
        choices=[("", "They do not differ"), ("rounding", "It is rounding"), ("fee", "The gateway kept a fee")],
    )
    field_order = ("counterpart", "rest", "reason", "note")


class TimingForm(FixForm):
    """Until when is it expected?"""

    until = forms.DateField(
        label="Expected until",
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text="Within 60 days. If it has not come by then, the break opens again.",
    )
    field_order = ("until", "reason", "note")


class RefundForm(FixForm):
    """How much goes back?"""

    amount = forms.CharField(max_length=30, help_text="In the payment's currency, as 12.34.")
    field_order = ("amount", "reason", "note")


class JournalForm(FixForm):
    """The other side, line by line; the balance's own line is written by itself."""

    lines = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "class": "cf-code"}),
        max_length=2000,
        help_text=f"One line each: Dr or Cr, account, sum. As \u201cDr 5025 15.00\u201d. Accounts: {_ACCOUNTS}.",
    )
    field_order = ("lines", "reason", "note")


class OwnJournalForm(CommandForm):
    """An entry that belongs to no break."""

    day = forms.DateField(
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text="Its accounting day; if that is closed, the first open one.",
    )
    currency = forms.CharField(max_length=10, help_text="As USD.")
    gateway = forms.CharField(
        max_length=40,
        required=False,
        help_text="For accounts kept by gateway: nmi, stripe or its name in the ledger.",
    )
    lines = JournalForm.base_fields["lines"]
    text = forms.CharField(
        label="What for", max_length=400, help_text="The entry shows it, and a second person reads it."
    )


class SnoozeForm(CommandForm):
    """Out of the queue until when, and why?"""

    until = forms.DateField(
        label="Comes back on",
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text="At 06:00 UTC, within 30 days. Its age and its time to resolve go on.",
    )
    because = forms.CharField(label="Why", max_length=200)


class GiveForm(CommandForm):
    """To whom?"""

    to = forms.CharField(label="Give it to", max_length=150, help_text="Name of somebody who may resolve breaks.")


class NoteForm(CommandForm):
    """What did you find?"""

    text = forms.CharField(
        label="Note",
        widget=forms.Textarea(attrs={"rows": 4}),
        max_length=2000,
        help_text="It stays for ever; a correction is another note.",
    )


class UndoForm(CommandForm):
    """Why is it taken back?"""

    reason = forms.CharField(max_length=400, help_text="It stays with the resolution.")


class LookForm(CommandForm):
    """What do you think of what the rule did?"""

    verdict = forms.CharField(max_length=180, required=False, help_text="Needed if you disagree.")


class EvidenceForm(forms.Form):
    """One file."""

    file = forms.FileField(
        help_text="PDF, picture, spreadsheet, CSV, text, mail or JSON, up to 5 MB. Without card numbers.",
        error_messages={"required": "Choose a file first."},
    )


FORMS: dict[Fix, type[FixForm]] = {
    Fix.POST_FEE: FeeForm,
    Fix.LINK_BY_HAND: LinkForm,
    Fix.MARK_TIMING: TimingForm,
    Fix.REFUND_PAYER: RefundForm,
    Fix.POST_JOURNAL: JournalForm,
}


def answers_of(cleaned: dict[str, Any], currency: str, gateway: str = "") -> dict[str, Any]:
    """What the service takes: text and whole numbers. Raises: InvalidInput naming the field."""
    answers = {name: value for name, value in cleaned.items() if name not in {"reason", "note"}}
    if isinstance(answers.get("until"), date):
        answers["until"] = answers["until"].isoformat()
    if "amount" in answers:
        answers["amount_minor"] = _money(answers.pop("amount"), currency, "amount")
    if "lines" in answers:
        answers["lines"] = lines_of(answers["lines"], currency, gateway)
    return answers


def lines_of(text: str, currency: str, gateway: str) -> list[dict[str, Any]]:
    """Journal lines as typed. Raises: InvalidInput naming the line."""
    rows = []
    for number, typed in enumerate((line for line in text.splitlines() if line.strip()), 1):
        parts = typed.replace("\t", " ").split()
        if len(parts) != 3 or parts[0].lower().rstrip(".") not in {"dr", "cr"}:
            raise InvalidInput(f"Line {number} is not as \u201cDr 5025 15.00\u201d: {typed.strip()}", field="lines")
        minor = _money(parts[2], currency, "lines")
        sign = 1 if parts[0].lower().startswith("d") else -1
        rows.append({"code": parts[1], "currency": currency, "amount_minor": sign * minor, "gateway": gateway})
    return rows


def morning_of(day: date) -> datetime:
    """When a snooze of a day ends."""
    return datetime.combine(day, time(6), tzinfo=UTC)


def _money(text: str, currency: str, field: str) -> int:
    try:
        minor = Money.parse(text.strip(), currency).amount_minor
    except MoneyError as error:
        raise InvalidInput(str(error), field=field) from error
    if minor <= 0:
        raise InvalidInput("A sum is positive: the side says the direction.", field=field)
    return minor
