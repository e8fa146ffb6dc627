"""A person has another name: the certificate is issued anew for the same key, by whoever proves to have it (MT-4,
MT-3, C5, AS-2).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from cryptography.hazmat.primitives.serialization import Encoding

from derived import clock
from derived.changes import revoke, suspend
from derived.errors import Reason
from derived.ledger.locking import under_lock
from derived.models import Credential, Event, IssuedCertificate
from tests.fixtures.attested_certificates import AAL3_POLICY, proof, see, with_card
from tests.fixtures.certificate_authority import Holding, add, csr_for, issued, new_key
from tests.fixtures.certificate_enrolment import certificate_in, reenroll, sign_in
from tests.fixtures.world import ISSUER

if TYPE_CHECKING:
    from pathlib import Path

    from demo.browser import Browser, Page
    from tests.fixtures.attestation_makers import YubiKey
    from tests.fixtures.card_reader import CardSetup
    from tests.fixtures.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ALEX = "alex@example.org"


def rename(world: World, family: str = "Fern") -> None:
    assert world.patch(ALEX, {"name": {"givenName": "Alex", "familyName": family}}).status_code == 200


def state(held: Holding) -> tuple[str, str]:
    row = Credential.objects.get(id=held.row.credential_id)
    return row.state, row.end_reason


def successor(held: Holding) -> Holding:
    return Holding(
        IssuedCertificate.objects.select_related("credential__account", "authority").get(
            replaces=held.row, released_at__isnull=False
        ),
        held.key,
    )


def by_page(browser: Browser, held: Holding, request: bytes) -> Page:
    page = browser.get(f"{ISSUER}/devices/certificates/{held.row.credential_id}/reissue")
    form = page.form_with("request")
    assert form is not None, page.words()
    return browser.submit(page, form, values={"request": request.decode()})


def is_the_same_with_another_name(new: Holding, old: Holding, name: str) -> None:
    assert f"CN={name}" in new.certificate.subject.rfc4514_string()
    assert new.certificate.public_key() == old.certificate.public_key()
    assert new.certificate.not_valid_after_utc == old.certificate.not_valid_after_utc
    assert new.certificate.serial_number != old.certificate.serial_number
    assert new.row.uuid != old.row.uuid
    assert (new.row.credential.aal, new.row.credential.label, new.row.credential.root_id) == (
        old.row.credential.aal, old.row.credential.label, old.row.credential.root_id,
    )  # fmt: skip
    assert Event.objects.get(kind="credential.issued", credential=new.row.credential).body["renews"] == str(
        old.row.credential_id
    )


@pytest.mark.parametrize("way", ["est", "page"])
def test_same_key_gets_a_certificate_with_the_new_name(host: None, world: World, way: str) -> None:
    """MT-4: over the handshake with the old one, or on the page; the same key and end, another number; then the old
    one is revoked; twice over.
    """
    _, desktop = world.enrolled()
    first = held = issued(desktop)
    for name in ("Fern", "Reed"):
        rename(world, name)
        assert state(held) == ("suspended", Reason.NAME_CHANGED)
        assert sign_in(held)[1].path != "/devices"
        if way == "est":
            certificate_in(reenroll(held, held.key))
        else:
            assert "Correct the name" in desktop.get(f"{ISSUER}/devices").html
            page = by_page(desktop, held, csr_for(desktop, held.key))
            assert page.path.startswith("/devices/certificates/"), page.words()
        new = successor(held)
        is_the_same_with_another_name(new, held, f"Alex {name}")
        assert state(held) == ("revoked", Reason.NAME_CHANGED)
        assert sign_in(new)[1].path == "/devices"
        held = new
    assert reenroll(first, first.key).status_code in {400, 403}
    assert add(desktop, request=csr_for(desktop, held.key)).status == 409  # the key is bound, as ever (C5)


def test_a_certificate_on_hold_for_its_name_can_be_suspended(host: None, world: World) -> None:
    """Suspended, its holder cannot have it issued anew; lifted, it is on hold for its name again, and can be."""
    _, desktop = world.enrolled()
    held = issued(desktop)
    rename(world)
    row = held.row.credential
    because = Reason.UPSTREAM_CAPPED
    act = {"now": clock.now(), "actor": "manager:m"}
    assert under_lock(row.account_id, lambda locked: suspend.credential(locked, row, because=because, **act))
    assert state(held) == ("suspended", because)
    assert reenroll(held, held.key).status_code in {400, 403}
    assert desktop.get(f"{ISSUER}/devices/certificates/{row.id}/reissue").status == 404
    under_lock(row.account_id, lambda locked: suspend.lift(locked, row, **act))
    assert state(held) == ("suspended", Reason.NAME_CHANGED)
    certificate_in(reenroll(held, held.key))
    assert sign_in(successor(held))[1].path == "/devices"


def test_refused_reissues(host: None, world: World) -> None:
    """MT-3, MT-4, ruling 7: another key; a handshake that proves nothing; twice; after it was reported, its root
    ended, its time is over, or nothing changed.
    """
    _, desktop = world.enrolled()
    held = issued(desktop)
    assert desktop.get(f"{ISSUER}/devices/certificates/{held.row.credential_id}/reissue").status == 404
    rename(world)
    assert reenroll(held, new_key()).status_code in {400, 403}
    assert reenroll(held, held.key, resumed="r").status_code in {400, 403}
    assert by_page(desktop, held, csr_for(desktop, new_key())).status in {400, 403}
    assert by_page(desktop, held, csr_for(desktop, held.key).replace(b"A", b"B", 1)).status == 400
    _, sam = world.enrolled("sam@example.org")
    assert sam.get(f"{ISSUER}/devices/certificates/{held.row.credential_id}/reissue").status == 404
    with time_machine.travel(clock.now() + timedelta(minutes=21), tick=True):
        page = desktop.get(f"{ISSUER}/devices/certificates/{held.row.credential_id}/reissue")
        assert page.form_with("request") is None
    assert not IssuedCertificate.objects.filter(replaces=held.row).exists()
    root = Credential.objects.get(id=held.row.credential.root_id)
    Credential.objects.filter(id=root.id).update(state="suspended")
    assert reenroll(held, held.key).status_code in {400, 403}
    Credential.objects.filter(id=root.id).update(state="active")
    under_lock(
        root.account_id,
        lambda account: revoke.credential(
            held.row.credential, account=account, because=Reason.REPORTED_BY_PERSON, now=clock.now(), actor="person"
        ),
    )
    assert reenroll(held, held.key).status_code in {400, 403}
    assert IssuedCertificate.objects.count() == 1


def test_name_change_during_signing_prevents_release(host: None, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ruling 23: what was signed with the name in between is not released; the device asks again."""
    from idp.enrol.grown.certificate import issuing as certificates

    _, desktop = world.enrolled()
    held = issued(desktop)
    rename(world)
    whole = certificates.making.signed_certificate

    def meanwhile(credential_id: Any, keys: Any) -> Any:
        made = whole(credential_id, keys)
        rename(world, "Reed")
        return made

    monkeypatch.setattr(certificates.making, "signed_certificate", meanwhile)
    assert reenroll(held, held.key).status_code in {400, 403}
    monkeypatch.setattr(certificates.making, "signed_certificate", whole)
    found = certificate_in(reenroll(held, held.key))
    assert "CN=Alex Reed" in found.subject.rfc4514_string()
    assert [
        one.der is None
        for one in IssuedCertificate.objects.filter(replaces=held.row).order_by("credential__created_at")
    ] == [True, False]


def test_policy_41_is_kept_on_the_same_identity_check(
    cards_and_authority: CardSetup,
    world: World,
    maker: YubiKey,
    tmp_path: Path,
    sample: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """MT-4, X-9: the same key in the same module; the check in person stands for it, and no other is used up; not
    where its maker is believed no more.
    """
    from derived.minting.hardware.statement import AttestationTrust
    from idp.policies import attestation

    browser = with_card(cards_and_authority, world, tmp_path)
    see(sample=sample)
    held = issued(browser, maker.key, proof=proof(maker))
    see(sample=sample)
    rename(world)
    by_page(browser, held, csr_for(browser, held.key))
    new = successor(held)
    is_the_same_with_another_name(new, held, "Alex Fern")
    assert (new.row.credential.aal, new.row.policies) == (3, [AAL3_POLICY])
    assert held.row.credential.account.identity_checks.filter(credential=None).count() == 1
    assert new.certificate.public_bytes(Encoding.DER) == bytes(new.row.der or b"")
    rename(world, "Reed")
    monkeypatch.setattr(attestation, "trust", AttestationTrust)
    by_page(browser, new, csr_for(browser, held.key))
    assert successor(new).row.credential.aal == 2
