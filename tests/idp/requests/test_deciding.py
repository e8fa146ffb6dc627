"""Requests: who asks, who decides, what an approval holds for, and what is checked again at the collection."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine

from derived import clock
from derived.changes import identity_checks, issue, requests
from derived.changes.identity_checks import Biometric, Presence
from derived.errors import Reason, Refused
from derived.ledger.locking import under_lock
from derived.models import Account, Credential, Request
from derived.rules.assurance import AAL, Authentication, Factor, VerifiedFactors
from derived.rules.eligibility import BoundVia
from derived.rules.kinds import Kind
from derived.rules.requests import Approval
from derived.rules.rulebook import ApprovalRules, ApprovedDevices, AutomaticRule, DeviceFacts, KindRules, Rulebook
from idp.keys import wrapper
from idp.requests import ticks
from scim.access import approving, roles
from scim.models import Group, Match, MatchState, Membership, Record, Role, RoleName
from tests.fixtures.fresh_proofs import PROOFS, card
from tests.fixtures.requesting import (
    ALEX,
    MONA,
    OMAR,
    SAM,
    approval,
    ask,
    collect,
    decide,
    kinds,
    person,
    state,
    with_root,
)
from tests.fixtures.roles import appoint
from tests.fixtures.scim_client import ENTERPRISE

if TYPE_CHECKING:
    from collections.abc import Callable

    from derived.minting.proven import VerifiedProof
    from tests.fixtures.world import World

pytestmark = pytest.mark.database


@pytest.fixture
def people(world: World) -> World:
    """Alex, with a root; two managers; Sam, who is nobody's."""
    for name in (ALEX, MONA, OMAR, SAM):
        world.push(name)
    for name in (MONA, OMAR):
        appoint(name, RoleName.MANAGER)
    with_root()
    return world


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> Callable[[Rulebook], None]:
    def set_rules(found: Rulebook) -> None:
        monkeypatch.setattr("idp.policies.issuance.rules", lambda: found)

    return set_rules


@pytest.fixture
def one(people: World, rules: Callable[[Rulebook], None]) -> World:
    rules(approval("one"))
    return people


def refused(work: Callable[[], Any]) -> Reason:
    with pytest.raises(Refused) as found:
        work()
    return found.value.reason


def test_from_asking_to_the_first_use(one: World) -> None:
    """WF-1: with a policy of one approval nothing is issued until somebody has approved; then it is, once."""
    row = ask()
    assert state(row) == "waiting"
    assert refused(collect) == Reason.APPROVAL_NEEDED
    decide(row, MONA)
    made = collect()
    row.refresh_from_db()
    assert (row.state, row.credential_id, row.login_aal) == ("issued", made.id, 0)
    assert kinds(row) == ["request.asked", "request.approved", "request.collected", "credential.issued"]
    approved = row.account.events.get(kind="request.approved")
    assert (approved.actor, approved.body["asked_by"]) == (f"person:{person(MONA).id}", f"person:{person().id}")
    assert refused(collect) == Reason.APPROVAL_NEEDED
    assert Credential.objects.filter(account=row.account, root__isnull=False).count() == 1


def test_policy_of_nobody_needs_no_request(people: World, rules: Callable[[Rulebook], None]) -> None:
    """The default for generic credentials: issued at once, and recorded as a request without an approval."""
    rules(Rulebook())
    made = collect()
    row = Request.objects.get(credential=made)
    assert (row.state, row.approval) == ("issued", "none")


def test_two_approvals_are_two_people(people: World, rules: Callable[[Rulebook], None]) -> None:
    """WF-2: the same manager twice is one approval."""
    rules(approval("two"))
    row = ask()
    decide(row, MONA)
    assert refused(lambda: decide(row, MONA)) == Reason.ILLEGAL_MOVE
    assert state(row) == "waiting"
    assert refused(collect) == Reason.APPROVAL_NEEDED
    decide(row, OMAR)
    assert state(row) == "approved"
    assert collect()


def test_two_approvers_who_turn_out_one_human_being(people: World, rules: Callable[[Rulebook], None]) -> None:
    """WF-2, WF-4: an address in common that a source sends after both approvals."""
    rules(approval("two"))
    row = ask()
    decide(row, MONA)
    decide(row, OMAR)
    assert state(row) == "approved"
    people.patch(OMAR, {"emails": [{"value": MONA, "primary": True}]})
    assert refused(collect) == Reason.APPROVER_GONE
    assert state(row) == "waiting"


