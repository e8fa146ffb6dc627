"""A root whose key was compromised takes with it what its holder made since, wherever that stands now (IV-6; rulings
5, 8).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from derived.changes import issue, renew, revoke
from derived.changes.issue import VerifiedCertificate
from derived.errors import Reason
from derived.ledger import accounts
from derived.ledger.locking import transacted, under_lock
from derived.minting.device_key import proof_of, public_key
from derived.rules.assurance import AAL, Authentication, Factor
from derived.rules.eligibility import BoundBy, BoundVia
from device.key import DeviceKey

if TYPE_CHECKING:
    from derived.models import Account, Credential

pytestmark = [pytest.mark.django_db, pytest.mark.database]
T0 = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def card() -> VerifiedCertificate:
    mark = uuid4().hex
    return VerifiedCertificate(
        issuer="CN=Agency", issuer_key="k" * 64, serial=mark, ski=mark, fasc_n=mark, card_uuid=str(uuid4()),
        fingerprint=mark * 2, der=b"x",
        not_after=T0 + 900 * DAY, subject="CN=Alex", policies=("2.16.840.1.101.3.2.1.3.13",),
    )  # fmt: skip


@pytest.fixture
def owner() -> Account:
    return transacted(lambda: accounts.create_account(ial=2, now=T0, actor="test"))


def login(row: Credential, at: datetime) -> Authentication:
    return Authentication(
        factors=frozenset({Factor.PIV_CARD, Factor.PIV_PIN}), aal=AAL(row.aal), root=True, at=at, by=str(row.id)
    )


def bound(owner: Account, by: BoundBy, *, at: datetime, instead_of: Credential | None = None) -> Credential:
    def work(account: Account) -> Credential:
        if instead_of is None:
            return issue.certificate(account, card(), bound_by=by, name="Card", now=at, actor="t")
        return renew.card(account, instead_of, card(), bound_by=by, name="Card", now=at, actor="t")

    return under_lock(owner.id, work)


def phone(owner: Account, root: Credential, *, at: datetime) -> Credential:
    return under_lock(owner.id, lambda account: issue.derive(
        account, proof_of(public_key(DeviceKey.generate().public_jwk), passphrase_hash="x", clients=[]),
        issue.IssuanceRequest(login=login(root, at), root=root, name="Phone", by="t"), now=at,
    ))  # fmt: skip


def compromise(owner: Account, root: Credential, *, since: datetime, now: datetime) -> None:
    under_lock(owner.id, lambda account: revoke.tree(
        root, account=account, because=Reason.COMPROMISED, since=since, now=now, actor="manager"
    ))  # fmt: skip


def alive(*rows: Credential) -> list[bool]:
    for row in rows:
        row.refresh_from_db()
    return [row.state in {"active", "pending"} for row in rows]


def test_children_moved_to_a_successor_end_with_their_original_card(owner: Account) -> None:
    """Ruling 8 moves the children; IV-6 still finds them, and leaves those that the new card authorised."""
    old = bound(owner, BoundBy(how=BoundVia.MANAGER), at=T0)
    before, since = phone(owner, old, at=T0 + DAY), phone(owner, old, at=T0 + 3 * DAY)
    new = bound(owner, BoundBy(how=BoundVia.MANAGER), at=T0 + 5 * DAY, instead_of=old)
    later = phone(owner, new, at=T0 + 6 * DAY)
    since.refresh_from_db()
    assert since.root_id == new.id
    compromise(owner, old, since=T0 + 2 * DAY, now=T0 + 7 * DAY)
    assert alive(before, since, new, later) == [True, False, True, True]


def test_root_added_under_a_stolen_login_ends_with_its_children(owner: Account) -> None:
    """A second card bound under a login with the stolen one, a phone of that, and a third card bound under the
    second.
    """
    stolen = bound(owner, BoundBy(how=BoundVia.MANAGER), at=T0)
    mine = bound(owner, BoundBy(how=BoundVia.LOGIN, login=login(stolen, T0 + DAY)), at=T0 + DAY)
    second = bound(owner, BoundBy(how=BoundVia.LOGIN, login=login(stolen, T0 + 3 * DAY)), at=T0 + 3 * DAY)
    third = bound(owner, BoundBy(how=BoundVia.LOGIN, login=login(second, T0 + 4 * DAY)), at=T0 + 4 * DAY)
    theirs, fine = phone(owner, second, at=T0 + 4 * DAY), phone(owner, mine, at=T0 + 4 * DAY)
    compromise(owner, stolen, since=T0 + 2 * DAY, now=T0 + 7 * DAY)
    assert alive(stolen, second, third, theirs, mine, fine) == [False, False, False, False, True, True]


def test_credentials_from_before_the_compromise_stay(owner: Account) -> None:
    """Trap 1: a date-window, not a cascade."""
    root = bound(owner, BoundBy(how=BoundVia.MANAGER), at=T0)
    child = phone(owner, root, at=T0 + DAY)
    compromise(owner, root, since=T0 + 2 * DAY, now=T0 + 7 * DAY)
    assert alive(root, child) == [False, True]
