"""`manage.py credential`: the ledger, as a list and as a tree."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, ClassVar, cast

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from derived import clock
from derived.changes import by_person, identity_checks, review_after_loss, revoke, suspend
from derived.errors import Reason, Refused
from derived.ledger import status
from derived.ledger.locking import under_lock
from derived.models import Credential, IdentityCheck
from idp.management.verbs import UUID_LENGTH, Noun, Option, plain_text
from scim.access.roles import Verb
from scim.models import Person
from scim.protocol.values import fold

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from derived.models import Account


from django.utils.dateparse import parse_datetime


def _person(parser: CommandParser) -> None:
    parser.add_argument("name", help="the person's login name")
    parser.add_argument("--all", action="store_true", help="those that have ended too")


def _one(parser: CommandParser) -> None:
    parser.add_argument("id", help="the credential's id")


def _act(parser: CommandParser) -> None:
    _one(parser)
    parser.add_argument("--dry-run", action="store_true", help="change nothing, and say what would happen")


class _Rehearsed(Exception):
    """The result of an act that is rolled back."""


def _revoke(parser: CommandParser) -> None:
    _act(parser)
    parser.add_argument(
        "--compromised-since",
        metavar="ISO-DATE",
        help="the date of its key's compromise: everything that it authorised since is revoked too (IV-6)",
    )


def _list(parser: CommandParser) -> None:
    parser.add_argument("name", nargs="?", default="", help="the person's login name; with --review it may be left out")
    parser.add_argument("--all", action="store_true", help="those that have ended too")
    parser.add_argument(
        "--review", action="store_true", help="only those that somebody has to look at, of everybody (IV-5)"
    )


class Command(Noun):
    """The verbs for credentials."""

    help = "Credentials: list, tree, show, suspend, lift, revoke, enable."
    verbs: ClassVar = {
        "list": ("A person's credentials; or, with --review, those that wait for a look.", _list),
        "reviewed": ("Record the review of a credential that was due for it; it stays.", _one),
        "tree": ("A person's credentials, as they grew.", _person),
        "show": ("One credential, on what evidence, and what happened to it.", _one),
        "revoke": ("End one credential.", _revoke),
        "suspend": ("Stop one credential until somebody lifts that (MT-8).", _act),
        "lift": ("Open a suspended credential again, after you have reviewed it (MT-7).", _act),
        "enable": ("Turn on an authenticator that wrong tries have disabled, for its person (TH-1).", _one),
    }
    reads: ClassVar = frozenset({"list", "tree", "show"})
    asks: ClassVar = {
        "reviewed": Verb.CARE,
        "revoke": Verb.REVOKE,
        "suspend": Verb.SUSPEND,
        "lift": Verb.LIFT,
        "enable": Verb.LIFT,
    }

    def all(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        """List a person's credentials, or all that wait for a review."""
        if options["review"]:
            rows = review_after_loss.marked().select_related("root", "parent", "account__person").order_by("created_at")
            wanted = fold(options["name"])
            return [
                {"person": one.account.person.login_name, **_facts(one)}
                for one in rows
                if wanted in {"", one.account.person.login_name_fold}
            ]
        if not options["name"]:
            message = "Give a login name, or --review."
            raise CommandError(message)
        return [_facts(one) for one in self._rows(options)]

    def tree(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        """List a person's credentials, nested by parent; a parent that has ended is there while something of it lives.

        That is so without --all too: a device goes on after its root (trap 1).
        """
        rows = {row.id: row for row in self._rows(options)}
        missing = {row.parent_id for row in rows.values() if row.parent_id} - rows.keys()
        while missing:
            ended = Credential.objects.filter(id__in=missing).select_related("root", "parent")
            rows |= {row.id: row for row in ended}
            missing = {row.parent_id for row in ended if row.parent_id} - rows.keys()
        return _grown(sorted(rows.values(), key=lambda row: row.created_at), None)

    def reviewed(self, options: dict[str, Any]) -> str:
        """Close a review without a change."""
        row = self._one(options["id"])
        under_lock(
            row.account_id,
            lambda account: review_after_loss.record_reviewed(account, row, now=clock.now(), actor=self.actor),
        )
        return "it stays"

    def show(self, options: dict[str, Any]) -> dict[str, Any]:
        """Show one credential."""
        row = self._one(options["id"])
        events = row.events.order_by("seq").values("seq", "at", "kind", "actor")
        check = IdentityCheck.objects.defer("sample").filter(credential=row).first()
        seen = {"identity_check": identity_checks.fields_of(check)} if check else {}
        return {
            **_facts(row),
            "label": row.label,
            **seen,
            "evidence": row.evidence,
            "jkt": row.jkt,
            "failures": row.failures,
            "events": [dict(one) for one in events],
        }

    def present(self, verb: str, found: Option) -> None:
        """Print a tree as a tree, and a list in 80 columns."""
        console = Console(file=cast("IO[str]", self.stdout), highlight=False, emoji=False)
        if verb == "list" and found:
            console.print(_narrow(found))
            return
        if verb != "tree":
            super().present(verb, found)
            return
        for root in found:
            console.print(_picture(root))

    def revoke(self, options: dict[str, Any]) -> str:
        """Revoke a credential."""
        row = self._one(options["id"])
        since = parse_datetime(options["compromised_since"]) if options["compromised_since"] else None
        if options["compromised_since"] and (since is None or since.tzinfo is None):
            message = "give --compromised-since as an ISO date with a time zone, like 2026-11-01T00:00:00Z"
            raise CommandError(message)
        now = clock.now()

        def work(account: Account) -> int:
            if since is not None:
                return revoke.tree(
                    row, account=account, because=Reason.COMPROMISED, since=since, now=now, actor=self.actor
                )
            return revoke.credential(row, account=account, because=Reason.ENDED_BY_MANAGER, now=now, actor=self.actor)

        ended = int(self._do(row, work, options))
        return f"{ended} would end: a dry run" if options["dry_run"] else f"{ended} ended"

    def suspend(self, options: dict[str, Any]) -> str:
        """Suspend a credential."""
        row = self._one(options["id"])
        now, because = clock.now(), Reason.SUSPENDED_BY_MANAGER

        def work(account: Account) -> bool:
            return suspend.credential(account, row, because=because, now=now, actor=self.actor)

        if not self._do(row, work, options):
            message = f"{row.name} is not active: nothing was changed."
            raise CommandError(message)
        return f"{row.name} would be suspended: a dry run" if options["dry_run"] else f"{row.name} is suspended"

    @staticmethod
    def _do(row: Credential, work: Callable[[Account], int | bool | None], options: dict[str, Any]) -> int:
        """Do an act under the lock; a dry run is rolled back."""

        def rehearsed(account: Account) -> int:
            done = int(work(account) or 0)
            if options["dry_run"]:
                raise _Rehearsed(done)
            return done

        try:
            return under_lock(row.account_id, rehearsed)
        except _Rehearsed as rehearsal:
            return int(rehearsal.args[0])

    def lift(self, options: dict[str, Any]) -> str:
        """End a suspension after a review."""
        row = self._one(options["id"])
        now = clock.now()
        try:
            self._do(row, lambda account: suspend.lift(account, row, now=now, actor=self.actor), options)
        except Refused as refused:
            if refused.reason != Reason.KEY_TOO_WEAK:
                raise
            message = (
                "Its parent's assurance is too low for it now: revoke it, and let the person add it "
                "again from a stronger sign-in."
            )
            raise CommandError(message) from refused
        return f"{row.name} could be used again: a dry run" if options["dry_run"] else f"{row.name} may be used again"

    def enable(self, options: dict[str, Any]) -> str:
        """Turn a disabled authenticator on."""
        row = self._one(options["id"])
        now = clock.now()
        if not under_lock(row.account_id, lambda account: by_person.enable(account, row, now=now, actor=self.actor)):
            message = f"{row.name} is not disabled"
            raise CommandError(message)
        return f"{row.name} is on again"

    def _rows(self, options: dict[str, Any]) -> Option:
        person = Person.objects.filter(login_name_fold=fold(options["name"])).first()
        if person is None:
            message = f"There is no person {options['name']}. See: manage.py person list"
            raise CommandError(message)
        rows = (
            Credential.objects.filter(account_id=person.account_id)
            if options["all"]
            else status.living(person.account_id)
        )
        return rows.select_related("root", "parent").order_by("created_at")

    def _one(self, credential_id: str) -> Credential:
        rows = Credential.objects.select_related("root", "parent", "account")
        found = rows.filter(id=credential_id).first() if len(credential_id) == UUID_LENGTH else None
        if found is None:
            message = "There is no such credential. See: manage.py credential list NAME"
            raise CommandError(message)
        return found


def _facts(row: Credential) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "name": row.name,
        "state": row.state,
        "aal": int(status.level(row)),
        "ial": row.ial,
        "parent": row.parent_id,
        "created": row.created_at,
        "last_used": row.last_used_at,
        "expires": row.expires_at,
        "ended": row.ended_at,
        "because": row.end_reason,
    }


