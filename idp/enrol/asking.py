"""Who asks for a new credential, as the ledger wants to know it (RQ-1): from a session, as it stands under the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.issue import Asked
from idp import rulebook
from idp.login.session import login_of
from scim.models import Membership

if TYPE_CHECKING:
    from idp.models import LoginSession
    from scim.models import Person


def asked(session: LoginSession, *, name: str, purpose: str = "sign in on another device") -> Asked:
    """The person of a session asks for themselves."""
    person: Person = session.account.person
    return Asked(
        login=login_of(session.event), root=session.event.credential, name=name, purpose=purpose,
        person=person.login_name or "", groups=groups_of(person), rulebook=rulebook.rules(),
    )


def groups_of(person: Person) -> frozenset[str]:
    """The names of the groups that a person is in, by any of their sources; of groups inside groups, the innermost alone."""
    rows = Membership.objects.filter(record__person=person, record__deleted_at__isnull=True, group__deleted_at__isnull=True)
    return frozenset(rows.values_list("group__display_name", flat=True))
