"""Linking another provider, and signing in there: the policy of each page lets the browser go there and come back (ruling 22)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.upstream.liar import AAL2, CLIENT, SECRET, Liar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.place import Place
    from tests.browser.visitor import Visitor


@pytest.fixture
def liar(place: Place) -> Iterator[Liar]:
    """An upstream that tells the truth, registered by the operator's command."""
    found = Liar()
    place.ramet.extra["RAMET_UPSTREAM_SECRET"] = SECRET
    place.ramet.manage(
        "upstream", "add", "elsewhere", "--issuer", found.issuer, "--client-id", CLIENT, "--label", "Elsewhere", "--level", f"{AAL2}=2",
        "--acr-values", AAL2,
    )  # fmt: skip
    yield found
    found.stop()


def test_a_person_links_another_provider_and_signs_in_there(place: Place, desktop: Visitor, liar: Liar) -> None:
    """Chromium holds `form-action` against every redirect: ours, the upstream's, and the one that ends at the relying party."""
    person, page = place.employee("Ines", "Birk"), desktop.page
    desktop.sign_in(person, f"{place.url}/devices")
    page.goto(f"{place.url}/devices/roots/upstream/elsewhere/add")
    desktop.reads("Link Elsewhere?")
    desktop.look("upstream-link")
    desktop.press("Continue to Elsewhere")
    desktop.reads("My devices")
    expect(page.get_by_text("Elsewhere is linked.")).to_be_visible()

    page.context.clear_cookies()
    page.goto(f"{place.app.url}/login")
    desktop.reads("Sign in")
    page.goto(f"{place.url}/login/upstream/elsewhere")
    desktop.reads("Sign in at Elsewhere")
    expect(page.get_by_text(f"to continue to {place.app.name}")).to_be_visible()
    desktop.look("upstream-login")
    desktop.press("Continue to Elsewhere")
    desktop.is_at(f"{place.app.url}/")

    liar.subject = "somebody whom nobody knows"
    page.context.clear_cookies()
    page.goto(f"{place.url}/login/upstream/elsewhere")
    desktop.press("Continue to Elsewhere")
    desktop.reads("Not possible")
    expect(page.get_by_text("Sign in another way, open My devices, and link it there.")).to_be_visible()
    desktop.look("upstream-unknown")
