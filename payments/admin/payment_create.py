"""How does a person make a payment by hand? Form, preview, one service call; sending it twice makes one payment."""

from __future__ import annotations

from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from console.commands import CommandCall, CommandPage
from console.values import KeyValue, Outcome, Preview
from ledger.money import Money
from payments.admin.payment_commands import page_url, shown
from payments.admin.payment_forms import PaymentForm
from payments.errors import PaymentsError
from payments.models import Payment
from payments.queries.search import open_or_paid
from payments.services.actors import Actor
from payments.services.intake import MethodRequest, PayerRequest, PaymentRequest, create_payment


class ReferenceTaken(PaymentsError):
    """The reference has an open or paid payment; says which, with the way to it."""

    def __init__(self, first: Payment) -> None:
        super().__init__(f"Payment {first.public_id} of this reference is {first.state}.", field="reference")
        self.first = first

    def __str__(self) -> SafeString:
        return format_html(
            'Payment <a class="cf-link cf-code" href="{}">{}</a> of this reference is {}. If a second one is meant, '
            "tick “Make another one”.",
            page_url(self.first), self.first.public_id, self.first.state.replace("_", " "),
        )  # fmt: skip


def _preview(call: CommandCall) -> Preview:
    answers = call.answers
    money: Money = answers["money"]
    first = open_or_paid(answers["reference"])
    if first is not None and not answers["allow_another"]:
        raise ReferenceTaken(first)
    manual = answers["capture"] == "manual"
    facts = [
        KeyValue("Reference", answers["reference"]),
        KeyValue("Amount", shown(money)),
        KeyValue("Payer", " · ".join(filter(None, (answers["payer_name"], answers["payer_email"]))) or None),
        KeyValue("Gateway", answers["gateway"] or "routing chooses"),
        KeyValue("What happens", "The intent is stored, checked, and a gateway is asked within seconds."),
        KeyValue("", "The money is held until it is captured." if manual else "The money is taken at once."),
    ]
    warnings = [f"{first.public_id} of the same reference is {first.state} already."] if first is not None else []
    verb = "holds" if manual else "charges"
    return Preview(f"A gateway {verb} {money} for {answers['reference']}.", facts, warnings=warnings)


def _execute(call: CommandCall) -> Outcome:
    """The seal's one-time id goes with the request: the second press finds the first press's payment."""
    payment = create_payment(_request(call), actor=Actor.for_user(call.actor), now=call.now)
    return Outcome(f"{payment.public_id} is stored. Its page follows it from here.", page_url(payment))


def _request(call: CommandCall) -> PaymentRequest:
    answers: dict[str, Any] = call.answers
    money: Money = answers["money"]
    gateway, token = answers["gateway"], answers["token"]
    bound = bool(gateway) and not token.startswith("tok_")
    return PaymentRequest(
        amount_minor=money.amount_minor,
        currency=money.currency,
        reference=answers["reference"],
        method=MethodRequest("card", token="" if bound else token, credentials={gateway: token} if bound else {}),
        payer=PayerRequest(email=answers["payer_email"], name=answers["payer_name"]),
        capture=answers["capture"],
        gateway=gateway,
        allow_another=answers["allow_another"],
        metadata={"created_by": call.actor.get_username()},
        request_id=call.request_id,
    )


CREATE = CommandPage(
    name="create",
    title="Create a payment",
    intro="For orders that come by telephone or post. The card is named by a gateway's token, never by its number.",
    button="Create the payment",
    form=PaymentForm,
    preview=_preview,
    execute=_execute,
    refusals=(PaymentsError,),
)
