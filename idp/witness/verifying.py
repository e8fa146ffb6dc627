"""Read a witness and check that it is whole: signatures, the chain of checkpoints, the Merkle root."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from joserfc import jws
from joserfc.errors import JoseError

from idp.keys import keyring
from idp.witness import writing
from idp.witness.folder import Damaged, Folder, witness

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

    from derived.ledger.audit import Head


@dataclass
class Seen:
    """The content of a witness.

    name: of the witness. heads: the newest of each account. checkpoints: the number of valid ones. fault: the first
    fault of the witness itself, or "".
    """

    name: str
    heads: dict[UUID, Head] = field(default_factory=dict)
    checkpoints: int = 0
    fault: str = ""


def read(where: str) -> Seen | None:
    """The content of a witness; None for this installation's own witness if it has no line yet.

    where: `witness` for this installation's own, or the path of a folder or of one file of it. The root of the newest
    checkpoint is computed if the lines begin with the first checkpoint, so that they hold every head.
    Raises: OSError.
    """
    folder = witness() if where == "witness" else Folder(Path(where))
    seen, keys, heads = Seen(str(folder)), keyring().of_checkpoints(), dict[str, "Head"]()
    previous: str | None = None
    is_whole, newest = False, ("", dict[str, "Head"]())
    try:
        for line in folder.lines():
            heads.update(line.heads)
            if not line.statement:
                continue
            claims = _claims(line.statement, keys)
            if claims is None:
                seen.fault = f"the checkpoint of {line.at} is not signed by a key of this database"
                break
            if previous is None:
                is_whole = claims.get("previous") == ""
            elif claims.get("previous") != previous:
                seen.fault = f"the checkpoint of {line.at} does not continue the one before it: one is missing"
                break
            previous = hashlib.sha256(line.statement.encode()).hexdigest()
            seen.checkpoints += 1
            newest = (str(claims.get("root")), dict(heads))
    except Damaged as error:
        seen.fault = str(error)
    signed, covered = newest
    if not seen.fault and is_whole and signed != writing.root(covered):
        seen.fault = "the heads of the witness do not give the root of its newest checkpoint: a line was changed"
    seen.heads = {UUID(name): head for name, head in heads.items()}
    if where == "witness" and not heads and not seen.fault:
        return None
    return seen


def _claims(statement: str, keys: KeySet) -> dict[str, Any] | None:
    try:
        found = jws.deserialize_compact(statement, keys, algorithms=["ES256"])
    except (JoseError, ValueError):
        return None
    if found.protected.get("typ") != "ramet-checkpoint+jwt":
        return None
    claims: dict[str, Any] = json.loads(found.payload)
    return claims
