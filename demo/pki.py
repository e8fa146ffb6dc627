"""A PKI in the shape of the Federal PKI, in memory; the tests and the demo share it.

    Common Policy CA (root, the anchor) ──▶ Bridge CA ──▶ Agency CA ──▶ cards
              ▲                                │ ├──────▶ Other Agency CA ──▶ cards
              └──────────── (a cycle) ─────────┘ └──────▶ Partner CA (own policy OIDs, mapped) ──▶ cards
    Outside CA ──▶ untrusted cards

`Responder` serves issuers' certificates (AIA), CRLs and OCSP answers over http on loopback, and can be made faulty. The
keys are not secret: these authorities end with the process.
"""

from __future__ import annotations

import threading
import uuid as uuids
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
    pkcs12,
)
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

COMMON = "2.16.840.1.101.3.2.1.3"
PIV_AUTH = f"{COMMON}.13"  # id-fpki-common-authentication
CARD_AUTH = f"{COMMON}.17"  # id-fpki-common-cardAuth: no PIN
HARDWARE = f"{COMMON}.7"  # id-fpki-common-hardware: signature and encryption
DERIVED = f"{COMMON}.40"  # id-fpki-common-derived-pivAuth
DERIVED_HARDWARE = f"{COMMON}.41"
PARTNER_AUTH = "2.999.42.13"  # a partner's policy, mapped by the bridge (2.999: examples)
UNMAPPED = "2.999.42.99"

CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string
SMARTCARD_LOGON = ExtendedKeyUsageOID.SMARTCARD_LOGON.dotted_string
EMAIL_PROTECTION = ExtendedKeyUsageOID.EMAIL_PROTECTION.dotted_string
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH.dotted_string
ANY_USAGE = "2.5.29.37.0"
CARD_AUTH_USAGE = "2.16.840.1.101.3.6.8"  # id-PIV-cardAuth

_FASC_N = x509.ObjectIdentifier("2.16.840.1.101.3.6.6")
_UPN = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
_ALL_POLICIES = (PIV_AUTH, CARD_AUTH, HARDWARE, DERIVED, DERIVED_HARDWARE)
_CA_LIFE = timedelta(days=3650)
_CARD_LIFE = timedelta(days=1095)
_CRL_LIFE = timedelta(hours=18)
_OCSP_LIFE = timedelta(hours=12)

IssuerName = Literal["root", "bridge", "agency", "other", "partner", "outside"]


def number_of(*, agency: int = 9999, system: int = 1, credential: int = 1, person: int = 1) -> bytes:
    """The 25 bytes of a FASC-N: 40 characters of 5 bits, with parity and a check (TIG SCEPACS)."""
    digits = f"S{agency:04}F{system:04}F{credential:06}F1F1F{person:010}1{agency:04}1E"
    values = [{"S": 11, "F": 13, "E": 15}.get(one, int(one) if one.isdigit() else 0) for one in digits]
    check = 0
    for value in values:
        check ^= value
    bits = ""
    for value in [*values, check]:
        low_first = f"{value:04b}"[::-1]
        bits += low_first + ("1" if low_first.count("1") % 2 == 0 else "0")
    return int(bits, 2).to_bytes(25, "big")


