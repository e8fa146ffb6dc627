"""The audit record: a hash chain per account, whose head is stored on the Account row (promise 5).

Every change of the ledger is an Event. Each writer holds the account's lock, so appending needs no other lock. Personal
data is stored beside the chain (`EventDetail`), and only a salted commitment to it is hashed, so erasing a person does
not break the chain.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import transaction

from derived.ledger.chain_key import chain_key
from derived.ledger.prepared_sql import insert_rows
from derived.ledger.replay import ACCOUNT_COLUMNS, CREDENTIAL_COLUMNS, RESTORED, AccountRow, CredentialRow, Replay
from derived.models import Account, Credential, Event, EventDetail
from derived.rules.kinds import Kind

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from django.db.models import QuerySet

GENESIS = "0" * 64
KEYED = "audit.keyed"  # the keyed Event with which the migration sealed the older, unkeyed ones of a chain
ENDINGS = frozenset({"account.terminated", "credential.revoked"})
_BATCH = 2_000
_FIELDS = ("id", "account_id", "seq", "at", "kind", "actor", "credential_id", "body", "previous", "hash", "keyed")


_receivers: list[Callable[[Event], None]] = []


def send_endings(receiver: Callable[[Event], None]) -> None:
    """Call a receiver with each Event of `ENDINGS` that this process commits, after the commit.

    It must neither wait nor raise: the ending is done, and its caller waits.
    """
    _receivers.append(receiver)


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _canonical(value: object) -> bytes:
    return _ENCODER.encode(value).encode()


def _commitment(salt: str, value: str) -> str:
    return hashlib.sha256(_canonical([salt, value])).hexdigest()


def link(  # noqa: PLR0913 - the hash covers every field of an Event
    key: bytes | None,
    *,
    account_id: uuid.UUID,
    seq: int,
    at: datetime,
    kind: str,
    actor: str,
    credential_id: uuid.UUID | None,
    body: object,
    previous: str,
) -> str:
    """The hash of an Event in hex: HMAC-SHA-256 with the chain's key; SHA-256 without one, as before it existed."""
    fields = [
        str(account_id),
        seq,
        at.astimezone(UTC).isoformat(),
        kind,
        actor,
        str(credential_id or ""),
        body,
        previous,
    ]
    if key is None:
        return hashlib.sha256(_canonical(fields)).hexdigest()
    return hmac.digest(key, _canonical(fields), "sha256").hex()


def record(  # noqa: PLR0913 - the fields of an Event
    account: Account,
    kind: str,
    *,
    now: datetime,
    actor: str,
    body: Mapping[str, object] | None = None,
    personal: Mapping[str, str] | None = None,
    credential: Credential | None = None,
) -> Event:
    """Append one Event to an account's chain; the caller holds the account's lock.

    actor: who did it, as `person`, `source:hr`, `client:web`, `operator` or `worker`.
    body: facts and ids. personal: what may have to be erased; only a commitment to it enters the chain.
    """
    salted = {name: (value, secrets.token_hex(16)) for name, value in (personal or {}).items()}
    facts = dict(body or {})
    if salted:
        facts["commitments"] = {name: _commitment(salt, value) for name, (value, salt) in salted.items()}
    event = build_event(account, kind, now=now, actor=actor, body=facts, credential=credential)
    if kind in ENDINGS:
        for receiver in _receivers:
            transaction.on_commit(partial(receiver, event), robust=True)
    if not salted:
        insert_rows(event)
        return event
    event.save(force_insert=True)
    EventDetail.objects.bulk_create(
        EventDetail(event=event, name=name, value=value, salt=salt) for name, (value, salt) in salted.items()
    )
    return event


def build_event(  # noqa: PLR0913 - the fields of an Event
    account: Account,
    kind: str,
    *,
    now: datetime,
    actor: str,
    body: Mapping[str, object],
    credential: Credential | None = None,
) -> Event:
    """The next Event of an account's chain, unsaved, for callers that write other rows in the same statement.

    This call moves the head on `account`; a database trigger moves the head of the stored row when the Event is
    inserted, so the head always covers every stored Event.
    """
    facts: dict[str, object] = json.loads(json.dumps(dict(body)))
    seq, previous = account.audit_seq + 1, account.audit_head
    made = link(
        chain_key(),
        account_id=account.id,
        seq=seq,
        at=now,
        kind=kind,
        actor=actor,
        credential_id=credential.id if credential else None,
        body=facts,
        previous=previous,
    )
    account.audit_seq, account.audit_head = seq, made
    return Event(
        account=account,
        seq=seq,
        at=now,
        kind=kind,
        actor=actor,
        credential=credential,
        body=facts,
        previous=previous,
        hash=made,
    )


