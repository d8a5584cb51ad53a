"""Is one gateway account healthy? Its breaker, its pause, its latest calls and their outcomes. Reads only."""

from __future__ import annotations

from dataclasses import dataclass

from console.links import link_to
from console.values import Chip, KeyValue, Shown, Tone
from payments.models import GatewayAccount, GatewayHealth, Operation
from payments.queries import stops
from payments.queries.ratios import Gauge, gauges
from payments.states import BreakerState, Certainty, OperationState

MOST_CALLS = 8
EVENT_COLUMNS = ("When", "What", "Because", "Who")
CALL_COLUMNS = ("Call", "Payment", "Sent", "Outcome", "What was said")
_BREAKER = {
    BreakerState.CLOSED: Chip("healthy", Tone.GOOD, "check_circle", "Its calls get answers."),
    BreakerState.OPEN: Chip("breaker open", Tone.BAD, "cloud_off", "New payments go elsewhere."),
    BreakerState.HALF_OPEN: Chip("breaker half open", Tone.WARN, "sync_alt", "One payment is let through to try it."),
}
_OUTCOME = {
    Certainty.TAKEN: Chip("done", Tone.GOOD, "check_circle"),
    Certainty.REFUSED: Chip("refused", Tone.QUIET, "block", "An answer: the gateway is healthy."),
    Certainty.NOT_SENT: Chip("not sent", Tone.WARN, "cloud_off", "Counts against the gateway if it got no answer."),
    Certainty.UNKNOWN: Chip("unknown", Tone.WARN, "help", "Counts against the gateway."),
}


@dataclass(frozen=True, slots=True)
class HealthPage:
    """What the health part of an account's page shows."""

    chips: tuple[Chip, ...]
    facts: tuple[KeyValue, ...]
    gauges: tuple[Gauge, ...]
    calls: tuple[tuple[Shown, ...], ...]
    events: tuple[tuple[Shown, ...], ...]


def health_page(account: GatewayAccount) -> HealthPage:
    """Build it: a constant number of queries."""
    health = GatewayHealth.objects.filter(gateway_account=account).select_related("probe").first()
    calls = Operation.objects.filter(gateway_account=account, sent_at__isnull=False).select_related("payment")
    return HealthPage(
        chips=chips_of(account, health),
        facts=_facts(account, health),
        gauges=gauges(account),
        calls=tuple(_call(row) for row in calls.order_by("-sent_at")[:MOST_CALLS]),
        events=tuple(stops.events(account)),
    )


def chips_of(account: GatewayAccount, health: GatewayHealth | None) -> tuple[Chip, ...]:
    """Breaker and pause as chips."""
    chips = [_BREAKER[BreakerState(health.state) if health else BreakerState.CLOSED]]
    if account.paused_at is not None:
        chips.append(Chip("paused", Tone.WARN, "pause_circle", f"By {account.paused_by}: {account.paused_because}"))
    return tuple(chips)


def _facts(account: GatewayAccount, health: GatewayHealth | None) -> tuple[KeyValue, ...]:
    chips = chips_of(account, health)
    lines = [KeyValue("Breaker", chips[0], chips[0].hint)]
    if health is not None and health.failures:
        lines.append(KeyValue("Without an answer", f"{health.failures} in a row", _sentence(health.last_failure)))
    if health is not None and health.state == BreakerState.OPEN:
        lines.append(KeyValue("Open since", health.opened_at))
        lines.append(KeyValue("Asked again", health.next_check_at, "A question that only reads, before any payment."))
    if health is not None and health.probe is not None:
        lines.append(
            KeyValue("Let through", link_to(health.probe.public_id), "Its outcome closes or opens the breaker.")
        )
    if account.paused_at is not None:
        lines.append(KeyValue("Paused", account.paused_at, f"By {account.paused_by}: {account.paused_because}"))
    lines.append(KeyValue("Calls at once", account.max_in_flight or "no cap"))
    lines.append(KeyValue("Calls a second", account.max_per_second or "no cap"))
    return tuple(lines)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _call(row: Operation) -> tuple[Shown, ...]:
    return (row.get_kind_display(), link_to(row.payment.public_id), row.sent_at, _outcome(row), row.message or None)


def _outcome(row: Operation) -> Chip:
    if row.state == OperationState.SENT:
        return Chip("under way", Tone.INFO, "sync")
    if row.state == OperationState.SUCCEEDED:
        return _OUTCOME[Certainty.TAKEN]
    return _OUTCOME[Certainty(row.certainty) if row.certainty else Certainty.UNKNOWN]


def health_chips(accounts: list[GatewayAccount]) -> dict[int, tuple[Chip, ...]]:
    """Breaker and pause of each account, for lists: one query."""
    rows = {row.gateway_account_id: row for row in GatewayHealth.objects.filter(gateway_account__in=accounts)}
    return {account.pk: chips_of(account, rows.get(account.pk)) for account in accounts}
