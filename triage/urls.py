"""Where each address leads."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path

from triage import api
from triage.api import browse, sagemaker
from triage.api.root import nowhere
from triage.web import signin, webhooks

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/login/", signin.settings_door),
    path("admin/", admin.site.urls),
    # with or without the last slash: a redirect would make senders switch the hook off
    re_path(r"^webhooks/(?P<source>[-\w]{1,40})/?$", webhooks.receive, name="webhook"),
    path("api/", browse.page, name="api"),
    path("api/", api.urls()),
    path("sagemaker/<slug:customer>/ping", sagemaker.ping),
    path("sagemaker/<slug:customer>/invocations", sagemaker.invocations),
    re_path(r"^api/", nowhere),
    path("", include("triage.web.urls")),
]
