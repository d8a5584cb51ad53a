"""What does query.php show? Pure: filters what a look-up may see and writes it as NMI's XML.

Times are UTC (the vendor's Query API page says so). start_date and end_date filter on the last modification, both ends
included. Assumed: pages count from 0; the shape of the test mode report.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from datetime import datetime

from simulator.nmi.amounts import parse_moment, write_amount, write_moment
from simulator.nmi.codes import PROCESSOR_CODES
from simulator.nmi.model import Action, Transaction
from simulator.nmi.store import Store

_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


class QueryError(Exception):
    """A query that names something impossible."""


def answer_query(form: Mapping[str, str], store: Store, now: datetime, lag_seconds: float, *, test_mode: bool) -> str:
    """The XML answer to an authenticated query."""
    report = form.get("report_type", "") or "transaction"
    if report == "test_mode_status":
        state = "True" if test_mode else "False"
        return _document(f"<test_mode_enabled>{state}</test_mode_enabled>")
    if report != "transaction":
        return error_document("Invalid report_type")
    try:
        found = [t for t in store.shown(now, lag_seconds, _candidates(form, store)) if _matches(t, form)]
        return _document("".join(_transaction(t) for t in _page(found, form)))
    except QueryError as error:
        return error_document(str(error))


def error_document(text: str) -> str:
    """An answer that only says what is wrong."""
    return _document(_element("error_response", text))


def _candidates(form: Mapping[str, str], store: Store) -> Iterable[str] | None:
    """Ids worth looking at; None: all of them."""
    if form.get("transaction_id"):
        return _listed(form["transaction_id"])
    if form.get("order_id"):
        return list(store.ids_of_reference(form["order_id"]))
    return None


def _matches(transaction: Transaction, form: Mapping[str, str]) -> bool:
    return (
        _matches_window(transaction, form) and _matches_lists(transaction, form) and _matches_payer(transaction, form)
    )


def _matches_window(transaction: Transaction, form: Mapping[str, str]) -> bool:
    start, end = _moment(form, "start_date"), _moment(form, "end_date")
    modified = transaction.modified_at.replace(microsecond=0)
    return (start is None or modified >= start) and (end is None or modified <= end)


def _matches_lists(transaction: Transaction, form: Mapping[str, str]) -> bool:
    wanted = {name: _listed(form.get(name, "")) for name in ("condition", "action_type", "source", "transaction_type")}
    return (
        (not wanted["condition"] or transaction.condition in wanted["condition"])
        and (not wanted["transaction_type"] or "cc" in wanted["transaction_type"])
        and (not wanted["action_type"] or any(a.action_type in wanted["action_type"] for a in transaction.actions))
        and (not wanted["source"] or any(a.source in wanted["source"] for a in transaction.actions))
        and form.get("order_id", transaction.order_id) in ("", transaction.order_id)
    )


def _matches_payer(transaction: Transaction, form: Mapping[str, str]) -> bool:
    payer = transaction.payer
    has = {"email": payer.email, "first_name": payer.first_name, "last_name": payer.last_name}
    has |= {f"merchant_defined_field_{number}": value for number, value in payer.fields}
    has["customer_vault_id"] = transaction.vault_id
    asked = {n: v for n, v in form.items() if v and (n in has or n.startswith("merchant_defined_field_"))}
    card = form.get("cc_number", "")
    return transaction.card.masked.endswith(card[-4:]) and all(has.get(name) == value for name, value in asked.items())


def _page(found: list[Transaction], form: Mapping[str, str]) -> list[Transaction]:
    order = form.get("result_order") or "standard"
    if order not in ("standard", "reverse"):
        raise QueryError("Invalid result_order")
    found.sort(key=lambda transaction: int(transaction.transaction_id), reverse=order == "reverse")
    limit, page = _count(form, "result_limit"), _count(form, "page_number")
    if limit is None:
        return found
    start = limit * (page or 0)
    return found[start : start + limit]


def _count(form: Mapping[str, str], name: str) -> int | None:
    text = form.get(name, "")
    if text and not text.isdecimal():
        raise QueryError(f"Invalid {name}")
    return int(text) if text else None


def _moment(form: Mapping[str, str], name: str) -> datetime | None:
    text = form.get(name, "")
    moment = parse_moment(text)
    if text and moment is None:
        raise QueryError(f"Invalid {name}")
    return moment


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


# ---- XML -------------------------------------------------------------------------------------------------------------


def _document(inner: str) -> str:
    return f"{_HEAD}<nm_response>{inner}</nm_response>\n" if inner else f"{_HEAD}<nm_response/>\n"


def _element(name: str, value: str) -> str:
    return f"<{name}>{html.escape(_UNPRINTABLE.sub('', value), quote=False)}</{name}>"


def _transaction(transaction: Transaction) -> str:
    card, payer = transaction.card, transaction.payer
    checked = transaction.actions[0].success and not transaction.refunds
    fields = {
        "transaction_id": transaction.transaction_id,
        "partial_payment_id": "",
        "partial_payment_balance": "",
        "platform_id": "",
        "transaction_type": "cc",
        "condition": transaction.condition,
        "order_id": transaction.order_id,
        "authorization_code": transaction.authcode,
        "ponumber": "",
        "order_description": payer.order_description,
        "first_name": payer.first_name,
        "last_name": payer.last_name,
        "email": payer.email,
        "cc_number": card.masked,
        "cc_hash": card.fingerprint,
        "cc_exp": card.expiry,
        "cc_bin": card.first_six,
        "cc_type": card.brand,
        "avs_response": "Y" if checked else "",
        "csc_response": "M" if checked else "",
        "processor_id": "simulated",
        "tax": "0.00",
        "currency": transaction.currency,
        "surcharge": "0.00",
        "tip": "0.00",
        "customer_vault_id": transaction.vault_id,
        **{f"merchant_defined_field_{number}": value for number, value in payer.fields},
    }
    inner = "".join(_element(name, value) for name, value in fields.items())
    return f"<transaction>{inner}{''.join(_action(a, transaction) for a in transaction.actions)}</transaction>"


def _action(action: Action, transaction: Transaction) -> str:
    fields = {
        "amount": write_amount(action.amount_minor),
        "action_type": action.action_type,
        "date": write_moment(action.occurred_at),
        "success": "1" if action.success else "0",
        "ip_address": transaction.payer.ip_address,
        "source": action.source,
        "api_method": "direct_post" if action.source == "api" else "",
        "username": "",
        "response_text": action.text,
        "batch_id": action.batch_id or "0",
        "processor_batch_id": action.batch_id,
        "response_code": str(action.code),
        "processor_response_text": "",
        "processor_response_code": PROCESSOR_CODES.get(action.code, ""),
    }
    return "<action>" + "".join(_element(name, value) for name, value in fields.items()) + "</action>"
