"""A person at a Chromium of their own, who looks at every page they come to: with axe, narrow and wide, light and
dark.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page

    from demo.person import Person
    from tests.fixtures.served_for_browsers import ServedForBrowsers

SCREENSHOTS = Path(__file__).parent / "screenshots"
_LOOKS: tuple[tuple[str, int, Literal["light", "dark"]], ...] = (
    ("phone", 390, "light"),
    ("desk", 1280, "dark"),
    ("desk", 1280, "light"),
)
_HEIGHT = 900
_OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
_KEY = """async () => {
  const { find } = await import('/static/ramet/device.js');
  const key = (await find(document.body.dataset.issuer))?.pair.privateKey;
  if (!key) return null;
  const forms = await Promise.all(['jwk', 'pkcs8', 'raw'].map(
    (form) => crypto.subtle.exportKey(form, key).then(() => 'exported', (error) => error.name)));
  return { extractable: key.extractable, usages: key.usages, forms };
}"""


class Visitor:
    """One browser, with cookies and key storage of its own.

    troubles: what the browser complained about: errors of scripts, and what the Content-Security-Policy blocked.
    """

    def __init__(self, page: Page, *, scripts: bool = True) -> None:
        self.page = page
        self.troubles: list[str] = []
        self._scripts = scripts
        self._axe = Axe()
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("console", self._heard)

    def _heard(self, message: ConsoleMessage) -> None:
        # "Failed to load resource" is the browser's word for our own honest 4xx.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.troubles.append(message.text)

    # --- looking ------------------------------------------------------------------------------------------------------

    def look(self, name: str) -> None:
        """Take pictures of this page, and hold it against WCAG as far as axe can, and against sideways scrolling."""
        before = self.page.viewport_size
        for device, width, scheme in _LOOKS:
            self.page.set_viewport_size({"width": width, "height": _HEIGHT})
            self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            suffix = "" if scheme == "light" else f"-{scheme}"
            self.page.screenshot(path=SCREENSHOTS / f"{name}-{device}{suffix}.png", full_page=True)
            assert self.page.evaluate(_OVERFLOW) <= 0, f"{name} scrolls sideways at {width} px"
            if self._scripts:
                found = self._axe.run(self.page)
                assert found.violations_count == 0, f"{name}, {device}, {scheme}: {found.generate_report()}"
        if before:
            self.page.set_viewport_size(before)
        assert self.troubles == [], f"{name}: {self.troubles}"

    def reads(self, words: str) -> None:
        """Wait until the page's main heading says this."""
        expect(self.page.locator("h1:visible").first).to_have_text(words, timeout=15_000)

    def is_at(self, url: str) -> None:
        """Wait until the address bar shows this, whatever its query."""
        wanted = urlsplit(url)
        self.page.wait_for_url(lambda found: urlsplit(found)[:3] == wanted[:3], timeout=15_000)

    def press(self, name: str) -> None:
        """Press the button, or follow the link, of exactly this name."""
        both = self.page.get_by_role("button", name=name, exact=True).or_(
            self.page.get_by_role("link", name=name, exact=True)
        )
        both.first.click()

    def private_key(self) -> dict[str, object] | None:
        """What a script of the page can learn of the device key that is kept here."""
        found: dict[str, object] | None = self.page.evaluate(_KEY)
        return found

    # --- what people do -----------------------------------------------------------------------------------------------

    def choose_password(self, password: str, *, again: str | None = None) -> None:
        """Fill in the first page of an invitation."""
        self.page.get_by_label("New password", exact=True).fill(password)
        self.page.get_by_label("The same password again", exact=True).fill(password if again is None else again)
        self.press("Continue")

    def give_password(self, person: Person, *, password: str | None = None) -> None:
        """Fill in the login page."""
        self.page.get_by_label("User name").fill(person.username)
        self.page.get_by_label("Password", exact=True).fill(person.password if password is None else password)
        self.press("Continue")

    def give_code(self, person: Person) -> None:
        """Fill in the page that asks for a one-time code."""
        assert person.authenticator is not None
        self.page.get_by_label("Code from your authenticator app").fill(person.authenticator.code())
        self.press("Sign in")

    def sign_in(self, person: Person, url: str) -> None:
        """Go to a page of Ramet that needs a login, and log in with password and code."""
        self.page.goto(url)
        self.give_password(person)
        self.give_code(person)

    def enter_console(self, person: Person, served: ServedForBrowsers) -> None:
        """Log in for the console, which asks for a passkey, as if with one."""
        self.sign_in(person, f"{served.url}/console")
        expect(self.page.get_by_text("Deciding for other people needs a passkey")).to_be_visible()
        served.use_key(person)
        self.page.goto(f"{served.url}/console")

    def give_passphrase(self, passphrase: str) -> None:
        """Fill in the page "Use this device"."""
        self.page.get_by_label("Passphrase of this device", exact=True).fill(passphrase)
        self.press("Sign in")

    def answer_code(self, name: str, passphrase: str) -> str:
        """Fill in the new device's page, and give the number that it shows then."""
        self.page.get_by_label("Name of this device").fill(name)
        self.page.get_by_label("New passphrase for this device", exact=True).fill(passphrase)
        self.page.get_by_label("The same passphrase again", exact=True).fill(passphrase)
        self.press("Continue")
        self.reads("Now look at your computer")
        return self.page.locator("#number").inner_text()
