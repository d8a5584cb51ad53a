"""Is a case decided only as it was shown, after the gateway was asked, once, and with what the person wrote kept?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from payments.models import Review
from payments.services.refunds import advance_refund
from payments.states import ReviewState
from tests.payments.admin import payment_scenes as scenes
from tests.payments.admin.desk import prepare, signed_in, text_of
from tests.payments.factories import Clock, nmi_account
from tests.payments.flows.books import balance
from tests.payments.flows.test_reviews import captured_after_cancel
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)
WHY = {"reason": "late_money", "note": "The shop captured it by hand in the terminal."}


@pytest.fixture
def review(simulator: SimulatorProcess, clock: Clock) -> Review:
    nmi_account()
    return captured_after_cancel(simulator, clock)


def page_of(review: Review, decision: str = "") -> str:
    return f"/admin/payments/review/{review.public_id}/" + (f"decide_{decision}/" if decision else "")


def test_giving_it_back_shows_the_lines_first_and_then_who_decided(review: Review, clock: Clock) -> None:
    client = signed_in("operator", "olga")

    shown, confirmed = prepare(client, page_of(review, "refund"), **WHY)
    assert "Debit suspense 10.00 USD, credit refunds payable 10.00 USD." in text_of(shown)
    assert "Nothing new: what we know is what it says now." in text_of(shown)
    assert balance("2050") == -1000
    done = client.post(page_of(review, "refund"), confirmed)

    assert (done.status_code, done["Location"]) == (302, page_of(review))
    assert (balance("2050"), balance("2030")) == (0, -1000)
    advance_refund(review.refunds.get().pk, clock)
    words = text_of(client.get(page_of(review)))
    for said in ("Decision Give it back", "By olga", "Reason Money came late", WHY["note"], "succeeded", "by olga"):
        assert said in words, said


def test_the_second_person_is_told_who_was_quicker_and_keeps_the_note(review: Review) -> None:
    olga, fay = signed_in("operator", "olga"), signed_in("finance", "fay")
    _, hers = prepare(olga, page_of(review, "refund"), **WHY)
    _, later = prepare(fay, page_of(review, "wallet"), reason="excess", note="I would keep it for the next order.")
    olga.post(page_of(review, "refund"), hers)

    answer = fay.post(page_of(review, "wallet"), later)

    assert answer.status_code == 409
    assert "olga decided “refund”: The shop captured it by hand in the terminal" in text_of(answer)
    assert "I would keep it for the next order." in text_of(answer)
    assert (balance("2050"), balance("2010"), balance("2030")) == (0, 0, -1000)


def test_confirming_twice_decides_once(review: Review) -> None:
    client = signed_in("operator")
    _, confirmed = prepare(client, page_of(review, "apply_here"), **WHY)

    answers = [client.post(page_of(review, "apply_here"), confirmed).status_code for _ in range(2)]

    assert answers == [302, 409]
    assert (balance("2050"), balance("2020")) == (0, -1000)


def test_what_the_gateway_says_meanwhile_is_shown_and_stops_the_decision(
    review: Review, simulator: SimulatorProcess
) -> None:
    assert review.attempt is not None
    simulator.act("void", reference=review.attempt.reference)

    shown, _ = prepare(signed_in("operator"), page_of(review, "refund"), **WHY)

    assert shown.status_code == 422
    assert "settled already" in text_of(shown)
    assert "went back at the gateway" in text_of(shown)
    assert WHY["note"] in text_of(shown)


def test_a_gateway_that_does_not_answer_lets_nothing_be_decided() -> None:
    scenes.captured_after_cancel(datetime.now(UTC) - timedelta(hours=1))
    review = Review.objects.get()

    shown, confirmed = prepare(signed_in("operator"), page_of(review, "refund"), **WHY)

    assert shown.status_code == 422
    assert "The gateway did not answer." in text_of(shown)
    assert confirmed["preview_seal"] == ""
    review.refresh_from_db()
    assert review.state == ReviewState.OPEN


def test_paying_another_payment_needs_one_that_waits_for_exactly_that(review: Review) -> None:
    client = signed_in("operator")
    _, confirmed = prepare(client, page_of(review, "apply_to_other"), target_payment="pay_nothing", **WHY)

    answer = client.post(page_of(review, "apply_to_other"), confirmed)

    assert answer.status_code == 422
    assert "There is no payment 'pay_nothing'." in text_of(answer)
    assert balance("2050") == -1000


def test_putting_it_off_moves_the_date_and_posts_nothing(review: Review) -> None:
    client, day = signed_in("operator"), (datetime.now(UTC) + timedelta(days=3)).date()
    _, confirmed = prepare(client, page_of(review, "hold_until"), until=day.isoformat(), **WHY)

    answer = client.post(page_of(review, "hold_until"), confirmed, follow=True)

    assert f"Put off until {day:%d %b %Y} 09:00 UTC. Nothing was posted." in text_of(answer)
    review.refresh_from_db()
    assert (review.state, review.due_at.date(), balance("2050")) == (ReviewState.OPEN, day, -1000)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"reason": "", "note": "long enough"}, "This field is required."),
        ({"reason": "other", "note": ""}, "This field is required."),
        ({"reason": "other", "note": "card 4111 1111 1111 1111 of the payer"}, "This looks like a card number."),
    ],
)
def test_reason_and_note_are_required_and_no_card_number_is_kept(typed: dict[str, str], said: str) -> None:
    scenes.captured_after_cancel(datetime.now(UTC) - timedelta(hours=1))

    shown, _ = prepare(signed_in("operator"), page_of(Review.objects.get(), "refund"), **typed)

    assert shown.status_code == 422
    assert said in text_of(shown)
    assert "4111" not in shown.content.decode()
