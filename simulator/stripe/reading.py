"""What do look-ups show? One object, a page of a list, a search that lags behind, and objects named inside objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from simulator.stripe.errors import invalid, no_such
from simulator.stripe.forms import Params
from simulator.stripe.payouts import present
from simulator.stripe.store import Json, Store

SEARCH_LAG_SECONDS = 60.0
EVENTS_KEPT_SECONDS = 30 * 86_400
_MOST, _USUALLY = 100, 10
_BOUNDS: Mapping[str, Callable[[int, int], bool]] = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}
# What a list may be narrowed down by, beside created and the cursors. The field of an object has the same name.
FILTERS: Mapping[str, tuple[str, ...]] = {
    "payment_intent": ("customer",),
    "charge": ("payment_intent", "customer", "transfer_group"),
    "refund": ("charge", "payment_intent"),
    "balance_transaction": ("payout", "type", "source", "currency"),
    "payout": ("status", "arrival_date"),
    "dispute": ("charge", "payment_intent"),
    "event": ("type", "types", "delivery_success"),
    "customer": ("email",),
    "payment_method": ("customer", "type"),
}
_CLAUSE = re.compile(
    r"\s*(?P<field>metadata\[['\"](?P<key>[^'\"]+)['\"]\]|[a-z_]+)\s*(?P<sign>:|>=|<=|>|<|=)\s*"
    r"(?:'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|(?P<number>\d+))\s*"
)
_SEARCHABLE = ("amount", "created", "currency", "customer", "status")
_SIGNS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}


@dataclass(frozen=True, slots=True)
class Reader:
    """One look-up: it sees what was so `lag_seconds` ago. `delivered`: whether an event has reached the merchant."""

    store: Store
    now: datetime
    lag_seconds: float = 0.0
    delivered: Callable[[str], bool] = lambda _: True

    @property
    def seconds(self) -> int:
        return int(self.now.timestamp())

    def one(self, kind: str, object_id: str) -> Json:
        """Raises: ApiError 404."""
        found = self._shown(object_id, self.lag_seconds)
        if found is None or found["object"] != kind:
            raise no_such(kind, object_id)
        return found

    def page(self, kind: str, params: Params, url: str) -> Json:
        """Newest first. Raises: ApiError."""
        params.allow("created", "limit", "starting_after", "ending_before", *FILTERS[kind])
        self._refuse_unready(params)
        limit = _limit(params)
        after, before = params.text("starting_after"), params.text("ending_before")
        if after and before:
            text = "You may only specify one of these parameters: starting_after, ending_before."
            raise invalid(text, "", "parameters_exclusive")
        ids = self._cut(kind, after, before)
        matching = (value for value in self._visible(ids, self.lag_seconds) if self._matches(kind, value, params))
        chosen = _some(matching, limit + 1)
        data = chosen[:limit]
        if before:
            data.reverse()
        return {"object": "list", "url": url, "has_more": len(chosen) > limit, "data": data}

    def _refuse_unready(self, params: Params) -> None:
        """What a payout is made of is not told before its reconciliation is completed. Raises: ApiError."""
        payout = self._shown(params.text("payout"), self.lag_seconds) if "payout" in params else None
        if payout is not None and payout.get("reconciliation_status") != "completed":
            text = "The payout's balance transactions are not ready for reconciliation yet."
            raise invalid(text, "payout", "payout_reconciliation_not_ready")

    def search(self, kind: str, params: Params, url: str) -> Json:
        """Eventually consistent: it does not know of what happened within the last minute. Raises: ApiError."""
        params.allow("query", "limit", "page")
        limit = _limit(params)
        clauses = _clauses(params.required("query"))
        start = int(params.text("page") or "0")
        ids = list(reversed(self.store.ids(kind)))
        lag = max(self.lag_seconds, SEARCH_LAG_SECONDS)
        found = [value for value in self._visible(ids, lag) if all(_holds(value, clause) for clause in clauses)]
        more = len(found) > start + limit
        return {
            "object": "search_result",
            "url": url,
            "has_more": more,
            "next_page": str(start + limit) if more else None,
            "data": found[start : start + limit],
        }

    def expand(self, value: Json, paths: list[str]) -> Json:
        """With the objects of those paths in place of their ids. Raises: ApiError."""
        for path in paths:
            value = self._expanded(value, path.split("."), path)
        return value

    def _expanded(self, value: Json, path: list[str], whole: str) -> Json:
        head, *rest = path
        if head == "data" and value.get("object") in ("list", "search_result"):
            return value | {"data": [self._expanded(item, rest, whole) for item in value["data"]]}
        if head == "refunds" and value.get("object") == "charge":
            refunds = [self._shown(r["id"], self.lag_seconds) for r in self.store.belonging("refund", value["id"])]
            data = [refund for refund in reversed(refunds) if refund is not None]
            data = [
                self._expanded(item, rest[1:], whole) if rest[:1] == ["data"] and rest[1:] else item for item in data
            ]
            return value | {"refunds": {"object": "list", "url": "/v1/refunds", "has_more": False, "data": data}}
        if head not in value:
            raise invalid(f"This property cannot be expanded ({whole}).", "expand")
        inner = value[head]
        if isinstance(inner, str):
            inner = self._shown(inner, self.lag_seconds)
        if not isinstance(inner, dict):
            return value
        return value | {head: self._expanded(inner, rest, whole) if rest else inner}

    def _shown(self, object_id: str, lag_seconds: float) -> Json | None:
        found = self.store.shown(object_id, self.now - timedelta(seconds=lag_seconds))
        return present(found, self.seconds) if found is not None else None

    def _visible(self, ids: list[str], lag_seconds: float) -> Iterator[Json]:
        return (value for found in ids if (value := self._shown(found, lag_seconds)) is not None)

    def _cut(self, kind: str, after: str, before: str) -> list[str]:
        """Ids in the order in which to look: newest first, or away from `before` towards the newest."""
        ids = self.store.ids(kind)
        cursor = after or before
        if not cursor:
            return ids[::-1]
        if cursor not in ids:
            raise no_such(kind, cursor, "starting_after" if after else "ending_before")
        place = ids.index(cursor)
        return ids[:place][::-1] if after else ids[place + 1 :]

    def _matches(self, kind: str, value: Json, params: Params) -> bool:
        if not _in_range(value, params, "created"):
            return False
        if kind == "event":
            return self._matches_event(value, params)
        for name in FILTERS[kind]:
            if name == "arrival_date":
                fits = _in_range(value, params, name)
            else:
                has = self.store.payout_of.get(value["id"]) if name == "payout" else value[name]
                fits = name not in params or has == params.text(name)
            if not fits:
                return False
        return True

    def _matches_event(self, event: Json, params: Params) -> bool:
        wanted = params.items("types") or [params.text("type")]
        kinds = any(want in ("", event["type"]) or _in_family(want, event["type"]) for want in wanted)
        told = "delivery_success" not in params or self.delivered(event["id"]) == params.flag("delivery_success")
        return kinds and told and event["created"] >= self.seconds - EVENTS_KEPT_SECONDS


def _in_family(want: str, event_type: str) -> bool:
    """`charge.*`"""
    return want.endswith(".*") and event_type.startswith(want[:-1])


def _limit(params: Params) -> int:
    limit = params.whole("limit")
    if limit is None:
        return _USUALLY
    if not 1 <= limit <= _MOST:
        raise invalid(f"Invalid limit: must be from 1 to {_MOST}", "limit", "parameter_invalid_integer")
    return limit


def _some(values: Iterator[Json], most: int) -> list[Json]:
    """The first ones, without looking at the rest."""
    found: list[Json] = []
    for value in values:
        found.append(value)
        if len(found) == most:
            break
    return found


def _in_range(value: Json, params: Params, name: str) -> bool:
    if name not in params:
        return True
    if isinstance(params.tree[name], str):
        return bool(value[name] == params.whole(name))
    bounds = params.inside(name)
    for sign in bounds.tree:
        if sign not in _BOUNDS:
            raise invalid(f"Received unknown parameter: {name}[{sign}]", f"{name}[{sign}]", "parameter_unknown")
    return all(holds(value[name], bounds.whole(sign) or 0) for sign, holds in _BOUNDS.items() if sign in bounds)


def _clauses(query: str) -> list[dict[str, Any]]:
    """`metadata['a']:'b' AND status:'succeeded'`. Raises: ApiError for everything else."""
    clauses = []
    for part in re.split(r"\s+AND\s+", query):
        match = _CLAUSE.fullmatch(part)
        if match is None or not (match["key"] or match["field"] in _SEARCHABLE):
            raise invalid(f"We were unable to parse your search query: {part}", "query")
        clauses.append(match.groupdict())
    return clauses


def _holds(value: Json, clause: Mapping[str, Any]) -> bool:
    has = value["metadata"].get(clause["key"]) if clause["key"] else value.get(clause["field"])
    wanted = next(clause[name] for name in ("single", "double", "number") if clause[name] is not None)
    if clause["sign"] in _SIGNS:
        return isinstance(has, int) and wanted.isdecimal() and _BOUNDS[_SIGNS[clause["sign"]]](has, int(wanted))
    return has is not None and str(has) == wanted
