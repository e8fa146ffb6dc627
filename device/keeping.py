"""The device's file: its key and binding, readable by its owner only.

The passphrase is never stored: that would make two factors one.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from joserfc.errors import JoseError

from device import tpm
from device.errors import NotEnrolled
from device.key import DeviceKey, Signer

if TYPE_CHECKING:
    from pathlib import Path

_OWNER_ONLY = 0o600


@dataclass(frozen=True, kw_only=True)
class Enrolment:
    """A key and its binding.

    issuer: the provider's URL, exactly as its metadata spell it.
    credential_id: the provider's id of this credential; empty until the desktop has confirmed.
    clients: the client_ids for which this device may ask for tokens.
    """

    key: Signer = field(repr=False)
    issuer: str
    device_name: str
    credential_id: str = ""
    clients: tuple[str, ...] = ()

    @property
    def is_bound(self) -> bool:
        """True if the provider has issued a credential for this key."""
        return bool(self.credential_id)

    def bound(self, credential_id: str) -> Self:
        """A copy with the credential_id, after the desktop has confirmed."""
        return replace(self, credential_id=credential_id)

    def public(self) -> dict[str, Any]:
        """Everything but the private key, to be shown."""
        return {
            "issuer": self.issuer,
            "credential_id": self.credential_id or None,
            "device_name": self.device_name,
            "jkt": self.key.jkt,
            "clients": list(self.clients),
        }


def save(enrolment: Enrolment, path: Path) -> None:
    """Write the file with mode 0600, atomically.

    Raises: OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = json.dumps({**enrolment.public(), "key": enrolment.key.private_jwk()}, indent=1)
    candidate = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    # Opened with its mode: before a later chmod the file could be read.
    with os.fdopen(os.open(candidate, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    candidate.replace(path)


def load(path: Path) -> Enrolment:
    """Read what `save` wrote.

    Raises: NotEnrolled if there is no such file or it is not one of ours.
    """
    try:
        kept = json.loads(path.read_text())
        return Enrolment(
            key=tpm.restored(kept["key"]) if "tpm" in kept["key"] else DeviceKey.from_private_jwk(kept["key"]),
            issuer=str(kept["issuer"]),
            device_name=str(kept["device_name"]),
            credential_id=str(kept["credential_id"] or ""),
            clients=tuple(str(client) for client in kept["clients"]),
        )
    except FileNotFoundError as error:
        message = f"no device key at {path}: enrol first"
        raise NotEnrolled(message) from error
    except (ValueError, KeyError, TypeError, AttributeError, JoseError) as error:
        message = f"{path} is not a device key file"
        raise NotEnrolled(message) from error
