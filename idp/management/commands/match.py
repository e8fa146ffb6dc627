"""`manage.py match`: records of one person: joined by rules or by hand, and split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django.core.management.base import CommandError, CommandParser

from derived import clock
from idp.management.verbs import SECOND, Noun, name_argument, no_arguments
from scim.access.roles import Verb
from scim.models import Match, MatchRule, MatchState, Person, Record
from scim.people import candidates, cases, matching
from scim.protocol.values import fold

if TYPE_CHECKING:
    from collections.abc import Iterable

_KEY = f"one of {', '.join(one.rpartition(':')[2] for one in candidates.KEYS)}"


def _number(parser: CommandParser) -> None:
    parser.add_argument("number", type=int, help="its number, as `match list` or `match joined` shows it")


def _list(parser: CommandParser) -> None:
    parser.add_argument("--pairs", action="store_true", help="each pair of a case by itself")


def _decision(parser: CommandParser) -> None:
    _number(parser)
    parser.add_argument("--pair", action="store_true", help="only this pair, as `match list --pairs` numbers it")


def _join(parser: CommandParser) -> None:
    parser.add_argument("record", help="the id of a source's record, as `person show` lists it")
    parser.add_argument("name", help="the login name or the id of the person whose record it is")


class Command(Noun):
    """The verbs for matching."""

    help = "Records of one person: by, not-by (rules), list (waiting cases), accept, apart, join, joined, split."
    configures = True
    verbs: ClassVar = {
        "rules": ("Rules by which records are joined; without a rule, none are.", no_arguments),
        "by": ("Join records by an identifier, where both sources are trusted for it.", name_argument(_KEY)),
        "not-by": ("No longer join by it; what was joined stays.", name_argument(_KEY)),
        "list": ("Ambiguous cases that wait for somebody; a case has every record with the same identifier.", _list),
        "accept": ("Everybody in this case is one person: join; or only a pair of it.", _decision),
        "apart": (
            "Everybody in this case is another person: never join them by rule; or only a pair of it.",
            _decision,
        ),
        "join": ("Join a record to a person by hand.", _join),
        "joined": ("Joined records, with the rule and the time.", no_arguments),
        "split": ("Undo a join.", _number),
    }
    methods: ClassVar = {"list": "all", "not-by": "not_by"}
    reads: ClassVar = frozenset({"rules", "list", "joined"})
    asks: ClassVar = {"accept": Verb.JOIN, "join": Verb.JOIN, "apart": Verb.SPLIT, "split": Verb.SPLIT}
    two_steps: ClassVar = frozenset({"accept", "join", "apart", "split"})

    def rules(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the rules."""
        return [{"by": one.attribute, "since": one.created_at} for one in MatchRule.objects.order_by("attribute")]

    def by(self, options: dict[str, Any]) -> str:
        """Add a rule."""
        try:
            made = matching.add_rule(options["name"], now=clock.now())
        except ValueError as error:
            raise CommandError(str(error)) from error
        return f"records are joined by {made.attribute}, where both sources are trusted for it"

    def not_by(self, options: dict[str, Any]) -> str:
        """Remove a rule."""
        try:
            there_was = matching.remove_rule(options["name"])
        except ValueError as error:
            raise CommandError(str(error)) from error
        return "no longer" if there_was else "there was no such rule"

    def all(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the cases that wait."""
        if options["pairs"]:
            return _rows(matching.waiting())
        return [
            {
                "number": one.number,
                "records": ", ".join(f"{row.resource['userName']} ({row.source.name})" for row in one.records()),
                "people": len(one.people()),
                "by": one.pairs[0].attribute.rpartition(":")[2] or "hand",
                "why": one.pairs[0].why,
                "since": one.pairs[0].created_at,
            }
            for one in cases.waiting()
        ]

    def joined(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the joins."""
        return _rows(
            Match.objects.filter(state=MatchState.JOINED)
            .select_related("record__source", "person")
            .order_by("decided_at")
        )

    def accept(self, options: dict[str, Any]) -> str:
        """Join the records of a case."""
        match = self._found(options, MatchState.WAITING)
        if options["pair"]:
            made = matching.join(
                match.record, match.person, attribute=match.attribute, now=clock.now(), actor=self.actor
            )
            done = made is not None
        else:
            done = cases.join(cases.of(match), now=clock.now(), actor=self.actor)
        return "joined" if done else SECOND

    def apart(self, options: dict[str, Any]) -> str:
        """Decide that a case is two people."""
        match = self._found(options, MatchState.WAITING)
        if options["pair"]:
            done = matching.keep_apart(match, now=clock.now(), actor=self.actor)
        else:
            done = cases.keep_apart(cases.of(match), now=clock.now(), actor=self.actor)
        return "kept apart" if done else SECOND

    def join(self, options: dict[str, Any]) -> str:
        """Join two people by hand."""
        record = Record.objects.select_related("person").filter(id=_id(options["record"]), deleted_at=None).first()
        person = (
            Person.objects.filter(login_name_fold=fold(options["name"])).first()
            or Person.objects.filter(id=_id(options["name"])).first()
        )
        if record is None or person is None:
            message = (
                "There is no such record, or no such person. See: manage.py person list, manage.py person show NAME"
            )
            raise CommandError(message)
        made = matching.join(record, person, now=clock.now(), actor=self.actor)
        return "joined" if made is not None else SECOND

    def split(self, options: dict[str, Any]) -> dict[str, Any] | str:
        """Undo a join."""
        person = matching.split(self._found(options, MatchState.JOINED), now=clock.now(), actor=self.actor)
        if person is None:
            return SECOND
        return {"person": person.id, "login_name": person.login_name}

    def _found(self, options: dict[str, Any], state: MatchState) -> Match:
        rows = Match.objects.select_related("record__person__account", "record__source", "person__account")
        found = rows.filter(id=options["number"], state=state).first()
        if found is None:
            message = "There is no such case. See: manage.py match list, manage.py match joined"
            raise CommandError(message)
        return found


def _id(text: str) -> UUID:
    """Parse an id; a malformed one matches nothing."""
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


def _rows(matches: Iterable[Match]) -> list[dict[str, Any]]:
    return [
        {
            "number": one.id,
            "record": f"{one.record.resource['userName']} ({one.record.source.name})",
            "person": one.person.login_name or one.person.user_name,
            "by": one.attribute.rpartition(":")[2] or "hand",
            "why": one.why,
            "since": one.created_at,
            "decided_by": one.decided_by,
        }
        for one in matches
    ]
