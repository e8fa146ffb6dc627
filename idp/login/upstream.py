"""Logins at another provider: the enabled ways, the requirements of the request, and the returned identity.

Only (issuer, sub) of a live link leads to an account; never a name, an address or another claim (P33).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.translation import gettext, gettext_noop

from derived.errors import Reason, Refused
from derived.ledger import status
from derived.models import UpstreamIdentity
from derived.rules.assurance import AAL, Factor, VerifiedFactors
from derived.rules.kinds import Kind
from idp.login import purpose, session
from idp.login.ways import Way
from idp.models import AuthorizationRequest
from idp.upstreams import registry, trip

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from derived.models import Account, Credential
    from idp.models import Upstream
    from idp.upstreams.trip import UpstreamResult


def offers(_request: HttpRequest) -> list[Way]:
    """A way for each enabled upstream."""
    return [_way(one) for one in registry.enabled()]


def _way(upstream: Upstream) -> Way:
    best = max((int(row[0]) for row in upstream.levels.values()), default=0)
    return Way(
        name=f"upstream-{upstream.slug}",
        kind=Kind.UPSTREAM,
        label=gettext("Sign in at %(name)s") % {"name": upstream.name},
        hint=gettext_noop("If you linked it in My devices."),
        url=reverse("login-upstream", args=[upstream.slug]),
        reaches=AAL(min(best, upstream.cap)),
        phishing_resistant=bool(upstream.phishing_resistant),
    )


def begin(request: HttpRequest, upstream: Upstream, *, now: datetime) -> str:
    """The URL of the login at the upstream.

    Raises: as `trip.begin`.
    """
    waiting = pending_request(request, now=now)
    ask = waiting.ask if waiting else {}
    fresh = bool(
        purpose.of_request(request).why
        or {"login", "select_account"} & set(ask.get("prompt", ()))
        or ask.get("max_age") is not None
    )
    wanted = " ".join(value for value in ask.get("acr_values", ()) if value in upstream.levels)
    url = trip.begin(
        upstream, browser=session.browser_hash(request), purpose=trip.LOGIN, fresh=fresh, acr_values=wanted, now=now
    )
    purpose.keep(request, trip.stored_state(url))
    return url


def pending_request(request: HttpRequest, *, now: datetime) -> AuthorizationRequest | None:
    """The authorization request that this browser's login is for, or None."""
    flow = purpose.of_request(request).flow
    rows = AuthorizationRequest.objects.select_related("client").filter(
        id=flow, browser=session.browser_hash(request), consumed_at__isnull=True, expires_at__gt=now
    )
    return rows.first() if flow else None


def evidence_of(back: UpstreamResult) -> VerifiedFactors:
    """The evidence of a login at an upstream."""
    return VerifiedFactors(factors=frozenset({Factor.UPSTREAM}), asserted=back.asserted)


def sign_in(request: HttpRequest, back: UpstreamResult, *, now: datetime) -> Credential:
    """Establish a session on an identity from an upstream.

    Raises: Refused(CREDENTIAL_UNKNOWN), Refused(UPSTREAM_DISABLED) if disabled meanwhile (P26), and as
    `session.establish`.
    """
    credential = credential_of(back.upstream.issuer, back.subject, now=now)

    def claim(_account: Account) -> None:
        if registry.usable(back.upstream.slug).cap < back.asserted.aal:
            raise Refused(Reason.UPSTREAM_UNTRUSTED)  # capped since; the next login has the lower level

    session.establish(request, credential, evidence_of(back), now=now, claim=claim, at=back.at)
    return credential


def credential_of(issuer: str, subject: str, *, now: datetime) -> Credential:
    """The live credential of an identity there.

    Raises: Refused(CREDENTIAL_UNKNOWN).
    """
    rows = UpstreamIdentity.objects.filter(issuer=issuer, subject=subject).select_related("credential__account")
    found = [row.credential for row in rows if status.is_live(row.credential, row.credential.account, now=now)]
    if len(found) != 1:
        raise Refused(Reason.CREDENTIAL_UNKNOWN)
    return found[0]
