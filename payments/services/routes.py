"""How is a route made, changed or put in another order? Routes are a policy: one person asks, a second one agrees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError

from ledger.money import UnknownCurrency, minor_digits
from payments.card_numbers import has_card_number
from payments.errors import CardNumberRefused, Conflict, InvalidInput, NotFound
from payments.models import Approval, GatewayAccount, PaymentMethod, Route
from payments.queries.route_page import band_words
from payments.services.actors import Actor
from payments.services.approvable import Approvable, Arguments, Line
from payments.services.approvals import ask_approval

EDIT = "payments.edit_route"
NEW = "new"
ORDER = "order"
KINDS = tuple(PaymentMethod.Kind.values)


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """A route as it shall be; bounds in minor units of its currency, both inclusive; empty matches everything."""

    name: str
    account: str
    enabled: bool
    priority: int
    currency: str = ""
    method_kind: str = ""
    min_minor: int | None = None
    max_minor: int | None = None


def ask_route(
    plan: RoutePlan, *, route: int | None, version: int, reason: str, actor: Actor, now: datetime
) -> Approval:
    """This function will ask a second person to agree to a new route (`route` None) or to a change of one.

    Raises: Forbidden, NotFound, InvalidInput naming the field; Conflict if it was edited since `version`, or somebody has
    asked for a change already. Idempotent as `ask_approval`. Writes: the approval.
    """
    _check(plan)
    if route is not None and _find(str(route)).version != version:
        raise Conflict("The route was changed since you opened it. Look at it as it is now.")
    subject = str(route) if route is not None else f"{NEW}/{plan.name}"[:100]
    return ask_approval("change_route", subject, asdict(plan), reason=reason, actor=actor, now=now)


def ask_order(priorities: Mapping[int, int], *, reason: str, actor: Actor, now: datetime) -> Approval:
    """This function will ask a second person to agree to other priorities, by the routes' numbers.

    Raises: Forbidden, InvalidInput (a priority, nothing changes); Conflict. Idempotent as `ask_approval`.
    Writes: the approval.
    """
    arguments = {str(key): value for key, value in sorted(priorities.items())}
    return ask_approval("order_routes", ORDER, arguments, reason=reason, actor=actor, now=now)


def differences(plan: RoutePlan, route: Route | None) -> list[tuple[str, str, str]]:
    """What changes: (label, now, then) in words; of a new route everything that it says.

    Raises: InvalidInput naming the field, CardNumberRefused, NotFound, if it can be no route at all.
    """
    _check(plan)
    before = _words(plan_of(route)) if route is not None else {}
    after = _words(plan)
    return [(label, before.get(label, "–"), value) for label, value in after.items() if before.get(label) != value]


def plan_of(route: Route) -> RoutePlan:
    """A route as it is."""
    return RoutePlan(
        route.name,
        route.gateway_account.slug,
        route.enabled,
        route.priority,
        route.currency,
        route.method_kind,
        route.min_minor,
        route.max_minor,
    )


def _words(plan: RoutePlan) -> dict[str, str]:
    return {
        "Name": plan.name,
        "Gateway account": plan.account,
        "Enabled": "yes" if plan.enabled else "no",
        "Priority": str(plan.priority),
        "Currency": plan.currency or "every currency",
        "Method": plan.method_kind or "every method",
        "Amounts": band_words(plan.currency, plan.min_minor, plan.max_minor),
    }


def _check(plan: RoutePlan) -> None:
    """Can it be a route at all? Raises: InvalidInput naming the field, CardNumberRefused, NotFound (the account)."""
    if not plan.name.strip():
        raise InvalidInput("A route needs a name: explanations quote it.", field="name")
    if has_card_number(plan.name):
        raise CardNumberRefused("The name looks like it holds a card number. Nothing was stored.", field="name")
    _account(plan.account)
    if plan.currency:
        try:
            minor_digits(plan.currency)
        except UnknownCurrency as error:
            raise InvalidInput(str(error), field="currency") from error
    elif plan.min_minor is not None or plan.max_minor is not None:
        raise InvalidInput("A band of amounts needs a currency.", field="currency")
    if plan.method_kind and plan.method_kind not in KINDS:
        raise InvalidInput(f"There is no method {plan.method_kind!r}.", field="method_kind")
    low, high = plan.min_minor, plan.max_minor
    if (low is not None and low < 0) or (high is not None and high < 0):
        raise InvalidInput("An amount is not negative.", field="min_minor")
    if low is not None and high is not None and low > high:
        raise InvalidInput("The band ends before it begins.", field="max_minor")
    _check_priority(plan.priority)


def _check_priority(priority: int) -> None:
    if not 0 <= priority <= 32_767:
        raise InvalidInput("A priority is a number from 0 to 32,767; lower is asked first.", field="priority")


def _account(slug: str) -> GatewayAccount:
    account = GatewayAccount.objects.filter(slug=slug).first()
    if account is None:
        raise NotFound(f"There is no gateway account {slug!r}.")
    return account


def _find(key: str, *, lock: bool = False) -> Route:
    rows = Route.objects.select_for_update(of=("self",)) if lock else Route.objects.all()
    route = rows.select_related("gateway_account").filter(pk=int(key)).first()
    if route is None:
        raise NotFound(f"There is no route {key}.")
    return route


# --- what the second person agrees to ---------------------------------------------------------------------------------


def _show_route(subject: str, arguments: Arguments, now: datetime) -> list[Line]:
    plan = RoutePlan(**arguments)
    route = None if subject.startswith(f"{NEW}/") else _find(subject)
    changed = differences(plan, route)
    if not changed:
        raise InvalidInput("Nothing is changed yet.")
    head = ("Route", route.name if route else f"new: {plan.name}")
    lines = [(label, f"{before}, then {after}" if route else after) for label, before, after in changed]
    return [head, *lines, ("Version", str(route.version) if route else "none")]


def _change_route(
    subject: str, arguments: Arguments, *, maker: Actor, checker: Actor, approval: Approval, now: datetime
) -> str:
    plan = RoutePlan(**arguments)
    account = _account(plan.account)
    if subject.startswith(f"{NEW}/"):
        route = Route(gateway_account=account, version=-1)
    else:
        route = _find(subject, lock=True)
        if dict(approval.shown)["Version"] != str(route.version):
            raise Conflict("The route was changed at this moment.")
    route.gateway_account = account
    for name in ("name", "enabled", "priority", "currency", "method_kind", "min_minor", "max_minor"):
        setattr(route, name, getattr(plan, name))
    route.version += 1
    try:
        route.full_clean()
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise InvalidInput(f"{field}: {messages[0]}", field=field) from error
    route.save()
    return f"Route “{route.name}” is in force."


def _show_order(subject: str, arguments: Arguments, now: datetime) -> list[Line]:
    wanted = _priorities(arguments)
    rows = Route.objects.filter(pk__in=wanted).order_by("priority", "pk")
    lines = [
        (f"{row.name} (#{row.pk})", f"priority {row.priority}, then {wanted[row.pk]}")
        for row in rows
        if row.priority != wanted[row.pk]
    ]
    if not lines:
        raise InvalidInput("Nothing is changed yet.")
    return lines


def _order_routes(
    subject: str, arguments: Arguments, *, maker: Actor, checker: Actor, approval: Approval, now: datetime
) -> str:
    """The approval has shown each priority as it still is; the locks keep it so."""
    wanted = _priorities(arguments)
    rows = list(Route.objects.select_for_update().filter(pk__in=wanted).order_by("pk"))
    if [list(line) for line in _show_order(subject, arguments, now)] != [list(line) for line in approval.shown]:
        raise Conflict("A route was changed at this moment.")
    changed = [row for row in rows if row.priority != wanted[row.pk]]
    for row in changed:
        row.priority = wanted[row.pk]
        row.version += 1
        row.save(update_fields=["priority", "version"])
    return f"{len(changed)} route{'' if len(changed) == 1 else 's'} in another order."


def _priorities(arguments: Mapping[str, Any]) -> dict[int, int]:
    wanted = {int(key): int(value) for key, value in arguments.items()}
    for priority in wanted.values():
        _check_priority(priority)
    return wanted


CHANGE_ROUTE = Approvable(title="Change a route", right=EDIT, show=_show_route, execute=_change_route)
ORDER_ROUTES = Approvable(title="Put routes in another order", right=EDIT, show=_show_order, execute=_order_routes)
