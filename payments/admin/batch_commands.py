"""How does a person start, hold, end or put away an upload? Command pages, each one service call, bound to the upload's version."""

from __future__ import annotations

from typing import Any

from django import forms
from django.urls import reverse

from console.commands import CommandCall, CommandPage
from console.values import Amount, KeyValue, Outcome, Preview, Tone
from payments.admin.batch_detail import batch_chip, class_words, counted
from payments.admin.payment_commands import describe_conflict
from payments.admin.payment_forms import CommandForm, NoAnswersForm
from payments.errors import Conflict, InvalidInput, NotAllowedNow, PaymentsError
from payments.models import Batch
from payments.services.actors import Actor
from payments.services.batches.controls import cancel_rest, pause_batch, resume_batch
from payments.services.batches.retrying import ask_retries, declined_groups
from payments.services.batches.starting import second_person_because, start_batch
from payments.services.batches.upload import discard_batch
from payments.states import BatchState

S = BatchState


class StartForm(CommandForm):
    """Nothing to answer for whoever may start alone; else why it is wanted."""

    reason = forms.CharField(
        required=False,
        max_length=400,
        help_text="Needed above your limit: a second person reads it before they agree.",
    )


class PauseForm(CommandForm):
    """Why it stands still."""

    because = forms.CharField(label="Reason", max_length=150, help_text="Shown on the page until it goes on.")


def url_of(batch: Batch) -> str:
    """Where an upload's page is."""
    return reverse("admin:payments_batch_change", args=(batch.public_id,))


def _facts(batch: Batch) -> list[KeyValue]:
    return [
        KeyValue("File", batch.name),
        KeyValue("State", batch_chip(batch)),
        KeyValue("Rows", f"{batch.rows_total - batch.rows_bad:,} good, {batch.rows_bad:,} with problems"),
        *_totals(batch),
    ]


def _totals(batch: Batch) -> list[KeyValue]:
    return [
        KeyValue(f"Total in {currency}", Amount(minor, currency), counted(count, "payment"))
        for currency, (count, minor) in sorted(batch.totals.items())
    ]


def _require(batch: Batch, what: str, *states: BatchState) -> None:
    if batch.state not in states:
        raise NotAllowedNow(f"The upload is {batch.state.replace('_', ' ')}: {what}.")


def _page(name: str, title: str, intro: str, button: str, **more: Any) -> CommandPage:
    return CommandPage(
        name=name,
        title=title,
        intro=intro,
        button=button,
        refusals=(PaymentsError,),
        conflicts=(Conflict,),
        describe_conflict=describe_conflict,
        facts=_facts,
        return_to=url_of,
        **{"form": NoAnswersForm, **more},
    )


def _preview(batch: Batch, summary: str, *facts: KeyValue, **more: Any) -> Preview:
    return Preview(summary, facts, version=str(batch.version), **more)


# --- start ------------------------------------------------------------------------------------------------------------


def _preview_start(call: CommandCall) -> Preview:
    batch: Batch = call.subject
    _require(batch, "only a checked one can be started", S.CHECKED)
    good = batch.rows_total - batch.rows_bad
    if not good:
        raise NotAllowedNow("No row of it is good: there is nothing to start.")
    because = second_person_because(batch, actor=Actor.for_user(call.actor), now=call.now)
    if because and not call.answers["reason"].strip():
        raise InvalidInput(f"A second person has to agree. {because} Write a reason for them.", field="reason")
    warnings = [f"Left out, because they have problems: {counted(batch.rows_bad, 'row')}."] if batch.rows_bad else []
    if because:
        facts = [KeyValue("Second person", because), KeyValue("Reason", call.answers["reason"])]
        return _preview(
            batch, f"A second person is asked to let {counted(good, 'payment')} begin.", *facts, warnings=warnings
        )
    return _preview(
        batch, f"{counted(good, 'payment')} will be made and charged, one after the other.", warnings=warnings
    )


def _start(call: CommandCall) -> Outcome:
    batch: Batch = call.subject
    begun = start_batch(
        batch.public_id,
        version=int(call.version),
        reason=call.answers["reason"],
        actor=Actor.for_user(call.actor),
        now=call.now,
    )
    if begun.approval is not None:
        waits = f"{begun.approval.public_id} waits for a second person. {begun.because}"
        return Outcome(waits, url_of(batch), Tone.INFO)
    return Outcome("Started. This page follows it.", url_of(batch))


START = _page(
    "start", "Start the upload", "Every good row becomes a payment. Rows with problems are never started.",
    "Start it", form=StartForm, preview=_preview_start, execute=_start,
)  # fmt: skip


