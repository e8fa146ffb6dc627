"""A whole journey over HTTP that remembers every secret it meets, and then makes things go wrong with those secrets
in hand.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from demo.browser import Browser
from demo.hr import user
from demo.mailbox import Mailbox
from demo.openid import OpenIdClient
from demo.person import Person, needed
from device.client import Answered, Code, DeviceClient
from tests.fixtures.databases import shared_key
from tests.fixtures.live_server import CALLBACK, Answer, Live, Request, document, form, page_form

if TYPE_CHECKING:
    from collections.abc import Iterator

EMAIL = "canary@example.org"
KEK = base64.b64decode(shared_key())  # so that its server starts from a copy of the migrated database
OUR_OWN = "/invitation/"  # its pages show the person's own seed, error or not: that is their purpose


@dataclass
class Journey:
    """What was met on the way.

    known: name → secret. errors: the body of every refusal. dumps: the database, at moments when something fresh is
    in it.
    """

    live: Live
    known: dict[str, str | bytes] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    dumps: list[str] = field(default_factory=list)

    def call(self, request: Request) -> Answer:
        """One request; a refusal's body is kept."""
        answer = self.live.call(request)
        if answer.status >= 400 and not request.path.startswith(OUR_OWN):
            self.errors.append(answer.text)
        return answer

    def dump(self) -> None:
        """Keep the whole database as it is now."""
        self.dumps += self.live.inside.ask("dump")


def forms(secret: str | bytes) -> Iterator[str]:
    """The ways in which a secret could be written down."""
    raw = secret if isinstance(secret, bytes) else secret.encode()
    yield raw.hex()
    yield base64.b64encode(raw).decode().rstrip("=")
    yield base64.urlsafe_b64encode(raw).decode().rstrip("=")
    if isinstance(secret, str):
        yield from {secret, secret.replace("-", ""), quote(secret, safe=""), json.dumps(secret)[1:-1]}
        if secret.count(".") == 2 and secret.startswith("eyJ"):
            yield secret.split(".")[2]


def marked(what: str) -> str:
    """A secret that a person chooses."""
    return f"canary {what} {secrets.token_hex(8)}"


def travel(live: Live) -> Journey:
    """All steps, good ones first."""
    journey = Journey(live)
    django_key = hmac.new(KEK, b"ramet/django-secret-key", hashlib.sha256).hexdigest()
    journey.known |= {"kek": KEK, "django's key": django_key, "scim token": live.scim_token}
    person = _join(journey)
    client = live.ramet.ask("client", "add", "Canary desk", "--redirect-uri", CALLBACK)
    journey.known["client secret"] = client["client_secret"]
    with httpx.Client(timeout=30) as http:
        _sign_in(journey, http, person, client)
        _add_a_phone(journey, http)
    for number, key in enumerate(live.inside.ask("signing_keys")):
        journey.known[f"signing key {number}"] = key["d"]
    _go_wrong(journey, person, client)
    _break_the_house(journey, person, client)
    journey.dump()
    return journey


def _join(journey: Journey) -> Person:
    """HR pushes a password too, which is dropped; the person chooses another."""
    live, known = journey.live, journey.known
    feed = live.ramet.ask("feed", "add", "follower", "--full", "--groups", "--preset", "everything")
    known["feed token"] = feed[
        "token"
    ]  # from now on every push is told, and what is told is in the tables that are searched
    body: dict[str, Any] = user("canary", names=("Canary", "Bird"), email=EMAIL, number="1", department="Mine")
    known["scim password"] = body["password"] = marked("pushed password")
    pushed = document("POST", "/scim/v2/Users", body, Authorization=f"Bearer {live.scim_token}")
    answer = journey.call(pushed)
    assert answer.status == 201, answer.text
    mail = Mailbox(live.var / "mail").wait_for(EMAIL, link="/invitation/")
    assert mail is not None, live.logs()
    known["invitation"] = mail.link("/invitation/").rsplit("/", 1)[1]
    person = Person("canary", name="Canary Bird", email=EMAIL, password=marked("password"))
    known["password"] = person.password
    with httpx.Client(timeout=30) as http:
        browser = Browser(http)
        page = browser.get(mail.link("/invitation/"))
        wrong = {"password": marked("first password"), "password_again": marked("other password")}
        known["refused password"] = wrong["password"]
        browser.submit(page, needed(page, "password", "password_again"), values=wrong)
        person.accept_invitation(browser, mail.link("/invitation/"))
        known["enrolment's session"] = str(http.cookies["ramet_session"])
    known["totp secret"] = person.totp_secret
    known["totp seed"] = base64.b32decode(person.totp_secret + "=" * (-len(person.totp_secret) % 8))
    known |= {f"recovery code {number}": code for number, code in enumerate(person.recovery_codes)}
    return person


