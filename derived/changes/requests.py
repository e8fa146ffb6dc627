"""The request for a credential: ask, decide, withdraw, collect, lapse, expire; each move is one Event.

The caller holds the locks of the subject, the requester and the approvers. Who may decide, and whether two people are
one human being, is known above (`scim.access.approving`); here stand the states, the deadlines, the terms and the
number of approvals (`derived.rules.requests`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from django.db import IntegrityError, transaction
from django.db.models import Q

from derived.errors import Reason, Refused
from derived.ledger import audit, outbox
from derived.ledger.locking import under_lock, under_locks
from derived.ledger.single_use import claim_once
from derived.models import Account, Request, RequestDecision
from derived.rules import requests as rules
from derived.rules.kinds import Label
from derived.rules.requests import OPEN, Approval, Move, RequestState, Standing, terms_hash

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet

    from derived.models import Credential
    from derived.rules.kinds import Kind
    from derived.rules.rulebook import ApprovalRules, DeviceFacts

T = TypeVar("T")
LEAST_WORDS, MOST_WORDS = 4, 300
_PERSONAL = frozenset({"purpose", "ticket", "words"})


@dataclass(frozen=True, kw_only=True)
class Asking:
    """A new request. fields: columns of `Request`. terms: everything that approvers are shown.

    rules: the approval that it needs. by_rule: the automatic rule that approves it, with a hash, or "".
    """

    fields: dict[str, Any]
    terms: dict[str, Any]
    rules: ApprovalRules
    policy_hash: str
    by_rule: str = ""


@dataclass(frozen=True, kw_only=True)
class Deciding:
    """One decision. by: the actor. account: of the person, locked. shown: the hash of the terms that they were shown.

    terms: as they are now. approval: as the rules of now ask.
    """

    by: str
    role: str
    approves: bool
    words: str
    shown: str
    terms: dict[str, Any]
    approval: Approval
    account: Account | None = None
    acting_for: Account | None = None


def standing_of(row: Request) -> Standing:
    """The standing of a request: approvals of other terms, and of approvers who left, do not count."""
    counted = row.decisions.filter(approves=True, void_at__isnull=True, terms_hash=row.terms_hash)
    return Standing(
        state=RequestState(row.state),
        approval=Approval(row.approval),
        by_rule=row.rule,
        approvers=frozenset(counted.values_list("by", flat=True)),
        deadline=row.expires_at,
    )


def under_locks_of(request_id: UUID, work: Callable[[Request], T], *, also: tuple[UUID, ...] = ()) -> T:
    """Run `work(request)` with the accounts of its subject, requester and approvers locked; also: further accounts.

    Raises: Refused(ILLEGAL_MOVE) if there is no such request; as `locking.under_locks`.
    """
    found = Request.objects.filter(id=request_id).first()
    if found is None:
        raise Refused(Reason.ILLEGAL_MOVE)
    return under_locks({*_involved(found), *also}, lambda _: work(_fresh(request_id)))


def under_locks_to_collect(account_id: UUID, kind: Kind, work: Callable[[Account], T]) -> T:
    """As `locking.under_lock`, with the approvers of the open request of this kind locked too."""
    row = Request.objects.filter(account=account_id, kind=kind, about="", state__in=OPEN).first()
    if row is None:
        return under_lock(account_id, work)
    return under_locks({account_id, *_involved(row)}, lambda locked: work(locked[account_id]))


def _involved(row: Request) -> set[UUID]:
    people = row.decisions.filter(void_at__isnull=True).values_list("account", "acting_for")
    return {one for one in (row.account_id, row.requester_id, *(each for pair in people for each in pair)) if one}


def _fresh(request_id: UUID) -> Request:
    return Request.objects.select_related("account", "requester", "credential").get(id=request_id)


def ask(account: Account, asking: Asking, *, now: datetime) -> Request:
    """Record a request and route it: it is approved at once if no approval is needed or a rule gives it, else waits.

    Raises: Refused(ACCOUNT_NOT_ACTIVE), Refused(NOT_ELIGIBLE); Refused(ILLEGAL_MOVE) if one of its kind is open, or
    the purpose says nothing.
    """
    if not account.is_active:
        raise Refused(Reason.ACCOUNT_NOT_ACTIVE)
    if not account.eligible:
        raise Refused(Reason.NOT_ELIGIBLE)
    for stale in account.requests.filter(kind=asking.fields["kind"], state__in=OPEN):
        end_if_over(stale, now=now)
    standing = Standing(approval=asking.rules.approval, by_rule=asking.by_rule)
    routed = rules.after(standing, Move.ROUTE, now=now)
    if isinstance(routed, Reason):
        raise Refused(routed)
    row = Request(
        account=account,
        epoch=account.epoch,
        state=routed.state,
        terms=asking.terms,
        terms_hash=terms_hash(asking.terms),
        policy_hash=asking.policy_hash,
        approval=asking.rules.approval,
        approvers=list(asking.rules.approvers),
        rule=asking.by_rule,
        created_at=now,
        expires_at=routed.deadline,
        decided_at=now if routed.state == RequestState.APPROVED else None,
        **asking.fields,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise Refused(Reason.ILLEGAL_MOVE) from None
    about = {name: getattr(row, name) for name in ("label", "approval", "role", "channel", "purpose", "ticket")}
    _event(row, "request.asked", now=now, actor=row.requested_by, of=row.kind, terms=row.terms_hash, **about)
    if row.state == RequestState.APPROVED:
        _event(row, "request.approved", now=now, actor="rule", rule=row.rule or "no approval is needed")
    _tell(row, "asked" if row.state == RequestState.WAITING else "approved", now=now)
    return row


def decide(row: Request, deciding: Deciding, *, now: datetime) -> Request:
    """Record an approval or a refusal, of the terms that were shown.

    Raises: Refused(TERMS_CHANGED) if the terms are others by now, and keeps the present ones;
    Refused(REQUEST_EXPIRED), Refused(ILLEGAL_MOVE), Refused(BAD_PROOF) for a refusal without words;
    Refused(NOT_ELIGIBLE), and the request lapses.
    """
    if standing_of(row).is_over(now=now):
        _refuse(row, Reason.REQUEST_EXPIRED, now=now)
    words = deciding.words.strip()
    if len(words) > MOST_WORDS or not words.isprintable() or (not deciding.approves and len(words) < LEAST_WORDS):
        raise Refused(Reason.BAD_PROOF)
    _require_subject(row, now=now)
    if deciding.approves:
        _require_same_terms(row, deciding, now=now)
    move = Move.APPROVE if deciding.approves else Move.REFUSE
    moved = rules.after(standing_of(row), move, now=now, by=deciding.by)
    if isinstance(moved, Reason):
        _refuse(row, moved, now=now)
    try:
        with transaction.atomic():
            row.decisions.create(
                by=deciding.by,
                account=deciding.account,
                epoch=deciding.account.epoch if deciding.account else 0,
                role=deciding.role,
                acting_for=deciding.acting_for,
                approves=deciding.approves,
                words=words,
                terms_hash=row.terms_hash,
                at=now,
            )
    except IntegrityError:
        raise Refused(Reason.ILLEGAL_MOVE) from None
    _move(row, moved, now=now, reason="" if deciding.approves else words)
    kind = "request.approved" if deciding.approves else "request.refused"
    facts = {"terms": row.terms_hash, "role": deciding.role, "state": row.state, "words": words}
    _event(row, kind, now=now, actor=deciding.by, **facts)
    if row.state != RequestState.WAITING:
        _tell(row, row.state, now=now)
    return row


def approve_by_rule(row: Request, rule: str, *, now: datetime) -> None:
    """Approve a waiting request by an automatic rule, whose name and hash the record keeps.

    Raises: Refused(ILLEGAL_MOVE), Refused(REQUEST_EXPIRED), Refused(NOT_ELIGIBLE).
    """
    _require_subject(row, now=now)
    row.rule = rule
    _make(row, Move.APPROVE, now=now, by=rule)
    row.save(update_fields=["rule"])
    _event(row, "request.approved", now=now, actor="rule", rule=rule, terms=row.terms_hash)
    _tell(row, row.state, now=now)


def _require_same_terms(row: Request, deciding: Deciding, *, now: datetime) -> None:
    """Require that the terms of now are those that the approver was shown, and keep those of now otherwise.

    Raises: Refused(TERMS_CHANGED).
    """
    present = terms_hash(deciding.terms)
    approval = rules.stricter(Approval(row.approval), deciding.approval)
    if present != row.terms_hash or approval != row.approval:
        row.terms, row.terms_hash, row.approval = deciding.terms, present, approval
        row.save(update_fields=["terms", "terms_hash", "approval"])
        row.decisions.filter(void_at__isnull=True).exclude(terms_hash=present).update(void_at=now)
        _event(row, "request.changed", now=now, actor="system", terms=present, approval=approval.value)
        raise Refused(Reason.TERMS_CHANGED, spends=True)
    if deciding.shown != present:
        raise Refused(Reason.TERMS_CHANGED)


def _require_subject(row: Request, *, now: datetime) -> None:
    """Require that the subject may still have it: else the request lapses (EL-4).

    Raises: Refused(ILLEGAL_MOVE), Refused(NOT_ELIGIBLE).
    """
    account = row.account
    if row.state in OPEN and not (account.is_active and account.eligible and row.epoch == account.epoch):
        why = Reason.NOT_ELIGIBLE if account.is_active and not account.eligible else Reason.ACCOUNT_NOT_ACTIVE
        lapse(row, why, now=now)
        raise Refused(why, spends=True)


def withdraw(row: Request, *, by: str, now: datetime) -> Request:
    """Withdraw a request before it is collected; whether `by` may is checked above.

    Raises: Refused(ILLEGAL_MOVE), Refused(REQUEST_EXPIRED).
    """
    _make(row, Move.WITHDRAW, now=now)
    _event(row, "request.withdrawn", now=now, actor=by)
    _tell_worker(row, now=now)
    return row


def lapse(row: Request, because: Reason, *, now: datetime) -> None:
    """End an open request whose ground is gone: epoch, eligibility, policy, the requester's authority."""
    _make(row, Move.LAPSE, now=now, reason=because.value)
    _event(row, "request.lapsed", now=now, actor="system", because=because.value)
    _tell(row, "lapsed", now=now)


