"""Possible matches that hang together as one case, so that a manager decides once about all its people.

Three records with one identifier are up to six pairs: a case is every pair that shares a person with another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from derived.errors import Reason, Refused
from derived.ledger import status
from scim.models import Match, MatchState, Record
from scim.people import matching

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from scim.models import Person

_MOST = 5_000  # pairs read at once
_PAIR = 2


@dataclass(frozen=True)
class Case:
    """The pairs of a case, oldest first, and the people in them."""

    pairs: tuple[Match, ...]

    @property
    def number(self) -> int:
        """The number by which it is named: its oldest pair's."""
        return min(one.id for one in self.pairs)

    def people(self) -> list[Person]:
        """The people of the case, without duplicates."""
        found: dict[UUID, Person] = {}
        for one in self.pairs:
            for person in (one.record.person, one.person):
                found.setdefault(person.id, person)
        return list(found.values())

    def records(self) -> list[Record]:
        """The living records of its people, those of the first pair's record first."""
        places = {person.id: place for place, person in enumerate(self.people())}
        rows = Record.objects.filter(person__in=places, deleted_at__isnull=True)
        rows = rows.select_related("source", "person__account").order_by("source__precedence", "created_at")
        return sorted(rows, key=lambda record: places[record.person_id])

    def keeps(self) -> Person:
        """The person whom the others join: of a pair the older record's, of more the one whose account is in use."""
        if len(self.people()) == _PAIR:
            return self.pairs[0].person
        return min(self.people(), key=_rank)


def _rank(person: Person) -> tuple[bool, bool, datetime, UUID]:
    is_used = status.ever_had_authenticator(person.account)
    return not is_used, not person.records.filter(adopted=True).exists(), person.created_at, person.id


def waiting() -> list[Case]:
    """The cases that wait for a manager, oldest first."""
    return _grouped(list(matching.waiting()[:_MOST]))


def of(pair: Match) -> Case:
    """The case of a pair, which comes first in it; alone if it does not wait."""
    for case in waiting():
        if any(one.id == pair.id for one in case.pairs):
            return Case((pair, *(one for one in case.pairs if one.id != pair.id)))
    return Case((pair,))


def _grouped(pairs: list[Match]) -> list[Case]:
    case_of: dict[UUID, int] = {}  # the person's case
    cases: dict[int, list[Match]] = {}
    for number, pair in enumerate(pairs):
        touched = {case_of[one] for one in (pair.person_id, pair.record.person_id) if one in case_of}
        together = [*(one for other in sorted(touched) for one in cases.pop(other)), pair]
        cases[number] = together
        case_of |= {one: number for match in together for one in (match.person_id, match.record.person_id)}
    found = [Case(tuple(sorted(together, key=lambda one: (one.created_at, one.id)))) for together in cases.values()]
    return sorted(found, key=lambda case: (case.pairs[0].created_at, case.number))


def join(case: Case, *, now: datetime, actor: str) -> bool:
    """Join every record of the case to one person; False if a second manager must agree to any of it.

    Raises: Refused(ILLEGAL_MOVE) if nothing of it waits.
    """
    _require_waiting(case)
    into = case.keeps()
    done = [
        matching.join(record, into, attribute=_attribute(case, record, into), now=now, actor=actor) is not None
        for record in case.records()
        if record.person_id != into.id
    ]
    if all(done):
        # Pairs of people who are one now have nothing left to decide.
        left = [one.id for one in case.pairs]
        Match.objects.filter(id__in=left, state=MatchState.WAITING).delete()
    return all(done)


def _attribute(case: Case, record: Record, into: Person) -> str:
    """The identifier by which this very record was found for the person, or "": then it waits for its adoption."""
    own = (one.attribute for one in case.pairs if one.record_id == record.id and one.person_id == into.id)
    return next(own, "")


def keep_apart(case: Case, *, now: datetime, actor: str) -> bool:
    """Decide that all people of the case differ, which is final; False if a second manager must agree.

    Raises: Refused(ILLEGAL_MOVE) if nothing of it waits.
    """
    _require_waiting(case)
    done = [matching.keep_apart(pair, now=now, actor=actor) for pair in case.pairs]
    return all(done)


def _require_waiting(case: Case) -> None:
    if any(pair.state != MatchState.WAITING for pair in case.pairs):
        raise Refused(Reason.ILLEGAL_MOVE)
