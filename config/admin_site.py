"""Who may enter the admin, and what frames its pages? The site: sign-in with second factor, home page, banner.

Decides nothing about payments. Only pages of the operator's kit are let in:
an admin class of another package could write.
"""

import base64
import io
from collections.abc import Callable
from functools import partial
from typing import Any, cast
from urllib.parse import unquote

import qrcode
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.module_loading import import_string
from django.utils.safestring import SafeString, mark_safe
from django_otp import login as mark_verified
from django_otp import user_has_device
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_otp.util import random_hex
from qrcode.image.svg import SvgPathImage
from unfold.sites import UnfoldAdminSite

from config.roles import DESCRIPTIONS, RIGHTS, Role, who_may
from config.services import WrongTokenError, enrol_second_factor
from config.sign_in import EnrolmentForm
from console.admin import LockedAdmin
from console.rights import rights_of
from console.values import Banner, WorkQueue

_HAS_DEVICE = "_console_has_device"
_PENDING = (
    "pending_second_factor"  # the secret between picture and proof; in the session, so that looking writes no row
)


class OperatorSite(UnfoldAdminSite):
    """The admin site of the back office."""

    login_template = "admin/login.html"
    index_template = "admin/index.html"
    index_title = "Home"

    # -- what is shown -------------------------------------------------------------------------------------------------
    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Take in pages of the kit only.

        Other packages register editing pages for their tables (people, devices): a second way to write, left out here.
        """
        if admin_class is not None and issubclass(admin_class, LockedAdmin):
            super().register(model_or_iterable, admin_class, **options)

    def get_urls(self) -> list[URLPattern]:
        enrol = path("second-factor/", super().admin_view(self.enrol), name="second_factor")
        return [enrol, *super().get_urls()]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context: dict[str, Any] = super().each_context(request)
        return {**context, "banners": self._banners(request), "page_time": timezone.now()}

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """List the pages by app, once somebody reads the list: every page is given it, and the side bar stands there instead."""
        return cast("list[Any]", SimpleLazyObject(partial(super().get_app_list, request, app_label)))

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The home page: what needs a person, then what this person may do."""
        context = {"queues": self._queues(request), **_standing(request), **(extra_context or {})}
        response: HttpResponse = super().index(request, context)
        return response

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Find pages by name among those the person may see. Unfold's own keeps pickles in the cache for all of them."""
        term = request.GET.get("s", "").casefold()
        if not term:
            return HttpResponse()
        found = Paginator(self._search_apps(self.get_app_list(request), term), per_page=100)
        name = "command" if "extended" in request.GET else "search"
        context = {"page_obj": found, "results": found.page(1), "page_counter": 0, "execution_time": 0}
        template = f"unfold/helpers/{name}_results.html"
        return TemplateResponse(request, template, context, headers={"HX-Trigger": "search"})

    # -- who may enter -------------------------------------------------------------------------------------------------
    def has_permission(self, request: HttpRequest) -> bool:
        """Staff, and verified by the second factor; without one only in a demo, or on the page that sets it up."""
        if not super().has_permission(request):
            return False
        return bool(request.user.is_verified()) or not _has_device(request)  # type: ignore[union-attr]  # OTPMiddleware adds it

    def admin_view(self, view: Callable[..., HttpResponse], cacheable: bool = False) -> Callable[..., HttpResponse]:  # noqa: FBT001, FBT002 - Django's signature
        """Send a person who still owes a second factor to the page that sets it up, whatever was asked for.

        An address with a NUL is a bad request: PostgreSQL cannot even be asked for one.
        """
        inner = super().admin_view(view, cacheable)

        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if "\x00" in request.path + unquote(request.META.get("QUERY_STRING", "")):
                return HttpResponseBadRequest("An address holds no NUL.\n", content_type="text/plain")
            if self.has_permission(request) and owes_second_factor(request):
                return HttpResponseRedirect(reverse(f"{self.name}:second_factor"))
            answer: HttpResponse = inner(request, *args, **kwargs)
            return answer

        return guarded

    def enrol(self, request: HttpRequest) -> HttpResponse:
        """Set up the second factor: the secret as a picture, and the digits that prove it arrived."""
        if _has_device(request):
            messages.info(request, "You already sign in with a second factor. An administrator can reset it.")
            return HttpResponseRedirect(reverse(f"{self.name}:index"))
        form = EnrolmentForm(request.POST if request.method == "POST" else None)
        key = request.session.setdefault(_PENDING, random_hex(20))
        if form.is_valid() and self._enrolled(request, form, key):
            del request.session[_PENDING]
            messages.success(request, "Your second factor is set up. It is asked for at every sign-in from now on.")
            return HttpResponseRedirect(reverse(f"{self.name}:index"))
        context = {
            **self.each_context(request), "title": "Set up your second factor", "form": form,
            "required": owes_second_factor(request),
            "picture": _picture(TOTPDevice(user=_person(request), key=key).config_url), "secret": _in_fours(key),
        }  # fmt: skip
        return TemplateResponse(request, "console/second_factor.html", context)

    def _enrolled(self, request: HttpRequest, form: EnrolmentForm, key: str) -> bool:
        try:
            device = enrol_second_factor(_person(request), key=key, token=form.cleaned_data["token"])
        except WrongTokenError as wrong:
            form.add_error("token", str(wrong))
            return False
        mark_verified(request, device)
        setattr(request, _HAS_DEVICE, True)
        return True

    # -- slots that the apps fill --------------------------------------------------------------------------------------
    def _banners(self, request: HttpRequest) -> list[Banner]:
        sources = (import_string(source) for source in getattr(settings, "CONSOLE_BANNERS", ()))
        return (
            [banner for source in sources if (banner := source(request)) is not None]
            if self.has_permission(request)
            else []
        )

    def _queues(self, request: HttpRequest) -> list[WorkQueue]:
        now = timezone.now()
        sources = (import_string(source) for source in getattr(settings, "CONSOLE_QUEUES", ()))
        return [queue for source in sources if (queue := source(request, now)) is not None]


