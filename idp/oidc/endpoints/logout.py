"""RP-initiated logout: a verified hint of this session logs out; otherwise the person confirms first (C48, E11).

The return address must be registered for the client named by the hint or `client_id`; compared whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from authlib.oauth2.rfc6749 import OAuth2Error
from django.conf import settings
from django.http import HttpResponse
from django.utils.translation import gettext_noop
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from derived import clock
from idp import clients, pages
from idp.login.session import end, signed_in
from idp.oidc.proofs import own_jwts as issued
from idp.oidc.requests import gate, refusals

if TYPE_CHECKING:
    from django.http import HttpRequest

    from idp.clients import RelyingParty
    from idp.models import LoginSession


_CARRIED = ("client_id", "post_logout_redirect_uri", "state")


@csrf_exempt
@refusals.logged
@require_http_methods(["GET", "POST"])
def logout(request: HttpRequest) -> HttpResponse:
    """OpenID Connect RP-Initiated Logout 1.0 §2; the person's confirmation goes to `logout_confirmed`."""
    try:
        raw = request.META.get("QUERY_STRING", "") if request.method == "GET" else request.body.decode("ascii")
        parameters = gate.parameters(raw)
    except OAuth2Error as error:
        return _refused(request, f"The request to sign out is malformed. {error.description}")
    except UnicodeDecodeError:
        return _refused(request, gettext_noop("The request to sign out is malformed."))
    if request.method == "POST" and settings.SESSION_COOKIE_NAME not in request.COOKIES:
        # A POST from another site comes without the cookie (SameSite=Lax), so no session would be ended.
        response = HttpResponse(status=303)
        response["Location"] = f"{request.path}?{urlencode(parameters)}"
        return response
    given = parameters.get("id_token_hint", "")
    hint = issued.hint(given) if given else None
    party = clients.find((hint or {}).get("aud", "") or parameters.get("client_id", ""))
    if party is not None:
        refusals.claim(request, party)
    if party is not None and parameters.setdefault("client_id", party.client_id) != party.client_id:
        return _refused(request, gettext_noop("The request to sign out names two applications."))
    target = _return_address(parameters, party)
    forged = bool(given) and hint is None
    returns = bool(parameters.get("post_logout_redirect_uri"))
    if returns and target is None and not forged and "client_id" in parameters:
        words = (
            gettext_noop("The address to return to is not registered for this application.")
            if party is not None
            else gettext_noop("The application that sent you here is not registered.")
        )
        return _refused(request, words)
    target = None if forged else target  # parameters that came with a forged hint are ignored
    session = signed_in(request)
    if session is None:
        return _return(request, target)
    if hint is not None and party is not None and _is_of(hint, session, party):
        return _end_and_return(request, session, target)
    carried = {name: parameters[name] for name in _CARRIED if name in parameters} if target else {}
    values = {
        "post_logout_host": urlsplit(target).netloc if target else None,
        "hidden": carried,
        "unnamed": returns and not given and party is None,
    }
    response = pages.page(request, "logout", values)
    return pages.permit_form_target(response, target) if target else response


@csrf_protect
@require_http_methods(["POST"])
def logout_confirmed(request: HttpRequest) -> HttpResponse:
    """End the session after the person's confirmation."""
    session = signed_in(request)
    parameters = {name: request.POST[name][:2048] for name in _CARRIED if name in request.POST}
    target = _return_address(parameters, clients.find(parameters.get("client_id", "")[:255]))
    if session is None:
        return _return(request, target)
    return _end_and_return(request, session, target)


def _refused(request: HttpRequest, words: str) -> HttpResponse:
    stays = gettext_noop("Use “Sign out” at the top: you are still signed in here.") if signed_in(request) else None
    return refusals.noted(request, pages.problem(request, words, status=400, next_step=stays), "invalid_request", words)


def _end_and_return(request: HttpRequest, session: LoginSession, target: str | None) -> HttpResponse:
    end(session, now=clock.now(), actor="person")
    request.session.flush()
    request.ramet_session = None  # type: ignore[attr-defined]
    return _return(request, target)


def _return(request: HttpRequest, target: str | None) -> HttpResponse:
    """To the registered address, of an app's private scheme too, which Django's own redirect refuses."""
    if not target:
        return pages.page(request, "logged_out", {})
    response = HttpResponse(status=302)
    response["Location"] = target
    return response


def _is_of(hint: dict[str, str], session: LoginSession, party: RelyingParty) -> bool:
    """True if a hint is of this session, and of its person as this client knows them."""
    return hint.get("sid") == session.sid and hint.get("sub") == clients.subject_of(party, session.account)


def _return_address(parameters: dict[str, str], party: RelyingParty | None) -> str | None:
    """The registered address to return to, with its `state`, or None."""
    uri = parameters.get("post_logout_redirect_uri", "")
    if party is None or uri not in party.post_logout_uris():
        return None
    state = parameters.get("state")
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode({'state': state})}" if state else uri
