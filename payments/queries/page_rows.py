"""Which rows make up one payment's page? Reads them once, a constant number of queries however much happened; judges nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.contrib.auth.models import Group
from django.db.models import (
    BinaryField,
    BooleanField,
    Case,
    ExpressionWrapper,
    F,
    Max,
    OuterRef,
    Q,
    Subquery,
    Sum,
    When,
)
from django.db.models.functions import Coalesce, Length

from ledger.money import Money
from ledger.queries import EntryView, entries_for_subject
from payments.models import (
    Attempt,
    Dispute,
    GatewayAccount,
    LookUp,
    Movement,
    Operation,
    Payment,
    Refund,
    Retry,
    Review,
    Switch,
    Transition,
)
from payments.queries.disputes import standing_in, withheld
from payments.states import (
    COLLECTING,
    DEAD_REFUND_STATES,
    OPEN_OPERATION_STATES,
    AttemptState,
    DisputeState,
    MovementKind,
    PaymentState,
    RefundState,
    RetryState,
    ReviewState,
    Waits,
)

MOST_FACTS = 200
"""Timeline lines one page shows; a payment with more is one somebody else has to explain, and the page says so."""
MOST_LOOK_UPS = 200
_LARGEST_BODY = 20_000  # bytes of an inbound event shown on the payment's page; larger ones stand in the inbox
_MOST_SIBLINGS = 10


@dataclass(frozen=True, slots=True)
class Amounts:
    """Sums of one payment's movements, in its own currency and minor units."""

    held: int = 0
    captured: int = 0
    refunded: int = 0


