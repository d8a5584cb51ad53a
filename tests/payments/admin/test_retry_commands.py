"""Is a declined payment tried again, or its retry taken back, only as it was shown, once, and by those who may?"""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from payments.models import Payment
from tests.payments.admin.payment_scenes import captured, fresh, refused_by_both, retry_planned, set_credentials
from tests.payments.admin.test_payment_commands import LIST, confirmed, previewed, signed_in, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _demo(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO = True
    set_credentials(monkeypatch)


class TestTryingAgain:
    def address(self, payment: Payment, command: str = "retry") -> str:
        return f"{LIST}{payment.public_id}/{command}/"

    def test_shows_who_is_asked_then_makes_the_attempt(self) -> None:
        client, payment = signed_in(), retry_planned(timezone.now())

        preview = previewed(client, self.address(payment))
        assert payment.attempts.count() == 1
        answer = confirmed(client, self.address(payment), preview)

        assert "NMI is asked for 125.00 USD: NMI is the first that can take it." in text_of(preview)
        assert "The retry planned for " in text_of(preview)
        assert answer.headers["Location"] == f"{LIST}{payment.public_id}/"
        assert (payment.attempts.count(), payment.retries.get().state) == (2, "done")

    def test_pressing_twice_makes_one_attempt_and_says_who_was_quicker(self) -> None:
        client, payment = signed_in(), refused_by_both(timezone.now())
        preview = previewed(client, self.address(payment))

        answers = [confirmed(client, self.address(payment), preview) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [302, 409]
        assert payment.attempts.count() == 3

    def test_of_what_is_not_declined_is_refused_with_the_reason(self) -> None:
        answer = previewed(signed_in(), self.address(captured(timezone.now())))

        assert answer.status_code == 422
        assert "The payment is captured: only one that was declined can be tried again." in text_of(answer)

    def test_is_nobodys_who_moves_no_money(self) -> None:
        payment = retry_planned(timezone.now())

        answers = [signed_in("support").get(self.address(payment, name)) for name in ("retry", "cancel_retry")]

        assert [answer.status_code for answer in answers] == [403, 403]

    def test_a_planned_retry_is_taken_back_with_a_reason(self) -> None:
        client, payment = signed_in(), retry_planned(timezone.now())
        address = self.address(payment, "cancel_retry")

        preview = previewed(client, address, because="the order changed")
        answer = confirmed(client, address, preview, because="the order changed")

        assert "The planned retry is cancelled." in text_of(preview)
        assert answer.status_code == 302
        retry = payment.retries.get()
        assert (retry.state, retry.ended_by, retry.ended_because) == ("cancelled", "operator", "the order changed")
        assert fresh(payment).state == "failed"

    def test_a_retry_that_began_meanwhile_is_not_taken_back(self) -> None:
        client, payment = signed_in(), retry_planned(timezone.now())
        address = self.address(payment, "cancel_retry")
        preview = previewed(client, address, because="the order changed")
        confirmed(client, self.address(payment), previewed(client, self.address(payment)))

        answer = confirmed(client, address, preview, because="the order changed")

        assert answer.status_code == 422
        assert "This retry has already been made." in text_of(answer)
        assert fresh(payment).state == "pending"

    def test_without_a_reason_nothing_is_taken_back(self) -> None:
        payment = retry_planned(timezone.now())

        answer = previewed(signed_in(), self.address(payment, "cancel_retry"), because=" ")

        assert answer.status_code == 422
        assert payment.retries.get().state == "waiting"

    def test_the_page_offers_both_beside_the_row(self) -> None:
        payment = retry_planned(timezone.now())

        page = signed_in().get(f"{LIST}{payment.public_id}/")

        assert f'href="{self.address(payment)}"' in page.content.decode()
        assert f'href="{self.address(payment, "cancel_retry")}"' in page.content.decode()
        assert "Retries Try now…" in text_of(page)
        assert "insufficient funds at NMI." in text_of(page)
