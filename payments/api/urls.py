"""Where is each endpoint? The addresses below /api/v1/, their documentation, and a problem for every other address."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI

from payments.api.endpoints import router
from payments.api.problems import MethodRefused, UnknownAddress, problem, speak_problems

api = NinjaAPI(
    title="Counterfoil",
    version="1",
    urls_namespace="api",
    openapi_url="/openapi.json",
    docs_url="/docs",
    description="Every POST needs an Idempotency-Key; every refusal is application/problem+json.",
)
api.add_router("", router)
speak_problems(api)


def _refusing_methods(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """The framework refuses a method in plain text, outside its exception handlers."""

    @csrf_exempt  # bearer tokens are not sent by a browser on its own
    @wraps(view)
    def answer(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        response.headers.setdefault(
            "Cache-Control", "no-store"
        )  # it names payers, and the address alone does not say to whom
        if response.status_code != 405:
            return response
        allowed = response.headers.get("Allow", "")
        refused = problem(MethodRefused(f"{request.method} is not possible here. Possible: {allowed}."))
        refused.headers["Allow"] = allowed
        return refused

    return answer


@csrf_exempt
def unknown_address(request: HttpRequest) -> HttpResponse:
    """Nothing is here."""
    return problem(UnknownAddress("There is nothing at this address. The endpoints are listed at /api/v1/docs."))


_endpoints = [path("", unknown_address, name="api-root")] + [  # the schema asks for its name
    URLPattern(known.pattern, _refusing_methods(known.callback), known.default_args, known.name)
    for known in api.urls[0]
    if isinstance(known, URLPattern) and known.name != "api-root"
]
urlpatterns: list[URLPattern | URLResolver] = [
    path("", include((_endpoints, "ninja"), namespace=api.urls_namespace)),
    re_path(r"^.*$", unknown_address),
]
