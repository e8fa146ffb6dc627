"""The rules of a ceremony, one falsified part at a time: each is refused, and the unfalsified one is not (C59, W1,
W2).
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr

from derived.errors import Reason, Refused
from derived.minting import passkey
from derived.minting.fido.metadata import Metadata, ModelPolicy
from derived.minting.passkey import AssertionVerifier, CeremonyParameters
from derived.rules.assurance import AAL
from idp.config import Config
from tests.fixtures.passkey_ceremonies import HANDLE, NOW, Document, asked, creation
from tests.fixtures.software_authenticator import AT, BE, BS, ORIGIN, RP_ID, UP, UV, SoftKey, b64, cose, unb64

if TYPE_CHECKING:
    from collections.abc import Callable

    from derived.minting.passkey import RegisteredPasskey, VerifiedAssertion


def register(document: Document, expected: CeremonyParameters) -> RegisteredPasskey:
    """What the product makes of a registration."""
    return passkey.register(
        passkey.parse(json.dumps(document)), expected=expected, metadata=Metadata(), policy=ModelPolicy(), now=NOW
    )


def request(expected: CeremonyParameters) -> Document:
    return passkey.options_to_assert(expected, allowed=[], seconds=300)


def verify(
    document: Document, expected: CeremonyParameters, registered: RegisteredPasskey, **changed: Any
) -> VerifiedAssertion:
    """What the product makes of an assertion."""
    known = {
        "public_key": registered.public_key,
        "backup_eligible": registered.backup_eligible,
        "user_handle": HANDLE,
        "named": False,
    }
    return passkey.verify(
        passkey.parse(json.dumps(document)), expected=expected, verifier=AssertionVerifier(**{**known, **changed})
    )


def enrolled(key: SoftKey) -> RegisteredPasskey:
    expected = asked()
    return register(key.create(creation(expected)), expected)


# --- what is accepted -------------------------------------------------------------------------------------------------

KEYS = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA-2048": lambda: rsa.generate_private_key(65537, 2048),
}


@pytest.mark.parametrize("kind", KEYS)
def test_each_algorithm_registers_and_signs_in(kind: str) -> None:
    """ES256, EdDSA and RS256: registered as what they are, and their assertions verify (C59)."""
    key = SoftKey(key=KEYS[kind]())
    registered = enrolled(key)
    assert (registered.user_verified, registered.backup_eligible, registered.discoverable) == (True, False, True)
    assert (registered.attested, registered.hardware, registered.attestation, registered.reaches) == (
        False,
        False,
        "none",
        2,
    )
    expected = asked()
    found = verify(key.get(request(expected)), expected, registered)
    assert (found.user_verified, found.backed_up, found.sign_count) == (True, False, 2)


@pytest.mark.parametrize("flags", [UP, UP | UV, UP | BE, UP | UV | BE | BS])
def test_verification_is_read_from_the_signed_flags(flags: int) -> None:
    """UV, BE and BS come from the authenticator data, never from the request (AU-4, PK-1, trap 5)."""
    key = SoftKey()
    expected = asked()
    registered = register(key.create(creation(expected), flags=flags), expected)
    assert (registered.user_verified, registered.backup_eligible, registered.backed_up) == (
        bool(flags & UV),
        bool(flags & BE),
        bool(flags & BS),
    )
    expected = asked()
    found = verify(key.get(request(expected), flags=flags), expected, registered)
    assert (found.user_verified, found.backed_up) == (bool(flags & UV), bool(flags & BS))


def test_creation_options_match_the_policy() -> None:
    """Every existing key is excluded, no user is named by more than an opaque handle, and attestation is requested."""
    expected = asked(user_verification=True)
    options = passkey.options_to_register(
        expected, user_handle=HANDLE, name="n", display_name="d", known=[(b"k" * 16, ["usb"])], seconds=300
    )
    assert [one["id"] for one in options["excludeCredentials"]] == [b64(b"k" * 16)]
    assert [one["alg"] for one in options["pubKeyCredParams"]] == [-7, -8, -257]
    assert (options["rp"]["id"], options["attestation"], options["user"]["id"]) == (RP_ID, "direct", b64(HANDLE))
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert request(asked())["allowCredentials"] == []


# --- what is not: registration ----------------------------------------------------------------------------------------


def _client(document: Document, **changed: Any) -> Document:
    said = json.loads(unb64(document["response"]["clientDataJSON"]))
    said = {name: value for name, value in {**said, **changed}.items() if value is not ...}
    document["response"]["clientDataJSON"] = b64(json.dumps(said).encode())
    return document


def _object(document: Document, **changed: Any) -> Document:
    said = cbor2.loads(unb64(document["response"]["attestationObject"]))
    document["response"]["attestationObject"] = b64(cbor2.dumps({**said, **changed}))
    return document


def _data(document: Document, change: Callable[[bytes], bytes]) -> Document:
    said = cbor2.loads(unb64(document["response"]["attestationObject"]))
    return _object(document, authData=change(said["authData"]))


def _response(document: Document, **changed: Any) -> Document:
    document["response"] = {
        name: value for name, value in {**document["response"], **changed}.items() if value is not ...
    }
    return document


def _key_of(**changed: Any) -> dict[int, Any]:
    return {
        **cose(ec.generate_private_key(ec.SECP256R1())),
        **{int(name.strip("_").replace("m", "-")): value for name, value in changed.items()},
    }


_P384 = ec.generate_private_key(ec.SECP384R1())
_WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is the test
_POINT = (
    ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
)

REGISTRATIONS: dict[str, Callable[[SoftKey, Document], Document]] = {
    "client data is of an assertion": lambda key, ask: key.create(ask, type="webauthn.get"),
    "no type": lambda key, ask: key.create(ask, type=None),
    "another challenge": lambda key, ask: key.create({**ask, "challenge": b64(bytes(32))}),
    "half of the challenge": lambda key, ask: key.create({**ask, "challenge": ask["challenge"][:20]}),
    "no challenge": lambda key, ask: _client(key.create(ask), challenge=...),
    "another origin": lambda key, ask: key.create(ask, origin="http://evil.example"),
    "a subdomain": lambda key, ask: key.create(ask, origin="http://evil.localhost:8000"),
    "another port": lambda key, ask: key.create(ask, origin="http://localhost:8001"),
    "another scheme": lambda key, ask: key.create(ask, origin="https://localhost:8000"),
    "a slash after the origin": lambda key, ask: key.create(ask, origin=ORIGIN + "/"),
    "upper case in the origin": lambda key, ask: key.create(ask, origin="http://LOCALHOST:8000"),
    "made inside another site's page": lambda key, ask: key.create(ask, crossOrigin=True),
    "crossOrigin is a word": lambda key, ask: key.create(ask, crossOrigin="false"),
    "a top origin": lambda key, ask: key.create(ask, topOrigin="http://evil.example"),
    "the hash of another site": lambda key, ask: key.create(ask, rp_id="evil.example"),
    "nobody was present": lambda key, ask: key.create(ask, flags=UV),
    "backed up, and not eligible": lambda key, ask: key.create(ask, flags=UP | UV | BS),
    "no credential in the data": lambda key, ask: _data(
        key.create(ask), lambda raw: raw[:32] + bytes([raw[32] & ~AT]) + raw[33:37]
    ),
    "bytes after the data": lambda key, ask: _data(key.create(ask), lambda raw: raw + b"\0"),
    "the data cut off": lambda key, ask: _data(key.create(ask), lambda raw: raw[:-1]),
    "an empty credential id": lambda _, ask: SoftKey(raw_id=b"").create(ask),
    "a short credential id": lambda _, ask: SoftKey(raw_id=bytes(15)).create(ask),
    "a long credential id": lambda _, ask: SoftKey(raw_id=bytes(1024)).create(ask),
    "the browser says another id": lambda key, ask: {**key.create(ask), "id": b64(bytes(32)), "rawId": b64(bytes(32))},
    "id and rawId differ": lambda key, ask: {**key.create(ask), "rawId": b64(bytes(32))},
    "another type of credential": lambda key, ask: {**key.create(ask), "type": "password"},
    "ES384": lambda _, ask: SoftKey(key=_P384).create(ask, public_key={**cose(_P384), 3: -35}),
    "ES256 with P-384": lambda _, ask: SoftKey(key=_P384).create(ask),
    "RS1": lambda key, ask: key.create(ask, public_key={**cose(KEYS["RSA-2048"]()), 3: -65535}),
    "RSA of 1024 bits": lambda _, ask: SoftKey(key=_WEAK).create(ask),
    "RSA with exponent 3": lambda key, ask: key.create(ask, public_key={**cose(KEYS["RSA-2048"]()), -2: b"\x03"}),
    "an EC key that says EdDSA": lambda key, ask: key.create(ask, public_key=_key_of(_3=-8)),
    "an EC key that says RS256": lambda key, ask: key.create(ask, public_key=_key_of(_3=-257)),
    "a point that is not on the curve": lambda key, ask: key.create(ask, public_key=_key_of(_m3=bytes(32))),
    "no algorithm": lambda key, ask: key.create(ask, public_key=_key_of(_3=None)),
    "a bare U2F point": lambda key, ask: _data(key.create(ask), lambda raw: raw[: 37 + 18 + 32] + _POINT),
    "a none statement that says something": lambda key, ask: key.create(ask, statement={"x5c": [b"x"]}),
    "an unknown format": lambda key, ask: key.create(ask, fmt="compound"),
    "SafetyNet, which Google has ended": lambda key, ask: key.create(
        ask, fmt="android-safetynet", statement={"ver": "1", "response": b"x"}
    ),
    "self attestation by another key": lambda _, ask: SoftKey(self_attests=True).create(
        ask, statement={"alg": -7, "sig": bytes(70)}
    ),
    "self attestation with another algorithm": lambda _, ask: _object(
        SoftKey(self_attests=True).create(ask), attStmt={"alg": -8, "sig": bytes(64)}
    ),
    "an attestation object that is no CBOR": lambda key, ask: _response(
        key.create(ask), attestationObject=b64(b"\xff\xff")
    ),
    "an attestation object nested without end": lambda key, ask: _response(
        key.create(ask), attestationObject=b64(b"\x81" * 20_000)
    ),
    "a CBOR map with a key twice": lambda key, ask: _response(
        key.create(ask), attestationObject=b64(b"\xa2\x63fmt\x64none\x63fmt\x64none")
    ),
    "no attestation object": lambda key, ask: _response(key.create(ask), attestationObject=...),
    "no client data": lambda key, ask: _response(key.create(ask), clientDataJSON=...),
    "client data that is a list": lambda key, ask: _response(key.create(ask), clientDataJSON=b64(b"[]")),
    "client data that is no JSON": lambda key, ask: _response(key.create(ask), clientDataJSON=b64(b"{")),
    "a number for the client data": lambda key, ask: _response(key.create(ask), clientDataJSON=7),
    "base64 with padding": lambda key, ask: _response(
        key.create(ask), clientDataJSON=key.create(ask)["response"]["clientDataJSON"] + "=="
    ),
    "an answer that is a list": lambda key, ask: [key.create(ask)],  # type: ignore[list-item,return-value]
    "an answer without a response": lambda key, ask: {**key.create(ask), "response": None},
}


@pytest.mark.parametrize("what", REGISTRATIONS)
def test_falsified_registration_is_refused(what: str) -> None:
    """Each part of clientData, authData, key and statement (C59, W2, P3)."""
    expected = asked()
    with pytest.raises(Refused) as refused:
        register(REGISTRATIONS[what](SoftKey(), creation(expected)), expected)
    assert refused.value.reason == Reason.BAD_PROOF


@pytest.mark.parametrize("verifies", [True, False])
def test_required_user_verification_is_read_from_the_flag(verifies: bool) -> None:  # noqa: FBT001 - a parameter
    """Stripping `userVerification` from the options in the browser does not help: the server looks at UV (W1, P3)."""
    expected = asked(user_verification=True)
    made = SoftKey(verifies=verifies).create(
        {**creation(expected), "authenticatorSelection": {"userVerification": "discouraged"}}
    )
    if verifies:
        assert register(made, expected).user_verified
        return
    with pytest.raises(Refused):
        register(made, expected)


@pytest.mark.parametrize(
    "text",
    ["", "null", "{}", "[", "7", '"x"', "[" * 30_000, '{"response":' * 9 + "{}" + "}" * 9, "x" * 70_000, '{"ä":1}'],
)
def test_malformed_response_is_refused_before_parsing(text: str) -> None:
    """Size and depth are bounded first, and no other exception is raised."""
    with pytest.raises(Refused) as refused:
        passkey.parse(text)
    assert refused.value.reason == Reason.BAD_PROOF


def test_response_is_64_kib_at_most() -> None:
    """The same answer passes, and with spaces up to the limit; one byte more does not."""
    expected = asked()
    text = json.dumps(SoftKey().create(creation(expected)))
    assert passkey.parse(text + " " * (passkey.MOST_BYTES - len(text)))
    with pytest.raises(Refused):
        passkey.parse(text + " " * (passkey.MOST_BYTES - len(text) + 1))


def test_deeply_nested_response_is_refused() -> None:
    """Depth, in the answer and in the client data."""
    expected = asked()
    deep: Any = {}
    for _ in range(12):
        deep = {"x": deep}
    with pytest.raises(Refused):
        register({**SoftKey().create(creation(expected)), "clientExtensionResults": deep}, expected)
    with pytest.raises(Refused):
        register(_client(SoftKey().create(creation(expected)), more=deep), expected)


# --- what is not: assertion -------------------------------------------------------------------------------------------


def _flip(text: str) -> str:
    raw = bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    raw[-1] ^= 1
    return b64(bytes(raw))


def _raised(key: SoftKey, ask: Document) -> Document:
    """UV set after the signature was made."""
    made = SoftKey.get(key, ask, flags=UP)
    raw = bytearray(unb64(made["response"]["authenticatorData"]))
    raw[32] |= UV
    return _response(made, authenticatorData=b64(bytes(raw)))


ASSERTIONS: dict[str, Callable[[SoftKey, Document], Document]] = {
    "client data is of a registration": lambda key, ask: key.get(ask, type="webauthn.create"),
    "a payment": lambda key, ask: key.get(ask, type="payment.get"),
    "no type": lambda key, ask: key.get(ask, type=None),
    "another challenge": lambda key, ask: key.get({**ask, "challenge": b64(bytes(32))}),
    "no challenge": lambda key, ask: _client(key.get(ask), challenge=...),
    "another origin": lambda key, ask: key.get(ask, origin="http://evil.example"),
    "a subdomain": lambda key, ask: key.get(ask, origin="http://evil.localhost:8000"),
    "the parent of the origin's port": lambda key, ask: key.get(ask, origin="http://localhost"),
    "an app's origin": lambda key, ask: key.get(ask, origin="android:apk-key-hash:AAAA"),
    "made inside another site's page": lambda key, ask: key.get(ask, crossOrigin=True),
    "crossOrigin is one": lambda key, ask: key.get(ask, crossOrigin=1),
    "a top origin": lambda key, ask: key.get(ask, topOrigin="http://evil.example"),
    "the hash of another site": lambda key, ask: key.get(ask, rp_id="evil.example"),
    "nobody was present": lambda key, ask: key.get(ask, flags=UV),
    "UV set afterwards": _raised,
    "BE has changed": lambda key, ask: key.get(ask, flags=UP | UV | BE),
    "backed up, and not eligible": lambda key, ask: key.get(ask, flags=UP | UV | BS),
    "bytes after the data": lambda key, ask: key.get(ask, tail=b"\0"),
    "short data": lambda key, ask: key.get(ask, data=bytes(36)),
    "the signature of another key": lambda key, ask: SoftKey(raw_id=key.raw_id, user_handle=HANDLE).get(ask),
    "a bit of the signature": lambda key, ask: _response(
        made := key.get(ask), signature=_flip(made["response"]["signature"])
    ),
    "an empty signature": lambda key, ask: _response(key.get(ask), signature=""),
    "no signature": lambda key, ask: _response(key.get(ask), signature=...),
    "a bit of the data": lambda key, ask: _response(
        made := key.get(ask), authenticatorData=_flip(made["response"]["authenticatorData"])
    ),
    "no data": lambda key, ask: _response(key.get(ask), authenticatorData=...),
    "a space in the client data": lambda key, ask: _response(
        made := key.get(ask), clientDataJSON=b64(unb64(made["response"]["clientDataJSON"]) + b" ")
    ),
    "another person's handle": lambda key, ask: key.get(ask, user_handle=bytes(16)),
    "half of the handle": lambda key, ask: key.get(ask, user_handle=HANDLE[:8]),
    "no handle, where the key was not named": lambda key, ask: _response(key.get(ask), userHandle=None),
    "a handle that is a list": lambda key, ask: _response(key.get(ask), userHandle=[1]),
    "id and rawId differ": lambda key, ask: {**key.get(ask), "id": b64(bytes(32))},
    "another type of credential": lambda key, ask: {**key.get(ask), "type": "federated"},
    "a registration": lambda key, ask: key.create(
        creation(CeremonyParameters(challenge=unb64(ask["challenge"]), rp_id=RP_ID, origin=ORIGIN))
    ),
}


@pytest.mark.parametrize("what", ASSERTIONS)
def test_falsified_assertion_is_refused(what: str) -> None:
    """Each part of clientData, authData, signature, handle and id (C59, C61, W2)."""
    key = SoftKey()
    registered, expected = enrolled(key), asked()
    assert verify(key.get(request(expected)), expected, registered)
    with pytest.raises(Refused) as refused:
        verify(ASSERTIONS[what](key, request(expected)), expected, registered)
    assert refused.value.reason == Reason.BAD_PROOF


def test_user_handle_is_optional_after_a_password() -> None:
    """After a password the key is one of the account's own; a U2F key has no handle to give. A wrong one is still
    refused.
    """
    key = SoftKey(resident=False)
    registered, expected = enrolled(key), asked()
    assert verify(key.get(request(expected)), expected, registered, named=True)
    with pytest.raises(Refused):
        verify(key.get(request(expected), user_handle=bytes(16)), expected, registered, named=True)


def test_backup_eligibility_never_changes() -> None:
    """A synced key that later says that it is not synced is refused too: it would rise to AAL3 (trap 4)."""
    key = SoftKey(synced=True)
    registered, expected = enrolled(key), asked()
    assert verify(key.get(request(expected), flags=UP | UV | BE), expected, registered).backed_up is False
    with pytest.raises(Refused):
        verify(key.get(request(expected), flags=UP | UV), expected, registered)


def test_assertion_without_required_verification_is_refused() -> None:
    """W1: the option that was requested is compared with the flag."""
    key = SoftKey()
    registered, expected = enrolled(key), asked(user_verification=True)
    assert verify(key.get(request(expected)), expected, registered)
    with pytest.raises(Refused):
        verify(key.get(request(expected), flags=UP), expected, registered)


@pytest.mark.parametrize(
    ("before", "now", "back"),
    [(0, 0, False), (0, 1, False), (1, 2, False), (5, 5, True), (5, 4, True), (5, 0, True), (1, 0, True)],
)
def test_counter_only_rises(before: int, now: int, back: bool) -> None:  # noqa: FBT001 - a parameter
    """Zero on both sides means that there is none; everything else has to rise (C59)."""
    assert passkey.counter_regressed(before, now) is back


@pytest.mark.parametrize("hardware", [True, False])
@pytest.mark.parametrize("attested", [True, False])
@pytest.mark.parametrize("eligible", [True, False])
def test_aal3_needs_attested_non_exportable_and_not_syncable(hardware: bool, attested: bool, eligible: bool) -> None:  # noqa: FBT001 - parameters
    """Attested, non-exportable and not syncable; each alone is not enough, whoever filled the record in (PK-1, PK-2,
    C60).
    """
    found = replace(enrolled(SoftKey()), hardware=hardware, attested=attested, backup_eligible=eligible)
    assert (found.reaches == AAL.AAL3) is (hardware and attested and not eligible)


def test_credential_id_is_looked_up_by_its_hash() -> None:
    """SHA-256 of the raw id."""
    key = SoftKey()
    assert enrolled(key).raw_id_hash == hashlib.sha256(key.raw_id).hexdigest()


@pytest.mark.parametrize(
    ("issuer", "origin"),
    [
        ("http://localhost:8000", "http://localhost:8000"),
        ("https://Login.Example.org", "https://login.example.org"),
        ("https://login.example.org:443", "https://login.example.org"),
        ("https://login.example.org:8443", "https://login.example.org:8443"),
        ("http://localhost:80", "http://localhost"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_origin_is_written_as_a_browser_writes_it(issuer: str, origin: str) -> None:
    """It is compared whole, so an issuer with its scheme's own port must not lock everybody out."""
    kek = base64.b64encode(bytes(32)).decode()
    assert Config(issuer=issuer, kek=SecretStr(kek)).origin == origin
