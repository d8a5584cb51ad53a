"""Who works here, and with which rights? The only writer of people, roles and second factors; touches no payment."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django_otp.plugins.otp_totp.models import TOTPDevice

from config.roles import DEMO_LOGINS, MATRIX, VIEWED_APPS, Role
from payments.services.accounts import ensure_gateway_account
from reconciliation.services.demo import prepare_comparison
from reconciliation.services.nightly import plan

_LONGEST_NAME = 150  # Django's own limit


class UnknownRoleError(ValueError):
    """The role does not exist; the message names those that do."""


class WrongTokenError(ValueError):
    """The six digits do not prove the secret; nothing was written."""


@dataclass(frozen=True, slots=True)
class RolesReport:
    """What `sync_roles` did: rights granted to each role, and rights of the matrix that no model defines."""

    granted: dict[str, tuple[str, ...]]
    missing: tuple[str, ...]


@transaction.atomic
def sync_roles() -> RolesReport:
    """Make the groups and their permissions equal to the matrix; rights added by hand to these groups are taken away.

    Idempotent on: the matrix. Writes: groups and their permissions. Rights nobody defined are reported, not invented.
    """
    rights = {
        f"{app}.{codename}": pk
        for pk, app, codename in Permission.objects.values_list("pk", "content_type__app_label", "codename")
    }
    granted = {role.value: _names_of(role, rights) for role in Role}
    _grant({role: {rights[name] for name in names} for role, names in granted.items()})
    wanted = frozenset[str]().union(*MATRIX.values())
    return RolesReport(granted, tuple(sorted(wanted - rights.keys())))


@transaction.atomic
def make_staff(name: str, role: str, password: str) -> User:
    """Make the person, or bring the existing one to exactly this role and password; never a superuser.

    Raises: UnknownRoleError; ValueError for an empty name or password, or a name that cannot be stored.
    Idempotent on: name. Writes: user, membership.
    """
    if role not in set(Role):
        raise UnknownRoleError(f"There is no role “{role}”: choose one of {', '.join(Role)}.")
    if not name.strip() or not password:
        raise ValueError("A person needs a name and a password.")
    if len(name.strip()) > _LONGEST_NAME or not name.strip().isprintable():
        raise ValueError(f"A person's name has at most {_LONGEST_NAME} characters, all of which can be seen.")
    sync_roles()
    user, _ = User.objects.select_for_update().get_or_create(username=name.strip())
    user.is_staff, user.is_active, user.is_superuser = True, True, False
    user.set_password(password)
    user.save()
    user.user_permissions.clear()
    user.groups.set([Group.objects.get(name=role)])
    return user


@transaction.atomic
def enrol_second_factor(user: User, *, key: str, token: str) -> TOTPDevice:
    """Give the person a one-time-password device with this secret (hexadecimal), proven by the digits it shows now.

    Raises: WrongTokenError, also for a person who has a device already: reset it, no second one beside it.
    Writes: the device.
    """
    person = User.objects.select_for_update().get(pk=user.pk)
    if TOTPDevice.objects.filter(user=person, confirmed=True).exists():
        raise WrongTokenError("This person already signs in with a second factor.")
    device = TOTPDevice.objects.create(user=person, key=key, name="Authenticator app", confirmed=True)
    if not device.verify_token(token):
        raise WrongTokenError("These digits do not fit. Wait for the next ones and check the clock of your phone.")
    return device


def _names_of(role: Role, rights: Iterable[str]) -> tuple[str, ...]:
    """What the matrix gives the role, and looking at everything in its apps: of the rights there are."""
    known = frozenset(rights)
    views = (n for n in known if n.partition(".")[0] in VIEWED_APPS[role] and n.partition(".")[2].startswith("view_"))
    return tuple(sorted({*views, *(MATRIX[role] & known)}))


def _grant(wanted: dict[str, set[int]]) -> None:
    """Bring the groups to these rights in a handful of queries: every sign-in of a test, and every start, comes here."""
    Group.objects.bulk_create([Group(name=name) for name in wanted], ignore_conflicts=True)
    groups = dict(Group.objects.filter(name__in=wanted).values_list("name", "pk"))
    through = Group.permissions.through
    rows = through.objects.filter(group_id__in=groups.values()).values_list("pk", "group_id", "permission_id")
    held = {(group, permission): pk for pk, group, permission in rows}
    due = {(groups[name], permission) for name, permissions in wanted.items() for permission in permissions}
    through.objects.filter(pk__in=[pk for pair, pk in held.items() if pair not in due]).delete()
    through.objects.bulk_create(
        [through(group_id=group, permission_id=permission) for group, permission in sorted(due - held.keys())],
        ignore_conflicts=True,
    )


def prepare_start(*, demo: bool, now: datetime) -> None:
    """Make what a start needs: roles, terms by which accounts are compared, and for a demo its people and accounts.

    Days missed while everything stood still are due from now on, which is what the home page measures their wait from.
    Idempotent on: names. What people changed stays. Writes: groups, people, accounts, terms, mappings, runs.
    """
    prepare_people(demo=demo)
    prepare_comparison(demo=demo, now=now)
    plan(now)


def prepare_people(*, demo: bool) -> None:
    """Make the roles; for a demo also one person of each role and the simulator's gateway accounts.

    Idempotent on: names. An existing person keeps the password. Writes: groups, people, the accounts.
    """
    sync_roles()
    if not demo:
        return
    known = set(User.objects.filter(username__in=DEMO_LOGINS).values_list("username", flat=True))
    for name, password in DEMO_LOGINS.items():
        if name not in known:
            make_staff(name, name, password)
    ensure_gateway_account("nmi", "nmi", "NMI (simulated)")
    ensure_gateway_account("convesiopay", "convesiopay", "ConvesioPay (simulated)", priority=200)
    ensure_gateway_account("stripe", "stripe", "Stripe (simulated)", priority=300)
