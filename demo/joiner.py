"""The first chapters: HR pushes a person, who gets a root credential and signs in to an application at AAL2."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx

from demo.browser import Browser
from demo.context import AAL
from demo.hr import HumanResources, user
from demo.openid import OpenIdClient, Refused
from demo.relying_party import BACKCHANNEL, CALLBACK, RelyingParty

if TYPE_CHECKING:
    from demo.context import Context

_CREATED, _UNAUTHORIZED = 201, 401
_FEWEST_RECOVERY_CODES = 8
_LONGEST_ACCESS = 300  # seconds


def operator_sets_up(context: Context) -> None:
    """The operator adds an identity source and two relying parties."""
    tell, ask = context.narration, context.ramet.ask
    tell.chapter("1. An operator adds an identity source and two apps")
    home = f"http://localhost:{context.app_port}"
    web_options = (
        *("--redirect-uri", home + CALLBACK, "--backchannel-logout-uri", home + BACKCHANNEL),
        *("--post-logout-redirect-uri", home + "/"),
    )
    phone_options = ("--public", "--native", "--device", "--redirect-uri", "org.example.field:/callback")
    tell.call("operator", "manage.py source add hr --preset hr --precedence 10 --vouches-ial 2")
    tell.call("operator", f"manage.py client add demo-app --redirect-uri {home}{CALLBACK} …")
    tell.call("operator", "manage.py client add field-app --public --native --device …")
    with ThreadPoolExecutor(3) as terminals:  # a command spends most of its time starting Python
        source_added = terminals.submit(
            ask, "source", "add", "hr", "--preset", "hr", "--precedence", "10", "--vouches-ial", "2"
        )
        web_added = terminals.submit(ask, "client", "add", "demo-app", *web_options)
        phone_added = terminals.submit(ask, "client", "add", "field-app", *phone_options)
        source, web, phone = source_added.result(), web_added.result(), phone_added.result()
    context.hr = HumanResources(context.http, base=f"{context.ramet.issuer}/scim/v2", token=source["token"])
    context.phone_client = phone["client_id"]
    context.app_client = OpenIdClient(
        context.ramet.issuer, web["client_id"], client_secret=web["client_secret"], redirect_uri=home + CALLBACK
    )
    context.app = RelyingParty(context.app_client, base_url=home)
    tell.check("the source's token and the app's secret were printed once", source["token"] and web["client_secret"])
    tell.check("a public client has no secret", not phone.get("client_secret"))


def hr_pushes(context: Context) -> None:
    """HR pushes a person over SCIM; a wrong token is refused."""
    tell, person = context.narration, context.person
    tell.chapter("2. HR pushes a person over SCIM")
    given, family = person.name.split()
    body = user(person.username, names=(given, family), email=person.email, number="1001", department="Field service")
    tell.call("HR", "POST /scim/v2/Users  userName=alex.morgan, employeeNumber=1001")
    response = context.hr.hire(body)
    tell.need("201 Created", response.status_code == _CREATED, seen=f"{response.status_code} {response.text[:300]}")
    context.user_id = response.json()["id"]
    tell.check("the answer carries an id and the enterprise extension", "employeeNumber" in response.text)
    stranger = HumanResources(context.http, base=f"{context.ramet.issuer}/scim/v2", token="guessed")  # noqa: S106
    tell.check("the same with a guessed token: 401", stranger.hire(body).status_code == _UNAUTHORIZED)


def person_accepts(context: Context) -> None:
    """The invitation arrives by mail; password, authenticator app and recovery codes become the root credential."""
    tell, person = context.narration, context.person
    tell.chapter("3. The invitation, and the root credential")
    mail = context.mailbox.wait_for(person.email, link="/invitation/")
    tell.need("a mail with an invitation came to the address that HR pushed", mail)
    assert mail is not None  # noqa: S101 - needed above
    tell.call("Alex", f"reads “{mail.subject}” and follows the link")
    tell.call("Alex", "chooses a password, scans the QR code, types a code, keeps the recovery codes")
    with httpx.Client(timeout=30) as cookies:  # the browser that opened the mail; the desktop is another one
        person.accept_invitation(Browser(cookies), mail.link("/invitation/"))
    tell.check(
        "recovery codes are shown",
        len(person.recovery_codes) >= _FEWEST_RECOVERY_CODES,
        seen=len(person.recovery_codes),
    )
    again = context.desktop.get(mail.link("/invitation/"))
    tell.check("the invitation is single-use", again.form_with("password", "password_again") is None)
    rows = context.show_tree("Credentials before any phone")
    root = [(row["kind"], row["state"], row["aal"], row["parent"]) for row in rows]
    tell.check("one root in the ledger, active at AAL2", root == [("password_totp", "active", 2, None)], seen=root)


def app_logs_in(context: Context) -> None:
    """The relying party logs the person in: code, PKCE, ID token."""
    tell, person = context.narration, context.person
    tell.chapter("4. An app logs Alex in: authorization code + PKCE")
    home = f"http://localhost:{context.app_port}"
    tell.call("Alex", f"presses “Log in, at AAL2 or nothing” at the demo app ({home})")
    page = context.desktop.get(f"{home}/login?aal=2")
    page = person.sign_in(context.desktop, page)
    tell.call("Ramet", "asks for password and code, and sends the browser back with an authorization code")
    tell.check("both were asked for, in this order", person.asked == ["password", "totp"], seen=person.asked)
    tell.need("the browser is back at the app", page.url.startswith(home), seen=f"{page.url}: {page.words()}")
    logins = context.app.logins()
    tell.need("the app exchanged the code and verified the ID token", len(logins) == 1, seen=page.words())
    context.app_login = logins[0]
    claims = context.app_login.claims
    tell.claims("ID token (ES256, verified by the app with joserfc)", claims, stress=("acr", "amr", "ial", "auth_time"))
    tell.check(
        "acr is aal/2: password + code, computed from evidence", claims.get("acr") == AAL + "2", seen=claims.get("acr")
    )
    methods = {*claims.get("amr", [])}
    tell.check("amr names both factors", {"pwd", "otp", "mfa"} <= methods, seen=methods)
    tell.check("ial is what HR vouches for: 2", str(claims.get("ial", "")).endswith("2"), seen=claims.get("ial"))
    tell.check("a refresh token came", bool(context.app_login.refresh_token))
    tell.check(
        "access token lives 300 s at most",
        0 < context.app_login.expires_in <= _LONGEST_ACCESS,
        seen=context.app_login.expires_in,
    )


def app_asks_too_much(context: Context) -> None:
    """A level that the credential cannot reach is refused at the redirect URI."""
    tell = context.narration
    tell.call("demo app", "asks for acr_values=…/aal/3 at /oidc/authorize")
    pending = context.app_client.request(acr_values=AAL + "3")
    page = context.desktop.get(pending.url, stop_at=pending.redirect_uri)
    page = context.person.sign_in(context.desktop, page, stop_at=pending.redirect_uri) if not page.stopped_at else page
    try:
        seen = f"a code: {context.app_client.code(page.stopped_at, pending=pending)[:4]}…"
    except Refused as error:
        seen = error.error
    tell.check(
        "AAL3 is refused: unmet_authentication_requirements", seen == "unmet_authentication_requirements", seen=seen
    )