def test_rule_that_does_not_hold_any_more(people: World, rules: Callable[[Rulebook], None]) -> None:
    """WF-17: the automatic rule that approved a request is gone when its subject collects."""
    automatic = (AutomaticRule(name="staff", root="password_totp"),)
    rules(approval("one", automatic=automatic))
    row = ask()
    assert (row.state, row.rule.partition("@")[0]) == ("approved", "rule:staff")
    rules(approval("one"))
    assert refused(collect) == Reason.APPROVAL_NEEDED
    assert state(row) == "waiting"


def renewed(old: Credential) -> Credential:
    """A device renews its own credential with a new key."""
    now = clock.now()
    assert old.root is not None
    login = Authentication(
        factors=frozenset({Factor.PASSWORD, Factor.TOTP}), aal=AAL.AAL2, root=True, at=now, by=str(old.root_id)
    )
    asked = issue.IssuanceRequest(login=login, root=old.root, name="Phone", person=ALEX)
    made = PROOFS[Kind.DEVICE_KEY]()
    return under_lock(old.account_id, lambda account: issue.renew_derived(account, old, made, asked, now=now))


def test_no_renewal_outlives_the_approved_end(one: World) -> None:
    """MT-2: a credential that was approved until a day is renewed until that day at most."""
    until = clock.now().date() + timedelta(days=20)
    decide(ask(until=until.isoformat()), MONA)
    made = collect()
    under_lock(made.account_id, lambda account: issue.activate(made, account=account, now=clock.now(), actor="person"))
    request = Request.objects.get(credential=made)
    with time_machine.travel(clock.now() + timedelta(days=15), tick=False):
        new = renewed(made)
        assert new.expires_at is not None
        assert new.expires_at.date() <= until
        assert Request.objects.get(credential=new).lasts_until == request.lasts_until


def test_requester_does_not_approve(one: World) -> None:
    """WF-3, RQ-3: a manager who asked for Alex does not approve it; another one does."""
    row = ask(by=MONA)
    assert row.role == "manager"
    assert refused(lambda: decide(row, MONA)) == Reason.ILLEGAL_MOVE
    assert decide(row, OMAR).state == "approved"


def test_strangers_neither_ask_for_others_nor_decide(one: World) -> None:
    """RQ-2: Sam is neither Alex's supervisor nor a manager."""
    assert refused(lambda: ask(by=SAM)) == Reason.NOT_ENTITLED
    row = ask()
    assert refused(lambda: decide(row, SAM)) == Reason.NOT_AN_APPROVER


def test_shared_address_is_one_human(one: World) -> None:
    """WF-4: two records with one address do not approve for each other."""
    row = ask()
    shared = [{"value": "us@example.org", "primary": True}, {"value": "second@example.org"}]
    one.patch(ALEX, {"emails": shared})
    one.patch(MONA, {"emails": shared})
    assert refused(lambda: decide(row, MONA)) == Reason.ILLEGAL_MOVE


def test_join_after_asking(one: World) -> None:
    """WF-5: the requester's record is matched with the approver after the request, or after the approval."""
    row = ask(by=OMAR)
    Match.objects.create(
        record=Record.objects.get(person=person(OMAR)),
        person=person(MONA),
        attribute="",
        state=MatchState.WAITING,
        created_at=clock.now(),
    )
    assert refused(lambda: decide(row, MONA)) == Reason.ILLEGAL_MOVE
    Match.objects.all().delete()
    decide(row, MONA)
    Match.objects.create(
        record=Record.objects.get(person=person(ALEX)),
        person=person(MONA),
        attribute="",
        state=MatchState.WAITING,
        created_at=clock.now(),
    )
    assert refused(collect) == Reason.APPROVER_GONE
    assert state(row) == "waiting"


def test_delegates(one: World) -> None:
    """WF-6: the delegate of the subject does not decide for them; a delegation is of one role, and 30 days at most."""
    appoint(SAM, RoleName.MANAGER)
    late = clock.now() + timedelta(days=31)
    assert refused(lambda: approving.delegate(person(MONA), person(OMAR), until=late, now=clock.now())) == (
        Reason.ILLEGAL_MOVE
    )
    assert refused(
        lambda: approving.delegate(person(MONA), person(ALEX), until=late - timedelta(days=2), now=clock.now())
    ) == (Reason.NOT_ENTITLED)
    approving.delegate(person(SAM), person(MONA), until=late - timedelta(days=2), now=clock.now())
    with_root(SAM)
    row = ask(SAM)
    assert refused(lambda: decide(row, MONA)) == Reason.ILLEGAL_MOVE
    assert decide(row, OMAR).state == "approved"


