"""Does the dry run find what only the database knows, add up what is good, and write nothing that must not be kept?"""

from __future__ import annotations

import io
import threading

import pytest
from django.db import connection

from payments.errors import Conflict, Forbidden, InvalidInput, NotAllowedNow
from payments.models import Batch, BatchRow, GatewayAccount, Payment, PaymentMethod
from payments.queries.batch_page import earlier_uploads, problem_counts
from payments.services.accounts import ensure_gateway_account
from payments.services.actors import SYSTEM
from payments.services.batches.upload import discard_batch, upload_batch
from payments.states import BatchState, RowState
from tests.payments.batches.sheets import CARD, csv_file, order, xlsx_file
from tests.payments.batches.uploads import uploaded
from tests.payments.factories import Clock, new_payment, nmi_account, operator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clock() -> Clock:
    nmi_account()
    return Clock()


def row_of(batch: Batch, number: int) -> BatchRow:
    return batch.rows.get(number=number)


class TestTheDryRun:
    @pytest.mark.parametrize("make", [csv_file, xlsx_file])
    def test_counts_and_adds_up_the_good_rows_by_currency_and_makes_no_payment(
        self, clock: Clock, make: object
    ) -> None:
        file = make(order("a"), order("b", "1.00"), order("c", "500", "JPY"), order("d", "x"))  # type: ignore[operator]
        name = "a.csv" if make is csv_file else "a.xlsx"

        batch = uploaded(clock, file=file, name=name)

        assert (batch.state, batch.rows_total, batch.rows_bad) == (BatchState.CHECKED, 4, 1)
        assert batch.totals == {"USD": [2, 1334], "JPY": [1, 500]}
        assert list(batch.rows.values_list("number", "state")) == [(2, "ready"), (3, "ready"), (4, "ready"), (5, "bad")]
        assert Payment.objects.count() == 0

    def test_an_unreadable_file_is_kept_as_a_refusal_without_rows(self, clock: Clock) -> None:
        content = b"reference,amount,currency,token\na,1.00,USD,tok_ok\nb\xe9,1.00,USD,tok_ok\n"

        batch = uploaded(clock, file=io.BytesIO(content))

        assert batch.state == BatchState.REFUSED
        assert batch.refused_because.startswith("Line 3 is not UTF-8")
        assert (batch.rows.count(), batch.rows_total, batch.totals) == (0, 0, {})

    def test_a_card_number_leaves_no_trace_in_any_table(self, clock: Clock) -> None:
        batch = uploaded(clock, file=csv_file(order(f"ref {CARD}"), order("b", token=CARD)))

        assert [row.values for row in batch.rows.all()] == [{}, {}]
        assert batch.rows_bad == 2
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM payments_batchrow r WHERE r::text LIKE %s", ["%4111%"])
            assert cursor.fetchone() == (0,)

    def test_a_name_with_a_card_number_is_refused_and_not_kept(self, clock: Clock) -> None:
        with pytest.raises(InvalidInput, match="looks like a card number"):
            uploaded(clock, "a", name=f"{CARD}.csv")

        assert Batch.objects.count() == 0

    def test_needs_the_right(self, clock: Clock) -> None:
        with pytest.raises(Forbidden):
            upload_batch("a.csv", csv_file(order("a")), actor=operator("start_batch"), now=clock())

        assert Batch.objects.count() == 0


