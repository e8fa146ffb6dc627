"""A ledger that was changed by SQL, against its witness; also by somebody who holds the chain key (ruling 30)."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command

from derived import clock
from derived.ledger import audit, chain_key
from derived.models import Account, CheckpointLeaf, Event, EventDetail
from idp.witness import verifying, writing
from idp.witness.lines import Ending, Line
from tests.fixtures.audit_chain import account, without_triggers

if TYPE_CHECKING:
    from pathlib import Path

    from idp.witness.folder import Folder

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def rebuild_with_the_key(owner: Account, *, change: str) -> None:
    """Change the third Event of a chain, and compute all links and the head anew with the chain's own key."""
    without_triggers()
    victim = Event.objects.get(account=owner, seq=3)
    match change:
        case "missing":
            EventDetail.objects.filter(event=victim).delete()
            victim.delete()
        case "altered":
            Event.objects.filter(id=victim.id).update(actor="somebody else")
        case "reordered":
            Event.objects.filter(id=victim.id).update(seq=99)
            Event.objects.filter(account=owner, seq=4).update(seq=3)
            Event.objects.filter(id=victim.id).update(seq=4)
    previous = audit.GENESIS
    for seq, event in enumerate(Event.objects.filter(account=owner).order_by("seq"), start=1):
        fields: dict[str, Any] = {
            name: getattr(event, name) for name in ("account_id", "at", "kind", "actor", "credential_id", "body")
        }
        made = audit.link(chain_key.chain_key(), seq=seq, previous=previous, **fields)
        Event.objects.filter(id=event.id).update(seq=seq, previous=previous, hash=made)
        previous = made
    Account.objects.filter(id=owner.id).update(audit_seq=seq, audit_head=previous)


@pytest.mark.parametrize("change", ["missing", "altered", "reordered"])
def test_a_chain_rebuilt_with_the_key_is_found(witness_folder: Folder, change: str) -> None:
    """Issue 12 C: also a chain whose links and head are all right in themselves."""
    owner = account()
    account()
    writing.checkpoint(now=clock.now())
    call_command("audit", "verify")
    rebuild_with_the_key(owner, change=change)
    owner.refresh_from_db()
    assert audit.verify(owner) is None
    with pytest.raises(CommandError, match=str(owner.id)):
        call_command("audit", "verify")


def test_an_account_that_was_removed_is_found(witness_folder: Folder) -> None:
    """A chain that is gone as a whole."""
    owner = account(events=0)
    writing.checkpoint(now=clock.now())
    without_triggers()
    Event.objects.filter(account=owner).delete()
    CheckpointLeaf.objects.filter(account=owner).delete()
    owner.delete()
    with pytest.raises(CommandError, match="the witness knows this account"):
        call_command("audit", "verify")


def test_a_chain_that_was_cut_is_found(witness_folder: Folder) -> None:
    """The newest Events are gone, and the head was moved back."""
    owner = account()
    writing.checkpoint(now=clock.now())
    without_triggers()
    Event.objects.filter(account=owner, seq=4).delete()
    last = Event.objects.get(account=owner, seq=3)
    Account.objects.filter(id=owner.id).update(audit_seq=3, audit_head=last.hash)
    with pytest.raises(CommandError, match="the witness has seen later events"):
        call_command("audit", "verify")


def test_a_copy_of_the_witness_is_a_witness(
    witness_folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--against FILE`: a copy that was kept elsewhere, when the witness here was changed with the database."""
    owner = account()
    writing.checkpoint(now=clock.now())
    file = next((tmp_path / "witness").glob("*.jsonl"))
    copy = tmp_path / "copy.jsonl"
    copy.write_text(file.read_text())
    rebuild_with_the_key(owner, change="missing")
    file.unlink()
    writing.checkpoint(now=clock.now(), begins=True)
    call_command("audit", "verify")
    with pytest.raises(CommandError, match=str(owner.id)):
        call_command("audit", "verify", "--against", str(copy))
    capsys.readouterr()
    with pytest.raises(SystemExit):
        call_command("audit", "verify", "--against", str(copy), "--json")
    assert json.loads(capsys.readouterr().out)["account"] == str(owner.id)


@pytest.mark.parametrize("change", ["head", "signature", "missing checkpoint", "beginning", "checkpoints", "torn"])
def test_a_witness_that_was_changed_is_found(witness_folder: Folder, tmp_path: Path, change: str) -> None:
    """Lines are covered by the signed root, and checkpoints by their order."""
    for _ in range(3):
        account()
        writing.checkpoint(now=clock.now())
    file = next((tmp_path / "witness").glob("*.jsonl"))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    signed = [number for number, line in enumerate(lines) if "statement" in line]
    match change:
        case "head":
            heads = lines[0]["heads"]
            del heads[next(iter(heads))]
        case "signature":
            lines[signed[0]]["statement"] = lines[signed[0]]["statement"][:-8] + "AAAAAAAA"
        case "missing checkpoint":
            del lines[signed[1]]
        case "beginning":
            del lines[: signed[1] + 1]
        case "checkpoints":
            lines = [line for line in lines if "statement" not in line]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    file.write_text(text[: len(text) // 2] + "\n" + text[len(text) // 2 :] if change == "torn" else text)
    seen = verifying.read("witness")
    assert seen is not None
    assert seen.fault
    with pytest.raises(CommandError):
        call_command("audit", "verify")


def test_a_line_that_was_torn_by_a_crash_is_no_fault(witness_folder: Folder, tmp_path: Path) -> None:
    """The next line follows the last whole one."""
    account()
    writing.checkpoint(now=clock.now())
    file = next((tmp_path / "witness").glob("*.jsonl"))
    with file.open("a") as opened:
        opened.write('{"at":"2026-11-30T')
    newest = witness_folder.newest()
    assert newest is not None
    assert newest.statement
    account()
    writing.checkpoint(now=clock.now())
    assert len([line for line in witness_folder.lines() if line.statement]) == 2
    call_command("audit", "verify")


def test_a_line_is_read_as_it_was_written() -> None:
    """Every field survives, and a line of anything else is refused."""
    line = Line(
        at="2026-11-30T12:00:00+00:00",
        generation=3,
        newest=(7, "ab"),
        heads={"x": audit.Head(1, "cd")},
        endings=(Ending("x", 1, "cd", "y", "lost"),),
        altered=("x",),
        lost={"x": 1},
        states={"source:hr": "ended"},
        statement="a.b.c",
        checkpoint_at="2026-11-30T11:00:00+00:00",
        checkpoint_hash="ef",
    )
    assert all(asdict(line).values()), "a field that is empty is not written"
    assert Line.read(line.text()) == line
    for text in (
        "",
        "7",
        "[]",
        "null",
        '{"at":"x"}',
        '{"at":"x","generation":"y"}',
        '{"at":"","generation":1,"newest":[1]}',
    ):
        with pytest.raises(ValueError, match=r"."):
            Line.read(text)
