"""Shared by the operator's commands: verbs under one noun, tables for people, `--json` for scripts."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any, ClassVar, TypeAlias, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from derived import clock
from derived.errors import RametError, Refused
from idp.errors import answer_to
from idp.witness import endings, operator_chain, standing
from idp.witness.standing import Standing
from scim.access import roles, same_human
from scim.access.roles import Verb
from scim.people.directory import person_by_login_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scim.models import Person

_LONGEST_SPAN = 6  # a day in seconds
UUID_LENGTH = 36
OPERATOR = "operator"
SECOND = "recorded; a second person must agree in the console within 7 days"
MANY = 200  # rows from which a command shows its progress
Option: TypeAlias = Any  # a value that argparse has read


class Noun(BaseCommand):
    """A command that is a noun (`source`, `client` …) with verbs (`add`, `list` …).

    A subclass fills `verbs`: name → (help, add_arguments, method name). A verb returns data; this class prints it.
    configures: what its verbs change is recorded in the operator's chain. unguarded: verbs that need no database, or
    run on one that is older than its witness; every other verb refuses there. reads: verbs that change nothing. asks:
    the act of the matrix of roles that each other verb is (CONFIGURE, if it is not there). two_steps: verbs whose
    second person agrees in the console; the others that need one name them by `--with`.
    """

    verbs: ClassVar[Mapping[str, tuple[str, Callable[[CommandParser], None]]]] = {}
    configures: ClassVar[bool] = False
    unguarded: ClassVar[frozenset[str]] = frozenset()
    methods: ClassVar[Mapping[str, str]] = {"list": "all"}  # where a verb is a word of Python's
    reads: ClassVar[frozenset[str]] = frozenset({"list", "show"})
    asks: ClassVar[Mapping[str, Verb]] = {}
    two_steps: ClassVar[frozenset[str]] = frozenset()
    actor = OPERATOR  # as the audit chain names whoever runs the verb

    def add_arguments(self, parser: CommandParser) -> None:
        """One sub-parser per verb, each with --json."""
        added = parser.add_subparsers(dest="verb", required=True, metavar="VERB", title="verbs")
        for name, (text, arguments) in self.verbs.items():
            verb = added.add_parser(name, help=text, description=text)
            verb.add_argument("--json", action="store_true", help="print JSON, for scripts")
            verb.add_argument("--as", dest="acting", default="", metavar="NAME", help="who you are: your login name")
            if name not in self.reads | self.two_steps:
                verb.add_argument(
                    "--with", dest="second", default="", metavar="NAME", help="the second person, if needed"
                )
            arguments(verb)

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as a process of its own."""
        endings.append_at_once()
        super().run_from_argv(argv)

    def handle(self, *_args: object, **options: Option) -> None:
        """Run the verb and print its result."""
        verb: str = options["verb"]
        try:
            is_guarded = verb not in self.unguarded
            if is_guarded and standing.look(now=clock.now()) != Standing.CURRENT:
                message = f"{standing.refusal()} See: manage.py restore status"
                raise CommandError(message)
            self.actor = self._acting(verb, options)
            found = getattr(self, self.methods.get(verb, verb))(options)
            if self.configures and is_guarded:
                operator_chain.record_changes(now=clock.now(), actor=self.actor)
        except Refused as refused:
            raise CommandError(answer_to(refused).words) from refused
        except RametError as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            message = (
                f"The database does not answer ({type(error).__name__}). Is it up, and migrated (manage.py migrate)?"
            )
            raise CommandError(message) from error
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2, default=str))
        else:
            self.present(verb, found)

    def _acting(self, verb: str, options: Mapping[str, Option]) -> str:
        """The actor of a verb: the person whom `--as` names, or the nameless operator until somebody is an operator.

        Raises: CommandError unless that person is active, and has a role that allows the verb.
        """
        name, now = options["acting"], clock.now()
        person = _named(name, "--as") if name else None
        actor = f"{OPERATOR}:{person.id}" if person is not None else OPERATOR
        if verb in self.reads:
            return actor
        asked = self.asks.get(verb, Verb.CONFIGURE)
        answer = roles.may_as(actor, asked, now=now)
        if person is None and not answer:
            message = "This installation has operators, so say who you are: --as NAME."
            raise CommandError(message)
        if not answer:
            message = f"--as {name}: no role of this person allows this. See: manage.py role list"
            raise CommandError(message)
        if answer.needs_second and verb not in self.two_steps:
            self._agree(verb, actor, options.get("second", ""), asked)
        return actor

    def _agree(self, verb: str, actor: str, name: str, asked: Verb) -> None:
        """Record the second person of a verb in the operator's chain.

        Raises: CommandError unless that is another human being whose role allows the verb.
        """
        if not name:
            message = "This takes two people: name the second one by --with NAME. Both names go on record."
            raise CommandError(message)
        now, second = clock.now(), _named(name, "--with")
        first = same_human.of_actor(actor)
        if not roles.may(second, asked, now=now) or first is None or same_human.may_be_one(first, second):
            message = f"--with {name}: this must be another person, whose role allows this. See: manage.py role list"
            raise CommandError(message)
        operator_chain.record_two(
            f"{self.__module__.rpartition('.')[2]} {verb}", actor, f"{OPERATOR}:{second.id}", now=now
        )

    def present(self, verb: str, found: object) -> None:  # noqa: ARG002 - subclasses print by verb
        """Print for people: a list as a table, a mapping as lines."""
        console = Console(file=cast("IO[str]", self.stdout), highlight=False)
        if isinstance(found, list):
            if not found:
                console.print("nothing here yet")
                return
            console.print(table(found))
        elif isinstance(found, dict):
            for name, value in found.items():
                text = value if isinstance(value, str) else json.dumps(value, default=str, indent=2)
                # One print for a line: Django ends each write with a newline. Several lines begin below their name.
                start = "\n" if isinstance(value, str) and "\n" in value else ""
                console.print(Text.assemble((f"{name}: ", "bold"), start, plain_text(text)), soft_wrap=True)
        elif found is not None:
            console.print(plain_text(str(found)), soft_wrap=True)


