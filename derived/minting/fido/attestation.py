"""Judge a WebAuthn attestation: a model in the FIDO metadata, by a chain to a root of *that* model.

`webauthn` verifies the statement itself; without roots it accepts any chain, and for Android and Apple it adds its own
roots whatever the AAGUID is. The chain is therefore verified here, against the roots of the model that the AAGUID (or
the U2F certificate) names; without such roots nothing is attested (PK-2, C60).
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

    from derived.minting.fido.metadata import Metadata, Model, ModelPolicy

FORMATS = frozenset({"none", "packed", "tpm", "android-key", "apple", "fido-u2f"})
SELF = "self"  # signed by the new key itself, which proves possession of it
_AAGUID = ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")  # id-fido-gen-ce-aaguid
_OCTETS_16 = b"\x04\x10"
# TPM 2.0 part 2 §8.3: fixedTPM, fixedParent, sensitiveDataOrigin: generated in this TPM, and never exported.
_STAYS = 0b110010


@dataclass(frozen=True, kw_only=True)
class AttestationStatement:
    """An attestation statement whose own signature was verified already.

    chain: DER, leaf first; empty for none and for self attestation. pub_area: a TPM's TPMT_PUBLIC.
    """

    fmt: str
    chain: tuple[bytes, ...]
    aaguid: str
    backup_eligible: bool
    pub_area: bytes = b""


@dataclass(frozen=True, kw_only=True)
class AttestationVerdict:
    """The judgement of an attestation.

    attestation: its format, or `self` for self attestation. model: the description of the model, if attested.
    listed_as: the model's AAGUID or key identifier in the metadata, if attested. hardware: the key is non-exportable.
    """

    attestation: str
    attested: bool = False
    hardware: bool = False
    model: str = ""
    listed_as: str = ""


def judge(
    statement: AttestationStatement, *, metadata: Metadata, policy: ModelPolicy, now: datetime
) -> AttestationVerdict:
    """The judgement of an attestation; an unknown model or chain only makes a key unattested.

    Raises: Refused(BAD_PROOF) for an attestation certificate that contradicts the authenticator's own data.
    """
    if statement.fmt == "none" or not statement.chain:
        return AttestationVerdict(attestation="none" if statement.fmt == "none" else SELF)
    unattested = AttestationVerdict(attestation=statement.fmt)
    leaf = _leaf(statement)
    if leaf is None:
        return unattested
    name = key_identifier(leaf) if statement.fmt == "fido-u2f" else statement.aaguid
    model = metadata.model(name)
    if model is None or not policy.admits(model) or not leads_to(statement.chain, model.trust_anchors, now=now):
        return unattested
    return AttestationVerdict(
        attestation=statement.fmt,
        attested=True,
        model=model.description,
        listed_as=name,
        hardware=_is_kept(statement, model),
    )


def _leaf(statement: AttestationStatement) -> x509.Certificate | None:
    """The attestation certificate, or None if it does not meet WebAuthn §8.2.1.

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


def _is_kept(statement: AttestationStatement, model: Model) -> bool:
    """True if the key is proven non-exportable: not syncable, isolated keys, a limited passcode (TH-4)."""
    if statement.backup_eligible or not (model.keeps_its_keys and model.limits_guessing):
        return False
    return statement.fmt != "tpm" or int.from_bytes(statement.pub_area[4:8]) & _STAYS == _STAYS
