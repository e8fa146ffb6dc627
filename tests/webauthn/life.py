"""What people do with keys, over HTTP: what the page's script would do is done here."""

from __future__ import annotations

import base64
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from demo.browser import Browser
from derived import clock
from derived.changes import issue
from derived.changes.issue import VerifiedCertificate
from derived.ledger.locking import under_lock
from derived.minting.fido.metadata import Metadata, Model
from derived.rules.eligibility import BoundBy, BoundVia
from idp.login.session import record_login
from idp.models import AuthenticationEvent, LoginSession
from tests.world import ISSUER, http

if TYPE_CHECKING:
    import httpx

    from demo.browser import Page
    from demo.person import Person
    from derived.models import Account, Credential
    from tests.webauthn.authenticator import Maker, SoftKey

ADD, LOGIN, SECOND = f"{ISSUER}/devices/roots/passkey/add", f"{ISSUER}/login/passkey", f"{ISSUER}/login/second/passkey"


def fetched(browser: Browser, page: Page, url: str) -> httpx.Response:
    """The options that a page's script asks for."""
    token = page.form_with("response").fields["csrfmiddlewaretoken"]  # type: ignore[union-attr]
    return browser._http.post(url, data={"csrfmiddlewaretoken": token}, headers={"Referer": page.url, "Origin": ISSUER})


def asked(browser: Browser, page: Page, url: str) -> dict[str, Any]:
    response = fetched(browser, page, url)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def sent(browser: Browser, page: Page, answer: dict[str, Any], *, stop_at: str = "", **fields: str) -> Page:
    form = page.form_with("response")
    assert form is not None, page.words()
    return browser.submit(page, form, values={"response": json.dumps(answer), **fields}, stop_at=stop_at)


def register(browser: Browser, key: SoftKey, *, name: str = "My key", **falsified: Any) -> Page:
    """Add a key to the account that this browser is signed in to."""
    page = browser.get(ADD)
    options = asked(browser, page, f"{ISSUER}/devices/roots/passkey/options")
    return sent(browser, page, key.create(options, **falsified), name=name)


def sign_in(browser: Browser, key: SoftKey, *, stop_at: str = "", **falsified: Any) -> Page:
    """A key as the only step."""
    page = browser.get(LOGIN)
    return sent(browser, page, key.get(asked(browser, page, LOGIN + "/options"), **falsified), stop_at=stop_at)


def password(browser: Browser, person: Person) -> Page:
    """The first step: the right password."""
    page = browser.get(f"{ISSUER}/login")
    form = page.form_with("username", "password")
    assert form is not None
    return browser.submit(page, form, values={"username": person.username, "password": person.password})


def second(browser: Browser, person: Person, key: SoftKey, *, stop_at: str = "", **falsified: Any) -> Page:
    """A key after the password."""
    assert password(browser, person).path == "/login/totp"
    page = browser.get(SECOND)
    return sent(browser, page, key.get(asked(browser, page, SECOND + "/options"), **falsified), stop_at=stop_at)


def stranger() -> Browser:
    """A browser that nobody knows."""
    return Browser(http())


def session_of(account: Account) -> LoginSession:
    return (
        LoginSession.objects.select_related("event__credential")
        .filter(account=account, ended_at__isnull=True)
        .latest("created_at")
    )


def newest_event() -> AuthenticationEvent:
    return AuthenticationEvent.objects.latest("id")


def card(account: Account) -> Credential:
    """A PIV card of this account, bound by a manager: with it the account can reach AAL3."""
    now, mark = clock.now(), uuid4().hex
    verified = VerifiedCertificate(
        issuer="CN=CA",
        issuer_key=mark * 2,
        serial=mark,
        ski=mark,
        fasc_n=mark,
        card_uuid=str(uuid4()),
        fingerprint=mark * 2,
        der=b"der",
        not_after=datetime(2099, 1, 1, tzinfo=UTC),
        subject="CN=Alex",
        policies=("2.16.840.1.101.3.2.1.3.13",),
    )
    return under_lock(
        account.id,
        lambda locked: issue.certificate(
            locked, verified, bound_by=BoundBy(how=BoundVia.MANAGER), name="Card", now=now, actor="manager:test"
        ),
    )


def with_card(account: Account) -> LoginSession:
    """The account's present session, as it is after a login with a card (AAL3)."""
    row = card(account)
    shown = VerifiedCertificate.shown.fget(type("V", (), {"derived": False, "hardware": True, "ours": False})())  # type: ignore[attr-defined]
    event = under_lock(account.id, lambda locked: record_login(locked, row, shown, now=clock.now()))
    session = session_of(account)
    session.event, session.expires_at = event, clock.now() + timedelta(hours=12)
    session.save(update_fields=["event", "expires_at"])
    return session


def listed(maker: Maker, **changed: Any) -> Metadata:
    """Metadata that lists one maker's model as a good one."""
    said: dict[str, Any] = {
        "ids": (maker.aaguid,),
        "description": "A good key",
        "roots": (base64.b64encode(maker.root_der).decode(),),
        "statuses": ("FIDO_CERTIFIED_L2",),
        "key_protection": frozenset({"hardware", "secure_element"}),
        **changed,
    }
    return Metadata(number=1_000_000, models={maker.aaguid: Model(**said)})


def published(maker: Maker, *statuses: str, number: int = 1_000_000) -> dict[str, Any]:
    """The same as FIDO would publish it."""
    return {
        "no": number,
        "nextUpdate": "2099-01-01",
        "legalHeader": secrets.token_hex(4),
        "entries": [
            {
                "aaguid": maker.aaguid,
                "statusReports": [{"status": status} for status in statuses or ("FIDO_CERTIFIED_L2",)],
                "metadataStatement": {
                    "description": "A good key",
                    "keyProtection": ["hardware", "secure_element"],
                    "attestationRootCertificates": [base64.b64encode(maker.root_der).decode()],
                },
            }
        ],
    }
