"""The heads and endings that the lines of a witness name."""

from __future__ import annotations

import hashlib
import json
from functools import reduce
from itertools import islice
from operator import or_
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import Q

from derived.ledger.audit import Head
from derived.models import Account, Event
from idp.witness.folder import witness

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from idp.witness.folder import Place
    from idp.witness.lines import Line

_TOGETHER = 100  # look-ups in one statement
_SEQ_BYTES = 4


class Known:
    """The newest head of each account that the witness names, packed: about 200 bytes an account.

    last: the last line. states: of what an operator can take away (`withdrawn`).
    """

    def __init__(self) -> None:
        self._packed: dict[bytes, bytes] = {}
        self._place: Place | None = None
        self.last: Line | None = None
        self.states: dict[str, str] = {}

    def refresh(self) -> None:
        """Take the lines that were appended since the last time.

        Raises: OSError, Damaged.
        """
        for line, place in witness().lines_after(self._place):
            self.take(line)
            self._place, self.last = place, line

    def take(self, line: Line) -> None:
        """Take the heads and endings of one line, after the ones before it."""
        self.states.update(line.states)
        for name in line.lost:
            self._packed.pop(UUID(name).bytes, None)
        for name, head in line.heads.items():
            self._raise(name, head)
        for ending in line.endings:
            self._raise(ending.account, Head(ending.seq, ending.hash))

    def _raise(self, name: str, head: Head) -> None:
        key, packed = UUID(name).bytes, head.seq.to_bytes(_SEQ_BYTES) + bytes.fromhex(head.hash)
        if self._packed.get(key, b"")[:_SEQ_BYTES] <= packed[:_SEQ_BYTES]:
            self._packed[key] = packed

    def get(self, name: str) -> Head | None:
        """The newest head of an account, or None if the witness does not know it."""
        packed = self._packed.get(UUID(name).bytes)
        return None if packed is None else _unpacked(packed)

    def heads(self) -> Iterator[tuple[str, Head]]:
        """Every account with its newest head, as it is now."""
        rows = dict(self._packed)
        return ((str(UUID(bytes=key)), _unpacked(packed)) for key, packed in rows.items())

    def discontinued(self, names: Iterable[str]) -> set[str]:
        """The accounts whose newest head here is not an Event of their chain in the database: it was rewritten."""
        found = set[str]()
        expected = ((name, head) for name in names if (head := self.get(name)) is not None and head.seq)
        while some := list(islice(expected, _TOGETHER)):
            at = reduce(or_, (Q(account_id=name, seq=head.seq) for name, head in some))
            present = {(str(one), hashed) for one, hashed in Event.objects.filter(at).values_list("account_id", "hash")}
            found.update(name for name, head in some if (name, head.hash) not in present)
        return found


def _unpacked(packed: bytes) -> Head:
    return Head(int.from_bytes(packed[:_SEQ_BYTES]), packed[_SEQ_BYTES:].hex())


class Named:
    """Every Event that a line of a witness names: number and hash, by account."""

    def __init__(self) -> None:
        self.events: dict[UUID, dict[int, str]] = {}

    def take(self, line: Line) -> None:
        """Take one line, after the ones before it. A number keeps the first hash that it had."""
        for name, head in line.heads.items():
            self._add(name, head)
        for ending in line.endings:
            self._add(ending.account, Head(ending.seq, ending.hash))

    def _add(self, name: str, head: Head) -> None:
        events = self.events.setdefault(UUID(name), {})
        if head.seq:
            events.setdefault(head.seq, head.hash)

    def forget(self, lost: Mapping[str, int]) -> None:
        """Forget the Events that an accepted restore lacked."""
        for name, first in lost.items():
            account_id = UUID(name)
            if not first:
                self.events.pop(account_id, None)
            elif account_id in self.events:
                events = self.events[account_id]
                self.events[account_id] = {seq: hashed for seq, hashed in events.items() if seq < first}

    def lacking(self) -> dict[str, int]:
        """By account, the number of the first named Event that the database lacks; 0 for an account that it lacks."""
        missing = {account_id: dict(events) for account_id, events in self.events.items()}
        rows = Event.objects.order_by("account_id", "seq").values_list("account_id", "seq", "hash")
        for account_id, seq, hashed in rows.iterator():
            events = missing.get(account_id)
            if events and events.get(seq) == hashed:
                del events[seq]
        present = set(Account.objects.values_list("id", flat=True).iterator())
        return {
            str(account_id): min(events) if account_id in present else 0
            for account_id, events in missing.items()
            if events or account_id not in present
        }


def digest(lost: Mapping[str, int]) -> str:
    """The hash of what an accepted restore lacked, as its Event holds it."""
    return hashlib.sha256(json.dumps(sorted(lost.items())).encode()).hexdigest()
