"""Does transact.php answer as the gateway's own does: shapes, codes, texts and what is left in the books?"""

from __future__ import annotations

import httpx
import pytest

from tests.simulator.conftest import Nmi
from tests.simulator_fixture import SimulatorProcess


def settled_sale(nmi: Nmi, reference: str = "ref-1", amount: str = "12.34") -> str:
    sold = nmi.sale(reference, amount)["transactionid"]
    nmi.simulator.act("batch_settle")
    return sold


class TestANewTransaction:
    def test_a_sale_answers_in_the_gateways_shape_and_is_booked_as_one_capture(self, nmi: Nmi) -> None:
        answer = nmi.sale("ref-1", "12.34", email="a@example.com")

        assert list(answer) == [
            "response",
            "responsetext",
            "authcode",
            "transactionid",
            "avsresponse",
            "cvvresponse",
            "orderid",
            "type",
            "response_code",
        ]
        assert (answer["response"], answer["response_code"], answer["responsetext"]) == ("1", "100", "SUCCESS")
        assert (answer["orderid"], answer["type"]) == ("ref-1", "sale")
        [movement] = nmi.simulator.movements("ref-1")
        assert movement["kind"] == "capture"
        assert movement["operation"] == "sale"
        assert movement["gateway_id"] == answer["transactionid"]
        assert (movement["amount_minor"], movement["currency"]) == (1234, "USD")
        assert (movement["token"], movement["card"]) == ("tok_ok", "411111******1111")
        assert (movement["payer_email"], movement["condition"]) == ("a@example.com", "pendingsettlement")
        assert movement["settled"] is False

    def test_an_auth_is_a_hold_that_stays_open(self, nmi: Nmi) -> None:
        held = nmi.auth("ref-1", "50.00")["transactionid"]

        books = nmi.simulator.books("ref-1")

        assert [m["kind"] for m in books["movements"]] == ["authorisation"]
        assert [(h["transaction_id"], h["condition"]) for h in books["holds_open"]] == [(held, "pending")]

    @pytest.mark.parametrize("token", ["nmi_tok_ok", "nmi_tok_3ds"])
    def test_demo_tokens_may_be_used_again(self, nmi: Nmi, token: str) -> None:
        answers = [nmi.sale(f"ref-{n}", payment_token=token)["response_code"] for n in range(2)]

        assert answers == ["100", "100"]

    def test_a_single_use_token_is_refused_at_its_second_use(self, nmi: Nmi) -> None:
        first = nmi.sale("ref-1", payment_token="nmi_once_17")
        second = nmi.sale("ref-2", payment_token="nmi_once_17")

        assert first["response_code"] == "100"
        assert (second["response"], second["response_code"], second["transactionid"]) == ("3", "300", "")
        assert second["responsetext"].startswith("Payment token has already been used REFID:")

    @pytest.mark.parametrize(
        "token", ["tok_ok", "pm_card_visa", "nmi_tok_nonsense", "nmi_tok_decline_nonsense", "nmi_once_"]
    )
    def test_other_gateways_tokens_are_refused(self, nmi: Nmi, token: str) -> None:
        answer = nmi.sale(payment_token=token)

        assert answer["response_code"] == "300"
        assert answer["responsetext"].startswith("Invalid payment token REFID:")
        assert nmi.simulator.movements() == []

    @pytest.mark.parametrize(
        ("word", "response", "code", "recorded"),
        [
            ("soft_decline", "2", "201", True),
            ("hard_decline", "2", "204", True),
            ("insufficient_funds", "2", "202", True),
            ("expired_card", "2", "223", True),
            ("invalid_card_data", "2", "225", True),
            ("fraud", "2", "253", True),
            ("limit_exceeded", "2", "203", True),
            ("authentication_required", "2", "240", True),
            ("duplicate", "3", "430", True),
            ("invalid_request", "3", "300", False),
            ("configuration_error", "3", "410", False),
            ("gateway_error", "3", "400", True),
            ("gateway_unavailable", "3", "301", False),
            ("unknown", "3", "420", True),
            ("264", "2", "264", True),
        ],
    )
    def test_decline_tokens_answer_with_a_code_of_their_class(
        self, nmi: Nmi, word: str, response: str, code: str, recorded: bool
    ) -> None:
        answer = nmi.sale(payment_token=f"nmi_tok_decline_{word}")

        assert (answer["response"], answer["response_code"]) == (response, code)
        assert bool(answer["transactionid"]) is recorded
        books = nmi.simulator.books()
        assert books["movements"] == []
        assert len(books["transactions"]) == int(recorded)

    @pytest.mark.parametrize(
        ("wrong", "text"),
        [
            ({"amount": ""}, "Required Field amount is Missing or Empty"),
            ({"amount": "12.345"}, "Invalid amount"),
            ({"amount": "-1.00"}, "Invalid amount"),
            ({"amount": "1e3"}, "Invalid amount"),
            ({"amount": "0.00"}, "Invalid amount"),
            ({"payment_token": ""}, "Required Field payment_token is Missing or Empty"),
            ({"currency": "JPY"}, "Currency not supported"),
            ({"currency": "usd"}, "Currency not supported"),
            ({"type": ""}, "Invalid Transaction Type"),
            ({"type": "steal"}, "Invalid Transaction Type"),
            ({"dup_seconds": "7862401"}, "Invalid dup_seconds"),
            ({"dup_seconds": "soon"}, "Invalid dup_seconds"),
            ({"customer_vault_id": "404"}, "Invalid Customer Vault Id"),
            ({"ccnumber": "4111"}, "Card numbers are not accepted here"),
        ],
    )
    def test_a_wrong_field_is_refused_and_nothing_happens(self, nmi: Nmi, wrong: dict[str, str], text: str) -> None:
        answer = nmi.sale(**wrong)

        assert (answer["response"], answer["response_code"], answer["transactionid"]) == ("3", "300", "")
        assert answer["responsetext"].startswith(text)
        assert nmi.simulator.books()["transactions"] == []

    def test_types_the_processor_lacks_are_460(self, nmi: Nmi) -> None:
        assert nmi.sale(type="credit")["response_code"] == "460"

    @pytest.mark.parametrize("key", ["wrong", ""])
    def test_a_wrong_key_fails_authentication(self, nmi: Nmi, key: str) -> None:
        answer = nmi.sale(security_key=key)

        assert (answer["response"], answer["response_code"]) == ("3", "300")
        assert answer["responsetext"] == "Authentication Failed"
        assert nmi.simulator.books()["transactions"] == []

    def test_validate_checks_a_card_without_money(self, nmi: Nmi) -> None:
        good = nmi.transact(type="validate", payment_token="nmi_tok_ok", orderid="ref-1")
        bad = nmi.transact(type="validate", payment_token="nmi_tok_ok", amount="1.00")

        assert (good["response_code"], bad["response_code"]) == ("100", "300")
        assert nmi.simulator.movements() == []


