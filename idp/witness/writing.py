"""Append to the witness: positions within a minute, and a signed checkpoint a day."""

from __future__ import annotations

import hashlib
import json
import logging
from base64 import urlsafe_b64decode
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from django.db import transaction

from derived.keyring import KeyPurpose
from derived.ledger import audit, merkle, public_heads
from derived.ledger.audit import Head
from derived.ledger.locking import snapshot
from derived.models import Account, Checkpoint, CheckpointLeaf, Event, LedgerState
from idp.config import config
from idp.keys import keyring
from idp.witness import operator_chain, standing, withdrawn
from idp.witness.folder import Damaged, witness
from idp.witness.known import Known
from idp.witness.lines import Ending, Line
from idp.witness.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from django.db.models import QuerySet

T = TypeVar("T")
logger = logging.getLogger(__name__)

EVERY = timedelta(seconds=30)
_MOST = 1_000  # heads or endings in one line, so that a line has at most 200 KiB
_MOST_NAMED = 20  # accounts in one line of the log
_CHECKPOINT = timedelta(days=1)
_OVERLAP = 10_000  # ids: an Event may be committed after one with a higher id


class Writer:
    """Writes positions for one worker; it remembers the witness's heads, and the endings that it has written."""

    def __init__(self) -> None:
        self._written: set[int] = set()
        self._known = Known()

    def write(self, *, now: datetime) -> None:
        """Append the position if the ledger has changed, and a checkpoint if one is due.

        Nothing is written for a database that is older than its witness, and no head that does not continue the last
        one of its account. Raises: OSError, Damaged, DatabaseError, RametError.
        """
        if standing.look(now=now) != Standing.CURRENT:
            return
        last = witness().newest()
        if standing.is_missing(last):
            return  # another machine holds it, or it was deleted: a new one is begun by `restore accept` only
        if _is_due(last, now=now):
            checkpoint(now=now, unless_done=True)
        with witness().held():
            self._known.refresh()
            last = self._known.last
            with snapshot():
                lines = [] if last is None else self._position(last, now=now)
            if lines:
                witness().append(lines)
                self._known.refresh()
        LedgerState.objects.update(compared_at=now)

    def _position(self, last: Line, *, now: datetime) -> list[Line]:
        since = 0 if last.newest is None else last.newest[0]
        newest = Event.objects.order_by("-id").values_list("id", "hash").first()
        states = withdrawn.changed(self._known.states, now=now)
        if newest is None or (newest[0] == since and not last.altered and not states):
            return []
        rows = Event.objects.filter(id__gt=since).order_by("id").values_list("account_id", "seq", "hash")
        heads = {str(account_id): head for account_id, head in audit.heads(_of(last.altered))}
        heads.update((str(account_id), Head(seq, hashed)) for account_id, seq, hashed in rows.iterator())
        altered = self._known.discontinued([*heads, *last.altered])
        for name in altered:
            heads.pop(name, None)
        if newest[0] == since and altered == set(last.altered) and not states:
            return []
        endings = self._new_endings(since) if newest[0] != since else []
        return _lines(
            Line(
                at=now.isoformat(),
                generation=_generation(),
                newest=newest,
                checkpoint_at=last.checkpoint_at,
                checkpoint_hash=last.checkpoint_hash,
                altered=_told(altered, last),
            ),
            last,
            heads,
            [ending_of(event) for event in endings],
            states,
        )

    def _new_endings(self, since: int) -> list[Event]:
        """Endings from `since` on, or shortly before, that this worker has not written."""
        ended = list(Event.objects.filter(id__gt=since - _OVERLAP, kind__in=audit.ENDINGS).order_by("id"))
        new = [event for event in ended if event.id not in self._written]
        self._written = {event.id for event in ended}
        return new


def _is_due(last: Line | None, *, now: datetime) -> bool:
    """True if a day has gone since the newest checkpoint."""
    return last is None or not last.checkpoint_at or now - datetime.fromisoformat(last.checkpoint_at) >= _CHECKPOINT


def checkpoint(*, now: datetime, begins: bool = False, unless_done: bool = False) -> dict[str, Any]:
    """Sign the Merkle root over all heads, append it to the witness, and return the statement with its claims.

    Its lines hold every head that the witness did not know, so that the root can be computed from the witness alone. A
    chain that does not continue its last head here stays in the root with that head. begins: begin a new witness where
    this database had one. unless_done: sign nothing if another worker has signed within a day meanwhile (EV-7).
    The claim `tree` is the root over the public heads, of which evidence is exported (`derived.ledger.public_heads`).
    Raises: OSError, Damaged, DatabaseError, RametError.
    """
    keyring().ensure(KeyPurpose.CHECKPOINT, "ES256", now=now)
    operator_chain.record_changes(now=now, actor="worker")
    with witness().held():
        known = known_heads()
        last = known.last
        if not begins and standing.is_missing(last):
            message = "the witness is missing"
            raise Damaged(message)
        if unless_done and not _is_due(last, now=now):
            return {}
        before = public_heads.leaves_at()
        with snapshot():
            heads = {str(account_id): head for account_id, head in audit.heads()}
            newest = Event.objects.order_by("-id").values_list("id", "hash").first()
            generation = _generation()
            changed = {name: head for name, head in heads.items() if known.get(name) != head}
            present, altered = set(heads), known.discontinued(changed)
            for name, head in known.heads():
                if name in altered or name not in present:
                    altered.add(name)
                    changed.pop(name, None)
                    heads[name] = head
            grown = public_heads.grown(before)
        leaves = before | grown
        claims: dict[str, Any] = {
            "iss": config().issuer,
            "iat": int(now.timestamp()),
            "generation": generation,
            "size": len(heads),
            "root": root(heads),
            "newest": list(newest) if newest else None,
            "previous": last.checkpoint_hash if last else "",
            "tree": public_heads.root(leaves),
            "leaves": len(leaves),
        }
        statement = keyring().sign(
            claims, typ="ramet-checkpoint+jwt", alg="ES256", now=now, purpose=KeyPurpose.CHECKPOINT
        )
        line = Line(
            at=now.isoformat(),
            generation=generation,
            newest=newest,
            statement=statement,
            checkpoint_at=now.isoformat(),
            checkpoint_hash=hashlib.sha256(statement.encode()).hexdigest(),
            altered=_told(altered, last),
        )
        endings = Event.objects.filter(kind__in=audit.ENDINGS).order_by("id") if last is None else Event.objects.none()
        states = withdrawn.changed(known.states, now=now)
        witness().append(_lines(line, last, changed, [ending_of(event) for event in endings], states))
        _keep(line, claims["tree"], grown, now=now)
    LedgerState.objects.update(compared_at=now)
    return {**claims, "statement": statement, "witness": str(witness())}


