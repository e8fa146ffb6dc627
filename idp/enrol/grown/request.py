"""The request for a derived credential (RQ-1), from a session as it stands under the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived import clock
from derived.changes.issue import IssuanceRequest
from idp.login.session import login_of
from idp.policies import issuance as rulebook
from scim.access import approving

if TYPE_CHECKING:
    from idp.models import LoginSession
    from scim.models import Person


def request_of(session: LoginSession, *, name: str, purpose: str = "sign in on another device") -> IssuanceRequest:
    """The request of a session's person for themselves."""
    person: Person = session.account.person
    return IssuanceRequest(
        login=login_of(session.event),
        root=session.event.credential,
        name=name,
        purpose=purpose,
        person=person.login_name or "",
        groups=rulebook.groups_of(person),
        rulebook=rulebook.rules(),
        stands=lambda row: approving.stands(row, now=clock.now()),
        counts=lambda decision: approving.counts(decision, now=clock.now()),
    )
