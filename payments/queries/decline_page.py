"""How often has each code come, what did people say of it, and what waits for a word? Rows for the decline pages; no writes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet

from console.links import link_to
from console.values import Chip, KeyValue, Shown, TimelineItem, Tone
from payments.models import Approval, DeclineRuleChange, NetworkCeiling, Operation, UnmappedCode
from payments.states import ApprovalState, Certainty, FailureClass

LATELY = timedelta(days=30)
_MOST_HISTORY = 50
_TONES = {
    FailureClass.FRAUD: (Tone.BAD, "gpp_bad"),
    FailureClass.HARD_DECLINE: (Tone.BAD, "block"),
    FailureClass.EXPIRED_CARD: (Tone.WARN, "event_busy"),
    FailureClass.INVALID_CARD_DATA: (Tone.WARN, "credit_card_off"),
    FailureClass.AUTHENTICATION_REQUIRED: (Tone.WARN, "verified_user"),
    FailureClass.LIMIT_EXCEEDED: (Tone.WARN, "vertical_align_top"),
    FailureClass.SOFT_DECLINE: (Tone.INFO, "undo"),
    FailureClass.INSUFFICIENT_FUNDS: (Tone.INFO, "account_balance_wallet"),
    FailureClass.GATEWAY_ERROR: (Tone.QUIET, "cloud_off"),
    FailureClass.GATEWAY_UNAVAILABLE: (Tone.QUIET, "cloud_off"),
    FailureClass.CONFIGURATION_ERROR: (Tone.BAD, "build"),
    FailureClass.INVALID_REQUEST: (Tone.BAD, "build"),
    FailureClass.DUPLICATE: (Tone.QUIET, "content_copy"),
    FailureClass.UNKNOWN: (Tone.WARN, "help"),
}
_NAMES = {"nmi": "NMI", "convesiopay": "ConvesioPay", "stripe": "Stripe"}
_CERTAINTIES = {
    Certainty.REFUSED: Chip("nothing taken", Tone.GOOD, "check_circle", "The gateway processed it and took nothing."),
    Certainty.NOT_SENT: Chip("never processed", Tone.GOOD, "check_circle", "It provably never reached processing."),
    Certainty.UNKNOWN: Chip("look-up decides", Tone.WARN, "help", "Money may have moved: the gateway is asked first."),
    Certainty.TAKEN: Chip("taken", Tone.GOOD, "payments"),
}


def words(name: str) -> str:
    """A class or step as people read it."""
    return name.replace("_", " ")


def provider_name(provider: str) -> str:
    """A provider as it writes itself."""
    return _NAMES.get(provider, provider)


def class_chip(failure_class: str) -> Chip:
    """What a refusal means to the business."""
    tone, icon = _TONES[FailureClass(failure_class)]
    return Chip(words(failure_class), tone, icon)


def certainty_chip(certainty: str) -> Chip:
    """May money have moved?"""
    return _CERTAINTIES[Certainty(certainty)]


def seen_lately(now: datetime) -> dict[tuple[str, str], int]:
    """How many refusals of the last 30 days came with each code: (provider, code) to count. One query, index only."""
    rows = _lately(now).values_list("gateway_account__provider", "code").annotate(seen=Count("ended_at"))
    return {(provider, code): seen for provider, code, seen in rows.order_by()}


def handled_otherwise(provider: str, code: str, failure_class: str, now: datetime) -> tuple[int, int]:
    """Of the refusals with a code in the last 30 days: how many there were, and how many had another class than this."""
    rows = _lately(now).filter(gateway_account__provider=provider, code=code)
    told = rows.aggregate(seen=Count("ended_at"), other=Count("ended_at", filter=~Q(failure_class=failure_class)))
    return told["seen"], told["other"]


def _lately(now: datetime) -> QuerySet[Operation]:
    return Operation.objects.filter(state__in=["declined", "failed"], ended_at__gte=now - LATELY).exclude(code="")


def history(provider: str, code: str) -> list[TimelineItem]:
    """Every change of a code's meaning, the newest first."""
    rows = DeclineRuleChange.objects.filter(provider=provider, code=code)[:_MOST_HISTORY]
    return [_change(row) for row in rows]


def _change(row: DeclineRuleChange) -> TimelineItem:
    by = row.actor + (f", agreed to by {row.approved_by}" if row.approved_by else "")
    return TimelineItem(
        at=row.at,
        title=f"{_meant(row.before)} → {_meant(row.after)}",
        cause=f"By {by}.",
        detail=row.reason,
        tone=Tone.INFO,
        icon="edit",
        evidence={"before": row.before, "after": row.after},
    )


def _meant(kept: Mapping[str, Any]) -> str:
    return words(kept["failure_class"]) if kept else "no rule of ours"


def pending_request(command: str, subject: str) -> Approval | None:
    """The change of this that waits for a second person."""
    asked = Approval.objects.filter(command=command, subject=subject, state=ApprovalState.PENDING.value)
    return asked.order_by("id").first()


def waiting_words(approval: Approval | None) -> str:
    """Who has asked for what, while nobody has agreed yet."""
    if approval is None:
        return ""
    asked = "; ".join(f"{label}: {value}" for label, value in approval.shown if label not in ("Version", "Code", "Now"))
    return f"{approval.asked_by or 'The system'} has asked for a change ({approval.public_id}). {asked}."


# --- codes nobody knows -----------------------------------------------------------------------------------------------


def unmapped_facts(row: UnmappedCode) -> tuple[KeyValue, ...]:
    """What is known of a code that nobody knows; the sample's payment comes with the row."""
    payment: Shown = link_to(row.sample.payment.public_id) if row.sample else None
    return (
        KeyValue("Seen", "once" if row.seen == 1 else f"{row.seen:,} times"),
        KeyValue("First", row.first_seen_at),
        KeyValue("Last", row.last_seen_at),
        KeyValue("The gateway's words", row.message or None),
        KeyValue("Last payment", payment),
    )


# --- ceilings ---------------------------------------------------------------------------------------------------------


def ceiling_history(row: NetworkCeiling) -> list[TimelineItem]:
    """Every change of a ceiling that two people have agreed to, the newest first."""
    done = Approval.objects.filter(
        command="change_ceiling", subject=str(row.pk), state=ApprovalState.EXECUTED.value
    ).order_by("-id")[:_MOST_HISTORY]
    return [_agreed(approval) for approval in done]


def _agreed(approval: Approval) -> TimelineItem:
    shown = dict(approval.shown)
    return TimelineItem(
        at=approval.decided_at or approval.asked_at,
        title=shown.get("Then", approval.outcome),
        cause=f"By {approval.asked_by}, agreed to by {approval.decided_by}.",
        detail=f"Before: {shown.get('Now', '')}. {approval.reason}",
        tone=Tone.INFO,
        icon="edit",
    )


def network_words(network: str) -> str:
    """Whose cards a ceiling is for."""
    return network.capitalize() if network else "Every other network"


def ceiling_words(row: NetworkCeiling) -> str:
    """What a ceiling allows: "15 declines within 30 days"."""
    of_what = " of the same amount" if row.same_amount else ""
    return f"{row.declines} decline{'' if row.declines == 1 else 's'}{of_what} {window_words(row)}"


def window_words(ceiling: NetworkCeiling) -> str:
    """The window of a ceiling as people say it."""
    if ceiling.calendar_day:
        return "in one business day"
    days, hours = divmod(ceiling.window_hours, 24)
    return f"within {ceiling.window_hours} hours" if hours or not days else f"within {days} days"
