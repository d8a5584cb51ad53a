"""Does every good row become exactly one payment, and do pause, cancel and retries do what they say?"""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection

from payments.errors import Conflict, Forbidden, InvalidInput, NotAllowedNow
from payments.models import Approval, Batch, BatchRow, LimitUse, Payment
from payments.queries.batch_page import RowOutcome, rows_of, shares_of
from payments.services.actors import SYSTEM
from payments.services.approvals import approve, reject
from payments.services.batches.controls import cancel_rest, pause_batch, resume_batch
from payments.services.batches.retrying import ask_retries, declined_groups
from payments.services.batches.running import LEASE, STALE, run_batch
from payments.services.batches.starting import second_person_because, start_batch
from payments.services.execution import advance_payment
from payments.services.sweep import sweep
from payments.states import ApprovalState, BatchState, RowState
from tests.payments.batches.sheets import csv_file, order
from tests.payments.batches.uploads import allow_alone, person, run_rounds, started, uploaded
from tests.payments.factories import Clock, new_payment, nmi_account, operator
from tests.payments.flows.books import assert_books_agree
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def account() -> None:
    nmi_account()


def states(batch: Batch) -> list[str]:
    return list(batch.rows.order_by("number").values_list("state", flat=True))


def advance_all(clock: Clock) -> None:
    for payment in Payment.objects.order_by("id"):
        advance_payment(payment.pk, clock)


