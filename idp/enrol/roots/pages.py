"""Root credentials: list, rename, remove, report a loss (P2, IV-5 to IV-7)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from django.shortcuts import redirect
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.changes import by_person, review_after_loss
from derived.errors import Reason, Refused
from derived.ledger import status
from derived.ledger.locking import under_lock
from derived.models import RecoveryCode
from derived.rules.assurance import AAL
from derived.rules.eligibility import refusal_to_change
from derived.rules.kinds import Kind, policy_of
from idp import pages
from idp.enrol.device_names import clean_name
from idp.errors import error_response
from idp.login import card, purpose
from idp.login.session import is_live, login_of, session_under_lock, signed_in
from idp.login.views import fresh_login_needed

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

    from derived.models import Account, Credential
    from derived.rules.assurance import Authentication
    from idp.models import LoginSession

T = TypeVar("T")

STRENGTHS = {
    AAL.AAL3: gettext_noop("Strongest: a key in hardware, and a second factor"),
    AAL.AAL2: gettext_noop("Two factors"),
    AAL.AAL1: gettext_noop("One factor"),
    AAL.NONE: gettext_noop("Worth nothing at present"),
}
_STEP_UP = frozenset(
    {Reason.NOT_A_ROOT, Reason.LOGIN_TOO_WEAK, Reason.LOGIN_TOO_OLD, Reason.STEP_UP_NEEDED, Reason.LOGIN_ENDED}
)
_GONE = gettext_noop("There is no such way of signing in, or it has ended already.")
_ADDING = (
    (gettext_noop("Password and authenticator app"), "roots-password-add"),
    ("PIV or CAC card", "root-card-add"),
    (gettext_noop("Passkey or security key"), "root-passkey-add"),
)
_OLDEST_USE = timedelta(days=3650)
_FAR_EAST = timedelta(hours=14)


# --- the list ---------------------------------------------------------------------------------------------------------


def listed(session: LoginSession, *, now: datetime) -> list[dict[str, Any]]:
    """The person's root credentials, for My devices."""
    rows = [
        one
        for one in status.living(session.account_id)
        .filter(root__isnull=True, epoch=session.account.epoch)
        .select_related("passkey")
        if one.expires_at is None or one.expires_at > now
    ]
    reviewed = set(review_after_loss.marked().filter(account=session.account_id).values_list("id", flat=True))
    ways = by_person.ways_in(session.account, now=now)
    codes = recovery_codes_left([one for one in rows if one.kind == Kind.PASSWORD_TOTP], now=now)
    return [
        {
            **_described(one, session, reviewed=one.id in reviewed),
            "last": by_person.is_last_way_in(one, ways),
            "codes": codes.get(one.id, 0),
        }
        for one in rows
    ]


def recovery_codes_left(rows: list[Credential], *, now: datetime) -> dict[UUID, int]:
    """The number of recovery codes that serve still, by credential."""
    if not rows:
        return {}
    serves = RecoveryCode.objects.filter(credential__in=rows, consumed_at__isnull=True, expires_at__gt=now)
    return Counter(serves.values_list("credential", flat=True))


def _described(row: Credential, session: LoginSession, *, reviewed: bool = False) -> dict[str, Any]:
    level = status.level(row)
    return {
        "id": row.id,
        "name": row.name or gettext(policy_of(Kind(row.kind)).label),
        "kind": row.kind,
        "kind_label": gettext(policy_of(Kind(row.kind)).label),
        "aal": int(level),
        "strength": STRENGTHS[level],
        "phishing_resistant": bool(row.evidence.get("phishing_resistant")),
        "added": row.created_at,
        "last_used": row.last_used_at,
        "ceiling": _ceiling(row, level),
        "grows": status.is_root(row),
        "disabled": status.is_disabled(row),
        "suspended": row.state == "suspended",
        "reviewed": reviewed,
        "here": row.id in {session.event.credential_id, session.event.beside_id},
        "password": row.kind == Kind.PASSWORD_TOTP,
    }


