"""Django's handles on the project and on its admin site; at start-up the site is named and the checks are registered.

While the apps load nobody collects garbage: there is none, and looking for it took a sixth of every start.
"""

import gc
from importlib import import_module

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig

gc.disable()  # this module is loaded before any app's models; `ready` below is the last one


class ProjectConfig(AppConfig):
    name = "config"
    verbose_name = "Counterfoil"
    default = True
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the start-up checks, and make our Celery app the one that services nudge, in every thread."""
        import_module("config.celery")
        import_module("config.checks")
        gc.freeze()  # what has been loaded stays for good
        gc.enable()


class OperatorAdminConfig(AdminConfig):
    """Stands in INSTALLED_APPS instead of django.contrib.admin, so that `admin.site` is ours everywhere."""

    default = False
    default_site = "config.admin_site.OperatorSite"