class TestDuplicates:
    def test_are_off_unless_a_window_is_given(self, nmi: Nmi) -> None:
        assert [nmi.sale(f"ref-{n}")["response_code"] for n in range(2)] == ["100", "100"]

    def test_same_card_amount_and_type_within_the_window_names_the_first(self, nmi: Nmi) -> None:
        first = nmi.sale("ref-1")

        second = nmi.sale("ref-2", dup_seconds="60")

        assert (second["response"], second["response_code"], second["transactionid"]) == ("3", "300", "")
        assert second["responsetext"] == f"Duplicate transaction REFID:{first['transactionid']}"
        assert len(nmi.simulator.movements()) == 1

    @pytest.mark.parametrize(
        "other",
        [{"amount": "12.35"}, {"payment_token": "nmi_tok_3ds"}, {"type": "auth"}],
        ids=["amount", "card", "type"],
    )
    def test_another_amount_card_or_type_is_none(self, nmi: Nmi, other: dict[str, str]) -> None:
        nmi.sale("ref-1")

        assert nmi.sale("ref-2", dup_seconds="60", **other)["response_code"] == "100"

    def test_end_with_the_window(self, nmi: Nmi) -> None:
        nmi.sale("ref-1")
        nmi.simulator.act("advance_clock", seconds=61)

        assert nmi.sale("ref-2", dup_seconds="60")["response_code"] == "100"

    def test_a_declined_transaction_has_no_duplicate(self, nmi: Nmi) -> None:
        nmi.sale("ref-1", payment_token="nmi_tok_decline_fraud")

        assert nmi.sale("ref-2", payment_token="nmi_tok_decline_fraud", dup_seconds="60")["response_code"] == "253"


