"""Backends of an authority's key, each of them a `minting.signing.CertificateSigner`.

    wrapped   under the key-encryption key, in the database
    token     PKCS #11: a smart card, an HSM, SoftHSM2
    command   through a program of the operator's

No other package knows which backend holds a key; another one (a cloud's key service) is one more module here. May
import: `derived.minting.signing`, `derived.wrapping` and `derived.errors`; python-pkcs11 only in `token`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from derived.errors import Reason, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from derived.minting.signing import CertificateSigner
    from derived.wrapping import Wrapper

PURPOSE = "authority-key"


class Backend(StrEnum):
    """The backends."""

    WRAPPED = "wrapped"
    TOKEN = "pkcs11"  # noqa: S105 - a name
    COMMAND = "command"
    OUTSIDE = "outside"  # no key here: another party makes the certificate (`derived.authority.outside`)


def signer_for(
    where: str, *, reference: Mapping[str, str], secret: bytes, owner: str, wrapper: Wrapper
) -> CertificateSigner:
    """The signer of an authority.

    secret: wrapped: the key itself, or the PIN of its token. owner: the name of the authority.
    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    match where:
        case Backend.WRAPPED:
            from derived.signers import wrapped  # noqa: PLC0415 - only the backend in use

            return wrapped.signer(wrapper.unwrap(secret, purpose=PURPOSE, owner=owner))
        case Backend.TOKEN:
            from derived.signers import token  # noqa: PLC0415 - python-pkcs11 is an extra

            return token.signer(reference, pin=wrapper.unwrap(secret, purpose=PURPOSE, owner=owner).decode())
        case Backend.COMMAND:
            from derived.signers import command  # noqa: PLC0415

            return command.signer(reference)
        case _:
            raise Unavailable(Reason.KEY_UNAVAILABLE)
