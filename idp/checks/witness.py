"""The check of the witness: an older or half-restored database, or a missing witness (ramet.W050 to W053, W055)."""

from __future__ import annotations

from django.core import checks
from django.db import DatabaseError

from derived import clock
from derived.errors import Unavailable
from idp.witness import standing
from idp.witness.folder import witness
from idp.witness.standing import Standing


@checks.register
def database_agrees_with_its_witness(**_context: object) -> list[checks.Warning]:
    """A warning, not an error: `serve` starts, and answers 503, until an operator has decided."""
    try:
        line = witness().newest()
        found = standing.compare_all(line, now=clock.now())
    except (DatabaseError, Unavailable):  # before the first migration, or without the key: another check tells
        return []
    except OSError as error:
        return [checks.Warning(f"the witness {witness()} cannot be read: {type(error).__name__}", id="ramet.W052")]
    if found == Standing.OLDER:
        hint = "It was restored from a backup, or RAMET_VAR is another one's. See: manage.py restore status"
        return [checks.Warning(f"the database is older than its witness {witness()}", hint=hint, id="ramet.W050")]
    if found == Standing.PARTIAL:
        hint = "Restore all tables from one backup. See: docs/operating.md, 'Restoring a backup'"
        return [checks.Warning("accounts lack events of their own audit chains", hint=hint, id="ramet.W055")]
    if found == Standing.LOST:
        hint = "Bring the folder back. If it is lost: manage.py restore accept"
        return [checks.Warning(f"the witness {witness()} is missing", hint=hint, id="ramet.W051")]
    if line is not None and line.altered:
        hint = "See: manage.py audit verify, and docs/operating.md, 'The witness'"
        message = f"{len(line.altered)} audit chains lack events that the witness has seen"
        return [checks.Warning(message, hint=hint, id="ramet.W053")]
    return []
