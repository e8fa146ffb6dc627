"""The tree of a person's credentials: roots, derived credentials, and token families of each (RQ-1, ID-10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.shortcuts import redirect
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.changes import revoke
from derived.errors import Reason
from derived.ledger import status
from derived.ledger.locking import under_lock
from derived.models import Credential
from derived.rules.kinds import Kind, Label, policy_of
from idp import clients, pages
from idp.enrol.devices import apps
from idp.login.session import signed_in
from idp.login.views import fresh_login_needed

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

    from derived.models import Account
    from idp.models import LoginSession

_STATES = {
    "pending": gettext_noop("waits for its first sign-in"),
    "active": gettext_noop("active"),
    "suspended": gettext_noop("suspended"),
}


def tree(session: LoginSession, *, now: datetime) -> list[dict[str, Any]]:
    """Every living credential of the person under its root, with the token families of each.

    A root that has ended is listed while a credential derived from it lives (trap 1).
    """
    rows = [
        row
        for row in status.living(session.account_id).filter(epoch=session.account.epoch)
        if row.expires_at is None or row.expires_at > now
    ]
    held = _families(session, now=now)
    roots: dict[UUID, dict[str, Any]] = {row.id: _node(row, held) for row in rows if row.root_id is None}
    for row in rows:
        if (root := row.root) is not None:
            if root.id not in roots:
                roots[root.id] = _node(root, held)
            roots[root.id]["grown"].append(_node(row, held))
    return list(roots.values())


def _node(row: Credential, held: dict[UUID, list[dict[str, Any]]]) -> dict[str, Any]:
    kind = policy_of(Kind(row.kind))
    return {
        "id": row.id,
        "name": row.name or gettext(kind.label),
        "kind_label": gettext(kind.label),
        "aal": int(status.level(row)),
        "grown": [],
        "families": held.get(row.id, []),
        "state_label": gettext(_STATES.get(row.state, gettext_noop("ended; what depends on it still works"))),
        "piv": row.label == Label.DERIVED_PIV,
    }


def _families(session: LoginSession, *, now: datetime) -> dict[UUID, list[dict[str, Any]]]:
    """The living token families, by the credential that opened them."""
    found: dict[UUID, list[dict[str, Any]]] = {}
    for grant in apps.families(session.account_id, now=now):
        if grant.family.parent_id:
            found.setdefault(grant.family.parent_id, []).append(
                {
                    "id": grant.family_id,
                    "app": grant.client.name,
                    "since": grant.family.created_at,
                    "until": grant.family.expires_at,
                    "bound": bool(grant.jkt),
                    "aal": grant.family.aal,
                }
            )
    return found


@require_http_methods(["POST"])
def end_family(request: HttpRequest, family_id: UUID) -> HttpResponse:
    """Revoke a token family; any login suffices (IV-7)."""
    session = signed_in(request)
    if session is None:
        return fresh_login_needed("", next_path="/devices")
    row = (
        Credential.objects.filter(id=family_id, account=session.account_id, kind=Kind.TOKEN_FAMILY)
        .select_related("grant__client")
        .first()
    )
    if row is None:
        return pages.problem(request, gettext_noop("There is no such app sign-in of yours."), status=404)

    def work(account: Account) -> None:
        revoke.credential(row, account=account, because=Reason.REMOVED_BY_PERSON, now=clock.now(), actor="person")

    under_lock(session.account_id, work)
    clients.withdraw_consent(row.grant.client, session.account.person)
    request.session["notice"] = gettext("%(name)s was signed out. It has to ask you again.") % {
        "name": row.grant.client.name
    }
    return redirect("devices")
