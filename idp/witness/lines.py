"""A line of the witness, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self

from derived.ledger.audit import Head


class Ending(NamedTuple):
    """An Event that ended an account or one credential.

    credential: "" where the whole account ended. because: a `Reason`.
    """

    account: str
    seq: int
    hash: str
    credential: str
    because: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """The state of the ledger at one moment.

    generation: of the database (`LedgerState`). newest: id and hash of its newest Event. heads: of chains that have
    grown since the line before, by account. endings: of the same time, or committed since `newest` (`endings`).
    altered: accounts whose chain does not continue their last head here, so that no later head is written.
    lost: by account, the number of the first Event that an accepted restore lacked (0: the account itself).
    states: of what an operator can take away, where they have changed (`withdrawn`).
    statement: a checkpoint, as a signed JWS; checkpoint_at and checkpoint_hash: of the newest checkpoint, this line's
    own included.
    """

    at: str
    generation: int
    newest: tuple[int, str] | None
    heads: dict[str, Head] = field(default_factory=dict)
    endings: tuple[Ending, ...] = ()
    altered: tuple[str, ...] = ()
    lost: dict[str, int] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    statement: str = ""
    checkpoint_at: str = ""
    checkpoint_hash: str = ""

    def text(self) -> str:
        """The line as JSON, without its end."""
        return json.dumps({name: value for name, value in asdict(self).items() if value}, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Self:
        """The line of a JSON text.

        Raises: ValueError for a line that was torn or altered.
        """
        try:
            found: dict[str, Any] = json.loads(text)
            newest = found.get("newest")
            return cls(
                at=str(found["at"]),
                generation=int(found["generation"]),
                newest=(int(newest[0]), str(newest[1])) if newest else None,
                heads={
                    str(name): Head(int(seq), str(hashed)) for name, (seq, hashed) in found.get("heads", {}).items()
                },
                endings=tuple(Ending(*values) for values in found.get("endings", ())),
                altered=tuple(str(name) for name in found.get("altered", ())),
                lost={str(name): int(seq) for name, seq in found.get("lost", {}).items()},
                states={str(name): str(state) for name, state in found.get("states", {}).items()},
                statement=str(found.get("statement", "")),
                checkpoint_at=str(found.get("checkpoint_at", "")),
                checkpoint_hash=str(found.get("checkpoint_hash", "")),
            )
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            message = f"not a line of a witness: {type(error).__name__}"
            raise ValueError(message) from error
