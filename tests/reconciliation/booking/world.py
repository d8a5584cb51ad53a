"""A gateway account with movements of ours and lines of theirs, made without a gateway: what a day's books start from."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import count

from django.db import transaction

from ledger import queries as ledger
from ledger.chart import AccountRef
from ledger.money import Money
from ledger.services import post_entries
from payments.accounting import Booking as MovementBooking
from payments.accounting import entry_for
from payments.decisions import Posting
from payments.models import GatewayAccount, Movement
from payments.services.accounts import ensure_gateway_account
from payments.states import MovementKind
from reconciliation.models import ContractRate, Line, Match, Run, Statement, StatementAccount
from reconciliation.states import LineKind

DAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 3, 6, 0, tzinfo=UTC)
_numbers = count(1)
_POSTINGS = {
    MovementKind.CAPTURE: Posting.CAPTURE,
    MovementKind.REFUND: Posting.REFUND_EXTERNAL,
    MovementKind.REFUND_RETURN: Posting.SUSPENSE,
    MovementKind.CHARGEBACK: Posting.CHARGEBACK,
    MovementKind.CHARGEBACK_RETURN: Posting.CHARGEBACK_RETURN,
    MovementKind.FEE: Posting.DISPUTE_FEE,
}
LINE_OF = {
    MovementKind.CAPTURE: LineKind.CHARGE,
    MovementKind.REFUND: LineKind.REFUND,
    MovementKind.REFUND_RETURN: LineKind.REFUND_RETURN,
    MovementKind.CHARGEBACK: LineKind.CHARGEBACK,
    MovementKind.CHARGEBACK_RETURN: LineKind.CHARGEBACK_RETURN,
    MovementKind.FEE: LineKind.DISPUTE_FEE,
}
INTO = frozenset({MovementKind.CAPTURE, MovementKind.REFUND_RETURN, MovementKind.CHARGEBACK_RETURN})


class World:
    """One gateway account, its terms and one statement of it."""

    def __init__(self, slug: str = "stripe", provider: str = "stripe") -> None:
        self.gateway: GatewayAccount = ensure_gateway_account(slug, provider, slug.title())
        self.account, _ = StatementAccount.objects.get_or_create(
            slug=slug, defaults={"name": slug, "kind": "gateway", "gateway_account": self.gateway, "source": "csv"}
        )
        self.statement = Statement.objects.create(
            account=self.account, source="csv", name="march.csv", sha256=f"{next(_numbers):064}", state="read",
            received_at=NOW,
        )  # fmt: skip
        self.run = Run.objects.create(account=self.account, day=DAY)

    def moved(self, kind: MovementKind, minor: int, currency: str = "USD", *, on: date = DAY) -> Movement:
        """A movement as `record_fact` leaves it: row and entry."""
        gateway_id, at = f"tx_{next(_numbers)}", at_noon(on)
        key, money = f"movement:{self.account.slug}:{gateway_id}:{kind}", Money(minor, currency)
        booking = MovementBooking(key, gateway_id, "", at, self.account.slug, gateway_id, disputed=gateway_id)
        with transaction.atomic():
            draft = entry_for(_POSTINGS[kind], money, booking)
            assert draft is not None
            post_entries([draft], now=NOW)
            return Movement.objects.create(
                gateway_account=self.gateway, gateway_id=gateway_id, kind=kind, amount_minor=minor, currency=currency,
                occurred_at=at, posted_at=NOW, entry_source_key=key,
            )  # fmt: skip

    def line(
        self, kind: LineKind, gross_minor: int, currency: str = "USD", *, on: date = DAY, **fields: object
    ) -> Line:
        """A line as ingestion leaves it; with a fee or tax named, its net is there too."""
        fields.setdefault("line_key", f"txn_{next(_numbers)}")
        fee, tax = fields.get("fee_minor"), fields.get("tax_minor")
        if fee is not None or tax is not None:
            fields.setdefault("net_minor", gross_minor - int(str(fee or 0)) - int(str(tax or 0)))
        return Line.objects.create(
            account=self.account, statement=self.statement, number=next(_numbers), kind=kind, day=on,
            occurred_at=at_noon(on), currency=currency, gross_minor=gross_minor, content_hash="", **fields,
        )  # fmt: skip

    def match(self, line: Line, *movements: Movement, many_lines: bool = False) -> list[Match]:
        """What the engine would have found."""
        many = len(movements) > 1
        return [
            Match.objects.create(
                account=self.account, line=line, movement_id=movement.pk, rule="gateway_id", many_movements=many,
                many_lines=many_lines, matched_at=NOW,
            )
            for movement in movements
        ]  # fmt: skip

    def rate(self, kind: str = "charge", percent: str = "2.9", fixed: int = 30, **fields: object) -> ContractRate:
        fields = {"currency": "USD", "valid_from": date(2026, 1, 1), "source": "contract", **fields}
        return ContractRate.objects.create(
            account=self.account, kind=kind, percent=Decimal(percent), fixed_minor=fixed, **fields
        )

    def balance(self, code: str = "1110", currency: str = "USD") -> int:
        """Minor units, debit positive."""
        own = {"gateway": self.account.slug} if code not in {"1010", "1140", "1190"} else {}
        return ledger.balance(AccountRef(code, currency, **own)).amount_minor


def at_noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)
