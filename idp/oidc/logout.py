"""RP-initiated logout: a verified hint of this very session logs out; anything else asks the person first (C48, E11)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from authlib.oauth2.rfc6749 import OAuth2Error
from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from derived import clock
from idp import clients, pages
from idp.login.session import end, signed_in
from idp.oidc import gate, issued

if TYPE_CHECKING:
    from django.http import HttpRequest

    from idp.clients import RelyingParty
    from idp.models import LoginSession


_CARRIED = ("client_id", "post_logout_redirect_uri", "state")


@csrf_exempt
@require_http_methods(["GET", "POST"])
def logout(request: HttpRequest) -> HttpResponse:
    """OpenID Connect RP-Initiated Logout 1.0 §2; the person's own answer to our question comes to `logout_confirmed`."""
    try:
        raw = request.META.get("QUERY_STRING", "") if request.method == "GET" else request.body.decode("ascii")
        parameters = gate.parameters(raw)
    except (OAuth2Error, UnicodeDecodeError):
        return pages.problem(request, "The request to sign out is malformed.", status=400)
    hint = issued.hint(parameters.get("id_token_hint", ""))
    party = clients.find(parameters.get("client_id", "") or (hint or {}).get("aud", ""))
    if party is not None:
        parameters["client_id"] = party.client_id
    target = _target(parameters, hint, party)
    if parameters.get("post_logout_redirect_uri") and target is None:
        return pages.problem(request, "The address to return to is not registered for this application.", status=400)
    session = signed_in(request)
    if session is None:
        return _away(request, target)
    if hint is not None and _is_of(hint, session):
        return _out(request, session, target)
    carried = {name: parameters[name] for name in _CARRIED if name in parameters} if target else {}
    values = {"post_logout_host": urlsplit(target).netloc if target else None, "hidden": carried}
    response = pages.page(request, "logout", values)
    return pages.leads_to(response, target) if target else response


@csrf_protect
@require_http_methods(["POST"])
def logout_confirmed(request: HttpRequest) -> HttpResponse:
    """The person said yes on our page."""
    session = signed_in(request)
    parameters = {name: request.POST[name][:2048] for name in _CARRIED if name in request.POST}
    target = _target(parameters, None, clients.find(parameters.get("client_id", "")[:255]))
    if session is None:
        return _away(request, target)
    return _out(request, session, target)


def _out(request: HttpRequest, session: LoginSession, target: str | None) -> HttpResponse:
    end(session, now=clock.now(), actor="person")
    request.session.flush()
    request.ramet_session = None  # type: ignore[attr-defined]
    return _away(request, target)


def _away(request: HttpRequest, target: str | None) -> HttpResponse:
    """To the registered address, of an app's private scheme too, which Django's own redirect refuses."""
    if not target:
        return pages.page(request, "logged_out", {})
    response = HttpResponse(status=302)
    response["Location"] = target
    return response


def _is_of(hint: dict[str, str], session: LoginSession) -> bool:
    return hint.get("sid") == session.sid


def _target(parameters: dict[str, str], hint: dict[str, str] | None, party: RelyingParty | None) -> str | None:
    """The registered address to return to, with its `state`, or None."""
    uri = parameters.get("post_logout_redirect_uri", "")
    if party is None or uri not in party.post_logout_uris() or (hint and hint.get("aud") != party.client_id):
        return None
    state = parameters.get("state")
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode({'state': state})}" if state else uri
