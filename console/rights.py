"""Which rights does this person hold through a role? Knows no role by name, and gives nobody anything."""

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Permission

_CACHE = "_console_rights"


def rights_of(user: AbstractBaseUser | AnonymousUser) -> frozenset[str]:
    """Return the rights ("app_label.codename") the person's groups give.

    Membership alone counts: being a superuser gives nothing here, so that nobody moves money by being an administrator.
    One query for each person object, then remembered on it.
    """
    if not user.is_authenticated or not user.is_active:
        return frozenset()
    known: frozenset[str] | None = getattr(user, _CACHE, None)
    if known is None:
        pairs = Permission.objects.filter(group__user=user.pk).values_list("content_type__app_label", "codename")
        known = frozenset(f"{app}.{codename}" for app, codename in pairs.order_by().distinct())
        setattr(user, _CACHE, known)
    return known


def holds_right(user: AbstractBaseUser | AnonymousUser, right: str) -> bool:
    """Say whether one of the person's roles gives the right ("payments.refund_payment")."""
    return right in rights_of(user)
