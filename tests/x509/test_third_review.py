"""What a third pair of eyes broke in certificates and attestation, each as it is refused now (AS-1, AS-3, C75, X-1; promise 2)."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from derived import clock
from derived.changes import identity_changes
from derived.errors import Reason, Refused
from derived.ledger.locking import under_lock
from derived.minting.hardware import statement as hardware
from derived.minting.hardware.judge import judge
from derived.models import Account
from idp.enrol.grown.certificate import issuing as certificates
from idp.models import Probe
from tests.x509.office import Holding, issued, new_key
from tests.x509.test_attested import AAL2_POLICY, maker, proof, with_card
from tests.x509.test_cards import policies
from tests.x509.test_enrolment import host, reenroll

if TYPE_CHECKING:
    from pathlib import Path

    from tests.attestation.makers import YubiKey
    from tests.card.desk import Desk
    from tests.world import World

__all__ = ["host", "maker"]
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("form", ["yubikey-piv", "tpm", "android-key"])
def test_a_certificate_of_a_version_that_is_none(form: str) -> None:
    """C75: a stranger's certificate that the parser has a class of exception of its own for is a bad proof, and no 500."""
    key, name, now = new_key(), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")]), clock.now()
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(5)
    good = (
        made.not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    odd = good.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09", 1)
    statement: dict[str, Any] = {
        "format": form,
        "x5c": [b64encode(odd).decode()],
        "certify_info": "",
        "public": "",
        "signature": "",
    }
    with pytest.raises(Refused) as refused:
        judge(
            statement,
            hardware.AttestationRequest(key=key.public_key(), nonce=b"", made_for=b"", now=now),
            hardware.AttestationTrust(),
        )
    assert refused.value.reason == Reason.BAD_PROOF


def test_nothing_is_renewed_before_a_probe_has_shown_that_headers_are_stripped(host: None, world: World) -> None:
    """H4, C22: a certificate is public, so a proxy that lets a forged one through must renew none, as it signs nobody in."""
    _, desktop = world.enrolled()
    held = issued(desktop)
    Probe.objects.update(passed=False)
    assert reenroll(held, new_key()).status_code == 404
    Probe.objects.update(passed=True)
    assert reenroll(held, new_key()).status_code == 200


def test_no_certificate_says_piv_of_whom_nobody_vouches_for_at_ial3(
    desk: Desk, world: World, maker: YubiKey, tmp_path: Path
) -> None:
    """AS-1, AS-3: what is minted falls with the identity; a certificate cannot fall, so it ends, and nothing renews it under that policy."""
    browser = with_card(desk, world, tmp_path)
    held = issued(browser, maker.key, proof=proof(maker))
    assert policies(held) == [AAL2_POLICY]
    account = held.row.credential.account_id
    Account.objects.filter(id=account).update(ial=2)  # a moment before the rest of the fall
    successor = Holding(certificates.renewed(held.row, new_key().public_key(), now=clock.now()), maker.key)
    assert AAL2_POLICY not in policies(successor)
    assert successor.row.credential.label == "generic"
    Account.objects.filter(id=account).update(ial=3)
    under_lock(account, lambda fresh: identity_changes.set_ial(fresh, ial=2, now=clock.now(), actor="source:hr"))
    for one, state in ((held, "revoked"), (successor, "active")):
        one.row.credential.refresh_from_db()
        assert one.row.credential.state == state
    assert held.row.credential.end_reason == "identity_lowered"
