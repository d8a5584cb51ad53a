"""May anybody do in the admin what their roles do not give? Every address, as everybody, by every method, told from outside.

The tables below are written by hand and not read from the product: a new address that stands in none of them fails the
walk, and so does one that writes for somebody without the right, or for anybody by looking.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from config.services import make_staff
from ledger.models import Account, JournalEntry
from payments.models import (
    Approval,
    Batch,
    Dispute,
    DueDate,
    InboundEvent,
    Limit,
    NetworkCeiling,
    Payment,
    PaymentMethod,
    Review,
    Route,
    Schedule,
    Switch,
    UnmappedCode,
)
from payments.services.actors import Actor
from payments.services.inbox import Receipt, drain_inbox, store_event
from payments.services.limits import Wanted, ask_limit
from payments.services.methods import record_block
from tests.payments.admin import payment_scenes as scenes
from tests.payments.batches.uploads import started, uploaded
from tests.payments.inbox.deliveries import sale
from tests.project import walk_of_reconciliation as reconciliation

pytestmark = pytest.mark.django_db(transaction=True)

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
"""The last three, which nothing here offers, are tried once at each address, by three people in turn."""
NOBODY = "anonymous"
BARE = "no role"
BOSS = "superuser without a role"
ROLES = ("support", "operator", "finance", "auditor", "admin")
PEOPLE = (NOBODY, BARE, *ROLES, BOSS)
STAFF = frozenset(PEOPLE) - {NOBODY}
PAIRS = ((NOBODY, "finance"), (BARE, "operator"), ("support", "auditor"), ("admin", BOSS))
"""Who goes one after the other through the same rows: they write none."""
assert sorted(person for pair in PAIRS for person in pair) == sorted(PEOPLE)

_MONEY = frozenset({"operator", "finance"})
_ASKING = frozenset({"support", "operator", "finance", "admin"})
_KEEPING = frozenset({"finance", "admin"})
_STEERING = frozenset({"operator", "finance", "admin"})
_SEES_PAYMENTS = frozenset({*ROLES, BOSS})
_SEES_BOOKS = frozenset({"operator", "finance", "auditor", "admin", BOSS})
_SEES_PEOPLE = frozenset({"auditor", "admin", BOSS})

PAGES: dict[str, frozenset[str]] = {
    "index": STAFF,
    "ledger_account_changelist": _SEES_BOOKS,
    "ledger_account_change": _SEES_BOOKS,
    "ledger_account_trial_balance": _SEES_BOOKS,
    "ledger_journalentry_changelist": _SEES_BOOKS,
    "ledger_journalentry_change": _SEES_BOOKS,
    "payments_declinerule_changelist": _SEES_PAYMENTS,
    "payments_declinerule_change": _SEES_PAYMENTS,
    "payments_networkceiling_changelist": _SEES_PAYMENTS,
    "payments_networkceiling_change": _SEES_PAYMENTS,
    "payments_unmappedcode_changelist": _SEES_PAYMENTS,
    "payments_unmappedcode_change": _SEES_PAYMENTS,
    "payments_gatewayaccount_changelist": _SEES_PAYMENTS,
    "payments_gatewayaccount_change": _SEES_PAYMENTS,
    "payments_route_changelist": _SEES_PAYMENTS,
    "payments_route_change": _SEES_PAYMENTS,
    "payments_switch_changelist": _SEES_PAYMENTS,
    "payments_switch_change": _SEES_PAYMENTS,
    "payments_inboundevent_changelist": _SEES_PAYMENTS,
    "payments_inboundevent_change": _SEES_PAYMENTS,
    "payments_payment_changelist": _SEES_PAYMENTS,
    "payments_payment_change": _SEES_PAYMENTS,
    "payments_payment_fresh": _SEES_PAYMENTS,
    "payments_dispute_changelist": _SEES_PAYMENTS,
    "payments_dispute_change": _SEES_PAYMENTS,
    "payments_review_changelist": _SEES_PAYMENTS,
    "payments_review_change": _SEES_PAYMENTS,
    "payments_batch_changelist": _SEES_PAYMENTS,
    "payments_batch_change": _SEES_PAYMENTS,
    "payments_batch_progress": _SEES_PAYMENTS,
    "payments_batch_results": _SEES_PAYMENTS,
    "payments_batch_template": _SEES_PAYMENTS,
    "payments_approval_changelist": _SEES_PAYMENTS,
    "payments_approval_change": _SEES_PAYMENTS,
    "payments_schedule_changelist": _SEES_PAYMENTS,
    "payments_schedule_change": _SEES_PAYMENTS,
    "payments_limit_changelist": _SEES_PAYMENTS,
    "payments_limit_change": _SEES_PAYMENTS,
    "payments_paymentmethod_changelist": _SEES_PAYMENTS,
    "payments_paymentmethod_change": _SEES_PAYMENTS,
    "auth_user_changelist": _SEES_PEOPLE,
    "auth_user_change": _SEES_PEOPLE,
    **reconciliation.PAGES,
}
"""Addresses that show: who sees them. They write nothing for anybody."""

COMMANDS: dict[str, frozenset[str]] = {
    "payments_payment_create": _MONEY,
    "payments_payment_capture": _MONEY,
    "payments_payment_cancel": _MONEY,
    "payments_payment_refund": _MONEY,
    "payments_payment_retry": _MONEY,
    "payments_payment_cancel_retry": _MONEY,
    "payments_payment_accept_short": _MONEY,
    "payments_payment_ask": _ASKING,
    "payments_gatewayaccount_edit": _KEEPING,
    "payments_gatewayaccount_pause": _STEERING,
    "payments_gatewayaccount_resume": _STEERING,
    "payments_route_new": _STEERING,
    "payments_route_order": _STEERING,
    "payments_route_edit": _STEERING,
    "payments_switch_stop_charges": _STEERING,
    "payments_switch_resume_charges": _STEERING,
    "payments_switch_stop_everything": _STEERING,
    "payments_switch_resume_everything": _STEERING,
    "payments_declinerule_edit": _MONEY,
    "payments_networkceiling_edit": _MONEY,
    "payments_networkceiling_add": _MONEY,
    "payments_unmappedcode_classify": _MONEY,
    "payments_inboundevent_replay": _MONEY,
    "payments_batch_upload": _MONEY,
    "payments_batch_start": _MONEY,
    "payments_batch_pause": _MONEY,
    "payments_batch_resume": _MONEY,
    "payments_batch_cancel_rest": _MONEY,
    "payments_batch_retry": _MONEY,
    "payments_batch_discard": _MONEY,
    "payments_approval_approve": _MONEY,
    "payments_approval_reject": _MONEY,
    "payments_approval_withdraw": frozenset(ROLES),  # open to all who look; the service lets the maker alone
    "payments_limit_ask": _MONEY,
    "payments_limit_edit": _MONEY,
    "payments_paymentmethod_schedule": _MONEY,
    "payments_schedule_make": _MONEY,
    "payments_schedule_edit": _MONEY,
    "payments_schedule_pause": _MONEY,
    "payments_schedule_resume": _MONEY,
    "payments_schedule_stop": _MONEY,
    "payments_schedule_charge_overdue": _MONEY,
    "payments_paymentmethod_block": _MONEY,
    "payments_paymentmethod_lift": _MONEY,
    "payments_review_decide_refund": _MONEY,
    "payments_review_decide_apply_here": _MONEY,
    "payments_review_decide_apply_to_other": _MONEY,
    "payments_review_decide_wallet": _MONEY,
    "payments_review_decide_adopt": _MONEY,
    "payments_review_decide_hold_until": _MONEY,
    "payments_review_decide_void_hold": _MONEY,
    "payments_review_decide_send_again": _MONEY,
    "payments_review_decide_give_up": _MONEY,
    "payments_review_decide_give_back": _MONEY,
    "payments_review_decide_never_happened": _MONEY,
    "payments_review_decide_contest": _MONEY,
    "payments_review_decide_accept_dispute": _MONEY,
    "payments_review_decide_noted": _MONEY,
    **reconciliation.COMMANDS,
}
"""Addresses that write: who may. To everybody else they are closed, whatever the method."""

BUTTONS = frozenset({
    "payments_payment_ask", "payments_approval_withdraw", "payments_unmappedcode_classify", "reconciliation_break_take",
    "reconciliation_break_release", "reconciliation_reportjob_cancel", "reconciliation_reportjob_download",
})  # fmt: skip
"""Commands without a page: they answer to POST alone."""

OF_DJANGO = {
    "login", "logout", "password_change", "password_change_done", "second_factor", "jsi18n", "search", "autocomplete",
    "view_on_site", "app_list", None,
}  # fmt: skip
"""Addresses about oneself, and the frame's own: empty forms and forged answers must write nothing here either."""

