"""A certificate for another device: a code on the desktop, a request over EST, the desktop's confirmation.

A stolen code is useless: it belongs to the first key that comes with it, and the desktop that showed it decides with
the fingerprint of that key (BI-1 to BI-3, C12, C14).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from django.db.models import Q

from derived.changes.requests import under_locks_to_collect
from derived.errors import Reason, Refused
from derived.ledger import bound_keys
from derived.ledger.locking import under_lock
from derived.minting.hardware import statement as hardware
from derived.minting.hardware.judge import judge
from derived.minting.hardware.statement import AttestationRequest as AboutKey
from derived.minting.proven import key_name
from derived.rules.kinds import Kind
from idp.enrol.grown import codes, device_key
from idp.enrol.grown.certificate.issuing import CertificateOptions, finish, record
from idp.login.session import has_not_ended, session_under_lock
from idp.models import CertificateOrder, LoginSession
from idp.policies import attestation
from idp.secrets import normalise_code

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from derived.minting.csr import CertificateKey
    from derived.minting.hardware.statement import HardwareEvidence
    from derived.models import Account, Credential, IssuedCertificate

_CODE_KIND = "certificate-code"
_OPEN = ("waiting", "asked")


@dataclass(frozen=True)
class NewOrder:
    """A new order, and the two forms of its code, which are shown once and stored as hashes."""

    order: CertificateOrder
    code: str = field(repr=False)
    short_code: str = field(repr=False)


def begin(session: LoginSession, *, name: str, passphrase_hash: str, now: datetime) -> NewOrder:
    """Begin an order for a person with a fresh login by a root; their earlier codes are spent.

    Raises: Refused with the reason of eligibility.
    """
    code = codes.BindingCode(_CODE_KIND)

    def work(account: Account) -> CertificateOrder:
        fresh = codes.eligible_session(session, account, now=now)
        account.certificate_orders.filter(status__in=_OPEN).update(status="burnt", decided_at=now)
        return CertificateOrder.objects.create(
            session=fresh, name=name, passphrase_hash=passphrase_hash, **code.columns(account, now=now)
        )

    return NewOrder(under_lock(session.account_id, work), code.long, code.short)


def located(typed: str, username: str, *, now: datetime) -> CertificateOrder:
    """The order of a code: the long form alone, or the short form with its person's user name.

    A used code is found for a while, because the device polls until the desktop has decided (RFC 7030 §4.2.3).

    Raises: Refused(BAD_CODE), for every fault alike.
    """
    rows = CertificateOrder.objects.filter(expires_at__gt=now - codes.DECISION_LIVES)
    rows = rows.select_related("account__person", "credential")
    return codes.locate(rows, typed, username, kind=_CODE_KIND, guessable=~Q(status="burnt"))


def ask(
    order: CertificateOrder, key: CertificateKey, *, network: str, now: datetime, kept: HardwareEvidence | None = None
) -> CertificateOrder:
    """Record a device's request: the first one pins its key, later ones must have that key (C12).

    kept: its proven hardware; only the first one counts, so that the desktop confirms what it was shown.

    Raises: Refused(BAD_CODE), and the code is burnt where a second key comes with it; Refused(KEY_SEEN_BEFORE).
    """
    public = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def work(account: Account) -> CertificateOrder:
        row = CertificateOrder.objects.select_related("session", "credential").get(id=order.id)
        rows = CertificateOrder.objects.filter(id=row.id)
        burn = partial(rows.filter(status__in=_OPEN).update, status="burnt", decided_at=now)
        codes.require_pinned_key(bytes(row.spki or b""), public, spend=burn)
        if row.status != "waiting":
            if kept is not None and row.answered is None:
                raise Refused(Reason.BAD_PROOF)
            return row
        if (
            row.expires_at <= now
            or row.epoch != account.epoch
            or not has_not_ended(session_under_lock(row.session_id, account), now=now)
        ):
            raise Refused(Reason.BAD_CODE)
        if bound_keys.is_bound(hashlib.sha256(public).hexdigest()):
            raise Refused(Reason.KEY_SEEN_BEFORE)
        rows.update(status="asked", spki=public, network=network, asked_at=now, answered=device_key.stored_form(kept))
        return rows.select_related("credential").get()

    return under_lock(order.account_id, work)


def attest(  # noqa: PLR0913 - the parts of one answer
    order: CertificateOrder, key: CertificateKey, statement: object, typed: str, *, network: str, now: datetime
) -> HardwareEvidence:
    """Verify the hardware's statement about the requested key, before the desktop is asked (X-7).

    typed: the long form of the code, to which the statement is bound.

    Raises: Refused(BAD_PROOF) for a statement that does not hold, or comes too late; as `ask`.
    """
    code = normalise_code(typed)
    if len(code) != codes.LONG:
        raise Refused(Reason.BAD_CODE)
    about = AboutKey(key=key, nonce=hardware.nonce_of(code, key_name(key)), made_for=hardware.made_for(code), now=now)
    kept = judge(statement, about, attestation.trust())
    ask(order, key, network=network, now=now, kept=kept)
    return kept


def state(row: CertificateOrder, *, now: datetime) -> str:
    """The state for the desktop: waiting, asked, issued, refused, burnt or expired."""
    return codes.state(row, settled=("issued", "refused", "burnt"), now=now)


def fingerprint(row: CertificateOrder) -> str:
    """The beginning of the SHA-256 of the key, in groups, for comparison on both sides."""
    digest = hashlib.sha256(bytes(row.spki or b"")).hexdigest().upper()[:16]
    return " ".join(digest[at : at + 4] for at in range(0, 16, 4))


def confirm(order_id: UUID, session: LoginSession, shown: str, *, now: datetime) -> IssuedCertificate:
    """Confirm at the desktop the key with the shown fingerprint: the certificate is issued.

    Raises: Refused(BAD_CODE) if this is not the session that showed the code, or for another key; as `issuing.make`.
    """

    def work(account: Account) -> Credential:
        row = codes.to_decide(CertificateOrder.objects.filter(id=order_id, status="asked"), session, account, now=now)
        if not hmac.compare_digest(fingerprint(row).encode(), shown.encode()):
            raise Refused(Reason.BAD_CODE)
        key: CertificateKey = load_der_public_key(bytes(row.spki or b""))  # type: ignore[assignment]  # `csr` accepted it
        wanted = CertificateOptions(
            key=key, name=row.name, passphrase_hash=row.passphrase_hash, kept=device_key.restored(row.answered)
        )
        credential = record(account, session, wanted, now=now, live=True)
        CertificateOrder.objects.filter(id=row.id).update(
            status="issued", decided_at=now, credential=credential, passphrase_hash=""
        )
        return credential

    return finish(under_locks_to_collect(session.account_id, Kind.CERTIFICATE, work))


def refuse(order_id: UUID, session: LoginSession, *, now: datetime) -> None:
    """Refuse at the desktop: nothing is issued, and the code stays spent."""

    def work(account: Account) -> None:
        CertificateOrder.objects.filter(id=order_id, account=account, status__in=_OPEN).update(
            status="refused", decided_at=now, passphrase_hash=""
        )

    under_lock(session.account_id, work)
