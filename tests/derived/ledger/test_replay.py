"""Rows that were changed by SQL without an Event are named (promise 5; ruling 30)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command

from derived import clock
from derived.changes import revoke, suspend
from derived.errors import Reason
from derived.ledger import accounts, audit
from derived.ledger.locking import under_lock
from derived.models import Account, Credential
from tests.fixtures import audit_chain, ledger_rows

if TYPE_CHECKING:
    from idp.witness.folder import Folder

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def ended() -> tuple[Account, Credential]:
    """A person with one way to sign in, and the end of both."""
    account = audit_chain.account(events=0)
    row = ledger_rows.root_of(account)
    under_lock(
        account.id,
        lambda locked: revoke.everything(locked, because=Reason.ENDED_BY_MANAGER, now=clock.now(), actor="test"),
    )
    account.refresh_from_db()
    row.refresh_from_db()
    return account, row


def test_an_ended_person_who_is_brought_back_by_sql_is_named(witness_folder: Folder) -> None:
    """Status, epoch and rows of an older copy: each is named, by the command too."""
    account, row = ended()
    assert audit.verify(account) is None
    Credential.objects.filter(id=row.id).update(state="active", ended_at=None, end_reason="")
    Account.objects.filter(id=account.id).update(status="active", epoch=1)
    said = [one.why for one in audit.broken_links(Account.objects.filter(id=account.id))]
    assert any("status is active" in one and "account.terminated" in one for one in said), said
    assert any("epoch is 1" in one for one in said), said
    assert any(f"state of credential {row.id} is active" in one for one in said), said
    with pytest.raises(CommandError, match="status is active, and event"):
        call_command("audit", "verify")


def test_the_command_gives_all_faults_as_json(
    witness_folder: Folder,
    capsys: pytest.CaptureFixture[str],
) -> None:
    account, _ = ended()
    Account.objects.filter(id=account.id).update(status="active", epoch=1)
    with pytest.raises(SystemExit):
        call_command("audit", "verify", "--json")
    said = json.loads(capsys.readouterr().out)
    assert said["account"] == str(account.id)
    assert len(said["faults"]) >= 2


@pytest.mark.parametrize(
    ("model", "changed"),
    [
        (Account, {"status": "suspended"}),
        (Account, {"ial": 3}),
        (Account, {"eligible": False}),
        (Account, {"epoch": 7}),
        (Credential, {"aal": 3}),
        (Credential, {"state": "suspended"}),
        (Credential, {"epoch": 9}),
    ],
)
def test_each_column_that_gives_a_right_is_compared(model: Any, changed: dict[str, Any]) -> None:
    account = audit_chain.account(events=0)
    row = ledger_rows.root_of(account)
    assert audit.verify(account) is None
    model.objects.filter(id=account.id if model is Account else row.id).update(**changed)
    account.refresh_from_db()
    assert audit.verify(account) is not None


def test_a_credential_that_no_event_issued_is_named() -> None:
    """A row that SQL inserted."""
    account = audit_chain.account(events=0)
    row = ledger_rows.root_of(account)
    row.pk = None
    forged = Credential(
        account=account,
        epoch=account.epoch,
        kind=row.kind,
        state="active",
        aal=row.aal,
        ial=row.ial,
        created_at=clock.now(),
    )
    forged.save()
    broken = audit.verify(account)
    assert broken is not None
    assert "no event issued it" in broken.why


def test_legal_moves_differ_in_nothing() -> None:
    """Suspended, resumed, ended and reopened, one row suspended and lifted."""
    account = audit_chain.account(events=0)
    row = ledger_rows.root_of(account)

    def moves(locked: Account) -> None:
        now = clock.now()
        suspend.credential(locked, row, because=Reason.ENDED_BY_MANAGER, now=now, actor="t")
        suspend.lift(locked, row, now=now, actor="t")
        suspend.suspend(locked, now=now, actor="t")
        suspend.resume(locked, now=now, actor="t")
        suspend.suspend(locked, now=now, actor="t")
        revoke.everything(locked, because=Reason.ENDED_BY_MANAGER, now=now, actor="t")
        accounts.reopen(locked, now=now, actor="t")

    under_lock(account.id, moves)
    account.refresh_from_db()
    assert account.status == "suspended"
    assert audit.verify(account) is None
