"""The session of a browser, read from the database at every request with account and credential.

The cookie leads to an anonymous store (`browser_store`), which points to a `LoginSession`. Its level is that of its
present event (AS-4); another login replaces the event, and the cookie's value changes each time (C11, SS-4).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from derived import clock
from derived.errors import Reason, Refused
from derived.ledger import audit, outbox, status
from derived.ledger.locking import under_lock
from derived.ledger.prepared_sql import BoundValue, PreparedSelect, field_of
from derived.models import Account, Credential
from derived.rules.assurance import AAL, Authentication, Factor, VerifiedFactors
from idp.login import approved, repeats
from idp.login.throttle import clear_guesses, network
from idp.models import AuthenticationEvent, LoginSession
from idp.secrets import hash_secret, opaque

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import Manager, QuerySet
    from django.http import HttpRequest

_POINTER = "login_session"
_BROWSER = "browser"
PREFERRED_LANGUAGE = "preferred-language"  # of the person, read at the login
WRONG_TRIES = "wrong-tries"  # in unknown browsers, before the last login
_PAUSE = "longest-pause"  # seconds since the login, for a client's own limit
KEPT_ANSWERS = "answers"  # of authorization requests, for a form that is sent twice
_OF_ONE_LOGIN = ("login", _PAUSE, KEPT_ANSWERS)  # what an earlier login got is not another one's
_TOUCH_EVERY = timedelta(seconds=60)
_LIMITS = {  # SS-1, SS-2: overall, idle
    AAL.AAL1: (timedelta(hours=24), timedelta(hours=1)),
    AAL.AAL2: (timedelta(hours=24), timedelta(hours=1)),
    AAL.AAL3: (timedelta(hours=12), timedelta(minutes=15)),
}


def login_of(event: AuthenticationEvent) -> Authentication:
    """The evidence of a recorded login, capped by the present level of the credential's ancestors (C2)."""
    return Authentication(
        factors=frozenset(Factor(value) for value in event.factors),
        aal=status.level(event.credential, AAL(event.aal)),
        root=event.root and status.is_root(event.credential),
        phishing_resistant=event.phishing_resistant,
        hardware_protected=event.hardware,
        amr=tuple(event.amr),
        upstream=event.upstream,
        by=str(event.credential_id),
        at=event.at,
    )


def has_live_credentials(event: AuthenticationEvent, account: Account, *, now: datetime) -> bool:
    """True if every credential of a login is still live."""
    used = [event.credential, *([event.beside] if event.beside else [])]
    return all(status.is_live(one, account, now=now) for one in used)


def session_under_lock(session_id: UUID, account: Account) -> LoginSession:
    """A session as it is now, for callers that hold its account's lock."""
    fresh = _SESSION.first(id=session_id)
    if fresh is None or fresh.account_id != account.id:
        raise LoginSession.DoesNotExist
    fresh.account.status, fresh.account.epoch = account.status, account.epoch
    return fresh


def with_evidence(rows: Manager[LoginSession] | QuerySet[LoginSession]) -> QuerySet[LoginSession]:
    """Sessions joined with everything that decides whether they are live."""
    return rows.select_related(
        "account__person", "event__credential__root", "event__credential__parent", "event__beside"
    )


_SESSION = PreparedSelect(
    lambda: with_evidence(LoginSession.objects.filter(id=BoundValue("id", field_of(LoginSession))))
)


def has_not_ended(session: LoginSession, *, now: datetime) -> bool:
    """True if a session has not ended, regardless of idleness, for grants that depend on it (ruling 17)."""
    return (
        session.ended_at is None
        and session.expires_at > now
        and session.account.is_active
        and session.epoch == session.account.epoch
        and has_live_credentials(session.event, session.account, now=now)
    )


def is_live(session: LoginSession, *, now: datetime) -> bool:
    """True if a browser may act on this session now."""
    idle = _LIMITS[AAL(session.event.aal)][1]
    return has_not_ended(session, now=now) and now - session.last_seen_at <= idle


