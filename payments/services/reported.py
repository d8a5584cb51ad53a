"""What does a gateway say of its own books? Asks page by page, outside any transaction; books nothing.

Nothing is retried here: reading is safe, and whoever asks knows whether the time for it is now. A page that fails ends
the report with an error that names it; what was read before is for the caller to throw away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from payments.errors import NotFound, PaymentsError
from payments.gateways.base import ReportPage, ReportQuestion
from payments.gateways.errors import GatewayError
from payments.models import GatewayAccount
from payments.services.accounts import adapter_of
from payments.services.calls import Clock, ask

LAST_PAGE = 100_000  # a gateway that never says which page is the last is not listed for ever

__all__ = ["ReportNotTold", "ReportPage", "ReportQuestion", "pages", "reports_of"]


class ReportNotTold(PaymentsError):
    """A page of a report did not come, or not whole. Asking again later is safe."""

    code, status = "report_not_told", 502


def reports_of(slug: str) -> frozenset[str]:
    """What the account's gateway tells by API: balance, payouts, window; empty where its reports are files. Raises NotFound."""
    return adapter_of(_account(slug)).capabilities.reports


def pages(slug: str, question: ReportQuestion, clock: Clock) -> Iterator[ReportPage]:
    """Every page of a report in order, the last one being marked so.

    Raises: NotFound; ReportNotTold naming gateway and page, also where rows may have slipped between two pages.
    """
    account = _account(slug)
    if question.what not in adapter_of(account).capabilities.reports:
        raise ReportNotTold(f"{account.name} does not tell its {question.what} by API: its report comes as a file.")
    began, highest, sorted_so_far = clock(), -1, True
    while True:
        page = _page(account, question, clock)
        for place in page.places:
            sorted_so_far, highest = sorted_so_far and place > highest, max(place, highest)
        if page.last and not sorted_so_far and question.page > 1:
            _refuse_changed(account, question, began, clock)
        yield page
        if page.last:
            return
        question = _next(account, question, page)


def _account(slug: str) -> GatewayAccount:
    account = GatewayAccount.objects.filter(slug=slug).first()
    if account is None:
        raise NotFound(f"There is no gateway account {slug}.")
    return account


def _page(account: GatewayAccount, question: ReportQuestion, clock: Clock) -> ReportPage:
    adapter, where = adapter_of(account), f"page {question.page + 1} of its {_words(question)}"
    try:
        wire = ask(account, adapter.report_request(question), clock)
        return adapter.report_answer(question, wire, at=clock())
    except (GatewayError, ValueError) as trouble:
        raise ReportNotTold(f"{account.name} gave no whole {where}: {trouble}") from trouble


def _words(question: ReportQuestion) -> str:
    return f"{question.what} of payout {question.payout_id}" if question.payout_id else question.what


def _next(account: GatewayAccount, question: ReportQuestion, page: ReportPage) -> ReportQuestion:
    if question.page + 1 == LAST_PAGE:
        raise ReportNotTold(f"{account.name}: the {_words(question)} has no end after {LAST_PAGE} pages.")
    if page.next_cursor and page.next_cursor == question.cursor:
        raise ReportNotTold(f"{account.name}: page {question.page + 1} of its {_words(question)} came a second time.")
    return replace(question, page=question.page + 1, cursor=page.next_cursor)


def _refuse_changed(account: GatewayAccount, question: ReportQuestion, began: datetime, clock: Clock) -> None:
    """The pages were in no order that proves them whole: then nothing may have changed while they were read."""
    changed = replace(question, start=began, end=None, page=0, cursor="")
    if _page(account, changed, clock).places:
        raise ReportNotTold(f"{account.name} changed its {_words(question)} while it was read; ask again.")
