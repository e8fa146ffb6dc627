"""`manage.py agreement`: the trust agreement with each client (SP 800-63C-4 §4.3), and cases of redress."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.management.base import CommandError, CommandParser

from derived import clock
from idp import clients
from idp.agreements import redress, register, terms
from idp.agreements.terms import BadTerms
from idp.management.verbs import Noun, name_argument, no_arguments
from idp.models import ClientPolicy, TrustAgreement
from idp.oidc.claims import claims
from scim.models import Source

if TYPE_CHECKING:
    from idp.clients import RelyingParty

_CLIENT = "the client_id"


def _record(parser: CommandParser) -> None:
    parser.add_argument("name", help=_CLIENT)
    parser.add_argument("--file", required=True, help="the filled-in template (see: agreement template); - reads stdin")


class Command(Noun):
    """The verbs for trust agreements."""

    help = "Trust agreements with clients: template, record, list, show, export, end, cases."
    configures = True
    methods: ClassVar = {"list": "all"}
    reads: ClassVar = frozenset({"template", "list", "show", "export", "cases"})
    verbs: ClassVar = {
        "template": ("A file to fill in, with the claims that the client's scopes disclose.", name_argument(_CLIENT)),
        "record": ("Record a new version, in force at once; the earlier one ends.", _record),
        "list": ("Every client, and whether an agreement with it is in force.", no_arguments),
        "show": ("The present agreement with a client.", name_argument(_CLIENT)),
        "export": ("The present agreement as a JWS signed by this issuer.", name_argument(_CLIENT)),
        "end": ("End the present agreement.", name_argument(_CLIENT)),
        "cases": ("Objections of people that wait for an answer (the console answers them).", no_arguments),
    }

    def template(self, options: dict[str, Any]) -> str:
        """Print a file to fill in."""
        party = _party(options)
        sources = Source.objects.filter(disabled_at__isnull=True).values_list("name", flat=True)
        return terms.template(claims.disclosed(party.policy.scopes), list(sources))

    def record(self, options: dict[str, Any]) -> dict[str, Any]:
        """Record a version."""
        party = _party(options)
        try:
            text = sys.stdin.read() if options["file"] == "-" else Path(options["file"]).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            message = f"{options['file']} cannot be read ({type(error).__name__})."
            raise CommandError(message) from None
        try:
            given = terms.parse(text, disclosed=claims.disclosed(party.policy.scopes))
            made = register.record(party, given, actor=self.actor, now=clock.now())
        except BadTerms as bad:
            raise CommandError(str(bad)) from bad
        return {"client_id": party.client_id, "version": made.version, "review_on": made.review_on}

    def all(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the clients."""
        now = clock.now()
        found = []
        for policy in ClientPolicy.objects.filter(disabled_at__isnull=True).select_related("client").order_by("pk"):
            fault = register.fault(policy.client.client_id, disclosed=claims.disclosed(policy.scopes), now=now)
            row = register.current(policy.client.client_id)
            found.append({
                "client_id": policy.client.client_id,
                "name": policy.client.name,
                "version": row.version if row else None,
                "review_on": row.review_on if row else None,
                "in_force": not fault,
                "why_not": fault,
            })  # fmt: skip
        return found

    def show(self, options: dict[str, Any]) -> dict[str, Any]:
        """Show an agreement."""
        row = _current(options)
        return {
            "client_id": row.client_key,
            "version": row.version,
            "agreed_at": row.agreed_at,
            "agreed_by": row.agreed_by,
            **row.terms,
        }

    def export(self, options: dict[str, Any]) -> str:
        """Print the agreement, signed."""
        return register.signed(_current(options), now=clock.now())

    def end(self, options: dict[str, Any]) -> str:
        """End an agreement."""
        if not register.end(_party(options), now=clock.now()):
            message = "This client has no agreement."
            raise CommandError(message)
        return "ended"

    def cases(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the objections that wait."""
        now = clock.now()
        return [
            {"case": one.pk, "client_id": one.client_key, "opened": one.opened_at, "due": one.due_at,
             "overdue": one.due_at < now}
            for one in redress.waiting()
        ]  # fmt: skip


def _party(options: dict[str, Any]) -> RelyingParty:
    found = clients.find_in_any_state(options["name"])
    if found is None:
        message = f"There is no client {options['name']}. See: manage.py client list"
        raise CommandError(message)
    return found


def _current(options: dict[str, Any]) -> TrustAgreement:
    found = register.current(_party(options).client_id)
    if found is None:
        message = f"This client has no agreement. Begin with: manage.py agreement template {options['name']}"
        raise CommandError(message)
    return found
