"""How does a person start a command? Form, preview, execute: three screens around one service call.

The page decides nothing. Forms, preview and execution are handed in by the app's admin; permission, state and version
are checked in the service. What is executed is exactly what was shown: the preview is sealed with the
answers, the version, the person and a fresh request id, and a seal that does not fit executes nothing.
"""

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from django import forms
from django.contrib import messages
from django.core import signing
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from console.values import KeyValue, Outcome, Preview, Tone

_SALT = "console.commands.preview"
PREVIEW_LIVES_SECONDS = 900
_SEAL, _STEP = "preview_seal", "step"
_LEVELS = {
    Tone.GOOD: messages.SUCCESS,
    Tone.INFO: messages.INFO,
    Tone.QUIET: messages.INFO,
    Tone.WARN: messages.WARNING,
}


class Frame(Protocol):
    """The part of an admin class a command page needs: to answer with a page, and to say where the row lives."""

    def page(self, request: HttpRequest, template: str, context: dict[str, Any], obj: Any = None) -> HttpResponse: ...


@dataclass(frozen=True, slots=True)
class CommandCall:
    """What a service is told: who asks, on which row, with which answers, at which version, once (`request_id`)."""

    actor: Any
    subject: Any
    answers: dict[str, Any]
    version: str
    request_id: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why the row is no longer what the person saw: who changed what, and when."""

    who: str
    what: str
    at: datetime | None = None


class SealError(ValueError):
    """The confirmation does not belong to a preview of this person, these answers, this row, or it is too old."""


@dataclass(frozen=True, slots=True)
class CommandPage:
    """One command as a page.

    `preview(call)` and `execute(call)` are the app's. Both may raise one of `refusals` (shown on the form, nothing is
    lost), `execute` one of `conflicts` (409, told by `describe_conflict`). `request_id` makes executing idempotent:
    pressing twice, or going back, gives the service the same id again.
    """

    name: str
    title: str
    intro: str
    button: str
    form: Callable[..., forms.Form]
    preview: Callable[[CommandCall], Preview]
    execute: Callable[[CommandCall], Outcome]
    refusals: tuple[type[Exception], ...] = ()
    conflicts: tuple[type[Exception], ...] = ()
    describe_conflict: Callable[[Exception], Conflict] = lambda error: Conflict("Somebody else", str(error))
    facts: Callable[[Any], list[KeyValue]] = lambda subject: []
    return_to: Callable[[Any], str] = lambda subject: ".."
    initial: Callable[[Any], dict[str, Any]] = lambda subject: {}

    def respond(self, request: HttpRequest, admin: Frame, subject: Any, now: datetime) -> HttpResponse:
        """Answer a GET with the form, a POST with the preview or, confirmed, with the command done."""
        if request.method in ("GET", "HEAD"):
            return self._show(request, admin, subject, self.form(initial=self.initial(subject)))
        if request.method != "POST":
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD, POST"})
        form = self.form(data=request.POST, initial=self.initial(subject))
        if not form.is_valid() or request.POST.get(_STEP) == "edit":
            return self._show(request, admin, subject, form)
        if request.POST.get(_STEP) == "execute":
            return self._execute(request, admin, subject, form, now)
        return self._preview(request, admin, subject, form, now)

    def _preview(
        self, request: HttpRequest, admin: Frame, subject: Any, form: forms.Form, now: datetime
    ) -> HttpResponse:
        request_id = secrets.token_hex(16)
        call = CommandCall(request.user, subject, form.cleaned_data, "", request_id, now)
        try:
            preview = self.preview(call)
        except self.refusals as refusal:
            form.add_error(None, str(refusal))
            return self._show(request, admin, subject, form)
        if preview.objections:
            form.add_error(None, preview.summary)
            return self._show(request, admin, subject, form, {"objections": preview.objections})
        seal = {"shown": self._digest(request, subject, form), "version": preview.version, "request_id": request_id}
        context = {"preview": preview, "seal": signing.dumps(seal, salt=_SALT), "seal_name": _SEAL}
        return self._show(request, admin, subject, form, context)

    def _execute(
        self, request: HttpRequest, admin: Frame, subject: Any, form: forms.Form, now: datetime
    ) -> HttpResponse:
        try:
            seal = self._open_seal(request, subject, form)
            call = CommandCall(request.user, subject, form.cleaned_data, seal["version"], seal["request_id"], now)
            outcome = self.execute(call)
        except SealError as broken:
            form.add_error(None, str(broken))
        except self.conflicts as conflict:
            context = {"conflict": self.describe_conflict(conflict), "again_url": request.path}
            return self._show(request, admin, subject, form, context, status=409)
        except self.refusals as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.add_message(request, _LEVELS.get(outcome.tone, messages.ERROR), outcome.message)
            return HttpResponseRedirect(outcome.url)
        return self._show(request, admin, subject, form)

    def _open_seal(self, request: HttpRequest, subject: Any, form: forms.Form) -> dict[str, Any]:
        try:
            seal: dict[str, Any] = signing.loads(request.POST.get(_SEAL, ""), salt=_SALT, max_age=PREVIEW_LIVES_SECONDS)
        except signing.SignatureExpired as error:
            raise SealError("This preview is older than 15 minutes. Look at a fresh one, then confirm.") from error
        except signing.BadSignature as error:
            raise SealError(
                "There is no preview behind this confirmation. Look at the preview, then confirm."
            ) from error
        if seal["shown"] != self._digest(request, subject, form):
            raise SealError("The answers are not the ones the preview showed. Look at the new preview, then confirm.")
        return seal

    def _digest(self, request: HttpRequest, subject: Any, form: forms.Form) -> str:
        """Bind command, person, row and answers together, as the person typed them."""
        shown = {name: form[name].data for name in form.fields}
        bound = [self.name, str(request.user.pk), str(getattr(subject, "pk", "")), shown]
        return hashlib.sha256(json.dumps(bound, sort_keys=True, cls=DjangoJSONEncoder).encode()).hexdigest()

    def _show(
        self, request: HttpRequest, admin: Frame, subject: Any, form: forms.Form,
        extra: dict[str, Any] | None = None, *, status: int = 200,
    ) -> HttpResponse:  # fmt: skip
        context = {
            "title": self.title,
            "command": self,
            "form": form,
            "facts": self.facts(subject),
            "return_url": self.return_to(subject),
            "step_name": _STEP,
            **(extra or {}),
        }
        response = admin.page(request, "console/command.html", context, subject)
        response.status_code = status if status != 200 else (422 if form.errors else 200)
        return response
