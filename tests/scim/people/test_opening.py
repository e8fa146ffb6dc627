"""Emergency access and the quarterly review of roles: by whom, for how long, and who looks at it afterwards."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
import time_machine
from django.core.management import CommandError, call_command

from derived import clock
from derived.errors import Refused
from derived.ledger import audit
from derived.models import OutboxRow
from idp.signals import mail, worker
from scim.access import roles
from scim.access.roles import Verb
from scim.models import EmergencyAccess, Person, ReviewedRole, Role, RoleName
from scim.people import appointing, opening, reviewing
from scim.people.appointing import Wish
from tests.fixtures.roles import appoint, with_a_key
from tests.fixtures.world import ISSUER, World

ALEX, MONA, OMAR, KIM = (f"{name}@example.org" for name in ("alex", "mona", "omar", "kim"))


def _person(name: str = ALEX) -> Person:
    return Person.objects.select_related("account").get(login_name=name)


def _actor(name: str) -> str:
    return f"manager:{_person(name).id}"


def _open(first: str = MONA, second: str = OMAR, **more: object) -> str:
    out = io.StringIO()
    words = {"because": "all managers are away", "acting": first, "second": second, **more}
    call_command("role", "open", stdout=out, **words)
    return out.getvalue()


def _told(kind: str) -> set[str]:
    rows = OutboxRow.objects.filter(kind=kind).select_related("account__person")
    return {one.account.person.login_name for one in rows if one.account is not None}


@pytest.mark.database
def test_emergency_stops_and_issues_nothing(world: World) -> None:
    """RL-7: two people suspend, revoke and appoint; nothing is minted, lifted, checked, read or vouched for."""
    for name in (ALEX, OMAR):
        world.push(name)
    desktop = world.enrolled(MONA)[1]
    _open()
    with_a_key(MONA)
    mona, alex, now = _person(MONA), _person(), clock.now()
    allowed = {verb for verb in Verb if roles.may(mona, verb, about=alex, now=now)}
    assert allowed == {Verb.SUSPEND, Verb.REVOKE, Verb.APPOINT, Verb.SEE}
    page = desktop.get(f"{ISSUER}/console/people/{alex.id}")
    offered = {name for one in page.forms() for name in one.buttons.get("act", [])}
    assert offered == {"suspend", "sign-out"}
    wish = Wish(person=alex, role=RoleName.MANAGER, reason="somebody has to be")
    assert appointing.give(wish, actor=_actor(MONA), now=now) is None
    assert appointing.give(wish, actor=_actor(OMAR), now=now) is not None
    with pytest.raises(Refused, match="illegal_move"):
        appointing.give(Wish(person=alex, role=RoleName.EMERGENCY, reason="longer"), actor=_actor(MONA), now=now)


@pytest.mark.database
def test_emergency_ends_with_its_hours(world: World) -> None:
    """RL-8: managers and auditors are mailed at once; four hours later the console is a 404 for both."""
    for name in (ALEX, KIM, OMAR):
        world.push(name)
    person, _ = world.enrolled(MONA)
    appoint(ALEX, RoleName.MANAGER)
    appoint(KIM, RoleName.AUDITOR)
    OutboxRow.objects.all().delete()
    assert "open until" in _open()
    assert _told("emergency.opened") == {ALEX, KIM, MONA, OMAR}
    for row in OutboxRow.objects.filter(kind="emergency.opened"):
        mail.deliver(row, now=clock.now())
    desktop = world.signed_in(person)
    with_a_key(MONA)
    assert desktop.get(f"{ISSUER}/console").status == 200
    with time_machine.travel(clock.now() + timedelta(hours=4, seconds=1)):
        late = world.signed_in(person)
        assert late.get(f"{ISSUER}/console").status == 404
        assert late.get(f"{ISSUER}/console/people/{_person().id}").status == 404
        assert not roles.may(_person(MONA), Verb.SUSPEND, about=_person(), now=clock.now())


def test_emergency_takes_two_other_people(world: World) -> None:
    """One human being, an auditor, no second name, too many hours: each is refused, and nobody has access."""
    for name in (ALEX, MONA, OMAR):
        world.push(name)
    appoint(ALEX, RoleName.AUDITOR)
    bad = [{"second": ""}, {"second": MONA}, {"second": ALEX}, {"hours": 13}, {"hours": 0}, {"because": "x"}]
    for one in [*bad, {"acting": ""}]:
        with pytest.raises(CommandError):
            _open(**one)  # type: ignore[arg-type]
    twin = _person(OMAR)
    twin.contact = _person(MONA).contact
    twin.save(update_fields=["contact"])
    with pytest.raises(CommandError):
        _open()
    assert not EmergencyAccess.objects.exists()
    assert not Role.objects.filter(role=RoleName.EMERGENCY).exists()


@pytest.mark.database
def test_emergency_is_reviewed_by_somebody_else(world: World) -> None:
    """RL-8: all are told again after a day, once; neither of the two reviews it; the words are on record."""
    for name in (ALEX, MONA, OMAR):
        world.push(name)
    for name in (ALEX, MONA):
        appoint(name, RoleName.MANAGER)
    _open()
    row, now = opening.unreviewed().get(), clock.now()
    OutboxRow.objects.all().delete()
    for days, told in ((0, set()), (1, {ALEX, MONA})):
        opening.remind(now=now + timedelta(days=days))
        assert _told("emergency.opened") == told
    opening.remind(now=now + timedelta(days=2))
    assert OutboxRow.objects.count() == 2
    for row_of_mail in OutboxRow.objects.all():
        mail.deliver(row_of_mail, now=now)
    for actor, words in ((_actor(MONA), "all was well"), (_actor(OMAR), "all was well"), (_actor(ALEX), "ok")):
        with pytest.raises(Refused):
            opening.review(row, findings=words, actor=actor, now=now)
    opening.review(row, findings="Two accounts suspended, both rightly", actor=_actor(ALEX), now=now)
    with pytest.raises(Refused, match="illegal_move"):
        opening.review(row, findings="once more, to be sure", actor=_actor(ALEX), now=now)
    event = _person(MONA).account.events.get(kind="emergency.reviewed")
    assert (event.actor, event.details.get(name="findings").value) == (
        _actor(ALEX),
        "Two accounts suspended, both rightly",
    )
    assert not opening.unreviewed().exists()


# --- the quarterly review ---------------------------------------------------------------------------------------------


def _waiting(name: str) -> ReviewedRole:
    return reviewing.waiting().get(role__person__login_name=name)


@pytest.mark.database
def test_undecided_role_is_suspended_at_the_deadline(world: World) -> None:
    """EV-9: the worker begins a review after a quarter; what nobody decides is suspended, until somebody decides."""
    for name in (ALEX, MONA, OMAR):
        world.push(name)
    for name, role in ((ALEX, RoleName.OFFICER), (MONA, RoleName.MANAGER), (OMAR, RoleName.MANAGER)):
        appoint(name, role)
    reviewing.tick(now=clock.now() + timedelta(days=90))
    assert not ReviewedRole.objects.exists()
    began = clock.now() + reviewing.EVERY
    with time_machine.travel(began):
        for _ in range(2):
            worker.housekeeping(now=clock.now())
        assert ReviewedRole.objects.count() == 3
        assert _told("role.review") == {MONA, OMAR}
        for row in OutboxRow.objects.filter(kind="role.review"):
            mail.deliver(row, now=clock.now())
        reviewing.decide(_waiting(OMAR), "keep", because="still in the team", actor=_actor(MONA), now=clock.now())
        reviewing.decide(_waiting(MONA), "keep", because="still in the team", actor=_actor(OMAR), now=clock.now())
        snapshot = _waiting(ALEX).snapshot
        Role.objects.filter(person=_person()).update(reason="changed since")
        assert (snapshot["login_name"], snapshot["role"], snapshot["given_by"]) == (ALEX, "officer", "operator")
    with time_machine.travel(began + reviewing.LASTS + timedelta(minutes=1)):
        assert roles.has(_person(), RoleName.OFFICER, now=clock.now())
        for _ in range(2):
            worker.housekeeping(now=clock.now())
        assert not roles.has(_person(), RoleName.OFFICER, now=clock.now())
        assert roles.has(_person(MONA), RoleName.MANAGER, now=clock.now())
        assert _waiting(ALEX).decision == "suspended"
        assert _waiting(ALEX).snapshot == snapshot
        reviewing.decide(_waiting(ALEX), "keep", because="was on leave", actor=_actor(MONA), now=clock.now())
        assert roles.has(_person(), RoleName.OFFICER, now=clock.now())
        assert not reviewing.waiting().exists()
    kinds = _person().account.events.filter(kind__startswith="role.").order_by("seq").values_list("kind", flat=True)
    assert list(kinds) == ["role.given", "role.suspended", "role.kept"]
    assert audit.verify(_person().account) is None


@pytest.mark.database
def test_nobody_reviews_their_own_role(world: World) -> None:
    """The reviewer is another manager, under no record of the holder, and says why; an ended role is decided once."""
    for name in (ALEX, MONA, OMAR):
        world.push(name)
    for name, role in ((ALEX, RoleName.AUDITOR), (MONA, RoleName.MANAGER), (OMAR, RoleName.MANAGER)):
        appoint(name, role)
    now = clock.now()
    assert reviewing.begin(now=now) is not None
    assert reviewing.begin(now=now) is None
    for actor, words in ((_actor(MONA), "I stay"), (_actor(ALEX), "read only"), (_actor(OMAR), "x")):
        with pytest.raises(Refused):
            reviewing.decide(_waiting(MONA), "keep", because=words, actor=actor, now=now)
    row = _waiting(MONA)
    reviewing.decide(row, "end", because="left the team", actor=_actor(OMAR), now=now)
    assert not roles.has(_person(MONA), RoleName.MANAGER, now=now)
    with pytest.raises(Refused, match="illegal_move"):
        reviewing.decide(row, "keep", because="came back", actor=_actor(OMAR), now=now)
    out = io.StringIO()
    call_command("role", "review", json=True, stdout=out)
    assert '"left the team"' in out.getvalue()


@pytest.mark.database
def test_nobody_becomes_the_only_manager_by_suspending_the_others(world: World) -> None:
    """RL-10: a suspended manager counts as one who could agree, and nobody appoints themselves."""
    for name in (ALEX, MONA, OMAR):
        world.push(name)
    wish = Wish(person=_person(), role=RoleName.MANAGER, scope="", days=30, reason="more hands")
    appoint(MONA, RoleName.MANAGER)
    appoint(OMAR, RoleName.MANAGER)
    call_command("person", "suspend", OMAR, because="away for a while", acting=MONA, stdout=io.StringIO())
    assert appointing.give(wish, actor=f"operator:{_person(MONA).id}", now=clock.now()) is None
