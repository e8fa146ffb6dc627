"""The consent of a person to a client, and whether it covers a request (C54)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from oidc_provider.models import UserConsent

from idp.clients.party import party_of
from idp.models import ConsentTerms

if TYPE_CHECKING:
    from datetime import datetime

    from oidc_provider.models import Client

    from idp.clients.party import RelyingParty
    from scim.models import Person


def consent_needed(party: RelyingParty, person: Person, scope: str, *, now: datetime) -> bool:
    """True if the person must still allow this client these scopes."""
    if not party.client.require_consent:
        return False
    given = (
        UserConsent.objects.filter(user=person, client=party.client, expires_at__gt=now).select_related("terms").first()
    )
    return given is None or not _is_current(given, party) or not set(scope.split()) <= set(given.scope)


def _is_current(given: UserConsent, party: RelyingParty) -> bool:
    """True if a consent was given to the client's present version and name.

    A consent without that record, or brought over from the registry, is requested again.
    """
    terms: ConsentTerms | None = getattr(given, "terms", None)
    return terms is not None and (terms.version, terms.name) == (party.policy.version, party.name)


def remembered_consents(person: Person, *, now: datetime) -> list[UserConsent]:
    """A person's consents that still spare them the question, each with its client."""
    given = UserConsent.objects.filter(user=person, expires_at__gt=now, client__require_consent=True)
    parties = ((one, party_of(one.client)) for one in given.select_related("client__policy", "terms"))
    return [one for one, party in parties if party is not None and _is_current(one, party)]


def withdraw_consent(client: Client, person: Person) -> None:
    """Delete a person's consent: the client must request it again, and its grants end."""
    UserConsent.objects.filter(user=person, client=client).delete()


def remember_consent(party: RelyingParty, person: Person, scope: str, *, now: datetime, until: datetime) -> None:
    """Store a person's consent."""
    with transaction.atomic():
        given, _ = UserConsent.objects.select_for_update().get_or_create(
            user=person, client=party.client, defaults={"expires_at": until, "date_given": now}
        )
        before = set(given.scope) if _is_current(given, party) else set()
        given.scope = sorted(before | set(scope.split()))
        given.expires_at = until
        given.save()
        ConsentTerms.objects.update_or_create(
            consent=given, defaults={"version": party.policy.version, "name": party.name}
        )
