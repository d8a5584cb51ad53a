"""Which money of a payment must stand in a gateway's report, and which payouts do such reports name? Writes nothing."""

from __future__ import annotations

from collections.abc import Collection

from django.db import connection

from console.links import link_to
from console.values import Link
from payments.models import Payout
from payments.queries.reconciling import MOVED, REPORTED

_OF_A_PAYMENT = f"""
SELECT m.id FROM payments_movement AS m WHERE m.payment_id = %s AND {MOVED} AND {REPORTED}
"""  # noqa: S608 - made of our own constants


def reported_of(payment_id: int) -> set[int]:
    """Movements of a payment that a report has to list: neither holds, nor what was taken back before it settled. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_OF_A_PAYMENT, [payment_id])
        return {row[0] for row in cursor.fetchall()}


def payout_links(named: Collection[tuple[int, str]]) -> dict[tuple[int, str], Link]:
    """Where these payouts have their page, by gateway account and the gateway's own id. One query."""
    rows = Payout.objects.filter(
        gateway_account_id__in={account for account, _ in named}, gateway_id__in={name for _, name in named}
    )
    found = rows.values_list("gateway_account_id", "gateway_id", "public_id")
    return {(account, name): Link(name, link_to(public_id).url, code=True) for account, name, public_id in found}
