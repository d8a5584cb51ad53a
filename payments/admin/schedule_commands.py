"""How does a person make, change, pause, resume or stop a recurring charge? Command pages, each one service call."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from console.commands import CommandCall, CommandPage
from console.values import Amount, KeyValue, Outcome, Preview, Tone
from ledger.money import Money
from payments.admin.payment_commands import describe_conflict, page_url
from payments.admin.schedule_forms import BecauseForm, EditForm, MakeForm, OverdueForm
from payments.errors import Conflict, InvalidInput, NotAllowedNow, PaymentsError
from payments.models import Approval, PaymentMethod, Schedule
from payments.queries.schedule_page import day, interval_words, next_dates, schedule_chip, schedule_url, skipped_dates
from payments.services.actors import Actor
from payments.services.schedules import editing, making, moving, overdue
from payments.services.schedules.requests import Changes, ScheduleRequest
from payments.states import ScheduleState


def _facts(schedule: Schedule) -> list[KeyValue]:
    return [
        KeyValue("Charge", schedule.name),
        KeyValue("State", schedule_chip(schedule)),
        KeyValue("Each", Amount(schedule.amount_minor, schedule.currency)),
        KeyValue("Due", interval_words(schedule)),
        KeyValue("Next", day(schedule.next_due_on)),
        KeyValue("Paid with", str(schedule.method)),
    ]


def _page(name: str, title: str, intro: str, button: str, **more: Any) -> CommandPage:
    return CommandPage(
        name=name,
        title=title,
        intro=intro,
        button=button,
        refusals=(PaymentsError,),
        conflicts=(Conflict,),
        describe_conflict=describe_conflict,
        **{"facts": _facts, "return_to": schedule_url, **more},
    )


def _ask_or_do(because: str, reason: str, does: str) -> tuple[str, list[KeyValue]]:
    """The preview's sentence, and the lines of a second person. Raises: InvalidInput if they would get no reason."""
    if not because:
        return does, []
    if not reason.strip():
        raise InvalidInput(f"A second person has to agree. {because} Write a reason for them.", field="reason")
    return "A second person is asked. Nothing changes before they agree.", [
        KeyValue("Second person", because), KeyValue("Reason", reason),
    ]  # fmt: skip


def _asked(approval: Approval) -> Outcome:
    address = reverse("admin:payments_approval_change", args=(approval.public_id,))
    return Outcome("Asked. Another person has to agree.", address, Tone.INFO)


# --- make -------------------------------------------------------------------------------------------------------------


def _request(call: CommandCall) -> ScheduleRequest:
    answers, money = call.answers, call.answers["money"]
    return ScheduleRequest(
        name=answers["name"],
        reference=answers["reference"],
        payment_method=answers["payment_method"],
        amount_minor=money.amount_minor,
        currency=money.currency,
        interval=answers["interval"],
        every=answers["every"],
        anchor=answers["anchor"],
        ends_on=answers["ends_on"],
        mandate=answers["mandate"],
    )


def _preview_make(call: CommandCall) -> Preview:
    request = _request(call)
    lines, beware = making.preview_schedule(request, call.now)
    because = making.second_person_because(request.money, actor=Actor.for_user(call.actor), now=call.now)
    does = f"{request.money} is charged {making.interval_words(request.interval, request.every)}, from {day(request.anchor)} on."
    summary, second = _ask_or_do(because, call.answers["reason"], does)
    planned = Schedule(
        anchor=request.anchor, interval=request.interval, every=request.every, ends_on=request.ends_on,
        next_due_on=request.anchor, state=ScheduleState.ACTIVE,
    )  # fmt: skip
    coming = KeyValue("First dates", ", ".join(str(day(due)) for due in next_dates(planned)))
    warnings = [f"{beware} Make sure that the payer has agreed anew since then."] if beware else []
    return Preview(summary, [*(KeyValue(*line) for line in lines), coming, *second], warnings=warnings)


def _make(call: CommandCall) -> Outcome:
    actor = Actor.for_user(call.actor)
    made = making.make_schedule(_request(call), reason=call.answers["reason"], actor=actor, now=call.now)
    if made.approval is not None:
        return _asked(made.approval)
    assert made.schedule is not None
    return Outcome(f"Set up. The first charge is due on {day(made.schedule.anchor)}.", schedule_url(made.schedule))


def _facts_of_method(method: PaymentMethod | None) -> list[KeyValue]:
    return [KeyValue("Payment method", str(method))] if method else []


def _return_from_making(method: PaymentMethod | None) -> str:
    if method is None:
        return reverse("admin:payments_schedule_changelist")
    return reverse("admin:payments_paymentmethod_change", args=(method.public_id,))


MAKE = _page(
    "make", "Set up a recurring charge",
    "By the payer's mandate, without them. They have paid once, so that a gateway keeps their card.", "Set it up",
    form=MakeForm, preview=_preview_make, execute=_make, facts=_facts_of_method, return_to=_return_from_making,
    initial=lambda method: {"payment_method": method.public_id if method else "", "every": 1, "interval": "month"},
)  # fmt: skip


# --- edit -------------------------------------------------------------------------------------------------------------


def _as_it_is(schedule: Schedule) -> dict[str, Any]:
    return {
        "name": schedule.name,
        "amount": schedule.money.to_decimal_string(),
        "currency": schedule.currency,
        "payment_method": schedule.method.public_id,
        "ends_on": schedule.ends_on,
        "mandate": schedule.mandate,
    }


def _changes(call: CommandCall) -> Changes:
    answers = call.answers
    money: Money = answers["amount"]
    return Changes(
        name=answers["name"],
        amount_minor=money.amount_minor,
        payment_method=answers["payment_method"],
        ends_on=answers["ends_on"],
        endless=answers["ends_on"] is None,
        mandate=answers["mandate"],
    )


