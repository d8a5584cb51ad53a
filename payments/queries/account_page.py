"""How is a gateway account doing? Its clocks in human units, its last event, its trouble, its open questions. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet
from django.urls import reverse

from console.links import link_to
from console.values import Chip, KeyValue, Link, Shown, Tone
from payments.models import GatewayAccount, Incident, Operation
from payments.queries.health_page import HealthPage, health_page
from payments.queries.queues import MOST_COUNTED, capped
from payments.states import OperationState

CLOCKS = (
    "planned_seconds", "send_window_seconds", "call_seconds", "look_up_first_seconds", "absence_look_ups",
    "absence_seconds", "look_up_limit", "expiry_seconds", "grace_seconds", "hold_warning_seconds", "orphan_seconds",
    "settlement_wait_seconds",
)  # fmt: skip
_LABELS = {
    "planned_seconds": "Run again after",
    "send_window_seconds": "First byte within",
    "call_seconds": "A call ends within",
    "look_up_first_seconds": "First look-up after",
    "absence_look_ups": "Absence: look-ups without a trace",
    "absence_seconds": "Absence: at the earliest after",
    "look_up_limit": "A person is asked after look-ups",
    "expiry_seconds": "A payment lapses after",
    "grace_seconds": "Late money still pays within",
    "hold_warning_seconds": "Warn before a hold ends",
    "orphan_seconds": "Money of nobody after",
    "settlement_wait_seconds": "A refund waits for its batch at most",
}
_STEERING = {
    "breaker_failures": ("Breaker opens after", "calls without an answer in a row"),
    "breaker_seconds": ("Open breaker: asked again after", "seconds"),
    "max_in_flight": ("Calls at once", "0: no cap"),
    "max_per_second": ("Calls a second", "0: no cap"),
    "decline_alarm_percent": ("Declines are red above", "percent"),
    "dispute_alarm_percent": ("Disputes are red above", "percent"),
    "reduced_percent": ("A reduced try asks for", "percent of what was refused"),
    "reduced_floor_percent": ("A reduced try asks at least for", "percent of what is due"),
    "most_reductions": ("Reduced tries", "0: never"),
}
OPERATION_COLUMNS = ("Operation", "Payment", "Call", "Sent", "Answered look-ups", "Unanswered", "Asked again")
INCIDENT_COLUMNS = ("Trouble", "State", "Since", "Last seen", "Times", "Detail")
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_MOST_SHOWN = 10
ENABLED = Chip("enabled", Tone.GOOD, "check_circle", "It takes new attempts.")
DISABLED = Chip("disabled", Tone.QUIET, "pause_circle", "No new attempts; open ones are followed to their end.")
LIVE = Chip("live", Tone.WARN, "payments", "Real money.")
TEST = Chip("test", Tone.INFO, "science", "No real money.")
SHARED = Chip("shared", Tone.QUIET, "group", "Other systems use it too: what is not ours is foreign.")
OWN = Chip("ours alone", Tone.QUIET, "person", "Money that is not ours is an orphan, and a case is opened.")
UNCONFIRMED = Chip(
    "contract unconfirmed",
    Tone.WARN,
    "unpublished",
    "Its documentation is not public: parts of what is sent are assumed.",
)


@dataclass(frozen=True, slots=True)
class AccountPage:
    """Everything the page of one account shows that stands in our tables."""

    switches: tuple[Chip, ...]
    clocks: tuple[KeyValue, ...]
    health: tuple[KeyValue, ...]
    steering: HealthPage
    incidents: tuple[tuple[Shown, ...], ...]
    unanswered: tuple[tuple[Shown, ...], ...]


def switches(account: GatewayAccount) -> tuple[Chip, ...]:
    """Its switches as chips: enabled, live, shared."""
    return (
        ENABLED if account.enabled else DISABLED,
        LIVE if account.live else TEST,
        SHARED if account.shared else OWN,
    )


def clock_label(name: str) -> str:
    """What a clock is called on pages and forms."""
    return _LABELS[name]


def setting_label(name: str) -> str:
    """What any setting of an account is called on forms and in previews."""
    if name in _LABELS:
        return _LABELS[name]
    return _STEERING[name][0] if name in _STEERING else name.capitalize()


def setting_unit(name: str) -> str:
    """In what it is typed; empty where nothing needs saying."""
    if name in _LABELS:
        return "seconds" if name.endswith("_seconds") else "times"
    return _STEERING[name][1] if name in _STEERING else ""


def in_units(seconds: int) -> str:
    """Write seconds as people do, exactly: 900 is "15 minutes", 90 "1 minute 30 seconds"."""
    parts, rest = [], seconds
    for width, unit in _UNITS:
        count, rest = divmod(rest, width)
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return " ".join(parts) or "at once"


def clock_words(name: str, value: int) -> str:
    """A setting's value in words: durations in units, the others as numbers."""
    return in_units(value) if name.endswith("_seconds") else str(value)


