"""What an attestation proves: real keys against FIDO's metadata, and forgers against it (PK-2, C60, RQ-4)."""

from __future__ import annotations

import base64
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import cbor2
import pytest
from OpenSSL.crypto import X509Store

from derived.errors import Reason, Refused
from derived.minting import passkey
from derived.minting.fido import attestation, metadata
from derived.minting.fido.metadata import Metadata, Model, ModelPolicy
from derived.rules.assurance import AAL
from idp.policies import fido_metadata as kept
from tests.fixtures.captured_registrations import ALL, Captured, published
from tests.fixtures.passkey_ceremonies import NOW, asked, creation
from tests.fixtures.software_authenticator import BE, BS, UP, UV, Maker, SoftKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from derived.minting.passkey import RegisteredPasskey

FIPS = "73bb0cd4-e502-49b8-9c6f-b59445bf720b"
CERTIFIED = ("FIDO_CERTIFIED_L2", "FIDO_CERTIFIED")
ISOLATED = frozenset({"hardware", "secure_element"})


def judged(
    key: SoftKey, *, known: Metadata, policy: ModelPolicy | None = None, now: datetime = NOW, **falsified: Any
) -> RegisteredPasskey:
    """Register a key, with this metadata and policy."""
    expected = asked()
    document = json.dumps(key.create(creation(expected), **falsified))
    return passkey.register(
        passkey.parse(document), expected=expected, metadata=known, policy=policy or ModelPolicy(), now=now
    )


def listing(maker: Maker, **changed: Any) -> Metadata:
    """Metadata that lists this maker's model, as FIDO would list a good one."""
    said: dict[str, Any] = {
        "ids": (maker.aaguid,),
        "description": "A good key",
        "roots": (base64.b64encode(maker.root_der).decode(),),
        "statuses": CERTIFIED,
        "key_protection": ISOLATED,
        **changed,
    }
    return Metadata(models={maker.aaguid: Model(**said)})


# --- real keys --------------------------------------------------------------------------------------------------------

REAL = {
    "YUBIKEY_4": ("fido-u2f", "YK4 Series Key by Yubico", AAL.AAL3),
    "YUBIKEY_5_NFC": ("packed", "YubiKey 5 Series with NFC", AAL.AAL3),
    "MICROSOFT_SURFACE_1796": (
        "tpm",
        "Windows Hello Hardware Authenticator",
        AAL.AAL2,
    ),  # FIDO does not say that its keys are isolated
    "PIXEL_8A": ("android-key", "Android Authenticator", AAL.AAL3),
    "IPHONE_12": ("apple", "Apple device", AAL.AAL3),
}


@pytest.fixture
def library_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """For Apple and Android `webauthn` asks OpenSSL's own clock, which no test can move but in this way."""

    def at(moment: datetime) -> None:
        def store() -> X509Store:
            made = X509Store()
            made.set_time(moment)
            return made

        monkeypatch.setattr(
            sys.modules["webauthn.helpers.validate_certificate_chain"], "_generate_new_cert_store", store
        )

    return at


def _known() -> tuple[Metadata, ModelPolicy]:
    """The package's metadata, and an operator who allows Apple too (of which FIDO says nothing)."""
    found = replace(published(), models={**published().models, kept.APPLE: kept._apple()})
    return found, ModelPolicy(allow=frozenset(found.models))


@pytest.mark.parametrize("name", REAL)
def test_real_key_is_identified_by_its_model(name: str, library_clock: Callable[[datetime], None]) -> None:
    """Yubico (U2F and FIDO2), a TPM, a Pixel and an iPhone lead to a root of their own model."""
    real = Captured(name, ALL[name])
    library_clock(real.at)
    known, policy = _known()
    found = real.judged(known=known, policy=policy)
    fmt, model, level = REAL[name]
    assert (found.attestation, found.attested, found.model, found.reaches) == (fmt, True, model, level)
    assert found.listed_as


