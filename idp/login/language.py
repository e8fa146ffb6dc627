"""The language of a page: chosen by the person, else stated by a source (`preferredLanguage`), else the browser's.

Before a sign-in the choice is kept in a cookie; after one it is the person's own, and their mail follows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpResponseRedirect
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods

from idp import pages
from idp.config import config
from idp.login.session import PREFERRED_LANGUAGE, signed_in
from idp.policies import site
from scim.models import Person

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

_YEAR: Final = 365 * 24 * 3600


class Language:
    """Middleware: each page in the language of its reader."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer in that language."""
        with translation.override(of_request(request)):
            response = self._get_response(request)
            if response.headers.get("Content-Type", "").startswith("text/html"):
                patch_vary_headers(response, ("Accept-Language",))
                response.headers.setdefault("Content-Language", translation.get_language() or settings.LANGUAGE_CODE)
        return response


def of_request(request: HttpRequest) -> str:
    """The language of a request: chosen here, of the signed-in person, of the browser, the default."""
    chosen = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
    asked = request.headers.get("Accept-Language", "")
    return _known(chosen) or _known(_stated(request)) or _known(asked) or site.settings().languages[0]


def _stated(request: HttpRequest) -> object:
    """The language that the browser's session has, or ""; an unavailable database is reported by the view, with 503."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return ""
    try:
        return request.session.get(PREFERRED_LANGUAGE, "")
    except DatabaseError:
        return ""


def of_person(person: Person) -> str:
    """The language of a person's mail: chosen, else stated by a source, else the default."""
    return _known(person.language) or _known(person.profile.get("preferredLanguage")) or site.settings().languages[0]


def _known(asked: object) -> str:
    """The offered language that is closest to a language tag or an Accept-Language value; "" if there is none."""
    for part in str(asked or "").split(",")[:8]:
        try:
            found = translation.get_supported_language_variant(part.split(";")[0].strip().lower())
        except LookupError:
            continue
        if found in site.settings().languages:
            return found
    return ""


def _before(request: HttpRequest) -> str:
    """The page of this site that led here, from `Referer`: an address with a token is not repeated in another."""
    came = urlsplit(request.headers.get("Referer", ""))
    is_ours = f"{came.scheme}://{came.netloc}" == config().issuer and came.path != "/language"
    return came.path + (f"?{came.query}" if came.query else "") if is_ours else "/"


@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: HttpRequest) -> HttpResponse:
    """`/language`: offer the languages; keep the choice, and go back to the page that led here."""
    if request.method != "POST":
        return pages.page(request, "language", {"back": _before(request), "chosen": translation.get_language()})
    tongue = request.POST.get("language", "")
    if tongue not in site.settings().languages:
        return pages.problem(request, translation.gettext("There is no such language here."), status=400)
    session = signed_in(request)
    person: Person | None = getattr(session.account, "person", None) if session else None
    if person is not None:
        Person.objects.filter(id=person.id).update(language=tongue)
        request.session[PREFERRED_LANGUAGE] = tongue
    back = request.POST.get("next", "/")
    if not back.startswith("/") or not url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        back = "/"
    response = HttpResponseRedirect(back)  # `redirect` would take other texts for the name of a view
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME, tongue, max_age=_YEAR, secure=config().is_https, httponly=True, samesite="Lax"
    )
    return response
