"""The phone's chapters: it is enrolled from the desktop, and signs in by itself."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

from demo.context import AAL, DEVICE_NAME
from demo.openid import Refused
from device.client import Answered, Code, DeviceClient
from device.errors import ProtocolError
from device.key import DeviceKey

if TYPE_CHECKING:
    from demo.browser import Browser, Page
    from demo.context import Context

SCOPE = "openid profile offline_access"
_WAIT_SECONDS = 20.0
_OK, _UNAUTHORIZED = 200, 401
_UNMET = "unmet_authentication_requirements"


def add_phone(context: Context) -> None:
    """The desktop shows a code, the phone proves its key, both show a number, the desktop confirms."""
    tell = context.narration
    tell.chapter("5. My devices: add a phone")
    page = show_code(context)
    code = Code(text=page.by_id("binding-code"))
    tell.call("desktop", "shows a binding code as QR and text (no step-up: the login is fresh)")
    numbers: Queue[Answered] = Queue()
    context.device = DeviceClient()
    with ThreadPoolExecutor(1) as phone:
        tell.call("phone", "makes a P-256 key, asks a challenge, signs it, sets a passphrase")
        enrolling = phone.submit(
            context.device.enroll, context.ramet.issuer, code,
            device_name=DEVICE_NAME, passphrase=context.passphrase, on_number=numbers.put,
        )  # fmt: skip
        try:
            answered = numbers.get(timeout=_WAIT_SECONDS)
        except Empty:
            tell.need("the phone got its number", held=False, seen=enrolling.exception(timeout=1))
            return
        status = wait_for_status(context, page, "answered")
        tell.call("both screens", f"show the number {answered.number} and “{answered.device_name}”")
        tell.need("desktop and phone show the same number", status.get("number") == answered.number, seen=status)
        tell.check("and the same name", status.get("device_name") == DEVICE_NAME, seen=status)
        page = context.desktop.get(page.url)
        context.desktop.submit(page, page.form_to("/confirm"), values={"number": answered.number})
        tell.call("Alex", "confirms at the desktop that the numbers are the same")
        enrolment = enrolling.result(timeout=_WAIT_SECONDS)
    context.credential_id = enrolment.credential_id
    tell.check("the phone is bound", enrolment.is_bound)
    tell.check("for the field app", context.phone_client in enrolment.clients, seen=enrolment.clients)
    seen = challenge_error(context, code, key=DeviceKey.generate())
    tell.check("another device with the same code: refused", seen not in {"", "slow_down"}, seen=seen)
    state = _row(context, "Credentials: bound, not yet active").get("state")
    tell.check("it is pending until its first login", state == "pending", seen=state)


def show_code(context: Context) -> Page:
    """Press “Add a phone” at the desktop; return the page with the code."""
    return show_code_at(context, context.desktop)


def show_code_at(context: Context, browser: Browser) -> Page:
    """As `show_code`, in another browser."""
    page = browser.get(f"{context.ramet.issuer}/devices")
    return browser.submit(page, page.form_to("/devices/add"))


def wait_for_status(context: Context, page: Page, wanted: str, *, browser: Browser | None = None) -> dict[str, object]:
    """Poll as the desktop page's script does, until this status or a timeout; return the last answer."""
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        status = (browser or context.desktop).json(f"{page.url}/status")
        if status.get("status") == wanted or time.monotonic() > until:
            return status
        time.sleep(0.2)


def first_login(context: Context) -> None:
    """Key and passphrase are two factors: the token states both, and the credential becomes active."""
    tell = context.narration
    tell.chapter("6. The phone logs in: key + passphrase")
    tell.call("phone", "POST /oidc/token  jwt-bearer assertion + DPoP proof + passphrase")
    tokens = context.device.login(context.phone_client, passphrase=context.passphrase, scope=SCOPE)
    context.phone_tokens = tokens
    claims = _id_token(context, tokens.id_token)
    context.phone_auth_time = int(claims.get("auth_time", 0))
    tell.claims("ID token of the phone (verified)", claims, stress=("acr", "amr", "ial", "auth_time"))
    tell.check(
        "acr is aal/2: the root's level, and the key's own", claims.get("acr") == AAL + "2", seen=claims.get("acr")
    )
    same = context.app_login.claims
    tell.check("same person", claims.get("sub") == same["sub"], seen=claims.get("sub"))
    tell.check("same proofing: IAL as the root's", claims.get("ial") == same.get("ial"), seen=claims.get("ial"))
    access = _access_token(context, tokens.access_token)
    shown: dict[str, Any] = {
        name: access[name] for name in ("iss", "aud", "client_id", "acr", "exp", "cnf") if name in access
    }
    tell.claims("Access token (at+jwt, verified)", shown, stress=("cnf",))
    jkt = context.device.enrolment.key.jkt
    tell.check(
        "it is bound to the phone's key (cnf.jkt)", access.get("cnf", {}).get("jkt") == jkt, seen=access.get("cnf")
    )
    notice = context.mailbox.wait_for(context.person.email, link="/undo/", subject="device")
    tell.need("Alex was notified by mail", notice)
    assert notice is not None  # noqa: S101 - needed above
    undo = context.desktop.get(notice.link("/undo/"))
    tell.check("with a link that revokes, behind a button", any(form.method == "post" for form in undo.forms()))
    row = _row(context, "Credentials: the phone, derived from the root")
    seen = (row.get("state"), row.get("aal"), row.get("ial"))
    tell.check("the phone is active, AAL2 and IAL2 as its root", seen == ("active", 2, 2), seen=seen)


