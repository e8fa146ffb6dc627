"""The states of a request for a credential, its moves, and the approvals that it needs: plain values, no clock.

    asked → waiting → approved → collecting → issued → active
    ends: refused, withdrawn, expired, lapsed, failed

Every move compares the time with the deadline of the present state, so a request expires without a worker. Nothing is
collected without every approval that is needed, and every approval is of the present terms (RQ-1, RQ-2).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from derived.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

WAITING_LASTS = timedelta(days=7)
COLLECTING_LASTS = timedelta(days=14)
FIRST_USE_WITHIN = timedelta(days=7)
REMINDERS = (timedelta(days=1), timedelta(days=3))  # after the last one the next group of approvers is asked too


class RequestState(StrEnum):
    """The state of a request."""

    ASKED = "asked"
    WAITING = "waiting"
    APPROVED = "approved"
    COLLECTING = "collecting"
    ISSUED = "issued"
    ACTIVE = "active"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    LAPSED = "lapsed"
    FAILED = "failed"


ENDS = frozenset(
    {
        RequestState.REFUSED,
        RequestState.WITHDRAWN,
        RequestState.EXPIRED,
        RequestState.LAPSED,
        RequestState.FAILED,
        RequestState.ACTIVE,
    }
)
OPEN = frozenset({RequestState.ASKED, RequestState.WAITING, RequestState.APPROVED})


class Approval(StrEnum):
    """The approval that a request needs: nobody's, one person's, two different people's, or a system's."""

    NONE = "none"
    ONE = "one"
    TWO = "two"
    SYSTEM = "system"

    @property
    def number(self) -> int:
        """The number of different approvers."""
        return {Approval.NONE: 0, Approval.ONE: 1, Approval.TWO: 2, Approval.SYSTEM: 1}[self]


class Move(StrEnum):
    """A move of a request. RETURN: an approved one waits again, because an approver no longer counts."""

    ROUTE = "route"
    APPROVE = "approve"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    RETURN = "return"
    COLLECT = "collect"
    ISSUE = "issue"
    ACTIVATE = "activate"
    LAPSE = "lapse"
    EXPIRE = "expire"
    FAIL = "fail"


_FROM: dict[Move, frozenset[RequestState]] = {
    Move.ROUTE: frozenset({RequestState.ASKED}),
    Move.APPROVE: frozenset({RequestState.WAITING}),
    Move.REFUSE: frozenset({RequestState.WAITING}),
    Move.WITHDRAW: OPEN,
    Move.RETURN: frozenset({RequestState.APPROVED}),
    Move.COLLECT: frozenset({RequestState.APPROVED}),
    Move.ISSUE: frozenset({RequestState.COLLECTING}),
    Move.ACTIVATE: frozenset({RequestState.ISSUED}),
    Move.LAPSE: OPEN,
    Move.EXPIRE: OPEN | {RequestState.ISSUED},
    Move.FAIL: frozenset({RequestState.COLLECTING, RequestState.ISSUED}),
}
_TO: dict[Move, RequestState] = {
    Move.REFUSE: RequestState.REFUSED,
    Move.WITHDRAW: RequestState.WITHDRAWN,
    Move.RETURN: RequestState.WAITING,
    Move.COLLECT: RequestState.COLLECTING,
    Move.ISSUE: RequestState.ISSUED,
    Move.ACTIVATE: RequestState.ACTIVE,
    Move.LAPSE: RequestState.LAPSED,
    Move.EXPIRE: RequestState.EXPIRED,
    Move.FAIL: RequestState.FAILED,
}
_LASTS: dict[RequestState, timedelta] = {
    RequestState.WAITING: WAITING_LASTS,
    RequestState.APPROVED: COLLECTING_LASTS,
    RequestState.ISSUED: FIRST_USE_WITHIN,
}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The present standing of a request.

    approval: as needed by the rules of now. by_rule: the automatic rule that approved it, or "". approvers: those whose
    approvals of the present terms count. deadline: of the present state; None for none.
    """

    state: RequestState = RequestState.ASKED
    approval: Approval = Approval.ONE
    by_rule: str = ""
    approvers: frozenset[str] = frozenset()
    deadline: datetime | None = None

    @property
    def is_agreed(self) -> bool:
        """True if every needed approval is there."""
        return bool(self.by_rule) or len(self.approvers) >= self.approval.number

    def is_over(self, *, now: datetime) -> bool:
        """True if the deadline of the present state has passed."""
        return self.state in _FROM[Move.EXPIRE] and self.deadline is not None and now >= self.deadline


def after(standing: Standing, move: Move, *, now: datetime, by: str = "") -> Standing | Reason:
    """The standing after a move, or the reason why there is none.

    by: the approver of APPROVE. An approver counts once, whatever they press.
    """
    if standing.is_over(now=now) and move != Move.EXPIRE:
        return Reason.REQUEST_EXPIRED
    if standing.state not in _FROM[move] or (move == Move.EXPIRE and not standing.is_over(now=now)):
        return Reason.ILLEGAL_MOVE
    if move == Move.APPROVE:
        if not by or by in standing.approvers:
            return Reason.ILLEGAL_MOVE
        standing = replace(standing, approvers=standing.approvers | {by})
        return _at(standing, RequestState.APPROVED, now=now) if standing.is_agreed else standing
    if move == Move.ROUTE:
        return _at(standing, RequestState.APPROVED if standing.is_agreed else RequestState.WAITING, now=now)
    if move == Move.COLLECT and not standing.is_agreed:
        return Reason.APPROVAL_NEEDED
    return _at(standing, _TO[move], now=now)


def _at(standing: Standing, state: RequestState, *, now: datetime) -> Standing:
    life = _LASTS.get(state)
    return replace(standing, state=state, deadline=None if life is None else now + life)


def stricter(one: Approval, other: Approval) -> Approval:
    """The approval that asks more; a system's is not replaced by a person's."""
    order = (Approval.NONE, Approval.ONE, Approval.SYSTEM, Approval.TWO)
    return max(one, other, key=order.index)


def terms_hash(terms: Mapping[str, object]) -> str:
    """SHA-256 over the terms as canonical JSON, in hex: an approval holds for this value only."""
    text = json.dumps(terms, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
