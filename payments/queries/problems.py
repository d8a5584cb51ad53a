"""How is a refusal told to a machine? RFC 9457 problem details out of the refusals of this app; reads nothing."""

from __future__ import annotations

from payments.errors import PaymentsError

PROBLEM_TYPE = "application/problem+json"


def problem_view(error: PaymentsError) -> dict[str, object]:
    """The members of the problem: type, title, status, detail, code; field and others where the refusal has them."""
    problem: dict[str, object] = {
        "type": f"urn:counterfoil:problem:{error.code}",
        "title": error.code.replace("_", " ").capitalize(),
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
    }
    if error.field:
        problem["field"] = error.field
    return problem | error.extra
