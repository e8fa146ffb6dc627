"""A person at a browser: accepts the invitation, signs in; only this module knows their secrets."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from demo.authenticator import Authenticator
from demo.browser import UnexpectedPage

if TYPE_CHECKING:
    from demo.browser import Browser, Page
    from demo.forms import Form

_MOST_PAGES = 6


@dataclass
class Person:
    """A person with their password, authenticator app and recovery codes."""

    username: str
    name: str
    email: str
    password: str = field(default_factory=lambda: f"{secrets.token_hex(3)}-{secrets.token_hex(3)}-fern", repr=False)
    totp_secret: str = field(default="", repr=False)
    recovery_codes: list[str] = field(default_factory=list, repr=False)
    authenticator: Authenticator | None = field(default=None, repr=False)
    asked: list[str] = field(default_factory=list)  # what pages asked for, in order

    def accept_invitation(self, browser: Browser, link: str) -> Page:
        """Follow the link of the mail: password, authenticator app, recovery codes.

        Raises: UnexpectedPage.
        """
        page = browser.get(link)
        page = browser.submit(page, needed(page, "password", "password_again"), values=self._new_password())
        self.totp_secret = "".join(page.by_id("totp-secret").split())
        self.authenticator = Authenticator(self.totp_secret)
        page = browser.submit(page, needed(page, "totp"), values={"totp": self.authenticator.first_code()})
        self.recovery_codes = page.by_class("recovery-code")
        if not self.recovery_codes:
            raise UnexpectedPage(f"{page.path} ({page.status}) shows no recovery codes: {page.words()}")
        return page

    def sign_in(self, browser: Browser, page: Page, *, stop_at: str = "") -> Page:
        """Fill in the login's pages, from this page on, until none is left.

        stop_at: do not follow a redirect to a URL that begins with this.

        Raises: UnexpectedPage after too many pages.
        """
        for _ in range(_MOST_PAGES):
            form, values = self._answer(page)
            if form is None or page.stopped_at:
                return page
            page = browser.submit(page, form, values=values, stop_at=stop_at)
        raise UnexpectedPage(f"{page.path} ({page.status}) keeps asking: {page.words()}")

    def _answer(self, page: Page) -> tuple[Form | None, dict[str, str]]:
        if form := page.form_with("username", "password"):
            self.asked.append("password")
            return form, {"username": self.username, "password": self.password}
        if (form := page.form_with("totp")) and self.authenticator:
            self.asked.append("totp")
            return form, {"totp": self.authenticator.code()}
        if form := page.form_with("decision"):
            self.asked.append("consent")
            return form, {"decision": "allow"}
        return None, {}

    def _new_password(self) -> dict[str, str]:
        return {"password": self.password, "password_again": self.password}


def needed(page: Page, *names: str) -> Form:
    """The form of a page with these fields.

    Raises: UnexpectedPage.
    """
    form = page.form_with(*names)
    if form is None:
        raise UnexpectedPage(f"{page.path} ({page.status}) has no form with {', '.join(names)}: {page.words()}")
    return form
