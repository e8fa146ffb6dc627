"""The last chapters: HR ends the person, every artefact is refused, and reactivation restores nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from demo import card_login, certificate_login
from demo.openid import Refused
from demo.person import needed
from demo.phone import challenge_error, device_error, show_code
from device.client import Code
from device.errors import ProtocolError
from device.key import DeviceKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.context import Context

_OK, _UNAUTHORIZED = 200, 401
_TOLD_SECONDS = 20.0


def things_in_flight(context: Context) -> None:
    """Issue an authorization code and a binding code just before the termination."""
    tell = context.narration
    tell.chapter("10. HR ends Alex: one PATCH")
    pending = context.app_client.request()
    page = context.desktop.get(pending.url, stop_at=pending.redirect_uri)
    page = page if page.stopped_at else context.person.sign_in(context.desktop, page, stop_at=pending.redirect_uri)
    context.code_in_flight = (context.app_client.code(page.stopped_at, pending=pending), pending)
    context.binding_in_flight = Code(text=show_code(context).by_id("binding-code")), DeviceKey.generate()
    tell.note("In flight: an authorization code, just issued; a binding code, just shown.")
    live = context.app_client.introspect(context.app_login.access_token).get("active")
    tell.check("a moment before: introspection says active", live is True, seen=live)
    tell.check("a moment before: the binding code gives a new key its challenge", _binding_error(context) == "")
    tell.check("a moment before: the phone logs in", device_error(context, passphrase=context.passphrase) == "")


def hr_ends(context: Context) -> None:
    """`PATCH active:false`: every artefact is refused from the next request on."""
    tell = context.narration
    tell.call("HR", f"PATCH /scim/v2/Users/{context.user_id[:8]}…  active=false")
    response = context.hr.set_active(context.user_id, active=False)
    tell.need(
        "acknowledged with 200", response.status_code == _OK, seen=f"{response.status_code} {response.text[:300]}"
    )
    tell.note("From the next request on:")
    tell.check("desktop session: My devices leads to the login page", _is_signed_out(context))
    seen = _refresh_error(context)
    tell.check("the app's refresh token: invalid_grant", seen == "invalid_grant", seen=seen)
    spoken = context.app_client.introspect(context.app_login.access_token)
    tell.check("introspection: active=false, and nothing else", spoken == {"active": False}, seen=spoken)
    status = context.app_client.userinfo(context.app_login.access_token).status_code
    tell.check("userinfo with the app's access token: 401", status == _UNAUTHORIZED, seen=status)
    _check_phone_ended(context)
    code, pending = context.code_in_flight
    try:
        context.app_client.exchange(code, pending=pending)
        seen = "tokens"
    except Refused as error:
        seen = error.error
    tell.check("the authorization code in flight: invalid_grant", seen == "invalid_grant", seen=seen)
    seen = _binding_error(context)
    tell.check("the binding code: refused, also to the key that had it", seen not in {"", "slow_down"}, seen=seen)
    card_login.check_ended(context)
    certificate_login.check_ended(context)
    _nothing_lives(context, "Credentials after: roots too")
    status = context.ramet.ask("person", "show", context.person.username)["account"]["status"]
    tell.check("the account is terminated", status == "terminated", seen=status)


def _check_phone_ended(context: Context) -> None:
    tell = context.narration
    seen = device_error(context, passphrase=context.passphrase)
    tell.check("the phone's login: invalid_grant", seen == "invalid_grant", seen=seen)
    seen = _error_of(lambda: context.device.refresh(context.phone_client, str(context.phone_tokens.refresh_token)))
    tell.check("the phone's refresh token: invalid_grant", seen == "invalid_grant", seen=seen)
    seen = _error_of(lambda: context.device.userinfo(context.phone_tokens.access_token))
    tell.check("the phone's access token at userinfo: invalid_token", seen == "invalid_token", seen=seen)


def everyone_is_told(context: Context) -> None:
    """The worker delivers the outbox: a logout token per application, a mail to the person."""
    tell = context.narration
    tell.chapter("11. Relying parties and Alex are told")
    sid = context.app_login.claims.get("sid")
    until = time.monotonic() + _TOLD_SECONDS
    while not context.app.logouts and time.monotonic() < until:
        time.sleep(0.1)
    tell.need("a logout token came to the app's back-channel URI, and its signature holds", context.app.logouts)
    told = context.app.logouts[0]
    tell.claims("Logout token", told, stress=("sub", "sid", "events"))
    about = told.get("sub") == context.app_login.claims["sub"] or told.get("sid") == sid
    tell.check("it is about Alex", about, seen=told)
    tell.check("the app has ended its own session", not context.app.logins())
    until = time.monotonic() + _TOLD_SECONDS
    while not (last := _farewell(context)) and time.monotonic() < until:
        time.sleep(0.2)
    tell.check(
        "Alex was notified by mail", last, seen=[mail.subject for mail in context.mailbox.to(context.person.email)]
    )
    if last:
        tell.note(f"“{last}”")


def nothing_comes_back(context: Context) -> None:
    """A rehired person is invited again and binds new credentials."""
    tell, person = context.narration, context.person
    tell.chapter("12. Reactivation restores nothing")
    known = len([mail for mail in context.mailbox.to(person.email) if mail.link("/invitation/")])
    tell.call("HR", f"PATCH /scim/v2/Users/{context.user_id[:8]}…  active=true")
    response = context.hr.set_active(context.user_id, active=True)
    tell.need(
        "acknowledged with 200", response.status_code == _OK, seen=f"{response.status_code} {response.text[:300]}"
    )
    _check_phone_ended(context)
    seen = _refresh_error(context)
    tell.check("the app's refresh token: invalid_grant", seen == "invalid_grant", seen=seen)
    tell.check("the old desktop session is not restored", _is_signed_out(context))
    tell.check("the old password and code: refused", not _password_works(context))
    seen = _binding_error(context)
    tell.check("the binding code: refused, also to the key that had it", seen not in {"", "slow_down"}, seen=seen)
    mail = context.mailbox.wait_for(person.email, link="/invitation/", after=known)
    tell.check("a new invitation came by mail: the only way to sign in again", mail)
    _nothing_lives(context, "Credentials: none active")


def _is_signed_out(context: Context) -> bool:
    page = context.desktop.get(f"{context.ramet.issuer}/devices")
    return page.path == "/login" or page.form_with("username", "password") is not None


def _password_works(context: Context) -> bool:
    """True if the old password and authenticator app still sign in."""
    page = context.desktop.get(f"{context.ramet.issuer}/login")
    page = context.desktop.submit(
        page,
        needed(page, "username", "password"),
        values={"username": context.person.username, "password": context.person.password},
    )
    if (form := page.form_with("totp")) and context.person.authenticator:
        context.desktop.submit(page, form, values={"totp": context.person.authenticator.code()})
    return not _is_signed_out(context)


def _farewell(context: Context) -> str:
    """The subject of the newest mail about the end of the account, or an empty text."""
    letters = [mail for mail in context.mailbox.to(context.person.email) if not mail.link("/invitation/")]
    ended = [mail.subject for mail in letters if "account" in mail.subject.lower() or "ended" in mail.subject.lower()]
    return ended[-1] if ended else ""


def _refresh_error(context: Context) -> str:
    try:
        context.app_client.refresh(context.app_login)
    except Refused as error:
        return error.error
    return ""


def _binding_error(context: Context) -> str:
    code, key = context.binding_in_flight
    return challenge_error(context, code, key=key)


def _nothing_lives(context: Context, title: str) -> None:
    rows = context.show_tree(title)
    states = {row["state"] for row in rows}
    context.narration.check(f"each of the {len(rows)} rows is revoked", rows and states == {"revoked"}, seen=states)


def _error_of(call: Callable[[], object]) -> str:
    try:
        call()
    except ProtocolError as error:
        return error.error
    return ""
