"""How does a spreadsheet come into the admin? One form with a file; sending it reads and checks, and starts nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from console.commands import CommandPage, Frame
from payments.errors import PaymentsError
from payments.services.actors import Actor
from payments.services.batches.upload import upload_batch
from payments.states import BatchState

_TOO_LARGE = "The file is larger than 20 MB. Split it."


class UploadForm(forms.Form):
    """A file, and nothing else: everything about it is found out by reading it."""

    file = forms.FileField(
        label="Spreadsheet",
        allow_empty_file=True,  # told by the dry run, with the sentence for it
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.xlsx"}),
        help_text="CSV in UTF-8 or XLSX, up to 50,000 rows and 20 MB.",
        error_messages={"required": "Choose a file first."},
    )


class UploadPage(CommandPage):
    """Form and dry run. There is no preview before it: the dry run is the preview of starting."""

    def respond(self, request: HttpRequest, admin: Frame, subject: Any, now: datetime) -> HttpResponse:
        """Answer a GET with the form, a POST with the way to what was found."""
        if request.method in ("GET", "HEAD"):
            return _page(request, admin, UploadForm())
        if request.method != "POST":
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD, POST"})
        form = UploadForm(request.POST, request.FILES)
        if getattr(request, "upload_too_large", False):
            form.errors["file"] = form.error_class([_TOO_LARGE])
        if not form.is_valid():
            return _page(request, admin, form)
        return self._read(request, admin, form, now)

    def _read(self, request: HttpRequest, admin: Any, form: UploadForm, now: datetime) -> HttpResponse:
        file = form.cleaned_data["file"]
        try:
            batch = upload_batch(file.name, file, actor=Actor.for_user(request.user), now=now)  # type: ignore[arg-type]
        except PaymentsError as refusal:
            form.add_error("file", str(refusal))
            return _page(request, admin, form)
        if batch.state == BatchState.REFUSED:
            messages.error(request, f"{batch.name} cannot be read: {batch.refused_because}")
        else:
            messages.success(request, f"{batch.name} is read: {batch.rows_total:,} rows. Nothing is started yet.")
        return HttpResponseRedirect(admin.url_of(batch))


def _page(request: HttpRequest, admin: Frame, form: UploadForm) -> HttpResponse:
    context = {"title": UPLOAD.title, "intro": UPLOAD.intro, "form": form}
    response = admin.page(request, "admin/payments/batch/upload.html", context)
    response.status_code = 422 if form.errors else 200
    return response


def _never(call: Any) -> Any:
    raise AssertionError("an upload has neither preview nor confirmation")


UPLOAD = UploadPage(
    name="upload",
    title="Upload payments",
    intro="The file is read and every row is checked. Nothing is charged before somebody starts it on the next page.",
    button="Read and check",
    form=UploadForm,
    preview=_never,
    execute=_never,
)
