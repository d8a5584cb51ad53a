"""How do ConvesioPay's rules, faults, books and notifications come together? Carries outcomes out under a lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from simulator.books import Books
from simulator.convesiopay import acts, rules, views
from simulator.convesiopay.calls import Call, Outcome, Refusal, Told, Twist, movement, payment_body
from simulator.convesiopay.contract import AWAITING, PENDING, find_refusal
from simulator.convesiopay.events import Signer
from simulator.convesiopay.model import Payment
from simulator.convesiopay.store import Store
from simulator.faults import CATALOGUE, Stage, Strike, Subject
from simulator.gateway import World
from simulator.messages import Answer, ControlError, Ending, Request, json_answer
from simulator.transport import act_out, html_page
from simulator.webhooks import Event

TRANSPORT_FAULTS = tuple(name for name, spec in CATALOGUE.items() if spec.stage is Stage.TRANSPORT)
SLOW_SECONDS = 2.0  # until a pending payment's outcome comes
_CHANGES: Mapping[str, tuple[str, Callable[[Call, Payment], Outcome]]] = {
    "captures": ("capture", rules.capture),
    "refunds": ("refund", rules.refund),
    "cancels": ("void", rules.cancel),
}


class ConvesioPayGateway:
    """ConvesioPay below `/convesiopay`: v1/payments and the payer's page _3ds/<id>."""

    name = "convesiopay"
    operations: tuple[str, ...] = ("sale", "auth", "capture", "void", "refund", "query")
    actions: tuple[str, ...] = acts.ACTIONS

    def __init__(self, world: World, secret: str, webhook_secret: str) -> None:
        self._world = world
        self._secret = secret
        self._signer = Signer.of(webhook_secret)
        self._store = Store()
        self._books = Books()
        self._lock = threading.RLock()

    # ---- the wire ----------------------------------------------------------------------------------------------------

    def handle(self, request: Request) -> Answer:
        """One request; trouble on the wire comes before everything else, a wrong secret included."""
        parts = request.path.strip("/").split("/")
        if parts[0] == "_3ds" and len(parts) == 2:
            return self._challenge(request, parts[1])
        if parts[:2] != ["v1", "payments"]:
            return json_answer({"error": True, "message": "Not found"}, 404)
        if request.method == "GET":
            return self._query(request, parts[2:])
        if request.method == "POST":
            return self._post(request, parts[2:])
        return json_answer({"error": True, "message": "Method not allowed"}, 405)

    def _post(self, request: Request, rest: list[str]) -> Answer:
        try:
            wish = request.json()
        except ControlError as wrong:
            return json_answer({"error": True, "message": wrong.message}, 400)
        opens = rest in ([], ["stored-card"])
        if not opens and not (len(rest) == 2 and rest[1] in _CHANGES):
            return json_answer({"error": True, "message": "Not found"}, 404)
        manual = wish.get("captureMethod") == "manual"
        operation = ("auth" if manual else "sale") if opens else _CHANGES[rest[1]][0]
        subject = self._subject(operation, wish, "" if opens else rest[0])
        strike = self._world.faults.take(subject, TRANSPORT_FAULTS)
        self._books.count(f"payments.{operation}" + (".stored" if rest == ["stored-card"] else ""))
        return act_out(strike, lambda: self._perform(request, wish, rest, subject), self._world.agenda)

    def _perform(self, request: Request, wish: Mapping[str, Any], rest: list[str], subject: Subject) -> Answer:
        if not self._knows(request):
            return self._unknown_secret()
        with self._lock:
            host = request.headers.get("host", "127.0.0.1")
            call = Call(wish, self._store, self._world.clock.now(), self._twist(subject), host=host)
            try:
                outcome = self._branch(rest)(call)
            except Refusal as refusal:
                outcome = refusal.outcome
            self._carry_out(outcome, subject)
        self._books.count(f"answer.{outcome.status}")
        return outcome.answer

    def _branch(self, rest: list[str]) -> Callable[[Call], Outcome]:
        if not rest:
            return rules.open_payment
        if rest == ["stored-card"]:
            return rules.charge_stored_card
        payment = self._store.get(rest[0])
        if payment is None:
            raise Refusal("Payment not found", 404)
        change = _CHANGES[rest[1]][1]
        return lambda call: change(call, payment)

    def _query(self, request: Request, rest: list[str]) -> Answer:
        order = request.query.get("orderNumber", "")
        if len(rest) > 1 or (not rest and not order):
            return json_answer({"error": True, "message": "Not found"}, 404)
        self._books.count("query")
        subject = self._subject("query", {"orderNumber": order}, rest[0] if rest else "")
        down = self._world.faults.take(subject, ["lookup_down"])
        if down is not None:
            return Answer(ending=Ending.RESET) if down.argument else html_page("503 Service Unavailable", 503)
        strike = self._world.faults.take(subject, TRANSPORT_FAULTS)
        return act_out(strike, lambda: self._look_up(request, rest, order, subject), self._world.agenda)

    def _look_up(self, request: Request, rest: list[str], order: str, subject: Subject) -> Answer:
        if not self._knows(request):
            return self._unknown_secret()
        lag = self._world.faults.take(subject, ["lookup_lag"])
        with self._lock:
            now, seconds = self._world.clock.now(), lag.seconds if lag else 0.0
            ids = rest or list(self._store.ids_of_order(order))
            shown = [found for one in ids if (found := self._store.shown(now, seconds, one)) is not None]
        if not rest:
            return json_answer({"payments": [payment_body(payment) for payment in shown]})
        if not shown:
            return json_answer({"error": True, "message": "Payment not found"}, 404)
        return json_answer(payment_body(shown[0]))

    def _challenge(self, request: Request, payment_id: str) -> Answer:
        """The page on which the payer confirms, as their bank would show it."""
        with self._lock:
            payment = self._store.get(payment_id)
            if payment is None or payment.status != AWAITING:
                return views.closed_page()
            outcome = request.form().get("outcome", "") if request.method == "POST" else ""
            if outcome in ("approve", "fail"):
                self._confirm(payment, approved=outcome == "approve")
        return views.back_to(payment) if outcome else views.challenge_page(payment)

    def _confirm(self, payment: Payment, *, approved: bool) -> None:
        call = Call({}, self._store, self._world.clock.now())
        outcome = rules.confirm(call, payment, approved=approved)
        self._carry_out(outcome, Subject(self.name, payment.opened_as, payment.labels()))

    def _knows(self, request: Request) -> bool:
        """The secret alone, without a scheme before it."""
        return request.headers.get("authorization", "") == self._secret

    def _unknown_secret(self) -> Answer:
        self._books.count("authentication_failed")
        return json_answer({"error": True, "message": "Invalid authentication token"}, 401)

    # ---- the control interface ---------------------------------------------------------------------------------------

    def books(self, reference: str) -> dict[str, Any]:
        with self._lock:
            chosen = [payment for payment in self._store.all() if not reference or reference in payment.labels()]
            by_id = {payment.payment_id: payment for payment in chosen}
            moved = [(m, by_id.get(m.original_gateway_id or m.gateway_id)) for m in self._books.movements()]
        log = self._world.webhooks.log(self.name)
        return {
            "gateway": self.name,
            "movements": [views.movement_view(m, payment) for m, payment in moved if payment is not None],
            "transactions": [views.transaction_view(payment) for payment in chosen],
            "webhooks": [d.view() for d in log if not reference or d.event.subject in by_id],
            "requests": self._books.requests(),
            "holds_open": [views.transaction_view(payment) for payment in chosen if payment.holds],
        }

    def act(self, action: str, wish: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            if action in acts.OPENING:
                return self._from_dashboard(
                    action, acts.opening_wish(action, wish, self._store), rules.open_payment, wish
                )
            if action == "resend_webhook":
                return self._resend(wish)
            payment = acts.find_payment(wish, self._store)
            if action in acts.FOLLOWING:
                rule = {"capture": rules.capture, "void": rules.cancel, "refund": rules.refund}[action]
                body = acts.following_wish(action, wish, payment)
                return self._from_dashboard(action, body, lambda call: rule(call, payment), wish)
            return self._befall(action, payment)

    def _befall(self, action: str, payment: Payment) -> dict[str, Any]:
        """What payer, bank or issuer do to a payment without a call of ours."""
        now, subject = self._world.clock.now(), Subject(self.name, payment.opened_as, payment.labels())
        if action in ("payer_approves", "payer_fails"):
            try:
                self._confirm(payment, approved=action == "payer_approves")
            except Refusal as refusal:
                raise ControlError("transaction_id", refusal.text) from refusal
        elif action == "payer_abandons":
            if payment.status not in (AWAITING, PENDING):
                raise ControlError("transaction_id", f"nothing waits for the payer: the status is {payment.status}")
            self._carry_out(rules.abandon(Call({}, self._store, now), payment), subject)
        elif action in ("refund_fails", "capture_fails"):
            kind = action.removesuffix("_fails")
            failed, change = acts.failed_change(payment, kind)
            back = (movement(failed, "refund_return", kind, now, change),) if kind == "refund" else ()
            self._carry_out(Outcome(200, {}, failed, back, (acts.failure_told(failed, change),)), subject)
        elif action == "expire_hold":
            self._carry_out(Outcome(200, {}, acts.lapsed(payment, now)), subject)
        elif action == "report":
            self._carry_out(Outcome(200, {}, payment, told=(Told("REPORT_AVAILABLE", "report.csv", 0),)), subject)
        present = self._store.get(payment.payment_id)
        assert present is not None
        return {"transaction": views.transaction_view(present)}

    def check_fault(self, name: str, argument: str) -> None:
        """`decline` needs one of its reasons or one of our classes; of a duplicate check nothing is known."""
        if name == "decline" and find_refusal(argument) is None:
            raise ControlError("fault", f"decline: {argument!r} is neither a reason of this gateway nor a class")
        if name == "duplicate":
            raise ControlError("fault", "duplicate: this gateway is not known to check for duplicates")

    def reset(self) -> None:
        with self._lock:
            self._store.reset()
            self._books.reset()

    def settle_all(self) -> None:
        """This gateway is not known to report a settlement."""

    def _from_dashboard(
        self, action: str, body: Mapping[str, Any], rule: Callable[[Call], Outcome], wish: Mapping[str, Any]
    ) -> dict[str, Any]:
        force = wish.get("force", False)
        if not isinstance(force, bool):
            raise ControlError("force", "force must be true or false")
        origin = "foreign" if action == "foreign_sale" else "dashboard"
        call = Call(body, self._store, self._world.clock.now(), origin=origin, force=force)
        try:
            outcome = rule(call)
        except Refusal as refusal:
            raise ControlError("action", f"{action} refused: {refusal.text} (force: true overrides)") from refusal
        assert outcome.payment is not None
        self._carry_out(outcome, Subject(self.name, action, outcome.payment.labels()))
        return {"transaction": views.transaction_view(outcome.payment), "answer": dict(outcome.body)}

    def _resend(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        event_id = wish.get("event_id")
        wanted_id = None if event_id else acts.find_payment(wish, self._store).payment_id
        sent = self._world.webhooks.resend(
            self.name, lambda d: d.event.event_id == event_id if event_id else d.event.subject == wanted_id
        )
        if not sent:
            raise ControlError("event_id" if event_id else "transaction_id", "no such event")
        return {"resent": sent}

    # ---- carrying out ------------------------------------------------------------------------------------------------

    def _subject(self, operation: str, wish: Mapping[str, Any], payment_id: str) -> Subject:
        """What faults may aim at: the request's own labels and those of the payment it names."""
        with self._lock:
            payment = self._store.get(payment_id)
        order = str(wish.get("orderNumber") or "")
        own = (order, order.rpartition("-")[0], str(wish.get("reference") or ""), str(wish.get("email") or ""))
        return Subject(self.name, operation, tuple(filter(None, (*own, *(payment.labels() if payment else ())))))

    def _twist(self, subject: Subject) -> Twist:
        strikes = {strike.name: strike for strike in self._world.faults.take_all(subject, Stage.OUTCOME)}
        refused, off, currency = strikes.get("decline"), strikes.get("amount_off"), strikes.get("currency_off")
        return Twist(
            refusal=find_refusal(refused.argument) if refused else None,
            amount_off_minor=off.number if off else 0,
            silent=off is not None and off.silent,
            currency=currency.argument.upper() if currency else "",
            untold="communication_error" in strikes,
        )

    def _carry_out(self, outcome: Outcome, subject: Subject) -> None:
        payment, now = outcome.payment, self._world.clock.now()
        if outcome.used_token:
            self._store.used_tokens.add(outcome.used_token)
        if payment is None:
            return
        if outcome.stored is not None:
            self._store.stored_cards[payment.customer_id, payment.stored_id] = outcome.stored
        lag = self._world.faults.take(subject, ["lookup_lag"])
        self._store.put(payment, now + timedelta(seconds=lag.seconds if lag else 0.0))
        for moved in outcome.movements:
            self._books.add(moved)
        test_mode = self._world.faults.take(subject, ["test_mode"]) is not None
        for told in outcome.told:
            self._tell(self._signer.event(payment, told, now, test_mode=test_mode), subject)
        if payment.status == PENDING and payment.card.slow:
            self._world.agenda.after(SLOW_SECONDS, lambda: self._finish(payment.payment_id))

    def _finish(self, payment_id: str) -> None:
        """A pending payment's outcome has come."""
        with self._lock:
            payment = self._store.get(payment_id)
            if payment is not None and payment.status == PENDING:
                self._confirm(payment, approved=True)

    def _tell(self, event: Event, subject: Subject) -> None:
        now = self._world.clock.now()
        strikes = self._world.faults.take_all(subject, Stage.WEBHOOK)

        def variants(strike: Strike) -> list[Event]:
            if strike.name == "webhook_other_id":
                return [self._signer.renamed(event, now + timedelta(seconds=one + 1)) for one in range(strike.number)]
            return [self._signer.forged(event)] if strike.name == "webhook_forged" else []

        self._world.webhooks.emit(self.name, event, strikes, variants)
