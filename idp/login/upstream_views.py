"""The pages of a sign-in at another provider: to it, and back from it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from csp.constants import SELF
from django.http import HttpResponse
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import Reason, Refused, Unavailable
from idp import pages
from idp.errors import error_response
from idp.login import flow, purpose, upstream
from idp.upstreams import documents, registry, trip

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from idp.models import Upstream, UpstreamLogin

_ANSWER = ("code", "state", "iss", "error")
_MOST = 4096
_NEXT = {
    Reason.CREDENTIAL_UNKNOWN: gettext_noop("Sign in another way, open My devices, and link it there."),
    Reason.UPSTREAM_UNTRUSTED: gettext_noop("Start again from the sign-in page, in this browser."),
    Reason.UPSTREAM_SAYS_NOTHING: (
        gettext_noop("Sign in another way, or ask your identity team to look at the settings of this provider.")
    ),
}


@require_http_methods(["GET", "POST"])
def login_upstream(request: HttpRequest, slug: str) -> HttpResponse:
    """GET explains the step; POST begins it."""
    now = clock.now()
    try:
        found = registry.usable(slug)
        if request.method == "POST":
            return redirect_to_upstream(upstream.begin(request, found, now=now))
        return _page(request, found, now=now)
    except (Refused, Unavailable) as refused:
        return refusal(request, refused.reason)


def _page(request: HttpRequest, found: Upstream, *, now: datetime) -> HttpResponse:
    waiting = upstream.pending_request(request, now=now)
    values = {
        "upstream_name": found.name,
        "host": urlsplit(found.issuer).netloc,
        "why": purpose.of_request(request).why or None,
        "client_name": waiting.client.name if waiting else None,
    }
    response = pages.page(request, "upstream_login", values)
    return permit_form_target(response, found, [waiting.redirect_uri] if waiting else [], now=now)


def permit_form_target(response: HttpResponse, found: Upstream, others: list[str], *, now: datetime) -> HttpResponse:
    """Permit this page's form to lead to the upstream and on, because Chromium applies `form-action` to redirects."""
    targets = [documents.metadata(found, now=now)["authorization_endpoint"], *others]
    places = [urlsplit(one) for one in targets]
    named = [f"{one.scheme}://{one.netloc}" if one.scheme in {"http", "https"} else f"{one.scheme}:" for one in places]
    response._csp_update = {"form-action": [SELF, *named]}  # type: ignore[attr-defined]  # noqa: SLF001 - django-csp's hook
    return response


def redirect_to_upstream(url: str) -> HttpResponse:
    """Send the browser to an upstream, by GET."""
    response = HttpResponse(status=303)
    response["Location"] = url
    return response


def parameters(request: HttpRequest) -> dict[str, str]:
    """The parameters of an upstream's response: each once, short, printable.

    Raises: Refused(UPSTREAM_UNTRUSTED).
    """
    found: dict[str, str] = {}
    for name in _ANSWER:
        values = request.GET.getlist(name)
        if len(values) > 1 or any(len(one) > _MOST or not one.isprintable() for one in values):
            raise Refused(Reason.UPSTREAM_UNTRUSTED)
        if values:
            found[name] = values[0]
    return found


def complete_login(
    request: HttpRequest, row: UpstreamLogin, answered: dict[str, str], *, now: datetime
) -> HttpResponse:
    """Back from a trip that was to sign in.

    Raises: Refused, Unavailable.
    """
    purpose.recall(request, row.state_hash)
    back = trip.complete(row, answered, now=now)
    credential = upstream.sign_in(request, back, now=now)
    return flow.finish(request, credential)


def refusal(request: HttpRequest, reason: Reason) -> HttpResponse:
    """The reason of a failed login, and the next step."""
    found = error_response(reason)
    response = pages.problem(
        request,
        found.words,
        status=found.status,
        next_step=_NEXT.get(reason, "Sign in another way, or try again later."),
    )
    if found.status == HTTPStatus.SERVICE_UNAVAILABLE:
        response["Retry-After"] = "5"
    return response