def test_delegate_of_a_supervisor_decides_for_them(people: World, rules: Callable[[Rulebook], None]) -> None:
    """A supervisor's delegate, who supervises others, decides; the decision names both."""
    rules(approval("one", approvers=("supervisor",)))
    for boss, report in ((SAM, ALEX), (OMAR, MONA)):
        people.patch(report, {ENTERPRISE: {"manager": {"value": people.ids[boss]}}})
    Role.objects.update(ended_at=clock.now())
    approving.delegate(person(SAM), person(OMAR), until=clock.now() + timedelta(days=5), now=clock.now())
    row = ask()
    assert refused(lambda: decide(row, MONA)) == Reason.NOT_AN_APPROVER
    decide(row, OMAR)
    decision = row.decisions.get()
    assert (decision.role, decision.acting_for) == ("supervisor", person(SAM).account)
    assert collect()


def _group(name: str, member: str) -> Membership:
    record = Record.objects.get(person=person(member))
    now = clock.now()
    group = Group.objects.create(
        source=record.source, display_name=name, display_name_fold=name.lower(), created_at=now, updated_at=now
    )
    return Membership.objects.create(group=group, record=record, added_at=now)


def test_group_entered_after_asking(people: World, rules: Callable[[Rulebook], None]) -> None:
    """WF-7: a role counts only from before the request."""
    rules(approval("one", approvers=("group:hr/Approvers",)))
    row = ask()
    with time_machine.travel(clock.now() + timedelta(minutes=1), tick=False):
        member = _group("Approvers", SAM)
        assert refused(lambda: decide(row, SAM)) == Reason.NOT_AN_APPROVER
    Membership.objects.filter(id=member.id).update(added_at=row.created_at - timedelta(days=1))
    assert decide(row, SAM).state == "approved"


def test_manager_appointed_after_asking(one: World) -> None:
    """WF-7: the same for a manager."""
    row = ask()
    with time_machine.travel(clock.now() + timedelta(minutes=1), tick=False):
        appoint(SAM, RoleName.MANAGER)
        assert refused(lambda: decide(row, SAM)) == Reason.NOT_AN_APPROVER


def test_supervisor_loop_falls_to_managers(people: World, rules: Callable[[Rulebook], None]) -> None:
    """WF-9: two people who supervise each other; a manager decides. Without the loop the supervisor does."""
    rules(approval("one", approvers=("supervisor",)))
    people.patch(ALEX, {ENTERPRISE: {"manager": {"value": people.ids[SAM]}}})
    assert roles.supervisor_of(person()) == person(SAM)
    row = ask()
    assert approving.groups_asked(row, now=clock.now()) == ["supervisor"]
    assert refused(lambda: decide(row, MONA)) == Reason.NOT_AN_APPROVER
    people.patch(SAM, {ENTERPRISE: {"manager": {"value": people.ids[ALEX]}}})
    assert roles.supervisor_of(person()) is None
    assert set(approving.approvers(row, now=clock.now())) == {person(MONA), person(OMAR)}
    assert refused(lambda: decide(row, SAM)) == Reason.NOT_AN_APPROVER


def test_supervisor_who_asked_is_replaced_by_managers(people: World, rules: Callable[[Rulebook], None]) -> None:
    """Where supervisors approve, and the supervisor asked, a manager decides at once."""
    rules(approval("one", approvers=("supervisor",)))
    people.patch(ALEX, {ENTERPRISE: {"manager": {"value": people.ids[SAM]}}})
    row = ask(by=SAM)
    assert approving.groups_asked(row, now=clock.now()) == ["supervisor", "manager"]
    assert refused(lambda: decide(row, SAM)) == Reason.ILLEGAL_MOVE
    assert decide(row, MONA).state == "approved"


def test_supervisor_asks_for_reports(one: World) -> None:
    """RQ-2: and does not approve what they asked for."""
    one.patch(ALEX, {ENTERPRISE: {"manager": {"value": one.ids[SAM]}}})
    row = ask(by=SAM)
    assert row.role == "supervisor"
    assert list(roles.reports_of(person(SAM))) == [person()]
    assert decide(row, MONA).state == "approved"


