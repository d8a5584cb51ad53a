"""How does a person capture, cancel or refund? Command pages whose preview and execution are one service call each.

Executing is safe to repeat: the preview's version is compared with the payment's under its lock, and each of these
commands counts the version up by the fact it records. The second press of a button therefore meets another version
and is told so (409); the one open operation an attempt may have bars a second call besides. Nothing more is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from console.commands import CommandCall, CommandPage
from console.commands import Conflict as Told
from console.values import Amount, KeyValue, Outcome, Preview
from ledger.money import Money
from payments.admin.payment_chips import payment_chip
from payments.admin.payment_forms import AmountForm, NoAnswersForm, RefundForm
from payments.errors import Conflict, NotAllowedNow, NotEnough, PaymentsError
from payments.models import Payment
from payments.queries.page_rows import PaymentRows, read_payment
from payments.services import commands
from payments.services.actors import Actor
from payments.services.commands import cancel_payment, capture_payment, preview_cancel, preview_capture, preview_refund
from payments.services.refunds import request_refund
from payments.services.resolution import ask_gateway


def page_url(payment: Payment) -> str:
    """Where a payment's page is."""
    return reverse("admin:payments_payment_change", args=(payment.public_id,))


def shown(money: Money) -> Amount:
    """Money as the pages show it."""
    return Amount(money.amount_minor, money.currency)


def describe_conflict(error: Exception) -> Told:
    """Who was quicker, and with what."""
    extra = error.extra if isinstance(error, PaymentsError) else {}
    at = parse_datetime(str(extra.get("at", "")))
    who, what = str(extra.get("who") or "Somebody"), str(extra.get("what") or error)
    return Told(f"{who[:1].upper()}{who[1:]}:", what.removesuffix("."), at)


def _rows(payment: Payment) -> PaymentRows:
    """The payment's rows, read once a request: facts and first answers are asked for one after the other."""
    known: PaymentRows | None = getattr(payment, "_command_rows", None)
    if known is None:
        known = read_payment(payment)
        payment._command_rows = known  # type: ignore[attr-defined]  # noqa: SLF001 - remembered on the row of this request
    return known


def _facts(payment: Payment) -> list[KeyValue]:
    rows = _rows(payment)
    lines = [
        KeyValue("Reference", payment.reference),
        KeyValue("State", payment_chip(payment)),
        KeyValue("Asked", shown(payment.money)),
    ]
    if not rows.held.is_zero:
        lines.append(KeyValue("Held at the gateway", shown(rows.held)))
    if not rows.missing.is_zero:
        lines.append(KeyValue("Missing", shown(rows.missing)))
    if not rows.captured.is_zero:
        lines.append(KeyValue("Captured", shown(rows.captured)))
        lines.append(KeyValue("Can be refunded", shown(rows.refundable)))
    return lines


def told_beforehand(call: CommandCall, told: commands.Preview, summary: str, *facts: KeyValue, **more: Any) -> Preview:
    """What the service said beforehand, bound to the payment's version. Raises: NotAllowedNow if it refuses."""
    if told.refused:
        raise NotAllowedNow(told.refused)
    steps = [KeyValue("What happens" if at == 0 else "", line) for at, line in enumerate(told.lines)]
    return Preview(summary, [*facts, *steps], version=str(call.subject.version), **more)


def _refuse_too_much(money: Money, most_minor: int, what: str) -> Money:
    """Return what would be left. Raises: NotEnough."""
    left = Money(most_minor, money.currency) - money
    if left.amount_minor < 0:
        raise NotEnough(f"{money} asked, {Money(most_minor, money.currency)} {what}.")
    return left


# --- capture ----------------------------------------------------------------------------------------------------------


def _capturable(payment: Payment) -> dict[str, Any]:
    rows = _rows(payment)
    most = min(rows.held, payment.money, key=lambda money: money.amount_minor)
    amount = "" if most.is_zero else most.to_decimal_string()
    return {"amount": amount, "currency": payment.currency}


def _preview_capture(call: CommandCall) -> Preview:
    told = preview_capture(call.subject.public_id)
    money: Money = call.answers["amount"]
    if told.refused:
        raise NotAllowedNow(told.refused)
    released = _refuse_too_much(money, told.most_minor, "is held")
    warnings = [] if released.is_zero else [f"{released} of the hold is released and cannot be taken any more."]
    facts = [KeyValue("Capture", shown(money)), KeyValue("Released", shown(released))]
    return told_beforehand(call, told, f"{money} of the hold is taken.", *facts, warnings=warnings)


