"""My apps: the applications that a person allowed or is signed in to, and taking that back (C54, ID-10, IV-7)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db.models import Max
from django.shortcuts import redirect
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.changes import revoke
from derived.errors import Reason
from derived.ledger import audit, status
from derived.ledger.locking import under_lock
from derived.models import Credential
from derived.rules.kinds import Kind
from idp import clients, pages
from idp.login.session import has_not_ended, signed_in, with_evidence
from idp.login.views import fresh_login_needed
from idp.models import Grant, LoginSession
from idp.oidc import lifetimes
from idp.oidc.authorization import device_flow
from idp.oidc.claims.words import in_order, in_words

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

    from derived.models import Account

_MOST_FAMILIES = 200


def families(account_id: UUID, *, now: datetime) -> list[Grant]:
    """The living token families of an account that have not ended with their session, the newest first."""
    rows = status.live_only(Credential.objects.filter(account=account_id, kind=Kind.TOKEN_FAMILY), now=now)
    grants = (
        Grant.objects.filter(family__in=rows)
        .select_related("family", "client")
        .order_by("-family__created_at")[:_MOST_FAMILIES]
    )
    standing = _not_ended((one.session_id for one in grants if one.session_id), now=now)
    return [one for one in grants if one.session_id is None or one.offline or one.session_id in standing]


def _not_ended(ids: Iterable[UUID], *, now: datetime) -> set[UUID]:
    return {
        one.id for one in with_evidence(LoginSession.objects.filter(id__in=set(ids))) if has_not_ended(one, now=now)
    }


@dataclass(kw_only=True)
class _App:
    """An application of a person.

    allowed, until: the remembered consent. since: the oldest sign-in that lives. used: the last sign-in or refresh.
    """

    number: int
    client_id: str
    name: str
    scopes: set[str] = field(default_factory=set)
    allowed: datetime | None = None
    until: datetime | None = None
    since: datetime | None = None
    used: datetime | None = None

    def described(self) -> dict[str, Any]:
        """The values for the page."""
        return {
            "id": self.number,
            "name": self.name,
            "may": [in_words(one) for one in in_order(self.scopes)],
            "allowed": self.allowed,
            "until": self.until,
            "since": self.since,
            "used": self.used,
        }


def of_account(account: Account, *, now: datetime) -> list[dict[str, Any]]:
    """The applications of an account, each with its number, client_id and name."""
    return [{"id": one.number, "client_id": one.client_id, "name": one.name} for one in _apps(account, now=now)]


def _apps(account: Account, *, now: datetime) -> list[_App]:
    found: dict[int, _App] = {}
    given = clients.remembered_consents(account.person, now=now)
    held = families(account.id, now=now)
    for client in {*(one.client for one in given), *(one.client for one in held)}:
        found[client.pk] = _App(number=client.pk, client_id=client.client_id, name=client.name)
    for consent in given:
        app = found[consent.client_id]
        app.scopes, app.allowed, app.until = {*consent.scope}, consent.date_given, consent.expires_at
    for grant in held:
        app = found[grant.client_id]
        app.scopes |= {*grant.scope.split()}
        app.since = grant.family.created_at
    used = Grant.objects.filter(family__account=account, client__in=list(found)).values("client")
    for row in used.annotate(opened=Max("family__created_at"), refreshed=Max("refresh_tokens__created_at")):
        found[row["client"]].used = max(filter(None, (row["opened"], row["refreshed"])))
    return sorted(found.values(), key=lambda app: (app.name.casefold(), app.number))


@require_http_methods(["GET"])
def mine(request: HttpRequest) -> HttpResponse:
    """List the person's applications: what each may see, since when, and when it was last used."""
    session = signed_in(request)
    if session is None:
        return fresh_login_needed("", next_path="/apps")
    values = {
        "apps": [app.described() for app in _apps(session.account, now=clock.now())],
        "minutes": int(lifetimes.ACCESS_TOKEN.total_seconds() // 60),
        "notice": request.session.pop("notice", None),
    }
    return pages.page(request, "apps", values)


@require_http_methods(["POST"])
def withdraw(request: HttpRequest, number: int) -> HttpResponse:
    """Forget the person's consent to an application, and end every token that it has of them (any login: IV-7)."""
    session, now = signed_in(request), clock.now()
    if session is None:
        return fresh_login_needed("", next_path="/apps")
    app = next((one for one in _apps(session.account, now=now) if one.number == number), None)
    party = clients.find_in_any_state(app.client_id) if app else None
    if app is None or party is None:
        return pages.problem(
            request, gettext_noop("This application is not one of yours, or was taken back already."), status=404,
            next_step=gettext_noop("Look at My apps."),
        )  # fmt: skip

    def work(account: Account) -> None:
        clients.withdraw_consent(party.client, account.person)
        device_flow.forget_approvals(account, party.client, now=now)
        rows = Credential.objects.filter(account=account, kind=Kind.TOKEN_FAMILY, grant__client=party.client)
        for row in status.live_only(rows, now=now):
            revoke.credential(row, account=account, because=Reason.REMOVED_BY_PERSON, now=now, actor="person")
        if app.allowed:
            audit.record(account, "consent.withdrawn", now=now, actor="person", body={"client": app.client_id})

    under_lock(session.account_id, work)
    request.session["notice"] = (
        gettext("%(name)s was signed out, and has to ask you again.")
        if app.allowed
        else gettext("%(name)s was signed out.")
    ) % {"name": app.name}
    return redirect("apps")
