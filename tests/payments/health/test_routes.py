"""Is a route changed only when two people saw the same, and does its page say who did what?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User

from config.services import make_staff
from payments.errors import CardNumberRefused, Conflict, Forbidden, InvalidInput, NotFound
from payments.models import Approval, GatewayAccount, Route
from payments.services.actors import Actor
from payments.services.approvals import approve
from payments.services.routes import RoutePlan, ask_order, ask_route, plan_of

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def person(name: str, role: str = "finance") -> Actor:
    user: User = make_staff(name, role, "pw")
    return Actor.for_user(user)


@pytest.fixture
def fran(transactional_db: None) -> Actor:
    return person("fran")


@pytest.fixture
def olga(transactional_db: None) -> Actor:
    return person("olga", "operator")


@pytest.fixture
def route(account: GatewayAccount) -> Route:
    return Route.objects.get(gateway_account=account)


def asked(actor: Actor, route: Route, **changes: object) -> Approval:
    plan = replace(plan_of(route), **changes)  # type: ignore[arg-type]
    return ask_route(plan, route=route.pk, version=route.version, reason="fees went up", actor=actor, now=NOW)


def agreed(approval: Approval, actor: Actor) -> Approval:
    return approve(approval.public_id, digest=approval.digest, note="", actor=actor, clock=lambda: LATER)


class TestChanging:
    def test_nothing_changes_before_a_second_person_agrees(self, route: Route, fran: Actor, olga: Actor) -> None:
        approval = asked(fran, route, priority=5, currency="EUR", min_minor=100)
        route.refresh_from_db()
        assert (route.priority, route.currency, route.version) == (100, "", 0)

        assert agreed(approval, olga).state == "executed"

        route.refresh_from_db()
        assert (route.priority, route.currency, route.min_minor, route.version) == (5, "EUR", 100, 1)

    def test_both_people_see_what_changes_and_nothing_else(self, route: Route, fran: Actor) -> None:
        approval = asked(fran, route, enabled=False)

        assert approval.shown == [["Route", "Everything to NMI"], ["Enabled", "yes, then no"], ["Version", "0"]]

    def test_the_maker_is_never_the_checker(self, route: Route, fran: Actor) -> None:
        with pytest.raises(Forbidden):
            agreed(asked(fran, route, priority=5), fran)

    def test_two_requests_at_once_are_one_too_many(self, route: Route, fran: Actor, olga: Actor) -> None:
        asked(fran, route, priority=5)
        with pytest.raises(Conflict, match="fran has asked"):
            asked(olga, route, priority=7)

    def test_a_form_made_from_an_older_version_is_refused(self, route: Route, fran: Actor) -> None:
        Route.objects.update(version=3)
        with pytest.raises(Conflict):
            asked(fran, route, priority=5)

    def test_a_request_is_void_once_the_route_was_changed_otherwise(
        self, route: Route, fran: Actor, olga: Actor
    ) -> None:
        approval = asked(fran, route, priority=5)
        Route.objects.update(version=1, currency="GBP")

        assert agreed(approval, olga).state == "outdated"
        route.refresh_from_db()
        assert (route.priority, route.currency) == (100, "GBP")

    def test_nothing_changed_is_nothing_to_ask_for(self, route: Route, fran: Actor) -> None:
        with pytest.raises(InvalidInput, match="Nothing"):
            asked(fran, route)

    @pytest.mark.parametrize(
        ("changes", "error", "words"),
        [
            ({"name": " "}, InvalidInput, "name"),
            ({"name": "to 4111 1111 1111 1111"}, CardNumberRefused, "card number"),
            ({"account": "nowhere"}, NotFound, "nowhere"),
            ({"currency": "XXQ"}, InvalidInput, "XXQ"),
            ({"method_kind": "cheque"}, InvalidInput, "cheque"),
            ({"min_minor": 1}, InvalidInput, "needs a currency"),
            ({"currency": "USD", "min_minor": 2, "max_minor": 1}, InvalidInput, "ends before"),
            ({"currency": "USD", "min_minor": -1}, InvalidInput, "negative"),
            ({"priority": 40_000}, InvalidInput, "32,767"),
            ({"priority": -1}, InvalidInput, "32,767"),
        ],
    )
    def test_what_can_be_no_route_is_refused_when_it_is_asked_for(
        self, route: Route, fran: Actor, changes: dict[str, object], error: type[Exception], words: str
    ) -> None:
        with pytest.raises(error, match=words):
            asked(fran, route, **changes)
        assert not Approval.objects.exists()

    def test_whoever_may_not_can_not_ask(self, route: Route) -> None:
        with pytest.raises(Forbidden):
            asked(person("sam", "support"), route, priority=5)


class TestMaking:
    def test_a_new_route_exists_once_agreed(self, account: GatewayAccount, fran: Actor, olga: Actor) -> None:
        plan = RoutePlan("Yen", "nmi", enabled=True, priority=7, currency="JPY", min_minor=500)
        approval = ask_route(plan, route=None, version=0, reason="a new market", actor=fran, now=NOW)
        assert not Route.objects.filter(name="Yen").exists()

        agreed(approval, olga)

        made = Route.objects.get(name="Yen")
        assert (plan_of(made), made.version) == (plan, 0)
        assert ["Amounts", "from 500 JPY"] in approval.shown


class TestOrdering:
    @pytest.fixture
    def second(self, account: GatewayAccount, route: Route) -> Route:
        return Route.objects.create(name="Second", gateway_account=account, priority=200)

    def test_all_priorities_change_together(self, route: Route, second: Route, fran: Actor, olga: Actor) -> None:
        approval = ask_order({route.pk: 20, second.pk: 10}, reason="cheaper first", actor=fran, now=NOW)
        assert [value for _, value in approval.shown] == ["priority 100, then 20", "priority 200, then 10"]

        agreed(approval, olga)

        assert list(Route.objects.values_list("name", "priority", "version")) == [
            ("Second", 10, 1), ("Everything to NMI", 20, 1),
        ]  # fmt: skip

    def test_is_void_once_one_of_them_moved(self, route: Route, second: Route, fran: Actor, olga: Actor) -> None:
        approval = ask_order({route.pk: 20, second.pk: 10}, reason="cheaper first", actor=fran, now=NOW)
        Route.objects.filter(pk=second.pk).update(priority=150)

        assert agreed(approval, olga).state == "outdated"
        route.refresh_from_db()
        assert route.priority == 100

    @pytest.mark.parametrize("wanted", [lambda pk: {pk: 100}, lambda pk: {pk: -5}, lambda pk: {}])
    def test_refuses_what_is_no_order(self, route: Route, fran: Actor, wanted: Callable[[int], dict[int, int]]) -> None:
        with pytest.raises(InvalidInput):
            ask_order(wanted(route.pk), reason="cheaper first", actor=fran, now=NOW)