# --- pause, resume, cancel, discard -----------------------------------------------------------------------------------


def _preview_pause(call: CommandCall) -> Preview:
    _require(call.subject, "only a running one can be paused", S.RUNNING)
    what = "No further row is begun. Payments that are made already go on to their end."
    return _preview(call.subject, what, KeyValue("Reason", call.answers["because"]))


def _pause(call: CommandCall) -> Outcome:
    batch = pause_batch(
        call.subject.public_id,
        because=call.answers["because"],
        version=int(call.version),
        actor=Actor.for_user(call.actor),
        now=call.now,
    )
    return Outcome("Paused. No further row is begun.", url_of(batch), Tone.INFO)


PAUSE = _page(
    "pause", "Pause the upload", "For a bank incident, or a doubt about the file.", "Pause it",
    form=PauseForm, preview=_preview_pause, execute=_pause,
)  # fmt: skip


def _preview_resume(call: CommandCall) -> Preview:
    _require(call.subject, "only a paused one can go on", S.PAUSED)
    return _preview(call.subject, "It goes on with the next row.", KeyValue("Paused", call.subject.paused_because))


def _resume(call: CommandCall) -> Outcome:
    batch = resume_batch(
        call.subject.public_id, version=int(call.version), actor=Actor.for_user(call.actor), now=call.now
    )
    return Outcome("It goes on.", url_of(batch))


RESUME = _page(
    "resume", "Resume the upload", "Rows are begun again, from where it stopped.", "Let it go on",
    preview=_preview_resume, execute=_resume,
)  # fmt: skip


def _preview_cancel(call: CommandCall) -> Preview:
    batch: Batch = call.subject
    _require(batch, "nothing of it waits to begin", S.RUNNING, S.PAUSED)
    what = "Every row that is not begun is cancelled for good. Payments that are made already go on to their end."
    return _preview(batch, what)


def _cancel(call: CommandCall) -> Outcome:
    count = cancel_rest(
        call.subject.public_id, version=int(call.version), actor=Actor.for_user(call.actor), now=call.now
    )
    return Outcome(f"Cancelled: {counted(count, 'row')}.", url_of(call.subject), Tone.INFO)


CANCEL_REST = _page(
    "cancel_rest", "Cancel the rest", "What is not begun never begins.", "Cancel the rest",
    preview=_preview_cancel, execute=_cancel,
)  # fmt: skip


def _preview_discard(call: CommandCall) -> Preview:
    _require(call.subject, "it can not be discarded any more", S.CHECKED, S.REFUSED)
    return _preview(call.subject, "It is put away, and the cells of its rows are forgotten. Nothing was charged.")


def _discard(call: CommandCall) -> Outcome:
    batch = discard_batch(
        call.subject.public_id, version=int(call.version), actor=Actor.for_user(call.actor), now=call.now
    )
    return Outcome(f"{batch.name} is discarded.", reverse("admin:payments_batch_changelist"), Tone.INFO)


DISCARD = _page(
    "discard", "Discard the upload", "For a file that nobody wants to start.", "Discard it",
    preview=_preview_discard, execute=_discard,
)  # fmt: skip


# --- try declined rows again ------------------------------------------------------------------------------------------


def _preview_retry(call: CommandCall) -> Preview:
    groups = declined_groups(call.subject)
    count = sum(group.count for group in groups if not group.barred)
    if not count:
        raise NotAllowedNow("No declined row may be tried again. Unknown outcomes never are: they are looked up.")
    return _preview(
        call.subject,
        f"To be tried again: {counted(count, 'declined payment')}.",
        columns=("Answer", "Code", "Rows", "What happens"),
        rows=[
            (class_words(group.failure_class), group.code, group.count, group.barred or "tried again")
            for group in groups
        ],
        warnings=["Each one is checked again when its turn comes: what the networks forbid by then is not sent."],
    )


def _retry(call: CommandCall) -> Outcome:
    count = ask_retries(
        call.subject.public_id, version=int(call.version), actor=Actor.for_user(call.actor), now=call.now
    )
    return Outcome(
        f"To be tried again: {counted(count, 'payment')}. What comes of each stands beside its row.",
        url_of(call.subject),
    )


RETRY = _page(
    "retry", "Try declined rows again",
    "Only where the gateway's answer and the networks' rules allow another try. Unknown outcomes are never among them.",
    "Try them again", preview=_preview_retry, execute=_retry,
)  # fmt: skip
