"""What may a test or a demo ask of the simulator itself? All below `/_control`; every refusal names its field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from simulator.faults import CATALOGUE, FaultSpec, Stage, Switch, parse_fault
from simulator.gateway import Gateway, World
from simulator.messages import Answer, ControlError, Request, json_answer
from simulator.reports.wire import ReportDesk

MOST_SECONDS = 10 * 366 * 86_400


class Control:
    """Books, faults, acts, reports, reset and health over all gateways."""

    def __init__(self, world: World, gateways: Mapping[str, Gateway], reports: ReportDesk) -> None:
        self._world = world
        self._gateways = gateways
        self._reports = reports

    def handle(self, request: Request) -> Answer:
        """One control request. Wrong ones are answered 400 (404, 405) with `error` and `field`."""
        try:
            return self._route(request)
        except ControlError as error:
            return json_answer({"error": error.message, "field": error.field_name}, error.status)

    def _route(self, request: Request) -> Answer:
        head, _, rest = request.path.strip("/").partition("/")
        routes: dict[tuple[str, str], Callable[[Request], Answer]] = {
            ("GET", "health"): self._health,
            ("GET", "faults"): self._list_faults,
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._remove_faults,
            ("POST", "act"): self._act,
            ("POST", "reset"): self._reset,
            ("POST", "reports"): self._reports.make,
        }
        if head in ("books", "webhooks") and request.method == "GET":
            gateway = self._gateway({"gateway": rest}, status=404)
            return self._books(gateway, request) if head == "books" else self._webhooks(gateway, request)
        if head in ("reports", "labels", "truth", "contract") and request.method == "GET":
            return self._reports.read(request.path.strip("/"), request)
        if (request.method, head) in routes and not rest:
            return routes[request.method, head](request)
        known = head in ("books", "webhooks") or any(head == name for _, name in routes)
        if known and not rest:
            raise ControlError("method", f"{request.method} is not allowed on {head}", 405)
        raise ControlError(
            "path",
            "no such control: books/<gateway>, webhooks/<gateway>, faults, act, reports, labels, truth/<account>, reset, health",
            404,
        )

    def _gateway(self, wish: Mapping[str, Any], status: int = 400) -> Gateway:
        name = wish.get("gateway")
        if not isinstance(name, str) or name not in self._gateways:
            raise ControlError("gateway", f"unknown gateway {name!r}; there is {', '.join(self._gateways)}", status)
        return self._gateways[name]

    def _health(self, _: Request) -> Answer:
        jobs_waiting = self._world.agenda.pending()  # before the webhooks: a job that ends in between has sent its own
        due = self._world.calendar.due() + self._world.agenda.due()
        due += self._world.webhooks.due()  # last, for the same reason
        return json_answer(
            {
                "status": "ok",
                "gateways": list(self._gateways),
                "now": self._world.clock.now().isoformat(),
                "webhooks_waiting": self._world.webhooks.waiting(),
                "jobs_waiting": jobs_waiting,
                "due_now": due,
            }
        )

    def _books(self, gateway: Gateway, request: Request) -> Answer:
        books = gateway.books(request.query.get("reference", ""))
        return json_answer(books | {"jobs_waiting": self._world.agenda.pending()})

    def _webhooks(self, gateway: Gateway, request: Request) -> Answer:
        """Every delivery with its exact body and headers; `?subject=` narrows down."""
        subject = request.query.get("subject", "")
        log = self._world.webhooks.log(gateway.name)
        return json_answer({"webhooks": [d.full_view() for d in log if subject in ("", d.event.subject)]})

    # ---- faults ------------------------------------------------------------------------------------------------------

    def _list_faults(self, _: Request) -> Answer:
        catalogue = [{"name": name, "what": spec.what} for name, spec in CATALOGUE.items()]
        struck = dict(sorted(self._world.faults.struck.items()))
        return json_answer({"faults": catalogue, "active": self._world.faults.active(), "struck": struck})

    def _add_fault(self, request: Request) -> Answer:
        wish = request.json()
        _refuse_unknown(wish, ("gateway", "operation", "fault", "times", "rate", "reference"))
        gateway = self._gateway(wish)
        strike = parse_fault(wish.get("fault"))
        gateway.check_fault(strike.name, strike.argument)
        spec = CATALOGUE[strike.name]
        times, rate = _times(wish), _rate(wish)
        if times is not None and rate is not None:
            raise ControlError("rate", "times or rate, not both")
        once = times is None and rate is None and not spec.lasting
        switch = {
            "gateway": gateway.name,
            "operation": _operation(wish, gateway, spec),
            "times_left": 1 if once else times,
            "rate": rate,
            "reference": _text(wish, "reference"),
        }
        return json_answer(self._world.faults.add(switch, strike).view(), 201)

    def _remove_faults(self, request: Request) -> Answer:
        """All, or those that agree with every given field: id, gateway, operation, fault, reference."""
        wanted = {**request.query, **{name: str(value) for name, value in request.json().items()}}
        _refuse_unknown(wanted, ("id", "gateway", "operation", "fault", "reference"))

        def keep(switch: Switch) -> bool:
            view = {name: "" if value is None else str(value) for name, value in switch.view().items()}
            named = wanted.get("fault") in (None, view["fault"], switch.strike.name)
            return not (named and all(view[name] == value for name, value in wanted.items() if name != "fault"))

        return json_answer({"removed": self._world.faults.remove(keep)})

    # ---- acts --------------------------------------------------------------------------------------------------------

    def _act(self, request: Request) -> Answer:
        wish = request.json()
        gateway = self._gateway(wish)
        action = wish.get("action")
        if action == "advance_clock":
            return self._advance(wish)
        if not isinstance(action, str) or action not in gateway.actions:
            names = ", ".join((*gateway.actions, "advance_clock"))
            raise ControlError("action", f"unknown action {action!r}; there is {names}")
        return json_answer({"action": action, **gateway.act(action, wish)})

    def _advance(self, wish: Mapping[str, Any]) -> Answer:
        seconds = wish.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= MOST_SECONDS:
            raise ControlError("seconds", "seconds must be a number above 0, ten years at most; time never runs back")
        self._world.clock.offset_seconds += seconds
        self._world.agenda.wake()
        self._world.calendar.wake()
        self._world.webhooks.wake()
        return json_answer({"action": "advance_clock", "now": self._world.clock.now().isoformat()})

    def _reset(self, _: Request) -> Answer:
        self._world.agenda.clear()
        self._world.calendar.clear()
        self._world.webhooks.reset()
        self._world.faults.reset()
        self._reports.reset()
        for gateway in self._gateways.values():
            gateway.reset()
        self._world.clock.reset()
        return json_answer({"status": "reset"})


def _operation(wish: Mapping[str, Any], gateway: Gateway, spec: FaultSpec) -> str:
    operation = _text(wish, "operation") or "any"
    if operation not in (*gateway.operations, "any"):
        raise ControlError(
            "operation", f"unknown operation {operation!r}; there is any, {', '.join(gateway.operations)}"
        )
    if spec.stage is Stage.LOOKUP and operation not in ("query", "any"):
        raise ControlError("operation", "this fault strikes look-ups: operation must be query or any")
    if spec.stage in (Stage.OUTCOME, Stage.WEBHOOK) and operation == "query":
        raise ControlError("operation", "this fault cannot strike a query")
    return operation


def _times(wish: Mapping[str, Any]) -> int | None:
    times = wish.get("times")
    if times is not None and (isinstance(times, bool) or not isinstance(times, int) or not 1 <= times <= 1_000_000):
        raise ControlError("times", "times must be a whole number from 1 to 1000000")
    return times


def _rate(wish: Mapping[str, Any]) -> float | None:
    rate = wish.get("rate")
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate <= 1):
        raise ControlError("rate", "rate must be a number above 0, 1 at most")
    return rate


def _text(wish: Mapping[str, Any], name: str) -> str:
    value = wish.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ControlError(name, f"{name} must be a text")
    return value


def _refuse_unknown(wish: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in wish:
        if name not in known:
            raise ControlError(name, f"unknown field {name!r}; known are {', '.join(known)}")