@pytest.mark.parametrize("road", ["decide", "collect", "tick"])
def test_requester_loses_the_authority(one: World, road: str) -> None:
    """A supervisor who asked, and supervises no more; a manager who asked, and left: the request lapses."""
    appoint(SAM, RoleName.MANAGER)
    one.patch(ALEX, {ENTERPRISE: {"manager": {"value": one.ids[MONA]}}})
    row = ask(by=SAM)
    if road == "collect":
        decide(row, OMAR)
    one.deactivate(SAM)
    if road == "tick":
        with time_machine.travel(clock.now() + timedelta(days=1, minutes=1), tick=False):
            ticks.tick(now=clock.now())
    else:
        work = collect if road == "collect" else (lambda: decide(row, OMAR))
        assert refused(work) == Reason.NOT_ENTITLED
    assert (state(row), kinds(row)[-1]) == ("lapsed", "request.lapsed")
    assert not Credential.objects.filter(root__isnull=False).exists()
    Role.objects.all().update(ended_at=clock.now())
    second = ask(by=MONA)
    assert second.role == "supervisor"
    one.patch(ALEX, {ENTERPRISE: {"manager": {"value": one.ids[OMAR]}}})
    assert not approving.stands(second, now=clock.now())


def test_approver_ends_before_the_collection(one: World) -> None:
    """WF-10: the request waits again, and another manager approves."""
    row = decide(ask(), MONA)
    one.deactivate(MONA)
    assert refused(collect) == Reason.APPROVER_GONE
    assert (state(row), kinds(row)[-1]) == ("waiting", "request.returned")
    assert not Credential.objects.filter(root__isnull=False).exists()
    decide(row, OMAR)
    assert collect()


def test_approver_loses_the_role(one: World) -> None:
    """WF-11."""
    row = decide(ask(), MONA)
    Role.objects.filter(person=person(MONA)).update(ended_at=clock.now())
    assert refused(collect) == Reason.APPROVER_GONE
    assert state(row) == "waiting"


def test_subject_becomes_ineligible(one: World) -> None:
    """WF-12, EL-4: the request lapses, and no row is written."""
    row = decide(ask(), MONA)
    Account.objects.filter(id=row.account_id).update(eligible=False)
    assert refused(collect) == Reason.NOT_ELIGIBLE
    assert (state(row), Credential.objects.filter(root__isnull=False).count()) == ("lapsed", 0)


def test_terms_changed_since_they_were_shown(one: World) -> None:
    """WF-13: the approver decides on the terms of now, and an earlier approval of others is void."""
    row = ask()
    shown = row.terms_hash
    one.patch(ALEX, {"title": "Ranger"})  # another version of the record that answered
    assert refused(lambda: decide(row, MONA, shown=shown)) == Reason.TERMS_CHANGED
    row.refresh_from_db()
    assert row.terms_hash != shown
    assert kinds(row)[-1] == "request.changed"
    assert refused(lambda: decide(row, MONA, shown=shown)) == Reason.TERMS_CHANGED
    assert decide(row, MONA).state == "approved"


def test_request_expires_without_a_worker(one: World) -> None:
    """WF-14: after eight days the approval is refused, and the request says that it expired."""
    row = ask()
    with time_machine.travel(clock.now() + timedelta(days=8), tick=False):
        assert refused(lambda: decide(row, MONA)) == Reason.REQUEST_EXPIRED
        assert (state(row), kinds(row)[-1]) == ("expired", "request.expired")


def test_collection_expires(one: World) -> None:
    """An approved request is collected within 14 days."""
    row = decide(ask(), MONA)
    with time_machine.travel(clock.now() + timedelta(days=15), tick=False):
        assert refused(collect) == Reason.APPROVAL_NEEDED
    assert state(row) == "approved"


def test_refusal_has_words_and_is_final(one: World) -> None:
    row = ask()
    assert refused(lambda: decide(row, MONA, approves=False)) == Reason.BAD_PROOF
    decide(row, MONA, approves=False, words="You have one already")
    assert (state(row), Request.objects.get(id=row.id).reason) == ("refused", "You have one already")
    assert refused(lambda: decide(row, OMAR)) == Reason.ILLEGAL_MOVE


def test_one_open_request_of_a_kind(one: World) -> None:
    row = ask()
    assert refused(ask) == Reason.ILLEGAL_MOVE
    approving.withdraw(row, person(), now=clock.now())
    assert refused(lambda: decide(row, MONA)) == Reason.ILLEGAL_MOVE
    assert ask().id != row.id


