"""Which settings does this process run with? Read from the environment once; loads with an empty environment.

It may not connect to anything, and it holds no gateway credential: those are read when asked for (`gateway_credentials`).
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.unfold import UNFOLD as UNFOLD

BASE_DIR = Path(__file__).resolve().parent.parent
INSECURE_SECRET_KEY = "not-a-secret-refused-by-counterfoil.E002"  # noqa: S105 - a marker, refused outside the demo


def env(name: str, default: str = "") -> str:
    """The variable's text without surrounding blanks; an empty variable counts as not set."""
    return os.environ.get(name, "").strip() or default


def env_bool(name: str, *, default: bool) -> bool:
    """1/0, true/false, yes/no, on/off in any case. Raises: ImproperlyConfigured naming the variable for anything else."""
    value = env(name).lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    if value:
        raise ImproperlyConfigured(f"{name} must be 1 or 0, not {value!r}.")
    return default


def env_int(name: str, *, default: int) -> int:
    """A whole number. Raises: ImproperlyConfigured naming the variable for anything else."""
    value = env(name)
    try:
        return int(value) if value else default
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.") from None


def env_list(name: str, default: str = "") -> list[str]:
    """Comma-separated texts; empty parts are dropped."""
    return [part.strip() for part in env(name, default).split(",") if part.strip()]


def database_from_url(url: str, *, variable: str) -> dict[str, Any]:
    """Django's database settings out of a PostgreSQL URL, read by libpq's own parser (sockets, several hosts, sslmode).

    Raises: ImproperlyConfigured naming `variable`, never repeating the URL, which may hold a password.
    """
    if urlsplit(url).scheme not in {"postgresql", "postgres"}:
        raise ImproperlyConfigured(f"{variable} must be a postgresql:// URL: the books need PostgreSQL's enforcement.")
    try:
        parts = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    except ProgrammingError:
        raise ImproperlyConfigured(f"{variable} is not a readable postgresql:// URL.") from None
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    settings: dict[str, Any] = {name: parts.pop(key, "") for key, name in names.items()}
    # A stalled writer would hold back everybody who waits for its rows.
    parts.setdefault("options", "-c idle_in_transaction_session_timeout=60s")
    # A database that hangs or is cut off is told from a slow one, so that doors can answer 503 instead of hanging along.
    parts.setdefault("connect_timeout", "5")
    parts.setdefault("tcp_user_timeout", "30000")  # ms; without it a cut line is noticed after a quarter of an hour
    return {"ENGINE": "django.db.backends.postgresql", **settings, "OPTIONS": parts}


def gateway_credentials(slug: str) -> dict[str, str]:
    """Credentials of one gateway account from GATEWAY_<SLUG>_<FIELD>, keyed by lower-case field.

    A slug's dash is an underscore in the variable: `nmi-eu` reads GATEWAY_NMI_EU_SECURITY_KEY as `security_key`.
    """
    prefix = f"GATEWAY_{slug.upper().replace('-', '_')}_"
    return {
        name.removeprefix(prefix).lower(): value
        for name, value in os.environ.items()
        if name.startswith(prefix) and value
    }


django_stubs_ext.monkeypatch()  # Django's generic classes (ModelAdmin[Payment]) subscriptable at run time; comes with django-fsm-2

# --- what kind of start this is ---------------------------------------------------------------------------------------
DEBUG = env_bool("DEBUG", default=False)
DEMO = env_bool("DEMO", default=False)  # demo logins, simulator tokens, traffic; `make run` turns it on unless DEMO=0
SECRET_KEY = env("SECRET_KEY", INSECURE_SECRET_KEY)
DATA_DIR = Path(env("DATA_DIR", str(BASE_DIR / ".data"))).absolute()

# --- the outside ------------------------------------------------------------------------------------------------------
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")
CSRF_FAILURE_VIEW = "config.error_pages.form_too_old"
TLS = env_bool("TLS", default=False)  # the site is reached by https through a proxy that sets X-Forwarded-Proto
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TLS else None
SECURE_SSL_REDIRECT = TLS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]  # asked from inside, without the proxy
SECURE_HSTS_SECONDS = 31_536_000 if TLS else 0
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = TLS
SESSION_COOKIE_AGE = 12 * 3600  # one working day
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 3 * 1024 * 1024  # doors have their own, smaller limits and answer 413
FILE_UPLOAD_HANDLERS = ["config.uploads.CappedUpload"]  # spreadsheets; nothing of them is left on a disk
UPLOAD_WINDOW = env_int(
    "UPLOAD_WINDOW", default=50
)  # payments of one upload that may wait for a worker; two seconds of all slots
PUBLIC_URL = env("PUBLIC_URL", f"http://127.0.0.1:{env('PORT', '8000')}").rstrip(
    "/"
)  # payers come back to /pay/ below it
METRICS_TOKEN = env("METRICS_TOKEN")  # when set, /metrics asks for it as a bearer token

