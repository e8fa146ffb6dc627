"""The house that valid requests come from: people who are signed in, phones that are bound, tokens that live."""

from __future__ import annotations

import secrets
from base64 import b64encode
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from demo.browser import Browser
from derived import clock
from derived.models import Credential
from device.client import Code, DeviceClient
from device.key import DeviceKey
from idp.clients import CLIENT_CREDENTIALS, DEVICE_CODE, SCOPES, SERVICE_SCOPES
from idp.models import Throttle
from scim.feed import delivery, receivers
from scim.models import Source
from tests.fixtures.world import ISSUER, World, http
from tests.fuzz.wire import Jws

if TYPE_CHECKING:
    from random import Random

CSRF = "0123456789abcdefghijklmnopqrstuv"
PASSPHRASE = "seven mossy stones"


def fresh() -> dict[str, Any]:
    """The claims that make a proof new."""
    return {"iat": int(clock.now().timestamp()), "jti": secrets.token_urlsafe(16)}


class ValidState:
    """What valid requests need: renewed from time to time, because requests use it up or end it.

    person: nobody ends them. victim: their sessions, devices and account may end at any request.
    """

    def __init__(self, random: Random) -> None:
        self.random, self.world, self.number = random, World(), 0
        Source.objects.update(brake_count=1_000_000)  # the fuzz ends many people, and a held one is an ERROR in the log
        self.app = self.world.app(
            post_logout_uris=["https://app.example/out"],
            grants=[CLIENT_CREDENTIALS, DEVICE_CODE],
            scopes=[*SCOPES, *SERVICE_SCOPES],
        )
        self.consent_app = self.world.app(name="Consent desk", consent=True)
        self.browser_app = self.world.app(
            name="Browser app", public=True, application_type="browser", redirect_uris=["https://spa.example/cb"]
        )
        self.field_app = self.world.phone_app()
        self.signing_key = DeviceKey.generate()
        keys = {"keys": [self.signing_key.public_jwk]}
        self.signing_app = self.world.app(
            name="Signing desk", auth_method="private_key_jwt", auth_alg="ES256", request_alg="ES256", jwks=keys
        )
        long_ago, everything = clock.now() - timedelta(days=1), receivers.PRESETS["everything"]
        self.receiver, self.feed_token = receivers.register(
            "follower", kinds=["User", "Group"], full=True, attributes=everything, expires_at=None, now=long_ago
        )
        for kind in self.receiver.kinds:
            delivery.read_begins(self.receiver, kind)
        self.registered_app = self.world.app(name="Registered desk")  # which may change and end itself
        self.renew()

    def renew(self) -> None:
        """New people, sessions, tokens, codes and devices; back-off is forgotten."""
        self.number += 1
        Throttle.objects.all().delete()
        Credential.objects.update(failures=0)
        self.person, self.desktop = self.world.enrolled(f"fuzz{self.number}@example.org")
        self.victim, self.victims = self.world.enrolled(f"victim{self.number}@example.org")
        self.phone, self.victims_phone = self.world.device(self.desktop), self.world.device(self.victims)
        mobile = self.phone.login(self.field_app.client_id, passphrase=PASSPHRASE, scope="openid offline_access")
        self.mobile_tokens = (mobile.access_token, mobile.refresh_token or "")
        self.tokens = self.world.tokens(self.app, self.desktop, scope="openid profile email offline_access")
        self.page, self.code, self.short_code = self.world.begin_binding(self.desktop)
        self.screen = self.app.post("/oidc/device_authorization", {"scope": "openid profile"}).json()
        self.key = DeviceKey.generate()
        self.challenge = DeviceClient(http=http()).ask_challenge(ISSUER, Code(text=self.code), key=self.key)[0]
        self.world.push(f"new{self.number}@example.org")
        self.invitation = self.world.invitation(f"new{self.number}@example.org").removeprefix(ISSUER)
        self.undo = next(
            (
                word.removeprefix(ISSUER)
                for mail in reversed(self.world.mails(self.victim.username))
                for word in str(mail.body).split()
                if "/undo/" in word
            ),
            "/undo/" + "a" * 43,
        )
        self.enrolling = Browser(http())
        page = self.enrolling.get(ISSUER + self.invitation)
        self.enrolling.submit(
            page, page.forms()[0], values={"password": "a fern in the wood", "password_again": "a fern in the wood"}
        )

    @property
    def secrets(self) -> list[str]:
        """What no answer to a bad request may hold."""
        known = [
            str(self.app.secret),
            self.world.token,
            self.feed_token,
            self.person.password,
            self.person.totp_secret,
            self.tokens["refresh_token"],
        ]
        return [*known, *self.mobile_tokens, self.key.private_jwk()["d"], PASSPHRASE]

    def cookies(self, browser: Browser) -> dict[str, str]:
        """A browser's cookies, with a CSRF cookie that we know."""
        return {**dict(browser._http.cookies), "ramet_csrf": CSRF}

    def fresh_code(self) -> str:
        """A code that works, sometimes; the shape of one, mostly."""
        return (
            self.world.ask(self.app, self.desktop)["code"] if self.random.random() < 0.3 else secrets.token_urlsafe(32)
        )

    def flow(self) -> str:
        """The id of a request that waits for its answer."""
        page = self.desktop.get(self.consent_app.url(prompt="consent"))
        return page.form_to("/consent").action.split("/")[-2]

    def basic(self) -> str:
        """The relying party's own Authorization header."""
        return "Basic " + b64encode(f"{self.app.client_id}:{self.app.secret}".encode()).decode()

    def proof(self, path: str, method: str = "POST") -> Jws:
        """A DPoP proof by the phone."""
        key = self.phone.enrolment.key
        nonce = self.field_app.nonce() if self.random.random() < 0.8 else secrets.token_urlsafe(24)
        claims = {"htm": method, "htu": ISSUER + path, "nonce": nonce, **fresh()}
        return Jws({"typ": "dpop+jwt", "alg": "ES256", "jwk": key.public_jwk}, claims, key)
