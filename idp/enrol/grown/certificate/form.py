"""The form of a certificate: the request and the attestation of its key, as text or as a file, PEM or DER.

The page shows a challenge, and the request must contain it. So it was made for this login, by the holder of its key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.files.uploadedfile import UploadedFile
from django.utils.crypto import salted_hmac

from derived.errors import Reason, Refused
from derived.minting import csr
from derived.minting.hardware import statement as hardware
from derived.minting.hardware import yubikey
from derived.minting.hardware.judge import judge
from idp.policies import attestation
from idp.secrets import code_from, grouped, matches_code

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from derived.minting.csr import CertificateKey
    from derived.minting.hardware.statement import HardwareEvidence
    from idp.models import LoginSession

_CHALLENGE = 24  # characters of 5 bits
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


def challenge(session: LoginSession) -> str:
    """The challenge that a certificate request made in this login contains, in groups."""
    random = salted_hmac("ramet/certificate-request", str(session.id), algorithm="sha256").digest()
    return grouped(code_from(random, _CHALLENGE))


def key(request: HttpRequest, session: LoginSession) -> CertificateKey:
    """The key of the request, which was made for this login.

    Raises: Refused(BAD_PROOF), Refused(WEAK_KEY), Refused(CHALLENGE_MISSING).
    """
    given, expected = _given(request, "request"), challenge(session)
    if _BEGIN not in given:
        return csr.from_der(given, lambda text: matches_code(text, expected))
    try:
        return csr.from_text(given.decode(), lambda text: matches_code(text, expected))
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
