"""`manage.py person`: people, their attributes with provenance, and their accounts."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from typing import IO, TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from django.core.management.base import CommandError, CommandParser
from django.db.models import Exists, OuterRef, Q, Value
from django.db.models.functions import Coalesce
from rich.console import Console
from rich.progress import track
from rich.table import Table

from derived import clock
from derived.changes import revoke
from derived.changes.recovery import CheckedBy
from derived.errors import Reason, Refused
from derived.ledger import accounts, outbox, status
from derived.ledger.locking import under_lock
from derived.models import AccountStatus, Credential
from derived.rules.kinds import NO_AUTHENTICATORS
from idp.errors import answer_to
from idp.management.verbs import MANY, SECOND, UUID_LENGTH, Noun, name_argument, no_arguments, plain_text
from scim.access.roles import Verb
from scim.feed import writing as feed
from scim.models import Person, Record, Role, RoleName, Source
from scim.people import acting, appointing, recovering, refusals, returns, settle
from scim.people.acting import Act, Deed
from scim.people.appointing import Wish
from scim.protocol import aggregate
from scim.protocol.values import fold

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet

    from derived.models import Account

T = TypeVar("T")

_NAME = "the login name, or the id"
_MOST_DIGITS = 6
_AUTHENTICATORS = Credential.objects.filter(account=OuterRef("account"), epoch=OuterRef("account__epoch")).exclude(
    kind__in=NO_AUTHENTICATORS
)
_NO_RECOVERY = {
    Reason.ILLEGAL_MOVE: "This person never had a way to sign in, or no source gave an address. See: person invite",
    Reason.BAD_PROOF: "Say in --because what you compared with what, in 8 to 300 characters on one line.",
}


_STATES = {
    "active": Q(account__status=AccountStatus.ACTIVE),
    "suspended": Q(account__status=AccountStatus.SUSPENDED),
    "terminated": Q(account__status=AccountStatus.TERMINATED),
    "held": Q(held_at__isnull=False),
    "not-enrolled": Q(account__status=AccountStatus.ACTIVE) & ~Q(Exists(_AUTHENTICATORS)),
}
_PAGE = 50


def _list(parser: CommandParser) -> None:
    parser.add_argument("--search", default="", metavar="TEXT", help="part of the login name, a name or an address")
    parser.add_argument("--source", default="", help="only people of whom this source has a record")
    parser.add_argument(
        "--state",
        choices=list(_STATES),
        help="only these; held: a source ended many people; not-enrolled: active, without a way to sign in yet",
    )
    parser.add_argument("--limit", type=_count, help=f"people on a page (default: {_PAGE}; with --json all)")
    parser.add_argument("--page", type=_count, default=1, help="the page, from 1")


def _count(text: str) -> int:
    """A number from 1 to 999,999.

    Raises: ArgumentTypeError.
    """
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS and int(text) > 0):
        message = f"{text} is not a number from 1 on"
        raise ArgumentTypeError(message)
    return int(text)


def _vouch(parser: CommandParser) -> None:
    parser.add_argument("name", help=_NAME)
    parser.add_argument(
        "--ial", type=int, choices=[0, 1, 2, 3], required=True, help="the level that you checked, or 0 to take it back"
    )


def _because(parser: CommandParser) -> None:
    parser.add_argument("name", help=_NAME)
    parser.add_argument("--because", default="at a terminal", help="why, in 4 to 300 characters; it stays on record")


def _recover(parser: CommandParser) -> None:
    parser.add_argument("name", help=_NAME)
    parser.add_argument("--checked", choices=[one.value for one in CheckedBy], required=True, help="how you checked")
    parser.add_argument("--because", required=True, help="what you compared with what, in 8 to 300 characters")


def _adopt(parser: CommandParser) -> None:
    parser.add_argument("name", nargs="?", default="", help=f"{_NAME}; left out with --all")
    parser.add_argument("--source", required=True, help="the source whose record it is")
    parser.add_argument("--all", action="store_true", help="everybody to whom this source's record was joined")


class Command(Noun):
    """The verbs for people."""

    help = (
        "People: list, show (attributes with provenance), waiting, readmit, adopt, invite, recover, vouch, suspend, "
        "resume, end."
    )
    configures = True  # appoints managers
    verbs: ClassVar = {
        "list": ("People, by login name: all, or those that you look for.", _list),
        "show": (
            "One person: every attribute with its source and the overridden values; account, credentials.",
            name_argument(_NAME),
        ),
        "waiting": (
            "Returns of ended people that a source asks for without proof of order: readmit, or leave.",
            no_arguments,
        ),
        "readmit": (
            "Agree that an ended person is back. No credential comes back: they are invited anew.",
            name_argument(_NAME),
        ),
        "adopt": ("Let a joined record move the login name, the mail addresses and the IAL.", _adopt),
        "appoint": ("Let a person decide for others in the console (identity manager).", name_argument(_NAME)),
        "dismiss": ("End the right to decide for others in the console.", name_argument(_NAME)),
        "invite": (
            "Send a person without authenticators a new invitation; an earlier one is void.",
            name_argument(_NAME),
        ),
        "recover": (
            "Help a person who cannot sign in any more: end their roots, and send an invitation.",
            _recover,
        ),
        "vouch": ("Say that you checked a person's identity.", _vouch),
        "suspend": ("Stop everything of a person for a while.", _because),
        "resume": ("Bring a suspended person back.", _because),
        "end": ("End a person's account and everything that grew from it. For good.", _because),
    }
    reads: ClassVar = frozenset({"list", "show", "waiting"})
    asks: ClassVar = {
        "readmit": Verb.READMIT, "adopt": Verb.ADOPT, "appoint": Verb.APPOINT, "dismiss": Verb.APPOINT,
        "invite": Verb.CARE, "recover": Verb.VOUCH, "vouch": Verb.VOUCH, "suspend": Verb.SUSPEND, "resume": Verb.LIFT,
        "end": Verb.END,
    }  # fmt: skip
    two_steps: ClassVar = frozenset({"readmit", "adopt", "appoint", "dismiss", "recover", "end"})

    def all(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        """List a page of the people, or those that are looked for."""
        if options["source"] and not Source.objects.filter(name=options["source"]).exists():
            message = f"There is no source {options['source']}. See: manage.py source list"
            raise CommandError(message)
        found = _people(search=options["search"], source=options["source"], state=options["state"])
        size, number = options["limit"] or (None if options["json"] else _PAGE), options["page"]
        rows = found.select_related("account")
        if size is not None:
            rows = rows[(number - 1) * size : number * size]
            self._told = _told(found.count(), size=size, number=number)
        return [
            {
                "login_name": one.login_name,
                "name": one.display_name(),
                "status": one.account.status,
                "ial": one.account.ial,
                "id": one.id,
            }
            for one in rows
        ]

    def show(self, options: dict[str, Any]) -> dict[str, Any]:
        """Show one person."""
        person = self._found(options)
        account = person.account
        return {
            "login_name": person.login_name,
            "name": person.display_name(),
            "id": person.id,
            "account": {"id": account.id, "status": account.status, "ial": account.ial, "epoch": account.epoch},
            "leaver_refused": [
                f"{one.source.name} at {one.last_at}: {one.status} {one.detail} See: manage.py source refused"
                for one in refusals.alarms(person)
            ],
            "addresses": person.addresses(),
            "updated_at": person.updated_at,
            "active": person.active,
            "suspended": person.suspended,
            "eligible": account.eligible,
            "attributes": _attributes(person),
            "records": _records(person),
            "profile": person.profile,
            "provenance": person.provenance,
            "credentials": [
                {"id": one.id, "kind": one.kind, "name": one.name, "state": one.state, "aal": int(status.level(one))}
                for one in status.living(account.id)
            ],
        }

    def present(self, verb: str, found: object) -> None:
        """Print a profile as a table, and a page of people with its number."""
        if verb == "list":
            super().present(verb, found)
            self.stdout.write(self._told)
            return
        if verb != "show" or not isinstance(found, dict):
            super().present(verb, found)
            return
        shown = {name: value for name, value in found.items() if name not in {"attributes", "profile", "provenance"}}
        super().present(verb, shown)
        Console(file=cast("IO[str]", self.stdout), highlight=False).print(_table(found["attributes"]))

    def waiting(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the returns that wait for a manager."""
        return [
            {
                "login_name": one.person.login_name,
                "source": one.source.name,
                "since": one.returns_at,
                "id": one.person_id,
            }
            for one in returns.waiting()
        ]

    def readmit(self, options: dict[str, Any]) -> str:
        """Approve a return."""
        person = self._found(options)
        if words := returns.obstacle(person):
            raise CommandError(words)
        if not returns.readmit(person, now=clock.now(), actor=self.actor):
            return SECOND
        person.account.refresh_from_db()
        return f"readmitted; the account is {person.account.status}"

    def adopt(self, options: dict[str, Any]) -> str:
        """Adopt a joined record."""
        if options["all"]:
            waits = False
            rows = list(
                Record.objects.select_related("source", "person").filter(
                    source__name=options["source"], adopted=False, deleted_at=None
                )
            )
            for row in track(rows, description="adopting", transient=True, disable=options["json"] or len(rows) < MANY):
                waits |= not returns.adopt(row, now=clock.now(), actor=self.actor)
            return (
                SECOND
                if waits
                else (
                    f"{options['source']} may move the login name, the addresses and the IAL of "
                    f"{len(rows)} people from now on"
                )
            )
        person = self._found(options)
        record = (
            person.records.select_related("source", "person")
            .filter(source__name=options["source"], deleted_at=None)
            .first()
        )
        if record is None:
            message = (
                f"{options['source']} says nothing about this person. See: manage.py person show {options['name']}"
            )
            raise CommandError(message)
        if not returns.adopt(record, now=clock.now(), actor=self.actor):
            return SECOND
        return f"{options['source']} may move the login name, the addresses and the IAL from now on"

    def appoint(self, options: dict[str, Any]) -> str:
        """Appoint an identity manager."""
        person = self._found(options)
        wish = Wish(person=person, role=RoleName.MANAGER, reason="appointed at a terminal")
        if appointing.give(wish, actor=self.actor, now=clock.now()) is None:
            return SECOND
        return f"{person.display_name()} is an identity manager, from their next sign-in with two factors"

    def dismiss(self, options: dict[str, Any]) -> str:
        """End a manager's appointment."""
        person, now = self._found(options), clock.now()

        row = Role.objects.filter(person=person, role=RoleName.MANAGER, ended_at=None).first()
        if row is None:
            return "was no manager"
        done = appointing.end(row, because="dismissed at a terminal", actor=self.actor, now=now)
        return "dismissed" if done else SECOND

    def invite(self, options: dict[str, Any]) -> str:
        """Send another invitation."""
        person = self._found(options)
        if not person.invitation_address():
            message = "No source gave an address for this person. Ask the source to push one."
            raise CommandError(message)

        def work(account: Account) -> bool:
            if not status.may_be_invited(account, person.invitation_address() or "", now=clock.now()):
                return False
            receiver = f"mail:{account.id}"
            outbox.enqueue(kind="invite", receiver=receiver, account=account, payload={}, now=clock.now())
            return True

        if not under_lock(person.account_id, work):
            message = (
                "This account is not active, or had authenticators: a person is invited only once. For a person who "
                "cannot sign in any more: manage.py person recover"
            )
            raise CommandError(message)
        return f"an invitation goes to {person.invitation_address()} when the worker next runs"

    def recover(self, options: dict[str, Any]) -> str:
        """Help a person without a way in."""
        person = self._found(options)
        try:
            done = recovering.recover(
                person,
                checked=CheckedBy(options["checked"]),
                words=options["because"],
                now=clock.now(),
                actor=self.actor,
            )
        except Refused as refused:
            raise CommandError(_NO_RECOVERY.get(refused.reason, answer_to(refused).words)) from refused
        if not done:
            return "recorded; a manager must agree in the console within 7 days"
        return f"all roots have ended; an invitation goes to {person.invitation_address()} when the worker next runs"

    def vouch(self, options: dict[str, Any]) -> str:
        """Set a person's IAL."""
        person = self._found(options)
        self._under(
            person, lambda account: accounts.vouch(account, ial=options["ial"], now=clock.now(), actor=self.actor)
        )
        return f"IAL{options['ial']}"

    def suspend(self, options: dict[str, Any]) -> str:
        """Suspend an account."""
        return "suspended" if acting.suspend_person(self._found(options), self._deed(Act.SUSPEND, options)) else SECOND

    def resume(self, options: dict[str, Any]) -> str:
        """Resume an account."""
        if self._found(options).held_at is not None:
            message = "This person is held: a source ended many people. Decide with: manage.py held end|give-back"
            raise CommandError(message)
        acting.resume_person(self._found(options), self._deed(Act.RESUME, options), has_second=True)
        return "active"

    def end(self, options: dict[str, Any]) -> str:
        """Terminate an account."""
        person = self._found(options)
        if revoke.terminated_because(person.account) == Reason.ENDED_BY_MANAGER.value and not person.account.is_active:
            return "was terminated already"
        living = status.living(person.account_id).count()
        if not acting.end_person(person, self._deed(Act.END, options)):
            return SECOND
        return f"terminated; {living} credentials ended"

    def _deed(self, act: Act, options: dict[str, Any]) -> Deed:
        return Deed(act=act, because=options["because"], actor=self.actor, now=clock.now())

    _told = ""

    def _under(self, person: Person, work: Callable[[Account], T]) -> T:
        """Run work with the account locked, and write a feed event if the person became active or inactive."""

        def locked(account: Account) -> T:
            was_active = account.is_active
            done = work(account)
            feed.account_changed(account, was_active=was_active, now=clock.now())
            return done

        return under_lock(person.account_id, locked)

    def _found(self, options: dict[str, Any]) -> Person:
        name = options["name"]
        rows = Person.objects.select_related("account")
        found = rows.filter(login_name_fold=fold(name)).first()
        if found is None and len(name) == UUID_LENGTH:
            found = rows.filter(id=name).first()
        if found is None:
            message = f"There is no person {name}. See: manage.py person list"
            raise CommandError(message)
        return found


