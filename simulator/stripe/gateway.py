"""How do Stripe's rules, faults, books and webhooks come together? Carries requests out under a lock; no rule in here."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from simulator.books import Books
from simulator.faults import CATALOGUE, FaultBoard, Stage, Strike, Subject
from simulator.gateway import World
from simulator.messages import Answer, ControlError, Ending, Request
from simulator.stripe import acts, disputes, payer, views
from simulator.stripe.codes import find_refusal
from simulator.stripe.desk import Desk, Later, Twist
from simulator.stripe.errors import ApiError, internal, rate_limited, unauthenticated
from simulator.stripe.events import API_VERSION, Signer, event_of
from simulator.stripe.forms import Nested, Params, decode
from simulator.stripe.idempotency import Replies, Reply
from simulator.stripe.money import RATES
from simulator.stripe.objects import plain
from simulator.stripe.reading import Reader
from simulator.stripe.routes import Route, find_route, labels_of, labels_of_object, operation_of
from simulator.stripe.store import Json, Store
from simulator.transport import act_out, html_page
from simulator.webhooks import Event

TRANSPORT_FAULTS = tuple(name for name, spec in CATALOGUE.items() if spec.stage is Stage.TRANSPORT)
# Faults that have no meaning here: Stripe has no answer like it.
FOREIGN_FAULTS = ("duplicate", "communication_error", "test_mode")
_OWN = {"rate_limited": rate_limited, "server_error_after": internal}
_RETRY = {409: "true", 429: "true"}


class StripeGateway:
    """Stripe below `/stripe`: /v1/… and the page of the 3-D Secure question."""

    name = "stripe"
    operations: tuple[str, ...] = (
        "sale",
        "auth",
        "capture",
        "void",
        "refund",
        "dispute",
        "vault",
        "query",
        "settlement",
    )
    actions: tuple[str, ...] = (*acts.ACTS, "resend_webhook")

    def __init__(self, world: World, secret_key: str, webhook_secret: str) -> None:
        self._world = world
        self._secret_key = secret_key
        self._signer = Signer(webhook_secret)
        self._store = Store()
        self._replies = Replies()
        self._books = Books()
        self._lock = threading.RLock()

    # ---- the wire ----------------------------------------------------------------------------------------------------

    def handle(self, request: Request) -> Answer:
        """One request; trouble on the wire comes before everything else, a wrong key included."""
        self._let_time_pass()
        if request.path.startswith("/_3ds/"):
            return self._payer_page(request)
        found = find_route(request.method, request.path)
        if found is None:
            text = f"Unrecognized request URL ({request.method}: {request.path})."
            return self._error(ApiError(404, {"type": "invalid_request_error", "message": text}))
        route, object_id = found
        self._books.count(route.name)
        try:
            tree = decode(request.raw_query if route.read else request.body.decode("utf-8", "replace"))
        except ApiError as error:
            return self._error(error)
        with self._lock:
            operation = operation_of(route, tree, object_id, self._store)
            subject = Subject(self.name, operation, labels_of(tree, object_id, self._store))
        return self._exchange(request, route, object_id, tree, subject)

    def _exchange(self, request: Request, route: Route, object_id: str, tree: Nested, subject: Subject) -> Answer:
        if route.read is not None:
            down = self._faults.take(subject, ["lookup_down"])
            if down is not None:
                return Answer(ending=Ending.RESET) if down.argument else html_page("503 Service Unavailable", 503)
        strike = self._faults.take(subject, TRANSPORT_FAULTS)
        key = request.headers.get("idempotency-key", "") if request.method == "POST" else ""
        if strike is not None and strike.name == "late_authorisation":
            self._occupy(key, strike.seconds)
        own = {strike.name: self._error(_OWN[strike.name]())} if strike is not None and strike.name in _OWN else {}

        def process() -> Answer:
            broken = strike is not None and strike.name == "server_error_after"
            return self._process(request, route, object_id, tree, subject, key=key, broken=broken)

        answer = act_out(strike, process, self._world.agenda, own)
        if strike is not None and strike.name == "slow":
            self._occupy(key, strike.seconds)
        return answer

    def _process(
        self, request: Request, route: Route, object_id: str, tree: Nested, subject: Subject, *, key: str, broken: bool
    ) -> Answer:
        """`broken`: executed, and then the answer is a 500, which is what the key keeps."""
        try:
            self._authenticate(request)
            with self._lock:
                if route.read is not None:
                    return self._read(route, object_id, tree, subject, request.path)
                return self._write(request, route, object_id, tree, subject, key=key, broken=broken)
        except ApiError as error:
            return self._error(error)

    def _read(self, route: Route, object_id: str, tree: Nested, subject: Subject, path: str) -> Answer:
        assert route.read is not None
        lag = self._faults.take(subject, ["lookup_lag"])
        reader = self._reader(lag.seconds if lag else 0.0)
        params = Params(tree)
        value = route.read(reader, params, object_id, path)
        return self._answer(200, reader.expand(value, params.items("expand")), self._store.next_id("req"))

    def _write(
        self, request: Request, route: Route, object_id: str, tree: Nested, subject: Subject, *, key: str, broken: bool
    ) -> Answer:
        assert route.write is not None
        now = self._world.clock.now()
        asked = f"{request.path} {json.dumps(tree, sort_keys=True)}"
        if key and (reply := self._replies.find(key, asked, now)) is not None:
            self._books.count("replayed")
            again = {"Idempotent-Replayed": "true", "Original-Request": reply.request_id}
            return self._raw(reply.status, reply.body, reply.request_id, again)
        desk = self._desk(subject, _base_url(request))
        params, kept, request_id = Params(tree), True, self._store.next_id("req")
        try:
            status, value = 200, route.write(desk, params, object_id)
            value = _as_asked(self._reader(0.0).expand(value, params.items("expand")), desk.twist)
        except ApiError as error:
            status, value, kept = error.status, {"error": error.error}, error.kept
        self._carry_out(desk, subject, request_id, key)
        if broken and kept:
            status, value = 500, {"error": internal().error}
        answer = self._answer(status, value, request_id)
        if key and kept:
            self._replies.keep(key, Reply(asked, status, answer.body, request_id, now))
        return answer

    def _payer_page(self, request: Request) -> Answer:
        """The question, and the payer's answer to it."""
        with self._lock:
            intent = self._store.get(request.path.removeprefix("/_3ds/"))
            if intent is None or intent["object"] != "payment_intent":
                return html_page("404 Not Found", 404)
            if request.method == "GET" or intent["status"] != "requires_action":
                return payer.page(intent)
            outcome = request.form().get("outcome", "")
            if request.method != "POST" or outcome not in payer.OUTCOMES:
                return html_page("400 Bad Request", 400)
            if outcome == "abandon":
                return payer.way_back(intent, intent)
            subject = self._subject_of(intent)
            desk = self._desk(subject, _base_url(request))
            done = payer.approve(desk, intent) if outcome == "approve" else payer.fail(desk, intent)
            self._carry_out(desk, subject, None, "")
            return payer.way_back(intent, done)

    # ---- the control interface ---------------------------------------------------------------------------------------

    def books(self, reference: str) -> dict[str, Any]:
        self._let_time_pass()
        with self._lock:
            ledger = views.books_of(self._store, self._books.movements(), reference)
            ids = {intent["id"] for intent in views.chosen(self._store, reference)}
            told = [
                delivery.view()
                for delivery in self._world.webhooks.log(self.name)
                if not reference or delivery.event.subject in ids
            ]
            return _jsonable({"gateway": self.name, **ledger, "webhooks": told, "requests": self._books.requests()})

    def act(self, action: str, wish: Mapping[str, Any]) -> dict[str, Any]:
        self._let_time_pass()
        with self._lock:
            if action == "resend_webhook":
                return self._resend(wish)
            operation = acts.OPERATION_OF.get(action, "dispute")
            named = wish.get("reference") or wish.get("transaction_id")
            labels = (named,) if isinstance(named, str) else ()
            subject = Subject(self.name, operation, labels)
            desk = self._desk(subject, "", origin="dashboard", twisted=False)
            try:
                return _jsonable(acts.do(action, wish, desk))
            finally:
                self._carry_out(desk, subject, None, "")

    def check_fault(self, name: str, argument: str) -> None:
        """`decline` needs one of Stripe's codes or one of our classes."""
        if name == "decline" and find_refusal(argument) is None:
            raise ControlError("fault", f"decline: {argument!r} is neither a code of this gateway nor a class")
        if name == "currency_off" and argument.lower() not in RATES:
            raise ControlError("fault", f"currency_off: {argument!r} is not a currency this gateway takes")
        if name in FOREIGN_FAULTS:
            raise ControlError("fault", f"{name}: this gateway has no answer like it")

    def reset(self) -> None:
        with self._lock:
            self._store.reset()
            self._replies.reset()
            self._books.reset()

    def fill(self, put: Callable[[Store], None]) -> None:
        """Let a made-up past into the books; nobody is told of it."""
        with self._lock:
            put(self._store)

    def settle_all(self) -> None:
        """Pay out the balance, as the timer of --settle-every does."""
        self.act("settle", {})

    def _resend(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        event_id = wish.get("event_id")
        wanted_id = None if event_id else acts.find_intent(wish, self._store)["id"]
        sent = self._world.webhooks.resend(
            self.name, lambda d: d.event.event_id == event_id if event_id else d.event.subject == wanted_id
        )
        if not sent:
            raise ControlError("event_id" if event_id else "transaction_id", "no such event")
        return {"resent": sent}

    # ---- carrying out ------------------------------------------------------------------------------------------------

    @property
    def _faults(self) -> FaultBoard:
        return self._world.faults

    def _authenticate(self, request: Request) -> None:
        """Bearer, or Basic with the key as the user. Raises: ApiError 401."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode().partition(":")[0]
            except ValueError:
                given = ""
        if not given:
            self._books.count("authentication_failed")
            raise unauthenticated("You did not provide an API key.")
        if given != self._secret_key:
            self._books.count("authentication_failed")
            raise unauthenticated(f"Invalid API Key provided: {given[:7]}****{given[-4:]}")

    def _desk(self, subject: Subject, base_url: str, *, origin: str = "api", twisted: bool = True) -> Desk:
        def lag_seconds() -> float:
            lag = self._faults.take(subject, ["lookup_lag"])
            return lag.seconds if lag else 0.0

        twist = self._twist(subject) if twisted else Twist()
        return Desk(self._store, self._world.clock.now(), base_url, twist, origin, lag_seconds)

    def _twist(self, subject: Subject) -> Twist:
        strikes = {strike.name: strike for strike in self._faults.take_all(subject, Stage.OUTCOME)}
        refused, off, currency = strikes.get("decline"), strikes.get("amount_off"), strikes.get("currency_off")
        return Twist(
            refusal=find_refusal(refused.argument) if refused else None,
            amount_off_minor=off.number if off else 0,
            silent=off is not None and off.silent,
            currency=currency.argument.lower() if currency else "",
        )

    def _reader(self, lag_seconds: float) -> Reader:
        def delivered(event_id: str) -> bool:
            log = self._world.webhooks.log(self.name)
            return any(d.event.event_id == event_id and d.state == "delivered" for d in log)

        return Reader(self._store, self._world.clock.now(), lag_seconds, delivered)

    def _occupy(self, key: str, seconds: float) -> None:
        if key:
            with self._lock:
                self._replies.occupy(key, self._world.clock.now() + timedelta(seconds=seconds))

    def _subject_of(self, intent: Json) -> Subject:
        operation = "auth" if intent["capture_method"] == "manual" else "sale"
        return Subject(self.name, operation, tuple(labels_of_object(intent["id"], self._store)))

    def _let_time_pass(self) -> None:
        """Holds whose seven days are over lapse; disputes nobody answered are lost."""
        with self._lock:
            desk = self._desk(Subject(self.name, "void"), "", origin="api", twisted=False)
            for intent_id in [found for found, due in self._store.holds.items() if due <= desk.seconds]:
                acts.expire_hold(desk, self._store.known(intent_id))
            for dispute_id in [found for found, due in self._store.deadlines.items() if due <= desk.seconds]:
                disputes.overdue(desk, self._store.known(dispute_id))
            if desk.told:
                self._carry_out(desk, Subject(self.name, "void"), None, "")

    def _carry_out(self, desk: Desk, subject: Subject, request_id: str | None, key: str) -> None:
        for movement in desk.moved:
            self._books.add(movement)
        events = [
            event_of(told, self._store.next_id("evt"), desk.seconds, request_id, key or None) for told in desk.told
        ]
        strikes = self._faults.take_all(subject, Stage.WEBHOOK) if events else []
        for event in events:
            desk.put(event)
            self._tell(event, strikes)
        for later in desk.later:
            self._schedule(later, subject, desk.base_url)
        for seconds in desk.look_again:
            self._world.calendar.after(seconds, self._let_time_pass)

    def _schedule(self, later: Later, subject: Subject, base_url: str) -> None:
        def work() -> None:
            with self._lock:
                desk = self._desk(subject, base_url, twisted=False)
                later.work(desk)
                self._carry_out(desk, subject, None, "")

        self._world.agenda.after(later.seconds, work)

    def _tell(self, event: Json, strikes: list[Strike]) -> None:
        def variants(strike: Strike) -> list[Event]:
            if strike.name == "webhook_other_id":
                return [self._signer.renamed(event, self._store.next_id("evt")) for _ in range(strike.number)]
            return [self._signer.forged(event, self._store.next_id("evt"))] if strike.name == "webhook_forged" else []

        self._world.webhooks.emit(self.name, self._signer.signed(event), strikes, variants)

    # ---- answers -----------------------------------------------------------------------------------------------------

    def _error(self, error: ApiError) -> Answer:
        return self._answer(error.status, {"error": error.error}, self._store.next_id("req"))

    def _answer(self, status: int, value: Mapping[str, Any], request_id: str) -> Answer:
        body = json.dumps(value, ensure_ascii=False, indent=2, default=plain).encode()
        return self._raw(status, body, request_id, {})

    def _raw(self, status: int, body: bytes, request_id: str, more: Mapping[str, str]) -> Answer:
        self._books.count(f"response.{status}")
        headers = {"Request-Id": request_id, "Stripe-Version": API_VERSION, **more}
        if status >= 400:
            headers["Stripe-Should-Retry"] = _RETRY.get(status, "false")
        return Answer(body, status, "application/json", headers=headers)


def _base_url(request: Request) -> str:
    """Where this simulator is reached, as the caller sees it."""
    return f"http://{request.headers.get('host', '127.0.0.1')}/stripe"


def _jsonable(value: dict[str, Any]) -> dict[str, Any]:
    """As it would come off the wire: rates of exchange are plain numbers there."""
    plainly: dict[str, Any] = json.loads(json.dumps(value, default=plain))
    return plainly


def _as_asked(value: Json, twist: Twist) -> Json:
    """Under a silent amount_off the answer claims what was asked; look-ups tell the truth."""
    if not twist.silent or value["object"] != "payment_intent":
        return value
    claimed: Json = {name: value["amount"] for name in ("amount_received", "amount_capturable") if value[name]}
    if isinstance(value["latest_charge"], dict):
        charge = value["latest_charge"]
        captured = value["amount"] if charge["captured"] else 0
        claimed["latest_charge"] = charge | {"amount": value["amount"], "amount_captured": captured}
    return value | claimed