# --- what is installed ------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # plain "unfold" would replace admin.site with its own
    "config.apps.OperatorAdminConfig",  # django.contrib.admin with our site as the default one
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "django_htmx",
    "ninja",  # serves the API docs page's files locally instead of from a CDN
    "console",
    "ledger",
    "payments",
    "reconciliation",
    "config.apps.ProjectConfig",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.ContentSecurityPolicy",
    "config.middleware.DatabaseAway",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- databases: the application's role works, the owner's role migrates -------------------------------------------------
DATABASE_URL = env("DATABASE_URL")
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        **database_from_url(DATABASE_URL or "postgresql:///counterfoil", variable="DATABASE_URL"),
        "CONN_MAX_AGE": env_int("DATABASE_CONN_MAX_AGE", default=60),
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,  # services open their own transactions, and say so
    }
}
# A plain dict, no second alias: no query of ours can end up on the owner's connection by mistake.
OWNER_DATABASE: dict[str, Any] = (
    database_from_url(env("DATABASE_OWNER_URL"), variable="DATABASE_OWNER_URL") if env("DATABASE_OWNER_URL") else {}
)

# --- Redis: broker, cache, rate limits; nothing lives only here ---------------------------------------------------------
REDIS_URL = env("REDIS_URL", "redis://127.0.0.1:6379/0")
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        # Whoever asks the cache can do without: a Redis that hangs must not hang a webhook's receipt.
        "OPTIONS": {
            "serializer": "config.cache.JsonSerializer",
            "socket_timeout": 0.5,
            "socket_connect_timeout": 0.5,
            "protocol": 2,  # no greeting to wait for
            "retry": Retry(NoBackoff(), 0),
        },
    }
}

# --- people -------------------------------------------------------------------------------------------------------------
PASSWORD_HASHERS = env_list(  # the suite sets a fast one; counterfoil.E010 refuses it in production
    "PASSWORD_HASHERS",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher,django.contrib.auth.hashers.ScryptPasswordHasher",
)
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
OTP_TOTP_ISSUER = "Counterfoil"

# --- e-mail: alarms and scheduled reports; without a host they are written to files, which loses none --------------------
EMAIL_HOST = env("EMAIL_HOST")
EMAIL_PORT = env_int("EMAIL_PORT", default=25)
EMAIL_HOST_USER = env("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env_bool("EMAIL_USE_TLS", default=False)
EMAIL_USE_SSL = env_bool("EMAIL_USE_SSL", default=False)
EMAIL_TIMEOUT = env_int("EMAIL_TIMEOUT", default=10)  # seconds; a mail server that hangs must not hold a worker
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'filebased'}.EmailBackend"
EMAIL_FILE_PATH = DATA_DIR / "mail"
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", "counterfoil@localhost")
ALERT_TO = env_list("ALERT_TO")  # told of every account's alarms, beside whom its terms name

