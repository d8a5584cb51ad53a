"""What stands on an upload's page? Chips, shares, rows and steps, put together from what `payments.queries.batch_page` read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from console.links import link_to
from console.values import Amount, Chip, KeyValue, Link, Shown, Step, Tone
from ledger.money import Money
from payments.models import Batch
from payments.queries.batch_page import MOVING, RowOutcome, RowView, Share, earlier_uploads, problem_counts, warned_rows
from payments.queries.review_page import roles_that_may
from payments.states import BatchState

S, R = BatchState, RowOutcome
_BATCH: Final = {
    S.CHECKING: Chip("checking", Tone.INFO, "hourglass_empty", "Its rows are being read"),
    S.CHECKED: Chip("checked", Tone.INFO, "fact_check", "The dry run is there; nothing is charged"),
    S.REFUSED: Chip("refused", Tone.BAD, "error", "It could not be read"),
    S.AWAITING_APPROVAL: Chip("awaits approval", Tone.WARN, "how_to_reg", "A second person has to agree"),
    S.RUNNING: Chip("running", Tone.INFO, "sync", "Rows become payments"),
    S.PAUSED: Chip("paused", Tone.WARN, "pause_circle", "No further row is begun"),
    S.FINISHED: Chip("all begun", Tone.GOOD, "check_circle", "No row is left to begin"),
    S.DISCARDED: Chip("discarded", Tone.QUIET, "delete", "Read and not wanted"),
}
_OUTCOME: Final = {
    R.BAD: Chip("problem", Tone.WARN, "error", "Has a problem; never started"),
    R.WAITING: Chip("not begun", Tone.QUIET, "hourglass_empty", "Its payment is not made yet"),
    R.BEGUN: Chip("on its way", Tone.INFO, "sync", "Its payment moves by itself"),
    R.PAYER: Chip("payer's turn", Tone.INFO, "smartphone", "The payer has to confirm"),
    R.UNKNOWN: Chip("unknown", Tone.WARN, "help", "Nobody knows yet whether money was taken; it is looked up"),
    R.RETRY: Chip("retry planned", Tone.INFO, "schedule", "Declined; tried again later by itself"),
    R.PERSON: Chip("needs a person", Tone.BAD, "person_alert", "A case is open about it"),
    R.PAID: Chip("paid", Tone.GOOD, "check_circle", "Final at the gateway"),
    R.HELD: Chip("held", Tone.INFO, "lock_clock", "Authorised, not captured"),
    R.FAILED: Chip("failed", Tone.BAD, "close", "Every attempt failed; nothing was taken"),
    R.GIVEN_BACK: Chip("given back", Tone.QUIET, "undo", "Refunded or charged back"),
    R.NOT_MADE: Chip("not made", Tone.WARN, "do_not_disturb_on", "Refused when its payment was to be made"),
    R.CANCELLED: Chip("cancelled", Tone.QUIET, "block", "Never begun, or cancelled with nothing taken"),
}
SHARE_COLUMNS: Final = ("Outcome", "Answer", "Rows", "Money")
ROW_COLUMNS: Final = ("Line", "Reference", "Amount", "Outcome", "Payment", "Taken by", "Why")
PROBLEM_COLUMNS: Final = ("Column", "Problem, for example", "Rows", "First line")


@dataclass(frozen=True, slots=True)
class Bar:
    """One part of the progress bar: its share of all rows in percent, and what it stands for."""

    percent: str
    tone: str
    text: str


def batch_chip(batch: Batch) -> Chip:
    return _BATCH[BatchState(batch.state)]


def class_words(failure_class: str) -> str:
    """A decline class as people read it."""
    return failure_class.replace("_", " ")


def counted(count: int, what: str) -> str:
    """A number and its noun: "1 payment", "2,000 payments"."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def is_moving(batch: Batch, shares: Sequence[Share]) -> bool:
    """Does anything of it change by itself soon? The page asks again only as long as it does."""
    if batch.state in {S.CHECKED, S.REFUSED, S.DISCARDED, S.PAUSED}:
        return any(share.outcome in {R.BEGUN, R.UNKNOWN} for share in shares)
    return batch.state != S.FINISHED or any(share.outcome in MOVING for share in shares)


def head_facts(batch: Batch) -> list[KeyValue]:
    """Who brought what, and when."""
    lines = [
        KeyValue("Uploaded by", batch.uploaded_by),
        KeyValue("Uploaded", batch.uploaded_at),
        KeyValue("Read as", batch.read_as or None),
        KeyValue("Rows", f"{batch.rows_total:,}"),
        KeyValue("SHA-256", Link(f"{batch.sha256[:16]}…", "", code=True) if batch.sha256 else None),
    ]
    if batch.started_at:
        lines += [KeyValue("Started by", batch.started_by), KeyValue("Started", batch.started_at)]
    if batch.finished_at:
        lines.append(KeyValue("Last row begun" if batch.state == S.FINISHED else "Ended", batch.finished_at))
    return lines


def notices(batch: Batch) -> list[tuple[str, str, Link | None]]:
    """Sentences above everything else: icon, text, and where it leads."""
    found: list[tuple[str, str, Link | None]] = []
    if batch.state == S.REFUSED:
        found.append(("error", f"It cannot be read: {batch.refused_because} Nothing of it was kept.", None))
    if batch.paused_because and batch.state == S.PAUSED:
        found.append(("pause_circle", f"Paused: {batch.paused_because}", None))
    for earlier in earlier_uploads(batch):
        when = f"{earlier.uploaded_at:%d %b %Y %H:%M} UTC"
        text = f"The same file was uploaded before, by {earlier.uploaded_by or 'nobody'} on {when}: {earlier.state}."
        found.append(("content_copy", text, link_to(earlier.public_id)))
    return found