def account_page(account: GatewayAccount, now: datetime) -> AccountPage:
    """Build the page of one account."""
    waiting = list(_unanswered(account)[: MOST_COUNTED + 1])
    return AccountPage(
        switches=switches(account),
        clocks=tuple(_clock(account, name) for name in CLOCKS),
        health=_health(account, len(waiting), now),
        steering=health_page(account),
        incidents=tuple(_incident(row) for row in account.incidents.order_by("closed_at", "-id")[:_MOST_SHOWN]),
        unanswered=tuple(_operation(row) for row in waiting[:_MOST_SHOWN]),
    )


def open_incidents_of(accounts: Sequence[GatewayAccount]) -> dict[int, str]:
    """The open trouble of each account in words, for the list: one query."""
    rows = Incident.objects.filter(gateway_account__in=accounts, closed_at=None).order_by("id")
    words: dict[int, list[str]] = {}
    for row in rows:
        words.setdefault(row.gateway_account_id, []).append(str(row.get_kind_display()))
    return {key: ", ".join(kinds) for key, kinds in words.items()}


def _clock(account: GatewayAccount, name: str) -> KeyValue:
    field = GatewayAccount._meta.get_field(name)  # noqa: SLF001 - Django's documented interface
    return KeyValue(_LABELS[name], clock_words(name, getattr(account, name)), str(getattr(field, "help_text", "")))


def _health(account: GatewayAccount, unanswered: int, now: datetime) -> tuple[KeyValue, ...]:
    run = account.refused_signatures
    refused: Shown = Chip(f"{run} in a run", Tone.WARN, "gpp_bad") if run else "none since the last good one"
    inbox = f"{reverse('admin:payments_inboundevent_changelist')}?gateway_account__id__exact={account.pk}"
    quiet = "" if account.last_event_at else "No verified event has ever come in."
    return (
        KeyValue("Last event", account.last_event_at, quiet),
        KeyValue("Refused signatures", refused, f"{account.refused_signatures_total:,} in all."),
        KeyValue("Outcomes unknown", capped(unanswered), "Operations the gateway is being asked about."),
        KeyValue("Its events", Link("Open the inbox", inbox)),
    )


def _unanswered(account: GatewayAccount) -> QuerySet[Operation]:
    rows = Operation.objects.filter(gateway_account=account, state=OperationState.UNKNOWN.value)
    return rows.select_related("payment").order_by("next_check_at", "id")


def _operation(row: Operation) -> tuple[Shown, ...]:
    return (
        Link(row.public_id, "", code=True),
        link_to(row.payment.public_id),
        row.kind,
        row.sent_at,
        row.look_ups_answered,
        row.look_ups_unanswered,
        row.next_check_at,
    )


def _incident(row: Incident) -> tuple[Shown, ...]:
    over = row.closed_at is not None
    chip = Chip("over", Tone.GOOD, "task_alt") if over else Chip("open", Tone.WARN, "cloud_off")
    return (str(row.get_kind_display()), chip, row.opened_at, row.last_seen_at, row.count, row.detail)
