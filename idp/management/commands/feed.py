"""`manage.py feed`: receivers of SCIM events, and the attributes that each may read."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.management.base import CommandError, CommandParser

from derived import clock
from idp.config import config
from idp.management.callers import Callers, credential_row, days, end_arguments, rotate_arguments
from idp.management.verbs import name_argument, no_arguments
from idp.signals.feed import audience
from scim.access.roles import Verb
from scim.feed import delivery, receivers
from scim.models import Receiver
from scim.protocol import trust

if TYPE_CHECKING:
    from datetime import datetime

_NAME = "the receiver's name"
_LIFE = timedelta(days=90)
_OVERLAP = "let the old token work so long beside the new one, like 24h (default: the old one ends now)"


def _add(parser: CommandParser) -> None:
    parser.add_argument("name", help="a short name, like payroll")
    parser.add_argument(
        "--preset",
        choices=sorted(receivers.PRESETS),
        default="names",
        help="the attributes of people that it may read (default: names)",
    )
    parser.add_argument(
        "--attribute",
        action="append",
        default=[],
        metavar="ATTRIBUTE",
        help="this attribute too; may be given several times",
    )
    parser.add_argument(
        "--full", action="store_true", help="its events carry values, not only the names of changed attributes"
    )
    parser.add_argument("--groups", action="store_true", help="send events about groups too")
    parser.add_argument(
        "--expires-in",
        type=days,
        metavar="DAYS",
        default=_LIFE,
        help="its token ends after so many days (default: 90)",
    )


def _allow(parser: CommandParser) -> None:
    parser.add_argument("name", help=_NAME)
    parser.add_argument(
        "--preset",
        choices=sorted(receivers.PRESETS),
        help="start from these attributes and not from those that it may read now",
    )
    parser.add_argument(
        "--add",
        action="append",
        default=[],
        metavar="ATTRIBUTE",
        help="it may read this attribute too; may be given several times",
    )
    parser.add_argument(
        "--remove", action="append", default=[], metavar="ATTRIBUTE", help="it may not read this attribute any more"
    )
    parser.add_argument("--full", choices=["yes", "no"], help="whether its events carry values")
    parser.add_argument("--groups", choices=["yes", "no"], help="whether it follows groups")


def _admit(parser: CommandParser) -> None:
    parser.add_argument("name", help=_NAME)
    parser.add_argument(
        "--client-id", required=True, help="a client of this provider, which gets access tokens for itself (scope scim)"
    )


class Command(Callers[Receiver]):
    """The verbs for receivers."""

    help = "Receivers of SCIM events: add, list, show, allow, rotate, admit, end, disable, enable."
    model, noun, kind = Receiver, "feed", "receiver"
    configures = True
    verbs: ClassVar = {
        "add": (
            (
                "Register a receiver; its bearer token is shown once. By default it gets notices about "
                "people and may read names."
            ),
            _add,
        ),
        "list": ("All receivers, when each last polled, and how much waits for it.", no_arguments),
        "show": (
            "One receiver: the attributes that it may read, its credentials, waiting events, and its last error.",
            name_argument(_NAME),
        ),
        "allow": ("Change what a receiver may read; it has to read the new part once.", _allow),
        "rotate": (
            "Give a receiver a new token; the old one ends now, or after an overlap.",
            rotate_arguments(_NAME, overlap=_OVERLAP, life=_LIFE),
        ),
        "admit": ("Let a client of this provider read a feed.", _admit),
        "end": ("End one credential of a receiver.", end_arguments(_NAME, noun="feed")),
        "disable": ("Disable a receiver and delete its waiting events.", name_argument(_NAME)),
        "enable": ("Enable a disabled receiver; it has to read everything once.", name_argument(_NAME)),
    }
    asks: ClassVar = {"end": Verb.DISABLE, "disable": Verb.DISABLE}

    def add(self, options: dict[str, Any]) -> dict[str, Any]:
        """Register a receiver."""
        now = clock.now()
        try:
            receiver, token = receivers.register(
                options["name"],
                kinds=_kinds(groups=options["groups"]),
                full=options["full"],
                expires_at=now + options["expires_in"],
                now=now,
                attributes=receivers.PRESETS[options["preset"]] | trust.full_names(options["attribute"]),
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        return {
            "name": receiver.name,
            "base": f"{config().issuer}/scim/v2/Feed",
            "aud": audience(receiver),
            "token": token,
        }

    def all(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the receivers."""
        return [
            {
                "name": one.name,
                "follows": " ".join(one.kinds),
                "full": one.full,
                "waiting": delivery.count(one),
                "must_read": " ".join(one.to_read),
                "last_polled": one.last_polled_at,
                "disabled": one.disabled_at,
            }
            for one in Receiver.objects.order_by("name")
        ]

    def show(self, options: dict[str, Any]) -> dict[str, Any]:
        """Show one receiver."""
        one, now = self.found(options), clock.now()
        return {
            "name": one.name,
            "aud": audience(one),
            "disabled": one.disabled_at,
            "follows": one.kinds,
            "full": one.full,
            "attributes": one.attributes,
            "must_read": one.to_read,
            "waiting": delivery.count(one),
            "last_polled": one.last_polled_at,
            "last_error": one.last_error,
            "credentials": [
                credential_row(row, now=now, client_id=row.key.partition(":")[2] if row.kind == "client" else None)
                for row in one.credentials.order_by("id")
            ],
        }

    def allow(self, options: dict[str, Any]) -> dict[str, Any]:
        """Change what a receiver may read."""
        receiver = self.found(options)
        start = receivers.PRESETS[options["preset"]] if options["preset"] else frozenset(receiver.attributes)
        full = receiver.full if options["full"] is None else options["full"] == "yes"
        groups = "Group" in receiver.kinds if options["groups"] is None else options["groups"] == "yes"
        try:
            names = (start | trust.full_names(options["add"])) - trust.full_names(options["remove"])
            receivers.allow(receiver, kinds=_kinds(groups=groups), full=full, attributes=names)
        except ValueError as error:
            raise CommandError(str(error)) from error
        return self.show(options)

    def rotate(self, options: dict[str, Any]) -> dict[str, Any]:
        """Issue a new token."""
        now = clock.now()
        token = receivers.rotate(
            self.found(options), overlap=options["overlap"], expires_at=now + options["expires_in"], now=now
        )
        return {"name": options["name"], "token": token}

    def admit(self, options: dict[str, Any]) -> str:
        """Admit a client of this provider as a receiver."""
        try:
            receivers.admit(self.found(options), options["client_id"], now=clock.now())
        except ValueError as error:
            raise CommandError(str(error)) from error
        return f"{options['client_id']} may read the feed of {options['name']} from now on"

    def end_credential(self, caller: Receiver, number: int, *, now: datetime) -> bool:
        """End one credential of a receiver."""
        return receivers.end_credential(caller, number, now=now)

    def disable(self, options: dict[str, Any]) -> str:
        """Disable a receiver."""
        receivers.disable(self.found(options), now=clock.now())
        return f"{options['name']} is disabled"

    def enable(self, options: dict[str, Any]) -> str:
        """Enable a receiver again."""
        receivers.enable(self.found(options), now=clock.now())
        return f"{options['name']} is enabled; it has to read everything once"


def _kinds(*, groups: bool) -> list[str]:
    return ["User", "Group"] if groups else ["User"]