def _ceiling(row: Credential, level: AAL) -> str:
    """The login on which it was bound, as the reason of its level (ruling 5)."""
    match row.evidence.get("bound_by"):
        case "login":
            return gettext(
                "Worth AAL%(level)s: it was added from a sign-in at AAL%(login_level)s, and is never worth "
                "more than that."
            ) % {"level": int(level), "login_level": row.evidence.get("login_aal", int(level))}
        case "recovery":
            return gettext(
                "Worth AAL%(level)s: it was set up again with a recovery code, "
                "and is never worth more than the one before."
            ) % {"level": int(level)}
        case "manager":
            return gettext("Worth AAL%(level)s: your identity team added it.") % {"level": int(level)}
        case "invitation":
            return gettext("Worth AAL%(level)s: it was added through your invitation.") % {"level": int(level)}
        case _:
            return ""


def ways_to_add(session: LoginSession) -> list[dict[str, str]]:
    """The further roots that this person can add."""
    has_password = (
        status.living(session.account_id).filter(kind=Kind.PASSWORD_TOTP, epoch=session.account.epoch).exists()
    )
    found = []
    for label, name in _ADDING:
        try:
            url = reverse(name)
        except NoReverseMatch:  # not switched on here
            continue
        is_off = name == "root-card-add" and not card.is_on(now=clock.now())
        if not is_off and not (name == "roots-password-add" and has_password):
            found.append({"label": label, "url": url})
    return found


# --- what every change shares -----------------------------------------------------------------------------------------


def under_my_lock(session: LoginSession, work: Callable[[Account, Authentication], T], *, now: datetime) -> T:
    """Run `work(account, login)` with the account locked, and the login's present level.

    Raises: Refused(LOGIN_ENDED), and what `work` raises.
    """

    def locked(account: Account) -> T:
        fresh = session_under_lock(session.id, account)
        if not is_live(fresh, now=now):
            raise Refused(Reason.LOGIN_ENDED)
        return work(account, login_of(fresh.event))

    return under_lock(session.account_id, locked)


def mine(session: LoginSession, credential_id: UUID) -> Credential | None:
    """A living root credential of the person."""
    return (
        status.living(session.account_id)
        .filter(id=credential_id, root__isnull=True, epoch=session.account.epoch)
        .first()
    )


def refused(  # noqa: PLR0913 - what, why, and what helps
    request: HttpRequest, reason: Reason, session: LoginSession, *, affected: AAL, name: str = "", report: str = ""
) -> HttpResponse:
    """Refuse: name what is missing and the login that helps, or else the reason.

    report: the page to report a loss, which needs no such login (ruling 14).
    """
    found = error_response(reason)
    if reason not in _STEP_UP:
        return pages.problem(
            request, found.words, status=found.status, next_step=gettext_noop("Go back to My devices.")
        )
    why = gettext("To change something worth AAL%(level)s, sign in with something as strong.") % {
        "level": int(affected)
    }
    values = {
        "words": found.words,
        "name": name,
        "needed": int(affected),
        "shown": int(login_of(session.event).aal),
        "report": report,
        "sign_in_url": purpose.asked(next_path=request.path, why=why).url(),
    }
    return pages.page(request, "root_gate", values, status=403)


def _gone(request: HttpRequest) -> HttpResponse:
    return pages.problem(request, _GONE, status=404, next_step=gettext_noop("Look at My devices."))


# --- another name, off the account, lost ------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def rename(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Rename a root."""
    session, now = signed_in(request), clock.now()
    if session is None:
        return fresh_login_needed("", next_path=request.path)
    row = mine(session, credential_id)
    if row is None:
        return _gone(request)
    reason = refusal_to_change(login_of(session.event), affected=status.level(row), now=now)
    if reason is None and request.method == "GET":
        return pages.page(request, "root_rename", {"root": _described(row, session)})
    name = clean_name(request.POST.get("name", "")[:200])
    try:
        if reason is not None:
            raise Refused(reason)
        under_my_lock(
            session,
            lambda account, login: by_person.rename(account, row.id, name, login=login, now=now, actor="person"),
            now=now,
        )
    except Refused as no:
        return refused(request, no.reason, session, affected=status.level(row), name=row.name)
    request.session["notice"] = gettext("It is called “%(name)s” from now on.") % {"name": name}
    return redirect("devices")


