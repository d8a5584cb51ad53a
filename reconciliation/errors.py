"""Why does this app refuse something, beyond what payments refuse? Each refusal is a sentence a person can act on."""

from __future__ import annotations

from payments.errors import PaymentsError


class UnreadableStatement(PaymentsError):
    """A file or answer as a whole is not what its source says: nothing of it was kept."""


class ExportBroken(PaymentsError):
    """A file is not what was counted or kept: it is not handed out."""


class Gone(PaymentsError):
    """A file was there and is not any more; says how to get it again."""

    code, status = "gone", 410
