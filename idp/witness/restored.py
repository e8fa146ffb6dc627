"""Accept a restored backup: apply the known endings again, and end all that was live at the backup (C90, R17)."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import F

from derived.changes import revoke
from derived.errors import Reason
from derived.ledger import audit
from derived.ledger.locking import transacted, under_lock
from derived.models import Account, Authority, Credential, Event, LedgerState
from derived.rules.kinds import Kind
from idp.witness import operator_chain, standing, writing
from idp.witness.folder import witness
from scim.models import Access, AccessOwner, Manager

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from derived.ledger.audit import Head
    from idp.witness.lines import Ending

_BATCH = 500
_CRL_STEP = 2**32  # more lists than were signed after the backup


@dataclass
class Difference:
    """The part of the ledger that the witness has seen and the database lacks.

    endings: to be applied again. changed: accounts whose chain goes on, or differently, in the witness. unknown:
    accounts that the database does not have.
    """

    endings: list[Ending] = field(default_factory=list)
    changed: list[UUID] = field(default_factory=list)
    unknown: list[UUID] = field(default_factory=list)


def difference() -> Difference:
    """Compare the endings and heads of the witness with the database.

    Endings of generations before the database's own were applied when it began.
    Raises: OSError, folder.Damaged.
    """
    found, heads = Difference(), writing.known_heads()
    generation, lacking = LedgerState.objects.get().generation, dict[str, "Ending"]()
    for line in witness().lines():
        if line.generation < generation:
            continue
        present = set(
            Event.objects.filter(hash__in=[ending.hash for ending in line.endings]).values_list("hash", flat=True)
        )
        lacking.update({ending.hash: ending for ending in line.endings if ending.hash not in present})
    found.endings = list(lacking.values())  # an ending stands twice: at once, and in the worker's next position
    for some in _batches(heads):
        accounts = [UUID(name) for name, _ in some]
        known = set(Account.objects.filter(id__in=accounts).values_list("id", flat=True))
        rows = Event.objects.filter(hash__in=[head.hash for _, head in some]).values_list("account_id", "seq", "hash")
        present_heads = {(account_id, seq, hashed) for account_id, seq, hashed in rows}
        for account_id, (_, head) in zip(accounts, some, strict=True):
            if account_id not in known:
                found.unknown.append(account_id)
            elif head.seq and (account_id, head.seq, head.hash) not in present_heads:
                found.changed.append(account_id)
    return found


def _batches(heads: dict[str, Head]) -> Iterator[list[tuple[str, Head]]]:
    source = iter(heads.items())
    while some := list(islice(source, _BATCH)):
        yield some


def accept(*, now: datetime) -> Difference:
    """Make the restored database the present one, in a new generation; return what the backup lacked.

    Endings come first: a process that dies in between leaves a database that is refused still, and all is done again.
    Raises: OSError, folder.Damaged, DatabaseError, RametError.
    """
    lacking = difference()
    for ending in lacking.endings:
        _apply(ending, now=now)
    newest = witness().newest()
    before = newest.generation if newest else 0
    transacted(lambda: _next_generation(before))
    operator_chain.record_changes(now=now, actor="operator")
    under_lock(
        operator_chain.OPERATOR,
        lambda account: audit.record(
            account,
            "operator.restore_accepted",
            now=now,
            actor="operator",
            body={
                "generation": LedgerState.objects.get().generation,
                "endings": len(lacking.endings),
                "changed": [str(account_id) for account_id in lacking.changed[:_BATCH]],
                "unknown": [str(account_id) for account_id in lacking.unknown[:_BATCH]],
            },
        ),
    )
    writing.checkpoint(now=now)
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


def _next_generation(before: int) -> None:
    """Raise the generation and every account's epoch: sessions, token families and codes of the backup are invalid.

    Rows that live longer than a login move into the new epoch with their account.
    """
    lasting = Credential.objects.exclude(kind=Kind.TOKEN_FAMILY)
    lasting.filter(epoch=F("account__epoch")).update(epoch=F("epoch") + 1)
    for model in (Access, AccessOwner, Manager):
        model.objects.filter(epoch=F("person__account__epoch")).update(epoch=F("epoch") + 1)
    Account.objects.update(epoch=F("epoch") + 1)
    Authority.objects.update(crl_number=F("crl_number") + _CRL_STEP)
    state = LedgerState.objects.select_for_update().get()
    state.generation = max(state.generation, before) + 1
    state.save(update_fields=["generation"])
