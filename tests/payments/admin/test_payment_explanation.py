"""Does the page say in plain words where a payment stands, why, and what happens next? Exact sentences for each situation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from payments.facts import Fact, FactKind
from payments.models import GatewayAccount, Operation, Switch
from payments.queries.explanation import Explanation, explain
from payments.queries.page_rows import read_payment
from payments.services.recording import Cause, record_fact
from payments.states import Source
from tests.payments.admin.payment_scenes import SCENES, fresh, set_credentials
from tests.payments.factories import nmi_account

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    set_credentials(monkeypatch)


def explained(scene: str, *, after: timedelta = timedelta(minutes=7)) -> Explanation:
    """The scene made at noon, explained seven minutes later."""
    return explain(read_payment(SCENES[scene](NOON)), NOON + after)


STANDS = {
    "stored": "Stored. Nothing has been checked or sent yet.",
    "checked": "Checked and in order. No gateway has been asked yet.",
    "planned": "NMI is about to be asked for 125.00 USD. Nothing has been sent yet.",
    "sent": "NMI has been asked for 125.00 USD. Its answer is not here yet.",
    "unknown": "It is not known whether NMI took 125.00 USD. Nobody charges again until it is.",
    "authorised": "NMI holds 125.00 USD for us until 09 Mar 2026 12:00 UTC (in 6 days); nothing has been taken.",
    "cancel_asked": (
        "NMI holds 125.00 USD for us until 09 Mar 2026 12:00 UTC (in 6 days); nothing has been taken. "
        "Cancelling has been asked; it happens as soon as the gateway has provably let go."
    ),
    "capture_open": (
        "NMI holds 125.00 USD for us until 09 Mar 2026 12:00 UTC (in 6 days); nothing has been taken. A "
        "capture of 125.00 USD is planned."
    ),
    "captured": "Paid: NMI took 125.00 USD.",
    "late": "Paid late, after it had been given up: NMI took 125.00 USD.",
    "settled": "Paid and settled: 125.00 USD stands in a closed batch of NMI.",
    "refund_waits": "Paid: NMI took 125.00 USD. 25.00 USD is on its way back to the payer.",
    "part_refunded": "Paid and settled: 125.00 USD stands in a closed batch of NMI. 25.00 USD of it has gone back.",
    "refunded": "Refunded: all of the 125.00 USD that was captured has gone back.",
    "declined": "Not paid: NMI declined it (insufficient funds). Nothing was taken.",
    "absent": "Not paid: the sale never happened at NMI.",
    "no_route": "Not paid: no gateway could be asked.",
    "expired": "Not paid: its window closed with nothing open.",
    "cancelled": "Cancelled: nothing was taken, and that is proven.",
    "captured_after_cancel": "Cancelled. Yet money came: 125.00 USD is booked, and a review says what it is for.",
    "retry_planned": (
        "Nothing was taken: NMI declined it (insufficient funds). It is tried again on 04 Mar 12:00 UTC (in 47 h)."
    ),
    "retry_cancelled": "Not paid: NMI declined it (insufficient funds). Nothing was taken.",
    "refused_by_first": "Stripe has been asked for 125.00 USD. Its answer is not here yet.",
    "paid_by_second": "Paid: Stripe took 125.00 USD.",
    "refused_by_both": (
        "Not paid: NMI declined it (soft decline), then Stripe declined it (soft decline). Nothing was taken."
    ),
    "payers_turn": "The payer has to confirm 125.00 USD at their bank; Stripe takes it once they have.",
    "being_closed": (
        "Stripe is asked to close what the payer could still finish there. Nothing else is tried before. "
        "Cancelling has been asked; it happens as soon as the gateway has provably let go."
    ),
    "held_back": "Checked and in order. No gateway has been asked yet.",
    "double_capture": (
        "Paid: Stripe took 125.00 USD. More money came: 125.00 USD is booked, and a review says what it is for."
    ),
}
"""What the page says first seven minutes later, in each situation that has a sentence of its own."""
assert STANDS.keys() <= SCENES.keys()


@pytest.mark.parametrize("scene", SCENES)
def test_every_situation_says_where_it_stands_has_a_reason_and_ends_its_sentences(scene: str) -> None:
    payment = SCENES[scene](NOON)
    explanation = explain(read_payment(payment), NOON + timedelta(minutes=7))

    assert explanation.now == STANDS.get(scene, explanation.now)
    assert explanation.now.endswith(".")
    assert len(explanation.because) <= 3
    assert explanation.because or scene == "stored"
    assert explanation.waiting or payment.next_check_at is None


def test_an_unanswered_sale_says_what_may_have_happened_and_links_to_its_evidence() -> None:
    because = explained("unknown").because

    assert because[0].text == (
        "NMI did not answer the sale within 30 s. It may have been processed; only the gateway can tell."
    )
    assert because[0].anchor.startswith("fact-")
    assert because[0].at == NOON + timedelta(seconds=30)


def test_an_answer_nobody_can_read_is_told_apart_from_silence() -> None:
    payment = SCENES["unknown"](NOON)
    Operation.objects.filter(payment=payment).update(message="the body is no answer of NMI")

    because = explain(read_payment(payment), NOON).because

    assert because[0].text == (
        "NMI gave no usable answer to the sale: the body is no answer of NMI. "
        "It may have been processed; only the gateway can tell."
    )


def test_the_proof_of_absence_says_how_far_it_is_and_when_it_can_be_complete() -> None:
    (waiting,) = explained("looked_up").waiting

    assert waiting.whom == "a look-up at NMI"
    assert waiting.until == NOON + timedelta(minutes=8)
    assert not waiting.overdue
    assert waiting.then == (
        "NMI is asked again what became of the sale. Found: its outcome is recorded. "
        "Proven absent: nothing was taken, and the payment fails."
    )
    assert waiting.progress == (
        "3 of at least 5 answered look-ups without a trace. Absence is proven at the earliest 12:15 (in 8 min). "
        "1 look-up got no answer and proves nothing. "
        "After 20 answered look-ups without a conclusion a review opens."
    )


def test_once_the_time_is_over_the_next_look_up_can_prove_absence() -> None:
    payment = SCENES["looked_up"](NOON)
    Operation.objects.filter(payment=payment).update(look_ups_answered=5, look_ups_unanswered=0)

    (waiting,) = explain(read_payment(payment), NOON + timedelta(minutes=20)).waiting

    assert waiting.progress.startswith(
        "5 of at least 5 answered look-ups without a trace. "
        "The waiting time is over: the next answered look-up can prove absence."
    )
    assert waiting.overdue


def test_a_stricter_account_moves_the_proof() -> None:
    payment = SCENES["looked_up"](NOON)
    GatewayAccount.objects.filter(pk=nmi_account().pk).update(absence_look_ups=8, absence_seconds=3600)

    (waiting,) = explain(read_payment(payment), NOON + timedelta(minutes=7)).waiting

    assert waiting.progress.startswith("3 of at least 8")
    assert "at the earliest 13:00 (in 53 min)" in waiting.progress


def test_a_call_under_way_waits_for_its_answer_and_then_counts_as_unknown() -> None:
    (waiting,) = explained("sent", after=timedelta(seconds=5)).waiting

    assert (waiting.whom, waiting.since, waiting.until) == (
        "NMI to answer the sale", NOON, NOON + timedelta(seconds=30),
    )  # fmt: skip
    assert waiting.then == (
        "Without an answer the outcome counts as unknown, and NMI is looked up. Nothing is sent again."
    )


def test_a_hold_waits_for_the_merchant_and_warns_a_day_before_it_ends() -> None:
    (waiting,) = explained("authorised").waiting

    assert waiting.whom == "the merchant to capture or cancel"
    assert waiting.until == NOON + timedelta(days=7)
    assert waiting.then == (
        "At 08 Mar 12:00 (in 5 days) a review opens for an operator. "
        "When the hold ends, NMI is asked whether the hold still lives."
    )


def test_a_refund_that_waits_for_its_batch_says_when_somebody_is_called() -> None:
    (waiting,) = explained("refund_waits").waiting

    assert waiting.whom == "the gateway's next settlement batch"
    assert waiting.until == NOON + timedelta(hours=1)
    assert "At 04 Mar 12:00 (in 47 h) a review opens if it has not." in waiting.then


def test_money_after_a_cancellation_waits_for_a_person_and_says_why() -> None:
    explanation = explained("captured_after_cancel")

    assert explanation.because[0].text.startswith("The gateway captured money for a cancelled payment. Review rev_")
    assert explanation.because[0].anchor.startswith("rev_")
    assert [waiting.whom for waiting in explanation.waiting] == ["an operator to decide the review"]
    assert "Nothing happens by itself" in explanation.waiting[0].then


def test_exhausted_look_ups_show_the_question_and_the_review() -> None:
    explanation = explained("exhausted")
    because = explanation.because

    assert [reason.anchor.split("-")[0].split("_")[0] for reason in because[:2]] == ["fact", "rev"]
    assert len(because) <= 3
    assert "a review opens" not in explanation.waiting[0].progress


def test_a_decline_names_the_gateways_code() -> None:
    assert explained("declined").because[0].text.startswith("NMI: Insufficient funds (code 202). The payer has to")


@pytest.mark.parametrize(
    ("scene", "afterwards"),
    [
        ("captured", "Nothing is due. It becomes settled by itself when NMI closes the batch it stands in."),
        ("declined", "Nothing is due. A success that NMI reported late would still be applied, and marked."),
        ("cancelled", "Nothing is due. Money that still came would be booked on suspense, and a review opened."),
    ],
)
def test_a_payment_that_waits_for_nothing_says_what_would_still_change_it(scene: str, afterwards: str) -> None:
    explanation = explained(scene)

    assert explanation.waiting == ()
    assert explanation.afterwards == afterwards


class TestBetweenTwoTries:
    @pytest.mark.parametrize("scene", ["refused_by_first", "paid_by_second", "refused_by_both"])
    def test_what_the_first_gateway_said_is_a_reason_and_leads_to_its_attempt(self, scene: str) -> None:
        told = [r for r in explained(scene).because if r.anchor.startswith("att_")]

        assert [r.text for r in told] == ["NMI refused: Do not honour (code 200). Stripe was asked next."]

    def test_why_the_second_gateway_is_asked_stands_in_the_timeline(self) -> None:
        payment = SCENES["paid_by_second"](NOON)

        opened = payment.transitions.filter(fact="attempt_opened").order_by("-id")[0]

        assert opened.because == "Stripe is asked. NMI first: asked already. Stripe is the next that can take it."

    def test_a_planned_retry_says_when_why_and_what_ends_it(self) -> None:
        explanation = explained("retry_planned")
        (waiting,) = explanation.waiting

        assert (waiting.whom, waiting.until, waiting.anchor[:4]) == ("the next try", NOON + timedelta(days=2), "rty_")
        assert waiting.then.startswith("Every gateway may be asked anew, by priority.")
        assert waiting.progress == "If it is not paid by 01 Apr 12:00, it expires."
        assert [r.text for r in explanation.because[:2]] == [
            "Retry 1 is planned: insufficient funds at NMI.",
            "NMI refused: Insufficient funds (code 202).",
        ]

    def test_a_retry_taken_back_says_by_whom_and_why(self) -> None:
        assert (
            explained("retry_cancelled").because[-1].text == "olga: The planned retry was cancelled: the order changed"
        )

    def test_a_payer_at_their_bank_is_waited_for_until_the_window_closes(self) -> None:
        (waiting,) = explained("payers_turn").waiting

        assert (waiting.whom, waiting.since, waiting.until) == (
            "the payer to confirm at their bank", NOON, NOON + timedelta(hours=1),
        )  # fmt: skip
        assert waiting.then == "If they have not, it is closed at Stripe, and then the payment has expired."

    def test_what_is_over_for_us_is_closed_first(self) -> None:
        payment = SCENES["payers_turn"](NOON)

        explanation = explain(read_payment(payment), NOON + timedelta(hours=2))

        assert explanation.now == (
            "The payer could still finish it at Stripe: it is closed there before anything else is tried."
        )

    def test_a_closing_without_an_answer_says_what_it_leaves_open(self) -> None:
        payment = SCENES["being_closed"](NOON)
        Operation.objects.filter(payment=payment, kind="close").update(state="unknown")

        explanation = explain(read_payment(payment), NOON + timedelta(minutes=1))

        assert explanation.now.startswith(
            "It is not known whether Stripe has closed it: the payer may still finish it. Nobody charges until it is."
        )

    def test_a_stop_is_named_with_its_person_and_reason(self) -> None:
        (waiting,) = explained("held_back").waiting

        assert waiting.whom == "sending to be resumed"
        assert waiting.progress == "New charges are stopped since 12:00 by priya: bank incident"

    def test_without_a_stop_it_waits_for_a_gateway(self) -> None:
        payment = SCENES["held_back"](NOON)
        Switch.objects.update(lifted_at=NOON)

        (waiting,) = explain(read_payment(payment), NOON).waiting

        assert waiting.whom == "a gateway that may be asked"

    def test_money_of_an_earlier_attempt_is_said_to_be_there(self) -> None:
        payment = SCENES["refused_by_both"](NOON)
        first = payment.attempts.get(number=1)
        late = Fact(
            FactKind.CAPTURE, Source.LOOK_UP, NOON, money=payment.money, gateway_id="8100001", reference=first.reference
        )
        record_fact(late, account_id=first.gateway_account_id, cause=Cause(), now=NOON)

        assert explain(read_payment(fresh(payment)), NOON).now == (
            "Paid late, after it had been given up: NMI took 125.00 USD."
        )
