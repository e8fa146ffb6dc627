"""Every address of this house. A test generates the route × gate matrix from it (P1)."""

from __future__ import annotations

from django.urls import include, path

from idp import health, published
from idp.enrol import api, invited, recovery
from idp.enrol import views as enrol
from idp.home import home
from idp.login import views as login
from idp.oidc import authorize, logout, views

handler400 = "idp.pages.bad_request"
handler404 = "idp.pages.not_found"
handler500 = "idp.pages.server_error"

urlpatterns = [
    path("", home, name="home"),
    path("livez", health.live, name="livez"),
    path("readyz", health.ready, name="readyz"),
    path("scim/v2/", include("scim.urls")),
    path(".well-known/openid-configuration", published.discovery, name="discovery"),
    path(".well-known/oauth-authorization-server", published.discovery, name="discovery-oauth"),
    path("oidc/jwks", published.jwks, name="jwks"),
    path("oidc/authorize", authorize.authorize, name="authorize"),
    path("oidc/authorize/<str:flow>", authorize.go_on, name="authorize-go-on"),
    path("oidc/authorize/<str:flow>/consent", authorize.consent, name="authorize-consent"),
    path("oidc/token", views.token, name="token"),
    path("oidc/userinfo", views.userinfo, name="userinfo"),
    path("oidc/introspect", views.introspect, name="introspect"),
    path("oidc/revoke", views.revocation, name="revoke"),
    path("oidc/logout", logout.logout, name="logout"),
    path("oidc/logout/confirmed", logout.logout_confirmed, name="logout-confirmed"),
    path("login", login.login, name="login"),
    path("login/totp", login.login_totp, name="login-totp"),
    path("login/recover", recovery.recover, name="login-recover"),
    path("login/recover/totp", recovery.recover_totp, name="login-recover-totp"),
    path("login/device", login.login_device, name="login-device"),
    path("sessions/end-others", login.end_other_sessions, name="sessions-end-others"),
    path("sessions/<uuid:session_id>/end", login.end_session, name="session-end"),
    path("invitation/<str:token>", invited.invited, name="invitation"),
    path("invitation/<str:token>/totp", invited.invited_totp, name="invitation-totp"),
    path("devices", enrol.devices, name="devices"),
    path("devices/add", enrol.add, name="device-add"),
    path("devices/add/<uuid:binding_id>", enrol.adding, name="device-adding"),
    path("devices/add/<uuid:binding_id>/status", enrol.adding_status, name="device-adding-status"),
    path("devices/add/<uuid:binding_id>/confirm", enrol.confirm, name="device-confirm"),
    path("devices/add/<uuid:binding_id>/refuse", enrol.refuse, name="device-refuse"),
    path("devices/<uuid:credential_id>/remove", enrol.remove, name="device-remove"),
    path("devices/<uuid:credential_id>/rename", enrol.rename, name="device-rename"),
    path("enrol", enrol.enrol, name="enrol"),
    path("enrol/v1/challenges", api.challenge, name="enrol-challenge"),
    path("enrol/v1/bindings", api.bind, name="enrol-bind"),
    path("enrol/v1/bindings/<uuid:binding_id>", api.status, name="enrol-status"),
    path("undo/<str:token>", enrol.undone, name="undo"),
]
