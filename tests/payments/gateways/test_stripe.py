"""What is peculiar to Stripe? Its forms and ids, its library's bridge, its clocked signatures; the contract suite holds more."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from stripe import Webhook
from stripe._api_version import _ApiVersion

from ledger.money import Money
from payments.facts import FactKind
from payments.gateways.base import Command, WireAnswer, WireRequest
from payments.gateways.errors import NotSent, OutcomeUnknown
from payments.gateways.stripe import Stripe, codes
from payments.gateways.stripe.sdk import Bridge
from payments.states import Certainty, FailureClass, OperationKind
from tests.payments.gateways.payloads import (
    AT,
    ATTEMPT,
    CREDENTIAL,
    REFUND,
    SENT_AT,
    TRANSACTION,
    Line,
    command,
    question,
)

stripe = Stripe()
CREDENTIALS = {"SECRET_KEY": "sk_test_1", "BASE_URL": "https://api.example/stripe/"}
RETURN = "https://shop.example/back"


def form(asked: Command) -> dict[str, str]:
    return dict(stripe.request(asked).form)


def answered(body: object, status: int = 200) -> WireAnswer:
    return WireAnswer(status, "application/json", json.dumps(body).encode())


class TestForms:
    def test_a_sale_creates_and_confirms_in_one_call(self) -> None:
        wire = stripe.request(replace(command(OperationKind.SALE), return_url=RETURN))

        assert (wire.method, wire.path) == ("POST", "/v1/payment_intents")
        assert dict(wire.headers) == {"Idempotency-Key": ATTEMPT}
        assert dict(wire.form) == {
            "amount": "4999",
            "currency": "usd",
            "capture_method": "automatic",
            "confirm": "true",
            "payment_method": CREDENTIAL,
            "allowed_payment_method_types[0]": "card",
            "description": "Order 17",
            "expand[0]": "latest_charge.balance_transaction",
            "metadata[our_ref]": ATTEMPT,
            "metadata[payment]": "pay_1",
            "return_url": RETURN,
        }

    def test_an_authorisation_asks_for_several_captures(self) -> None:
        sent = form(command(OperationKind.AUTHORISE))

        assert sent["capture_method"] == "manual"
        assert sent["payment_method_options[card][request_multicapture]"] == "if_available"

    def test_the_payer_s_address_is_told_to_nobody(self) -> None:
        assert "payer@example.com" not in repr(form(replace(command(OperationKind.SALE), store=True)))

    @pytest.mark.parametrize("kind", [OperationKind.SALE, OperationKind.AUTHORISE])
    def test_nobody_is_asked_who_is_not_there(self, kind: OperationKind) -> None:
        there = form(replace(command(kind), return_url=RETURN))
        no_way_back = form(command(kind))
        absent = form(replace(command(kind), return_url=RETURN, initiated_by="merchant"))

        assert ("error_on_requires_action" in there, "off_session" in there) == (False, False)
        assert (no_way_back["error_on_requires_action"], "off_session" in no_way_back) == ("true", False)
        assert (absent["error_on_requires_action"], absent["off_session"]) == ("true", "true")
        assert "return_url" not in absent

    def test_a_stored_card_goes_with_its_customer(self) -> None:
        sent = form(replace(command(OperationKind.SALE), credential="pm_1", customer="cus_1", reusable=True))

        assert (sent["payment_method"], sent["customer"], "setup_future_usage" in sent) == ("pm_1", "cus_1", False)

    @pytest.mark.parametrize(
        ("credential", "customer"),
        [("vault:pm_1Ab", None), ("vault:cus_9/pm_1Ab", "cus_9"), ("vault:pm_card_visa", None)],
    )
    def test_a_merchant_s_own_stored_card_goes_with_its_own_customer(
        self, credential: str, customer: str | None
    ) -> None:
        asked = replace(command(OperationKind.SALE), credential=credential, reusable=True)

        assert stripe.refuses(asked) == ""
        assert form(asked)["payment_method"] == credential.rpartition("/")[2].removeprefix("vault:")
        assert form(asked).get("customer") == customer

    @pytest.mark.parametrize(
        "odd", ["", "cus_9", "cus_9/", "cus_9/tok_1", "tok_1", "cus_9/pm_1/x", "pm_1 ", "acct/pm_1"]
    )
    def test_a_stored_card_that_is_written_otherwise_is_refused(self, odd: str) -> None:
        refusal = stripe.refuses(replace(command(OperationKind.SALE), credential=f"vault:{odd}"))

        assert refusal == "a stored credential is written vault:pm_… or vault:cus_…/pm_…"

    @pytest.mark.parametrize(("final", "said"), [(True, "true"), (False, "false")])
    def test_a_capture_names_its_intent_and_whether_more_will_come(self, final: bool, said: str) -> None:
        wire = stripe.request(replace(command(OperationKind.CAPTURE), final=final))

        assert wire.path == f"/v1/payment_intents/{TRANSACTION}/capture"
        assert dict(wire.form) == {
            "amount_to_capture": "4999",
            "final_capture": said,
            "expand[0]": "latest_charge.balance_transaction",
        }

    @pytest.mark.parametrize(
        ("kind", "reason"), [(OperationKind.VOID, "requested_by_customer"), (OperationKind.CLOSE, "abandoned")]
    )
    def test_a_void_and_a_close_cancel_the_intent(self, kind: OperationKind, reason: str) -> None:
        wire = stripe.request(command(kind))

        assert wire.path == f"/v1/payment_intents/{TRANSACTION}/cancel"
        assert wire.form["cancellation_reason"] == reason

    def test_a_refund_names_the_charge_before_the_intent(self) -> None:
        asked = replace(command(OperationKind.REFUND), gateway_id="ch_1", handle="pi_1")

        assert (form(asked)["charge"], "payment_intent" in form(asked)) == ("ch_1", False)
        assert form(replace(asked, gateway_id=""))["payment_intent"] == "pi_1"
        assert form(asked)["metadata[our_ref]"] == REFUND

    @pytest.mark.parametrize("currency", ["JPY", "USD", "HUF"])
    def test_amounts_are_minor_units(self, currency: str) -> None:
        assert form(replace(command(OperationKind.SALE), money=Money(5000, currency)))["amount"] == "5000"

    @pytest.mark.parametrize("currency", ["KWD", "ISK", "UGX"])
    def test_unconfirmed_currencies_are_refused(self, currency: str) -> None:
        assert currency in stripe.refuses(replace(command(OperationKind.SALE), money=Money(5000, currency)))

    @pytest.mark.parametrize("handle", ["", "pi_1/../../refunds", "pi_1?x=1", "pi 1"])
    @pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.VOID, OperationKind.CLOSE])
    def test_an_id_that_would_lead_elsewhere_is_refused(self, kind: OperationKind, handle: str) -> None:
        assert "payment intent" in stripe.refuses(replace(command(kind), handle=handle))


class TestTheLibrary:
    """It writes the request; one client sends it, once, and every certainty stays what the client said."""

    def spoken(self, wire: WireRequest) -> WireRequest:
        line = Line()
        stripe.speak(wire, CREDENTIALS, line)
        (sent,) = line.sent
        return sent

    def test_pins_its_version_and_authorises(self) -> None:
        sent = self.spoken(stripe.request(command(OperationKind.SALE)))

        assert sent.headers["Authorization"] == "Bearer sk_test_1"
        assert sent.headers["Stripe-Version"] == _ApiVersion.CURRENT
        assert sent.headers["Idempotency-Key"] == ATTEMPT
        assert (sent.method, sent.path) == ("POST", "/v1/payment_intents")
        assert dict(parse_qsl(sent.content.decode())) == form(command(OperationKind.SALE))

    def test_tells_nothing_about_this_machine(self) -> None:
        sent = self.spoken(stripe.request(command(OperationKind.SALE)))

        assert {name.lower() for name in sent.headers} == {
            "authorization",
            "content-type",
            "idempotency-key",
            "stripe-version",
        }

    def test_puts_a_question_into_the_address(self) -> None:
        sent = self.spoken(stripe.look_up_request(replace(question(OperationKind.SALE), sent_at=SENT_AT)))

        asked = dict(parse_qsl(urlsplit(sent.path).query))
        assert (sent.method, sent.content) == ("GET", b"")
        assert asked["created[gte]"] == str(int((SENT_AT - timedelta(minutes=5)).timestamp()))
        assert asked["limit"] == "100"
        assert "Idempotency-Key" not in sent.headers

    @pytest.mark.parametrize("status", [400, 401, 402, 404, 409, 429, 500, 503])
    @pytest.mark.parametrize(
        "body", [b"", b"<html>", b"\xff\xfe", b'{"error": "x"}', b'{"error": {"type": "api_error"}}']
    )
    def test_hands_out_the_raw_answer_where_it_would_raise(self, status: int, body: bytes) -> None:
        raw, times = WireAnswer(status, "text/html", body), []

        def send(request: WireRequest) -> WireAnswer:
            times.append(request)
            return raw

        assert stripe.speak(stripe.request(command(OperationKind.SALE)), CREDENTIALS, send) is raw
        assert len(times) == 1

    @pytest.mark.parametrize("trouble", [NotSent("no name"), OutcomeUnknown("cut")], ids=str)
    def test_changes_no_certainty(self, trouble: Exception) -> None:
        def send(request: WireRequest) -> WireAnswer:
            raise trouble

        with pytest.raises(type(trouble)) as raised:
            stripe.speak(stripe.request(command(OperationKind.SALE)), CREDENTIALS, send)
        assert raised.value is trouble

    @pytest.mark.parametrize("missing", ["SECRET_KEY", "BASE_URL"])
    def test_is_not_asked_without_credentials(self, missing: str) -> None:
        line = Line()

        with pytest.raises(KeyError):
            stripe.speak(
                stripe.request(command(OperationKind.SALE)),
                {k: v for k, v in CREDENTIALS.items() if k != missing},
                line,
            )
        assert line.sent == []

    def test_can_not_send_twice_or_elsewhere(self) -> None:
        line = Line()
        bridge = Bridge("https://api.example", line)

        with pytest.raises(NotSent):
            bridge.request("post", "https://files.example/v1/files", {}, "")
        bridge.request("post", "https://api.example/v1/refunds", {}, "")
        with pytest.raises(NotSent):
            bridge.request("post", "https://api.example/v1/refunds", {}, "")

        assert len(line.sent) == 1


class TestTheCustomerOfAStoredCard:
    def asked(self) -> WireRequest:
        return stripe.request(replace(command(OperationKind.SALE), store=True))

    def test_is_made_first_under_a_key_of_its_own(self) -> None:
        sent: list[WireRequest] = []

        def send(request: WireRequest) -> WireAnswer:
            sent.append(request)
            return answered({"id": "cus_7", "object": "customer"})

        stripe.speak(self.asked(), CREDENTIALS, send)

        assert [one.path for one in sent] == ["/v1/customers", "/v1/payment_intents"]
        assert [one.headers["Idempotency-Key"] for one in sent] == [f"{ATTEMPT}-customer", ATTEMPT]
        assert dict(parse_qsl(sent[1].content.decode()))["customer"] == "cus_7"
        assert dict(parse_qsl(sent[0].content.decode())) == {"metadata[our_ref]": ATTEMPT, "metadata[payment]": "pay_1"}

    @pytest.mark.parametrize(
        "outcome",
        [OutcomeUnknown("cut"), NotSent("no name"), answered({}, 500), answered({}), answered([], 200)],
        ids=repr,
    )
    def test_could_not_be_made_so_nothing_was_asked(self, outcome: Exception | WireAnswer) -> None:
        sent: list[WireRequest] = []

        def send(request: WireRequest) -> WireAnswer:
            sent.append(request)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        with pytest.raises(NotSent, match="nothing was asked"):
            stripe.speak(self.asked(), CREDENTIALS, send)
        assert [one.path for one in sent] == ["/v1/customers"]


class TestSheet:
    @pytest.mark.parametrize("code", sorted(codes.SHEET))
    def test_each_code_has_words_and_fits_the_column(self, code: str) -> None:
        meaning = codes.SHEET[code]

        assert meaning.text
        assert len(code) <= 40
        assert meaning.certainty != Certainty.TAKEN
        self.answered_with_payment_required_it_is_a_refusal(code)

    def answered_with_payment_required_it_is_a_refusal(self, code: str) -> None:
        wire = answered({"error": {"type": "card_error", "code": code, "message": "no"}}, 402)

        fact = stripe.answer(command(OperationKind.SALE), wire, at=AT)

        expected = FactKind.UNKNOWN if code in codes.CONTRADICTED else FactKind.DECLINED
        assert (fact.kind, fact.code) == (expected, code)

    def test_only_a_withdrawn_consent_revokes(self) -> None:
        assert {code for code, meaning in codes.SHEET.items() if meaning.revokes} == {
            "revocation_of_all_authorizations",
            "revocation_of_authorization",
            "stop_payment_order",
        }

    @pytest.mark.parametrize("code", sorted(codes.CONTRADICTED))
    def test_another_state_than_thought_is_never_a_failure(self, code: str) -> None:
        assert codes.SHEET[code].certainty == Certainty.UNKNOWN
        assert codes.SHEET[code].failure_class == FailureClass.UNKNOWN


class TestIssued:
    def intent(self, **changes: Any) -> dict[str, Any]:
        card = {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034, "fingerprint": "f"}
        charge = {"id": "ch_1", "object": "charge", "payment_method_details": {"card": card}}
        return {
            "id": "pi_1", "object": "payment_intent", "status": "succeeded", "metadata": {"our_ref": ATTEMPT},
            "payment_method": "pm_1", "customer": "cus_1", "latest_charge": charge, **changes,
        }  # fmt: skip

    def test_is_a_credential_only_if_we_asked_for_one_and_there_is_a_customer(self) -> None:
        storing, plain = replace(command(OperationKind.SALE), store=True), command(OperationKind.SALE)

        kept = stripe.issued(storing, answered(self.intent()))
        shown = stripe.issued(plain, answered(self.intent()))
        nobodys = stripe.issued(storing, answered(self.intent(customer=None)))

        assert kept is not None and shown is not None and nobodys is not None
        assert (kept.credential, kept.customer) == ("pm_1", "cus_1")
        assert (shown.credential, nobodys.credential) == ("", "")

    @pytest.mark.parametrize(
        "changes",
        [{"status": "requires_action"}, {"status": "processing"}, {"metadata": {}}, {"object": "charge"}],
        ids=str,
    )
    def test_is_nothing_where_the_answer_is_no_success_of_ours(self, changes: dict[str, Any]) -> None:
        assert stripe.issued(replace(command(OperationKind.SALE), store=True), answered(self.intent(**changes))) is None

    def test_is_nothing_in_an_error(self) -> None:
        assert stripe.issued(command(OperationKind.SALE), answered(self.intent(), 402)) is None
        assert stripe.issued(command(OperationKind.CAPTURE), answered(self.intent(id=TRANSACTION))) is None
        assert stripe.issued(command(OperationKind.SALE), WireAnswer(200, "text/html", b"<html>")) is None

    def test_of_a_refusal_is_the_card_alone(self) -> None:
        card = {"brand": "visa", "last4": "0002", "exp_month": 12, "exp_year": 2034, "fingerprint": "f"}
        intent = self.intent(status="requires_payment_method", latest_charge="ch_1")
        error = {
            "type": "card_error",
            "code": "card_declined",
            "payment_intent": intent,
            "payment_method": {"card": card},
        }
        stranger = {**error, "payment_intent": {**intent, "metadata": {"our_ref": "cf-other"}}}
        storing = replace(command(OperationKind.SALE), store=True)

        kept = stripe.issued(storing, answered({"error": error}, 402))

        assert kept is not None and kept.card is not None
        assert (kept.credential, kept.customer, kept.card.fingerprint, kept.card.last_four) == ("", "", "f", "0002")
        assert stripe.issued(storing, answered({"error": stranger}, 402)) is None

    @pytest.mark.parametrize("month", [0, 13, "12", None])
    def test_an_expiry_that_is_none_is_left_out(self, month: object) -> None:
        intent = self.intent()
        intent["latest_charge"]["payment_method_details"]["card"]["exp_month"] = month

        kept = stripe.issued(command(OperationKind.SALE), answered(intent))

        assert kept is not None and kept.card is not None
        assert kept.card.expires is None


class TestLookUps:
    @pytest.mark.parametrize(
        ("handle", "gateway_id", "path"),
        [
            ("pi_1", "ch_1", "/v1/payment_intents/pi_1"),
            ("pi_1", "", "/v1/payment_intents/pi_1"),
            ("", "ch_1", "/v1/charges/ch_1"),
            ("", "", "/v1/payment_intents"),
        ],
    )
    def test_ask_by_the_surest_name(self, handle: str, gateway_id: str, path: str) -> None:
        asked = replace(question(OperationKind.CAPTURE), handle=handle, gateway_id=gateway_id)

        assert stripe.look_up_request(asked).path == path

    @pytest.mark.parametrize(
        ("handle", "gateway_id", "path", "named"),
        [
            ("pi_1", "re_1", "/v1/refunds/re_1", ""),
            ("pi_1", "ch_1", "/v1/refunds", "charge"),
            ("pi_1", "", "/v1/refunds", "created[gte]"),
        ],
    )
    def test_of_a_refund_ask_by_the_surest_name(self, handle: str, gateway_id: str, path: str, named: str) -> None:
        asked = stripe.look_up_request(replace(question(OperationKind.REFUND), handle=handle, gateway_id=gateway_id))

        assert asked.path == path
        assert not named or named in asked.form

    @pytest.mark.parametrize("odd", ["pi_1/cancel", "../refunds", "pi_1?expand=x"])
    def test_never_lead_elsewhere(self, odd: str) -> None:
        with pytest.raises(ValueError, match="id of Stripe's form"):
            stripe.look_up_request(replace(question(OperationKind.SALE), handle=odd))

    def test_go_on_where_the_list_goes_on(self) -> None:
        stranger = {"id": "pi_9", "object": "payment_intent", "status": "succeeded", "metadata": {}}
        page = answered({"object": "list", "has_more": True, "data": [stranger]})

        answer = stripe.look_up_answer(question(OperationKind.SALE), page, at=AT)
        onward = stripe.look_up_request(replace(question(OperationKind.SALE), cursor=answer.next_cursor))

        assert (answer.answered, answer.found, answer.next_cursor) == (True, False, "pi_9")
        assert onward.form["starting_after"] == "pi_9"

    def test_never_use_the_search(self) -> None:
        for kind in OperationKind:
            assert "search" not in stripe.look_up_request(replace(question(kind), handle="", gateway_id="")).path


class TestWindows:
    def page(self, *events: object, more: bool = False) -> WireAnswer:
        return answered({"object": "list", "has_more": more, "data": list(events)})

    def event(self, name: str, **charge: object) -> dict[str, object]:
        subject = {
            "id": "ch_1", "object": "charge", "status": "succeeded", "captured": True, "amount": 100,
            "amount_captured": 100, "currency": "usd", **charge,
        }  # fmt: skip
        return {"id": name, "object": "event", "type": "charge.succeeded", "created": 1, "data": {"object": subject}}

    def test_are_listed_newest_first_and_told_oldest_first(self) -> None:
        answer = stripe.window_answer(self.page(self.event("evt_2", id="ch_2"), self.event("evt_1"), more=True), at=AT)

        assert [fact.gateway_id for fact in answer.facts] == ["ch_1", "ch_2"]
        assert (answer.next_cursor, answer.last) == ("evt_1", False)

    def test_end_where_stripe_says_so(self) -> None:
        assert stripe.window_answer(self.page(self.event("evt_1")), at=AT).last
        assert stripe.window_answer(self.page(), at=AT).last

    def test_name_what_can_not_be_read_and_hide_nothing_else(self) -> None:
        broken = self.event("evt_2", amount_captured="many")

        answer = stripe.window_answer(self.page(broken, self.event("evt_1")), at=AT)

        assert [fact.gateway_id for fact in answer.facts] == ["ch_1"]
        assert answer.evidence["unreadable"] == ["evt_2: amount_captured or its currency is missing or unreadable"]

    def test_ask_for_no_more_types_than_stripe_takes(self) -> None:
        asked = stripe.window_request(SENT_AT, AT, page=3, cursor="evt_1").form

        assert sum(name.startswith("types[") for name in asked) <= 20
        assert asked["starting_after"] == "evt_1"


class TestSignatures:
    BODY = b'{"id": "evt_1", "type": "charge.succeeded"}'
    SECRET = "whsec_of_an_endpoint"

    def header(self, stamp: int, *secrets: str) -> str:
        signed = [
            hmac.new(secret.encode(), f"{stamp}.".encode() + self.BODY, hashlib.sha256).hexdigest()
            for secret in secrets
        ]
        return ",".join([f"t={stamp}", *(f"v1={one}" for one in signed), "v0=old"])

    def fits(self, header: str, age: float = 0, *secrets: str) -> bool:
        at = AT + timedelta(seconds=age)
        return stripe.verify_webhook({"stripe-signature": header}, self.BODY, secrets or (self.SECRET,), at=at)

    @pytest.mark.parametrize(("age", "good"), [(0, True), (299, True), (300, True), (301, False), (86_400, False)])
    def test_grow_old(self, age: int, good: bool) -> None:
        assert self.fits(self.header(int(AT.timestamp()), self.SECRET), age) is good

    def test_from_the_future_are_only_a_clock_that_differs(self) -> None:
        assert self.fits(self.header(int(AT.timestamp()) + 3600, self.SECRET))

    def test_come_several_at_a_time_while_a_secret_is_rotated(self) -> None:
        header = self.header(int(AT.timestamp()), "whsec_the_other", self.SECRET)

        assert self.fits(header)
        assert self.fits(header, 0, "whsec_the_other")
        assert self.fits(self.header(int(AT.timestamp()), "whsec_previous"), 0, self.SECRET, "whsec_previous")

    @pytest.mark.parametrize(
        "layout", ["t=1,t=1,v1=x", "v1=x", "t=,v1=x", "t=-1,v1=x", "t=1e3,v1=x", "t=\uff11,v1=x", "t=" + "9" * 12]
    )
    def test_in_another_layout_are_refused(self, layout: str) -> None:
        assert not self.fits(layout)

    def test_are_those_of_the_official_library(self) -> None:
        header = self.header(int(AT.timestamp()), self.SECRET)

        event = Webhook.construct_event(self.BODY, header, self.SECRET, tolerance=None)

        assert event.id == "evt_1"
        assert self.fits(header)


class TestFailedRefunds:
    @pytest.mark.parametrize("code", [code for code in sorted(codes.SHEET) if code.startswith("re:")])
    def test_are_known_by_their_reason(self, code: str) -> None:
        refund = {
            "id": "re_1", "object": "refund", "status": "failed", "failure_reason": code.removeprefix("re:"),
            "amount": 4999, "currency": "usd", "charge": TRANSACTION, "metadata": {"our_ref": REFUND},
        }  # fmt: skip

        fact = stripe.answer(command(OperationKind.REFUND), answered(refund), at=AT)

        assert (fact.kind, fact.code, fact.failure_class) == (
            FactKind.DECLINED,
            code,
            codes.SHEET[code].failure_class,
        )


class TestEvents:
    def test_have_stripe_s_own_key_or_a_digest(self) -> None:
        assert stripe.event_key(b'{"id": "evt_1"}') == "evt_1"
        assert stripe.event_key(b'{"id": "evt 1"}').startswith("sha256:")
        assert stripe.event_key(b"no JSON").startswith("sha256:")
