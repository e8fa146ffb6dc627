"""An ending is appended to the witness at once, and neither waits for it nor fails with it (R17, ruling 30)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from derived import clock
from derived.changes import revoke
from derived.errors import Reason
from derived.ledger import audit
from derived.ledger.locking import under_lock
from derived.models import Event
from idp.witness import endings, standing, writing
from idp.witness.standing import Standing
from tests.fixtures.audit_chain import account, without_triggers

if TYPE_CHECKING:
    from collections.abc import Callable

    from derived.models import Account
    from idp.witness.folder import Folder

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def appender(monkeypatch: pytest.MonkeyPatch) -> endings.Appender:
    """An appender that this process uses."""
    made = endings.Appender()
    monkeypatch.setattr(audit, "_receivers", [made.take])
    return made


@pytest.fixture
def end(django_capture_on_commit_callbacks: Any) -> Callable[[Account], float]:
    """End an account and commit that; the seconds that it took."""

    def ended(owner: Account) -> float:
        because = Reason.DEACTIVATED_BY_SOURCE
        began = time.monotonic()
        with django_capture_on_commit_callbacks(execute=True):
            under_lock(owner.id, lambda row: revoke.everything(row, because=because, now=clock.now(), actor="t"))
        return time.monotonic() - began

    return ended


def test_a_committed_ending_is_in_the_witness_at_once(
    witness_folder: Folder, appender: endings.Appender, end: Callable[[Account], float]
) -> None:
    """Before the worker's next position; a database without it is older; the position then holds all that changed."""
    leaves, stays = account(), account()
    worker = writing.Writer()
    worker.write(now=clock.now())
    before = witness_folder.newest()
    assert before is not None
    under_lock(stays.id, lambda row: audit.record(row, "test", now=clock.now(), actor="t"))
    end(leaves)
    assert appender.flush(5)
    line = witness_folder.newest()
    assert line is not None
    assert [one.account for one in line.endings] == [str(leaves.id)]
    assert (line.newest, line.heads, line.statement) == (before.newest, {}, "")
    assert standing.compare(line, now=clock.now()) == Standing.CURRENT
    worker.write(now=clock.now())
    stays.refresh_from_db()
    assert writing.known_heads().get(str(stays.id)) == (stays.audit_seq, stays.audit_head)
    without_triggers()
    Event.objects.filter(account=leaves, kind="account.terminated").delete()
    assert standing.compare(line, now=clock.now()) == Standing.OLDER


def test_an_ending_waits_for_nobody_at_the_witness(
    witness_folder: Folder, appender: endings.Appender, end: Callable[[Account], float]
) -> None:
    """Another process holds the witness; the ending is done meanwhile, and appended afterwards."""
    leaves = account()
    writing.Writer().write(now=clock.now())
    with witness_folder.held():
        assert end(leaves) < 2
        assert not appender.flush(0.2)
    assert appender.flush(5)
    assert [one.account for line in witness_folder.lines() for one in line.endings] == [str(leaves.id)]


def test_an_ending_succeeds_without_the_witness(
    witness_folder: Folder,
    appender: endings.Appender,
    end: Callable[[Account], float],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A disk that takes nothing is told once; a machine that does not hold the witness begins none."""
    end(account())
    assert appender.flush(5)
    assert list(witness_folder.lines()) == []
    writing.Writer().write(now=clock.now())

    def refused(_self: Folder, _lines: object) -> None:
        raise OSError

    with monkeypatch.context() as patched:
        patched.setattr("idp.witness.folder.Folder.append", refused)
        for owner in (account(), account()):
            end(owner)
            assert appender.flush(5)
            owner.refresh_from_db()
            assert owner.status == "terminated"
    assert len([one for one in caplog.records if "not appended to the witness" in one.message]) == 1
    last = account()
    end(last)
    assert appender.flush(5)
    assert [one.account for line in witness_folder.lines() for one in line.endings][-1] == str(last.id)