def _keep(line: Line, tree: str, grown: Mapping[str, Head], *, now: datetime) -> None:
    """Keep a checkpoint in the database with the leaves that have changed, for exports of evidence.

    Statements that only the witness has (from before this table, or of a write that was torn) are kept before it.
    """
    kept = set(Checkpoint.objects.values_list("hash", flat=True))
    older = [
        Checkpoint(hash=one.checkpoint_hash, statement=one.statement, root="", at=datetime.fromisoformat(one.at))
        for one in (witness().lines() if _lacks(line, kept) else ())
        if one.statement and one.checkpoint_hash not in {*kept, line.checkpoint_hash}
    ]
    with transaction.atomic():
        Checkpoint.objects.bulk_create(older)
        made = Checkpoint.objects.create(hash=line.checkpoint_hash, statement=line.statement, root=tree, at=now)
        rows = (
            CheckpointLeaf(checkpoint=made, account_id=UUID(name), seq=head.seq, head=head.hash)
            for name, head in sorted(grown.items())
        )
        CheckpointLeaf.objects.bulk_create(rows, batch_size=_MOST)


def _lacks(line: Line, kept: set[str]) -> bool:
    """True if the checkpoint before this one is not kept."""
    payload = line.statement.split(".")[1]
    previous = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["previous"]
    return bool(previous) and previous not in kept


def write_lost(lost: Mapping[str, int], *, generation: int, now: datetime) -> None:
    """Append to the witness what an accepted restore lacks; nothing is written if there is no witness.

    Raises: OSError.
    """
    newest = Event.objects.order_by("-id").values_list("id", "hash").first()
    with witness().held():
        last = witness().newest()
        if last is None:
            return
        line, names = replace(last, at=now.isoformat(), generation=generation, newest=newest, heads={}), sorted(lost)
        line = replace(line, endings=(), altered=(), statement="", lost={}, states={})
        some = [replace(line, lost={name: lost[name] for name in part}) for part in _parts(names)]
        witness().append(some or [line])


def root(heads: Mapping[str, Head]) -> str:
    """The Merkle root over heads, in the order of their accounts, in hex; a leaf is `account:seq:hash`."""
    return merkle.root(f"{name}:{head.seq}:{head.hash}".encode() for name, head in sorted(heads.items())).hex()


def known_heads() -> Known:
    """The newest head of each account that the witness knows, and its last line.

    Raises: OSError, Damaged.
    """
    known = Known()
    known.refresh()
    return known


def _of(names: Iterable[str]) -> QuerySet[Account]:
    return Account.objects.filter(id__in=[UUID(name) for name in names])


def _told(altered: Iterable[str], last: Line | None) -> tuple[str, ...]:
    """The accounts whose chains were rewritten, for a line; new ones are logged."""
    found = tuple(sorted(altered)[:_MOST])
    if new := set(found) - set(last.altered if last else ()):
        logger.error(
            "the audit chains of %s accounts lack events that the witness has seen, so events were removed or "
            "exchanged in the database; their new heads are not written. Accounts: %s. See: manage.py audit verify",
            len(new),
            ", ".join(sorted(new)[:_MOST_NAMED]),
        )
    return found


def _lines(
    line: Line, last: Line | None, heads: Mapping[str, Head], endings: list[Ending], states: Mapping[str, str]
) -> list[Line]:
    """The line, after as many others as its heads, endings and states need.

    Those others repeat the position and the checkpoint of the last line, so that a write that is torn between two of
    them leaves everything after that position to be written again.
    """
    names = sorted(heads)
    before = replace(
        line,
        statement="",
        newest=last.newest if last else None,
        checkpoint_at=last.checkpoint_at if last else "",
        checkpoint_hash=last.checkpoint_hash if last else "",
        altered=last.altered if last else (),
    )
    return [
        *(replace(before, heads={name: heads[name] for name in some}) for some in _parts(names)),
        *(replace(before, endings=tuple(some)) for some in _parts(endings)),
        *(replace(before, states=dict(some)) for some in _parts(list(states.items()))),
        line,
    ]


def _parts(whole: list[T]) -> Iterator[list[T]]:
    return (whole[start : start + _MOST] for start in range(0, len(whole), _MOST))


def ending_of(event: Event) -> Ending:
    """An Event of `audit.ENDINGS`, as a line holds it."""
    return Ending(
        str(event.account_id), event.seq, event.hash, str(event.credential_id or ""), str(event.body.get("because", ""))
    )


def _generation() -> int:
    return LedgerState.objects.values_list("generation", flat=True).get()
