"""Issue 3, Done when 1: each row of standards.md's assurance look-up, from a real login to the ID token of a relying
party.

Keys that should reach AAL3 are bound under a login with a PIV card (ruling 5). What is asked of the browser session
that a row
made, with `prompt=none`, is met or refused as the row says (AU-3, AU-4, AU-7, AS-5, DK-2, PK-1, PK-2, TK-2, TK-3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from demo.browser import Browser
from derived.errors import Reason
from idp.models import LoginSession
from tests.fixtures import passkey_pages
from tests.fixtures.card_pages import why
from tests.fixtures.card_reader import opened
from tests.fixtures.linked_upstream import AtUpstream
from tests.fixtures.linked_upstream import register as register_upstream
from tests.fixtures.lying_provider import AAL2, ABSENT, LyingProvider
from tests.fixtures.software_authenticator import Maker, SoftKey
from tests.fixtures.world import AAL, CALLBACK, ISSUER, App, World, answer, claims, http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from demo.browser import Page
    from demo.person import Person
    from tests.fixtures.card_reader import CardSetup

pytestmark = pytest.mark.django_db
ALEX = "alex@example.org"
UNMET = "unmet_authentication_requirements"


@dataclass
class Logins:
    """Everything around one person: a card office, a maker of keys that FIDO lists, another provider."""

    world: World
    card_setup: CardSetup
    maker: Maker
    lying_provider: LyingProvider
    folder: Path

    def person(self) -> tuple[Person, Browser]:
        """Somebody with password and app, signed in with them."""
        return self.world.enrolled(ALEX)

    def at_aal3(self) -> tuple[Person, Browser]:
        """The same, signed in with a PIV card that a manager bound."""
        person, _ = self.person()
        card = self.card_setup.pki.card()
        self.card_setup.bind(ALEX, card, self.folder)
        browser = self.card_setup.reader(card).browser()
        assert self.card_setup.sign_in(browser).path == "/devices"
        return person, browser

    def key(self, browser: Browser, **changed: Any) -> SoftKey:
        """A key, registered from this browser."""
        key = SoftKey(**changed)
        page = passkey_pages.register(browser, key)
        assert page.status == 200, page.words()
        return key


def piv(logins: Logins) -> Browser:
    return logins.at_aal3()[1]


def passkey(*, under_a_card: bool, alone: bool = True, **changed: Any) -> Callable[[Logins], Browser]:
    def signed_in(logins: Logins) -> Browser:
        person, desktop = logins.at_aal3() if under_a_card else logins.person()
        made = {**changed, "maker": logins.maker} if changed.get("maker") else changed
        key, browser = logins.key(desktop, **made), Browser(http())
        page = passkey_pages.sign_in(browser, key) if alone else passkey_pages.second(browser, person, key)
        assert page.path == "/devices", page.words()
        return browser

    return signed_in


def password_and_totp(logins: Logins) -> Browser:
    person, _ = logins.person()
    return logins.world.signed_in(person)


def upstream(acr: Any, *, cap: int = 3, **more: Any) -> Callable[[Logins], Browser]:
    def signed_in(logins: Logins) -> Browser:
        person, desktop = logins.at_aal3()
        at_upstream = AtUpstream(
            logins.world,
            logins.lying_provider,
            register_upstream(logins.lying_provider, cap=cap, **more),
            person,
            desktop,
        )
        assert at_upstream.link().path == "/devices"
        logins.lying_provider.acr = acr
        browser = Browser(http())
        page = at_upstream.sign_in(browser)
        assert page.path == "/devices", page.words()
        return browser

    return signed_in


@dataclass(frozen=True)
class Row:
    """One row of the look-up: what is done, and what a relying party may read of it."""

    name: str
    login: Callable[[Logins], Browser]
    aal: int
    amr: str
    phr: bool
    phrh: bool


ATTESTED: dict[str, Any] = {"maker": True}
ROWS = [
    Row("PIV authentication certificate, …3.13, over mutual TLS", piv, 3, "hwk mfa pin sc", phr=True, phrh=True),
    Row(
        "WebAuthn UV=1 BE=0, attested hardware",
        passkey(under_a_card=True, **ATTESTED),
        3,
        "hwk mfa user",
        phr=True,
        phrh=True,
    ),
    Row(
        "the same, bound under password and code",
        passkey(under_a_card=False, **ATTESTED),
        2,
        "hwk mfa user",
        phr=True,
        phrh=True,
    ),
    Row("WebAuthn UV=1 BE=0, no attestation", passkey(under_a_card=True), 2, "mfa pop user", phr=True, phrh=False),
    Row("WebAuthn UV=1 BE=1", passkey(under_a_card=True, synced=True), 2, "mfa pop user", phr=True, phrh=False),
    Row(
        "WebAuthn UV=1 BE=1 of a listed model",
        passkey(under_a_card=True, synced=True, **ATTESTED),
        2,
        "mfa pop user",
        phr=True,
        phrh=False,
    ),
    Row("WebAuthn UV=0 alone", passkey(under_a_card=True, verifies=False), 1, "pop user", phr=True, phrh=False),
    Row(
        "WebAuthn UV=0 alone, attested",
        passkey(under_a_card=True, verifies=False, **ATTESTED),
        1,
        "pop user",
        phr=True,
        phrh=True,
    ),
    Row(
        "password and WebAuthn UV=0",
        passkey(under_a_card=True, verifies=False, alone=False),
        2,
        "mfa pop pwd user",
        phr=True,
        phrh=False,
    ),
    Row(
        "password and WebAuthn UV=0, attested",
        passkey(under_a_card=True, verifies=False, alone=False, **ATTESTED),
        3,
        "mfa pop pwd user",
        phr=True,
        phrh=True,
    ),
    Row("password and TOTP", password_and_totp, 2, "mfa otp pwd", phr=False, phrh=False),
    Row("upstream, as its signed assertion says", upstream(AAL2), 2, "mfa otp pwd", phr=False, phrh=False),
    Row(
        "upstream says AAL3, and is trusted for AAL2",
        upstream(f"{AAL}3", cap=2),
        2,
        "mfa otp pwd",
        phr=False,
        phrh=False,
    ),
    Row("upstream says AAL1", upstream(f"{AAL}1"), 1, "mfa otp pwd", phr=False, phrh=False),
]


@pytest.fixture
def logins(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Logins]:
    maker, lying_provider = Maker(), LyingProvider()
    monkeypatch.setattr("idp.policies.fido_metadata.known", lambda: passkey_pages.listed(maker))
    with opened(tmp_path, monkeypatch) as card_setup:
        yield Logins(world, card_setup, maker, lying_provider, tmp_path)
    lying_provider.stop()


def asked(app: App, browser: Browser, **parameters: str | None) -> dict[str, str]:
    """What comes back to the relying party; a page that asks for consent is answered."""
    page: Page = browser.get(app.url(**parameters), stop_at=CALLBACK)
    if not page.stopped_at and (form := page.form_with("decision")):
        page = browser.submit(page, form, values={"decision": "allow"}, stop_at=CALLBACK)
    return answer(page)


def id_token(app: App, came: dict[str, str]) -> dict[str, Any]:
    response = app.redeem(came["code"])
    assert response.status_code == 200, response.text
    return claims(response.json()["id_token"])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_id_token_matches_the_assurance_table(logins: Logins, row: Row) -> None:
    """Level, `acr`, `amr`; and every class that can be asked for is met if it is true, and else refused."""
    browser, app = row.login(logins), logins.world.app()
    said = id_token(app, asked(app, browser))
    assert (said["aal"], said["acr"], " ".join(sorted(said["amr"]))) == (row.aal, f"{AAL}{row.aal}", row.amr)
    assert said["ial"] == 2
    met = {f"{AAL}{level}": level <= row.aal for level in (1, 2, 3)}
    met |= {f"{AAL}{level}?phishing_resistant=true": level <= row.aal and row.phr for level in (2, 3)}
    met |= {"phr": row.phr, "phrh": row.phrh}
    for value, is_met in met.items():
        came = asked(app, browser, acr_values=value, prompt="none")
        if is_met:
            assert id_token(app, came)["acr"] == value
        else:
            assert came["error"] == UNMET, value


def test_device_key_is_aal1_alone_and_aal2_with_passphrase(logins: Logins) -> None:
    """DK-2: grown from a PIV login, and still AAL1 alone and AAL2 with the passphrase; never phishing-resistant by
    its own word.
    """
    phone = logins.world.phone_app()
    _, desktop = logins.at_aal3()
    device = logins.world.device(desktop)
    whole = device.login(phone.client_id, passphrase="seven mossy stones", scope="openid")
    alone = device.login(phone.client_id, passphrase=None, scope="openid")
    for tokens, aal, methods in ((whole, 2, ["mfa", "pop", "pwd"]), (alone, 1, ["pop"])):
        said = claims(tokens.id_token)
        assert (said["aal"], said["acr"], said["amr"]) == (aal, f"{AAL}{aal}", methods)
    for value in (f"{AAL}3", "phr", "phrh"):
        with pytest.raises(Exception, match=UNMET):
            device.login(phone.client_id, passphrase="seven mossy stones", scope="openid", acr_values=value)


def test_card_authentication_certificate_is_refused(logins: Logins) -> None:
    """AU-3: …3.17 does client TLS without a PIN."""
    logins.person()
    before = LoginSession.objects.count()
    page = logins.card_setup.sign_in(logins.card_setup.reader(logins.card_setup.pki.card_auth()).browser())
    assert why(page) == Reason.CERTIFICATE_WRONG_POLICY
    assert LoginSession.objects.count() == before


@pytest.mark.parametrize("acr", [ABSENT, "", "urn:unknown", 2, [AAL2], f"{AAL}2 "], ids=repr)
def test_upstream_without_known_acr_is_refused(logins: Logins, acr: Any) -> None:
    """AU-7, trap 21: absent is none, never level 1; nobody is signed in."""
    person, desktop = logins.at_aal3()
    at_upstream = AtUpstream(
        logins.world, logins.lying_provider, register_upstream(logins.lying_provider), person, desktop
    )
    assert at_upstream.link().path == "/devices"
    logins.lying_provider.acr = acr
    before = LoginSession.objects.count()
    page = at_upstream.sign_in()
    assert page.path != "/devices"
    assert "counts as nothing" in page.html
    assert LoginSession.objects.count() == before


def test_every_row_of_the_table_is_tested() -> None:
    """standards.md has nine rows: card and card-auth, four of WebAuthn, password + TOTP, device key, upstream."""
    names = " | ".join(row.name for row in ROWS)
    for part in ("…3.13", "UV=1 BE=0, attested", "UV=1 BE=0, no attestation", "UV=1 BE=1", "UV=0", "TOTP", "upstream"):
        assert part in names
    assert ISSUER
