"""Working events off: each movement, entry and transition exactly once, in whatever order the events come."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from ledger.models import JournalEntry
from payments.models import GatewayAccount, InboundEvent, Incident, Movement, Review, Transition
from payments.services.inbox import drain_inbox
from payments.services.inbox.apply import describe
from payments.states import OperationKind, OperationState, PaymentState
from tests.payments.inbox.conftest import SetClock, assert_exactly_once, drained, store, waiting_payment
from tests.payments.inbox.deliveries import WHEN, batch_settled, deliver, event_body, sale, transaction

pytestmark = pytest.mark.django_db


class TestOneMovement:
    def test_a_sale_captures_the_payment_once(self, account: GatewayAccount, clock: SetClock) -> None:
        attempt = waiting_payment(account)
        event = store(sale("9001", attempt.reference))

        assert drained(clock) == {"applied": 1}

        attempt.payment.refresh_from_db()
        assert attempt.payment.state == PaymentState.CAPTURED
        assert attempt.operations.get().state == OperationState.SUCCEEDED
        movement = Movement.objects.get()
        assert (movement.gateway_id, movement.kind, movement.amount_minor, movement.currency) == (
            "9001",
            "capture",
            1234,
            "USD",
        )
        assert_exactly_once()
        event.refresh_from_db()
        assert (event.event_type, event.handled_at, event.next_check_at) == ("transaction.sale.success", WHEN, None)
        assert event.outcome == "The gateway took 12.34 USD."
        assert Transition.objects.get().event_id == event.pk

    def test_the_same_movement_under_other_event_ids_counts_once(
        self, account: GatewayAccount, clock: SetClock
    ) -> None:
        attempt = waiting_payment(account)
        for _ in range(5):
            store(sale("9001", attempt.reference))

        assert drained(clock) == {"applied": 1, "ignored": 4}

        assert_exactly_once()
        ignored = InboundEvent.objects.filter(state="ignored").first()
        assert ignored is not None
        assert ignored.outcome == "This movement is already known, with this amount."

    def test_two_equal_sales_of_two_payments_count_twice(self, account: GatewayAccount, clock: SetClock) -> None:
        for number in range(2):
            store(sale(f"900{number}", waiting_payment(account).reference))

        assert drained(clock) == {"applied": 2}
        assert_exactly_once(movements=2)

    def test_an_event_drained_twice_does_nothing_the_second_time(
        self, account: GatewayAccount, clock: SetClock
    ) -> None:
        store(sale("9001", waiting_payment(account).reference))

        assert drain_inbox(clock).states == {"applied": 1}
        assert drain_inbox(clock).taken == 0
        assert_exactly_once()


class TestOrder:
    def test_capture_before_authorisation_ends_the_same(self, account: GatewayAccount, clock: SetClock) -> None:
        attempt = waiting_payment(account, kind=OperationKind.AUTHORISE)
        store(transaction("capture", "9001", attempt.reference))
        store(transaction("auth", "9001", attempt.reference, condition="pending"))

        drained(clock)

        attempt.payment.refresh_from_db()
        assert attempt.payment.state == PaymentState.CAPTURED
        assert sorted(Movement.objects.values_list("kind", flat=True)) == ["authorisation", "capture"]
        assert_exactly_once(movements=2)

    def test_authorisation_then_capture(self, account: GatewayAccount, clock: SetClock) -> None:
        attempt = waiting_payment(account, kind=OperationKind.AUTHORISE)
        store(transaction("auth", "9001", attempt.reference, condition="pending"))
        store(transaction("capture", "9001", attempt.reference))

        assert drained(clock) == {"applied": 2}

        attempt.payment.refresh_from_db()
        assert attempt.payment.state == PaymentState.CAPTURED
        assert_exactly_once(movements=2)

    def test_sale_and_settlement_settle_the_payment(self, account: GatewayAccount, clock: SetClock) -> None:
        attempt = waiting_payment(account)
        store(sale("9001", attempt.reference))
        drained(clock)
        store(batch_settled("77", ["9001"]))

        assert drained(clock) == {"applied": 2}

        attempt.payment.refresh_from_db()
        assert attempt.payment.state == PaymentState.SETTLED
        assert Movement.objects.get().batch_id == "77"
        assert_exactly_once(movements=1, applied=2)

    def test_a_settlement_told_twice_settles_once(self, account: GatewayAccount, clock: SetClock) -> None:
        attempt = waiting_payment(account)
        store(sale("9001", attempt.reference))
        drained(clock)
        for _ in range(3):
            store(batch_settled("77", ["9001"]))

        assert drained(clock) == {"applied": 2, "ignored": 2}
        assert_exactly_once(movements=1, applied=2)

    def test_a_settlement_that_comes_before_its_sale_is_not_lost(
        self, account: GatewayAccount, clock: SetClock
    ) -> None:
        attempt = waiting_payment(account)
        store(batch_settled("77", ["9001"]))
        drained(clock)
        store(sale("9001", attempt.reference))
        drained(clock)
        clock.advance(seconds=30)
        drained(clock)

        attempt.payment.refresh_from_db()
        assert attempt.payment.state == PaymentState.SETTLED
        assert_exactly_once(movements=1, applied=2)

    def test_a_decline_after_a_capture_takes_nothing_back(self, account: GatewayAccount, clock: SetClock) -> None:
        attempt = waiting_payment(account)
        store(sale("9001", attempt.reference))
        drained(clock)
        store(
            transaction("sale", "9001", attempt.reference, outcome="failure", condition="failed", response_code="200")
        )

        drained(clock)

        attempt.payment.refresh_from_db()
        assert attempt.payment.state == PaymentState.CAPTURED
        assert Movement.objects.count() == 1


class TestBeforeThePaymentExists:
    def test_it_waits_up_the_ladder_and_applies_once_the_payment_is_there(
        self, account: GatewayAccount, clock: SetClock
    ) -> None:
        event = store(sale("9001", "cf-early"))

        assert drained(clock) == {"parked": 1}
        for seconds in (5, 30, 120):
            event.refresh_from_db()
            assert event.next_check_at == WHEN + timedelta(seconds=seconds)
            clock.now = event.next_check_at - timedelta(seconds=1)
            assert drain_inbox(clock).taken == 0
            clock.now = event.next_check_at
            assert drained(clock) == {"parked": 1}
        assert_exactly_once(movements=0)
        waiting_payment(account, reference="cf-early")
        clock.advance(minutes=10)

        assert drained(clock) == {"applied": 1}
        assert_exactly_once()

    def test_after_the_orphan_time_nobodys_money_is_in_suspense_with_a_review(
        self, account: GatewayAccount, clock: SetClock
    ) -> None:
        event = store(sale("9001", "someone-else"))
        for _ in range(6):
            drained(clock)
            event.refresh_from_db()
            clock.now = event.next_check_at or clock.now

        assert clock.now == WHEN + timedelta(seconds=account.orphan_seconds)
        assert drained(clock) == {"applied": 1}
        review = Review.objects.get()
        assert (review.kind, review.held_minor, review.held_on) == ("orphan", 1234, "2050")
        assert_exactly_once()

    def test_on_a_shared_account_it_becomes_foreign_and_is_not_booked(
        self, account: GatewayAccount, clock: SetClock
    ) -> None:
        GatewayAccount.objects.update(shared=True)
        store(sale("9001", "someone-else"))
        drained(clock)
        clock.advance(seconds=account.orphan_seconds)

        assert drained(clock) == {"foreign": 1}
        assert_exactly_once(movements=0)

    def test_a_decline_of_nobody_is_ignored_in_the_end(self, account: GatewayAccount, clock: SetClock) -> None:
        store(transaction("sale", "9001", "someone-else", outcome="failure", condition="failed", response_code="200"))
        assert drained(clock) == {"parked": 1}
        clock.advance(seconds=account.orphan_seconds)

        assert drained(clock) == {"ignored": 1}
        assert_exactly_once(movements=0)

    def test_an_orphan_time_below_the_ladder_is_obeyed(self, account: GatewayAccount, clock: SetClock) -> None:
        GatewayAccount.objects.update(orphan_seconds=20)
        event = store(sale("9001", "someone-else"))
        drained(clock)
        clock.advance(seconds=5)
        drained(clock)

        event.refresh_from_db()
        assert event.next_check_at == WHEN + timedelta(seconds=20)


class TestWhatIsNotUnderstood:
    def test_signed_garbage_is_parked_for_a_person(self, account: GatewayAccount, clock: SetClock) -> None:
        event = store(deliver(b"\x00\xff garbage"))

        assert drained(clock) == {"parked": 1}
        event.refresh_from_db()
        assert event.outcome.startswith("Unreadable: ")
        assert (event.next_check_at, event.attempts, event.error) == (None, 0, "")

    def test_an_unreadable_amount_is_parked_and_never_zero(self, account: GatewayAccount, clock: SetClock) -> None:
        attempt = waiting_payment(account)
        store(sale("9001", attempt.reference, amount="twelve"))

        assert drained(clock) == {"parked": 1}
        assert_exactly_once(movements=0)

    def test_an_unknown_kind_is_parked_and_visible_with_its_type(
        self, account: GatewayAccount, clock: SetClock
    ) -> None:
        event = store(deliver(event_body("transaction.teleport.success", {})))

        assert drained(clock) == {"parked": 1}
        event.refresh_from_db()
        assert event.event_type == "transaction.teleport.success"
        assert event.outcome.startswith("Not understood: ")
        assert event.next_check_at is None

    def test_a_kind_without_money_is_ignored_with_the_reason(self, account: GatewayAccount, clock: SetClock) -> None:
        event = store(transaction("validate", "9001", "cf-1", amount="0.00"))

        assert drained(clock) == {"ignored": 1}
        event.refresh_from_db()
        assert event.outcome


POISON = (
    "x" * 150
)  # a transaction id that no column takes: translated well, refused by the database when it is recorded


class TestBatchesThatFail:
    def test_one_opens_an_incident_that_the_next_settled_batch_closes(
        self, account: GatewayAccount, clock: SetClock
    ) -> None:
        event = store(deliver(event_body("settlement.batch.failure", {"batch_id": "77"})))

        assert drained(clock) == {"applied": 1}
        event.refresh_from_db()
        assert event.outcome == "a batch failed to settle; NMI names none of its transactions"
        incident = Incident.objects.get()
        assert (incident.kind, incident.closed_at) == ("batch_failed", None)

        store(batch_settled("78", ["9001"]))
        drained(clock)
        incident.refresh_from_db()
        assert incident.closed_at == WHEN


class TestPoison:
    """An event whose handling raises, for a reason that lies in the event."""

    def test_good_events_beside_it_are_applied_and_it_keeps_its_error(
        self, account: GatewayAccount, clock: SetClock
    ) -> None:
        attempts = [waiting_payment(account) for _ in range(11)]
        for number, attempt in enumerate(attempts):
            store(sale(f"{POISON}{number}" if number in {0, 6} else f"90{number:02d}", attempt.reference))

        assert drained(clock) == {"stored": 2, "applied": 9}

        assert_exactly_once(movements=9)
        for bad in InboundEvent.objects.filter(state="stored"):
            assert bad.attempts == 1
            assert bad.error == "DataError: value too long for type character varying(100)"
            assert bad.next_check_at == WHEN + timedelta(seconds=10)

    def test_it_backs_off_and_after_five_tries_waits_for_a_person(
        self, account: GatewayAccount, clock: SetClock
    ) -> None:
        event = store(sale(POISON, waiting_payment(account).reference))
        waits = []
        for _ in range(4):
            drained(clock)
            event.refresh_from_db()
            assert event.next_check_at is not None
            waits.append((event.next_check_at - clock.now).total_seconds())
            clock.now = event.next_check_at

        assert drained(clock) == {"poisoned": 1}
        assert waits == [10, 60, 300, 1800]
        event.refresh_from_db()
        assert (event.attempts, event.next_check_at) == (5, None)
        assert_exactly_once(movements=0)

    def test_an_error_is_kept_without_payload(self) -> None:
        error = ValueError("card 4111 1111 1111 1111 is wrong\nDETAIL: Failing row contains (the whole row)")

        assert describe(error) == "ValueError: card [digits] is wrong"


class TestBatches:
    @pytest.mark.django_db(transaction=True)
    def test_calls_in_flight_have_a_transaction_each_and_the_rest_share_one(
        self, account: GatewayAccount, clock: SetClock
    ) -> None:
        in_flight = [waiting_payment(account, operation_state=OperationState.SENT) for _ in range(3)]
        ended = [waiting_payment(account, operation_state=OperationState.DECLINED) for _ in range(3)]
        for number, attempt in enumerate([*in_flight, *ended]):
            store(sale(f"90{number:02d}", attempt.reference))

        assert drain_inbox(clock).states == {"applied": 6}

        assert_exactly_once(movements=6)
        transactions = Counter(JournalEntry.objects.values_list("xact_id", flat=True))
        assert sorted(transactions.values()) == [1, 1, 1, 3]

    def test_the_limit_ends_a_drain_and_the_next_takes_the_rest(self, account: GatewayAccount, clock: SetClock) -> None:
        for number in range(7):
            store(sale(f"900{number}", waiting_payment(account).reference))

        first, second = drain_inbox(clock, limit=4), drain_inbox(clock, limit=4)

        assert (first.taken, first.more, second.taken, second.more) == (4, True, 3, False)
        assert_exactly_once(movements=7)

    def test_events_not_yet_due_stay(self, account: GatewayAccount, clock: SetClock) -> None:
        store(sale("9001", waiting_payment(account).reference), now=WHEN + timedelta(seconds=1))

        assert drain_inbox(clock).taken == 0
