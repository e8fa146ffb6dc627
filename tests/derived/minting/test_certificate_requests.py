"""Hostile requests: of a request only the key is used, its proof must hold, and the key must be a good one (C91,
P58).
"""

from __future__ import annotations

import math
import time
from base64 import b64encode
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AttributeOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from derived.errors import Reason, Refused
from derived.minting import csr as reading
from derived.minting.weak import is_weak
from tests.fixtures.certificate_authority import csr, key_pem, new_key, openssl

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_POINT = PublicFormat.UncompressedPoint
KEY = new_key()
PEM = csr(KEY)
DER = x509.load_pem_x509_csr(PEM).public_bytes(Encoding.DER)


# The tests of form and signature take any challenge.
from_text, from_base64, from_der = (
    partial(read, is_challenge=lambda _: True) for read in (reading.from_text, reading.from_base64, reading.from_der)
)


def reason_of(call: Any, *arguments: Any) -> Reason | None:
    try:
        call(*arguments)
    except Refused as refused:
        return refused.reason
    return None


def test_valid_request_yields_its_key_in_each_form() -> None:
    """PEM with words around it, the older header, base64 with and without lines, DER."""
    want = KEY.public_key().public_numbers()
    text = PEM.decode()
    for found in (
        from_text(text), from_text(f"Hello,\n\n{text}\nThanks"),
        from_text(text.replace("CERTIFICATE REQ", "NEW CERTIFICATE REQ")),
        from_text(text.replace("\n", "\r\n")), from_base64(b64encode(DER).decode()),
        from_der(DER),
    ):  # fmt: skip
        assert found.public_numbers() == want


def _rsa(p: int, q: int, e: int = 65537) -> rsa.RSAPrivateKey:
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(e, p * q))
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def _next_prime(start: int) -> int:
    found = start | 1
    while pow(2, found - 1, found) != 1:
        found += 2
    return found


_PRODUCT = math.prod(one for one in range(2, 702) if all(one % other for other in range(2, int(one**0.5) + 1)))


def _roca_prime(factor: int, power: int) -> int:
    """As that library made them: k·M + 65537^a mod M (CVE-2017-15361)."""
    while True:
        found = factor * _PRODUCT + pow(65537, power, _PRODUCT)
        if pow(2, found - 1, found) == 1:
            return found
        factor, power = factor + 1, power + 1


def _close_primes() -> rsa.RSAPrivateKey:
    first = _next_prime(3 * 2**1022)
    return _rsa(first, _next_prime(first + 2))


# Made where a test needs them: making all of them takes seconds, and every process imports this module.
WEAK: dict[str, Callable[[], Any]] = {
    "RSA 1024": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505 - the weak key is the test
    "RSA 2560": lambda: rsa.generate_private_key(65537, 2560),
    "exponent 3": lambda: rsa.generate_private_key(3, 2048),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "K-256": lambda: ec.generate_private_key(ec.SECP256K1()),
    "P-224": lambda: ec.generate_private_key(ec.SECP224R1()),
    "private key 1": lambda: ec.derive_private_key(1, ec.SECP256R1()),
    "private key 7": lambda: ec.derive_private_key(7, ec.SECP384R1()),
    "close primes": _close_primes,
}


@pytest.mark.parametrize("name", sorted(WEAK))
def test_weak_key_is_refused(name: str) -> None:
    """X-5, C91: sizes, curves, exponents, trivial private keys, primes that lie too close."""
    assert reason_of(from_text, csr(WEAK[name]()).decode()) == Reason.WEAK_KEY


def test_roca_key_is_refused() -> None:
    """CVE-2017-15361, built as that library built them; ten honest keys are not taken for one."""
    factor = 3 * 2**1022 // _PRODUCT
    p, q = _roca_prime(factor, 7), _roca_prime(factor + 2**20, 11)
    assert (p * q).bit_length() == 2048
    assert is_weak(rsa.RSAPublicNumbers(65537, p * q).public_key())
    assert not any(is_weak(rsa.generate_private_key(65537, 2048).public_key()) for _ in range(10))


@pytest.mark.parametrize(
    "made", [ed25519.Ed25519PrivateKey.generate, lambda: dsa.generate_private_key(2048)], ids=["Ed25519", "DSA"]
)
def test_other_key_types_are_refused(made: Callable[[], Any]) -> None:
    """The profile knows RSA and two curves."""
    key = made()
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    pem = builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()).public_bytes(
        Encoding.PEM
    )
    assert reason_of(from_text, pem.decode()) == Reason.WEAK_KEY


def test_request_without_proof_of_possession_is_refused() -> None:
    """Proof of possession: the key was exchanged, or the signature is another request's."""
    other = x509.load_pem_x509_csr(csr(new_key()))
    mine = x509.load_der_x509_csr(DER)
    stolen = DER.replace(
        mine.public_key().public_bytes(Encoding.X962, _POINT),
        other.public_key().public_bytes(Encoding.X962, _POINT),  # type: ignore[union-attr]
    )
    assert stolen != DER
    assert reason_of(from_der, stolen) == Reason.BAD_PROOF
    assert reason_of(from_der, DER[:-20] + other.public_bytes(Encoding.DER)[-20:]) == Reason.BAD_PROOF


