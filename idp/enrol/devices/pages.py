"""My devices: the list, adding a device, the device's own page, and undo links."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import segno
from django.http import JsonResponse
from django.shortcuts import redirect
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.changes import by_person, revoke
from derived.errors import Reason, Refused
from derived.ledger import status
from derived.ledger.locking import under_lock
from derived.rules.assurance import Factor
from derived.rules.eligibility import refusal
from derived.rules.kinds import Kind, policy_of
from idp import clients, pages
from idp.config import config
from idp.enrol.device_names import clean_name
from idp.enrol.devices import tree
from idp.enrol.devices import undo_links as undo
from idp.enrol.grown import binding, registry
from idp.enrol.roots import pages as roots
from idp.errors import answer_to, error_response
from idp.keys import wrapper
from idp.login.session import WRONG_TRIES, is_live, login_of, signed_in, with_evidence
from idp.login.views import fresh_login_needed
from idp.models import Binding
from idp.secrets import grouped

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

    from derived.models import Account, Credential
    from idp.models import LoginSession

_STATES = {
    "pending": gettext_noop("Waits for its first sign-in"),
    "active": gettext_noop("Active"),
    "suspended": gettext_noop("Suspended"),
}
_WORDS = {
    Factor.PASSWORD: gettext_noop("password"),
    Factor.TOTP: gettext_noop("code"),
    Factor.DEVICE_KEY: gettext_noop("device key"),
    Factor.DEVICE_PASSPHRASE: gettext_noop("passphrase"),
    Factor.PIV_CARD: gettext_noop("card"),
    Factor.PIV_PIN: gettext_noop("PIN"),
    Factor.CERTIFICATE: gettext_noop("certificate"),
    Factor.PASSKEY: gettext_noop("passkey"),
    Factor.USER_VERIFICATION: gettext_noop("screen lock or PIN"),
    Factor.UPSTREAM: gettext_noop("another provider"),
    Factor.ISSUED_CODE: gettext_noop("temporary pass"),
}
_SHOWN_ONCE = "binding-code"
_SIGN_IN_AGAIN = gettext_noop("Adding a device needs a sign-in with two factors in the last 20 minutes.")


# --- my devices -------------------------------------------------------------------------------------------------------


@require_http_methods(["GET"])
def devices(request: HttpRequest) -> HttpResponse:
    """List the person's credentials, token families and sessions."""
    session = signed_in(request)
    if session is None:
        return fresh_login_needed("", next_path=request.path)
    now = clock.now()
    rows = [one for one in status.living(session.account_id) if one.expires_at is None or one.expires_at > now]
    values = {
        "devices": [_device(one, session) for one in rows if one.root_id],
        "roots": roots.listed(session, now=now),
        "adding": roots.ways_to_add(session),
        "offers": registry.offers(),
        "tree": tree.tree(session, now=now),
        "sessions": _sessions(session, now=now),
        "notice": request.session.pop("notice", None),
        "wrong_tries": request.session.pop(WRONG_TRIES, 0),
    }
    return pages.page(request, "devices", values)


def _device(row: Credential, session: LoginSession) -> dict[str, Any]:
    listed = getattr(row, "device_key", None)
    names = {party.client_id: party.name for party in clients.parties_for_devices()}
    return {
        "id": row.id,
        "kind": row.kind,
        "name": row.name,
        "kind_label": gettext(policy_of(Kind(row.kind)).label),
        "state": row.state,
        "state_label": gettext(_STATES[row.state]),
        "aal": int(status.level(row)),
        "added": row.created_at,
        "last_used": row.last_used_at,
        "this_device": session.event.credential_id == row.id,
        "own_suspension": by_person.may_lift_own(session.account, row),
        "renamed": row.state == "suspended" and row.end_reason == Reason.NAME_CHANGED,
        "grown_from": row.root.name if row.root else "",
        "clients": [names[one] for one in (listed.clients if listed else []) if one in names],
    }


def _method(factors: Iterable[str]) -> str:
    """The factors of a login, in words."""
    named = [gettext(_WORDS[Factor(factor)]) for factor in factors]
    joined = named[0] if named else ""
    for one in named[1:]:
        joined = gettext("%(first)s and %(second)s") % {"first": joined, "second": one}
    return joined[:1].upper() + joined[1:]


def _sessions(session: LoginSession, *, now: datetime) -> list[dict[str, Any]]:
    rows = with_evidence(session.account.sessions.filter(ended_at__isnull=True, expires_at__gt=now))
    return [
        {
            "id": one.id,
            "started": one.created_at,
            "last_seen": one.last_seen_at,
            "aal": int(login_of(one.event).aal),
            "method_label": _method(one.event.factors),
            "this_session": one.id == session.id,
            "place": _browser(one.browser, one.network),
        }
        for one in rows.order_by("-last_seen_at")
        if is_live(one, now=now)
    ]


