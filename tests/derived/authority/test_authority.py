"""The authority: an offline root, keys in four places, lists and answers; read back by openssl (IV-10, MT-8, C92)."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from django.core.management import CommandError, call_command
from django.db import connection

from derived import clock
from derived.authority import answers, keeping, lists
from derived.authority.keeping import certificate_of
from derived.changes import revoke, suspend
from derived.errors import Reason, Unavailable
from derived.ledger.locking import under_lock
from derived.minting import authority as minting
from derived.minting.signing import MemorySigner
from derived.models import Account, Authority, Credential, IssuedCertificate, OutboxRow, RevocationList
from idp.keys import wrapper
from idp.signals import files, tending, worker
from tests.fixtures import certificate_authority
from tests.fixtures.certificate_authority import issued, key_pem, openssl, published
from tests.fixtures.world import http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fixtures.certificate_authority import Holding
    from tests.fixtures.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.database]
_MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")


def ca(*arguments: str) -> Any:
    said = StringIO()
    call_command("ca", *arguments, "--json", stdout=said)
    return json.loads(said.getvalue())


def root_of(folder: Path) -> list[str]:
    return ["--root-file", str(folder / "root.pem"), "--root-passphrase-file", str(folder / "passphrase")]


def whole_list() -> x509.CertificateRevocationList:
    row = Authority.objects.get(state="active")
    return x509.load_der_x509_crl((published() / f"{row.name}.crl").read_bytes())


def serials(found: x509.CertificateRevocationList) -> dict[int, str | None]:
    """Number and reason of each entry."""
    made: dict[int, str | None] = {}
    for one in found:
        try:
            made[one.serial_number] = one.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
        except x509.ExtensionNotFound:
            made[one.serial_number] = None
    return made


def locked(held: Holding, work: Callable[[Account], object]) -> None:
    under_lock(held.row.credential.account_id, work)


def end(held: Holding, because: Reason = Reason.REPORTED_BY_PERSON) -> None:
    locked(
        held,
        lambda account: revoke.credential(
            held.row.credential, account=account, because=because, now=clock.now(), actor="person"
        ),
    )


def deliver() -> None:
    while worker.step(now=clock.now()):
        pass


def test_root_key_is_only_in_its_encrypted_file(authority: dict[str, Any], tmp_path: Path) -> None:
    """The offline root's key is encrypted, readable by its owner only, and not in the database; the issuing key is
    never in clear (C74).
    """
    file = tmp_path / "root.pem"
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED PRIVATE KEY" in file.read_bytes()
    row = Authority.objects.get()
    dump = b"".join(bytes(getattr(row, one) or b"") for one in ("secret", "certificate", "responder_key"))
    assert b"PRIVATE KEY" not in dump
    assert wrapper().unwrap(bytes(row.secret), purpose="authority-key", owner=row.name)[:1] == b"\x30"
    with pytest.raises(Unavailable):
        wrapper().unwrap(bytes(row.secret), purpose="authority-key", owner="another")
    assert row.name in authority["authority"]


def test_second_init_is_refused(authority: dict[str, Any], tmp_path: Path) -> None:
    """A second `init` would make a second root by mistake."""
    with pytest.raises(CommandError, match="rotate"):
        certificate_authority.begin(tmp_path)
    (tmp_path / "passphrase").write_text("short\n")
    with pytest.raises(CommandError, match="characters"):
        ca("rotate", *root_of(tmp_path))
    (tmp_path / "passphrase").write_text("not the right one\n")
    with pytest.raises(CommandError, match="not its passphrase"):
        ca("rotate", *root_of(tmp_path))


def test_after_rotation_the_old_authority_still_signs_its_lists(
    authority: dict[str, Any], world: World, tmp_path: Path
) -> None:
    """C73 for certificates: after a rotation both kinds verify, and a certificate of the old key can still be
    revoked.
    """
    _, desktop = world.enrolled()
    old = issued(desktop, name="Old")
    ca("rotate", *root_of(tmp_path))
    new = issued(desktop, name="New")
    assert old.row.authority_id != new.row.authority_id
    end(old)
    deliver()
    bundle = [
        "-CAfile",
        str(published() / "authorities.pem"),
        "-CRLfile",
        str(published() / "lists.pem"),
        "-crl_check_all",
    ]
    assert openssl("verify", *bundle, str(new.write(tmp_path, "new")[0])).returncode == 0
    assert b"certificate revoked" in openssl("verify", *bundle, str(old.write(tmp_path, "old")[0]), check=False).stderr
    states = {row["authority"]: row["state"] for row in ca("show")}
    assert states == {old.row.authority_id: "retired", new.row.authority_id: "active"}


def test_root_revokes_a_stolen_issuing_key(authority: dict[str, Any], world: World, tmp_path: Path) -> None:
    """The root's list keeps the entry after a rotation too, and certificates of that key sign nobody in here."""
    from idp import certificates as trust

    _, desktop = world.enrolled()
    held = issued(desktop)
    bad = held.row.authority_id
    assert trust.valid_own_certificate(bytes(held.row.der or b""), now=clock.now())
    ca("root-crl", *root_of(tmp_path), "--revoke", bad)
    ca("rotate", *root_of(tmp_path))
    row = IssuedCertificate.objects.get(pk=held.row.pk)
    with pytest.raises(Exception, match="certificate_untrusted"):
        trust.valid_own_certificate(bytes(row.der or b""), now=clock.now())
    bundle = [
        "-CAfile",
        str(published() / "authorities.pem"),
        "-CRLfile",
        str(published() / "lists.pem"),
        "-crl_check_all",
    ]
    assert b"certificate revoked" in openssl("verify", *bundle, str(held.write(tmp_path)[0]), check=False).stderr


