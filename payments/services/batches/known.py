"""What does the database know against a row? Asked for a chunk of rows at once: references, stored methods, accounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ledger.money import Money
from payments.gateways.base import Command
from payments.models import GatewayAccount, Payment, PaymentMethod
from payments.services.accounts import adapter_of
from payments.services.batches.checking import Checked
from payments.services.methods import why_blocked, why_unusable
from payments.states import OPEN_OR_PAID_STATES, OperationKind

_TAKEN: Final = frozenset(state.value for state in OPEN_OR_PAID_STATES)


class Known:
    """The gateway accounts as they are while one file is read, and the look-ups for each chunk of its rows."""

    def __init__(self) -> None:
        self.accounts = {account.slug: account for account in GatewayAccount.objects.all()}
        self._refusals: dict[tuple[str, str], str] = {}

    def check(self, rows: Sequence[Checked]) -> None:
        """Add problems and warnings to the rows; two queries however many rows."""
        readable = [row for row in rows if row.values]
        self._references(readable)
        self._methods(readable)
        for row in readable:
            self._gateway(row)
            self._fallback(row)

    def _references(self, rows: Sequence[Checked]) -> None:
        wanted = {row.reference for row in rows if row.reference}
        before = (
            Payment.objects.filter(reference__in=wanted).order_by("id").values_list("reference", "public_id", "state")
        )
        open_or_paid: dict[str, tuple[str, str]] = {}
        ended: dict[str, tuple[str, str]] = {}
        for reference, public_id, state in before:
            (open_or_paid if state in _TAKEN else ended)[reference] = (public_id, state)
        for row in rows:
            if row.reference in open_or_paid:
                public_id, state = open_or_paid[row.reference]
                row.wrong("reference", f"Payment {public_id} of this reference is {state} already.")
            elif row.reference in ended:
                public_id, state = ended[row.reference]
                row.warnings.append(
                    ("reference", f"Payment {public_id} of this reference {_ended(state)}; a new one is made.")
                )

    def _methods(self, rows: Sequence[Checked]) -> None:
        named = {name for row in rows if (name := row.values.get("payment_method"))}
        if not named:
            return
        found = PaymentMethod.objects.filter(public_id__in=named).prefetch_related("credentials")
        methods = {method.public_id: method for method in found}
        for row in rows:
            name = row.values.get("payment_method")
            if not name:
                continue
            method = methods.get(name)
            because = (why_blocked(method) or why_unusable(method)) if method else "There is no such payment method."
            if because:
                row.wrong("payment_method", because)

    def _gateway(self, row: Checked) -> None:
        slug = row.values.get("gateway")
        if not slug:
            return
        account = self.accounts.get(slug)
        if account is None:
            row.wrong("gateway", f"There is no gateway account {slug[:40]!r}.")
        elif not account.enabled:
            row.wrong("gateway", f"The gateway account {slug} is switched off.")
        elif row.money is not None and (because := self._refuses(account, row.money)):
            row.wrong("gateway", because)

    def _refuses(self, account: GatewayAccount, money: Money) -> str:
        key = (account.slug, money.currency)
        if key not in self._refusals:
            one = Money(100, money.currency)
            self._refusals[key] = adapter_of(account).refuses(Command(OperationKind.SALE, "x", one, credential="x"))
        return self._refusals[key]

    def _fallback(self, row: Checked) -> None:
        """A row that names credentials of some accounts only can not be taken by the others."""
        held = row.credentials(self.accounts)
        without = sorted(slug for slug, account in self.accounts.items() if account.enabled and slug not in held)
        if len(held) == 1 and without and not row.values.get("gateway"):
            others = " or ".join(without)
            row.warnings.append((next(iter(held)), f"No credential for a fallback: {others} can not take it instead."))


def _ended(state: str) -> str:
    return {"failed": "failed", "expired": "expired"}.get(state, f"is {state.replace('_', ' ')}")
