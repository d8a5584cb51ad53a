"""Who works here? A read-only list of people, their roles and whether a second factor guards them. Changes nothing."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django_otp.plugins.otp_totp.models import TOTPDevice

from config.roles import DESCRIPTIONS, RIGHTS, Role, who_may
from console import display
from console.admin import LockedAdmin
from console.rights import rights_of
from console.values import Chip, KeyValue, Tone

GUARDED = Chip("second factor", Tone.GOOD, "verified_user")
UNGUARDED = Chip("password only", Tone.WARN, "gpp_maybe", "Outside a demo it is asked for at the next sign-in.")
ENABLED = Chip("may sign in", Tone.GOOD, "check_circle")
DISABLED = Chip("disabled", Tone.QUIET, "block")


@admin.register(User)
class PersonAdmin(LockedAdmin):
    """People: made by the `staff` command, shown here."""

    list_display = ("username", "role", "access", "second_factor", "seen")
    list_filter = ("is_active", "is_staff")
    exact_search = ("username", "email")
    address_field = "username"
    list_title = "People"
    list_intro = "Who may sign in, and as what. People are made and changed with the staff command."
    empty_title = "Nobody yet"
    empty_advice = "Make the first person with: manage.py staff NAME --role ROLE --password PASSWORD"

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        devices = TOTPDevice.objects.filter(user=OuterRef("pk"), confirmed=True)
        return User.objects.annotate(guarded=Exists(devices)).prefetch_related("groups")

    @admin.display(description="Role")
    def role(self, person: User) -> str:
        return _roles(person) or "no role"

    @admin.display(description="Access")
    def access(self, person: User) -> SafeString:
        return display.chip(_access(person))

    @admin.display(description="Guarded by")
    def second_factor(self, person: Any) -> SafeString:
        return display.chip(GUARDED if person.guarded else UNGUARDED)

    @admin.display(description="Last signed in")
    def seen(self, person: Any) -> SafeString:
        return display.when(person.last_login, person.listed_at)

    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        held = rights_of(obj)
        facts = [
            KeyValue("Name", obj.username),
            KeyValue("Role", _roles(obj) or None, "; ".join(DESCRIPTIONS[Role(r)] for r in _role_names(obj))),
            KeyValue("Access", _access(obj)),
            KeyValue("Guarded by", GUARDED if obj.guarded else UNGUARDED),
            KeyValue("Last signed in", obj.last_login),
            KeyValue("Made", obj.date_joined),
            *(KeyValue(f"May {r.words}", _yes_or_who(r.name in held, r.name)) for r in RIGHTS),
        ]
        return {"title": obj.username, "facts": facts}


def _role_names(person: User) -> list[str]:
    return [group.name for group in person.groups.all() if group.name in set(Role)]


def _roles(person: User) -> str:
    return ", ".join(_role_names(person))


def _access(person: User) -> Chip:
    return ENABLED if person.is_active and person.is_staff else DISABLED


def _yes_or_who(held: bool, right: str) -> Chip:  # noqa: FBT001 - a plain fact, named at its only call
    if held:
        return Chip("yes", Tone.GOOD, "check")
    return Chip("no", Tone.QUIET, "remove", f"Held by: {', '.join(who_may(right))}")