def dry_run(batch: Batch) -> dict[str, Any]:
    """What the checks found; for uploads that are not started yet."""
    if batch.state not in {S.CHECKED, S.AWAITING_APPROVAL}:
        return {}
    return {
        "totals": [
            (f"{currency} · {counted(count, 'payment')}", Amount(minor, currency))
            for currency, (count, minor) in sorted(batch.totals.items())
        ],
        "good": batch.rows_total - batch.rows_bad,
        "bad": batch.rows_bad,
        "warned": warned_rows(batch),
        "problem_columns": PROBLEM_COLUMNS,
        "problems": [(p.column, p.sentence, p.count, p.first_line) for p in problem_counts(batch)]
        if batch.rows_bad
        else [],
    }


def share_rows(shares: Sequence[Share], url: Callable[[RowOutcome], str]) -> list[Sequence[Shown]]:
    """Outcome, class, rows and money; the number of rows leads to them."""
    return [
        (
            _OUTCOME[share.outcome],
            class_words(share.failure_class),
            Link(f"{share.count:,}", url(share.outcome)),
            _amount(share.money),
        )
        for share in shares
    ]


def bars(shares: Sequence[Share]) -> list[Bar]:
    """The good rows by outcome as parts of one line, in per cent with two decimals."""
    counts = _by_outcome(share for share in shares if share.outcome != R.BAD)
    total = sum(counts.values()) or 1
    return [
        Bar(
            _percent(count, total),
            "idle" if outcome == R.WAITING else str(_OUTCOME[outcome].tone),
            f"{count:,} {_OUTCOME[outcome].text}",
        )
        for outcome, count in counts.items()
    ]


def _by_outcome(shares: Iterable[Share]) -> dict[RowOutcome, int]:
    counts: dict[RowOutcome, int] = defaultdict(int)
    for share in shares:
        counts[share.outcome] += share.count
    return counts


def _percent(count: int, total: int) -> str:
    hundredths = count * 10_000 // total
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def money_cells(shares: Sequence[Share]) -> list[tuple[str, Amount, Amount]]:
    """For each currency: label, what is paid or held, and what was asked for."""
    paid: dict[str, int] = defaultdict(int)
    asked: dict[str, int] = defaultdict(int)
    for share in shares:
        if share.money is not None:
            asked[share.money.currency] += share.money.amount_minor
            if share.outcome in {R.PAID, R.HELD}:
                paid[share.money.currency] += share.money.amount_minor
    return [
        (f"{currency} paid or held", Amount(paid[currency], currency), Amount(minor, currency))
        for currency, minor in sorted(asked.items())
    ]


def row_cells(views: Sequence[RowView]) -> list[Sequence[Shown]]:
    """One line for each row; a warning is told where there is no problem."""
    return [
        (
            view.row.number,
            view.row.reference or view.row.values.get("reference", ""),
            _row_amount(view),
            _OUTCOME[view.outcome],
            link_to(view.row.payment.public_id) if view.row.payment else None,
            view.gateway,
            _why(view),
        )
        for view in views
    ]


def filters(shares: Sequence[Share], chosen: str, base: str) -> list[tuple[str, str, bool]]:
    """Which rows to show: label, address, whether it is the one chosen."""
    counts = _by_outcome(shares)
    everything = [("all", base, not chosen)]
    return everything + [
        (
            f"{_OUTCOME[outcome].text} {count:,}",
            f"{base}?{urlencode({'outcome': outcome.value})}",
            chosen == outcome.value,
        )
        for outcome, count in counts.items()
    ]


def steps(batch: Batch, rights: Collection[str], url: Callable[[str], str], shares: Sequence[Share]) -> list[Step]:
    """What may be done with it now; what somebody else could do says who."""
    failed = any(share.outcome == R.FAILED for share in shares)
    offered = {
        S.CHECKED: (("start", "Start it", True), ("discard", "Discard it", False)),
        S.REFUSED: (("discard", "Discard it", False),),
        S.RUNNING: (("pause", "Pause", False), ("cancel_rest", "Cancel the rest", False)),
        S.PAUSED: (("resume", "Resume", True), ("cancel_rest", "Cancel the rest", False)),
    }.get(BatchState(batch.state), ())
    if failed and batch.started_at:
        offered = (*offered, ("retry", "Try declined rows again", False))
    made = []
    for name, label, primary in offered:
        right = "upload_batch" if name == "discard" else "start_batch"
        blocked = "" if f"payments.{right}" in rights else f"{roles_that_may(right)} could"
        if name == "start" and not batch.totals:
            blocked = "no row is good"
        made.append(Step(label, url(name), blocked_by=blocked, primary=primary))
    return made


def _amount(money: Money | None) -> Amount | None:
    return Amount(money.amount_minor, money.currency) if money else None


def _row_amount(view: RowView) -> Shown:
    row = view.row
    if row.amount_minor is not None:
        return Amount(row.amount_minor, row.currency)
    return " ".join(filter(None, (row.values.get("amount", ""), row.values.get("currency", "")))) or None


def _why(view: RowView) -> str:
    warned = " ".join(f"{column}: {sentence}" for column, sentence in view.row.warnings)
    return view.why or warned
