"""The addresses of the pages."""

from django.contrib.auth.views import LogoutView
from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from triage.web import (
    approvals,
    audit,
    knowledge,
    me,
    orders,
    overview,
    password,
    queue,
    runbooks,
    runs,
    signin,
    tickets,
    why,
)

urlpatterns = [
    path("", queue.queue, name="queue"),
    path("favicon.ico", RedirectView.as_view(url=static("triage/mark.svg")), name="icon"),
    path("sign-in/", signin.SignIn.as_view(), name="sign-in"),
    path("sign-in/<str:secret>/", signin.sign_in_link, name="sign-in-link"),
    path("set-password/<str:secret>/", password.set_password, name="set-password"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("tickets/<uuid:uuid>/", tickets.ticket, name="ticket"),
    path("tickets/<uuid:uuid>/hold/", tickets.hold, name="ticket-hold"),
    path("tickets/<uuid:uuid>/release/", tickets.release, name="ticket-release"),
    path("tickets/<uuid:uuid>/verdict/", tickets.verdict, name="ticket-verdict"),
    path("tickets/<uuid:uuid>/reveal/", tickets.reveal, name="ticket-reveal"),
    path("tickets/<uuid:uuid>/article/", tickets.article, name="ticket-article"),
    path("tickets/<uuid:uuid>/search/", tickets.search, name="ticket-search"),
    path("tickets/<uuid:uuid>/why/", why.why, name="ticket-why"),
    path("tickets/<uuid:uuid>/similar/", why.alike, name="ticket-similar"),
    path("tickets/<uuid:uuid>/run/", orders.confirm, name="ticket-run"),
    path("reviews/<int:review_id>/undo/", tickets.undo, name="review-undo"),
    path("approvals/", approvals.approvals, name="approvals"),
    path("approvals/<uuid:uuid>/", approvals.approval, name="approval"),
    path("approvals/<uuid:uuid>/answer/", approvals.answer, name="approval-answer"),
    path("runs/", runs.runs, name="runs"),
    path("runs/<uuid:uuid>/", runs.run, name="run"),
    path("runs/<uuid:uuid>/settle/", runs.settle, name="run-settle"),
    path("runs/<uuid:uuid>/stop/", runs.stop, name="run-stop"),
    path("runs/<uuid:uuid>/live/", runs.live, name="run-live"),
    path("overview/", overview.overview, name="overview"),
    path("automation/", overview.switch_all, name="automation-switch-all"),
    path("customers/<slug:slug>/runbooks/", runbooks.runbooks, name="runbooks"),
    path("customers/<slug:slug>/runbooks/<slug:key>/", runbooks.runbook, name="runbook"),
    path("customers/<slug:slug>/runbooks/<slug:key>/switch/", runbooks.switch, name="runbook-switch"),
    path("customers/<slug:slug>/runbooks/<slug:key>/circuit/", runbooks.close_circuit, name="runbook-circuit"),
    path("customers/<slug:slug>/automation/", overview.switch, name="automation-switch"),
    path("articles/", knowledge.articles, name="articles"),
    path("articles/<int:pk>/", knowledge.article, name="article"),
    path("audit/", audit.audit, name="audit"),
    path("notifications/", me.notifications, name="notifications"),
    path("notifications/seen/", me.seen, name="notifications-seen"),
    path("me/", me.me, name="me"),
]