def is_genuine(event: Event) -> bool:
    """True if the hash of an Event was computed with the chain's key; its place in the chain is not looked at.

    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    fields: dict[str, Any] = {
        name: getattr(event, name)
        for name in ("account_id", "seq", "at", "kind", "actor", "credential_id", "body", "previous")
    }
    return event.keyed and hmac.compare_digest(event.hash, link(chain_key(), **fields))


@dataclass(frozen=True)
class BrokenLink:
    """The first broken link of an account's chain, or a row that differs from the chain, and the fault."""

    account_id: uuid.UUID
    seq: int
    why: str


class Head(NamedTuple):
    """The end of a chain at some time: the number of its last Event, and that Event's hash."""

    seq: int
    hash: str


def heads(accounts: QuerySet[Account] | None = None) -> Iterator[tuple[uuid.UUID, Head]]:
    """The heads of the chains of accounts (default: of all), in the order of a checkpoint's leaves."""
    rows = (
        (Account.objects.all() if accounts is None else accounts)
        .order_by("id")
        .values_list("id", "audit_seq", "audit_head")
    )
    for account_id, seq, head in rows.iterator(chunk_size=_BATCH):
        yield account_id, Head(seq, head)


class _Row(NamedTuple):
    """The columns of an Event."""

    id: int
    account_id: uuid.UUID
    seq: int
    at: datetime
    kind: str
    actor: str
    credential_id: uuid.UUID | None
    body: dict[str, Any]
    previous: str
    hash: str
    keyed: bool


def verify(account: Account) -> BrokenLink | None:
    """Walk an account's chain and return its first broken link, or None for an intact chain."""
    return next(broken_links(Account.objects.filter(id=account.id)), None)


