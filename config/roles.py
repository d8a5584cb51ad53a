"""Who may do what? The role matrix as data. Grants nothing itself: `config.services.sync_roles` does.

Money rights come from a role and from nothing else: services ask the groups, so an administrator or superuser cannot
move money by being one. Whoever looks after the system (admin) and whoever checks it (auditor) hold none.
"""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The five roles; the value is the name of the Django group."""

    SUPPORT = "support"
    OPERATOR = "operator"
    FINANCE = "finance"
    AUDITOR = "auditor"
    ADMIN = "admin"


DEMO_LOGINS = {role.value: f"demo-{role.value}-2024" for role in Role}
"""One person of each role. Printed by every demo start, and refused by a production start (counterfoil.E011)."""


@dataclass(frozen=True, slots=True)
class Right:
    """One thing a person may do: Django's "app_label.codename", the words for people, whether money may move by it."""

    name: str
    words: str
    moves_money: bool = False


RIGHTS: tuple[Right, ...] = (
    Right("payments.create_payment", "create a payment", moves_money=True),
    Right("payments.capture_payment", "capture an authorised payment", moves_money=True),
    Right("payments.cancel_payment", "cancel a payment", moves_money=True),
    Right("payments.refund_payment", "refund a payment", moves_money=True),
    Right("payments.retry_payment", "try a declined payment again", moves_money=True),
    Right("payments.accept_short", "accept less than is due", moves_money=True),
    Right("payments.decide_review", "decide a review", moves_money=True),
    Right("payments.replay_event", "replay a parked event", moves_money=True),
    Right("payments.approve", "agree to what another person asked for", moves_money=True),
    Right("payments.upload_batch", "upload spreadsheets of payments", moves_money=True),
    Right("payments.start_batch", "start, pause and cancel uploads", moves_money=True),
    Right("payments.edit_schedule", "make and change recurring charges", moves_money=True),
    Right("payments.ask_gateway", "ask the gateway for its word"),
    Right("payments.block_method", "block payment methods, and ask for a block to be lifted"),
    Right("payments.classify_code", "classify decline codes that nobody knows"),
    Right("payments.edit_decline_rule", "ask for changes of decline codes and network ceilings"),
    Right("payments.edit_limit", "ask for changes of limits"),
    Right("payments.edit_gateway_account", "enable and time gateway accounts"),
    Right("payments.edit_route", "ask for changes of routes"),
    Right("payments.throw_switch", "stop and resume sending, and pause gateways"),
    Right("reconciliation.run_reconciliation", "import statements and run reconciliations"),
    Right("reconciliation.resolve_break", "resolve differences", moves_money=True),
    Right("reconciliation.post_journal", "ask for journals by hand", moves_money=True),
    Right("reconciliation.close_day", "close days, and ask for them to be reopened", moves_money=True),
    Right("reconciliation.edit_terms", "ask for changes of terms, rates and column mappings"),
    Right("reconciliation.export_reports", "make and download reports"),
)
"""Every right beyond looking. Replaying counts as moving money: an event that could not be applied may carry some."""

_BOOKS = frozenset({"reconciliation.post_journal", "reconciliation.close_day"})
_MONEY = frozenset(right.name for right in RIGHTS if right.moves_money) - _BOOKS
_REPORTS = frozenset({"reconciliation.run_reconciliation", "reconciliation.export_reports"})
_DECLINES = frozenset({"payments.classify_code", "payments.edit_decline_rule"})
_STEERING = frozenset({"payments.edit_route", "payments.throw_switch"})

MATRIX: dict[Role, frozenset[str]] = {
    Role.SUPPORT: frozenset({"payments.ask_gateway"}),
    Role.OPERATOR: _MONEY
    | _STEERING
    | _DECLINES
    | _REPORTS
    | {"payments.ask_gateway", "payments.block_method", "payments.edit_limit"},
    Role.FINANCE: _MONEY
    | _STEERING
    | _DECLINES
    | _REPORTS
    | _BOOKS
    | {
        "payments.ask_gateway",
        "payments.edit_gateway_account",
        "payments.block_method",
        "payments.edit_limit",
        "reconciliation.edit_terms",
    },
    Role.AUDITOR: frozenset({"reconciliation.export_reports"}),
    Role.ADMIN: _STEERING | {"payments.ask_gateway", "payments.edit_gateway_account"},
}

VIEWED_APPS: dict[Role, tuple[str, ...]] = {
    Role.SUPPORT: ("payments",),
    Role.OPERATOR: ("payments", "ledger", "reconciliation"),
    Role.FINANCE: ("payments", "ledger", "reconciliation"),
    Role.AUDITOR: ("payments", "ledger", "reconciliation", "auth"),
    Role.ADMIN: ("payments", "ledger", "reconciliation", "auth"),
}
"""Whose tables the role may look at: every view permission of these apps. Support answers payers and needs no books."""

DESCRIPTIONS: dict[Role, str] = {
    Role.SUPPORT: "answers payers: sees payments, may ask the gateway, moves no money",
    Role.OPERATOR: "runs payments: creates, captures, cancels, refunds and decides reviews",
    Role.FINANCE: "owns the books: what an operator may, closing days, terms and the gateway accounts",
    Role.AUDITOR: "checks and exports everything, changes nothing",
    Role.ADMIN: "keeps the system and its people; holds no right over money",
}


def who_may(right: str) -> tuple[Role, ...]:
    """Return the roles that hold the right, so that a page can say who could."""
    return tuple(role for role in Role if right in MATRIX[role])
