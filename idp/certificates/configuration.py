"""The operator's files below `RAMET_VAR/pki`: trust anchors, intermediates, and the policy; read again after a change.

    anchors/         PEM or DER: the trusted CAs. Without any, card logins are off.
    clients/         PEM or DER: the CAs of relying parties (RFC 8705 §2.1), never of cards
    intermediates/   PEM, DER or PKCS #7 (.p7b, .p7c): intermediate CAs; browsers often send the leaf alone
    validation.toml  all optional; the names are the fields of `Policy`

An anchor, a CA of relying parties or a policy that cannot be used makes the whole folder unusable. An intermediate
that cannot be used is left out: it can only be missing, never accept anything. `left_out` names it for the operator.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING

from asn1crypto import cms, pem
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7

from idp import renamed
from idp.certificates.reading import Unreadable, anchor, authority
from idp.config import config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from asn1crypto import x509 as asn1

_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,17})){1,30}")
_HOST = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[1-9][0-9]{0,4})?")
_ANY_POLICY = "2.5.29.32.0"
_MECHANISMS = ("ocsp", "crl")
_MOST_FILE_BYTES = 8 * 1024 * 1024
_FPKI = "2.16.840.1.101.3.2.1.3"


class BadConfiguration(Exception):
    """The faults below `RAMET_VAR/pki`, a line each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, kw_only=True)
class ValidationPolicy:
    """The accepted policies, and the required freshness of status.

    accepted: OIDs (after mapping) of PIV authentication: id-fpki-common-authentication; DoD's and others are added
    here. derived, derived_hardware: OIDs of derived PIV certificates, which sign in and are never a parent (AU-3).
    refused: OIDs that are never accepted, whatever else a certificate has: card authentication needs no PIN.
    fetch_from: `host` or `host:port` that may be asked for issuers, CRLs and OCSP. card_status_hours,
    authority_status_hours: the highest age of a status, even if its issuer promises longer. status_from: the
    mechanisms, used side by side. answer_seconds: the limit of a request; total_seconds: of all together.
    """

    accepted: tuple[str, ...] = (f"{_FPKI}.13",)
    derived: tuple[str, ...] = (f"{_FPKI}.40",)
    derived_hardware: tuple[str, ...] = (f"{_FPKI}.41",)
    refused: tuple[str, ...] = (f"{_FPKI}.17",)
    fetch_from: tuple[str, ...] = ()
    card_status_hours: int = 24
    authority_status_hours: int = 24 * 31
    status_from: tuple[str, ...] = _MECHANISMS
    answer_seconds: int = 2
    total_seconds: int = 6


_LIMITS = {
    "card_status_hours": (1, 168),
    "authority_status_hours": (1, 24 * 40),
    "answer_seconds": (1, 5),
    "total_seconds": (2, 15),
}


@dataclass(frozen=True, kw_only=True)
class Folder:
    """The parsed files; left_out: the intermediates that cannot be used, a line each."""

    anchors: tuple[asn1.Certificate, ...]
    clients: tuple[asn1.Certificate, ...]
    intermediates: tuple[asn1.Certificate, ...]
    policy: ValidationPolicy
    left_out: tuple[str, ...] = ()


def folder() -> Path:
    """The operator's folder."""
    return config().var / "pki"


def current() -> Folder:
    """The present files.

    Raises: BadConfiguration.
    """
    return _read(folder(), _fingerprint(folder()))


def _fingerprint(where: Path) -> tuple[tuple[str, int, int], ...]:
    """Changes whenever a file does."""
    found = []
    for path in [
        renamed.file(where, "validation.toml"),
        *_files(where / "anchors"),
        *_files(where / "clients"),
        *_files(where / "intermediates"),
    ]:
        try:
            facts = path.stat()
        except OSError:
            continue
        found.append((str(path), facts.st_mtime_ns, facts.st_size))
    return tuple(found)


def _files(where: Path) -> list[Path]:
    return (
        sorted(path for path in where.glob("*") if path.is_file() and not path.name.startswith("."))
        if where.is_dir()
        else []
    )


@lru_cache(maxsize=4)
def _read(where: Path, _fingerprint: tuple[tuple[str, int, int], ...]) -> Folder:
    faults: list[str] = []
    left_out = list[str]()
    anchors = _certificates(where / "anchors", anchor, faults)
    clients = _certificates(where / "clients", anchor, faults)
    intermediates = _certificates(where / "intermediates", authority, left_out)
    path, wrong = renamed.file(where, "validation.toml"), list[str]()
    policy = _policy(path, wrong)
    faults.extend(f"{path.name}: {fault}" for fault in wrong)
    if faults:
        raise BadConfiguration(faults)
    return Folder(
        anchors=anchors, clients=clients, intermediates=intermediates, policy=policy, left_out=tuple(left_out)
    )


