"""Recovery codes: shown once, saved as a file, counted, and replaced at will (RC-3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpResponse
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.changes import by_person
from derived.errors import Refused
from derived.ledger import status
from derived.rules.eligibility import refusal_to_change
from derived.rules.kinds import Kind
from idp import pages
from idp.config import config
from idp.enrol.roots.invitations import RECOVERY_CODES, is_recovery_code, recovery_codes, recovery_hash
from idp.enrol.roots.pages import mine, recovery_codes_left, refused, under_my_lock
from idp.login.session import login_of, signed_in
from idp.login.views import fresh_login_needed
from idp.secrets import grouped

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from django.http import HttpRequest

_GONE = gettext_noop("There is no such way of signing in, or it has ended already.")


def shown(
    request: HttpRequest, codes: Sequence[str], *, continue_url: str, button: str, step: str = ""
) -> HttpResponse:
    """The page that shows new codes, once. button: what "I have kept them" leads to. step: of an invitation."""
    values = {
        "codes": [grouped(code) for code in codes], "continue_url": continue_url, "button": button, "step": step
    }  # fmt: skip
    return pages.page(request, "recovery_codes", values)


@require_http_methods(["GET", "POST"])
def renew(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Say how many codes are left; replace them all by new ones, by a login as strong as the pair."""
    session, now = signed_in(request), clock.now()
    if session is None:
        return fresh_login_needed("", next_path=request.path)
    row = mine(session, credential_id)
    if row is None or row.kind != Kind.PASSWORD_TOTP:
        return pages.problem(request, _GONE, status=404, next_step=gettext_noop("Look at My devices."))
    affected = status.level(row)
    if reason := refusal_to_change(login_of(session.event), affected=affected, now=now):
        return refused(request, reason, session, affected=affected, name=row.name)
    if request.method == "GET":
        values = {"left": recovery_codes_left([row], now=now).get(row.id, 0), "all": RECOVERY_CODES}
        return pages.page(request, "root_codes", values)
    codes = recovery_codes()
    hashes = [recovery_hash(code) for code in codes]
    try:
        under_my_lock(
            session,
            lambda account, login: by_person.replace_recovery_codes(account, row.id, hashes, login=login, now=now),
            now=now,
        )
    except Refused as no:
        return refused(request, no.reason, session, affected=affected, name=row.name)
    return shown(request, codes, continue_url="/devices", button="continue")


@csrf_protect
@require_http_methods(["POST"])
def download(request: HttpRequest) -> HttpResponse:
    """The codes of the page that sends them, as a text file: nothing is stored for it, and nothing else comes back."""
    codes = request.POST.getlist("code")[: RECOVERY_CODES + 1]
    if not 0 < len(codes) <= RECOVERY_CODES or not all(is_recovery_code(code) for code in codes):
        return pages.problem(
            request,
            gettext_noop("These are no recovery codes."),
            status=400,
            next_step=gettext_noop("Make new ones in My devices."),
        )
    text = [
        gettext("Recovery codes for %(issuer)s") % {"issuer": config().issuer},
        gettext("Made on %(day)s. Each serves once. Whoever has one can use it: keep them like a key.")
        % {"day": date_format(clock.now(), "DATE_FORMAT")},
        "",
        *codes,
        "",
    ]
    response = HttpResponse("\r\n".join(text), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="recovery-codes.txt"'
    response["Cache-Control"] = "no-store"
    return response
