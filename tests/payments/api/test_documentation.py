"""Does the API describe itself?"""

from __future__ import annotations

import json
import re

from django.test import Client

from payments.api.urls import api

PATHS = {
    "/api/v1/payments": {"get", "post"},
    "/api/v1/payments/{payment_id}": {"get"},
    "/api/v1/payments/{payment_id}/capture": {"post"},
    "/api/v1/payments/{payment_id}/cancel": {"post"},
    "/api/v1/payments/{payment_id}/refunds": {"post"},
    "/api/v1/refunds/{refund_id}": {"get"},
}


def test_openapi_lists_every_endpoint() -> None:
    schema = Client().get("/api/v1/openapi.json").json()
    assert {path: set(operations) for path, operations in schema["paths"].items()} == PATHS


def test_every_post_shows_its_key_and_its_body() -> None:
    for path, operations in api.get_openapi_schema()["paths"].items():
        if "post" not in operations:
            continue
        operation = operations["post"]
        headers = {p["name"]: p["required"] for p in operation["parameters"] if p["in"] == "header" and "required" in p}
        assert headers == {"Idempotency-Key": True}, path
        assert operation["requestBody"]["content"]["application/json"]["schema"], path


def test_every_operation_names_its_refusals() -> None:
    for path, operations in api.get_openapi_schema()["paths"].items():
        for operation in operations.values():
            refusals = {int(status) for status in operation["responses"] if int(status) >= 400}
            assert {401, 403, 404, 422, 429} <= refusals, path
            for status in refusals:
                assert list(operation["responses"][status]["content"]) == ["application/problem+json"]


def test_every_reference_inside_the_document_leads_somewhere() -> None:
    text = Client().get("/api/v1/openapi.json").content.decode()
    schemas = json.loads(text)["components"]["schemas"]
    references = set(re.findall(r'"\$ref": ?"([^"]+)"', text))
    assert {"#/components/schemas/PaymentIn", "#/components/schemas/PaymentOut"} <= references
    assert references <= {f"#/components/schemas/{name}" for name in schemas}


def test_the_docs_page_loads_nothing_from_elsewhere() -> None:
    page = Client().get("/api/v1/docs")
    assert page.status_code == 200
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.content.decode())
    assert loaded
    assert [address for address in loaded if not address.startswith(("/", "data:"))] == []
