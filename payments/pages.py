"""Which pages may a payer open? Reached by a random token alone; each makes one service call and shows what it says."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from payments.errors import NotFound
from payments.services import payer_page
from payments.services.payer_page import PayerView


@require_safe
def pay(request: HttpRequest, token: str) -> HttpResponse:
    """The payer's page: what is owed, how it stands, and the way to their bank."""
    try:
        return _page(request, payer_page.look_at(token))
    except NotFound:
        return _unknown(request)


@require_safe
def came_back(request: HttpRequest, token: str) -> HttpResponse:
    """The payer is back from their bank, any number of times. What the address carries is not believed: the gateway is asked."""
    try:
        return _page(request, payer_page.came_back(token, timezone.now()))
    except NotFound:
        return _unknown(request)


def _page(request: HttpRequest, view: PayerView) -> HttpResponse:
    response = render(request, "payments/pay.html", {"view": view})
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"  # the address is the payer's key to this page
    if not view.ended and not view.confirm_url:
        response.headers["Refresh"] = "3"
    return response


def _unknown(request: HttpRequest) -> HttpResponse:
    return render(request, "payments/pay.html", {"view": None}, status=404)
