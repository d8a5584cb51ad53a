"""Is it safe to start like this? System checks; they read settings and catalogues and change nothing.

`check --deploy` runs them all. A demo start runs the ones that hold for a demo as well; any other start runs all of them
and refuses to go on with an error.
"""

from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.checks import CheckMessage, Error, register, run_checks
from django.core.management.base import SystemCheckError
from django.db import connection

from config.roles import DEMO_LOGINS
from config.settings import INSECURE_SECRET_KEY
from payments.services.accounts import enabled_accounts, missing_credentials

TAG = "counterfoil"
LOOPBACK = {"127.0.0.1", "localhost", "[::1]", "::1"}
BOOKS = ("ledger_account", "ledger_journalentry", "ledger_posting")
Messages = list[CheckMessage]


def refuse_unsafe_start(*, database: bool = True) -> None:
    """Run the checks of this kind of start. Raises: SystemCheckError listing every error with its hint."""
    found = run_checks(
        tags=[TAG],
        include_deployment_checks=not settings.DEMO,
        databases=["default"] if database else None,
    )
    errors = [message for message in found if message.is_serious()]
    if errors:
        raise SystemCheckError("This start is refused:\n" + "\n".join(f"  {error}" for error in errors))


def _unless(fine: object, number: int, problem: str, hint: str) -> Messages:
    return [] if fine else [Error(problem, hint=hint, id=f"{TAG}.E{number:03d}")]


@register(TAG, deploy=True)
def check_debug(app_configs: Any, **kwargs: Any) -> Messages:
    """E001: error pages with settings and code."""
    return _unless(not settings.DEBUG, 1, "DEBUG is on.", "Unset DEBUG: its error pages show settings and code.")


@register(TAG, deploy=True)
def check_secret_key(app_configs: Any, **kwargs: Any) -> Messages:
    """E002: sessions anybody could sign."""
    good = settings.SECRET_KEY != INSECURE_SECRET_KEY and len(settings.SECRET_KEY) >= 40
    return _unless(
        good,
        2,
        "SECRET_KEY is the default or too short.",
        "Set SECRET_KEY to at least 40 random characters, kept secret.",
    )


@register(TAG, deploy=True)
def check_hosts(app_configs: Any, **kwargs: Any) -> Messages:
    """E003: any Host header believed, or none."""
    good = settings.ALLOWED_HOSTS and "*" not in settings.ALLOWED_HOSTS
    return _unless(
        good, 3, "ALLOWED_HOSTS is empty or allows any host.", "Set ALLOWED_HOSTS to the names of this site."
    )


@register(TAG, deploy=True)
def check_tls(app_configs: Any, **kwargs: Any) -> Messages:
    """E004: passwords and sessions readable on the way. A site reached over the loopback only needs no TLS."""
    secure = settings.SESSION_COOKIE_SECURE and settings.CSRF_COOKIE_SECURE and settings.SECURE_SSL_REDIRECT
    return _unless(
        secure or set(settings.ALLOWED_HOSTS) <= LOOPBACK,
        4,
        "The site has a public name but no TLS settings.",
        "Put it behind a proxy that speaks https and sets X-Forwarded-Proto, and set TLS=1.",
    )


@register(TAG, deploy=True)
def check_postgresql(app_configs: Any, **kwargs: Any) -> Messages:
    """E005: books without PostgreSQL's enforcement, or a database somebody forgot to name."""
    good = settings.DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql" and settings.DATABASE_URL
    return _unless(
        good, 5, "There is no PostgreSQL to work on.", "Set DATABASE_URL to postgresql://… of the application's role."
    )


