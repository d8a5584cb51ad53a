"""How much may one person do alone? By role, item and day; and a limit is changed by two."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from payments.errors import Forbidden, InvalidInput
from payments.models import Approval, Limit, LimitUse
from payments.services.actors import SYSTEM, Actor
from payments.services.limits import Wanted, ask_limit, needs_second_person, roles_with_limits, spend
from tests.payments.approvals.people import REASON, agree, at_once, person
from tests.payments.factories import Clock

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limit(role: str, per_item: int, per_day: int, currency: str = "USD") -> Limit:
    return Limit.objects.create(
        action="start_batch", currency=currency, role=role, per_item_minor=per_item, per_day_minor=per_day
    )


def spent(actor: Actor, clock: Clock, **money: int) -> str:
    with transaction.atomic():
        return spend("start_batch", money, actor=actor, now=clock())


def used() -> dict[str, int]:
    return {use.currency: use.used_minor for use in LimitUse.objects.all() if use.used_minor}


class TestAlone:
    def test_without_a_row_never(self, clock: Clock) -> None:
        reason = spent(person("olga", "operator"), clock, USD=1)
        assert reason == "Start an upload: no limit in USD lets operator do this alone."
        assert used() == {}

    @pytest.mark.parametrize(("minor", "alone"), [(9_999, True), (10_000, True), (10_001, False)])
    def test_up_to_the_sum_of_one_item(self, clock: Clock, minor: int, alone: bool) -> None:
        limit("operator", 10_000, 50_000)
        reason = needs_second_person("start_batch", {"USD": minor}, actor=person("olga", "operator"), now=clock())
        assert (reason == "") is alone
        assert alone or "100.01 USD is more than the 100.00 USD" in reason

    def test_up_to_the_sum_of_the_day(self, clock: Clock) -> None:
        limit("operator", 10_000, 15_000)
        olga = person("olga", "operator")
        assert spent(olga, clock, USD=10_000) == ""
        assert "it would be 200.00 USD today, more than the 150.00 USD a day" in spent(olga, clock, USD=10_000)
        assert spent(olga, clock, USD=5_000) == ""
        assert used() == {"USD": 15_000}

    def test_each_person_has_a_day_of_their_own(self, clock: Clock) -> None:
        limit("operator", 10_000, 10_000)
        assert spent(person("olga", "operator"), clock, USD=10_000) == ""
        assert spent(person("otto", "operator"), clock, USD=10_000) == ""

    def test_a_new_name_begins_no_new_day(self, clock: Clock) -> None:
        limit("operator", 10_000, 10_000)
        assert spent(person("olga", "operator"), clock, USD=10_000) == ""

        user = get_user_model().objects.get(username="olga")
        user.username = "olga.k"
        user.save()

        assert "it would be 100.01 USD today" in spent(Actor.for_user(user), clock, USD=1)

    def test_each_business_day_is_new(self, clock: Clock) -> None:
        limit("operator", 10_000, 10_000)
        olga = person("olga", "operator")
        assert spent(olga, clock, USD=10_000) == ""
        assert spent(olga, clock, USD=1) != ""
        clock.pass_(days=1)
        assert spent(olga, clock, USD=10_000) == ""

    def test_one_currency_over_is_the_whole_over(self, clock: Clock) -> None:
        limit("operator", 10_000, 10_000)
        limit("operator", 500, 500, "EUR")
        assert "EUR" in spent(person("olga", "operator"), clock, USD=100, EUR=501)
        assert used() == {}

    def test_another_role_s_limit_is_not_mine(self, clock: Clock) -> None:
        limit("finance", 10_000, 10_000)
        assert spent(person("olga", "operator"), clock, USD=1) != ""

    def test_callers_of_the_api_have_their_own_row(self, clock: Clock) -> None:
        shop = Actor("API shop")
        assert "lets api do this alone" in spent(shop, clock, USD=1)
        limit("api", 10, 10)
        assert spent(shop, clock, USD=10) == ""

    def test_the_system_acts_on_what_was_decided(self, clock: Clock) -> None:
        assert spent(SYSTEM, clock, USD=10**9) == ""

    def test_what_is_rolled_back_was_not_spent(self, clock: Clock) -> None:
        limit("operator", 10_000, 10_000)
        olga = person("olga", "operator")
        with transaction.atomic():
            spend("start_batch", {"USD": 10_000}, actor=olga, now=clock())
            transaction.set_rollback(True)
        assert spent(olga, clock, USD=10_000) == ""

    def test_outside_a_transaction_nothing_is_spent(self, clock: Clock) -> None:
        with pytest.raises(RuntimeError):
            spend("start_batch", {"USD": 1}, actor=person("olga", "operator"), now=clock())

    def test_of_eight_at_once_three_fit_the_day(self, clock: Clock) -> None:
        limit("operator", 10_000, 30_000)
        olga = person("olga", "operator")
        answers = at_once([lambda: spent(olga, clock, USD=10_000) or "alone"] * 8)
        assert answers.count("alone") == 3
        assert used() == {"USD": 30_000}


class TestChanging:
    wanted = Wanted("start_batch", "USD", "operator", 10_000, 50_000)

    def ask(self, wanted: Wanted, clock: Clock, who: str = "mia") -> Approval:
        return ask_limit(wanted, reason=REASON, actor=person(who), now=clock())

    def test_needs_a_second_person(self, clock: Clock) -> None:
        asked = self.ask(self.wanted, clock)
        assert not Limit.objects.exists()
        assert ["Now", "always a second person"] in asked.shown
        assert ["Then", "alone up to 100.00 USD at a time and 500.00 USD a day"] in asked.shown
        done = agree(asked, person("carl"), clock)
        assert done.outcome == "In force: alone up to 100.00 USD at a time and 500.00 USD a day."
        row = Limit.objects.get()
        assert (row.role, row.per_item_minor, row.per_day_minor, row.version) == ("operator", 10_000, 50_000, 1)

    def test_a_limit_changed_meanwhile_voids_the_request(self, clock: Clock) -> None:
        limit("operator", 1, 1)
        asked = self.ask(self.wanted, clock)
        Limit.objects.update(per_item_minor=2, per_day_minor=2, version=7)
        done = agree(asked, person("carl"), clock)
        assert done.state == "outdated"
        assert "Now was alone up to 0.01 USD at a time" in done.outcome
        assert Limit.objects.get().per_item_minor == 2

    def test_removing_one_brings_back_the_second_person(self, clock: Clock) -> None:
        limit("operator", 1, 1)
        asked = self.ask(Wanted("start_batch", "USD", "operator", None, None), clock)
        assert agree(asked, person("carl"), clock).outcome == "The limit is removed: a second person is always needed."
        assert not Limit.objects.exists()

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"action": "sell_the_shop"}, "action"),
            ({"currency": "XXQ"}, "currency"),
            ({"role": "boss"}, "role"),
            ({"per_item_minor": -1}, "per_item_minor"),
            ({"per_item_minor": 60_000}, "per_day_minor"),
            ({"per_day_minor": None}, "per_day_minor"),
            ({"per_item_minor": 1, "per_day_minor": 2}, "per_item_minor"),
        ],
    )
    def test_what_makes_no_sense_is_refused_by_name(self, clock: Clock, fields: dict[str, object], field: str) -> None:
        limit("operator", 1, 2)
        known = {"action": "start_batch", "currency": "USD", "role": "operator"}
        sums = {"per_item_minor": 10_000, "per_day_minor": 50_000}
        with pytest.raises(InvalidInput) as refused:
            self.ask(Wanted(**{**known, **sums, **fields}), clock)  # type: ignore[arg-type]
        assert refused.value.field == field
        assert not Approval.objects.exists()

    @pytest.mark.parametrize("role", ["admin", "auditor", "support", "api"])
    def test_a_role_that_may_not_do_it_at_all_gets_no_limit(self, clock: Clock, role: str) -> None:
        person("mia")  # the roles exist

        with pytest.raises(InvalidInput, match=f"{role} may not do this at all.*finance and operator could") as refused:
            self.ask(Wanted("start_batch", "USD", role, 1, 1), clock)

        assert refused.value.field == "role"
        assert role not in roles_with_limits()
        assert roles_with_limits() == ("finance", "operator")

    def test_support_can_not_ask(self, clock: Clock) -> None:
        with pytest.raises(Forbidden):
            ask_limit(self.wanted, reason=REASON, actor=person("sue", "support"), now=clock())
