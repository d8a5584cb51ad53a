"""How are NMI's own books read? The transactions with something done in a window, page by page.

NMI has no report of fees or payouts; what it knows of settlement is the `settle` action and its batch. It filters by the
last change, so what changed again after the window is found only by an end that stays open. Such a list loses no row while
it is paged, and new ones come last, if it is sorted by transaction: `places` let the reader see whether it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from payments.gateways.base import ReportPage, ReportQuestion, WireAnswer, WireRequest
from payments.gateways.nmi import report
from payments.gateways.nmi.query import PAGE_SIZE, PATH
from payments.gateways.nmi.report import Action, Transaction
from payments.gateways.nmi.values import mask, moment_of, stamp_of

REPORTS = frozenset({"window"})


def request(question: ReportQuestion) -> WireRequest:
    """One page of a hundred transactions. Raises ValueError for a question that NMI can not be asked."""
    if question.what != "window" or question.start is None:
        raise ValueError(f"NMI has no report of the kind {question.what} without a start")
    form = {"start_date": stamp_of(question.start), "result_limit": str(PAGE_SIZE), "page_number": str(question.page)}
    return WireRequest("POST", PATH, form | {"result_order": "standard"})


def answer(question: ReportQuestion, wire: WireAnswer, *, at: datetime) -> ReportPage:
    """The transactions of the page with an action inside the window, whole. An empty page is the last. Raises Unreadable."""
    reported = report.read(wire)
    return ReportPage(
        rows=tuple(_row(one) for one in reported if _is_inside(one, question, at)),
        last=not reported,
        places=tuple(_place(one) for one in reported),
    )


def _is_inside(transaction: Transaction, question: ReportQuestion, at: datetime) -> bool:
    """A transaction without a dated action is told: what it means is not decided here."""
    moments = [moment_of(action.date, absent=at) for action in transaction.actions]
    start, end = question.start or at, question.end or at
    return not moments or any(start <= moment <= end for moment in moments)


def _place(transaction: Transaction) -> int:
    """Ids are numbers that grow; another form has no place, and paging is then not proven by it."""
    text = transaction.transaction_id
    return int(text) if text.isascii() and text.isdigit() else -1


def _row(transaction: Transaction) -> Mapping[str, object]:
    return {
        "object": "transaction",
        "transaction_id": mask(transaction.transaction_id),
        "order_id": mask(transaction.order_id),
        "condition": mask(transaction.condition),
        "currency": mask(transaction.currency),
        "cc_type": mask(transaction.brand),
        "actions": [_action(action) for action in transaction.actions],
    }


def _action(action: Action) -> Mapping[str, object]:
    return {
        "action_type": mask(action.action_type),
        "amount": mask(action.amount),
        "date": mask(action.date),
        "success": action.success,
        "batch_id": mask(action.batch_id),
        "response_text": mask(action.response_text),
    }
