"""Accepted public keys of clients (J3, C69): RSA from 2048 bits, P-256, P-384, Ed25519; never a private key.

Pure: a JWK in, a key or a message out.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_KID = 255
# Edwards curves have an old and a new algorithm name (RFC 9864); a client is registered for one of them.
ALGS = ("ES256", "ES384", "EdDSA", "Ed25519", "PS256", "RS256")
MOST_KEYS = 50
_PRIVATE = frozenset({"d", "k", "p", "q", "dp", "dq", "qi", "oth"})
_TEXT = re.compile(r"[A-Za-z0-9_-]{1,1400}")  # 8192 bits
_RSA_BITS = range(2048, 8193)
_CURVES = {"P-256": ("ES256",), "P-384": ("ES384",), "Ed25519": ("EdDSA", "Ed25519")}
_FAMILIES: dict[str, type[ECKey | OKPKey | RSAKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_NAMES = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}


class BadKey(ValueError):
    """The fault of a key, in words for the person who registers it."""


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """An accepted key. kid: its name, or "". algs: the algorithms that it may verify."""

    key: ECKey | OKPKey | RSAKey
    kid: str
    algs: tuple[str, ...]
    jkt: str


def accepted_key(jwk: object) -> PublicKey:
    """A signature key for a client's set.

    Raises: BadKey.
    """
    if not isinstance(jwk, dict):
        raise BadKey("a key is a JSON object")
    if _PRIVATE & jwk.keys():
        raise BadKey(
            "it is a private or symmetric key: publish the public part only, and replace this one, for it has been seen"
        )
    clean = _clean(jwk)
    try:
        key = _FAMILIES[str(clean["kty"])].import_key(clean)
        jkt = key.thumbprint()
    except (JoseError, ValueError, TypeError) as error:
        raise BadKey("it cannot be read") from error
    return PublicKey(key=key, kid=_kid(jwk), algs=_algs(key, clean, jwk), jkt=jkt)


def _clean(jwk: Mapping[str, Any]) -> dict[str, str | list[str]]:
    names = _NAMES.get(str(jwk.get("kty")))
    if names is None:
        raise BadKey("kty is RSA, EC or OKP")
    clean: dict[str, str | list[str]] = {}
    for name in names:
        value = jwk.get(name)
        if not isinstance(value, str) or not _TEXT.fullmatch(value):
            raise BadKey(f"its {name} is missing or malformed")
        clean[name] = value
    if clean["kty"] == "RSA" and _bits(str(clean["n"])) not in _RSA_BITS:
        raise BadKey("RSA keys have 2048 to 8192 bits")
    return clean


def _bits(number: str) -> int:
    try:
        return int.from_bytes(urlsafe_b64decode(number + "=" * (-len(number) % 4))).bit_length()
    except ValueError:
        return 0


def _kid(jwk: Mapping[str, Any]) -> str:
    kid = jwk.get("kid", "")
    if not isinstance(kid, str) or len(kid) > _LONGEST_KID or not kid.isprintable():
        raise BadKey("its kid is not a text of 255 printable characters at most")
    return kid


def _algs(key: ECKey | OKPKey | RSAKey, clean: Mapping[str, Any], jwk: Mapping[str, Any]) -> tuple[str, ...]:
    ops = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(ops, list) or "verify" not in ops:
        raise BadKey("it is not for signatures")
    if isinstance(key, RSAKey):
        algs: tuple[str, ...] = ("PS256", "RS256")
    else:
        algs = _CURVES.get(str(clean["crv"]), ())
        if not algs:
            raise BadKey("its curve is not P-256, P-384 or Ed25519")
    if "alg" in jwk:
        algs = tuple(one for one in algs if one == jwk["alg"])
    if not algs:
        raise BadKey("its alg does not fit it")
    return algs


def entries(document: object) -> list[Any]:
    """The entries of a JWK Set (RFC 7517 §5), not checked yet.

    Raises: BadKey.
    """
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise BadKey('a key set looks like {"keys": [...]}')
    if len(keys) > MOST_KEYS:
        raise BadKey(f"a key set has at most {MOST_KEYS} keys")
    return keys


def registered_keys(document: object) -> list[PublicKey]:
    """The keys of a registered set: each must be accepted, and names must be unique.

    Raises: BadKey.
    """
    found = [accepted_key(one) for one in entries(document)]
    if not found:
        raise BadKey("the key set is empty")
    names = [one.kid for one in found]
    if len(set(names)) != len(names):
        raise BadKey("each key of a set needs a kid of its own")
    return found


def fetched_keys(document: object) -> list[PublicKey]:
    """The keys of a fetched set, without unaccepted ones (RFC 7517 §5).

    Raises: BadKey for a document that is not a set.
    """
    found = []
    for one in entries(document):
        try:
            found.append(accepted_key(one))
        except BadKey:
            continue
    return found


def stored_form(document: object) -> dict[str, Any]:
    """The stored form of a set.

    Public members, kid, alg, and the certificate chain for `self_signed_tls_client_auth`.
    """
    kept = []
    for one in entries(document):
        if not isinstance(one, dict) or _PRIVATE & one.keys():
            continue
        names = {*_NAMES.get(str(one.get("kty")), ()), "kid", "alg", "use", "key_ops", "x5c", "x5t#S256"}
        kept.append({name: value for name, value in one.items() if name in names})
    return {"keys": kept}
