"""Checkpoints with the tree of public heads, kept in the database for exports of evidence (EV-7, EV-10)."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine

from derived import clock
from derived.ledger import audit, merkle, public_heads
from derived.ledger.locking import under_lock
from derived.models import Checkpoint, CheckpointLeaf, Event, EventDetail
from idp.config import config
from idp.witness import operator_chain, writing
from tests.fixtures.audit_chain import account

if TYPE_CHECKING:
    from idp.witness.folder import Folder

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def claims_of(checkpoint: Checkpoint) -> dict[str, Any]:
    payload = checkpoint.statement.split(".")[1]
    found: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def test_two_workers_sign_one_checkpoint_a_day_and_each_names_the_one_before(witness_folder: Folder) -> None:
    """EV-7: a worker that was about to sign looks again when it holds the lock."""
    account()
    with time_machine.travel(clock.now(), tick=False) as time:
        for _ in range(3):
            for worker in (writing.Writer(), writing.Writer()):
                worker.write(now=clock.now())
            assert writing.checkpoint(now=clock.now(), unless_done=True) == {}
            time.shift(timedelta(days=1))
    kept = list(Checkpoint.objects.order_by("id"))
    assert len(kept) == 3
    assert [claims_of(one)["previous"] for one in kept] == ["", kept[0].hash, kept[1].hash]
    signed = [line.statement for line in witness_folder.lines() if line.statement]
    assert signed == [one.statement for one in kept]


def test_the_tree_holds_the_public_head_of_every_chain(witness_folder: Folder) -> None:
    """A leaf is written where a chain has grown; the head is computed without the key."""
    grows, stays = account(), account()
    writing.checkpoint(now=clock.now())
    first = Checkpoint.objects.get()
    under_lock(grows.id, lambda locked: audit.record(locked, "test", now=clock.now(), actor="x"))
    writing.checkpoint(now=clock.now())
    second = Checkpoint.objects.latest("id")
    written = set(CheckpointLeaf.objects.filter(checkpoint=second).values_list("account_id", flat=True))
    assert grows.id in written
    assert stays.id not in written
    leaves = public_heads.leaves_at(second.id)
    assert second.root == claims_of(second)["tree"] == public_heads.root(leaves)
    assert public_heads.leaves_at(first.id)[str(grows.id)].seq == 4
    head = audit.GENESIS
    for event in Event.objects.filter(account=grows).order_by("seq"):
        head = public_heads.step(head, event)
    assert leaves[str(grows.id)] == (5, head)


def test_a_statement_that_only_the_witness_has_is_kept_with_the_next(witness_folder: Folder) -> None:
    """A process that died between the two writes leaves no gap in the line of checkpoints."""
    account()
    writing.checkpoint(now=clock.now())
    CheckpointLeaf.objects.all().delete()
    Checkpoint.objects.all().delete()
    writing.checkpoint(now=clock.now())
    kept = list(Checkpoint.objects.order_by("id"))
    assert [claims_of(one)["previous"] for one in kept] == ["", kept[0].hash]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
def test_a_path_leads_from_each_leaf_to_the_root(size: int) -> None:
    """RFC 9162 §2.1.3.2, as written there."""
    leaves = [bytes([number]) for number in range(size)]
    tree = merkle.Tree(leaves)
    for index, leaf in enumerate(leaves):
        at, last, made = index, size - 1, hashlib.sha256(b"\x00" + leaf).digest()
        for sibling in map(bytes.fromhex, tree.path(index)):
            if at & 1 or at == last:
                made = hashlib.sha256(b"\x01" + sibling + made).digest()
                while not at & 1 and at:
                    at, last = at >> 1, last >> 1
            else:
                made = hashlib.sha256(b"\x01" + made + sibling).digest()
            at, last = at >> 1, last >> 1
        assert made == merkle.root(leaves)


def test_both_texts_of_a_changed_policy_file_are_kept(witness_folder: Folder) -> None:
    """EV-10: by hash in the Event, and the text beside it."""
    file, texts = config().var / "issuance.toml", ["most_in_all = 4\n", "most_in_all = 3\n"]
    for text in texts:
        file.write_text(text)
        operator_chain.record_changes(now=clock.now(), actor="operator:x")
    file.unlink()
    names = [f"text:{hashlib.sha256(text.encode()).hexdigest()[:40]}" for text in texts]
    details = dict(EventDetail.objects.filter(name__in=names).values_list("name", "value"))
    assert [details[name] for name in names] == texts
    said = [one.body.get("texts", {}).get("issuance.toml") for one in Event.objects.filter(kind="operator.changed")]
    assert [f"text:{one}" for one in said if one] == names