def test_policy_narrowed_since(one: World, rules: Callable[[Rulebook], None]) -> None:
    """WF-17: the credential is as narrow as the rules of then and of now; more approvals may be asked now."""
    row = decide(ask(), MONA)
    narrow = approval("one").terms[Kind.DEVICE_KEY]
    rules(Rulebook(terms={Kind.DEVICE_KEY: replace(narrow, lifetime=timedelta(days=30))}))
    made = collect()
    assert made.expires_at is not None
    assert (made.expires_at - made.created_at, state(row)) == (timedelta(days=30), "issued")
    rules(approval("one"))
    second = decide(ask(), MONA)
    rules(approval("two"))
    assert refused(collect) == Reason.APPROVAL_NEEDED
    assert state(second) == "waiting"
    rules(Rulebook(terms={Kind.DEVICE_KEY: KindRules(offered=False)}))


def test_kind_withdrawn_since(one: World, rules: Callable[[Rulebook], None]) -> None:
    """WF-17: a kind that is no longer issued ends the request."""
    row = decide(ask(), MONA)
    rules(Rulebook(terms={Kind.DEVICE_KEY: KindRules(offered=False)}))
    assert refused(collect) == Reason.NOT_OFFERED
    assert state(row) == "lapsed"


def test_rules_widened_since_give_no_more(people: World, rules: Callable[[Rulebook], None]) -> None:
    """WF-17: the lifetime that the approver was shown stays."""
    shown = approval("one").terms[Kind.DEVICE_KEY]
    rules(Rulebook(terms={Kind.DEVICE_KEY: replace(shown, lifetime=timedelta(days=10))}))
    decide(ask(), MONA)
    rules(approval("one"))
    made = collect()
    assert made.expires_at is not None
    assert made.expires_at - made.created_at == timedelta(days=10)


def test_another_device(one: World) -> None:
    """WF-18: the approved serial number must be proven; the request stays."""
    row = decide(ask(serial="7654321"), MONA)
    other = replace(PROOFS[Kind.DEVICE_KEY](), device=DeviceFacts(type="yubikey", serial="1234567"))
    assert refused(lambda: collect(proof=other)) == Reason.DEVICE_NOT_APPROVED
    assert refused(collect) == Reason.DEVICE_NOT_APPROVED
    assert state(row) == "approved"
    assert collect(proof=replace(other, device=DeviceFacts(type="yubikey", serial="7654321")))


def test_approval_of_a_lower_level_holds(one: World) -> None:
    """The level of the request is a bound of the credential's."""
    row = decide(ask(), MONA)
    Request.objects.filter(id=row.id).update(aal=AAL.AAL1)
    assert refused(collect) == Reason.KEY_TOO_WEAK


def test_other_root(one: World) -> None:
    """The root that the approver was shown is the one that it is derived from."""
    row = decide(ask(), MONA)
    Request.objects.filter(id=row.id).update(terms={**row.terms, "root": {"id": "another"}})
    assert refused(collect) == Reason.OTHER_TERMS


def test_nobody_collects_for_another(one: World) -> None:
    """WF-19: an approval for Alex is none for Sam."""
    decide(ask(), MONA)
    with_root(SAM)
    assert refused(lambda: collect(SAM)) == Reason.APPROVAL_NEEDED


def test_group_of_a_source_is_an_approval(people: World, rules: Callable[[Rulebook], None]) -> None:
    """A source that puts the person into the named group has approved; the record names the rule."""
    rules(approval("system", approving_group="hr/Phones"))
    assert refused(collect) == Reason.APPROVAL_NEEDED
    _group("Phones", ALEX)
    made = collect()
    assert Request.objects.get(credential=made).rule == "group:hr/Phones"


def test_personal_details_are_erased(one: World) -> None:
    """The hash of the terms stays, and an open request is left alone."""
    row = decide(ask(serial="7", ticket="INC-7"), MONA, approves=False, words="Alex has one already")
    hashed = row.terms_hash
    waits = ask()
    assert requests.erase_personal(row.account) == 1
    row.refresh_from_db()
    kept = f"{row.terms} {row.purpose} {row.ticket} {row.reason} {row.device_serial} {row.decisions.get().words}"
    assert not [word for word in ("Alex", ALEX, "INC-7", "road", "already") if word in kept]
    assert row.terms_hash == hashed
    waits.refresh_from_db()
    assert waits.terms["subject"]["login_name"] == ALEX


def test_first_use_within_seven_days(people: World, rules: Callable[[Rulebook], None]) -> None:
    """PK-4: a credential that nobody used within a week is not activated."""
    rules(Rulebook())
    made = collect()
    with time_machine.travel(clock.now() + timedelta(days=8), tick=False):
        work = lambda account: issue.activate(made, account=account, now=clock.now(), actor="t")  # noqa: E731
        assert refused(lambda: under_lock(made.account_id, work)) == Reason.REQUEST_EXPIRED