def _preview_edit(call: CommandCall) -> Preview:
    schedule: Schedule = call.subject
    actor = Actor.for_user(call.actor)
    lines, because = editing.preview_edit(schedule.public_id, _changes(call), actor=actor, now=call.now)
    does = "Later dates are charged like this. What is charged already stays as it is."
    summary, second = _ask_or_do(because, call.answers["reason"], does)
    ends_on, due = call.answers["ends_on"], schedule.next_due_on
    over = ends_on is not None and due is not None and ends_on < due
    warnings = ["No date is left before that day: it ends at once."] if over else []
    facts = [*(KeyValue(*line) for line in lines), *second]
    return Preview(summary, facts, warnings=warnings, version=str(schedule.version))


def _edit(call: CommandCall) -> Outcome:
    made = editing.edit_schedule(
        call.subject.public_id,
        _changes(call),
        version=int(call.version),
        reason=call.answers["reason"],
        actor=Actor.for_user(call.actor),
        now=call.now,
    )
    return _asked(made.approval) if made.approval is not None else Outcome("Changed.", schedule_url(call.subject))


EDIT = _page(
    "edit", "Change a recurring charge", "When it is due can not be changed: stop it, and set up another one.",
    "Change it", form=EditForm, preview=_preview_edit, execute=_edit, initial=_as_it_is,
)  # fmt: skip


# --- pause, resume, stop ----------------------------------------------------------------------------------------------


def _bound(call: CommandCall) -> dict[str, Any]:
    """What these three tell the service."""
    because, version = call.answers["because"], int(call.version)
    return {"because": because, "version": version, "actor": Actor.for_user(call.actor), "now": call.now}


def _preview(call: CommandCall, summary: str) -> Preview:
    return Preview(summary, [KeyValue("Reason", call.answers["because"])], version=str(call.subject.version))


def _preview_pause(call: CommandCall) -> Preview:
    if call.subject.state != ScheduleState.ACTIVE:
        raise NotAllowedNow(f"It is {call.subject.state}: only one that runs can be paused.")
    return _preview(call, "No date is charged until somebody resumes it. Payments that are made already go on.")


def _pause(call: CommandCall) -> Outcome:
    moving.pause_schedule(call.subject.public_id, **_bound(call))
    return Outcome("Paused.", schedule_url(call.subject), Tone.INFO)


PAUSE = _page(
    "pause", "Pause a recurring charge", "Dates that fall into the pause are not made up for by themselves.",
    "Pause it", form=BecauseForm, preview=_preview_pause, execute=_pause,
)  # fmt: skip


def _preview_resume(call: CommandCall) -> Preview:
    refusal = moving.why_not_resumed(call.subject)
    if refusal:
        raise NotAllowedNow(refusal)
    return _preview(
        call, "Dates are charged again, from today on. What fell into the pause is written down as skipped."
    )


def _resume(call: CommandCall) -> Outcome:
    schedule = moving.resume_schedule(call.subject.public_id, **_bound(call))
    due = day(schedule.next_due_on)
    return Outcome(
        f"It runs again; next on {due}." if due else "It has ended: no date is left.", schedule_url(schedule)
    )


RESUME = _page(
    "resume", "Resume a recurring charge", "Only if what made it rest is over, or its payment method was changed.",
    "Resume it", form=BecauseForm, preview=_preview_resume, execute=_resume,
)  # fmt: skip


def _preview_stop(call: CommandCall) -> Preview:
    if call.subject.state not in (ScheduleState.ACTIVE, ScheduleState.PAUSED):
        raise NotAllowedNow(f"It has {call.subject.state} already.")
    return _preview(
        call, "No date is ever charged again. Payments that are made already go on: cancel them one by one."
    )


def _stop(call: CommandCall) -> Outcome:
    moving.stop_schedule(call.subject.public_id, **_bound(call))
    return Outcome("Stopped for good.", schedule_url(call.subject), Tone.INFO)


STOP = _page(
    "stop", "Stop a recurring charge", "For a payer who has left. It can not be started again.", "Stop it",
    form=BecauseForm, preview=_preview_stop, execute=_stop,
)  # fmt: skip


# --- charge a skipped date --------------------------------------------------------------------------------------------


def _dates(schedule: Schedule) -> dict[str, Any]:
    """The newest of them to begin with."""
    dates = [(row.due_on.isoformat(), day(row.due_on)) for row in skipped_dates(schedule)]
    return {"dates": dates, "due_on": dates[0][0] if dates else ""}


def _preview_overdue(call: CommandCall) -> Preview:
    actor, schedule = Actor.for_user(call.actor), call.subject
    lines, because = overdue.preview_overdue(schedule.public_id, call.answers["due_on"], actor=actor, now=call.now)
    does = f"{schedule.money} is charged now, for {day(call.answers['due_on'])}."
    summary, second = _ask_or_do(because, call.answers["reason"], does)
    return Preview(summary, [*(KeyValue(*line) for line in lines), *second])


def _charge_overdue(call: CommandCall) -> Outcome:
    charged = overdue.charge_overdue(
        call.subject.public_id,
        call.answers["due_on"],
        reason=call.answers["reason"],
        actor=Actor.for_user(call.actor),
        now=call.now,
    )
    if charged.approval is not None:
        return _asked(charged.approval)
    assert charged.payment is not None
    return Outcome(f"{charged.payment.public_id} charges it. This page follows it.", page_url(charged.payment))


CHARGE_OVERDUE = _page(
    "charge_overdue", "Charge a skipped date", "At the amount that holds today, with the payment method it has now.",
    "Charge it", form=OverdueForm, preview=_preview_overdue, execute=_charge_overdue, initial=_dates,
)  # fmt: skip
