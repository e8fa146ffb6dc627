"""What a source says of a life: another home agency, a death (LC-5, LC-6)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from django.core import mail

from derived import clock
from derived.changes import issue
from derived.ledger import audit
from derived.ledger.locking import under_lock
from derived.minting import device_key
from derived.minting.device_key import public_key
from derived.models import Account, Credential, OutboxRow
from derived.rules.assurance import AAL, Authentication, Factor, VerifiedFactors
from derived.rules.rulebook import Rulebook
from device.key import DeviceKey
from idp.signals import worker
from scim.protocol import trust
from tests.fixtures import fresh_proofs, ledger_rows
from tests.fixtures.approval_rules import without_approval
from tests.fixtures.scim_client import ASSURANCE, Scim, user

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.django_db, pytest.mark.database]
_TRUSTED = trust.PRESETS["everything"] | trust.PRESETS["security"]


@pytest.fixture
def agency(connect: Callable[..., Scim]) -> Scim:
    """A source that is trusted for everything."""
    return connect("agency", trusted_for=_TRUSTED, vouched_ial=3)


def pushed(agency: Scim, **said: Any) -> tuple[str, Account]:
    code, body, *_ = agency("POST", "/Users", user(**{ASSURANCE: {"homeOrganization": "9700", **said}}))
    assert code == 201
    return body["id"], Account.objects.get(person__login_name="ada")


def say(agency: Scim, record: str, name: str, value: Any) -> None:
    operation = {"op": "replace", "path": f"{ASSURANCE}:{name}", "value": value}
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}
    assert agency("PATCH", f"/Users/{record}", body)[0] in {200, 204}


def test_another_home_agency_ends_derived_piv_and_leaves_the_rest(agency: Scim) -> None:
    """LC-5: the label is the home agency's; a generic credential and the ways to sign in stay."""
    record, owner = pushed(agency)
    root = fresh_proofs.card(owner)
    piv, generic = derived_piv(owner, root), ledger_rows.derived_of(owner, root, name="Tablet")
    assert (piv.label, generic.label) == ("derived_piv", "generic")
    say(agency, record, "homeOrganization", "9700")
    assert states(piv, generic, root) == ["pending", "pending", "active"]
    say(agency, record, "homeOrganization", "1200")
    assert states(piv, generic, root) == ["revoked", "pending", "active"]
    piv.refresh_from_db()
    assert piv.end_reason == "home_agency_changed"
    assert OutboxRow.objects.get(kind="credential.ended").payload["because"] == "home_agency_changed"


def derived_piv(owner: Account, card: Credential) -> Credential:
    """A phone with the label, from a card of the home agency."""
    plain = device_key.proof_of(public_key(DeviceKey.generate().public_jwk), passphrase_hash="x", clients=[])
    resistant = VerifiedFactors(factors=frozenset({Factor.CERTIFICATE, Factor.USER_VERIFICATION}))
    login = Authentication(
        factors=frozenset({Factor.PIV_CARD, Factor.PIV_PIN}), aal=AAL.AAL3, root=True, at=clock.now(),
        phishing_resistant=True, by=str(card.id),
    )  # fmt: skip
    rules = Rulebook(home_agencies=frozenset({"0032"}), terms=without_approval())
    asked = issue.IssuanceRequest(login=login, root=card, name="Phone", rulebook=rules)
    proven = replace(plain, shown=resistant)
    return under_lock(owner.id, lambda locked: issue.derive(locked, proven, asked, now=clock.now()))


def states(*rows: Credential) -> list[str]:
    return [Credential.objects.get(id=row.id).state for row in rows]


def test_after_a_death_everything_ends_and_nobody_is_written_to(agency: Scim) -> None:
    """LC-6: also a letter that waits already is not sent."""
    record, owner = pushed(agency)
    root = ledger_rows.root_of(owner)
    device = ledger_rows.derived_of(owner, root)
    assert OutboxRow.objects.filter(kind="device.bound").exists()
    say(agency, record, "status", "deceased")
    owner.refresh_from_db()
    assert owner.status == "terminated"
    assert states(root, device) == ["revoked", "revoked"]
    assert owner.events.get(kind="account.terminated").body["because"] == "deceased"
    assert audit.verify(owner) is None
    while worker.step(now=clock.now()):
        pass
    assert [one.subject for one in mail.outbox] == []
    assert not OutboxRow.objects.filter(kind="account.ended").exists()


def test_a_death_that_was_a_mistake_is_taken_back(agency: Scim) -> None:
    """The source says active: the account is reopened without any credential, and the person is invited."""
    record, owner = pushed(agency)
    root = ledger_rows.root_of(owner)
    say(agency, record, "status", "deceased")
    say(agency, record, "status", "active")
    owner.refresh_from_db()
    assert owner.status == "active"
    assert states(root) == ["revoked"]


def test_a_source_that_is_not_trusted_for_the_status_ends_nobody(connect: Callable[..., Scim]) -> None:
    """P38."""
    other = connect("directory", trusted_for=trust.PRESETS["everything"])
    record, owner = pushed(other)
    say(other, record, "status", "deceased")
    owner.refresh_from_db()
    assert owner.status == "active"
