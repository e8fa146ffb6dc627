"""An authority that others run: `openssl ca` behind a program. What comes back is looked at; what ends here ends
there (X-1 to X-6, C91, C92, ruling 23).
"""

from __future__ import annotations

import shlex
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from cryptography import x509
from django.core.management import CommandError, call_command

from derived import clock
from derived.authority import issuing, telling
from derived.changes import revoke, suspend
from derived.errors import Reason, Unavailable
from derived.ledger.locking import under_lock
from derived.models import Authority, Credential, IssuedCertificate
from idp.keys import wrapper
from idp.signals import files, tending, worker
from tests.fixtures import outside_ca
from tests.fixtures.certificate_authority import Holding, add, begin, csr_for, issued, new_key, openssl
from tests.fixtures.certificate_enrolment import enroll, order

if TYPE_CHECKING:
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
ALEX = "alex@example.org"
URLS = [
    "--crl-url",
    "http://pki.others.example/ca.crl",
    "--issuer-url",
    "http://pki.others.example/ca.cer",
    "--ocsp-url",
    "http://ocsp.others.example",
]


@pytest.fixture
def others(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Their authority, and ours retired by it."""
    monkeypatch.setattr(files, "folder", lambda: tmp_path / "published" / "pki")
    at = outside_ca.make(tmp_path / "others")
    begin(tmp_path)
    outside(at)
    return at


def outside(at: Path, *more: str, command: str = "") -> None:
    program = command or shlex.join([sys.executable, str(Path(outside_ca.__file__)), str(at)])
    call_command(
        "ca",
        "outside",
        str(at / "ca.pem"),
        "--command",
        program,
        "--organisation",
        "Mossy Agency",
        *URLS,
        *more,
        "--json",
        stdout=StringIO(),
    )


def listed(at: Path) -> dict[int, str]:
    """Their list: numbers and reasons."""
    found = x509.load_pem_x509_crl(outside_ca.gencrl(at))
    return {
        one.serial_number: one.extensions.get_extension_for_class(x509.CRLReason).value.reason.value for one in found
    }


def number(held: Holding) -> int:
    return int(held.row.serial, 16)


def deliver() -> None:
    while worker.step(now=clock.now()):
        pass


@pytest.mark.database
def test_external_authority_issues_holds_and_revokes(others: Path, world: World, tmp_path: Path) -> None:
    """X-1 to X-6, MT-8, C92: issued by `openssl`, checked by us; on hold, good again, and revoked on *their* list;
    ours are signed as before.
    """
    _, desktop = world.enrolled()
    held = issued(desktop)
    made = held.certificate
    assert made.issuer.rfc4514_string() == "CN=Their CA,O=Others"
    assert (made.serial_number, held.row.authority.signer) == (number(held), "outside")
    assert (
        made.not_valid_after_utc == held.row.not_after == Credential.objects.get(id=held.row.credential_id).expires_at
    )
    chain, _ = held.write(tmp_path)
    openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", str(others / "ca.pem"), str(chain))
    assert listed(others) == {}
    locked = lambda work: under_lock(held.row.credential.account_id, work)  # noqa: E731
    locked(lambda account: suspend.suspend(account, now=clock.now(), actor="t"))
    deliver()
    assert listed(others) == {number(held): "certificateHold"}
    locked(lambda account: suspend.resume(account, now=clock.now(), actor="t"))
    deliver()
    assert listed(others) == {}
    locked(lambda account: suspend.suspend(account, now=clock.now(), actor="t"))
    deliver()
    world.deactivate()
    deliver()
    assert listed(others) == {number(held): "cessationOfOperation"}
    assert not telling.due().exists()
    ours = Authority.objects.get(state="retired")
    assert (tmp_path / "published" / "pki" / f"{ours.name}.crl").exists()
    assert not Authority.objects.get(signer="outside").revocation_lists.exists()


def test_certificate_that_differs_from_the_order_is_revoked(others: Path, world: World) -> None:
    """X-1 to X-6, C91: 503, nothing is released, and their list has it."""
    _, desktop = world.enrolled()
    moods = [
        "another policy",
        "an authority",
        "a server",
        "a name",
        "a long life",
        "another subject",
        "another key",
        "another number",
        "nonsense",
    ]
    for count, mood in enumerate(moods, start=1):
        (others / "mood").write_text(mood)
        assert add(desktop, request=csr_for(desktop, new_key())).status == 503, mood
        rows = IssuedCertificate.objects.select_related("credential")
        assert (rows.count(), rows.filter(released_at=None, der=None, credential__state="pending").count()) == (
            count,
            count,
        ), mood
        (others / "mood").unlink()
        assert len(listed(others)) == (count if mood != "nonsense" else count - 1), mood
    assert set(listed(others).values()) == {"superseded"}


def test_unreachable_external_authority_is_told_later(others: Path, world: World) -> None:
    """Ruling 23: 503, nothing half-written; the number was never used, and its authority is told so; a revocation is
    retried until it is acknowledged.
    """
    _, desktop = world.enrolled()
    held = issued(desktop)
    (others / "mood").write_text("away")
    assert add(desktop, request=csr_for(desktop, new_key())).status == 503
    pending = Credential.objects.get(kind="certificate", state="pending")
    under_lock(
        pending.account_id,
        lambda account: revoke.credential(
            held.row.credential, account=account, because=Reason.REPORTED_BY_PERSON, now=clock.now(), actor="t"
        ),
    )
    deliver()
    worker.housekeeping(now=clock.now())
    assert listed(others) == {}
    with pytest.raises(Unavailable):
        telling.send_due(wrapper())
    (others / "mood").unlink()
    with time_machine.travel(clock.now() + timedelta(minutes=16), tick=True):
        tending.review_certificates(now=clock.now())
        worker.housekeeping(now=clock.now())
    assert Credential.objects.get(id=pending.id).end_reason == Reason.NEVER_RELEASED
    assert listed(others) == {number(held): "keyCompromise"}
    assert f"revoke {pending.issued.serial}" in (others / "log").read_text()


@pytest.mark.database
def test_certificate_of_a_person_who_ended_meanwhile_is_revoked(
    others: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ruling 23, C8: their authority signed and the person ended: the certificate is not released, and is on their
    list.
    """
    _, desktop = world.enrolled()
    whole = issuing.issue_as_ordered

    def meanwhile(*arguments: Any) -> x509.Certificate:
        made = whole(*arguments)
        world.deactivate()
        return made

    monkeypatch.setattr("derived.authority.making.issuing.issue_as_ordered", meanwhile)
    assert add(desktop, request=csr_for(desktop, new_key())).status in {401, 403, 409}
    row = IssuedCertificate.objects.get()
    assert row.released_at is None
    deliver()
    assert list(listed(others)) == [int(row.serial, 16)]


def test_est_uses_the_external_authority(others: Path, world: World) -> None:
    """Simpleenroll answers 503 with Retry-After while their authority is unreachable; cacerts names it."""
    _, desktop = world.enrolled()
    page, code, _ = order(desktop)
    key = new_key()
    assert enroll(code, key).status_code == 202
    (others / "mood").write_text("away")
    shown = desktop.get(page.url)
    assert desktop.submit(shown, shown.form_to("/confirm")).status == 503
    assert enroll(code, key).status_code == 202
    assert IssuedCertificate.objects.get().der is None


def test_invalid_external_authority_is_refused(others: Path, tmp_path: Path, world: World) -> None:
    """A leaf, a broken chain, an address over TLS, a file of another kind; the authority in use stays."""
    _, desktop = world.enrolled()
    held = issued(desktop)
    before = Authority.objects.get(state="active").name
    leaf, _ = held.write(tmp_path, "ca")
    stranger = outside_ca.make(tmp_path / "stranger")
    for at, more in (
        (tmp_path, []),
        (stranger, ["--chain", str(leaf)]),
        (stranger, ["--crl-url", "https://pki.others.example/x"]),
        (tmp_path / "none", []),
    ):
        with pytest.raises(CommandError):
            outside(at, *more)
    assert Authority.objects.get(state="active").name == before
    outside(stranger, command="/nowhere/at/all")
    assert add(desktop, request=csr_for(desktop, new_key())).status == 503
