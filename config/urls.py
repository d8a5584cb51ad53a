"""Which door answers which address? The only place addresses are given out."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from config.health import healthz, metrics, readyz
from payments.pages import came_back, pay
from payments.webhooks import receive

handler403 = "config.error_pages.not_allowed"
handler404 = "config.error_pages.not_found"
handler500 = "config.error_pages.broken"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("webhooks/<slug:slug>/", receive, name="webhook"),
    path("pay/<str:token>/", pay, name="pay"),
    path("pay/<str:token>/return", came_back, name="pay-return"),
    path("api/v1/", include("payments.api.urls")),
    path("admin/", admin.site.urls),
]