class TestRunning:
    def test_rows_become_payments_with_everything_the_row_says(self, clock: Clock) -> None:
        heads = ("reference", "amount", "currency", "nmi", "payer_id", "payer_email", "payer_name", "capture", "gateway",
                 "description", "metadata.shop")  # fmt: skip
        cells = ("a", "12.34", "EUR", "vault-9", "c-1", "ada@example.com", "Ada L", "manual", "nmi", "hat", "north")
        batch = started(clock, file=csv_file(cells, headings=heads))

        run_rounds(batch, clock)

        payment = Payment.objects.get()
        assert (payment.reference, payment.amount_minor, payment.currency) == ("a", 1234, "EUR")
        assert (payment.capture_mode, payment.wanted_gateway) == ("manual", "nmi")
        assert (payment.payer.external_id, payment.payer.email, payment.payer.name) == (
            "c-1",
            "ada@example.com",
            "Ada L",
        )
        assert payment.method.credentials.get().token == "vault-9"
        assert payment.metadata["description"] == "hat"
        assert payment.metadata["shop"] == "north"
        assert (payment.metadata["upload"], payment.metadata["upload_line"]) == (batch.public_id, 2)
        row = batch.rows.get()
        assert (row.state, row.payment_id) == (RowState.MADE, payment.pk)
        assert "nmi" not in row.values, "the payment method keeps the credential; the row does not"
        assert batch.state == BatchState.FINISHED

    def test_is_swept_when_no_nudge_arrives(self, clock: Clock, simulator: SimulatorProcess) -> None:
        batch = started(clock, *[f"o-{number}" for number in range(12)])

        for _ in range(4):
            clock.pass_(seconds=61)
            assert sweep(clock).failed == {}
        batch.refresh_from_db()

        assert batch.state == BatchState.FINISHED
        assert [(share.outcome, share.count) for share in shares_of(batch)] == [(RowOutcome.PAID, 12)]
        assert sum(movement["kind"] == "capture" for movement in simulator.movements()) == 12
        assert_books_agree(simulator)

    def test_bad_rows_are_never_begun(self, clock: Clock) -> None:
        batch = run_rounds(started(clock, file=csv_file(order("a"), order("b", "x"))), clock)

        assert states(batch) == ["made", "bad"]
        assert Payment.objects.count() == 1

    def test_a_reference_paid_since_the_dry_run_fails_its_row_with_the_sentence(self, clock: Clock) -> None:
        batch = uploaded(clock, "a", "b")
        first = new_payment(clock, reference="a")
        start_batch(batch.public_id, version=0, reason="", actor=SYSTEM, now=clock())

        run_rounds(batch, clock)

        assert states(batch) == ["failed", "made"]
        assert first.public_id in batch.rows.get(number=2).problems[0][1]
        assert Payment.objects.filter(reference="a").count() == 1

    def test_keeps_no_more_payments_waiting_for_a_worker_than_the_window(self, clock: Clock, settings: object) -> None:
        settings.UPLOAD_WINDOW = 15  # type: ignore[attr-defined]
        batch = started(clock, *[f"o-{number}" for number in range(40)])

        run_batch(batch.pk, clock)
        clock.pass_(seconds=2)
        run_batch(batch.pk, clock)

        assert Payment.objects.count() == 15
        Payment.objects.update(state="captured", waits_for="", next_check_at=None)
        clock.pass_(seconds=2)
        run_batch(batch.pk, clock)
        assert Payment.objects.count() == 30

    def test_a_second_round_beside_one_under_way_finds_its_lease_and_ends(self, clock: Clock) -> None:
        batch = started(clock, "a")
        Batch.objects.filter(pk=batch.pk).update(next_check_at=clock() + LEASE)

        run_batch(batch.pk, clock)
        assert Payment.objects.count() == 0

        clock.offset += LEASE
        run_batch(batch.pk, clock)
        assert Payment.objects.count() == 1

    def test_a_round_ends_after_a_window_of_rows_and_the_next_is_due_at_once(
        self, clock: Clock, settings: object
    ) -> None:
        """Gateways that keep up must not keep one worker in one round for ever."""
        settings.UPLOAD_WINDOW = 20  # type: ignore[attr-defined]
        batch = started(clock, *[f"o-{number}" for number in range(45)])
        counts = []
        for _ in range(3):
            run_batch(batch.pk, clock)
            counts.append(Payment.objects.count())
            Payment.objects.update(state="captured", waits_for="")

        assert counts == [20, 40, 45]

    def test_rounds_of_many_workers_make_each_row_once(self, clock: Clock) -> None:
        batch = started(clock, *[f"o-{number}" for number in range(60)])
        barrier = threading.Barrier(4)

        def work() -> None:
            try:
                barrier.wait()
                for _ in range(10):
                    Batch.objects.filter(pk=batch.pk).update(next_check_at=clock())  # nobody has a lease
                    run_batch(batch.pk, clock)
            finally:
                connection.close()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        run_rounds(batch, clock)

        made = list(Payment.objects.order_by("reference").values_list("reference", flat=True))
        assert made == sorted(set(made))
        assert len(made) <= 60
        Payment.objects.update(state="captured", waits_for="")
        clock.offset += STALE * 2
        run_rounds(batch, clock)
        assert set(states(batch)) == {"made"}
        assert Payment.objects.count() == 60

    def test_a_claim_whose_worker_died_is_claimed_anew_after_a_minute(self, clock: Clock) -> None:
        batch = started(clock, "a", "b")
        BatchRow.objects.filter(batch=batch, number=2).update(state=RowState.CLAIMED, claimed_at=clock())

        run_batch(batch.pk, clock)
        assert states(batch) == ["claimed", "made"]

        clock.offset += STALE + timedelta(seconds=5)
        run_batch(batch.pk, clock)
        assert states(batch) == ["made", "made"]

    def test_a_row_whose_payment_was_made_by_its_own_id_before_finds_it(self, clock: Clock) -> None:
        batch = started(clock, "a")
        before = new_payment(clock, reference="a", request_id=f"{batch.public_id}:2")

        run_rounds(batch, clock)

        assert batch.rows.get().payment_id == before.pk
        assert Payment.objects.count() == 1


