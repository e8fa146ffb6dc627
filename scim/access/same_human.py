"""Whether two people of the directory may be one human being: nobody approves anything for themselves by any road.

In doubt the answer is yes, and somebody else decides. Records that no rule has joined, records that were joined and
split again, and shared addresses, cards, provider identities or identifiers of trusted sources all count; only a
manager's decision that two people differ does not. Stopping somebody is never refused for this reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import Q

from derived.models import CardCertificate, UpstreamIdentity
from scim.models import Match, MatchState, Person, RecordKey
from scim.protocol.values import fold

if TYPE_CHECKING:
    from collections.abc import Iterable

_APART = MatchState.APART


def may_be_one(one: Person, other: Person) -> bool:
    """True if both are, or may be, the same human being."""
    return (
        one.id == other.id
        or _share_address(one, other)
        or _were_matched(one, other)
        or _share_identifier(one, other)
        or _share_card(one, other)
        or _share_upstream(one, other)
    )


def of_actor(actor: str) -> Person | None:
    """The person of an actor in the audit chain, such as `manager:…`; None for a nameless operator and for sources."""
    kind, _, own = actor.partition(":")
    found = as_uuid(own) if kind in {"manager", "operator", "owner", "person"} else None
    return Person.objects.filter(id=found).first() if found else None


def as_uuid(unverified: str) -> UUID | None:
    """The UUID that a text is, or None."""
    try:
        return UUID(unverified)
    except ValueError:
        return None


def _addresses(person: Person) -> set[str]:
    return {fold(address) for address in (*person.addresses(), *person.former_addresses)}


def _share_address(one: Person, other: Person) -> bool:
    return bool(_addresses(one) & _addresses(other))


def _were_matched(one: Person, other: Person) -> bool:
    """True if a record of one was ever joined to the other, split from it, or waits for that decision."""
    both = [one.id, other.id]
    rows = Match.objects.exclude(state=_APART).filter(
        Q(person__in=both, record__person__in=both) | Q(person__in=both, from_person__in=both)
    )
    return any(
        {one.id, other.id} <= {match.person_id, match.record.person_id, match.from_person_id}
        for match in rows.select_related("record")
    )


def _share_identifier(one: Person, other: Person) -> bool:
    rows = RecordKey.objects.filter(record__person__in=[one, other]).select_related("record__source")
    trusted = [row for row in rows if row.attribute in row.record.source.trusted_for]
    mine, theirs = (
        {(row.attribute, row.value) for row in trusted if row.record.person_id == person.id} for person in (one, other)
    )
    return bool(mine & theirs)


def _share_card(one: Person, other: Person) -> bool:
    rows = CardCertificate.objects.filter(credential__account__in=[one.account_id, other.account_id])
    found = list(rows.values_list("credential__account", "fingerprint", "issuer_key", "ski", "fasc_n", "card_uuid"))

    def marks(account_id: object) -> set[tuple[str, ...]]:
        own = [row[1:] for row in found if row[0] == account_id]
        names = [(("print", row[0]), ("key", row[1], row[2]), ("fasc", row[3]), ("card", row[4])) for row in own]
        return {mark for each in names for mark in each if all(mark)}

    return _meet(marks(one.account_id), marks(other.account_id))


def _share_upstream(one: Person, other: Person) -> bool:
    rows = UpstreamIdentity.objects.filter(credential__account__in=[one.account_id, other.account_id])
    found = list(rows.values_list("credential__account", "issuer", "subject"))
    return _meet(
        [row[1:] for row in found if row[0] == one.account_id],
        [row[1:] for row in found if row[0] == other.account_id],
    )


def _meet(mine: Iterable[tuple[str, ...]], theirs: Iterable[tuple[str, ...]]) -> bool:
    return bool(set(mine) & set(theirs))