def _certificates(
    where: Path, read: Callable[[bytes], asn1.Certificate], faults: list[str]
) -> tuple[asn1.Certificate, ...]:
    """The certificates of a folder; each that cannot be read is a fault, and the others of its file stay."""
    found: dict[bytes, asn1.Certificate] = {}
    for path in _files(where):
        name = f"{path.parent.name}/{path.name}"
        try:
            if path.stat().st_size > _MOST_FILE_BYTES:
                raise Unreadable("too large")
            ders = ders_of_file(path.read_bytes())
        except (OSError, ValueError, Unreadable) as error:
            faults.append(f"{name}: {error or 'cannot be read'}")
            continue
        for number, der in enumerate(ders, 1):
            try:
                certificate = read(der)
            except Unreadable as error:
                faults.append(f"{name}{f', certificate {number}' if len(ders) > 1 else ''}: {error}")
            else:
                found[certificate.sha256] = certificate
    return tuple(found.values())


def ders_of_file(data: bytes) -> list[bytes]:
    """The DER of each certificate of a file: PEM, DER, or PKCS #7 in either; not parsed.

    Raises: ValueError for another file.
    """
    if b"-----BEGIN PKCS7" in data:
        return _ders_of_pkcs7(pem.unarmor(data)[2])
    if b"-----BEGIN CERTIFICATE" in data:
        return [der for kind, _, der in pem.unarmor(data, multiple=True) if kind == "CERTIFICATE"]
    if not data.startswith(b"\x30"):
        message = "it holds no certificate in PEM, DER or PKCS #7"
        raise ValueError(message)
    try:
        return _ders_of_pkcs7(data)
    except ValueError:
        return [data]


def _ders_of_pkcs7(der: bytes) -> list[bytes]:
    """The certificates of a degenerate SignedData (RFC 5652 §5.1).

    Raises: ValueError.
    """
    try:
        content = cms.ContentInfo.load(der, strict=True)
        found = [one.chosen.dump() for one in content["content"]["certificates"] if one.name == "certificate"]
    except Exception:  # noqa: BLE001 - a lazy parser of unverified bytes may raise anything
        message = "it is not PKCS #7"
        raise ValueError(message) from None
    if content["content_type"].native != "signed_data":
        message = "it is PKCS #7 of another kind"
        raise ValueError(message)
    return found


def certificates_of_file(data: bytes) -> list[x509.Certificate]:
    """Certificates of a file or an answer: PEM, DER, or PKCS #7 in either.

    Raises: ValueError.
    """
    if b"-----BEGIN PKCS7" in data:
        return pkcs7.load_pem_pkcs7_certificates(data)
    if b"-----BEGIN CERTIFICATE" in data:
        return x509.load_pem_x509_certificates(data)
    try:
        return [x509.load_der_x509_certificate(data)]
    except ValueError:
        return pkcs7.load_der_pkcs7_certificates(data)


def _policy(path: Path, faults: list[str]) -> ValidationPolicy:
    if not path.exists():
        return ValidationPolicy()
    try:
        given = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        faults.append(str(error))
        return ValidationPolicy()
    known = {field.name for field in fields(ValidationPolicy)}
    wrong = [f"{name} is not known" for name in given if name not in known]
    values: dict[str, object] = {}
    for name in known & set(given):
        if name in _LIMITS:
            values[name] = _number(name, given[name], wrong)
        else:
            values[name] = _strings(name, given[name], wrong)
    if wrong:
        faults.extend(sorted(wrong))
        return ValidationPolicy()
    policy = ValidationPolicy(**values)  # type: ignore[arg-type]  # checked by name above
    seen = [*policy.accepted, *policy.derived, *policy.derived_hardware, *policy.refused]
    faults.extend(f"{oid} stands twice" for oid in sorted({oid for oid in seen if seen.count(oid) > 1}))
    if policy.total_seconds < policy.answer_seconds:
        faults.append("total_seconds is less than answer_seconds")
    return policy


def _number(name: str, value: object, wrong: list[str]) -> int:
    least, most = _LIMITS[name]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        wrong.append(f"{name} must be a whole number from {least} to {most}")
        return least
    return value


def _strings(name: str, value: object, wrong: list[str]) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        wrong.append(f"{name} must be a list of strings")
        return ()
    words = tuple(str(one) for one in value)
    for one in words:
        if name == "fetch_from":
            good = _HOST.fullmatch(one) is not None
        elif name == "status_from":
            good = one in _MECHANISMS
        else:
            good = _OID.fullmatch(one) is not None and one != _ANY_POLICY
        if not good:
            wrong.append(f"{name}: {one!r} is not usable")
    if not words and name in {"accepted", "status_from"}:
        wrong.append(f"{name} must not be empty")
    return words
