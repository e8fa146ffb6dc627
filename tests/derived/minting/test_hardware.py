"""What proves that a device key is in hardware, and what does not: real samples, and every field gone wrong (DK-2,
RQ-4, C60; libraries.md row 13).
"""

from __future__ import annotations

import base64
import hashlib
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from derived import clock
from derived.errors import Reason, Refused, Unavailable
from derived.minting import der, device_key
from derived.minting.device_key import public_key
from derived.minting.hardware import statement as hardware
from derived.minting.hardware import tpm
from derived.minting.hardware.judge import judge
from derived.minting.hardware.statement import (
    AttestationRequest,
    AttestationTrust,
    HardwareEvidence,
    made_for,
    nonce_of,
)
from derived.rules.assurance import AAL, Factor
from derived.rules.rulebook import DeviceFacts
from device.key import DeviceKey
from idp.checks.configuration import attestation_policy_is_readable
from idp.policies import attestation
from tests.fixtures.attestation_makers import (
    APP,
    MADE_FOR,
    NONCE,
    NOW,
    Android,
    Apple,
    Maker,
    Tpm,
    YubiKey,
    b64,
    explicit,
    fresh,
    jwk_of,
    number,
    other,
    tlv,
    x5c,
)
from tests.fixtures.captured_registrations import Captured

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLES = json.loads((Path(__file__).parents[2] / "data" / "attestation_samples.json").read_text())


def refused(
    statement: object, maker: Maker, *, asked: AttestationRequest | None = None, trust: AttestationTrust | None = None
) -> bool:
    try:
        judge(statement, asked or maker.asked(), trust or maker.trust())
    except Refused as no:
        assert no.reason.value == "bad_proof"
        return True
    return False


