"""The journey, last part: HR ends the person; everything is dead, and reactivation brings nothing back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from demo import card_road, certificate
from demo.openid import Refused
from demo.person import needed
from demo.phone import challenge_error, device_error, show_code
from device.client import Code
from device.errors import ProtocolError
from device.key import DeviceKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.world import World

_OK, _UNAUTHORIZED = 200, 401
_TOLD_SECONDS = 20.0


def things_in_flight(world: World) -> None:
    """Just before the end: an authorization code nobody has exchanged, a binding code nobody has answered."""
    tell = world.narration
    tell.chapter("10. HR ends Alex: one PATCH")
    pending = world.app_client.request()
    page = world.desktop.get(pending.url, stop_at=pending.redirect_uri)
    page = page if page.stopped_at else world.person.sign_in(world.desktop, page, stop_at=pending.redirect_uri)
    world.code_in_flight = (world.app_client.code(page.stopped_at, pending=pending), pending)
    world.binding_in_flight = Code(text=show_code(world).by_id("binding-code")), DeviceKey.generate()
    tell.note("In flight: an authorization code, just issued; a binding code, just shown.")
    live = world.app_client.introspect(world.app_login.access_token).get("active")
    tell.check("a moment before: introspection says active", live is True, seen=live)
    tell.check("a moment before: the binding code gives a new key its challenge", _binding_error(world) == "")
    tell.check("a moment before: the phone logs in", device_error(world, passphrase=world.passphrase) == "")


def hr_ends(world: World) -> None:
    """`PATCH active:false`, and from the next request on nothing works."""
    tell = world.narration
    tell.call("HR", f"PATCH /scim/v2/Users/{world.user_id[:8]}…  active=false")
    response = world.hr.set_active(world.user_id, active=False)
    tell.need(
        "acknowledged with 200", response.status_code == _OK, seen=f"{response.status_code} {response.text[:300]}"
    )
    tell.note("From the next request on:")
    tell.check("desktop session: My devices leads to the login page", _is_signed_out(world))
    seen = _refresh_error(world)
    tell.check("the app's refresh token: invalid_grant", seen == "invalid_grant", seen=seen)
    spoken = world.app_client.introspect(world.app_login.access_token)
    tell.check("introspection: active=false, and not a word more", spoken == {"active": False}, seen=spoken)
    status = world.app_client.userinfo(world.app_login.access_token).status_code
    tell.check("userinfo with the app's access token: 401", status == _UNAUTHORIZED, seen=status)
    _phone_is_dead(world)
    code, pending = world.code_in_flight
    try:
        world.app_client.exchange(code, pending=pending)
        seen = "tokens"
    except Refused as error:
        seen = error.error
    tell.check("the authorization code in flight: invalid_grant", seen == "invalid_grant", seen=seen)
    seen = _binding_error(world)
    tell.check("the binding code: refused, also to the key that had it", seen not in {"", "slow_down"}, seen=seen)
    card_road.is_dead(world)
    certificate.is_dead(world)
    _nothing_lives(world, "Credentials after: roots too")
    status = world.ramet.ask("person", "show", world.person.username)["account"]["status"]
    tell.check("the account is terminated", status == "terminated", seen=status)


def _phone_is_dead(world: World) -> None:
    tell = world.narration
    seen = device_error(world, passphrase=world.passphrase)
    tell.check("the phone's login: invalid_grant", seen == "invalid_grant", seen=seen)
    seen = _error_of(lambda: world.device.refresh(world.phone_client, str(world.phone_tokens.refresh_token)))
    tell.check("the phone's refresh token: invalid_grant", seen == "invalid_grant", seen=seen)
    seen = _error_of(lambda: world.device.userinfo(world.phone_tokens.access_token))
    tell.check("the phone's access token at userinfo: invalid_token", seen == "invalid_token", seen=seen)


def everyone_is_told(world: World) -> None:
    """The worker delivers what was written with the change: a logout token per app, a mail to the person."""
    tell = world.narration
    tell.chapter("11. Relying parties and Alex are told")
    sid = world.app_login.claims.get("sid")
    until = time.monotonic() + _TOLD_SECONDS
    while not world.app.logouts and time.monotonic() < until:
        time.sleep(0.1)
    tell.need("a logout token came to the app's back-channel URI, and its signature holds", world.app.logouts)
    told = world.app.logouts[0]
    tell.claims("Logout token", told, stress=("sub", "sid", "events"))
    about = told.get("sub") == world.app_login.claims["sub"] or told.get("sid") == sid
    tell.check("it is about Alex", about, seen=told)
    tell.check("the app has ended its own session", not world.app.logins())
    until = time.monotonic() + _TOLD_SECONDS
    while not (last := _farewell(world)) and time.monotonic() < until:
        time.sleep(0.2)
    tell.check("Alex was told by mail", last, seen=[mail.subject for mail in world.mailbox.to(world.person.email)])
    if last:
        tell.note(f"“{last}”")


def nothing_comes_back(world: World) -> None:
    """A rehire is invited anew and binds anew."""
    tell, person = world.narration, world.person
    tell.chapter("12. Reactivation brings nothing back")
    known = len([mail for mail in world.mailbox.to(person.email) if mail.link("/invitation/")])
    tell.call("HR", f"PATCH /scim/v2/Users/{world.user_id[:8]}…  active=true")
    response = world.hr.set_active(world.user_id, active=True)
    tell.need(
        "acknowledged with 200", response.status_code == _OK, seen=f"{response.status_code} {response.text[:300]}"
    )
    _phone_is_dead(world)
    seen = _refresh_error(world)
    tell.check("the app's refresh token: invalid_grant", seen == "invalid_grant", seen=seen)
    tell.check("the old desktop session is not back", _is_signed_out(world))
    tell.check("the old password and code: refused", not _password_works(world))
    seen = _binding_error(world)
    tell.check("the binding code: refused, also to the key that had it", seen not in {"", "slow_down"}, seen=seen)
    mail = world.mailbox.wait_for(person.email, link="/invitation/", after=known)
    tell.check("a new invitation came by mail: that is the only way back", mail)
    _nothing_lives(world, "Credentials: nothing that lives")


def _is_signed_out(world: World) -> bool:
    page = world.desktop.get(f"{world.ramet.issuer}/devices")
    return page.path == "/login" or page.form_with("username", "password") is not None


def _password_works(world: World) -> bool:
    """Whether the old password and authenticator app still open My devices."""
    page = world.desktop.get(f"{world.ramet.issuer}/login")
    page = world.desktop.submit(
        page,
        needed(page, "username", "password"),
        values={"username": world.person.username, "password": world.person.password},
    )
    if (form := page.form_with("totp")) and world.person.authenticator:
        world.desktop.submit(page, form, values={"totp": world.person.authenticator.code()})
    return not _is_signed_out(world)


def _farewell(world: World) -> str:
    """The subject of the newest letter that is neither an invitation nor about a device."""
    letters = [mail for mail in world.mailbox.to(world.person.email) if not mail.link("/invitation/")]
    ended = [mail.subject for mail in letters if "account" in mail.subject.lower() or "ended" in mail.subject.lower()]
    return ended[-1] if ended else ""


def _refresh_error(world: World) -> str:
    try:
        world.app_client.refresh(world.app_login)
    except Refused as error:
        return error.error
    return ""


def _binding_error(world: World) -> str:
    code, key = world.binding_in_flight
    return challenge_error(world, code, key=key)


def _nothing_lives(world: World, title: str) -> None:
    rows = world.show_tree(title)
    states = {row["state"] for row in rows}
    world.narration.check(f"each of the {len(rows)} rows is revoked", rows and states == {"revoked"}, seen=states)


def _error_of(call: Callable[[], object]) -> str:
    try:
        call()
    except ProtocolError as error:
        return error.error
    return ""
