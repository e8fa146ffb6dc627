"""The ledger's moves against the database: the record, the cascade, the lock's clock, keys, the outbox (I2, I4,
RE-1, C73, C83, C94).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.db import DatabaseError, connection, transaction

from derived import clock
from derived.changes import issue, revoke, suspend
from derived.errors import AlreadySpent, Reason, Refused, Unavailable
from derived.keyring import PUBLISHED_AFTER_USE, PUBLISHED_BEFORE_USE, KeyPurpose, Keyring
from derived.ledger import accounts, audit, locking, outbox, status
from derived.ledger.locking import transacted, under_lock
from derived.ledger.single_use import spend
from derived.minting.device_key import proof_of, public_key
from derived.models import Account, AccountStatus, Credential, Event, EventDetail, OutboxRow, SigningKey, Spent
from derived.rules.assurance import AAL, Authentication, Factor
from derived.wrapping import Wrapper
from device.key import DeviceKey
from idp.keys import wrapper
from tests.fixtures.ledger_rows import root_of

if TYPE_CHECKING:
    from uuid import UUID

pytestmark = [pytest.mark.django_db, pytest.mark.database]
BOTH = frozenset({Factor.PASSWORD, Factor.TOTP})


def account() -> Account:
    return transacted(lambda: accounts.create_account(ial=2, now=clock.now(), actor="test"))


def login(aal: AAL = AAL.AAL2) -> Authentication:
    return Authentication(factors=BOTH, aal=aal, root=True, at=clock.now())


def device_of(owner_id: UUID, root: Credential) -> Credential:
    return under_lock(owner_id, lambda locked: issue.derive(
        locked, proof_of(public_key(DeviceKey.generate().public_jwk), passphrase_hash="x", clients=[]),
        issue.IssuanceRequest(login=login(), root=root, name="Phone", by="test"), now=clock.now(),
    ))  # fmt: skip


def family_of(owner_id: UUID, used: Credential) -> Credential:
    def work(locked: Account) -> Credential:
        if used.state == "pending":
            issue.activate(used, account=locked, now=clock.now(), actor="test")
        return issue.token_family(
            locked, used=used, login=login(), client_id="c", lifetime=timedelta(hours=1), now=clock.now(), actor="test"
        )

    return under_lock(owner_id, work)


# --- the cascade ------------------------------------------------------------------------------------------------------


def test_ending_an_account_ends_all_its_credentials(db: None) -> None:
    """Promise 4, IV-1: root, device, families of both; idempotent; one Event and the outbox rows."""
    owner = account()
    root = root_of(owner)
    device = device_of(owner.id, root)
    family_of(owner.id, root)
    family_of(owner.id, device)
    ended = under_lock(
        owner.id,
        lambda locked: revoke.everything(locked, because=Reason.DELETED_BY_SOURCE, now=clock.now(), actor="source:hr"),
    )
    assert ended == 4
    assert not Credential.objects.exclude(state="revoked").exists()
    assert (
        under_lock(
            owner.id, lambda locked: revoke.everything(locked, because=Reason.COMPROMISED, now=clock.now(), actor="x")
        )
        == 0
    )
    assert Event.objects.filter(kind="account.terminated").count() == 1
    assert set(OutboxRow.objects.filter(kind__in=["account.ended", "fan_out"]).values_list("kind", flat=True)) == {
        "account.ended",
        "fan_out",
    }
    owner.refresh_from_db()
    assert (owner.status, owner.epoch) == (AccountStatus.TERMINATED, 2)


def test_lost_root_leaves_its_devices(db: None) -> None:
    """IV-4, trap 1: a device stays; sessions and families of the root itself end."""
    owner = account()
    root = root_of(owner)
    device = device_of(owner.id, root)
    of_root, of_device = family_of(owner.id, root), family_of(owner.id, device)
    under_lock(
        owner.id,
        lambda locked: revoke.credential(
            root, account=locked, because=Reason.REPORTED_BY_PERSON, now=clock.now(), actor="person"
        ),
    )
    states = {row.id: row.state for row in Credential.objects.all()}
    assert [states[row.id] for row in (root, of_root, device, of_device)] == ["revoked", "revoked", "active", "active"]
    owner.refresh_from_db()
    device.refresh_from_db()
    assert status.is_live(device, owner, now=clock.now())


def test_compromised_key_ends_what_it_authorised_since(db: None) -> None:
    """IV-6: minted before the date lives, since then ends."""
    owner = account()
    root = root_of(owner)
    before, after = device_of(owner.id, root), device_of(owner.id, root)
    Credential.objects.filter(id=before.id).update(created_at=clock.now() - timedelta(days=9))
    since = clock.now() - timedelta(days=1)
    under_lock(
        owner.id,
        lambda locked: revoke.tree(
            root, account=locked, because=Reason.COMPROMISED, since=since, now=clock.now(), actor="operator"
        ),
    )
    states = {row.id: row.state for row in Credential.objects.all()}
    assert [states[row.id] for row in (root, before, after)] == ["revoked", "pending", "revoked"]


def test_nothing_is_issued_from_an_ended_root(db: None) -> None:
    """EL-4: a dead root, an ended account, another person's root, a derived one."""
    owner, stranger = account(), account()
    root = root_of(owner)
    device = device_of(owner.id, root)
    family_of(owner.id, device)
    for holder, parent, reason in ((stranger, root, Reason.CREDENTIAL_NOT_LIVE), (owner, device, Reason.NOT_A_ROOT)):
        with pytest.raises(Refused, match=reason.value):
            device_of(holder.id, Credential.objects.get(id=parent.id))
    under_lock(
        owner.id, lambda locked: revoke.everything(locked, because=Reason.DELETED_BY_SOURCE, now=clock.now(), actor="x")
    )
    with pytest.raises(Refused, match="account_not_active"):
        device_of(owner.id, root)
    under_lock(owner.id, lambda locked: accounts.reopen(locked, now=clock.now(), actor="x"))
    with pytest.raises(Refused, match="credential_not_live"):
        device_of(owner.id, Credential.objects.get(id=root.id))