@pytest.mark.parametrize("name", ["YUBIKEY_4", "YUBIKEY_5_NFC", "MICROSOFT_SURFACE_1796", "PIXEL_8A"])
def test_fido_certified_model_counts_by_default(name: str, library_clock: Callable[[datetime], None]) -> None:
    """The default policy: certified, and no bad status reported. Apple, which FIDO does not list, needs the
    operator's entry.
    """
    real = Captured(name, ALL[name])
    library_clock(real.at)
    assert real.judged().attested
    apple = Captured("IPHONE_12", ALL["IPHONE_12"])
    library_clock(apple.at)
    found = apple.judged(known=_known()[0])
    assert (found.attested, found.reaches) == (False, AAL.AAL2)


def test_synced_passkey_is_unattested_and_aal2() -> None:
    """`none`, BE=1 (PK-1, PK-2)."""
    found = Captured("NONE_ATTESTATION", ALL["NONE_ATTESTATION"]).judged()
    assert (found.attestation, found.attested, found.backup_eligible, found.reaches) == ("none", False, True, AAL.AAL2)


def test_safetynet_is_refused() -> None:
    """Google ended it; a Nexus of 2014 has to register without attestation."""
    with pytest.raises(Refused):
        Captured("NEXUS_5", ALL["NEXUS_5"]).judged()


_DATA = {"counter": (36, 1), "flags": (32, UV), "aaguid": (37, 1), "key": (-1, 1)}  # where in the data, which bit