def _narrow(rows: list[dict[str, Any]]) -> Table:
    """The list for a terminal of 80 columns; the other facts are in `show` and --json."""
    made = Table(show_edge=False, pad_edge=False)
    made.add_column("id", no_wrap=True, min_width=UUID_LENGTH)
    made.add_column("what", overflow="fold")
    made.add_column("state", no_wrap=True)
    made.add_column("AAL/IAL", no_wrap=True)
    for row in rows:
        told = [row["name"], row["kind"], row.get("person"), row["because"]]
        what = "\n".join(str(one) for one in told if one)
        cells = (str(row["id"]), what, row["state"], f"{row['aal']}/{row['ial']}")
        made.add_row(*(plain_text(cell) for cell in cells))
    return made


def _grown(rows: list[Credential], parent: UUID | None) -> list[dict[str, Any]]:
    return [{**_facts(row), "children": _grown(rows, row.id)} for row in rows if row.parent_id == parent]


def _picture(node: dict[str, Any], under: Tree | None = None) -> Tree:
    colour = {"active": "green", "pending": "yellow", "suspended": "yellow"}.get(node["state"], "red")
    label = (
        f"[bold]{node['kind']}[/] {escape(plain_text(node['name']).plain)} · AAL{node['aal']} "
        f"IAL{node['ial']} · [{colour}]{node['state']}[/] {node['because']}"
    )
    branch = Tree(label) if under is None else under.add(label)
    for child in node["children"]:
        _picture(child, branch)
    return branch
