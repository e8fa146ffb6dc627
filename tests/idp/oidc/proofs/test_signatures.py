"""Signatures as an attacker makes them, at every place where a stranger's JWS is verified (C69; the classes of
Wycheproof's vectors).

Each is built here over the very bytes that a good one signs: what is refused is refused for the signature alone.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from derived.errors import Refused
from idp.clients import signed
from idp.oidc.proofs import dpop

if TYPE_CHECKING:
    from collections.abc import Callable

N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # the order of P-256
L = 2**252 + 27742317777372353535851937790883648493  # of Ed25519
EC, P384, RSA, ED = (
    ECKey.generate_key("P-256"),
    ECKey.generate_key("P-384"),
    RSAKey.generate_key(2048),
    OKPKey.generate_key("Ed25519"),
)
_CLAIMS = json.dumps({"sub": "x"})


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def good(key: Any, alg: str) -> tuple[bytes, bytes]:
    """What is signed, and its signature."""
    head, body, signature = jws.serialize_compact({"alg": alg}, _CLAIMS, key, algorithms=[alg]).split(".")
    return f"{head}.{body}".encode(), base64.urlsafe_b64decode(signature + "==")


def two(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def rs(signature: bytes) -> tuple[int, int]:
    return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")


def by_rsa(message: bytes, pad: Any, hashed: Any) -> bytes:
    return RSA.private_key.sign(message, pad, hashed)  # type: ignore[union-attr, no-any-return]


def pss(salt: int, mask: Any = None) -> padding.PSS:
    return padding.PSS(padding.MGF1(mask or hashes.SHA256()), salt)


ES256: dict[str, Callable[[bytes, bytes], bytes]] = {
    "as DER": lambda _, one: utils.encode_dss_signature(*rs(one)),
    "r and s are 0": lambda *_: two(0, 0),
    "r is 0": lambda _, one: two(0, rs(one)[1]),
    "s is 0": lambda _, one: two(rs(one)[0], 0),
    "r and s are 1": lambda *_: two(1, 1),
    "r is n": lambda _, one: two(N, rs(one)[1]),
    "s is n": lambda _, one: two(rs(one)[0], N),
    "r and s are n": lambda *_: two(N, N),
    "r is n - 1": lambda _, one: two(N - 1, rs(one)[1]),
    "all ones": lambda *_: b"\xff" * 64,
    "r and s swapped": lambda _, one: one[32:] + one[:32],
    "cut": lambda _, one: one[:-1],
    "empty": lambda *_: b"",
    "half": lambda _, one: one[:32],
    "one byte more": lambda _, one: one + b"\0",
    "a zero before": lambda _, one: b"\0" + one,
    "of 96 bytes": lambda _, one: b"\0" * 16 + one[:32] + b"\0" * 16 + one[32:],
    "SHA-512": lambda message, _: two(
        *utils.decode_dss_signature(EC.private_key.sign(message, ec.ECDSA(hashes.SHA512())))
    ),
    # type: ignore[union-attr]
    "of P-384": lambda *_: good(P384, "ES384")[1],
    "of other claims": lambda *_: two(
        *utils.decode_dss_signature(EC.private_key.sign(b"x", ec.ECDSA(hashes.SHA256())))
    ),  # type: ignore[union-attr]
}
PS256: dict[str, Callable[[bytes, bytes], bytes]] = {
    "PKCS #1 v1.5": lambda message, _: by_rsa(message, padding.PKCS1v15(), hashes.SHA256()),
    "no salt": lambda message, _: by_rsa(message, pss(0), hashes.SHA256()), "a short salt": lambda message,
    _: by_rsa(message, pss(20), hashes.SHA256()),
    "the longest salt": lambda message, _: by_rsa(message, pss(padding.PSS.MAX_LENGTH), hashes.SHA256()),
    # the attack
    "MGF1 with SHA-1": lambda message, _: by_rsa(message, pss(32, hashes.SHA1()), hashes.SHA256()),  # noqa: S303
    "SHA-512": lambda message, _: by_rsa(message, pss(64, hashes.SHA512()), hashes.SHA512()),
    "zero": lambda _, one: b"\0" * len(one), "one": lambda _, one: b"\0" * (len(one) - 1) + b"\1", "cut": lambda _,
    one: one[:-1],
    "one byte more": lambda _, one: one + b"\0", "a zero before": lambda _, one: b"\0" + one, "empty": lambda *_: b"",
}  # fmt: skip
RS256: dict[str, Callable[[bytes, bytes], bytes]] = {
    "PSS": lambda message, _: by_rsa(message, pss(32), hashes.SHA256()), "SHA-1": lambda message,
    _: by_rsa(message, padding.PKCS1v15(), hashes.SHA1()),  # noqa: S303
    "SHA-512": lambda message, _: by_rsa(message, padding.PKCS1v15(), hashes.SHA512()), "zero": lambda _,
    one: b"\0" * len(one), "cut": lambda _, one: one[:-1],
    "one byte more": lambda _, one: one + b"\0", "a zero before": lambda _, one: b"\0" + one, "empty": lambda *_: b"",
}  # fmt: skip
EDDSA: dict[str, Callable[[bytes, bytes], bytes]] = {
    "s plus the order": lambda _, one: one[:32] + (int.from_bytes(one[32:], "little") + L).to_bytes(32, "little"),
    "zero": lambda *_: b"\0" * 64,
    "the neutral point": lambda *_: b"\1" + b"\0" * 63, "cut": lambda _, one: one[:-1], "one byte more": lambda _,
    one: one + b"\0", "empty": lambda *_: b"",
    "halves swapped": lambda _, one: one[32:] + one[:32],
}  # fmt: skip
CASES = [
    pytest.param(key, alg, make, id=f"{alg}: {name}")
    for key, alg, table in ((EC, "ES256", ES256), (RSA, "PS256", PS256), (RSA, "RS256", RS256), (ED, "EdDSA", EDDSA))
    for name, make in table.items()
]
VERIFIERS: dict[str, Callable[[str, Any, str], object]] = {
    "what a client signed": signed._verify, "a DPoP proof": dpop._verified,
}  # fmt: skip


@pytest.mark.parametrize("verifier", VERIFIERS)
@pytest.mark.parametrize(("key", "alg", "make"), CASES)
def test_forged_signature_is_refused(verifier: str, key: Any, alg: str, make: Callable[[bytes, bytes], bytes]) -> None:
    """C69: at every place that verifies, where the true signature beside it is accepted."""
    message, signature = good(key, alg)
    verify = VERIFIERS[verifier]
    verify(f"{message.decode()}.{b64(signature)}", key, alg)
    with pytest.raises(Refused):
        verify(f"{message.decode()}.{b64(make(message, signature))}", key, alg)


@pytest.mark.parametrize("verifier", VERIFIERS)
@pytest.mark.parametrize(
    ("key", "alg", "other"),
    [
        (EC, "ES256", "ES384"),
        (RSA, "PS256", "RS256"),
        (RSA, "RS256", "PS256"),
        (RSA, "RS256", "RS512"),
        (EC, "ES256", "HS256"),
        (EC, "ES256", "none"),
    ],
)
def test_header_does_not_choose_the_algorithm(verifier: str, key: Any, alg: str, other: str) -> None:
    """C69, J1: the key's registered algorithm does, whatever stands there."""
    message, signature = good(key, alg)
    head = b64(json.dumps({"alg": other}).encode())
    with pytest.raises(Refused):
        VERIFIERS[verifier](f"{head}.{message.decode().split('.')[1]}.{b64(signature)}", key, alg)
