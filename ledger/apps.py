"""Django's handle on this app; nothing happens at start-up."""

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "ledger"
    verbose_name = "The books"
    default_auto_field = "django.db.models.BigAutoField"
