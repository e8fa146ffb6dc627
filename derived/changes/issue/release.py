"""Release a signed certificate, only if nothing has ended since its serial number was recorded (ruling 23, C8).

Until then the certificate exists in one process only. The caller holds the account's lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from derived.changes import identity_checks, requests
from derived.errors import Reason, Refused
from derived.ledger import audit, status
from derived.ledger.rows import require_active
from derived.minting.certificate import DERIVED_PIV_HARDWARE, PIV_POLICIES
from derived.models import Credential, IssuedCertificate
from derived.rules.assurance import AAL
from derived.rules.kinds import Label
from derived.rules.lifecycle import State, may_move

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from derived.models import Account


def release(account: Account, credential_id: UUID, made: x509.Certificate, *, now: datetime, actor: str) -> Credential:
    """Release a certificate to its holder; its key was proven in the request, so it is active at once.

    Raises: Refused(ACCOUNT_NOT_ACTIVE), Refused(CREDENTIAL_NOT_LIVE) if it has ended since its number was recorded,
    Refused(ILLEGAL_MOVE) if it was released before; Refused(IDENTITY_CHECK_NEEDED) at AAL3 without an unused identity
    check in person, which this consumes (X-9).
    """
    require_active(account)
    row = IssuedCertificate.objects.select_related("credential__root", "replaces__replaces").get(
        credential=credential_id, credential__account=account
    )
    credential = row.credential
    if credential.epoch != account.epoch or credential.state not in {State.PENDING, State.ACTIVE}:
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    if credential.root is not None and credential.root.end_reason == Reason.COMPROMISED:
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)
    if (
        row.released_at is not None
        or not may_move(State(credential.state), State.ACTIVE)
        or f"{made.serial_number:x}" != row.serial
    ):
        raise Refused(Reason.ILLEGAL_MOVE)
    policies = [
        one.policy_identifier.dotted_string
        for one in made.extensions.get_extension_for_class(x509.CertificatePolicies).value
    ]
    speaks_of_piv = not PIV_POLICIES.isdisjoint(policies)
    if (DERIVED_PIV_HARDWARE in policies and credential.aal < AAL.AAL3) or (
        speaks_of_piv and status.label(credential, account) != Label.DERIVED_PIV
    ):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)  # its ancestors' level has fallen since it was recorded
    # a reissue for the same key uses the predecessor's identity check
    if credential.aal == AAL.AAL3 and identity_checks.check_of(row) is None:
        identity_checks.consume(account, credential, now=now)
    IssuedCertificate.objects.filter(credential=credential).update(
        der=made.public_bytes(Encoding.DER),
        fingerprint=made.fingerprint(SHA256()).hex(),
        released_at=now,
        policies=policies,
        not_before=made.not_valid_before_utc,
        not_after=made.not_valid_after_utc,
    )
    credential.state, credential.activated_at = State.ACTIVE, now
    credential.expires_at = min(credential.expires_at or made.not_valid_after_utc, made.not_valid_after_utc)
    credential.save(update_fields=["state", "activated_at", "expires_at"])
    body = {
        "authority": row.authority_id,
        "serial": row.serial,
        "policies": policies,
        "not_after": made.not_valid_after_utc.isoformat(),
        "sha256": made.fingerprint(SHA256()).hex(),
    }
    requests.released(credential, now=now)
    audit.record(account, "certificate.released", now=now, actor=actor, credential=credential, body=body)
    return credential