def test_external_root_signs_a_request_of_ours(
    db: None, tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agency's own root: a PKCS #10 request out, a certificate in; a certificate for another key is refused."""
    monkeypatch.setattr(files, "folder", lambda: tmp_path / "published" / "pki")
    begun = ca("init", "--organisation", "Mossy Agency", "--url", "http://localhost:8000", "--external-root")
    request = x509.load_pem_x509_csr(begun["request"].encode())
    assert request.is_signature_valid
    root_key = MemorySigner(ec.generate_private_key(ec.SECP384R1()))
    now = clock.now()
    root = minting.root_certificate(root_key, organisation="Agency above", now=now)
    root_list = minting.revocation_list([], root, root_key, number=1, now=now, life=timedelta(days=30))

    def above(key: Any) -> bytes:
        return minting.issuing_certificate(
            key,
            root,
            root_key,
            common_name="Theirs",
            organisation="Mossy Agency",
            oid="2.999.1",
            crl="http://a/c",
            issuer="http://a/i",
            now=now,
        ).public_bytes(Encoding.PEM)

    (tmp_path / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
    (tmp_path / "root.crl").write_bytes(root_list)
    (tmp_path / "wrong.pem").write_bytes(above(ec.generate_private_key(ec.SECP384R1()).public_key()))
    (tmp_path / "right.pem").write_bytes(above(request.public_key()))
    more = ["--chain", str(tmp_path / "root.pem"), "--list", str(tmp_path / "root.crl")]
    with pytest.raises(CommandError, match="none of the keys"):
        ca("install", str(tmp_path / "wrong.pem"), *more)
    assert ca("install", str(tmp_path / "right.pem"), *more)["state"] == "active"
    _, desktop = world.enrolled()
    held = issued(desktop)
    bundle = [
        "-CAfile",
        str(published() / "authorities.pem"),
        "-CRLfile",
        str(published() / "lists.pem"),
        "-crl_check_all",
    ]
    assert openssl("verify", *bundle, str(held.write(tmp_path)[0])).returncode == 0


def test_issuing_key_in_an_hsm_signs(db: None, tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """PKCS #11 with SoftHSM2: the key is made there, cannot be taken out, and signs certificates and lists."""
    pkcs11 = pytest.importorskip("pkcs11")
    if not _MODULE.exists():
        pytest.skip("SoftHSM2 is missing: apt-get install softhsm2")
    (tmp_path / "tokens").mkdir()
    conf = tmp_path / "softhsm.conf"
    conf.write_text(f"directories.tokendir = {tmp_path}/tokens\nobjectstore.backend = file\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(conf))
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", "ca", "--pin", "1234", "--so-pin", "5678"],
        check=True,
        capture_output=True,
        env=os.environ,
    )
    (tmp_path / "pin").write_text("1234\n")
    monkeypatch.setattr(files, "folder", lambda: tmp_path / "published" / "pki")
    place = ["--pkcs11-module", str(_MODULE), "--pkcs11-token", "ca", "--pkcs11-pin-file", str(tmp_path / "pin")]
    certificate_authority.begin(tmp_path, *place)
    row = Authority.objects.get()
    with pkcs11.lib(str(_MODULE)).get_token(token_label="ca").open(user_pin="1234") as session:
        [key] = session.get_objects(
            {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.Attribute.LABEL: row.reference["label"]}
        )
        assert key[pkcs11.Attribute.SENSITIVE]
        assert not key[pkcs11.Attribute.EXTRACTABLE]
    _, desktop = world.enrolled()
    held = issued(desktop)
    end(held)
    deliver()
    bundle = [
        "-CAfile",
        str(published() / "authorities.pem"),
        "-CRLfile",
        str(published() / "lists.pem"),
        "-crl_check_all",
    ]
    assert b"certificate revoked" in openssl("verify", *bundle, str(held.write(tmp_path)[0]), check=False).stderr
    Authority.objects.update(secret=wrapper().wrap(b"0000", purpose="authority-key", owner=row.name))
    with pytest.raises(Unavailable):
        keeping.signer_of(Authority.objects.get(), wrapper()).sign(b"x")


@pytest.mark.parametrize("wrong", [False, True])
def test_external_signer_program_signs(
    wrong: bool,  # noqa: FBT001
    tmp_path: Path,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An external signer is a program of the operator's; a certificate that it signed with another key is not
    released.
    """
    monkeypatch.setattr(files, "folder", lambda: tmp_path / "published" / "pki")
    key = ec.generate_private_key(ec.SECP384R1())
    (tmp_path / "ca.key").write_bytes(key_pem(key))
    (tmp_path / "ca.pub").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    place = [
        "--signer-command",
        f"openssl dgst -sha384 -sign {tmp_path}/ca.key",
        "--signer-public",
        str(tmp_path / "ca.pub"),
    ]
    certificate_authority.begin(tmp_path, *place)
    _, desktop = world.enrolled()
    if wrong:
        (tmp_path / "ca.key").write_bytes(key_pem(ec.generate_private_key(ec.SECP384R1())))
        request = certificate_authority.csr_for(desktop, certificate_authority.new_key())
        page = certificate_authority.add(desktop, request=request)
        assert page.status == 503
        assert IssuedCertificate.objects.get().released_at is None
        with time_machine.travel(clock.now() + timedelta(minutes=16), tick=True):
            tending.review_certificates(now=clock.now())
        assert Credential.objects.get(kind="certificate").end_reason == Reason.NEVER_RELEASED
        return
    held = issued(desktop)
    bundle = [
        "-CAfile",
        str(published() / "authorities.pem"),
        "-CRLfile",
        str(published() / "lists.pem"),
        "-crl_check_all",
    ]
    assert openssl("verify", *bundle, str(held.write(tmp_path)[0])).returncode == 0


def test_list_has_next_update_and_is_renewed_in_time(authority: dict[str, Any]) -> None:
    """IV-10: nextUpdate is 18 hours at most; the worker signs a new one after six."""
    first = whole_list()
    assert first.next_update_utc is not None
    assert first.next_update_utc - first.last_update_utc == timedelta(hours=18)
    assert lists.sign_due(wrapper(), now=clock.now()) == 0
    with time_machine.travel(clock.now() + timedelta(hours=6, minutes=1), tick=True):
        worker.housekeeping(now=clock.now())
        files.mirror(now=clock.now())
        number = [
            one.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for one in (first, whole_list())
        ]
    assert number[1] > number[0]


def test_revocation_is_on_the_list_within_one_delivery(authority: dict[str, Any], world: World) -> None:
    """C92: the outbox row is written with the revocation; one delivery serves all that wait."""
    _, desktop = world.enrolled()
    held, other = issued(desktop, name="A"), issued(desktop, name="B")
    end(held)
    assert OutboxRow.objects.filter(kind="lists", delivered_at=None).exists()
    end(other, Reason.REPLACED)
    before = whole_list()
    deliver()
    assert not OutboxRow.objects.filter(kind="lists", delivered_at=None).exists()
    assert serials(before) == {}
    assert serials(whole_list()) == {int(held.row.serial, 16): "keyCompromise", int(other.row.serial, 16): "superseded"}
    numbers = [
        one.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for one in (before, whole_list())
    ]
    assert numbers[1] == numbers[0] + 1


def test_suspension_puts_certificates_on_hold_and_resume_lifts_it(authority: dict[str, Any], world: World) -> None:
    """MT-8: certificateHold while the suspension lasts; off the list afterwards; a hold of a month revokes the
    certificate.
    """
    _, desktop = world.enrolled()
    held = issued(desktop)
    locked(held, lambda account: suspend.suspend(account, now=clock.now(), actor="manager:kim"))
    deliver()
    assert serials(whole_list()) == {int(held.row.serial, 16): "certificateHold"}
    locked(held, lambda account: suspend.resume(account, now=clock.now(), actor="manager:kim"))
    deliver()
    assert serials(whole_list()) == {}
    locked(held, lambda account: suspend.suspend(account, now=clock.now(), actor="manager:kim"))
    with time_machine.travel(clock.now() + timedelta(days=29), tick=True):
        tending.review_certificates(now=clock.now())
        assert Credential.objects.get(id=held.row.credential_id).state == "active"
    with time_machine.travel(clock.now() + timedelta(days=31), tick=True):
        tending.review_certificates(now=clock.now())
        row = Credential.objects.get(id=held.row.credential_id)
        assert (row.state, row.end_reason) == ("revoked", Reason.ON_HOLD_TOO_LONG)
        locked(held, lambda account: suspend.resume(account, now=clock.now(), actor="manager:kim"))
        deliver()
        assert serials(whole_list()) == {int(held.row.serial, 16): None}


def test_lists_are_sharded_beyond_ten_thousand(
    authority: dict[str, Any], world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C92: each certificate points to the list of its shard, which names its scope; the whole list has all entries."""
    monkeypatch.setattr(lists, "MOST_IN_A_SHARD", 2)
    _, desktop = world.enrolled()
    held = [issued(desktop, name=f"Number {number}") for number in range(5)]
    assert [one.row.shard for one in held] == [0, 0, 1, 1, 2]
    for one in (held[0], held[4]):
        end(one)
    deliver()
    name = held[0].row.authority_id
    by_shard = [x509.load_der_x509_crl((published() / f"{name}-{shard}.crl").read_bytes()) for shard in range(3)]
    assert [set(serials(one)) for one in by_shard] == [
        {int(held[0].row.serial, 16)},
        set(),
        {int(held[4].row.serial, 16)},
    ]
    assert set(serials(whole_list())) == {int(held[0].row.serial, 16), int(held[4].row.serial, 16)}
    for one, found in zip((held[0], held[2], held[4]), by_shard, strict=True):
        [point] = one.certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        scope = found.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
        assert scope.critical
        assert scope.value.full_name == point.full_name
    with http() as agent:
        assert agent.get(f"/pki/{name}-2.crl").content == (published() / f"{name}-2.crl").read_bytes()
        assert agent.get(f"/pki/{name}-9.crl").status_code == 404


def test_long_list_is_built_in_linear_time(authority: dict[str, Any], world: World) -> None:
    """C92: twenty thousand entries in one go; adding them one by one is quadratic."""
    import time

    row = Authority.objects.get()
    now = clock.now()
    entries = [minting.RevokedEntry(serial=minting.new_serial(), at=now) for _ in range(20_000)]
    began = time.monotonic()
    der = minting.revocation_list(
        entries, keeping.certificate_of(row), keeping.signer_of(row, wrapper()), number=9, now=now
    )
    assert time.monotonic() - began < 10
    assert sum(1 for _ in x509.load_der_x509_crl(der)) == 20_000


def test_published_files_equal_http_answers(authority: dict[str, Any]) -> None:
    """C92: a static server can take over; every file is complete and equal to the answer over HTTP."""
    with http() as agent:
        for path in sorted(published().iterdir()):
            answer = agent.get(f"/pki/{path.name}")
            assert (answer.status_code, answer.content) == (200, path.read_bytes()), path.name
            assert answer.headers["Content-Type"].startswith("application/")
    assert files.mirror(now=clock.now()) is False
    (published() / "authorities.pem").unlink()


# --- OCSP -------------------------------------------------------------------------------------------------------------


def ask(held: Holding, folder: Path, *options: str, get: bool = False) -> tuple[str, bytes, bytes]:
    """Ask as openssl asks, and have openssl verify the answer: its words, the request and the answer."""
    from base64 import b64encode
    from urllib.parse import quote

    here = published()
    everything = x509.load_pem_x509_certificates((here / "authorities.pem").read_bytes())
    issuer = next(one for one in everything if one.subject == held.certificate.issuer)
    (folder / "issuer.pem").write_bytes(issuer.public_bytes(Encoding.PEM))
    certificate, _ = held.write(folder)
    about = ["-issuer", str(folder / "issuer.pem"), "-cert", str(certificate)]
    openssl("ocsp", *options, *about, "-reqout", str(folder / "question"))
    question = (folder / "question").read_bytes()
    with http() as agent:
        if get:
            answer = agent.get("/pki/ocsp/" + quote(b64encode(question).decode(), safe=""))
        else:
            answer = agent.post("/pki/ocsp", content=question, headers={"Content-Type": "application/ocsp-request"})
    assert answer.headers["Content-Type"] == "application/ocsp-response"
    (folder / "answer").write_bytes(answer.content)
    done = openssl(
        "ocsp",
        *options,
        *about,
        "-no_nonce",
        "-reqin",
        str(folder / "question"),
        "-respin",
        str(folder / "answer"),
        "-CAfile",
        str(here / "authorities.pem"),
    )
    return (done.stdout + done.stderr).decode(), question, answer.content


@pytest.mark.parametrize("get", [False, True], ids=["POST", "GET"])
def test_openssl_verifies_ocsp_responses(
    authority: dict[str, Any],
    world: World,
    tmp_path: Path,
    get: bool,  # noqa: FBT001
) -> None:
    """C92, RFC 6960: a delegated signer with nocheck, our nonce back; good, then revoked at once, without any list."""
    _, desktop = world.enrolled()
    held = issued(desktop)
    said, _, raw = ask(held, tmp_path, get=get)
    assert "Response verify OK" in said
    assert ": good" in said
    assert "WARNING" not in said  # of openssl: a nonce that did not come back
    response = x509.ocsp.load_der_ocsp_response(raw)
    [signer] = response.certificates
    assert signer.extensions.get_extension_for_class(x509.OCSPNoCheck)
    assert list(signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        x509.ExtendedKeyUsageOID.OCSP_SIGNING
    ]
    end(held)
    said, _, _ = ask(held, tmp_path, "-sha256", get=get)
    assert "Response verify OK" in said
    assert ": revoked" in said
    assert "keyCompromise" in said


def test_unreleased_serial_number_is_unknown(authority: dict[str, Any], world: World, tmp_path: Path) -> None:
    """RFC 6960 §2.2: unknown, neither good nor revoked; so is one that is recorded and not released yet."""
    _, desktop = world.enrolled()
    held = issued(desktop)
    IssuedCertificate.objects.filter(pk=held.row.pk).update(released_at=None)
    assert ": unknown" in ask(held, tmp_path)[0]
    IssuedCertificate.objects.filter(pk=held.row.pk).update(serial="1")
    assert ": unknown" in ask(held, tmp_path)[0]


def test_malformed_ocsp_request_gets_an_ocsp_error(authority: dict[str, Any], world: World, tmp_path: Path) -> None:
    """Malformed, another issuer's, several at once, too long: never a 500, never a signed answer."""
    _, desktop = world.enrolled()
    held = issued(desktop)
    _, question, _ = ask(held, tmp_path)
    other = minting.root_certificate(
        MemorySigner(ec.generate_private_key(ec.SECP384R1())), organisation="Others", now=clock.now()
    )
    foreign = x509.ocsp.OCSPRequestBuilder().add_certificate(other, other, _sha1()).build().public_bytes(Encoding.DER)
    status = x509.ocsp.OCSPResponseStatus
    cases = {b"": status.MALFORMED_REQUEST, b"hello": status.MALFORMED_REQUEST, question[:-3]: status.MALFORMED_REQUEST,
             b"\x30" * 5000: status.MALFORMED_REQUEST, foreign: status.UNAUTHORIZED}  # fmt: skip
    for raw, expected in cases.items():
        assert (
            x509.ocsp.load_der_ocsp_response(answers.respond(raw, wrapper(), now=clock.now())).response_status
            == expected
        )
    with http() as agent:
        for path in ("/pki/ocsp/!!!", "/pki/ocsp/AAAA", "/pki/ocsp"):
            answer = agent.get(path)
            assert x509.ocsp.load_der_ocsp_response(answer.content).response_status == status.MALFORMED_REQUEST


def _sha1() -> Any:
    from cryptography.hazmat.primitives.hashes import SHA1

    return SHA1()  # noqa: S303 - as OCSP names an issuer


def test_responder_key_is_renewed_in_time(authority: dict[str, Any]) -> None:
    """It lives a month, and is renewed a week before."""
    row = Authority.objects.get()
    first = answers.make_responder(row, wrapper(), now=clock.now())
    with time_machine.travel(clock.now() + timedelta(days=22), tick=True):
        certificate, _ = answers._responder(first, wrapper(), now=clock.now())
    with time_machine.travel(clock.now() + timedelta(days=24), tick=True):
        renewed, _ = answers._responder(first, wrapper(), now=clock.now())
    assert certificate.serial_number != renewed.serial_number


def test_building_the_list_takes_few_statements(authority: dict[str, Any], world: World) -> None:
    """However many certificates are on hold or revoked."""
    from django.test.utils import CaptureQueriesContext

    _, desktop = world.enrolled()
    for number in range(3):
        end(issued(desktop, name=f"Number {number}"))
    with CaptureQueriesContext(connection) as queries:
        lists.entries(authority=Authority.objects.get(), now=clock.now())
    assert len(queries) <= 3
    assert RevocationList.objects.count() == 2


@pytest.mark.parametrize(
    "serial", [b"\xff", b"\x00", b"\x80" + bytes(19), b"\x7f" * 40], ids=["minus one", "zero", "very negative", "long"]
)
def test_ocsp_request_for_an_impossible_serial_number(authority: dict[str, Any], serial: bytes) -> None:
    """C92: an OCSP request about a number below zero, or a very long one, gets an answer or an error in the
    protocol's form.
    """
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