_IGNORED = frozenset({"django_session"})  # looking at a page keeps one's own session alive
ANSWERS = {
    "step": "execute", "preview_seal": "forged", "reason": "other", "note": "seen in the gateway's dashboard",
    "until": "2100-01-01", "target_payment": "pay_none", "amount": "1.00", "currency": "USD", "token": "tok_ok",
    "capture": "automatic", "reference": "walked", "version": "0", "priority": "1", "name": "walked",
    "old_password": "wrong", "new_password1": "a new one 77", "new_password2": "a new one 77", "username": "operator",
    "password": "wrong", "content_type": "1", "action": "delete_selected", "_selected_action": "1",
}  # fmt: skip


@dataclass(frozen=True)
class Address:
    """One address of the admin, with real rows in its place holders."""

    name: str | None
    path: str


@dataclass
class World:
    """One row of everything that has a page."""

    payment: Payment
    held: Payment
    review: Review
    event: InboundEvent
    blocked: PaymentMethod
    approval: Approval
    limit: Limit
    again: Payment
    checked: Batch
    running: Batch
    recurring: Schedule
    resting: Schedule
    partly: Payment

    def rows(self) -> dict[str, str]:
        """What stands for a row in addresses, by model."""
        return {
            **reconciliation.rows(),
            "anything": f"1/{self.payment.pk}",
            "payment": self.payment.public_id,
            "review": self.review.public_id,
            "dispute": Dispute.objects.values_list("public_id", flat=True)[0],
            "approval": self.approval.public_id,
            "limit": str(self.limit.pk),
            "batch": self.checked.public_id,
            "paymentmethod": self.payment.method.public_id,
            "inboundevent": self.event.public_id,
            "schedule": self.recurring.public_id,
            "gatewayaccount": "nmi",
            "route": str(Route.objects.values_list("pk", flat=True)[0]),
            "switch": str(Switch.objects.values_list("pk", flat=True)[0]),
            "declinerule": "nmi:202",
            "networkceiling": str(NetworkCeiling.objects.values_list("pk", flat=True)[0]),
            "unmappedcode": str(UnmappedCode.objects.values_list("pk", flat=True)[0]),
            "user": "operator",
            "journalentry": JournalEntry.objects.values_list("public_id", flat=True)[0],
            "account": str(Account.objects.values_list("pk", flat=True)[0]),
        }

    def rows_of_commands(self) -> dict[tuple[str, str], str]:
        """The row a command needs where it is not the model's first, by model and command."""
        return {
            ("payment", "retry"): self.again.public_id,
            ("payment", "cancel_retry"): self.again.public_id,
            ("payment", "accept_short"): self.partly.public_id,
            ("payment", "capture"): self.held.public_id,
            ("payment", "cancel"): self.held.public_id,
            ("batch", "pause"): self.running.public_id,
            ("batch", "cancel_rest"): self.running.public_id,
            ("paymentmethod", "lift"): self.blocked.public_id,
            ("schedule", "resume"): self.resting.public_id,
        }

    def by_name(self) -> dict[str, str]:
        """What stands for its rows in the addresses and answers of `DEEDS`."""
        names = ("payment", "held", "again", "partly", "event", "blocked", "approval", "checked", "running", "recurring",
                 "resting")  # fmt: skip
        ids = {name: str(getattr(self, name).public_id) for name in names}
        return {**ids, "method": self.payment.method.public_id, "limit": str(self.limit.pk)}