def broken_links(
    accounts: QuerySet[Account] | None = None,
    *,
    witnessed: Mapping[uuid.UUID, Mapping[int, str]] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[BrokenLink]:
    """Walk the chains of accounts (default: of all), and yield the first broken link of each broken one.

    Of an intact chain, each row that differs from what its Events say is yielded (`replay`).

    Call it within `snapshot`, so that changes meanwhile are no faults. witnessed: by account, the number and the hash
    of every Event that a witness has seen; each must be on its account's chain. progress: called after each batch with
    the number of Events so far.
    """
    key, expected = chain_key(), dict(witnessed or {})
    events = Event.objects.order_by("account_id", "seq")
    if accounts is not None:
        events = events.filter(account__in=accounts)
    rows = _with_details(events.values_list(*_FIELDS).iterator(chunk_size=_BATCH), progress)
    held = next(rows, None)
    restored = list(Event.objects.filter(kind=RESTORED).values_list("at", flat=True))
    credentials = _Grouped(accounts)
    for account in _accounts(accounts):
        chain = _Chain(account.id, key, expected.pop(account.id, {}), Replay(restored))
        while held is not None and held[0].account_id == account.id:
            chain.take(*held)
            held = next(rows, None)
        yield from chain.faults(account, credentials.of(account.id))
    for account_id, seen in expected.items():
        yield BrokenLink(account_id, max(seen, default=0), "the witness knows this account, and the database does not")


def _accounts(accounts: QuerySet[Account] | None) -> Iterator[AccountRow]:
    rows = (Account.objects.all() if accounts is None else accounts).order_by("id").values_list(*ACCOUNT_COLUMNS)
    return (AccountRow(*values) for values in rows.iterator(chunk_size=_BATCH))


class _Grouped:
    """The credentials of accounts, read in the order of the accounts."""

    def __init__(self, accounts: QuerySet[Account] | None) -> None:
        rows = Credential.objects.exclude(kind=Kind.TOKEN_FAMILY).order_by("account_id")
        if accounts is not None:
            rows = rows.filter(account__in=accounts)
        self._rows = (CredentialRow(*some) for some in rows.values_list(*CREDENTIAL_COLUMNS).iterator(_BATCH))
        self._held = next(self._rows, None)

    def of(self, account_id: uuid.UUID) -> list[CredentialRow]:
        """Those of the next account."""
        found = []
        while self._held is not None and self._held.account_id == account_id:
            found.append(self._held)
            self._held = next(self._rows, None)
        return found


def _with_details(
    events: Iterable[tuple[Any, ...]], progress: Callable[[int], None] | None
) -> Iterator[tuple[_Row, list[tuple[str, str, str]]]]:
    """The rows, each with the name, salt and value of its personal details, which are read once a batch."""
    source, count = iter(events), 0
    while batch := [_Row(*values) for values in islice(source, _BATCH)]:
        with_some = [row.id for row in batch if "commitments" in row.body]
        details: dict[int, list[tuple[str, str, str]]] = {}
        for event_id, *detail in EventDetail.objects.filter(event__in=with_some).values_list(
            "event_id", "name", "salt", "value"
        ):
            details.setdefault(event_id, []).append((detail[0], detail[1], detail[2]))
        for row in batch:
            yield row, details.get(row.id, [])
        count += len(batch)
        if progress is not None:
            progress(count)


class _Chain:
    """One chain, checked Event by Event."""

    def __init__(self, account_id: uuid.UUID, key: bytes, witnessed: Mapping[int, str], replay: Replay) -> None:
        self._account_id, self._key, self._witnessed, self._replay = account_id, key, witnessed, replay
        self._seq, self._previous, self._keyed = 0, GENESIS, False
        self._fault: BrokenLink | None = None

    def take(self, row: _Row, details: list[tuple[str, str, str]]) -> None:
        """Check the next Event; after a fault nothing more is looked at."""
        if self._fault is not None:
            return
        self._seq += 1
        if why := self._why(row, details):
            self._fault = BrokenLink(self._account_id, self._seq, why)
        self._previous, self._keyed = row.hash, row.keyed
        self._replay.take(row.seq, row.kind, row.at, row.credential_id, row.body)

    def faults(self, account: AccountRow, credentials: list[CredentialRow]) -> Iterator[BrokenLink]:
        """The first broken link; of an intact chain the rows that differ from it, once all Events were taken."""
        if broken := self.fault(Head(account.audit_seq, account.audit_head)):
            yield broken
            return
        for found in self._replay.differences(account, credentials):
            yield BrokenLink(self._account_id, found.seq, found.why)

    def fault(self, head: Head) -> BrokenLink | None:
        """The first broken link, once all Events were taken. head: as the account has it."""
        if self._fault is not None:
            return self._fault
        after = self._seq + 1
        if (self._seq, self._previous) != head:
            return BrokenLink(self._account_id, after, "the chain ends before or after the head on the account")
        if self._seq and not self._keyed:
            return BrokenLink(self._account_id, self._seq, "it is not keyed, and no keyed event follows")
        if max(self._witnessed, default=0) > self._seq:
            return BrokenLink(self._account_id, after, "the witness has seen later events, which are missing")
        return None

    def _why(self, row: _Row, details: list[tuple[str, str, str]]) -> str | None:
        if row.seq != self._seq:
            return f"event {self._seq} is missing"
        if row.previous != self._previous:
            return "its previous hash is not the hash of the event before it"
        if self._keyed and not row.keyed:
            return "it is not keyed, and the event before it is"
        if row.keyed and not self._keyed and row.seq > 1 and row.kind != KEYED:
            return f"events without a key come before it, and {KEYED} does not seal them"
        expected = link(
            self._key if row.keyed else None,
            account_id=row.account_id,
            seq=row.seq,
            at=row.at,
            kind=row.kind,
            actor=row.actor,
            credential_id=row.credential_id,
            body=row.body,
            previous=row.previous,
        )
        if row.hash != expected:
            return "its content was changed"
        commitments = row.body.get("commitments", {})
        for name, salt, value in details:
            if commitments.get(name) != _commitment(salt, value):
                return f"its personal detail {name!r} was changed"
        if self._witnessed.get(row.seq, row.hash) != row.hash:
            return "the witness has seen another event here: the chain was rebuilt"
        return None
