"""Who are you? Name, password and, where the person has one, the digits of the second factor. Writes nothing."""

from typing import Any

from django import forms
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django_otp import devices_for_user
from django_otp.forms import OTPAuthenticationFormMixin
from unfold.forms import AuthenticationForm
from unfold.widgets import BASE_INPUT_CLASSES

from config.sign_in_limit import TRIES, WINDOW_SECONDS, forget_tries, note_try

TOO_MANY = (
    f"This name was tried {TRIES} times without success from where you are. "
    f"Wait {WINDOW_SECONDS // 60} minutes; the right password is not looked at before."
)
DIGITS = {"autocomplete": "one-time-code", "inputmode": "numeric", "pattern": "[0-9 ]*", "maxlength": "8"}


class TokenField(forms.CharField):
    """Six digits of an authenticator app; blanks people copy along are dropped."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.TextInput(attrs={**DIGITS, "class": " ".join(BASE_INPUT_CLASSES)})
        super().__init__(label="Authentication code", widget=widget, max_length=8, **kwargs)

    def clean(self, value: Any) -> str:
        return str(super().clean(value)).replace(" ", "")


class SignInForm(OTPAuthenticationFormMixin, AuthenticationForm):  # type: ignore[misc]  # both come without types
    """Django's sign-in with the second factor asked for whenever the person has one, in demo as well."""

    otp_device = forms.CharField(required=False, widget=forms.HiddenInput)
    otp_token = TokenField(required=False, help_text="Six digits from your authenticator app, if you have set one up.")
    otp_challenge = forms.CharField(required=False, widget=forms.HiddenInput)
    otp_error_messages = OTPAuthenticationFormMixin.otp_error_messages | {
        "token_required": "Enter the six digits your authenticator app shows.",
        "invalid_token": "These digits do not fit. Wait for the next ones and try again.",
    }

    def clean(self) -> dict[str, Any]:
        name = str(self.cleaned_data.get("username", ""))
        if not note_try(self.request, name):
            raise ValidationError(TOO_MANY, code="too_many_tries")
        cleaned = self._judged()
        if self.get_user() is not None:
            forget_tries(self.request, name)
        return cleaned

    def _judged(self) -> dict[str, Any]:
        """Password, then second factor. Raises: ValidationError."""
        cleaned: dict[str, Any] = super().clean()
        user: AbstractBaseUser | None = self.get_user()
        device = next(iter(devices_for_user(user)), None) if user is not None else None
        if device is not None:
            cleaned["otp_device"] = device.persistent_id
            self.clean_otp(user)
        elif user is not None and cleaned.get("otp_token"):
            raise ValidationError("This account has no second factor yet. Leave the digits empty and set it up inside.")
        return cleaned


class EnrolmentForm(forms.Form):
    """The digits that prove the app holds the secret."""

    token = TokenField()
