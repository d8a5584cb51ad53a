"""Is guessing slowed down, and is nobody locked out who should not be?"""

from pathlib import Path
from typing import Any

import pytest
from django.core.cache.backends.redis import RedisCache
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice
from pytest_django import Settings

from config import sign_in_limit
from config.services import make_staff
from config.sign_in_limit import TRIES

pytestmark = pytest.mark.django_db
PASSWORD = "right-horse-battery"


@pytest.fixture(autouse=True)
def _person(settings: Settings, redis: Any) -> None:
    settings.DEMO = True
    make_staff("operator", "operator", PASSWORD)


def sign_in(password: str, *, name: str = "operator", **more: Any) -> Any:
    return Client().post("/admin/login/", {"username": name, "password": password}, **more)


def guess(times: int, **more: Any) -> None:
    for _ in range(times):
        assert sign_in("wrong", **more).status_code == 200


def test_the_right_password_works_after_fewer_wrong_ones() -> None:
    guess(TRIES - 1)

    assert sign_in(PASSWORD).status_code == 302


def test_after_too_many_wrong_ones_the_right_one_is_not_looked_at() -> None:
    guess(TRIES)

    answer = sign_in(PASSWORD)

    assert answer.status_code == 200
    assert "was tried 10 times without success" in answer.text
    assert "_auth_user_id" not in answer.client.session


def test_the_name_is_the_same_in_any_case() -> None:
    guess(TRIES, name="OPERATOR")

    assert sign_in(PASSWORD).status_code == 200


def test_success_begins_anew() -> None:
    guess(TRIES - 1)
    sign_in(PASSWORD)
    guess(TRIES - 1)

    assert sign_in(PASSWORD).status_code == 302


def test_a_stranger_elsewhere_locks_nobody_out() -> None:
    guess(TRIES, REMOTE_ADDR="203.0.113.9")

    assert sign_in(PASSWORD, REMOTE_ADDR="203.0.113.10").status_code == 302


def test_behind_the_proxy_its_own_word_counts_and_not_the_visitors(settings: Settings) -> None:
    settings.TLS = True
    for number in range(TRIES):
        sign_in("wrong", headers={"X-Forwarded-For": f"198.51.100.{number}, 203.0.113.9"})

    assert sign_in(PASSWORD, headers={"X-Forwarded-For": "198.51.100.99, 203.0.113.9"}).status_code == 200
    assert sign_in(PASSWORD, headers={"X-Forwarded-For": "203.0.113.9, 203.0.113.10"}).status_code == 302


def test_without_the_proxy_its_header_is_nobodys_word(settings: Settings) -> None:
    settings.TLS = False
    for number in range(TRIES):
        sign_in("wrong", headers={"X-Forwarded-For": f"198.51.100.{number}"})

    assert sign_in(PASSWORD, headers={"X-Forwarded-For": "198.51.100.99"}).status_code == 200


def test_wrong_digits_of_the_second_factor_count_too() -> None:
    person = make_staff("finance", "finance", PASSWORD)
    TOTPDevice.objects.create(user=person, key="31" * 20, confirmed=True)
    for _ in range(TRIES):
        sign_in(PASSWORD, name="finance")

    assert "was tried 10 times" in sign_in(PASSWORD, name="finance").text


def test_with_redis_away_everybody_who_may_comes_in(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path
) -> None:
    away = RedisCache(f"unix://{tmp_path}/nobody.sock", {"OPTIONS": {"retry": None}})
    monkeypatch.setattr(sign_in_limit, "cache", away)
    guess(TRIES + 1)

    assert sign_in(PASSWORD).status_code == 302


def test_neither_name_nor_password_lies_in_redis(redis: Any) -> None:
    sign_in("wrong-password", name="my-password-typed-as-name")

    kept = b" ".join(redis.keys("*"))
    assert b"sign-in" in kept
    assert b"my-password" not in kept and b"wrong-password" not in kept


@pytest.mark.parametrize("name", ["a\x00", "x" * 100_000, "\u202e", "' OR 1=1 --"])
def test_hostile_names_are_only_wrong(name: str) -> None:
    assert sign_in("wrong", name=name).status_code == 200


@pytest.mark.parametrize("place", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"])
def test_signing_in_leads_nowhere_else(place: str) -> None:
    answer = Client().post("/admin/login/", {"username": "operator", "password": PASSWORD, "next": place})

    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")


def test_the_session_is_a_new_one_and_its_cookie_is_kept_from_scripts(settings: Settings) -> None:
    client = Client()
    client.get("/admin/login/")
    planted = client.session
    planted["planted"] = "1"
    planted.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = str(planted.session_key)

    client.post("/admin/login/", {"username": "operator", "password": PASSWORD})

    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    assert cookie.value != planted.session_key
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


@pytest.mark.parametrize("name", ["x" * 151, "a\x00b", "a\nb", "a\udc80"])
def test_a_name_that_cannot_be_stored_makes_nobody(name: str) -> None:
    with pytest.raises(ValueError, match="at most 150 characters, all of which can be seen"):
        make_staff(name, "operator", PASSWORD)
