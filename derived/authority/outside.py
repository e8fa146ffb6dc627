"""An external authority, through a program of the operator's (docs/certificates.md, An authority of others).

The program gets `issue` or `revoke` as its last argument and a JSON object on standard input. It writes the
certificate, PEM or DER, on standard output, and exits with 0; any other result is a failure, and the call is repeated.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from derived.errors import Reason, Unavailable
from derived.minting.certificate import subject_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from derived.minting.certificate import CertificateContent

_SECONDS = 20
_MOST_BYTES = 64 * 1024
_NAMES = {"2.5.4.10": "O", "2.5.4.3": "CN", "0.9.2342.19200300.100.1.1": "UID"}


class ExternalAuthority:
    """The interface to the program; reference: `command`, as `ca outside` recorded it."""

    def __init__(self, reference: Mapping[str, str]) -> None:
        self._command = shlex.split(reference.get("command", ""))

    def issue(self, order: CertificateContent) -> x509.Certificate:
        """Have a certificate made.

        Raises: Unavailable(KEY_UNAVAILABLE).
        """
        raw = self._asked(
            "issue",
            {
                "serial": f"{order.serial:x}",
                "subject": [[_NAMES[one.oid.dotted_string], one.value] for one in subject_of(order)],
                "public_key": order.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
                "uuid": str(order.uuid),
                "policies": list(order.policies),
                "not_before": order.not_before.isoformat(),
                "not_after": order.not_after.isoformat(),
                "crl": order.addresses.crl,
                "ca_issuers": order.addresses.issuer,
                "ocsp": order.addresses.ocsp,
                "subject_der": b64encode(subject_of(order).public_bytes()).decode(),
            },
        )
        try:
            return x509.load_pem_x509_certificate(raw) if b"-----BEGIN" in raw else x509.load_der_x509_certificate(raw)
        except ValueError as error:
            raise Unavailable(Reason.KEY_UNAVAILABLE) from error

    def revoke(self, serial: int, why: str) -> None:
        """Have a certificate revoked, put on hold, or released from hold.

        Raises: Unavailable(KEY_UNAVAILABLE).
        """
        self._asked("revoke", {"serial": f"{serial:x}", "reason": str(why)})

    def _asked(self, word: str, said: dict[str, Any]) -> bytes:
        try:
            done = subprocess.run(  # noqa: S603
                [*self._command, word],
                input=json.dumps(said).encode(),
                capture_output=True,
                timeout=_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
            raise Unavailable(Reason.KEY_UNAVAILABLE) from error
        if len(done.stdout) > _MOST_BYTES:
            raise Unavailable(Reason.KEY_UNAVAILABLE)
        return done.stdout
