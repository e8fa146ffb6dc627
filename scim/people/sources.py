"""Sources: registration, credentials, trust, and disabling.

A source may have several credentials with separate expiries, so that a new one is in use before the old one ends.
"""

from __future__ import annotations

import re
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.db.models import Q

from derived.ledger.locking import transacted
from derived.rules.assurance import IAL
from scim.callers import key_of_certificate, key_of_certified_name, key_of_client, key_of_token
from scim.models import Source, SourceCredential
from scim.protocol import trust
from scim.protocol.normalise import KNOWN

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_CLIENT = re.compile(r"[\x21-\x7e]{1,255}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
OVERLAP = timedelta(hours=24)
_WHOLE = 100  # percent


def register_source(  # noqa: PLR0913 - the operator's decisions
    name: str,
    *,
    now: datetime,
    vouched_ial: int = 0,
    precedence: int = 100,
    normalisers: Sequence[str] = (),
    token_expires_at: datetime | None = None,
    trusted_for: Collection[str] = trust.EVERY,
    adopts: Collection[str] = (),
) -> tuple[Source, str]:
    """Register a source; returns it with its bearer token, which is not stored and cannot be shown again.

    adopts: identifiers by which its records are joined and adopted without a manager.

    Raises: ValueError for a bad name, level, normaliser or attribute, or a name in use.
    """
    _check(name, vouched_ial, normalisers)
    believed = sorted(trust.full_names(trusted_for))

    def work() -> tuple[Source, str]:
        source = Source.objects.create(
            name=name,
            vouched_ial=vouched_ial,
            precedence=precedence,
            normalisers=list(normalisers),
            trusted_for=believed,
            adopts=sorted(trust.full_names(adopts)),
            created_at=now,
        )
        return source, _token(source, now=now, expires_at=token_expires_at)

    try:
        return transacted(work)
    except IntegrityError:
        message = f"there is a source named {name} already"
        raise ValueError(message) from None


def _check(name: str, vouched_ial: int, normalisers: Sequence[str]) -> None:
    message = ""
    if not _NAME.fullmatch(name):
        message = "the name must be lower-case letters, digits and hyphens, 63 at most"
    elif vouched_ial not in set(IAL):
        message = "the identity assurance level must be 0, 1, 2 or 3"
    elif set(normalisers) - set(KNOWN):
        message = f"the normalisers are: {', '.join(KNOWN)}"
    if message:
        raise ValueError(message)


def _token(source: Source, *, now: datetime, expires_at: datetime | None) -> str:
    # The prefix lets secret scanners find a published token.
    token = f"ramet_scim_{secrets.token_urlsafe(32)}"
    SourceCredential.objects.create(source=source, key=key_of_token(token), created_at=now, expires_at=expires_at)
    return token


def rotate_source(
    source: Source, *, now: datetime, expires_at: datetime | None = None, overlap: timedelta = timedelta()
) -> str:
    """Issue a new token to a source; its old tokens end after `overlap`, or at once.

    expires_at: when the new token ends.
    """

    def work() -> str:
        _tokens(source, now=now).update(expires_at=now + overlap)
        return _token(source, now=now, expires_at=expires_at)

    return transacted(work)


def _tokens(source: Source, *, now: datetime) -> QuerySet[SourceCredential]:
    later = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
    return source.credentials.filter(later, key__startswith="token:", ended_at__isnull=True)


def end_credential(source: Source, credential_id: int, *, now: datetime) -> bool:
    """End a credential of a source at once; False if it has no such credential."""
    return bool(source.credentials.filter(id=credential_id, ended_at__isnull=True).update(ended_at=now))


def admit_client(
    source: Source, client_id: str, *, now: datetime, expires_at: datetime | None = None
) -> SourceCredential:
    """Let an OAuth client act for a source, with access tokens that it got for itself.

    Raises: ValueError for a malformed client_id, or a client that acts for another source.
    """
    if not _CLIENT.fullmatch(client_id):
        message = "that is no client_id"
        raise ValueError(message)
    return _admit(source, key_of_client(client_id), shown=client_id, now=now, expires_at=expires_at)


def admit_certificate(
    source: Source, sha256: str, *, now: datetime, expires_at: datetime | None = None
) -> SourceCredential:
    """Let the holder of a certificate's key act for a source (mutual TLS).

    sha256: of its DER, in hex, with or without colons.
    Raises: ValueError for a malformed fingerprint, or a certificate that acts for another source.
    """
    plain = sha256.replace(":", "").lower()
    if not _FINGERPRINT.fullmatch(plain):
        message = "give the SHA-256 fingerprint of the certificate: 64 hexadecimal digits"
        raise ValueError(message)
    return _admit(source, key_of_certificate(plain), shown=plain, now=now, expires_at=expires_at)


def admit_certified_name(  # noqa: PLR0913 - the name, its authority, and the expiry
    source: Source,
    authority: str,
    name: str,
    *,
    now: datetime,
    authority_name: str = "",
    expires_at: datetime | None = None,
) -> SourceCredential:
    """Let the holder of a name certified by an authority act for a source (RFC 8705 §2.1).

    Renewed certificates of that authority count too, other authorities' never. authority: SHA-256 of its certificate,
    in hex. name: in the canonical spelling of `idp.certificates.names`.
    Raises: ValueError for a malformed fingerprint, or a name that acts for another source.
    """
    if not _FINGERPRINT.fullmatch(authority):
        message = "give the SHA-256 fingerprint of the authority: 64 hexadecimal digits"
        raise ValueError(message)
    shown = f"{name}, certified by {authority_name or authority}"
    return _admit(source, key_of_certified_name(authority, name), shown=shown, now=now, expires_at=expires_at)


def _admit(source: Source, key: str, *, shown: str, now: datetime, expires_at: datetime | None) -> SourceCredential:
    with transaction.atomic():
        row, _ = SourceCredential.objects.get_or_create(key=key, defaults={"source": source, "created_at": now})
        if row.source_id != source.id:
            message = "it speaks for another source already"
            raise ValueError(message)
        row.ended_at, row.expires_at, row.shown = None, expires_at, shown[:500]
        row.save(update_fields=["ended_at", "expires_at", "shown"])
    return row


def set_adoption(source: Source, names: Iterable[str]) -> list[str]:
    """Let a source's records be adopted when they are joined by exactly these identifiers, from now on.

    Raises: ValueError for an unknown attribute.
    """
    source.adopts = sorted(trust.full_names(names))
    source.save(update_fields=["adopts"])
    return list(source.adopts)


def set_normalisers(source: Source, names: Sequence[str]) -> None:
    """Rewrite the bodies of a source by exactly these normalisers, from its next request on.

    Raises: ValueError for an unknown normaliser.
    """
    _check(source.name, source.vouched_ial, names)
    source.normalisers = list(names)
    source.save(update_fields=["normalisers"])


def set_drop_unknown(source: Source, *, drops: bool) -> None:
    """Drop attributes that no schema knows from the pushes of a source, or refuse such pushes again."""
    source.drops_unknown = drops
    source.save(update_fields=["drops_unknown"])


def set_namespace(source: Source, namespace: str) -> None:
    """Put a prefix before the user names of a source in login names, for people who are new from now on.

    Raises: ValueError for a malformed prefix.
    """
    if namespace and not _NAME.fullmatch(namespace):
        message = "the namespace must be lower-case letters, digits and hyphens, 63 at most"
        raise ValueError(message)
    source.namespace = namespace
    source.save(update_fields=["namespace"])


def set_brake(source: Source, count: int, percent: int) -> None:
    """Let a source end so many people, or so many percent of its active records, within an hour.

    Raises: ValueError for a negative number, or more than 100 percent.
    """
    if count < 0 or not 0 <= percent <= _WHOLE:
        message = "the brake is a number of people and a percentage from 0 to 100"
        raise ValueError(message)
    source.brake_count, source.brake_percent = count, percent
    source.save(update_fields=["brake_count", "brake_percent"])


def trust_source(source: Source, names: Iterable[str]) -> list[str]:
    """Trust a source for exactly these attributes, from its next write on; returns their full names.

    Raises: ValueError for an unknown attribute.
    """
    believed = sorted(trust.full_names(names))
    source.trusted_for = believed
    source.save(update_fields=["trusted_for"])
    return believed