def of_browser(request: HttpRequest, *, now: datetime) -> LoginSession | None:
    """The live session of this browser, or None."""
    pointer = request.session.get(_POINTER)
    if not pointer:
        return None
    found = _SESSION.first(id=UUID(pointer))
    if found is None or not is_live(found, now=now):
        return None
    idle = now - found.last_seen_at
    longest = max(int(request.session.get(_PAUSE, 0)), int(idle.total_seconds()))
    note_idle(found, timedelta(seconds=longest))
    if idle > _TOUCH_EVERY:
        request.session[_PAUSE] = longest
        found.last_seen_at = now
        LoginSession.objects.filter(id=found.id, last_seen_at__lt=now).update(last_seen_at=now)
    return found


def note_idle(session: LoginSession, span: timedelta) -> None:
    """Remember, for this request, how long a session had been idle before it."""
    session.was_idle = span  # type: ignore[attr-defined]


def was_idle(session: LoginSession) -> timedelta:
    """The idle time of a session before this request."""
    span: timedelta = getattr(session, "was_idle", timedelta())
    return span


def browser_hash(request: HttpRequest) -> str:
    """The hash of this browser, to which requests and challenges are bound (P23)."""
    if _BROWSER not in request.session:
        request.session[_BROWSER] = opaque()
    return hash_secret(request.session[_BROWSER], kind="browser-binding")


def establish(  # noqa: PLR0913 - the evidence
    request: HttpRequest,
    credential: Credential,
    shown: VerifiedFactors,
    *,
    now: datetime,
    claim: Callable[[Account], None] | None = None,
    beside: Credential | None = None,
    at: datetime | None = None,
    repeatable: bool = False,
) -> LoginSession:
    """Record a login and make it this browser's session, with a new cookie value.

    beside: a second credential of the login. claim: values that the login spends or activates, under the account's
    lock. repeatable: the same form once more, sent at once, gets this session too (`take_up_repeated`).
    Raises: Refused(ACCOUNT_NOT_ACTIVE), Refused(CREDENTIAL_NOT_LIVE), and any exception of `claim`.
    """
    before = of_browser(request, now=now)

    def work(account: Account) -> LoginSession:
        event = record_login(account, credential, shown, now=now, claim=claim, beside=beside, at=at)
        wrong = clear_guesses(account, credential, request, now=now)
        if beside is not None:
            wrong += clear_guesses(account, beside, request, now=now)
        if wrong:
            request.session[WRONG_TRIES] = wrong
        made = _create_session(request, before, account, event, now=now)
        if repeatable:
            _keep_for_repeats(request, made, now=now)
        return made

    session = under_lock(credential.account_id, work)
    if before is not None and before.account_id != session.account_id:
        end(before, now=now, actor="person")  # otherwise unreachable: its browser has another person's session now
    request.session.cycle_key()
    request.session[_POINTER] = str(session.id)
    for name in _OF_ONE_LOGIN:
        request.session.pop(name, None)
    _keep_language(request, session)
    request.ramet_session = session  # type: ignore[attr-defined]
    return session


def _keep_language(request: HttpRequest, session: LoginSession) -> None:
    person = getattr(session.account, "person", None)
    stated = (person.language or person.profile.get("preferredLanguage")) if person else None
    if stated:
        request.session[PREFERRED_LANGUAGE] = str(stated)
    else:
        request.session.pop(PREFERRED_LANGUAGE, None)


def _keep_for_repeats(request: HttpRequest, session: LoginSession, *, now: datetime) -> None:
    kept = {name: value for name, value in request.session.items() if name not in _OF_ONE_LOGIN}
    repeats.keep(request, {**kept, _POINTER: str(session.id)}, now=now)


def take_up_repeated(request: HttpRequest, *, now: datetime) -> LoginSession | None:
    """The live session that the same form, sent twice at once, got a moment ago, as this browser's; or None."""
    own = request.session
    if not repeats.take_up(request, now=now):
        return None
    found = of_browser(request, now=now)
    if found is None:
        request.session = own
    else:
        request.ramet_session = found  # type: ignore[attr-defined]
    return found


