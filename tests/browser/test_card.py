"""A card in a real browser: Chromium shows its certificate to a real nginx, and comes back signed in (AU-2, C22,
ruling 7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from demo.proxy import nginx
from tests.fixtures.served_behind_nginx import MISSING, ServedBehindNginx, opened_behind_nginx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.conftest import Arrive
    from tests.browser.visitor import Visitor

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served_behind_nginx(chromium: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedBehindNginx]:
    if not nginx():
        pytest.skip(MISSING)
    with opened_behind_nginx(tmp_path_factory.mktemp("nginx")) as found:
        yield found


def reader(served_behind_nginx: ServedBehindNginx, card: Any, arrive: Arrive, *, scripts: bool = True) -> Visitor:
    """A card_browser with this card in its reader; None for an empty one."""
    shown = (
        []
        if card is None
        else [{"origin": served_behind_nginx.card_office.proxy.url, "cert": card.pem, "key": card.key_pem}]
    )
    return arrive(
        scripts=scripts, viewport={"width": 1280, "height": 900}, ignore_https_errors=True, client_certificates=shown
    )


@pytest.mark.parametrize("scripts", [True, False])
def test_chromium_signs_in_with_a_card(served_behind_nginx: ServedBehindNginx, arrive: Arrive, scripts: bool) -> None:  # noqa: FBT001 - a parameter
    """From the login page to the certificate host and back, with scripts and without; no password is typed anywhere."""
    card_browser = reader(served_behind_nginx, served_behind_nginx.card, arrive, scripts=scripts)
    card_browser.page.goto(f"{served_behind_nginx.live.issuer}/login")
    card_browser.page.get_by_role("link", name="card", exact=False).first.click()
    card_browser.look("card" if scripts else "card-without-scripts")
    card_browser.page.get_by_role("button").first.click()
    card_browser.is_at(f"{served_behind_nginx.live.issuer}/devices")
    card_browser.reads("My devices")


@pytest.mark.parametrize(("whose", "words"), [("nobody's", "no certificate"), ("a stranger's", "not")])
def test_chromium_without_a_known_card_shows_the_reason(
    served_behind_nginx: ServedBehindNginx, arrive: Arrive, whose: str, words: str
) -> None:
    """The TLS handshake succeeds, and the page where the login began shows the reason."""
    card_browser = reader(
        served_behind_nginx, None if whose == "nobody's" else served_behind_nginx.card_office.pki.card(), arrive
    )
    card_browser.page.goto(f"{served_behind_nginx.live.issuer}/login/card")
    card_browser.page.get_by_role("button").first.click()
    card_browser.page.wait_for_url(lambda found: found.startswith(served_behind_nginx.live.issuer))
    assert words in card_browser.page.locator("main").inner_text().lower()
    card_browser.look(f"card-refused-{'empty' if whose[0] == 'n' else 'stranger'}")
    card_browser.page.goto(f"{served_behind_nginx.live.issuer}/devices")
    assert "/login" in card_browser.page.url
