"""A device key in a TPM 2.0, by `tpm2-tools`: made there, not exportable, and attested.

A TPM rather than a PKCS#11 token, because a TPM signs a statement about the key with an *attestation key* (AK), whose
certificate an organisation issues with the machine. `tpm2-tools` chooses the TPM (`TPM2TOOLS_TCTI`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.jwk import ECKey

from device.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ATTRIBUTES = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"
_SESSIONS, _CERTIFY, _PASSWORD, _NO_SCHEME = 0x8002, 0x0148, 0x40000009, 0x0010
_SECONDS = 60


class TpmFailed(DeviceError):
    """The TPM or its tools reported an error."""


def _run(*command: str, given: bytes | None = None) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - a list of ours
            command, input=given, capture_output=True, check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        message = f"{command[0]}: {error}"
        raise TpmFailed(message) from error
    if done.returncode:
        message = f"{command[0]}: {done.stderr.decode(errors='replace').strip()[-300:]}"
        raise TpmFailed(message)
    return done.stdout


def _b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@dataclass(frozen=True)
class TpmKey:
    """A P-256 key at a persistent handle of a TPM, used as a `DeviceKey`.

    handle: of the key. ak: of the attestation key. chain: PEM of the AK's certificate and what stands above it.
    """

    handle: str
    ak: str
    chain: str = field(repr=False)

    @classmethod
    def make(cls, *, handle: str, ak: str, chain: str) -> Self:
        """Make a key in the TPM, fixed there.

        Raises: TpmFailed.
        """
        with TemporaryDirectory() as folder:
            at = Path(folder)
            _run("tpm2_createprimary", "-Q", "-C", "o", "-g", "sha256", "-G", "ecc", "-c", str(at / "primary"))
            _run("tpm2_flushcontext", "-t")  # a TPM without a resource manager holds three objects at a time
            made = ["-u", str(at / "public"), "-r", str(at / "private"), "-c", str(at / "key")]
            algorithm = ["-g", "sha256", "-G", "ecc256:ecdsa-sha256", "-a", _ATTRIBUTES]
            _run("tpm2_create", "-Q", "-C", str(at / "primary"), *algorithm, *made)
            _run("tpm2_flushcontext", "-t")
            _run("tpm2_evictcontrol", "-Q", "-C", "o", "-c", str(at / "key"), handle)
            _run("tpm2_flushcontext", "-t")
        return cls(handle, ak, chain)

    @property
    def public_area(self) -> bytes:
        """TPMT_PUBLIC of the key."""
        with TemporaryDirectory() as folder:
            _run("tpm2_readpublic", "-Q", "-c", self.handle, "-f", "tss", "-o", str(Path(folder) / "public"))
            return (Path(folder) / "public").read_bytes()[2:]

    @property
    def public_jwk(self) -> dict[str, str]:
        """The public half as an RFC 7517 key."""
        tail = self.public_area[-68:]  # two coordinates of 32 bytes, each after its length
        return {"kty": "EC", "crv": "P-256", "x": _b64url(tail[2:34]), "y": _b64url(tail[36:])}

    @property
    def jkt(self) -> str:
        """RFC 7638 thumbprint."""
        return ECKey.import_key(dict(self.public_jwk)).thumbprint()

    def private_jwk(self) -> dict[str, str]:
        """The handles and the chain, for the device's file."""
        return {"tpm": self.handle, "ak": self.ak, "chain": self.chain}

    def sign(self, header: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
        """A compact JWS (RFC 7515) over a JSON payload, by ES256, signed in the TPM."""
        parts = [_b64url(json.dumps(one).encode()) for one in ({"alg": "ES256", **header}, dict(payload))]
        with TemporaryDirectory() as folder:
            at = Path(folder)
            (at / "text").write_bytes(".".join(parts).encode())
            written = ["-f", "plain", "-o", str(at / "signature"), str(at / "text")]
            _run("tpm2_sign", "-Q", "-c", self.handle, "-g", "sha256", "-s", "ecdsa", *written)
            r, s = decode_dss_signature((at / "signature").read_bytes())
        return ".".join([*parts, _b64url(r.to_bytes(32) + s.to_bytes(32))])

    def attestation(self, challenge: str) -> dict[str, Any]:
        """The TPM's statement about the key, for this challenge (docs/device-protocol.md, Proof of hardware)."""
        nonce = hashlib.sha256(f"ramet-attestation:{challenge}:{self.jkt}".encode()).digest()
        info, signature = self._certified(nonce)
        certificates = x509.load_pem_x509_certificates(self.chain.encode())
        return {
            "format": "tpm",
            "x5c": [_b64(one.public_bytes(Encoding.DER)) for one in certificates],
            "certify_info": _b64(info),
            "signature": _b64(signature),
            "public": _b64(self.public_area),
        }

    def _certified(self, nonce: bytes) -> tuple[bytes, bytes]:
        """TPM2_Certify (TPM 2.0 Library, part 3 §18.2) with qualifying data, which `tpm2_certify` does not offer."""
        handles = b"".join(int(one, 16).to_bytes(4) for one in (self.handle, self.ak))
        session = _PASSWORD.to_bytes(4) + bytes(5)
        body = (
            handles
            + (2 * len(session)).to_bytes(4)
            + 2 * session
            + len(nonce).to_bytes(2)
            + nonce
            + _NO_SCHEME.to_bytes(2)
        )
        answer = _run(
            "tpm2_send", given=_SESSIONS.to_bytes(2) + (len(body) + 10).to_bytes(4) + _CERTIFY.to_bytes(4) + body
        )
        if int.from_bytes(answer[6:10]):
            message = f"TPM2_Certify: {answer[6:10].hex()}"
            raise TpmFailed(message)
        size = int.from_bytes(answer[14:16])
        info, rest = answer[16 : 16 + size], answer[16 + size :]
        return info, rest[6 : 6 + int.from_bytes(rest[4:6])]


def restored(kept: Mapping[str, str]) -> TpmKey:
    """Read the key that `private_jwk` described.

    Raises: KeyError.
    """
    return TpmKey(kept["tpm"], kept["ak"], kept["chain"])


def attestation_of(key: object, challenge: str) -> dict[str, Any] | None:
    """The attestation of a key in hardware; None for a key in a file."""
    return key.attestation(challenge) if isinstance(key, TpmKey) else None


def chain_of(paths: Sequence[Path]) -> str:
    """The PEM files of an attestation key's certificate and what stands above it, joined."""
    return "".join(path.read_text() for path in paths)
