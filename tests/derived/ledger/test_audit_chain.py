"""The keyed audit chain: no rewriting by SQL goes unseen, and the database refuses the statements for it (promise
5).
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC
from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction

from derived import clock
from derived.errors import Unavailable
from derived.ledger import audit, chain_key, merkle
from derived.ledger.locking import under_lock
from derived.models import Account, Event, LedgerState
from derived.wrapping import Wrapper
from idp.keys import wrapper
from tests.fixtures.audit_chain import account, without_triggers

pytestmark = [pytest.mark.django_db, pytest.mark.database]
_COLUMNS = "account_id, seq, at, kind, actor, credential_id, body, previous, hash, keyed"


def plain_link(event: Event) -> str:
    """The hash of an Event as everybody can compute it: SHA-256 without a key."""
    fields = [
        str(event.account_id),
        event.seq,
        event.at.astimezone(UTC).isoformat(),
        event.kind,
        event.actor,
        str(event.credential_id or ""),
        event.body,
        event.previous,
    ]
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def rebuild(owner: Account, *, without: int, keyed: bool) -> None:
    """Drop one Event of a chain, renumber the later ones, and compute every hash and the head anew."""
    without_triggers()
    Event.objects.filter(account=owner, seq=without).delete()
    previous = audit.GENESIS
    for seq, event in enumerate(Event.objects.filter(account=owner).order_by("seq"), start=1):
        event.seq, event.previous, event.keyed = seq, previous, keyed
        event.hash = previous = plain_link(event)
        Event.objects.filter(id=event.id).update(seq=seq, previous=event.previous, hash=event.hash, keyed=keyed)
    Account.objects.filter(id=owner.id).update(audit_seq=seq, audit_head=previous)
    owner.refresh_from_db()


@pytest.mark.parametrize("keyed", [True, False])
def test_a_chain_rebuilt_without_the_key_is_found(db: None, keyed: bool) -> None:  # noqa: FBT001
    """Issue 12 C: an Event was dropped and all hashes were computed again, with and without the claim of an old
    chain.
    """
    owner = account()
    assert audit.verify(owner) is None
    rebuild(owner, without=3, keyed=keyed)
    assert audit.verify(owner) is not None


def test_an_unkeyed_event_after_a_keyed_one_is_found(db: None) -> None:
    """An Event that SQL appended without the key breaks the chain."""
    owner = account()
    forged = Event(
        account=owner,
        seq=owner.audit_seq + 1,
        at=clock.now(),
        kind="account.vouched",
        actor="operator",
        body={},
        previous=owner.audit_head,
        keyed=False,
    )
    forged.hash = plain_link(forged)
    forged.save(force_insert=True)
    owner.refresh_from_db()
    assert owner.audit_seq == forged.seq
    broken = audit.verify(owner)
    assert broken is not None
    assert broken.why == "it is not keyed, and the event before it is"


def test_an_honest_event_seals_no_forged_chain(db: None) -> None:
    """Only the migration's keyed Event seals older ones: a chain rebuilt without the key stays broken ever after."""
    owner = account()
    rebuild(owner, without=3, keyed=False)
    event = under_lock(owner.id, lambda locked: audit.record(locked, "test", now=clock.now(), actor="x"))
    Account.objects.filter(id=owner.id).update(audit_seq=event.seq, audit_head=event.hash)
    owner.refresh_from_db()
    broken = audit.verify(owner)
    assert broken is not None
    assert broken.seq == event.seq
    assert "without a key" in broken.why


