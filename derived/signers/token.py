"""A key in an HSM or a token over PKCS #11, never extractable (python-pkcs11, the extra `hsm`).

PKCS #11 sessions do not survive a fork, so each signature opens its own; that takes milliseconds.
"""

from __future__ import annotations

import os
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import Hash
from cryptography.hazmat.primitives.serialization import load_der_public_key

from derived.errors import Reason, Unavailable
from derived.minting.signing import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping


_Untyped: TypeAlias = Any  # python-pkcs11 has no types


def _pkcs11(name: str = "") -> _Untyped:
    """A module of python-pkcs11, imported on use because it is an extra."""
    return import_module(f"pkcs11{name}")


@lru_cache(maxsize=8)
def _module(path: str, _process: int) -> _Untyped:
    return _pkcs11().lib(path)


class Pkcs11Token:
    """A key pair on a token.

    module: path of the PKCS #11 library. token, label: of the token, and of the key on it.
    """

    def __init__(self, *, module: str, token: str, label: str, pin: str) -> None:
        self._module, self._token, self._label, self._pin = module, token, label, pin
        self._public: ec.EllipticCurvePublicKey | None = None

    def __repr__(self) -> str:
        return f"Token({self._token}/{self._label})"

    def _session(self, *, write: bool = False) -> _Untyped:
        return _module(self._module, os.getpid()).get_token(token_label=self._token).open(rw=write, user_pin=self._pin)

    def _key(self, session: _Untyped, half: str) -> _Untyped:
        kind = getattr(_pkcs11().ObjectClass, half)
        return session.get_key(object_class=kind, key_type=_pkcs11().KeyType.EC, label=self._label)

    def make(self) -> None:
        """Generate a P-384 key pair on the token, not extractable.

        Raises: Unavailable(KEY_UNAVAILABLE).
        """
        try:
            pkcs11, parameters = _pkcs11(), _pkcs11(".util.ec").encode_named_curve_parameters("secp384r1")
            attribute = pkcs11.Attribute
            with self._session(write=True) as session:
                curve = session.create_domain_parameters(
                    pkcs11.KeyType.EC, {attribute.EC_PARAMS: parameters}, local=True
                )
                curve.generate_keypair(
                    store=True,
                    label=self._label,
                    private_template={attribute.SENSITIVE: True, attribute.EXTRACTABLE: False, attribute.SIGN: True},
                )
        except Exception as error:  # vendors' libraries raise anything; the key is unavailable in any case
            raise Unavailable(Reason.KEY_UNAVAILABLE) from error

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public key, read from the token once."""
        if self._public is None:
            try:
                with self._session() as session:
                    found = self._key(session, "PUBLIC_KEY")
                    key = load_der_public_key(_pkcs11(".util.ec").encode_ec_public_key(found))
            except Exception as error:
                raise Unavailable(Reason.KEY_UNAVAILABLE) from error
            if not isinstance(key, ec.EllipticCurvePublicKey):
                raise Unavailable(Reason.KEY_UNAVAILABLE)
            self._public = key
        return self._public

    def sign(self, message: bytes) -> bytes:
        """The signature, made on the token.

        Raises: Unavailable(KEY_UNAVAILABLE).
        """
        digest = Hash(digest_of(self.public_key))
        digest.update(message)
        try:
            with self._session() as session:
                raw = self._key(session, "PRIVATE_KEY").sign(digest.finalize(), mechanism=_pkcs11().Mechanism.ECDSA)
                return bytes(_pkcs11(".util.ec").encode_ecdsa_signature(raw))
        except Exception as error:
            raise Unavailable(Reason.KEY_UNAVAILABLE) from error


def signer(reference: Mapping[str, str], *, pin: str) -> Pkcs11Token:
    """The signer that `ca init --pkcs11-module` recorded: module, token and label.

    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    try:
        return Pkcs11Token(module=reference["module"], token=reference["token"], label=reference["label"], pin=pin)
    except KeyError as error:
        raise Unavailable(Reason.KEY_UNAVAILABLE) from error