def record_login(  # noqa: PLR0913 - the evidence
    account: Account,
    credential: Credential,
    shown: VerifiedFactors,
    *,
    now: datetime,
    claim: Callable[[Account], None] | None = None,
    beside: Credential | None = None,
    at: datetime | None = None,
) -> AuthenticationEvent:
    """Write the event of a login; the caller holds the account's lock.

    Raises: Refused(ACCOUNT_NOT_ACTIVE), Refused(CREDENTIAL_NOT_LIVE), and any exception of `claim`.
    """
    if not account.is_active:
        raise Refused(Reason.ACCOUNT_NOT_ACTIVE)
    if claim is not None:
        claim(account)
    fresh = Credential.objects.select_related("root", "parent").get(id=credential.id)
    used = [fresh, *([Credential.objects.get(id=beside.id)] if beside else [])]
    if not all(status.is_live(one, account, now=now) for one in used):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    level = approved.capped_level(fresh, status.level(fresh, shown.reach))
    if level == AAL.NONE:
        raise Refused(Reason.LOGIN_TOO_WEAK)
    Credential.objects.filter(id__in=[one.id for one in used]).update(last_used_at=now)
    return AuthenticationEvent.objects.create(
        account=account,
        credential=fresh,
        beside=beside,
        factors=sorted(shown.factors),
        amr=list(shown.amr),
        aal=level,
        root=status.is_root(fresh),
        phishing_resistant=shown.phishing_resistant,
        hardware=shown.hardware_protected,
        upstream=shown.asserted.issuer if shown.asserted else "",
        fal=shown.asserted.fal if shown.asserted else 3,
        at=min(at or now, now),
    )


def _create_session(
    request: HttpRequest, before: LoginSession | None, account: Account, event: AuthenticationEvent, *, now: datetime
) -> LoginSession:
    overall = _LIMITS[AAL(event.aal)][0]
    if before is not None and before.account_id == account.id:
        before.event, before.last_seen_at, before.expires_at = event, now, now + overall
        before.save(update_fields=["event", "last_seen_at", "expires_at"])
        audit_kind, session = "session.renewed", before
    else:
        session = LoginSession.objects.create(
            sid=opaque(),
            account=account,
            epoch=account.epoch,
            event=event,
            created_at=now,
            last_seen_at=now,
            expires_at=now + overall,
            browser=request.headers.get("User-Agent", "")[:120],
            network=network(request),
        )
        audit_kind = "session.started"
    body = {"session": str(session.id), "aal": event.aal, "factors": event.factors}
    audit.record(account, audit_kind, now=now, actor="person", credential=event.credential, body=body)
    return session


def end(session: LoginSession, *, now: datetime, actor: str) -> None:
    """End a session, notify its relying parties, and so end the families that depend on it."""
    under_lock(session.account_id, lambda account: _end(account, session.id, now=now, actor=actor))


def end_all(account: Account, *, now: datetime, actor: str) -> None:
    """End every session of an account; the caller holds its lock."""
    for session_id in account.sessions.filter(ended_at__isnull=True).values_list("id", flat=True):
        _end(account, session_id, now=now, actor=actor)


def _end(account: Account, session_id: UUID, *, now: datetime, actor: str) -> None:
    if LoginSession.objects.filter(id=session_id, account=account, ended_at__isnull=True).update(ended_at=now):
        audit.record(account, "session.ended", now=now, actor=actor, body={"session": str(session_id)})
        payload = {"session": str(session_id), "because": Reason.SIGNED_OUT.value}
        outbox.fan_out(account, payload, now=now)


def signed_in(request: HttpRequest) -> LoginSession | None:
    """The live session of this browser, read at most once per request."""
    if not hasattr(request, "ramet_session"):
        request.ramet_session = of_browser(request, now=clock.now())  # type: ignore[attr-defined]
    found: LoginSession | None = request.ramet_session  # type: ignore[attr-defined]
    return found
