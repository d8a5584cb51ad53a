"""Does every line of the networks' rules end in the advice it should, and is the stricter reading taken where lists differ?"""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest

from payments.declines import RETRIES, NextStep, advice_on, retry_due
from payments.network_rules import SILENT, NetworkAdvice, advise, applied, network_of, stricter, visa_category
from payments.states import Certainty, FailureClass
from tests.payments.factories import Clock

F = FailureClass
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

VISA_NEVER = ("04", "07", "12", "14", "15", "41", "43", "46", "57")
VISA_REVOKED = ("R0", "R1", "R3")
VISA_LATER = ("03", "19", "51", "59", "61", "62", "65", "75", "78", "86", "91", "96", "N3", "N4")
VISA_DATA = {
    "54": F.EXPIRED_CARD, "55": F.INVALID_CARD_DATA, "70": F.AUTHENTICATION_REQUIRED, "82": F.INVALID_CARD_DATA,
    "1A": F.AUTHENTICATION_REQUIRED, "6P": F.INVALID_CARD_DATA, "N7": F.INVALID_CARD_DATA,
}  # fmt: skip
VISA_OTHER = ("05", "01", "02", "13", "Z9")

# code: never, wait, class, revokes, bars
MASTERCARD: dict[str, tuple[bool, timedelta | None, FailureClass | None, bool, bool]] = {
    "01": (False, None, F.EXPIRED_CARD, False, False),
    "02": (False, None, F.SOFT_DECLINE, False, False),
    "03": (True, None, F.HARD_DECLINE, False, True),
    "04": (False, None, F.INVALID_CARD_DATA, False, False),
    "21": (True, None, F.HARD_DECLINE, True, True),
    "22": (False, None, F.CONFIGURATION_ERROR, False, False),
    "24": (False, HOUR, F.SOFT_DECLINE, False, False),
    "25": (False, DAY, F.SOFT_DECLINE, False, False),
    "26": (False, 2 * DAY, F.SOFT_DECLINE, False, False),
    "27": (False, 4 * DAY, F.SOFT_DECLINE, False, False),
    "28": (False, 6 * DAY, F.SOFT_DECLINE, False, False),
    "29": (False, 8 * DAY, F.SOFT_DECLINE, False, False),
    "30": (False, 10 * DAY, F.SOFT_DECLINE, False, False),
    "40": (True, None, F.HARD_DECLINE, False, False),
    "41": (True, None, F.HARD_DECLINE, False, False),
    "42": (True, None, F.HARD_DECLINE, False, False),
    "43": (False, None, None, False, False),
}
MASTERCARD_HARD = ("04", "07", "14", "15", "41", "43", "57", "62")
MASTERCARD_SOFT = ("01", "02", "05", "51", "61", "65", "91", "96")


class TestVisa:
    @pytest.mark.parametrize("code", VISA_NEVER)
    def test_category_one_is_never_tried_again_and_bars_the_card(self, code: str) -> None:
        told = advise("visa", code, "", "")

        assert (visa_category(code), told.never, told.bars, told.revokes) == (1, True, True, False)
        assert told.source == "Visa category 1"

    @pytest.mark.parametrize("code", VISA_REVOKED)
    def test_a_revocation_ends_this_payment_and_leaves_the_payer_free_to_pay(self, code: str) -> None:
        told = advise("visa", code, "", "")

        assert (visa_category(code), told.never, told.bars, told.revokes) == (1, True, False, True)

    @pytest.mark.parametrize("code", VISA_LATER)
    def test_category_two_may_be_tried_again(self, code: str) -> None:
        told = advise("visa", code, "", "")

        assert (visa_category(code), told.never, told.failure_class) == (2, False, None)

    def test_the_code_that_lists_disagree_on_is_never_tried_again_and_bars_nothing(self) -> None:
        told = advise("visa", "93", "", "")

        assert (visa_category("93"), told.never, told.bars) == (2, True, False)

    @pytest.mark.parametrize(("code", "failure_class"), VISA_DATA.items())
    def test_category_three_waits_for_other_data(self, code: str, failure_class: FailureClass) -> None:
        told = advise("visa", code, "", "")

        assert (visa_category(code), told.never, told.failure_class) == (3, False, failure_class)
        assert applied(F.SOFT_DECLINE, told) == failure_class

    @pytest.mark.parametrize("code", VISA_OTHER)
    def test_everything_else_is_category_four(self, code: str) -> None:
        told = advise("visa", code, "", "")

        assert (visa_category(code), told.never, told.failure_class) == (4, False, None)

    @pytest.mark.parametrize(("told", "never"), [("1", True), ("01", True), ("2", False), ("3", False), ("9", False)])
    def test_a_category_that_was_passed_on_counts_without_a_code(self, told: str, never: bool) -> None:
        assert advise("visa", "", told, "").never is never

    @pytest.mark.parametrize(("code", "told"), [("05", "1"), ("14", "2")])
    def test_of_code_and_category_the_stricter_counts(self, code: str, told: str) -> None:
        assert advise("visa", code, told, "").never


