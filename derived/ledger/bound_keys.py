"""Names of public keys, each bound once; no key is bound again, also not after its credential has ended (C5, C6).

A key counts as proven where its holder signed a challenge of the transaction with it, or its hardware vouches for it. A
registration without either (a passkey with the attestation `none`) only reserves the name: it keeps it from another
such registration, but not from a holder who proves possession. The first login with such a passkey proves its key;
where another holder has proven the key by then, the login is refused, so that no key signs in to two accounts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.errors import Reason, Refused
from derived.models import BoundKey, Credential

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID


def require_free(proven: Collection[str], unproven: Collection[str] = ()) -> None:
    """Require that no key of these names is bound; an unproven registration gives way to a proven one.

    Raises: Refused(KEY_SEEN_BEFORE).
    """
    found = dict(BoundKey.objects.filter(name__in=[*proven, *unproven]).values_list("name", "proven"))
    if any(was_proven or name in unproven for name, was_proven in found.items()):
        raise Refused(Reason.KEY_SEEN_BEFORE)
    if found:
        BoundKey.objects.filter(name__in=found, proven=False).delete()


def bind(credential: Credential, proven: Collection[str], unproven: Collection[str] = ()) -> None:
    """Record the names of a new credential's keys, which passed `require_free` in this transaction.

    Raises: IntegrityError if another account binds one of them concurrently.
    """
    rows = [BoundKey(name=name, credential=credential) for name in proven]
    rows += [BoundKey(name=name, credential=credential, proven=False) for name in unproven]
    BoundKey.objects.bulk_create(rows)


def is_bound(name: str) -> bool:
    """True if a key of this name was bound by a holder who proved possession of it."""
    return BoundKey.objects.filter(name=name, proven=True).exists()


def record_possession(credential_id: UUID, name: str) -> None:
    """Record that a login has proven the credential's key of this name.

    Raises: Refused(KEY_SEEN_BEFORE) if another credential holds the name: its holder has proven the key in between.
    """
    if BoundKey.objects.filter(name=name).exclude(credential=credential_id).exists():
        raise Refused(Reason.KEY_SEEN_BEFORE)
    BoundKey.objects.filter(credential=credential_id, proven=False).update(proven=True)
