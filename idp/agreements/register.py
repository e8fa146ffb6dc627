"""Trust agreements with clients: record a version, find the current one, end it (SP 800-63C-4 §4.3)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction

from idp.agreements.terms import BadTerms
from idp.config import config
from idp.keys import keyring
from idp.models import ClientPolicy, TrustAgreement
from idp.policies import site

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from idp.agreements.terms import Terms
    from idp.clients import RelyingParty

LONGEST = timedelta(days=366)


def record(party: RelyingParty, terms: Terms, *, actor: str, now: datetime) -> TrustAgreement:
    """Record a new version, which replaces the present one; more or other details make people agree anew (C54).

    Raises: BadTerms for a review that is past, or later than in a year.
    """
    if not now.date() < terms.review_on <= (now + LONGEST).date():
        message = "review_on: a day within the next year."
        raise BadTerms(message)
    with transaction.atomic():
        policy = ClientPolicy.objects.select_for_update().get(pk=party.policy.pk)
        before = current(party.client_id)
        versions = TrustAgreement.objects.filter(client_key=party.client_id)
        if before is not None and _attributes(before.terms) != _attributes(terms.stored()):
            policy.version += 1
            policy.save(update_fields=["version"])
        versions.filter(ended_at__isnull=True).update(ended_at=now)
        return TrustAgreement.objects.create(
            client_key=party.client_id,
            version=versions.count() + 1,
            terms=terms.stored(),
            agreed_at=now,
            agreed_by=actor,
            review_on=terms.review_on,
        )


def _attributes(terms: dict[str, object]) -> object:
    return terms["attributes"]


def end(party: RelyingParty, *, now: datetime) -> bool:
    """End the present agreement; False if there is none."""
    return bool(TrustAgreement.objects.filter(client_key=party.client_id, ended_at__isnull=True).update(ended_at=now))


def current(client_id: str) -> TrustAgreement | None:
    """The version that has not ended, whether or not its review is overdue."""
    return TrustAgreement.objects.filter(client_key=client_id, ended_at__isnull=True).order_by("-version").first()


def fault(client_id: str, *, disclosed: Collection[str], now: datetime) -> str:
    """The reason why a client has no agreement in force, in words; "" if it has one.

    disclosed: the claims that the client's scopes disclose.
    """
    found = current(client_id)
    if found is None:
        return "it has no trust agreement"
    if found.review_on < now.date():
        return f"the review of its trust agreement was due on {found.review_on}"
    named = {one["name"] for one in found.terms["attributes"]}
    if missing := sorted(set(disclosed) - named):
        return f"its trust agreement does not name {', '.join(missing)}"
    return ""


def refuses(client_id: str, *, disclosed: Callable[[], Collection[str]], now: datetime) -> bool:
    """True if the operator requires agreements, and this client has none in force.

    disclosed: asked only where agreements are required.
    """
    return site.settings().agreements == "required" and bool(fault(client_id, disclosed=disclosed(), now=now))


def signed(agreement: TrustAgreement, *, now: datetime) -> str:
    """The agreement as a compact JWS of the issuer, for the other side to keep (RFC 7515)."""
    claims = {
        "iss": config().issuer,
        "iat": int(now.timestamp()),
        "client_id": agreement.client_key,
        "version": agreement.version,
        "agreed_at": int(agreement.agreed_at.timestamp()),
        "terms": agreement.terms,
    }
    return keyring().sign(claims, typ="ramet-agreement+jwt", alg="ES256", now=now)