def test_events_from_before_the_key_stay_valid(db: None) -> None:
    """The migration appends a keyed Event to each old chain; from then on an old Event cannot be exchanged either."""
    owner = account(events=1)
    without_triggers()
    previous = audit.GENESIS
    for event in Event.objects.filter(account=owner).order_by("seq"):  # the chain as the version before left it
        event.previous = previous
        event.hash = previous = plain_link(event)
        Event.objects.filter(id=event.id).update(previous=event.previous, hash=event.hash, keyed=False)
    Account.objects.filter(id=owner.id).update(audit_head=previous)
    LedgerState.objects.all().delete()
    chain_key.unwrap_with(wrapper)
    if connection.vendor == "sqlite":
        _create_trigger("derived_event_moves_the_head")
    else:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE derived_event ENABLE TRIGGER USER")
    import_module("derived.migrations.0012_keyed_chain").key_all_chains(apps, None)
    owner.refresh_from_db()
    try:
        assert list(owner.events.order_by("seq").values_list("kind", "keyed")) == [
            ("account.opened", False),
            ("test", False),
            ("audit.keyed", True),
        ]
        assert audit.verify(owner) is None
        without_triggers()
        victim = owner.events.get(seq=2)
        victim.actor = "somebody else"
        Event.objects.filter(id=victim.id).update(actor=victim.actor, hash=plain_link(victim))
        Event.objects.filter(account=owner, seq=3).update(previous=plain_link(victim))
        broken = audit.verify(owner)
        assert broken is not None
        assert broken.seq == 3
    finally:
        chain_key.unwrap_with(wrapper)


def _create_trigger(name: str) -> None:
    migration = import_module("derived.migrations.0001_squashed_0008_events_move_the_head")
    with connection.cursor() as cursor:
        cursor.execute(next(text for text in migration.TRIGGERS["sqlite"] if name in text))


def test_the_key_of_the_chain_is_wrapped(db: None) -> None:
    """Ruling 30: the database never holds the key in the clear, and no other key-encryption key opens it."""
    key, row = chain_key.chain_key(), bytes(LedgerState.objects.get().chain_key)
    assert len(key) == 32
    assert key not in row
    chain_key.unwrap_with(lambda: Wrapper(b"x" * 32))
    try:
        with pytest.raises(Unavailable, match="key_unavailable"):
            chain_key.chain_key()
    finally:
        chain_key.unwrap_with(wrapper)


_ROWS = f"SELECT {_COLUMNS} FROM derived_event WHERE seq = 2"  # noqa: S608
REFUSED = {
    "update": "UPDATE derived_event SET kind = 'x'",
    "delete": "DELETE FROM derived_event",
    "upsert": f"INSERT INTO derived_event ({_COLUMNS}) {_ROWS} ON CONFLICT (account_id, seq) DO UPDATE SET kind = 'x'",
    **(
        {
            "replace": f"INSERT OR REPLACE INTO derived_event ({_COLUMNS}) {_ROWS}",
            "replace by id": f"REPLACE INTO derived_event (id, {_COLUMNS}) "
            f"{_ROWS.replace('account_id', 'id, account_id')}",
            "update or replace": "UPDATE OR REPLACE derived_event SET seq = 1 WHERE seq = 2",
        }
        if connection.vendor == "sqlite"
        else {"truncate": "TRUNCATE derived_event CASCADE"}
    ),
}


@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED)
def test_the_database_refuses_to_change_an_event(db: None, statement: str) -> None:
    """Issue 12 C: UPDATE, DELETE, REPLACE and TRUNCATE are refused by triggers."""
    account()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize(
    ("size", "root"),
    [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        (7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
        (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ],
)
def test_the_tree_is_that_of_rfc_9162(size: int, root: str) -> None:
    """The vectors of the Certificate Transparency reference implementation (RFC 9162 §2.1.1)."""
    leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    assert merkle.root(bytes.fromhex(leaf) for leaf in leaves[:size]).hex() == root


@pytest.mark.postgresql
def test_the_documented_role_cannot_change_events(db: None) -> None:
    """docs/operating.md: the server's role works, owns no table, and can neither truncate nor drop a trigger."""
    text = Path("docs/operating.md").read_text(encoding="utf-8")
    statements = text.partition("CREATE ROLE ramet_server LOGIN;")[2].partition("```")[0]
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE ramet_server LOGIN;" + statements)
        cursor.execute("SET ROLE ramet_server")
        owner = account()
        assert audit.verify(owner) is None
        for statement in (
            "UPDATE derived_event SET kind = 'x'",
            "DELETE FROM derived_event",
            "TRUNCATE derived_event CASCADE",
            "ALTER TABLE derived_event DISABLE TRIGGER USER",
            "DROP TRIGGER derived_event_append_only ON derived_event",
            "SET session_replication_role = replica",
        ):
            with pytest.raises(DatabaseError, match=r"permission denied|must be owner"), transaction.atomic():
                cursor.execute(statement)
        cursor.execute("RESET ROLE")
