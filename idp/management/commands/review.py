"""`manage.py review`: the yearly review of derived credentials, and orphans (MT-10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.core.management.base import CommandError, CommandParser

from derived import clock
from derived.changes import access_review
from derived.ledger.locking import under_lock
from idp.console import needs
from idp.management.verbs import Noun, name_argument, no_arguments
from scim.access.roles import Verb
from scim.models import Person
from scim.protocol.values import fold

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from derived.models import Account


from datetime import timedelta


def _due(parser: CommandParser) -> None:
    parser.add_argument(
        "--days",
        type=int,
        default=access_review.PERIOD.days,
        help=f"how often each is looked at (default: {access_review.PERIOD.days})",
    )


def _open(parser: CommandParser) -> None:
    parser.add_argument("--days", type=int, default=30, help="days until the deadline (default: 30)")
    parser.add_argument("--person", default="", metavar="NAME", help="only one person; otherwise everybody who is due")
    parser.add_argument("--dry-run", action="store_true", help="change nothing, and list whom it would be about")


class Command(Noun):
    """The verbs for the periodic review."""

    help = "The yearly review of derived credentials: due, orphans, keep, end."
    verbs: ClassVar = {
        "due": (
            "People whose last review is too long ago, and the verdict of today's rules on each credential.",
            _due,
        ),
        "orphans": (
            "Derived credentials whose root has ended, and active people without an enabled source.",
            no_arguments,
        ),
        "open": ("Open reviews with a deadline: what nobody decides on by then is suspended.", _open),
        "keep": ("All that a person holds is still needed; on record.", name_argument("the login name of the person")),
        "end": (
            "End all derived credentials of a person; roots stay.",
            name_argument("the login name of the person"),
        ),
    }
    reads: ClassVar = frozenset({"due", "orphans"})
    asks: ClassVar = {"open": Verb.CARE, "keep": Verb.CARE, "end": Verb.CARE}

    def due(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the people whose review is due."""
        now, period = clock.now(), timedelta(days=max(0, options["days"]))
        return [
            {
                "person": account.person.login_name or account.person.user_name,
                "credential": row.id,
                "kind": row.kind,
                "name": row.name,
                "since": row.created_at,
                "last_used": row.last_used_at,
                "objections": needs.objections(account, row),
            }
            for account in access_review.due(now=now, period=period).select_related("person")
            for row in access_review.derived_credentials(account)
        ]

    def open(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        """Open reviews of one person, or of everybody who is due."""
        now, deadline = clock.now(), clock.now() + timedelta(days=max(1, options["days"]))
        if options["person"]:
            accounts = [self._person(options["person"]).account]
        else:
            accounts = list(access_review.due(now=now).select_related("person"))
        opened = []
        for account in accounts:
            rows = list(access_review.derived_credentials(account))
            if not options["dry_run"] and not self._begin(account, deadline=deadline, now=now):
                continue
            opened += [
                {"person": account.person.get_username(), "credential": row.id, "kind": row.kind, "deadline": deadline}
                for row in rows
            ]
        return opened

    def _begin(self, account: Account, *, deadline: datetime, now: datetime) -> bool:
        return under_lock(
            account.id,
            lambda locked: access_review.open_review(
                locked,
                deadline=deadline,
                objections=lambda row: needs.objections(locked, row),
                now=now,
                actor=self.actor,
            ),
        )

    def orphans(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List credentials without a root, and people without a source."""
        grown = [
            {"person": one.account.person.login_name, "credential": one.id, "why": "its root has ended"}
            for one in access_review.orphans().select_related("account__person")
        ]
        return [
            *grown,
            *(
                {
                    "person": one.login_name or one.user_name,
                    "credential": None,
                    "why": "no source that is heard says anything of them",
                }
                for one in needs.without_source()
            ),
        ]

    def keep(self, options: dict[str, Any]) -> str:
        """Record that a person still needs their credentials."""
        return f"{self._move(options, access_review.keep_all)} stay; on record"

    def end(self, options: dict[str, Any]) -> str:
        """Revoke a person's derived credentials."""
        return f"{self._move(options, access_review.end_all)} ended"

    def _person(self, name: str) -> Person:
        found = Person.objects.select_related("account").filter(login_name_fold=fold(name)).first()
        if found is None:
            message = f"There is no person {name}. See: manage.py person list"
            raise CommandError(message)
        return found

    def _move(self, options: dict[str, Any], move: Callable[..., int]) -> int:
        found, now = self._person(options["name"]), clock.now()
        return under_lock(found.account_id, lambda account: move(account, now=now, actor=self.actor))
