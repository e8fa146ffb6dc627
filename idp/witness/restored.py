"""Accept a restored backup: apply the known endings again, and end all that was live at the backup (C90, R17)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import F

from derived.changes import revoke
from derived.errors import Reason
from derived.ledger import audit
from derived.ledger.locking import under_lock
from derived.models import Account, Authority, Credential, LedgerState
from derived.rules.kinds import Kind
from idp.witness import operator_chain, standing, withdrawn, writing
from idp.witness.folder import witness
from idp.witness.known import Named, digest
from scim.models import Access, Role

if TYPE_CHECKING:
    from datetime import datetime

    from idp.witness.lines import Ending

_BATCH = 500
_CRL_STEP = 2**32  # more lists than were signed after the backup


@dataclass
class Difference:
    """The part of the ledger that the witness has seen and the database lacks.

    endings: to be applied again. changed: accounts whose chain goes on, or differently, in the witness. unknown:
    accounts that the database does not have. lost: of both, the number of the first Event that is missing, or 0.
    returned: what an operator had taken away (`withdrawn`).
    """

    endings: list[Ending] = field(default_factory=list)
    changed: list[UUID] = field(default_factory=list)
    unknown: list[UUID] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=dict)
    returned: list[withdrawn.Item] = field(default_factory=list)


def difference(*, now: datetime) -> Difference:
    """Compare the endings, heads and states of the witness with the database.

    Raises: OSError, folder.Damaged.
    """
    found, named, endings, states = Difference(), Named(), dict[str, "Ending"](), dict[str, str]()
    generation = LedgerState.objects.get().generation
    for line in witness().lines():
        if line.generation <= generation:  # a later restore was not accepted by this database
            named.forget(line.lost)
        named.take(line)
        states.update(line.states)
        endings.update({ending.hash: ending for ending in line.endings})  # each stands twice: at once, in a position
    found.lost, found.returned = named.lacking(), withdrawn.returned(states, now=now)
    for name, first in found.lost.items():
        (found.changed if first else found.unknown).append(UUID(name))
    found.endings = [
        ending
        for hashed, ending in endings.items()
        if ending.seq >= found.lost.get(ending.account, ending.seq + 1)
        and named.events[UUID(ending.account)].get(ending.seq) == hashed
    ]
    return found


def accept(*, now: datetime) -> Difference:
    """Make the restored database the present one, in a new generation; return what the backup lacked.

    The witness comes first, then the endings: a process that dies in between leaves a database that is refused still,
    and all is done again.
    Raises: OSError, folder.Damaged, DatabaseError, RametError.
    """
    lacking = difference(now=now)
    newest = witness().newest()
    generation = max(LedgerState.objects.get().generation, newest.generation if newest else 0) + 1
    writing.write_lost(lacking.lost, generation=generation, now=now)
    for ending in lacking.endings:
        _apply(ending, now=now)
    for item in lacking.returned:
        item.end()
    operator_chain.record_changes(now=now, actor="operator")
    operator_chain.begin(now=now)
    body = {
        "generation": generation,
        "endings": len(lacking.endings),
        "changed": [str(account_id) for account_id in lacking.changed[:_BATCH]],
        "unknown": [str(account_id) for account_id in lacking.unknown[:_BATCH]],
        "lost": digest(lacking.lost),
    }

    def work(account: Account) -> None:
        _next_generation(generation)
        audit.record(account, operator_chain.ACCEPTED, now=now, actor="operator", body=body)

    under_lock(operator_chain.OPERATOR, work)
    writing.checkpoint(now=now, begins=True)
    standing.note_agreement()
    standing.look(now=now)
    return lacking


def _apply(ending: Ending, *, now: datetime) -> None:
    """End an account or a credential again, through the one cascade; an account that the backup lacks has nothing."""
    account_id = UUID(ending.account)
    if not Account.objects.filter(id=account_id).exists():
        return
    because = Reason(ending.because)

    def work(account: Account) -> None:
        if not ending.credential:
            revoke.everything(account, because=because, now=now, actor="operator")
            return
        row = Credential.objects.filter(id=ending.credential, account=account).first()
        if row is not None:
            revoke.credential(row, account=account, because=because, now=now, actor="operator")

    under_lock(account_id, work)


def _next_generation(generation: int) -> None:
    """Raise the generation and every account's epoch: sessions, token families and codes of the backup are invalid.

    Rows that live longer than a login move into the new epoch with their account.
    """
    lasting = Credential.objects.exclude(kind=Kind.TOKEN_FAMILY)
    lasting.filter(epoch=F("account__epoch")).update(epoch=F("epoch") + 1)
    for model in (Access, Role):
        model.objects.filter(epoch=F("person__account__epoch")).update(epoch=F("epoch") + 1)
    Account.objects.update(epoch=F("epoch") + 1)
    Authority.objects.update(crl_number=F("crl_number") + _CRL_STEP)
    LedgerState.objects.update(generation=generation)