@dataclass(frozen=True)
class PaymentRows:
    """One payment and everything around it, oldest first; `facts` are the newest `MOST_FACTS` of its transitions."""

    payment: Payment
    attempts: list[Attempt] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    look_ups: list[LookUp] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    retries: list[Retry] = field(default_factory=list)
    stopped: Switch | None = None  # what a person has stopped, of a payment that waits for that
    reviews: list[Review] = field(default_factory=list)
    disputes: list[Dispute] = field(default_factory=list)
    facts: list[Transition] = field(default_factory=list)
    more_facts: bool = False
    entries: list[EntryView] = field(default_factory=list)
    siblings: list[Payment] = field(default_factory=list)
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def attempt(self) -> Attempt | None:
        """The current attempt: the latest."""
        return self.attempts[-1] if self.attempts else None

    @property
    def account(self) -> GatewayAccount | None:
        return self.attempt.gateway_account if self.attempt else None

    @property
    def paying_account(self) -> GatewayAccount | None:
        """Where the money that counts was taken or is held, which may be an earlier attempt's; None: nowhere."""
        took = {m.attempt_id for m in self.movements if m.kind == MovementKind.CAPTURE and m.counts}
        holds = (a for a in self.attempts if a.state == AttemptState.AUTHORISED)
        attempt = next((a for a in self.attempts if a.pk in took), None) or next(holds, None)
        return attempt.gateway_account if attempt else None

    @property
    def open_operation(self) -> Operation | None:
        return next((o for o in self.operations if o.state in OPEN_OPERATION_STATES), None)

    @property
    def at_payers_bank(self) -> Attempt | None:
        """The attempt that the payer can still finish at its gateway."""
        return next((a for a in self.attempts if a.awaits_payer and a.state == AttemptState.OPEN), None)

    @property
    def waiting_retry(self) -> Retry | None:
        return next((retry for retry in self.retries if retry.state == RetryState.WAITING), None)

    def collecting(self, attempt: Attempt) -> Operation | None:
        """The call by which an attempt tried to collect."""
        return next((o for o in self.operations if o.attempt_id == attempt.pk and o.kind in COLLECTING), None)

    @property
    def open_reviews(self) -> list[Review]:
        return [review for review in self.reviews if review.state == ReviewState.OPEN]

    def _sum(self, movements: list[Movement]) -> Money:
        currency = self.payment.currency
        return Money(sum(m.amount_minor for m in movements if m.currency == currency), currency)

    @property
    def held(self) -> Money:
        """What the gateway still holds, by our books."""
        kind = MovementKind.AUTHORISATION
        return self._sum([m for m in self.movements if m.kind == kind and m.released_at is None])

    @property
    def captured(self) -> Money:
        """What counts as paid."""
        return self._sum([m for m in self.movements if m.kind == MovementKind.CAPTURE and m.counts])

    @property
    def refunded(self) -> Money:
        """What has gone back of captured money, by refund or void, and has not come back to stay."""
        return self._sum([m for m in self.movements if m.counts and _goes_back(m)]) - self._kept

    @property
    def _kept(self) -> Money:
        return self._sum([m for m in self.movements if m.counts and m.kind == MovementKind.REFUND_RETURN])

    @property
    def refundable(self) -> Money:
        """captured − refunds in any state but failed and cancelled − what disputes hold in doubt or took; what a review gives
        back was never captured."""
        alive = sum(r.amount_minor for r in self.refunds if r.state not in DEAD_REFUND_STATES and r.review_id is None)
        return self.captured + self._kept - Money(alive, self.payment.currency) - self.withheld

    @property
    def standing_part(self) -> Money:
        """What stands of what has come in: less what went back and what lost disputes took."""
        lost = [self.standing(d) for d in self.disputes if d.state == DisputeState.LOST]
        own = (money for money in lost if money is not None and money.currency == self.payment.currency)
        return self.captured - self.refunded - sum(own, Money(0, self.payment.currency))

    @property
    def missing(self) -> Money:
        """What is still to come of a partially paid payment; nothing of any other."""
        partly = self.payment.state == PaymentState.PARTIALLY_PAID
        return self.payment.money - self.standing_part if partly else Money(0, self.payment.currency)

    @property
    def refundable_at_once(self) -> Money:
        """What one refund can give back: of one transaction, where several each brought a part."""
        took = {m.attempt_id for m in self.movements if m.kind == MovementKind.CAPTURE and m.counts}
        if len(took) < 2:
            return self.refundable
        most = max((self._left_at(attempt) for attempt in took), key=lambda money: money.amount_minor)
        return min(self.refundable, most, key=lambda money: money.amount_minor)

    def _left_at(self, attempt_id: int | None) -> Money:
        alive = [r for r in self.refunds if r.state not in DEAD_REFUND_STATES and r.review_id is None]
        given = sum(r.amount_minor for r in alive if r.attempt_id == attempt_id)
        taken = [
            m for m in self.movements if m.kind == MovementKind.CAPTURE and m.counts and m.attempt_id == attempt_id
        ]
        return self._sum(taken) - Money(given, self.payment.currency)

    @property
    def withheld(self) -> Money:
        """What disputes hold in doubt or have taken, in the payment's currency."""
        own = [d for d in self.disputes if d.currency == self.payment.currency]
        return sum((withheld(d, self.standing(d)) for d in own), Money(0, self.payment.currency))

    def standing(self, dispute: Dispute) -> Money | None:
        """What one dispute has taken less what came back; None if no money has moved."""
        return standing_in(m for m in self.movements if m.dispute_id == dispute.pk)

    @property
    def on_its_way_back(self) -> Money:
        """Refunds asked for and not at the payer yet."""
        done = DEAD_REFUND_STATES | {RefundState.SUCCEEDED, RefundState.RETURNED}
        return Money(
            sum(r.amount_minor for r in self.refunds if r.state not in done and r.currency == self.payment.currency),
            self.payment.currency,
        )

    @property
    def under_review(self) -> list[Money]:
        """What open reviews hold on suspense or overpayments; one sum a currency."""
        held = [review.held for review in self.open_reviews if review.held is not None]
        return [
            Money(sum(money.amount_minor for money in held if money.currency == currency), currency)
            for currency in dict.fromkeys(money.currency for money in held)
        ]


def _goes_back(movement: Movement) -> bool:
    return movement.kind == MovementKind.REFUND or (movement.kind == MovementKind.VOID and movement.of_captured_money)


