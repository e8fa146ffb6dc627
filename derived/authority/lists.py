"""CRLs from the ledger (RFC 5280 §5; IV-10, MT-8, C92).

A certificate is on the list if its credential or its account has ended; on hold while either is suspended. Certificates
point to the list of their shard; a full list exists for servers that take one file.
"""

from __future__ import annotations

from base64 import b64decode
from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.db import transaction
from django.db.models import F, Max, Q

from derived.authority.keeping import addresses, certificate_of, installed, own_installed, signer_of
from derived.minting import authority as minting
from derived.minting.authority import LIST_LIFE, RevokedEntry
from derived.models import AccountStatus, Authority, Event, IssuedCertificate, RevocationList
from derived.rules.lifecycle import State

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet

    from derived.wrapping import Wrapper

MOST_IN_A_SHARD = 10_000
RENEWED_AFTER = timedelta(hours=6)  # a worker may be down for half a day before the last list expires
FULL_LIST = -1
_MOST_DIGITS = 7
_KEPT_PAST_EXPIRY = timedelta(days=1)  # RFC 5280 §3.3: on one more list after its expiry
_FIELDS = ("credential_id", "serial", "shard", "credential__state", "credential__ended_at", "credential__end_reason")
_ALL_HELD, _ONE_HELD = "account.suspended", "credential.suspended"


def next_shard(row: Authority) -> int:
    """The shard of the next certificate."""
    last = row.issued.aggregate(last=Max("shard"))["last"] or 0
    return int(last) + (row.issued.filter(shard=last).count() >= MOST_IN_A_SHARD)


def _not_good(*, now: datetime) -> Q:
    """The filter for certificates that must not be accepted."""
    ended = Q(credential__state=State.REVOKED) | Q(credential__account__status=AccountStatus.TERMINATED)
    stale = ~Q(credential__epoch=F("credential__account__epoch"))
    return Q(not_after__gt=now - _KEPT_PAST_EXPIRY) & ~Q(credential__state=State.EXPIRED) & (ended | stale | _held())


def _held() -> Q:
    return Q(credential__state=State.SUSPENDED) | Q(credential__account__status=AccountStatus.SUSPENDED)


def entries(
    rows: Iterable[IssuedCertificate] | None = None, *, authority: Authority, now: datetime
) -> list[tuple[int, RevokedEntry]]:
    """Shard and entry of every unacceptable certificate of an authority; rows: only of these."""
    found = IssuedCertificate.objects.filter(_not_good(now=now), authority=authority)
    if rows is not None:
        found = found.filter(credential__in=[one.credential_id for one in rows])
    held_since = _held_since(found, now=now)
    made = []
    for credential, serial, shard, state, ended_at, because in found.order_by("serial").values_list(*_FIELDS):
        on_hold = state != State.REVOKED and credential in held_since
        at = ended_at or held_since.get(credential, now)
        made.append(
            (
                shard,
                RevokedEntry(
                    serial=int(serial, 16), at=at, because=because if state == State.REVOKED else "", on_hold=on_hold
                ),
            )
        )
    return made


def _held_since(found: QuerySet[IssuedCertificate], *, now: datetime) -> dict[UUID, datetime]:
    """The start of each hold, by credential."""
    held = found.filter(_held()).values_list("credential_id", "credential__account_id", "credential__account__status")
    by_credential = {credential: (account, status) for credential, account, status in held}
    accounts = {account for account, _ in by_credential.values()}
    latest: dict[tuple[str, UUID | None], datetime] = {}
    events = (
        Event.objects.filter(account__in=accounts, kind__in=[_ALL_HELD, _ONE_HELD]).order_by("seq") if accounts else ()
    )
    for event in events:
        latest[event.kind, event.account_id if event.kind == _ALL_HELD else event.credential_id] = event.at
    return {
        credential: latest.get(
            (_ALL_HELD, account) if status == AccountStatus.SUSPENDED else (_ONE_HELD, credential), now
        )
        for credential, (account, status) in by_credential.items()
    }


def held_since(issued: IssuedCertificate, *, now: datetime) -> datetime | None:
    """The start of a certificate's hold; None if it is not on hold (MT-8)."""
    return _held_since(IssuedCertificate.objects.filter(pk=issued.pk), now=now).get(issued.credential_id)