# --- language, time, files ----------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en-gb"
LANGUAGES = [("en-gb", "English")]  # the frame of every page looks up each one's name: Django's own list has a hundred
USE_TZ = True
TIME_ZONE = "UTC"  # storage and display; the business day below decides only which day an entry is booked on
BUSINESS_TIME_ZONE = env("BUSINESS_TIME_ZONE", "UTC")
STATIC_URL = "/static/"
STATIC_ROOT = None  # nothing is copied: a folder that is not there would make WhiteNoise warn at every start
STATICFILES_DIRS = [path for path in [BASE_DIR / "static"] if path.is_dir()]
WHITENOISE_USE_FINDERS = True  # files are served out of the packages: no copying step before a start
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# --- the admin's pages (config/unfold.py holds their look) ---------------------------------------------------------------
CONSOLE_MONEY_FORMAT = (
    "config.presentation.decimal_string"  # (amount_minor, currency) -> "12.34"; the kit knows no books
)
CONSOLE_LINKS = {
    "pay_": "admin:payments_payment_change",
    "rev_": "admin:payments_review_change",
    "apr_": "admin:payments_approval_change",
    "bat_": "admin:payments_batch_change",
    "pm_": "admin:payments_paymentmethod_change",
    "sch_": "admin:payments_schedule_change",
    "evt_": "admin:payments_inboundevent_change",
    "dsp_": "admin:payments_dispute_change",
    "po_": "admin:payments_payout_change",
    "je_": "admin:ledger_journalentry_change",
    "brk_": "admin:reconciliation_break_change",
    "res_": "admin:reconciliation_resolution_change",
}  # prefix of a public id -> the page it opens; apps may so link what they do not know
CONSOLE_BANNERS: list[str] = [
    "payments.queries.stops.switch_banner",
    "payments.queries.stops.pause_banner",
    "payments.queries.queues.incident_banner",
    "reconciliation.queries.alarms.alarm_banner",
]  # dotted callables `(request) -> Banner | None`, shown above every page
CONSOLE_QUEUES: list[str] = [
    "payments.queries.queues.reviews_due",
    "payments.queries.dispute_page.disputes_open",
    "reconciliation.queries.night_queue.nights_in_trouble",
    "reconciliation.queries.break_waiting.breaks_waiting",
    "payments.queries.queues.incidents_open",
    "payments.admin.approval.approvals_waiting",
    "payments.queries.batch_queue.uploads_waiting",
    "payments.queries.schedule_page.schedules_resting",
    "payments.queries.queues.events_stuck",
    "payments.queries.queues.payments_waiting",
    "payments.queries.queues.payments_held_up",
    "payments.queries.queues.codes_unmapped",
    "reconciliation.queries.report_queue.reports_missing",
]  # dotted callables `(request, now) -> WorkQueue | None`, the home page
PAYMENT_SECTIONS: list[str] = [
    "reconciliation.queries.payment_settlement.settlement",
]  # dotted callables `(page, sees, now) -> list[Section]`, what other apps say of a payment, on its page

# --- what apps hang onto the project --------------------------------------------------------------------------------------
MORE_APPROVABLES: dict[str, str] = {
    "edit_terms": "reconciliation.services.terms.EDIT_TERMS",
    "change_mapping": "reconciliation.services.mappings.CHANGE_MAPPING",
    "add_contract_rate": "reconciliation.services.contract_rates.ADD_RATE",
    "end_contract_rate": "reconciliation.services.contract_rates.END_RATE",
    "close_day": "reconciliation.services.closing.CLOSE_DAY",
    "book_opening": "reconciliation.services.go_live.BOOK_OPENING",
    "reopen_day": "reconciliation.services.closing.REOPEN_DAY",
    "resolve_break": "reconciliation.services.resolutions.approvables.RESOLVE_BREAK",
    "resolve_breaks": "reconciliation.services.resolutions.bulk.RESOLVE_BREAKS",
    "post_break_journal": "reconciliation.services.resolutions.approvables.POST_BREAK_JOURNAL",
    "post_journal": "reconciliation.services.journals.POST_JOURNAL",
    "undo_resolution": "reconciliation.services.resolutions.undoing.UNDO_RESOLUTION",
}  # commands of reconciliation that wait for a second person, beside those of payments
LEDGER_PROOFS: list[str] = [
    "payments.queries.proofs.suspense_findings",
    "payments.queries.proofs.completeness_findings",
]  # dotted callables `() -> list[Finding]`, run by verify_ledger beside its own proofs
BREAK_CLOCKS: list[tuple[int, int, int]] = [
    (100_000, 120, 24),
    (10_000, 72, 72),
    (1_000, 24, 120),
    (0, 0, 168),
]  # from this value in main units, or this age in hours, on: hours in which a break is to be resolved
GATEWAY_CREDENTIALS = gateway_credentials  # slug -> its credentials; read when needed, kept nowhere
METRICS: list[str] = [
    "payments.queries.metrics.waiting_rows",
    "payments.queries.metrics.open_questions",
    "payments.queries.metrics.sending",
    "payments.queries.metrics.unfinished_payments",
    "reconciliation.queries.metrics.open_breaks",
    "reconciliation.queries.metrics.runs",
    "reconciliation.queries.metrics.alarms",
]  # dotted callables `() -> Iterable[(name, help, {label: text}, value)]`, gauges asked by /metrics

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"card_numbers": {"()": "payments.card_numbers.WithoutCardNumbers"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["card_numbers"]}},
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL", "INFO")},
    "loggers": {
        "django.server": {"handlers": ["console"], "level": "INFO", "propagate": False},
        # Else a line for every call to a gateway, whose address may carry what a log must not.
        "httpx": {"level": "WARNING"},
    },
}