class TestTheVault:
    def test_a_card_stored_with_a_sale_is_charged_again_by_its_id(self, nmi: Nmi) -> None:
        stored = nmi.sale("ref-1", customer_vault="add_customer", payment_token="nmi_once_1")["customer_vault_id"]

        again = nmi.transact(type="sale", amount="5.00", orderid="ref-2", customer_vault_id=stored)

        assert (again["response_code"], again["customer_vault_id"]) == ("100", stored)
        assert [m["amount_minor"] for m in nmi.simulator.movements("ref-2")] == [500]

    def test_a_single_use_token_that_was_kept_is_spent_all_the_same(self, nmi: Nmi) -> None:
        nmi.sale("ref-1", customer_vault="add_customer", payment_token="nmi_once_2")

        assert nmi.sale("ref-2", payment_token="nmi_once_2")["responsetext"].startswith("Payment token has already")

    def test_flags_of_stored_credentials_stand_in_the_books(self, nmi: Nmi) -> None:
        nmi.sale("ref-1", initiated_by="merchant", stored_credential_indicator="used", initial_transaction_id="17")

        (transaction,) = nmi.simulator.books("ref-1")["transactions"]
        assert transaction["flags"] == {
            "initiated_by": "merchant",
            "stored_credential_indicator": "used",
            "initial_transaction_id": "17",
        }

    @pytest.mark.parametrize("name", ["initiated_by", "stored_credential_indicator", "billing_method"])
    def test_a_flag_that_is_none_is_refused(self, nmi: Nmi, name: str) -> None:
        answer = nmi.sale("ref-1", **{name: "perhaps"})

        assert (answer["response_code"], answer["responsetext"].partition(" REFID")[0]) == ("300", f"Invalid {name}")
        assert nmi.simulator.movements() == []

    def test_a_declined_sale_stores_nothing(self, nmi: Nmi) -> None:
        answer = nmi.sale("ref-1", customer_vault="add_customer", payment_token="nmi_tok_decline_fraud")

        assert "customer_vault_id" not in answer

    def test_records_are_added_changed_and_deleted_without_a_transaction(self, nmi: Nmi) -> None:
        added = nmi.transact(customer_vault="add_customer", payment_token="nmi_tok_ok")
        vault_id = added["customer_vault_id"]
        changed = nmi.transact(
            customer_vault="update_customer", customer_vault_id=vault_id, payment_token="nmi_tok_decline_fraud"
        )
        declined = nmi.transact(type="sale", amount="1.00", customer_vault_id=vault_id)
        deleted = nmi.transact(customer_vault="delete_customer", customer_vault_id=vault_id)
        gone = nmi.transact(type="sale", amount="1.00", customer_vault_id=vault_id)

        assert (added["responsetext"], changed["response"], deleted["responsetext"]) == (
            "Customer Added",
            "1",
            "Customer Deleted",
        )
        assert (declined["response_code"], gone["response_code"]) == ("253", "300")


