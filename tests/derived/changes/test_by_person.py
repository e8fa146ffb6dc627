"""What a page allowed is asked again with the account locked (P2, RC-2, IV-5; ruling 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from derived import clock
from derived.changes import renew, review_after_loss
from derived.errors import Refused
from derived.ledger.locking import under_lock
from derived.models import Account, Credential, Event
from derived.rules.assurance import AAL
from idp.enrol.devices import undo_links as undo
from idp.login.session import login_of
from idp.models import AuthenticationEvent
from tests.fixtures.signing_in import at, strong

if TYPE_CHECKING:
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
SEED: dict[str, Any] = {"totp_seed": b"x", "totp_step": 1, "recovery_code_hashes": []}


def pair() -> Credential:
    return Credential.objects.select_related("root", "parent", "password_totp").get(
        kind="password_totp", state="active"
    )


@pytest.mark.parametrize("what", ["password", "app"])
def test_weak_login_changes_no_password_and_app_under_the_lock(world: World, what: str) -> None:
    """P2: a login at AAL1 against a pair worth AAL2."""
    world.enrolled()
    at(AAL.AAL1)
    weak = login_of(AuthenticationEvent.objects.select_related("credential__root", "credential__parent").get())

    def work(account: Account) -> None:
        if what == "password":
            renew.password(account, pair(), "x", login=weak, now=clock.now(), actor="t")
        else:
            renew.app(account, pair(), credential_id=uuid4(), login=weak, now=clock.now(), actor="t", **SEED)

    with pytest.raises(Refused, match="login_too_weak"):
        under_lock(Account.objects.get().id, work)
    assert pair().password_totp.password_hash != "x"


def test_recovery_puts_recent_bindings_up_for_review(world: World) -> None:
    """IV-5: the app was lost, so recent bindings are put up for review; they stay usable meanwhile."""
    _, desktop = world.enrolled()
    phone = world.device(desktop)
    under_lock(
        Account.objects.get().id,
        lambda account: renew.password_totp(account, pair(), credential_id=uuid4(), now=clock.now(), actor="t", **SEED),
    )
    assert [str(row.id) for row in review_after_loss.marked()] == [phone.enrolment.credential_id]


def test_recovery_is_checked_again_under_the_lock(world: World) -> None:
    """RC-2: a card that was bound while the recovery was under way."""
    world.enrolled()
    strong(Account.objects.get().id)
    Account.objects.update(ial=3)
    with pytest.raises(Refused, match="recovery_in_person"):
        under_lock(
            Account.objects.get().id,
            lambda account: renew.password_totp(
                account, pair(), credential_id=uuid4(), now=clock.now(), actor="t", **SEED
            ),
        )


@pytest.mark.database
def test_undo_link_is_single_use(world: World) -> None:
    """Ruling 4: of two browsers that opened it, the second changes nothing, also after the account was opened again."""
    world.enrolled()
    row = pair()
    token = undo.make(row, now=clock.now(), action=undo.FREEZE)
    link = undo.valid(token, now=clock.now())
    assert link is not None
    assert undo.use(link, now=clock.now())
    Account.objects.update(status="active")
    assert not undo.use(link, now=clock.now())
    assert Account.objects.get().status == "active"
    assert Event.objects.filter(kind="account.suspended").count() == 1