def end_if_over(row: Request, *, now: datetime) -> None:
    """End a request whose deadline has passed, or whose account began anew, where it is looked at."""
    if row.state in OPEN and row.epoch != row.account.epoch:
        lapse(row, Reason.ACCOUNT_NOT_ACTIVE, now=now)
    elif standing_of(row).is_over(now=now):
        _make(row, Move.EXPIRE, now=now)
        _event(row, "request.expired", now=now, actor="system")
        _tell(row, "expired", now=now)


def escalate(row: Request, *, now: datetime) -> str | None:
    """Send the reminders that are due, each once; after the last one the next group of approvers is asked too.

    Returns reminded, escalated, or None if nothing was due.
    """
    age = now - row.created_at
    due = sum(age >= after for after in rules.REMINDERS)
    if row.state != RequestState.WAITING or row.reminded >= due or standing_of(row).is_over(now=now):
        return None
    row.reminded = due
    if due < len(rules.REMINDERS):
        row.save(update_fields=["reminded"])
        _tell_worker(row, now=now)
        return "reminded"
    row.stage += 1
    row.save(update_fields=["reminded", "stage"])
    _event(row, "request.escalated", now=now, actor="worker", stage=row.stage)
    _tell_worker(row, now=now)
    return "escalated"


# --- the collection, from `issue.derive` -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Collecting:
    """What is about to be issued. found: the computed label. counts: whether a decision still counts; None: none does.

    rules: the approval that the rules of now ask for the label and level. stands: whether its requester may still ask.
    by_rule: whether the rules of now issue it without anybody's approval.
    """

    label: Label
    device: DeviceFacts
    root: Credential
    rules: ApprovalRules
    counts: Callable[[RequestDecision], bool] | None
    by_rule: bool = False
    stands: Callable[[Request], bool] | None