class TestCapture:
    def test_keeps_the_transaction_id_and_releases_the_rest(self, nmi: Nmi) -> None:
        held = nmi.auth("ref-1", "50.00")["transactionid"]

        answer = nmi.transact(type="capture", transactionid=held, amount="30.00", orderid="op-2")

        assert (answer["response_code"], answer["transactionid"], answer["orderid"]) == ("100", held, "op-2")
        books = nmi.simulator.books("ref-1")
        assert [(m["kind"], m["amount_minor"]) for m in books["movements"]] == [
            ("authorisation", 5000),
            ("capture", 3000),
        ]
        assert books["movements"][1]["reference"] == "ref-1"
        assert books["movements"][1]["operation_reference"] == "op-2"
        assert books["holds_open"] == []

    def test_only_once(self, nmi: Nmi) -> None:
        held = nmi.auth("ref-1", "50.00")["transactionid"]
        nmi.transact(type="capture", transactionid=held, amount="30.00")

        second = nmi.transact(type="capture", transactionid=held, amount="20.00")

        assert (second["response"], second["response_code"], second["transactionid"]) == ("3", "300", held)
        assert second["responsetext"].startswith("A capture requires that the existing transaction be an AUTH REFID:")
        assert len(nmi.simulator.movements("ref-1")) == 2

    def test_never_more_than_authorised(self, nmi: Nmi) -> None:
        held = nmi.auth("ref-1", "50.00")["transactionid"]

        answer = nmi.transact(type="capture", transactionid=held, amount="50.01")

        assert answer["responsetext"].startswith(
            "The specified amount of 50.01 exceeds the authorization amount of 50.00"
        )
        assert len(nmi.simulator.books("ref-1")["holds_open"]) == 1

    @pytest.mark.parametrize(
        ("form", "text"),
        [
            ({"amount": "1.00"}, "Required Field transactionid is Missing or Empty"),
            ({"transactionid": "1", "amount": "1.00"}, "Invalid Transaction ID specified"),
        ],
    )
    def test_of_nothing_known_is_refused(self, nmi: Nmi, form: dict[str, str], text: str) -> None:
        assert nmi.transact(type="capture", **form)["responsetext"].startswith(text)

    def test_without_an_amount_is_refused(self, nmi: Nmi) -> None:
        held = nmi.auth()["transactionid"]

        answer = nmi.transact(type="capture", transactionid=held)

        assert answer["responsetext"].startswith("Required Field amount is Missing or Empty")


class TestVoid:
    @pytest.mark.parametrize(("kind", "releases"), [("auth", "authorisation"), ("sale", "capture")])
    def test_before_settlement_gives_everything_back(self, nmi: Nmi, kind: str, releases: str) -> None:
        standing = nmi.sale("ref-1", type=kind)["transactionid"]

        answer = nmi.transact(type="void", transactionid=standing)

        assert (answer["response_code"], answer["responsetext"]) == ("100", "Transaction Void Successful")
        assert answer["transactionid"] == standing
        books = nmi.simulator.books("ref-1")
        voided = books["movements"][-1]
        assert (voided["kind"], voided["releases"], voided["amount_minor"]) == ("void", releases, 1234)
        assert voided["condition"] == "canceled"
        assert books["holds_open"] == []

    def test_a_second_void_is_refused(self, nmi: Nmi) -> None:
        standing = nmi.sale()["transactionid"]
        nmi.transact(type="void", transactionid=standing)

        second = nmi.transact(type="void", transactionid=standing)

        assert (second["response"], second["response_code"]) == ("3", "300")
        assert second["responsetext"].startswith("Only transactions pending settlement can be voided REFID:")

    def test_after_settlement_is_refused(self, nmi: Nmi) -> None:
        sold = settled_sale(nmi)

        answer = nmi.transact(type="void", transactionid=sold)

        assert answer["responsetext"].startswith("Only transactions pending settlement can be voided")

    def test_of_an_unknown_transaction_is_refused(self, nmi: Nmi) -> None:
        answer = nmi.transact(type="void", transactionid="123")

        assert answer["responsetext"].startswith("Invalid Transaction ID specified")

    def test_of_a_refund_before_its_batch_takes_the_refund_back(self, nmi: Nmi) -> None:
        sold = settled_sale(nmi)
        refund = nmi.transact(type="refund", transactionid=sold, amount="12.34", orderid="rf-1")["transactionid"]

        assert nmi.transact(type="void", transactionid=refund)["response_code"] == "100"

        assert nmi.simulator.movements("rf-1")[-1]["releases"] == "refund"
        assert nmi.transact(type="refund", transactionid=sold, amount="12.34")["response_code"] == "100"


