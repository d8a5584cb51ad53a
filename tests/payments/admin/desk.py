"""A person at the admin: signed in by role, filling in command pages as a browser would, reading words without markup."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from django.test import Client

from config.services import make_staff


def signed_in(role: str, name: str = "") -> Client:
    client = Client()
    client.force_login(make_staff(name or role, role, "pw"))
    return client


def text_of(answer: Any) -> str:
    """The page's words."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def prepare(client: Client, path: str, **typed: str) -> tuple[Any, dict[str, str]]:
    """Open the form, type, ask what will happen: the answer, and what confirming it would post."""
    form = client.get(path).context["form"]
    answers = {name: str(form[name].value()) for name in form.fields if form[name].value() not in (None, "")}
    answers |= typed
    shown = client.post(path, {**answers, "step": "preview"})
    return shown, {**answers, "step": "execute", "preview_seal": str(shown.context.get("seal", ""))}
