"""`manage.py request`: requests for credentials, imports of many, delegations, and systems that decide."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.management.base import CommandError
from rich.console import Console
from rich.progress import Progress

from derived import clock
from derived.models import Request
from derived.rules.requests import RequestState
from idp.management.verbs import Noun, no_arguments
from idp.requests import batches, steps, systems, terms
from idp.requests.batches import WrongFile
from idp.requests.terms import FORM_FACTORS, Origin, WrongField
from scim.access import approving, same_human
from scim.access.approving import Decision
from scim.access.roles import Verb
from scim.models import DecisionSystem, Person, RequestBatch
from scim.people.directory import person_by_login_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.core.management.base import CommandParser

_MOST_LISTED = 200
_TEXTS = ("model", "serial", "asset_tag", "until", "ticket")


def _list(parser: CommandParser) -> None:
    parser.add_argument("--state", choices=[one.value for one in RequestState], default="waiting")
    parser.add_argument("--person", default="", metavar="NAME", help="only those for this login name")


def _which(parser: CommandParser) -> None:
    parser.add_argument("request", help="its id, as `request list` shows it")


def _ask(parser: CommandParser) -> None:
    parser.add_argument("name", help="the login name of the person whom it is for")
    parser.add_argument("kind", help="device_key, derived_passkey or certificate")
    parser.add_argument("--form-factor", choices=FORM_FACTORS, required=True)
    parser.add_argument("--purpose", required=True, help="what it is needed for")
    parser.add_argument("--label", default="", help="generic (default) or derived_piv")
    parser.add_argument("--aal", default="", help="the highest level: 2 or 3")
    parser.add_argument("--managed", default="", choices=["yes", "no", ""], help="whether the device is managed")
    for name in _TEXTS:
        parser.add_argument(f"--{name.replace('_', '-')}", default="")


def _approve(parser: CommandParser) -> None:
    found = parser.add_mutually_exclusive_group(required=True)
    found.add_argument("request", nargs="?", default="", help="its id")
    found.add_argument("--batch", default="", help="every waiting request of this import")
    parser.add_argument("--terms", required=True, help="the hash of the terms, as `request show` prints it")
    parser.add_argument("--because", default="", help="a reason")


def _refuse(parser: CommandParser) -> None:
    _which(parser)
    parser.add_argument("--because", required=True, help="the person reads it")


def _import(parser: CommandParser) -> None:
    parser.add_argument("file", help="CSV with a header; see docs/requests.md")
    parser.add_argument("--source", default="", help="the source whose external ids the file has")
    parser.add_argument("--dry-run", action="store_true", help="say what would happen, and write nothing")


def _batch(parser: CommandParser) -> None:
    parser.add_argument("batch", help="the id of an import")


def _delegate(parser: CommandParser) -> None:
    parser.add_argument("name", help="the login name of the approver who decides for you")
    parser.add_argument("--days", type=int, required=True, help="for how long, 30 days at most")


def _system(parser: CommandParser) -> None:
    parser.add_argument("name", help="a short name: letters, digits, - and _")
    parser.add_argument("--owner", required=True, metavar="NAME", help="who answers for it: a login name")
    parser.add_argument("--key", required=True, metavar="FILE", help="its public key, as a JWK")
    parser.add_argument("--url", default="", help="where it takes webhooks, https only")


def _end_system(parser: CommandParser) -> None:
    parser.add_argument("name")


class Command(Noun):
    """The verbs for requests. What changes anything needs `--as`: a request has people, never nobody."""

    help = "Requests for credentials: list, show, ask, approve, refuse, withdraw, import, and systems that decide."
    verbs: ClassVar = {
        "list": ("Requests in a state, the newest first.", _list),
        "show": ("Where a request stands, and its terms.", _which),
        "ask": ("Ask for a credential of a person.", _ask),
        "approve": ("Approve a request, or all of an import, of the terms that were shown.", _approve),
        "refuse": ("Refuse a request.", _refuse),
        "withdraw": ("Withdraw a request that you asked for, or that is for you.", _which),
        "import": ("Ask for many, from a file.", _import),
        "imports": ("The newest imports.", no_arguments),
        "progress": ("How far an import is, its failed rows, and the hash that one approval covers.", _batch),
        "pause": ("Pause an import.", _batch),
        "resume": ("Go on with an import.", _batch),
        "delegate": ("Let another approver of your role decide for you.", _delegate),
        "add-system": ("Register a system that decides.", _system),
        "systems": ("The systems that decide, and the key that verifies webhooks.", no_arguments),
        "end-system": ("End a system; what it approved is not collected any more.", _end_system),
    }
    methods: ClassVar = {
        "list": "listing",
        "import": "import_file",
        "add-system": "add_system",
        "end-system": "end_system",
    }
    configures = True
    # and those whose roles are asked under the locks, about the very person (`scim.access.approving`)
    reads: ClassVar = frozenset(
        {"list", "show", "imports", "progress", "systems", "ask", "approve", "refuse", "withdraw", "import", "delegate"}
    )
    asks: ClassVar = {"pause": Verb.ASK, "resume": Verb.ASK}

    def listing(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        """List requests."""
        rows = Request.objects.filter(state=options["state"]).select_related("account__person")
        if options["person"]:
            rows = rows.filter(account=_person(options["person"]).account_id)
        return _rows(rows.order_by("-created_at", "-id")[:_MOST_LISTED])

    def show(self, options: dict[str, Any]) -> dict[str, Any]:
        """Show a request."""
        row = terms.look(_found(options), now=clock.now())
        return {
            "request": str(row.id),
            "state": row.state,
            "steps": "\n".join(_line(one) for one in steps.steps(row)),
            **{name: "\n".join(lines) for name, lines in steps.shown_terms(row)},
            "terms": row.terms_hash,
        }

    def ask(self, options: dict[str, Any]) -> dict[str, str]:
        """Ask for a credential."""
        asker, now = self._as_person(), clock.now()
        said = {name: options[name] for name in ("kind", "form_factor", "purpose", "label", "aal", "managed", *_TEXTS)}
        try:
            want = terms.wanted(said, now=now)
        except WrongField as wrong:
            message = f"{wrong.name}: {wrong.words}"
            raise CommandError(message) from wrong
        row = terms.ask(_person(options["name"]), asker, want, Origin(channel="command"), now=now)
        return {"request": str(row.id), "state": row.state, "terms": row.terms_hash}

    def approve(self, options: dict[str, Any]) -> dict[str, Any]:
        """Approve a request, or those of an import."""
        person, now = self._as_person(), clock.now()
        decision = Decision(approves=True, words=options["because"], shown=options["terms"], at_terminal=True)
        if options["batch"]:
            return dict(batches.approve(_batch_of(options), person, options["terms"], decision, now=now))
        row = approving.decide(_found(options), person, decision, terms.present, now=now)
        return {"request": str(row.id), "state": row.state}

    def refuse(self, options: dict[str, Any]) -> dict[str, Any]:
        """Refuse a request."""
        decision = Decision(approves=False, words=options["because"], shown="", at_terminal=True)
        row = approving.decide(_found(options), self._as_person(), decision, terms.present, now=clock.now())
        return {"request": str(row.id), "state": row.state}

    def withdraw(self, options: dict[str, Any]) -> str:
        """Withdraw a request."""
        approving.withdraw(_found(options), self._as_person(), now=clock.now())
        return "withdrawn"

    def import_file(self, options: dict[str, Any]) -> dict[str, Any]:
        """Ask for many."""
        asker, now = self._as_person(), clock.now()
        try:
            rows = batches.read(Path(options["file"]).read_bytes(), source=options["source"])
            if options["dry_run"]:
                found = batches.dry_run(rows, asker, now=now)
                return {
                    **{name: sum(one.state == name for one in found) for name in ("would", "known", "failed")},
                    "failures": [{"row": one.number, "why": one.why} for one in found if one.state == "failed"],
                }
            batch = batches.begin(rows, asker, self.actor, now=now)
        except (OSError, WrongFile) as wrong:
            raise CommandError(str(wrong)) from wrong
        with Progress(console=Console(stderr=True), transient=True, disable=options["json"]) as progress:
            task = progress.add_task("asking", total=len(rows))
            while batches.work(batch, now=clock.now(), most=20):
                progress.update(task, completed=len(rows) - batch.rows.filter(state="waiting").count())
        return self.progress({"batch": str(batch.id)})

    def imports(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the newest imports."""
        return [
            {
                "batch": one.id,
                "by": steps.who(one.by),
                "at": one.created_at,
                "rows": getattr(one, "total", 0),
                "failed": getattr(one, "failed", 0),
                "state": "paused" if one.paused_at else "finished" if one.finished_at else "working",
            }
            for one in batches.recent()
        ]

    def progress(self, options: dict[str, Any]) -> dict[str, Any]:
        """Print how far an import is."""
        batch = _batch_of(options)
        failed = batch.rows.filter(state="failed").order_by("number")
        return {
            "batch": str(batch.id),
            **batches.counts(batch),
            "failures": [{"row": one.number, "why": one.why} for one in failed],
            "terms": batches.list_hash(batches.waiting_of(batch)),
        }

    def pause(self, options: dict[str, Any]) -> str:
        """Pause an import."""
        batches.pause(_batch_of(options), now=clock.now())
        return "paused"

    def resume(self, options: dict[str, Any]) -> str:
        """Go on with an import."""
        batches.resume(_batch_of(options), now=clock.now())
        return "the worker goes on with it"

    def delegate(self, options: dict[str, Any]) -> str:
        """Delegate decisions."""
        now = clock.now()
        until = now + timedelta(days=options["days"])
        approving.delegate(self._as_person(), _person(options["name"]), until=until, now=now)
        return f"{options['name']} decides for you until {until:%Y-%m-%d %H:%M} UTC"

    def add_system(self, options: dict[str, Any]) -> str:
        """Register a system."""
        try:
            jwk = json.loads(Path(options["key"]).read_text(encoding="utf-8"))
            systems.add(options["name"], _person(options["owner"]), jwk, options["url"], now=clock.now())
        except (OSError, ValueError) as wrong:
            raise CommandError(str(wrong)) from wrong
        return f"webhooks are verified by {systems.public_key(now=clock.now())}"

    def systems(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the systems."""
        key = systems.public_key(now=clock.now())
        rows = DecisionSystem.objects.filter(ended_at__isnull=True).select_related("owner").order_by("name")
        return [
            {"name": one.name, "owner": one.owner.login_name, "url": one.url, "webhook_key": key if one.url else ""}
            for one in rows
        ]

    def end_system(self, options: dict[str, Any]) -> str:
        """End a system."""
        rows = DecisionSystem.objects.filter(name=options["name"], ended_at__isnull=True)
        if not rows.update(ended_at=clock.now()):
            message = f"There is no system {options['name']}. See: manage.py request systems"
            raise CommandError(message)
        return "ended"

    def _as_person(self) -> Person:
        """The person whom `--as` names.

        Raises: CommandError.
        """
        found = same_human.of_actor(self.actor)
        if found is None:
            message = "Say who you are: --as NAME. A request has people, never nobody."
            raise CommandError(message)
        return found


def _found(options: dict[str, Any]) -> Request:
    own = same_human.as_uuid(options["request"])
    rows = Request.objects.select_related("account__person", "requester__person")
    found = rows.filter(id=own).first() if own else None
    if found is None:
        message = "There is no such request. See: manage.py request list"
        raise CommandError(message)
    return found


def _batch_of(options: dict[str, Any]) -> RequestBatch:
    own = same_human.as_uuid(options["batch"])
    found = RequestBatch.objects.filter(id=own).first() if own else None
    if found is None:
        message = "There is no such import. See: manage.py request imports"
        raise CommandError(message)
    return found


def _person(name: str) -> Person:
    found = person_by_login_name(name)
    if found is None:
        message = f"There is no person {name}. See: manage.py person list"
        raise CommandError(message)
    return found


def _rows(rows: Iterable[Request]) -> list[dict[str, Any]]:
    return [
        {
            "request": str(one.id),
            "for": one.account.person.login_name or one.account.person.user_name,
            "what": steps.title(one),
            "by": steps.who(one.requested_by),
            "state": one.state,
            "since": one.created_at,
            "until": one.expires_at,
        }
        for one in rows
    ]


def _line(step: steps.Step) -> str:
    moment = f" ({step.at:%Y-%m-%d %H:%M} UTC)" if step.at else ""
    notes = f": {'; '.join(step.notes)}" if step.notes else ""
    return f"{step.name}, {step.state}{moment}{notes}"