def _browser(user_agent: str, network: str) -> str:
    """A browser's name, from its User-Agent."""
    systems = ("iPhone", "iPad", "Android", "Windows", "Macintosh", "Linux")
    browsers = ("Firefox", "Edg", "Chrome", "Safari")
    system = next((one for one in systems if one in user_agent), gettext_noop("Unknown system"))
    browser = next((one for one in browsers if one in user_agent), "Browser")
    return f"{browser.replace('Edg', 'Edge')} on {system.replace('Macintosh', 'Mac')}, {network}"


def _mine(session: LoginSession, credential_id: UUID) -> Credential | None:
    return status.living(session.account_id).filter(id=credential_id, root__isnull=False).first()


@require_http_methods(["GET", "POST"])
def remove(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Ask, then revoke a device; one factor suffices (IV-7, ruling 14)."""
    session = signed_in(request)
    if session is None:
        return fresh_login_needed("", next_path=f"/devices/{credential_id}/remove")
    row = _mine(session, credential_id)
    if row is None:
        return pages.problem(
            request, gettext_noop("There is no such device of yours, or it was removed already."), status=404
        )
    if request.method == "GET":
        return pages.page(request, "device_remove", {"device": _device(row, session)})

    def work(account: Account) -> None:
        revoke.credential(row, account=account, because=Reason.REMOVED_BY_PERSON, now=clock.now(), actor="person")

    under_lock(session.account_id, work)
    request.session["notice"] = gettext("%(name)s was removed. It cannot sign in any more.") % {"name": row.name}
    return redirect("devices")


@require_http_methods(["POST"])
def rename(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Rename a device."""
    session = signed_in(request)
    if session is None:
        return fresh_login_needed("", next_path="/devices")
    row = _mine(session, credential_id)
    if row is None:
        return pages.problem(request, gettext_noop("There is no such device of yours."), status=404)
    name = clean_name(request.POST.get("name", "")[:200])

    def work(account: Account) -> None:
        by_person.write_name(account, by_person.require_living(account, row.id), name, now=clock.now(), actor="person")

    under_lock(session.account_id, work)
    return redirect("devices")


@require_http_methods(["POST"])
def suspend_device(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Suspend a device of one's own; any login suffices (MT-8)."""
    session = signed_in(request)
    if session is None:
        return fresh_login_needed("", next_path="/devices")
    row = _mine(session, credential_id)
    if row is None:
        return pages.problem(request, "There is no such device of yours.", status=404)
    now = clock.now()
    try:
        under_lock(session.account_id, lambda account: by_person.suspend_own(account, row.id, now=now, actor="person"))
    except Refused:
        request.session["notice"] = f"{row.name} was not active. We changed nothing."
    else:
        request.session["notice"] = f"{row.name} is suspended. You can lift that here, signed in another way."
    return redirect("devices")


@require_http_methods(["POST"])
def lift_device(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Lift a suspension of one's own, in a fresh login by another way that is as strong (LC-2)."""
    session = signed_in(request)
    if session is None:
        return fresh_login_needed("", next_path="/devices")
    row = _mine(session, credential_id)
    if row is None:
        return pages.problem(request, "There is no such device of yours.", status=404)
    now, login = clock.now(), login_of(session.event)
    try:
        under_lock(
            session.account_id,
            lambda account: by_person.lift_own(account, row.id, login=login, now=now, actor="person"),
        )
    except Refused as refused:
        if refused.reason == Reason.ILLEGAL_MOVE:
            words = f"You cannot lift this yourself. Ask your identity team about {row.name}. We changed nothing."
            return pages.problem(request, words, status=409)
        return fresh_login_needed(answer_to(refused).words, next_path="/devices")
    request.session["notice"] = f"{row.name} can sign in again."
    return redirect("devices")


# --- adding one -------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Begin a binding after a fresh login with a root; the next page shows its code once."""
    session = signed_in(request)
    now = clock.now()
    if session is None or request.method == "GET":
        why = "" if session is None else _why_not(session, now=now)
        return (
            fresh_login_needed(why or _SIGN_IN_AGAIN, next_path="/devices")
            if session is None or why
            else redirect("devices")
        )
    if why := _why_not(session, now=now):
        return fresh_login_needed(why, next_path="/devices")
    kind = request.POST.get("kind", Kind.DEVICE_KEY)
    if not registry.code_page(kind):
        return pages.problem(
            request,
            gettext_noop("That cannot be added by a code."),
            status=400,
            next_step=gettext_noop("Add it from My devices."),
        )
    begun = binding.begin(session, kind=Kind(kind), now=now)
    request.session["binding"] = {"id": str(begun.binding.id), "codes": _sealed(begun)}
    return redirect("device-adding", binding_id=begun.binding.id)


def _sealed(begun: binding.NewBinding) -> str:
    """Encrypt both forms of a code for the page that shows them, so that the session store has no clear code (I10)."""
    codes = f"{begun.code} {begun.short_code}".encode()
    return b64encode(wrapper().wrap(codes, purpose=_SHOWN_ONCE, owner=str(begun.binding.id))).decode()


def _opened(sealed: str, *, owner: UUID) -> tuple[str, str]:
    code, short_code = wrapper().unwrap(b64decode(sealed), purpose=_SHOWN_ONCE, owner=str(owner)).decode().split()
    return code, short_code


def _why_not(session: LoginSession, *, now: datetime) -> str:
    reason = refusal(login_of(session.event), now=now)
    if reason is None:
        return ""
    return _SIGN_IN_AGAIN if reason == Reason.LOGIN_TOO_OLD else error_response(reason).words


def _own(session: LoginSession, binding_id: UUID) -> Binding | None:
    return Binding.objects.filter(id=binding_id, session=session).select_related("account__person").first()


@require_http_methods(["GET"])
def adding(request: HttpRequest, binding_id: UUID) -> HttpResponse:
    """Show the code, then the device's number and name, then the outcome."""
    session = signed_in(request)
    if session is None:
        return fresh_login_needed("", next_path=request.path)
    row = _own(session, binding_id)
    if row is None:
        return pages.problem(
            request,
            gettext_noop("This was begun in another browser."),
            status=404,
            next_step=gettext_noop("Add the device from My devices."),
        )
    return pages.page(request, "device_add", {"binding": _binding(request, row, now=clock.now())})


def _binding(request: HttpRequest, row: Binding, *, now: datetime) -> dict[str, Any]:
    state = binding.state(row, now=now)
    # The code is shown once: the first page takes it out of the browser's store (it is stored hashed otherwise).
    shown = request.session.get("binding") or {}
    mine = shown.get("id") == str(row.id)
    code, short_code = _opened(shown["codes"], owner=row.id) if mine and state == "waiting" else (None, None)
    if mine:
        request.session.pop("binding")
    url = f"{config().issuer}{registry.code_page(row.kind)}"
    names = {party.client_id: party.name for party in clients.parties_for_devices()}
    return {
        "id": row.id,
        "kind": row.kind,
        "state": state,
        "code": grouped(code) if code else None,
        "enrol_url": url,
        "short_code": grouped(short_code) if short_code else None,
        "username": row.account.person.login_name,
        "qr": segno.make(f"{url}#code={code}", error="m").svg_data_uri(scale=6, border=3, light="#fff")
        if code
        else None,
        "expires_at": row.expires_at,
        "seconds_left": max(0, int((row.expires_at - now).total_seconds())),
        "number": row.number,
        "device_name": row.device_name,
        "clients": [names[one] for one in row.clients if one in names],
    }


@require_http_methods(["GET"])
def adding_status(request: HttpRequest, binding_id: UUID) -> HttpResponse:
    """The state of the binding, for the page's script."""
    session = signed_in(request)
    row = _own(session, binding_id) if session else None
    if row is None:
        return JsonResponse({"status": "expired"}, status=404)
    body = {"status": binding.state(row, now=clock.now()), "number": row.number, "device_name": row.device_name}
    return JsonResponse(body)


@require_http_methods(["POST"])
def confirm(request: HttpRequest, binding_id: UUID) -> HttpResponse:
    """Confirm that number and name are the device's."""
    session = signed_in(request)
    if session is None:
        return fresh_login_needed("", next_path=f"/devices/add/{binding_id}")
    try:
        binding.confirm(binding_id, session, request.POST.get("number", ""), now=clock.now())
    except Refused as refused:
        if refused.reason == Reason.LOGIN_TOO_OLD:
            return fresh_login_needed(_SIGN_IN_AGAIN, next_path=f"/devices/add/{binding_id}")
        found = error_response(refused.reason)
        return pages.problem(
            request, found.words, status=found.status, next_step=gettext_noop("Begin again from My devices.")
        )
    return redirect("device-adding", binding_id=binding_id)


@require_http_methods(["POST"])
def refuse(request: HttpRequest, binding_id: UUID) -> HttpResponse:
    """Refuse the binding."""
    session = signed_in(request)
    if session is None:
        return fresh_login_needed("", next_path="/devices")
    binding.refuse(binding_id, session, now=clock.now())
    return redirect("device-adding", binding_id=binding_id)


@require_http_methods(["GET"])
def enrol(request: HttpRequest) -> HttpResponse:
    """The page that the new device opens; its code is in the fragment, which is never sent."""
    return pages.page(request, "enrol", {})


# --- this was not me --------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def undone(request: HttpRequest, token: str) -> HttpResponse:
    """The undo link of a notice: GET asks, POST revokes or suspends; it never restores (ruling 4, BI-5)."""
    now = clock.now()
    link = undo.valid(token, now=now)
    if link is None:
        return pages.problem(
            request,
            gettext_noop("This link was used already or is too old."),
            status=410,
            next_step=gettext_noop("Sign in and look at My devices, or ask for help."),
        )
    row, freezes = link.credential, link.action == undo.FREEZE
    if request.method == "GET":
        values = {
            "what": gettext(policy_of(Kind(row.kind)).label),
            "device_name": row.name,
            "root": row.root_id is None,
        }
        return pages.page(request, "undo_freeze" if freezes else "undo", values)
    undo.use(link, now=now)
    return pages.page(request, "undone_frozen" if freezes else "undone", {"device_name": row.name})