def owes_second_factor(request: HttpRequest) -> bool:
    """Say whether the person must set up a second factor before anything else: everybody, outside a demo."""
    return not settings.DEMO and not _has_device(request)


def _has_device(request: HttpRequest) -> bool:
    """Asked several times a page, two queries each: remembered on the request."""
    known: bool | None = getattr(request, _HAS_DEVICE, None)
    if known is None:
        known = bool(user_has_device(request.user))
        setattr(request, _HAS_DEVICE, known)
    return known


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User), "admin_view lets only signed-in people through"
    return request.user


def _standing(request: HttpRequest) -> dict[str, Any]:
    """Tell the person their roles, what these allow, and who could do the rest."""
    roles = [
        Role(name)
        for name in _person(request).groups.order_by("name").values_list("name", flat=True)
        if name in set(Role)
    ]
    held = rights_of(_person(request))
    return {
        "roles": [(role.value.capitalize(), DESCRIPTIONS[role]) for role in roles],
        "may": [right.words for right in RIGHTS if right.name in held],
        "may_not": [(right.words, ", ".join(who_may(right.name))) for right in RIGHTS if right.name not in held],
    }


def _in_fours(key: str) -> str:
    """Write the secret for typing: base 32 in blocks of four."""
    text = base64.b32encode(bytes.fromhex(key)).decode().rstrip("=")
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def _picture(address: str) -> SafeString:
    """Draw the address as an inline picture; nothing is fetched, and the secret stands in no image address."""
    out = io.BytesIO()
    qrcode.make(address, image_factory=SvgPathImage, box_size=8, border=2).save(out)  # house: writes: a picture
    svg = out.getvalue().decode()
    return mark_safe(svg[svg.index("<svg") :])  # noqa: S308 - drawn here from our own text, no markup of anybody's inside
