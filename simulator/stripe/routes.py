"""Which call does what? The table of Stripe's paths: what each is called, what it reads or does, whom faults may aim at."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulator.stripe import disputes, intents, methods, refunds
from simulator.stripe.desk import Desk
from simulator.stripe.errors import no_such
from simulator.stripe.forms import Nested, Params
from simulator.stripe.payouts import balance
from simulator.stripe.reading import Reader
from simulator.stripe.store import Json, Store

Write = Callable[[Desk, Params, str], Json]
Read = Callable[[Reader, Params, str, str], Json]


@dataclass(frozen=True, slots=True)
class Route:
    """One call. `operation`: what faults call it; empty where that depends on the intent (sale or auth)."""

    method: str
    pattern: re.Pattern[str]
    name: str
    operation: str
    write: Write | None = None
    read: Read | None = None


def find_route(method: str, path: str) -> tuple[Route, str] | None:
    """The call and the id in its path, which may be empty."""
    for route in ROUTES:
        match = route.pattern.fullmatch(path)
        if match is not None and route.method == method:
            return route, match.groupdict().get("id") or ""
    return None


def _on(kind: str, rule: Callable[[Desk, Params, Json], Json]) -> Write:
    """A rule about one object of the path. Raises: ApiError 404."""

    def write(desk: Desk, params: Params, object_id: str) -> Json:
        found = desk.store.get(object_id)
        if found is None or found["object"] != kind:
            raise no_such(kind, object_id)
        return rule(desk, params, found)

    return write


def _new(rule: Callable[[Desk, Params], Json]) -> Write:
    return lambda desk, params, _: rule(desk, params)


def _one(kind: str) -> Read:
    def read(reader: Reader, params: Params, object_id: str, _: str) -> Json:
        params.allow("client_secret")
        return reader.one(kind, object_id)

    return read


def _route(
    method: str, path: str, name: str, operation: str, write: Write | None = None, read: Read | None = None
) -> Route:
    pattern = re.compile("/v1/" + path.replace("{id}", r"(?P<id>[A-Za-z0-9_+]+)"))
    return Route(method, pattern, name, operation, write, read)


def _reads(path: str, kind: str) -> tuple[Route, Route]:
    """The list, and one of it."""
    return (
        _route(
            "GET", path, f"{path}.list", "query", read=lambda reader, params, _, url: reader.page(kind, params, url)
        ),
        _route("GET", path + "/{id}", f"{path}.retrieve", "query", read=_one(kind)),
    )


def _search(path: str, kind: str) -> Route:
    return _route(
        "GET", f"{path}/search", f"{path}.search", "query",
        read=lambda reader, params, _, url: reader.search(kind, params, url),
    )  # fmt: skip


def _balance(reader: Reader, params: Params, _: str, __: str) -> Json:
    params.allow()
    return balance(Desk(reader.store, reader.now))


ROUTES: tuple[Route, ...] = (
    _route("GET", "balance", "balance", "query", read=_balance),
    _search("payment_intents", "payment_intent"),
    _search("charges", "charge"),
    *_reads("payment_intents", "payment_intent"),
    *_reads("charges", "charge"),
    *_reads("refunds", "refund"),
    *_reads("balance_transactions", "balance_transaction"),
    *_reads("payouts", "payout"),
    *_reads("disputes", "dispute"),
    *_reads("events", "event"),
    *_reads("customers", "customer"),
    *_reads("payment_methods", "payment_method"),
    _route("POST", "payment_intents", "payment_intents.create", "", _new(intents.create)),
    _route("POST", "payment_intents/{id}", "payment_intents.update", "", _on("payment_intent", intents.update)),
    _route(
        "POST", "payment_intents/{id}/confirm", "payment_intents.confirm", "", _on("payment_intent", intents.confirm)
    ),
    _route(
        "POST",
        "payment_intents/{id}/capture",
        "payment_intents.capture",
        "capture",
        _on("payment_intent", intents.capture),
    ),
    _route(
        "POST", "payment_intents/{id}/cancel", "payment_intents.cancel", "void", _on("payment_intent", intents.cancel)
    ),
    _route("POST", "refunds", "refunds.create", "refund", _new(refunds.create)),
    _route("POST", "refunds/{id}", "refunds.update", "refund", _on("refund", refunds.update)),
    _route("POST", "refunds/{id}/cancel", "refunds.cancel", "refund", _on("refund", refunds.cancel)),
    _route("POST", "disputes/{id}", "disputes.update", "dispute", _on("dispute", disputes.update)),
    _route("POST", "disputes/{id}/close", "disputes.close", "dispute", _on("dispute", disputes.close)),
    _route("POST", "customers", "customers.create", "vault", _new(methods.create_customer)),
    _route("POST", "payment_methods", "payment_methods.create", "vault", _new(methods.create_method)),
    _route("POST", "payment_methods/{id}/attach", "payment_methods.attach", "vault", methods.attach),
    _route(
        "POST", "payment_methods/{id}/detach", "payment_methods.detach", "vault", _on("payment_method", methods.detach)
    ),
)


def operation_of(route: Route, tree: Nested, object_id: str, store: Store) -> str:
    """What faults call it: creating and confirming are a sale, or with manual capture an auth."""
    if route.operation:
        return route.operation
    stored: Mapping[str, object] = store.get(object_id) or {}
    manual = (tree.get("capture_method") or stored.get("capture_method")) == "manual"
    return "auth" if manual else "sale"


def labels_of(tree: Nested, object_id: str, store: Store) -> tuple[str, ...]:
    """Everything a fault may be aimed at: what the request says, and what is known of the intent it is about."""
    metadata = tree.get("metadata")
    said = list(metadata.values()) if isinstance(metadata, dict) else []
    said += [tree.get(name) for name in ("receipt_email", "description", "payment_intent", "charge", "customer")]
    labels = [text for text in said if isinstance(text, str) and text]
    for named in (object_id, tree.get("payment_intent"), tree.get("charge")):
        if isinstance(named, str) and named:
            labels += [named, *labels_of_object(named, store)]
    return tuple(dict.fromkeys(labels))


def labels_of_object(object_id: str, store: Store) -> list[str]:
    """What the intent behind an object is known by. A charge keeps the metadata that its intent had when it was made."""
    found = store.get(object_id)
    if found is None:
        return []
    intent = store.get(str(found.get("payment_intent"))) or found
    known = [intent["id"], intent.get("receipt_email"), intent.get("description"), *intent.get("metadata", {}).values()]
    for charge in store.belonging("charge", intent["id"]):
        known += [charge["id"], *charge["metadata"].values()]
    known += found.get("metadata", {}).values()
    return [text for text in dict.fromkeys(known) if isinstance(text, str) and text]
