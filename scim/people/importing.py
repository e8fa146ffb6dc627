"""Import a file of people and groups as pushes of their source: same engine and rules, and a dry run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from derived.errors import RametError
from scim.errors import ScimError
from scim.models import Group, Record
from scim.people import groups, provision
from scim.protocol import values
from scim.protocol.group import CORE_URN as GROUP_URN
from scim.protocol.operations import URN as PATCH_URN

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from scim.models import Source
    from scim.protocol.ldap_entries import FileGroup
    from scim.protocol.schema import Json, Resource
    from scim.protocol.tables import FileEntry


class Outcome(StrEnum):
    """The effect of an entry."""

    CREATED = "created"
    CHANGED = "changed"
    ENDED = "ended"
    RETURNS = "wants to return"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass
class ImportSummary:
    """The number of each outcome, the refused lines with reasons, the names by line, and the records seen.

    groups: the outcomes of groups. members: the ids of people and groups, by DN and by folded login name. unknown: the
    members of groups that are none of these.
    """

    counts: Counter[Outcome] = field(default_factory=Counter)
    refused: list[tuple[int, str]] = field(default_factory=list)
    seen: dict[tuple[str, str], int] = field(default_factory=dict)
    records: set[UUID] = field(default_factory=set)
    left: list[str] = field(default_factory=list)
    groups: Counter[Outcome] = field(default_factory=Counter)
    members: dict[str, str] = field(default_factory=dict)
    unknown: int = 0

    def note(self, outcome: Outcome, line: int, why: str = "") -> None:
        """Count an outcome."""
        self.counts[outcome] += 1
        if outcome == Outcome.REFUSED:
            self.refused.append((line, why))


def import_entry(source: Source, entry: FileEntry, summary: ImportSummary, *, dry_run: bool, now: datetime) -> None:
    """Create, change or refuse an entry of a file; with dry_run only count it."""
    try:
        if entry.wrong:
            raise ValueError(entry.wrong)
        resource = provision.resource_of(source, entry.body, counts=False)
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
        found = "" if record is None else str(record.id)  # a rehearsal creates nobody
        summary.members |= {one: found for one in (entry.dn, values.fold(str(resource["userName"]))) if one}
        if record is not None:
            summary.records.add(record.id)


def import_groups(
    source: Source, given: list[FileGroup], summary: ImportSummary, *, dry_run: bool, now: datetime
) -> None:
    """Create or replace the groups of a file, after its people; a group may be a member of another.

    Members that are neither in the file nor a person of this source by login name are counted and left out.
    """
    present = dict(
        Group.objects.filter(source=source, deleted_at__isnull=True, external_id__isnull=False).values_list(
            "external_id", "id"
        )
    )
    ready: list[FileGroup] = []
    for one in given:
        try:
            if one.wrong or not one.display_name:
                raise ValueError(one.wrong or "the group has no name")
            found = str(present.get(one.external_id) or "")
            if not found and not dry_run:
                found = str(groups.create_group(source, _group_body(one, []), now=now).id)
            summary.groups[Outcome.CHANGED if one.external_id in present else Outcome.CREATED] += 1
            summary.members[one.dn] = found
            ready.append(one)
        except (ScimError, ValueError, RametError) as error:
            _refuse_group(summary, one, error)
    for one in ready:
        members = _members(source, one, summary)
        if not dry_run:
            try:
                groups.replace_group(source, summary.members[one.dn], _group_body(one, members), now=now)
            except (ScimError, RametError) as error:
                _refuse_group(summary, one, error)


def _refuse_group(summary: ImportSummary, group: FileGroup, error: Exception) -> None:
    summary.groups[Outcome.REFUSED] += 1
    summary.refused.append((group.line, error.detail if isinstance(error, ScimError) else str(error)))


def _group_body(group: FileGroup, members: list[Json]) -> Resource:
    return {
        "schemas": [GROUP_URN],
        "displayName": group.display_name,
        "externalId": group.external_id,
        "members": members,
    }


def _members(source: Source, group: FileGroup, summary: ImportSummary) -> list[Json]:
    """The members of a group that are known, by id."""
    found: list[Json] = []
    for name in dict.fromkeys([*group.members, *(values.fold(one) for one in group.names)]):
        if name not in summary.members:
            rows = Record.objects.filter(source=source, deleted_at__isnull=True, user_name_fold=name)
            known = rows.values_list("id", flat=True).first()
            if known is None:
                summary.unknown += 1
                continue
            summary.members[name] = str(known)
        found.append({"value": summary.members[name]})
    return found


def end_the_rest(source: Source, summary: ImportSummary, *, dry_run: bool, now: datetime) -> None:
    """End every active person of this source who is in no line of a complete file."""
    rows = Record.objects.filter(source=source, deleted_at__isnull=True, active=True)
    for record_id, resource in list(rows.order_by("user_name_fold").values_list("id", "resource")):
        if record_id in summary.records:
            continue
        summary.left.append(str(resource["userName"]))
        if not dry_run:
            body: Resource = {
                "schemas": [PATCH_URN],
                "Operations": [{"op": "replace", "path": "active", "value": False}],
            }
            provision.patch_user(source, str(record_id), body, now=now)
        summary.note(Outcome.ENDED, 0)


def _present(source: Source, resource: Resource) -> Record | None:
    """The record of an entry: by externalId if the entry has one, else by userName.

    A record with another externalId is another person with the same name (C28).
    """
    rows = Record.objects.filter(source=source, deleted_at__isnull=True)
    external = resource.get("externalId")
    found = rows.filter(external_id=external).first() if isinstance(external, str) else None
    named = rows.filter(user_name_fold=values.fold(str(resource["userName"]))).first() if found is None else found
    differs = named is not None and isinstance(external, str) and named.external_id not in (None, external)
    return None if differs else named


def _check_once(summary: ImportSummary, resource: Resource, line: int) -> None:
    names = {("userName", values.fold(str(resource["userName"])))}
    if isinstance(resource.get("externalId"), str):
        names.add(("externalId", str(resource["externalId"])))
    for name in names:
        before = summary.seen.setdefault(name, line)
        if before != line:
            message = f"the same person is in line {before}"
            raise ValueError(message)


def _outcome(source: Source, record: Record | None, resource: Resource) -> Outcome:
    """The effect of an entry.

    Raises: ScimError if the names of the entry belong to another record.
    """
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
