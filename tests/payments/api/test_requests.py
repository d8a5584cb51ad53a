"""What happens to a request that cannot be used? A problem that names what and where, and nothing stored."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.db import OperationalError

from payments.api.bodies import read_document
from payments.api.problems import TooLarge, Unreadable
from payments.models import IdempotencyRecord, Payment
from tests.payments.api.callers import MerchantSystem, assert_problem, intent

pytestmark = pytest.mark.django_db


def nothing_stored() -> bool:
    return not Payment.objects.exists() and not IdempotencyRecord.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount_minor": None}, "amount_minor"),
        ({"amount_minor": 0}, "amount_minor"),
        ({"amount_minor": -1}, "amount_minor"),
        ({"amount_minor": 1.0}, "amount_minor"),
        ({"amount_minor": "1234"}, "amount_minor"),
        ({"amount_minor": True}, "amount_minor"),
        ({"amount_minor": 2**63}, "amount_minor"),
        ({"currency": None}, "currency"),
        ({"currency": "usd"}, "currency"),
        ({"currency": "XXX"}, "currency"),
        ({"currency": 840}, "currency"),
        ({"reference": None}, "reference"),
        ({"reference": ""}, "reference"),
        ({"reference": "   "}, "reference"),
        ({"reference": "r" * 101}, "reference"),
        ({"reference": "a\nb"}, "reference"),
        ({"reference": "a\x00b"}, "reference"),
        ({"reference": "a\ud800b"}, "reference"),
        ({"method": None}, "method"),
        ({"method": {"type": "card"}}, "method"),
        ({"method": {"type": "card", "token": "a", "payment_method": "pm_b"}}, "method"),
        ({"method": {"type": "cheque", "token": "a"}}, "method.type"),
        ({"method": {"type": "card", "token": ""}}, "method.token"),
        ({"method": {"type": "card", "number": "1"}}, "method.number"),
        ({"method": {"type": "card", "credentials": {}}}, "method.credentials"),
        ({"payer": {"email": 7}}, "payer.email"),
        ({"payer": {"phone": "7"}}, "payer.phone"),
        ({"capture": "later"}, "capture"),
        ({"accept_partial": 1}, "accept_partial"),
        ({"goods_class": "air"}, "goods_class"),
        ({"return_url": "javascript:alert(1)"}, "return_url"),
        ({"expires_in_seconds": 59}, "expires_in_seconds"),
        ({"expires_in_seconds": 31 * 86_400 + 1}, "expires_in_seconds"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"a": {"b": "x\x00"}}}, "metadata.a.b"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_invalid_input_names_its_field(merchant: MerchantSystem, changes: dict[str, Any], field: str) -> None:
    body = intent() | changes
    body = {name: value for name, value in body.items() if value is not None}
    assert_problem(merchant.post("/payments", body), 422, "invalid_input", field)
    assert nothing_stored()


def test_every_wrong_field_is_listed(merchant: MerchantSystem) -> None:
    problem = assert_problem(merchant.post("/payments", {}), 422, "invalid_input", "amount_minor")
    assert [error["field"] for error in problem["errors"]] == ["amount_minor", "currency", "reference", "method"]


def test_a_message_does_not_repeat_the_input(merchant: MerchantSystem) -> None:
    response = merchant.post("/payments", intent(capture="hunter2", amount_minor="hunter3"))
    assert_problem(response, 422, "invalid_input", "amount_minor")
    assert b"hunter" not in response.content


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b'{"amount_minor": }', "line 1 column 18"),
        (b"\xff\xfe{}", "UTF-8"),
        (b"[]", "JSON object"),
        (b'"text"', "JSON object"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": 1e999}', "too large"),
        (b'{"\\ud800": 1, "\\ud800": 2}', "stands twice"),
        (b'{"a": 1, "b": 2, "a": 3}', "'a' stands twice"),
        (b'{"m": {"a": 1, "a": 1}}', "'a' stands twice"),
        (b'{"a": ' + b"9" * 5000 + b"}", "too long"),
        (b'{"a": ' + b"[" * 30 + b"]" * 30 + b"}", "20 levels"),
        (b'{"a": ' + b"[" * 30_000 + b"]" * 30_000 + b"}", "20 levels"),
    ],
)
def test_an_unreadable_body_says_why(merchant: MerchantSystem, body: bytes, words: str) -> None:
    response = merchant.post("/payments", body)
    problem = json.loads(response.content)
    assert (response.status_code, problem["code"]) == (400, "unreadable_request")
    assert words in problem["detail"]
    assert nothing_stored()


def test_only_json_is_read(merchant: MerchantSystem) -> None:
    response = merchant.post("/payments", json.dumps(intent()).encode(), **{"Content-Type": "text/plain"})
    assert_problem(response, 415, "unsupported_media_type", "Content-Type")


def test_json_may_name_its_charset(merchant: MerchantSystem) -> None:
    response = merchant.post(
        "/payments", json.dumps(intent()).encode(), **{"Content-Type": "application/json; charset=utf-8"}
    )
    assert response.status_code == 202


def test_a_body_of_64_kib_is_read_and_one_byte_more_is_not(merchant: MerchantSystem) -> None:
    exact = json.dumps(intent(metadata={"note": ""})).encode()
    exact = exact.replace(b'"note": ""', b'"note": "' + b"x" * (64 * 1024 - len(exact)) + b'"')
    assert len(exact) == 64 * 1024
    assert merchant.post("/payments", exact).status_code == 202
    assert_problem(merchant.post("/payments", exact + b" "), 413, "body_too_large")


def raw_request(body: bytes, *, length: str | None = None, chunked: bool = False) -> WSGIRequest:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/v1/payments",
        "CONTENT_TYPE": "application/json",
        "wsgi.input": BytesIO(body),
    }
    if length is not None:
        environ["CONTENT_LENGTH"] = length
    if chunked:
        environ["wsgi.input_terminated"] = True
    return WSGIRequest(environ)


class TestReadingBodies:
    def test_a_chunked_body_is_read(self) -> None:
        assert read_document(raw_request(b'{"a": 1}', chunked=True)) == {"a": 1}

    def test_a_chunked_body_has_the_same_limit(self) -> None:
        with pytest.raises(TooLarge):
            read_document(raw_request(b'{"a": "' + b"x" * 70_000 + b'"}', chunked=True))

    def test_a_body_cut_short_is_refused(self) -> None:
        with pytest.raises(Unreadable, match="ends after 8 of 80 bytes"):
            read_document(raw_request(b'{"a": 1}', length="80"))

    def test_a_declared_length_over_the_limit_is_refused_unread(self) -> None:
        request = raw_request(b"", length="65537")
        with pytest.raises(TooLarge):
            read_document(request)

    def test_an_absent_body_is_an_empty_object(self) -> None:
        assert read_document(raw_request(b"")) == {}

    def test_a_card_number_in_a_doubled_key_is_not_repeated(self) -> None:
        body = b'{"4111111111111111": 1, "4111111111111111": 2}'
        with pytest.raises(Unreadable) as refused:
            read_document(raw_request(body, length=str(len(body))))
        assert "4111" not in refused.value.detail + refused.value.field


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("put", "/payments", "GET, POST"),
        ("delete", "/payments/pay_a", "GET"),
        ("get", "/payments/pay_a/capture", "POST"),
        ("get", "/payments/pay_a/refunds", "POST"),
    ],
)
def test_another_method_is_refused_with_those_that_work(
    merchant: MerchantSystem, method: str, path: str, allowed: str
) -> None:
    response = getattr(merchant.client, method)(f"/api/v1{path}")
    assert_problem(response, 405, "method_not_allowed")
    assert sorted(response.headers["Allow"].split(", ")) == sorted(allowed.split(", "))


@pytest.mark.parametrize("path", ["", "/", "/payments/", "/nowhere", "/payments/pay_a/unknown"])
def test_another_address_is_a_problem_too(merchant: MerchantSystem, path: str) -> None:
    for call in (merchant.client.get, merchant.client.post):
        assert_problem(call(f"/api/v1/{path.lstrip('/')}"), 404, "not_found")


@pytest.mark.parametrize(
    "path",
    [
        "/payments/pay_nothing",
        "/payments/4111111111111111",
        "/payments/pay_%00",
        "/refunds/rfnd_nothing",
        "/refunds/%27",
    ],
)
def test_an_unknown_id_is_not_found(merchant: MerchantSystem, path: str) -> None:
    assert_problem(merchant.get(path), 404, "not_found")


def test_a_command_on_an_unknown_payment_is_not_found(merchant: MerchantSystem) -> None:
    for path in ("/payments/pay_nothing/capture", "/payments/pay_nothing/cancel"):
        assert_problem(merchant.post(path, {}), 404, "not_found")


def test_a_command_on_something_that_is_no_id_stores_nothing(merchant: MerchantSystem) -> None:
    assert_problem(merchant.post("/payments/4111111111111111/cancel", {}), 404, "not_found")
    assert nothing_stored()


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [
        (OperationalError("the server closed the connection"), 503, "temporarily_unavailable"),
        (RuntimeError("a bug with secret-value in it"), 500, "internal_error"),
    ],
)
def test_a_fault_of_ours_is_a_problem_without_a_trace(
    merchant: MerchantSystem, monkeypatch: pytest.MonkeyPatch, trouble: Exception, status: int, code: str
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise trouble

    monkeypatch.setattr("payments.models.Payment.save", fail)  # a fault planted under the real service

    response = merchant.post("/payments", intent())

    assert_problem(response, status, code)
    assert b"secret-value" not in response.content
    assert nothing_stored()
