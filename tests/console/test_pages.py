"""Is the admin locked, does the list walk without counting, and does a command run only as it was shown?"""

from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.messages.storage.cookie import CookieStorage
from django.db import connection
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from config.roles import MATRIX, RIGHTS, Role, who_may
from config.services import UnknownRoleError, WrongTokenError, enrol_second_factor, make_staff, sync_roles
from console.commands import CommandCall, CommandPage, Conflict
from console.rights import holds_right, rights_of
from console.values import Outcome, Preview

pytestmark = pytest.mark.django_db
PEOPLE = "/admin/auth/user/"
KEY = "3132333435363738393031323334353637383930"


@pytest.fixture(autouse=True)
def _demo(settings: Any) -> None:
    settings.DEMO = True


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(make_staff(role, role, "pw"))
    return client


class TestLockedAdmin:
    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    @pytest.mark.parametrize("place", ["", "admin/"])
    def test_no_method_but_looking_is_answered(self, method: str, place: str) -> None:
        answer = getattr(signed_in("admin"), method)(PEOPLE + place)

        assert answer.status_code == 405

    @pytest.mark.parametrize("place", ["add/", "admin/delete/", "admin/history/", "admin/change/"])
    def test_addresses_that_write_do_not_exist(self, place: str) -> None:
        assert signed_in("admin").get(PEOPLE + place).status_code == 404

    @pytest.mark.parametrize(
        ("role", "status"), [("support", 403), ("operator", 403), ("finance", 403), ("auditor", 200), ("admin", 200)]
    )
    def test_people_are_shown_to_those_who_may_look(self, role: str, status: int) -> None:
        client = signed_in(role)

        assert [client.get(PEOPLE).status_code, client.get(f"{PEOPLE}{role}/").status_code] == [status, status]

    def test_a_page_of_nobody_is_not_found(self) -> None:
        assert signed_in("admin").get(f"{PEOPLE}nobody/").status_code == 404

    def test_pages_of_other_packages_are_left_out(self) -> None:
        assert not admin.site.is_registered(Group)
        assert not admin.site.is_registered(TOTPDevice)


class TestKeysetList:
    def test_walks_down_and_up_again_without_losing_or_repeating_a_row(self) -> None:
        client = signed_in("admin")
        User.objects.bulk_create([User(username=f"u{number}") for number in range(119)])

        pages: list[list[int]] = []
        query: str | None = ""
        while query is not None:
            changes = client.get(PEOPLE + query).context["cl"]
            pages.append([row.pk for row in changes.result_list])
            query = changes.older_query or None
        up = client.get(PEOPLE + changes.newer_query).context["cl"]

        every = [key for page in pages for key in page]
        assert [len(page) for page in pages] == [50, 50, 20]
        assert every == sorted(set(every), reverse=True)
        assert [row.pk for row in up.result_list] == pages[1]
        assert client.get(PEOPLE + up.newer_query).context["cl"].newer_query == ""

    def test_costs_the_same_however_many_rows_and_never_counts(self) -> None:
        client = signed_in("admin")
        client.get(PEOPLE)
        with CaptureQueriesContext(
            connection,
        ) as few:
            client.get(PEOPLE)
        User.objects.bulk_create([User(username=f"u{number}") for number in range(200)])
        with CaptureQueriesContext(connection) as many:
            client.get(PEOPLE)

        assert len(few) == len(many)
        assert not [query["sql"] for query in many if "COUNT(" in query["sql"] or "OFFSET" in query["sql"]]

    @pytest.mark.parametrize("query", ["before=zz", "after=", "before=1&after=2", f"before={2**80}"])
    def test_a_bad_cursor_leads_to_the_first_page_with_a_word(self, query: str) -> None:
        answer = signed_in("admin").get(f"{PEOPLE}?{query}", follow=True)

        assert answer.redirect_chain == [(PEOPLE, 302)]
        assert "Showing the newest rows instead" in answer.content.decode()

    def test_search_compares_references_exactly(self) -> None:
        client = signed_in("admin")
        User.objects.create(username="zoe", email="zoe@example.com")
        User.objects.create(username="zoey")

        found = [
            client.get(f"{PEOPLE}?q={term}").context["cl"].result_list for term in ("zoe", " zoe@example.com ", "zo")
        ]

        assert [[row.username for row in rows] for rows in found] == [["zoe"], ["zoe"], []]


class RefusalError(Exception):
    """The service's no."""


