"""`manage.py identity`: records of checks in person, which a certificate at AAL3 requires (X-9)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.management.base import CommandError, CommandParser

from derived import clock
from derived.changes import identity_checks
from derived.changes.identity_checks import Biometric, CheckStatement, Presence
from derived.errors import Refused
from derived.ledger.locking import under_lock
from idp.keys import wrapper
from idp.management.verbs import Noun, name_argument
from scim.access.roles import Verb
from scim.models import Person
from scim.protocol.values import fold

if TYPE_CHECKING:
    from derived.models import Account, IdentityCheck

_NAME = "the person's login name"


def _record(parser: CommandParser) -> None:
    parser.add_argument("name", help=_NAME)
    parser.add_argument(
        "--officer", required=True, help="the officer: another person, by a name that can be found again"
    )
    parser.add_argument(
        "--place", required=True, help="where: an office, or the station of a supervised remote session"
    )
    parser.add_argument(
        "--how", choices=[one.value for one in Presence], default=Presence.IN_PERSON.value, help="default: %(default)s"
    )
    parser.add_argument(
        "--compared",
        choices=[one.value for one in Biometric],
        required=True,
        help="which biometric was compared, one to one",
    )
    parser.add_argument(
        "--against", required=True, help="the reference, for example “the facial image on the PIV card”"
    )
    parser.add_argument(
        "--confirmed-by", required=True, help="a second person who confirms it, neither the officer nor the person"
    )
    parser.add_argument(
        "--sample", type=Path, required=True, help="the file with the sample as it was taken; it is kept, sealed"
    )


class Command(Noun):
    """The verbs for checks in person."""

    help = (
        "Checks in person: record, list. A certificate at AAL3 (policy .41) takes one, within 90 days, and uses it up."
    )
    verbs: ClassVar = {
        "list": ("A person's checks, and what was issued on them.", name_argument(_NAME)),
        "record": ("Write down, for good, that an officer saw this person and found them to be the one.", _record),
    }
    asks: ClassVar = {"record": Verb.CHECK}

    def all(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        """List a person's checks."""
        rows = _found(options["name"]).account.identity_checks.defer("sample").order_by("at")
        return [identity_checks.fields_of(one) for one in rows]

    def record(self, options: dict[str, Any]) -> dict[str, Any]:
        """Record a check."""
        person, path = _found(options["name"]), options["sample"]
        if fold(options["officer"].strip()) in {person.login_name_fold, fold(person.display_name())}:
            message = "Nobody checks themselves: --officer is another person."
            raise CommandError(message)
        second = options["confirmed_by"].strip()
        if fold(second) in {"", fold(options["officer"].strip()), person.login_name_fold, fold(person.display_name())}:
            message = "A second person confirms a check: --confirmed-by is neither the officer nor the person."
            raise CommandError(message)
        try:
            sample = path.read_bytes() if path.stat().st_size <= identity_checks.LARGEST_SAMPLE else b""
        except OSError as error:
            raise CommandError(f"{error.strerror}: {error.filename}") from error
        said = CheckStatement(
            how=Presence(options["how"]),
            officer=options["officer"],
            place=options["place"],
            compared=Biometric(options["compared"]),
            against=options["against"],
            sample=sample,
        )

        def work(account: Account) -> IdentityCheck:
            now = clock.now()
            row = identity_checks.record(account, said, wrapper(), now=now, actor=self.actor)
            return identity_checks.confirm(account, row.id, by=second, now=now, actor=self.actor)

        try:
            return identity_checks.fields_of(under_lock(person.account_id, work))
        except Refused as refused:
            message = (
                "Not recorded: the account must be active, no text empty, the sample a JPEG, PNG, JPEG 2000, WSQ or "
                f"ISO 19794 record of 1 to {identity_checks.LARGEST_SAMPLE // 1024} KiB."
            )
            raise CommandError(message) from refused


def _found(name: str) -> Person:
    found = Person.objects.select_related("account").filter(login_name_fold=fold(name)).first()
    if found is None:
        message = f"There is no person {name}. See: manage.py person list"
        raise CommandError(message)
    return found
