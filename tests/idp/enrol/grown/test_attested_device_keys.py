"""Device keys with proof of hardware, over the protocol: what they are worth, and a TPM from end to end (DK-1, DK-2,
MT-1, RQ-4, AS-2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from joserfc.jwk import ECKey

from derived import clock
from derived.errors import Reason
from derived.minting.hardware import statement as hardware
from derived.models import Credential, DeviceKey, Request
from derived.rules.kinds import Kind
from derived.rules.rulebook import ApprovedDevices, KindRules, Rulebook
from device import keeping, tpm
from device.client import Code, DeviceClient
from device.errors import ProtocolError
from device.keeping import Enrolment
from device.key import DeviceKey as Key
from idp.models import Binding
from tests.fixtures.attestation_makers import Android, Maker, Tpm, YubiKey
from tests.fixtures.world import AAL, ISSUER, claims, http

if TYPE_CHECKING:
    from pathlib import Path

    from demo.browser import Browser
    from tests.fixtures.software_tpm import Chip
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
PASSPHRASE = "seven mossy stones"


@pytest.fixture
def believed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Maker]:
    """Makers whose roots are believed."""
    makers: dict[str, Maker] = {"android-key": Android(), "yubikey-piv": YubiKey(), "tpm": Tpm()}
    roots = {form: maker.trust().roots[form] for form, maker in makers.items()}
    monkeypatch.setattr("idp.policies.attestation.trust", lambda: hardware.AttestationTrust(roots=roots))
    return makers


def answered(
    world: World, desktop: Browser, key: Any, statement: Any, *, passphrase: str = "", name: str = "Phone"
) -> tuple[DeviceClient, Any, Any, tuple[str, ...]]:
    """Steps 1 and 2. statement: a function of challenge and code."""
    page, code, _ = world.begin_binding(desktop)
    device = DeviceClient(http=http(), clock=clock.now, sleep=lambda _: None)
    challenge, offered = device.ask_challenge(ISSUER, Code(text=code), key=key)
    said = statement(challenge, code) if statement else None
    found = device.bind(
        ISSUER,
        Code(text=code),
        key=key,
        challenge=challenge,
        device_name=name,
        passphrase=passphrase,
        clients=offered,
        attestation=said,
    )
    return device, page, found, tuple(offered)


def bound(world: World, desktop: Browser, key: Any, statement: Any = None, *, passphrase: str = "") -> DeviceClient:
    device, page, found, offered = answered(world, desktop, key, statement, passphrase=passphrase)
    world.confirm(desktop, page)
    credential = device.binding_status(ISSUER, found.binding_id, key=key)["credential_id"]
    made = Enrolment(key=key, issuer=ISSUER, device_name="Phone", credential_id=credential, clients=offered)
    return DeviceClient(made, http=http(), clock=clock.now, sleep=lambda _: None)


def key_of(maker: Maker) -> Key:
    return Key(ECKey.import_key(maker.key))


def android(maker: Any, **hardware_said: Any) -> Any:
    def say(_challenge: str, code: str) -> dict[str, Any]:
        made_for = hardware.made_for("".join(code.split("-")))
        said: dict[str, Any] = maker.statement(
            maker.description(challenge=made_for, hardware=maker.enforced(**hardware_said))
        )
        return said

    return say


def test_key_with_user_verification_needs_no_passphrase(world: World, believed: dict[str, Maker]) -> None:
    """DK-2, AS-2, BI-6: key and finger are two factors at each use; AAL2, `hwk user mfa`; the record says on what it
    rests.
    """
    _, desktop = world.enrolled()
    app, phone = world.phone_app(), believed["android-key"]
    device = bound(world, desktop, key_of(phone), android(phone))
    row = Credential.objects.get(kind=Kind.DEVICE_KEY)
    assert (
        row.state,
        row.aal,
        row.evidence["protection"],
        row.evidence["activation"],
        row.evidence["level"],
        row.evidence["exportable"],
    ) == (
        "pending",
        2,
        "hardware",
        "per_use",
        "TEE",
        False,
    )
    assert (Request.objects.get().device_type, DeviceKey.objects.get().passphrase_hash) == ("android", "")
    first = device.login(app.client_id, passphrase=None, acr_values=f"{AAL}2")
    said = claims(str(first.id_token))
    assert (said["acr"], said["aal"], set(said["amr"])) == (f"{AAL}2", 2, {"hwk", "user", "mfa"})
    row.refresh_from_db()
    assert row.state == "active"
    with pytest.raises(ProtocolError):
        device.login(app.client_id, passphrase=None, acr_values=f"{AAL}3")
    with pytest.raises(ProtocolError):  # a passphrase that it does not have is a wrong one
        device.login(app.client_id, passphrase=PASSPHRASE)
    for value in ("phr", "phrh"):
        with pytest.raises(ProtocolError):
            device.login(app.client_id, passphrase=None, acr_values=value)


@pytest.mark.parametrize("maker", ["tpm", "yubikey-piv", "android-key", None])
def test_hardware_key_without_user_verification_needs_a_passphrase(
    world: World, believed: dict[str, Maker], maker: str | None
) -> None:
    """Ruling 1, DK-2: without one it is one factor and refused; with one AAL2; the key alone is AAL1, and says `hwk`
    only where that is proven.
    """
    _, desktop = world.enrolled()
    app = world.phone_app()
    one: Any = believed[maker] if maker else None

    def say(challenge: str, code: str) -> Any:
        if maker == "tpm":
            return one.statement(info=one.info(one.public(), qualifying=hardware.nonce_of(challenge, key_of(one).jkt)))
        if maker == "yubikey-piv":
            return one.statement(**{"8": b"\x02\x01"})
        return android(one, auth=None)(challenge, code) if maker else None

    key = key_of(one) if one else Key.generate()
    with pytest.raises(ProtocolError) as refused:
        bound(world, desktop, key, say if one else None)
    assert refused.value.status == 403
    device = bound(world, desktop, key, say if one else None, passphrase=PASSPHRASE)
    whole, alone = device.login(app.client_id, passphrase=PASSPHRASE), device.login(app.client_id, passphrase=None)
    kept = "hwk" if one else "pop"
    assert (claims(str(whole.id_token))["aal"], set(claims(str(whole.id_token))["amr"])) == (2, {kept, "pwd", "mfa"})
    assert (claims(str(alone.id_token))["aal"], set(claims(str(alone.id_token))["amr"])) == (1, {kept})


def test_statement_of_another_attempt_is_refused(world: World, believed: dict[str, Maker]) -> None:
    """DK-1: made for another code, about another key, or for another challenge; the code stays valid and a true one
    then serves.
    """
    _, desktop = world.enrolled()
    phone, chip = believed["android-key"], believed["tpm"]
    wrong = [
        lambda challenge, code: android(phone)(challenge, "AAAA-BBBB"),
        lambda challenge, code: chip.statement(),  # type: ignore[attr-defined]
        lambda challenge, code: {"format": "tpm"},
        lambda challenge, code: "yes, in hardware",
    ]
    for say in wrong:
        with pytest.raises(ProtocolError) as refused:
            answered(world, desktop, key_of(phone), say, passphrase=PASSPHRASE)
        assert (refused.value.status, refused.value.error) == (400, "invalid_request")
        assert Binding.objects.latest("created_at").status == "waiting"
    other = Key.generate()
    with pytest.raises(ProtocolError):
        answered(world, desktop, other, android(phone), passphrase=PASSPHRASE)
    bound(world, desktop, key_of(phone), android(phone))


def test_only_approved_devices_are_bound(
    world: World, believed: dict[str, Maker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """RQ-4: with an approved list a software key and an unlisted serial number are refused at the desktop's
    approval.
    """
    _, desktop = world.enrolled()
    stick: Any = believed["yubikey-piv"]
    rules = Rulebook(
        terms={Kind.DEVICE_KEY: KindRules(only_approved=True)}, approved=ApprovedDevices(serials=frozenset({"111"}))
    )
    monkeypatch.setattr("idp.policies.issuance.rules", lambda: rules)
    for key, say in ((Key.generate(), None), (key_of(stick), lambda *_: stick.statement())):
        _, page, _, _ = answered(world, desktop, key, say, passphrase=PASSPHRASE)
        assert "a device of this kind" in world.confirm(desktop, page).words()
    monkeypatch.setattr(
        "idp.policies.issuance.rules",
        lambda: Rulebook(terms=rules.terms, approved=ApprovedDevices(serials=frozenset({"7654321"}))),
    )
    bound(world, desktop, key_of(stick), lambda *_: stick.statement())
    row = Credential.objects.get(kind=Kind.DEVICE_KEY)
    assert (row.evidence["device"]["serial"], row.aal) == ("7654321", 2)


def test_rekeying_is_a_new_issuance(world: World, believed: dict[str, Maker]) -> None:
    """MT-1, trap 17: another key is another credential, and there is no way to put it into the old one."""
    _, desktop = world.enrolled()
    phone = believed["android-key"]
    bound(world, desktop, key_of(phone), android(phone))
    first = Credential.objects.get(kind=Kind.DEVICE_KEY)
    bound(world, desktop, Key.generate(), passphrase=PASSPHRASE)
    assert Credential.objects.filter(kind=Kind.DEVICE_KEY).count() == 2
    first.refresh_from_db()
    assert first.jkt == key_of(phone).jkt
    import ast
    from pathlib import Path

    for path in [
        *Path("derived").rglob("*.py"),
        *Path("idp").rglob("*.py"),
    ]:  # nothing in the product writes a key into a row that is there
        for call in (
            node
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        ):
            if call.func.attr == "update" and "Binding" not in ast.unparse(call):  # type: ignore[attr-defined]
                assert not {"jwk", "public_key", "raw_id", "jkt"} & {one.arg for one in call.keywords}, (
                    path,
                    ast.unparse(call),
                )


# --- a TPM from end to end --------------------------------------------------------------------------------------------


def test_tpm_key_end_to_end(world: World, chip: Chip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference client makes the key in a real (software) TPM, the TPM certifies it, Ramet verifies that against
    the
    operator's root, and each proof is signed in the TPM: enrolment, DPoP, assertion, refresh, userinfo (DK-1, DK-2).
    """
    monkeypatch.setattr("idp.policies.attestation.folder", lambda: tmp_path / "attestation")
    _, desktop = world.enrolled()
    app = world.phone_app()
    key = tpm.TpmKey.make(handle="0x81010002", ak=chip.ak, chain=chip.chain)
    with pytest.raises(ProtocolError) as refused:  # the makers' roots say nothing of this one
        bound(world, desktop, key, passphrase=PASSPHRASE)
    assert refused.value.error == "invalid_request"
    (tmp_path / "attestation/tpm").mkdir(parents=True)
    (tmp_path / "attestation/tpm/ours.pem").write_bytes(chip.root)
    device = bound(world, desktop, key, passphrase=PASSPHRASE)
    row = Credential.objects.get(kind=Kind.DEVICE_KEY)
    assert (row.aal, row.evidence["protection"], row.evidence["level"], row.evidence["device"]["type"]) == (
        2,
        "hardware",
        "TPM 2.0",
        "tpm",
    )
    keeping.save(device.enrolment, tmp_path / "device.json")
    assert '"d"' not in (tmp_path / "device.json").read_text()
    again = DeviceClient(keeping.load(tmp_path / "device.json"), http=http(), clock=clock.now, sleep=lambda _: None)
    tokens = again.login(app.client_id, passphrase=PASSPHRASE, scope="openid offline_access")
    assert set(claims(str(tokens.id_token))["amr"]) == {"hwk", "pwd", "mfa"}
    assert again.refresh(app.client_id, str(tokens.refresh_token)).access_token
    assert again.userinfo(tokens.access_token)["sub"]
    other = tpm.TpmKey.make(handle="0x81010003", ak=chip.ak, chain=chip.chain)
    monkeypatch.setattr(tpm, "attestation_of", lambda *_: key.attestation("stolen"))
    with pytest.raises(ProtocolError):  # what the TPM said of one key proves nothing of another
        bound(world, desktop, other, passphrase=PASSPHRASE)
    assert Reason.BAD_PROOF
