"""`manage.py source`: identity sources: what each is trusted for, and its credentials."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import track

from derived import clock
from idp.certificates import names, parties
from idp.config import config
from idp.management.callers import Callers, credential_row, days, end_arguments, rotate_arguments
from idp.management.terms import tls_subject
from idp.management.verbs import MANY, name_argument, no_arguments
from scim.access.roles import Verb
from scim.models import Person, Source
from scim.people import disabling, held, importing, refusals, settle, sources
from scim.protocol import tables, trust
from scim.protocol.normalise import KNOWN

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from scim.models import RefusedPush

_NAME = "the source's name"
_OVERLAP = "let the old tokens work so long beside the new one, like 24h (default: they end now)"


def _add(parser: CommandParser) -> None:
    parser.add_argument("name", help="a short name, like hr")
    parser.add_argument(
        "--vouches-ial",
        type=int,
        choices=[0, 1, 2, 3],
        default=0,
        help="the highest IAL that it may state, which also holds for people without a stated IAL (default: 0, none)",
    )
    parser.add_argument(
        "--preset",
        choices=sorted(trust.PRESETS),
        default="directory",
        help="the attributes that it is trusted for (default: directory, which may neither end nor activate anybody)",
    )
    parser.add_argument(
        "--precedence",
        type=int,
        required=True,
        help="where sources differ, the lower number counts: 10 for HR, 50 for others",
    )
    _terms(parser)
    parser.add_argument("--expires-in", type=days, metavar="DAYS", help="its token ends after so many days")


def _terms(parser: CommandParser) -> None:
    parser.add_argument(
        "--normaliser",
        action="append",
        default=None,
        choices=[*sorted(KNOWN), "none"],
        help="a vendor, or a vendor's habit, to rewrite in every body (docs/hr.md); may be given several times; "
        "`--normaliser none` takes that back",
    )
    unknown = parser.add_mutually_exclusive_group()
    unknown.add_argument(
        "--drop-unknown",
        action="store_true",
        default=None,
        help="drop attributes that no schema knows, and count them (default: a push with one is refused whole)",
    )
    unknown.add_argument(
        "--refuse-unknown", action="store_false", dest="drop_unknown", default=None, help="refuse such a push again"
    )
    parser.add_argument(
        "--adopts",
        action="append",
        default=None,
        metavar="IDENTIFIER",
        help="adopt its records at once where they are joined by this identifier, without a manager, also on accounts "
        "in use (default: none); may be given several times; `--adopts none` takes that back",
    )
    parser.add_argument(
        "--namespace", default=None, metavar="PREFIX", help="goes before its user names in login names, with a slash"
    )
    parser.add_argument(
        "--brake",
        type=_brake,
        default=None,
        metavar="COUNT,PERCENT",
        help="the people that it may end within an hour, the larger of both; others are held (default: 10,5)",
    )


def _brake(text: str) -> tuple[int, int]:
    count, _, percent = text.partition(",")
    return int(count), int(percent)


def _set(parser: CommandParser) -> None:
    parser.add_argument("name", help=_NAME)
    _terms(parser)


def _disable(parser: CommandParser) -> None:
    parser.add_argument("name", help=_NAME)
    parser.add_argument("--yes", action="store_true", help="do it; without this only the effect is shown")


def _trust(parser: CommandParser) -> None:
    parser.add_argument("name", help=_NAME)
    parser.add_argument("--preset", choices=sorted(trust.PRESETS), help="start from this set")
    parser.add_argument(
        "--add",
        action="append",
        default=[],
        metavar="ATTRIBUTE",
        help="trust it for this too; may be given several times",
    )
    parser.add_argument("--remove", action="append", default=[], metavar="ATTRIBUTE", help="no longer for this")
    parser.add_argument(
        "--vouches-ial", type=int, choices=[0, 1, 2, 3], help="the most it may say of how people's identity was checked"
    )
    parser.add_argument("--precedence", type=int, help="where sources differ, the lower number stands")


def _admit(parser: CommandParser) -> None:
    parser.add_argument("name", help=_NAME)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--client-id", help="a client of this provider, which gets access tokens for itself")
    given.add_argument(
        "--certificate", metavar="SHA256", help="the SHA-256 fingerprint of a client certificate: this one and no other"
    )
    given.add_argument(
        "--certified-name",
        type=tls_subject,
        metavar="NAME",
        help="every certificate with this name by an authority in RAMET_VAR/pki/clients, like dns:hr.example.org",
    )
    parser.add_argument(
        "--authority",
        default="",
        metavar="SHA256",
        help="which authority that is, by its fingerprint (default: the only one)",
    )
    parser.add_argument("--expires-in", type=days, metavar="DAYS", help="it ends after so many days")


def _refused(parser: CommandParser) -> None:
    parser.add_argument("name", nargs="?", default="", help=f"{_NAME}; left out for all sources")
    parser.add_argument("--dismiss", type=int, metavar="NUMBER", help="the person stays: no alarm any more")


def _import(parser: CommandParser) -> None:
    parser.add_argument(
        "file",
        type=Path,
        help="people.csv (with a header), people.ldif (inetOrgPerson) or people.jsonl (a SCIM User per line)",
    )
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--source", metavar="NAME", help="whose people they are")
    chosen.add_argument("--template", action="store_true", help="write an example into the file instead, and no more")
    parser.add_argument("--groups", action="store_true", help="import the groups of an LDIF too, after its people")
    parser.add_argument(
        "--encoding", choices=tables.ENCODINGS, default="", help="of the file (default: found out, and shown)"
    )
    parser.add_argument(
        "--delimiter",
        choices=tables.DELIMITERS,
        default="",
        help="between the columns of a CSV (default: found out, and shown)",
    )
    parser.add_argument("--dry-run", action="store_true", help="write nothing; print the changes")
    parser.add_argument(
        "--complete", action="store_true", help="the file is complete: people who are not in it are ended"
    )


class Command(Callers[Source]):
    """The verbs for sources."""

    help = (
        "Identity sources (HR and others) that push people over SCIM: add, list, show, trust, "
        "import, rotate, admit, end, disable, enable."
    )
    model, noun, kind = Source, "source", "source"
    configures = True
    verbs: ClassVar = {
        "add": ("Register a source; its bearer token is shown once.", _add),
        "list": ("All sources, with the time of their last request.", no_arguments),
        "show": (
            "One source: its trusted attributes, its credentials, and its last request.",
            name_argument(_NAME),
        ),
        "set": (
            "Change normalisers, unknown attributes, identifiers that adopt, the namespace, the brake on ending many.",
            _set,
        ),
        "trust": ("Change what a source is trusted for; its people are merged again.", _trust),
        "refused": ("Refused pushes, those that would have ended somebody first; dismiss one of these.", _refused),
        "rotate": (
            "Give a source a new token; the old ones end now, or after an overlap.",
            rotate_arguments(_NAME, overlap=_OVERLAP),
        ),
        "admit": ("Admit a client of this provider, or a certificate, as a source.", _admit),
        "import": ("Push a file of people as the source would; try with --dry-run first.", _import),
        "end": ("End one credential of a source.", end_arguments(_NAME, noun="source")),
        "disable": ("Refuse a source from now on and take back what it said; shows the effect first.", _disable),
        "enable": ("Enable a disabled source.", name_argument(_NAME)),
    }

    methods: ClassVar = {"list": "all", "import": "take_in"}
    asks: ClassVar = {"refused": Verb.CARE, "end": Verb.DISABLE, "disable": Verb.DISABLE}

    def add(self, options: dict[str, Any]) -> dict[str, Any]:
        """Register a source."""
        if Source.objects.filter(name=options["name"]).exists():
            message = f"There is a source {options['name']} already. Use: manage.py source rotate {options['name']}"
            raise CommandError(message)
        now = clock.now()
        try:
            source, token = sources.register_source(
                options["name"],
                vouched_ial=options["vouches_ial"],
                precedence=options["precedence"],
                trusted_for=trust.PRESETS[options["preset"]],
                token_expires_at=_after(options["expires_in"], now),
                now=now,
            )
            self._apply(source, options)
        except ValueError as error:
            raise CommandError(str(error)) from error
        return {"name": source.name, "base": f"{config().issuer}/scim/v2", "token": token}

    def set(self, options: dict[str, Any]) -> dict[str, Any]:
        """Change the terms of a source."""
        source = self.found(options)
        try:
            self._apply(source, options)
        except ValueError as error:
            raise CommandError(str(error)) from error
        return self.show(options)

    @staticmethod
    def _apply(source: Source, options: dict[str, Any]) -> None:
        """Apply the terms that were given.

        Raises: ValueError.
        """
        if options["normaliser"] is not None:
            sources.set_normalisers(source, [] if options["normaliser"] == ["none"] else options["normaliser"])
        if options["drop_unknown"] is not None:
            sources.set_drop_unknown(source, drops=options["drop_unknown"])
        if options["adopts"] is not None:
            sources.set_adoption(source, [] if options["adopts"] == ["none"] else options["adopts"])
        if options["namespace"] is not None:
            sources.set_namespace(source, options["namespace"])
        if options["brake"] is not None:
            sources.set_brake(source, *options["brake"])

    def all(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the sources."""
        return [
            {
                "name": one.name,
                "precedence": one.precedence,
                "vouches_ial": one.vouched_ial,
                "people": one.records.filter(deleted_at=None).count(),
                "last_seen": one.last_seen_at,
                "last_said": one.last_said,
                "disabled": one.disabled_at,
            }
            for one in Source.objects.order_by("precedence", "name")
        ]

    def show(self, options: dict[str, Any]) -> dict[str, Any]:
        """Show one source."""
        one, now = self.found(options), clock.now()
        return {
            "name": one.name,
            "disabled": one.disabled_at,
            "precedence": one.precedence,
            "vouches_ial": one.vouched_ial,
            "preset": next((name for name, names in trust.PRESETS.items() if names == set(one.trusted_for)), None),
            "trusted_for": one.trusted_for,
            "adopts": one.adopts,
            "namespace": one.namespace,
            "brake": f"{one.brake_count} people or {one.brake_percent} % an hour",
            "held": held.waiting(one.name).count(),
            "leavers_still_active": refusals.alarms().filter(source=one).count(),
            "refused": [
                f"{row.last_at:%Y-%m-%d %H:%M} {row.request}, {row.count} times: {row.status} {row.detail}"
                for row in refusals.latest(one)[:10]
            ],
            "normalisers": one.normalisers,
            "drops_unknown": one.drops_unknown,
            "dropped": dict(one.dropped.order_by("-count", "name").values_list("name", "count")),
            "most_per_minute": one.most_per_minute,
            "people": one.records.filter(deleted_at=None).count(),
            "last_seen": one.last_seen_at,
            "last_said": one.last_said,
            "credentials": [
                credential_row(
                    row, now=now, shown=row.shown or (row.key.partition(":")[2] if row.kind != "token" else None)
                )
                for row in one.credentials.order_by("id")
            ],
        }

    def refused(self, options: dict[str, Any]) -> list[dict[str, Any]] | str:
        """List refused pushes, or dismiss one that would have ended somebody."""
        if options["dismiss"] is not None:
            row = refusals.alarms().filter(id=options["dismiss"]).first()
            if row is None:
                message = "No such refused push waits. See: manage.py source refused"
                raise CommandError(message)
            refusals.dismiss(row, now=clock.now(), actor=self.actor)
            return "dismissed: the person stays active"
        source = self.found(options) if options["name"] else None
        waiting = [one for one in refusals.alarms() if source is None or one.source_id == source.id]
        rows = [*waiting, *(one for one in refusals.latest(source)[:MANY] if one not in waiting)]
        return [_refused_row(one, is_alarm=one in waiting) for one in rows]

    def trust(self, options: dict[str, Any]) -> dict[str, Any]:
        """Change what a source is trusted for, and merge its people again."""
        source = self.found(options)
        start = trust.PRESETS[options["preset"]] if options["preset"] else frozenset(source.trusted_for)
        try:
            names = (start | trust.full_names(options["add"])) - trust.full_names(options["remove"])
        except ValueError as error:
            raise CommandError(str(error)) from error
        for column, option in (("vouched_ial", "vouches_ial"), ("precedence", "precedence")):
            if options[option] is not None:
                setattr(source, column, options[option])
                source.save(update_fields=[column])
        believed = sources.trust_source(source, names)
        people = list(Person.objects.filter(records__source=source).distinct().values_list("id", flat=True))
        for person_id in track(
            people,
            description="merging people anew",
            transient=True,
            disable=options["json"] or len(people) < MANY,
        ):
            settle.merge_again(person_id, now=clock.now(), actor=self.actor)
        return {"name": source.name, "trusted_for": believed, "people": len(people)}

    def rotate(self, options: dict[str, Any]) -> dict[str, Any]:
        """Issue a new token."""
        now = clock.now()
        token = sources.rotate_source(
            self.found(options), overlap=options["overlap"], expires_at=_after(options["expires_in"], now), now=now
        )
        return {"name": options["name"], "token": token}

    def admit(self, options: dict[str, Any]) -> str:
        """Admit a client, a certificate or a certified name as a source."""
        source = self.found(options)
        now = clock.now()
        until = _after(options["expires_in"], now)
        try:
            if options["client_id"]:
                sources.admit_client(source, options["client_id"], expires_at=until, now=now)
            elif options["certificate"]:
                sources.admit_certificate(source, options["certificate"], expires_at=until, now=now)
            else:
                authority, called = _authority(options["authority"])
                sources.admit_certified_name(
                    source,
                    authority,
                    _name_of(options["certified_name"]),
                    authority_name=called,
                    expires_at=until,
                    now=now,
                )
        except ValueError as error:
            raise CommandError(str(error)) from error
        where = (
            f"{config().issuer}/scim/v2"
            if options["client_id"]
            else f"{config().certificate_url or 'the certificate host'}/certificate/scim/v2"
        )
        return f"{source.name} may use it from now on, at {where}"

    def end_credential(self, caller: Source, number: int, *, now: datetime) -> bool:
        """End one credential of a source."""
        return sources.end_credential(caller, number, now=now)

    def take_in(self, options: dict[str, Any]) -> dict[str, Any]:
        """Import a file of people."""
        form = options["file"].suffix.lower().removeprefix(".")
        if form not in tables.FORMATS:
            message = f"The file's name must end in one of: {', '.join('.' + one for one in tables.FORMATS)}"
            raise CommandError(message)
        if options["template"]:
            return _template(options["file"], form)
        source = self.found({"name": options["source"]})
        summary, dry_run, now = importing.ImportSummary(), options["dry_run"], clock.now()
        try:
            content = tables.read(
                options["file"].read_bytes(),
                form,
                now=now,
                encoding=options["encoding"],
                delimiter=options["delimiter"],
            )
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        people = content.people
        progress = Console(stderr=True)
        for entry in track(
            people,
            description="rehearsing" if dry_run else "importing",
            console=progress,
            transient=True,
            disable=options["json"],
        ):
            importing.import_entry(source, entry, summary, dry_run=dry_run, now=now)
        if options["groups"]:
            importing.import_groups(source, content.groups, summary, dry_run=dry_run, now=now)
        if options["complete"]:
            if summary.refused:
                message = (
                    f"{len(summary.refused)} lines are refused, so nobody is ended for not being "
                    f"in the file. First: line {summary.refused[0][0]}: {summary.refused[0][1]}"
                )
                raise CommandError(message)
            if not people:
                message = "The file names nobody, so nobody is ended. A complete file has a line for everybody."
                raise CommandError(message)
            importing.end_the_rest(source, summary, dry_run=dry_run, now=now)
        counts = {one.value: summary.counts[one] for one in importing.Outcome}
        skipped = {kind.value: number for kind, number in content.skipped.items()}
        if content.groups and not options["groups"]:
            skipped["groups"] = len(content.groups)
        grouped = {
            "groups": {outcome.value: number for outcome, number in summary.groups.items()},
            "unknown_members": summary.unknown,
        }
        return {
            "dry_run": dry_run,
            "read_as": content.read_as,
            **counts,
            "skipped": skipped,
            **(grouped if options["groups"] else {}),
            "would_end" if dry_run else "left": summary.left,
            "held": held.waiting(source.name).count(),
            "refused_lines": [{"line": line, "why": why} for line, why in summary.refused],
        }

    def disable(self, options: dict[str, Any]) -> dict[str, Any]:
        """Show the effect, and with --yes disable the source."""
        source = self.found(options)
        effect = disabling.rehearse(source)
        if options["yes"]:
            disabling.disable_source(source, now=clock.now())
        return {
            "done": options["yes"],
            "would_end": effect.would_end,
            "would_change": effect.would_change,
            "would_end_names": effect.names,
            "next": ""
            if options["yes"]
            else f"Nothing was changed. To do it: manage.py source disable {source.name} --yes",
        }

    def enable(self, options: dict[str, Any]) -> str:
        """Enable a source again."""
        disabling.enable_source(self.found(options), now=clock.now())
        return f"{options['name']} is enabled"


