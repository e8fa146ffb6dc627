"""Every URL. A test generates the matrix of routes and gates from it (P1)."""

from __future__ import annotations

from django.urls import include, path

from idp import brand, health, home, published
from idp.console import access, acts, agreements, deliveries, held, needs, people, refused, reviews
from idp.console import recovery as console_recovery
from idp.console import roles as console_roles
from idp.console import views as console
from idp.enrol.devices import agreement_pages, apps, tree
from idp.enrol.devices import pages as enrol
from idp.enrol.grown import binding_api as api
from idp.enrol.grown import registry
from idp.enrol.roots import cards, lost_ways, passkeys, passwords, recovery, saved_codes, upstream_links
from idp.enrol.roots import invitation_pages as invited
from idp.enrol.roots import pages as roots
from idp.evidence import pages as evidence
from idp.login import card_views, language, passkey_views, temporary_pass, upstream_views
from idp.login import views as login
from idp.oidc.authorization import authorize, device_flow
from idp.oidc.endpoints import logout, par, registration
from idp.oidc.endpoints import tokens as views
from idp.requests import deciding as request_deciding
from idp.requests import importing as request_importing
from idp.requests import pages as request_pages
from idp.requests import systems as request_systems
from idp.signals import feed
from scim.http import views as scim_views

handler400 = "idp.pages.bad_request"
handler404 = "idp.pages.not_found"
handler500 = "idp.pages.server_error"

