"""What may a person type on the payment's command pages? Forms that name what is wrong and where; they store nothing."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings

from ledger.money import MINOR_DIGITS, Money, MoneyError
from payments.card_numbers import has_card_number
from payments.models import GatewayAccount

_CARD = "This looks like a card number. Card numbers must not be typed here; it was not kept."
_UNREADABLE = (
    "This holds a sign that cannot be seen: a line break, a control character or one that turns the text round."
)
_COMMON_CURRENCIES = ("USD", "EUR", "GBP")
DEMO_TOKENS = (
    ("tok_ok", "tok_ok · approves"),
    ("tok_decline_soft_decline", "tok_decline_soft_decline · do not honour"),
    ("tok_decline_insufficient_funds", "tok_decline_insufficient_funds"),
    ("tok_decline_expired_card", "tok_decline_expired_card"),
    ("tok_decline_fraud", "tok_decline_fraud"),
    ("tok_3ds", "tok_3ds · approves after authentication"),
)


class CommandForm(forms.Form):
    """A form that refuses card numbers in every text, and does not write them back on the page."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name in [name for name, field in self.fields.items() if isinstance(field, forms.CharField)]:
            typed = self.data.get(self.add_prefix(name), "")
            if has_card_number(str(typed)):
                self._forget(name)
            elif not self._is_readable(name, str(cleaned.get(name, ""))):
                self.add_error(name, _UNREADABLE)
        return cleaned

    def _is_readable(self, name: str, text: str) -> bool:
        """Signs that cannot be seen make one reference look like another; lines belong into notes only."""
        if isinstance(self.fields[name].widget, forms.Textarea):
            text = " ".join(text.split())
        return text.isprintable()

    def _forget(self, name: str) -> None:
        """Refuse the field, and empty it: neither the page nor an earlier complaint may repeat what was typed."""
        key = self.add_prefix(name)
        self.data = {**{k: self.data.get(k) for k in self.data}, key: ""}
        self.errors.pop(name, None)
        self.add_error(name, _CARD)


def read_amount(text: str, currency: str) -> Money:
    """The amount as typed. Raises: ValidationError naming what is wrong with it."""
    try:
        money = Money.parse(text.strip(), currency)
    except MoneyError as error:
        raise forms.ValidationError(str(error)) from error
    if not money.is_positive:
        raise forms.ValidationError("The amount must be more than zero.")
    return money


def amount_field(label: str, help_text: str = "") -> forms.CharField:
    """A field for an amount; `read_amount` reads it."""
    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
    return forms.CharField(label=label, max_length=40, widget=widget, help_text=help_text)


class AmountForm(CommandForm):
    """An amount in the payment's currency; `initial` carries currency and the most that is possible."""

    amount = amount_field("Amount", "In the payment's currency, digits and at most one decimal point.")

    def clean_amount(self) -> Money:
        return read_amount(self.cleaned_data["amount"], self.initial["currency"])


class RefundForm(AmountForm):
    """How much goes back, and why."""

    reason = forms.CharField(
        max_length=200, help_text="Shown on the timeline and in the books, e.g. “returned goods, ticket 4711”."
    )


class NoAnswersForm(CommandForm):
    """A command that needs no answers, only a look at what will happen."""


class BecauseForm(CommandForm):
    """Why this is done, for whoever reads it later."""

    because = forms.CharField(
        label="Because", max_length=300, help_text="Shown on the timeline, e.g. “order cancelled”."
    )


class PaymentForm(CommandForm):
    """A payment typed by hand: what is owed, by whom, and the gateway's token for the card."""

    reference = forms.CharField(max_length=100, help_text="The order this pays, as the merchant calls it.")
    amount = amount_field("Amount", "Digits and at most one decimal point, e.g. 12.34.")
    currency = forms.ChoiceField()
    token = forms.CharField(
        label="Payment token",
        max_length=255,
        help_text="Issued by the gateway's own card form. Never a card number.",
    )
    capture = forms.ChoiceField(
        choices=[("automatic", "Take the money at once"), ("manual", "Only hold it; capture later")], label="Capture"
    )
    gateway = forms.ChoiceField(required=False)
    payer_email = forms.EmailField(label="Payer's e-mail", required=False, max_length=254)
    payer_name = forms.CharField(label="Payer's name", required=False, max_length=200)
    allow_another = forms.BooleanField(
        label="Make another one",
        required=False,
        help_text="Only if a payment of this reference is open or paid already, and a second one is meant.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        codes = [*_COMMON_CURRENCIES, *sorted(set(MINOR_DIGITS) - set(_COMMON_CURRENCIES))]
        self.fields["currency"] = forms.ChoiceField(choices=[(code, code) for code in codes])
        accounts = GatewayAccount.objects.filter(enabled=True).values_list("slug", "name")
        self.fields["gateway"] = forms.ChoiceField(choices=[("", "Routing chooses"), *accounts], required=False)
        if settings.DEMO:
            self.fields["token"] = forms.ChoiceField(
                choices=DEMO_TOKENS, label="Demo card", help_text="Each behaves as its name says at the simulator."
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if "amount" in cleaned and "currency" in cleaned and not self.has_error("amount"):
            try:
                cleaned["money"] = read_amount(cleaned["amount"], cleaned["currency"])
            except forms.ValidationError as error:
                self.add_error("amount", error)
        return cleaned
