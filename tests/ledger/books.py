"""What do ledger tests post? A few accounts, drafts and a transaction around posting; nothing of the product is replaced."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import transaction

from ledger import chart
from ledger.chart import AccountRef
from ledger.drafts import EntryDraft, PostingDraft, credit, debit
from ledger.money import Money
from ledger.services import PostedEntry, post_entries

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def receivable(currency: str = "USD", gateway: str = "nmi") -> AccountRef:
    return AccountRef(chart.GATEWAY_RECEIVABLE.code, currency, gateway=gateway)


def sales(currency: str = "USD") -> AccountRef:
    return AccountRef(chart.SALES_CLEARING.code, currency)


def wallet(customer: str = "cus_1", currency: str = "USD") -> AccountRef:
    return AccountRef(chart.WALLET.code, currency, customer=customer)


def owed_by(customer: str = "cus_1", currency: str = "USD") -> AccountRef:
    return AccountRef(chart.CUSTOMER_RECEIVABLE.code, currency, customer=customer)


def entry(key: str, *lines: PostingDraft, subject: str = "pay_1", at: datetime = NOON, **more: str) -> EntryDraft:
    return EntryDraft(key, subject, at, more.pop("description", ""), lines, **more)


def capture(
    key: str, minor: int = 1000, currency: str = "USD", subject: str = "pay_1", at: datetime = NOON
) -> EntryDraft:
    money = Money(minor, currency)
    return entry(
        key, debit(receivable(currency), money, subject), credit(sales(currency), money), subject=subject, at=at
    )


def top_up(key: str, minor: int, customer: str = "cus_1") -> EntryDraft:
    money = Money(minor, "USD")
    return entry(key, debit(receivable(), money, "pay_1"), credit(wallet(customer), money))


def spend(key: str, minor: int, customer: str = "cus_1") -> EntryDraft:
    money = Money(minor, "USD")
    return entry(key, debit(wallet(customer), money), credit(sales(), money))


def post(*drafts: EntryDraft, now: datetime = NOON) -> list[PostedEntry]:
    """Post in a transaction of its own (a savepoint inside a test's transaction)."""
    with transaction.atomic():
        return post_entries(drafts, now=now)
