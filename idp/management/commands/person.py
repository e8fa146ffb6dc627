"""`manage.py person`: who exists, what each source says of them, and their life as an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError, CommandParser

from derived import accounts, clock, outbox, revoke, status, suspend
from derived.errors import Reason
from derived.locking import under_lock
from idp.management.verbs import Noun, named, nothing
from scim.models import Person
from scim.values import fold

if TYPE_CHECKING:
    from derived.models import Account

_NAME = "the login name, or the id"


def _vouch(parser: CommandParser) -> None:
    parser.add_argument("name", help=_NAME)
    parser.add_argument("--ial", type=int, choices=[0, 1, 2, 3], required=True, help="the level that you checked, or 0 to take it back")


class Command(Noun):
    """The operator's verbs for people."""

    help = "People: list, show (who said what), invite (again), vouch (identity assurance), suspend, resume, end."
    verbs = {  # noqa: RUF012 - a table
        "list": ("All people.", nothing),
        "show": ("One person: profile with provenance, account, credentials.", named(_NAME)),
        "invite": ("Send a person without authenticators a new invitation; an earlier one is void.", named(_NAME)),
        "vouch": ("Say that you checked a person's identity.", _vouch),
        "suspend": ("Stop everything of a person for a while.", named(_NAME)),
        "resume": ("Bring a suspended person back.", named(_NAME)),
        "end": ("End a person's account and everything that grew from it. For good.", named(_NAME)),
    }

    def all(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """All."""
        rows = Person.objects.select_related("account").order_by("login_name")
        return [
            {
                "login_name": one.login_name, "name": one.display_name(), "status": one.account.status, "ial": one.account.ial,
                "id": one.id,
            }
            for one in rows
        ]

    def show(self, options: dict[str, Any]) -> dict[str, Any]:
        """One person."""
        person = self._found(options)
        account = person.account
        return {
            "login_name": person.login_name, "name": person.display_name(), "id": person.id,
            "account": {"id": account.id, "status": account.status, "ial": account.ial, "epoch": account.epoch},
            "addresses": person.addresses(), "updated_at": person.updated_at, "profile": person.profile,
            "provenance": person.provenance,
            "credentials": [
                {"id": one.id, "kind": one.kind, "name": one.name, "state": one.state, "aal": int(status.level(one))}
                for one in status.living(account.id)
            ],
        }

    def invite(self, options: dict[str, Any]) -> str:
        """Again."""
        person = self._found(options)
        if not person.invitation_address():
            message = "No source gave an address for this person. Ask the source to push one."
            raise CommandError(message)

        def work(account: Account) -> bool:
            if not account.is_active or status.was_ever_enrolled(account):
                return False
            receiver = f"mail:{account.id}"
            outbox.enqueue(kind="invite", receiver=receiver, account=account, payload={}, now=clock.now())
            return True

        if not under_lock(person.account_id, work):
            message = "This account is not active, or has authenticators: a person is invited only once."
            raise CommandError(message)
        return f"an invitation goes to {person.invitation_address()} when the worker next runs"

    def vouch(self, options: dict[str, Any]) -> str:
        """Set the IAL."""
        person = self._found(options)
        self._under(person, lambda account: accounts.vouch(account, ial=options["ial"], now=clock.now(), actor="operator"))
        return f"IAL{options['ial']}"

    def suspend(self, options: dict[str, Any]) -> str:
        """Stop."""
        self._under(self._found(options), lambda account: suspend.suspend(account, now=clock.now(), actor="operator"))
        return "suspended"

    def resume(self, options: dict[str, Any]) -> str:
        """Bring back."""
        self._under(self._found(options), lambda account: suspend.resume(account, now=clock.now(), actor="operator"))
        return "active"

    def end(self, options: dict[str, Any]) -> str:
        """End everything."""
        person = self._found(options)
        ended = under_lock(
            person.account_id,
            lambda account: revoke.everything(account, because=Reason.ENDED_BY_MANAGER, now=clock.now(), actor="operator"),
        )
        return f"terminated; {ended} credentials ended"

    def _under(self, person: Person, work: Any) -> None:  # noqa: ANN401
        under_lock(person.account_id, work)

    def _found(self, options: dict[str, Any]) -> Person:
        name = options["name"]
        rows = Person.objects.select_related("account")
        found = rows.filter(login_name_fold=fold(name)).first()
        if found is None and len(name) == 36:  # noqa: PLR2004 - a UUID
            found = rows.filter(id=name).first()
        if found is None:
            message = f"There is no person {name}. See: manage.py person list"
            raise CommandError(message)
        return found