def open_request(account: Account, kind: Kind, *, now: datetime) -> Request | None:
    """The approved request of this kind that waits for its subject to collect; None if there is none."""
    row = account.requests.filter(kind=kind, about="", state=RequestState.APPROVED, epoch=account.epoch).first()
    if row is None:
        return None
    row.account = account
    return row if not standing_of(row).is_over(now=now) else None


def require_collectable(row: Request, collecting: Collecting, *, now: datetime) -> None:
    """Check an approved request again, under the lock: approvers, terms, device, and the approvals that are asked now.

    Raises: Refused(NOT_ELIGIBLE), Refused(NOT_ENTITLED), and the request lapses; Refused(APPROVER_GONE), and it waits
    again; Refused(OTHER_TERMS), Refused(DEVICE_NOT_APPROVED) for something else than was approved.
    """
    root = (row.terms.get("root") or {}).get("id", str(collecting.root.id))
    if (row.label == Label.DERIVED_PIV and collecting.label != row.label) or root != str(collecting.root.id):
        raise Refused(Reason.OTHER_TERMS)
    wanted = ((row.device_model, collecting.device.model), (row.device_serial, collecting.device.serial))
    if any(asked and asked != proven for asked, proven in wanted):
        raise Refused(Reason.DEVICE_NOT_APPROVED)
    _require_subject(row, now=now)
    if collecting.stands is None or not collecting.stands(row):
        lapse(row, Reason.NOT_ENTITLED, now=now)
        raise Refused(Reason.NOT_ENTITLED, spends=True)
    gone = [
        one.id
        for one in row.decisions.filter(approves=True, void_at__isnull=True)
        if collecting.counts is None or not collecting.counts(one)
    ]
    row.decisions.filter(id__in=gone).update(void_at=now)
    if row.rule and not collecting.by_rule:  # the rule is gone, or does not hold of the subject any more
        row.rule = ""
        row.save(update_fields=["rule"])
    approval = collecting.rules.approval if not row.rule else Approval.NONE
    row.approval = rules.stricter(Approval(row.approval), approval)
    if not standing_of(row).is_agreed:
        _return(row, now=now)
        raise Refused(Reason.APPROVER_GONE if gone else Reason.APPROVAL_NEEDED, spends=True)


