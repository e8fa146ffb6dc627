"""Make a certificate: the record before it, and the signature between two checks of the account (ruling 23)."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from derived.authority import issuing, lists
from derived.authority.keeping import addresses, certificate_of
from derived.errors import Reason, Refused
from derived.minting import certificate as minting
from derived.models import IssuedCertificate
from derived.rules.assurance import AAL
from derived.rules.kinds import Label

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from cryptography import x509

    from derived.minting.csr import CertificateKey
    from derived.minting.hardware.statement import HardwareEvidence
    from derived.minting.proven import VerifiedProof
    from derived.models import Authority
    from derived.wrapping import Wrapper


def planned_proof(  # noqa: PLR0913 - the parts of a certificate to be made
    authority: Authority,
    key: CertificateKey,
    *,
    name: str,
    login: str,
    passphrase_hash: str,
    life: timedelta | None,
    now: datetime,
    until: datetime | None = None,
    made_here: bool = False,
    kept: HardwareEvidence | None = None,
    replaces: IssuedCertificate | None = None,
    evidence: dict[str, Any] | None = None,
) -> VerifiedProof:
    """The proof that `issue` records before the certificate exists: serial number, shard, shown attributes.

    life: from the rulebook; until: an upper bound. The certificate ends no later than its issuer (C91).
    Raises: Refused(WEAK_KEY).
    """
    start = (now - minting.BACKDATED).replace(microsecond=0)
    ends = [
        start + minting.LONGEST_LIFE,
        certificate_of(authority).not_valid_after_utc,
        *([now.replace(microsecond=0) + life] if life else []),
        *([until] if until else []),
    ]
    return minting.proof_of(
        key,
        passphrase_hash=passphrase_hash,
        not_before=start,
        not_after=min(ends),
        made_here=made_here,
        kept=kept,
        evidence={
            "names": [one for one in (minting.certificate_text(name), minting.certificate_text(login, 256)) if one],
            **(evidence or {}),
        },
        verifier={
            "authority": authority,
            "serial": f"{minting.new_serial():x}",
            "shard": lists.next_shard(authority),
            "uuid": uuid.uuid4(),
            "shown": {"name": minting.certificate_text(name), "login": minting.certificate_text(login, 256)},
            "replaces": replaces,
        },
    )


def signed_certificate(credential_id: UUID, wrapper: Wrapper) -> x509.Certificate:
    """The signed certificate of a recorded serial number, not released before `issue.release` has checked again.

    Raises: Refused, Unavailable(KEY_UNAVAILABLE).
    """
    row = IssuedCertificate.objects.select_related("authority", "credential").get(credential=credential_id)
    authority, credential = row.authority, row.credential
    key = load_der_public_key(bytes(row.spki))
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise Refused(Reason.WEAK_KEY)
    order = minting.CertificateContent(
        key=key,
        serial=int(row.serial, 16),
        uuid=row.uuid,
        organisation=authority.organisation,
        name=row.shown["name"],
        login=row.shown["login"],
        not_before=row.not_before,
        not_after=row.not_after,
        addresses=addresses(authority, row.shard),
        policies=minting.policies_of(
            Label(credential.label), AAL(credential.aal), own=authority.oid, asserts_piv=authority.asserts_piv
        ),
    )
    return issuing.issue_as_ordered(authority, order, wrapper)
