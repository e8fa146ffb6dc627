"""Events that SQL removed from the database, and what came after them: nothing covers the removal (ruling 30)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from django.core.management import CommandError, call_command

from derived import clock
from derived.changes import revoke
from derived.errors import Reason
from derived.ledger import audit
from derived.ledger.locking import under_lock
from derived.models import Account, Event, EventDetail, LedgerState
from idp.checks.witness import database_agrees_with_its_witness
from idp.witness import endings, restored, standing, writing
from idp.witness.operator_chain import ACCEPTED, OPERATOR
from idp.witness.standing import Standing
from tests.fixtures.audit_chain import account, triggers_off
from tests.fixtures.world import http

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from idp.witness.folder import Folder

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture(autouse=True)
def agreement() -> Iterator[None]:
    """A process that has compared nothing, before and after."""
    standing.note_agreement()
    yield
    standing.note_agreement()


def end(owner: Account) -> None:
    because = Reason.DEACTIVATED_BY_SOURCE
    under_lock(owner.id, lambda row: revoke.everything(row, because=because, now=clock.now(), actor="source:hr"))


def remove_after(owner: Account, seq: int) -> list[Event]:
    """Remove the end of a chain and move its head back, as SQL can without any key; the removed Events."""
    with triggers_off():
        removed = list(Event.objects.filter(account=owner, seq__gt=seq))
        EventDetail.objects.filter(event__in=removed).delete()
        Event.objects.filter(account=owner, seq__gt=seq).delete()
    last = Event.objects.get(account=owner, seq=seq)
    Account.objects.filter(id=owner.id).update(audit_seq=seq, audit_head=last.hash, status="active")
    return removed


def append(owner: Account) -> Event:
    """An honest Event."""
    return under_lock(owner.id, lambda row: audit.record(row, "test", now=clock.now(), actor="source:hr"))


def witnessed(folder: Folder, owner: Account) -> list[str]:
    """The hashes of an account's heads, in the order of the witness's lines."""
    return [line.heads[str(owner.id)].hash for line in folder.lines() if str(owner.id) in line.heads]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_removed_ending_is_not_covered_by_a_later_event(
    witness_folder: Folder, caplog: pytest.LogCaptureFixture, *, restarted: bool
) -> None:
    """The worker writes no head that does not continue the last one; verify, check and `/readyz` say it."""
    leaves, stays = account(), account()
    writer = writing.Writer()
    writer.write(now=clock.now())
    end(leaves)
    append(stays)
    writer.write(now=clock.now())
    known = witnessed(witness_folder, leaves)
    removed = remove_after(leaves, 4)
    while append(leaves).seq <= removed[-1].seq:
        pass
    append(stays)
    if restarted:
        writer = writing.Writer()
    caplog.clear()
    for _ in range(2):
        writer.write(now=clock.now())
    assert len([one for one in caplog.records if str(leaves.id) in one.getMessage()]) == 1
    writing.checkpoint(now=clock.now())
    append(leaves)
    append(stays)
    writer.write(now=clock.now())
    assert witnessed(witness_folder, leaves) == known
    stays.refresh_from_db()
    assert witnessed(witness_folder, stays)[-1] == stays.audit_head
    with pytest.raises(CommandError, match=f"{leaves.id}.*the witness has seen another event"):
        call_command("audit", "verify")
    assert [warning.id for warning in database_agrees_with_its_witness()] == ["ramet.W053"]
    with http() as agent:
        answer = agent.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "audit")
        assert agent.get("/oidc/jwks").status_code == 200
    call_command("restore", "accept")
    leaves.refresh_from_db()
    assert (leaves.status, standing.altered()) == ("terminated", ())
    call_command("audit", "verify")


def test_a_chain_that_was_mended_is_witnessed_again(witness_folder: Folder) -> None:
    """The removed Events were put back from a backup: the heads are written, and everything is content."""
    owner = account()
    writer = writing.Writer()
    writer.write(now=clock.now())
    removed = remove_after(owner, 2)
    forged = append(owner)
    append(account())
    writer.write(now=clock.now())
    assert standing.look(now=clock.now()) == Standing.CURRENT
    assert standing.altered() == (str(owner.id),)
    with triggers_off():
        Event.objects.filter(account=owner, seq=forged.seq).delete()
        Event.objects.bulk_create(removed)
    Account.objects.filter(id=owner.id).update(audit_seq=removed[-1].seq, audit_head=removed[-1].hash)
    append(account())
    writer.write(now=clock.now())
    standing.look(now=clock.now())
    assert standing.altered() == ()
    call_command("audit", "verify")


def test_an_ending_that_only_its_process_named_is_missed(witness_folder: Folder) -> None:
    """An ending is named at once, before the worker's next position; removed and covered, it is missed."""
    owner = account()
    writer, appender = writing.Writer(), endings.Appender()
    writer.write(now=clock.now())
    end(owner)
    appender.take(Event.objects.get(account=owner, kind="account.terminated"))
    assert appender.flush(5)
    removed = remove_after(owner, 4)
    while append(owner).seq <= removed[-1].seq:
        pass
    with pytest.raises(CommandError, match=f"{owner.id}.*the witness has seen another event"):
        call_command("audit", "verify")
    writer.write(now=clock.now())
    assert witnessed(witness_folder, owner)[1:] == []