def _return(row: Request, *, now: datetime) -> None:
    """Let an approved request wait again."""
    moved = rules.after(standing_of(row), Move.RETURN, now=now)
    if isinstance(moved, Reason):
        _refuse(row, moved, now=now)
    row.approval = str(moved.approval)
    row.save(update_fields=["approval"])
    _move(row, moved, now=now)
    _event(row, "request.returned", now=now, actor="system", approval=row.approval)
    _tell(row, "returned", now=now)


def collect(row: Request, *, now: datetime) -> None:
    """Claim an approved request, for exactly one collection.

    Raises: Refused(ALREADY_SPENT), Refused(REQUEST_EXPIRED).
    """
    rows = Request.objects.filter(id=row.id, state=RequestState.APPROVED)
    if not claim_once(rows, now=now):
        raise Refused(Reason.ALREADY_SPENT)
    row.consumed_at = now
    _make(row, Move.COLLECT, now=now)


def issued(row: Request, credential: Credential, *, released: bool, actor: str, now: datetime) -> None:
    """Record what was issued; released: whether it is with its holder already (a certificate is signed later)."""
    row.credential = credential
    row.save(update_fields=["credential"])
    if released:
        _make(row, Move.ISSUE, now=now)
    facts = {"terms": row.terms_hash, "label": credential.label, "aal": credential.aal}
    _event(row, "request.collected", now=now, actor=actor, **facts)
    _tell_worker(row, now=now)
    _tell_requester(row, now=now)


def released(credential: Credential, *, now: datetime) -> None:
    """Move the request of a certificate that was released, and is active at once."""
    row = _of(credential, RequestState.COLLECTING)
    if row is not None:
        _make(row, Move.ISSUE, now=now)
        _make(row, Move.ACTIVATE, now=now)


def activated(credential: Credential, *, now: datetime) -> None:
    """Move the request of a credential that is used for the first time.

    Raises: Refused(REQUEST_EXPIRED) after the last day for it.
    """
    row = _of(credential, RequestState.ISSUED)
    if row is not None:
        _make(row, Move.ACTIVATE, now=now)


def failed(credential: Credential, *, account: Account, now: datetime, actor: str) -> None:
    """End the request of a credential that ended before its first use; account: as the caller holds it."""
    row = _of(credential, RequestState.COLLECTING, RequestState.ISSUED)
    if row is not None:
        row.account = account  # whose head the caller's next Event continues
        _make(row, Move.FAIL, now=now)
        _event(row, "request.failed", now=now, actor=actor)


def _of(credential: Credential, *states: RequestState) -> Request | None:
    return Request.objects.filter(credential=credential, state__in=states).select_related("account").first()


# --- the writing of a move --------------------------------------------------------------------------------------------


def _make(row: Request, move: Move, *, now: datetime, reason: str = "", by: str = "") -> None:
    moved = rules.after(standing_of(row), move, now=now, by=by)
    if isinstance(moved, Reason):
        _refuse(row, moved, now=now)
    _move(row, moved, now=now, reason=reason)


