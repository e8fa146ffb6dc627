"""A file of people, pushed as their source would push them: the same engine, the same rules, and a rehearsal that writes nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from derived.errors import RametError
from scim.errors import ScimError
from scim.models import Record
from scim.people import provision
from scim.protocol import values
from scim.protocol.operations import URN as PATCH_URN
from scim.protocol.user import USER

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from scim.models import Source
    from scim.protocol.schema import Resource
    from scim.protocol.tables import Entry


class Outcome(StrEnum):
    """What an entry does, or would do."""

    CREATED = "created"
    CHANGED = "changed"
    ENDED = "ended"
    RETURNS = "wants to return"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass
class Summary:
    """How many of each outcome; which lines were refused and why; which names stood in which line, and whose records they were."""

    counts: Counter[Outcome] = field(default_factory=Counter)
    refused: list[tuple[int, str]] = field(default_factory=list)
    seen: dict[tuple[str, str], int] = field(default_factory=dict)
    records: set[UUID] = field(default_factory=set)

    def note(self, outcome: Outcome, line: int, why: str = "") -> None:
        """Count one."""
        self.counts[outcome] += 1
        if outcome == Outcome.REFUSED:
            self.refused.append((line, why))


def take(source: Source, entry: Entry, summary: Summary, *, dry_run: bool, now: datetime) -> None:
    """One entry of a file: created, changed or refused; with dry_run only counted."""
    try:
        if entry.wrong:
            raise ValueError(entry.wrong)
        resource = values.resource(entry.body, USER)
        record = _present(source, resource)
        _check_once(summary, resource, entry.line)
        outcome = _outcome(source, record, resource)
        if not dry_run and outcome != Outcome.UNCHANGED:
            if record is None:
                record = provision.create_user(source, entry.body, now=now)
            else:
                provision.replace_user(source, str(record.id), entry.body, now=now)
    except ScimError as error:
        summary.note(Outcome.REFUSED, entry.line, error.detail)
    except ValueError as error:
        summary.note(Outcome.REFUSED, entry.line, str(error))
    except RametError as error:
        summary.note(Outcome.REFUSED, entry.line, f"the account's state does not allow this ({error})")
    else:
        summary.note(outcome, entry.line)
        if record is not None:
            summary.records.add(record.id)


def end_the_rest(source: Source, summary: Summary, *, dry_run: bool, now: datetime) -> None:
    """Whoever is active at this source and was in no line of a complete file has left."""
    rows = Record.objects.filter(source=source, deleted_at__isnull=True, active=True)
    for record_id in list(rows.values_list("id", flat=True)):
        if record_id in summary.records:
            continue
        if not dry_run:
            body: Resource = {
                "schemas": [PATCH_URN],
                "Operations": [{"op": "replace", "path": "active", "value": False}],
            }
            provision.patch_user(source, str(record_id), body, now=now)
        summary.note(Outcome.ENDED, 0)


def _present(source: Source, resource: Resource) -> Record | None:
    """The record that an entry is about: by externalId where the entry has one, else by userName.

    A record with another externalId is somebody else, who had that name before or has it still (C28).
    """
    rows = Record.objects.filter(source=source, deleted_at__isnull=True)
    external = resource.get("externalId")
    found = rows.filter(external_id=external).first() if isinstance(external, str) else None
    named = rows.filter(user_name_fold=values.fold(str(resource["userName"]))).first() if found is None else found
    differs = named is not None and isinstance(external, str) and named.external_id not in (None, external)
    return None if differs else named


def _check_once(summary: Summary, resource: Resource, line: int) -> None:
    names = {("userName", values.fold(str(resource["userName"])))}
    if isinstance(resource.get("externalId"), str):
        names.add(("externalId", str(resource["externalId"])))
    for name in names:
        before = summary.seen.setdefault(name, line)
        if before != line:
            message = f"the same person stands in line {before}"
            raise ValueError(message)


def _outcome(source: Source, record: Record | None, resource: Resource) -> Outcome:
    """Raises: ScimError where the names of the entry are another record's."""
    provision.check_unique(source, resource, but=record)
    if record is None:
        return Outcome.CREATED
    after = {"active": record.active, **resource}
    if after == record.resource:
        return Outcome.UNCHANGED
    if after["active"] == record.active:
        return Outcome.CHANGED
    if record.active:
        return Outcome.ENDED
    return Outcome.RETURNS if record.was_active else Outcome.CHANGED
