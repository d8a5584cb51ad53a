"""How do NMI's rules, faults, books and webhooks come together? Carries outcomes out under a lock; no rule in here."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from simulator.books import Books, Movement
from simulator.faults import CATALOGUE, FaultBoard, Stage, Strike, Subject
from simulator.gateway import World
from simulator.messages import Answer, ControlError, Ending, Request
from simulator.nmi import acts
from simulator.nmi.calls import Call, Outcome, Twist
from simulator.nmi.codes import LINE_LOST, find_refusal
from simulator.nmi.events import Signer, batch_body, batch_failure_body, transaction_body
from simulator.nmi.following import target_of
from simulator.nmi.model import Payer, Transaction
from simulator.nmi.query import answer_query, error_document
from simulator.nmi.store import Store
from simulator.nmi.transact import authentication_failed, perform
from simulator.nmi.views import movement_view, transaction_view
from simulator.transport import act_out, html_page
from simulator.webhooks import Event

TRANSPORT_FAULTS = tuple(name for name, spec in CATALOGUE.items() if spec.stage is Stage.TRANSPORT)


class NmiGateway:
    """NMI below `/nmi`: api/transact.php and api/query.php."""

    name = "nmi"
    operations: tuple[str, ...] = ("sale", "auth", "capture", "void", "refund", "validate", "query", "settlement")
    actions: tuple[str, ...] = acts.ACTIONS

    def __init__(self, world: World, security_key: str, webhook_secret: str) -> None:
        self._world = world
        self._security_key = security_key
        self._signer = Signer(webhook_secret)
        self._store = Store()
        self._books = Books()
        self._lock = threading.RLock()

    # ---- the wire ----------------------------------------------------------------------------------------------------

    def handle(self, request: Request) -> Answer:
        """One request; trouble on the wire comes before everything else, a wrong key included."""
        if request.path == "/api/transact.php" and request.method == "POST":
            form = request.form()
            subject = self._subject(form)
            strike = self._faults.take(subject, TRANSPORT_FAULTS)
            self._books.count(f"transact.{subject.operation or 'none'}")
            return act_out(strike, lambda: self._transact(form, subject), self._world.agenda)
        if request.path == "/api/query.php" and request.method == "POST":
            self._books.count("query")
            return self._query(request.form())
        known = request.path in ("/api/transact.php", "/api/query.php")
        return html_page("405 Method Not Allowed", 405) if known else html_page("404 Not Found", 404)

    def _transact(self, form: Mapping[str, str], subject: Subject) -> Answer:
        if form.get("security_key") != self._security_key:
            self._books.count("authentication_failed")
            return Answer(urlencode(authentication_failed(form)).encode())
        with self._lock:
            call = Call(form, self._store, self._world.clock.now(), self._twist(form, subject))
            outcome = perform(call)
            self._carry_out(outcome, subject)
        self._books.count(f"response.{outcome.fields['response_code']}")
        return Answer(urlencode(outcome.fields).encode())

    def _query(self, form: Mapping[str, str]) -> Answer:
        subject = self._subject({"orderid": form.get("order_id", ""), "transactionid": form.get("transaction_id", "")})
        subject = replace(subject, operation="query")
        down = self._faults.take(subject, ["lookup_down"])
        if down is not None:
            return Answer(ending=Ending.RESET) if down.argument else html_page("503 Service Unavailable", 503)
        strike = self._faults.take(subject, TRANSPORT_FAULTS)
        return act_out(strike, lambda: self._look_up(form, subject), self._world.agenda)

    def _look_up(self, form: Mapping[str, str], subject: Subject) -> Answer:
        if form.get("security_key") != self._security_key:
            self._books.count("authentication_failed")
            return Answer(error_document("Authentication Failed").encode(), content_type="text/xml; charset=UTF-8")
        lag = self._faults.take(subject, ["lookup_lag"])
        with self._lock:
            now = self._world.clock.now()
            text = answer_query(form, self._store, now, lag.seconds if lag else 0.0, test_mode=self._in_test_mode())
        return Answer(text.encode(), content_type="text/xml; charset=UTF-8")

    # ---- the control interface ---------------------------------------------------------------------------------------

    def books(self, reference: str) -> dict[str, Any]:
        with self._lock:
            chosen = [t for t in self._store.all() if not reference or reference in t.labels()]
            if reference:  # a payment's refunds have references of their own
                ids = {t.transaction_id for t in chosen}
                chosen = [t for t in self._store.all() if t.transaction_id in ids or t.refunds in ids]
            ids = {t.transaction_id for t in chosen}
            moved = [m for m in self._books.movements() if m.gateway_id in ids]
            holds = acts.open_holds(chosen)
            refunded = {t.transaction_id: self._store.refunded_minor(t.transaction_id) for t in chosen}
        by_id = {t.transaction_id: t for t in chosen}
        return {
            "gateway": self.name,
            "movements": [movement_view(m, by_id[m.gateway_id]) for m in moved],
            "transactions": [transaction_view(t, refunded[t.transaction_id]) for t in chosen],
            "webhooks": [
                d.view() for d in self._world.webhooks.log(self.name) if not reference or d.event.subject in ids
            ],
            "requests": self._books.requests(),
            "holds_open": [transaction_view(t, 0) for t in holds],
        }

    def act(self, action: str, wish: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            if action in acts.DASHBOARD:
                return self._dashboard(action, wish)
            doing = {
                "batch_settle": self._settle,
                "batch_fail": self._fail_batch,
                "expire_hold": self._lapse,
                "resend_webhook": self._resend,
            }
            return doing[action](wish)

    def check_fault(self, name: str, argument: str) -> None:
        """`decline` needs one of NMI's codes or one of our classes."""
        if name == "decline" and find_refusal(argument) is None:
            raise ControlError("fault", f"decline: {argument!r} is neither a code of this gateway nor a class")

    def reset(self) -> None:
        with self._lock:
            self._store.reset()
            self._books.reset()

    def settle_all(self) -> None:
        """Close the day's batches, as the timer of --settle-every does."""
        self.act("batch_settle", {})

    def _dashboard(self, action: str, wish: Mapping[str, Any]) -> dict[str, Any]:
        force = wish.get("force", False)
        if not isinstance(force, bool):
            raise ControlError("force", "force must be true or false")
        form = acts.dashboard_form(action, wish, self._store)
        origin = "foreign" if action == "foreign_sale" else "dashboard"
        now = self._world.clock.now()
        call = Call(form, self._store, now, source="virtual_terminal", origin=origin, force=force)
        outcome = perform(call)
        self._carry_out(outcome, self._subject(form))
        if outcome.transaction is None:
            raise ControlError("action", f"{action} refused: {outcome.fields['responsetext']} (force: true overrides)")
        return {"transaction": transaction_view(outcome.transaction, 0), "answer": dict(outcome.fields)}

    def _settle(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        now = self._world.clock.now()
        closed = {}
        for currency, due in acts.due_for_batch(wish, self._store).items():
            batch_id = self._store.next_id()
            for transaction in due:
                self._store.put(acts.settled(transaction, batch_id, now), now)
            self._tell("settlement.batch.complete", batch_id, batch_body(batch_id, due), "settlement", (batch_id,))
            closed[batch_id] = {"currency": currency, "transaction_ids": [t.transaction_id for t in due]}
        return {"batches": closed}

    def _fail_batch(self, _: Mapping[str, Any]) -> dict[str, Any]:
        batch_id = self._store.next_id()
        self._tell("settlement.batch.failure", batch_id, batch_failure_body(batch_id), "settlement", (batch_id,))
        return {"batch_id": batch_id}

    def _lapse(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        now = self._world.clock.now()
        transaction = acts.lapsed(acts.find_transaction(wish, self._store), now)
        self._store.put(transaction, now)
        return {"transaction": transaction_view(transaction, 0)}

    def _resend(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        event_id = wish.get("event_id")
        wanted_id = None if event_id else acts.find_transaction(wish, self._store).transaction_id
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

    def _in_test_mode(self) -> bool:
        return self._faults.is_on(self.name, "test_mode")

    def _subject(self, form: Mapping[str, str]) -> Subject:
        """What faults may aim at: the request's own labels and those of the transaction it names."""
        with self._lock:
            named = target_of(form, self._store)
        labels = (form.get("orderid", ""), *Payer.of(form).labels(), *(named.labels() if named else ()))
        return Subject(self.name, form.get("type", "").lower(), tuple(filter(None, labels)))

    def _twist(self, form: Mapping[str, str], subject: Subject) -> Twist:
        strikes = {strike.name: strike for strike in self._faults.take_all(subject, Stage.OUTCOME)}
        refused, duplicate = strikes.get("decline"), strikes.get("duplicate")
        off, currency = strikes.get("amount_off"), strikes.get("currency_off")
        return Twist(
            refusal=find_refusal(refused.argument) if refused else None,
            duplicate_of=(duplicate.argument or self._twin(form)) if duplicate else None,
            amount_off_minor=off.number if off else 0,
            silent=off is not None and off.silent,
            currency=currency.argument.upper() if currency else "",
            taken_code=LINE_LOST if "communication_error" in strikes else None,
        )

    def _twin(self, form: Mapping[str, str]) -> str:
        """Another payment's transaction to name as the one duplicated; of nothing on the books if there is none."""
        others = [t for t in self._store.all() if t.order_id != form.get("orderid", "") and not t.refunds]
        return others[-1].transaction_id if others else self._store.next_id()

    def _carry_out(self, outcome: Outcome, subject: Subject) -> None:
        if outcome.used_token:
            self._store.used_tokens.add(outcome.used_token)
        for vault_id, card in outcome.vault.items():
            if card is None:
                self._store.vault.pop(vault_id, None)
            else:
                self._store.vault[vault_id] = card
        if outcome.transaction is not None:
            self._keep(outcome.transaction, outcome.movement, outcome.events, subject)

    def _keep(
        self, transaction: Transaction, movement: Movement | None, events: tuple[str, ...], subject: Subject
    ) -> None:
        lag = self._faults.take(subject, ["lookup_lag"])
        visible_at = self._world.clock.now() + timedelta(seconds=lag.seconds if lag else 0.0)
        self._store.put(transaction, visible_at)
        if movement is not None:
            self._books.add(movement)
        test_mode = self._faults.take(subject, ["test_mode"]) is not None
        for event_type in events:
            hide = event_type.endswith(".unknown")
            body = transaction_body(transaction, test_mode=test_mode, hide_outcome=hide)
            self._tell(event_type, transaction.transaction_id, body, subject.operation, subject.labels)

    def _tell(
        self, event_type: str, about: str, body: Mapping[str, Any], operation: str, labels: tuple[str, ...]
    ) -> None:
        now = self._world.clock.now()
        event = self._signer.event(event_type, about, body, now)
        strikes = self._faults.take_all(Subject(self.name, operation, labels), Stage.WEBHOOK)

        def variants(strike: Strike) -> list[Event]:
            if strike.name == "webhook_other_id":
                return [self._signer.renamed(event, now) for _ in range(strike.number)]
            return [self._signer.forged(event, now)] if strike.name == "webhook_forged" else []

        self._world.webhooks.emit(self.name, event, strikes, variants)
