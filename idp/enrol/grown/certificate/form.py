"""The form of a certificate: the request and the attestation of its key, as text or as a file, PEM or DER."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.files.uploadedfile import UploadedFile

from derived.errors import Reason, Refused
from derived.minting import csr
from derived.minting.hardware import statement as hardware
from derived.minting.hardware import yubikey
from derived.minting.hardware.judge import judge
from idp.policies import attestation

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from derived.minting.csr import CertificateKey
    from derived.minting.hardware.statement import HardwareEvidence

_BEGIN, _PRIVATE = b"-----BEGIN", b"PRIVATE KEY"


def _given(request: HttpRequest, name: str) -> bytes:
    """The text field or the file beside it; empty for neither.

    Raises: Refused(BAD_PROOF) for both, or for one that is too large.
    """
    text, file = request.POST.get(name, "").strip().encode(), request.FILES.get(f"{name}_file")
    sent = file.read(csr.MOST_BYTES + 1) if isinstance(file, UploadedFile) else b""
    if (text and sent) or max(len(text), len(sent)) > csr.MOST_BYTES:
        raise Refused(Reason.BAD_PROOF)
    return text or sent


def key(request: HttpRequest) -> CertificateKey:
    """The key of the request.

    Raises: Refused(BAD_PROOF), Refused(WEAK_KEY).
    """
    given = _given(request, "request")
    if _BEGIN not in given:
        return csr.from_der(given)
    try:
        return csr.from_text(given.decode())
    except UnicodeDecodeError:
        raise Refused(Reason.BAD_PROOF) from None


def kept(request: HttpRequest, of: CertificateKey, *, now: datetime) -> HardwareEvidence | None:
    """The attestation of a YubiKey; None without one.

    Its statement has no challenge and needs none: the request was signed by the attested key, and a key is bound once.
    Statements with a challenge come over a code (`attestation_api`).

    Raises: Refused(BAD_PROOF).
    """
    given = _given(request, "proof")
    if not given:
        return None
    statement = {"format": yubikey.FORM, "x5c": hardware.certificates_of_pem(given)}
    return judge(statement, hardware.AttestationRequest(key=of, nonce=b"", made_for=b"", now=now), attestation.trust())


def has_private_key(request: HttpRequest) -> bool:
    """True if the form has a private key in it."""
    files = [one for one in request.FILES.values() if isinstance(one, UploadedFile)]
    for one in files:
        one.seek(0)
    given = [value.encode() for value in request.POST.values() if isinstance(value, str)] + [
        one.read(csr.MOST_BYTES) for one in files
    ]
    return any(_PRIVATE in one for one in given)
