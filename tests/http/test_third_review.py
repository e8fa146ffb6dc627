"""What a third pair of eyes broke outside of SCIM, each as it is refused now (C27, C75, C83, C92, C94; promise 4, promise 5)."""

from __future__ import annotations

import smtplib
import time
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend

from derived import clock
from derived.authority import answers
from derived.authority.keeping import certificate_of
from derived.errors import Reason, Refused, Unavailable
from derived.ledger.outbox import DeliveryLane
from derived.minting.device_key import public_key
from derived.minting.hardware import statement as hardware
from derived.minting.hardware.judge import judge
from derived.models import Authority, Credential, Event, OutboxRow, Passkey
from device.key import DeviceKey
from idp.keys import wrapper
from idp.policies.issuance import groups_of
from idp.signals import files, worker
from scim.models import Person, Record
from scim.people import groups, provision
from tests.scim.conftest import GROUP
from tests.webauthn.authenticator import SoftKey
from tests.webauthn.life import sign_in, stranger
from tests.webauthn.test_derived import grow
from tests.world import ISSUER
from tests.x509 import office

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(files, "folder", lambda: tmp_path / "published" / "pki")
    return office.begin(tmp_path)


# --- what strangers' bytes do -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "serial", [b"\xff", b"\x00", b"\x80" + bytes(19), b"\x7f" * 40], ids=["minus one", "zero", "very negative", "long"]
)
def test_a_question_about_a_number_that_no_certificate_has(authority: dict[str, Any], serial: bytes) -> None:
    """C92: an OCSP question about a number below zero, or a very long one, is answered, or refused, in the protocol's words."""
    ours = certificate_of(Authority.objects.get())
    right = ocsp.OCSPRequestBuilder().add_certificate(ours, ours, hashes.SHA1()).build().public_bytes(Encoding.DER)  # noqa: S303 - OCSP's own
    number = ours.serial_number.to_bytes(20).lstrip(b"\0")
    old = b"\x02" + bytes([len(number)]) + number
    assert old in right
    grown = len(serial) - len(number)
    new = bytearray(right.replace(old, b"\x02" + bytes([len(serial)]) + serial))
    for place in _lengths(right, right.index(old)):
        new[place] += grown
    assert ocsp.load_der_ocsp_response(answers.respond(bytes(new), wrapper(), now=clock.now()))


def _lengths(der: bytes, until: int) -> Iterator[int]:
    """Where the lengths of everything stand that a place of some short DER is inside of."""
    place = 0
    while place < until:
        size, inside = der[place + 1], place + 2
        if der[place] & 0x20 and inside + size > until:
            yield place + 1
            place = inside
        else:
            place = inside + size


@pytest.mark.parametrize("odd", [
    cbor2.CBORTag(35, "("), cbor2.CBORTag(5, [10**6, 1]), cbor2.CBORTag(4, [10**9, 1]), cbor2.CBORTag(30, [1, 0]), cbor2.CBORTag(36, "x"),
    cbor2.CBORTag(1, 10**30), cbor2.CBORTag(0, "no time"), cbor2.CBORTag(37, b"x"), cbor2.CBORTag(260, b"x"), cbor2.CBORTag(258, [[]]), {"fmt": {}}, [],
    {"fmt": "x", "authData": 1, "attStmt": []}, cbor2.CBORTag(28, 1), cbor2.CBORTag(29, 7),
], ids=str)  # fmt: skip
def test_an_attestation_of_odd_cbor_is_refused(odd: Any) -> None:
    """C75: whatever a stranger's CBOR makes the reader do, the answer is that this proves nothing."""
    key = public_key(DeviceKey.generate().public_jwk)
    asked = hardware.AttestationRequest(key=key, nonce=b"n", made_for=b"m", now=clock.now())
    with pytest.raises(Refused) as refused:
        judge(
            {"format": "apple-appattest", "object": b64encode(cbor2.dumps(odd)).decode()},
            asked,
            hardware.AttestationTrust(),
        )
    assert refused.value.reason == Reason.BAD_PROOF


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "0000-00-00", "١٢٣٤-٠١-٠١", ""])
def test_a_loss_on_a_day_outside_of_the_calendar(world: World, day: str) -> None:
    """The form asks again; it does not fall over."""
    _, desktop = world.enrolled()
    root = Credential.objects.get(kind="password_totp")
    page = desktop.get(f"{ISSUER}/devices/roots/{root.id}/report")
    assert desktop.submit(page, page.form_to("/report"), values={"used": "yes", "since": day}).status in {400, 200}
    assert Credential.objects.get(id=root.id).state == "active"


def test_a_long_name_in_any_script_fits_into_a_certificate(authority: dict[str, Any], world: World) -> None:
    """X-1: bounds of RFC 5280 are bounds of characters, or of bytes; whoever has a long name gets a certificate all the same."""
    world.push("zhanna@example.org", displayName="Ж" * 60, name={"givenName": "Ж" * 60, "familyName": "Щ" * 60})
    _, desktop = world.enrolled("zhanna@example.org")
    held = office.issued(desktop)
    [shown] = held.certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    assert str(shown.value).startswith("ЖЖЖЖ")


