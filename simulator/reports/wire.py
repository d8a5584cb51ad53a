"""What is asked of a world over the wire? It is made, its reports are handed out, its labels and the merchant's truth are told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from simulator.messages import Answer, ControlError, Request, json_answer
from simulator.reports import bank_files, csv_files
from simulator.reports.contract import PROFILES, contract_of
from simulator.reports.deliveries import Plan, plan_of
from simulator.reports.nmi_window import window
from simulator.reports.settlement import BANKS
from simulator.reports.values import BankLine, Row
from simulator.reports.world import TWISTS, Wish, World, make_world

MOST_TRANSACTIONS = 100_000
_FIELDS = ("seed", "day", "zone", "transactions", "twist", "most")


class ReportDesk:
    """One world at a time; `keep_books` puts its Stripe where Stripe's API finds it."""

    def __init__(self, keep_books: Callable[[World], None]) -> None:
        self._keep_books, self._lock = keep_books, threading.Lock()
        self._made: tuple[World, Plan] | None = None

    def reset(self) -> None:
        self._made = None

    def make(self, request: Request) -> Answer:
        """POST reports. Raises: ControlError naming the field."""
        wish = _wish(request.json())
        with self._lock:
            world = make_world(wish)
            self._made = world, plan_of(world)
            self._keep_books(world)
        rows = {name: len(found) for name, found in world.rows.items()}
        return json_answer({"days": _span(world), "rows": rows, "bank": len(world.bank)}, 201)

    def read(self, path: str, request: Request) -> Answer:
        """GET reports, reports/<account>/<day>.<format>, labels, truth/<account>, contract/<account>."""
        if self._made is None:
            raise ControlError("path", "no world was made: POST reports first", 404)
        world, plan = self._made
        head, _, rest = path.partition("/")
        if head == "labels" and not rest:
            return json_answer({"labels": [asdict(label) for label in (*world.labels, *plan.labels)]})
        if head == "reports" and not rest:
            told = [asdict(one) | {"path": one.path, "name": one.name} for one in plan.deliveries]
            return json_answer({"days": _span(world), "deliveries": json.loads(_text(told))})
        if head == "truth" and rest in world.told:
            return _lines([*map(_movement, world.told[rest]), *map(_call, world.calls[rest])])
        if head == "truth" and rest in world.opened:
            currency = next(code for code, account in BANKS.items() if account == rest)
            return _lines([{"object": "opening", "currency": currency, "amount_minor": world.opened[rest]}])
        if head == "contract" and rest in PROFILES:
            return _lines(contract_of(PROFILES[rest]))
        if head == "reports":
            return _report(world, plan, rest, request.query)
        raise ControlError("path", f"there is no {path}", 404)


def _report(world: World, plan: Plan, rest: str, query: Mapping[str, str]) -> Answer:
    account, _, file = rest.partition("/")
    first_text, _, suffix = file.partition(".")
    first = _day({"day": first_text})
    last = _day({"day": query.get("last", first_text)})
    edition, written = query.get("edition", "whole"), query.get("written", "declared")
    if account in PROFILES:
        rows = world.rows_of(account, first, last)
        instead = plan.editions.get((account, first, edition))
        told = [row for row in instead or rows if isinstance(row, Row)]
        junk = plan.junk.get((account, first), 0) if query.get("junk", "1") == "1" else 0
        return _file(_gateway_file(world, account, suffix, told, edition, written, junk), suffix)
    if account in world.stated:
        return _file(_bank_file(world, account, suffix, edition, (first, last)), suffix)
    raise ControlError("path", f"nobody called {account} reports", 404)


def _gateway_file(
    world: World, account: str, suffix: str, rows: list[Row], edition: str, written: str, junk: int
) -> bytes:
    shown, zone = (rows[: len(rows) * 2 // 3] if edition in ("short", "cut") else rows), world.days.zone
    if (account, suffix) == ("nmi", "csv"):
        return csv_files.acquirer(shown, zone, written, junk=junk, counted=len(rows), whole=rows)
    if (account, suffix) == ("convesiopay", "csv"):
        return csv_files.convesiopay(shown, zone, written, junk=junk, counted=len(rows), cut=edition == "cut")
    if (account, suffix) == ("nmi", "ndjson"):
        return window(shown)
    raise ControlError("path", f"{account} has no report of the kind {suffix!r}", 404)


def _bank_file(world: World, account: str, suffix: str, edition: str, days: tuple[date, date]) -> bytes:
    lines = world.bank_lines(account, *days)
    shown: list[BankLine] = lines[: len(lines) * 2 // 3] if edition == "short" else lines
    opening = world.balance(account, days[0])
    closing = opening + sum(line.amount for line in lines)
    currency = next(code for code, of in BANKS.items() if of == account)
    if suffix == "xml":
        return bank_files.camt053(
            shown, currency=currency, opening=opening, closing=closing, entries=len(lines), days=days
        )
    if suffix == "sta":
        return bank_files.mt940(shown, currency=currency, opening=opening, closing=closing, days=days)
    if suffix == "csv":
        return csv_files.bank(shown)
    raise ControlError("path", f"a bank has no report of the kind {suffix!r}", 404)


def _movement(told: Any) -> dict[str, Any]:
    return {"object": "movement", **asdict(told)}


def _call(call: Any) -> dict[str, Any]:
    return {"object": "call", **asdict(call)}


def _wish(asked: Mapping[str, Any]) -> Wish:
    for name in asked:
        if name not in _FIELDS:
            raise ControlError(name, f"unknown field {name!r}; known are {', '.join(_FIELDS)}")
    twist, zone = asked.get("twist", "none"), asked.get("zone", "UTC")
    if twist not in TWISTS:
        raise ControlError("twist", f"twist must be one of {', '.join(TWISTS)}")
    try:
        ZoneInfo(str(zone))
    except (ZoneInfoNotFoundError, ValueError) as wrong:
        raise ControlError("zone", f"there is no time zone {zone!r}") from wrong
    seed = _whole(asked, "seed", 0, 0, 2**63)
    transactions = _whole(asked, "transactions", 4_000, 50, MOST_TRANSACTIONS)
    return Wish(seed, _day(asked), str(zone), transactions, str(twist), _whole(asked, "most", 4, 1, 100))


def _whole(asked: Mapping[str, Any], name: str, usual: int, least: int, most: int) -> int:
    value = asked.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ControlError(name, f"{name} must be a whole number from {least} to {most}")
    return value


def _day(asked: Mapping[str, Any]) -> date:
    try:
        return date.fromisoformat(str(asked.get("day")))
    except ValueError as wrong:
        raise ControlError("day", "day must be written YYYY-MM-DD") from wrong


def _span(world: World) -> dict[str, str]:
    return {"first": str(world.days.first), "day": str(world.days.day), "last": str(world.days.last)}


def _file(content: bytes, suffix: str) -> Answer:
    kinds = {"csv": "text/csv", "xml": "application/xml", "ndjson": "application/x-ndjson"}
    return Answer(content, content_type=kinds.get(suffix, "application/octet-stream"))


def _lines(rows: Iterable[Mapping[str, Any]]) -> Answer:
    return Answer("".join(_text(row) + "\n" for row in rows).encode(), content_type="application/x-ndjson")


def _text(value: object) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: object) -> str:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} does not go on the wire")