def _sign_in(journey: Journey, http: httpx.Client, person: Person, client: dict[str, str]) -> None:
    live, known = journey.live, journey.known
    app = OpenIdClient(live.issuer, client["client_id"], client_secret=client["client_secret"], redirect_uri=CALLBACK)
    pending = app.request()
    page = person.sign_in(Browser(http), Browser(http).get(pending.url), stop_at=CALLBACK)
    known["code"] = app.code(page.stopped_at, pending=pending)
    known["code verifier"] = pending.verifier
    login = app.exchange(str(known["code"]), pending=pending)
    known |= {"access token": login.access_token, "refresh token": str(login.refresh_token), "id token": login.id_token}
    known["session"] = str(http.cookies["ramet_session"])


def _add_a_phone(journey: Journey, http: httpx.Client) -> None:
    live, known, desktop = journey.live, journey.known, Browser(http)
    page = desktop.get(f"{live.issuer}/devices")
    wanted = page.form_to("/devices/add")
    begun = http.post(
        f"{live.issuer}/devices/add", data=wanted.fields, headers={"Referer": page.url}, follow_redirects=False
    )
    journey.dump()  # after the code was made, and before a page has shown it
    page = desktop.get(f"{live.issuer}{begun.headers['location']}")
    known |= {"binding code": page.by_id("binding-code"), "short binding code": page.by_id("binding-code-short")}
    known["passphrase"] = marked("passphrase")
    device = DeviceClient(http=httpx.Client(timeout=30))

    def confirm(answered: Answered) -> None:
        known["device key"] = key.private_jwk()["d"] if (key := getattr(device, "_key", None)) else ""
        shown = desktop.get(page.url)
        sent = desktop.submit(shown, shown.form_to("/confirm"), values={"number": answered.number})
        assert sent.status == 200, sent.words()

    field_app = live.client(
        name="Field app", redirect_uris=[], public=True, application_type="native", device_assertion=True
    )
    code = Code(text=str(known["binding code"]))
    enrolment = device.enroll(
        live.issuer, code, device_name="Cage", passphrase=str(known["passphrase"]), on_number=confirm
    )
    known["device key"] = enrolment.key.private_jwk()["d"]
    tokens = device.login(field_app["client_id"], passphrase=str(known["passphrase"]), scope="openid offline_access")
    known |= {"phone's access token": tokens.access_token, "phone's refresh token": str(tokens.refresh_token)}
    mail = Mailbox(live.var / "mail").wait_for(EMAIL, link="/undo/", subject="device")
    assert mail is not None
    known["undo link"] = mail.link("/undo/").rsplit("/", 1)[1]


def _go_wrong(journey: Journey, person: Person, client: dict[str, str]) -> None:
    """Bad requests with good secrets in them: the real one beside a wrong one, in the wrong place, malformed, too
    much.
    """
    live, known, call = journey.live, {name: str(value) for name, value in journey.known.items()}, journey.call
    identified = {"client_id": client["client_id"], "client_secret": known["client secret"]}
    code = {"grant_type": "authorization_code", "code": known["code"], "code_verifier": known["code verifier"]}
    refresh = {"grant_type": "refresh_token", "refresh_token": known["refresh token"]}
    bearer = {"Authorization": f"Bearer {live.scim_token}"}
    anonymous = live.inside.ask("half_logins", root=_root(live), count=1)[0]
    for request in (
        form("/oidc/token", {**code, **identified, "redirect_uri": CALLBACK}),
        form("/oidc/token", {**code, **identified, "redirect_uri": "https://evil.example/"}),
        form(
            "/oidc/token",
            {**code, "client_id": client["client_id"], "client_secret": "wrong", "redirect_uri": CALLBACK},
        ),
        form("/oidc/token", {**refresh, "client_id": client["client_id"], "client_secret": "wrong"}),
        form("/oidc/token", {**refresh, **identified, "scope": "everything"}),
        form("/oidc/token", {**refresh, **identified, "client_secret": known["client secret"] + "\x00"}),
        form("/oidc/token", {**refresh, **identified}, DPoP=known["access token"]),
        form(
            "/oidc/token", {"grant_type": "password", "username": "canary", "password": person.password, **identified}
        ),
        Request("GET", f"/oidc/token?client_secret={known['client secret']}&code={known['code']}"),
        Request("GET", f"/oidc/userinfo?access_token={known['access token']}"),
        Request("GET", "/oidc/userinfo", {"Authorization": f"DPoP {known['access token']}"}),
        Request("GET", "/oidc/userinfo", {"Authorization": f"Bearer {known['access token'][:-4]}AAAA"}),
        form(
            "/oidc/introspect",
            {"token": known["refresh token"], "client_id": client["client_id"], "client_secret": "wrong"},
        ),
        form("/oidc/revoke", {"token": known["refresh token"], "token_type_hint": "\x01"}),
        Request(
            "GET", f"/oidc/logout?id_token_hint={known['id token']}&post_logout_redirect_uri=https://evil.example/"
        ),
        page_form("/login", anonymous, username="canary", password=person.password[:-1] + "!"),
        form("/login", {"username": "canary", "password": person.password}),
        form("/login", {"password": person.password, **{f"p{number}": known["passphrase"] for number in range(200)}}),
        page_form("/login/totp", anonymous, totp="000000"),
        page_form("/login/totp", anonymous, totp=known["recovery code 0"]),
        page_form("/login/recover", anonymous, code=known["recovery code 0"] + "Z"),
        document("POST", "/enrol/v1/challenges", {"code": known["binding code"], "jwk": {"d": known["device key"]}}),
        document("POST", "/enrol/v1/challenges", {"code": [known["binding code"]]}),
        document(
            "POST",
            "/enrol/v1/bindings",
            {"code": known["binding code"], "proof": "x", "device_name": "x", "passphrase": known["passphrase"]},
        ),
        document("POST", "/scim/v2/Users", {"password": known["password"], "userName": {}}, **bearer),
        Request(
            "POST",
            "/scim/v2/Users",
            {**bearer, "Content-Type": "application/json"},
            b'{"password": "' + known["password"].encode(),
        ),
        document(
            "PATCH",
            "/scim/v2/Users/x",
            {"Operations": [{"op": "add", "path": "password", "value": known["password"]}]},
            **bearer,
        ),
        document("POST", "/scim/v2/Users", {"password": known["password"]}, Authorization=f"Bearer {live.scim_token}x"),
        document(
            "POST",
            "/scim/v2/Feed/Events",
            {"ack": [known["password"]], "maxEvents": -1},
            Authorization=f"Bearer {known['feed token']}",
        ),
        document("POST", "/scim/v2/Feed/Events", {}, Authorization=f"Bearer {known['feed token']}"),
        document("POST", "/scim/v2/Feed/Events", {}, Authorization=f"Bearer {known['feed token']}x"),
        Request("GET", f"/undo/{known['undo link']}/more"),
        Request("PUT", f"/undo/{known['undo link']}"),
        Request("POST", f"/undo/{known['undo link']}"),
        Request("PUT", f"/invitation/{known['invitation']}"),
        Request(
            "GET",
            "/devices",
            {"Cookie": f"ramet_session={known['session']}; ramet_session={known['session']}", "Host": "evil.example"},
        ),
    ):
        call(request)
    # The two fields mixed up: the page shows the user name again, to whoever typed it, and nobody else may learn it.
    live.call(page_form("/login", anonymous, username=person.password, password="canary"))


