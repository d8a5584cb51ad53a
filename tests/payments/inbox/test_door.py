"""The webhook door: what it takes, what it turns back, and that nothing of what it turns back is stored."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from payments.models import GatewayAccount, InboundEvent, Incident
from payments.services.inbox import BAD_SIGNATURE_RUN
from payments.webhooks import LIMIT, receive
from tests.payments.inbox.deliveries import SECRET, Delivery, deliver, event_body, sale, signature

pytestmark = pytest.mark.django_db
URL = "/webhooks/nmi/"


def post(delivery: Delivery, url: str = URL) -> tuple[int, str]:
    response = Client().post(url, delivery.body, delivery.content_type, headers=delivery.wsgi)
    return response.status_code, response.content.decode()


class TestWhatIsStored:
    def test_a_signed_event_is_stored_byte_for_byte_with_a_few_headers(self, account: GatewayAccount) -> None:
        delivery = sale("9001", "cf-1", event_id="11111111-2222-3333-4444-555555555555")
        delivery.headers["cookie"] = "session=secret"
        delivery.headers["authorization"] = "Bearer secret"
        before = timezone.now()

        assert post(delivery) == (200, "stored\n")

        event = InboundEvent.objects.get()
        assert bytes(event.body) == delivery.body
        assert event.event_key == "11111111-2222-3333-4444-555555555555"
        assert event.headers == {
            "content-type": "application/json",
            "user-agent": "NMI-Webhooks",
            "webhook-signature": delivery.headers["webhook-signature"],
        }
        assert (event.state, event.attempts, event.gateway_account) == ("stored", 0, account)
        assert before <= event.received_at <= timezone.now()
        assert event.next_check_at == event.received_at

    def test_the_same_event_again_is_known_and_stored_once(self, account: GatewayAccount) -> None:
        delivery = sale("9001", "cf-1")

        assert post(delivery)[0] == 200
        assert post(delivery) == (200, "already known\n")
        assert InboundEvent.objects.count() == 1

    def test_the_same_event_key_at_another_account_is_another_event(
        self, account: GatewayAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        GatewayAccount.objects.create(slug="nmi-eu", provider="nmi", name="NMI Europe")
        monkeypatch.setenv("GATEWAY_NMI_EU_WEBHOOK_SECRET", "another")
        body = sale("9001", "cf-1").body

        assert post(deliver(body))[0] == 200
        assert post(deliver(body), "/webhooks/nmi-eu/")[0] == 401
        assert post(deliver(body, secret="another"), "/webhooks/nmi-eu/") == (200, "stored\n")
        assert InboundEvent.objects.count() == 2

    def test_a_disabled_account_still_stores(self, account: GatewayAccount) -> None:
        GatewayAccount.objects.update(enabled=False)

        assert post(sale("9001", "cf-1")) == (200, "stored\n")

    def test_signed_garbage_is_stored_under_its_digest(self, account: GatewayAccount) -> None:
        garbage = deliver(b"\x00\xff not json at all \xfe")

        assert post(garbage) == (200, "stored\n")
        assert post(garbage) == (200, "already known\n")
        assert bytes(InboundEvent.objects.get().body) == garbage.body

    def test_a_signed_body_of_another_content_type_is_stored_and_parked_for_a_person(
        self, account: GatewayAccount
    ) -> None:
        delivery = deliver(sale("9001", "cf-1").body, content_type="application/x-www-form-urlencoded")

        assert post(delivery) == (200, "stored\n")
        event = InboundEvent.objects.get()
        assert (event.state, event.next_check_at) == ("parked", None)
        assert event.outcome.startswith("Unreadable: it did not come as JSON.")

    @pytest.mark.parametrize("key", ["nul\x00nul", "x" * 10_000, "\ud800", "ünïcode", "line\nbreak"])
    def test_a_signed_event_id_that_fits_no_column_is_kept_by_its_digest(
        self, account: GatewayAccount, key: str
    ) -> None:
        delivery = deliver(event_body("transaction.sale.success", {}, event_id=key))

        assert post(delivery) == (200, "stored\n")
        assert post(delivery) == (200, "already known\n")
        assert len(InboundEvent.objects.get().event_key) <= 100

    def test_a_chunked_body_is_read_and_stored(self, account: GatewayAccount) -> None:
        delivery = sale("9001", "cf-1")

        response = receive(on_the_wire(delivery), "nmi")

        assert response.status_code == 200
        assert bytes(InboundEvent.objects.get().body) == delivery.body


class TestWhatIsTurnedBack:
    def assert_nothing_stored(self) -> None:
        assert InboundEvent.objects.count() == 0

    @pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head", "options"])
    def test_other_methods_are_405_and_name_post(self, account: GatewayAccount, method: str) -> None:
        response = getattr(Client(), method)(URL)

        assert (response.status_code, response.headers["Allow"]) == (405, "POST")
        self.assert_nothing_stored()

    def test_an_unknown_account_is_404(self, account: GatewayAccount) -> None:
        assert post(sale("9001", "cf-1"), "/webhooks/nobody/") == (404, "no such gateway account\n")
        self.assert_nothing_stored()

    def test_an_unsigned_event_is_401(self, account: GatewayAccount) -> None:
        delivery = sale("9001", "cf-1")
        del delivery.headers["webhook-signature"]

        assert post(delivery) == (401, "the signature does not fit\n")
        self.assert_nothing_stored()

    def test_an_event_signed_with_another_secret_is_401(self, account: GatewayAccount) -> None:
        assert post(deliver(sale("9001", "cf-1").body, secret="guessed"))[0] == 401
        self.assert_nothing_stored()

    def test_a_body_changed_by_one_byte_is_401(self, account: GatewayAccount) -> None:
        delivery = sale("9001", "cf-1", amount="12.34")
        changed = Delivery(delivery.body.replace(b"12.34", b"92.34"), delivery.headers)

        assert post(changed)[0] == 401
        self.assert_nothing_stored()

    def test_an_unsigned_body_of_another_content_type_is_401(self, account: GatewayAccount) -> None:
        assert post(Delivery(b"<xml/>", {"content-type": "text/xml"}))[0] == 401
        self.assert_nothing_stored()

    def test_without_a_secret_in_the_environment_everything_is_401(
        self, account: GatewayAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("GATEWAY_NMI_WEBHOOK_SECRET")

        assert post(deliver(sale("9001", "cf-1").body, secret=""))[0] == 401
        self.assert_nothing_stored()

    def test_a_body_declared_too_long_is_413_before_it_is_read(self, account: GatewayAccount) -> None:
        request = on_the_wire(sale("9001", "cf-1"), ExplodingStream(), length=str(LIMIT + 1))

        assert receive(request, "nmi").status_code == 413
        self.assert_nothing_stored()

    def test_a_body_of_three_mebibytes_is_413(self, account: GatewayAccount) -> None:
        assert post(deliver(b"x" * 3 * 1024 * 1024))[0] == 413
        self.assert_nothing_stored()

    def test_a_body_of_exactly_the_limit_is_taken(self, account: GatewayAccount) -> None:
        assert post(deliver(b"x" * LIMIT))[0] == 200

    def test_a_chunked_body_beyond_the_limit_is_413_one_byte_past_it(self, account: GatewayAccount) -> None:
        request = on_the_wire(deliver(b"x" * 3 * 1024 * 1024))

        assert receive(request, "nmi").status_code == 413
        assert request.META["wsgi.input"].tell() == LIMIT + 1
        self.assert_nothing_stored()

    def test_a_body_shorter_than_declared_is_400(self, account: GatewayAccount) -> None:
        delivery = sale("9001", "cf-1")
        cut = on_the_wire(delivery, io.BytesIO(delivery.body[:-10]), length=str(len(delivery.body)))

        response = receive(cut, "nmi")

        said = f"The body ends after {len(delivery.body) - 10} of {len(delivery.body)} bytes.\n"
        assert (response.status_code, response.content.decode()) == (400, said)
        self.assert_nothing_stored()

    @pytest.mark.parametrize("declared", ["-1", "12x", "1e3", "²"])
    def test_a_length_that_is_no_number_is_400(self, account: GatewayAccount, declared: str) -> None:
        assert receive(on_the_wire(sale("9001", "cf-1"), length=declared), "nmi").status_code == 400
        self.assert_nothing_stored()

    def test_an_absurd_length_is_413(self, account: GatewayAccount) -> None:
        assert receive(on_the_wire(sale("9001", "cf-1"), length="9" * 4000), "nmi").status_code == 413

    def test_a_connection_that_breaks_inside_a_body_is_400(self, account: GatewayAccount) -> None:
        for length in ("100", None):
            request = on_the_wire(sale("9001", "cf-1"), ExplodingStream(), length=length)
            assert receive(request, "nmi").status_code == 400
        self.assert_nothing_stored()

    def test_no_csrf_token_is_asked_for(self, account: GatewayAccount) -> None:
        delivery = sale("9001", "cf-1")

        response = Client(enforce_csrf_checks=True).post(
            URL, delivery.body, delivery.content_type, headers=delivery.wsgi
        )

        assert response.status_code == 200


class TestSecretRotation:
    def test_current_and_previous_secret_are_good_and_no_third(
        self, account: GatewayAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GATEWAY_NMI_WEBHOOK_SECRET", "new")
        monkeypatch.setenv("GATEWAY_NMI_WEBHOOK_SECRET_PREVIOUS", SECRET)

        assert post(deliver(sale("9001", "cf-1").body, secret="new"))[0] == 200
        assert post(deliver(sale("9002", "cf-2").body, secret=SECRET))[0] == 200
        assert post(deliver(sale("9003", "cf-3").body, secret="older"))[0] == 401

    def test_after_the_rotation_the_old_secret_is_refused(
        self, account: GatewayAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GATEWAY_NMI_WEBHOOK_SECRET", "new")

        assert post(deliver(sale("9002", "cf-2").body, secret=SECRET))[0] == 401


class TestRunsOfBadSignatures:
    def test_each_refusal_is_counted_and_a_run_opens_one_incident(self, account: GatewayAccount) -> None:
        forged = Delivery(
            b"{}", {"content-type": "application/json", "webhook-signature": signature(b"{}", secret="x")}
        )

        for _ in range(BAD_SIGNATURE_RUN - 1):
            assert post(forged)[0] == 401
        assert Incident.objects.count() == 0
        for _ in range(5):
            assert post(forged)[0] == 401

        account.refresh_from_db()
        assert (account.refused_signatures, account.refused_signatures_total) == (24, 24)
        incident = Incident.objects.get()
        assert (incident.kind, incident.gateway_account, incident.closed_at) == ("bad_signatures", account, None)
        assert incident.count == 5
        assert InboundEvent.objects.count() == 0

    def test_the_next_good_one_ends_the_run_and_closes_the_incident(self, account: GatewayAccount) -> None:
        for _ in range(BAD_SIGNATURE_RUN):
            post(Delivery(b"{}", {"content-type": "application/json"}))
        assert Incident.objects.get().closed_at is None

        assert post(sale("9001", "cf-1"))[0] == 200

        account.refresh_from_db()
        assert (account.refused_signatures, account.refused_signatures_total) == (0, BAD_SIGNATURE_RUN)
        assert Incident.objects.get().closed_at is not None
        assert account.last_event_at is not None
        assert timezone.now() - account.last_event_at < timedelta(minutes=1)

    def test_a_second_run_opens_a_second_incident(self, account: GatewayAccount) -> None:
        for _ in range(2):
            for _ in range(BAD_SIGNATURE_RUN):
                post(Delivery(b"{}", {"content-type": "application/json"}))
            post(sale("9001", "cf-1"))

        assert Incident.objects.count() == 2
        assert Incident.objects.filter(closed_at=None).count() == 0


def test_the_address_is_the_accounts_slug() -> None:
    assert reverse("webhook", args=["nmi-eu"]) == "/webhooks/nmi-eu/"


class ExplodingStream(io.BytesIO):
    """A connection that is gone: reading it fails."""

    def read(self, *_: object) -> bytes:
        raise OSError("connection reset")


def on_the_wire(delivery: Delivery, stream: io.BytesIO | None = None, *, length: str | None = None) -> WSGIRequest:
    """The request as a WSGI server hands it over; without a length it is chunked: an input that ends by itself."""
    request = RequestFactory().post(URL, delivery.body, delivery.content_type, headers=delivery.wsgi)
    environ = {**request.environ, "wsgi.input": stream or io.BytesIO(delivery.body)}
    del environ["CONTENT_LENGTH"]
    if length is None:
        environ["wsgi.input_terminated"] = True
    else:
        environ["CONTENT_LENGTH"] = length
    return WSGIRequest(environ)
