"""May a gateway account be asked for new money? A breaker moved by real outcomes alone, and by probes that read before they charge.

Only calls that were not sent or whose outcome is unknown count against a gateway. A refusal is an answer: it is healthy.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import reduce

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Least

from payments.gateways.errors import GatewayError
from payments.models import GatewayAccount, GatewayHealth, HealthEvent, Incident
from payments.services.calls import Clock, adapter_for, ask
from payments.services.incidents import close_incident, open_incident
from payments.services.switches import stopped_everything
from payments.states import COLLECTING, OPEN_OPERATION_STATES, BreakerState, Certainty

log = logging.getLogger(__name__)
_LONGEST_WAIT = timedelta(minutes=10)
_MOST_COUNTED = 30_000  # of failures in a row; the column holds little more
_PROBE_LEASE = timedelta(seconds=5)  # beyond the call's own time: nobody else probes meanwhile
_HEALTHY = frozenset({Certainty.TAKEN, Certainty.REFUSED})


def note_outcome(
    account_id: int, *, certainty: Certainty | str, message: str, now: datetime, payment_id: int | None = None
) -> None:
    """Count the outcome of one call that was really made: not one that we ourselves called off before it.

    Writes nothing while a healthy account stays healthy. Safe to be told twice: at worst one failure counts twice.
    Writes: the health of the account, its history, the incident.
    """
    rows = GatewayHealth.objects.filter(gateway_account_id=account_id)
    health = rows.first()
    if certainty in _HEALTHY:
        if health is not None:
            _healthy(health, now, payment_id)
        return
    if health is None:
        GatewayHealth.objects.bulk_create([GatewayHealth(gateway_account_id=account_id)], ignore_conflicts=True)
        health = rows.get()
    with transaction.atomic():
        _unhealthy(health, message[:200], now, payment_id)


def _healthy(health: GatewayHealth, now: datetime, payment_id: int | None) -> None:
    row = GatewayHealth.objects.filter(pk=health.pk)
    if health.state == BreakerState.CLOSED and health.failures:
        row.filter(state=BreakerState.CLOSED).update(failures=0)
    elif health.state == BreakerState.HALF_OPEN and payment_id is not None:
        with transaction.atomic():
            closed = row.filter(state=BreakerState.HALF_OPEN, probe_id=payment_id).update(
                state=BreakerState.CLOSED, failures=0, opened_at=None, next_check_at=None, probe=None
            )
            if closed:
                _note(health.gateway_account_id, "breaker closed", "The payment let through got an answer.", now)
                close_incident(health.gateway_account_id, Incident.Kind.BREAKER_OPEN, now)


def _unhealthy(health: GatewayHealth, message: str, now: datetime, payment_id: int | None) -> None:
    """One more in a row. While open, only probes count: what fails then was under way before."""
    row = GatewayHealth.objects.filter(pk=health.pk)
    counts = Q(state=BreakerState.CLOSED)
    if payment_id is not None:
        counts |= Q(state=BreakerState.HALF_OPEN, probe_id=payment_id)
    if not row.filter(counts).update(failures=Least(F("failures") + 1, _MOST_COUNTED), last_failure=message):
        return
    health.refresh_from_db()  # under the row's lock, which the update has taken
    account = health.gateway_account
    if health.state == BreakerState.CLOSED and health.failures < account.breaker_failures:
        return
    again = health.state == BreakerState.HALF_OPEN
    row.update(
        state=BreakerState.OPEN,
        opened_at=health.opened_at if again else now,
        next_check_at=now + _wait(account, health.failures),
        probe=None,
    )
    _note(account.pk, "breaker opened again" if again else "breaker opened", _failures(health), now)
    open_incident(account.pk, Incident.Kind.BREAKER_OPEN, now, detail=_failures(health))


def _wait(account: GatewayAccount, failures: int) -> timedelta:
    """The account's own wait, doubled for each failure beyond those that opened it, ten minutes at most."""
    own = timedelta(seconds=account.breaker_seconds)
    doublings = range(min(max(failures - account.breaker_failures, 0), 20))
    longer = reduce(lambda wait, _: wait * 2, doublings, own)
    return max(own, min(longer, _LONGEST_WAIT))


def _failures(health: GatewayHealth) -> str:
    times = "once" if health.failures == 1 else f"{health.failures} times in a row"
    return f"No answer {times}: {health.last_failure or 'no reason is known'}."[:300]