def test_suspension_is_reversible(db: None) -> None:
    """MT-7, design.md: nothing is revoked."""
    owner = account()
    root = root_of(owner)
    under_lock(owner.id, lambda locked: suspend.suspend(locked, now=clock.now(), actor="x"))
    owner.refresh_from_db()
    assert not status.is_live(root, owner, now=clock.now())
    with pytest.raises(Refused, match="illegal_move"):
        under_lock(owner.id, lambda locked: suspend.suspend(locked, now=clock.now(), actor="x"))
    under_lock(owner.id, lambda locked: suspend.resume(locked, now=clock.now(), actor="x"))
    owner.refresh_from_db()
    assert status.is_live(root, owner, now=clock.now())


def test_expired_credential_is_refused_without_a_worker(db: None) -> None:
    """MT-6, P19."""
    owner = account()
    device = device_of(owner.id, root_of(owner))
    family_of(owner.id, device)
    device.refresh_from_db()
    owner.refresh_from_db()
    assert device.expires_at is not None
    assert status.is_live(device, owner, now=device.expires_at - timedelta(seconds=1))
    assert not status.is_live(device, owner, now=device.expires_at)


# --- the record -------------------------------------------------------------------------------------------------------


def _tamper(statement: str, *values: object) -> None:
    """What somebody with the database's password could do: switch the guard off, and write."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DROP TRIGGER derived_event_no_update")
            cursor.execute("DROP TRIGGER derived_event_no_delete")
        else:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE derived_event DISABLE TRIGGER derived_event_append_only")
        cursor.execute(statement, values)


@pytest.mark.parametrize("what", ["body", "kind", "actor", "at", "middle", "last", "detail", "head"])
def test_verify_names_the_first_broken_link(db: None, what: str) -> None:
    """Issue 2.6: a changed, missing or cut Event, and a changed personal detail."""
    owner = account()
    for name in ("one", "two", "three"):
        under_lock(
            owner.id,
            lambda locked, name=name: audit.record(
                locked, "test", now=clock.now(), actor="x", body={"n": name}, personal={"who": name}
            ),
        )
    owner.refresh_from_db()
    assert audit.verify(owner) is None
    victim = Event.objects.get(seq=3)
    EventDetail.objects.filter(event=victim).update(value="two") if what != "detail" else EventDetail.objects.filter(
        event=victim
    ).update(value="changed")
    if what in {"middle", "last"}:
        doomed = Event.objects.get(seq=3 if what == "middle" else 4)
        EventDetail.objects.filter(event=doomed).delete()
        _tamper("DELETE FROM derived_event WHERE id = %s", doomed.id)
    elif what == "head":
        Account.objects.filter(id=owner.id).update(audit_head="f" * 64)
    elif what != "detail":
        new = {"body": '{"n": "changed"}', "at": "2020-01-01 00:00:00+00:00"}.get(what, "changed")
        _tamper(f"UPDATE derived_event SET {what} = %s WHERE id = %s", new, victim.id)  # noqa: S608
    owner.refresh_from_db()
    broken = audit.verify(owner)
    assert broken is not None
    assert broken.seq == {"last": 4, "head": 5}.get(what, 3)


def test_erased_detail_does_not_break_the_chain(db: None) -> None:
    """design.md: personal data stand beside the hashed body."""
    owner = account()
    under_lock(
        owner.id, lambda locked: audit.record(locked, "test", now=clock.now(), actor="x", personal={"who": "Alex Moss"})
    )
    EventDetail.objects.all().delete()
    owner.refresh_from_db()
    assert audit.verify(owner) is None
    assert "Alex" not in str(list(Event.objects.values()))


@pytest.mark.parametrize("statement", ["UPDATE derived_event SET kind = 'x'", "DELETE FROM derived_event"])
def test_database_refuses_to_change_an_event(db: None, statement: str) -> None:
    """Append-only, on both databases."""
    account()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


# --- once, and the lock -----------------------------------------------------------------------------------------------


def test_spent_stays_spent_when_the_answer_is_an_error(db: None) -> None:
    """design.md: spent means spent; any other refusal takes its writes back."""
    owner = account()

    def work(spends: bool) -> None:  # noqa: FBT001
        spend("test", f"{spends}", expires_at=clock.now() + timedelta(hours=1))
        raise AlreadySpent(spends=spends)

    for spends in (True, False):
        with pytest.raises(AlreadySpent):
            under_lock(owner.id, lambda _locked, spends=spends: work(spends))
    assert Spent.objects.count() == 1


def test_parts_of_a_single_use_key_are_length_prefixed(db: None) -> None:
    """P49, P65: length-prefixed, per kind."""
    until = clock.now() + timedelta(hours=1)
    assert spend("a", "bc", "d", expires_at=until)
    assert spend("a", "b", "cd", expires_at=until)
    assert spend("ab", "c", "d", expires_at=until)
    assert not spend("a", "bc", "d", expires_at=until)


@pytest.mark.parametrize(("seconds", "fine"), [(0, True), (1.5, True), (-1.5, True), (3, False), (-3600, False)])
def test_clock_skew_is_refused(
    db: None, two_clocks: None, monkeypatch: pytest.MonkeyPatch, seconds: float, *, fine: bool
) -> None:
    """Ruling 15, C94: with clocks more than two seconds apart nothing is decided; a long wait for the lock is not a
    skew, and hides none.
    """
    now = clock.now()
    monkeypatch.setattr("derived.ledger.locking.database_now", lambda: clock.now() + timedelta(seconds=seconds))
    for there, before in (
        (now + timedelta(seconds=seconds), now),
        (now + timedelta(seconds=seconds), now - timedelta(seconds=30)),
    ):
        if fine:
            locking._require_one_time(there, before)
        else:
            with pytest.raises(Unavailable, match="clock_skew"):
                locking._require_one_time(there, before)


@pytest.mark.parametrize("owned", [False, True])
def test_lock_reads_the_database_clock(db: None, two_clocks: None, *, owned: bool) -> None:
    """Ruling 15, for both ways to lock."""
    owner = account()

    def lock() -> object:
        if not owned:
            return under_lock(owner.id, lambda locked: locked)
        mine = locking.OwnedRow("SELECT id FROM derived_account WHERE audit_head = %s", Reason.BAD_CODE)
        return locking.under_lock_of(mine, owner.audit_head, lambda: owner, lambda locked: locked)

    assert lock() == owner
    if connection.vendor == "sqlite":  # its clock is this process's own
        assert locking.database_now() is None
        return
    with (
        time_machine.travel(clock.now() + timedelta(seconds=4), tick=True),
        pytest.raises(Unavailable, match="clock_skew"),
    ):
        lock()


def test_database_moves_the_head_of_a_chain(db: None) -> None:
    """Promise 5: the head covers every stored Event, whichever statement inserted it; an Event that does not
    continue the chain moves no head.
    """
    owner = account()
    event = audit.build_event(owner, "test", now=clock.now(), actor="operator", body={})
    kept = Account.objects.get(id=owner.id)
    assert kept.audit_seq == owner.audit_seq - 1
    event.save(force_insert=True)
    kept.refresh_from_db()
    assert (kept.audit_seq, kept.audit_head) == (owner.audit_seq, owner.audit_head)
    assert audit.verify(kept) is None
    owner.audit_head = "f" * 64
    audit.record(owner, "test", now=clock.now(), actor="operator")
    kept.refresh_from_db()
    assert kept.audit_seq == owner.audit_seq - 1
    assert audit.verify(kept) is not None


# --- keys -------------------------------------------------------------------------------------------------------------


def test_signing_key_is_published_before_and_after_use(db: None) -> None:
    """C73: pending, active, retiring, retired, and a verifier that honours cache headers never fails."""
    from joserfc import jwt

    ring, now = Keyring(Wrapper(b"k" * 32)), clock.now()
    first = ring.ensure(KeyPurpose.TOKENS, "ES256", now=now)
    old = ring.sign({"n": 1}, typ="x", alg="ES256", now=now)
    second = ring.rotate(KeyPurpose.TOKENS, "ES256", now=now)
    assert ring.rotate(KeyPurpose.TOKENS, "ES256", now=now).kid == second.kid
    cached = ring.published()
    assert {key.kid for key in cached.keys} == {first.kid, second.kid}
    soon = now + PUBLISHED_BEFORE_USE
    assert (
        jwt.decode(
            ring.sign({"n": 2}, typ="x", alg="ES256", now=soon - timedelta(seconds=1)), cached, algorithms=["ES256"]
        ).header["kid"]
        == first.kid
    )
    assert (
        jwt.decode(ring.sign({"n": 3}, typ="x", alg="ES256", now=soon), cached, algorithms=["ES256"]).header["kid"]
        == second.kid
    )
    jwt.decode(old, ring.published(), algorithms=["ES256"])
    ring.advance(now=now + PUBLISHED_AFTER_USE - timedelta(seconds=1))
    assert len(ring.published().keys) == 2
    ring.advance(now=now + PUBLISHED_BEFORE_USE + PUBLISHED_AFTER_USE)
    assert [key.kid for key in ring.published().keys] == [second.kid]


def test_revoked_signing_key_leaves_the_jwks_at_once(db: None) -> None:
    """C73: not in the JWKS from the next read on, and another signs."""
    ring, now = Keyring(Wrapper(b"k" * 32)), clock.now()
    first = ring.ensure(KeyPurpose.TOKENS, "ES256", now=now)
    second = ring.revoke(first.kid, now=now)
    assert [key.kid for key in ring.published().keys] == [second.kid]
    assert second.kid != first.kid


def test_wrapped_keys_need_their_kek_and_row(db: None) -> None:
    """C74, I9: the wrong key-encryption key is refused, and so is a blob of another row."""
    now = clock.now()
    Keyring(Wrapper(b"k" * 32)).ensure(KeyPurpose.TOKENS, "ES256", now=now)
    row = SigningKey.objects.get()
    assert b'"d"' not in bytes(row.wrapped)
    assert "d" not in row.public_jwk
    with pytest.raises(Unavailable, match="key_unavailable"):
        Keyring(Wrapper(b"x" * 32)).sign({}, typ="x", alg="ES256", now=now)
    wrapper = Wrapper(b"k" * 32)
    blob = wrapper.wrap(b"secret", purpose="totp-seed", owner="a")
    for purpose, owner in (("totp-seed", "b"), ("signing-key", "a")):
        with pytest.raises(Unavailable):
            wrapper.unwrap(blob, purpose=purpose, owner=owner)
    assert wrapper.unwrap(blob, purpose="totp-seed", owner="a") == b"secret"


# --- the outbox -------------------------------------------------------------------------------------------------------


def test_outbox_keeps_order_per_receiver(db: None) -> None:
    """C83: the oldest row of each receiver; a failed one is retried later, the others go on."""
    now = clock.now()
    for receiver, number in (("a", 1), ("a", 2), ("b", 3)):
        outbox.enqueue(kind="test", receiver=receiver, account=None, payload={"n": number}, now=now)
    first = {row.payload["n"]: row for row in outbox.lease(now=now)}
    assert set(first) == {1, 3}
    assert outbox.lease(now=now) == []
    outbox.mark_delivered(first[3], now=now)
    outbox.mark_failed(first[1], "down", now=now)
    assert outbox.lease(now=now) == []
    later = now + outbox.FIRST_RETRY
    again = outbox.lease(now=later)
    assert [row.payload["n"] for row in again] == [1]
    outbox.mark_delivered(again[0], now=later)
    assert [row.payload["n"] for row in outbox.lease(now=later)] == [2]


def test_mail_for_one_cause_is_one_row_until_a_worker_takes_it(db: None) -> None:
    """Equal causes of one person are united with their lists; another cause, person or channel stays by itself."""
    now, later = clock.now(), clock.now() + timedelta(seconds=3)

    def tell(payload: dict[str, object], *, to: str = "mail:1", kind: str = "changed", at: datetime = now) -> OutboxRow:
        return outbox.enqueue(kind=kind, receiver=to, account=None, payload=payload, now=at)

    first = tell({"of": "a", "changed": ["name"]})
    assert tell({"of": "a", "changed": ["emails", "name"]}, at=later).id == first.id
    others = [
        tell({"of": "b", "changed": ["name"]}),
        tell({"of": "a"}, to="mail:2"),
        tell({"of": "a"}, kind="ended"),
        *(tell({"of": "a"}, to="worker:1", kind="fan_out") for _ in range(2)),
    ]
    assert len({first.id, *(row.id for row in others)}) == 6
    [taken] = [row for row in outbox.lease(now=later) if row.receiver == "mail:1"]
    assert (taken.id, taken.payload, taken.due_at) == (first.id, {"of": "a", "changed": ["name", "emails"]}, later)
    assert tell({"of": "a", "changed": ["name"]}).id != first.id, "a worker may have read that row"
    outbox.mark_failed(taken, "down", now=later)
    assert tell({"of": "a", "changed": ["phone"]}).id != first.id, "some addresses may have it already"


def test_mail_of_a_burst_waits_for_its_end_and_holds_up_no_other(db: None) -> None:
    """Each cause prolongs the pause, up to the longest; mail of another kind to the same person goes at once."""
    start, second = clock.now(), timedelta(seconds=1)
    pause = outbox.Pause(kinds=frozenset({"changed"}), quiet=10 * second, longest=30 * second)

    def tell(kind: str, after: timedelta) -> None:
        outbox.enqueue(kind=kind, receiver="mail:1", account=None, payload={}, now=start + after)

    def leased(after: timedelta) -> list[str]:
        return [row.kind for row in outbox.lease(now=start + after, pause=pause)]

    tell("changed", 0 * second)
    tell("bound", 1 * second)
    assert leased(1 * second) == ["bound"]
    tell("changed", 8 * second)
    assert leased(17 * second) == []
    tell("changed", 17 * second)
    tell("changed", 26 * second)
    assert leased(29 * second) == []
    assert leased(30 * second) == ["changed"]


def test_lost_lease_is_taken_again_and_a_day_of_failures_parks(db: None) -> None:
    """C83: a worker that died loses nothing; what cannot be delivered is parked where it is seen."""
    now = clock.now()
    outbox.enqueue(kind="test", receiver="a", account=None, payload={}, now=now)
    row = outbox.lease(now=now)[0]
    assert outbox.lease(now=now + outbox.LEASE - timedelta(seconds=1)) == []
    assert outbox.lease(now=now + outbox.LEASE)[0].id == row.id
    outbox.mark_failed(row, "x" * 500, now=now + outbox.PARK_AFTER + timedelta(seconds=1))
    assert OutboxRow.objects.get().parked_at is not None
    assert outbox.lease(now=now + timedelta(days=3)) == []


def test_key_bound_by_two_accounts_at_once_is_refused_for_one(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """C6: two accounts have two locks, so the unique key decides, and the loser gets the reason."""
    from django.db.models.query import QuerySet

    key, owners = public_key(DeviceKey.generate().public_jwk), [account(), account()]
    roots = [root_of(owner) for owner in owners]

    def bind(owner: Account, root: Credential) -> Credential:
        return under_lock(owner.id, lambda locked: issue.derive(
            locked, proof_of(key, passphrase_hash="x", clients=[]),
            issue.IssuanceRequest(login=login(), root=root, name="Phone", by="test"), now=clock.now(),
        ))  # fmt: skip

    bind(owners[0], roots[0])
    monkeypatch.setattr(QuerySet, "exists", lambda _: False)  # the look before the other's commit
    with pytest.raises(Refused, match="key_seen_before"):
        bind(owners[1], roots[1])


def test_concurrent_key_rotation_leaves_one_key_active(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """C73: the second process must not retire the key that the first has just activated, or an unpublished key would
    sign next.
    """
    ring, other, now = Keyring(wrapper()), Keyring(wrapper()), datetime(2026, 11, 23, 12, tzinfo=UTC)
    new = ring.rotate(KeyPurpose.TOKENS, "ES256", now=now)
    later = now + PUBLISHED_BEFORE_USE
    real, first = transaction.atomic, [True]

    def overtaken(*args: Any, **kwargs: Any) -> Any:
        if first.pop() if first else False:
            other.advance(now=later)
        return real(*args, **kwargs)

    monkeypatch.setattr("derived.keyring.transaction.atomic", overtaken)
    ring.advance(now=later)
    assert SigningKey.objects.get(state="active").kid == new.kid
