"""Who asks for a new credential, as the ledger wants to know it (RQ-1): from a session, as it stands under the lock."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from derived.issue import Asked
from idp import rulebook
from idp.login.session import login_of
from scim import belonging
from scim.directory import as_id
from scim.models import Group

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
    """The groups that a person is in, as a rule may name them; directly or through groups inside groups.

    By id, and by `source/name`. By name alone only where one source has groups of that name: names are anybody's, and a source
    that calls a group of its own like another's must not put people into it (C27).
    """
    found = belonging.rows_of(person)
    names = {name for _, name, _ in found if "/" not in name and as_id(name) is None}  # which would spell another's group
    others = Group.objects.filter(display_name__in=names, deleted_at__isnull=True).order_by().values_list("display_name", "source").distinct()
    sources = Counter(name for name, _ in others)
    return frozenset(
        {one for one, _, _ in found} | {f"{source}/{name}" for _, name, source in found} | {name for name in names if sources[name] == 1}
    )
