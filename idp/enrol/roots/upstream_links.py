"""Link an identity at an upstream provider, and the callback of every upstream login.

The intent is one single-use row: account, session, browser, upstream, nonce (P32).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.changes import issue
from derived.errors import Reason, Refused, Unavailable
from derived.ledger import status
from derived.ledger.locking import under_lock
from derived.rules.assurance import AAL
from derived.rules.eligibility import BoundBy, BoundVia, refusal_to_add
from derived.rules.kinds import Kind
from idp import pages
from idp.errors import error_response
from idp.login import session, upstream, upstream_views
from idp.login.views import fresh_login_needed
from idp.upstreams import registry, trip

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse

    from derived.models import Account, Credential
    from idp.models import LoginSession, Upstream, UpstreamLogin
    from idp.upstreams.trip import UpstreamResult

_AGAIN = frozenset({Reason.LOGIN_TOO_OLD, Reason.STEP_UP_NEEDED, Reason.LOGIN_TOO_WEAK, Reason.NOT_A_ROOT})


@require_http_methods(["GET", "POST"])
def add(request: HttpRequest, slug: str) -> HttpResponse:
    """GET explains linking, POST begins it; both need a fresh login by a root of at least the added level."""
    mine, now = session.signed_in(request), clock.now()
    if mine is None:
        return fresh_login_needed("", next_path=request.path)
    try:
        found = registry.usable(slug)
        if reason := _why_not(mine, found, now=now):
            if reason in _AGAIN:
                return fresh_login_needed(error_response(reason).words, next_path=request.path)
            raise Refused(reason)
        if request.method == "POST":
            browser = session.browser_hash(request)
            return upstream_views.redirect_to_upstream(
                trip.begin(found, browser=browser, purpose=trip.LINK, fresh=True, session=mine, now=now)
            )
        values = {"upstream_name": found.name, "host": urlsplit(found.issuer).netloc}
        return upstream_views.permit_form_target(pages.page(request, "upstream_link", values), found, [], now=now)
    except (Refused, Unavailable) as refused:
        return upstream_views.refusal(request, refused.reason)


def offers(account: Account) -> list[dict[str, str]]:
    """The upstreams that a person can still link, for My devices."""
    held = {
        row.evidence.get("issuer") for row in status.living(account.id).filter(kind=Kind.UPSTREAM, epoch=account.epoch)
    }
    return [
        {"name": one.name, "url": reverse("root-upstream-add", args=[one.slug])}
        for one in registry.enabled()
        if one.issuer not in held
    ]


def _why_not(mine: LoginSession, found: Upstream, *, now: datetime) -> Reason | None:
    login = session.login_of(mine.event)
    return refusal_to_add(
        login, reaches=AAL(found.cap), strongest=status.highest_root_level(mine.account, now=now), now=now
    )


@require_http_methods(["GET"])
def callback(request: HttpRequest, slug: str) -> HttpResponse:
    """The redirect URI of every upstream; the stored row tells login from linking."""
    now = clock.now()
    try:
        answered = upstream_views.parameters(request)
        row = trip.find_pending(slug, answered.get("state", ""), browser=session.browser_hash(request), now=now)
        if row.purpose == trip.LINK:
            return _linked(request, row, answered, now=now)
        return upstream_views.complete_login(request, row, answered, now=now)
    except (Refused, Unavailable) as refused:
        return upstream_views.refusal(request, refused.reason)


def _linked(request: HttpRequest, row: UpstreamLogin, answered: dict[str, str], *, now: datetime) -> HttpResponse:
    back = trip.complete(row, answered, now=now)
    mine = session.signed_in(request)
    if mine is None or mine.id != row.session_id or mine.account_id != row.account_id:
        raise Refused(Reason.LOGIN_ENDED)
    link(mine, back, now=now)
    request.session["notice"] = gettext("%(name)s is linked. You can sign in there from now on.") % {
        "name": back.upstream.name
    }
    return redirect("devices")


def link(mine: LoginSession, back: UpstreamResult, *, now: datetime) -> Credential:
    """Bind the upstream identity to the account of a session that still stands, under the lock.

    Raises: Refused(LOGIN_ENDED), Refused(UPSTREAM_DISABLED), Refused(HELD_BY_ANOTHER) and as `issue.upstream`.
    """

    def work(account: Account) -> Credential:
        fresh = session.session_under_lock(mine.id, account)
        if not session.is_live(fresh, now=now):
            raise Refused(Reason.LOGIN_ENDED)
        # Held until this commits: a cap or a switch-off that comes now waits, and then finds this link too.
        trusted = registry.usable(back.upstream.slug, locked=True)
        if trusted.cap < back.asserted.aal:
            raise Refused(Reason.UPSTREAM_UNTRUSTED)
        return issue.upstream(
            account,
            issuer=trusted.issuer,
            subject=back.subject,
            shown=upstream.evidence_of(back),
            reaches=AAL(trusted.cap),
            bound_by=BoundBy(how=BoundVia.LOGIN, login=session.login_of(fresh.event)),
            name=trusted.name,
            now=now,
            actor="person",
        )

    return under_lock(mine.account_id, work)
