"""How is the proof of the difference drawn: every number on the way from our books to the gateway, and its rows? Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from django.urls import reverse

from console.links import link_to
from console.values import Amount, Chip, Link, Shown, Tone
from ledger.money import Money
from reconciliation.models import Break, Line, Run, Statement, StatementAccount
from reconciliation.queries.break_words import kind_words
from reconciliation.queries.proof import Item, Part, Proof, currencies_of, proof
from reconciliation.queries.scope import scope_of

COLUMNS = ("Row", "Day", "What", "Amount")
CSV_COLUMNS = ("part", "number", "row", "day", "what", "amount", "currency")


@dataclass(frozen=True, slots=True)
class Step:
    """One number on the way from our books to the gateway's balance, with the first of its rows."""

    title: str
    amount: Amount
    count: int
    rows: tuple[tuple[Shown, ...], ...]
    more: int


@dataclass(frozen=True, slots=True)
class ProofPage:
    """The proof of one account, currency and day."""

    account: StatementAccount
    currency: str
    day: date
    books: Step
    timing: tuple[Step, ...]
    breaks: tuple[Step, ...]
    gateway: Step
    residual: Amount
    chip: Chip
    stated: bool
    currencies: tuple[str, ...]


def proof_page(run: Run, currency: str) -> ProofPage | None:
    """The proof as things stand now; in the first currency where none is named, None where there is nothing to prove."""
    currencies = currencies_of(run.account, scope_of(run.account, run.day))
    if currency not in currencies:
        if currency or not currencies:
            return None
        currency = currencies[0]
    found = proof(run.account_id, currency, run.day)
    urls = _urls(found)
    left = found.residual_minor
    good = Chip("all explained", Tone.GOOD, "check_circle", "What is left over is nothing")
    bad = Chip("not explained", Tone.BAD, "error", "Nobody can say why: look for postings by hand on the account")
    return ProofPage(
        account=run.account,
        currency=currency,
        day=run.day,
        books=_step(found.books, currency, urls),
        timing=tuple(_step(part, currency, urls) for part in found.timing),
        breaks=tuple(_step(replace(part, title=_kind_of(part.title)), currency, urls) for part in found.breaks),
        gateway=_step(found.gateway, currency, urls),
        residual=Amount(left, currency),
        chip=bad if left else good,
        stated=found.stated,
        currencies=tuple(currencies),
    )


def proof_rows(run: Run, currency: str) -> Iterator[tuple[str, ...]]:
    """The proof as a table: each number, then its rows. Plain decimals."""
    found = proof(run.account_id, currency, run.day)
    parts = [("books", found.books), *(("timing", part) for part in found.timing)]
    parts += [("break", part) for part in found.breaks] + [("gateway", found.gateway)]
    for name, part in parts:
        yield (name, part.title, "", run.day.isoformat(), "", _decimal(part.amount_minor, currency), currency)
        for item in part.items:
            day = item.day.isoformat() if item.day else ""
            yield (name, part.title, item.name, day, item.text, _decimal(item.amount_minor, currency), currency)
    left = _decimal(found.residual_minor, currency)
    yield ("residual", "left over", "", run.day.isoformat(), "", left, currency)


def _decimal(minor: int, currency: str) -> str:
    return Money(minor, currency).to_decimal_string()


def _step(part: Part, currency: str, urls: dict[tuple[str, int], str]) -> Step:
    rows = tuple(
        (_link(item, urls), item.day.isoformat() if item.day else "", item.text, Amount(item.amount_minor, currency))
        for item in part.items
    )
    return Step(part.title, Amount(part.amount_minor, currency), part.count, rows, max(part.count - len(rows), 0))


def _kind_of(title: str) -> str:
    """The part of a kind of difference, in the words of its page: "refund unmatched, our side"."""
    kind, comma, side = title.partition(", ")
    return f"{kind_words(kind.replace(' ', '_'))}{comma}{side}"


def _link(item: Item, urls: dict[tuple[str, int], str]) -> Shown:
    url = urls.get((item.of, item.row), "")
    if url:
        return Link(item.name, url, code=True)
    if item.name.startswith(("pay_", "po_", "je_")):
        return link_to(item.name)
    return item.name


def _urls(found: Proof) -> dict[tuple[str, int], str]:
    """Where the rows are shown that have a page of ours, looked up together."""
    parts = (found.books, *found.timing, *found.breaks, found.gateway)
    wanted: dict[str, set[int]] = {}
    for item in (item for part in parts for item in part.items):
        wanted.setdefault(item.of, set()).add(item.row)
    urls: dict[tuple[str, int], str] = {}
    for row, public_id in Break.objects.filter(pk__in=wanted.get("break", ())).values_list("pk", "public_id"):
        urls["break", row] = reverse("admin:reconciliation_break_change", args=(public_id,))
    for row, public_id in Statement.objects.filter(pk__in=wanted.get("statement", ())).values_list("pk", "public_id"):
        urls["statement", row] = reverse("admin:reconciliation_statement_change", args=(public_id,))
    for row in Line.objects.filter(pk__in=wanted.get("line", ())).values_list("pk", flat=True):
        urls["line", row] = reverse("admin:reconciliation_line_change", args=(row,))
    urls |= {
        ("account", row): reverse("admin:ledger_account_change", args=(row,))
        for row in wanted.get("account", ())
        if row
    }
    return urls
