"""The organisation's logo and colours, at addresses that change with their content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_http_methods

from idp.policies import site

if TYPE_CHECKING:
    from django.http import HttpRequest

_FOR_A_YEAR = "public, max-age=31536000, immutable"
_NO_SCRIPTS = "default-src 'none'; style-src 'unsafe-inline'; sandbox"  # an SVG that somebody opens by itself


@require_http_methods(["GET", "HEAD"])
def palette(_request: HttpRequest, version: str) -> HttpResponse:
    """The stylesheet of the organisation's colours."""
    found = site.settings().palette
    if found is None or found.version != version:
        raise Http404
    return HttpResponse(found.css, content_type="text/css; charset=utf-8", headers={"Cache-Control": _FOR_A_YEAR})


@require_http_methods(["GET", "HEAD"])
def logo(_request: HttpRequest, version: str) -> HttpResponse:
    """The organisation's logo."""
    found = site.settings().logo
    if found is None or found.version != version:
        raise Http404
    headers = {"Cache-Control": _FOR_A_YEAR, "Content-Security-Policy": _NO_SCRIPTS}
    return HttpResponse(found.content, content_type=found.media_type, headers=headers)
