"""Everything an authority signs except certificates of people: CA certificates, CRLs, OCSP responses.

CRLs and responses follow RFC 5280 §5 and RFC 6960; a CRL is built in one call, because adding entries one by one is
quadratic.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from derived.errors import Reason
from derived.minting import signing
from derived.minting.certificate import (
    DERIVED_PIV,
    DERIVED_PIV_HARDWARE,
    authority_information,
    distribution_points,
    key_identifier_of,
    key_usage,
    new_serial,
    policies,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from derived.minting.signing import CertificateSigner

ROOT_LIFE = timedelta(days=20 * 365)
ISSUER_LIFE = timedelta(days=6 * 365)
RESPONDER_LIFE = timedelta(days=30)
LIST_LIFE = timedelta(hours=18)  # IV-10
ROOT_LIST_LIFE = timedelta(days=366)  # made offline; lists the few issuing keys
ANSWER_LIFE = timedelta(minutes=10)  # of an OCSP answer
_SKEW = timedelta(minutes=2)

_NO_SERVERS = [x509.DNSName("")]  # excludes all host names
_FLAGS = x509.ReasonFlags
_REASONS: dict[str, x509.ReasonFlags] = {
    Reason.COMPROMISED: _FLAGS.key_compromise,
    Reason.REPORTED_BY_PERSON: _FLAGS.key_compromise,
    Reason.REPLACED_IN_RECOVERY: _FLAGS.superseded,
    Reason.DISOWNED_BY_PERSON: _FLAGS.key_compromise,
    Reason.REPLACED: _FLAGS.superseded,
    Reason.NAME_CHANGED: _FLAGS.affiliation_changed,
    Reason.DEACTIVATED_BY_SOURCE: _FLAGS.cessation_of_operation,
    Reason.DELETED_BY_SOURCE: _FLAGS.cessation_of_operation,
    Reason.ENDED_BY_MANAGER: _FLAGS.privilege_withdrawn,
    Reason.IDENTITY_LOWERED: _FLAGS.privilege_withdrawn,
}


@dataclass(frozen=True, kw_only=True)
class RevokedEntry:
    """A certificate that must not be accepted.

    because: the ledger's reason, or "". on_hold: it may come back (MT-8).
    """

    serial: int
    at: datetime
    because: str = ""
    on_hold: bool = False

    @property
    def reason(self) -> x509.ReasonFlags | None:
        """The reason as RFC 5280 §5.3.1 names it, or None if the RFC has no equivalent."""
        return _FLAGS.certificate_hold if self.on_hold else _REASONS.get(self.because)


def root_certificate(signer: CertificateSigner, *, organisation: str, now: datetime) -> x509.Certificate:
    """A self-signed CA certificate for the offline key."""
    own = distinguished_name(organisation, "Root CA")
    identifier = x509.SubjectKeyIdentifier.from_public_key(signer.public_key)
    return signing.sign_certificate(
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own)
        .public_key(signer.public_key)
        .serial_number(new_serial())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + ROOT_LIFE)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(key_usage("key_cert_sign", "crl_sign"), critical=True),
        signer,
    )


def new_common_name() -> str:
    """A new common name of an issuing CA, with a random number."""
    return f"Derived Credentials CA {secrets.token_hex(3)}"


def distinguished_name(organisation: str, common_name: str) -> x509.Name:
    """A distinguished name of organisation and common name."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def issuing_certificate(  # noqa: PLR0913 - the parts of a certificate
    key: ec.EllipticCurvePublicKey,
    above: x509.Certificate,
    signer: CertificateSigner,
    *,
    common_name: str,
    organisation: str,
    oid: str,
    crl: str,
    issuer: str,
    now: datetime,
) -> x509.Certificate:
    """The CA certificate of the online key, by the root: for people's authentication only, path length 0 (C91).

    Only host names are constrained: Go and `cryptography` refuse a constraint on directory names entirely, strongSwan
    one on IP addresses. oid: the installation's own policy. crl, issuer: the URLs of the root's CRL and certificate.
    """
    constraints = x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=_NO_SERVERS)
    return signing.sign_certificate(
        x509.CertificateBuilder()
        .subject_name(distinguished_name(organisation, common_name))
        .issuer_name(above.subject)
        .public_key(key)
        .serial_number(new_serial())
        .not_valid_before(now - _SKEW)
        .not_valid_after(min(now + ISSUER_LIFE, above.not_valid_after_utc))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(key_identifier_of(above), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False
        )
        .add_extension(policies(DERIVED_PIV, DERIVED_PIV_HARDWARE, oid), critical=False)
        .add_extension(constraints, critical=True)
        .add_extension(distribution_points(crl), critical=False)
        .add_extension(authority_information(issuer=issuer), critical=False),
        signer,
    )