def _execute_capture(call: CommandCall) -> Outcome:
    money: Money = call.answers["amount"]
    payment = capture_payment(
        call.subject.public_id,
        amount_minor=money.amount_minor,
        final=True,
        actor=Actor.for_user(call.actor),
        now=call.now,
        version=int(call.version),
    )
    return Outcome(f"Capturing {money}: the gateway is being asked.", page_url(payment))


# --- cancel -----------------------------------------------------------------------------------------------------------


def _preview_cancel(call: CommandCall) -> Preview:
    return told_beforehand(call, preview_cancel(call.subject.public_id), f"{call.subject.reference} is cancelled.")


def _execute_cancel(call: CommandCall) -> Outcome:
    payment = cancel_payment(
        call.subject.public_id, actor=Actor.for_user(call.actor), now=call.now, version=int(call.version)
    )
    done = payment.state == "cancelled"
    return Outcome(
        "Cancelled." if done else "Cancelling is asked; it happens when the gateway has let go.", page_url(payment)
    )


# --- refund -----------------------------------------------------------------------------------------------------------


def _refundable(payment: Payment) -> dict[str, Any]:
    left = _rows(payment).refundable_at_once
    return {"amount": left.to_decimal_string() if left.is_positive else "", "currency": payment.currency}


def _preview_refund(call: CommandCall) -> Preview:
    told = preview_refund(call.subject.public_id)
    money: Money = call.answers["amount"]
    if told.refused:
        raise NotAllowedNow(told.refused)
    left = _refuse_too_much(money, told.most_minor, "can be refunded")
    facts = [KeyValue("Goes back", shown(money)), KeyValue("Refundable afterwards", shown(left))]
    return told_beforehand(call, told, f"{money} goes back to the payer.", *facts)


def _execute_refund(call: CommandCall) -> Outcome:
    money: Money = call.answers["amount"]
    refund = request_refund(
        call.subject.public_id,
        amount_minor=money.amount_minor,
        reason=call.answers["reason"],
        actor=Actor.for_user(call.actor),
        now=call.now,
        version=int(call.version),
    )
    return Outcome(f"Refund {refund.public_id} of {money} is approved and on its way.", page_url(call.subject))


@dataclass(frozen=True, slots=True)
class Texts:
    """What a command's page says of itself."""

    title: str
    intro: str
    button: str


def command_page(name: str, texts: Texts, **parts: Any) -> CommandPage:
    """A command on one payment, with what its page says and how refusals and conflicts are told."""
    return CommandPage(
        name=name, title=texts.title, intro=texts.intro, button=texts.button,
        refusals=(PaymentsError,), conflicts=(Conflict,), describe_conflict=describe_conflict,
        facts=_facts, return_to=page_url, **parts,
    )  # fmt: skip


CAPTURE = command_page(
    "capture",
    Texts("Capture", "The gateway takes what it holds for us, once; the rest of the hold is released.", "Capture"),
    form=AmountForm, preview=_preview_capture, execute=_execute_capture, initial=_capturable,
)  # fmt: skip
CANCEL = command_page(
    "cancel",
    Texts("Cancel", "Nothing is cancelled before it is proven that nothing was taken.", "Cancel the payment"),
    form=NoAnswersForm, preview=_preview_cancel, execute=_execute_cancel,
)  # fmt: skip
REFUND = command_page(
    "refund",
    Texts("Refund", "Captured money goes back to the card it came from, by void or refund.", "Refund"),
    form=RefundForm, preview=_preview_refund, execute=_execute_refund, initial=_refundable,
)  # fmt: skip


def ask(request: HttpRequest, payment: Payment) -> HttpResponse:
    """Ask the gateway now, and say what that changed. Asking twice does no harm: what is known is a no-op."""
    try:
        asked = ask_gateway(payment.public_id, actor=Actor.for_user(request.user), clock=timezone.now)  # type: ignore[arg-type]  # signed in
    except PaymentsError as refusal:
        messages.error(request, str(refusal))
    else:
        if asked.changes:
            messages.success(request, f"The gateway was asked. {' '.join(asked.changes)}")
        elif asked.answered:
            messages.info(request, "The gateway was asked. It said nothing new.")
        else:
            messages.warning(request, "The gateway did not answer. Nothing is concluded from that; try again later.")
    return HttpResponseRedirect(page_url(payment))