class TestMastercard:
    @pytest.mark.parametrize("code", MASTERCARD)
    def test_each_advice_code(self, code: str) -> None:
        told = advise("mastercard", "", code, "")

        assert (told.never, told.retry_after, told.failure_class, told.revokes, told.bars) == MASTERCARD[code]

    @pytest.mark.parametrize("code", MASTERCARD_HARD)
    def test_response_codes_that_are_final_without_advice(self, code: str) -> None:
        told = advise("mastercard", code, "", "")

        assert (told.never, told.bars) == (True, False)

    def test_an_expired_card_has_to_be_updated(self) -> None:
        assert advise("mastercard", "54", "", "").failure_class == F.EXPIRED_CARD

    @pytest.mark.parametrize("code", MASTERCARD_SOFT)
    def test_response_codes_that_may_be_tried_again(self, code: str) -> None:
        told = advise("mastercard", code, "", "")

        assert (told.never, told.failure_class) == (False, None)

    @pytest.mark.parametrize(("code", "told"), list(product(MASTERCARD_HARD, ("02", "24", "30"))))
    def test_advice_outranks_a_final_response_code(self, code: str, told: str) -> None:
        assert not advise("mastercard", code, told, "").never

    @pytest.mark.parametrize(("code", "told"), list(product(MASTERCARD_SOFT, ("03", "21", "40", "41"))))
    def test_advice_outranks_a_mild_response_code(self, code: str, told: str) -> None:
        assert advise("mastercard", code, told, "").never

    def test_advice_that_merely_informs_leaves_the_response_code_its_word(self) -> None:
        assert advise("mastercard", "57", "43", "").never

    @pytest.mark.parametrize("brand", ["mastercard", "MasterCard", "mc", "Master-Card", "MASTER CARD", "maestro"])
    def test_the_brand_is_known_however_it_is_written(self, brand: str) -> None:
        assert network_of(brand) == "mastercard"
        assert advise(brand, "", "03", "").bars


class TestGateway:
    def test_do_not_try_again_forbids(self) -> None:
        assert advise("visa", "05", "", "do_not_try_again").never

    def test_confirm_card_data_asks_for_data(self) -> None:
        assert applied(F.SOFT_DECLINE, advise("visa", "05", "", "confirm_card_data")) == F.INVALID_CARD_DATA

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (F.HARD_DECLINE, F.SOFT_DECLINE), (F.UNKNOWN, F.SOFT_DECLINE), (F.FRAUD, F.FRAUD),
            (F.INSUFFICIENT_FUNDS, F.INSUFFICIENT_FUNDS), (F.EXPIRED_CARD, F.EXPIRED_CARD),
        ],
    )  # fmt: skip
    def test_try_again_later_lifts_only_what_was_final_without_a_reason(
        self, before: FailureClass, after: FailureClass
    ) -> None:
        assert applied(before, advise("", "", "", "try_again_later")) == after

    def test_never_overrules_the_network_that_forbids(self) -> None:
        assert advise("visa", "04", "", "try_again_later").never
        assert advise("mastercard", "", "03", "try_again_later").never


class TestWhatIsNotKnown:
    @pytest.mark.parametrize(("code", "told"), [("14", ""), ("", "03"), ("", "01"), ("12", ""), ("62", "")])
    def test_without_a_brand_what_either_network_forbids_is_forbidden(self, code: str, told: str) -> None:
        assert advise("", code, told, "").never

    def test_without_a_brand_nothing_is_lifted(self) -> None:
        assert applied(F.HARD_DECLINE, advise("", "", "02", "")) == F.HARD_DECLINE

    def test_another_network_s_digits_say_nothing(self) -> None:
        assert advise("amex", "14", "03", "") == SILENT

    def test_silence_changes_no_class(self) -> None:
        assert advise("visa", "", "", "") == SILENT
        assert [applied(name, SILENT) for name in FailureClass] == list(FailureClass)

    def test_the_longer_wait_stands(self) -> None:
        one, other = NetworkAdvice(retry_after=HOUR, source="a"), NetworkAdvice(retry_after=DAY, source="b")

        assert stricter(one, other).retry_after == stricter(other, one).retry_after == DAY


BRANDS = ("visa", "mastercard", "", "amex")
CODES = ("", *VISA_NEVER, *VISA_REVOKED, *VISA_LATER, *VISA_DATA, *VISA_OTHER, "93")
ADVICES = ("", "1", "2", "3", "4", *MASTERCARD, "99")
GATEWAYS = ("", "do_not_try_again", "try_again_later", "confirm_card_data")


class TestNoPath:
    """Every distinct advice out of brand x response code x advice x gateway's advice, by class and number of tries."""

    def test_tries_again_what_the_network_forbids(self) -> None:
        now = Clock()()
        again = {NextStep.RETRY_LATER, NextStep.OTHER_GATEWAY, NextStep.REDUCED_AMOUNT}
        seen = {advise(*told) for told in product(BRANDS, CODES, ADVICES, GATEWAYS)}
        assert any(told.never for told in seen) and any(told.retry_after for told in seen)

        for told, failure_class in product(seen, FailureClass):
            counted = applied(failure_class, told)
            steps = set(advice_on(counted, Certainty.REFUSED).steps)
            not_before = now + told.retry_after if told.retry_after else None
            for number in range(1, 20):
                due = retry_due(number, counted, not_before, now)
                if told.never:
                    assert due is None, (told, failure_class)
                if due is not None:
                    assert due > now and (not_before is None or due >= not_before), (told, failure_class)
            if told.never:
                assert not steps & again, (told, failure_class)
            if told.failure_class in (F.EXPIRED_CARD, F.INVALID_CARD_DATA, F.AUTHENTICATION_REQUIRED):
                assert not steps & {NextStep.RETRY_LATER}, (told, failure_class)

    def test_retries_more_often_or_longer_than_the_policy_says(self) -> None:
        now = Clock()()

        for failure_class in FailureClass:
            at, number, dues = now, 1, []
            while (due := retry_due(number, failure_class, None, at, first_refused_at=now)) is not None:
                dues.append(due)
                at, number = due, number + 1
            assert len(dues) <= 4
            assert all(due <= now + 14 * DAY for due in dues)
            assert bool(dues) is (failure_class in RETRIES)
