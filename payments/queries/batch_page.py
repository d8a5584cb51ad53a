"""How far has an upload come? Rows and money by outcome, added up by the database; a page of rows, each with where it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db.models import Case, CharField, Count, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce

from ledger.money import Money
from payments.models import Attempt, Batch, BatchRow, Operation
from payments.states import COLLECTING, PAID_STATES, BatchState, PaymentState, RowState, Waits

MOST_ROWS = 50
_EARLIER = 3
_MOST_READ = 2000
_MOST_KINDS = 12


class RowOutcome(StrEnum):
    """What has become of a row, as people ask for it."""

    BAD = "bad"  # has problems, never started
    WAITING = "waiting"  # not begun
    BEGUN = "begun"  # on its way by itself
    PAYER = "payer"  # the payer has to confirm
    UNKNOWN = "unknown"  # nobody knows yet whether money was taken
    RETRY = "retry"  # declined, a retry is planned
    PERSON = "person"  # a case waits for a person
    PAID = "paid"
    HELD = "held"  # authorised, not captured
    FAILED = "failed"
    GIVEN_BACK = "given_back"
    NOT_MADE = "not_made"  # refused when its payment was to be made
    CANCELLED = "cancelled"


MOVING = frozenset({RowOutcome.WAITING, RowOutcome.BEGUN, RowOutcome.UNKNOWN, RowOutcome.RETRY})
"""Outcomes that change by themselves."""


@dataclass(frozen=True, slots=True)
class Share:
    """Rows of one outcome (of a failure: one class) in one currency; `money` is None for rows with problems: it may be wrong."""

    outcome: RowOutcome
    failure_class: str
    count: int
    money: Money | None


@dataclass(frozen=True, slots=True)
class RowView:
    """One row as a page or a file of results shows it; `why` is the last word on it."""

    row: BatchRow
    outcome: RowOutcome
    failure_class: str
    code: str
    gateway: str
    why: str


def shares_of(batch: Batch) -> list[Share]:
    """Every outcome with its rows and money; one query, however many rows."""
    found = (
        _judged(BatchRow.objects.filter(batch=batch))
        .order_by()
        .values("outcome", "failure_class", "currency")
        .annotate(count=Count("pk"), minor=Sum("amount_minor"))
    )
    shares = [
        Share(
            RowOutcome(share["outcome"]),
            share["failure_class"],
            share["count"],
            Money(int(share["minor"]), share["currency"]),
        )
        for share in found
        if share["outcome"] != RowOutcome.BAD
    ]
    if batch.rows_bad:
        shares.append(Share(RowOutcome.BAD, "", batch.rows_bad, None))
    order = list(RowOutcome)
    return sorted(shares, key=lambda share: (order.index(share.outcome), share.failure_class, -share.count))


def rows_of(batch: Batch, *, outcome: str = "", after: int = 0, most: int = MOST_ROWS) -> tuple[list[RowView], bool]:
    """The rows behind line `after`, and whether more follow. Raises: ValueError for no such outcome."""
    rows = _judged(BatchRow.objects.filter(batch=batch, number__gt=after))
    if outcome:
        rows = rows.filter(outcome=RowOutcome(outcome).value)
    found = list(rows.select_related("payment").order_by("number")[: most + 1])
    return views_of(found[:most]), len(found) > most


def views_of(rows: Sequence[Any]) -> list[RowView]:
    """Rows that `_judged` has read, with their last attempt's gateway and answer: two queries for all of them."""
    keys = [row.payment_id for row in rows if row.payment_id is not None]
    attempts = Attempt.objects.filter(payment__in=keys).select_related("gateway_account").order_by("number")
    last = {attempt.payment_id: attempt for attempt in attempts}
    asked = Operation.objects.filter(payment__in=keys, kind__in=COLLECTING).order_by("id")
    answers = dict(asked.values_list("payment_id", "message"))
    return [_view(row, last.get(row.payment_id or 0), answers.get(row.payment_id or 0, "")) for row in rows]


def judged_rows(batch: Batch) -> QuerySet[Any]:
    """All rows in order with outcome and class, for a file of results."""
    return _judged(BatchRow.objects.filter(batch=batch)).select_related("payment").order_by("number")