def test_a_head_that_is_not_the_newest_is_compared_too(witness_folder: Folder) -> None:
    """A witness that was covered by the version before, which wrote any head, still names the removed Event."""
    owner = account()
    writing.Writer().write(now=clock.now())
    remove_after(owner, 2)
    append(owner)
    append(owner)
    owner.refresh_from_db()
    newest = witness_folder.newest()
    assert newest is not None
    covering = type(newest)(
        at=newest.at, generation=1, newest=None, heads={str(owner.id): audit.Head(owner.audit_seq, owner.audit_head)}
    )
    with witness_folder.held():
        witness_folder.append([covering])
    with pytest.raises(CommandError, match=f"{owner.id}.*the witness has seen another event"):
        call_command("audit", "verify")


def test_an_accepted_loss_is_no_fault_and_hides_no_other(witness_folder: Folder) -> None:
    """`restore accept` names what the database lacks; an Event that it had is missed still."""
    lost, kept = account(), account()
    writer = writing.Writer()
    writer.write(now=clock.now())
    gone, last = account(events=0), append(lost)
    writer.write(now=clock.now())
    remove_after(lost, last.seq - 1)
    gone_id = gone.id
    with triggers_off():
        Event.objects.filter(account=gone).delete()
    gone.delete()
    assert standing.look(now=clock.now()) == Standing.OLDER
    found = restored.accept(now=clock.now())
    assert (found.changed, found.unknown) == ([lost.id], [gone_id])
    call_command("audit", "verify")
    append(lost)
    writing.Writer().write(now=clock.now())
    call_command("audit", "verify")
    assert standing.altered() == ()
    remove_after(kept, 3)
    append(kept)
    with pytest.raises(CommandError, match=str(kept.id)):
        call_command("audit", "verify")


def test_a_loss_that_was_written_into_the_witness_is_found(witness_folder: Folder, tmp_path: Any) -> None:
    """A line that claims an accepted loss counts with the keyed Event of its restore only, and only as it was."""
    owner = account()
    writing.checkpoint(now=clock.now())
    LedgerState.objects.update(generation=0)
    restored.accept(now=clock.now())
    call_command("audit", "verify")
    file = next((tmp_path / "witness").glob("*.jsonl"))
    text = file.read_text()
    for generation, match in ((2, "not those of its event"), (3, "missing")):
        lines = [json.loads(line) for line in text.splitlines()]
        lines.append(lines[-1] | {"generation": generation, "lost": {str(owner.id): 2}, "statement": ""})
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        if generation == 3:
            remove_after(owner, 1)
        with pytest.raises(CommandError, match=match):
            call_command("audit", "verify")


def test_a_generation_counts_only_if_it_was_accepted(witness_folder: Folder) -> None:
    """A restored backup whose generation SQL raised, with or without an Event that has no key, stays refused."""
    owner = account()
    writing.Writer().write(now=clock.now())
    append(owner)
    writing.Writer().write(now=clock.now())
    before = witness_folder.newest()
    remove_after(owner, 4)
    assert standing.compare(before, now=clock.now()) == Standing.OLDER
    LedgerState.objects.update(generation=2)
    assert standing.compare(before, now=clock.now()) == Standing.OLDER
    operators = Account.objects.get(id=OPERATOR)
    Event.objects.create(
        account_id=OPERATOR, seq=900, at=clock.now(), kind=ACCEPTED, actor="operator", body={"generation": 2},
        previous="0" * 64, hash="1" * 64, keyed=True,
    )  # fmt: skip
    assert standing.compare(before, now=clock.now()) == Standing.OLDER
    with triggers_off():
        Event.objects.filter(seq=900).delete()
    operators.save(update_fields=["audit_seq", "audit_head"])
    LedgerState.objects.update(generation=1)
    restored.accept(now=clock.now())
    assert standing.compare(before, now=clock.now()) == Standing.CURRENT
    assert standing.compare(witness_folder.newest(), now=clock.now()) == Standing.CURRENT


@pytest.mark.parametrize("at", ["write_lost", "checkpoint"])
def test_a_restore_that_was_interrupted_is_accepted_again(
    witness_folder: Folder, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """A process that dies after the first line or before the checkpoint loses no ending and leaves no fault."""
    owner = account()
    writing.Writer().write(now=clock.now())
    end(owner)
    writing.Writer().write(now=clock.now())
    remove_after(owner, 4)

    def dies(*words: object, **more: object) -> None:
        if at == "write_lost":
            original(*words, **more)
        raise KeyboardInterrupt

    original: Any = getattr(writing, at)
    with monkeypatch.context() as patched:
        patched.setattr(writing, at, dies)
        with pytest.raises(KeyboardInterrupt):
            restored.accept(now=clock.now())
    if at == "write_lost":
        assert standing.look(now=clock.now()) == Standing.OLDER
        restored.accept(now=clock.now())
    else:
        writing.Writer().write(now=clock.now())
    owner.refresh_from_db()
    assert owner.status == "terminated"
    writing.Writer().write(now=clock.now())
    call_command("audit", "verify")
