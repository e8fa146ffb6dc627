"""A whole Ramet in this process, spoken to over HTTP by the demo's browser, relying party and device.

Nothing here knows how the product works inside but for registering a source and clients, which an operator does.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from django.core import mail
from joserfc import jwt
from joserfc.jwk import KeySet

from demo.browser import Browser, Page
from demo.person import Person
from derived import clock
from device import proofs
from device.client import Code, DeviceClient
from device.keeping import Enrolment
from device.key import DeviceKey
from idp import clients
from idp.clients import Registration
from idp.signals import worker
from scim.people import provision
from tests.in_process import InProcess

if TYPE_CHECKING:
    from datetime import datetime

    from tests.fixtures.enrolment import Recording

ISSUER = "http://localhost:8000"
AAL = "http://idmanagement.gov/ns/assurance/aal/"
CALLBACK = "https://app.example/callback"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"


def http() -> httpx.Client:
    """A user agent of its own, into this process."""
    return httpx.Client(transport=InProcess(), base_url=ISSUER)


@dataclass
class App:
    """A relying party, as tests need one: it can also misbehave."""

    party: clients.RelyingParty
    secret: str | None
    redirect_uri: str = CALLBACK
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def client_id(self) -> str:
        return self.party.client_id

    def parameters(self, **changed: str | None) -> dict[str, str]:
        """A good authorization request; None leaves a parameter out."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        good: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "openid profile email",
            "state": "st&te=1",
            "nonce": "n-1",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in {**good, **changed}.items() if value is not None}

    def url(self, **changed: str | None) -> str:
        """Where the browser is sent."""
        return f"{ISSUER}/oidc/authorize?{urlencode(self.parameters(**changed))}"

    def post(self, path: str, form: dict[str, str | None], **headers: str) -> httpx.Response:
        """A back-channel call, authenticated as this client."""
        fields = {name: value for name, value in form.items() if value is not None}
        auth = (self.client_id, self.secret) if self.secret else None
        if not self.secret:
            fields.setdefault("client_id", self.client_id)
        with http() as agent:
            return agent.post(path, data=fields, headers=headers, auth=auth)

    def redeem(self, code: str, **changed: str | None) -> httpx.Response:
        """Exchange a code."""
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
        }
        headers = {"DPoP": value} if (value := changed.pop("dpop", None)) else {}
        return self.post("/oidc/token", {**form, **changed}, **headers)

    def refresh(self, refresh_token: str, **changed: str | None) -> httpx.Response:
        """Refresh."""
        headers = {"DPoP": value} if (value := changed.pop("dpop", None)) else {}
        return self.post(
            "/oidc/token", {"grant_type": "refresh_token", "refresh_token": refresh_token, **changed}, **headers
        )

    def nonce(self) -> str:
        """The nonce that a public client's DPoP proofs must carry, as the answer to a proof without one gives it."""
        proof = proofs.dpop(DeviceKey.generate(), "POST", url=f"{ISSUER}/oidc/token", now=clock.now())
        return self.post("/oidc/token", {"grant_type": "refresh_token", "refresh_token": "x"}, DPoP=proof).headers[
            "DPoP-Nonce"
        ]

    def introspect(self, token: str) -> dict[str, Any]:
        """Ask about a token."""
        found: dict[str, Any] = self.post("/oidc/introspect", {"token": token}).json()
        return found


def answer(page: Page) -> dict[str, str]:
    """The parameters that came back to the relying party."""
    assert page.stopped_at, f"no answer came back: {page.status} {page.path} {page.words()}"
    return {name: values[0] for name, values in parse_qs(urlsplit(page.stopped_at).query).items()}


def claims(token: str) -> dict[str, Any]:
    """The claims of a token that our published keys verify."""
    with http() as agent:
        keys = KeySet.import_key_set(agent.get("/oidc/jwks").json())
    return dict(jwt.decode(token, keys, algorithms=["ES256", "RS256", "PS256", "EdDSA"]).claims)


def altered(token: str) -> str:
    """Another token of the same length; not by its last character, whose low bits base64url does not read."""
    return token[:-9] + ("B" if token[-9] == "A" else "A") + token[-8:]


def userinfo(access_token: str, scheme: str = "Bearer", **headers: str) -> httpx.Response:
    """Call userinfo."""
    with http() as agent:
        return agent.get("/oidc/userinfo", headers={"Authorization": f"{scheme} {access_token}", **headers})


