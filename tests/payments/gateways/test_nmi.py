"""What is peculiar to NMI? Its forms, its shared references, its dates; the contract suite holds what is common."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from ledger.money import Money
from payments.facts import FactKind
from payments.gateways.base import Command, Issued, LookUpAnswer, LookUpQuestion, WireAnswer
from payments.gateways.errors import Unreadable
from payments.gateways.nmi import Nmi
from payments.gateways.nmi.codes import NOT_PENDING_SETTLEMENT
from payments.gateways.nmi.values import looks_like_card, mask, moment_of, stamp_of
from payments.states import OperationKind
from tests.payments.gateways.payloads import (
    AT,
    ATTEMPT,
    CREDENTIAL,
    REFUND,
    SECRET,
    SENT_AT,
    TRANSACTION,
    Line,
    command,
    question,
    spoken,
)

nmi = Nmi()


def form(asked: Command) -> dict[str, str]:
    return dict(nmi.request(asked).form)


class TestForms:
    def test_sale_and_authorisation(self) -> None:
        expected = {
            "type": "sale",
            "payment_token": CREDENTIAL,
            "amount": "49.99",
            "currency": "USD",
            "orderid": ATTEMPT,
            "orderdescription": "Order 17",
            "email": "payer@example.com",
        }

        assert form(command(OperationKind.SALE)) == expected
        assert form(command(OperationKind.AUTHORISE)) == {**expected, "type": "auth"}

    def test_vault_id_goes_into_its_own_field(self) -> None:
        sent = form(replace(command(OperationKind.SALE), credential="vault:123456"))

        assert (sent["customer_vault_id"], "payment_token" in sent) == ("123456", False)

    def test_capture_names_no_orderid_that_could_overwrite_the_attempt_s(self) -> None:
        assert form(command(OperationKind.CAPTURE)) == {
            "type": "capture",
            "transactionid": TRANSACTION,
            "amount": "49.99",
        }

    def test_void_names_only_its_transaction(self) -> None:
        assert form(command(OperationKind.VOID)) == {"type": "void", "transactionid": TRANSACTION}

    def test_refund_names_our_own_reference(self) -> None:
        assert form(command(OperationKind.REFUND)) == {
            "type": "refund",
            "transactionid": TRANSACTION,
            "amount": "49.99",
            "orderid": REFUND,
        }

    @pytest.mark.parametrize("kind", sorted(nmi.capabilities.operations))
    def test_leave_the_account_s_duplicate_window_alone(self, kind: OperationKind) -> None:
        assert "dup_seconds" not in form(command(kind))

    def test_switch_it_off_where_an_operator_means_an_equal_payment(self) -> None:
        assert form(replace(command(OperationKind.SALE), repeat_on_purpose=True))["dup_seconds"] == "0"

    def test_what_is_not_known_is_left_out(self) -> None:
        sent = form(replace(command(OperationKind.SALE), description="", payer_email=""))

        assert not {"orderdescription", "email"} & set(sent)

    def test_a_card_is_kept_along_with_its_first_use(self) -> None:
        first = replace(command(OperationKind.SALE), store=True, stored_credential="stored")

        sent = form(first)

        assert sent["customer_vault"] == "add_customer"
        assert (sent["initiated_by"], sent["stored_credential_indicator"]) == ("customer", "stored")
        assert not {"initial_transaction_id", "billing_method"} & set(sent)
        assert "customer_vault" not in form(replace(first, credential="vault:77"))

    def test_a_later_use_refers_to_the_first(self) -> None:
        later = replace(
            command(OperationKind.SALE),
            credential="vault:77",
            reusable=True,
            initiated_by="merchant",
            stored_credential="used",
            network_transaction_id="9000000000",
        )

        sent = form(later)

        assert (sent["customer_vault_id"], sent["initial_transaction_id"]) == ("77", "9000000000")
        assert (sent["initiated_by"], sent["stored_credential_indicator"]) == ("merchant", "used")
        assert sent["billing_method"] == "recurring"
        assert "customer_vault" not in sent

    def test_no_flag_is_sent_of_what_is_neither_stored_nor_used(self) -> None:
        assert not {"customer_vault", "initiated_by", "stored_credential_indicator"} & set(
            form(command(OperationKind.SALE))
        )

    def test_security_key_is_put_in_last_and_must_exist(self) -> None:
        plain = nmi.request(command(OperationKind.VOID))

        assert spoken("nmi", plain).form == {**plain.form, "security_key": SECRET}
        line = Line()
        with pytest.raises(KeyError):
            nmi.speak(plain, {}, line)
        assert line.sent == []

    @pytest.mark.parametrize("currency", ["JPY", "KWD", "BTC"])
    def test_currencies_without_two_decimals_are_refused_by_name(self, currency: str) -> None:
        refusal = nmi.refuses(replace(command(OperationKind.SALE), money=Money(100, currency)))

        assert refusal == f"{currency} is unconfirmed for NMI: only currencies with 2 decimals are sent"

    def test_an_empty_vault_id_is_no_credential(self) -> None:
        assert "needed" in nmi.refuses(replace(command(OperationKind.SALE), credential="vault:"))


class TestIssued:
    BODY = "response=1&responsetext=SUCCESS&transactionid=9000000001&orderid=att_7Fq&type=sale&response_code=100"
    FIRST = replace(command(OperationKind.SALE), store=True, stored_credential="stored")

    def issued(self, body: str, status: int = 200) -> Issued | None:
        return nmi.issued(self.FIRST, WireAnswer(status, "text/html", body.encode()))

    def test_the_vault_id_of_an_approval_and_the_transaction_that_stored_it(self) -> None:
        assert self.issued(f"{self.BODY}&customer_vault_id=77") == Issued(
            "vault:77", network_transaction_id="9000000001"
        )

    @pytest.mark.parametrize(
        "body",
        [
            BODY,
            f"{BODY}&customer_vault_id=",
            f"{BODY}&customer_vault_id=7+7",
            f"{BODY}&customer_vault_id=77".replace("att_7Fq", "att_other"),
            "response=2&responsetext=DECLINE&transactionid=9000000001&response_code=200&customer_vault_id=77",
            "",
        ],
    )
    def test_nothing_is_believed_of_any_other_answer(self, body: str) -> None:
        assert self.issued(body) is None
        assert self.issued(f"{self.BODY}&customer_vault_id=77", status=500) is None


class TestNetworkCodes:
    @pytest.mark.parametrize(
        ("given", "told"), [("51", "51"), (" r1 ", "R1"), ("N7", "N7"), ("declined", ""), ("", "")]
    )
    def test_are_kept_where_the_processor_passes_one_on(self, given: str, told: str) -> None:
        body = f"response=2&responsetext=DECLINE&transactionid=1&response_code=202&processor_response_code={given}"

        fact = nmi.answer(command(OperationKind.SALE), WireAnswer(200, "text/html", body.encode()), at=AT)

        assert (fact.code, fact.network_code) == ("202", told)


class TestAnswers:
    def test_void_too_late_has_the_code_that_calls_for_a_refund(self) -> None:
        body = b"response=3&responsetext=Only+transactions+pending+settlement+can+be+voided&transactionid=&response_code=300"

        fact = nmi.answer(command(OperationKind.VOID), WireAnswer(200, "text/html", body), at=AT)

        assert (fact.kind, fact.code) == (FactKind.DECLINED, NOT_PENDING_SETTLEMENT)
        assert fact.gateway_id == TRANSACTION

    def test_refund_names_the_transaction_it_gives_back(self) -> None:
        body = (
            f"response=1&responsetext=SUCCESS&transactionid=9000000077&orderid={REFUND}&type=refund&response_code=100"
        )

        fact = nmi.answer(command(OperationKind.REFUND), WireAnswer(200, "text/html", body.encode()), at=AT)

        assert (fact.gateway_id, fact.original_gateway_id, fact.reference) == ("9000000077", TRANSACTION, REFUND)

    def test_evidence_holds_what_a_person_needs(self) -> None:
        body = (
            "response=2&responsetext=Insufficient+funds&authcode=&transactionid=9000000001&avsresponse=N&cvvresponse=M"
            f"&orderid={ATTEMPT}&type=sale&response_code=202"
        )

        fact = nmi.answer(command(OperationKind.SALE), WireAnswer(200, "text/html", body.encode()), at=AT)

        assert fact.message == "Insufficient funds"
        assert fact.evidence == {
            "action": "sale",
            "response_code": "202",
            "responsetext": "Insufficient funds",
            "avs": "N",
            "cvv": "M",
            "transaction_id": TRANSACTION,
        }


def look_up(asked: LookUpQuestion, transactions: str) -> LookUpAnswer:
    body = f"<nm_response>{transactions}</nm_response>".encode()
    return nmi.look_up_answer(asked, WireAnswer(200, "text/xml", body), at=AT)


def reported(condition: str, *actions: str, transaction_id: str = TRANSACTION, order_id: str = ATTEMPT) -> str:
    return (
        f"<transaction><transaction_id>{transaction_id}</transaction_id><condition>{condition}</condition>"
        f"<order_id>{order_id}</order_id><currency>USD</currency>{''.join(actions)}</transaction>"
    )


def action(kind: str, amount: str, date: str = "20260301103000", *, success: int = 1, code: str = "100") -> str:
    return (
        f"<action><amount>{amount}</amount><action_type>{kind}</action_type><date>{date}</date>"
        f"<success>{success}</success><response_code>{code}</response_code></action>"
    )


class TestLookUps:
    def test_ask_by_reference_until_the_transaction_is_known(self) -> None:
        asked = question(OperationKind.SALE)

        assert nmi.look_up_request(asked).form == {"order_id": ATTEMPT}
        assert nmi.look_up_request(replace(asked, gateway_id=TRANSACTION)).form == {"transaction_id": TRANSACTION}

    def test_ask_for_a_refund_by_its_own_reference_always(self) -> None:
        assert nmi.look_up_request(question(OperationKind.REFUND)).form == {"order_id": REFUND}

    @pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.VOID])
    def test_ask_for_what_was_done_to_a_transaction_by_its_id(self, kind: OperationKind) -> None:
        assert nmi.look_up_request(question(kind)).form == {"transaction_id": TRANSACTION}

    def test_a_refusal_is_not_told_while_a_sibling_is_unfinished(self) -> None:
        refused = reported("failed", action("sale", "49.99", success=0, code="202"))
        unfinished = reported("in_progress", transaction_id="9000000002")

        answer = look_up(question(OperationKind.SALE), refused + unfinished)

        assert (answer.found, answer.in_progress, answer.facts) == (True, True, ())

    def test_the_order_of_transactions_in_a_report_does_not_matter(self) -> None:
        early = reported("pendingsettlement", action("sale", "49.99", "20260301103000"))
        late = reported("pendingsettlement", action("sale", "49.99", "20260301103100"), transaction_id="9000000002")

        forth = look_up(question(OperationKind.SALE), early + late)
        back = look_up(question(OperationKind.SALE), late + early)

        assert forth.facts == back.facts
        assert [fact.gateway_id for fact in forth.facts] == [TRANSACTION, "9000000002"]

    def test_a_captured_transaction_that_is_cancelled_without_a_void_was_voided(self) -> None:
        answer = look_up(question(OperationKind.SALE), reported("canceled", action("sale", "49.99")))

        assert [fact.kind for fact in answer.facts] == [FactKind.CAPTURE, FactKind.VOID]
        assert answer.facts[1].money == Money(4999, "USD")

    @pytest.mark.parametrize("success", ["", "2", "yes"])
    def test_an_action_that_neither_succeeded_nor_failed_makes_the_report_unusable(self, success: str) -> None:
        unclear = action("sale", "49.99").replace("<success>1<", f"<success>{success}<")

        assert not look_up(question(OperationKind.SALE), reported("pendingsettlement", unclear)).answered

    def test_a_missing_date_is_the_moment_of_asking(self) -> None:
        answer = look_up(question(OperationKind.SALE), reported("pendingsettlement", action("sale", "49.99", "")))

        assert answer.facts[0].occurred_at == AT

    def test_the_doubt_is_named_in_the_evidence(self) -> None:
        answer = look_up(question(OperationKind.SALE), reported("pendingsettlement", action("sale", "49,99")))

        assert "transaction 9000000001, sale" in str(answer.evidence["doubt"])
        assert "49,99" in str(answer.evidence["doubt"])


class TestWindows:
    def test_are_asked_in_utc_and_in_pages(self) -> None:
        start = datetime(2026, 3, 1, 12, 0, tzinfo=timezone(timedelta(hours=2)))

        sent = nmi.window_request(start, SENT_AT, page=3).form

        assert sent == {
            "start_date": "20260301100000",
            "end_date": "20260301115800",
            "result_limit": "100",
            "page_number": "3",
        }

    def test_tell_of_everybody_s_money_and_refusals(self) -> None:
        body = (
            reported("pendingsettlement", action("sale", "49.99"))
            + reported("failed", action("sale", "5.00", success=0, code="202"), transaction_id="2", order_id="other")
            + reported("pendingsettlement", action("refund", "-1.00"), transaction_id="3", order_id="")
        )
        wire = WireAnswer(200, "text/xml", f"<nm_response>{body}</nm_response>".encode())

        answer = nmi.window_answer(wire, at=AT)

        told = [(fact.kind, fact.gateway_id, fact.reference) for fact in answer.facts]
        assert told == [
            (FactKind.CAPTURE, TRANSACTION, ATTEMPT),
            (FactKind.DECLINED, "2", "other"),
            (FactKind.REFUND, "3", ""),
        ]
        assert (answer.answered, answer.found, answer.evidence["count"]) == (True, True, 3)

    def test_name_what_can_not_be_read_and_tell_the_rest(self) -> None:
        body = reported("pendingsettlement", action("sale", "1,00"), transaction_id="2") + reported(
            "pendingsettlement", action("sale", "49.99")
        )
        wire = WireAnswer(200, "text/xml", f"<nm_response>{body}</nm_response>".encode())

        answer = nmi.window_answer(wire, at=AT)

        assert [fact.gateway_id for fact in answer.facts] == [TRANSACTION]
        assert len(answer.evidence["unreadable"]) == 1  # type: ignore[arg-type]

    def test_end_with_an_empty_page(self) -> None:
        answer = nmi.window_answer(WireAnswer(200, "text/xml", b"<nm_response/>"), at=AT)

        assert (answer.answered, answer.found, answer.facts) == (True, False, ())


class TestWebhooks:
    BODY = b'{"event_id": "e1"}'

    def signed(self, layout: str, nonce: str = "abc.123", secret: str = "s") -> str:
        digest = hmac.new(secret.encode(), nonce.encode() + b"." + self.BODY, hashlib.sha256).hexdigest()
        return layout.format(t=nonce, s=digest, S=digest.upper())

    @pytest.mark.parametrize("layout", ["t={t},s={s}", "s={s},t={t}", "s={s}, t={t}", "t={t},s={S}", "v=9,t={t},s={s}"])
    def test_signature_is_read_by_name_in_any_order_and_case(self, layout: str) -> None:
        assert nmi.verify_webhook({"webhook-signature": self.signed(layout)}, self.BODY, ("s",))

    @pytest.mark.parametrize(
        "layout", ["t={t}", "s={s}", "t={t},s={s},s={s}", "t={t},t={t},s={s}", "t=,s={s}", "{t},{s}"]
    )
    def test_signature_in_another_form_is_refused(self, layout: str) -> None:
        assert not nmi.verify_webhook({"webhook-signature": self.signed(layout)}, self.BODY, ("s",))

    def test_redelivery_keeps_the_key_and_a_body_without_id_has_its_digest(self) -> None:
        assert nmi.event_key(self.BODY) == "e1"
        assert nmi.event_key(b"{}") == f"sha256:{hashlib.sha256(b'{}').hexdigest()}"
        assert nmi.event_key(b"\xff") == f"sha256:{hashlib.sha256(bytes([255])).hexdigest()}"

    @pytest.mark.parametrize("event_id", ['""', "17", "null", '"' + "a" * 500 + '"', '"a\\u0000b"'])
    def test_an_id_that_can_not_be_stored_is_none(self, event_id: str) -> None:
        key = nmi.event_key(b'{"event_id": ' + event_id.encode() + b"}")

        assert key == "17" if event_id == "17" else key.startswith("sha256:")

    def test_a_batch_that_failed_is_said_aloud(self) -> None:
        body = b'{"event_type": "settlement.batch.failure", "event_body": {"batch_id": "7"}}'

        message = nmi.translate_webhook(body, received_at=AT)

        assert (message.batch_failed, message.facts) == (True, ())


class TestValues:
    @pytest.mark.parametrize(
        ("text", "masked"),
        [
            ("card 4111111111111111 refused", "card ****1111 refused"),
            ("4111 1111 1111 1111", "****1111"),
            ("4111-1111-1111-1111", "****1111"),
            ("341111111111111,", "****1111,"),
            ("4111111111111112", "4111111111111112"),
            ("20261122162402", "20261122162402"),  # a time of NMI's that Luhn takes for a card
            ("REFID:3187391", "REFID:3187391"),
            ("411111******1111", "411111******1111"),
        ],
    )
    def test_card_numbers_are_masked_and_nothing_else(self, text: str, masked: str) -> None:
        assert mask(text) == masked
        assert looks_like_card(text) == (text != masked)

    def test_long_texts_are_cut(self) -> None:
        assert len(mask("a" * 5000)) == 200

    def test_dates_are_utc_both_ways(self) -> None:
        moment = datetime(2026, 3, 1, 10, 30, tzinfo=UTC)

        assert stamp_of(moment) == "20260301103000"
        assert moment_of("20260301103000", absent=AT) == moment

    @pytest.mark.parametrize(
        "stamp", ["2026030110300", "20261301103000", "20260301 03000", "\uff12\uff10\uff12\uff160301103000", "x" * 14]
    )
    def test_a_date_in_another_form_is_unreadable(self, stamp: str) -> None:
        with pytest.raises(Unreadable, match="date"):
            moment_of(stamp, absent=AT)