def key_in(certificate: bytes) -> ec.EllipticCurvePublicKey:
    key = x509.load_der_x509_certificate(certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


# --- real samples -----------------------------------------------------------------------------------------------------


def pixel() -> tuple[dict[str, Any], AttestationRequest]:
    whole, client = Captured("PIXEL_8A", NOW).parts
    chain = cbor2.loads(whole)["attStmt"]["x5c"]
    asked = AttestationRequest(
        key=key_in(chain[0]),
        nonce=b"",
        made_for=hashlib.sha256(client).digest(),
        now=datetime(2025, 1, 20, 12, tzinfo=UTC),
    )
    return {"format": "android-key", "x5c": [b64(one) for one in chain]}, asked


def yubikey(name: str = "yubikey-piv") -> tuple[dict[str, Any], AttestationRequest]:
    chain = SAMPLES[name]["x5c"]
    key = key_in(base64.b64decode(chain[0]))
    return {"format": "yubikey-piv", "x5c": chain}, AttestationRequest(key=key, nonce=NONCE, made_for=MADE_FOR, now=NOW)


def iphone() -> tuple[dict[str, Any], AttestationRequest]:
    sample = SAMPLES["apple-appattest"]
    asked = AttestationRequest(
        key=other(),
        nonce=hashlib.sha256(sample["challenge"].encode()).digest(),
        made_for=b"",
        now=datetime(2021, 4, 15, tzinfo=UTC),
    )
    return {"format": "apple-appattest", "object": sample["object"]}, asked


def shipped(**changed: Any) -> AttestationTrust:
    return AttestationTrust(**{**vars(attestation.trust()), **changed})


def test_real_android_phone_against_googles_roots() -> None:
    """A Pixel 8a: TEE, verified boot; its key serves for ten seconds after an unlock, which is no verification of
    each use (trap 6, DK-2).
    """
    found = judge(*pixel(), shipped())
    assert (found.device.type, found.level, found.verifies_user, found.facts["keymint"]) == ("android", "TEE", False, 1)


def test_real_yubikey_against_yubicos_roots() -> None:
    """Firmware 5.4.3, slot 9a, PIN once a session: hardware, and one factor."""
    found = judge(*yubikey(), shipped())
    assert (
        found.device.type,
        found.device.model,
        found.verifies_user,
        found.facts["firmware"],
        found.facts["slot"],
    ) == ("yubikey", "YubiKey 5", False, "5.4.3", "9a")
    assert (found.device.serial, found.facts["pin_policy"]) == ("15732500", 2)


def test_real_yubikey_below_a_u2f_root_is_refused() -> None:
    """An early YubiKey 4 was certified below the U2F root by a certificate that is no authority: refused."""
    with pytest.raises(Refused):
        judge(*yubikey("yubikey-4"), shipped())


def test_real_iphone_against_apples_root() -> None:
    """The sample is of Apple's development environment: refused where the app is trusted in production, accepted
    where it is listed for development.
    """
    app = SAMPLES["apple-appattest"]["app"]
    with pytest.raises(Refused):
        judge(*iphone(), shipped(apps=frozenset({app})))
    found = judge(*iphone(), shipped(developing=frozenset({app})))
    assert (found.device.type, found.device.model, found.level, found.verifies_user) == (
        "apple",
        app,
        "Secure Enclave",
        False,
    )
    assert found.facts["environment"] == "development"
    assert judge(*iphone(), shipped(developing=frozenset({app}), verifying=frozenset({app}))).verifies_user
    for apps in (set(), {"35MFYY2JY5.co.chiff"}):
        with pytest.raises(Refused):
            judge(*iphone(), shipped(developing=frozenset(apps)))


@pytest.mark.parametrize(
    "aaguid", [b"appattest" + bytes(7), b"appattestdevelop", bytes(16), b"appattest" + b"\x01" * 7]
)
@pytest.mark.parametrize("mode", ["apps", "developing"])
def test_apple_environments_are_told_apart(mode: str, aaguid: bytes) -> None:
    """Production and development are told apart by the AAGUID, and each is refused in the other's mode."""
    phone, right = Apple(), {"apps": b"appattest" + bytes(7), "developing": b"appattestdevelop"}[mode]
    trust = phone.trust(**{"apps": frozenset(), mode: frozenset({APP})})
    statement = phone.statement(phone.data(aaguid=aaguid))
    assert refused(statement, phone, trust=trust) == (aaguid != right)


def test_real_tpm_attestation_is_parsed() -> None:
    """A Surface's TPMS_ATTEST reads as ours do; its key is RSA and signed with SHA-1, so it is no device key."""
    whole, client = Captured("MICROSOFT_SURFACE_1796", NOW).parts
    said = cbor2.loads(whole)
    # what it was made with
    qualifying = hashlib.sha1(said["authData"] + hashlib.sha256(client).digest()).digest()  # noqa: S324
    tpm.certified(said["attStmt"]["certInfo"], said["attStmt"]["pubArea"], qualifying=qualifying)
    with pytest.raises(Refused):
        tpm.certified(said["attStmt"]["certInfo"], said["attStmt"]["pubArea"], qualifying=NONCE)
    with pytest.raises(Refused):
        tpm.device_point(said["attStmt"]["pubArea"])


@pytest.mark.parametrize("sample", [pixel, yubikey])
def test_changed_byte_in_a_real_chain_is_refused(
    sample: Callable[[], tuple[dict[str, Any], AttestationRequest]],
) -> None:
    """Every seventeenth byte of every certificate that counts, flipped."""
    statement, asked = sample()
    known = shipped()
    for index, text in enumerate(statement["x5c"][:3]):
        raw = base64.b64decode(text)
        for at in range(0, len(raw), 17):
            changed = [*statement["x5c"]]
            changed[index] = b64(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
            with pytest.raises(Refused):
                judge({**statement, "x5c": changed}, asked, known)


@pytest.mark.parametrize("sample", [pixel, yubikey, iphone])
def test_real_statement_is_bound_to_key_challenge_and_time(
    sample: Callable[[], tuple[dict[str, Any], AttestationRequest]],
) -> None:
    """Another key, another challenge, another time, no roots, the roots of another format, a revoked certificate
    (libraries.md trap: no roots, no trust).
    """
    statement, asked = sample()
    known = shipped(developing=frozenset({SAMPLES["apple-appattest"]["app"]}))
    form = statement["format"]
    worse = [
        (AttestationRequest(**{**vars(asked), "now": datetime(2019, 1, 1, tzinfo=UTC) - timedelta(days=2000)}), known),
        (asked, AttestationTrust(**{**vars(known), "roots": {}})),
        (asked, AttestationTrust(**{**vars(known), "roots": {form: []}})),
        (asked, AttestationTrust(**{**vars(known), "roots": {form: [b"x"]}})),
        (
            asked,
            AttestationTrust(
                **{
                    **vars(known),
                    "roots": {form: next(roots for name, roots in known.roots.items() if name != form and roots)},
                }
            ),
        ),
    ]
    if form != "apple-appattest":
        serial = x509.load_der_x509_certificate(base64.b64decode(statement["x5c"][1])).serial_number
        worse += [
            (AttestationRequest(**{**vars(asked), "key": other()}), known),
            (asked, AttestationTrust(**{**vars(known), "revoked": frozenset({f"{serial:x}"})})),
        ]
    if form == "android-key":
        worse.append((AttestationRequest(**{**vars(asked), "made_for": MADE_FOR}), known))
    if form == "apple-appattest":
        worse.append((AttestationRequest(**{**vars(asked), "nonce": NONCE}), known))
    for about, trust in worse:
        with pytest.raises(Refused):
            judge(statement, about, trust)


# --- Android, field by field ------------------------------------------------------------------------------------------


def test_android_with_user_verification_is_two_factors() -> None:
    """TEE or StrongBox; a finger at each use makes two factors; brand and model where the hardware attests them."""
    phone = Android()
    found = judge(
        phone.statement(
            phone.description(
                levels=(2, 2), hardware=phone.enforced(brand=tlv(4, b"google"), model=tlv(4, b"Pixel 8a"))
            )
        ),
        phone.asked(),
        phone.trust(),
    )
    assert (found.level, found.verifies_user, found.device.model) == ("StrongBox", True, "google Pixel 8a")
    assert judge(phone.statement(phone.description(levels=(2, 1))), phone.asked(), phone.trust()).level == "TEE"
    for enforced in (phone.enforced(curve=None), phone.enforced(size=None)):
        assert not refused(phone.statement(phone.description(hardware=enforced)), phone)


@pytest.mark.parametrize(("hardware", "software"), [
    ({"timeout": number(10)}, {}), ({"auth": None}, {}), ({"auth": number(0)}, {}), ({"no_auth": tlv(5, b"")}, {}),
    ({}, {503: tlv(5, b"")}), ({}, {505: number(3)}), ({"auth": None}, {504: number(2)}),
])  # fmt: skip
def test_android_without_verification_of_each_use_is_one_factor(
    hardware: dict[str, bytes | None], software: dict[int, bytes]
) -> None:
    """Trap 6, DK-2: unlocking the phone is not activating the key; what only the system says does not count in
    favour.
    """
    phone = Android()
    found = judge(
        phone.statement(phone.description(hardware=phone.enforced(**hardware), software=software)),
        phone.asked(),
        phone.trust(),
    )
    assert not found.verifies_user


ANDROID: dict[str, Callable[[Android], bytes]] = {
    "the system's keystore": lambda one: one.description(levels=(0, 0)),
    "attested by software": lambda one: one.description(levels=(0, 1)),
    "kept in software": lambda one: one.description(levels=(1, 0)),
    "an unknown level": lambda one: one.description(levels=(3, 3)),
    "an old schema": lambda one: one.description(version=2),
    "another challenge": lambda one: one.description(challenge=NONCE),
    "no challenge": lambda one: one.description(challenge=b""),
    "unlocked": lambda one: one.description(hardware=one.enforced(boot=one.root_of_trust(locked=False))),
    "self-signed boot": lambda one: one.description(hardware=one.enforced(boot=one.root_of_trust(state=1))),
    "unverified boot": lambda one: one.description(hardware=one.enforced(boot=one.root_of_trust(state=2))),
    "failed boot": lambda one: one.description(hardware=one.enforced(boot=one.root_of_trust(state=3))),
    "no root of trust": lambda one: one.description(hardware=one.enforced(boot=None)),
    "a root of trust that the system claims": lambda one: one.description(
        hardware=one.enforced(boot=None), software={704: one.root_of_trust()}
    ),
    "imported": lambda one: one.description(hardware=one.enforced(origin=number(2))),
    "origin claimed by the system": lambda one: one.description(
        hardware=one.enforced(origin=None), software={702: number(0)}
    ),
    "a key that attests": lambda one: one.description(hardware=one.enforced(purpose=tlv(0x31, number(2) + number(7)))),
    "a key that cannot sign": lambda one: one.description(hardware=one.enforced(purpose=tlv(0x31, number(3)))),
    "no purpose": lambda one: one.description(hardware=one.enforced(purpose=None)),
    "RSA": lambda one: one.description(hardware=one.enforced(algorithm=number(1))),
    "another curve": lambda one: one.description(hardware=one.enforced(curve=number(2))),
    "another size": lambda one: one.description(hardware=one.enforced(curve=None, size=number(384))),
    "something after the end": lambda one: one.description(tail=number(1)),
    "cut short": lambda one: one.description()[:-1],
    "a purpose twice": lambda one: one.description().replace(explicit(2, number(3)), explicit(1, number(3))),
    "not a sequence": lambda one: number(1),
    "nothing": lambda one: b"\x30\x00",
}


@pytest.mark.parametrize("wrong", ANDROID)
def test_android_statement_wrong_in_one_field_is_refused(wrong: str) -> None:
    """Issue 6: each refused."""
    phone = Android()
    assert not refused(phone.statement(), phone)
    assert refused(phone.statement(ANDROID[wrong](phone)), phone)


def test_attested_key_attests_no_other_key() -> None:
    """A certificate below an attested key, with a description of its own: the leaf must be what the maker signed."""
    phone, evil = Android(), fresh()
    true = phone.certificate("Key", evil, {"1.3.6.1.4.1.11129.2.1.17": phone.description()}, ca=True)
    forged = phone.certificate(
        "Key", phone.key, {"1.3.6.1.4.1.11129.2.1.17": phone.description()}, signer=evil, issuer=true
    )
    assert refused(phone.statement(chain=[forged, true]), phone)
    plain = phone.certificate("Key", phone.key)
    assert refused(phone.statement(chain=[plain]), phone)
    twice = phone.statement(phone.description(hardware={**phone.enforced()}))
    assert not refused(twice, phone)


# --- YubiKey, field by field ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "asks"),
    [(b"\x01\x01", False), (b"\x02\x02", False), (b"\x03\x01", True), (b"\x04\x01", False), (b"\x05\x03", True)],
)
def test_yubikey_pin_policy_decides_the_second_factor(policy: bytes, asks: bool) -> None:  # noqa: FBT001
    """DK-2: only a PIN (or a finger) at each use is a second factor."""
    stick = YubiKey()
    found = judge(stick.statement(**{"8": policy}), stick.asked(), stick.trust())
    assert (found.verifies_user, found.device.serial, found.device.model) == (asks, "7654321", "YubiKey 5 FIPS")


YUBIKEY: dict[str, Callable[[YubiKey], dict[str, Any]]] = {
    "another slot's name": lambda one: one.statement(name="YubiKey PIV Attestation f9"),
    "another name": lambda one: one.statement(name="9a"),
    "no firmware": lambda one: one.statement(drop="3"),
    "no policy": lambda one: one.statement(drop="8"),
    "a PIN policy that is none": lambda one: one.statement(**{"8": b"\x06\x01"}),
    "no PIN policy": lambda one: one.statement(**{"8": b"\x00\x01"}),
    "a touch policy that is none": lambda one: one.statement(**{"8": b"\x03\x04"}),
    "a long policy": lambda one: one.statement(**{"8": b"\x03\x01\x01"}),
    "a short firmware": lambda one: one.statement(**{"3": b"\x05\x07"}),
    "a serial that is none": lambda one: one.statement(**{"7": b"\x04\x01\x01"}),
    "a negative serial": lambda one: one.statement(**{"7": b"\x02\x01\xff"}),
    "another key": lambda one: one.statement(key=fresh()),
    "an RSA key": lambda one: one.statement(key=rsa.generate_private_key(65537, 2048)),
    "a P-384 key": lambda one: one.statement(key=ec.generate_private_key(ec.SECP384R1())),
    "signed by nobody": lambda one: one.statement(signer=fresh()),
    "without the device's certificate": lambda one: {**one.statement(), "x5c": one.statement()["x5c"][:1]},
    "the device's certificate alone": lambda one: {**one.statement(), "x5c": one.statement()["x5c"][1:]},
}


@pytest.mark.parametrize("wrong", YUBIKEY)
def test_yubikey_statement_wrong_in_one_field_is_refused(wrong: str) -> None:
    """Issue 6: each refused."""
    stick = YubiKey()
    assert not refused(stick.statement(), stick)
    assert refused(YUBIKEY[wrong](stick), stick)


# --- TPM, field by field ----------------------------------------------------------------------------------------------

TPM: dict[str, Callable[[Tpm], dict[str, Any]]] = {
    "not made by a TPM": lambda one: one.statement(info=one.info(one.public(), magic=b"\xffTCH")),
    "a quote": lambda one: one.statement(info=one.info(one.public(), kind=b"\x80\x18")),
    "another challenge": lambda one: one.statement(info=one.info(one.public(), qualifying=MADE_FOR)),
    "no challenge": lambda one: one.statement(info=one.info(one.public(), qualifying=b"")),
    "another key's name": lambda one: one.statement(info=one.info(one.public(), name=b"\x00\x0b" + bytes(32))),
    "a name of another hash": lambda one: one.statement(
        info=one.info(one.public(), name=b"\x00\x0c" + hashlib.sha256(one.public()).digest())
    ),
    "something after the end": lambda one: one.statement(info=one.info(one.public(), tail=b"x")),
    "cut short": lambda one: one.statement(info=one.info(one.public())[:-1]),
    "another public area": lambda one: one.statement(public=Tpm().public()),
    "not fixed to this TPM": lambda one: one.statement(public=one.public(attributes=0x00040070)),
    "not fixed to its parent": lambda one: one.statement(public=one.public(attributes=0x00040062)),
    "made outside": lambda one: one.statement(public=one.public(attributes=0x00040052)),
    "not for signing": lambda one: one.statement(public=one.public(attributes=0x00000072)),
    "restricted": lambda one: one.statement(public=one.public(attributes=0x00050072)),
    "a key that decrypts": lambda one: one.statement(public=one.public(attributes=0x00060072)),
    "RSA": lambda one: one.statement(public=one.public(kind=1)),
    "SHA-1 names": lambda one: one.statement(public=one.public(hashed=4)),
    "another curve": lambda one: one.statement(public=one.public(curve=4)),
    "another scheme": lambda one: one.statement(public=one.public(scheme=b"\x00\x1a\x00\x0b")),
    "another hash of the scheme": lambda one: one.statement(public=one.public(scheme=b"\x00\x18\x00\x04")),
    "a longer public area": lambda one: one.statement(public=one.public(tail=b"x")),
    "signed by another key": lambda one: one.statement(signer=rsa.generate_private_key(65537, 2048)),
    "no certificate of a TPM's": lambda one: one.statement(leaf=one.ak_certificate(eku="1.3.6.1.5.5.7.3.2")),
    "an authority": lambda one: one.statement(leaf=one.ak_certificate(ca=True)),
    "a small key": lambda one: one.statement(
        leaf=one.ak_certificate(key=(small := rsa.generate_private_key(65537, 1024))),  # noqa: S505
        signer=small,
    ),
    "no signature": lambda one: one.statement(signature=""),
    "no certify info": lambda one: one.statement(certify_info=None),
    "not base64": lambda one: {**one.statement(), "public": "****"},
}


@pytest.mark.parametrize("wrong", TPM)
def test_tpm_statement_wrong_in_one_field_is_refused(wrong: str) -> None:
    """Issue 6: each refused; a TPM proves hardware and never a person (DK-2)."""
    chip = Tpm()
    found = judge(chip.statement(), chip.asked(), chip.trust())
    assert (found.verifies_user, found.level, found.device.type) == (False, "TPM 2.0", "tpm")
    assert not refused(chip.statement(public=chip.public(scheme=b"\x00\x10")), chip)
    assert refused(TPM[wrong](chip), chip)


# --- Apple, field by field --------------------------------------------------------------------------------------------

APPLE: dict[str, Callable[[Apple], dict[str, Any]]] = {
    "another app": lambda one: one.statement(one.data(app="TEAM123456.org.example.evil")),
    "used before": lambda one: one.statement(one.data(counter=1)),
    "the development environment": lambda one: one.statement(one.data(aaguid=b"appattestdevelop")),
    "another environment": lambda one: one.statement(one.data(aaguid=bytes(16))),
    "another key's id": lambda one: one.statement(one.data(key_id=bytes(32))),
    "an id of another length": lambda one: one.statement(one.data(length=31)),
    "cut short": lambda one: one.statement(one.data()[:60]),
    "another challenge": lambda one: one.statement(nonce=MADE_FOR),
    "no nonce": lambda one: one.statement(drop=True),
    "a nonce of another shape": lambda one: one.statement(said=tlv(0x30, explicit(1, tlv(0x02, b"\x01")))),
    "another format": lambda one: one.statement(fmt="apple"),
    "no CBOR": lambda one: {"format": "apple-appattest", "object": b64(b"\xff\xff")},
    "a list": lambda one: {"format": "apple-appattest", "object": b64(cbor2.dumps([1]))},
    "certificates that are none": lambda one: {
        "format": "apple-appattest",
        "object": b64(cbor2.dumps({"fmt": "apple-appattest", "authData": one.data(), "attStmt": {"x5c": ["x"]}})),
    },
}


@pytest.mark.parametrize("wrong", APPLE)
def test_app_attest_statement_wrong_in_one_field_is_refused(wrong: str) -> None:
    """Issue 6: each refused."""
    phone = Apple()
    assert judge(phone.statement(), phone.asked(), phone.trust()).device.model == APP
    assert refused(APPLE[wrong](phone), phone)


# --- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [Android, YubiKey, Tpm, Apple])
def test_without_roots_no_format_is_trusted(make: type[Any]) -> None:
    """C60: an empty set of roots trusts nothing; another maker's root does not verify; nor one outside its validity."""
    maker, stranger = make(), make()
    assert not refused(maker.statement(), maker)
    assert refused(maker.statement(), maker, trust=AttestationTrust(apps=frozenset({APP})))
    assert refused(maker.statement(), maker, trust=stranger.trust())
    assert refused(stranger.statement(), maker, asked=stranger.asked())
    for then in (NOW - timedelta(days=400), NOW + timedelta(days=9000)):
        assert refused(maker.statement(), maker, asked=maker.asked(now=then))


@pytest.mark.parametrize("statement", [
    None, [], "x", 7, {}, {"format": "packed"}, {"format": 7}, {"format": "tpm"}, {"format": "android-key", "x5c": []},
    {"format": "android-key", "x5c": "x"},
    {"format": "android-key", "x5c": ["x"] * 9}, {"format": "android-key", "x5c": [7]},
    {"format": "yubikey-piv", "x5c": ["AAAA"]},
    {"format": "android-key", "x5c": ["A" * 20000]}, {"format": "apple-appattest", "object": 7}, {"format": ["tpm"]},
])  # fmt: skip
def test_malformed_statement_is_refused(statement: object) -> None:
    """Refused as a bad proof, never a fault."""
    with pytest.raises(Refused):
        judge(statement, Android().asked(), Android().trust())


@pytest.mark.parametrize(
    "raw", ["", "30", "3080", "308100", "30820001ff", "3003020101ff", "1f8101", "bf85", "bf8085858501", "02810101"]
)
def test_der_is_parsed_strictly(raw: str) -> None:
    """Indefinite, overlong, cut or trailing: refused."""
    with pytest.raises(Refused):
        der.only(bytes.fromhex(raw))


def test_level_of_a_key_with_and_without_hardware_proof() -> None:
    """DK-2, ruling 1: bare AAL1; with a passphrase AAL2; hardware alone AAL1; hardware that asks each time AAL2;
    never AAL3, never phishing-resistant.
    """
    key, device = (
        public_key(jwk_of(fresh())),
        HardwareEvidence(device=DeviceFacts(type="tpm"), verifies_user=False, level="TPM 2.0"),
    )
    asking = HardwareEvidence(device=device.device, verifies_user=True, level="StrongBox")
    rows = [
        ("", None, AAL.AAL1, {"pop"}), ("x", None, AAL.AAL2, {"pop", "pwd", "mfa"}), ("", device, AAL.AAL1, {"hwk"}),
        ("x", device, AAL.AAL2, {"hwk", "pwd", "mfa"}), ("", asking, AAL.AAL2, {"hwk", "user", "mfa"}),
        ("x", asking, AAL.AAL2, {"hwk", "user", "pwd", "mfa"}),
    ]  # fmt: skip
    for passphrase, kept, level, amr in rows:
        made = device_key.proof_of(key, passphrase_hash=passphrase, clients=[], kept=kept)
        assert (
            made.shown.reach,
            set(made.shown.amr),
            made.shown.phishing_resistant,
            made.shown.hardware_protected,
        ) == (level, amr, False, False)
        assert (made.evidence["protection"], made.evidence["exportable"]) == (
            ("hardware", False) if kept else ("software", "unproven")
        )
        assert Factor.DEVICE_KEY in made.shown.factors


# --- whose word -------------------------------------------------------------------------------------------------------


def test_operators_roots_replace_the_shipped_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Roots are replaceable, an empty folder trusts no maker, and an unreadable file is an error that issues
    nothing.
    """
    monkeypatch.setattr("idp.policies.attestation.folder", lambda: tmp_path / "attestation")
    roots = attestation.trust().roots
    assert {name: len(found) > 0 for name, found in roots.items()} == dict.fromkeys(attestation.FORMATS, True)
    chip = Tpm()
    (tmp_path / "attestation/tpm").mkdir(parents=True)
    assert attestation.trust().roots["tpm"] == []
    (tmp_path / "attestation/tpm/ours.pem").write_bytes(chip.root.public_bytes(Encoding.PEM))
    assert attestation.trust().roots["tpm"] == [chip.root.public_bytes(Encoding.DER)]
    assert attestation.trust().roots["android-key"] == roots["android-key"]
    (tmp_path / "attestation/android-key").mkdir()
    assert attestation.trust().roots["android-key"] == []
    (tmp_path / "attestation/android-status.json").write_text(json.dumps({"entries": {"00AB": {"status": "REVOKED"}}}))
    (tmp_path / "attestation/attestation.toml").write_text('apps = ["T.app"]\nrevoked = ["0C"]\n')
    found = attestation.trust()
    assert (found.revoked, found.apps, found.verifying) == (frozenset({"ab", "c"}), frozenset({"T.app"}), frozenset())
    assert attestation_policy_is_readable() == []
    for name, text in (
        ("attestation.toml", "app = []"),
        ("attestation.toml", "apps = 'x'"),
        ("android-status.json", "[]"),
        ("tpm/bad.pem", "x"),
        ("attestation.toml", 'revoked = ["zz"]'),
    ):
        path = tmp_path / "attestation" / name
        before = path.read_bytes() if path.exists() else None
        path.write_text(text)
        with pytest.raises(Unavailable):
            attestation.trust()
        assert [one.id for one in attestation_policy_is_readable()] == ["ramet.E051"]
        path.write_bytes(before) if before is not None else path.unlink()
    (tmp_path / "attestation/androidkey").mkdir()
    with pytest.raises(Unavailable):
        attestation.trust()


def test_statement_covers_challenge_and_key() -> None:
    """The challenge and the key, or the code: nothing that another attempt has."""
    assert len({nonce_of("a", "b"), nonce_of("a", "c"), nonce_of("b", "b"), made_for("a"), made_for("b")}) == 5
    assert x5c(Tpm().root)


@pytest.mark.django_db
@pytest.mark.parametrize("odd", [
    cbor2.CBORTag(35, "("), cbor2.CBORTag(5, [10**6, 1]), cbor2.CBORTag(4, [10**9, 1]), cbor2.CBORTag(30, [1, 0]),
    cbor2.CBORTag(36, "x"),
    cbor2.CBORTag(1, 10**30), cbor2.CBORTag(0, "no time"), cbor2.CBORTag(37, b"x"), cbor2.CBORTag(260, b"x"),
    cbor2.CBORTag(258, [[]]), {"fmt": {}}, [],
    {"fmt": "x", "authData": 1, "attStmt": []}, cbor2.CBORTag(28, 1), cbor2.CBORTag(29, 7),
], ids=str)  # fmt: skip
def test_attestation_of_malformed_cbor_is_refused(odd: Any) -> None:
    """C75: any CBOR that makes the parser fail is refused as a bad proof."""
    key = public_key(DeviceKey.generate().public_jwk)
    asked = hardware.AttestationRequest(key=key, nonce=b"n", made_for=b"m", now=clock.now())
    with pytest.raises(Refused) as refused:
        judge(
            {"format": "apple-appattest", "object": b64encode(cbor2.dumps(odd)).decode()},
            asked,
            hardware.AttestationTrust(),
        )
    assert refused.value.reason == Reason.BAD_PROOF
