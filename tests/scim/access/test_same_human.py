"""Nobody approves for themselves by any road (WF-4, WF-5): the predicate, and the acts that ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from derived import clock
from derived.errors import Refused
from derived.models import CardCertificate, Credential, UpstreamIdentity
from scim.access import entitlements, requests, same_human
from scim.access.roles import Verb
from scim.models import Match, MatchState, Person, Record, RoleName, Source
from scim.people import matching, two_managers
from scim.people.two_managers import Proposal
from tests.fixtures.roles import appoint
from tests.fixtures.scim_client import ENTERPRISE
from tests.fixtures.world import ISSUER

if TYPE_CHECKING:
    from tests.fixtures.world import World

pytestmark = pytest.mark.database

ALEX, MONA = "alex@example.org", "mona@example.org"
ROADS = (
    "address", "replaced address", "identifier", "waiting match", "split match", "kept apart", "card", "provider",
)  # fmt: skip


def _person(name: str) -> Person:
    return Person.objects.select_related("account").get(login_name=name)


def _match(state: MatchState, **more: object) -> None:
    Match.objects.create(
        record=Record.objects.get(person=_person(ALEX)),
        person=_person(MONA),
        attribute="",
        state=state,
        created_at=clock.now(),
        **more,
    )


def _take(world: World, road: str) -> None:
    """Make Alex and Mona share something."""
    world.push(ALEX, **{ENTERPRISE: {"employeeNumber": "7"}} if road == "identifier" else {})
    world.push(MONA, **{ENTERPRISE: {"employeeNumber": "7"}} if road == "identifier" else {})
    shared = [{"value": "us@example.org", "primary": True}, {"value": f"home.{MONA}"}]
    match road:
        case "address":
            world.patch(ALEX, {"emails": shared})
            world.patch(MONA, {"emails": shared})
        case "replaced address":
            world.patch(ALEX, {"emails": [{"value": f"HOME.{MONA}", "primary": True}]})
            world.patch(ALEX, {"emails": [{"value": "new@example.org", "primary": True}]})
        case "waiting match":
            _match(MatchState.WAITING)
        case "split match":
            _match(MatchState.UNDONE, from_person=_person(ALEX))
        case "kept apart":
            _match(MatchState.APART)
        case "card" | "provider":
            for name in (ALEX, MONA):
                world.enrolled(name)
                credential = Credential.objects.get(account=_person(name).account)
                if road == "card":
                    _card(credential)
                else:
                    UpstreamIdentity.objects.create(credential=credential, issuer="https://idp.example", subject="7")
        case _:
            pass


def _card(credential: Credential) -> None:
    now = clock.now()
    values = {"issuer": "CN=x", "issuer_key": uuid4().hex, "serial": "1", "ski": uuid4().hex, "fasc_n": "d4"}
    CardCertificate.objects.create(
        credential=credential, fingerprint=uuid4().hex, der=b"x", not_after=now, seen_at=now, **values
    )


@pytest.mark.parametrize("road", ROADS)
def test_two_records_of_one_human(world: World, road: str) -> None:
    """Each thing in common counts; only a manager's decision that they differ does not."""
    _take(world, road)
    one, other = _person(ALEX), _person(MONA)
    expected = road != "kept apart"
    assert same_human.may_be_one(one, other) is expected
    assert same_human.may_be_one(other, one) is expected


def test_strangers_differ(world: World) -> None:
    """Two people of one source, each with their own; an identifier counts only where its source is trusted for it."""
    _take(world, "identifier")
    assert same_human.may_be_one(_person(ALEX), _person(MONA))
    Source.objects.update(trusted_for=[])
    assert not same_human.may_be_one(_person(ALEX), _person(MONA))
    assert same_human.may_be_one(_person(ALEX), _person(ALEX))


def test_no_second_record_approves_access(world: World) -> None:
    """EN-1: the request of one record is not decided by the other, also where they come together only later."""
    for name in (ALEX, MONA):
        world.enrolled(name)
    rule = entitlements.add_rule(
        world.app().client_id, "everyone", entitlement="travel", by_request=True, now=clock.now()
    )
    appoint(MONA, RoleName.MANAGER)
    access = requests.request_access(_person(ALEX), rule, purpose="trips", now=clock.now(), actor="t")
    _match(MatchState.WAITING)
    with pytest.raises(Refused, match="illegal_move"):
        requests.approve(access, by=_person(MONA), now=clock.now(), actor="manager")
    matching.keep_apart(Match.objects.get(), now=clock.now(), actor="operator")
    requests.approve(access, by=_person(MONA), now=clock.now(), actor="manager")


def test_one_human_is_not_two_managers(world: World) -> None:
    """The second approval of an act comes from another human being."""
    _take(world, "address")
    world.push("omar@example.org")
    for name in (ALEX, MONA, "omar@example.org"):
        appoint(name, RoleName.MANAGER)
    third = world.enrolled("kim@example.org")
    account, now = _person("kim@example.org").account, clock.now()
    proposal = Proposal("adopt", "x", Verb.ADOPT, (_person("kim@example.org"),))
    actors = [f"manager:{_person(name).id}" for name in (ALEX, MONA)]
    assert [two_managers.agreed(account, proposal, actor=actor, now=now) for actor in actors] == [
        False,
        False,
    ]
    assert two_managers.agreed(account, proposal, actor=f"manager:{_person('omar@example.org').id}", now=now)
    assert third


def test_a_manager_may_stop_and_not_favour_another_record(world: World) -> None:
    """A manager can suspend a record that shares something with them, and not resume it."""
    _take(world, "replaced address")
    mona = world.enrolled(MONA)[1]
    appoint(MONA, RoleName.MANAGER)
    page = mona.get(f"{ISSUER}/console/people/{_person(ALEX).id}")
    form = next(one for one in page.forms() if "suspend" in one.buttons.get("act", []))
    assert "Suspended" in mona.submit(page, form, values={"act": "suspend", "because": "a test"}).words()
    page = mona.get(f"{ISSUER}/console/people/{_person(ALEX).id}")
    form = next(one for one in page.forms() if "end" in one.buttons.get("act", []))
    assert all("resume" not in one.buttons.get("act", []) for one in page.forms())
    form.buttons["act"] = ["resume"]
    assert mona.submit(page, form, values={"act": "resume", "because": "a test"}).status == 409
