"""Several gateways, payers at their bank, senders that freeze, money that comes late: the acts, and what must hold after each."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db import connection

from ledger.models import JournalEntry, Posting
from payments.models import Attempt, Movement, Operation, Payment, Refund, Retry, Review, Transition
from payments.services.actors import Actor
from payments.services.execution import _next_step
from payments.services.inbox import back_fill, store_event
from payments.services.retries import cancel_retry, retry_now
from payments.services.reviews import options_of
from payments.services.switches import lift_switch, pause_account, resume_account, throw_switch
from payments.states import (
    COLLECTING,
    FINAL_STATES,
    OPEN_ATTEMPT_STATES,
    OPEN_OPERATION_STATES,
    Certainty,
    OperationState,
    ReviewKind,
    ReviewState,
)
from tests.payments.factories import new_payment, operator
from tests.payments.failover.sleepers import Frozen, fall_asleep
from tests.payments.flows.books import balance
from tests.payments.flows.world import World
from tests.simulator_fixture import SimulatorError

GATEWAYS = ("nmi", "stripe", "convesiopay")
_APPROVES = {"approve": "payer_approves", "fail": "payer_fails", "abandon": "payer_abandons"}
_ENDED = frozenset({OperationState.DECLINED.value, OperationState.FAILED.value})


@dataclass
class Gateways(World):
    """Everything one example has. Indexes are taken modulo what there is."""

    frozen: list[Frozen] = field(default_factory=list)
    sent: set[int] = field(default_factory=set)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    # --- who is meant -------------------------------------------------------------------------------------------------

    def attempt(self, index: int) -> Attempt | None:
        attempts = list(Attempt.objects.select_related("gateway_account", "payment").order_by("id"))
        return attempts[index % len(attempts)] if attempts else None

    def boss(self) -> Actor:
        return operator("throw_switch", "retry_payment")

    # --- the merchant and the operator --------------------------------------------------------------------------------

    def begin(self, token: str, capture: str, days: int) -> None:
        new_payment(
            self.clock,
            token=token,
            capture=capture,
            email="payer@example.com",
            expires_in_seconds=days * 86_400 or 3600,
            return_url="https://shop.example/back",
        )

    def retry(self, index: int) -> None:
        payment = self.payment(index)
        if payment is not None:
            self._try(lambda: retry_now(payment.public_id, actor=self.boss(), now=self.clock()))

    def cancel_retry(self, index: int) -> None:
        retries = list(Retry.objects.order_by("id"))
        if retries:
            retry = retries[index % len(retries)].public_id
            self._try(lambda: cancel_retry(retry, because="the order changed", actor=self.boss(), now=self.clock()))

    def switch(self, kind: str, *, thrown: bool) -> None:
        act = throw_switch if thrown else lift_switch
        self._try(lambda: act(kind, reason="a drill", actor=self.boss(), now=self.clock()))

    def pause(self, slug: str, *, paused: bool) -> None:
        act = pause_account if paused else resume_account
        self._try(lambda: act(slug, reason="a drill", actor=self.boss(), now=self.clock()))

    # --- the gateways' own side ---------------------------------------------------------------------------------------

    def trouble(self, gateway: str, fault: str, operation: str) -> None:
        if gateway == "convesiopay" and fault == "webhook_missing":
            return  # it has no list: nobody would ever tell of money that bears an old reference
        self.simulator.fault(fault, operation, gateway=gateway, times=1)

    def payer(self, index: int, does: str) -> None:
        """The payer's open tab, whatever has become of the payment meanwhile."""
        attempt = self.attempt(index)
        if attempt is not None:
            does = _APPROVES[does] if attempt.gateway_account.provider == "convesiopay" else does
            self._act(attempt, does)

    def late_money(self, index: int, *, manual: bool) -> None:
        """What was given up comes to life at the gateway: it bears the attempt's reference, and nobody asked again."""
        attempt = self.attempt(index)
        if attempt is not None:
            self._act(attempt, "auth" if manual else "sale", amount_minor=attempt.payment.amount_minor)

    def first_attempt_comes_late(self, index: int) -> None:
        """The first gateway takes it after all, whatever it had said."""
        payment = self.payment(index)
        attempt = payment.attempts.order_by("number").first() if payment else None
        if attempt is not None:
            self._act(attempt, "sale", amount_minor=attempt.payment.amount_minor)

    def _act(self, attempt: Attempt, action: str, **more: object) -> None:
        try:
            self.simulator.act(action, gateway=attempt.gateway_account.slug, reference=attempt.reference, **more)
        except SimulatorError as refused:
            self.said.append(str(refused))

    def settle_batch(self) -> None:
        self.simulator.act("batch_settle")

    def pass_time(self, **time: float) -> None:
        """What is due by then has happened; what comes later still waits."""
        self.simulator.act("advance_clock", seconds=timedelta(**time).total_seconds())
        self.clock.pass_(**time)
        self.simulator.wait_until_nothing_is_due()

    # --- webhooks -----------------------------------------------------------------------------------------------------

    def log(self) -> list[tuple[str, dict[str, object]]]:
        return [(slug, row) for slug in GATEWAYS for row in self.simulator.webhooks(gateway=slug)]

    def deliver(self, index: int) -> None:
        log = self.log()
        if log:
            self._store(*log[index % len(log)])
            self.drain()

    def deliver_rest(self) -> None:
        for slug, row in self.log():
            if f"{slug}:{row['event_id']}" not in self.delivered:
                self._store(slug, row)
        self.drain()

    def _store(self, slug: str, row: dict[str, object]) -> None:
        body = str(row["body"]).encode()
        headers = {str(k).lower(): str(v) for k, v in dict(row["headers"]).items()}  # type: ignore[call-overload]
        if slug == "stripe":  # signed anew: its tolerance is minutes, and this machine's time leaps
            stamp = str(int(self.clock().timestamp()))
            mac = hmac.new(b"whsec_demo", stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
            headers["stripe-signature"] = f"t={stamp},v1={mac}"
        store_event(slug, headers, body, now=self.clock())
        self.delivered.add(f"{slug}:{row['event_id']}")

    def back_fill(self) -> None:
        """What no webhook told of is read from the gateways' own lists."""
        asks = operator("ask_gateway")
        for slug in ("nmi", "stripe"):
            back_fill(slug, self.began, self.clock() + timedelta(minutes=1), self.clock, actor=asks)

    # --- senders that freeze ------------------------------------------------------------------------------------------

    def freeze(self, index: int, *, answered: bool) -> None:
        """A worker takes the payment's next step, and sleeps in its call: before the first byte, or after the answer."""
        payment = self.payment(index)
        if payment is None or any(f.ready.payment_id == payment.pk for f in self.frozen):
            return
        for _ in range(3):
            step = _next_step(payment.pk, self.clock())
            if step is None or step.ask:
                return
            if step.operation_id is not None:
                sender = fall_asleep(step.operation_id, self.clock, answered=answered)
                self.frozen += [sender] if sender is not None else []
                return

    def thaw(self, index: int) -> None:
        """It wakes up, and does what it was about to do, whatever the time."""
        if self.frozen:
            self.frozen.pop(index % len(self.frozen)).wake_up(self.clock)

    def kill(self, index: int) -> None:
        """Its session is gone; it may still wake up."""
        if self.frozen:
            self.frozen[index % len(self.frozen)].lose_session()

    def close(self) -> None:
        for sender in self.frozen:
            sender.lose_session()
        self.frozen.clear()

    # --- what must hold after each step -------------------------------------------------------------------------------

    def assert_each_step(self) -> None:
        self.assert_books_hold()
        for payment in Payment.objects.exclude(state__in=[s.value for s in FINAL_STATES]):
            assert payment.waits_for and payment.next_check_at, f"{payment} is {payment.state} and waits for nobody"
        for payment in Payment.objects.prefetch_related("attempts"):
            open_ones = [a for a in payment.attempts.all() if a.state in OPEN_ATTEMPT_STATES]
            assert len(open_ones) <= 1, f"{payment} has {len(open_ones)} open attempts"
        self._assert_sent_rightly()
        for payment in Payment.objects.filter(attempts__number=2):
            self._assert_second_money_is_a_case(payment)

    def _assert_sent_rightly(self) -> None:
        """Nothing is collected while an earlier attempt has money, a hold or a payer at its gateway, by truth or by our books."""
        collecting = Operation.objects.filter(kind__in=[k.value for k in COLLECTING]).exclude(sent_at=None)
        new = collecting.exclude(pk__in=self.sent).select_related("attempt")
        for operation in new:
            self.sent.add(operation.pk)
            earlier = Attempt.objects.filter(payment=operation.payment_id, number__lt=operation.attempt.number)
            for attempt in earlier.select_related("gateway_account"):
                assert operation.sent_at is not None
                self._assert_given_up(attempt, operation.sent_at)

    def _assert_given_up(self, attempt: Attempt, sent_at: datetime) -> None:
        what = f"{attempt.payment} attempt {attempt.number}"
        tried = attempt.operations.get(kind__in=[k.value for k in COLLECTING])
        assert tried.state not in OPEN_OPERATION_STATES, f"{what}: its {tried.kind} is {tried.state}"
        assert tried.ended_at is not None
        if tried.state == OperationState.SUCCEEDED:  # the payer was asked, and it was closed
            assert attempt.operations.filter(kind="close").exists() or attempt.failure_class, f"{what} was not closed"
        else:
            assert tried.state in _ENDED
            assert tried.certainty in {Certainty.REFUSED, Certainty.NOT_SENT}, what
            doubted = Transition.objects.filter(operation=tried, after__operation="unknown").exists()
            if doubted and tried.state == OperationState.FAILED and tried.failure_class == "gateway_unavailable":
                assert tried.look_ups.filter(counts=True).exists(), f"{what}: absence without a proof"
        books = self.simulator.books(attempt.reference, gateway=attempt.gateway_account.slug)
        given_up_at = max(o.ended_at for o in attempt.operations.exclude(ended_at=None) if o.ended_at)
        for row in _alive(books["movements"], sent_at):
            moved_at = datetime.fromisoformat(row["occurred_at"])
            assert moved_at > given_up_at, f"{what} had {row['kind']} {row['gateway_id']} when it was given up"
            known = Movement.objects.filter(gateway_id=row["gateway_id"], kind=row["kind"], posted_at__lt=sent_at)
            assert not known.exists(), f"{what}: {row['kind']} {row['gateway_id']} was known, and another was asked"
        for row in books["transactions"]:
            waits = row["condition"] in {"requires_action", "AwaitingAction"} and row["reference"] == attempt.reference
            assert not waits, f"{what} could still be confirmed by its payer"

    def _assert_second_money_is_a_case(self, payment: Payment) -> None:
        """Money of two attempts: the later one is a case of its own transaction, and what we owe the payer."""
        left: Counter[int] = Counter()
        for movement in payment.movements.order_by("id"):
            by = movement.attempt_id or 0
            others = sum(amount for attempt_id, amount in left.items() if attempt_id != by)
            if movement.kind == "capture" and movement.amount_minor > 0:
                if others > 0 and left[by] == 0:
                    self._assert_double(movement)
                left[by] += movement.amount_minor
            elif movement.kind == "refund" or (movement.kind == "void" and left[by] > 0):
                left[by] -= min(movement.amount_minor, left[by])

    def _assert_double(self, movement: Movement) -> None:
        what = f"{movement.payment} {movement.kind} {movement.gateway_id}"
        told = Transition.objects.filter(entry_source_key=movement.entry_source_key).first()
        assert told is not None, what
        reviews = Review.objects.filter(gateway_id=movement.gateway_id, kind=ReviewKind.SECOND_CAPTURE)
        made = [r for r in reviews if told.after.get(r.public_id) == "open" and r.public_id not in told.before]
        assert len(made) == 1, f"{what}: {told.because}"
        assert made[0].gateway_account_id == movement.gateway_account_id, what
        entry = JournalEntry.objects.get(source_key=movement.entry_source_key)
        owed = Posting.objects.filter(entry=entry, account__code="2040")
        assert [p.amount_minor for p in owed] == [-movement.amount_minor], what
        assert _xact("payments_transition", told.pk) == _xact("ledger_journalentry", entry.pk), what

    def assert_refunds_are_prepared(self) -> None:
        for review in Review.objects.filter(kind=ReviewKind.SECOND_CAPTURE, state=ReviewState.OPEN):
            best = [o for o in options_of(review) if o.recommended]
            assert [(o.code, o.refused) for o in best] == [("refund", "")], f"{review}: {best}"

    # --- rest ---------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """No trouble any more: switches lifted, accounts resumed, senders ended, everything told, and days pass."""
        self.close()
        for kind in ("charges", "everything"):
            self.switch(kind, thrown=False)
        for slug in GATEWAYS:
            self.pause(slug, paused=False)
        self.simulator.clear_faults()
        self.back_fill()
        self._calm(6, minutes=6)
        self._calm(4, hours=2)
        self.settle_batch()
        self._calm(5, days=5)
        self.ask_everywhere()
        self._calm(2, hours=2)
        self.assert_at_rest()

    def _calm(self, rounds: int, **time: float) -> None:
        for _ in range(rounds):
            self._round(**time)
            self.assert_each_step()
            waits = Payment.objects.exclude(next_check_at=None).exists()
            if not waits and not Refund.objects.exclude(next_check_at=None).exists():
                return  # a call that is open keeps its payment or refund waiting

    def give_back_doubles(self) -> None:
        """Every double capture is decided as prepared: its own gateway gives it back."""
        self.assert_refunds_are_prepared()
        doubles = list(Review.objects.filter(kind=ReviewKind.SECOND_CAPTURE, state=ReviewState.OPEN))
        for review in doubles:
            self.decide_by(review, "refund")
        self._calm(4, hours=3)
        self.settle_batch()
        self._calm(2, hours=3)
        for review in doubles:
            for movement in Movement.objects.filter(refund__review=review):
                assert movement.gateway_account_id == review.gateway_account_id, f"{review} given back elsewhere"
        self.assert_at_rest()
        stuck = Review.objects.filter(state=ReviewState.OPEN, payment__in=[r.payment_id for r in doubles])
        if not stuck.exists():
            assert balance("2040") == 0

    def assert_no_second_charge(self) -> None:
        """One call of ours a reference made money; which payments have two is for the cases to say."""
        for slug in GATEWAYS:
            made = Counter(
                row["reference"]
                for row in self.simulator.movements(gateway=slug)
                if row["origin"] == "api" and row["operation"] in {"sale", "auth"} and row["kind"] != "fee"
            )
            assert [reference for reference, times in made.items() if times > 1] == []

    def assert_at_rest(self) -> None:
        self.assert_each_step()
        self.assert_no_second_charge()
        theirs: Counter[tuple[str, str, str]] = Counter()
        for slug in GATEWAYS:
            for row in self.simulator.movements(gateway=slug):
                if row["kind"] != "fee":
                    theirs[slug, row["gateway_id"], row["kind"]] += row["amount_minor"]
        ours: Counter[tuple[str, str, str]] = Counter()
        for movement in Movement.objects.select_related("gateway_account"):
            ours[movement.gateway_account.slug, movement.gateway_id, movement.kind] += movement.amount_minor
        assert ours == theirs
        assert balance("1110") == sum(map(self.taken_at, GATEWAYS))
        self._assert_nothing_in_flight()

    def taken_at(self, slug: str) -> int:
        """What a gateway has taken and not given back, by its own books."""
        taken = 0
        for row in self.simulator.movements(gateway=slug):
            sign = {"capture": 1, "refund": -1}.get(row["kind"], 0)
            sign = {"capture": -1, "refund": 1}.get(row["releases"], 0) if row["kind"] == "void" else sign
            taken += sign * row["amount_minor"]
        return taken

    def story(self) -> str:
        lines = [super().story(), *self.said]
        for attempt in Attempt.objects.order_by("id").select_related("gateway_account"):
            lines.append(
                f"attempt p{attempt.payment_id} #{attempt.number} {attempt.gateway_account.slug} {attempt.state}"
                f" {attempt.reference} {attempt.failure_class} awaits_payer={attempt.awaits_payer}"
            )
        for slug in GATEWAYS[1:]:
            for m in self.simulator.movements(gateway=slug):
                lines.append(f"{slug} {m['kind']} {m['gateway_id']} {m['amount_minor']} {m['origin']} {m['reference']}")
        return "\n".join(lines)


def _alive(movements: list[dict[str, str]], at: datetime) -> list[dict[str, str]]:
    """Money and holds of a reference that no void, capture or refund had ended by then."""
    before = [m for m in movements if datetime.fromisoformat(m["occurred_at"]) <= at]
    gone = {m["gateway_id"] for m in before if m["kind"] == "void"}
    gone |= {m["original_gateway_id"] for m in before if m["kind"] == "refund"}
    return [m for m in before if m["kind"] in {"capture", "authorisation"} and m["gateway_id"] not in gone]


def _xact(table: str, pk: int) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT xmin::text FROM {table} WHERE id = %s", [pk])
        return str(cursor.fetchone()[0])