class TestRefund:
    def test_before_settlement_is_refused(self, nmi: Nmi) -> None:
        sold = nmi.sale()["transactionid"]

        answer = nmi.transact(type="refund", transactionid=sold, amount="1.00")

        assert (answer["response"], answer["response_code"]) == ("3", "300")
        assert len(nmi.simulator.movements()) == 1

    def test_is_a_transaction_of_its_own(self, nmi: Nmi) -> None:
        sold = settled_sale(nmi)

        answer = nmi.transact(type="refund", transactionid=sold, amount="2.00", orderid="rf-1")

        assert answer["response_code"] == "100"
        assert answer["transactionid"] != sold
        movement = nmi.simulator.movements("ref-1")[-1]
        assert (movement["kind"], movement["amount_minor"], movement["reference"]) == ("refund", 200, "rf-1")
        assert (movement["original_gateway_id"], movement["original_reference"]) == (sold, "ref-1")

    def test_never_more_in_all_than_was_captured(self, nmi: Nmi) -> None:
        sold = settled_sale(nmi, amount="10.00")
        nmi.transact(type="refund", transactionid=sold, amount="6.00")

        too_much = nmi.transact(type="refund", transactionid=sold, amount="4.01")
        rest = nmi.transact(type="refund", transactionid=sold)
        nothing_left = nmi.transact(type="refund", transactionid=sold)

        assert too_much["responsetext"].startswith("Refund amount may not exceed the transaction balance")
        assert rest["response_code"] == "100"
        assert nothing_left["response_code"] == "300"
        refunds = [m["amount_minor"] for m in nmi.simulator.movements() if m["kind"] == "refund"]
        assert refunds == [600, 400]

    def test_of_a_partly_captured_hold_ends_at_the_capture(self, nmi: Nmi) -> None:
        held = nmi.auth("ref-1", "50.00")["transactionid"]
        nmi.transact(type="capture", transactionid=held, amount="30.00")
        nmi.simulator.act("batch_settle")

        assert nmi.transact(type="refund", transactionid=held, amount="30.01")["response_code"] == "300"
        assert nmi.transact(type="refund", transactionid=held, amount="30.00")["response_code"] == "100"

    def test_of_a_refund_is_refused(self, nmi: Nmi) -> None:
        sold = settled_sale(nmi)
        refund = nmi.transact(type="refund", transactionid=sold)["transactionid"]
        nmi.simulator.act("batch_settle")

        assert nmi.transact(type="refund", transactionid=refund)["response_code"] == "300"


class TestThePlumbing:
    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/nmi/api/transact.php", 405),
            ("GET", "/nmi/api/query.php", 405),
            ("POST", "/nmi/api/other.php", 404),
            ("POST", "/unknown/api/transact.php", 404),
            ("GET", "/", 404),
        ],
    )
    def test_other_paths_and_methods(self, simulator: SimulatorProcess, method: str, path: str, status: int) -> None:
        assert httpx.request(method, simulator.url + path, trust_env=False).status_code == status

    def test_a_body_beyond_a_mebibyte_is_refused(self, simulator: SimulatorProcess) -> None:
        answer = httpx.post(f"{simulator.nmi_url}/api/transact.php", content=b"x" * (1024 * 1024 + 1), trust_env=False)

        assert answer.status_code == 413

    def test_requests_are_counted_by_kind_and_answer(self, nmi: Nmi) -> None:
        nmi.sale("ref-1")
        nmi.sale("ref-2", payment_token="nmi_tok_decline_fraud")
        nmi.query(order_id="ref-1")

        assert nmi.simulator.books()["requests"] == {
            "query": 1,
            "response.100": 1,
            "response.253": 1,
            "transact.sale": 2,
        }
