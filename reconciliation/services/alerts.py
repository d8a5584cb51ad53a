"""Who has to know that something is wrong, and do they? Alarms ring by the account's terms and are told by e-mail, once.

An alarm is a row first and an e-mail second. The row says what was told and whether it left; a mail server that is away
keeps it due, so that none is lost. It is said again only when it has grown by a step, and ends by itself when it is over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.urls import reverse

from reconciliation.models import Alert, StatementAccount
from reconciliation.queries.alarms import Level, levels

log = logging.getLogger(__name__)
Clock = Callable[[], datetime]
_AGAIN_AFTER: Final = timedelta(minutes=5)
_TELLING: Final = 0x43F << 40 | 0xA1  # session advisory lock of whoever tells


def watch(clock: Clock) -> int:
    """This function will look at every account, and tell what is due: the beat's call. Returns how many alerts were told.

    Safe to run twice and side by side. Writes: as `ring` and `tell`.
    """
    for account_id in StatementAccount.objects.order_by("pk").values_list("pk", flat=True):
        ring(account_id, clock())
    return tell(clock)


def ring(account_id: int, now: datetime) -> list[Alert]:
    """This function will compare an account with its thresholds, and return the alerts that ring now.

    What is above one for the first time is to be told; so is what has grown by the threshold once more since it was told.
    What has fallen below it ends. Idempotent on: account, kind and currency, while open. Writes: alerts.
    Locks: the account's terms.
    """
    with transaction.atomic():
        account = StatementAccount.objects.select_for_update().get(pk=account_id)
        still = {(alert.kind, alert.currency): alert for alert in Alert.objects.filter(account=account, ended_at=None)}
        ringing = [
            _ring(account, level, still.pop((level.kind, level.currency), None), now) for level in levels(account, now)
        ]
        for alert in still.values():
            alert.ended_at = now
            if alert.told_at is not None:  # one whose e-mail never left is told all the same
                alert.next_check_at = None
            alert.save(update_fields=["ended_at", "next_check_at"])
    return ringing


def _ring(account: StatementAccount, level: Level, alert: Alert | None, now: datetime) -> Alert:
    if alert is None:
        return Alert.objects.create(
            account=account,
            kind=level.kind,
            currency=level.currency,
            level=level.level,
            detail=level.words[:300],
            raised_at=now,
            next_check_at=now,
        )
    if level.level >= alert.level + level.step:
        alert.level, alert.next_check_at = level.level, now
    alert.detail = level.words[:300]
    alert.save(update_fields=["level", "detail", "next_check_at"])
    return alert


def tell(clock: Clock) -> int:
    """This function will send an e-mail for each account with alerts that are due; returns how many alerts were told.

    One that does not leave is noted on its alerts and tried again in five minutes. Nobody to tell is told at once: the
    alert still rings on the pages and in the metrics. An e-mail may come twice if this process dies between sending and
    noting it. Writes: alerts. No transaction is open while it is sent.
    """
    told = 0
    with _one_at_a_time() as alone:
        due = Alert.objects.filter(next_check_at__lte=clock()).select_related("account").order_by("account", "pk")
        by_account: dict[int, list[Alert]] = {}
        for alert in due if alone else ():
            by_account.setdefault(alert.account_id, []).append(alert)
        for alerts in by_account.values():
            told += _tell(alerts, clock)
    return told


def _tell(alerts: Sequence[Alert], clock: Clock) -> int:
    recipients = list(dict.fromkeys([*alerts[0].account.alert_to, *settings.ALERT_TO]))
    try:
        if recipients:
            _message(alerts, recipients).send()
    except (OSError, ValueError) as trouble:  # of the network, the mail server (SMTPException), or an address
        log.warning("An alarm of %s could not be sent: %s", alerts[0].account.slug, type(trouble).__name__)
        because = f"{type(trouble).__name__}: {trouble}"[:200]
        _note(alerts, failed_because=because, next_check_at=clock() + _AGAIN_AFTER)
        return 0
    _note(alerts, told_at=clock(), told_to=recipients, failed_because="", next_check_at=None)
    return len(alerts)


def _note(alerts: Sequence[Alert], **what: object) -> None:
    """Only on alerts that are as they were told: one that grew meanwhile stays due."""
    for alert in alerts:
        Alert.objects.filter(pk=alert.pk, level=alert.level).update(**what)


def _message(alerts: Sequence[Alert], recipients: list[str]) -> EmailMessage:
    account = alerts[0].account
    first = alerts[0].detail if len(alerts) == 1 else f"{len(alerts)} alarms"
    lines = [f"{account.name}:", "", *(f"* {alert.detail}." + _over(alert) for alert in alerts), ""]
    lines += [f"What is open: {settings.PUBLIC_URL}{reverse('admin:index')}", ""]
    lines += ["This is said once. It is said again when it has grown, and rings on the pages until it is over."]
    return EmailMessage(" ".join(f"{account.name}: {first}".split())[:200], "\n".join(lines), to=recipients)


def _over(alert: Alert) -> str:
    return f" (over since {alert.ended_at:%d %b %Y %H:%M} UTC)" if alert.ended_at else ""


@contextmanager
def _one_at_a_time() -> Iterator[bool]:
    """Two beats do not tell the same twice. The lock ends with the connection, so a killed process frees it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_TELLING])
        got = bool(cursor.fetchone()[0])
    try:
        yield got
    finally:
        if got and connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_TELLING])