@require_http_methods(["GET", "POST"])
def remove(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Remove a root from the account; the last one stays (ruling 14)."""
    session, now = signed_in(request), clock.now()
    if session is None:
        return fresh_login_needed("", next_path=request.path)
    row = mine(session, credential_id)
    if row is None:
        return _gone(request)
    reason = by_person.refusal_to_remove(session.account, row, login_of(session.event), now=now)
    if reason is None and request.method == "GET":
        return pages.page(request, "root_remove", {"root": _described(row, session)})
    try:
        if reason is not None:
            raise Refused(reason)
        under_my_lock(
            session,
            lambda account, login: by_person.remove(account, row.id, login=login, now=now, actor="person"),
            now=now,
        )
    except Refused as no:
        if no.reason == Reason.LAST_WAY_IN:
            values = {"root": _described(row, session), "adding": ways_to_add(session)}
            return pages.page(request, "root_last", values, status=error_response(no.reason).status)
        report_url = reverse("root-report", args=[row.id])
        return refused(request, no.reason, session, affected=status.level(row), name=row.name, report=report_url)
    return _ended(
        request, session, row, gettext("%(name)s was removed. It cannot sign in any more.") % {"name": row.name}
    )


@require_http_methods(["POST"])
def enable(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Enable a root that wrong tries have disabled; any login suffices, because only tries are added (ruling 33)."""
    session, now = signed_in(request), clock.now()
    if session is None:
        return fresh_login_needed("", next_path="/devices")
    row = mine(session, credential_id)
    if row is None:
        return _gone(request)
    under_my_lock(session, lambda account, _: by_person.enable(account, row, now=now, actor="person"), now=now)
    request.session["notice"] = gettext("%(name)s signs in again.") % {"name": row.name}
    return redirect("devices")


@require_http_methods(["GET", "POST"])
def report(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Report a loss: any login suffices, and it ends at once, even the last way in (IV-7, ruling 14)."""
    session, now = signed_in(request), clock.now()
    if session is None:
        return fresh_login_needed("", next_path=request.path)
    row = mine(session, credential_id)
    if row is None:
        return _gone(request)
    error = None
    if request.method == "POST":
        try:
            since = _used_since(request, now=now)
        except ValueError:
            error = gettext_noop("Give the day since when somebody else may have used it, as far as you know.")
        else:
            under_my_lock(
                session,
                lambda account, _: by_person.report_loss(account, row.id, used_since=since, now=now, actor="person"),
                now=now,
            )
            return _ended(
                request,
                session,
                row,
                gettext("%(name)s was reported lost. It cannot sign in any more.") % {"name": row.name},
            )
    last = not [one for one in status.live_roots(session.account, now=now) if one.id != row.id]
    values = {
        "root": _described(row, session),
        "last": last and status.is_root(row),
        "error": error,
        "today": now.date().isoformat(),
    }
    return pages.page(request, "root_report", values, status=400 if error else 200)


def _used_since(request: HttpRequest, *, now: datetime) -> datetime | None:
    """The date since which a stranger has used it, or None.

    Raises: ValueError for a day that makes no sense.
    """
    if request.POST.get("used") != "yes":
        return None
    day = date.fromisoformat(request.POST.get("since", "")[:10])
    if not (now - _OLDEST_USE).date() < day <= (now + _FAR_EAST).date():
        raise ValueError
    since = datetime.combine(day, time(), tzinfo=UTC) - _FAR_EAST  # the day's first moment anywhere on Earth
    return min(since, now)


def _ended(request: HttpRequest, session: LoginSession, row: Credential, words: str) -> HttpResponse:
    if row.id in {session.event.credential_id, session.event.beside_id}:  # this very sign-in stood on it
        return fresh_login_needed(words, next_path="/devices")
    request.session["notice"] = words
    return redirect("devices")
