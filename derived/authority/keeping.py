"""Create, certify and retire an authority: its key, its CA certificate, and its URLs.

The root's key is never stored: it signs an issuing key once, from a file that the operator removes again (or the root
belongs to another party, which gets a request). Exactly one authority issues; its predecessors keep signing their CRLs.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from django.db import transaction

from derived import signers
from derived.errors import Reason, Refused, Unavailable
from derived.minting import authority as minting
from derived.minting import signing
from derived.minting.certificate import AuthorityUrls
from derived.models import Authority
from derived.signers import Backend

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from derived.minting.signing import CertificateSigner
    from derived.wrapping import Wrapper

PUBLISHED_PATH = "pki"  # the first segment of every published path
ACTIVE, WAITING, RETIRED = "active", "waiting", "retired"


@dataclass(frozen=True, kw_only=True)
class AuthorityPlan:
    """The operator's decisions about a new authority.

    organisation: part of every name. base_url: http, without a trailing slash; certificates carry it for years. oid:
    the policy of generic certificates. asserts_piv: the installation issues under the Common Policy, and may assert it
    (X-1).
    """

    organisation: str
    base_url: str
    oid: str
    asserts_piv: bool = False


@dataclass(frozen=True, kw_only=True)
class KeyLocation:
    """The backend of a new key. secret: unwrapped: the key itself (wrapped), a PIN (pkcs11), or empty."""

    where: Backend
    reference: Mapping[str, str] = field(default_factory=dict)
    secret: bytes = b""


def name_of(key: ec.EllipticCurvePublicKey) -> str:
    """The name of an authority: the beginning of its key identifier."""
    return x509.SubjectKeyIdentifier.from_public_key(key).digest.hex()[:16]


def spki(key: ec.EllipticCurvePublicKey) -> bytes:
    """SubjectPublicKeyInfo as DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def create(
    plan: AuthorityPlan, place: KeyLocation, signer: CertificateSigner, wrapper: Wrapper, *, now: datetime
) -> Authority:
    """Create an authority that waits for its certificate."""
    name = name_of(signer.public_key)
    return Authority.objects.create(
        name=name,
        state=WAITING,
        organisation=plan.organisation,
        common_name=minting.new_common_name(),
        public=b64encode(spki(signer.public_key)).decode(),
        signer=place.where,
        reference=dict(place.reference),
        secret=wrapper.wrap(place.secret, purpose=signers.PURPOSE, owner=name),
        base_url=plan.base_url,
        oid=plan.oid,
        asserts_piv=plan.asserts_piv,
        created_at=now,
    )


def signer_of(row: Authority, wrapper: Wrapper) -> CertificateSigner:
    """The signer of an authority.

    Raises: Unavailable(KEY_UNAVAILABLE), also if the backend holds another key.
    """
    found = signers.signer_for(
        row.signer, reference=row.reference, secret=bytes(row.secret), owner=row.name, wrapper=wrapper
    )
    if name_of(found.public_key) != row.name:
        raise Unavailable(Reason.KEY_UNAVAILABLE)
    return found


def subject_of(row: Authority) -> x509.Name:
    """The distinguished name of an authority."""
    return minting.distinguished_name(row.organisation, row.common_name)


def request(row: Authority, wrapper: Wrapper) -> bytes:
    """A PKCS #10 request as DER, for a superior CA of another party."""
    signer = signer_of(row, wrapper)
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject_of(row))
    return signing.sign_request(builder, signer, spki(signer.public_key))


def certified_by_root(
    row: Authority, root: x509.Certificate, root_signer: CertificateSigner, *, now: datetime
) -> x509.Certificate:
    """The CA certificate of an authority, by Ramet's own root with its key present."""
    key = _public_key(row)
    above = name_of(root_signer.public_key)
    return minting.issuing_certificate(
        key,
        root,
        root_signer,
        common_name=row.common_name,
        organisation=row.organisation,
        oid=row.oid,
        crl=f"{row.base_url}/{PUBLISHED_PATH}/{above}.crl",
        issuer=f"{row.base_url}/{PUBLISHED_PATH}/{above}.cer",
        now=now,
    )


