"""Which pages may a payer open? Reached by a random token alone; each makes one service call and shows what it says."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from payments.errors import NotFound
from payments.services import payer_page
from payments.services.payer_page import PayerView

_MOVING_SECONDS, _ASKED_SECONDS = 3, 10  # the page is asked for again after this


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
        return _page(request, payer_page.came_back(token, timezone.now()), look_again=reverse("pay", args=(token,)))
    except NotFound:
        return _unknown(request)


def _page(request: HttpRequest, view: PayerView, look_again: str = "") -> HttpResponse:
    response = _secret(render(request, "payments/pay.html", {"view": view}))
    if not view.ended:  # also while their bank waits for them: they may have confirmed on another device
        seconds = _ASKED_SECONDS if view.confirm_url else _MOVING_SECONDS
        response.headers["Refresh"] = f"{seconds}; url={look_again}" if look_again else str(seconds)
    return response


def _unknown(request: HttpRequest) -> HttpResponse:
    return _secret(render(request, "payments/pay.html", {"view": None}, status=404))


def _secret(response: HttpResponse) -> HttpResponse:
    """The address is the payer's key to this page: kept by no cache, told to no other site."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