def _refuse(row: Request, reason: Reason, *, now: datetime) -> NoReturn:
    """Refuse a move; an expired request is written down as such.

    Raises: Refused.
    """
    if reason == Reason.REQUEST_EXPIRED:
        end_if_over(row, now=now)
        raise Refused(reason, spends=True)
    raise Refused(reason)


def _move(row: Request, moved: Standing, *, now: datetime, reason: str = "") -> None:
    """Write the state if the row still has the one that the move began in.

    Raises: Refused(ILLEGAL_MOVE).
    """
    values: dict[str, Any] = {"state": moved.state, "expires_at": moved.deadline}
    if reason:
        values["reason"] = reason[:MOST_WORDS]
    if moved.state in {RequestState.APPROVED, RequestState.REFUSED}:
        values["decided_at"] = now
    if moved.state in rules.ENDS:
        values["ended_at"] = now
    if Request.objects.filter(id=row.id, state=row.state).update(**values) != 1:
        raise Refused(Reason.ILLEGAL_MOVE)
    for name, value in values.items():
        setattr(row, name, value)


def _event(row: Request, kind: str, *, now: datetime, actor: str, **facts: object) -> None:
    """Write the Event of a move; facts of `_PERSONAL` enter the chain as commitments only."""
    personal = {name: str(facts.pop(name)) for name in _PERSONAL & facts.keys()}
    body = {"request": str(row.id), "asked_by": row.requested_by, **facts}
    said = {name: value for name, value in personal.items() if value}
    audit.record(row.account, kind, now=now, actor=actor, body=body, personal=said, credential=row.credential)


def _tell(row: Request, state: str, *, now: datetime) -> None:
    """Notify the subject and the requester of the new state; the worker tells approvers and systems (NT-1)."""
    _mail(row, row.account, state, now=now)
    if state != "asked":
        _tell_requester(row, now=now, state=state)
    _tell_worker(row, now=now)


def _tell_requester(row: Request, *, now: datetime, state: str = "collected") -> None:
    if row.requester is not None and row.requester_id != row.account_id:
        _mail(row, row.requester, state, now=now)


def _mail(row: Request, account: Account, state: str, *, now: datetime) -> None:
    payload = {"request": str(row.id), "state": state}
    outbox.enqueue(kind="request.changed", receiver=f"mail:{account.id}", account=account, payload=payload, now=now)


def _tell_worker(row: Request, *, now: datetime) -> None:
    """Let the worker find the approvers and the systems that are to be told of the present state."""
    payload = {"request": str(row.id), "state": row.state, "stage": row.stage, "reminded": row.reminded}
    receiver = f"worker:{row.account_id}"
    outbox.enqueue(kind="request.moved", receiver=receiver, account=row.account, payload=payload, now=now)


def erase_personal(account: Account) -> int:
    """Erase the personal details of a person's requests that are over; their hashes stay. Returns the number.

    The caller erases the details of the Events, which hold commitments to them.
    """
    rows = list(account.requests.exclude(state__in=[*OPEN, RequestState.COLLECTING]))
    for row in rows:
        if row.terms:
            device = {**row.terms.get("device", {}), "model": "", "serial": "", "asset_tag": ""}
            subject = {**row.terms.get("subject", {}), "name": "", "login_name": ""}
            row.terms = {**row.terms, "subject": subject, "device": device, "purpose": "", "ticket": ""}
        row.purpose = row.ticket = row.reason = row.device_name = row.device_serial = row.device_model = ""
        row.asset_tag = ""
        row.save()
        row.decisions.update(words="")
    return len(rows)


def waiting() -> QuerySet[Request]:
    """The requests that wait for a decision, the oldest first."""
    return Request.objects.filter(state=RequestState.WAITING).order_by("created_at", "id")


def due(*, now: datetime) -> QuerySet[Request]:
    """The requests at which the worker has something to do: a deadline, a reminder, an escalation."""
    over = Q(expires_at__lte=now, state__in=[*OPEN, RequestState.ISSUED])
    reminders = Q()
    for number, after in enumerate(rules.REMINDERS, start=1):
        reminders |= Q(state=RequestState.WAITING, reminded__lt=number, created_at__lte=now - after)
    return Request.objects.filter(over | reminders).order_by("created_at", "id")
