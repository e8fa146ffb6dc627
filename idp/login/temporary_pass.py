"""Logins with a temporary pass: a user name, and the code that an officer has read out; AAL1, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.shortcuts import redirect
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.changes.issue import temporary
from derived.errors import Reason, Refused, TryLater
from derived.ledger import status
from derived.models import Credential
from derived.rules.kinds import Kind
from idp import pages
from idp.errors import answer_to
from idp.login import flow, purpose, throttle
from idp.login.session import browser_hash, establish, take_up_repeated
from idp.secrets import hash_secret, new_code, normalise_code
from scim.protocol.values import fold

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse

CHARACTERS = 12
_WRONG = gettext_noop("That user name and pass do not go together, or the pass was used already or is over.")
_LONGEST_NAME = 320


def make() -> tuple[str, str]:
    """A new code, and the form in which it is stored."""
    code = new_code(CHARACTERS)
    return code, hashed(code)


def hashed(typed: str) -> str:
    """The stored form of a code, however it is written."""
    return hash_secret(normalise_code(typed), kind="temporary-pass")


@require_http_methods(["GET", "POST"])
def login_pass(request: HttpRequest) -> HttpResponse:
    """Sign in with a temporary pass; each try is counted before the code is compared (P54)."""
    if purpose.is_fulfilled(request):
        return redirect(purpose.of_request(request).destination())
    if request.method == "GET":
        browser_hash(request)  # so that a form that is sent twice is known again
        return pages.page(request, "login_pass", {"error": None, "username": ""})
    now = clock.now()
    username = request.POST.get("username", "").strip()[:_LONGEST_NAME]
    try:
        row, tried = _matching(request, username, now=now)
        establish(request, row, temporary.SHOWN, now=now, claim=lambda _: temporary.use(row), repeatable=True)
    except Refused as refused:
        if take_up_repeated(request, now=now) is not None:  # the same form, sent twice at once
            return redirect(purpose.of_request(request).destination())
        words = answer_to(refused).words if isinstance(refused, TryLater) else _WRONG
        values = {"error": words, "username": username}
        response = pages.page(request, "login_pass", values, status=429 if isinstance(refused, TryLater) else 400)
        return pages.with_wait(response, refused)
    throttle.take_back(tried, now=now)
    return redirect(purpose.of_request(request).destination())


def _matching(request: HttpRequest, username: str, *, now: datetime) -> tuple[Credential, throttle.Try]:
    """The live pass of a person, with its counted try.

    Raises: TryLater, Refused(BAD_CODE).
    """
    place = throttle.backoff_key(request, f"temporary pass {fold(username)}")
    tried = throttle.count_attempt(place, now=now)
    person = flow.person_of(username)
    rows = Credential.objects.filter(account=person.account if person else None, kind=Kind.TEMPORARY_PASS)
    typed = hashed(request.POST.get("code", "")[:64])
    row = status.live_only(rows, now=now).filter(verifier__data__code=typed).select_related("account").first()
    if person is None or row is None:
        raise Refused(Reason.BAD_CODE)
    return row, tried