def _refused_row(row: RefusedPush, *, is_alarm: bool) -> dict[str, Any]:
    return {
        "number": row.id,
        "source": row.source.name,
        "request": row.request,
        "answer": f"{row.status} {row.detail}",
        "times": row.count,
        "last": row.last_at,
        "leaver": (row.person.login_name or str(row.person_id) if row.person else "not found") if is_alarm else "",
    }


def _template(path: Path, form: str) -> dict[str, Any]:
    """Write an example of a form into a new file."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(tables.TEMPLATES[form])
    except OSError as error:
        raise CommandError(str(error)) from error
    return {"written": str(path), "next": f"Fill it in, then: manage.py source import {path} --source NAME --dry-run"}


def _after(life: timedelta | None, now: datetime) -> datetime | None:
    return now + life if life else None


def _name_of(given: dict[str, str]) -> str:
    ((kind, value),) = given.items()
    name = names.format_name(kind, value)
    if name is None:
        message = f"no certificate can be named {kind}:{value}"
        raise ValueError(message)
    return name


def _authority(given: str) -> tuple[str, str]:
    """The fingerprint and the name of the chosen authority."""
    known = parties.authorities()
    wanted = given.replace(":", "").lower()
    found = [one for one in known if not wanted or one == wanted]
    if len(found) != 1:
        listed = (
            "; ".join(f"{fingerprint} ({name})" for fingerprint, name in known.items())
            or "none: put its certificate into RAMET_VAR/pki/clients"
        )
        message = f"choose an authority with --authority; those in RAMET_VAR/pki/clients are: {listed}"
        raise ValueError(message)
    return found[0], known[found[0]]