# --- who decides ------------------------------------------------------------------------------------------------------


@pytest.mark.database
def test_no_source_puts_people_into_anothers_group_by_its_name(world: World) -> None:
    """C27: a rule of issuance names a group of one source; another source that calls a group of its own the same changes nothing."""
    ada = world.push("ada@example.org")
    record = Record.objects.get(id=ada)
    first = groups.create_group(
        record.source, {"schemas": [GROUP], "displayName": "VPN users", "members": [{"value": ada}]}, now=clock.now()
    )
    assert {"VPN users", "hr/VPN users", str(first.id)} <= groups_of(Person.objects.get(id=record.person_id))
    other, _ = provision.register_source("facilities", now=clock.now())
    bob = provision.create_user(
        other, {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "bob"}, now=clock.now()
    )
    groups.create_group(
        other, {"schemas": [GROUP], "displayName": "VPN users", "members": [{"value": str(bob.id)}]}, now=clock.now()
    )
    found = groups_of(bob.person)
    assert "VPN users" not in found
    assert "hr/VPN users" not in found
    assert "facilities/VPN users" in found
    for name in ("hr/VPN users", str(first.id)):
        groups.create_group(
            other, {"schemas": [GROUP], "displayName": name, "members": [{"value": str(bob.id)}]}, now=clock.now()
        )
    assert not {"hr/VPN users", str(first.id)} & groups_of(bob.person)


def test_a_copy_of_a_grown_passkey_does_not_wake_it(world: World) -> None:
    """PK-4, C59: whose counter went back is refused, and its first sign-in has not been."""
    _, desktop = world.enrolled()
    key = SoftKey()
    grow(desktop, key)
    Passkey.objects.update(sign_count=1000)
    sign_in(stranger(), key)
    assert Credential.objects.get(kind="derived_passkey").state == "pending"
    assert Event.objects.filter(kind="passkey.sign_count_regressed").exists()


# --- what must go on --------------------------------------------------------------------------------------------------


def test_a_key_that_is_away_does_not_stop_the_worker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """C83, promise 4: whatever fails in the housekeeping, what waits in the outbox is delivered."""
    tried: set[str] = set()

    def away(*_: object, **__: object) -> int:
        tried.add("keys")
        raise Unavailable(Reason.KEY_UNAVAILABLE)

    def full(*_: object, **__: object) -> bool:
        tried.add("disk")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("idp.signals.worker.lists.sign_due", away)
    monkeypatch.setattr("idp.signals.worker.files.mirror", full)
    monkeypatch.setattr("idp.signals.worker._IDLE", 0)
    world.push()
    monkeypatch.setattr("idp.signals.worker.connection.close", lambda: None)  # the test's own transaction
    give_up = time.monotonic() + 20  # seconds
    keeper = worker._Housekeeper()
    worker._deliver(DeliveryLane.MAIL, lambda: bool(mail.outbox) or time.monotonic() > give_up, keeper)
    assert tried == {"keys", "disk"}
    assert [one.to for one in mail.outbox] == [["alex@example.org"]]


def test_the_worker_outlives_what_nobody_thought_of(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """C83: one look that ends in an exception is not the last one."""
    looks: list[Exception | None] = [None, KeyError("whatever"), None, KeyError("whatever")]

    def step(_self: object, *, now: object) -> int:
        if looks and (error := looks.pop()) is not None:
            raise error
        return 1

    monkeypatch.setattr("idp.signals.worker.Deliveries.step", step)
    monkeypatch.setattr("idp.signals.worker.housekeeping", lambda *, now: None)
    monkeypatch.setattr("idp.signals.worker._AFTER_AN_ERROR", 0)
    worker.run(lambda: not looks)
    assert looks == []


def test_one_address_that_is_none_does_not_silence_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """NT-1: a notice goes to every address that takes it, and once."""
    whole = EmailBackend.send_messages

    def picky(self: EmailBackend, messages: Any) -> int:
        if any("n/a" in one.to[0] for one in messages):
            raise smtplib.SMTPRecipientsRefused({"n/a": (553, b"no such address")})
        return whole(self, messages)

    monkeypatch.setattr(EmailBackend, "send_messages", picky)
    world.enrolled()
    world.patch(
        "alex@example.org",
        {"emails": [{"value": "n/a", "primary": True}, {"value": "alex@example.org"}, {"value": "last@example.org"}]},
    )
    world.mails()
    mail.outbox.clear()
    world.deactivate()
    world.mails()
    assert sorted(one.to[0] for one in mail.outbox if "ended" in one.subject.lower() or "ended" in one.body) == [
        "alex@example.org",
        "home.alex@example.org",  # replaced lately: ruling 29
        "last@example.org",
    ]
    assert not OutboxRow.objects.filter(delivered_at=None, receiver__startswith="mail:").exists()