@dataclass(frozen=True)
class Card:
    """A certificate and its key, which a real card would never export."""

    certificate: x509.Certificate
    key: Key
    issuer: str
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        """The certificate as DER."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key as PEM, unencrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def chain_der(self) -> tuple[bytes, ...]:
        """The certificates between this one and the anchor, as a client may send them."""
        return tuple(one.public_bytes(Encoding.DER) for one in self.chain)

    def pkcs12(self, passphrase: bytes = b"", *, name: str = "PIV Authentication") -> bytes:
        """Certificate, key and chain as a .p12 for a browser."""
        encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        return pkcs12.serialize_key_and_certificates(
            name.encode(), self.key, self.certificate, list(self.chain), encryption
        )


@dataclass
class Authority:
    """A certification authority: its name, its key, and its revocations."""

    label: str
    name: x509.Name
    key: Key
    certificates: list[x509.Certificate] = field(default_factory=list)  # issued TO it, by whomever
    revoked: dict[int, tuple[datetime, x509.ReasonFlags | None]] = field(default_factory=dict)
    crl_number: int = 1
    responder: tuple[x509.Certificate, Key] | None = None

    @property
    def key_id(self) -> bytes:
        """Its subject key identifier (RFC 5280 §4.2.1.2, method 1)."""
        return x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()).digest


class Pki:
    """The authorities and their certificates."""

    def __init__(self, *, now: datetime, base_url: str) -> None:
        self.now = now
        self.base_url = base_url.rstrip("/")
        self._serial = 4096
        self.authorities: dict[str, Authority] = {}

    @classmethod
    def make(cls, *, now: datetime, base_url: str = "http://127.0.0.1:1") -> Pki:
        """Make all authorities, valid from a year before `now`; base_url: of their Responder."""
        pki = cls(now=now, base_url=base_url)
        root = pki.authority("root", "Demo Common Policy CA", organisation="Ramet Demo Government")
        bridge = pki.authority("bridge", "Demo Bridge CA", organisation="Ramet Demo Government")
        agency = pki.authority("agency", "Demo Agency CA", organisation="Ramet Demo Agency")
        other = pki.authority("other", "Demo Other Agency CA", organisation="Ramet Other Agency")
        partner = pki.authority("partner", "Demo Partner CA", organisation="Ramet Demo Partner")
        outside = pki.authority(
            "outside", "Demo Agency CA", organisation="Ramet Demo Agency"
        )  # the same name, another key
        pki.certify(root, by=root)
        pki.certify(outside, by=outside)
        pki.certify(bridge, by=root, require_policy=0)
        pki.certify(root, by=bridge)  # the cycle that real meshes have
        pki.certify(agency, by=bridge, within="Ramet Demo Agency", path_length=0)
        pki.certify(other, by=bridge, within="Ramet Other Agency", path_length=0)
        pki.certify(partner, by=bridge, within="Ramet Demo Partner", path_length=0, mapped={PIV_AUTH: PARTNER_AUTH})
        return pki

    # -- authorities

    def authority(self, label: str, common_name: str, *, organisation: str) -> Authority:
        """Make an authority without a certificate."""
        made = Authority(label, _name(organisation, common_name), ec.generate_private_key(ec.SECP256R1()))
        self.authorities[label] = made
        return made

    def certify(  # noqa: PLR0913 - the extensions of an authority's certificate
        self,
        subject: Authority,
        *,
        by: Authority,
        policies: Sequence[str] = _ALL_POLICIES,
        mapped: dict[str, str] | None = None,
        within: str = "",
        path_length: int | None = None,
        require_policy: int | None = None,
        not_after: datetime | None = None,
        usable: bool = True,
    ) -> x509.Certificate:
        """Certify an authority by another (or by itself), with the constraints of the Federal PKI."""
        start = self.now - timedelta(days=365)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject.name)
            .issuer_name(by.name)
            .public_key(subject.key.public_key())
            .serial_number(self._next_serial())
            .not_valid_before(start)
            .not_valid_after(not_after or start + _CA_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
            .add_extension(
                _key_usage("key_cert_sign", "crl_sign") if usable else _key_usage("digital_signature"), critical=True
            )
            .add_extension(x509.SubjectKeyIdentifier(subject.key_id), critical=False)
        )
        if subject is not by:
            builder = builder.add_extension(x509.AuthorityKeyIdentifier(by.key_id, None, None), critical=False)
            builder = builder.add_extension(_policies(policies), critical=False)
            builder = self._pointers(builder, by, ocsp_too=False)
        if within:
            base = x509.DirectoryName(x509.Name(_name(within, "").rdns[:2]))
            builder = builder.add_extension(
                x509.NameConstraints(permitted_subtrees=[base], excluded_subtrees=None), critical=True
            )
        if mapped:
            builder = builder.add_extension(_policy_mappings(mapped), critical=False)
        if require_policy is not None:
            builder = builder.add_extension(x509.PolicyConstraints(require_policy, None), critical=True)
        made = builder.sign(by.key, hashes.SHA256())
        subject.certificates.append(made)
        return made

    def _pointers(
        self, builder: x509.CertificateBuilder, by: Authority, *, ocsp_too: bool = True
    ) -> x509.CertificateBuilder:
        """The extensions that point to the issuer's certificates, CRLs and OCSP responder."""
        access = [_access(AuthorityInformationAccessOID.CA_ISSUERS, f"{self.base_url}/aia/{by.label}.p7c")]
        if ocsp_too:
            access.append(_access(AuthorityInformationAccessOID.OCSP, f"{self.base_url}/ocsp/{by.label}"))
        return builder.add_extension(x509.AuthorityInformationAccess(access), critical=False).add_extension(
            x509.CRLDistributionPoints([_point(f"{self.base_url}/crl/{by.label}.crl")]), critical=False
        )

    def _next_serial(self) -> int:
        self._serial += 1
        return (self._serial << 64) | int.from_bytes(uuids.uuid4().bytes[:8], "big")

    # -- cards

    def card(  # noqa: C901, PLR0912, PLR0913 - every part that a test may change
        self,
        *,
        person: str = "ALEX MOSS",
        issuer: IssuerName | str = "agency",
        policy: str | Sequence[str] = PIV_AUTH,
        uuid: uuids.UUID | Literal["none"] | None = None,
        fasc_n: bytes | None = b"",
        upn: str = "",
        email: str = "",
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        key_usage: Sequence[str] | None = ("digital_signature",),
        eku: Sequence[str] | None = (CLIENT_AUTH, SMARTCARD_LOGON),
        organisation: str = "",
        key: Key | None = None,
        serial: int | None = None,
        ca: bool | None = None,
        more_names: Sequence[x509.GeneralName] = (),
        pointers: bool = True,
        ocsp_too: bool = True,
        delta: bool = False,
        more: Sequence[tuple[x509.ExtensionType, bool]] = (),
        common_name: bool = True,
        digest: hashes.SHA256 | hashes.SHA384 | hashes.SHA224 | None = None,
        key_ids: bool = True,
    ) -> Card:
        """Issue the PIV authentication certificate of a card, or a faulty one.

        uuid: of the card; None makes one, "none" leaves it out. fasc_n: 25 bytes; b"" makes one, None leaves it out.
        key_usage: names of KeyUsage bits, None leaves it out. eku: dotted OIDs, None leaves it out. key: of an existing
        card (a renewed certificate). delta: the certificate names the delta CRL (freshestCRL).
        """
        by = self.authorities[issuer]
        key = key or ec.generate_private_key(ec.SECP256R1())
        organisation = organisation or str(by.name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value)
        identity = uuids.uuid4() if uuid is None else uuid
        number = number_of(credential=self._serial % 1_000_000, person=self._serial) if fasc_n == b"" else fasc_n
        names: list[x509.GeneralName] = list(more_names)
        if number is not None:
            names.append(x509.OtherName(_FASC_N, b"\x04" + bytes([len(number)]) + number))
        if identity != "none":
            names.append(x509.UniformResourceIdentifier(f"urn:uuid:{identity}"))
        if upn:
            names.append(x509.OtherName(_UPN, b"\x0c" + bytes([len(upn.encode())]) + upn.encode()))
        if email:
            names.append(x509.RFC822Name(email))
        start = not_before or self.now - timedelta(days=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(organisation, person if common_name else "", serial=number))
            .issuer_name(by.name)
            .public_key(key.public_key())
            .serial_number(serial or self._next_serial())
            .not_valid_before(start)
            .not_valid_after(not_after or start + _CARD_LIFE)
        )
        if key_ids:
            builder = builder.add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            ).add_extension(x509.AuthorityKeyIdentifier(by.key_id, None, None), critical=False)
        policies = [policy] if isinstance(policy, str) else list(policy)
        if policies:
            builder = builder.add_extension(_policies(policies), critical=False)
        if key_usage is not None:
            builder = builder.add_extension(_key_usage(*key_usage), critical=True)
        if eku is not None:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([x509.ObjectIdentifier(one) for one in eku]), critical=False
            )
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if pointers:
            builder = self._pointers(builder, by, ocsp_too=ocsp_too)
        if delta:
            builder = builder.add_extension(
                x509.FreshestCRL([_point(f"{self.base_url}/crl/{by.label}-delta.crl")]), critical=False
            )
        for extension, critical in more:
            builder = builder.add_extension(extension, critical=critical)
        chain = tuple(one for one in self._upwards(by) if one.subject != one.issuer)
        return Card(builder.sign(by.key, digest or hashes.SHA256()), key, by.label, chain)

    def card_auth(self, **changed: object) -> Card:
        """The card authentication certificate, which needs no PIN and is no root (AU-3)."""
        parts = {"policy": CARD_AUTH, "eku": (CARD_AUTH_USAGE, CLIENT_AUTH), "common_name": False, **changed}
        return self.card(**parts)  # type: ignore[arg-type]

    def signature(self, **changed: object) -> Card:
        """The digital signature certificate."""
        return self._for_mail(("digital_signature", "content_commitment"), changed)

    def encryption(self, **changed: object) -> Card:
        """The key management certificate."""
        return self._for_mail(("key_agreement",), changed)

    def _for_mail(self, usage: tuple[str, ...], changed: dict[str, object]) -> Card:
        parts = {"policy": HARDWARE, "key_usage": usage, "eku": (EMAIL_PROTECTION,), "fasc_n": None, **changed}
        return self.card(**parts)  # type: ignore[arg-type]

    def derived(self, *, hardware: bool = False, **changed: object) -> Card:
        """A derived PIV authentication certificate of another issuer (SP 800-157)."""
        parts = {"policy": DERIVED_HARDWARE if hardware else DERIVED, "fasc_n": None, **changed}
        return self.card(**parts)  # type: ignore[arg-type]

    def _upwards(self, by: Authority) -> Iterator[x509.Certificate]:
        """One path up from an authority, without repetition."""
        been: set[str] = set()
        while by.certificates and by.label not in been:
            been.add(by.label)
            first = by.certificates[0]
            yield first
            by = next(
                (one for one in self.authorities.values() if one.name == first.issuer and one.label != "outside"), by
            )

    # -- revocation

    def revoke(
        self,
        card: Card,
        *,
        at: datetime | None = None,
        reason: x509.ReasonFlags | None = x509.ReasonFlags.key_compromise,
    ) -> None:
        """Revoke a card's certificate."""
        by = self.authorities[card.issuer]
        by.revoked[card.certificate.serial_number] = (at or self.now - timedelta(minutes=1), reason)
        by.crl_number += 1

    def revoke_authority(self, label: str, *, by: str) -> None:
        """Revoke the certificate that one authority issued to another."""
        issuer = self.authorities[by]
        for one in self.authorities[label].certificates:
            if one.issuer == issuer.name:
                issuer.revoked[one.serial_number] = (self.now - timedelta(minutes=1), x509.ReasonFlags.ca_compromise)
        issuer.crl_number += 1

    def crl(  # noqa: PLR0913 - the parts of a CRL
        self,
        issuer: str,
        *,
        this_update: datetime | None = None,
        next_update: datetime | None = None,
        delta: bool = False,
        names_delta: bool = False,
        revoked: Iterable[int] | None = None,
        key: Key | None = None,
        number: int | None = None,
    ) -> bytes:
        """A CRL as DER.

        delta: the changes since number 1 (the base is then the CRL with `revoked=[]`, `number=1`). names_delta: with
        freshestCRL. revoked: serials, if not all revoked ones. key: another signer than the issuer.
        """
        by = self.authorities[issuer]
        start = this_update or self.now - timedelta(minutes=5)
        serials = by.revoked if revoked is None else {one: by.revoked.get(one, (self.now, None)) for one in revoked}
        entries = []
        for serial, (at, reason) in serials.items():
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at)
            if reason is not None:
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            entries.append(entry.build())
        builder = (
            x509.CertificateRevocationListBuilder(
                by.name, start, next_update or start + _CRL_LIFE, revoked_certificates=entries
            )
            .add_extension(x509.CRLNumber(by.crl_number if number is None else number), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier(by.key_id, None, None), critical=False)
        )
        if delta:
            builder = builder.add_extension(x509.DeltaCRLIndicator(1), critical=True)
        if names_delta:
            builder = builder.add_extension(
                x509.FreshestCRL([_point(f"{self.base_url}/crl/{issuer}-delta.crl")]), critical=False
            )
        return builder.sign(key or by.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def ocsp(  # noqa: PLR0913 - the parts of an answer
        self,
        request_der: bytes,
        *,
        delegated: bool = True,
        this_update: datetime | None = None,
        next_update: datetime | None = None,
        always_good: bool = False,
        signer: tuple[x509.Certificate, Key] | None = None,
        nonce: bool = True,
    ) -> bytes:
        """An OCSP answer (RFC 6960) as DER, signed by a delegated responder or by the authority itself.

        always_good: for revoked certificates too. signer: another signer. nonce: whether the request's is echoed.
        """
        asked = ocsp.load_der_ocsp_request(request_der)
        by = next(
            (one for one in self.authorities.values() if _key_hash(one, asked.hash_algorithm) == asked.issuer_key_hash),
            None,
        )
        if by is None:
            return ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED).public_bytes(
                Encoding.DER
            )
        found = None if always_good else by.revoked.get(asked.serial_number)
        start = this_update or self.now - timedelta(minutes=5)
        certificate, key = signer or (self.responder_of(by) if delegated else (by.certificates[0], by.key))
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response_by_hash(
                issuer_name_hash=asked.issuer_name_hash,
                issuer_key_hash=asked.issuer_key_hash,
                serial_number=asked.serial_number,
                algorithm=asked.hash_algorithm,
                cert_status=ocsp.OCSPCertStatus.REVOKED if found else ocsp.OCSPCertStatus.GOOD,
                this_update=start,
                next_update=next_update or start + _OCSP_LIFE,
                revocation_time=found[0] if found else None,
                revocation_reason=found[1] if found else None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, certificate)
        )
        if delegated or signer:
            builder = builder.certificates([certificate])
        for extension in asked.extensions:
            if nonce and isinstance(extension.value, x509.OCSPNonce):
                builder = builder.add_extension(extension.value, critical=False)
        return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)

    def responder_of(self, by: Authority) -> tuple[x509.Certificate, Key]:
        """The delegated OCSP responder of an authority, made on first use."""
        if by.responder is None:
            by.responder = self.make_responder(by)
        return by.responder

    def make_responder(
        self, by: Authority, *, may_sign: bool = True, no_check: bool = True, not_after: datetime | None = None
    ) -> tuple[x509.Certificate, Key]:
        """An OCSP signer under an authority; without `may_sign` it has no OCSPSigning usage (RFC 6960 §4.2.2.2)."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name("Ramet Demo Agency", f"OCSP of {by.label}"))
            .issuer_name(by.name)
            .public_key(key.public_key())
            .serial_number(self._next_serial())
            .not_valid_before(self.now - timedelta(days=1))
            .not_valid_after(not_after or self.now + timedelta(days=400))
            .add_extension(x509.AuthorityKeyIdentifier(by.key_id, None, None), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(_key_usage("digital_signature"), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.OCSP_SIGNING if may_sign else ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            )
        )
        if no_check:
            builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)
        return builder.sign(by.key, hashes.SHA256()), key

    # -- files for an operator

    def anchors_pem(self) -> bytes:
        """The self-signed root, as a trust anchor."""
        return self.authorities["root"].certificates[0].public_bytes(Encoding.PEM)

    def intermediates(self) -> list[x509.Certificate]:
        """The certificates of authorities under the root."""
        labels = [label for label in self.authorities if label != "outside"]
        return [one for label in labels for one in self.authorities[label].certificates if one.subject != one.issuer]

    def intermediates_pem(self) -> bytes:
        """The same as PEM."""
        return b"".join(one.public_bytes(Encoding.PEM) for one in self.intermediates())

    def issuers_p7c(self, label: str) -> bytes:
        """Every certificate issued to an authority, for its AIA pointer (a certs-only PKCS #7)."""
        return pkcs7.serialize_certificates(self.authorities[label].certificates, Encoding.DER)

    def write(self, folder: Path, *, intermediates: bool = True, policy: str = "") -> None:
        """Write the folder that a Ramet reads as `RAMET_VAR/pki`: anchors, intermediates, and the hosts to fetch from.

        policy: further lines of validation.toml.
        """
        (folder / "anchors").mkdir(parents=True, exist_ok=True)
        (folder / "anchors" / "common-policy.pem").write_bytes(self.anchors_pem())
        if intermediates:
            (folder / "intermediates").mkdir(exist_ok=True)
            (folder / "intermediates" / "authorities.pem").write_bytes(self.intermediates_pem())
        (folder / "validation.toml").write_text(f'fetch_from = ["{urlsplit(self.base_url).netloc}"]\n{policy}')


Mode = Literal["well", "dead", "slow", "stale", "lying", "stranger", "refusing", "rubbish"]


class Responder:
    """Serves a Pki on loopback: /aia/NAME.p7c, /crl/NAME.crl, /crl/NAME-delta.crl, /ocsp/NAME.

    modes: of "aia", "crl" and "ocsp": well; dead (500); slow (beyond every timeout); stale (yesterday's answers); lying
    (never revoked); stranger (another signer); refusing (OCSP's tryLater, else 404); rubbish (no DER).
    asked: the requested paths, in order.
    """

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.clock = clock
        self.pki: Pki | None = None
        self.modes: dict[str, Mode] = {"aia": "well", "crl": "well", "ocsp": "well"}
        self.delta = False  # whether there are deltas; the base is then frozen as it was before anything was revoked
        self.names_delta = True  # whether the base names its delta
        self.asked: list[str] = []
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @classmethod
    def of_new_pki(cls, *, now: datetime, clock: Callable[[], datetime] | None = None) -> tuple[Pki, Responder]:
        """A Pki and the responder that its certificates point to."""
        responder = cls(clock or (lambda: datetime.now(UTC)))
        responder.pki = Pki.make(now=now, base_url=responder.url)
        return responder.pki, responder

    def set_all(self, mode: Mode) -> None:
        """Set the mode of every service."""
        for service in self.modes:
            self.modes[service] = mode

    def close(self) -> None:
        """Stop serving, and release waiting requests."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, body: bytes) -> tuple[int, str, bytes]:
        """Status, content type and body for one request."""
        service, _, name = path.strip("/").partition("/")
        if self.pki is None or service not in self.modes:
            return 404, "text/plain", b""
        mode = self.modes[service]
        if mode == "dead":
            return 500, "text/plain", b""
        if mode == "slow":
            self._closing.wait(30)
        if mode == "rubbish":
            return 200, "application/octet-stream", b"\x30\x03rubbish"
        if mode == "refusing" and service != "ocsp":
            return 404, "text/plain", b""
        if service == "aia":
            return self._issuers(self.pki, name)
        return self._crl(self.pki, name, mode) if service == "crl" else self._ocsp(self.pki, body, mode)

    @staticmethod
    def _issuers(pki: Pki, name: str) -> tuple[int, str, bytes]:
        label = name.removesuffix(".p7c")
        return (
            (200, "application/pkcs7-mime", pki.issuers_p7c(label))
            if label in pki.authorities
            else (404, "text/plain", b"")
        )

    def _times(self, mode: str, life: timedelta) -> tuple[datetime, datetime]:
        now = self.clock()
        start = now - (life + timedelta(days=1) if mode == "stale" else timedelta(minutes=5))
        return start, start + life

    def _crl(self, pki: Pki, name: str, mode: str) -> tuple[int, str, bytes]:
        delta = name.endswith("-delta.crl")
        label = name.removesuffix("-delta.crl").removesuffix(".crl")
        if label not in pki.authorities or (delta and not self.delta):
            return 404, "text/plain", b""
        start, end = self._times(mode, _CRL_LIFE)
        key = ec.generate_private_key(ec.SECP256R1()) if mode == "stranger" else None
        base_only = self.delta and not delta
        revoked: list[int] | None = [] if mode == "lying" or base_only else None
        made = pki.crl(
            label,
            this_update=start,
            next_update=end,
            delta=delta,
            names_delta=base_only and self.names_delta,
            revoked=revoked,
            key=key,
            number=1 if base_only else None,
        )
        return 200, "application/pkix-crl", made

    def _ocsp(self, pki: Pki, body: bytes, mode: str) -> tuple[int, str, bytes]:
        content_type = "application/ocsp-response"
        if mode == "refusing":
            refusal = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
            return 200, content_type, refusal.public_bytes(Encoding.DER)
        start, end = self._times(mode, _OCSP_LIFE)
        signer = pki.responder_of(pki.authorities["outside"]) if mode == "stranger" else None
        made = pki.ocsp(
            body, this_update=start, next_update=end, always_good=mode in {"lying", "stranger"}, signer=signer
        )
        return 200, content_type, made

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        responder = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply(b"")

            def do_POST(self) -> None:
                self._reply(self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 65536)))

            def _reply(self, body: bytes) -> None:
                responder.asked.append(self.path)
                try:
                    status, content_type, answer = responder.answer(self.path, body)
                except ValueError:
                    status, content_type, answer = 400, "text/plain", b""
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", content_type)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    return  # the client has gone

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        return Handler


@contextmanager
def serving(*, now: datetime, clock: Callable[[], datetime] | None = None) -> Iterator[tuple[Pki, Responder]]:
    """A Pki with its Responder, for as long as the block lasts."""
    pki, responder = Responder.of_new_pki(now=now, clock=clock)
    try:
        yield pki, responder
    finally:
        responder.close()


def _name(organisation: str, common_name: str, *, serial: bytes | None = None) -> x509.Name:
    parts = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
    ]
    if common_name:
        parts.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    elif serial:
        parts.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, serial.hex().upper()))
    return x509.Name(parts)


def _key_usage(*bits: str) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in bits for name in names})


def _policies(oids: Iterable[str]) -> x509.CertificatePolicies:
    return x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in oids])


def _policy_mappings(mapped: dict[str, str]) -> x509.UnrecognizedExtension:
    """RFC 5280 §4.2.1.5; encoded here, because `cryptography` has no class for it."""

    def oid(dotted: str) -> bytes:
        first, second, *rest = (int(part) for part in dotted.split("."))
        encoded = b""
        for arc in [first * 40 + second, *rest]:
            septets = [arc & 0x7F]
            while arc := arc >> 7:
                septets.append(0x80 | arc & 0x7F)
            encoded += bytes(reversed(septets))
        return _der(0x06, encoded)

    pairs = b"".join(_der(0x30, oid(issuers) + oid(subjects)) for issuers, subjects in mapped.items())
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), _der(0x30, pairs))


def _der(tag: int, body: bytes) -> bytes:
    if len(body) >= 0x80:  # noqa: PLR2004 - DER's short form
        message = "nothing here is that long"
        raise ValueError(message)
    return bytes([tag, len(body)]) + body


def _access(method: x509.ObjectIdentifier, url: str) -> x509.AccessDescription:
    return x509.AccessDescription(method, x509.UniformResourceIdentifier(url))


def _point(url: str) -> x509.DistributionPoint:
    return x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)


def _key_hash(one: Authority, algorithm: hashes.HashAlgorithm) -> bytes:
    """The issuerKeyHash (RFC 6960 §4.1.1): over the public key's bits, without its algorithm."""
    if isinstance(one.key, ec.EllipticCurvePrivateKey):
        bits = one.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    else:
        bits = one.key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    digest = hashes.Hash(algorithm)
    digest.update(bits)
    return digest.finalize()
