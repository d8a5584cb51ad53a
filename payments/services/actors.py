"""Who is acting, and may they? Rights come from groups only: being superuser gives none over money."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser, Group, Permission

from payments.errors import Forbidden


@dataclass(frozen=True, slots=True)
class Actor:
    """A person, an API token, or the system itself. `label` is what the timeline shows."""

    label: str
    user_id: int | None = None
    permissions: frozenset[str] = frozenset()
    is_system: bool = False

    @classmethod
    def for_user(cls, user: AbstractBaseUser) -> Actor:
        """Reads the permissions of the person's groups; neither superuser nor a direct grant counts."""
        rows = Permission.objects.filter(group__user=user.pk).values_list("content_type__app_label", "codename")
        granted = frozenset(f"{app}.{codename}" for app, codename in rows)
        return cls(label=user.get_username(), user_id=user.pk, permissions=granted)

    @classmethod
    def api(cls, token_name: str, scopes: list[str]) -> Actor:
        """A merchant system: payments:write may create, capture and cancel, refunds:write may refund."""
        granted: set[str] = set()
        if "payments:write" in scopes:
            granted |= {"payments.create_payment", "payments.capture_payment", "payments.cancel_payment"}
        if "refunds:write" in scopes:
            granted.add("payments.refund_payment")
        return cls(label=f"API {token_name}", permissions=frozenset(granted))

    def require(self, permission: str) -> None:
        """Raises: Forbidden naming the roles that could."""
        if self.is_system or permission in self.permissions:
            return
        app, codename = permission.split(".")
        groups = Group.objects.filter(permissions__codename=codename, permissions__content_type__app_label=app)
        could = ", ".join(sorted(groups.values_list("name", flat=True))) or "nobody yet"
        raise Forbidden(f"{self.label} may not do this ({codename.replace('_', ' ')}). Roles that may: {could}.")


SYSTEM = Actor(label="", is_system=True)
