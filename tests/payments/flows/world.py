"""A gateway, an operator and a merchant who may do anything at any time: the acts, the settling and the proofs of it.

`test_any_order.py` lets hypothesis choose among them. Nothing here knows how a decision is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.db.models import Sum

from payments.errors import PaymentsError
from payments.models import InboundEvent, Movement, Operation, Payment, Refund, Review, Transition
from payments.queries.proofs import completeness_findings, suspense_findings
from payments.services.actors import SYSTEM, Actor
from payments.services.commands import cancel_payment, capture_payment
from payments.services.execution import advance_payment
from payments.services.inbox import drain_inbox, store_event
from payments.services.refunds import advance_refund, request_refund
from payments.services.resolution import ask_about
from payments.services.reviews import decide_review, options_of, prepare_decision
from payments.services.sweep import Swept, sweep
from payments.states import (
    COLLECTING,
    DEAD_REFUND_STATES,
    FINAL_STATES,
    OPEN_OPERATION_STATES,
    OperationState,
    RefundState,
    ReviewState,
    Waits,
)
from tests.payments.factories import Clock, new_payment, operator
from tests.payments.flows.books import balance, our_movements, their_movements
from tests.simulator_fixture import SimulatorError, SimulatorProcess

_GONE_REFUNDS = [
    *(state.value for state in DEAD_REFUND_STATES),
    RefundState.SUCCEEDED.value,
    RefundState.RETURNED.value,
]


@dataclass
class World:
    """Everything one example has. Indexes are taken modulo what there is, so that any number means something."""

    simulator: SimulatorProcess
    clock: Clock
    delivered: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)
    _olga: Actor | None = None

    # --- who is meant -------------------------------------------------------------------------------------------------

    def payment(self, index: int) -> Payment | None:
        payments = list(Payment.objects.order_by("id"))
        return payments[index % len(payments)] if payments else None

    def reference(self, index: int) -> str:
        payment = self.payment(index)
        attempt = payment.attempts.order_by("number").last() if payment else None
        return attempt.reference if attempt else ""

    def olga(self) -> Actor:
        if self._olga is None:
            user = get_user_model().objects.create_user("olga")
            self._olga = operator("decide_review", "ask_gateway", user_id=user.pk)
        return self._olga

    # --- the merchant -------------------------------------------------------------------------------------------------

    def pay(self, amount_minor: int, capture: str, token: str, *, at_once: bool) -> None:
        payment = new_payment(
            self.clock, amount_minor=amount_minor, capture=capture, token=token, email="payer@example.com"
        )
        if at_once:
            advance_payment(payment.pk, self.clock)

    def work(self, index: int) -> None:
        payment = self.payment(index)
        if payment is not None:
            advance_payment(payment.pk, self.clock)

    def capture(self, index: int, share: int, *, final: bool, at_once: bool) -> None:
        payment = self.payment(index)
        if payment is None:
            return
        amount_minor = max(payment.amount_minor * share // 4, 1)
        if self._try(
            lambda: capture_payment(
                payment.public_id, amount_minor=amount_minor, final=final, actor=SYSTEM, now=self.clock()
            )
        ):
            self._maybe(at_once, payment)

    def cancel(self, index: int, *, at_once: bool) -> None:
        payment = self.payment(index)
        if payment is not None and self._try(lambda: cancel_payment(payment.public_id, actor=SYSTEM, now=self.clock())):
            self._maybe(at_once, payment)

    def refund(self, index: int, share: int, *, at_once: bool) -> None:
        payment = self.payment(index)
        if payment is None:
            return
        amount_minor = max(payment.amount_minor * share // 4, 1)
        if self._try(
            lambda: request_refund(
                payment.public_id, amount_minor=amount_minor, reason="returned", actor=SYSTEM, now=self.clock()
            )
        ):
            refund = Refund.objects.latest("id")
            if at_once:
                advance_refund(refund.pk, self.clock)

    def _maybe(self, at_once: bool, payment: Payment) -> None:
        if at_once:
            advance_payment(payment.pk, self.clock)

    def _try(self, command: Callable[[], object]) -> bool:
        """A command may be refused, with one of our own errors and no other."""
        try:
            command()
        except PaymentsError as refused:
            self.said.append(f"{type(refused).__name__}: {refused}")
            return False
        return True

    # --- the gateway's own side ---------------------------------------------------------------------------------------

    def dashboard(self, action: str, index: int, **more: object) -> None:
        """What somebody does in the gateway's dashboard; it refuses what makes no sense there."""
        reference = self.reference(index)
        if not reference:
            return
        try:
            self.simulator.act(action, reference=reference, **more)
        except SimulatorError as refused:
            self.said.append(str(refused))

    def void_a_refund(self, index: int) -> None:
        made = [m for m in self.simulator.movements() if m["kind"] == "refund"]
        if made:
            try:
                self.simulator.act("void", transaction_id=made[index % len(made)]["gateway_id"])
            except SimulatorError as refused:
                self.said.append(str(refused))

    def settle_batch(self) -> None:
        self.simulator.act("batch_settle")

    def fault(self, fault: str, operation: str) -> None:
        self.simulator.fault(fault, operation, times=1)

    # --- the wire and time --------------------------------------------------------------------------------------------

    def deliver(self, index: int) -> None:
        """One webhook out of all that were ever made, again or for the first time."""
        log = self.simulator.webhooks()
        if log:
            self._deliver(log[index % len(log)])
            self.drain()

    def deliver_rest(self) -> None:
        for delivery in self.simulator.webhooks():
            if delivery["event_id"] not in self.delivered:
                self._deliver(delivery)
        self.drain()

    def hear(self, delivery: dict[str, object]) -> None:
        """This webhook, and what becomes of it."""
        self._deliver(delivery)
        self.drain()

    def _deliver(self, delivery: dict[str, object]) -> None:
        headers = {str(name).lower(): str(value) for name, value in dict(delivery["headers"]).items()}  # type: ignore[call-overload]
        store_event("nmi", headers, str(delivery["body"]).encode(), now=self.clock())
        self.delivered.add(str(delivery["event_id"]))

    def drain(self) -> None:
        drain_inbox(self.clock)
        wrong = list(InboundEvent.objects.exclude(error="").values_list("event_type", "error"))
        assert wrong == [], wrong

    def pass_time(self, **time: float) -> None:
        seconds = timedelta(**time).total_seconds()
        self.simulator.act("advance_clock", seconds=seconds)
        self.clock.pass_(**time)
        self.simulator.wait_until_quiet()

    def sweep(self) -> Swept:
        """A sweep, and at once another: what is not due must not be worked on again."""
        swept = sweep(self.clock)
        assert swept.failed == {}, swept.failed
        self.run_nudged()
        self.drain()
        return swept

    def run_nudged(self) -> None:
        """What the worker would have been told to do: every step of ours that is due."""
        for refund in Refund.objects.filter(next_check_at__lte=self.clock()):
            advance_refund(refund.pk, self.clock)
        for payment in Payment.objects.filter(next_check_at__lte=self.clock()):
            advance_payment(payment.pk, self.clock)

    # --- the operator -------------------------------------------------------------------------------------------------

    def decide(self, review_index: int, option_index: int) -> None:
        reviews = list(Review.objects.filter(state=ReviewState.OPEN).order_by("id"))
        if reviews:
            self.decide_one(reviews[review_index % len(reviews)], option_index)

    def decide_one(self, review: Review, option_index: int, *, never: frozenset[str] = frozenset()) -> bool:
        options = [o.code for o in options_of(review) if not o.refused and o.code not in never]
        if not options:
            return False
        return self._decide(review, options[option_index % len(options)])

    def decide_by(self, review: Review, option: str) -> None:
        assert self._decide(review, option), self.said[-1:]

    def _decide(self, review: Review, option: str) -> bool:
        target = self._target(review) if option == "apply_to_other" else ""
        prepared = prepare_decision(
            review.public_id, option=option, actor=self.olga(), clock=self.clock, target_payment=target
        )
        if prepared.refused:
            return False
        return self._try(
            lambda: decide_review(
                review.public_id,
                option=option,
                reason="other",
                note="seen in the dashboard",
                version=prepared.version,
                actor=self.olga(),
                now=self.clock(),
                target_payment=target,
                until=self.clock() + timedelta(hours=3),
            )
        )

    def _target(self, review: Review) -> str:
        fitting = Payment.objects.filter(amount_minor=review.held_minor, state__in=["failed", "expired"])
        found = fitting.exclude(pk=review.payment_id or 0).first()
        return found.public_id if found else "pay_nobody"

    # --- settling -----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let everything come to rest: no faults, all webhooks, batches, sweeps and several days."""
        self.simulator.clear_faults()
        for _ in range(16):
            self._round(minutes=6)
        self.settle_batch()
        for _ in range(3):
            self._round(hours=2)
        self.ask_everywhere()
        for _ in range(3):
            self._round(hours=2)
        self.assert_at_rest()

    def _round(self, **time: float) -> None:
        self.pass_time(**time)
        self.deliver_rest()
        self.sweep()

    def ask_everywhere(self) -> None:
        for payment in Payment.objects.order_by("id"):
            ask_about(payment.pk, self.clock)
        self.run_nudged()

    def decide_all(self) -> None:
        """Every case decided, the first possible way, until none is left."""
        for turn in range(6):
            never = frozenset({"hold_until"} | ({"refund"} if turn > 2 else set()))
            reviews = list(Review.objects.filter(state=ReviewState.OPEN).order_by("id"))
            if not reviews:
                return
            for review in reviews:
                review.refresh_from_db()
                if review.state == ReviewState.OPEN:
                    any(self.decide_one(review, n, never=never) for n in range(6))
            for _ in range(3):
                self._round(minutes=30)
            self.settle_batch()
            for _ in range(3):
                self._round(hours=2)

    # --- proofs -------------------------------------------------------------------------------------------------------

    def assert_books_hold(self) -> None:
        """True after every step, whatever is still open."""
        assert [*map(str, suspense_findings())] == []
        assert [*map(str, completeness_findings())] == []
        for currency in ("USD", "EUR"):
            open_holds = Movement.objects.filter(kind="authorisation", released_at=None, currency=currency)
            assert balance("9010", currency) == (open_holds.aggregate(sum=Sum("amount_minor"))["sum"] or 0), "holds"
            owed = Review.objects.filter(state=ReviewState.OPEN, held_on="2040", currency=currency)
            assert -balance("2040", currency) == (owed.aggregate(sum=Sum("held_minor"))["sum"] or 0), "overpayments"
            promised = Refund.objects.exclude(state__in=_GONE_REFUNDS).filter(currency=currency)
            promised_minor = promised.aggregate(sum=Sum("amount_minor"))["sum"] or 0
            assert -balance("2030", currency) == promised_minor, "refunds payable"

    def assert_no_second_charge(self) -> None:
        """One charge of ours an attempt, and a further attempt only on somebody's word; one refund of ours a refund."""
        charges = Counter(
            m["reference"]
            for m in self.simulator.movements()
            if m["origin"] == "api" and m["operation"] in {"sale", "auth"}
        )
        assert [reference for reference, times in charges.items() if times > 1] == []
        again = Transition.objects.filter(fact="review_decided", because__startswith="Send it again").count()
        for payment in Payment.objects.all():
            ours = [a for a in payment.attempts.all() if charges[a.reference]]
            assert len(ours) <= 1 + again, f"{payment} was charged {len(ours)} times"

    def assert_at_rest(self) -> None:
        """After settling: both books equal, nothing in flight, and every waiting row waits for somebody who knows."""
        self.assert_books_hold()
        self.assert_no_second_charge()
        assert our_movements() == their_movements(self.simulator)
        taken = Counter[str]()
        for m in self.simulator.movements():
            sign = {"capture": 1, "refund": -1}.get(m["kind"], 0)
            if m["kind"] == "void":
                sign = {"capture": -1, "refund": 1, "authorisation": 0}[m["releases"]]
            taken[m["currency"]] += sign * m["amount_minor"]
        for currency in ("USD", "EUR"):
            assert balance("1110", currency) == taken[currency], f"receivable {currency}"
        held = sum(t["actions"][0]["amount_minor"] for t in self.simulator.books()["holds_open"])
        assert balance("9010") + balance("9010", "EUR") == held, "holds at the gateway"
        self._assert_nothing_in_flight()

    def _assert_nothing_in_flight(self) -> None:
        asked = set(Review.objects.filter(state=ReviewState.OPEN).values_list("operation_id", flat=True))
        for operation in Operation.objects.filter(state__in=[s.value for s in OPEN_OPERATION_STATES]):
            assert operation.pk in asked, f"{operation} {operation.kind} is {operation.state}"
        for payment in Payment.objects.exclude(state__in=[s.value for s in FINAL_STATES]):
            cases = Review.objects.filter(payment=payment, state=ReviewState.OPEN)
            holds = payment.movements.filter(kind="authorisation", released_at=None).exists()
            if payment.state == "authorised" and holds and payment.waits_for == Waits.MERCHANT:
                assert payment.cancel_requested_at is None, f"{payment} was to be cancelled"
                continue
            assert cases.exists(), f"{payment} is {payment.state}, waits for {payment.waits_for}, and no case is open"
        for refund in Refund.objects.exclude(state__in=_GONE_REFUNDS):
            cases = Review.objects.filter(payment=refund.payment, state=ReviewState.OPEN)
            assert cases.exists(), f"{refund} is {refund.state}: {refund.waits_because}"

    def assert_all_decided(self) -> None:
        """After every case was decided: no open one, nothing in suspense, no hold that nobody wants."""
        rest = [(r.kind, r.because) for r in Review.objects.filter(state=ReviewState.OPEN)]
        assert rest == [], rest
        assert (balance("2050"), balance("2050", "EUR")) == (0, 0)
        assert not Operation.objects.filter(
            state=OperationState.UNKNOWN, kind__in=[k.value for k in COLLECTING]
        ).exists()

    def story(self) -> str:
        """What happened, for whoever reads a failure."""
        lines = []
        for t in Transition.objects.order_by("id").select_related("payment", "operation"):
            who = f"p{t.payment_id}"
            operation = f" {t.operation.kind}#{t.operation_id}" if t.operation else ""
            fact = t.inputs["fact"]
            money = (fact.get("money") or {}).get("amount_minor", "")
            moved = {k: f"{t.before.get(k)}->{v}" for k, v in t.after.items() if t.before.get(k) != v}
            lines.append(
                f"{who}{operation} {t.fact} {money} {fact.get('gateway_id', '')} {t.source} => {t.verdict}: {t.because} {moved}"
            )
        for r in Review.objects.order_by("id"):
            lines.append(
                f"review p{r.payment_id} {r.kind} {r.state} {r.held_on} {r.held_minor} {r.decision} {r.gateway_id}"
            )
        for f in Refund.objects.order_by("id"):
            lines.append(
                f"refund p{f.payment_id} {f.state} {f.amount_minor} {f.origin} {f.waits_for} {f.waits_because}"
            )
        for p in Payment.objects.order_by("id"):
            lines.append(f"payment p{p.pk} {p.state} {p.amount_minor} {p.waits_for}")
        for m in self.simulator.movements():
            lines.append(
                f"theirs {m['kind']} {m['gateway_id']} {m['amount_minor']} {m['origin']} releases={m['releases']}"
            )
        for e in InboundEvent.objects.order_by("id"):
            lines.append(f"event {e.event_type} {e.state} {e.outcome[:100]}")
        return "\n".join(lines)