def test_safetynet_is_refused_even_if_it_verifies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The format is on no list of ours, though `webauthn` knows it."""
    library = sys.modules["webauthn.registration.verify_registration_response"]
    monkeypatch.setattr(library, "verify_android_safetynet", lambda **_: True)
    with pytest.raises(Refused):
        Captured("NEXUS_5", ALL["NEXUS_5"]).judged()


def _with(part: str) -> Callable[[Captured], dict[str, bytes]]:
    def falsified(real: Captured) -> dict[str, bytes]:
        whole, client = real.parts
        said = cbor2.loads(whole)
        if part == "client":
            return {"client": client.replace(b'"webauthn.create"', b'"webauthn.create" ')}
        data, statement = bytearray(said["authData"]), dict(said["attStmt"])
        if part in _DATA:
            at, mask = _DATA[part]
            data[at] ^= mask
        elif part == "ver":
            statement["ver"] = "1.2"
        else:
            at, mask = (7, 2) if part == "pubArea" else (-1, 1)
            changed = bytearray(statement[part])
            changed[at] ^= mask
            statement[part] = bytes(changed)
        return {"whole": cbor2.dumps({**said, "authData": bytes(data), "attStmt": statement})}

    return falsified


FALSIFIED = [
    (name, part)
    for name in REAL
    for part in ("client", "sig", "counter", "flags", "aaguid", "key")
    if not (name == "YUBIKEY_4" and part in {"counter", "flags"})  # U2F's signature does not cover them
    and not (name == "IPHONE_12" and part == "sig")  # Apple's has none: the certificate is for this data alone
] + [("MICROSOFT_SURFACE_1796", part) for part in ("certInfo", "pubArea", "ver")]


@pytest.mark.parametrize(("name", "part"), FALSIFIED)
def test_real_attestation_with_a_changed_part_is_refused(
    name: str, part: str, library_clock: Callable[[datetime], None]
) -> None:
    """Every part that an attestation covers."""
    real = Captured(name, ALL[name])
    library_clock(real.at)
    known, policy = _known()
    assert real.judged(known=known, policy=policy).attested
    with pytest.raises(Refused) as refused:
        real.judged(known=known, policy=policy, **_with(part)(real))
    assert refused.value.reason == Reason.BAD_PROOF


@pytest.mark.parametrize("name", ["YUBIKEY_4", "YUBIKEY_5_NFC", "MICROSOFT_SURFACE_1796"])
@pytest.mark.parametrize("away", ["the model", "its roots", "another's roots", "not yet", "no more"])
def test_real_key_without_its_root_is_unattested(name: str, away: str) -> None:
    """Without roots nothing is attested, although `webauthn` would accept it; nor before or after its certificates'
    time.
    """
    real = Captured(name, ALL[name])
    listed_as = real.judged().listed_as
    models = dict(published().models)
    if away == "the model":
        del models[listed_as]
    elif away == "its roots":
        models[listed_as] = replace(models[listed_as], roots=())
    elif away == "another's roots":
        models[listed_as] = replace(
            models[listed_as], roots=(base64.b64encode(Maker().root_der).decode(), "not base64!", "AAAA")
        )
    at = {"not yet": datetime(2001, 1, 1, tzinfo=UTC), "no more": datetime(2099, 1, 1, tzinfo=UTC)}.get(away)
    found = real.judged(known=replace(published(), models=models), at=at)
    assert (found.attested, found.hardware, found.model, found.listed_as, found.reaches) == (
        False,
        False,
        "",
        "",
        AAL.AAL2,
    )


def test_android_attestation_with_another_makers_aaguid_is_refused(library_clock: Callable[[datetime], None]) -> None:
    """An Android attestation chains to Google, whatever AAGUID its data carry: it is verified against that model's
    own roots.
    """
    real = Captured("PIXEL_8A", ALL["PIXEL_8A"])
    library_clock(real.at)
    models = dict(published().models)
    models["b93fd961-f2e6-462f-b122-82002247de78"] = replace(
        models[FIPS], ids=("b93fd961-f2e6-462f-b122-82002247de78",)
    )
    found = real.judged(known=replace(published(), models=models))
    assert (found.attested, found.reaches) == (False, AAL.AAL2)


# --- forgers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["the package", "a maker without roots", "nowhere"])
def test_forged_yubikey_is_unattested(where: str) -> None:
    """A packed attestation of a self-made authority, with the AAGUID of a YubiKey 5 FIPS in data and certificate."""
    maker = Maker(aaguid=FIPS)
    known = {"the package": published(), "a maker without roots": listing(maker, roots=()), "nowhere": Metadata()}[
        where
    ]
    found = judged(SoftKey(maker=maker), known=known)
    assert (found.aaguid, found.attestation) == (FIPS, "packed")
    assert (found.attested, found.hardware, found.model, found.reaches) == (False, False, "", AAL.AAL2)


def test_self_attestation_never_counts() -> None:
    """The key signs its own attestation, under an AAGUID that FIDO certifies (PK-2)."""
    key = SoftKey(self_attests=True, aaguid=FIPS)
    found = judged(key, known=published(), policy=ModelPolicy(allow=frozenset({FIPS})))
    assert (found.attestation, found.attested, found.reaches) == ("self", False, AAL.AAL2)


def test_none_attestation_with_a_certified_aaguid_never_counts() -> None:
    """An AAGUID alone proves nothing."""
    found = judged(SoftKey(aaguid=FIPS), known=published())
    assert (found.aaguid, found.attested, found.reaches) == (FIPS, False, AAL.AAL2)


def test_control_maker_is_trusted() -> None:
    """The same maker, listed: the control for the refusals around it."""
    maker = Maker()
    found = judged(SoftKey(maker=maker), known=listing(maker))
    assert (found.attested, found.hardware, found.model, found.listed_as, found.reaches) == (
        True,
        True,
        "A good key",
        FIPS,
        AAL.AAL3,
    )


def test_certificate_with_another_aaguid_is_refused() -> None:
    """The extension id-fido-gen-ce-aaguid has to agree with the data (WebAuthn §8.2)."""
    maker = Maker(named_in_certificate="2fc0579f-8113-47ea-b116-bb5a8db9202a")
    with pytest.raises(Refused):
        judged(SoftKey(maker=maker), known=listing(maker))


@pytest.mark.parametrize(
    "changed",
    [{"unit": "Web server"}, {"ca": True}, {"start": datetime(2027, 1, 1, tzinfo=UTC)}, {"life": timedelta(days=1)}],
)
def test_certificate_that_is_not_for_attestation_is_refused(changed: dict[str, Any]) -> None:
    """Its unit, not an authority, and inside its time (WebAuthn §8.2.1)."""
    maker = Maker(**changed)
    assert judged(SoftKey(maker=maker), known=listing(maker)).attested is False


@pytest.mark.parametrize(
    "bad",
    [
        "REVOKED",
        "USER_VERIFICATION_BYPASS",
        "ATTESTATION_KEY_COMPROMISE",
        "USER_KEY_REMOTE_COMPROMISE",
        "USER_KEY_PHYSICAL_COMPROMISE",
    ],
)
@pytest.mark.parametrize("allowed", [False, True])
def test_model_reported_as_compromised_never_counts(bad: str, allowed: bool) -> None:  # noqa: FBT001 - a parameter
    """Whatever its certification and whatever an operator allows."""
    maker = Maker()
    policy = ModelPolicy(allow=frozenset({FIPS})) if allowed else ModelPolicy()
    known = listing(maker, statuses=(*CERTIFIED, bad))
    assert judged(SoftKey(maker=maker), known=known, policy=policy).attested is False


@pytest.mark.parametrize(
    ("statuses", "policy", "counts"),
    [
        (("FIDO_CERTIFIED",), ModelPolicy(), True),
        (("FIDO_CERTIFIED_L3plus",), ModelPolicy(), True),
        (("NOT_FIDO_CERTIFIED",), ModelPolicy(), False),
        (("SELF_ASSERTION_SUBMITTED",), ModelPolicy(), False),
        ((), ModelPolicy(), False),
        (CERTIFIED, ModelPolicy(deny=frozenset({FIPS})), False),
        (CERTIFIED, ModelPolicy(allow=frozenset({FIPS}), deny=frozenset({FIPS})), False),
        (CERTIFIED, ModelPolicy(allow=frozenset()), False),
        (CERTIFIED, ModelPolicy(allow=frozenset({"2fc0579f-8113-47ea-b116-bb5a8db9202a"})), False),
        (("NOT_FIDO_CERTIFIED",), ModelPolicy(allow=frozenset({FIPS})), True),
    ],
)
# a parameter
def test_models_that_count(statuses: tuple[str, ...], policy: ModelPolicy, counts: bool) -> None:  # noqa: FBT001
    """Certified, or on the operator's list; never on the other one (RQ-4)."""
    maker = Maker()
    assert judged(SoftKey(maker=maker), known=listing(maker, statuses=statuses), policy=policy).attested is counts


