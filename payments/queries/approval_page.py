"""What waits for a second person, and what does the page of one request show? Reads only; who may decide is a service's word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.contrib.auth.models import User

from console.display import grouped
from console.links import link_to
from console.values import Chip, KeyValue, Link, Tone
from payments.models import Approval
from payments.states import ApprovalState

S = ApprovalState
_STATES = {
    S.PENDING: Chip("waits for a second person", Tone.WARN, "hourglass_top", "Nothing is done before somebody agrees."),
    S.EXECUTED: Chip("carried out", Tone.GOOD, "task_alt", "A second person agreed."),
    S.REJECTED: Chip("rejected", Tone.QUIET, "block", "Somebody said no, or it was withdrawn."),
    S.EXPIRED: Chip("expired", Tone.QUIET, "timer_off", "Nobody decided in time."),
    S.OUTDATED: Chip("outdated", Tone.QUIET, "history_toggle_off", "What was shown is no longer so."),
}
_OVERDUE = Chip("overdue", Tone.BAD, "alarm", "The time by which somebody should have decided is past.")
_RUN_OUT = Chip("run out", Tone.QUIET, "timer_off", "Nobody decided in time; it has to be asked for anew.")
PAIR_DAYS = timedelta(days=30)
_SUM = re.compile(r"(?<![\w.,-])(\d{4,}(?:\.\d+)?) ([A-Z]{3,5})\b")


def state_chip(approval: Approval, now: datetime) -> Chip:
    """How far the request has come; loud once its time to decide is past."""
    if approval.state == S.PENDING and now >= approval.expires_at:
        return _RUN_OUT
    if approval.state == S.PENDING and now > approval.due_at:
        return _OVERDUE
    return _STATES[S(approval.state)]


def subject_link(approval: Approval) -> Link:
    """What it is about, in words; a link where its id leads somewhere."""
    known = link_to(approval.subject)
    return Link(subject_words(approval), known.url)


def subject_words(approval: Approval) -> str:
    """What it is about, as it was shown to who asked: its first line names it, for a limit the first two."""
    if approval.subject == "order":
        return "all routes"
    lines = [value for _, value in approval.shown[: 2 if approval.command == "change_limit" else 1]]
    return grouped_money(", ".join(lines)) or approval.subject


def shown_lines(approval: Approval) -> list[KeyValue]:
    """Exactly what is agreed to, as it was shown when it was asked for."""
    return [KeyValue(label, grouped_money(value)) for label, value in approval.shown]


def grouped_money(text: str) -> str:
    """The text with its sums written in thousands, as everywhere else: 1234567.00 USD is 1,234,567.00 USD.

    For people alone: what is sealed, and compared when it is carried out, stays as it was written.
    """
    return _SUM.sub(lambda found: f"{grouped(found[1])} {found[2]}", text)


def asked_lines(approval: Approval) -> list[KeyValue]:
    """Who asked, why and until when it can be decided."""
    pending = approval.state == S.PENDING
    return [
        KeyValue("Asked by", approval.asked_by or "the system"),
        KeyValue("Asked", approval.asked_at),
        *([KeyValue("Decide by", approval.due_at), KeyValue("Runs out", approval.expires_at)] if pending else []),
        KeyValue("About", subject_link(approval)),
        KeyValue(
            "Seal",
            Link(approval.digest[:16], "", code=True),
            "Over everything that was shown; a changed line voids it.",
        ),
    ]


def decided_lines(approval: Approval) -> list[KeyValue]:
    """How it ended."""
    if approval.state == S.PENDING:
        return []
    return [
        KeyValue("Decided by", approval.decided_by or "the system"),
        KeyValue("When", approval.decided_at),
        *([KeyValue("Note", approval.note)] if approval.note else []),
        KeyValue("Outcome", approval.outcome),
    ]


def agreed_before(approval: Approval, user_id: int | None, now: datetime) -> int:
    """How often this person agreed to this maker's requests lately: two who always agree with each other are one."""
    if user_id is None or approval.asked_by_user_id is None:
        return 0
    return Approval.objects.filter(
        state=S.EXECUTED,
        asked_by_user=approval.asked_by_user_id,
        decided_by_user=user_id,
        decided_at__gte=now - PAIR_DAYS,
    ).count()


def who_could(approval: Approval, rights: Sequence[str]) -> str:
    """The people who hold all of these rights and did not ask, by name: "carl, dora"; empty: nobody."""
    people = User.objects.filter(is_active=True, is_staff=True)
    if approval.asked_by_user_id is not None:
        people = people.exclude(pk=approval.asked_by_user_id)
    for right in rights:
        app, _, codename = right.partition(".")
        people = people.filter(groups__permissions__codename=codename, groups__permissions__content_type__app_label=app)
    names = list(people.distinct().order_by("username").values_list("username", flat=True)[:6])
    return ", ".join(names[:5]) + (" and others" if len(names) > 5 else "")


def pending_about(subjects: Sequence[str], *, command: str) -> dict[str, Approval]:
    """The pending request about each of these subjects."""
    asked = Approval.objects.filter(command=command, subject__in=list(subjects), state=S.PENDING)
    return {approval.subject: approval for approval in asked}


def requests_about(subject: str, *, most: int = 20) -> list[Approval]:
    """Every request about one subject, the newest first."""
    return list(Approval.objects.filter(subject=subject).order_by("-id")[:most])