class TestPauseAndCancel:
    def test_a_pause_begins_no_further_row_and_resuming_goes_on_with_the_next(
        self, clock: Clock, settings: object
    ) -> None:
        settings.UPLOAD_WINDOW = 1  # type: ignore[attr-defined]
        batch = started(clock, "a", "b", "c")
        run_batch(batch.pk, clock)
        batch = pause_batch(batch.public_id, because="bank calls", version=1, actor=SYSTEM, now=clock())
        again = pause_batch(batch.public_id, because="bank calls", version=1, actor=SYSTEM, now=clock())
        Payment.objects.update(state="captured", waits_for="")
        clock.pass_(seconds=30)
        run_batch(batch.pk, clock)

        assert (again.state, states(batch)) == (BatchState.PAUSED, ["made", "ready", "ready"])

        settings.UPLOAD_WINDOW = 50  # type: ignore[attr-defined]
        resume_batch(batch.public_id, version=again.version, actor=SYSTEM, now=clock())
        run_rounds(batch, clock)
        assert states(batch) == ["made"] * 3

    @pytest.mark.parametrize("paused", [True, False])
    def test_cancelling_the_rest_leaves_what_was_made_and_finishes(
        self, clock: Clock, settings: object, paused: bool
    ) -> None:
        settings.UPLOAD_WINDOW = 1  # type: ignore[attr-defined]
        batch = started(clock, "a", "b", "c")
        run_batch(batch.pk, clock)
        batch.refresh_from_db()
        if paused:
            batch = pause_batch(batch.public_id, because="wrong file", version=batch.version, actor=SYSTEM, now=clock())

        assert cancel_rest(batch.public_id, version=batch.version, actor=SYSTEM, now=clock()) == 2
        batch = run_rounds(batch, clock)

        assert (batch.state, states(batch)) == (BatchState.FINISHED, ["made", "cancelled", "cancelled"])
        assert Payment.objects.count() == 1

    def test_what_does_not_fit_the_state_or_the_person_is_refused(self, clock: Clock) -> None:
        batch = uploaded(clock, "a")
        name, now = batch.public_id, clock()
        for refused in (
            lambda actor: pause_batch(name, because="x", version=0, actor=actor, now=now),
            lambda actor: resume_batch(name, version=0, actor=actor, now=now),
            lambda actor: cancel_rest(name, version=0, actor=actor, now=now),
            lambda actor: ask_retries(name, version=0, actor=actor, now=now),
        ):
            with pytest.raises(NotAllowedNow):
                refused(SYSTEM)
            with pytest.raises(Forbidden):
                refused(operator("upload_batch"))
        with pytest.raises(InvalidInput, match="Say why"):
            pause_batch(name, because=" ", version=0, actor=SYSTEM, now=now)
        with pytest.raises(Conflict):
            cancel_rest(name, version=9, actor=SYSTEM, now=now)
        batch.refresh_from_db()
        assert (batch.state, batch.version) == (BatchState.CHECKED, 0)


