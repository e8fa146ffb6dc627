"""What an attestation proves: a model that FIDO's metadata knows, by a chain that leads to a root of *that* model.

`webauthn` verifies the statement itself; it also accepts any chain where it was given no roots, and for Android and Apple
adds roots of its own whatever the AAGUID says. So the chain is verified here, against the roots of the one model that the
AAGUID (or the U2F certificate) names, and without such roots nothing is attested (PK-2, C60).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

from derived.errors import Reason, Refused
from derived.minting.chains import leads_to
from derived.minting.fido.metadata import key_identifier

if TYPE_CHECKING:
    from datetime import datetime

    from derived.minting.fido.metadata import Metadata, Model, Policy

FORMATS = frozenset({"none", "packed", "tpm", "android-key", "apple", "fido-u2f"})
_AAGUID = ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")  # id-fido-gen-ce-aaguid
_OCTETS_16 = b"\x04\x10"
# TPM 2.0 part 2 §8.3: fixedTPM, fixedParent, sensitiveDataOrigin: made in this TPM, and it never leaves.
_STAYS = 0b110010


@dataclass(frozen=True, kw_only=True)
class Statement:
    """An attestation whose own signature was verified already.

    chain: DER, leaf first; empty for none and for self attestation. pub_area: a TPM's TPMT_PUBLIC.
    """

    fmt: str
    chain: tuple[bytes, ...]
    aaguid: str
    backup_eligible: bool
    pub_area: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What follows from it.

    attestation: its format, `self` where the key vouches for itself. model: the description of the model, if attested.
    listed_as: the AAGUID or key identifier that it is listed under, if attested. hardware: the key cannot leave it.
    """

    attestation: str
    attested: bool = False
    hardware: bool = False
    model: str = ""
    listed_as: str = ""


def judge(statement: Statement, *, metadata: Metadata, policy: Policy, now: datetime) -> Verdict:
    """What this attestation is worth. A question: an unknown model or chain is no reason to refuse a key, only to call it unattested.

    Raises: Refused(BAD_PROOF) for an attestation certificate that contradicts the authenticator's own data.
    """
    if statement.fmt == "none" or not statement.chain:
        return Verdict(attestation="none" if statement.fmt == "none" else "self")
    unattested = Verdict(attestation=statement.fmt)
    leaf = _leaf(statement)
    if leaf is None:
        return unattested
    name = key_identifier(leaf) if statement.fmt == "fido-u2f" else statement.aaguid
    model = metadata.model(name)
    if model is None or not policy.admits(model) or not leads_to(statement.chain, model.trust_anchors, now=now):
        return unattested
    return Verdict(
        attestation=statement.fmt,
        attested=True,
        model=model.description,
        listed_as=name,
        hardware=_is_kept(statement, model),
    )


def _leaf(statement: Statement) -> x509.Certificate | None:
    """The attestation certificate, or None where it cannot be one (WebAuthn §8.2.1).

    Raises: Refused(BAD_PROOF) if it names another model than the authenticator's data.
    """
    try:
        leaf = x509.load_der_x509_certificate(statement.chain[0])
        extensions = leaf.extensions
    except (ValueError, x509.DuplicateExtension):
        return None
    for extension in extensions:
        if extension.oid == _AAGUID and isinstance(extension.value, x509.UnrecognizedExtension):
            named = extension.value.value
            if extension.critical or named != _OCTETS_16 + bytes.fromhex(statement.aaguid.replace("-", "")):
                raise Refused(Reason.BAD_PROOF)
    return None if statement.fmt == "packed" and not _is_for_packed(leaf) else leaf


def _is_for_packed(leaf: x509.Certificate) -> bool:
    units = leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    try:
        constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    return (
        leaf.version == x509.Version.v3
        and not constraints.ca
        and "Authenticator Attestation" in [one.value for one in units]
    )


def _is_kept(statement: Statement, model: Model) -> bool:
    """Whether the key is proven never to leave its hardware: not syncable, the model's keys isolated, its passcode not guessable (TH-4)."""
    if statement.backup_eligible or not (model.keeps_its_keys and model.limits_guessing):
        return False
    return statement.fmt != "tpm" or int.from_bytes(statement.pub_area[4:8]) & _STAYS == _STAYS
