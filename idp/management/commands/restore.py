"""`manage.py restore`: a database that was restored from a backup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.core.management.base import CommandError

from derived import clock
from derived.models import LedgerState
from idp.management.verbs import Noun, no_arguments
from idp.witness import restored, standing
from idp.witness.folder import Damaged, witness
from idp.witness.standing import WORDS, Standing
from scim.models import Person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from uuid import UUID


class Command(Noun):
    """The verbs for a restored backup."""

    help = "A database that was restored from a backup: compare it with its witness, and accept it."
    verbs: ClassVar = {
        "status": ("Whether the database is older than its witness, and which endings it lacks.", no_arguments),
        "accept": (
            "Go on with a restored database: end sessions, token families and codes, and end again what was ended.",
            no_arguments,
        ),
    }
    unguarded = frozenset({"accept", "status"})
    reads: ClassVar = frozenset({"status"})

    def status(self, _options: dict[str, Any]) -> dict[str, Any]:
        """Compare, and change nothing."""
        return {
            "standing": self._standing(),
            "generation": LedgerState.objects.get().generation,
            "witness": str(witness()),
            "rewritten": len(standing.altered()),
            **self._told(self._read(lambda: restored.difference(now=clock.now()))),
        }

    def accept(self, _options: dict[str, Any]) -> dict[str, Any]:
        """Accept the database as it is."""
        now = clock.now()
        if not standing.has_its_heads():
            message = f"{WORDS[Standing.PARTIAL]} Restore all tables from one backup."
            raise CommandError(message)
        found = self._standing()
        if found == Standing.CURRENT and not standing.altered():
            message = "The database agrees with its witness: there is nothing to accept."
            raise CommandError(message)
        lacking = self._read(lambda: restored.accept(now=now))
        return {"generation": LedgerState.objects.get().generation, **self._told(lacking)}

    def _standing(self) -> Standing:
        """The standing here: on a machine without the witness "lost", although another one may hold it."""
        found = standing.look(now=clock.now())
        return Standing.LOST if found == Standing.CURRENT and standing.is_missing(witness().newest()) else found

    def _read(self, work: Callable[[], restored.Difference]) -> restored.Difference:
        try:
            return work()
        except (Damaged, OSError) as error:
            message = f"The witness cannot be read: {error}. Mend or remove that line first."
            raise CommandError(message) from error

    def _told(self, found: restored.Difference) -> dict[str, Any]:
        return {
            "endings": len(found.endings),
            "look_at": self._names([*found.changed, *(ending.account for ending in found.endings)]),
            "taken_away": [item.told for item in found.returned],
            "unknown_accounts": [str(account_id) for account_id in found.unknown],
        }

    def _names(self, accounts: Iterable[UUID | str]) -> list[str]:
        """Login names, or the ids of people without one, of accounts that changed after the backup."""
        people = Person.objects.filter(account__in={str(account_id) for account_id in accounts})
        return sorted(person.get_username() for person in people)
