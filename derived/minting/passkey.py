"""WebAuthn: verify a registration or an assertion (Web Authentication Level 3 §7).

`webauthn` does the grammar and the signatures. Its gaps are closed here: size and shape of the input, the exact origin,
`crossOrigin`, the algorithms and their keys, the user handle, BE, the counter, and the judgement of attestations. UV is
never assumed: each time it is read from the authenticator's signed data (AU-4, trap 5).
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import webauthn
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from webauthn.helpers import (
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    parse_attestation_object,
    parse_authenticator_data,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import AttestationFormat

from derived.errors import Reason, Refused
from derived.minting.fido.attestation import FORMATS, SELF, AttestationStatement, judge
from derived.minting.proven import key_name
from derived.rules.assurance import AAL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from derived.minting.fido.metadata import Metadata, ModelPolicy

T = TypeVar("T")

ALGORITHMS = (
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
)
MOST_BYTES = 64 * 1024
_MOST_NESTED = 8
_LEAST_ID, _MOST_ID = 16, 1023  # WebAuthn §4: 100 bits of entropy at least, 1023 bytes at most
_LEAST_RSA, _MOST_RSA = 2048, 8192
_LEAST_EXPONENT = 65537
_TRANSPORTS = frozenset({"usb", "nfc", "ble", "smart-card", "hybrid", "internal"})
_TEXTS = frozenset({"clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"})


@dataclass(frozen=True, kw_only=True)
class CeremonyParameters:
    """The parameters with which a ceremony began.

    origin: compared whole; a subdomain is another origin (W2). user_verification: whether it was required.
    """

    challenge: bytes
    rp_id: str
    origin: str
    user_verification: bool = False


@dataclass(frozen=True, kw_only=True)
class RegisteredPasskey:
    """A verified WebAuthn registration; the fields are those of `Passkey`.

    attested: its attestation chains to a root of its model, and that model is admitted. hardware: the key is proven
    non-exportable. listed_as: the model's identifier in the FIDO metadata, "" if unattested. key: the name of its
    public key. proves_possession: the registration was signed by the key, or by hardware that vouches for it.
    """

    raw_id: bytes
    raw_id_hash: str
    public_key: bytes
    sign_count: int
    backup_eligible: bool
    backed_up: bool
    user_verified: bool
    discoverable: bool
    aaguid: str
    attestation: str
    attested: bool
    hardware: bool
    model: str
    transports: tuple[str, ...]
    listed_as: str = ""
    key: str = ""
    proves_possession: bool = False

    @property
    def proven_names(self) -> tuple[str, ...]:
        """The names that belong to this credential from now on; its id is chosen by the authenticator."""
        return tuple(name for name in (self.key if self.proves_possession else "", self.raw_id_hash) if name)

    @property
    def unproven_names(self) -> tuple[str, ...]:
        """The name of its public key where nothing proves that the caller holds it."""
        return (self.key,) if self.key and not self.proves_possession else ()

    @property
    def reaches(self) -> AAL:
        """The highest level of its logins: with its own user verification, or with a password (PK-1, PK-2)."""
        return AAL.AAL3 if self.hardware and self.attested and not self.backup_eligible else AAL.AAL2


@dataclass(frozen=True, kw_only=True)
class AssertionVerifier:
    """The verification data of an assertion: the registered credential and its owner.

    user_handle: the account's. named: whether the ceremony named this credential; if not, the response must carry the
    user handle.
    """

    public_key: bytes
    backup_eligible: bool
    user_handle: bytes
    named: bool


@dataclass(frozen=True, kw_only=True)
class VerifiedAssertion:
    """A verified assertion. Its counter is compared under the account's lock (`counter_regressed`)."""

    user_verified: bool
    backed_up: bool
    sign_count: int


def counter_regressed(before: int, now: int) -> bool:
    """True if a signature counter did not rise, so the key may have been copied; two zeros mean no counter."""
    return (before > 0 or now > 0) and now <= before


def hashed_id(raw_id: bytes) -> str:
    """The lookup key of a credential id."""
    return hashlib.sha256(raw_id).hexdigest()


