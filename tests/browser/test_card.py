"""A card in a real browser: Chromium shows its certificate to a real nginx, and comes back signed in (AU-2, C22, ruling 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from demo.proxy import nginx
from tests.card.hall import MISSING, Hall, opened_hall

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.conftest import Arrive
    from tests.browser.visitor import Visitor

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hall(chromium: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    if not nginx():
        pytest.skip(MISSING)
    with opened_hall(tmp_path_factory.mktemp("hall")) as found:
        yield found


def reader(hall: Hall, card: Any, arrive: Arrive, *, scripts: bool = True) -> Visitor:
    """A desk with this card in its reader; None for an empty one."""
    shown = [] if card is None else [{"origin": hall.office.proxy.url, "cert": card.pem, "key": card.key_pem}]
    return arrive(
        scripts=scripts, viewport={"width": 1280, "height": 900}, ignore_https_errors=True, client_certificates=shown
    )


@pytest.mark.parametrize("scripts", [True, False])
def test_chromium_signs_in_with_a_card(hall: Hall, arrive: Arrive, scripts: bool) -> None:  # noqa: FBT001 - a parameter
    """From the login page to the certificate host and back, with scripts and without; no password is typed anywhere."""
    desk = reader(hall, hall.card, arrive, scripts=scripts)
    desk.page.goto(f"{hall.live.issuer}/login")
    desk.page.get_by_role("link", name="card", exact=False).first.click()
    desk.look("card" if scripts else "card-without-scripts")
    desk.page.get_by_role("button").first.click()
    desk.is_at(f"{hall.live.issuer}/devices")
    desk.reads("My devices")


@pytest.mark.parametrize(("whose", "words"), [("nobody's", "no certificate"), ("a stranger's", "not")])
def test_chromium_with_no_card_or_a_strangers_is_told_so(hall: Hall, arrive: Arrive, whose: str, words: str) -> None:
    """The handshake goes through, and the person reads why at the host where they began."""
    desk = reader(hall, None if whose == "nobody's" else hall.office.pki.card(), arrive)
    desk.page.goto(f"{hall.live.issuer}/login/card")
    desk.page.get_by_role("button").first.click()
    desk.page.wait_for_url(lambda found: found.startswith(hall.live.issuer))
    assert words in desk.page.locator("main").inner_text().lower()
    desk.look(f"card-refused-{'empty' if whose[0] == 'n' else 'stranger'}")
    desk.page.goto(f"{hall.live.issuer}/devices")
    assert "/login" in desk.page.url
