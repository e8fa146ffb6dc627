"""The front page, and the addresses at which browsers and strangers look at every site."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.ledger import status
from derived.rules.kinds import Kind
from idp import pages
from idp.config import config
from idp.login.session import signed_in
from idp.login.views import fresh_login_needed

if TYPE_CHECKING:
    from django.http import HttpRequest

_ROBOTS = "User-agent: *\nDisallow: /\n"
_SECURITY_TXT_LIVES = timedelta(days=180)


@require_http_methods(["GET", "HEAD"])
def home(request: HttpRequest) -> HttpResponse:
    """The front page, with the ways in."""
    return pages.page(request, "home", {})


@require_http_methods(["GET", "HEAD"])
def favicon(_request: HttpRequest) -> HttpResponse:
    """`/favicon.ico`: the picture that the pages name."""
    return redirect(static("ramet/logo.svg"))


@require_http_methods(["GET", "HEAD"])
def robots(_request: HttpRequest) -> HttpResponse:
    """`/robots.txt`: nothing here is for search engines (RFC 9309)."""
    return HttpResponse(_ROBOTS, content_type="text/plain; charset=utf-8")


@require_http_methods(["GET", "HEAD"])
def change_password(request: HttpRequest) -> HttpResponse:
    """`/.well-known/change-password`: to the page for that, after a sign-in (W3C, a well-known URL for passwords)."""
    session = signed_in(request)
    if session is None:
        return fresh_login_needed("", next_path=request.path)
    rows = status.living(session.account_id).filter(kind=Kind.PASSWORD_TOTP, epoch=session.account.epoch)
    row = rows.first()
    return redirect("root-password", credential_id=row.id) if row else redirect("devices")


@require_http_methods(["GET", "HEAD"])
def security_txt(_request: HttpRequest) -> HttpResponse:
    """`/.well-known/security.txt`: where to report a vulnerability, if the operator says it (RFC 9116).

    It expires half a year after it was asked for, as long as this server, and so its setting, is looked after.
    """
    if not config().security_contact:
        raise Http404
    expires = (clock.now() + _SECURITY_TXT_LIVES).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = [
        *(f"Contact: {one}" for one in config().security_contact),
        f"Expires: {expires:%Y-%m-%dT%H:%M:%SZ}",
        f"Canonical: {config().issuer}/.well-known/security.txt",
        "Preferred-Languages: en",
    ]
    return HttpResponse("\r\n".join(lines) + "\r\n", content_type="text/plain; charset=utf-8")
