"""What a person allowed a client, and whether that still covers what it asks (C54)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from oidc_provider.models import UserConsent

if TYPE_CHECKING:
    from datetime import datetime

    from idp.clients.party import RelyingParty
    from scim.models import Person


def consent_needed(party: RelyingParty, person: Person, scope: str, *, now: datetime) -> bool:
    """Whether this person still has to allow this client these scopes."""
    if not party.client.require_consent:
        return False
    given = UserConsent.objects.filter(user=person, client=party.client, expires_at__gt=now).first()
    return given is None or not set(scope.split()) <= set(given.scope)


def remember_consent(party: RelyingParty, person: Person, scope: str, *, now: datetime, until: datetime) -> None:
    """Keep what a person allowed."""
    with transaction.atomic():
        given, _ = UserConsent.objects.select_for_update().get_or_create(
            user=person, client=party.client, defaults={"expires_at": until, "date_given": now}
        )
        given.scope = sorted(set(given.scope) | set(scope.split()))
        given.expires_at = until
        given.save()
