"""Authorization responses: by redirect, or by a form that the browser posts (RFC 9207; C34, E13, P59)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from django.http import HttpResponse

from idp import pages
from idp.config import config

if TYPE_CHECKING:
    from django.http import HttpRequest


class DeclinedRequest(Exception):
    """An authorization request that is answered with an error, to an address that is registered for its client.

    mode, state: as the request had them, as far as they could be read.
    """

    def __init__(
        self, error: str, words: str | None, *, redirect_uri: str, mode: str = "query", state: str = ""
    ) -> None:
        super().__init__(error)
        self.error, self.words, self.redirect_uri, self.mode, self.state = error, words or "", redirect_uri, mode, state


def authorization_response(  # noqa: PLR0913 - the parts of an answer
    request: HttpRequest, redirect_uri: str, *, mode: str, state: str, code: str = "", error: str = "", words: str = ""
) -> HttpResponse:
    """An answer, with `iss` always, also in errors (RFC 9207)."""
    pairs = {"code": code, "error": error, "error_description": words, "state": state, "iss": config().issuer}
    pairs = {name: value for name, value in pairs.items() if value}
    if mode == "form_post":
        return _form_post(request, redirect_uri, pairs)
    response = HttpResponse(status=303 if code else 302)
    response["Location"] = f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(pairs)}"
    return response


def error_response(request: HttpRequest, refusal: DeclinedRequest) -> HttpResponse:
    """An error, sent back."""
    return authorization_response(
        request, refusal.redirect_uri, mode=refusal.mode, state=refusal.state, error=refusal.error, words=refusal.words
    )


def _form_post(request: HttpRequest, redirect_uri: str, pairs: dict[str, str]) -> HttpResponse:
    """OAuth 2.0 Form Post Response Mode: a page with one button, which a script presses where there are scripts."""
    values = {"action": redirect_uri, "pairs": pairs, "host": urlsplit(redirect_uri).netloc, "failed": "error" in pairs}
    return pages.permit_form_target(pages.page(request, "form_post", values), redirect_uri)
