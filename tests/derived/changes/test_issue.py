"""The one way in for every kind that is grown here, against the database (EL-2, BI-6, RQ-1, C5, C6, AS-1, AS-2,
AS-3).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, transaction

from derived import clock
from derived.changes import issue, revoke, suspend
from derived.errors import Reason, Refused
from derived.ledger import accounts, status
from derived.ledger.locking import transacted, under_lock
from derived.minting.device_key import proof_of, public_key
from derived.models import Account, BoundKey, Credential, Event, Request
from derived.rules.assurance import AAL, Authentication, Factor, VerifiedFactors
from derived.rules.eligibility import BoundVia
from derived.rules.kinds import POLICIES, Kind, Label, policy_of
from derived.rules.rulebook import ApprovedDevices, DeviceFacts, KindRules, Rulebook
from device.client import Code, DeviceClient
from device.key import DeviceKey
from idp.checks.configuration import issuance_policy_is_readable
from tests.fixtures.approval_rules import without_approval
from tests.fixtures.fresh_proofs import FASC_N, card
from tests.fixtures.world import ISSUER, claims, http

if TYPE_CHECKING:
    from pathlib import Path

    from derived.minting.proven import VerifiedProof
    from tests.fixtures.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.database]
HOME = Rulebook(home_agencies=frozenset({"0032"}), terms=without_approval())
RESISTANT = VerifiedFactors(factors=frozenset({Factor.CERTIFICATE, Factor.USER_VERIFICATION}))
CARD = frozenset({Factor.PIV_CARD, Factor.PIV_PIN})


def owner(ial: int = 3) -> Account:
    return transacted(lambda: accounts.create_account(ial=ial, now=clock.now(), actor="test"))


def login(used: Credential, **changed: Any) -> Authentication:
    return Authentication(
        **{
            "factors": CARD,
            "aal": AAL.AAL3,
            "root": True,
            "at": clock.now(),
            "phishing_resistant": True,
            "by": str(used.id),
            **changed,
        }
    )


def made(**changed: Any) -> VerifiedProof:
    """A proof as a module of `minting` yields it, for the generic verifier or a device key."""
    plain = proof_of(public_key(DeviceKey.generate().public_jwk), passphrase_hash="x", clients=["app"])
    return replace(plain, **changed)


def grow(account: Account, root: Credential, what: VerifiedProof | None = None, **asked: Any) -> Credential:
    given = {"login": login(root), "root": root, "name": "Phone", "rulebook": HOME, **asked}
    return under_lock(
        account.id, lambda locked: issue.derive(locked, what or made(), issue.IssuanceRequest(**given), now=clock.now())
    )


def test_label_is_immutable_in_the_database() -> None:
    """EL-2: no way, not even one around the code, makes a generic credential a derived PIV one."""
    account = owner()
    root = card(account)
    piv, generic = grow(account, root, made(shown=RESISTANT)), grow(account, root)
    assert (piv.label, generic.label) == (Label.DERIVED_PIV, Label.GENERIC)
    for row, other in ((piv, Label.GENERIC), (generic, Label.DERIVED_PIV)):
        with pytest.raises(DatabaseError, match="for life"), transaction.atomic():
            Credential.objects.filter(id=row.id).update(label=other)
    body = Event.objects.filter(kind="credential.issued", credential=piv).get().body
    assert (body["label"], body["aal"], body["ial"]) == ("derived_piv", 2, 3)


@pytest.mark.parametrize(("ial", "fasc_n", "rulebook", "shown"), [
    (2, FASC_N, HOME, RESISTANT), (3, "", HOME, RESISTANT), (3, FASC_N, Rulebook(), RESISTANT),
    (3, FASC_N, Rulebook(home_agencies=frozenset({"9999"})), RESISTANT),
    (3, FASC_N, HOME, VerifiedFactors(factors=frozenset({Factor.DEVICE_KEY, Factor.DEVICE_PASSPHRASE}))),
])  # fmt: skip
def test_missing_any_condition_of_derived_piv_yields_generic(
    ial: int, fasc_n: str, rulebook: Rulebook, shown: VerifiedFactors
) -> None:
    """EL-3: a card of a foreign agency. BI-7: a key that can be phished. AS-3: less than IAL3."""
    account = owner(ial)
    row = grow(account, card(account, fasc_n=fasc_n), made(shown=shown), rulebook=rulebook)
    assert (row.label, row.ial) == (Label.GENERIC, ial)


def test_piv_label_is_shown_only_while_the_person_is_at_ial3() -> None:
    """AS-3, AS-1: when the source vouches for less, tokens say generic; the record keeps its label."""
    account = owner()
    row = grow(account, card(account), made(shown=RESISTANT))
    assert status.label(row, account) == Label.DERIVED_PIV
    under_lock(account.id, lambda locked: accounts.vouch(locked, ial=2, now=clock.now(), actor="t"))
    account.refresh_from_db()
    row.refresh_from_db()
    assert (status.label(row, account), row.label) == (Label.GENERIC, "derived_piv")
    assert status.label(row.root, account) is None  # type: ignore[arg-type]


def test_new_card_never_upgrades_the_label() -> None:
    """Ruling 8: a generic credential stays generic on a card of the home agency; levels only fall."""
    account = owner()
    foreign = card(account, fasc_n="")
    row = grow(account, foreign, made(shown=RESISTANT))
    card(account, how=BoundVia.LOGIN, instead=foreign, by=login(foreign))
    row.refresh_from_db()
    assert (row.label, row.root.name if row.root else "") == ("generic", "Card")
    assert row.root_id != foreign.id


def test_issuance_request_records_requester_and_grounds() -> None:
    """RQ-1, BI-6: no request stays open; the serial number is kept where it can be erased."""
    account = owner()
    root = card(account)
    device = DeviceFacts(type="yubikey", model="YubiKey 5", serial="7654321")
    row = grow(account, root, made(device=device), by="manager:kim", purpose="field work", name="Key of Alex")
    asked = Request.objects.get(credential=row)
    assert (
        asked.requested_by,
        asked.kind,
        asked.device_name,
        asked.device_type,
        asked.purpose,
        asked.login_aal,
        asked.state,
    ) == (
        "manager:kim",
        "device_key",
        "Key of Alex",
        "yubikey",
        "field work",
        3,
        "issued",
    )
    for name, value in {
        "phishing_resistant": False,
        "reach": 2,
        "amr": ["mfa", "pop", "pwd"],
        "login_aal": 3,
        "login_by": str(root.id),
        "protection": "software",
        "exportable": "unproven",
    }.items():
        assert row.evidence[name] == value, name
    assert row.evidence["device"] == {"type": "yubikey", "model": "YubiKey 5", "serial": "7654321"}
    event = Event.objects.get(kind="credential.issued", credential=row)
    assert "7654321" not in str(event.body)
    assert {one.name: one.value for one in event.details.all()} == {"name": "Key of Alex", "serial": "7654321"}


def test_key_is_bound_once_ever_in_any_form() -> None:
    """C5, C6: also after it has ended, also in a credential of another form."""
    key, first, second = public_key(DeviceKey.generate().public_jwk), owner(), owner()
    one, two = card(first), card(second, fasc_n="")
    row = grow(first, one, proof_of(key, passphrase_hash="x", clients=[]))
    under_lock(
        first.id,
        lambda locked: revoke.credential(
            row, account=locked, because=Reason.REMOVED_BY_PERSON, now=clock.now(), actor="t"
        ),
    )
    again = proof_of(key, passphrase_hash="x", clients=[])
    for account, root, what in ((first, one, again), (second, two, again), (second, two, replace(again, jkt=None))):
        with pytest.raises(Refused, match="key_seen_before"):
            grow(account, root, what)
    assert BoundKey.objects.count() == 1


def test_root_is_read_again_under_the_lock() -> None:
    """EL-4, C9: what the caller read before the lock does not count."""
    account = owner()
    root = card(account)
    stale = Credential.objects.get(id=root.id)
    under_lock(
        account.id,
        lambda locked: revoke.credential(
            root, account=locked, because=Reason.REPORTED_BY_PERSON, now=clock.now(), actor="t"
        ),
    )
    with pytest.raises(Refused, match="credential_not_live"):
        grow(account, stale)


def test_derived_credential_is_never_a_parent() -> None:
    """EL-2, C4, trap 10: whatever its level, whatever its login claims."""
    account = owner()
    root = card(account)
    row = grow(account, root, made(shown=RESISTANT))
    under_lock(account.id, lambda locked: issue.activate(row, account=locked, now=clock.now(), actor="t"))
    for says_root in (True, False):
        with pytest.raises(Refused, match="not_a_root"):
            grow(account, row, login=login(row, root=says_root))


def test_rulebook_applies_to_every_kind() -> None:
    """RQ-4, EL-5: under the lock, with the device as it was proven."""
    account = owner()
    root = card(account)
    listed = Rulebook(
        terms={Kind.DEVICE_KEY: KindRules(only_approved=True, most=1, lifetime=timedelta(days=3))},
        approved=ApprovedDevices(models=frozenset({"Pixel 8a"})),
    )
    with pytest.raises(Refused, match="device_not_approved"):
        grow(account, root, rulebook=listed)
    pixel = DeviceFacts(type="android", model="Pixel 8a")
    row = grow(account, root, made(device=pixel), rulebook=listed)
    assert row.expires_at == row.created_at + timedelta(days=3)
    with pytest.raises(Refused, match="too_many_credentials"):
        grow(account, root, made(device=pixel), rulebook=listed)
    with pytest.raises(Refused, match="not_offered"):
        grow(account, root, rulebook=Rulebook(terms={Kind.DEVICE_KEY: KindRules(groups=frozenset({"Field"}))}))


def test_credential_never_outlives_its_proof() -> None:
    """X-6: a certificate ends at its notAfter; a policy may end it before."""
    account = owner()
    root = card(account)
    soon = clock.now() + timedelta(hours=5)
    assert grow(account, root, made(not_after=soon)).expires_at == pytest.approx(soon, abs=timedelta(seconds=5))


@pytest.mark.parametrize(("at_root", "at_login", "level"), [(3, 3, 2), (3, 2, 2), (2, 2, 2)])
def test_level_is_the_least_of_root_login_and_proof(at_root: int, at_login: int, level: int) -> None:
    """AS-2, trap 9: and a suspended account issues nothing."""
    account = owner()
    root = card(account)
    Credential.objects.filter(id=root.id).update(aal=at_root)
    assert grow(account, root, login=login(root, aal=AAL(at_login))).aal == level
    under_lock(account.id, lambda locked: suspend.suspend(locked, now=clock.now(), actor="t"))
    with pytest.raises(Refused, match="account_not_active"):
        grow(account, root)


def test_every_derived_kind_names_its_verifier() -> None:
    """A kind whose model is missing would fail at its first use only."""
    from django.apps import apps

    grown = [kind for kind in POLICIES if policy_of(kind).is_derived]
    assert Kind.DEVICE_KEY in grown
    for kind in grown:
        apps.get_model("derived", policy_of(kind).verifier)
        assert not policy_of(kind).root
        assert policy_of(kind).counted


@pytest.fixture
def policy_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr("idp.policies.issuance.path", lambda: tmp_path / "issuance.toml")
    return tmp_path / "issuance.toml"


def test_broken_policy_file_issues_nothing(policy_file: Path, world: World) -> None:
    """RQ-4: on the page; and `policy show` prints the policy or its error."""
    _, desktop = world.enrolled()
    out = StringIO()
    call_command("policy", "show", stdout=out)
    assert "Device key: issued to everybody" in out.getvalue()
    for text, status_code, words in (
        ("[device_key]\noffered = false\n", 403, "does not issue this"),
        ("[device_kye]\n", 503, ""),
    ):
        policy_file.write_text(text)
        page, code, _ = world.begin_binding(desktop)
        phone, key = DeviceClient(http=http(), clock=clock.now, sleep=lambda _: None), DeviceKey.generate()
        challenge, offered = phone.ask_challenge(ISSUER, Code(text=code), key=key)
        phone.bind(
            ISSUER,
            Code(text=code),
            key=key,
            challenge=challenge,
            device_name="P",
            passphrase="seven mossy stones",
            clients=offered,
        )
        answer = world.confirm(desktop, page)
        assert (answer.status, words in answer.words()) == (status_code, True)
        assert not Credential.objects.filter(kind="device_key").exists()
    with pytest.raises(CommandError, match="device_kye"):
        call_command("policy", "show", stdout=out)
    assert [one.id for one in issuance_policy_is_readable()] == ["ramet.E050"]
    policy_file.unlink()
    assert issuance_policy_is_readable() == []
    world.device(desktop)


def test_label_is_in_tokens(world: World) -> None:
    """EL-2, FA-3: tokens of a derived credential carry its label; others carry none."""
    _, desktop = world.enrolled()
    app = world.phone_app()
    tokens = world.device(desktop).login(app.client_id, passphrase="seven mossy stones")
    assert claims(str(tokens.id_token))["credential_label"] == "generic"
    assert claims(tokens.access_token)["credential_label"] == "generic"
    other = world.app()
    found = world.tokens(other, desktop)
    assert "credential_label" not in claims(found["id_token"])


# What a certificate has beside being issued: it comes back as a card login does, it verifies offline, and its notices
# say so.
_BESIDES = {
    ("certificate", "derived/changes/issue/roots.py"),
    ("certificate", "idp/evidence/exposure.py"),
    ("certificate", "idp/signals/mail.py"),
}


def test_kind_is_named_only_where_the_guide_says() -> None:
    """Issue 6: adding a kind touches kinds.py, one file in minting/, one in enrol/ (and, if it signs in here, one in
    login/).
    """
    import ast
    from pathlib import Path

    home = Path(__file__).parents[3]
    grown = [kind for kind in POLICIES if policy_of(kind).is_derived]
    for path in [*home.glob("derived/**/*.py"), *home.glob("idp/**/*.py"), *home.glob("scim/**/*.py")]:
        where = path.relative_to(home).as_posix()
        named = {
            node.attr
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Kind"
        }
        for kind in grown:
            if kind.name in named:
                usual = where.startswith(("derived/rules/kinds.py", "derived/minting/", "idp/enrol/", "idp/login/"))
                assert usual or (kind.value, where) in _BESIDES, (where, kind)
