"""Every gate between a request and a code, in one pure function (P1, C1, C42; E1).

The function is called at GET, after each login, at the consent POST, under the lock when the code is created, and (for
gates that can change) again at redemption. Evidence in, a decision out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from django.utils.translation import gettext_noop

from idp.errors import UNMET
from idp.login.need import AchievedLevel, Need
from idp.oidc.claims import acr
from idp.oidc.requests.ask import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from derived.rules.assurance import AAL, Authentication
    from idp.oidc.requests.ask import Ask


class Next(StrEnum):
    """The next step of a request."""

    GRANT = "grant"
    LOG_IN = "log_in"
    CHOOSE = "choose"
    CONSENT = "consent"
    REFUSE = "refuse"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The next step, and its reason: an OAuth error for a refusal, a message for a login, the `acr` for a grant.

    need: the requirements of the login, so that the person is offered exactly the sufficient ways.
    """

    next: Next
    error: str = ""
    words: str = ""
    acr: str = ""
    need: Need | None = None


@dataclass(frozen=True, kw_only=True)
class AgeLimits:
    """The age limit of a login for a client, and the idle limit of its session.

    idle: the idle time before this request.
    """

    most_session: timedelta | None = None
    most_idle: timedelta | None = None
    idle: timedelta = timedelta()


def _refuse(error: str, words: str) -> Decision:
    return Decision(next=Next.REFUSE, error=error, words=words)


def decide(  # noqa: PLR0913 - a list of gates, from top to bottom
    ask: Ask,
    login: Authentication | None,
    *,
    asked_at: datetime,
    min_aal: AAL,
    reachable: Iterable[AchievedLevel],
    consent_needed: bool,
    now: datetime,
    is_meant: bool = True,
    is_entitled: bool = True,
    limits: AgeLimits | None = None,
    phishing_resistant: bool = False,
    chosen: bool = False,
) -> Decision:
    """The next step of a request, given the live login of this browser (None for none).

    reachable: the levels of the account's live credentials, to tell a step-up from an unreachable level. is_meant:
    whether the signed-in person is the subject of `id_token_hint` (Core §3.1.2.1). is_entitled: whether this client's
    access rules admit the person (EN-1, C16). limits: stricter age and idle limits of this client.
    phishing_resistant: whether this client requires it. chosen: whether the person selected the signed-in account
    (`select_account`).
    """
    silent = "none" in ask.prompt
    classes = acr.required_classes(ask)
    if classes is None:
        return _refuse(
            UNMET, gettext_noop("None of the authentication levels that this application must have is known here.")
        )
    need = Need(classes=classes, min_aal=min_aal, phishing_resistant=phishing_resistant)
    if login is None:
        return (
            _refuse("login_required", gettext_noop("Nobody is signed in."))
            if silent
            else Decision(next=Next.LOG_IN, need=need)
        )
    fresh = login.at >= asked_at
    if not is_meant and (another := _for_other_subject(ask, fresh=fresh, silent=silent)) is not None:
        return another
    if "select_account" in ask.prompt and not fresh and not chosen:
        return Decision(next=Next.CHOOSE)
    if (
        why := _reauthentication_reason(ask, login, fresh=fresh, now=now) or _age_limit_reason(limits, login, now=now)
    ) is not None:
        return _log_in_again(ask, need, login, why, reachable=reachable)
    if not is_entitled:
        return _refuse("access_denied", gettext_noop("This person is not assigned to this application."))
    value = acr.satisfied_class(ask, login)
    if value is None or not need.is_met_by(AchievedLevel.of(login)):
        return _step_up(need, login, silent=silent, reachable=reachable)
    if consent_needed or "consent" in ask.prompt:
        if silent:
            return _refuse("consent_required", gettext_noop("The person has not allowed this yet."))
        return Decision(next=Next.CONSENT, acr=value)
    return Decision(next=Next.GRANT, acr=value)


def _for_other_subject(ask: Ask, *, fresh: bool, silent: bool) -> Decision | None:
    """The next step if the signed-in person is not the subject of the hint; None if an unverifiable hint is ignored."""
    if ask.meant == UNKNOWN:
        return (
            _refuse("login_required", gettext_noop("The id_token_hint is none that can be verified here."))
            if silent
            else None
        )
    if silent or fresh:
        return _refuse("login_required", gettext_noop("Somebody else is signed in."))
    return Decision(
        next=Next.LOG_IN, words=gettext_noop("This application expects another person than the one who is signed in.")
    )


def _reauthentication_reason(ask: Ask, login: Authentication, *, fresh: bool, now: datetime) -> str | None:
    """The reason why this login is not recent enough, or None (SS-6)."""
    if not fresh and "login" in ask.prompt:
        return gettext_noop("This application asks you to sign in again.")
    if ask.max_age is not None and now - login.at > timedelta(seconds=ask.max_age) and not (fresh and ask.max_age == 0):
        return gettext_noop("This application needs a more recent sign-in.")
    return None


def _age_limit_reason(limits: AgeLimits | None, login: Authentication, *, now: datetime) -> str | None:
    """The reason why this login is too old or was idle too long for this client, or None."""
    if limits is None:
        return None
    if limits.most_session is not None and now - login.at > limits.most_session:
        return gettext_noop("This application needs a more recent sign-in.")
    if limits.most_idle is not None and limits.idle > limits.most_idle:
        return gettext_noop("This application asks again after a pause.")
    return None


def _log_in_again(
    ask: Ask, need: Need, login: Authentication, why: str, *, reachable: Iterable[AchievedLevel]
) -> Decision:
    """Request another login, unless this person cannot meet the requirements by it; `prompt=login` is for anybody."""
    if "none" in ask.prompt:
        return _refuse("login_required", why)
    if "login" not in ask.prompt and not _may_meet(need, login, reachable):
        return _unreachable()
    return Decision(next=Next.LOG_IN, words=why, need=need)


def _may_meet(need: Need, login: Authentication, reachable: Iterable[AchievedLevel]) -> bool:
    """True if this person can meet the requirements: by the login that they have, or by a credential."""
    return need.is_met_by(AchievedLevel.of(login)) or any(need.is_met_by(option) for option in reachable)


def _unreachable() -> Decision:
    return _refuse(
        UNMET, gettext_noop("The requested authentication level cannot be reached with the credentials of this person.")
    )


def _step_up(need: Need, login: Authentication, *, silent: bool, reachable: Iterable[AchievedLevel]) -> Decision:
    """Request a stronger login if possible, even after a weaker one; else an unmet level (AS-5, TK-2; ruling 16)."""
    if silent or not any(need.is_met_by(option) for option in reachable):
        return _unreachable()
    return Decision(
        next=Next.LOG_IN,
        words=f"This application needs {need.missing(AchievedLevel.of(login))}.",
        need=replace(need, of_this_person=True),
    )