def _people(*, search: str, source: str, state: str | None) -> QuerySet[Person]:
    """The people who match, by login name; those without one come first."""
    rows = Person.objects.order_by(Coalesce("login_name_fold", Value("")), "id")
    if search:
        names = ("displayName", "name__givenName", "name__familyName", "name__formatted")
        wanted = Q(login_name_fold__contains=fold(search)) | Q(contact__emails__icontains=search)
        for name in names:
            wanted |= Q(**{f"profile__{name}__icontains": search})
        rows = rows.filter(wanted)
    if source:
        rows = rows.filter(Exists(Record.objects.filter(person=OuterRef("pk"), source__name=source, deleted_at=None)))
    return rows.filter(_STATES[state]) if state else rows


def _told(count: int, *, size: int, number: int) -> str:
    pages = max(1, -(-count // size))
    more = f"; the next: --page {number + 1}" if number < pages else ""
    return f"page {number} of {pages}, {count} {'person' if count == 1 else 'people'}{more}"


def _attributes(person: Person) -> list[dict[str, Any]]:
    """Every attribute, with the chosen value and the overridden ones."""
    told = aggregate.explain(settle.statements_about(person))
    return [
        {
            "attribute": name,
            "value": next((one.value for one in words if one.stands), None),
            "since": person.provenance.get(name, {}).get("since"),
            "said": [
                {"source": one.source, "value": one.value, "stands": one.stands, "why": one.why.value} for one in words
            ],
        }
        for name, words in told.items()
    ]


def _records(person: Person) -> list[dict[str, Any]]:
    rows = person.records.select_related("source").order_by("source__precedence", "source__name")
    return [
        {
            "id": one.id,
            "source": one.source.name,
            "active": one.active,
            "adopted": one.adopted,
            "waits_to_return": one.returns_at,
            "version": one.source_version,
            "updated": one.updated_at,
            "deleted": one.deleted_at,
        }
        for one in rows
    ]


def _table(attributes: list[dict[str, Any]]) -> Table:
    made = Table(show_edge=False, pad_edge=False, show_lines=True)
    for title in ("attribute", "value", "source", "since", "why", "what lost"):
        made.add_column(title, overflow="fold")
    for one in attributes:
        stands = next((word for word in one["said"] if word["stands"]), None)
        lost = [
            f"{word['source']}: {_short(word['value'])} ({word['why']})" for word in one["said"] if not word["stands"]
        ]
        cells = [
            one["attribute"].rpartition(":")[2],
            _short(one["value"]) if stands else "",
            stands["source"] if stands else "",
            one["since"] or "",
            stands["why"] if stands else "",
            "\n".join(lost),
        ]
        made.add_row(*(plain_text(cell) for cell in cells))
    return made


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