@pytest.mark.parametrize(
    ("protection", "kept_in"),
    [
        ({"hardware", "secure_element"}, True),
        ({"hardware", "tee"}, True),
        ({"hardware"}, False),
        ({"software"}, False),
        ({"hardware", "software", "tee"}, False),
        ({"secure_element"}, False),
        (set(), False),
    ],
)
# a parameter
def test_key_needs_isolated_hardware_for_aal3(protection: set[str], kept_in: bool) -> None:  # noqa: FBT001
    """AAL3 needs isolated hardware (63B-4 §3.2.13); an attested key elsewhere is worth AAL2."""
    maker = Maker()
    found = judged(SoftKey(maker=maker), known=listing(maker, key_protection=frozenset(protection)))
    assert (found.attested, found.hardware, found.reaches) == (True, kept_in, AAL.AAL3 if kept_in else AAL.AAL2)


@pytest.mark.parametrize(
    ("passcodes", "kept_in"),
    [
        ((), True),
        (((4, 10),), True),
        (((0, 0),), True),
        (((3, 8),), False),
        (((4, 11),), False),
        (((8, 8), (4, 32)), False),
    ],
)
def test_guessable_passcode_excludes_aal3(
    passcodes: tuple[tuple[int, int], ...],
    kept_in: bool,  # noqa: FBT001
) -> None:
    """TH-4: an activation secret has four characters or more, and at most ten tries; the worst of several decides."""
    maker = Maker()
    found = judged(SoftKey(maker=maker), known=listing(maker, passcodes=passcodes))
    assert (found.attested, found.hardware) == (True, kept_in)


@pytest.mark.parametrize("flags", [UP | UV | BE, UP | UV | BE | BS])
def test_syncable_key_is_never_aal3(flags: int) -> None:
    """BE decides, not BS, however good the attestation (PK-1, C60, trap 4)."""
    maker = Maker()
    found = judged(SoftKey(maker=maker), known=listing(maker), flags=flags)
    assert (found.attested, found.hardware, found.reaches) == (True, False, AAL.AAL2)


# --- reading the metadata ---------------------------------------------------------------------------------------------


