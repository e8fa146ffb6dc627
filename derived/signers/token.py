"""A key in an HSM or a token over PKCS #11, never extractable (python-pkcs11, the extra `hsm`).

PKCS #11 sessions do not survive a fork, so each signature opens its own; that takes milliseconds.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import Hash
from cryptography.hazmat.primitives.serialization import load_der_public_key

from derived.errors import Reason, Unavailable
from derived.minting.signing import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping


@lru_cache(maxsize=8)
def _module(path: str, _process: int) -> Any:  # noqa: ANN401 - python-pkcs11 has no types
    import pkcs11  # noqa: PLC0415 - an extra

    return pkcs11.lib(path)


class Token:
    """A key pair on a token.

    module: path of the PKCS #11 library. token, label: of the token, and of the key on it.
    """

    def __init__(self, *, module: str, token: str, label: str, pin: str) -> None:
        self._module, self._token, self._label, self._pin = module, token, label, pin
        self._public: ec.EllipticCurvePublicKey | None = None

    def __repr__(self) -> str:
        return f"Token({self._token}/{self._label})"

    def _session(self, *, write: bool = False) -> Any:  # noqa: ANN401
        return _module(self._module, os.getpid()).get_token(token_label=self._token).open(rw=write, user_pin=self._pin)

    def make(self) -> None:
        """Generate a P-384 key pair on the token, not extractable.

        Raises: Unavailable(KEY_UNAVAILABLE).
        """
        try:
            from pkcs11 import Attribute, KeyType  # noqa: PLC0415 - an extra
            from pkcs11.util.ec import encode_named_curve_parameters  # noqa: PLC0415

            with self._session(write=True) as session:
                curve = session.create_domain_parameters(
                    KeyType.EC, {Attribute.EC_PARAMS: encode_named_curve_parameters("secp384r1")}, local=True
                )
                curve.generate_keypair(
                    store=True,
                    label=self._label,
                    private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.SIGN: True},
                )
        except Exception as error:  # vendors' libraries raise anything; the key is unavailable in any case
            raise Unavailable(Reason.KEY_UNAVAILABLE) from error

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public key, read from the token once."""
        if self._public is None:
            try:
                from pkcs11 import KeyType, ObjectClass  # noqa: PLC0415 - an extra
                from pkcs11.util.ec import encode_ec_public_key  # noqa: PLC0415

                with self._session() as session:
                    found = session.get_key(object_class=ObjectClass.PUBLIC_KEY, key_type=KeyType.EC, label=self._label)
                    key = load_der_public_key(encode_ec_public_key(found))
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
            from pkcs11 import KeyType, Mechanism, ObjectClass  # noqa: PLC0415 - an extra
            from pkcs11.util.ec import encode_ecdsa_signature  # noqa: PLC0415

            with self._session() as session:
                key = session.get_key(object_class=ObjectClass.PRIVATE_KEY, key_type=KeyType.EC, label=self._label)
                return bytes(encode_ecdsa_signature(key.sign(digest.finalize(), mechanism=Mechanism.ECDSA)))
        except Exception as error:
            raise Unavailable(Reason.KEY_UNAVAILABLE) from error


def signer(reference: Mapping[str, str], *, pin: str) -> Token:
    """The signer that `ca init --pkcs11-module` recorded: module, token and label.

    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    try:
        return Token(module=reference["module"], token=reference["token"], label=reference["label"], pin=pin)
    except KeyError as error:
        raise Unavailable(Reason.KEY_UNAVAILABLE) from error
