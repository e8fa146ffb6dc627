"""Kind × root × evidence → AAL, label, `amr`, policy of a certificate: every cell grown, used once and read back
(AS-1, AS-2, AS-3, AS-5, EL-2, BI-6, BI-7, DK-2, PK-1, PK-2, X-1, X-7 to X-9).

`pytest tests/idp/oidc/claims/test_kinds.py -s -k printed` prints the table; `KINDS` and `ROOTS` say what each cell
must be, written down by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from derived import clock
from derived.changes import identity_checks, issue
from derived.changes.identity_checks import Biometric, Presence
from derived.errors import Reason, Refused
from derived.ledger import accounts, status
from derived.ledger.locking import transacted, under_lock
from derived.minting import certificate, derived_passkey, device_key
from derived.minting.device_key import public_key
from derived.minting.hardware.statement import HardwareEvidence
from derived.models import Account, Credential, Passkey
from derived.rules.assurance import AAL, Assertion, Authentication, Factor, VerifiedFactors
from derived.rules.eligibility import BoundBy, BoundVia
from derived.rules.kinds import Kind, Label
from derived.rules.rulebook import ApprovedDevices, DeviceFacts, Rulebook
from device.key import DeviceKey
from idp.keys import wrapper
from idp.login.session import login_of, record_login
from tests.fixtures.approval_rules import without_approval
from tests.fixtures.fresh_proofs import PROOFS, card, registered

if TYPE_CHECKING:
    from collections.abc import Callable

    from derived.minting.proven import VerifiedProof

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Evidence:
    """What was proven. reach: what it is worth by itself, by hand; amr: of its best use; resistant: it bears the PIV
    label.

    theirs: it lives in a device that was issued to this person (RQ-5). seen: they were checked in person (X-9).
    """

    kind: Kind
    words: str
    make: Callable[[], VerifiedProof]
    reach: int
    amr: str
    resistant: bool = False
    theirs: bool = False
    seen: bool = False


def _key(passphrase: str, kept: HardwareEvidence | None = None) -> Callable[[], VerifiedProof]:
    return lambda: device_key.proof_of(
        public_key(DeviceKey.generate().public_jwk), passphrase_hash=passphrase, clients=[], kept=kept
    )


def _passkey(*, relayed: bool = False, **said: bool) -> Callable[[], VerifiedProof]:
    return lambda: derived_passkey.proof_of(registered(**said), relayed=relayed)


def _certificate(kept: HardwareEvidence | None = None, *, made_here: bool = False) -> Callable[[], VerifiedProof]:
    def make() -> VerifiedProof:
        now, plain = clock.now(), PROOFS[Kind.CERTIFICATE]()
        return certificate.proof_of(
            ec.generate_private_key(ec.SECP256R1()).public_key(),
            passphrase_hash="x",
            not_before=now,
            not_after=now + timedelta(days=300),
            verifier={name: plain.verifier[name] for name in ("authority", "serial", "shard", "uuid", "shown")},
            kept=kept,
            made_here=made_here,
        )

    return make


_YUBIKEY = HardwareEvidence(
    device=DeviceFacts(type="yubikey", model="YubiKey 5 FIPS", serial="S1"), verifies_user=True, level="YubiKey"
)
_STRANGE = HardwareEvidence(
    device=DeviceFacts(type="yubikey", model="YubiKey 5 FIPS", serial="S2"), verifies_user=True, level="YubiKey"
)
_TPM = HardwareEvidence(device=DeviceFacts(type="tpm"), verifies_user=False, level="TPM 2.0")
_PHONE = HardwareEvidence(device=DeviceFacts(type="android"), verifies_user=True, level="StrongBox")
KINDS = [
    Evidence(Kind.DEVICE_KEY, "key alone", _key(""), 1, ""),
    Evidence(Kind.DEVICE_KEY, "key, passphrase", _key("x"), 2, "mfa pop pwd"),
    Evidence(Kind.DEVICE_KEY, "TPM alone", _key("", _TPM), 1, ""),
    Evidence(Kind.DEVICE_KEY, "TPM, passphrase", _key("x", _TPM), 2, "hwk mfa pwd"),
    Evidence(Kind.DEVICE_KEY, "TEE or StrongBox, asks each time", _key("", _PHONE), 2, "hwk mfa user"),
    Evidence(Kind.DERIVED_PASSKEY, "UV=0", _passkey(user_verified=False), 1, ""),
    Evidence(Kind.DERIVED_PASSKEY, "UV=1, BE=1", _passkey(synced=True), 2, "mfa pop user"),
    Evidence(Kind.DERIVED_PASSKEY, "UV=1, BE=0, none", _passkey(), 2, "mfa pop user", resistant=True),
    Evidence(
        Kind.DERIVED_PASSKEY,
        "UV=1, BE=0, attested, over a code",
        _passkey(hardware=True, relayed=True),
        2,
        "mfa pop user",
        resistant=True,
    ),
    Evidence(Kind.DERIVED_PASSKEY, "UV=1, BE=0, attested", _passkey(hardware=True), 3, "hwk mfa user", resistant=True),
    Evidence(Kind.CERTIFICATE, "key, passphrase", PROOFS[Kind.CERTIFICATE], 2, "mfa pop pwd", resistant=True),
    Evidence(
        Kind.CERTIFICATE,
        "key, passphrase, seen in person",
        PROOFS[Kind.CERTIFICATE],
        2,
        "mfa pop pwd",
        resistant=True,
        seen=True,
    ),
    Evidence(
        Kind.CERTIFICATE,
        "key made here (.p12), seen in person",
        _certificate(made_here=True),
        2,
        "mfa pop pwd",
        resistant=True,
        seen=True,
    ),
    Evidence(
        Kind.CERTIFICATE,
        "TPM, passphrase, seen in person",
        _certificate(_TPM),
        2,
        "hwk mfa pwd",
        resistant=True,
        seen=True,
    ),
    Evidence(
        Kind.CERTIFICATE,
        "hardware that asks each time",
        _certificate(_YUBIKEY),
        2,
        "hwk mfa pwd user",
        resistant=True,
        theirs=True,
    ),
    Evidence(
        Kind.CERTIFICATE,
        "somebody's hardware that asks each time, seen in person",
        _certificate(_STRANGE),
        2,
        "hwk mfa pwd user",
        resistant=True,
        seen=True,
    ),
    Evidence(
        Kind.CERTIFICATE,
        "their hardware that asks each time, seen in person",
        _certificate(_YUBIKEY),
        3,
        "hwk mfa pwd user",
        resistant=True,
        theirs=True,
        seen=True,
    ),
]
ROOTS = {
    "password and TOTP": 2, "passkey (AAL2)": 2, "security key (AAL3)": 3, "upstream (AAL2)": 2,
    "PIV card, another agency": 3,
    "PIV card, home agency, IAL3": 3,
}  # fmt: skip
HOME = "PIV card, home agency, IAL3"


def _root(name: str, account: Account) -> tuple[Credential, Authentication]:
    """A root of this account, and a fresh login with it."""
    now, by = clock.now(), BoundBy(how=BoundVia.INVITATION)
    if name.startswith("PIV"):
        row = card(account) if name == HOME else card(account, fasc_n="")
        shown = VerifiedFactors(factors=frozenset({Factor.PIV_CARD, Factor.PIV_PIN}), hardware=True)
    elif name.startswith("password"):
        row = under_lock(account.id, lambda locked: issue.password_totp(
            locked, credential_id=uuid4(), password_hash="x", totp_seed=b"x", totp_step=0, recovery_code_hashes=[],
            bound_by=by, now=now, actor="t",
        ))  # fmt: skip
        shown = VerifiedFactors(factors=frozenset({Factor.PASSWORD, Factor.TOTP}))
    elif name.startswith("upstream"):
        shown = VerifiedFactors(
            factors=frozenset({Factor.UPSTREAM}),
            asserted=Assertion(issuer="https://up", aal=AAL.AAL2, phishing_resistant=True),
        )
        row = under_lock(account.id, lambda locked: issue.upstream(
            locked, issuer="https://up", subject=str(uuid4()), shown=shown, reaches=AAL.AAL2, bound_by=by, name="Up",
            now=now, actor="t",
        ))  # fmt: skip
    else:
        strong = "AAL3" in name
        if strong:
            first = card(account, fasc_n="")
            by = BoundBy(
                how=BoundVia.LOGIN,
                login=Authentication(
                    factors=frozenset({Factor.PIV_CARD, Factor.PIV_PIN}),
                    aal=AAL.AAL3,
                    root=True,
                    at=now,
                    by=str(first.id),
                ),
            )
        row = under_lock(
            account.id,
            lambda locked: issue.passkey(
                locked, registered(hardware=strong), bound_by=by, name="Key", now=now, actor="t"
            ),
        )
        shown = VerifiedFactors(factors=frozenset({Factor.PASSKEY, Factor.USER_VERIFICATION}), hardware=strong)
    event = under_lock(account.id, lambda locked: record_login(locked, row, shown, now=now))
    return row, login_of(event)


def cell(evidence: Evidence, root_name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str, str]:
    """What the product makes of it: level, label and `amr` of a login, policy; (0, reason, "", "") where it is
    refused.
    """
    account = transacted(lambda: accounts.create_account(ial=3, now=clock.now(), actor="t"))
    root, login = _root(root_name, account)
    assert login.aal == ROOTS[root_name]
    made = evidence.make()
    rulebook = Rulebook(
        home_agencies=frozenset({"0032"}),
        terms=without_approval(),
        assigned={"S1": "alex"},
        approved=ApprovedDevices(
            aaguids=frozenset({made.device.aaguid} - {""}),
            models=frozenset({"YubiKey 5 FIPS"}),
        ),
    )
    monkeypatch.setattr("idp.policies.issuance.rules", lambda: rulebook)
    monkeypatch.setattr(type(account), "person", SimpleNamespace(login_name="alex"), raising=False)
    if evidence.seen:
        said = identity_checks.CheckStatement(
            how=Presence.IN_PERSON,
            officer="Mona",
            place="Desk 1",
            compared=Biometric.FACE,
            against="the card",
            sample=b"\xff\xd8\xff" + bytes(2000),
        )

        def seen(locked: Account) -> None:
            row = identity_checks.record(locked, said, wrapper(), now=clock.now(), actor="t")
            identity_checks.confirm(locked, row.id, by="Nora", now=clock.now(), actor="t")

        under_lock(account.id, seen)
    asked = issue.IssuanceRequest(login=login, root=root, name="It", person="alex", rulebook=rulebook)

    def work(locked: Account) -> tuple[int, str, str, str]:
        now = clock.now()
        row = issue.derive(locked, made, asked, now=now)
        issue.activate(row, account=locked, now=now, actor="t")
        found = login_of(record_login(locked, row, made.shown, now=now))
        assert (row.ial, found.root, status.is_root(row), found.aal) == (3, False, False, row.aal)
        said = (
            certificate.policies_of(Label(row.label), AAL(row.aal), own="own", asserts_piv=True)[0]
            if evidence.kind == Kind.CERTIFICATE
            else ""
        )
        return int(found.aal), row.label, " ".join(found.amr), said.removeprefix("2.16.840.1.101.3.2.1.3")

    try:
        return under_lock(account.id, work)
    except Refused as refused:
        return 0, refused.reason.value, "", ""


def expected(evidence: Evidence, root_name: str) -> tuple[int, str, str, str]:
    """By hand: the least of both, nothing below two factors; AAL3 under the PIV label takes a device of this person
    (RQ-5), a
    certificate takes the label for it, and somebody who saw them (X-9).
    """
    if evidence.reach == 1:
        return 0, Reason.KEY_TOO_WEAK.value, "", ""
    piv, is_certificate = root_name == HOME and evidence.resistant, evidence.kind == Kind.CERTIFICATE
    level = min(
        evidence.reach, ROOTS[root_name], 2 if (piv and not evidence.theirs) or (is_certificate and not piv) else 3
    )
    policy_of = (f".4{level - 2}" if piv else "own") if is_certificate else ""
    return level, "derived_piv" if piv else "generic", evidence.amr, policy_of


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("evidence", KINDS, ids=lambda one: f"{one.kind}: {one.words}")
def test_kind_root_evidence_cell(evidence: Evidence, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """AS-1 to AS-3, AS-5, EL-2, BI-7, DK-2, PK-1, PK-2, RQ-5, X-1, X-7 to X-9: one cell of the table."""
    assert cell(evidence, root, monkeypatch) == expected(evidence, root)


def test_generated_key_is_never_hardware() -> None:
    """X-8: whatever the request claims."""
    with pytest.raises(Refused, match="bad_proof"):
        _certificate(_YUBIKEY, made_here=True)()


def test_keys_of_devices_and_passkeys_are_not_disclosed(client: Any) -> None:
    """DK-5: who would verify such a key without us finds none: neither published, nor in a token."""
    account = transacted(lambda: accounts.create_account(ial=3, now=clock.now(), actor="t"))
    root, login = _root("password and TOTP", account)
    kept = _key("x")()
    asked = issue.IssuanceRequest(login=login, root=root, name="It")
    under_lock(account.id, lambda locked: issue.derive(locked, kept, asked, now=clock.now()))
    for path in ("/oidc/jwks", "/.well-known/openid-configuration"):
        assert str(kept.verifier["jwk"]["x"]) not in client.get(path).content.decode()
    assert not Passkey.objects.exists()


def test_table_is_printed() -> None:
    """Issue 6, "done when" 3."""
    lines = ["| kind | evidence | " + " | ".join(ROOTS) + " |", "|---" * (len(ROOTS) + 2) + "|"]
    for one in KINDS:
        cells = [expected(one, root) for root in ROOTS]
        said = [
            "not minted" if not level else f"AAL{level} {label.replace('_', ' ')} {own}".strip()
            for level, label, _, own in cells
        ]
        lines.append(f"| {one.kind} | {one.words}{f' ({one.amr})' if one.amr else ''} | " + " | ".join(said) + " |")
    print("\n" + "\n".join(lines))  # noqa: T201 - the table to quote
