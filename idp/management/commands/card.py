"""`manage.py card`: PIV and CAC cards: status, probe, list, and binding a checked card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.management.base import CommandError, CommandParser

from derived import clock
from derived.changes import issue, renew
from derived.errors import Unavailable
from derived.ledger.locking import under_lock
from derived.models import CardCertificate
from derived.rules.eligibility import BoundBy, BoundVia
from idp import certificates
from idp.certificates.configuration import ders_of_file
from idp.config import config
from idp.errors import error_response
from idp.login import card, probe
from idp.management.verbs import Noun, name_argument, no_arguments
from idp.models import Probe
from scim.access.roles import Verb
from scim.models import Person
from scim.protocol.values import fold

if TYPE_CHECKING:
    from derived.models import Account, Credential


def _bind(parser: CommandParser) -> None:
    parser.add_argument("name", help="the login name of the person")
    parser.add_argument(
        "--certificate", type=Path, required=True, help="the card's certificate for authentication, PEM or DER"
    )
    parser.add_argument(
        "--replaces", default="", metavar="ID", help="the person's old card, whose devices go on with this one"
    )


class Command(Noun):
    """The verbs for cards."""

    help = (
        "PIV and CAC cards: status (may they be used?), probe (are forged headers stripped?), "
        "bind, list (of one person)."
    )
    verbs: ClassVar = {
        "status": ("Whether cards may be used now, and what is missing.", no_arguments),
        "probe": (
            "Ask the certificate host through its public address whether it strips forged headers.",
            no_arguments,
        ),
        "bind": ("Bind a card to a person whom you have checked.", _bind),
        "list": (
            "The cards of one person, with every certificate seen on them.",
            name_argument("the login name of the person"),
        ),
    }
    reads: ClassVar = frozenset({"status", "probe", "list"})
    asks: ClassVar = {"bind": Verb.CHECK}

    def status(self, _options: dict[str, Any]) -> dict[str, Any]:
        """Print the configuration of card logins, and the missing parts."""
        last = Probe.objects.filter(name=card.PROBE).first()
        return {
            "on": card.is_on(now=clock.now()),
            "certificate_url": config().certificate_url or "not set (RAMET_CERTIFICATE_URL)",
            "pki": certificates.describe(),
            "probe": f"{last.at:%Y-%m-%d %H:%M} UTC: {last.words}" if last else "never probed: manage.py card probe",
        }

    def probe(self, _options: dict[str, Any]) -> dict[str, Any]:
        """Probe the certificate host now."""
        if not config().certificate_url:
            message = "There is no certificate host. Set RAMET_CERTIFICATE_URL."
            raise CommandError(message)
        passed, words = probe.run(now=clock.now())
        if not passed:
            message = f"The probe did not pass: {words}."
            raise CommandError(message)
        return {"passed": passed, "words": words}

    def bind(self, options: dict[str, Any]) -> dict[str, Any]:
        """Validate a certificate and bind it on a manager's word; its level is the card's (ruling 5)."""
        person, now = _person(options["name"]), clock.now()
        try:
            verified = certificates.validate(_der(options["certificate"]), [], now=now)
        except Unavailable as unavailable:
            raise CommandError(error_response(unavailable.reason).words) from unavailable
        bound_by = BoundBy(how=BoundVia.MANAGER)

        def work(account: Account) -> Credential:
            if not options["replaces"]:
                return issue.certificate(
                    account, verified, bound_by=bound_by, name="PIV or CAC card", now=now, actor="manager"
                )
            old = next((one for one in card.cards_of(account) if str(one.id) == options["replaces"]), None)
            if old is None:
                message = "That person has no such card, or its key was compromised."
                raise CommandError(message)
            return renew.card(
                account, old, verified, bound_by=bound_by, name="PIV or CAC card", now=now, actor="manager"
            )

        row = under_lock(person.account_id, work)
        return {
            "credential": row.id,
            "aal": row.aal,
            "subject": verified.subject,
            "issuer": verified.issuer,
            "card_uuid": verified.card_uuid,
        }

    def all(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        """List every certificate of every card."""
        rows = CardCertificate.objects.filter(
            credential__account_id=_person(options["name"]).account_id
        ).select_related("credential")
        return [
            {
                "credential": one.credential_id,
                "state": one.credential.state,
                "aal": one.credential.aal,
                "issuer": one.issuer,
                "serial": one.serial,
                "card_uuid": one.card_uuid,
                "not_after": one.not_after,
                "superseded": one.superseded_at,
            }
            for one in rows.order_by("credential__created_at", "seen_at")
        ]


def _person(name: str) -> Person:
    person = Person.objects.select_related("account").filter(login_name_fold=fold(name)).first()
    if person is None:
        message = f"There is no person named {name}."
        raise CommandError(message)
    return person


def _der(path: Path) -> bytes:
    try:
        return ders_of_file(path.read_bytes())[0]
    except (OSError, ValueError, IndexError) as error:
        message = f"{path} holds no certificate: {error}"
        raise CommandError(message) from error
