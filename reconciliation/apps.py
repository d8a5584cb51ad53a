"""How is this app called?"""

from django.apps import AppConfig


class ReconciliationConfig(AppConfig):
    """Reconciliation, in Django's words."""

    name = "reconciliation"
    default_auto_field = "django.db.models.BigAutoField"