def _named(name: str, option: str) -> Person:
    """The active person with a login name.

    Raises: CommandError.
    """
    person = person_by_login_name(name)
    if person is None or not person.account.is_active:
        message = f"{option} {name}: there is no active person with this login name."
        raise CommandError(message)
    return person


def plain_text(text: str) -> Text:
    """Foreign text for a terminal: without markup, emoji and control sequences (C78)."""
    return Text("".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text))


def table(rows: Sequence[Mapping[str, object]]) -> Table:
    """Rows of equal keys as a table; cells are text, never markup."""
    made = Table(show_edge=False, pad_edge=False)
    for name in rows[0]:
        made.add_column(name, overflow="fold")
    for row in rows:
        made.add_row(*(plain_text("" if value is None else str(value)) for value in row.values()))
    return made


def duration(text: str) -> timedelta:
    """A duration as people type it: `90s`, `15m`, `2h`.

    Raises: ArgumentTypeError.
    """
    units = {"s": 1, "m": 60, "h": 3600}
    if not (len(text) <= _LONGEST_SPAN and text[:-1].isdecimal() and text[-1:] in units and int(text[:-1]) > 0):
        message = f"{text} is not a length of time like 90s, 15m or 2h"
        raise ArgumentTypeError(message)
    return timedelta(seconds=int(text[:-1]) * units[text[-1]])


def no_arguments(parser: CommandParser) -> None:
    """The arguments of a verb that takes none."""


def name_argument(what: str) -> Callable[[CommandParser], None]:
    """The arguments of a verb that takes one name."""

    def arguments(parser: CommandParser) -> None:
        parser.add_argument("name", help=what)

    return arguments