def test_metadata_package_is_read_except_for_uaf() -> None:
    """Every FIDO2 and U2F model, with certified ones among them."""
    found = published()
    assert found.number >= 291
    assert len({model.description for model in found.models.values()}) > 300
    assert sum(ModelPolicy().admits(model) for model in found.models.values()) > 200
    assert found.is_stale((found.next_update or NOW.date()) + timedelta(days=1))
    assert not found.is_stale(found.next_update or NOW.date())


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"{}", b'{"no": 1}', b'{"no": "x", "nextUpdate": "2026-01-01", "entries": []}', b"[" * 100_000],
)
def test_malformed_metadata_is_refused(document: bytes) -> None:
    """And no other exception is raised."""
    with pytest.raises(Refused):
        metadata.read(document)


def test_bad_metadata_entry_is_skipped() -> None:
    """One maker's mistake lowers no other model's level."""
    good = {
        "aaguid": FIPS.upper(),
        "metadataStatement": {"description": "Good"},
        "statusReports": [{"status": "FIDO_CERTIFIED"}],
    }
    bad: list[Any] = [
        None,
        7,
        {},
        {**good, "statusReports": None},
        {**good, "metadataStatement": []},
        {"aaguid": "x"},
        {**good, "aaguid": 7, "statusReports": [1]},
    ]
    found = metadata.read(json.dumps({"no": 1, "nextUpdate": "2026-01-01", "entries": [*bad, good]}).encode())
    assert [model.description for model in found.models.values()] == ["Good"]
    assert found.model(FIPS) is not None


def test_weakest_passcode_of_a_model_decides() -> None:
    """TH-4: every alternative of FIDO's `userVerificationDetails`; fingerprints and silence are no passcode."""
    told = [
        [{"userVerificationMethod": "passcode_external", "caDesc": {"base": 64, "minLength": 4, "maxRetries": 8}}],
        [
            {"userVerificationMethod": "fingerprint_internal", "baDesc": {"maxRetries": 50}},
            {"userVerificationMethod": "passcode_internal"},
        ],
        [
            {"userVerificationMethod": "presence_internal"},
            {"userVerificationMethod": "passcode_internal", "caDesc": {"minLength": 4, "maxRetries": 32}},
        ],
    ]
    entry = {
        "aaguid": FIPS,
        "metadataStatement": {"userVerificationDetails": told},
        "statusReports": [{"status": "FIDO_CERTIFIED"}],
    }
    model = metadata.read(json.dumps({"no": 1, "nextUpdate": "2026-01-01", "entries": [entry]}).encode()).model(FIPS)
    assert model is not None
    assert (model.passcodes, model.limits_guessing) == (((4, 8), (4, 32)), False)


def test_zero_aaguid_names_no_model() -> None:
    """All zeroes identify no model, even if an operator lists them."""
    model = next(iter(listing(Maker()).models.values()))
    assert Metadata(models={metadata.NOBODY: model}).model(metadata.NOBODY) is None


def test_attestation_certificate_may_be_a_listed_root() -> None:
    """FIDO's metadata lists some makers' certificates without their authority; another certificate of the same
    authority is not meant.
    """
    maker = Maker()
    itself = base64.b64encode(maker.x5c[0]).decode()
    assert judged(SoftKey(maker=maker), known=listing(maker, roots=(itself,))).attested
    assert not judged(SoftKey(maker=Maker()), known=listing(maker, roots=(itself,))).attested


@pytest.mark.parametrize(
    ("attributes", "stays"),
    [
        (0b110010, True),
        (0x00060472, True),
        (0b110000, False),
        (0b100010, False),
        (0b010010, False),
        (0, False),
        (0xFFFFFFFF, True),
    ],
)
def test_tpm_key_must_be_made_there_and_fixed(attributes: int, stays: bool) -> None:  # noqa: FBT001 - a parameter
    """fixedTPM, fixedParent and sensitiveDataOrigin (TPM 2.0 part 2 §8.3); a duplicable key is exportable (63B-4
    §2.3).
    """
    model = next(iter(listing(Maker()).models.values()))
    public = b"\x00\x23\x00\x0b" + attributes.to_bytes(4) + b"rest"
    statement = attestation.AttestationStatement(
        fmt="tpm", chain=(b"x",), aaguid=FIPS, backup_eligible=False, pub_area=public
    )
    assert attestation._is_kept(statement, model) is stays
    assert attestation._is_kept(replace(statement, pub_area=b""), model) is False
    assert attestation._is_kept(replace(statement, backup_eligible=True), model) is False