def lesser_logins(context: Context) -> None:
    """Less evidence gives a lower level, and an unreachable level is refused."""
    tell = context.narration
    tell.chapter("7. Levels that the phone does not reach")
    tell.call("phone", "the same without the passphrase, asking for aal/2")
    error = device_error(context, passphrase=None, acr_values=AAL + "2")
    tell.check(f"refused: {_UNMET}", error == _UNMET, seen=error)
    tell.call("phone", "without the passphrase, asking for nothing")
    tokens = context.device.login(context.phone_client, passphrase=None, scope="openid")
    claims = _id_token(context, tokens.id_token)
    tell.claims("ID token", claims, stress=("acr", "amr", "auth_time"))
    tell.check("acr is aal/1: one factor", claims.get("acr") == AAL + "1", seen=claims.get("acr"))
    tell.check(
        "auth_time did not move", claims.get("auth_time") == context.phone_auth_time, seen=claims.get("auth_time")
    )
    tell.call("phone", "with the passphrase, asking for aal/3")
    error = device_error(context, passphrase=context.passphrase, acr_values=AAL + "3")
    tell.check(f"refused: {_UNMET}", error == _UNMET, seen=error)
    tell.call("phone", "with a wrong passphrase")
    error = device_error(context, passphrase="not my passphrase")  # noqa: S106
    tell.check("refused: invalid_grant", error == "invalid_grant", seen=error)


def everything_works(context: Context) -> None:
    """Refresh rotates, userinfo answers, introspection is active."""
    tell = context.narration
    tell.chapter("8. Everything works before the termination")
    before = context.app_login
    tell.call("demo app", "POST /oidc/token  grant_type=refresh_token")
    context.app_login = context.app_client.refresh(before)
    tell.check("the refresh token rotated", context.app_login.refresh_token not in {None, before.refresh_token})
    userinfo = context.app_client.userinfo(context.app_login.access_token)
    tell.check("userinfo: 200", userinfo.status_code == _OK, seen=userinfo.status_code)
    tell.claims("Userinfo", userinfo.json() if userinfo.is_success else {})
    spoken = context.app_client.introspect(context.app_login.access_token)
    tell.check("introspection: active", spoken.get("active") is True, seen=spoken)
    old = context.phone_tokens
    tell.call("phone", "refreshes, and asks userinfo with a DPoP proof")
    tell.need("the phone has a refresh token", old.refresh_token)
    context.phone_tokens = context.device.refresh(context.phone_client, str(old.refresh_token))
    tell.check("the phone's refresh token rotated", context.phone_tokens.refresh_token not in {None, old.refresh_token})
    mine = context.device.userinfo(context.phone_tokens.access_token)
    tell.check("userinfo knows Alex", mine.get("sub") == context.app_login.claims["sub"], seen=mine)
    stolen = context.app_client.userinfo(context.phone_tokens.access_token)
    tell.check("the phone's token without its key: 401", stolen.status_code == _UNAUTHORIZED, seen=stolen.status_code)


def device_error(context: Context, *, passphrase: str | None, acr_values: str | None = None) -> str:
    """The error of a device login, or an empty text."""
    try:
        context.device.login(context.phone_client, passphrase=passphrase, scope=SCOPE, acr_values=acr_values)
    except ProtocolError as error:
        return error.error
    return ""


def _row(context: Context, title: str) -> dict[str, Any]:
    """The phone's row in the ledger."""
    return next((row for row in context.show_tree(title) if str(row["id"]) == context.credential_id), {})


def challenge_error(context: Context, code: Code, *, key: DeviceKey) -> str:
    """The error of a challenge request with this code, or an empty text."""
    try:
        DeviceClient().ask_challenge(context.ramet.issuer, code, key=key)
    except ProtocolError as error:
        return error.error
    return ""


def _id_token(context: Context, token: str | None) -> dict[str, Any]:
    context.narration.need("an ID token came", token)
    _, claims = context.app_client.verified(str(token), audience=context.phone_client)
    return claims


def _access_token(context: Context, token: str) -> dict[str, Any]:
    """Verify an access token (RFC 9068) whose audience is the issuer (ruling 18); return its claims."""
    header, claims = context.app_client.verified(token, audience=context.ramet.issuer)
    if header.get("typ") != "at+jwt":
        raise Refused("typ", str(header.get("typ")))
    return claims