def earlier_uploads(batch: Batch) -> list[Batch]:
    """Uploads of the same file before this one, the newest first."""
    same = Batch.objects.filter(sha256=batch.sha256, pk__lt=batch.pk).exclude(sha256="")
    return list(same.exclude(state=BatchState.REFUSED).order_by("-id")[:_EARLIER])


def warned_rows(batch: Batch) -> int:
    """How many rows carry a warning and no problem."""
    return BatchRow.objects.filter(batch=batch).exclude(warnings=[]).exclude(state=RowState.BAD).count()


@dataclass(slots=True)
class ProblemCount:
    """Problems of one kind: the column, how many rows have it, and the first of them with its sentence."""

    column: str
    sentence: str
    first_line: int
    count: int = 0


def problem_counts(batch: Batch) -> list[ProblemCount]:
    """The most frequent kinds of problems among the first `_MOST_READ` bad rows."""
    found: dict[tuple[str, str], ProblemCount] = {}
    bad = BatchRow.objects.filter(batch=batch, state=RowState.BAD).order_by("number")
    for number, problems in bad.values_list("number", "problems")[:_MOST_READ]:
        for column, sentence in problems:
            kind = (column, _without_values(sentence))
            found.setdefault(kind, ProblemCount(column, sentence, number)).count += 1
    return sorted(found.values(), key=lambda problem: -problem.count)[:_MOST_KINDS]


def _without_values(sentence: str) -> str:
    """Sentences of one kind differ by line numbers and quoted values only."""
    words = ("…" if word[:1] in "'\"" or any(sign.isdigit() for sign in word) else word for word in sentence.split())
    return " ".join(words)


def _view(row: Any, attempt: Attempt | None, answer: str) -> RowView:
    outcome = RowOutcome(row.outcome)
    return RowView(
        row=row,
        outcome=outcome,
        failure_class=row.failure_class,
        code=attempt.code if attempt else "",
        gateway=attempt.gateway_account.name if attempt else "",
        why=_why(row, attempt, answer, outcome),
    )


def _why(row: BatchRow, attempt: Attempt | None, answer: str, outcome: RowOutcome) -> str:
    if row.problems:
        return " ".join(f"{column}: {sentence}" if column else sentence for column, sentence in row.problems)
    if outcome == RowOutcome.FAILED and attempt is None:
        answer = "No gateway could be asked."
    return " ".join(filter(None, [answer if outcome != RowOutcome.PAID else "", row.retry_said]))


def _judged(rows: QuerySet[BatchRow]) -> QuerySet[Any]:
    """Add `outcome` and `failure_class`. The order of the conditions is their rank."""
    last = Attempt.objects.filter(payment=OuterRef("payment")).order_by("-number").values("failure_class")[:1]
    outcome = Case(
        *(When(condition, then=Value(outcome.value)) for outcome, condition in _CONDITIONS),
        default=Value(RowOutcome.BEGUN.value),
        output_field=CharField(),
    )
    failed = Q(payment__state=PaymentState.FAILED)
    return rows.annotate(
        outcome=outcome,
        failure_class=Case(When(failed, then=Coalesce(Subquery(last), Value(""))), default=Value("")),
    )


_CONDITIONS = (
    (RowOutcome.BAD, Q(state=RowState.BAD)),
    (RowOutcome.WAITING, Q(state__in=(RowState.READY, RowState.CLAIMED))),
    (RowOutcome.CANCELLED, Q(state=RowState.CANCELLED) | Q(payment__state=PaymentState.CANCELLED)),
    (RowOutcome.NOT_MADE, Q(state=RowState.FAILED)),
    (RowOutcome.PERSON, Q(payment__waits_for=Waits.OPERATOR)),
    (RowOutcome.PAID, Q(payment__state__in=[state.value for state in PAID_STATES])),
    (RowOutcome.FAILED, Q(payment__state__in=(PaymentState.FAILED, PaymentState.EXPIRED))),
    (RowOutcome.HELD, Q(payment__state=PaymentState.AUTHORISED)),
    (RowOutcome.GIVEN_BACK, Q(payment__state__in=(PaymentState.REFUNDED, PaymentState.CHARGED_BACK))),
    (RowOutcome.UNKNOWN, Q(payment__waits_for=Waits.LOOK_UP)),
    (RowOutcome.PAYER, Q(payment__waits_for=Waits.PAYER)),
    (RowOutcome.RETRY, Q(payment__waits_for=Waits.RETRY)),
)