def _public_key(row: Authority) -> ec.EllipticCurvePublicKey:
    key = load_der_public_key(b64decode(row.public))
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Unavailable(Reason.KEY_UNAVAILABLE)
    return key


def install(
    row: Authority,
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    lists: Sequence[bytes],
    *,
    now: datetime,
) -> Authority:
    """Install the certificate of an authority, which then issues; its predecessor is retired.

    chain: from the superior CA up to the root. lists: CRLs (DER) of those, each signed by one of the chain.
    Raises: Refused(ILLEGAL_MOVE) unless the authority waits; Refused(CERTIFICATE_UNTRUSTED) for an invalid chain, or
    another key.
    """
    _require_chain(row, certificate, chain, lists, now=now)
    with transaction.atomic():
        held = Authority.objects.select_for_update().get(name=row.name)
        if held.state != WAITING:
            raise Refused(Reason.ILLEGAL_MOVE)
        Authority.objects.filter(state=ACTIVE).update(state=RETIRED, retired_at=now)
        held.state, held.certificate, held.not_after = (
            ACTIVE,
            certificate.public_bytes(Encoding.DER),
            certificate.not_valid_after_utc,
        )
        held.chain = [_named(one) for one in chain]
        held.lists = [{"name": _name_of_list(one, chain), "der": b64encode(one).decode()} for one in lists]
        held.save()
    return held


def _named(one: x509.Certificate) -> dict[str, str]:
    key = x509.SubjectKeyIdentifier.from_public_key(one.public_key()).digest.hex()[:16]
    return {"name": key, "der": b64encode(one.public_bytes(Encoding.DER)).decode()}


def _name_of_list(der: bytes, chain: Sequence[x509.Certificate]) -> str:
    found = x509.load_der_x509_crl(der)
    return next(_named(one)["name"] for one in chain if found.is_signature_valid(one.public_key()))  # type: ignore[arg-type]


def _require_chain(
    row: Authority,
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    lists: Sequence[bytes],
    *,
    now: datetime,
) -> None:
    key = certificate.public_key()
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    good = (
        isinstance(key, ec.EllipticCurvePublicKey)
        and name_of(key) == row.name
        and constraints.ca
        and certificate.not_valid_after_utc > now
    )
    try:
        for lower, upper in zip([certificate, *chain], [*chain, chain[-1]], strict=True):
            lower.verify_directly_issued_by(upper)
        for one in lists:
            _name_of_list(one, chain)
    except (IndexError, StopIteration, InvalidSignature, TypeError, ValueError):
        good = False
    if not good:
        raise Refused(Reason.CERTIFICATE_UNTRUSTED)


def replace_root_list(root: x509.Certificate, der: bytes, *, now: datetime) -> list[str]:
    """Replace the root's CRL in every authority below it; returns their names."""
    own, changed = _named(root), []
    for row in installed(now=now):
        if row.chain and row.chain[-1] == own:
            with transaction.atomic():
                held = Authority.objects.select_for_update().get(name=row.name)
                kept = [one for one in held.lists if one["name"] != own["name"]]
                held.lists, held.crl_number = (
                    [*kept, {"name": own["name"], "der": b64encode(der).decode()}],
                    held.crl_number + 1,
                )
                held.save(update_fields=["lists", "crl_number"])
            changed.append(row.name)
    return changed


def revoked_by_root(root: x509.Certificate) -> list[minting.RevokedEntry]:
    """The entries of the root's newest known CRL, which stay revoked."""
    own = _named(root)["name"]
    known = [b64decode(one["der"]) for row in Authority.objects.all() for one in row.lists if one["name"] == own]
    found = max((x509.load_der_x509_crl(der) for der in known), key=lambda one: one.last_update_utc, default=None)
    return [
        minting.RevokedEntry(serial=one.serial_number, at=one.revocation_date_utc, because=Reason.COMPROMISED)
        for one in found or ()
    ]


