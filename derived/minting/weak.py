"""Weak keys: keys of a valid form that no certificate may be issued for (C91; SP 800-78, X-5)."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_RSA_SIZES = (2048, 3072, 4096)
_RSA_AFTER_2030 = 3072
_CURVES = (ec.SECP256R1, ec.SECP384R1)
_EXPONENTS = range(65537, 2**64)
_CLOSE = 1000  # steps of Fermat's method (CVE-2022-26320)
_SMALL_SCALARS = 64
RSA_2048_ENDS = datetime(2031, 1, 1, tzinfo=UTC)  # certificates that expire after 31 December 2030 need 3072 bits


def is_weak(key: object) -> bool:
    """True if a public key has a forbidden type or size, or its private key can be computed."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        wrong_form = key.key_size not in _RSA_SIZES or numbers.e not in _EXPONENTS or numbers.e % 2 == 0
        return wrong_form or _has_small_factor(numbers.n) or _is_roca(numbers.n) or _has_close_primes(numbers.n)
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint) in _guessable(type(key.curve))
    return True


def is_outlived(key: object, not_after: datetime) -> bool:
    """True if a key is too small for a certificate that is valid until `not_after` (X-5)."""
    return isinstance(key, rsa.RSAPublicKey) and key.key_size < _RSA_AFTER_2030 and not_after >= RSA_2048_ENDS


@lru_cache(maxsize=1)
def _primes() -> tuple[int, ...]:
    sieve = bytearray([1]) * 4096
    sieve[0:2] = b"\x00\x00"
    for number in range(2, 64):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(sieve[number * number :: number]))
    return tuple(number for number, prime in enumerate(sieve) if prime)


def _has_small_factor(modulus: int) -> bool:
    return math.gcd(modulus, math.prod(_primes())) != 1


def _is_roca(modulus: int) -> bool:
    """CVE-2017-15361: primes of a vulnerable chip are powers of 65537 modulo many small primes, as is their product."""
    return all(modulus % prime in _powers(prime) for prime in _primes()[1:39])


@lru_cache(maxsize=64)
def _powers(prime: int) -> frozenset[int]:
    found, power = set(), 1
    while power not in found:
        found.add(power)
        power = power * 65537 % prime
    return frozenset(found)


def _has_close_primes(modulus: int) -> bool:
    """Fermat's method factors a modulus of two close primes in a few steps."""
    middle = math.isqrt(modulus - 1) + 1
    for _ in range(_CLOSE):
        rest = middle * middle - modulus
        if math.isqrt(rest) ** 2 == rest:
            return True
        middle += 1
    return False


@lru_cache(maxsize=2)
def _guessable(curve: type[ec.EllipticCurve]) -> frozenset[bytes]:
    """The public keys of the smallest private keys."""
    return frozenset(
        ec.derive_private_key(scalar, curve()).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        for scalar in range(1, _SMALL_SCALARS + 1)
    )
