"""Which headers protect a page in the browser? One policy for the admin, a strict one for everything else."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

STRICT = "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
# Alpine inside Unfold evaluates its attribute expressions with `new Function`, and colours its theme by inline styles.
ADMIN = f"{STRICT}; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
# The API's docs page draws icons from data: URLs and styles itself inline; it evaluates nothing.
DOCS = f"{STRICT}; style-src 'self' 'unsafe-inline'; img-src 'self' data:"


class ContentSecurityPolicy:
    """Adds the policy to every answer that does not bring its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, then say what a browser may load for it."""
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", policy_for(request.path))
        response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()")
        return response


def policy_for(path: str) -> str:
    """The policy of the part of the site `path` belongs to."""
    if path.startswith("/admin/"):
        return ADMIN
    return DOCS if path.startswith("/api/v1/docs") else STRICT
