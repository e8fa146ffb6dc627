"""Steps of a browser that card chapters and tests share: the card login, its refusals, and a login at the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.openid import Refused

if TYPE_CHECKING:
    from demo.browser import Browser, Page
    from demo.context import Context
    from demo.openid import Login


def open_card_login(context: Context, browser: Browser) -> Page:
    """Open the card login's page and press its button."""
    page = browser.get(f"{context.ramet.issuer}/login/card")
    return browser.submit(page, page.form_to("/login/card"))


def refusal_reason(page: Page) -> str:
    """The reason of a refusal, or the path of any other page."""
    return page.html.partition('data-reason="')[2].partition('"')[0] or page.path


def request_login(context: Context, browser: Browser, acr_values: str) -> Login:
    """Log in at the application in this browser.

    Raises: Refused.
    """
    pending = context.app_client.request(acr_values=acr_values)
    page = browser.get(pending.url, stop_at=pending.redirect_uri)
    if not page.stopped_at and (form := page.form_with("decision")):
        page = browser.submit(page, form, values={"decision": "allow"}, stop_at=pending.redirect_uri)
    if not page.stopped_at:
        raise Refused("no_answer", f"{page.path}: {page.words()}")
    return context.app_client.exchange(context.app_client.code(page.stopped_at, pending=pending), pending=pending)
