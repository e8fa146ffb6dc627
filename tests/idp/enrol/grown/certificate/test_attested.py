"""Certificates whose keys are proven to be in hardware: .41 at AAL3, and everything that it takes (X-1, X-7, X-8,
X-9, RQ-3 to RQ-6, BI-6).
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from demo.pki import Card
from derived import clock
from derived.changes import identity_changes, identity_checks, lower_level, suspend
from derived.errors import Reason, Refused
from derived.ledger.locking import under_lock
from derived.minting import signing
from derived.minting.hardware import statement as hardware
from derived.minting.hardware.judge import judge
from derived.minting.hardware.statement import AttestationTrust
from derived.minting.signing import MemorySigner
from derived.models import Account, Credential, Event, EventDetail, IdentityCheck, IssuedCertificate
from derived.rules.assurance import AAL
from derived.rules.kinds import Kind
from derived.rules.rulebook import ApprovedDevices, KindRules
from device import tpm
from idp.enrol.grown.certificate import issuing as certificates
from idp.keys import wrapper
from idp.models import AuthenticationEvent
from idp.policies import attestation
from idp.policies import issuance as rulebook
from scim.models import Person, RoleName
from tests.fixtures.attestation_makers import Tpm, YubiKey
from tests.fixtures.attested_certificates import (
    _FACE,
    AAL2_POLICY,
    AAL3_POLICY,
    ALEX,
    GOOD,
    SERIAL,
    proof,
    see,
    with_card,
)
from tests.fixtures.card_reader import CardSetup, Reader
from tests.fixtures.certificate_authority import Holding, add, csr_for, issued, new_key
from tests.fixtures.certificate_enrolment import certificate_in, confirm, enroll, order, policies, reenroll, sign_in
from tests.fixtures.roles import appoint
from tests.fixtures.world import ISSUER, http

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.software_tpm import Chip
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db


def another(maker: YubiKey) -> YubiKey:
    """Another key in the same YubiKey."""
    made = YubiKey()
    made.root, made.root_key, made.device, made.device_key = maker.root, maker.root_key, maker.device, maker.device_key
    return made


def worth(held: Holding) -> tuple[int, list[str]]:
    return held.row.credential.aal, policies(held)


@pytest.mark.database
def test_attested_key_with_identity_check_yields_policy_41(
    cards_and_authority: CardSetup, world: World, maker: YubiKey, tmp_path: Path, sample: str
) -> None:
    """X-1, X-7, X-9, RQ-5: at AAL3; the identity check is recorded with it, shown, and used up; a second certificate
    is .40; login yields AAL3.
    """
    browser = with_card(cards_and_authority, world, tmp_path)
    seen = see(sample=sample)
    held = issued(browser, maker.key, proof=proof(maker))
    assert worth(held) == (3, [AAL3_POLICY])
    row = held.row.credential
    assert (row.label, row.evidence["protection"], row.evidence["exportable"], row.evidence["activation"]) == (
        "derived_piv",
        "hardware",
        False,
        "per_use",
    )
    check = IdentityCheck.objects.get(credential=row)
    assert (str(check.id), check.digest) == (seen["id"], hashlib.sha256(_FACE).hexdigest())
    assert wrapper().unwrap(bytes(check.sample), purpose="identity-check", owner=str(check.id)) == _FACE
    said = StringIO()
    call_command("credential", "show", str(row.id), "--json", stdout=said)
    assert json.loads(said.getvalue())["identity_check"]["officer"] == "Mona Moss"
    second = another(maker)
    other = issued(browser, second.key, proof=proof(second))
    assert worth(other) == (2, [AAL2_POLICY])
    assert other.row.credential.evidence["protection"] == "hardware"
    reader = Reader(card=Card(held.certificate, held.key, "ours")).browser()
    _, page = sign_in(held, browser=reader)
    assert page.path == "/devices", page.words()
    event = AuthenticationEvent.objects.get(credential=row)
    assert (event.aal, event.phishing_resistant, event.hardware, event.root) == (3, True, True, False)
    assert set(event.amr) == {"hwk", "mfa", "pwd", "user"}


WRONG: dict[str, Any] = {
    "nobody saw them": {"seen": None}, "seen 91 days ago": {"seen": 91},
    "a card of another agency": {"rules": {"home_agencies": frozenset({"9999"})}},
    "a model that is not listed": {"rules": {"approved": ApprovedDevices()}},
    "somebody else's YubiKey": {"rules": {"assigned": {SERIAL: "sam@example.org"}}},
    "nobody's YubiKey": {"rules": {"assigned": {}}}, "a slot that never asks": {"said": {"8": b"\x01\x01"}},
    "a slot that asks once": {"said": {"8": b"\x02\x01"}}, "no proof": {"proof": False},
    "a key that we make": {"way": "file"},
}  # fmt: skip


def test_missing_condition_yields_40_or_generic(
    cards_and_authority: CardSetup,
    world: World,
    maker: YubiKey,
    tmp_path: Path,
    sample: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """X-7, X-8, X-9, RQ-4 to RQ-6, EL-3: each condition alone; issued at AAL2, and no check is used up; with all
    conditions the same request is .41.
    """
    browser = with_card(cards_and_authority, world, tmp_path)
    for wrong, how in {**WRONG, "nothing": {}}.items():
        monkeypatch.setattr(rulebook, "rules", lambda how=how: replace(GOOD, **how.get("rules", {})))
        if (days := how.get("seen", 0)) is not None and not IdentityCheck.objects.filter(
            at__gt=clock.now() - timedelta(days=1)
        ).exists():
            with time_machine.travel(clock.now() - timedelta(days=days), tick=True):
                see(sample=sample)
        key = another(maker)
        said = proof(key, **how.get("said", {})) if how.get("proof", True) else ""
        if way := how.get("way", ""):
            add(browser, way=way, transport="twelve stones here", proof=said)
            held = Holding(IssuedCertificate.objects.select_related("credential").latest("released_at"), key.key)
            assert held.row.credential.evidence["key_made"] == "here", wrong
        else:
            held = issued(browser, key.key, proof=said)
        level, [policy] = worth(held)
        assert (level, policy == AAL3_POLICY) == ((3, True) if wrong == "nothing" else (2, False)), wrong
        assert IdentityCheck.objects.exclude(credential=None).exists() == (wrong == "nothing")


def test_invalid_attestation_is_refused(
    cards_and_authority: CardSetup, world: World, maker: YubiKey, tmp_path: Path, sample: str
) -> None:
    """X-7: never ignored; nothing is made."""
    browser = with_card(cards_and_authority, world, tmp_path)
    see(sample=sample)
    good = proof(maker)
    middle = len(good) // 4
    bad = {
        "another key": proof(maker, key=new_key()), "another root": proof(YubiKey(), key=maker.key),
        "no certificates": "an attestation",
        "one byte": good[:middle] + ("A" if good[middle] != "A" else "B") + good[middle + 1:],
        "a private key": good + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "imported": proof(maker, drop="8"),
        "without slot F9": good[: good.index("-----END CERTIFICATE-----\n") + 26],
        "a TPM's": json.dumps(Tpm().statement()),
    }  # fmt: skip
    for wrong, said in bad.items():
        page = add(browser, request=csr_for(browser, maker.key), proof=said)
        assert page.status == 400, wrong
        assert not IssuedCertificate.objects.exists()
        if wrong == "a private key":
            assert "not secret any more" in page.html
            assert "PRIVATE KEY" not in page.html


def test_files_are_accepted_like_text(
    cards_and_authority: CardSetup, world: World, maker: YubiKey, tmp_path: Path, sample: str
) -> None:
    """Request and proof as files, PEM and DER; both forms of one, or a large one, are refused."""
    browser = with_card(cards_and_authority, world, tmp_path)
    see(sample=sample)
    pem, said = csr_for(browser, maker.key), proof(maker).encode()
    der = x509.load_pem_x509_csr(pem).public_bytes(Encoding.DER)
    for files, request, status in (
        ({"request_file": ("a.der", der)}, pem, 400), ({"request_file": ("a.der", b"\x30" * 20_000)}, b"", 400),
        ({"request_file": ("a.der", b"")}, b"", 400),
        ({"request_file": ("a.der", b"\x30" * 200_000)}, b"", 413),
        ({"request_file": ("a", b"-----BEGIN\xff")}, b"", 400),
        ({"request_file": ("k", b"-----BEGIN PRIVATE KEY-----")}, b"", 400),
    ):  # fmt: skip
        assert add(browser, request=request, files=files).status == status
    page = add(browser, files={"request_file": ("a.der", der), "proof_file": ("p.pem", said)})
    assert page.path.startswith("/devices/certificates/"), page.words()
    held = Holding(IssuedCertificate.objects.select_related("credential").get(), maker.key)
    assert worth(held) == (3, [AAL3_POLICY])
    page = add(browser, files={"request_file": ("b.csr", csr_for(browser, new_key()))})
    assert page.path.startswith("/devices/certificates/"), page.words()
    assert browser.submit(page, browser.get(f"{ISSUER}/devices").forms()[0], files={"x": ("x", b"x")}).status == 400


@pytest.mark.database
def test_renewal_with_an_unattested_key_is_40(
    cards_and_authority: CardSetup, world: World, maker: YubiKey, tmp_path: Path, sample: str
) -> None:
    """MT-2: over EST with a new key nothing is proven: AAL2, under the same label, and no check is used up."""
    browser = with_card(cards_and_authority, world, tmp_path)
    see(sample=sample)
    held = issued(browser, maker.key, proof=proof(maker))
    see(sample=sample)
    assert worth(held) == (3, [AAL3_POLICY])
    found = certificate_in(reenroll(held, new_key()))
    new = IssuedCertificate.objects.select_related("credential").get(replaces=held.row)
    assert (new.credential.aal, new.credential.label, new.policies) == (2, "derived_piv", [AAL2_POLICY])
    assert found.serial_number == int(new.serial, 16)
    assert IdentityCheck.objects.filter(credential=None).count() == 1


@pytest.mark.database
def test_release_checks_its_conditions_again(
    cards_and_authority: CardSetup,
    world: World,
    maker: YubiKey,
    tmp_path: Path,
    sample: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """X-9, ruling 23: the check was used by another meanwhile, or the level fell: .41 is signed, and not released."""
    from idp.enrol.grown.certificate import issuing as certificates

    browser = with_card(cards_and_authority, world, tmp_path)
    see(sample=sample)
    whole = certificates.making.signed_certificate

    def meanwhile(act: Any) -> Any:
        def signed(credential_id: Any, keys: Any) -> x509.Certificate:
            made = whole(credential_id, keys)
            act(credential_id)
            return made

        return signed

    monkeypatch.setattr(
        certificates.making,
        "signed_certificate",
        meanwhile(lambda _: IdentityCheck.objects.update(credential=Credential.objects.get(kind="piv_card"))),
    )
    page = add(browser, request=csr_for(browser, maker.key), proof=proof(maker))
    assert (page.status, "check in person" in page.html) == (403, True)
    see(sample=sample)
    monkeypatch.setattr(
        certificates.making,
        "signed_certificate",
        meanwhile(lambda one: Credential.objects.filter(id=one).update(aal=2)),
    )
    second = another(maker)
    assert add(browser, request=csr_for(browser, second.key), proof=proof(second)).status != 200
    assert not IssuedCertificate.objects.filter(released_at__isnull=False).exists()


def test_weaker_root_suspends_policy_41(
    cards_and_authority: CardSetup, world: World, maker: YubiKey, tmp_path: Path, sample: str
) -> None:
    """AS-2, X-1: a card that turns out weaker takes .41 out of use everywhere, and nobody can lift that; .40 goes
    on.
    """
    browser = with_card(cards_and_authority, world, tmp_path)
    see(sample=sample)
    strong, plain = issued(browser, maker.key, proof=proof(maker)), issued(browser)
    card = Credential.objects.get(kind="piv_card")

    def fall(account: Account) -> int:
        return lower_level.lower(
            account, card, to=AAL.AAL2, because=Reason.MODEL_NOT_TRUSTED, now=clock.now(), actor="t"
        )

    assert under_lock(card.account_id, fall) == 1
    assert [Credential.objects.get(id=one.row.credential_id).state for one in (strong, plain)] == [
        "suspended",
        "active",
    ]
    with pytest.raises(Refused, match="key_too_weak"):
        under_lock(
            card.account_id, lambda account: suspend.lift(account, strong.row.credential, now=clock.now(), actor="t")
        )


# --- the record -------------------------------------------------------------------------------------------------------


_IRIS = b"IIR\x00" + bytes(2000)


@pytest.mark.database
def test_identity_check_is_immutable(world: World, sample: str, tmp_path: Path) -> None:
    """X-9, RQ-3: the database refuses to change or delete one; nobody checks themselves; empty and oversized samples
    are refused.
    """
    world.push(ALEX)
    for bad in (
        {"officer": ALEX},
        {"officer": " "},
        {"place": ""},
        {"against": "x" * 200},
        {"sample": str(tmp_path / "none")},
        {"confirmed-by": "Mona Moss"},
        {"confirmed-by": ALEX},
        {"confirmed-by": " "},
    ):
        with pytest.raises(CommandError):
            see(**{"sample": sample, **bad})
    for name, content in (
        ("large", _IRIS + b"x" * (512 * 1024)),
        ("small", _IRIS[:1000]),
        ("one byte", b"x"),
        ("my sofa", b"it was my sofa " * 500),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CommandError):
            see(sample=str(tmp_path / name))
    see(sample=sample)
    row = IdentityCheck.objects.get()
    for change in ({"officer": "Nobody"}, {"sample": b"x"}, {"at": clock.now()}):
        with pytest.raises(DatabaseError), transaction.atomic():
            IdentityCheck.objects.update(**change)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM derived_identitycheck")
    event = Event.objects.get(kind="identity.checked")
    assert (event.body["digest"], "Mona" in str(event.body)) == (row.digest, False)
    assert {one.name for one in EventDetail.objects.filter(event=event)} == {"officer", "place", "against"}


@pytest.mark.database
def test_officer_records_an_identity_check(world: World) -> None:
    """X-9, RQ-3: by the console, at AAL3, with a file and without a script; a second officer at AAL3 confirms it."""
    _, desktop = world.enrolled("mona@example.org")
    appoint("mona@example.org", RoleName.MANAGER, RoleName.OFFICER)
    world.push(ALEX)
    alex, mona = (Person.objects.get(login_name=name) for name in (ALEX, "mona@example.org"))
    page = desktop.get(f"{ISSUER}/console/people/{alex.id}")
    values = {"place": "Desk 4", "against": "the card", "how": "supervised_remote", "compared": "iris"}
    form = page.form_to("/checks")
    assert form is not None
    assert desktop.submit(page, form, values=values, files={"sample": ("a", _IRIS)}).path == "/login", (
        "AAL2 is too little"
    )
    assert not IdentityCheck.objects.exists()
    _at_aal3("mona@example.org")
    assert (
        desktop.submit(page, form, values={**values, "how": "by post"}, files={"sample": ("a", b"iris")}).status == 400
    )
    assert desktop.submit(page, form, values=values).status == 400
    assert desktop.submit(page, form, values=values, files={"sample": ("a", b"x" * 800_000)}).status == 413
    assert desktop.submit(page, form, values=values, files={"sample": ("a", b"iris")}).status == 400
    done = desktop.submit(page, form, values=values, files={"sample": ("a", _IRIS)})
    assert (done.path, "supervised remote, Desk 4, by Alex Moss (mona@example.org)" in done.html) == (page.path, True)
    assert IdentityCheck.objects.get().officer == f"manager:{mona.id}"
    own = desktop.get(f"{ISSUER}/console/people/{mona.id}")
    assert "I have seen this person" in page.html
    assert "I have seen this person" not in own.html
    form = replace(form, action=f"/console/people/{mona.id}/checks")
    assert desktop.submit(page, form, values=values, files={"sample": ("a", _IRIS)}).status in {403, 409}
    assert IdentityCheck.objects.count() == 1
    row, account = IdentityCheck.objects.get(), alex.account
    confirm = done.form_to("/confirm")
    assert desktop.submit(done, confirm).status in {403, 409}, "nobody confirms their own check"
    assert identity_checks.unused(account, now=clock.now()) is None
    _, other = world.enrolled("nora@example.org")
    appoint("nora@example.org", RoleName.OFFICER)
    page = other.get(f"{ISSUER}/console/people/{alex.id}")
    assert other.submit(page, page.form_to("/confirm")).path == "/login"
    _at_aal3("nora@example.org")
    assert "Confirmed by Alex Moss (nora@example.org)" in other.submit(page, page.form_to("/confirm")).html
    found = identity_checks.unused(account, now=clock.now())
    assert found is not None
    assert found.id == row.id


def _at_aal3(name: str) -> None:
    """As if the person had signed in with a key that reaches AAL3."""
    account = Person.objects.get(login_name=name).account
    account.credentials.filter(kind="password_totp").update(kind="passkey", aal=3)
    AuthenticationEvent.objects.filter(account=account).update(aal=3)


# --- what is believed no more -----------------------------------------------------------------------------------------


def test_withdrawn_trust_lowers_the_level_at_the_next_login(
    cards_and_authority: CardSetup,
    world: World,
    maker: YubiKey,
    tmp_path: Path,
    sample: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RQ-4, RQ-5, TH-4: the maker's root, a certificate on the way, the model, whose it is; and nothing that is not
    in approved devices.
    """
    browser = with_card(cards_and_authority, world, tmp_path)
    see(sample=sample)
    held = issued(browser, maker.key, proof=proof(maker))
    assert worth(held) == (3, [AAL3_POLICY])
    only = {"approved": ApprovedDevices(), "terms": {Kind.CERTIFICATE: KindRules(only_approved=True)}}
    changes: dict[str, tuple[AttestationTrust, dict[str, Any], int, bool]] = {
        "nothing": (maker.trust(), {}, 3, True), "root": (AttestationTrust(), {}, 2, False),
        "revoked": (maker.trust(revoked=frozenset({f"{maker.device.serial_number:x}"})), {}, 2, False),
        "model": (maker.trust(), {"approved": ApprovedDevices()}, 2, True),
        "assigned": (maker.trust(), {"assigned": {}}, 2, True),
        "only approved": (maker.trust(), only, 1, True),
    }  # fmt: skip
    for change, (trust, rules, level, kept) in changes.items():
        monkeypatch.setattr(attestation, "trust", lambda trust=trust: trust)
        monkeypatch.setattr(rulebook, "rules", lambda rules=rules: replace(GOOD, **rules))
        sign_in(held)
        event = AuthenticationEvent.objects.filter(credential=held.row.credential_id).latest("at")
        assert (event.aal, event.hardware, "hwk" in event.amr) == (level, kept, kept), change


