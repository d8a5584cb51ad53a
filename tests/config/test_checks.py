"""Does each unsafe setting stop a production start, with its id and what to do, and a safe one not?"""

import os
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.core.management.base import SystemCheckError
from pytest_django import Settings

from config import checks
from config.roles import DEMO_LOGINS
from config.services import prepare_people
from payments.services.accounts import ensure_gateway_account

SAFE: dict[str, Any] = {
    "DEBUG": False,
    "DEMO": False,
    "SECRET_KEY": "r" * 50,
    "ALLOWED_HOSTS": ["pay.example.com"],
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_SECURE": True,
    "SECURE_SSL_REDIRECT": True,
    "PASSWORD_HASHERS": ["django.contrib.auth.hashers.PBKDF2PasswordHasher"],
}
FAST = "django.contrib.auth.hashers.MD5PasswordHasher"


@pytest.fixture(autouse=True)
def safe(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A production that may start."""
    for name, value in SAFE.items():
        setattr(settings, name, value)
    for field in ("SECURITY_KEY", "WEBHOOK_SECRET", "BASE_URL"):
        monkeypatch.setenv(f"GATEWAY_NMI_{field}", "x")


def refusal(*, database: bool = True) -> str:
    with pytest.raises(SystemCheckError) as refused:
        checks.refuse_unsafe_start(database=database)
    return str(refused.value)


@pytest.mark.django_db
def test_a_safe_production_starts() -> None:
    ensure_gateway_account("nmi", "nmi", "NMI")

    checks.refuse_unsafe_start()


@pytest.mark.parametrize(
    ("number", "changes", "advice"),
    [
        ("E001", {"DEBUG": True}, "Unset DEBUG"),
        ("E002", {"SECRET_KEY": checks.INSECURE_SECRET_KEY}, "Set SECRET_KEY"),
        ("E002", {"SECRET_KEY": "short"}, "at least 40 random characters"),
        ("E003", {"ALLOWED_HOSTS": []}, "Set ALLOWED_HOSTS"),
        ("E003", {"ALLOWED_HOSTS": ["*"]}, "Set ALLOWED_HOSTS"),
        ("E004", {"SECURE_SSL_REDIRECT": False}, "set TLS=1"),
        ("E004", {"SESSION_COOKIE_SECURE": False}, "set TLS=1"),
        ("E005", {"DATABASE_URL": ""}, "Set DATABASE_URL"),
        ("E006", {"OWNER_DATABASE": {"USER": "counterfoil_app"}}, "a plain role that owns nothing"),
        ("E010", {"PASSWORD_HASHERS": [FAST]}, "Unset PASSWORD_HASHERS"),
    ],
)
def test_an_unsafe_setting_refuses_a_production_start(
    settings: Settings, number: str, changes: dict[str, Any], advice: str
) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)

    said = refusal(database=False)

    assert f"(counterfoil.{number})" in said
    assert advice in said
    assert said.count("counterfoil.E") == 1


def test_another_database_than_postgresql_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "django.db.backends.sqlite3")

    assert "counterfoil.E005" in refusal(database=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_site_on_the_loopback_needs_no_tls(settings: Settings, host: str) -> None:
    settings.ALLOWED_HOSTS = [host]
    settings.SECURE_SSL_REDIRECT = settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False

    checks.refuse_unsafe_start(database=False)


def test_a_demo_may_start_with_settings_a_production_may_not(settings: Settings) -> None:
    settings.DEMO, settings.DEBUG, settings.SECRET_KEY = True, True, "short"

    checks.refuse_unsafe_start(database=False)


@pytest.mark.django_db(transaction=True)
class TestWhatOnlyTheDatabaseKnows:
    def test_an_application_role_that_owns_a_table_is_refused(self, owner_connection: psycopg.Connection) -> None:
        owner_connection.execute("GRANT CREATE ON SCHEMA public TO counterfoil_app")
        from django.db import connection

        try:
            with connection.cursor() as cursor:
                cursor.execute("CREATE TABLE mine (id int)")
            assert "role counterfoil_app owns tables" in refusal()
        finally:
            owner_connection.execute("DROP TABLE IF EXISTS mine")
            owner_connection.execute("REVOKE CREATE ON SCHEMA public FROM counterfoil_app")

    @pytest.mark.parametrize("demo", [True, False])
    def test_a_trigger_that_is_switched_off_is_refused(
        self, owner_connection: psycopg.Connection, settings: Settings, demo: bool
    ) -> None:
        settings.DEMO = demo
        owner_connection.execute("ALTER TABLE ledger_posting DISABLE TRIGGER USER")
        try:
            said = refusal()
        finally:
            owner_connection.execute("ALTER TABLE ledger_posting ENABLE TRIGGER USER")

        assert "counterfoil.E007" in said
        assert "switched off on ledger_posting" in said

    def test_an_enabled_account_without_a_credential_is_refused_by_the_variables_name(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ensure_gateway_account("nmi", "nmi", "NMI")
        monkeypatch.delitem(os.environ, "GATEWAY_NMI_SECURITY_KEY")

        said = refusal()

        assert "counterfoil.E008" in said
        assert "GATEWAY_NMI_SECURITY_KEY" in said

    def test_a_disabled_account_needs_no_credential(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ensure_gateway_account("nmi", "nmi", "NMI", enabled=False)
        monkeypatch.delitem(os.environ, "GATEWAY_NMI_SECURITY_KEY")

        checks.refuse_unsafe_start()

    def test_a_demo_beside_a_live_account_is_refused(self, settings: Settings) -> None:
        settings.DEMO = True
        ensure_gateway_account("nmi", "nmi", "NMI", live=True)

        said = refusal()

        assert "counterfoil.E009" in said
        assert "live gateway account nmi" in said

    def test_a_demo_login_that_still_works_is_refused_in_production(self, settings: Settings) -> None:
        settings.PASSWORD_HASHERS = [FAST]
        prepare_people(demo=True)
        User.objects.exclude(username__in=["operator"]).delete()

        said = refusal()

        assert "counterfoil.E011" in said
        assert "Demo logins still work: operator." in said


def test_every_check_has_a_number_of_its_own() -> None:
    numbers = [(check.__doc__ or "")[:4] for check in checks.CHECKS]

    assert numbers == [f"E{number:03d}" for number in range(1, len(numbers) + 1)]
    assert set(DEMO_LOGINS) == {"support", "operator", "finance", "auditor", "admin"}
