"""Rendering of pages, error pages, and forms that lead to a relying party."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from csp.constants import SELF
from django.shortcuts import render
from django.utils.translation import gettext_noop

from derived.errors import Refused, TryLater, Unavailable
from idp.errors import retry_after

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


# In the words of the person who reads it: the phrase of the status code is for programs.
_TITLES: dict[int, str] = {
    HTTPStatus.FORBIDDEN: gettext_noop("Not possible"),
    HTTPStatus.NOT_FOUND: gettext_noop("Nothing here"),
    HTTPStatus.METHOD_NOT_ALLOWED: gettext_noop("That did not work"),
    HTTPStatus.CONFLICT: gettext_noop("Not possible as things are"),
    HTTPStatus.GONE: gettext_noop("Too late"),
    HTTPStatus.TOO_MANY_REQUESTS: gettext_noop("Please wait"),
    HTTPStatus.INTERNAL_SERVER_ERROR: gettext_noop("Something went wrong"),
    HTTPStatus.SERVICE_UNAVAILABLE: gettext_noop("Not available just now"),
}
_SOURCE = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?|[a-z][a-z0-9+.-]*:")  # CSP §2.3.1


def page(request: HttpRequest, name: str, values: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """A page of `templates/pages`."""
    return render(request, f"pages/{name}.html", values, status=status)


def problem(
    request: HttpRequest, message: str, *, status: int, title: str | None = None, next_step: str | None = None
) -> HttpResponse:
    """An error page: the fault and the next step."""
    title = title or _TITLES.get(status, "That did not work")
    values = {"title": title, "message": message, "next_step": next_step, "status": status}
    return page(request, "error", values, status=status)


def csrf_failure(request: HttpRequest, **_context: object) -> HttpResponse:
    """The page for a form from another site, or from an expired page."""
    return problem(
        request,
        gettext_noop("This form has expired or came from another site."),
        status=403,
        next_step=gettext_noop("Go back, reload the page, and try again."),
    )


def bad_request(request: HttpRequest, *_exception: object, **_context: object) -> HttpResponse:
    """The 400 page, for requests that Django refuses before any view."""
    return problem(
        request, gettext_noop("The request is malformed, too large, or came from a page that is too old."), status=400
    )


def not_found(request: HttpRequest, *_exception: object, **_context: object) -> HttpResponse:
    """404."""
    return problem(request, gettext_noop("There is no page at this address."), status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """The 500 page, without details."""
    return problem(request, gettext_noop("Something went wrong on our side. Nothing was changed."), status=500)


def with_wait(response: HttpResponse, refused: Refused | Unavailable) -> HttpResponse:
    """The page of a refusal; where it asks to wait, Retry-After says how long in seconds (RFC 9110 §10.2.3)."""
    if isinstance(refused, TryLater | Unavailable):
        response["Retry-After"] = str(retry_after(refused))
    return response


def permit_form_target(response: HttpResponse, redirect_uri: str) -> HttpResponse:
    """Let this page's form end at a relying party: Chromium applies `form-action` to redirects too (ruling 22)."""
    parts = urlsplit(redirect_uri)
    target = f"{parts.scheme}://{parts.netloc}" if parts.scheme in {"http", "https"} else f"{parts.scheme}:"
    if not _SOURCE.fullmatch(target):  # registered before hosts were judged so strictly: the form stays on this page
        return response
    response._csp_update = {"form-action": [SELF, target]}  # type: ignore[attr-defined]  # noqa: SLF001 - django-csp's hook
    return response