def sign_lists(row: Authority, wrapper: Wrapper, *, now: datetime) -> int:
    """Sign all CRLs of an authority and store them; returns the number of entries of the full list.

    A list with a higher number replaces one with a lower, so two workers may run concurrently.
    """
    with transaction.atomic():
        held = Authority.objects.select_for_update().get(name=row.name)
        held.crl_number += 1
        held.save(update_fields=["crl_number"])
        number = held.crl_number
    listed = entries(authority=held, now=now)  # read after the number was taken, so earlier endings are on it
    shards = 1 + (held.issued.aggregate(last=Max("shard"))["last"] or 0)
    signer, issuer = signer_of(held, wrapper), certificate_of(held)
    whole = minting.revocation_list([one for _, one in listed], issuer, signer, number=number, now=now)
    _keep(held, FULL_LIST, whole, number, len(listed), now=now)
    for shard in range(shards):
        own = [one for place, one in listed if place == shard]
        der = (
            whole
            if shards == 1
            else minting.revocation_list(
                own, issuer, signer, number=number, now=now, only_for=addresses(held, shard).crl
            )
        )
        _keep(held, shard, der, number, len(own), now=now)
    return len(listed)


# the fields of a list
def _keep(row: Authority, shard: int, der: bytes, number: int, count: int, *, now: datetime) -> None:  # noqa: PLR0913
    values = {"number": number, "der": der, "entries": count, "made_at": now, "next_update": now + LIST_LIFE}
    with transaction.atomic():
        kept, made = RevocationList.objects.select_for_update().get_or_create(
            authority=row, shard=shard, defaults=values
        )
        if not made and kept.number < number:
            RevocationList.objects.filter(id=kept.id).update(**values)


def sign_due(wrapper: Wrapper, *, now: datetime) -> int:
    """Sign CRLs that are due; returns the number of authorities."""
    due = [
        row
        for row in own_installed(now=now)
        if not row.revocation_lists.filter(shard=FULL_LIST, made_at__gt=now - RENEWED_AFTER).exists()
    ]
    for row in due:
        sign_lists(row, wrapper, now=now)
    return len(due)


def sign_all(wrapper: Wrapper, *, now: datetime) -> int:
    """Sign every CRL; returns the number of entries."""
    return sum(sign_lists(row, wrapper, now=now) for row in own_installed(now=now))


def version() -> tuple[tuple[str, int], ...]:
    """A value that changes whenever a published file changes."""
    return tuple(Authority.objects.exclude(certificate=None).order_by("name").values_list("name", "crl_number"))


def files(*, now: datetime) -> dict[str, bytes]:
    """All published files by name: CRLs and certificates as DER, and two PEM bundles."""
    found: dict[str, bytes] = {}
    certificates: dict[str, x509.Certificate] = {}
    lists: dict[str, bytes] = {}
    for row in installed(now=now):
        for one in row.chain:
            found[f"{one['name']}.cer"] = b64decode(one["der"])
        for one in row.lists:
            found[f"{one['name']}.crl"] = lists[one["name"]] = b64decode(one["der"])
        found[f"{row.name}.cer"] = bytes(row.certificate or b"")
        for kept in row.revocation_lists.all():
            found[file_of(kept)] = bytes(kept.der)
            if kept.shard == FULL_LIST:
                lists[row.name] = bytes(kept.der)
    for name, der in found.items():
        if name.endswith(".cer"):
            certificates[name] = x509.load_der_x509_certificate(der)
    if certificates:
        found["authorities.pem"] = b"".join(one.public_bytes(Encoding.PEM) for one in certificates.values())
    if lists:
        found["lists.pem"] = b"".join(x509.load_der_x509_crl(der).public_bytes(Encoding.PEM) for der in lists.values())
    return found


def file(name: str, *, now: datetime) -> bytes | None:
    """A published file by name."""
    authority, _, shard = name.removesuffix(".crl").partition("-")
    if name.endswith(".crl") and shard.isdecimal() and len(shard) < _MOST_DIGITS:
        der = RevocationList.objects.filter(authority=authority, shard=int(shard)).values_list("der", flat=True).first()
        return bytes(der) if der is not None else None
    return files(now=now).get(name)


def file_of(kept: RevocationList) -> str:
    """The file name of a list."""
    return f"{kept.authority_id}.crl" if kept.shard == FULL_LIST else f"{kept.authority_id}-{kept.shard}.crl"
