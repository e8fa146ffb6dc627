"""A signer through a program of the operator's, which reads a message and writes its signature.

A few lines of shell therefore connect another party's authority or a cloud's key service, without a library in this
process.
"""

from __future__ import annotations

import shlex
import subprocess
from base64 import b64decode
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from derived.errors import Reason, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = 10


class Command:
    """A program that reads bytes on standard input and writes their ECDSA signature, as DER, on standard output."""

    def __init__(self, arguments: list[str], public_key: ec.EllipticCurvePublicKey) -> None:
        self._arguments = arguments
        self._public_key = public_key

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public key, as the operator gave it; every signature is verified with it."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """The signature from the program.

        Raises: Unavailable(KEY_UNAVAILABLE).
        """
        try:
            done = subprocess.run(self._arguments, input=message, capture_output=True, timeout=_SECONDS, check=True)  # noqa: S603 - the operator's own program
        except (OSError, subprocess.SubprocessError) as error:
            raise Unavailable(Reason.KEY_UNAVAILABLE) from error
        return done.stdout


def signer(reference: Mapping[str, str]) -> Command:
    """The signer that `ca init --signer-command` recorded.

    reference: command, and public: base64 of the SubjectPublicKeyInfo.
    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    try:
        key = load_der_public_key(b64decode(reference["public"]))
        arguments = shlex.split(reference["command"])
    except (KeyError, ValueError) as error:
        raise Unavailable(Reason.KEY_UNAVAILABLE) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not arguments:
        raise Unavailable(Reason.KEY_UNAVAILABLE)
    return Command(arguments, key)
