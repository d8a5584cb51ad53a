"""What may a person type about a recurring charge? Forms that name what is wrong and where; they store nothing."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms

from ledger.money import MINOR_DIGITS, Money
from payments.admin.payment_forms import CommandForm, amount_field, read_amount
from payments.models import Schedule
from payments.services.schedules.requests import LONGEST

_COMMON = ("USD", "EUR", "GBP")
_ALONE = "Needed above your limit: a second person reads it before they agree."


def _day(label: str, help_text: str = "", *, required: bool = True) -> forms.DateField:
    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    return forms.DateField(label=label, required=required, widget=widget, help_text=help_text)


class MakeForm(CommandForm):
    """A recurring charge as it shall be."""

    name = forms.CharField(
        max_length=LONGEST["name"], help_text="What people call it, e.g. “Gold membership, A. Meyer”."
    )
    reference = forms.CharField(
        max_length=LONGEST["reference"],
        help_text="Each payment bears it and its due date. One running charge for each.",
    )
    payment_method = forms.CharField(
        max_length=40,
        label="Payment method",
        help_text="Its id, pm_…, from the page of a payment the payer made: one with a stored credential.",
    )
    amount = amount_field("Each charge", "Digits and at most one decimal point, e.g. 12.34.")
    currency = forms.ChoiceField(choices=[(c, c) for c in (*_COMMON, *sorted(set(MINOR_DIGITS) - set(_COMMON)))])
    every = forms.IntegerField(min_value=1, max_value=400, initial=1, label="Due every")
    interval = forms.ChoiceField(choices=Schedule.Interval.choices, initial="month", label="Of what")
    anchor = _day("First charge", "Later ones keep its day, or the month's last where a month is shorter.")
    ends_on = _day("Last day", "Empty: until it is stopped.", required=False)
    mandate = forms.CharField(
        max_length=LONGEST["mandate"], help_text="How and when the payer agreed, and where that is kept."
    )
    reason = forms.CharField(required=False, max_length=400, help_text=_ALONE)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if "amount" in cleaned and "currency" in cleaned and not self.has_error("amount"):
            try:
                cleaned["money"] = read_amount(cleaned["amount"], cleaned["currency"])
            except forms.ValidationError as error:
                self.add_error("amount", error)
        return cleaned


class EditForm(CommandForm):
    """What of a running charge may be changed; as it is now to begin with."""

    name = forms.CharField(max_length=LONGEST["name"])
    amount = amount_field("Each charge", "In the charge's own currency. More than now counts against your limit.")
    payment_method = forms.CharField(max_length=40, label="Payment method")
    ends_on = _day("Last day", "Empty: until it is stopped.", required=False)
    mandate = forms.CharField(max_length=LONGEST["mandate"])
    reason = forms.CharField(required=False, max_length=400, help_text=_ALONE)

    def clean_amount(self) -> Money:
        return read_amount(self.cleaned_data["amount"], self.initial["currency"])


class BecauseForm(CommandForm):
    """Why."""

    because = forms.CharField(label="Reason", max_length=200, help_text="Stands on its page, and in its history.")


class OverdueForm(CommandForm):
    """Which skipped date."""

    due_on = forms.ChoiceField(label="Due date")
    reason = forms.CharField(required=False, max_length=400, help_text=_ALONE)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["due_on"] = forms.ChoiceField(label="Due date", choices=self.initial.get("dates", []))

    def clean_due_on(self) -> date:
        return date.fromisoformat(self.cleaned_data["due_on"])
