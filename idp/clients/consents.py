"""What a person allowed a client, and whether that still covers what it asks (C54)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from oidc_provider.models import UserConsent

from idp.models import ConsentTerms

if TYPE_CHECKING:
    from datetime import datetime

    from oidc_provider.models import Client

    from idp.clients.party import RelyingParty
    from scim.models import Person


def consent_needed(party: RelyingParty, person: Person, scope: str, *, now: datetime) -> bool:
    """Whether this person still has to allow this client these scopes."""
    if not party.client.require_consent:
        return False
    given = (
        UserConsent.objects.filter(user=person, client=party.client, expires_at__gt=now).select_related("terms").first()
    )
    return given is None or not _is_to_this(given, party) or not set(scope.split()) <= set(given.scope)


def _is_to_this(given: UserConsent, party: RelyingParty) -> bool:
    """Whether a consent was given to the client as it is now: the same version, under the same name.

    One from before this was recorded, or brought over from the registry, is asked for again.
    """
    terms: ConsentTerms | None = getattr(given, "terms", None)
    return terms is not None and (terms.version, terms.name) == (party.policy.version, party.name)


def withdraw_consent(client: Client, person: Person) -> None:
    """Forget what a person allowed a client: it has to ask again, and what it holds by it ends."""
    UserConsent.objects.filter(user=person, client=client).delete()


def remember_consent(party: RelyingParty, person: Person, scope: str, *, now: datetime, until: datetime) -> None:
    """Keep what a person allowed."""
    with transaction.atomic():
        given, _ = UserConsent.objects.select_for_update().get_or_create(
            user=person, client=party.client, defaults={"expires_at": until, "date_given": now}
        )
        before = set(given.scope) if _is_to_this(given, party) else set()
        given.scope = sorted(before | set(scope.split()))
        given.expires_at = until
        given.save()
        ConsentTerms.objects.update_or_create(
            consent=given, defaults={"version": party.policy.version, "name": party.name}
        )
