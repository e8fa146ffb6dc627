"""The pages of an invitation: password, authenticator app, recovery codes."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import segno
from django.shortcuts import redirect
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from idp import pages
from idp.config import config
from idp.enrol.roots import invitations as invitation
from idp.enrol.roots import saved_codes
from idp.login import password, throttle, totp
from idp.login.session import establish
from idp.login.views import PASSWORD_AND_TOTP

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from idp.models import Invitation

WRONG_CODE = gettext_noop("That code is not right. Check the clock of your device, and try the next one.")


@require_http_methods(["GET", "POST"])
def invited(request: HttpRequest, token: str) -> HttpResponse:
    """Choose a password. Opening the link spends nothing."""
    row = invitation.valid(token, now=clock.now())
    if row is None:
        return _no_invitation(request)
    person = row.account.person
    values: dict[str, Any] = {
        "error": None,
        "address_hint": row.address,
        "display_name": person.display_name(),
        "username": person.login_name,
    }
    if request.method == "GET":
        return pages.page(request, "invitation", values)
    secret = request.POST.get("password", "")
    context = (person.login_name or "", row.address, person.display_name(), "ramet")
    error = password.objection(secret, context=context)
    if not error and secret != request.POST.get("password_again", ""):
        error = gettext_noop("The two passwords are not the same.")
    if error:
        return pages.page(request, "invitation", {**values, "error": error}, status=400)
    credential_id = uuid4()
    request.session.cycle_key()
    request.session["enrolling"] = {
        "invitation": row.token_hash,
        "credential": str(credential_id),
        "password_hash": password.hashed(secret),
        "seed": b64encode(totp.wrap(totp.new_seed(), owner=credential_id)).decode(),
    }
    return redirect("invitation-totp", token=token)


def _no_invitation(request: HttpRequest) -> HttpResponse:
    reason = gettext_noop("This invitation was used, replaced by a newer one, or is older than 24 hours.")
    return pages.page(request, "invitation_invalid", {"reason": reason}, status=410)


@require_http_methods(["GET", "POST"])
def invited_totp(request: HttpRequest, token: str) -> HttpResponse:
    """Connect an authenticator app and prove it, which spends the invitation and signs the person in."""
    now = clock.now()
    row = invitation.valid(token, now=now)
    begun = request.session.get("enrolling")
    if row is None:
        return _no_invitation(request)
    if not begun or begun["invitation"] != row.token_hash:
        return redirect("invitation", token=token)
    credential_id, wrapped = UUID(begun["credential"]), b64decode(begun["seed"])
    seed = totp.unwrap(wrapped, owner=credential_id)
    if request.method == "GET":
        return connect_an_app(request, seed, name=_name(row), error=None)
    step = totp.matching_step(seed, request.POST.get("totp", "").strip(), now=now)
    if step is None:
        return connect_an_app(request, seed, name=_name(row), error=WRONG_CODE)
    credential, codes = invitation.accept(
        row,
        credential_id=credential_id,
        password_hash=begun["password_hash"],
        totp_seed=wrapped,
        totp_step=step,
        now=now,
    )
    request.session.pop("enrolling")
    # Both factors were shown in this one transaction, so it is a login like any other (ruling 6).
    establish(request, credential, PASSWORD_AND_TOTP, now=now)
    response = saved_codes.shown(
        request, codes, continue_url="/devices", button="continue", step=gettext_noop("Step 3 of 3")
    )
    throttle.remember(response, credential.account_id, secure=config().is_https, nonce=uuid4().hex)
    return response


def _name(row: Invitation) -> str:
    return row.account.person.login_name or row.address


@dataclass(frozen=True, kw_only=True)
class AppWords:
    """What the page to connect an app says beside it.

    step: of an invitation. stops: what no longer works afterwards. way_out: the button that changes nothing.
    """

    step: str = ""
    stops: str = ""
    way_out: str = ""


_INVITED = AppWords(step=gettext_noop("Step 2 of 3"))


def connect_an_app(
    request: HttpRequest, seed: bytes, *, name: str, error: str | None, words: AppWords = _INVITED
) -> HttpResponse:
    """The page with a TOTP seed, as QR code and text, that asks for its first code."""
    otpauth = totp.otpauth(seed, account_name=name, issuer="Ramet")
    values = {
        "words": words,
        "error": error,
        "secret": totp.seed_text(seed),
        "otpauth": otpauth,
        "qr": segno.make(otpauth, error="m").svg_data_uri(scale=6, border=3, light="#fff"),
    }
    return pages.page(request, "invitation_totp", values, status=400 if error else 200)