def why_not(account: GatewayAccount, *, payment_id: int, now: datetime, peek: bool = False) -> str:
    """Why may this payment not be charged here now? Empty: it may.

    Asked when routing and right before a collecting call; nothing else is ever held back by a breaker. While half open
    the first payment that asks becomes the one let through. Writes: that claim; with `peek` nothing.
    """
    if account.paused_at is not None:
        return f"paused by {account.paused_by}: {account.paused_because}"
    health = GatewayHealth.objects.filter(gateway_account=account).first()
    if health is None or health.state == BreakerState.CLOSED:
        return ""
    times = f"no answer {health.failures} times in a row ({health.last_failure})"
    if health.state == BreakerState.OPEN:
        until = f", not before {health.next_check_at:%H:%M} UTC" if health.next_check_at else ""
        return f"{times}, breaker open{until}"
    if health.probe_id in {None, payment_id} if peek else _claim_probe(health, account, payment_id, now):
        return ""
    return f"{times}, breaker half open and one payment is trying it"


def _claim_probe(health: GatewayHealth, account: GatewayAccount, payment_id: int, now: datetime) -> bool:
    """Compare-and-set: one payment is let through. Should it never be sent, `probe_due` lets another one try."""
    if health.probe_id == payment_id:
        return True
    row = GatewayHealth.objects.filter(pk=health.pk, state=BreakerState.HALF_OPEN, probe=None)
    return bool(row.update(probe_id=payment_id, next_check_at=now + timedelta(seconds=account.breaker_seconds)))


def probe_due(clock: Clock, *, limit: int = 50) -> int:
    """This function will ask each gateway whose breaker is due to be probed, reading only; returns how many were worked on.

    Outside any transaction. An answer half-opens the breaker; no answer doubles the wait. Doubled runs are safe: whoever
    moves `next_check_at` first does the work. Nothing is asked while everything is stopped.
    """
    if stopped_everything():
        return 0
    due = GatewayHealth.objects.filter(next_check_at__lte=clock()).select_related("gateway_account")
    worked = 0
    for health in due.order_by("next_check_at")[:limit]:
        worked += _probe(health, clock) if health.state == BreakerState.OPEN else _free_probe(health, clock())
    return worked


def _probe(health: GatewayHealth, clock: Clock) -> int:
    account, now = health.gateway_account, clock()
    lease = now + timedelta(seconds=account.call_seconds) + _PROBE_LEASE
    row = GatewayHealth.objects.filter(pk=health.pk, state=BreakerState.OPEN)
    if not row.filter(next_check_at=health.next_check_at).update(next_check_at=lease):
        return 0
    trouble = _read(account, clock)
    now = clock()
    with transaction.atomic():
        mine = row.filter(next_check_at=lease)
        if not trouble:
            if mine.update(state=BreakerState.HALF_OPEN, next_check_at=None, probe=None):
                _note(account.pk, "breaker half open", "It answered a question; the next payment may try it.", now)
            return 1
        failures = min(health.failures + 1, _MOST_COUNTED)
        wait = _wait(account, failures)
        if mine.update(failures=failures, last_failure=trouble, next_check_at=now + wait):
            open_incident(account.pk, Incident.Kind.BREAKER_OPEN, now)
    return 1


def _read(account: GatewayAccount, clock: Clock) -> str:
    """Ask the smallest question there is; the trouble it met, or empty."""
    adapter = adapter_for(account)
    try:
        answer = ask(account, adapter.probe_request(), clock)
    except GatewayError as error:
        return str(error)[:200] or type(error).__name__
    except Exception as error:  # one gateway must not keep the others from being asked
        log.exception("The probe of %s could not be made.", account.slug)
        return f"it could not be asked ({type(error).__name__})"
    return "" if adapter.probe_answer(answer) else f"its answer to a question was unusable (HTTP {answer.status})"


def _free_probe(health: GatewayHealth, now: datetime) -> int:
    """The payment let through has made no call in time: give its turn to the next, unless its call is still open."""
    row = GatewayHealth.objects.filter(
        pk=health.pk, state=BreakerState.HALF_OPEN, probe_id=health.probe_id, next_check_at=health.next_check_at
    )
    if _has_open_call(health):
        seconds = health.gateway_account.breaker_seconds
        return row.update(next_check_at=now + timedelta(seconds=seconds))
    return row.update(probe=None, next_check_at=None)


def _has_open_call(health: GatewayHealth) -> bool:
    if health.probe is None:
        return False
    calls = health.probe.operations.filter(gateway_account_id=health.gateway_account_id)
    kinds, states = [kind.value for kind in COLLECTING], [state.value for state in OPEN_OPERATION_STATES]
    return calls.filter(kind__in=kinds, state__in=states).exists()


def _note(account_id: int, what: str, because: str, now: datetime) -> None:
    HealthEvent.objects.create(gateway_account_id=account_id, at=now, what=what, because=because[:300])