class World:
    """One source, its people, and the parties around them."""

    recording: ClassVar[Recording | None] = None  # made once per process; then sources and people are copied from it

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}
        self._registered: datetime | None = None  # when it was copied from the recording
        copied = self.recording.source() if self.recording else None
        if self.recording and copied:
            (self.source, self._registered), self.token = copied, self.recording.token
        else:
            self.source, self.token = provision.register_source("hr", vouched_ial=2, now=clock.now())

    # --- HR -----------------------------------------------------------------------------------------------------------

    def scim(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """HR speaks."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json"}
        with http() as agent:
            return agent.request(method, "/scim/v2" + path, json=body, headers=headers)

    def push(self, username: str = "alex@example.org", **more: Any) -> str:
        """A joiner; the SCIM id."""
        body = {
            "schemas": [CORE],
            "userName": username,
            "active": True,
            "name": {"givenName": "Alex", "familyName": "Moss"},
            "emails": [
                {"value": username, "type": "work", "primary": True},
                {"value": f"home.{username}", "type": "home"},
            ],
            **more,
        }
        response = self.scim("POST", "/Users", body)
        assert response.status_code == 201, response.text
        self.ids[username] = response.json()["id"]
        return self.ids[username]

    def patch(self, username: str, value: dict[str, Any]) -> httpx.Response:
        """HR changes something."""
        body = {"schemas": [PATCH], "Operations": [{"op": "replace", "value": value}]}
        return self.scim("PATCH", f"/Users/{self.ids[username]}", body)

    def reactivate(self, username: str = "alex@example.org") -> None:
        """Somebody comes back: HR shows the version that it means, so that this is newer than the end (C29)."""
        path = f"/Users/{self.ids[username]}"
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json"}
        body = {"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"active": True}}]}
        with http() as agent:
            tag = agent.get(f"/scim/v2{path}", headers=headers).headers["ETag"]
            response = agent.patch(f"/scim/v2{path}", json=body, headers={**headers, "If-Match": tag})
        assert response.status_code == 200, response.text

    def deactivate(self, username: str = "alex@example.org") -> None:
        """A leaver."""
        assert self.patch(username, {"active": False}).status_code == 200

    # --- people -------------------------------------------------------------------------------------------------------

    def mails(self, to: str = "", subject: str = "") -> list[mail.EmailMessage]:
        """Run the worker until nothing is due, and read what was sent."""
        while worker.step(now=clock.now()):
            pass
        return [one for one in mail.outbox if to in one.to[0] and subject in one.subject]

    def invitation(self, username: str) -> str:
        """The link of the newest invitation."""
        found = self.mails(username, "invitation")[-1]
        return next(word for word in str(found.body).split() if "/invitation/" in word)

    def enrolled(self, username: str = "alex@example.org") -> tuple[Person, Browser]:
        """A person who has accepted their invitation, and the desktop that they are signed in with.

        The first one of a test is copied from the recording where nothing else has been written before.
        """
        if self.recording and self._registered and not self.ids and username == self.recording.someone.username:
            copied = self.recording.person(http(), registered=self._registered)
            if copied:
                self.ids[username] = self.recording.scim_id
                return copied
        if username not in self.ids:
            self.push(username)
        person = Person(username=username, name="Alex Moss", email=username)
        desktop = Browser(http())
        person.accept_invitation(desktop, self.invitation(username))
        return person, desktop

    def signed_in(self, person: Person) -> Browser:
        """A fresh browser, signed in with password and TOTP."""
        browser = Browser(http())
        page = person.sign_in(browser, browser.get(f"{ISSUER}/login"))
        assert page.path == "/devices", page.words()
        return browser

    # --- relying parties ----------------------------------------------------------------------------------------------

    def app(self, **changed: Any) -> App:
        """A registered relying party."""
        wanted: dict[str, Any] = {"name": "Travel desk", "redirect_uris": [CALLBACK], **changed}
        party, secret = clients.register(Registration(**wanted), now=clock.now())
        uris = wanted["redirect_uris"]
        return App(party, secret, uris[0] if uris else "")

    def ask(self, app: App, browser: Browser, person: Person | None = None, **changed: str | None) -> dict[str, str]:
        """An authorization request, answered by the person where something is asked; what came back."""
        page = browser.get(app.url(**changed), stop_at=app.redirect_uri)
        if person is not None and not page.stopped_at:
            page = person.sign_in(browser, page, stop_at=app.redirect_uri)
        return answer(page)

    def tokens(self, app: App, browser: Browser, person: Person | None = None, **changed: str | None) -> dict[str, Any]:
        """A whole login: the token response."""
        response = app.redeem(self.ask(app, browser, person, **changed)["code"])
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    # --- devices ------------------------------------------------------------------------------------------------------

    def phone_app(self) -> App:
        """The app on the phone: public, native, and allowed to use device assertions."""
        return self.app(
            name="Field app",
            redirect_uris=["org.example.field:/cb"],
            application_type="native",
            public=True,
            device_assertion=True,
        )

    def begin_binding(self, desktop: Browser) -> tuple[Page, str, str]:
        """Add a device: the desktop's page, and the two forms of the code."""
        page = desktop.get(f"{ISSUER}/devices")
        page = desktop.submit(page, page.form_to("/devices/add"))
        return page, page.by_id("binding-code"), page.by_id("binding-code-short")

    def confirm(self, desktop: Browser, page: Page) -> Page:
        """The desktop says yes."""
        page = desktop.get(page.url)
        return desktop.submit(page, page.form_to("/confirm"))

    def device(
        self, desktop: Browser, *, passphrase: str = "seven mossy stones", name: str = "Alex's phone"
    ) -> DeviceClient:
        """A bound device, still pending until its first login."""
        page, code, _ = self.begin_binding(desktop)
        new = DeviceClient(http=http(), clock=clock.now, sleep=lambda _: None)
        key = DeviceKey.generate()
        challenge, offered = new.ask_challenge(ISSUER, Code(text=code), key=key)
        answered = new.bind(
            ISSUER,
            Code(text=code),
            key=key,
            challenge=challenge,
            device_name=name,
            passphrase=passphrase,
            clients=offered,
        )
        page = self.confirm(desktop, page)
        assert "bound" in page.html or page.status == 200, page.words()
        status = new.binding_status(ISSUER, answered.binding_id, key=key)
        assert status["status"] == "bound", (status, page.words())
        enrolment = Enrolment(
            key=key, issuer=ISSUER, device_name=name, credential_id=status["credential_id"], clients=tuple(offered)
        )
        return DeviceClient(enrolment, http=http(), clock=clock.now, sleep=lambda _: None)
