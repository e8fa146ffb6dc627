"""Linking another provider, and signing in there: the policy of each page lets the browser go there and come back
(ruling 22).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.fixtures.lying_provider import AAL2, CLIENT, SECRET, LyingProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.visitor import Visitor
    from tests.fixtures.served_for_browsers import ServedForBrowsers


@pytest.fixture
def lying_provider(served: ServedForBrowsers) -> Iterator[LyingProvider]:
    """An upstream that tells the truth, registered by the operator's command."""
    found = LyingProvider()
    served.ramet.extra["RAMET_UPSTREAM_SECRET"] = SECRET
    served.ramet.manage(
        "upstream", "add", "elsewhere", "--issuer", found.issuer, "--client-id", CLIENT, "--label", "Elsewhere",
        "--level", f"{AAL2}=2",
        "--acr-values", AAL2,
    )  # fmt: skip
    yield found
    found.stop()


def test_person_links_an_upstream_provider_and_signs_in_with_it(
    served: ServedForBrowsers, desktop: Visitor, lying_provider: LyingProvider
) -> None:
    """Chromium holds `form-action` against every redirect: ours, the upstream's, and the one that ends at the
    relying party.
    """
    person, page = served.employee("Ines", "Birk"), desktop.page
    desktop.sign_in(person, f"{served.url}/devices")
    page.goto(f"{served.url}/devices/roots/upstream/elsewhere/add")
    desktop.reads("Link Elsewhere?")
    desktop.look("upstream-link")
    desktop.press("Continue to Elsewhere")
    desktop.reads("My devices")
    expect(page.get_by_text("Elsewhere is linked.")).to_be_visible()

    page.context.clear_cookies()
    page.goto(f"{served.app.url}/login")
    desktop.reads("Sign in")
    page.get_by_role("link", name="Sign in at Elsewhere").click()
    desktop.reads("Sign in at Elsewhere")
    expect(page.get_by_text(f"to continue to {served.app.name}")).to_be_visible()
    desktop.look("upstream-login")
    desktop.press("Continue to Elsewhere")
    desktop.is_at(f"{served.app.url}/")

    lying_provider.subject = "somebody whom nobody knows"
    page.context.clear_cookies()
    page.goto(f"{served.url}/login/upstream/elsewhere")
    desktop.press("Continue to Elsewhere")
    desktop.reads("Not possible")
    expect(page.get_by_text("Sign in another way, open My devices, and link it there.")).to_be_visible()
    desktop.look("upstream-unknown")