class ChangedError(Exception):
    """Somebody was quicker."""


class AmountForm(forms.Form):
    amount = forms.IntegerField()


class Desk:
    """Stands where an admin class stands: keeps the context of a page, and what was executed."""

    def __init__(self) -> None:
        self.calls: list[CommandCall] = []
        self.context: dict[str, Any] = {}
        self.page_of_command = CommandPage(
            name="refund", title="Refund", intro="", button="Refund", form=AmountForm,
            preview=self.preview, execute=self.execute, refusals=(RefusalError,), conflicts=(ChangedError,),
            describe_conflict=lambda error: Conflict("priya", str(error)),
        )  # fmt: skip

    def preview(self, call: CommandCall) -> Preview:
        if call.answers["amount"] > 100:
            raise RefusalError("At most 100 can be refunded.")
        return Preview(f"{call.answers['amount']} go back.", version="7")

    def execute(self, call: CommandCall) -> Outcome:
        self.calls.append(call)
        if call.answers["amount"] == 13:
            raise ChangedError("captured it")
        return Outcome("Refund requested.", "/done/")

    def page(self, request: HttpRequest, template: str, context: dict[str, Any], obj: Any = None) -> Any:
        from django.http import HttpResponse

        self.context = context
        return HttpResponse(template)

    def post(self, user: User, data: dict[str, str], *, row: Any = None, now: Any = None) -> Any:
        request = RequestFactory().post("/refund/", data)
        request.user = user
        request._messages = CookieStorage(request)  # type: ignore[attr-defined]
        return self.page_of_command.respond(request, self, row, now or timezone.now())


class TestCommandPage:
    def test_what_was_shown_is_executed_once_with_its_version_and_request_id(self) -> None:
        desk, user = Desk(), make_staff("o", "operator", "pw")
        desk.post(user, {"amount": "5", "step": "preview"})
        seal = desk.context["seal"]

        answers = [desk.post(user, {"amount": "5", "step": "execute", "preview_seal": seal}) for _ in range(2)]

        assert [(answer.status_code, answer["Location"]) for answer in answers] == [(302, "/done/")] * 2
        assert [call.version for call in desk.calls] == ["7", "7"]
        assert len({call.request_id for call in desk.calls}) == 1

    @pytest.mark.parametrize("broken", ["other answers", "other person", "other row", "no seal", "forged seal"])
    def test_a_confirmation_without_its_preview_executes_nothing(self, broken: str) -> None:
        desk, user = Desk(), make_staff("o", "operator", "pw")
        desk.post(user, {"amount": "5", "step": "preview"}, row=user)
        data = {"amount": "5", "step": "execute", "preview_seal": desk.context["seal"]}
        other, row = make_staff("p", "operator", "pw"), user
        if broken == "other answers":
            data["amount"] = "6"
        if broken == "other row":
            row = other
        if broken in ("no seal", "forged seal"):
            data["preview_seal"] = "" if broken == "no seal" else data["preview_seal"][:-1] + "?"

        answer = desk.post(other if broken == "other person" else user, data, row=row)

        assert answer.status_code == 422
        assert desk.calls == []

    def test_an_old_preview_executes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        desk, user = Desk(), make_staff("o", "operator", "pw")
        desk.post(user, {"amount": "5", "step": "preview"})
        monkeypatch.setattr("console.commands.PREVIEW_LIVES_SECONDS", -1)

        answer = desk.post(user, {"amount": "5", "step": "execute", "preview_seal": desk.context["seal"]})

        assert (answer.status_code, desk.calls) == (422, [])

    def test_a_refusal_stands_on_the_form_and_the_answers_are_kept(self) -> None:
        desk = Desk()

        answer = desk.post(make_staff("o", "operator", "pw"), {"amount": "500", "step": "preview"})

        assert answer.status_code == 422
        assert desk.context["form"].non_field_errors() == ["At most 100 can be refunded."]
        assert desk.context["form"]["amount"].value() == "500"

    def test_a_conflict_answers_409_and_says_who_did_what(self) -> None:
        desk, user = Desk(), make_staff("o", "operator", "pw")
        desk.post(user, {"amount": "13", "step": "preview"})

        answer = desk.post(user, {"amount": "13", "step": "execute", "preview_seal": desk.context["seal"]})

        assert answer.status_code == 409
        assert desk.context["conflict"] == Conflict("priya", "captured it")
        assert desk.context["form"]["amount"].value() == "13"