urlpatterns = [
    path("", home.home, name="home"),
    path("language", language.choose, name="language"),
    path("brand/<slug:version>.css", brand.palette, name="brand-palette"),
    path("brand/logo/<slug:version>", brand.logo, name="brand-logo"),
    path("favicon.ico", home.favicon, name="favicon"),
    path("robots.txt", home.robots, name="robots"),
    path(".well-known/change-password", home.change_password, name="change-password"),
    path(".well-known/security.txt", home.security_txt, name="security-txt"),
    path("livez", health.live, name="livez"),
    path("readyz", health.ready, name="readyz"),
    path("scim/v2/Feed/Events", feed.poll, name="feed-events"),
    path("scim/v2", scim_views.all_resources, name="scim"),
    path("scim/v2/", include("scim.http.urls")),
    path(".well-known/openid-configuration", published.discovery, name="discovery"),
    path(".well-known/oauth-authorization-server", published.discovery, name="discovery-oauth"),
    path(".well-known/ramet-checkpoint-keys", published.checkpoint_keys, name="checkpoint-keys"),
    path("pki/ocsp", published.certificate_status, name="ocsp"),
    path("pki/ocsp/<path:encoded>", published.certificate_status, name="ocsp-get"),
    path("pki/<str:name>", published.certificate_file, name="pki-file"),
    path("oidc/jwks", published.jwks, name="jwks"),
    path("oidc/authorize", authorize.authorize, name="authorize"),
    path("oidc/authorize/<str:flow>", authorize.go_on, name="authorize-go-on"),
    path("oidc/authorize/<str:flow>/account", authorize.account, name="authorize-account"),
    path("oidc/authorize/<str:flow>/consent", authorize.consent, name="authorize-consent"),
    path("oidc/par", par.push, name="par"),
    path("oidc/register", registration.register, name="register"),
    path("oidc/register/<str:client_id>", registration.manage, name="registration"),
    path("oidc/token", views.token, name="token"),
    path("oidc/device_authorization", device_flow.device_authorization, name="device-authorization"),
    path("device", device_flow.enter, name="device-code"),
    path("device/approval", device_flow.approval, name="device-approval"),
    path("oidc/userinfo", views.userinfo, name="userinfo"),
    path("oidc/introspect", views.introspect, name="introspect"),
    path("oidc/revoke", views.revocation, name="revoke"),
    path("oidc/logout", logout.logout, name="logout"),
    path("oidc/logout/confirmed", logout.logout_confirmed, name="logout-confirmed"),
    path("login", login.login, name="login"),
    path("login/totp", login.login_totp, name="login-totp"),
    path("login/recover", recovery.recover, name="login-recover"),
    path("login/recover/totp", recovery.recover_totp, name="login-recover-totp"),
    path("login/recover/password", recovery.recover_password, name="login-recover-password"),
    path("login/help", lost_ways.cannot_sign_in, name="login-help"),
    path("login/mailed", lost_ways.mail_codes, name="login-mailed"),
    path("login/mailed/codes", lost_ways.mailed, name="login-mailed-codes"),
    path("login/pass", temporary_pass.login_pass, name="login-pass"),
    path("login/device", login.login_device, name="login-device"),
    path("login/card", card_views.login_card, name="login-card"),
    path("login/card/done", card_views.done, name="login-card-done"),
    path("certificate/probe/<str:nonce>", card_views.probed, name="certificate-probe"),
    path("certificate/scim/v2", scim_views.all_resources, name="certificate-scim"),
    path("certificate/scim/v2/", include("scim.http.urls", namespace="certificate-scim")),
    path("certificate/oidc/token", views.token, name="certificate-token"),
    path("certificate/oidc/par", par.push, name="certificate-par"),
    path("certificate/oidc/userinfo", views.userinfo, name="certificate-userinfo"),
    path("certificate/oidc/introspect", views.introspect, name="certificate-introspect"),
    path("certificate/oidc/revoke", views.revocation, name="certificate-revoke"),
    path("certificate/<str:ticket>", card_views.present, name="certificate-present"),
    path("devices/roots/card/add", cards.add, name="root-card-add"),
    path("devices/roots/card/done", cards.added, name="root-card-done"),
    path("invitation/card/done", cards.invited_done, name="invitation-card-done"),
    path("invitation/<str:token>/card", cards.invited, name="invitation-card"),
    path("login/passkey", passkey_views.login_passkey, name="login-passkey"),
    path("login/passkey/options", passkey_views.login_passkey_options, name="login-passkey-options"),
    path("login/second/passkey", passkey_views.second_passkey, name="login-second-passkey"),
    path("login/second/passkey/options", passkey_views.second_passkey_options, name="login-second-passkey-options"),
    path("login/upstream/<slug:slug>", upstream_views.login_upstream, name="login-upstream"),
    path("login/upstream/<slug:slug>/callback", upstream_links.callback, name="upstream-callback"),
    path("devices/roots/upstream/<slug:slug>/add", upstream_links.add, name="root-upstream-add"),
    path("sessions/end-others", login.end_other_sessions, name="sessions-end-others"),
    path("sessions/<uuid:session_id>/end", login.end_session, name="session-end"),
    path("invitation/<str:token>", invited.invited, name="invitation"),
    path("invitation/<str:token>/totp", invited.invited_totp, name="invitation-totp"),
    path("invitation/<str:token>/passkey", passkeys.invited, name="invitation-passkey"),
    path("invitation/<str:token>/passkey/options", passkeys.invited_options, name="invitation-passkey-options"),
    path("devices/roots/passkey/add", passkeys.add, name="root-passkey-add"),
    path("devices/roots/passkey/options", passkeys.add_options, name="root-passkey-options"),
    path("devices/roots/passkey/<uuid:credential_id>", passkeys.worth, name="root-passkey"),
    *registry.urlpatterns(),
    path("devices", enrol.devices, name="devices"),
    path("devices/add", enrol.add, name="device-add"),
    path("devices/add/<uuid:binding_id>", enrol.adding, name="device-adding"),
    path("devices/add/<uuid:binding_id>/status", enrol.adding_status, name="device-adding-status"),
    path("devices/add/<uuid:binding_id>/confirm", enrol.confirm, name="device-confirm"),
    path("devices/add/<uuid:binding_id>/refuse", enrol.refuse, name="device-refuse"),
    path("devices/roots/password/add", passwords.add, name="roots-password-add"),
    path("devices/roots/password/add/app", passwords.add_app, name="roots-password-add-app"),
    path("devices/roots/<uuid:credential_id>/password", passwords.change, name="root-password"),
    path("devices/roots/<uuid:credential_id>/app", passwords.app, name="root-app"),
    path("devices/roots/<uuid:credential_id>/codes", saved_codes.renew, name="root-codes"),
    path("recovery-codes/download", saved_codes.download, name="recovery-codes-download"),
    path("devices/roots/<uuid:credential_id>/rename", roots.rename, name="root-rename"),
    path("devices/roots/<uuid:credential_id>/remove", roots.remove, name="root-remove"),
    path("devices/roots/<uuid:credential_id>/enable", roots.enable, name="root-enable"),
    path("devices/roots/<uuid:credential_id>/report", roots.report, name="root-report"),
    path("apps", apps.mine, name="apps"),
    path("apps/<int:number>", agreement_pages.app, name="app"),
    path("redress", agreement_pages.objections, name="redress"),
    path("apps/<int:number>/withdraw", apps.withdraw, name="app-withdraw"),
    path("devices/apps/<uuid:family_id>/end", tree.end_family, name="family-end"),
    path("devices/<uuid:credential_id>/remove", enrol.remove, name="device-remove"),
    path("devices/<uuid:credential_id>/suspend", enrol.suspend_device, name="device-suspend"),
    path("devices/<uuid:credential_id>/lift", enrol.lift_device, name="device-lift"),
    path("devices/<uuid:credential_id>/rename", enrol.rename, name="device-rename"),
    path("enrol", enrol.enrol, name="enrol"),
    path("enrol/v1/challenges", api.challenge, name="enrol-challenge"),
    path("enrol/v1/bindings", api.bind, name="enrol-bind"),
    path("enrol/v1/bindings/<uuid:binding_id>", api.status, name="enrol-status"),
    *request_systems.urlpatterns,
    *request_pages.urlpatterns,
    *request_deciding.urlpatterns,
    *request_importing.urlpatterns,
    path("console", console.console, name="console"),
    path("console/matches/<int:number>", console.match, name="console-match"),
    path("console/people/<uuid:person_id>", console.person, name="console-person"),
    path("console/people/<uuid:person_id>/readmit", console.readmit, name="console-readmit"),
    path("console/people/<uuid:person_id>/act", acts.act, name="console-act"),
    path("console/people/<uuid:person_id>/pass", console_recovery.give_pass, name="console-pass"),
    path("console/people/<uuid:person_id>/recovery", console_recovery.recover, name="console-recovery"),
    path(
        "console/people/<uuid:person_id>/credentials/<uuid:credential_id>/enable",
        console.enable,
        name="console-enable",
    ),
    path("console/people/<uuid:person_id>/checks", console.check, name="console-check"),
    path(
        "console/people/<uuid:person_id>/checks/<uuid:check_id>/confirm",
        console.confirm_check,
        name="console-check-confirm",
    ),
    path("console/records/<uuid:record_id>/adopt", console.adopt, name="console-adopt"),
    path("console/agreements", agreements.agreements, name="console-agreements"),
    path("console/redress", agreements.cases, name="console-redress"),
    path("console/redress/<int:number>", agreements.case, name="console-redress-case"),
    path("console/refused", refused.refused, name="console-refused"),
    path("console/held", held.waiting, name="console-held"),
    path("console/deliveries", deliveries.deliveries, name="console-deliveries"),
    path("console/people", people.people, name="console-people"),
    path("console/roles", console_roles.given, name="console-roles"),
    path("console/reviews", reviews.reviews, name="console-reviews"),
    path("console/evidence", evidence.evidence, name="console-evidence"),
    path("console/evidence/download", evidence.download, name="console-evidence-download"),
    path("console/needs", needs.needs, name="console-needs"),
    path("console/needs/<uuid:person_id>", needs.decide, name="console-needs-decide"),
    path("access", access.mine, name="access"),
    path("access/ask/<int:number>", access.ask, name="access-ask"),
    path("access/<int:number>/withdraw", access.withdraw, name="access-withdraw"),
    path("access/review", access.review, name="access-review"),
    path("access/review/<int:number>", access.decide, name="access-decide"),
    path("undo/<str:token>", enrol.undone, name="undo"),
]