def encoded(raw: bytes) -> str:
    """base64url without padding, as in WebAuthn's JSON."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """The bytes of base64url without padding.

    Raises: ValueError.
    """
    if "=" in text:
        raise ValueError
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


# --- options for the browser ---


def options_to_register(  # noqa: PLR0913 - the parts of a ceremony
    expected: CeremonyParameters,
    *,
    user_handle: bytes,
    name: str,
    display_name: str,
    known: Sequence[tuple[bytes, Sequence[str]]],
    seconds: int,
) -> dict[str, Any]:
    """PublicKeyCredentialCreationOptionsJSON (§5.1.4); known: every credential of the account, to be excluded."""
    return {
        "rp": {"id": expected.rp_id, "name": "Ramet"},
        "user": {"id": encoded(user_handle), "name": name, "displayName": display_name},
        "challenge": encoded(expected.challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": int(alg)} for alg in ALGORITHMS],
        "timeout": seconds * 1000,
        "excludeCredentials": [_descriptor(raw_id, transports) for raw_id, transports in known],
        "authenticatorSelection": {
            "residentKey": "preferred",
            "requireResidentKey": False,
            "userVerification": "required" if expected.user_verification else "preferred",
        },
        "attestation": "direct",
        "extensions": {"credProps": True},
    }


def options_to_assert(
    expected: CeremonyParameters, *, allowed: Sequence[tuple[bytes, Sequence[str]]], seconds: int
) -> dict[str, Any]:
    """PublicKeyCredentialRequestOptionsJSON; allowed: empty for discoverable credentials (C61)."""
    return {
        "challenge": encoded(expected.challenge),
        "rpId": expected.rp_id,
        "timeout": seconds * 1000,
        "allowCredentials": [_descriptor(raw_id, transports) for raw_id, transports in allowed],
        "userVerification": "required" if expected.user_verification else "preferred",
    }


def _descriptor(raw_id: bytes, transports: Sequence[str]) -> dict[str, Any]:
    return {"type": "public-key", "id": encoded(raw_id), "transports": list(transports)}


# --- responses of the browser ---


@dataclass(frozen=True, kw_only=True)
class UnverifiedResponse:
    """A browser's response of the right shape and size, not verified."""

    document: dict[str, Any]
    unverified_raw_id: bytes
    unverified_challenge: bytes
    unverified_user_handle: bytes