class TestWhatTheDatabaseKnows:
    def test_an_open_payment_of_the_reference_is_a_problem_and_a_failed_one_a_warning(self, clock: Clock) -> None:
        first = new_payment(clock, reference="a")
        gone = new_payment(clock, reference="b")
        Payment.objects.filter(pk=gone.pk).update(state="failed")

        batch = uploaded(clock, "a", "b", "c")

        assert row_of(batch, 2).problems == [
            ["reference", f"Payment {first.public_id} of this reference is initiated already."]
        ]
        assert row_of(batch, 3).warnings == [
            ["reference", f"Payment {gone.public_id} of this reference failed; a new one is made."]
        ]
        assert (row_of(batch, 4).problems, row_of(batch, 4).warnings) == ([], [])

    def test_a_stored_method_must_exist_be_usable_and_not_blocked(self, clock: Clock) -> None:
        good = new_payment(clock, reference="x").method
        blocked = new_payment(clock, reference="y").method
        PaymentMethod.objects.filter(pk=blocked.pk).update(blocked_at=clock(), blocked_because="fraud")
        empty = PaymentMethod.objects.create(kind="card")
        heads = ("reference", "amount", "currency", "payment_method")
        names = (good.public_id, blocked.public_id, empty.public_id, "pm_none")
        file = csv_file(*[(f"o{at}", "1.00", "USD", name) for at, name in enumerate(names)], headings=heads)

        batch = uploaded(clock, file=file)

        said = [" ".join(sentence for _, sentence in row.problems) for row in batch.rows.all()]
        assert said[0] == ""
        assert "It is blocked since" in said[1]
        assert "no credential" in said[2]
        assert said[3] == "There is no such payment method."

    def test_a_gateway_must_exist_be_on_and_take_the_currency(self, clock: Clock) -> None:
        ensure_gateway_account("other", "nmi", "Other")
        GatewayAccount.objects.filter(slug="other").update(enabled=False)
        heads = ("reference", "amount", "currency", "token", "gateway")
        rows = [
            ("a", "1.00", "USD", "tok_ok", "nmi"),
            ("b", "1.00", "USD", "tok_ok", "none"),
            ("c", "1.00", "USD", "tok_ok", "other"),
        ]

        batch = uploaded(clock, file=csv_file(*rows, headings=heads))

        assert [row.problems for row in batch.rows.all()] == [
            [],
            [["gateway", "There is no gateway account 'none'."]],
            [["gateway", "The gateway account other is switched off."]],
        ]

    def test_a_row_with_one_credential_is_warned_that_it_has_no_fallback(self, clock: Clock) -> None:
        ensure_gateway_account("other", "nmi", "Other")
        heads = ("reference", "amount", "currency", "nmi", "other")
        rows = [("a", "1.00", "USD", "v1", ""), ("b", "1.00", "USD", "v2", "w2")]

        batch = uploaded(clock, file=csv_file(*rows, headings=heads))

        assert row_of(batch, 2).warnings == [["nmi", "No credential for a fallback: other can not take it instead."]]
        assert (row_of(batch, 3).warnings, batch.rows_bad) == ([], 0)

    def test_asks_a_constant_number_of_queries_for_each_thousand_rows(
        self, clock: Clock, django_assert_max_num_queries: object
    ) -> None:
        references = [f"o-{number}" for number in range(1000)]

        with django_assert_max_num_queries(20):  # type: ignore[operator]
            uploaded(clock, *references)


class TestTheSameFileAgain:
    def test_is_told_with_the_earlier_uploads(self, clock: Clock) -> None:
        first, second, other = uploaded(clock, "a"), uploaded(clock, "a"), uploaded(clock, "b")

        assert earlier_uploads(second) == [first]
        assert earlier_uploads(first) == earlier_uploads(other) == []

    def test_at_the_same_moment_one_of_two_knows_of_the_other(self, clock: Clock) -> None:
        content = csv_file(*[order(f"o-{number}") for number in range(300)]).getvalue()
        barrier, made = threading.Barrier(2), []

        def send() -> None:
            try:
                barrier.wait()
                made.append(upload_batch("a.csv", io.BytesIO(content), actor=SYSTEM, now=clock()))
            finally:
                connection.close()

        threads = [threading.Thread(target=send) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(len(earlier_uploads(batch)) for batch in made) == [0, 1]
        assert [batch.rows.count() for batch in made] == [300, 300]


class TestDiscarding:
    def test_puts_a_checked_upload_away_and_forgets_its_cells(self, clock: Clock) -> None:
        batch = uploaded(clock, "a")

        discard_batch(batch.public_id, version=0, actor=SYSTEM, now=clock())
        again = discard_batch(batch.public_id, version=0, actor=SYSTEM, now=clock())

        assert again.state == BatchState.DISCARDED
        assert [row.values for row in batch.rows.all()] == [{}]

    def test_is_refused_for_what_somebody_changed_or_started(self, clock: Clock) -> None:
        batch = uploaded(clock, "a")
        with pytest.raises(Conflict, match="checked by now"):
            discard_batch(batch.public_id, version=7, actor=SYSTEM, now=clock())
        Batch.objects.filter(pk=batch.pk).update(state=BatchState.RUNNING)
        with pytest.raises(NotAllowedNow, match="running"):
            discard_batch(batch.public_id, version=0, actor=SYSTEM, now=clock())
        with pytest.raises(Forbidden):
            discard_batch(batch.public_id, version=0, actor=operator("create_payment"), now=clock())


def test_problems_of_one_kind_are_counted_together(clock: Clock) -> None:
    batch = uploaded(
        clock, file=csv_file(order("a", "1.555"), order("b", "2.555"), order("c", currency="usd"), order("d"))
    )

    assert [(found.column, found.count, found.first_line) for found in problem_counts(batch)] == [
        ("amount", 2, 2), ("currency", 1, 4),
    ]  # fmt: skip
    assert batch.rows.filter(state=RowState.BAD).count() == 3
