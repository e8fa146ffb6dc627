"""FIDO metadata about authenticator models, read tolerantly, and the operator's policy on it (PK-2, C60, RQ-4).

The file is JSON as published by FIDO inside a signed BLOB (FIDO Metadata Service 3.1). An entry that cannot be read is
left out: its model is then unknown, and unknown models are unattested.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from derived.errors import Reason, Refused
from derived.minting.chains import leads_to

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

_Json: TypeAlias = Any  # of another party, not verified

NOBODY = "00000000-0000-0000-0000-000000000000"  # the AAGUID of authenticators that do not name their model
SIGNER = "mds.fidoalliance.org"
# GlobalSign Root CA - R3, the root of FIDO's BLOB: SHA-256 of its DER.
PUBLISHED_ROOT = "cbb522d7b7f127ad6a0113865bdf1cd4102e7d0759af635a7cf4720dc963c53b"

_CERTIFIED = "FIDO_CERTIFIED"
_BAD = frozenset(
    {
        "REVOKED",
        "USER_VERIFICATION_BYPASS",
        "ATTESTATION_KEY_COMPROMISE",
        "USER_KEY_REMOTE_COMPROMISE",
        "USER_KEY_PHYSICAL_COMPROMISE",
    }
)
_ISOLATED = frozenset({"secure_element", "tee"})
_ES256_SIGNATURE = 64
_LEAST_PASSCODE, _MOST_TRIES = 4, 10  # 63B-4 §3.2.10


@dataclass(frozen=True, kw_only=True)
class Model:
    """A metadata entry: a model of authenticator.

    ids: its AAGUID, or for U2F the key identifiers (RFC 5280 §4.2.1.2 (1), hex) of its attestation certificates. roots:
    base64 DER of its trust anchors, or the attestation certificates themselves. passcodes: (least length, wrong tries
    before it locks) of each passcode; 0 if the entry does not say.
    """

    ids: tuple[str, ...]
    description: str
    roots: tuple[str, ...]
    statuses: tuple[str, ...]
    key_protection: frozenset[str]
    passcodes: tuple[tuple[int, int], ...] = ()

    @property
    def trust_anchors(self) -> list[bytes]:
        """The roots as DER, without entries that are not base64."""
        found = []
        for root in self.roots:
            try:
                found.append(base64.b64decode("".join(root.split()), validate=True))
            except (binascii.Error, ValueError):
                continue
        return found

    @property
    def keeps_its_keys(self) -> bool:
        """True if its keys are in isolated hardware and non-exportable (63B-4 §3.2.13)."""
        said = self.key_protection
        return "hardware" in said and bool(said & _ISOLATED) and "software" not in said

    @property
    def limits_guessing(self) -> bool:
        """True if every passcode meets the length and retry limits of an activation secret (TH-4).

        If the entry does not say, CTAP 2.1 §6.5 applies: at least four characters, and eight tries.
        """
        return all((not least or least >= _LEAST_PASSCODE) and tries <= _MOST_TRIES for least, tries in self.passcodes)


@dataclass(frozen=True, kw_only=True)
class ModelPolicy:
    """The models that count as attested (RQ-4).

    allow: only these, by AAGUID or key identifier; None for every model that FIDO has certified. deny: never these. A
    model that FIDO reports as broken never counts, even if allowed.
    """

    allow: frozenset[str] | None = None
    deny: frozenset[str] = frozenset()

    def admits(self, model: Model) -> bool:
        """True if this model may count as attested."""
        if _BAD.intersection(model.statuses) or self.deny.intersection(model.ids):
            return False
        if self.allow is not None:
            return bool(self.allow.intersection(model.ids))
        return any(status.startswith(_CERTIFIED) for status in model.statuses)


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """The metadata of all known models.

    number: of the publication, only rising. next_update: when the next publication is due.
    """

    number: int = 0
    next_update: date | None = None
    models: Mapping[str, Model] = field(default_factory=dict)

    def model(self, name: str) -> Model | None:
        """The model of an AAGUID or a key identifier; the all-zero AAGUID names no model."""
        return None if name == NOBODY else self.models.get(name.lower())

    def is_stale(self, today: date) -> bool:
        """True if a newer publication is due."""
        return self.next_update is None or self.next_update < today


def key_identifier(certificate: x509.Certificate) -> str:
    """The identifier of a U2F attestation certificate in the metadata (RFC 5280 §4.2.1.2 (1), SHA-1, hex)."""
    return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest.hex()


def read(document: bytes) -> Metadata:
    """Read a publication.

    Raises: Refused(BAD_PROOF) if it is not a publication at all.
    """
    try:
        found = json.loads(document)
        entries, number = found["entries"], int(found["no"])
        next_update = date.fromisoformat(found["nextUpdate"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Refused(Reason.BAD_PROOF) from None
    models: dict[str, Model] = {}
    for entry in entries if isinstance(entries, list) else []:
        model = _model(entry)
        for name in model.ids if model else ():
            models[name] = model  # type: ignore[assignment]
    return Metadata(number=number, next_update=next_update, models=models)


def _model(entry: _Json) -> Model | None:
    """The model of an entry, or None if required members are missing or the model is UAF only."""
    try:
        said = entry["metadataStatement"]
        ids = [entry["aaguid"]] if "aaguid" in entry else entry.get("attestationCertificateKeyIdentifiers", [])
        made = Model(
            ids=tuple(str(one).lower() for one in ids),
            description=str(said.get("description", ""))[:200],
            roots=tuple(str(one) for one in said.get("attestationRootCertificates", [])),
            statuses=tuple(str(one["status"]) for one in entry["statusReports"]),
            key_protection=frozenset(str(one) for one in said.get("keyProtection", [])),
            passcodes=tuple(_passcodes(said)),
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
    return made if made.ids else None


def _passcodes(said: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """The passcodes among the user verification methods (FIDO Metadata Statement 3.1 §3.2.1)."""
    for together in said.get("userVerificationDetails", []):
        for one in together:
            if str(one.get("userVerificationMethod", "")).startswith("passcode") and (described := one.get("caDesc")):
                yield int(described.get("minLength", 0)), int(described.get("maxRetries", 0))


def opened(token: str, *, anchors: Sequence[bytes], now: datetime) -> bytes:
    """The publication inside a signed BLOB (a JWS of RFC 7515), after its signature and its signer are verified.

    anchors: DER of the accepted roots of the signer's certificate. Its revocation is not checked.
    Raises: Refused(BAD_PROOF).
    """
    try:
        signed, _, signature64 = token.strip().rpartition(".")
        header64, payload64 = signed.split(".")
        header = json.loads(_unpadded(header64))
        chain = [base64.b64decode(one, validate=True) for one in header["x5c"]]
        leaf = x509.load_der_x509_certificate(chain[0])
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DNSName
        )
        _verify(leaf, header["alg"], _unpadded(signature64), signed.encode())
        payload = _unpadded(payload64)
    except (ValueError, TypeError, KeyError, IndexError, InvalidSignature, x509.ExtensionNotFound, RecursionError):
        raise Refused(Reason.BAD_PROOF) from None
    # Any site may have a certificate of the same CA; only FIDO's own host name identifies FIDO.
    if SIGNER not in names or not leads_to(chain, anchors, now=now):
        raise Refused(Reason.BAD_PROOF)
    return payload


def _verify(leaf: x509.Certificate, alg: str, signature: bytes, signed: bytes) -> None:
    key = leaf.public_key()
    if alg == "RS256" and isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, signed, padding.PKCS1v15(), SHA256())
    elif alg == "ES256" and isinstance(key, ec.EllipticCurvePublicKey) and len(signature) == _ES256_SIGNATURE:
        r, s = (int.from_bytes(half) for half in (signature[:32], signature[32:]))
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))
    else:
        raise InvalidSignature


def _unpadded(text: str) -> bytes:
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)


def fingerprint(der: bytes) -> str:
    """SHA-256 of a certificate, hex."""
    return hashlib.sha256(der).hexdigest()
