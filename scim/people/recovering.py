"""A vouched recovery: two managers check a person who cannot sign in, and invite them again (RC-1, RC-2).

The first manager states how the identity was checked; the second one agrees to that statement and to the address to
which the invitation goes. A source that moves the address in between voids the approval, and later the invitation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.changes import recovery
from derived.changes.recovery import CheckedBy, RecoveryStatement
from derived.errors import Reason, Refused
from derived.ledger import outbox
from derived.ledger.locking import under_lock
from scim.access.roles import Verb
from scim.people import two_managers
from scim.people.two_managers import Proposal

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import Account
    from scim.models import Approval, Person

_ACT = "recover"


def waiting(person: Person, *, now: datetime, but: str = "") -> Approval | None:
    """The oldest statement that waits for a second manager and names the present address; but: not of this actor."""
    rows = two_managers.approvals(_ACT, person.id, now=now).exclude(by=but)
    return next((row for row in rows if row.said.get("address") == person.invitation_address()), None)


def recover(person: Person, *, checked: CheckedBy, words: str, now: datetime, actor: str) -> bool:
    """Vouch for a person who cannot sign in; False if a second manager must agree.

    The second manager gives the words of the first (`waiting`).
    Raises: Refused(BAD_PROOF) for words that say too little; Refused(ILLEGAL_MOVE) where no source gave an address, or
    the person never had a way in; as `derived.changes.recovery.vouch`.
    """
    address = person.invitation_address()
    if not address or not person.login_name:
        raise Refused(Reason.ILLEGAL_MOVE)
    first = waiting(person, now=now, but=actor)
    statement = RecoveryStatement(
        checked=checked,
        words=words,
        by=first.by if first is not None else actor,
        seconded_by=actor if first is not None else "",
        invitation_to=address,
    )
    said = {"checked": checked.value, "words": words.strip(), "address": address}

    def work(account: Account) -> bool:
        recovery.require_possible(account, now=now)
        proposal = Proposal(_ACT, person.id, Verb.VOUCH, (person,), said)
        if not two_managers.agreed(account, proposal, actor=actor, now=now):
            return False
        recovery.vouch(account, statement, now=now, actor=actor)
        outbox.enqueue(kind="invite", receiver=f"mail:{account.id}", account=account, payload={}, now=now)
        return True

    return under_lock(person.account_id, work)