def responder_certificate(
    key: ec.EllipticCurvePublicKey,
    above: x509.Certificate,
    signer: CertificateSigner,
    *,
    organisation: str,
    now: datetime,
) -> x509.Certificate:
    """The certificate of the OCSP responder's key, for that purpose alone.

    Its short life makes a revocation check unnecessary (RFC 6960 §4.2.2.2.1).
    """
    return signing.sign_certificate(
        x509.CertificateBuilder()
        .subject_name(distinguished_name(organisation, "OCSP responder"))
        .issuer_name(above.subject)
        .public_key(key)
        .serial_number(new_serial())
        .not_valid_before(now - _SKEW)
        .not_valid_after(min(now + RESPONDER_LIFE, above.not_valid_after_utc))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(key_identifier_of(above), critical=False)
        .add_extension(key_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
        .add_extension(x509.OCSPNoCheck(), critical=False),
        signer,
    )


def revocation_list(  # noqa: PLR0913 - the parts of a CRL
    entries: Iterable[RevokedEntry],
    issuer: x509.Certificate,
    signer: CertificateSigner,
    *,
    number: int,
    now: datetime,
    life: timedelta = LIST_LIFE,
    only_for: str = "",
) -> bytes:
    """A CRL as DER (RFC 5280 §5): complete for its issuer, or with `only_for` for one distribution point."""
    builder = (
        x509.CertificateRevocationListBuilder(
            issuer_name=issuer.subject,
            last_update=now - _SKEW,
            next_update=now - _SKEW + life,
            revoked_certificates=[_listed(one) for one in entries],
        )
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(key_identifier_of(issuer), critical=False)
    )
    if only_for:
        scope = x509.IssuingDistributionPoint(
            full_name=[x509.UniformResourceIdentifier(only_for)],
            relative_name=None,
            only_contains_user_certs=False,
            only_contains_ca_certs=False,
            only_some_reasons=None,
            indirect_crl=False,
            only_contains_attribute_certs=False,
        )
        builder = builder.add_extension(scope, critical=True)
    return signing.sign_revocation_list(builder, signer)


def _listed(entry: RevokedEntry) -> x509.RevokedCertificate:
    made = x509.RevokedCertificateBuilder().serial_number(entry.serial).revocation_date(entry.at)
    if entry.reason is not None:
        made = made.add_extension(x509.CRLReason(entry.reason), critical=False)
    return made.build()


class UnreadableRequest(Exception):
    """The OCSP request cannot be parsed."""


@dataclass(frozen=True, kw_only=True)
class OcspRequest:
    """A parsed OCSP request about one certificate."""

    request: ocsp.OCSPRequest
    serial: int
    nonce: bytes | None

    @classmethod
    def read(cls, der: bytes) -> OcspRequest:
        """Parse an OCSP request.

        Raises: Unreadable; also for a request about several certificates (RFC 5019 §2.1.1 forbids it).
        """
        try:
            found = ocsp.load_der_ocsp_request(der)
            nonces = [one.value.nonce for one in found.extensions if isinstance(one.value, x509.OCSPNonce)]
            _ = (found.issuer_key_hash, found.issuer_name_hash, found.hash_algorithm)  # reading parses them
            serial = found.serial_number
        except Exception as error:  # a parser of unverified bytes
            raise UnreadableRequest from error
        return cls(request=found, serial=serial, nonce=next(iter(nonces), None))

    def is_about(self, issuer: x509.Certificate) -> bool:
        """True if the request names this issuer, by name and by key."""
        key = issuer.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        # RFC 6960 §4.1.1: of the key without its algorithm
        bits = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        found = (self._hashed(issuer.subject.public_bytes()), self._hashed(bits))
        return found == (self.request.issuer_name_hash, self.request.issuer_key_hash)

    def _hashed(self, data: bytes) -> bytes:
        digest = hashes.Hash(self.request.hash_algorithm)
        digest.update(data)
        return digest.finalize()


def ocsp_response(  # noqa: PLR0913 - the parts of a response
    question: OcspRequest,
    found: RevokedEntry | None,
    *,
    known: bool,
    certificate: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> bytes:
    """A signed OCSP response as DER; known: whether a certificate of that number was ever released, else `unknown`."""
    status = (
        ocsp.OCSPCertStatus.REVOKED if found else ocsp.OCSPCertStatus.GOOD if known else ocsp.OCSPCertStatus.UNKNOWN
    )
    asked = question.request
    made = (
        ocsp.OCSPResponseBuilder()
        .add_response_by_hash(
            issuer_name_hash=asked.issuer_name_hash,
            issuer_key_hash=asked.issuer_key_hash,
            serial_number=asked.serial_number,
            algorithm=asked.hash_algorithm,
            cert_status=status,
            this_update=now,
            next_update=now + ANSWER_LIFE,
            revocation_time=found.at if found else None,
            revocation_reason=found.reason if found else None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, certificate)
        .certificates([certificate])
    )
    if question.nonce is not None:
        made = made.add_extension(x509.OCSPNonce(question.nonce), critical=False)
    return made.sign(key, signing.digest_of(key.public_key())).public_bytes(Encoding.DER)


def ocsp_error(why: ocsp.OCSPResponseStatus) -> bytes:
    """An unsigned OCSP error response."""
    return ocsp.OCSPResponseBuilder.build_unsuccessful(why).public_bytes(Encoding.DER)