def _made(**parts: Any) -> bytes:
    subject = x509.Name([x509.NameAttribute(one, value) for one, value in parts.get("subject", ())])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for value in parts.get("passwords", ()):
        builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, value)
    for name in parts.get("uris", ()):
        names = x509.SubjectAlternativeName([x509.DNSName("vpn"), x509.UniformResourceIdentifier(name)])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


CHALLENGE = "ABCD-EFGH"
NAMED = {
    "challenge password": {"passwords": [CHALLENGE.encode()]},
    "common name": {"subject": [(NameOID.COMMON_NAME, CHALLENGE)]},
    "second common name": {"subject": [(NameOID.COMMON_NAME, "vpn"), (NameOID.COMMON_NAME, CHALLENGE)]},
    "URI": {"uris": [CHALLENGE]},
}
UNNAMED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "another name": {"subject": [(NameOID.COMMON_NAME, "vpn.example.org")]},
    "another attribute": {"subject": [(NameOID.ORGANIZATION_NAME, CHALLENGE)]},
    "a part": {"passwords": [CHALLENGE[:-1].encode()]},
    "more": {"subject": [(NameOID.COMMON_NAME, CHALLENGE + "X")]},
}


@pytest.mark.parametrize("name", [*NAMED, *UNNAMED])
def test_request_of_another_transaction_is_refused(name: str) -> None:
    """C91: requests are not secret; the key counts only if it has signed the challenge of this transaction."""
    made = _made(**{**NAMED, **UNNAMED}[name])
    expected = None if name in NAMED else Reason.CHALLENGE_MISSING
    assert reason_of(reading.from_der, made, CHALLENGE.__eq__) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        PEM.decode() + PEM.decode(),
        PEM.decode() + key_pem(KEY).decode(),
        PEM.decode().replace("REQUEST", "REQUESTS"),
        PEM.decode()[:-40],
        "A" * 20_000,
    ],
    ids=["nothing", "words", "two", "with its private key", "another header", "cut", "long"],
)
def test_input_other_than_one_request_is_refused(text: str) -> None:
    """One request, in one block, and no private key beside it."""
    assert reason_of(from_text, text) == Reason.BAD_PROOF


def test_sha1_request_is_refused(tmp_path: Path) -> None:
    """C72: a whole request, signed with SHA-1 by openssl."""
    (tmp_path / "key").write_bytes(key_pem(KEY))
    made = openssl("req", "-new", "-key", str(tmp_path / "key"), "-subj", "/CN=me", "-sha1").stdout
    assert reason_of(from_text, made.decode()) == Reason.BAD_PROOF
    assert (
        reason_of(from_text, openssl("req", "-new", "-key", str(tmp_path / "key"), "-subj", "/CN=me").stdout.decode())
        is None
    )


@settings(max_examples=300)
@given(st.data())
def test_mutated_requests_are_refused(data: st.DataObject) -> None:
    """P58: three hundred broken requests: either the very same key, or a refusal; no other exception."""
    raw = bytearray(DER)
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "insert", "length"])):
            case "flip":
                raw[where] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del raw[where : where + data.draw(st.integers(1, 30))]
            case "insert":
                raw[where:where] = data.draw(st.binary(min_size=1, max_size=20))
            case _:
                raw[where] = data.draw(st.sampled_from([0x80, 0x84, 0xFF, 0x00]))
        if not raw:
            break
    try:
        found = from_der(bytes(raw))
    except Refused as refused:
        assert refused.reason in {Reason.BAD_PROOF, Reason.WEAK_KEY}
    else:
        assert found.public_numbers() == KEY.public_key().public_numbers()


@settings(max_examples=200)
@given(st.binary(max_size=2000))
def test_random_bytes_are_refused(raw: bytes) -> None:
    """P58: any bytes yield a refusal and no other exception."""
    assert reason_of(from_der, raw) in {Reason.BAD_PROOF, Reason.WEAK_KEY}
    assert reason_of(from_base64, raw.decode("latin-1")) in {Reason.BAD_PROOF, Reason.WEAK_KEY}


@pytest.mark.parametrize("inside", [" ", "\n", "A", "A ", "= \t"])
def test_long_blank_input_is_refused_in_linear_time(inside: str) -> None:
    """Pasted text is read in one pass: a request that begins and does not end occupies no thread (C75)."""
    begun = time.thread_time()
    assert (
        reason_of(
            from_text,
            ("-----BEGIN CERTIFICATE REQUEST-----" + inside * reading.MOST_BYTES)[: reading.MOST_BYTES],
        )
        == Reason.BAD_PROOF
    )
    assert time.thread_time() - begun < 1