def is_revoked_by_root(row: Authority) -> bool:
    """True if the root has revoked this issuing key."""
    numbers = {one.serial_number for kept in row.lists for one in x509.load_der_x509_crl(b64decode(kept["der"]))}
    return certificate_of(row).serial_number in numbers


def certificate_of(row: Authority) -> x509.Certificate:
    """The certificate of an installed authority."""
    return x509.load_der_x509_certificate(bytes(row.certificate or b""))


def chain_of(row: Authority) -> list[x509.Certificate]:
    """The CA certificates above it, the root last."""
    return [x509.load_der_x509_certificate(b64decode(one["der"])) for one in row.chain]


def current(*, now: datetime) -> Authority | None:
    """The authority that issues, or None."""
    return Authority.objects.filter(state=ACTIVE, not_after__gt=now).first()


def require_current(*, now: datetime) -> Authority:
    """The authority that issues.

    Raises: Unavailable(NO_AUTHORITY).
    """
    found = current(now=now)
    if found is None:
        raise Unavailable(Reason.NO_AUTHORITY)
    return found


def installed(*, now: datetime) -> list[Authority]:
    """The issuing authority and the retired ones whose certificates may still be valid."""
    return list(Authority.objects.exclude(state=WAITING).filter(not_after__gt=now).order_by("created_at"))


def own_installed(*, now: datetime) -> list[Authority]:
    """The installed authorities whose CRLs and OCSP responses Ramet signs; external ones publish their own."""
    return [row for row in installed(now=now) if row.signer != Backend.OUTSIDE]


def install_external(  # noqa: PLR0913 - the operator's decisions
    plan: AuthorityPlan,
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    reference: Mapping[str, str],
    wrapper: Wrapper,
    *,
    now: datetime,
) -> Authority:
    """Install an external authority, which then issues; its predecessor is retired.

    reference: command, and the URLs of its CRL, its certificate and its OCSP responder (crl, issuer, ocsp).
    Raises: Refused(CERTIFICATE_UNTRUSTED) for an invalid chain.
    """
    _require_leads_up(certificate, chain, now=now)
    key, name = certificate.public_key(), _named(certificate)["name"]
    public = b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    with transaction.atomic():
        Authority.objects.filter(state=ACTIVE).exclude(name=name).update(state=RETIRED, retired_at=now)
        made, _ = Authority.objects.update_or_create(
            name=name,
            defaults={
                "state": ACTIVE,
                "organisation": plan.organisation,
                "common_name": "",
                "public": public,
                "signer": Backend.OUTSIDE,
                "reference": dict(reference),
                "secret": wrapper.wrap(b"", purpose=signers.PURPOSE, owner=name),
                "base_url": plan.base_url,
                "oid": plan.oid,
                "asserts_piv": plan.asserts_piv,
                "certificate": certificate.public_bytes(Encoding.DER),
                "chain": [_named(one) for one in chain],
                "not_after": certificate.not_valid_after_utc,
                "created_at": now,
                "retired_at": None,
            },
        )
    return made


def _require_leads_up(certificate: x509.Certificate, chain: Sequence[x509.Certificate], *, now: datetime) -> None:
    try:
        is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        for lower, upper in zip([certificate, *chain], [*chain, (chain or [certificate])[-1]], strict=True):
            lower.verify_directly_issued_by(upper)
    except (InvalidSignature, TypeError, ValueError, x509.ExtensionNotFound):
        is_authority = False
    if not is_authority or certificate.not_valid_after_utc <= now:
        raise Refused(Reason.CERTIFICATE_UNTRUSTED)


def addresses(row: Authority, shard: int) -> AuthorityUrls:
    """The URLs in its certificates."""
    if row.signer == Backend.OUTSIDE:
        return AuthorityUrls(crl=row.reference["crl"], issuer=row.reference["issuer"], ocsp=row.reference["ocsp"])
    base = f"{row.base_url}/{PUBLISHED_PATH}"
    return AuthorityUrls(crl=f"{base}/{row.name}-{shard}.crl", issuer=f"{base}/{row.name}.cer", ocsp=f"{base}/ocsp")
