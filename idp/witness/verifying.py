"""Read a witness and check that it is whole: signatures, the chain of checkpoints, the Merkle root."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from joserfc import jws
from joserfc.errors import JoseError

from derived.ledger import audit
from derived.models import Event
from idp.keys import keyring
from idp.witness import operator_chain, writing
from idp.witness.folder import Damaged, Folder, witness
from idp.witness.known import Known, Named, digest

if TYPE_CHECKING:
    from uuid import UUID

    from joserfc.jwk import KeySet

    from derived.ledger.audit import Head
    from idp.witness.lines import Line


@dataclass(frozen=True)
class Seen:
    """The content of a witness.

    name: of the witness. events: number and hash of each Event that a line names, by account, without those that an
    accepted restore lacked. checkpoints: the number of valid ones. fault: the first
    fault of the witness itself, or "".
    """

    name: str
    events: dict[UUID, dict[int, str]]
    checkpoints: int
    fault: str


def read(where: str) -> Seen | None:
    """The content of a witness; None for this installation's own witness if it has no line yet.

    where: `witness` for this installation's own, or the path of a folder or of one file of it. The root of the newest
    checkpoint is computed if the lines begin with the first checkpoint, so that they hold every head.
    Raises: OSError.
    """
    folder = witness() if where == "witness" else Folder(Path(where))
    reading, fault = _Reading(is_folder=not Path(where).is_file()), ""
    try:
        for line in folder.lines():
            if fault := reading.take(line):
                break
    except Damaged as error:
        fault = str(error)
    seen = Seen(str(folder), reading.named.events, reading.checkpoints, fault or reading.fault())
    return None if where == "witness" and not seen.events and not seen.fault else seen


class _Reading:
    """The lines of a witness, checked one by one."""

    def __init__(self, *, is_folder: bool) -> None:
        self._is_folder = is_folder
        self.named, self.checkpoints = Named(), 0
        self._known, self._keys = Known(), keyring().of_checkpoints()
        self._accepted, self._lost = _accepted(), dict[int, dict[str, int]]()
        self._previous: str | None = None
        self._is_whole, self._newest = False, ("", iter(dict[str, "Head"]().items()))

    def take(self, line: Line) -> str:
        """Take the next line; the fault of its checkpoint, or ""."""
        if line.lost and line.generation in self._accepted:
            self._lost.setdefault(line.generation, {}).update(line.lost)
            self.named.forget(line.lost)
        self._known.take(line)
        self.named.take(line)
        if not line.statement:
            return ""
        claims = _claims(line.statement, self._keys)
        if claims is None:
            return f"the checkpoint of {line.at} is not signed by a key of this database"
        if self._previous is None:
            self._is_whole = claims.get("previous") == ""
            if self._is_folder and not self._is_whole:
                return f"the checkpoint of {line.at} is not the first one: the beginning of the witness is missing"
        elif claims.get("previous") != self._previous:
            return f"the checkpoint of {line.at} does not continue the one before it: one is missing"
        self._previous = hashlib.sha256(line.statement.encode()).hexdigest()
        self.checkpoints += 1
        self._newest = str(claims.get("root")), self._known.heads()
        return ""

    def fault(self) -> str:
        """The fault of the lines together, once all were taken, or ""."""
        signed, covered = self._newest
        if self._is_folder and self.named.events and not self.checkpoints:
            return "it has no checkpoint: the beginning of the witness is missing"
        if self._is_whole and signed != writing.root(dict(covered)):
            return "the heads of the witness do not give the root of its newest checkpoint: a line was changed"
        if any(digest(lost) != self._accepted[generation] for generation, lost in self._lost.items()):
            return "the events that an accepted restore lacked are not those of its event: a line was changed"
        return ""


def _accepted() -> dict[int, str]:
    """By generation, the digest of what its accepted restore lacked."""
    events = Event.objects.filter(account_id=operator_chain.OPERATOR, kind=operator_chain.ACCEPTED)
    return {event.body["generation"]: str(event.body.get("lost", "")) for event in events if audit.is_genuine(event)}


def _claims(statement: str, keys: KeySet) -> dict[str, Any] | None:
    try:
        found = jws.deserialize_compact(statement, keys, algorithms=["ES256"])
    except (JoseError, ValueError):
        return None
    if found.protected.get("typ") != "ramet-checkpoint+jwt":
        return None
    claims: dict[str, Any] = json.loads(found.payload)
    return claims
