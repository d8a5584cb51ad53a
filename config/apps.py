"""Django's handles on the project and on its admin site; nothing happens at start-up beyond naming the site."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class ProjectConfig(AppConfig):
    name = "config"
    verbose_name = "Counterfoil"
    default = True


class OperatorAdminConfig(AdminConfig):
    """Stands in INSTALLED_APPS instead of django.contrib.admin, so that `admin.site` is ours everywhere."""

    default = False
    default_site = "config.admin_site.OperatorSite"