class TestRoles:
    def test_nobody_but_operator_and_finance_moves_money(self) -> None:
        money = {right.name for right in RIGHTS if right.moves_money}

        assert {role for role in Role if MATRIX[role] & money} == {Role.OPERATOR, Role.FINANCE}
        assert MATRIX[Role.AUDITOR] == {"reconciliation.export_reports"}
        assert who_may("payments.refund_payment") == (Role.OPERATOR, Role.FINANCE)

    def test_every_right_of_the_matrix_is_a_known_right(self) -> None:
        assert frozenset().union(*MATRIX.values()) == {right.name for right in RIGHTS}

    def test_a_superuser_holds_no_right_by_being_one(self) -> None:
        sync_roles()
        boss = User.objects.create_superuser("boss", password="pw")

        assert rights_of(boss) == frozenset()
        assert not holds_right(boss, "payments.refund_payment")

    def test_syncing_takes_away_what_was_added_by_hand(self) -> None:
        first = sync_roles()
        group = Group.objects.get(name="auditor")
        group.permissions.set([1, 2, 3])

        assert sync_roles() == first
        looking = {name for name in first.granted["auditor"] if name.split(".")[1].startswith("view_")}
        assert set(first.granted["auditor"]) - looking == {"reconciliation.export_reports"}

    def test_making_a_person_again_gives_exactly_the_new_role(self) -> None:
        make_staff("kim", "finance", "pw")
        kim = make_staff("kim", "auditor", "new")

        assert [group.name for group in kim.groups.all()] == ["auditor"]
        assert kim.check_password("new")
        assert not kim.is_superuser

    def test_an_unknown_role_is_refused_by_name_and_writes_nobody(self) -> None:
        with pytest.raises(UnknownRoleError, match=r"no role “boss”.*support, operator, finance, auditor, admin"):
            make_staff("kim", "boss", "pw")
        assert not User.objects.exists()


def digits(key: str = KEY) -> str:
    return f"{TOTP(bytes.fromhex(key)).token():06d}"


class TestSecondFactor:
    def test_outside_a_demo_nothing_opens_before_it_is_set_up(self, settings: Any) -> None:
        settings.DEMO = False
        client = signed_in("auditor")

        answers = [client.get(place) for place in ("/admin/", PEOPLE, "/admin/password_change/")]
        page = client.get("/admin/second-factor/")
        done = client.post("/admin/second-factor/", {"token": digits(client.session["pending_second_factor"])})

        assert [answer.headers["Location"] for answer in answers] == ["/admin/second-factor/"] * 3
        assert "<svg" in page.content.decode()
        assert done.headers["Location"] == "/admin/"
        assert client.get("/admin/").status_code == 200

    def test_wrong_digits_write_nothing(self) -> None:
        kim = make_staff("kim", "auditor", "pw")

        with pytest.raises(WrongTokenError, match="do not fit"):
            enrol_second_factor(kim, key=KEY, token="000000" if digits() != "000000" else "000001")
        assert not TOTPDevice.objects.exists()

    def test_a_second_device_beside_the_first_is_refused(self) -> None:
        kim = make_staff("kim", "auditor", "pw")
        enrol_second_factor(kim, key=KEY, token=digits())

        with pytest.raises(WrongTokenError, match="already"):
            enrol_second_factor(kim, key=KEY, token=digits())

    @pytest.mark.parametrize(("token", "status"), [("", 200), ("right", 302), ("wrong", 200)])
    def test_signing_in_asks_for_the_digits_of_whoever_has_them(self, token: str, status: int) -> None:
        kim = make_staff("kim", "auditor", "pw")
        TOTPDevice.objects.create(user=kim, key=KEY, confirmed=True)
        given = {"right": digits(), "wrong": "12", "": ""}[token]

        answer = Client().post(
            "/admin/login/", {"username": "kim", "password": "pw", "otp_token": given, "next": "/admin/"}
        )

        assert answer.status_code == status

    def test_a_session_without_the_digits_opens_nothing(self) -> None:
        client = signed_in("auditor")
        TOTPDevice.objects.create(user=User.objects.get(username="auditor"), key=KEY, confirmed=True)

        assert client.get(PEOPLE).headers["Location"].startswith("/admin/login/")


def test_the_home_page_tells_the_role_and_who_could_do_the_rest() -> None:
    page = signed_in("auditor").get("/admin/").content.decode()

    assert "checks and exports everything, changes nothing" in page
    assert "operator, finance could" in page
