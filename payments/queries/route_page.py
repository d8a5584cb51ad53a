"""What does a route say, and who changed it when? Reads routes and the requests a second person agreed to or did not."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q

from console.links import link_to
from console.values import Chip, Shown, Tone
from ledger.money import Money
from payments.models import Approval, Route
from payments.states import ApprovalState

HISTORY_COLUMNS = ("Asked", "By", "What", "State", "Decided by", "Request")
_MOST_SHOWN = 30
_COMMANDS = ("change_route", "order_routes")
ENABLED = Chip("enabled", Tone.GOOD, "check_circle", "Payments may go this way.")
DISABLED = Chip("switched off", Tone.QUIET, "pause_circle", "No payment goes this way.")
WAITING = Chip("change waits", Tone.WARN, "hourglass_top", "A second person has to agree to a change.")
_STATES = {
    ApprovalState.PENDING: Chip("waits for a second person", Tone.WARN, "hourglass_top"),
    ApprovalState.EXECUTED: Chip("in force", Tone.GOOD, "check_circle"),
    ApprovalState.REJECTED: Chip("rejected", Tone.QUIET, "block"),
    ApprovalState.EXPIRED: Chip("expired", Tone.QUIET, "timer_off"),
    ApprovalState.OUTDATED: Chip("outdated", Tone.QUIET, "history"),
}


def band_words(currency: str, min_minor: int | None, max_minor: int | None) -> str:
    """The amounts it takes, for people; bounds in minor units, both inclusive."""
    if min_minor is None and max_minor is None:
        return "every amount"
    if min_minor is None:
        return f"up to {Money(max_minor or 0, currency)}"
    if max_minor is None:
        return f"from {Money(min_minor, currency)}"
    return f"{Money(min_minor, currency)} to {Money(max_minor, currency)}"


def waiting_routes(routes: Sequence[Route]) -> set[int]:
    """Which of these have a change that waits for a second person: one query."""
    pending = Approval.objects.filter(command__in=_COMMANDS, state=ApprovalState.PENDING)
    waiting: set[int] = set()
    for subject, arguments in pending.values_list("subject", "arguments"):
        keys = arguments if subject == "order" else [subject]
        waiting |= {int(key) for key in keys if str(key).isdigit()}
    return waiting & {route.pk for route in routes}


def history(route: Route) -> list[tuple[Shown, ...]]:
    """Every request that was about this route, newest first."""
    own = Q(command="change_route", subject=str(route.pk)) | Q(command="change_route", subject=f"new/{route.name}")
    ordered = Q(command="order_routes", arguments__has_key=str(route.pk))
    rows = Approval.objects.filter(own | ordered).order_by("-id")
    return [_line(row, route) for row in rows[:_MOST_SHOWN]]


def _line(row: Approval, route: Route) -> tuple[Shown, ...]:
    state = ApprovalState(row.state)
    return (
        row.asked_at,
        row.asked_by or "the system",
        _what(row, route),
        _STATES[state],
        row.decided_by or None,
        link_to(row.public_id),
    )


def _what(row: Approval, route: Route) -> str:
    """What was shown to both people, about this route alone."""
    lines = [(label, value) for label, value in row.shown if label not in {"Route", "Version"}]
    if row.command == "order_routes":
        lines = [(label, value) for label, value in lines if label.endswith(f"(#{route.pk})")]
        return "; ".join(value for _, value in lines)
    return "; ".join(f"{label}: {value}" for label, value in lines)
