"""How does a person take less than is due as full payment? A command page of one service call; above a limit it asks a second."""

from __future__ import annotations

from django import forms
from django.urls import reverse

from console.commands import CommandCall
from console.values import KeyValue, Outcome, Preview, Tone
from payments.admin.payment_commands import Texts, command_page, page_url, told_beforehand
from payments.admin.payment_forms import CommandForm
from payments.services.actors import Actor
from payments.services.short import accept_short, preview_short


class ShortForm(CommandForm):
    """Why less is enough; a second person reads it where one is needed."""

    reason = forms.CharField(
        max_length=400, help_text="Shown on the timeline and in the books, e.g. “agreed discount”."
    )


def _preview(call: CommandCall) -> Preview:
    told = preview_short(call.subject.public_id, actor=Actor.for_user(call.actor), now=call.now)
    reason = KeyValue("Reason", call.answers["reason"])
    return told_beforehand(call, told, f"{call.subject.reference} counts as paid with what has come in.", reason)


def _execute(call: CommandCall) -> Outcome:
    done = accept_short(
        call.subject.public_id,
        reason=call.answers["reason"],
        actor=Actor.for_user(call.actor),
        now=call.now,
        version=int(call.version),
    )
    if done.approval is not None:
        address = reverse("admin:payments_approval_change", args=(done.approval.public_id,))
        return Outcome(f"A second person has to agree. {done.because}", address, Tone.INFO)
    return Outcome("Accepted: the payment is paid.", page_url(done.payment))


ACCEPT_SHORT = command_page(
    "accept_short",
    Texts("Accept short", "What has come in counts as all of it. What is missing is given up, and booked as such.", "Accept it"),
    form=ShortForm, preview=_preview, execute=_execute,
)  # fmt: skip