@pytest.fixture(autouse=True)
def _credentials(settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO = True  # type: ignore[attr-defined]
    monkeypatch.setenv("GATEWAY_NMI_SECURITY_KEY", "key_of_tests")
    monkeypatch.setenv("GATEWAY_NMI_WEBHOOK_SECRET", "nmi_signing_key_1")
    monkeypatch.setenv("GATEWAY_NMI_BASE_URL", "http://127.0.0.1:9/nmi")  # nobody listens: asking fails at once


@pytest.fixture(autouse=True)
def _without_a_word() -> Iterator[None]:
    """Thousands of refusals, each with its traceback in the log, took as long to write down as to give."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def world() -> World:
    now = datetime.now(UTC) - timedelta(hours=2)
    payment = scenes.captured(now, reference="walk-paid")
    held = scenes.authorised(now, reference="walk-held")
    scenes.captured_after_cancel(now, reference="walk-cancelled")
    again = scenes.retry_planned(now, reference="walk-again")
    partly = scenes.partially_paid(now, reference="walk-partly")
    delivery = sale(scenes.gateway_id(payment), payment.attempts.get().reference, amount="125.00", when=now)
    assert store_event("nmi", delivery.headers, delivery.body, now=now) == Receipt.STORED
    drain_inbox(lambda: now)
    NetworkCeiling.objects.create(network="discover", declines=15, window_hours=720)
    UnmappedCode.objects.create(provider="nmi", code="299", seen=1, first_seen_at=now, last_seen_at=now)
    Switch.objects.create(kind="everything", because="a drill", thrown_by="olga", thrown_at=now)
    Dispute.objects.create(
        gateway_account=payment.attempts.get().gateway_account, gateway_id="du_1", charge_id="ch_1", amount_minor=1000,
        currency="USD", act_by=now, opened_at=now,
    )  # fmt: skip
    for role in ROLES:
        make_staff(role, role, "pw")
    User.objects.create_user(BARE, is_staff=True)
    User.objects.create_superuser(BOSS, password="pw")
    blocked, asked, limit = two_people(now)
    uploads = uploaded(lambda: now, "walk-row"), started(lambda: now, "walk-other-row")
    reconciliation.make_rows(now, Actor.for_user(User.objects.get(username="finance")))
    charges = recurring(payment.method, "active"), recurring(payment.method, "paused")
    return World(
        payment,
        held,
        Review.objects.get(),
        InboundEvent.objects.get(),
        blocked,
        asked,
        limit,
        again,
        *uploads,
        *charges,
        partly,
    )


def recurring(method: PaymentMethod, state: str) -> Schedule:
    """A monthly charge with a date that was skipped."""
    today = datetime.now(UTC).date()
    schedule = Schedule.objects.create(
        name="Dues", reference=f"walk-{state}", method=method, amount_minor=1000, currency="USD", interval="month",
        anchor=today, mandate="on paper", state=state, next_due_on=today + timedelta(days=31),
        created_at=datetime.now(UTC),
    )  # fmt: skip
    DueDate.objects.create(schedule=schedule, due_on=today, skipped_because="an outage", decided_at=datetime.now(UTC))
    return schedule


def two_people(now: datetime) -> tuple[PaymentMethod, Approval, Limit]:
    """A blocked method, a request that waits for a second person, and a limit."""
    blocked = PaymentMethod.objects.create(kind="card")
    record_block(blocked, because="stolen", by="", now=now)
    limit = Limit.objects.create(
        action="start_batch", currency="USD", role="operator", per_item_minor=100, per_day_minor=100
    )
    mia = Actor.for_user(make_staff("mia", "operator", "pw"))
    wanted = Wanted("start_batch", "EUR", "operator", 1, 1)
    return blocked, ask_limit(wanted, reason="small uploads", actor=mia, now=now), limit


def routes(patterns: Iterable[URLPattern | URLResolver], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    """Every address below, as it stands in the resolver."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        else:
            yield route, pattern.name


def admin_addresses(world: World) -> list[Address]:
    found = [(route, name) for route, name in routes(get_resolver().url_patterns, "/") if route.startswith("/admin/")]
    rows, special = world.rows(), world.rows_of_commands()
    return [Address(name, filled(route, rows, special)) for route, name in found]


def filled(route: str, rows: dict[str, str], special: dict[tuple[str, str], str]) -> str:
    """Put these rows into the address's place holders."""
    parts = route.split("/")  # "", "admin", app, model, …, command, ""
    model, command = parts[3] if len(parts) > 4 else "", parts[-2]
    row = special.get((model, command)) or rows.get(model, "")
    path = route.replace("<str:object_id>", row).replace("<str:kind>", "csv")
    path = path.replace("<int:number>", rows["evidence"])
    path = path.replace("<path:content_type_id>/<path:object_id>", rows["anything"])
    path = path.replace("^(?P<app_label>ledger|payments|reconciliation|auth)/$", "payments/")
    return path.replace("(?P<url>.*)$", "no/such/page")


def client_of(person: str) -> Client:
    client = Client(raise_request_exception=False)
    if person != NOBODY:
        client.force_login(User.objects.get(username=person))
    return client


def snapshot() -> dict[str, tuple[int, int]]:
    """Of every table: how many rows, and a sum over their contents. Equal snapshots: nothing was written."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
        tables = sorted({row[0] for row in cursor.fetchall()} - _IGNORED)
        parts = [
            f"SELECT '{table}', count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) FROM \"{table}\" t"
            for table in tables
        ]
        cursor.execute(" UNION ALL ".join(parts))
        return {name: (int(rows), int(content)) for name, rows, content in cursor.fetchall()}


class Writing:
    """Listens to what is sent to the database: was anything sent since that could have written, but one's own session?

    Taking a snapshot after every request took minutes. One is taken when this heard something, and one at the end.
    """

    _READS = re.compile(r"\s*(SELECT|EXPLAIN|SHOW|SAVEPOINT|RELEASE|ROLLBACK|DECLARE|FETCH|CLOSE|SET)\b", re.IGNORECASE)

    def __init__(self) -> None:
        self.heard = False

    def __call__(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        if not self._READS.match(str(sql)) and "django_session" not in str(sql):
            self.heard = True
        return execute(sql, params, many, context)


def written(before: dict[str, tuple[int, int]]) -> list[str]:
    after = snapshot()
    return sorted(name for name in after if after[name] != before.get(name))


def ask(client: Client, method: str, path: str) -> int:
    data = ANSWERS if method == "POST" else None
    call = getattr(client, method.lower())
    return int(call(path, data).status_code) if data else int(call(path).status_code)


def expected(address: Address, person: str, method: str) -> set[int]:
    """The answers that may be given: 302 leads the anonymous to the sign-in, 405 is a method nobody offers."""
    if person == NOBODY:
        return {302, 405}
    if address.name == "index":
        return {200}  # Django's home page shows itself to any method
    if address.name in PAGES:
        if method != "GET":
            return {403, 405}
        return {200, 302} if person in PAGES[address.name] else {403}  # 302: to the newest rows
    assert address.name in COMMANDS
    if person not in COMMANDS[address.name]:
        return {403, 405}
    if method == "GET":
        return {405} if address.name in BUTTONS else {200}
    return {200, 302, 409, 422} if method == "POST" else {405}


def methods(address: Address, person: str, number: int) -> list[str]:
    """What is tried there: looking, doing, and for three people at each address one of the methods nothing offers.

    Where several may do it, they take turns at looking and doing: either shows that one is let in, and each is done by
    one of them. A button cannot be looked at, so that there everybody has to press it. A page is opened by half of those
    who may, another half on the next page: what may be seen is given by app, not by page.
    """
    turn = 2 + (number + PEOPLE.index(person)) % len(PEOPLE)
    unused = METHODS[turn : turn + 1]
    doers = sorted(COMMANDS.get(address.name or "", ()))
    if person in doers and len(doers) > 1 and address.name not in BUTTONS:
        return [METHODS[(number + doers.index(person)) % 2], *unused]
    lookers = sorted(PAGES.get(address.name or "", ()))
    if person in lookers and (number + lookers.index(person)) % 2:
        return ["POST", *unused]
    return ["GET", "POST", *unused]


def walked(person: str, addresses: list[Address]) -> Iterator[str]:
    """Go everywhere as this person, and say what was wrong."""
    client = client_of(person)
    before = snapshot()
    writing = Writing()
    for number, address in enumerate(addresses):
        for method in methods(address, person, number):
            if address.name == "logout" and method == "POST":
                continue  # it would end the walk; sessions are not rows of the business
            writing.heard = False
            with connection.execute_wrapper(writing):
                status = ask(client, method, address.path)
            ours = address.name in PAGES or address.name in COMMANDS
            fine = status in expected(address, person, method) if ours else status < 500
            if not fine:
                yield f"{person}: {method} {address.path} answered {status}"
            may_write = method == "POST" and person in COMMANDS.get(address.name or "", frozenset())
            if writing.heard and (changed := written(before)):
                if not (may_write and address.name == "payments_payment_ask"):
                    yield f"{person}: {method} {address.path} wrote {', '.join(changed)}"
                before = snapshot()
    if changed := written(before):
        yield f"{person}: something wrote that was not heard: {', '.join(changed)}"


class TestEveryAddress:
    def test_is_classified_by_hand_here(self, world: World) -> None:
        names = {address.name for address in admin_addresses(world)}

        assert names == set(PAGES) | set(COMMANDS) | OF_DJANGO

    @pytest.mark.parametrize("people", PAIRS, ids=" and ".join)
    def test_answers_by_role_and_writes_only_for_the_right(self, world: World, people: tuple[str, ...]) -> None:
        addresses = admin_addresses(world)
        wrong = [complaint for person in people for complaint in walked(person, addresses)]

        assert not wrong, "\n".join(wrong)


@dataclass(frozen=True)
class Deed:
    """A command somebody may do: where, and with which answers it would write."""

    name: str
    role: str
    answers: dict[str, str]


DEEDS = (
    Deed("payment/{payment}/refund", "operator", {"amount": "5.00", "reason": "returned goods"}),
    Deed("payment/{held}/capture", "operator", {"amount": "100.00"}),
    Deed("payment/{partly}/accept_short", "operator", {"reason": "agreed discount"}),
    Deed("payment/{again}/cancel_retry", "finance", {"because": "the order changed"}),
    Deed("inboundevent/{event}/replay", "operator", {}),
    Deed("batch/{checked}/start", "operator", {"reason": "monthly dues"}),
    Deed("batch/{running}/pause", "operator", {"because": "the bank called"}),
    Deed("approval/{approval}/approve", "finance", {}),
    Deed(
        "limit/ask", "operator",
        {"action": "start_batch", "role": "finance", "currency": "USD", "per_item": "5", "per_day": "9",
         "reason": "small uploads"},
    ),
    Deed("limit/{limit}/edit", "finance", {"per_item": "5", "per_day": "9", "reason": "small uploads"}),
    Deed(
        "schedule/make", "finance",
        {"name": "Dues", "reference": "walk-new", "payment_method": "{method}", "amount": "5.00", "currency": "USD",
         "anchor": "2100-01-31", "mandate": "on paper", "reason": "a new member"},
    ),
    Deed("schedule/{recurring}/edit", "operator", {"name": "Gold dues"}),
    Deed("schedule/{recurring}/pause", "operator", {"because": "moving house"}),
    Deed("schedule/{resting}/resume", "finance", {"because": "moved in"}),
    Deed("schedule/{recurring}/charge_overdue", "operator", {"reason": "the payer agreed"}),
    Deed("paymentmethod/{method}/block", "operator", {"reason": "the payer lost it"}),
    Deed("paymentmethod/{blocked}/lift", "finance", {"reason": "it was found"}),
    Deed("gatewayaccount/nmi/edit", "finance", {"call_seconds": "25"}),
    Deed("gatewayaccount/nmi/pause", "operator", {"reason": "maintenance"}),
    Deed("route/new", "finance", {"name": "Euro", "account": "nmi", "currency": "EUR", "reason": "a new market"}),
    Deed("switch/stop_charges", "operator", {"reason": "fraud wave"}),
    Deed("switch/resume_everything", "admin", {"reason": "it is over"}),
    Deed("declinerule/nmi:202/edit", "operator", {"failure_class": "soft_decline", "reason": "paid on Fridays"}),
    Deed("networkceiling/add", "finance", {"network": "amex", "declines": "5", "reason": "asked by the acquirer"}),
    Deed(
        "payment/create", "operator",
        {"reference": "typed", "amount": "10.00", "currency": "USD", "token": "tok_ok", "capture": "automatic"},
    ),
)  # fmt: skip
"""In one world, one after the other: each finds its row as it needs it."""

DEEDS_OF_USED_ROWS = (
    Deed("payment/{held}/cancel", "operator", {}),
    Deed("batch/{checked}/discard", "finance", {}),
    Deed("batch/{running}/cancel_rest", "finance", {}),
    Deed("approval/{approval}/reject", "operator", {"note": "not for everybody"}),
    Deed("schedule/{recurring}/stop", "finance", {"because": "left the club"}),
    Deed(
        "paymentmethod/{method}/schedule", "operator",
        {"name": "Dues", "reference": "walk-new", "amount": "5.00", "currency": "USD", "anchor": "2100-01-31",
         "mandate": "on paper", "reason": "a new member"},
    ),
)  # fmt: skip
"""In a world of their own: another command on the same row leaves nothing for them to do."""


class TestARightThatWasTakenAway:
    """The walk's own proof that it would notice: the same request writes with the role and writes nothing without it."""

    @pytest.mark.parametrize(
        "deeds", [DEEDS, DEEDS_OF_USED_ROWS], ids=["one of each row", "of rows used up by another"]
    )
    def test_ends_a_command_between_preview_and_confirmation(self, world: World, deeds: tuple[Deed, ...]) -> None:
        rows = world.by_name()
        clients = {role: client_of(role) for role in ROLES}
        for deed in deeds:
            path = f"/admin/payments/{deed.name.format(**rows)}/"
            person, client = User.objects.get(username=deed.role), clients[deed.role]
            roles = list(person.groups.all())
            form = client.get(path).context["form"]
            answers = {name: form[name].value() for name in form.fields if form[name].value() not in (None, "")}
            answers |= {name: answer.format(**rows) for name, answer in deed.answers.items()}
            shown = client.post(path, {**answers, "step": "preview"})
            assert shown.status_code == 200, (deed.name, shown.context["form"].errors)
            confirmed = {**answers, "step": "execute", "preview_seal": shown.context["seal"]}

            person.groups.clear()
            before = snapshot()
            refused = client.post(path, confirmed)
            assert (deed.name, refused.status_code, written(before)) == (deed.name, 403, [])

            person.groups.set(roles)
            before = snapshot()
            done = client.post(path, confirmed)
            assert (deed.name, done.status_code, written(before) != []) == (deed.name, 302, True)


def test_a_superuser_who_is_given_rights_by_hand_still_moves_no_money(world: World) -> None:
    from django.contrib.auth.models import Permission

    boss = User.objects.get(username=BOSS)
    boss.user_permissions.set(Permission.objects.all())
    client = client_of(BOSS)
    before = snapshot()

    status = ask(client, "POST", f"/admin/payments/payment/{world.payment.public_id}/refund/")

    assert (status, written(before)) == (403, [])
