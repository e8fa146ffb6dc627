"""Password and authenticator app: add the pair, change the password, change the app (P2, TH-1; ruling 5)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.shortcuts import redirect
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.changes import by_person, issue, renew
from derived.errors import Reason, Refused
from derived.ledger import status
from derived.models import Credential
from derived.rules.assurance import AAL
from derived.rules.eligibility import BoundBy, BoundVia, refusal_to_add, refusal_to_change
from derived.rules.kinds import Kind
from idp import pages
from idp.enrol.roots import saved_codes
from idp.enrol.roots.invitation_pages import WRONG_CODE, AppWords, connect_an_app
from idp.enrol.roots.invitations import recovery_codes, recovery_hash
from idp.enrol.roots.pages import mine, refused, under_my_lock
from idp.login import password, totp
from idp.login.session import login_of, signed_in
from idp.login.views import fresh_login_needed

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse

    from derived.models import Account
    from derived.rules.assurance import Authentication
    from idp.models import LoginSession

_KEY = "own_pair"
_ADDING = AppWords(way_out=gettext_noop("Add nothing"))
_REPLACING = AppWords(
    stops=(
        gettext_noop(
            "The app that you use now stops working as soon as this one is connected, and so do your "
            "recovery codes: you "
            "get new ones. Until then nothing changes."
        )
    ),
    way_out=gettext_noop("Keep the app that I have"),
)
_GONE = gettext_noop("There is no such way of signing in, or it has ended already.")


def chosen(request: HttpRequest, account: Account) -> tuple[str, str | None]:
    """The new password of a form, and its faults."""
    secret, person = request.POST.get("password", ""), account.person
    context = (person.login_name or "", person.display_name(), "ramet")
    error = password.objection(secret, context=context)
    if not error and secret != request.POST.get("password_again", ""):
        error = gettext_noop("The two passwords are not the same.")
    return secret, error


def _begin(request: HttpRequest, session: LoginSession, **more: str) -> None:
    fresh = uuid4()
    seed = b64encode(totp.wrap(totp.new_seed(), owner=fresh)).decode()
    request.session[_KEY] = {"session": str(session.id), "new": str(fresh), "seed": seed, **more}


def _begun(request: HttpRequest, session: LoginSession, **same: str) -> dict[str, Any] | None:
    state: dict[str, Any] | None = request.session.get(_KEY)
    if not state or any(state.get(name) != value for name, value in {"session": str(session.id), **same}.items()):
        return None
    return state


def _not_addable(account: Account, login: Authentication, *, now: datetime) -> Reason | None:
    if status.living(account.id).filter(kind=Kind.PASSWORD_TOTP, epoch=account.epoch).exists():
        return Reason.ALREADY_ENROLLED
    return refusal_to_add(login, reaches=AAL.AAL2, strongest=status.highest_root_level(account, now=now), now=now)


@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Choose the password; a pair is added under a fresh login, at most at its level (ruling 5)."""
    session, now = signed_in(request), clock.now()
    if session is None:
        return fresh_login_needed("", next_path=request.path)
    if reason := _not_addable(session.account, login_of(session.event), now=now):
        return refused(request, reason, session, affected=AAL.AAL2)
    error = None
    if request.method == "POST":
        secret, error = chosen(request, session.account)
        if not error:
            _begin(request, session, password_hash=password.hashed(secret))
            return redirect("roots-password-add-app")
    return pages.page(request, "root_password", {"error": error, "adding": True}, status=400 if error else 200)


@require_http_methods(["GET", "POST"])
def add_app(request: HttpRequest) -> HttpResponse:
    """Connect the app, which proves itself with its first code."""
    session = signed_in(request)
    state = _begun(request, session) if session else None
    if session is None or state is None or "password_hash" not in state:
        return redirect("roots-password-add")

    def work(account: Account, login: Authentication, proved: dict[str, Any], now: datetime) -> None:
        issue.password_totp(
            account,
            password_hash=state["password_hash"],
            bound_by=BoundBy(how=BoundVia.LOGIN, login=login),
            now=now,
            actor="person",
            **proved,
        )

    return _connect(request, session, state, work, affected=AAL.AAL2)


@require_http_methods(["GET", "POST"])
def app(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Connect another app under the same password, in a new row; credentials derived from the old one live on."""
    session, now = signed_in(request), clock.now()
    if session is None:
        return fresh_login_needed("", next_path=request.path)
    row = mine(session, credential_id)
    if row is None or row.kind != Kind.PASSWORD_TOTP:
        return pages.problem(request, _GONE, status=404)
    if reason := refusal_to_change(login_of(session.event), affected=status.level(row), now=now):
        return refused(request, reason, session, affected=status.level(row), name=row.name)
    state = _begun(request, session, old=str(row.id))
    if state is None:
        _begin(request, session, old=str(row.id))
        state = request.session[_KEY]

    def work(account: Account, login: Authentication, proved: dict[str, Any], now: datetime) -> None:
        old = Credential.objects.select_related("root", "parent", "password_totp").get(id=row.id)
        renew.app(account, old, login=login, now=now, actor="person", **proved)

    return _connect(request, session, state, work, affected=status.level(row))


def _connect(
    request: HttpRequest,
    session: LoginSession,
    state: dict[str, Any],
    work: Callable[..., None],
    *,
    affected: AAL,
) -> HttpResponse:
    now, fresh, wrapped = clock.now(), UUID(state["new"]), b64decode(state["seed"])
    seed, name = totp.unwrap(wrapped, owner=fresh), session.account.person.login_name or ""
    words = _REPLACING if "old" in state else _ADDING
    if request.method == "GET":
        return connect_an_app(request, seed, name=name, error=None, words=words)
    step = totp.matching_step(seed, request.POST.get("totp", "").strip(), now=now)
    if step is None:
        return connect_an_app(request, seed, name=name, error=WRONG_CODE, words=words)
    codes = recovery_codes()
    proved = {
        "credential_id": fresh,
        "totp_seed": wrapped,
        "totp_step": step,
        "recovery_code_hashes": [recovery_hash(code) for code in codes],
    }
    try:
        under_my_lock(session, lambda account, login: work(account, login, proved, now), now=now)
    except Refused as no:
        return refused(request, no.reason, session, affected=affected)
    request.session.pop(_KEY, None)
    return saved_codes.shown(request, codes, continue_url="/devices", button="continue")


@require_http_methods(["GET", "POST"])
def change(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Change the password beside the same app; failures of the old one no longer count (TH-1)."""
    session, now = signed_in(request), clock.now()
    if session is None:
        return fresh_login_needed("", next_path=request.path)
    row = mine(session, credential_id)
    if row is None or row.kind != Kind.PASSWORD_TOTP:
        return pages.problem(request, _GONE, status=404)
    if reason := refusal_to_change(login_of(session.event), affected=status.level(row), now=now):
        return refused(request, reason, session, affected=status.level(row), name=row.name)
    if request.method == "GET":
        return pages.page(request, "root_password", {"error": None, "adding": False})
    secret, error = chosen(request, session.account)
    if error:
        return pages.page(request, "root_password", {"error": error, "adding": False}, status=400)
    new_hash = password.hashed(secret)
    try:
        under_my_lock(
            session,
            lambda account, login: renew.password(
                account, by_person.require_living(account, row.id), new_hash, login=login, now=now, actor="person"
            ),
            now=now,
        )
    except Refused as no:
        return refused(request, no.reason, session, affected=status.level(row), name=row.name)
    request.session["notice"] = gettext_noop(
        "Your password was changed. If somebody else may know the old one, sign out everywhere else too."
    )
    return redirect("devices")