class TestStarting:
    def test_a_person_within_the_limit_starts_alone_and_the_limit_is_used_once(self, clock: Clock) -> None:
        olga = person()
        allow_alone()
        batch = uploaded(clock, "a", "b")

        for _ in range(2):
            begun = start_batch(batch.public_id, version=0, reason="", actor=olga, now=clock())

        assert (begun.batch.state, begun.approval) == (BatchState.RUNNING, None)
        assert LimitUse.objects.get().used_minor == 2468

    def test_above_the_limit_a_second_person_sees_what_it_is_and_starts_it(self, clock: Clock) -> None:
        olga, finn = person(), person("finance")
        allow_alone(minor=2000)
        batch = uploaded(clock, "a", "b")

        assert "more than the 20.00 USD" in second_person_because(batch, actor=olga, now=clock())
        begun = start_batch(batch.public_id, version=0, reason="monthly dues", actor=olga, now=clock())
        run_batch(batch.pk, clock)

        assert begun.batch.state == BatchState.AWAITING_APPROVAL
        assert states(batch) == ["ready", "ready"]
        shown = dict(begun.approval.shown)
        assert (shown["File"], shown["SHA-256"]) == ("a.csv", batch.sha256)
        assert shown["Rows that become payments"] == "2 of 2"
        assert shown["Total in USD"] == "24.68 USD in 2 rows"
        with pytest.raises(Forbidden):
            approve(begun.approval.public_id, digest=begun.approval.digest, note="", actor=olga, clock=clock)

        done = approve(begun.approval.public_id, digest=begun.approval.digest, note="seen", actor=finn, clock=clock)

        batch.refresh_from_db()
        assert (done.state, batch.state) == (ApprovalState.EXECUTED, BatchState.RUNNING)
        assert batch.started_by == "operator, approved by finance"

    def test_a_no_leaves_it_checked_so_that_it_can_be_asked_for_again(self, clock: Clock) -> None:
        olga, finn = person(), person("finance")
        batch = uploaded(clock, "a")
        begun = start_batch(batch.public_id, version=0, reason="monthly dues", actor=olga, now=clock())

        reject(begun.approval.public_id, note="wrong month", actor=finn, now=clock())
        batch.refresh_from_db()
        assert batch.state == BatchState.CHECKED

        again = start_batch(batch.public_id, version=batch.version, reason="right month", actor=olga, now=clock())
        assert again.approval.pk != begun.approval.pk

    def test_needs_a_right_a_reason_good_rows_and_the_version_that_was_seen(self, clock: Clock) -> None:
        batch, empty = uploaded(clock, "a"), uploaded(clock, file=csv_file(order("a", "x")))
        olga, now = person(), clock()

        with pytest.raises(Forbidden):
            start_batch(batch.public_id, version=0, reason="", actor=operator("upload_batch"), now=now)
        with pytest.raises(InvalidInput, match="reason"):
            start_batch(batch.public_id, version=0, reason="", actor=olga, now=now)
        with pytest.raises(NotAllowedNow, match="No row of it is good"):
            start_batch(empty.public_id, version=0, reason="monthly", actor=SYSTEM, now=now)
        with pytest.raises(Conflict):
            start_batch(batch.public_id, version=5, reason="monthly", actor=SYSTEM, now=now)
        batch.refresh_from_db()
        assert (batch.state, Approval.objects.count()) == (BatchState.CHECKED, 0)


class TestRetries:
    def test_soft_declines_are_tried_again_and_what_is_forbidden_is_not(
        self, clock: Clock, simulator: SimulatorProcess
    ) -> None:
        batch = started(clock, file=csv_file(
            order("a"), order("soft", token="tok_decline_insufficient_funds"), order("hard", token="tok_decline_hard_decline"),
        ))  # fmt: skip
        run_rounds(batch, clock)
        advance_all(clock)
        for _ in range(3):  # planned retries of soft declines come to their end as well
            clock.pass_(days=8)
            sweep(clock)
        groups = {group.failure_class: group for group in declined_groups(batch)}
        batch.refresh_from_db()

        assert groups["hard_decline"].barred
        assert sum(group.count for group in groups.values()) == 2

        view = {view.row.reference: view for view in rows_of(batch)[0]}
        assert (view["a"].outcome, view["soft"].outcome) == (RowOutcome.PAID, RowOutcome.FAILED)
        assert view["soft"].gateway == "NMI"
        assert not groups["insufficient_funds"].barred
        attempts = Payment.objects.get(reference="soft").attempts.count()
        assert ask_retries(batch.public_id, version=batch.version, actor=SYSTEM, now=clock()) == 1
        run_batch(batch.pk, clock)
        advance_all(clock)
        assert batch.rows.get(reference="soft").retry_said == "Tried again."
        assert Payment.objects.get(reference="soft").attempts.count() == attempts + 1
        assert batch.rows.get(reference="hard").retry_said == ""

    def test_an_unknown_outcome_is_never_tried_again(self, clock: Clock, simulator: SimulatorProcess) -> None:
        simulator.fault("lost_response", "sale", times=1)
        batch = started(clock, "a")
        run_rounds(batch, clock)
        advance_all(clock)
        batch.refresh_from_db()

        assert [share.outcome for share in shares_of(batch)] == [RowOutcome.UNKNOWN]
        with pytest.raises(NotAllowedNow, match="No declined row"):
            ask_retries(batch.public_id, version=batch.version, actor=SYSTEM, now=clock())