def read_payment(payment: Payment) -> PaymentRows:
    """Everything around a payment that was read with its payer, method and possible duplicate."""
    facts = _facts(payment)
    attempts = list(payment.attempts.select_related("gateway_account", "retry").order_by("number"))
    look_ups = LookUp.objects.filter(operation__payment=payment).order_by("-id")[:MOST_LOOK_UPS]
    siblings = Payment.objects.filter(reference=payment.reference).exclude(pk=payment.pk).order_by("-id")
    return PaymentRows(
        payment=payment,
        attempts=attempts,
        operations=list(payment.operations.select_related("gateway_account").order_by("id")),
        look_ups=list(reversed(look_ups)),
        movements=list(payment.movements.order_by("id")),
        refunds=list(payment.refunds.order_by("id")),
        retries=[attempt.retry for attempt in attempts if hasattr(attempt, "retry")],
        stopped=_stopped() if payment.waits_for == Waits.SWITCH else None,
        reviews=list(payment.reviews.select_related("decided_by").order_by("id")),
        disputes=list(payment.disputes.select_related("gateway_account").order_by("id")),
        facts=facts[:MOST_FACTS][::-1],
        more_facts=len(facts) > MOST_FACTS,
        entries=entries_for_subject(payment.public_id),
        siblings=list(siblings[:_MOST_SIBLINGS]),
        roles=roles_by_right(),
    )


def _stopped() -> Switch | None:
    """The stronger of the switches that are thrown."""
    return Switch.objects.filter(lifted_at=None).order_by("-kind").first()


def _facts(payment: Payment) -> list[Transition]:
    """The newest facts first, one more than are shown; bodies too large for a page stay where they are."""
    rows = payment.transitions.select_related("event", "look_up", "operation").defer(
        "event__body", "operation__request"
    )
    sized = rows.annotate(body_size=Length("event__body"))
    small = When(body_size__lte=_LARGEST_BODY, then=F("event__body"))
    found = sized.annotate(body=Case(small, output_field=BinaryField())).order_by("-id")
    return list(found[: MOST_FACTS + 1])


def roles_by_right() -> dict[str, tuple[str, ...]]:
    """Which roles hold each right over payments, so that a page can say who could."""
    rows = Group.objects.filter(permissions__content_type__app_label="payments").values_list(
        "permissions__codename", "name"
    )
    roles: dict[str, tuple[str, ...]] = {}
    for codename, name in sorted(rows):
        roles[codename] = (*roles.get(codename, ()), name)
    return roles


def page_version(payment_id: str) -> str:
    """What changes whenever the page of a payment would; empty if there is no such payment. One query."""
    latest = {
        name: Subquery(
            rows.filter(payment=OuterRef("pk")).order_by().values("payment").annotate(x=Max("id")).values("x")
        )
        for name, rows in (("fact", Transition.objects.all()), ("operation", Operation.objects.all()))
    }
    looked_up = LookUp.objects.filter(operation__payment=OuterRef("pk")).order_by("-id").values("id")[:1]
    reviewed = Review.objects.filter(payment=OuterRef("pk")).order_by().values("payment")
    row = (
        Payment.objects.filter(public_id=payment_id)
        .annotate(
            latest_fact=Coalesce(latest["fact"], 0),
            latest_operation=Coalesce(latest["operation"], 0),
            latest_look_up=Coalesce(Subquery(looked_up), 0),
            reviews_version=Coalesce(Subquery(reviewed.annotate(x=Sum("version") + Max("id")).values("x")), 0),
        )
        .values_list("version", "state", "latest_fact", "latest_operation", "latest_look_up", "reviews_version")
        .first()
    )
    return "-".join(str(part) for part in row) if row else ""


def amounts_of(keys: list[int]) -> dict[int, Amounts]:
    """Held, captured and refunded of many payments in one query, each in its own currency."""
    own_currency = Payment.objects.filter(pk=OuterRef("payment")).values("currency")
    rows = (
        Movement.objects.filter(payment__in=keys, counts=True, currency=Subquery(own_currency))
        .annotate(unreleased=ExpressionWrapper(Q(released_at=None), output_field=BooleanField()))
        .values_list("payment", "kind", "of_captured_money", "unreleased")
        .annotate(total=Sum("amount_minor"))
    )
    found = {key: Amounts() for key in keys}
    for key, kind, of_captured_money, unreleased, total in rows:
        found[key] = _with(found[key], kind, total, back=of_captured_money, unreleased=unreleased)
    return found


def _with(amounts: Amounts, kind: str, total: int, *, back: bool, unreleased: bool) -> Amounts:
    held, captured, refunded = amounts.held, amounts.captured, amounts.refunded
    if kind == MovementKind.CAPTURE:
        captured += total
    elif kind == MovementKind.REFUND or (kind == MovementKind.VOID and back):
        refunded += total
    elif kind == MovementKind.REFUND_RETURN:
        refunded -= total
    elif kind == MovementKind.AUTHORISATION and unreleased:
        held += total
    return Amounts(held, captured, refunded)
