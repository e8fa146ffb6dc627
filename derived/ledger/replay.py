"""The rows of an account as its Events tell them, so that a row that was changed by SQL is found (promise 5).

Status, epoch, identity level and eligibility of the account; state, level, label, root and epoch of each credential.
Token families are not compared: a refresh is no Event (they end with their account, their epoch and their parent).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from derived.models import AccountStatus
from derived.rules.kinds import Kind
from derived.rules.lifecycle import LIVING, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

RESTORED: Final = "operator.restore_accepted"  # the Event with which every account's epoch is raised
_HELD: Final = "held_for_name"  # in the body of a suspension: an earlier hold returns when it is lifted

ACCOUNT_COLUMNS: Final = ("id", "audit_seq", "audit_head", "status", "epoch", "ial", "eligible")
CREDENTIAL_COLUMNS: Final = ("account_id", "id", "kind", "state", "epoch", "aal", "label", "root_id")
_STATUS_AFTER: Final[Mapping[str, AccountStatus]] = {
    "account.opened": AccountStatus.ACTIVE,
    "account.suspended": AccountStatus.SUSPENDED,
    "account.resumed": AccountStatus.ACTIVE,
    "account.terminated": AccountStatus.TERMINATED,
    "account.reopened": AccountStatus.ACTIVE,
}
_STATE_AFTER: Final[Mapping[str, State]] = {
    "credential.activated": State.ACTIVE,
    "certificate.released": State.ACTIVE,
    "credential.suspended": State.SUSPENDED,
    "credential.lifted": State.ACTIVE,
    "credential.revoked": State.REVOKED,
    "credential.expired": State.EXPIRED,
}


class AccountRow(NamedTuple):
    """The columns `ACCOUNT_COLUMNS` of an account."""

    id: UUID
    audit_seq: int
    audit_head: str
    status: str
    epoch: int
    ial: int
    eligible: bool


class CredentialRow(NamedTuple):
    """The columns `CREDENTIAL_COLUMNS` of a credential."""

    account_id: UUID
    id: UUID
    kind: str
    state: str
    epoch: int
    aal: int
    label: str
    root_id: UUID | None


class Difference(NamedTuple):
    """A row that is not as its Events tell. seq: of the last Event about it, 0 if there is none."""

    seq: int
    why: str


class _Said(NamedTuple):
    """What an Event said of something."""

    value: Any
    seq: int
    kind: str


@dataclass
class _Told:
    """A credential as its Events tell it. since: how often the account had ended or was reopened before its issue."""

    state: _Said
    since: int
    root: str
    label: str | None
    level: int | None
    held: bool = False


class Replay:
    """The rows of one account, told Event by Event."""

    def __init__(self, restored: Sequence[datetime]) -> None:
        self._restored = restored
        self._status: _Said | None = None
        self._epoch, self._turns = 1, 0
        self._epoch_at: datetime | None = None
        self._ial: _Said | None = None
        self._eligible = _Said(value=True, seq=0, kind="")
        self._credentials: dict[str, _Told] = {}

    def take(self, seq: int, kind: str, at: datetime, credential_id: UUID | None, body: Mapping[str, Any]) -> None:
        """Take the next Event."""
        if kind in _STATUS_AFTER:
            self._take_status(seq, kind, at, body)
        if kind in {"account.opened", "account.vouched"}:
            self._ial = _Said(body.get("ial", body.get("after")), seq, kind)
        elif kind in {"account.eligible", "account.ineligible"}:
            self._eligible = _Said(kind == "account.eligible", seq, kind)
        elif kind == "credential.issued":
            state = State.PENDING if body.get("root") else State.ACTIVE  # a derived one is active after its first use
            self._credentials[str(credential_id)] = _Told(
                _Said(state, seq, kind), self._turns, str(body.get("root") or ""), body.get("label"), body.get("aal")
            )
        elif kind == "credential.reparented":
            self._reparent(str(body.get("from")), str(body.get("to")), body.get("aal"))
        elif told := self._credentials.get(str(credential_id)):
            self._take_state(told, seq, kind, body)

    def _take_status(self, seq: int, kind: str, at: datetime, body: Mapping[str, Any]) -> None:
        after = _STATUS_AFTER[kind] if kind != "account.reopened" else body.get("status", AccountStatus.ACTIVE)
        if kind in {"account.opened", "account.terminated", "account.reopened"}:
            self._epoch, self._epoch_at = int(body.get("epoch", self._epoch)), at
            self._turns += kind != "account.opened"
        self._status = _Said(str(after), seq, kind)
        if kind == "account.terminated":
            for told in self._credentials.values():
                if told.state.value in LIVING:
                    told.state = _Said(State.REVOKED, seq, kind)

    @staticmethod
    def _take_state(told: _Told, seq: int, kind: str, body: Mapping[str, Any]) -> None:
        if kind == "credential.lowered":
            told.level = body.get("to", told.level)
        elif kind == "credential.lifted" and told.held:
            told.held = False
        elif kind in _STATE_AFTER:
            told.held = bool(body.get(_HELD))
            told.state = _Said(_STATE_AFTER[kind], seq, kind)

    def _reparent(self, before: str, after: str, ceiling: int | None) -> None:
        for told in self._credentials.values():
            if told.root == before and told.state.value in LIVING:
                told.root = after
                if told.level is not None and ceiling is not None:
                    told.level = min(told.level, ceiling)

    def differences(self, account: AccountRow, credentials: Iterable[CredentialRow]) -> Iterator[Difference]:
        """What the rows of the account and of its credentials say otherwise."""
        yield from self._of_account(account)
        missing = dict(self._credentials)
        for row in credentials:
            if row.kind == Kind.TOKEN_FAMILY:
                continue
            told = missing.pop(str(row.id), None)
            if told is None:
                yield Difference(0, f"credential {row.id} is in the database, and no event issued it")
            else:
                yield from self._of_credential(account, row, told)
        for name, told in missing.items():
            yield Difference(
                told.state.seq, f"credential {name} is gone, and event {told.state.seq} issued or moved it"
            )

    def _of_account(self, account: AccountRow) -> Iterator[Difference]:
        if self._status is None:
            if account.status != AccountStatus.TERMINATED:
                yield Difference(0, f"the account's status is {account.status}, and no event opened it")
            return
        if account.status != self._status.value:
            yield _differs("the account's status", account.status, self._status)
        if account.epoch not in self._epochs():
            yield Difference(
                self._status.seq, f"the account's epoch is {account.epoch}, and its events say {max(self._epochs())}"
            )
        if self._ial is not None and account.ial != self._ial.value:
            yield _differs("the account's IAL", account.ial, self._ial)
        if account.eligible != self._eligible.value:
            yield _differs("the account's eligibility", account.eligible, self._eligible)

    def _epochs(self) -> range:
        """The epochs that the account may have: each accepted restore after its last one has raised it.

        An Event of the same moment may stand on either side of the restore.
        """
        if self._epoch_at is None:
            return range(self._epoch, self._epoch + 1)
        after = sum(at > self._epoch_at for at in self._restored)
        since = sum(at >= self._epoch_at for at in self._restored)
        return range(self._epoch + after, self._epoch + since + 1)

    def _of_credential(self, account: AccountRow, row: CredentialRow, told: _Told) -> Iterator[Difference]:
        name = f"credential {row.id}"
        if row.state != told.state.value:
            yield _differs(f"the state of {name}", row.state, told.state)
        if (row.epoch == account.epoch) != (told.since == self._turns):
            yield Difference(
                told.state.seq, f"{name} is of epoch {row.epoch}, and its events say that the account ended since"
                if told.since != self._turns else f"{name} is of epoch {row.epoch}, and the account did not end since",
            )  # fmt: skip
        for what, present, said in (
            ("level", row.aal, told.level),
            ("label", row.label, told.label),
            ("root", str(row.root_id or ""), told.root),
        ):
            if said is not None and present != said:
                yield Difference(told.state.seq, f"the {what} of {name} is {present}, and its events say {said}")


def _differs(what: str, present: object, said: _Said) -> Difference:
    since = f"event {said.seq} ({said.kind}) says" if said.seq else "its events say"
    return Difference(said.seq, f"{what} is {present}, and {since} {said.value}")
