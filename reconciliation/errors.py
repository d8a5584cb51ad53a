"""Why does this app refuse something, beyond what payments refuse? Each refusal is a sentence a person can act on."""

from __future__ import annotations

from payments.errors import PaymentsError


class UnreadableStatement(PaymentsError):
    """A file or answer as a whole is not what its source says: nothing of it was kept."""
