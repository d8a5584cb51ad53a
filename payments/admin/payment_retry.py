"""How does a person have a declined payment tried again, or take a planned retry back? Command pages of one service call each."""

from __future__ import annotations

from console.commands import CommandCall
from console.values import KeyValue, Outcome, Preview, Tone
from payments.admin.payment_commands import Texts, command_page, page_url, told_beforehand
from payments.admin.payment_forms import BecauseForm, NoAnswersForm
from payments.errors import NotAllowedNow
from payments.services import retries
from payments.services.actors import Actor
from payments.services.commands import Preview as Told
from payments.states import PaymentState


def _preview_retry(call: CommandCall) -> Preview:
    refused, lines = retries.preview_retry(call.subject.public_id, call.now)
    told = Told("Try again", lines, refused)
    what = "The rest" if call.subject.state == PaymentState.PARTIALLY_PAID else str(call.subject.money)
    return told_beforehand(call, told, f"{what} is asked for once more, by a new attempt.")


def _execute_retry(call: CommandCall) -> Outcome:
    payment = retries.retry_now(
        call.subject.public_id, actor=Actor.for_user(call.actor), now=call.now, version=int(call.version)
    )
    return Outcome("It is being tried again.", page_url(payment), Tone.INFO)


def _preview_cancel(call: CommandCall) -> Preview:
    """Bound to the retry itself: another one planned meanwhile is not taken back by this."""
    refused, retry = retries.preview_cancel_retry(call.subject.public_id)
    if retry is None:
        raise NotAllowedNow(refused)
    facts = [
        KeyValue("Retry", f"number {retry.number}", retry.because),
        KeyValue("Due", retry.due_at),
        KeyValue("What happens", f"It is not made. {_left(call)}"),
    ]
    return Preview("The planned retry is cancelled.", facts, version=retry.public_id)


def _left(call: CommandCall) -> str:
    if call.subject.state == PaymentState.PARTIALLY_PAID:
        return "The rest is left open; it can be collected by hand."
    return "The payment has then failed; it can be tried again by hand."


def _execute_cancel(call: CommandCall) -> Outcome:
    payment = retries.cancel_retry(
        call.version, because=call.answers["because"], actor=Actor.for_user(call.actor), now=call.now
    )
    return Outcome("The retry is cancelled.", page_url(payment))


RETRY = command_page(
    "retry",
    Texts("Try again", "A new attempt, by the same rules as any: nothing is asked twice while an outcome is open.", "Try again"),
    form=NoAnswersForm, preview=_preview_retry, execute=_execute_retry,
)  # fmt: skip
CANCEL_RETRY = command_page(
    "cancel_retry",
    Texts("Cancel the retry", "What was planned is not tried again by itself.", "Cancel the retry"),
    form=BecauseForm, preview=_preview_cancel, execute=_execute_cancel,
)  # fmt: skip