@register(TAG, deploy=True)
def check_two_roles(app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any) -> Messages:
    """E006: whoever owns the books can switch their enforcement off."""
    hint = "Let DATABASE_OWNER_URL own the tables and migrate, and give DATABASE_URL a plain role that owns nothing."
    app, owner = settings.DATABASES["default"]["USER"], settings.OWNER_DATABASE.get("USER")
    problem = f"DATABASE_URL and DATABASE_OWNER_URL are the same role ({app})." if owner and app == owner else ""
    if not problem and databases:
        problem = _excess_of_role()
    return _unless(not problem, 6, problem, hint)


def _excess_of_role() -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolname, rolsuper, EXISTS (SELECT FROM pg_class WHERE relowner = r.oid)"
            " OR EXISTS (SELECT FROM pg_database WHERE datdba = r.oid) FROM pg_roles r WHERE rolname = current_user"
        )
        name, superuser, owns = cursor.fetchone()
    if superuser:
        return f"The application's role {name} is a superuser of the database."
    return f"The application's role {name} owns tables or a database." if owns else ""


@register(TAG)
def check_triggers(app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any) -> Messages:
    """E007: books that take edits. Also in a demo."""
    if not databases:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.name, count(tg.oid), count(tg.oid) FILTER (WHERE tg.tgenabled NOT IN ('O', 'A'))"
            " FROM unnest(%s::text[]) AS t(name) LEFT JOIN pg_trigger tg"
            " ON tg.tgrelid = to_regclass(t.name) AND NOT tg.tgisinternal"
            " GROUP BY t.name ORDER BY t.name",
            [list(BOOKS)],
        )
        open_tables = [name for name, total, disabled in cursor.fetchall() if disabled or not total]
    return _unless(
        not open_tables,
        7,
        f"Triggers that protect the books are missing or switched off on {', '.join(open_tables)}.",
        "Run migrate as the owner, or ALTER TABLE … ENABLE TRIGGER USER, then verify_ledger.",
    )


@register(TAG, deploy=True)
def check_credentials(app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any) -> Messages:
    """E008: an account that takes payments nobody can send."""
    accounts = enabled_accounts() if databases else []
    return [
        message
        for account in accounts
        if (missing := missing_credentials(account))
        for message in _unless(
            fine=False,
            number=8,
            problem=f"The enabled gateway account {account.slug} lacks {', '.join(missing)}.",
            hint="Set the variable, or disable the account in the admin.",
        )
    ]


@register(TAG)
def check_demo_beside_live(app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any) -> Messages:
    """E009: demo logins and tokens beside real money. Also in a demo."""
    live = [account.slug for account in enabled_accounts() if account.live] if databases and settings.DEMO else []
    return _unless(
        not live,
        9,
        f"Demo features are on beside the live gateway account {', '.join(live)}.",
        "Start with DEMO=0, or disable the live account.",
    )


@register(TAG, deploy=True)
def check_password_hashers(app_configs: Any, **kwargs: Any) -> Messages:
    """E010: passwords that can be guessed from a stolen table."""
    weak = [path for path in settings.PASSWORD_HASHERS if "MD5" in path or "SHA1" in path]
    return _unless(not weak, 10, f"A fast password hasher is in use: {', '.join(weak)}.", "Unset PASSWORD_HASHERS.")


@register(TAG, deploy=True)
def check_demo_logins(app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any) -> Messages:
    """E011: the printed passwords of an earlier demo still open the door."""
    people = User.objects.filter(username__in=DEMO_LOGINS, is_active=True) if databases else User.objects.none()
    known = sorted(p.username for p in people if p.check_password(DEMO_LOGINS[p.username]))
    return _unless(
        not known,
        11,
        f"Demo logins still work: {', '.join(known)}.",
        "Give each a new password (manage.py staff NAME --role ROLE --password P), or use another database.",
    )


CHECKS: tuple[Callable[..., Messages], ...] = (
    check_debug,
    check_secret_key,
    check_hosts,
    check_tls,
    check_postgresql,
    check_two_roles,
    check_triggers,
    check_credentials,
    check_demo_beside_live,
    check_password_hashers,
    check_demo_logins,
)