# --- a TPM, over a code -----------------------------------------------------------------------------------------------


class TpmSigner:
    """A key in a TPM, as what signs a request."""

    def __init__(self, key: tpm.TpmKey, folder: Path) -> None:
        self._key, self._folder = key, folder

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        from joserfc.jwk import ECKey

        found = ECKey.import_key(dict(self._key.public_jwk)).public_key
        assert isinstance(found, ec.EllipticCurvePublicKey)
        return found

    def sign(self, message: bytes) -> bytes:
        import subprocess

        (self._folder / "tbs").write_bytes(message)
        subprocess.run(
            [
                "tpm2_sign",
                "-Q",
                "-c",
                self._key.handle,
                "-g",
                "sha256",
                "-s",
                "ecdsa",
                "-f",
                "plain",
                "-o",
                str(self._folder / "sig"),
                str(self._folder / "tbs"),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )
        return (self._folder / "sig").read_bytes()


def named(key: ec.EllipticCurvePublicKey) -> str:
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def request_of(signer: Any, code: str) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_attribute(x509.oid.AttributeOID.CHALLENGE_PASSWORD, code.encode())
    return signing.sign_request(
        builder, signer, signer.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )


def attest(code: str, der: bytes, statement: Any) -> Any:
    with http() as agent:
        return agent.post(
            "/enrol/v1/certificates/attestations",
            json={"code": code, "request": b64encode(der).decode(), "attestation": statement},
        )


def heard(code: str) -> str:
    return code.replace("-", "").replace(" ", "").upper()


def test_tpm_key_gets_a_certificate(
    authority: dict[str, Any], world: World, chip: Chip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X-7: made and kept in a real (software) TPM, certified for this code, asked for over EST, confirmed on the
    desktop: `hwk`, AAL2.
    """
    monkeypatch.setattr(
        attestation,
        "trust",
        lambda: AttestationTrust(roots={"tpm": [x509.load_pem_x509_certificate(chip.root).public_bytes(Encoding.DER)]}),
    )
    _, desktop = world.enrolled()
    key = tpm.TpmKey.make(handle="0x81010011", ak=chip.ak, chain=chip.chain)
    signer = TpmSigner(key, tmp_path)
    page, code, _ = order(desktop)
    der = request_of(signer, code)

    def certified(about: str) -> Any:
        info, signature = key._certified(hardware.nonce_of(about, named(signer.public_key)))
        chain = [
            b64encode(one.public_bytes(Encoding.DER)).decode()
            for one in x509.load_pem_x509_certificates(chip.chain.encode())
        ]
        return {
            "format": "tpm",
            "x5c": chain,
            "certify_info": b64encode(info).decode(),
            "signature": b64encode(signature).decode(),
            "public": b64encode(key.public_area).decode(),
        }

    assert attest(code, der, certified("ABCD" * 6)).status_code == 400  # of another code
    found = attest(code, der, certified(heard(code)))
    assert (found.status_code, found.json()["level"], found.json()["asks_each_time"]) == (202, "TPM 2.0", False)
    assert "TPM 2.0" in desktop.get(page.url).html
    basic = {
        "Authorization": "Basic " + b64encode(f"{ALEX}:{code}".encode()).decode(),
        "Content-Type": "application/pkcs10",
    }
    with http() as agent:
        assert agent.post("/.well-known/est/simpleenroll", content=b64encode(der), headers=basic).status_code == 202
        confirm(desktop, page)
        made = certificate_in(agent.post("/.well-known/est/simpleenroll", content=b64encode(der), headers=basic))
    assert made.public_key() == signer.public_key
    row = IssuedCertificate.objects.select_related("credential").get().credential
    assert (row.aal, row.evidence["protection"], row.evidence["exportable"], row.evidence["device"]["type"]) == (
        2,
        "hardware",
        False,
        "tpm",
    )
    assert set(row.evidence["amr"]) == {"hwk", "mfa", "pwd"}
    assert "numbers" in row.evidence["vouched"]
    assert "numbers" not in str(Event.objects.get(kind="credential.issued", credential=row).body)


def test_tpm_attestation_wrong_in_one_part_is_refused(
    authority: dict[str, Any], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X-7, C12: another key's word, one that may leave, another root, an old code, a code of 40 bits, after the
    desktop was asked.
    """
    maker = Tpm()
    monkeypatch.setattr(attestation, "trust", maker.trust)
    _, desktop = world.enrolled()
    _, code, short = order(desktop)
    signer = MemorySigner(maker.key)
    der, name = request_of(signer, code), named(maker.key.public_key())

    def statement(about: str, of: Tpm = maker, **said: Any) -> Any:
        public = of.public(**said)
        return of.statement(public=public, info=of.info(public, qualifying=hardware.nonce_of(about, name)))

    right, stranger = heard(code), Tpm()
    bad = [
        (code, statement("ABCD" * 6)), (code, statement(right, attributes=0x00040070)),
        (code, statement(right, stranger)), (code, None), (code, {"format": "none"}),
        (code, {"format": "tpm"}),
    ]  # fmt: skip
    for typed, said in bad:
        assert attest(typed, der, said).status_code == 400, said
    assert attest(short, request_of(signer, short), statement(heard(short))).status_code in {401, 400, 403}
    unknown = "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA"
    assert attest(unknown, request_of(signer, unknown), statement(right)).status_code in {401, 400, 403}
    assert attest(code, request_of(MemorySigner(new_key()), code), statement(right)).status_code == 400
    from idp.models import CertificateOrder

    assert CertificateOrder.objects.get().status == "waiting"
    assert enroll(code, maker.key).status_code == 202
    assert (
        attest(code, der, statement(right)).status_code == 400
    )  # the desktop was asked already, about a key of which nothing was proven
    assert CertificateOrder.objects.get().answered is None


@pytest.mark.parametrize("form", ["yubikey-piv", "tpm", "android-key"])
def test_certificate_of_an_invalid_version_is_refused(form: str) -> None:
    """C75: a stranger's certificate that the parser has a class of exception of its own for is a bad proof, and no
    500.
    """
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


def test_certificate_with_piv_policy_ends_when_ial3_falls(
    cards_and_authority: CardSetup, world: World, maker: YubiKey, tmp_path: Path
) -> None:
    """AS-1, AS-3: what is minted falls with the identity; a certificate cannot fall, so it ends, and nothing renews
    it under that policy.
    """
    browser = with_card(cards_and_authority, world, tmp_path)
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
