"""`manage.py evidence`: exports that an auditor verifies offline, and reports."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.utils.dateparse import parse_date, parse_datetime

from derived import clock
from derived.ledger import audit
from derived.ledger.locking import under_lock
from derived.models import Credential
from idp.evidence import endings, export, sheets, statistics
from idp.evidence.export import NoCheckpoint, Scope
from idp.management.verbs import UUID_LENGTH, Noun, no_arguments
from idp.policies import site
from scim.access.roles import Verb
from scim.people.directory import person_by_login_name

if TYPE_CHECKING:
    from collections.abc import Mapping

_READ = ("export", "pin", "endings", "reviews", "statistics")
_NO_CHECKPOINT = "There is no such checkpoint. See: manage.py evidence pin, and: manage.py audit checkpoint"


def _period(parser: CommandParser) -> None:
    parser.add_argument("--from", dest="first", default="", metavar="DATE", help="the first day, or an ISO time")
    parser.add_argument("--to", dest="last", default="", metavar="DATE", help="the last day, included, or an ISO time")


def _returned(parser: CommandParser) -> None:
    parser.add_argument("name", help="the login name of the person who gave it back")
    parser.add_argument("--item", required=True, help="what came back, such as a card and its number")
    parser.add_argument("--to", required=True, help="who took it")
    parser.add_argument("--dry-run", action="store_true", help="change nothing")


def _report(parser: CommandParser) -> None:
    _period(parser)
    parser.add_argument("--folder", type=Path, help="write the report there, as CSV and as HTML that prints")


def _endings(parser: CommandParser) -> None:
    _report(parser)
    parser.add_argument("--impact", choices=sorted(endings.LIMITS), help="the impact level, which gives the limit")


def _export(parser: CommandParser) -> None:
    parser.add_argument("folder", type=Path, help="a new folder for the files")
    parser.add_argument("--person", default="", metavar="NAME", help="everything of one person, by login name")
    parser.add_argument("--credential", default="", metavar="ID", help="the record of one credential")
    _period(parser)
    parser.add_argument(
        "--pinned",
        action="append",
        default=[],
        metavar="HASH",
        help="a checkpoint that the auditor wrote down before; may be given several times",
    )


class Command(Noun):
    """The verbs for evidence."""

    help = "Evidence for an auditor: export, pin; reports: endings, reviews, statistics."
    asks: ClassVar = dict.fromkeys(_READ, Verb.READ) | {"returned": Verb.CARE}
    verbs: ClassVar = {
        "export": ("Write signed evidence with a program that verifies it offline.", _export),
        "endings": (
            "The PS-4 report: who left, how fast, and what worked afterwards (nothing).",
            _endings,
        ),
        "reviews": ("What access reviews decided, row by row, with the proof.", _report),
        "statistics": ("How many were issued, ended and live, by kind and label.", _report),
        "returned": ("Record that a person gave a card or a device back, and to whom.", _returned),
        "pin": ("What an auditor writes down before: the newest checkpoint, and the key.", no_arguments),
    }

    def export(self, options: dict[str, Any]) -> dict[str, Any]:
        """Write an export."""
        folder: Path = options["folder"]
        if folder.exists():
            message = f"{folder} exists. Give a new folder: an export is never mixed with another."
            raise CommandError(message)
        now = clock.now()
        scope = _scope(options, now=now)
        try:
            made = export.make(scope, pinned=options["pinned"], actor=self.actor, now=now)
        except NoCheckpoint as error:
            raise CommandError(_NO_CHECKPOINT) from error
        write(folder, made)
        pins = export.pins()
        return {
            "folder": str(folder),
            "files": sorted(made),
            "verify": f"python3 -I -S verify.py . --key {pins['key']} --checkpoint {pins['checkpoint']}",
        }

    def endings(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        """Report the endings of a period."""
        first, last = period_of(options, now=clock.now())
        impact = options["impact"] or site.settings().impact
        return _written(options, endings.report(first, last, impact=impact), "endings")

    def reviews(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        """Report the access reviews of a period."""
        return _written(options, statistics.access_reviews(*period_of(options, now=clock.now())), "reviews")

    def statistics(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        """Report the issuance of a period."""
        return _written(options, statistics.issuance(*period_of(options, now=clock.now())), "statistics")

    def returned(self, options: dict[str, Any]) -> dict[str, str]:
        """Record hardware that came back (PS-4 d)."""
        person = person_by_login_name(options["name"])
        if person is None:
            message = f"There is no person {options['name']}. See: manage.py person list"
            raise CommandError(message)
        now, told = clock.now(), {"item": options["item"][:120], "to": options["to"][:120]}
        if not options["dry_run"]:
            under_lock(
                person.account_id,
                lambda account: audit.record(account, endings.RETURNED, now=now, actor=self.actor, personal=told),
            )
        return {"person": options["name"], **told, "recorded": "no: a dry run" if options["dry_run"] else "yes"}

    def pin(self, _options: dict[str, Any]) -> dict[str, str]:
        """Show what to write down."""
        try:
            return export.pins()
        except NoCheckpoint as error:
            raise CommandError(_NO_CHECKPOINT) from error


def _written(options: dict[str, Any], rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    if options["folder"] is not None:
        write(options["folder"], sheets.files(name, rows, first=options["first"], last=options["last"]))
    return rows


def write(folder: Path, made: Mapping[str, bytes]) -> None:
    """Write files into a new folder that only its owner may read.

    Raises: CommandError.
    """
    try:
        folder.mkdir(parents=True, mode=0o700)
        for name, content in made.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        message = f"{folder} cannot be written: {error.strerror}."
        raise CommandError(message) from error


def _scope(options: dict[str, Any], *, now: datetime) -> Scope:
    """The scope that the options name: exactly one of person, credential and period.

    Raises: CommandError.
    """
    person, credential = options["person"], options["credential"]
    is_period = bool(options["first"] or options["last"])
    if [bool(person), bool(credential), is_period].count(True) != 1:
        message = "Give one of --person, --credential, and --from with --to."
        raise CommandError(message)
    if person:
        found = person_by_login_name(person)
        if found is None:
            message = f"There is no person {person}. See: manage.py person list"
            raise CommandError(message)
        return Scope(account=found.account_id)
    if credential:
        row = Credential.objects.filter(id=credential).first() if len(credential) == UUID_LENGTH else None
        if row is None:
            message = "There is no such credential. See: manage.py credential list NAME"
            raise CommandError(message)
        return Scope(account=row.account_id, credential=UUID(credential))
    first, last = period_of(options, now=now)
    return Scope(first=first, last=last)


def period_of(options: Mapping[str, Any], *, now: datetime) -> tuple[datetime, datetime]:
    """The period of `--from` and `--to`; a day is whole, and nothing ends later than now.

    Raises: CommandError.
    """
    try:
        first, last = moment(options["first"]), moment(options["last"], ends=True)
    except ValueError as error:
        message = f"{error} is not a date like 2026-10-01, or a time like 2026-10-01T00:00:00Z."
        raise CommandError(message) from error
    if first is None:
        message = "Give --from: the first day of the period."
        raise CommandError(message)
    last = min(last or now, now)
    if first > last:
        message = "The period ends before it begins."
        raise CommandError(message)
    return first, last


def moment(text: str, *, ends: bool = False) -> datetime | None:
    """The time that a text names; for a day its beginning in UTC, or its end. None for no text.

    Raises: ValueError with the text.
    """
    if not text:
        return None
    try:
        day, time = parse_date(text), parse_datetime(text)
    except ValueError:
        raise ValueError(text) from None
    if day is not None:
        return datetime.combine(day, datetime.min.time(), tzinfo=clock.now().tzinfo) + timedelta(days=ends)
    if time is None or time.tzinfo is None:
        raise ValueError(text)
    return time
