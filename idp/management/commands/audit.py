"""`manage.py audit`: verify the hash chains, show one, sign a checkpoint."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.management.base import CommandError, CommandParser

from derived import clock
from derived.keyring import Purpose
from derived.ledger import audit, merkle
from derived.ledger.locking import snapshot
from derived.models import Account, Event
from idp.config import config
from idp.keys import keyring
from idp.management.verbs import UUID_LENGTH, Noun, nothing
from scim.models import Person
from scim.protocol.values import fold

if TYPE_CHECKING:
    from collections.abc import Callable


def _show(parser: CommandParser) -> None:
    parser.add_argument("name", help="the person's login name, or an account's id")


class Command(Noun):
    """The verbs for the audit chain."""

    help = "The tamper-evident record: verify, show, checkpoint."
    verbs: ClassVar = {
        "verify": ("Walk every chain; exit 1 and name the first broken link if one is broken.", nothing),
        "show": ("The Events of one account.", _show),
        "checkpoint": ("A signed statement over all chain heads, to be kept elsewhere.", nothing),
    }

    def verify(self, options: dict[str, Any]) -> dict[str, Any]:
        """Verify every chain."""
        with snapshot():
            broken = next(audit.broken_links(progress=self._progress(options)), None)
            if broken is None:
                return {"ok": True, "accounts": Account.objects.count(), "events": Event.objects.count()}
        found = {"ok": False, "account": broken.account_id, "event": broken.seq, "why": broken.why}
        if options["json"]:
            self.stdout.write(json.dumps(found, default=str))
            sys.exit(1)
        message = f"account {broken.account_id}, event {broken.seq}: {broken.why}"
        raise CommandError(message)

    def _progress(self, options: dict[str, Any]) -> Callable[[int], None]:
        """Count on standard error, for people only, once a second."""
        shown = time.monotonic()

        def progress(count: int) -> None:
            nonlocal shown
            if not options["json"] and time.monotonic() - shown >= 1:
                shown = time.monotonic()
                self.stderr.write(f"{count} events verified ...")

        return progress

    def show(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        """Show the events of one account."""
        name = options["name"]
        person = Person.objects.filter(login_name_fold=fold(name)).first()
        account_id = person.account_id if person else name
        if person is None and len(name) != UUID_LENGTH:
            message = f"There is no person {name}."
            raise CommandError(message)
        rows = Event.objects.filter(account_id=account_id).order_by("seq")
        return [
            {
                "seq": one.seq,
                "at": one.at,
                "kind": one.kind,
                "actor": one.actor,
                "credential": one.credential_id,
                "hash": one.hash[:12],
            }
            for one in rows
        ]

    def checkpoint(self, _options: dict[str, Any]) -> dict[str, Any]:
        """Sign a checkpoint of all heads."""
        with snapshot():
            leaves = [f"{account_id}:{head.seq}:{head.hash}".encode() for account_id, head in audit.heads()]
        now = clock.now()
        claims: dict[str, object] = {
            "iss": config().issuer,
            "iat": int(now.timestamp()),
            "root": merkle.root(leaves).hex(),
            "size": len(leaves),
        }
        return {
            **claims,
            "statement": keyring().sign(
                claims, typ="ramet-checkpoint+jwt", alg="ES256", now=now, purpose=Purpose.CHECKPOINT
            ),
        }
