"""Shared by `manage.py source` and `manage.py feed`: callers with several credentials, each with its own expiry."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from django.core.management.base import CommandError, CommandParser

from derived import clock
from idp.management.verbs import Noun, duration
from scim.models import Receiver, Source

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from scim.models import ReceiverCredential, SourceCredential

Caller = TypeVar("Caller", Source, Receiver)


class Callers(Noun, Generic[Caller]):
    """A noun whose rows are callers. A subclass names its model, its noun, and the function that ends a credential."""

    model: type[Caller]
    noun: ClassVar[str]
    kind: ClassVar[str]

    def end_credential(self, caller: Caller, number: int, *, now: datetime) -> bool:
        """End one credential of a caller; False if it has no such one."""
        raise NotImplementedError

    def end(self, options: dict[str, Any]) -> str:
        """End one credential of a caller."""
        if not self.end_credential(self.found(options), options["credential"], now=clock.now()):
            message = f"It has no live credential of that number. See: manage.py {self.noun} show {options['name']}"
            raise CommandError(message)
        return "ended"

    def found(self, options: dict[str, Any]) -> Caller:
        """The caller of this name.

        Raises: CommandError.
        """
        found: Caller | None = self.model.objects.filter(name=options["name"]).first()
        if found is None:
            message = f"There is no {self.kind} {options['name']}. See: manage.py {self.noun} list"
            raise CommandError(message)
        return found


def credential_row(
    row: SourceCredential | ReceiverCredential, *, now: datetime, **shown: str | None
) -> dict[str, object]:
    """A credential as `show` prints it; shown: what names it besides its number and kind."""
    return {
        "number": row.id,
        "kind": row.kind,
        **shown,
        "works": row.is_live(now=now),
        "created": row.created_at,
        "expires": row.expires_at,
        "ended": row.ended_at,
        "last_used": row.last_used_at,
    }


def days(text: str) -> timedelta:
    """A number of days, as an argument."""
    return timedelta(days=int(text))


def rotate_arguments(name: str, *, overlap: str, life: timedelta | None = None) -> Callable[[CommandParser], None]:
    """The arguments of `rotate`. name, overlap: help texts. life: the default of --expires-in, if it has one."""
    default = f" (default: {life.days})" if life else ""

    def arguments(parser: CommandParser) -> None:
        parser.add_argument("name", help=name)
        parser.add_argument("--overlap", type=duration, metavar="SPAN", default=timedelta(), help=overlap)
        text = f"the new token ends after so many days{default}"
        parser.add_argument("--expires-in", type=days, metavar="DAYS", default=life, help=text)

    return arguments


def end_arguments(name: str, *, noun: str) -> Callable[[CommandParser], None]:
    """The arguments of `end`. name: a help text."""

    def arguments(parser: CommandParser) -> None:
        parser.add_argument("name", help=name)
        parser.add_argument("credential", type=int, help=f"its number, as `{noun} show` lists it")

    return arguments
