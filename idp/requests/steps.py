"""Where a request stands, step by step: the same picture for who asked, who decides and who audits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext, gettext_noop, ngettext

from derived.rules.assurance import AAL
from derived.rules.kinds import Kind, Label, policy_of
from derived.rules.requests import Approval, RequestState
from scim.access import same_human

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import Request
    from scim.models import Person

_PAST_APPROVAL = {RequestState.APPROVED, RequestState.COLLECTING, RequestState.ISSUED, RequestState.ACTIVE}
_COLLECTED = {RequestState.COLLECTING, RequestState.ISSUED, RequestState.ACTIVE}
NAMES = {
    RequestState.ASKED: gettext_noop("Asked"),
    RequestState.WAITING: gettext_noop("Waits for a decision"),
    RequestState.APPROVED: gettext_noop("Approved: ready to collect"),
    RequestState.COLLECTING: gettext_noop("Being collected"),
    RequestState.ISSUED: gettext_noop("Collected: not used yet"),
    RequestState.ACTIVE: gettext_noop("Active"),
    RequestState.REFUSED: gettext_noop("Refused"),
    RequestState.WITHDRAWN: gettext_noop("Withdrawn"),
    RequestState.EXPIRED: gettext_noop("Expired"),
    RequestState.LAPSED: gettext_noop("Ended: its conditions no longer hold"),
    RequestState.FAILED: gettext_noop("Failed"),
}
_NEEDS = {
    Approval.NONE: gettext_noop("No approval is needed"),
    Approval.ONE: gettext_noop("One approval is needed"),
    Approval.TWO: gettext_noop("Two people must approve"),
    Approval.SYSTEM: "A system must approve",
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step. state: done, now, later or ended. notes: who, and in which words. at: when; until: its deadline."""

    name: str
    state: str
    notes: tuple[str, ...] = ()
    at: datetime | None = None
    until: datetime | None = None


def steps(row: Request) -> list[Step]:
    """The steps of a request, the end of one that ended early included."""
    state = RequestState(row.state)
    found = [Step(name="Asked", state="done", notes=(f"By {who(row.requested_by)}",), at=row.created_at)]
    if state in _PAST_APPROVAL:
        found.append(Step(name="Approved", state="done", notes=_decisions(row), at=row.decided_at))
    elif state == RequestState.WAITING:
        notes = (f"{_NEEDS[Approval(row.approval)]}.", *_decisions(row))
        found.append(Step(name="Approval", state="now", notes=notes, until=row.expires_at))
    else:
        notes = (*_decisions(row), *((row.reason,) if row.reason and state != RequestState.REFUSED else ()))
        return [*found, Step(name=NAMES[state], state="ended", notes=notes, at=row.ended_at)]
    name, deadline = gettext_noop("Collected by its holder"), row.expires_at
    if state in _COLLECTED:
        found.append(Step(name=name, state="done", at=row.consumed_at))
    else:
        is_next = state == RequestState.APPROVED
        found.append(Step(name=name, state="now" if is_next else "later", until=deadline if is_next else None))
    if state == RequestState.ACTIVE:
        return [*found, Step(name=gettext_noop("First use"), state="done", at=row.ended_at)]
    is_next = state in {RequestState.COLLECTING, RequestState.ISSUED}
    return [
        *found,
        Step(name=gettext_noop("First use"), state="now" if is_next else "later", until=deadline if is_next else None),
    ]


def _decisions(row: Request) -> tuple[str, ...]:
    """One sentence for each decision, void ones too."""
    said = [gettext("By the rule %(rule)s.") % {"rule": row.rule}] if row.rule else []
    for one in row.decisions.select_related("account__person", "acting_for__person").order_by("at", "id"):
        verb = gettext("Approved by %(who)s") if one.approves else gettext("Refused by %(who)s")
        delegate = f" for {one.acting_for.person.display_name()}" if one.acting_for else ""
        words = f": {one.words}" if one.words else ""
        void = " (no longer counts)" if one.void_at else ""
        said.append(verb % {"who": who(one.by)} + f"{delegate}{void}{words}")
    return tuple(said) or ((gettext_noop("No approval was needed."),) if row.approval == Approval.NONE else ())


def who(actor: str) -> str:
    """The name of an actor, for people."""
    person: Person | None = same_human.of_actor(actor)
    return person.display_name() if person is not None else actor.replace(":", " ")


def title(row: Request) -> str:
    """What a request is about, in words."""
    label = ", derived PIV" if row.label == Label.DERIVED_PIV else ""
    high = ", AAL3" if row.aal == AAL.AAL3 and policy_of(Kind(row.kind)).in_person else ""
    return f"{gettext(policy_of(Kind(row.kind)).label)}{label}{high}"


def shown_terms(row: Request) -> list[tuple[str, list[str]]]:
    """The terms that an approver approves, every one, in words; they are those of `row.terms`."""
    terms = row.terms
    if not terms:
        return [(gettext_noop("Purpose"), [row.purpose])]
    device, root = terms["device"], terms["root"]
    managed = {True: "yes", False: "no", None: "not said"}[device["managed"]]
    subject = terms["subject"]
    return [
        (gettext_noop("For"), [f"{subject['name']} ({subject['login_name'] or 'no login name'})"]),
        (gettext_noop("Asked by"), [f"{who(terms['requested_by'])}, as {_role(terms['role'])}"]),
        (gettext_noop("Kind"), [gettext(policy_of(Kind(terms["kind"])).label)]),
        (gettext_noop("Label"), [terms["label"].replace("_", " ")]),
        (gettext_noop("Level"), [f"AAL{terms['level']['aal']}", *terms["level"]["why"]]),
        (gettext_noop("Form factor"), [terms["form_factor"]]),
        (gettext_noop("Device model"), [device["model"] or "any"]),
        (gettext_noop("Device serial number"), [device["serial"] or "any"]),
        (gettext_noop("Asset tag"), [device["asset_tag"] or "not said"]),
        (gettext_noop("Managed device"), [managed]),
        (gettext_noop("Purpose"), [terms["purpose"]]),
        (gettext_noop("Ticket"), [terms["ticket"] or "none"]),
        (gettext_noop("Until"), [terms["until"] or "as long as the rules allow", _lifetime(terms["lifetime_days"])]),
        (
            gettext_noop("Derived from"),
            [f"{root['name']}, AAL{root['aal']}" if root else "nothing yet: the person has no root"],
        ),
        (gettext_noop("Eligibility"), [_answer(one) for one in terms["eligibility"]]),
        (gettext_noop("Rules"), [f"SHA-256 {terms['policy']['sha256']}"]),
    ]


def _role(role: str) -> str:
    return {"self": "the holder", "supervisor": "their supervisor", "manager": "an identity manager"}.get(role, role)


def _lifetime(days: int | None) -> str:
    return (
        ngettext("%(days)s day at most", "%(days)s days at most", days) % {"days": days}
        if days
        else "as long as the account lives"
    )


def _answer(one: dict[str, object]) -> str:
    answer = one["answer"]
    value = ("yes" if answer else "no") if isinstance(answer, bool) else str(answer)
    sources = one["sources"]
    by = f", by {', '.join(sources)}" if isinstance(sources, list) and sources else ""
    return f"{one['question']}: {value}{by}"
