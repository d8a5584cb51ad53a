"""How is a business day closed, with a certificate, and how is it opened again? All proofs first, the book alone after.

One person closes a day on which everything was compared; a day with an account left out, and a day opened again, take two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.db import OperationalError, transaction

from ledger.errors import DayNotClosable
from ledger.services import Closed, close_book, reopen_book
from payments.errors import Conflict, InvalidInput, NotAllowedNow
from payments.services.actors import Actor
from payments.services.approvable import Approvable, Approval, Arguments, Line
from payments.services.approvals import ask_approval
from payments.services.calls import Clock
from reconciliation import certificate as certificates
from reconciliation.models import DayClose
from reconciliation.queries.closing import (
    DayState,
    Objection,
    compared,
    standing_close,
    state_again,
    state_of,
    trial_balance_of,
)
from reconciliation.services.comparison_lock import hold_still, wait_for_run

CLOSE = "reconciliation.close_day"


@dataclass(frozen=True, slots=True)
class ClosePreview:
    """What a close would say. `refused` stops it; `excepted` are the accounts that two people may leave out."""

    state: DayState
    refused: tuple[Objection, ...]
    excepted: tuple[Objection, ...]


def preview_close(day: date, *, exceptions: Mapping[str, str], actor: Actor) -> ClosePreview:
    """Read every proof and comparison of a day anew. Raises: Forbidden, InvalidInput for an exception without a reason."""
    actor.require(CLOSE)
    _check_reasons(exceptions)
    state = state_of(day)
    refused = tuple(one for one in state.objections if one.account not in exceptions or not one.account)
    return ClosePreview(state, refused, tuple(one for one in state.objections if one.account))


def close_day(day: date, *, actor: Actor, now: datetime) -> DayClose:
    """This function will close a day on which every proof holds and every account was compared; one person is enough.

    Raises: Forbidden; NotAllowedNow naming each proof that fails, a day out of order, or postings that do not end.
    Idempotent on: the day; a closed one answers with its close.
    Writes: the close of the books, and the certificate. Locks: the accounts' comparisons, then the book, alone.
    """
    actor.require(CLOSE)
    return _close(day, exceptions={}, closed_by=actor.label, approved_by="", now=now)


def ask_close(day: date, *, exceptions: Mapping[str, str], reason: str, actor: Actor, now: datetime) -> Approval:
    """This function will ask a second person to agree to closing a day without the accounts named, each with its reason.

    Raises: Forbidden, InvalidInput, NotAllowedNow for what nobody may except. Writes: the approval.
    """
    _check_reasons(exceptions)
    if not exceptions:
        raise InvalidInput("Nothing is left out: close the day yourself.", field="exceptions")
    return ask_approval(
        "close_day", day.isoformat(), {"exceptions": dict(exceptions)}, reason=reason, actor=actor, now=now
    )


def ask_reopen(day: date, *, reason: str, actor: Actor, now: datetime) -> Approval:
    """This function will ask a second person to agree to opening the last closed day again.

    Raises: Forbidden, InvalidInput, NotAllowedNow where the day is not the last closed one. Writes: the approval.
    """
    return ask_approval("reopen_day", day.isoformat(), {}, reason=reason, actor=actor, now=now)


def _close(day: date, *, exceptions: Mapping[str, str], closed_by: str, approved_by: str, now: datetime) -> DayClose:
    """What is certified is read while no account is compared and nobody posts: the first look only refuses early."""
    standing = standing_close(day)
    if standing is not None:
        return standing
    _refuse(state_of(day), exceptions)
    try:
        with transaction.atomic():
            hold_still(account.pk for account in compared(day))
            closed = close_book(day, actor=closed_by, now=now)
            state = state_again(closed.first_day, day)
            _refuse(state, exceptions)
            return _certify(state, closed, exceptions, closed_by, approved_by, now)
    except DayNotClosable as error:
        standing = standing_close(day)
        if standing is not None:  # by somebody else, at this moment
            return standing
        raise NotAllowedNow(str(error)) from error
    except OperationalError as error:
        raise NotAllowedNow("Somebody posts without an end: the day is not closed. Try again in a moment.") from error


def _certify(
    state: DayState, closed: Closed, exceptions: Mapping[str, str], closed_by: str, approved_by: str, now: datetime
) -> DayClose:
    previous = DayClose.objects.filter(reopened_at__isnull=True).order_by("-day").first()
    content: dict[str, Any] = {
        "day": closed.day.isoformat(),
        "first_day": closed.first_day.isoformat() if closed.first_day else "",
        "time_zone": settings.BUSINESS_TIME_ZONE,
        "closed_at": now.isoformat(),
        "closed_by": closed_by,
        "approved_by": approved_by,
        "books": {
            "entries": closed.entries.entries_count,
            "digest": closed.entries.digest,
            "debits_minor": closed.entries.debits_minor,
            "trial_balance": trial_balance_of(closed.day),
            "findings": 0,
        },
        "runs": list(state.runs),
        "proofs": list(state.proofs),
        "reports": list(state.reports),
        "open_breaks": list(state.open_breaks),
        "exceptions": dict(sorted(exceptions.items())),
        "previous": {"day": previous.day.isoformat(), "digest": previous.digest} if previous else None,
    }
    made = certificates.sealed(content)
    return DayClose.objects.create(
        day=closed.day,
        closed_at=now,
        closed_by=closed_by[:100],
        approved_by=approved_by[:100],
        certificate=made,
        digest=made["digest"],
        previous=previous,
    )


def _refuse(state: DayState, exceptions: Mapping[str, str]) -> None:
    unneeded = sorted(set(exceptions) - {one.account for one in state.objections})
    if unneeded:
        raise InvalidInput(
            f"{', '.join(unneeded)} was compared, or is none of ours: nothing to except.", field="exceptions"
        )
    left = [one.text for one in state.objections if one.account not in exceptions or not one.account]
    if left:
        raise NotAllowedNow(f"{state.day} can not be closed. " + " ".join(left))


def _check_reasons(exceptions: Mapping[str, str]) -> None:
    for account, reason in exceptions.items():
        if len(reason.strip()) < 5:
            raise InvalidInput(f"Why may {account} be left out? The certificate will say it.", field="exceptions")


# --- what two people agree to -----------------------------------------------------------------------------------------


def _show_close(subject: str, arguments: Arguments, now: datetime) -> list[Line]:
    state, exceptions = state_of(_day_of(subject)), arguments["exceptions"]
    _refuse(state, exceptions)
    value = sum(one["value_minor"] for one in state.open_breaks)
    lines = [
        ("Day", subject),
        ("Reports", f"{len(state.reports)}"),
        ("Open differences", f"{len(state.open_breaks)}, {value} minor units at risk"),
    ]
    lines += [(f"Left out: {account}", reason) for account, reason in sorted(exceptions.items())]
    return lines


def _before_close(subject: str, arguments: Arguments, clock: Clock) -> None:
    for account in compared(_day_of(subject)):
        wait_for_run(account.pk)


def _execute_close(
    subject: str, arguments: Arguments, *, maker: Actor, checker: Actor, approval: Approval, now: datetime
) -> str:
    done = _close(
        _day_of(subject),
        exceptions=arguments["exceptions"],
        closed_by=maker.label,
        approved_by=checker.label,
        now=now,
    )
    return f"{subject} is closed; its certificate is {done.public_id}."


def _show_reopen(subject: str, arguments: Arguments, now: datetime) -> list[Line]:
    close = standing_close(_day_of(subject))
    if close is None:
        raise NotAllowedNow(f"{subject} is not closed.")
    later = DayClose.objects.filter(reopened_at__isnull=True, day__gt=close.day).order_by("day").first()
    if later is not None:
        raise NotAllowedNow(f"{later.day} was closed after it: days are reopened from the last one back.")
    return [("Day", subject), ("Certificate", f"{close.public_id} {close.digest}"), ("Closed by", close.closed_by)]


def _execute_reopen(
    subject: str, arguments: Arguments, *, maker: Actor, checker: Actor, approval: Approval, now: datetime
) -> str:
    day = _day_of(subject)
    close = DayClose.objects.select_for_update().filter(day=day, reopened_at__isnull=True).first()
    if close is None:
        raise Conflict(f"{subject} was reopened at this moment.")
    try:
        reopen_book(day, actor=maker.label, now=now)
    except DayNotClosable as error:
        raise NotAllowedNow(str(error)) from error
    close.reopened_at = now
    close.reopened_by = f"{maker.label} and {checker.label}"[:100]
    close.reopened_because = approval.reason[:400]
    close.save(update_fields=["reopened_at", "reopened_by", "reopened_because"])
    return f"{subject} is open again; its certificate no longer stands."


def _day_of(subject: str) -> date:
    try:
        return date.fromisoformat(subject)
    except ValueError as error:
        raise InvalidInput(f"{subject!r} is no day: write it as 2026-11-20.", field="day") from error


CLOSE_DAY = Approvable(title="Close a day", right=CLOSE, show=_show_close, execute=_execute_close, before=_before_close)
REOPEN_DAY = Approvable(title="Open a closed day again", right=CLOSE, show=_show_reopen, execute=_execute_reopen)
