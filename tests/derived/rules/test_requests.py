"""The machine of a request: no sequence of moves reaches a credential without every needed approval (RQ-1, RQ-2)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derived.errors import Reason
from derived.rules.assurance import AAL
from derived.rules.kinds import Kind, Label
from derived.rules.requests import (
    ENDS,
    WAITING_LASTS,
    Approval,
    Move,
    RequestState,
    Standing,
    after,
    stricter,
    terms_hash,
)
from derived.rules.rulebook import ApprovalRules, AutomaticRule, KindRules, Rulebook, digest, in_words, read

NOW = datetime(2026, 12, 1, tzinfo=UTC)
PEOPLE = ("mona", "omar", "")
STEPS = st.lists(
    st.tuples(st.sampled_from(list(Move)), st.sampled_from(PEOPLE), st.integers(min_value=0, max_value=16)), max_size=12
)


@given(approval=st.sampled_from(list(Approval)), rule=st.sampled_from(["", "", "rule:staff"]), steps=STEPS)
def test_nothing_is_issued_without_approval(approval: Approval, rule: str, steps: list[tuple[Move, str, int]]) -> None:
    """Collecting and what follows takes all approvals, by different people, before any deadline; ends are final."""
    standing, now = Standing(approval=approval, by_rule=rule), NOW
    agreed: set[str] = set()
    for move, by, days in steps:
        now += timedelta(days=days)
        moved = after(standing, move, now=now, by=by)
        if standing.state in ENDS or standing.is_over(now=now):
            assert move == Move.EXPIRE or isinstance(moved, Reason)
        if isinstance(moved, Reason):
            continue
        assert standing.state not in ENDS
        if move == Move.APPROVE:
            assert by not in agreed
            agreed.add(by)
        if moved.state in {RequestState.COLLECTING, RequestState.ISSUED, RequestState.ACTIVE}:
            assert rule or len(agreed) >= approval.number
        standing = moved


def test_an_approver_counts_once() -> None:
    """WF-2: two approvals are two people."""
    waiting = after(Standing(approval=Approval.TWO), Move.ROUTE, now=NOW)
    assert isinstance(waiting, Standing)
    one = after(waiting, Move.APPROVE, now=NOW, by="mona")
    assert isinstance(one, Standing)
    assert one.state == RequestState.WAITING
    assert after(one, Move.APPROVE, now=NOW, by="mona") == Reason.ILLEGAL_MOVE
    two = after(one, Move.APPROVE, now=NOW, by="omar")
    assert isinstance(two, Standing)
    assert two.state == RequestState.APPROVED


def test_every_move_compares_the_time() -> None:
    """WF-14: after seven days nobody approves, whether or not anything has looked at the request."""
    waiting = after(Standing(approval=Approval.ONE), Move.ROUTE, now=NOW)
    assert isinstance(waiting, Standing)
    late = NOW + WAITING_LASTS
    assert after(waiting, Move.APPROVE, now=late, by="mona") == Reason.REQUEST_EXPIRED
    assert isinstance(after(waiting, Move.APPROVE, now=late - timedelta(seconds=1), by="mona"), Standing)


def test_an_approver_who_left_is_replaced() -> None:
    """WF-10: an approved request whose approval no longer counts is not collected."""
    approved = replace(Standing(approval=Approval.ONE), state=RequestState.APPROVED)
    assert after(approved, Move.COLLECT, now=NOW) == Reason.APPROVAL_NEEDED
    assert isinstance(after(replace(approved, approvers=frozenset({"mona"})), Move.COLLECT, now=NOW), Standing)


def test_stricter_approval_and_hash() -> None:
    assert stricter(Approval.ONE, Approval.TWO) == Approval.TWO
    assert stricter(Approval.SYSTEM, Approval.ONE) == Approval.SYSTEM
    assert terms_hash({"a": 1, "b": 2}) == terms_hash({"b": 2, "a": 1}) != terms_hash({"a": 1, "b": 3})


# --- the operator's rules ---------------------------------------------------------------------------------------------


def test_default_approvals() -> None:
    """Generic none, derived PIV one, a certificate at AAL3 two."""
    rules = Rulebook()
    assert rules.approval_of(Kind.DEVICE_KEY, Label.GENERIC, AAL.AAL2).approval == Approval.NONE
    assert rules.approval_of(Kind.DEVICE_KEY, Label.DERIVED_PIV, AAL.AAL2).approval == Approval.ONE
    assert rules.approval_of(Kind.CERTIFICATE, Label.DERIVED_PIV, AAL.AAL2).approval == Approval.ONE
    assert rules.approval_of(Kind.CERTIFICATE, Label.DERIVED_PIV, AAL.AAL3).approval == Approval.TWO
    assert "  Approval for derived piv at AAL3: the approvals of two people from manager." in in_words(rules)


def test_no_rule_approves_a_certificate_at_aal3() -> None:
    """WF-24: an automatic rule is not applied there, and the file that says so is refused."""
    staff = ApprovalRules(approval=Approval.ONE, automatic=(AutomaticRule(name="staff", group="hr/Staff"),))
    rules = Rulebook(terms={Kind.CERTIFICATE: KindRules(approvals={"derived_piv": staff})})
    assert rules.approval_of(Kind.CERTIFICATE, Label.DERIVED_PIV, AAL.AAL2).automatic
    assert not rules.approval_of(Kind.CERTIFICATE, Label.DERIVED_PIV, AAL.AAL3).automatic
    with pytest.raises(ValueError, match="never approved automatically"):
        read({"certificate": {"aal3": {"automatic": [{"name": "staff", "group": "hr/Staff"}]}}})


def test_approvals_are_read() -> None:
    rules = read(
        {
            "device_key": {
                "derived_piv": {
                    "approval": "two",
                    "approvers": ["supervisor", "group:hr/Approvers"],
                    "approving_group": "hr/Phones",
                    "automatic": [{"name": "staff", "root": "piv_card"}],
                }
            }
        }
    )
    found = rules.approval_of(Kind.DEVICE_KEY, Label.DERIVED_PIV, AAL.AAL2)
    assert (found.approval, found.approvers) == (Approval.TWO, ("supervisor", "group:hr/Approvers"))
    assert (found.approving_group, found.automatic[0].name) == ("hr/Phones", "staff")
    assert digest(rules, Kind.DEVICE_KEY) != digest(Rulebook(), Kind.DEVICE_KEY)
    assert digest(rules, Kind.CERTIFICATE) == digest(Rulebook(), Kind.CERTIFICATE)


WRONG = [
    {"approval": "three"}, {"approvers": []}, {"approvers": ["boss"]}, {"approvers": "manager"},
    {"automatic": [{"name": "x"}]}, {"automatic": [{"root": "piv_card"}]}, {"automatic": "x"}, {"who": "x"},
    {"approving_group": 1},
]  # fmt: skip


@pytest.mark.parametrize("rules", WRONG)
def test_wrong_approvals_are_refused(rules: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"device_key\.generic"):
        read({"device_key": {"generic": rules}})