def parse(text: str) -> UnverifiedResponse:
    """Read RegistrationResponseJSON or AuthenticationResponseJSON, bounded before it is parsed.

    Raises: Refused(BAD_PROOF).
    """
    if len(text) > MOST_BYTES or not text.isascii():
        raise Refused(Reason.BAD_PROOF)
    try:
        document = json.loads(text)
        _shallow(document, _MOST_NESTED)
        inner = document["response"]
        if not all(isinstance(inner[name], str) for name in _TEXTS.intersection(inner) if inner[name] is not None):
            raise TypeError
        client = json.loads(decoded(inner["clientDataJSON"]))
        _shallow(client, _MOST_NESTED)
        return UnverifiedResponse(
            document=document,
            unverified_raw_id=decoded(document["rawId"]),
            unverified_challenge=decoded(client["challenge"]),
            unverified_user_handle=decoded(inner.get("userHandle") or ""),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Refused(Reason.BAD_PROOF) from None


def _shallow(value: object, left: int) -> None:
    if left < 0:
        raise ValueError
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            _shallow(one, left - 1)


def register(
    response: UnverifiedResponse,
    *,
    expected: CeremonyParameters,
    metadata: Metadata,
    policy: ModelPolicy,
    now: datetime,
) -> RegisteredPasskey:
    """Verify a registration (§7.1), and judge its attestation.

    Raises: Refused(BAD_PROOF).
    """
    _same_site(response)
    verified = _checked(
        lambda: webauthn.verify_registration_response(
            credential=response.document,
            expected_challenge=expected.challenge,
            expected_rp_id=expected.rp_id,
            expected_origin=expected.origin,
            require_user_presence=True,
            require_user_verification=expected.user_verification,
            supported_pub_key_algs=list(ALGORITHMS),
        )
    )
    _checked(lambda: _good_key(verified.credential_public_key))
    raw_id, fmt = verified.credential_id, AttestationFormat(verified.fmt).value
    # The browser's id and the authenticator's must be equal, because the browser's is looked up later.
    if raw_id != response.unverified_raw_id or not _LEAST_ID <= len(raw_id) <= _MOST_ID or fmt not in FORMATS:
        raise Refused(Reason.BAD_PROOF)
    attested = _checked(lambda: parse_attestation_object(verified.attestation_object))
    eligible = attested.auth_data.flags.be
    said = AttestationStatement(
        fmt=fmt,
        chain=tuple(attested.att_stmt.x5c or ()),
        aaguid=verified.aaguid,
        backup_eligible=eligible,
        pub_area=attested.att_stmt.pub_area or b"",
    )
    verdict = _checked(lambda: judge(said, metadata=metadata, policy=policy, now=now))
    return RegisteredPasskey(
        raw_id=raw_id,
        raw_id_hash=hashed_id(raw_id),
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        backup_eligible=eligible,
        backed_up=verified.credential_backed_up,
        user_verified=verified.user_verified,
        discoverable=_says_discoverable(response.document),
        aaguid=verified.aaguid,
        attestation=verdict.attestation,
        attested=verdict.attested,
        hardware=verdict.hardware,
        model=verdict.model,
        transports=_transports(response.document),
        listed_as=verdict.listed_as,
        key=public_key_name(verified.credential_public_key),
        proves_possession=verdict.attested or verdict.attestation == SELF,
    )


def verify(
    response: UnverifiedResponse, *, expected: CeremonyParameters, verifier: AssertionVerifier
) -> VerifiedAssertion:
    """Verify an assertion (§7.2) except its counter, which is compared under the account's lock.

    Raises: Refused(BAD_PROOF).
    """
    _same_site(response)
    handle = response.unverified_user_handle
    if (handle and handle != verifier.user_handle) or (not handle and not verifier.named):
        raise Refused(Reason.BAD_PROOF)
    verified = _checked(
        lambda: webauthn.verify_authentication_response(
            credential=response.document,
            expected_challenge=expected.challenge,
            expected_rp_id=expected.rp_id,
            expected_origin=expected.origin,
            credential_public_key=verifier.public_key,
            credential_current_sign_count=0,
            require_user_verification=expected.user_verification,
        )
    )
    flags = _checked(
        lambda: parse_authenticator_data(decoded(response.document["response"]["authenticatorData"])).flags
    )
    if flags.be != verifier.backup_eligible:  # BE never changes (§6.1.3): another value means another key
        raise Refused(Reason.BAD_PROOF)
    return VerifiedAssertion(user_verified=flags.uv, backed_up=flags.bs, sign_count=verified.new_sign_count)


def public_key_name(cose: bytes) -> str:
    """The name of a passkey's public key, as `key_name` gives it; cose: RFC 9052 COSE_Key.

    Raises: Refused(BAD_PROOF).
    """
    return _checked(lambda: key_name(_public(cose)))


def _checked(work: Callable[[], T]) -> T:
    try:
        return work()
    except Exception:  # noqa: BLE001 - parsers of unverified bytes may raise anything
        raise Refused(Reason.BAD_PROOF) from None


def _same_site(response: UnverifiedResponse) -> None:
    """Require that the response was not made inside another site's page.

    Raises: Refused(BAD_PROOF).
    """
    client = json.loads(decoded(response.document["response"]["clientDataJSON"]))
    if client.get("crossOrigin", False) is not False or "topOrigin" in client:
        raise Refused(Reason.BAD_PROOF)


def _public(cose: bytes) -> PublicKeyTypes:
    return decoded_public_key_to_cryptography(decode_credential_public_key(cose))


def _good_key(cose: bytes) -> None:
    """Require a key that matches its algorithm (RFC 9053) and is large enough.

    Raises: Refused(BAD_PROOF).
    """
    key: object = _public(cose)
    match decode_credential_public_key(cose).alg:
        case COSEAlgorithmIdentifier.ECDSA_SHA_256:
            good = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
        case COSEAlgorithmIdentifier.EDDSA:
            good = isinstance(key, ed25519.Ed25519PublicKey)
        case COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256:
            good = (
                isinstance(key, rsa.RSAPublicKey)
                and _LEAST_RSA <= key.key_size <= _MOST_RSA
                and key.public_numbers().e >= _LEAST_EXPONENT
            )
        case _:
            good = False
    if not good or cose[:1] == b"\x04":  # a bare U2F point carries no algorithm
        raise Refused(Reason.BAD_PROOF)


def _says_discoverable(document: dict[str, Any]) -> bool:
    """The browser's `credProps` hint, which is not signed."""
    try:
        return document["clientExtensionResults"]["credProps"]["rk"] is True
    except (KeyError, TypeError):
        return False


def _transports(document: dict[str, Any]) -> tuple[str, ...]:
    said = document["response"].get("transports")
    return (
        tuple(sorted(_TRANSPORTS.intersection(one for one in said if isinstance(one, str))))
        if isinstance(said, list)
        else ()
    )
