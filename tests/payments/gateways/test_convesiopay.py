"""What is peculiar to ConvesioPay? Its table of assumptions, its marked numbers, its notifications; the rest is common."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.money import Money
from payments.facts import FactKind
from payments.gateways.base import CardShown, Command, Issued, LookUpQuestion, WireAnswer
from payments.gateways.convesiopay import ConvesioPay, codes, contract
from payments.states import Certainty, FailureClass, OperationKind
from tests.payments.gateways.payloads import (
    AT,
    ATTEMPT,
    CREDENTIAL,
    REFUND,
    SECRET,
    TRANSACTION,
    Line,
    command,
    question,
    spoken,
)

convesiopay = ConvesioPay()

# Adyen's own published example of a signed item.
KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
SIGNED: dict[str, Any] = {
    "additionalData": {"hmacSignature": "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="},
    "amount": {"value": 1130, "currency": "EUR"},
    "eventCode": "AUTHORISATION",
    "merchantAccountCode": "TestMerchant",
    "merchantReference": "TestPayment-1407325143704",
    "pspReference": "7914073381342284",
    "success": "true",
}


_NAMES = ("pspReference", "merchantAccountCode", "merchantReference", "eventCode", "success")
_VALUES: tuple[Any, ...] = ("x", "", None, True, 1, ["x"], {})
CHANGES: list[dict[str, Any]] = [
    *({name: value} for name in _NAMES for value in _VALUES),
    {"originalReference": "x"},
    {"originalReference": 7},
    *(
        {"amount": amount}
        for amount in ({"value": 1131, "currency": "EUR"}, {"value": 1130, "currency": "USD"}, {}, None)
    ),
]


def envelope(*items: dict[str, Any], **more: Any) -> bytes:
    wrapped = [{"NotificationRequestItem": item} for item in items]
    return json.dumps({"live": "true", "notificationItems": wrapped, **more}, separators=(",", ":")).encode()


def verified(body: bytes, *secrets: str) -> bool:
    return convesiopay.verify_webhook({}, body, secrets or (KEY,))


def sent(asked: Command) -> dict[str, object]:
    return dict(convesiopay.request(asked).json or {})


def answer(body: dict[str, Any], status: int = 200, kind: OperationKind = OperationKind.SALE) -> Any:
    wire = WireAnswer(status, "application/json", json.dumps(body).encode())
    return convesiopay.answer(command(kind), wire, at=AT)


class TestTheContract:
    def test_everything_unverified_is_an_assumption_that_people_read(self) -> None:
        unverified = [line for line in contract.TABLE if not line.verified]

        assert len(convesiopay.assumptions) == len(unverified) > 20
        assert all(line.what and line.source for line in contract.TABLE)
        assert not convesiopay.capabilities.verified

    def test_paths_fields_and_statuses_are_spelled_there_alone(self) -> None:
        spelled = {str(line.value) for line in contract.TABLE if isinstance(line.value, str) and len(line.value) > 6}
        reasons = {meaning.text for meaning in codes.SHEET.values()}

        for file in Path(contract.__file__).parent.glob("*.py"):
            if file.name != "contract.py":
                quoted = set(re.findall(r'"([^"\n]+)"', file.read_text()))
                assert not quoted & (spelled - reasons), file.name

    def test_absence_is_never_proven_and_no_window_is_listed(self) -> None:
        can = convesiopay.capabilities

        assert (can.absence.lookups, can.absence.earliest_seconds) == (0, 0)
        assert not can.lists_window


class TestRequests:
    def test_a_sale_with_a_token(self) -> None:
        asked = replace(command(OperationKind.SALE), store=True, return_url="https://shop.example/pay/x/return")

        assert convesiopay.request(asked).path == "/v1/payments"
        assert sent(asked) == {
            "amount": 4999,
            "currency": "USD",
            "orderNumber": ATTEMPT,
            "returnUrl": "https://shop.example/pay/x/return",
            "paymentToken": CREDENTIAL,
            "email": "payer@example.com",
            "storePaymentMethod": True,
        }

    def test_a_hold_bears_a_mark_in_its_number(self) -> None:
        body = sent(command(OperationKind.AUTHORISE))

        assert (body["captureMethod"], body["orderNumber"]) == ("manual", f"{ATTEMPT}-hold")

    def test_a_merchant_s_own_stored_card_names_its_customer_itself(self) -> None:
        asked = replace(command(OperationKind.SALE), credential="vault:CUS1/SPM1", reusable=True)
        wire = convesiopay.request(asked)

        assert convesiopay.refuses(asked) == ""
        assert wire.path == "/v1/payments/stored-card"
        assert wire.json is not None
        assert wire.json["customer"] == {"id": "CUS1", "storedPaymentMethodId": "SPM1"}
        assert "paymentToken" not in wire.json

    @pytest.mark.parametrize("odd", ["", "SPM1", "/SPM1", "CUS1/", "CUS1/SPM1/x", "CUS 1/SPM1"])
    def test_a_stored_card_that_is_written_otherwise_is_refused(self, odd: str) -> None:
        asked = replace(command(OperationKind.SALE), credential=f"vault:{odd}", customer="CUS1")

        assert convesiopay.refuses(asked) == "a stored credential is written vault:<customer>/<stored id>"

    def test_a_stored_card_is_charged_at_a_path_of_its_own(self) -> None:
        stored = replace(command(OperationKind.SALE), credential="stored:SPM1", customer="CUS1", reusable=True)

        assert convesiopay.request(stored).path == "/v1/payments/stored-card"
        assert sent(stored)["customer"] == {"id": "CUS1", "storedPaymentMethodId": "SPM1"}
        assert not {"paymentToken", "email", "storePaymentMethod"} & set(sent(stored))
        assert "needs the customer" in convesiopay.refuses(replace(stored, customer=""))

    @pytest.mark.parametrize(
        ("kind", "path", "body"),
        [
            (OperationKind.CAPTURE, "captures", {"amount": 4999, "currency": "USD"}),
            (OperationKind.REFUND, "refunds", {"amount": 4999, "currency": "USD", "reference": REFUND}),
            (OperationKind.VOID, "cancels", {}),
            (OperationKind.CLOSE, "cancels", {}),
        ],
    )
    def test_changes_name_the_payment_they_act_on(self, kind: OperationKind, path: str, body: dict[str, Any]) -> None:
        assert convesiopay.request(command(kind)).path == f"/v1/payments/{TRANSACTION}/{path}"
        assert sent(command(kind)) == body

    @pytest.mark.parametrize("hostile", ["../1", "1?x=", "1/refunds", "a b", ""])
    def test_an_id_that_would_change_the_path_is_refused(self, hostile: str) -> None:
        refund = replace(command(OperationKind.REFUND), gateway_id=hostile, handle="")

        assert "needs" in convesiopay.refuses(refund)

    def test_the_secret_goes_without_a_scheme_and_the_integration_only_where_it_is_asked_for(self) -> None:
        sale = spoken("convesiopay", convesiopay.request(command(OperationKind.SALE)))
        refund = spoken("convesiopay", convesiopay.request(command(OperationKind.REFUND)))

        assert (sale.headers["Authorization"], refund.headers["Authorization"]) == (SECRET, SECRET)
        assert (sale.json or {})["integration"] == SECRET
        assert "integration" not in (refund.json or {})

    @pytest.mark.parametrize("missing", ["SECRET", "INTEGRATION"])
    def test_nothing_leaves_without_credentials(self, missing: str) -> None:
        line, known = Line(), {"SECRET": "s", "INTEGRATION": "i"}

        with pytest.raises(KeyError):
            convesiopay.speak(
                convesiopay.probe_request(), {name: v for name, v in known.items() if name != missing}, line
            )
        assert line.sent == []


class TestRefusals:
    @pytest.mark.parametrize("code", [code for code in codes.SHEET if code.startswith("refusal:")])
    def test_every_reason_is_told_by_its_number_and_by_its_words(self, code: str) -> None:
        meaning, number = codes.SHEET[code], code.partition(":")[2]

        by_number = answer({"error": True, "message": "anything", "refusalReasonCode": number}, 402)
        by_words = answer({"error": True, "message": meaning.text.upper()}, 402)

        for fact in (by_number, by_words):
            assert (fact.kind, fact.code, fact.failure_class) == (FactKind.DECLINED, code, meaning.failure_class)
            assert fact.certainty == meaning.certainty == Certainty.REFUSED

    def test_an_unlisted_one_is_no_line_of_the_sheet_so_that_somebody_hears_of_it(self) -> None:
        fact = answer({"error": True, "message": "Payment token has expired"}, 422)

        assert (fact.failure_class, fact.certainty) == (FailureClass.UNKNOWN, Certainty.REFUSED)
        assert fact.code not in convesiopay.codes

    @pytest.mark.parametrize("status", [100, 204, 301, 403, 404, 408, 409, 418, 425, 429, 500, 502, 503, 504])
    def test_no_status_outside_the_contract_is_a_refusal(self, status: int) -> None:
        fact = answer({"error": True, "message": "Refused", "refusalReasonCode": "2"}, status)

        assert (fact.kind, fact.certainty) == (FactKind.UNKNOWN, Certainty.UNKNOWN)

    def test_the_withdrawal_of_consent_revokes(self) -> None:
        assert [code for code, meaning in codes.SHEET.items() if meaning.revokes] == ["refusal:26"]


class TestIssued:
    BODY: dict[str, Any] = {
        "id": TRANSACTION,
        "orderNumber": ATTEMPT,
        "status": "Succeeded",
        "customer": {"id": "CUS1"},
        "paymentMethodDetails": {
            "storedPaymentMethodId": "SPM1",
            "brand": "visa",
            "lastFour": "0000",
            "expiry": "03/2030",
        },
    }

    def issued(self, http: int = 200, **changed: Any) -> Issued | None:
        body = json.dumps({**self.BODY, **changed}).encode()
        return convesiopay.issued(command(OperationKind.SALE), WireAnswer(http, "application/json", body))

    def test_stored_card_customer_and_card(self) -> None:
        card = CardShown("visa", "0000", (2030, 3))

        assert self.issued() == Issued("stored:SPM1", "CUS1", card=card)
        assert self.issued(customer=None, customerId="CUS2") == Issued("stored:SPM1", "CUS2", card=card)

    @pytest.mark.parametrize("status", ["AwaitingAction", "Pending"])
    def test_a_card_is_kept_only_once_the_payment_has_succeeded(self, status: str) -> None:
        issued = self.issued(status=status)

        assert issued is not None
        assert issued.credential == ""

    def test_nothing_of_another_answer(self) -> None:
        assert self.issued(orderNumber="att_other") is None
        assert self.issued(http=402) is None
        assert self.issued(paymentMethodDetails=None) is None

    def test_a_stored_card_without_its_customer_is_of_no_use(self) -> None:
        issued = self.issued(customer=None)

        assert issued is not None
        assert (issued.credential, issued.customer) == ("", "")

    @pytest.mark.parametrize("expiry", ["13/2030", "3/2030", "03/30", "", "03/2030/1"])
    def test_a_card_s_expiry_is_read_or_left_out(self, expiry: str) -> None:
        issued = self.issued(paymentMethodDetails={"brand": "visa", "expiry": expiry})

        assert issued is not None
        assert issued.card == CardShown("visa")


class TestLookUps:
    def test_ask_by_id_once_it_is_known(self) -> None:
        by_handle = convesiopay.look_up_request(question(OperationKind.REFUND))
        by_number = convesiopay.look_up_request(question(OperationKind.SALE))
        hold = convesiopay.look_up_request(question(OperationKind.AUTHORISE))

        assert (by_handle.method, by_handle.path) == ("GET", f"/v1/payments/{TRANSACTION}")
        assert by_number.path == f"/v1/payments?orderNumber={ATTEMPT}"
        assert hold.path == f"/v1/payments?orderNumber={ATTEMPT}-hold"

    def test_the_id_of_a_refund_is_no_payment_s(self) -> None:
        asked = LookUpQuestion(OperationKind.REFUND, REFUND, Money(1000, "USD"), gateway_id="MOD1")

        assert convesiopay.look_up_request(asked).path == f"/v1/payments?orderNumber={REFUND}"


class TestSignatures:
    def test_adyen_s_published_example(self) -> None:
        assert verified(envelope(SIGNED))
        assert verified(envelope(SIGNED), KEY.lower())
        assert verified(envelope(SIGNED), "00" * 32, KEY)
        assert not verified(envelope(SIGNED), "00" * 32)
        assert not verified(envelope(SIGNED), "no hexadecimal key", "")

    @pytest.mark.parametrize("change", CHANGES, ids=str)
    def test_are_refused_when_a_signed_field_was_changed(self, change: dict[str, Any]) -> None:
        assert not verified(envelope({**SIGNED, **change}))

    def test_are_refused_when_anything_of_the_signature_was_changed(self) -> None:
        good = SIGNED["additionalData"]["hmacSignature"]
        for place in range(len(good)):
            other = good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :]
            assert not verified(envelope({**SIGNED, "additionalData": {"hmacSignature": other}}))
            assert not verified(envelope({**SIGNED, "additionalData": {"hmacSignature": good[:place]}}))
        assert not verified(envelope({**SIGNED, "additionalData": {}}))

    def test_a_colon_can_not_move_from_one_field_to_the_next(self) -> None:
        moved = {"merchantAccountCode": "TestMerchant:TestPayment-1407325143704", "merchantReference": "1130"}

        assert not verified(envelope({**SIGNED, **moved}))

    def test_every_item_must_be_signed(self) -> None:
        stranger = {**copy.deepcopy(SIGNED), "amount": {"value": 99, "currency": "EUR"}}

        assert verified(envelope(SIGNED, SIGNED))
        assert not verified(envelope(SIGNED, stranger))
        assert not verified(envelope())
        assert not verified(b"")


class TestKeys:
    def test_of_one_statement_are_the_same_however_it_is_laid_out(self) -> None:
        spread = json.dumps(json.loads(envelope(SIGNED)), indent=2).encode()

        assert convesiopay.event_key(spread) == convesiopay.event_key(envelope(SIGNED))

    def test_of_another_statement_are_others(self) -> None:
        later = {**SIGNED, "eventDate": "2026-03-01T11:59:31Z"}
        bodies = [envelope(SIGNED), envelope(later), envelope(SIGNED, later), b"{}", b"[]", envelope()]

        assert len({convesiopay.event_key(body) for body in bodies}) == len(bodies)


class TestNotifications:
    def test_the_answer_is_the_word_that_ends_the_redelivery(self) -> None:
        assert convesiopay.webhook_answer == b"[accepted]"

    def test_our_reference_comes_back_without_the_mark_of_a_hold(self) -> None:
        item = {**SIGNED, "merchantReference": f"{ATTEMPT}-hold"}

        (fact,) = convesiopay.translate_webhook(envelope(item), received_at=AT).facts

        assert (fact.kind, fact.reference, fact.about) == (FactKind.AUTHORISATION, ATTEMPT, OperationKind.AUTHORISE)
        assert fact.occurred_at == AT
        assert isinstance(fact.hold_until, datetime)

    def test_a_capture_that_fails_late_is_left_to_a_person(self) -> None:
        item = {**SIGNED, "eventCode": "CAPTURE_FAILED", "originalReference": TRANSACTION}

        message = convesiopay.translate_webhook(envelope(item), received_at=AT)

        assert (message.understood, message.facts) == (False, ())
        assert TRANSACTION in message.reason