def _root(live: Live) -> str:
    tree = live.ramet.ask("credential", "tree", "canary")
    return next(str(one["id"]) for one in tree if one["parent"] is None)


def _break_the_house(journey: Journey, person: Person, client: dict[str, str]) -> None:
    """Tables that are gone, rows that make no sense, mail that cannot be sent: the errors that nobody planned."""
    live, known, call, sql = journey.live, journey.known, journey.call, journey.live.inside
    identified = {"client_id": client["client_id"], "client_secret": str(known["client secret"])}
    hurt = {
        "idp_refreshtoken": form(
            "/oidc/token", {"grant_type": "refresh_token", "refresh_token": str(known["refresh token"]), **identified}
        ),
        "idp_code": form(
            "/oidc/token",
            {
                "grant_type": "authorization_code",
                "code": str(known["code"]),
                "redirect_uri": CALLBACK,
                "code_verifier": str(known["code verifier"]),
                **identified,
            },
        ),
        "derived_passwordandtotp": form("/login", {"username": "canary", "password": person.password}),
        "idp_undolink": Request("GET", f"/undo/{known['undo link']}"),
        "idp_invitation": Request("GET", f"/invitation/{known['invitation']}"),
        "scim_source": Request("GET", "/scim/v2/Users", {"Authorization": f"Bearer {live.scim_token}"}),
        "idp_binding": document("POST", "/enrol/v1/challenges", {"code": str(known["binding code"]), "jwk": {}}),
        "django_session": Request("GET", "/devices", {"Cookie": f"ramet_session={known['session']}"}),
    }
    for table, request in hurt.items():
        sql.ask("execute", sql=f"ALTER TABLE {table} RENAME TO elsewhere")
        try:
            answer = call(
                page_form("/login", "", username="canary", password=person.password)
                if table == "derived_passwordandtotp"
                else request
            )
            assert answer.status == 503, (table, answer.status, answer.text)
        finally:
            sql.ask("execute", sql=f"ALTER TABLE elsewhere RENAME TO {table}")
    verbatim = page_form("/devices", str(known["session"]))
    session = live.people(1)[0]["session"]
    login = live.authorization(client, session)[0].location["code"]
    known["code of a broken request"] = login
    sql.ask("execute", sql="UPDATE idp_authorizationrequest SET ask = '{\"nonsense\": 1}'")
    broken = {"grant_type": "authorization_code", "code": login, "redirect_uri": CALLBACK, "code_verifier": "v" * 43}
    assert call(form("/oidc/token", {**broken, **identified})).status == 500
    call(verbatim)
    mail = live.var / "mail"
    mail.rename(live.var / "sent")
    mail.write_text("no folder")
    found = live.call(
        Request(
            "GET", "/scim/v2/Users?filter=userName%20eq%20%22canary%22", {"Authorization": f"Bearer {live.scim_token}"}
        )
    ).json()
    call(live.deactivation({"scim_id": found["Resources"][0]["id"]}))
    until = time.monotonic() + 15
    while "was not delivered" not in live.logs()["worker"] and time.monotonic() < until:
        time.sleep(0.2)