# --- a certificate at AAL3 --------------------------------------------------------------------------------------------

HIGH = {"kind": "certificate", "label": "derived_piv", "aal": "3", "form_factor": "key"}


@pytest.fixture
def high(people: World, rules: Callable[[Rulebook], None]) -> Account:
    """Alex at IAL3 with a card of the home agency, under the default approvals."""
    serial = ApprovedDevices(serials=frozenset({"7"}))
    rules(Rulebook(home_agencies=frozenset({"0032"}), approved=serial, assigned={"7": ALEX}))
    account = person().account
    Account.objects.filter(id=account.id).update(ial=3)
    card(account, how=BoundVia.MANAGER)
    return account


def _high_proof() -> VerifiedProof:
    shown = VerifiedFactors(factors=frozenset({Factor.CERTIFICATE, Factor.USER_VERIFICATION}), hardware=True)
    return replace(PROOFS[Kind.CERTIFICATE](), shown=shown, device=DeviceFacts(type="yubikey", serial="7"))


def _collect_high(account: Account) -> Credential:
    root = Credential.objects.get(account=account, kind=Kind.PIV_CARD)
    login = Authentication(
        factors=frozenset({Factor.PIV_CARD, Factor.PIV_PIN}),
        aal=AAL.AAL3,
        root=True,
        at=clock.now(),
        by=str(root.id),
        phishing_resistant=True,
    )
    return collect(proof=_high_proof(), root=root, login=login)


def _checked(account: Account, officer: str) -> None:
    said = identity_checks.CheckStatement(
        how=Presence.IN_PERSON,
        officer=officer,
        place="Desk 1",
        compared=Biometric.FACE,
        against="the card",
        sample=b"\xff\xd8\xff" + bytes(2000),
    )

    def work(locked: Account) -> None:
        row = identity_checks.record(locked, said, wrapper(), now=clock.now(), actor="t")
        identity_checks.confirm(locked, row.id, by="Nora", now=clock.now(), actor="t")

    under_lock(account.id, work)


def test_aal3_takes_two_approvals_and_an_officer(high: Account) -> None:
    """RQ-6, X-9: and the officer is none of the approvers."""
    officer = person(MONA)
    _checked(high, f"manager:{officer.id}")
    assert refused(lambda: _collect_high(high)) == Reason.APPROVAL_NEEDED
    row = ask(**HIGH)
    assert (row.approval, row.terms["level"]["aal"], row.terms["root"]["kind"]) == ("two", 3, "piv_card")
    assert refused(lambda: decide(row, MONA)) == Reason.ILLEGAL_MOVE
    appoint(SAM, RoleName.MANAGER)
    decide(row, OMAR)
    Request.objects.filter(id=row.id).update(created_at=clock.now())
    decide(row, SAM)
    made = _collect_high(high)
    assert (made.aal, made.label, state(row)) == (3, "derived_piv", "collecting")


def test_check_that_is_91_days_old(high: Account) -> None:
    """WF-26, RQ-6: the collection is refused, and the request stays."""
    appoint(SAM, RoleName.MANAGER)
    with time_machine.travel(clock.now() - timedelta(days=81), tick=False):
        _checked(high, "Nobody Here")
    row = ask(**HIGH)
    for name in (MONA, OMAR):
        decide(row, name)
    with time_machine.travel(clock.now() + timedelta(days=10), tick=False):
        assert refused(lambda: _collect_high(high)) == Reason.IDENTITY_CHECK_NEEDED
    assert state(row) == "approved"


def test_automatic_rule_is_not_for_aal3(high: Account, rules: Callable[[Rulebook], None]) -> None:
    """WF-24: the rule approves the certificate at AAL2 and not the one at AAL3."""
    staff = ApprovalRules(approval=Approval.ONE, automatic=(AutomaticRule(name="cards", root="piv_card"),))
    found = Rulebook(
        home_agencies=frozenset({"0032"}),
        terms={Kind.CERTIFICATE: KindRules(approvals={"derived_piv": staff})},
    )
    rules(found)
    row = ask(**HIGH)
    assert (row.state, row.approval, row.rule) == ("waiting", "two", "")
    approving.withdraw(row, person(), now=clock.now())
    lower = ask(**{**HIGH, "aal": "2"})
    assert (lower.state, lower.rule.partition("@")[0]) == ("approved", "rule:cards")
