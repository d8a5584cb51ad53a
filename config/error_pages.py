"""What does a person read where there is no page to show? Nothing there, not allowed, a form grown old, or broken.

Below the admin the answer leads back to the desk, inside its frame where a signed-in person's browser asks. Anywhere
else a stranger may be reading: those pages name neither the product nor the admin. The API has answers of its own.
"""

from __future__ import annotations

from django.contrib import admin
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.csrf import requires_csrf_token

from config.admin_site import owes_second_factor
from config.roles import RIGHTS, who_may

_DESK = "/admin/"


@requires_csrf_token
def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404, with what was looked for in the words of the page that did not find it."""
    return _answer(request, "404.html", 404, title="Not found", said=_words_of(exception))


@requires_csrf_token
def not_allowed(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403, with what is not allowed and who could."""
    return _answer(request, "403.html", 403, title="Not allowed", said=_who_could(exception))


@requires_csrf_token
def form_too_old(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form without a valid token of ours. Why exactly stands in the log and is nobody else's business."""
    return _answer(request, "403_csrf.html", 403, title="Not accepted", said="")


def broken(request: HttpRequest) -> HttpResponse:
    """500. Whatever broke may break this as well: no frame, no person, no database."""
    return _sent(render_to_string("500.html", {"desk": _is_desk(request)}), 500)


def _answer(request: HttpRequest, template: str, status: int, *, title: str, said: str) -> HttpResponse:
    desk = _is_desk(request)
    context = {"desk": desk, "title": title, "said": said if desk else ""}
    if desk and "text/html" in request.headers.get("Accept", ""):
        try:
            if admin.site.has_permission(request) and not owes_second_factor(request):
                framed = {**admin.site.each_context(request), **context, "frame": "errors/framed.html"}
                return _sent(render_to_string(template, framed, request), status)
        except DatabaseError:
            pass  # nobody can be asked who is reading: the page without frame says the same
    return _sent(render_to_string(template, context), status)


def _sent(page: str, status: int) -> HttpResponse:
    return HttpResponse(page, status=status, headers={"Cache-Control": "no-store"})


def _is_desk(request: HttpRequest) -> bool:
    return request.path.startswith(_DESK)


def _who_could(exception: Exception) -> str:
    """What the person may not do and which roles may, where the page named the right; else what it said."""
    name = exception.args[1] if len(exception.args) > 1 else ""
    words = next((right.words for right in RIGHTS if right.name == name), "")
    if not words:
        return _words_of(exception)
    could = " or ".join(role.value for role in who_may(name)).capitalize() or "Nobody"
    return f"Your roles do not let you {words}. {could} could."


def _words_of(exception: Exception) -> str:
    """Our own sentence, if a page of ours said one. The framework's are about addresses and tables."""
    said = exception.args[0] if exception.args else ""
    return said if isinstance(said, str) else ""
