"""The feed of SCIM events: what is told, to whom, in which order, and never without the change itself (RFC 9967,
8417, 8936).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from derived import clock
from scim.feed import delivery, receivers
from scim.models import FeedEvent, MatchState, Person, Receiver, Record, Taken
from scim.people import matching
from tests.fixtures.feed_follower import ISSUER, URN, Follower, plain
from tests.fixtures.scim_client import ENTERPRISE, GROUP, PATCH, Scim, user

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def follower(db: None) -> Follower:
    """Who may see everything, and has read it."""
    return Follower().begin()


def person_path(record_id: str) -> str:
    return f"/Users/{Record.objects.get(id=record_id).person_id}"


ENDED: dict[str, Any] = {"op": "replace", "value": {"active": False}}
BACK: dict[str, Any] = {"op": "replace", "value": {"active": True}}


def group(hr: Scim, name: str, *members: str) -> str:
    status, found = hr(
        "POST", "/Groups", {"schemas": [GROUP], "displayName": name, "members": [{"value": one} for one in members]}
    )
    assert status == 201, found
    return str(found["id"])


def patch_group(hr: Scim, group_id: str, *operations: dict[str, Any]) -> None:
    status, found = hr("PATCH", f"/Groups/{group_id}", {"schemas": [PATCH], "Operations": list(operations)})
    assert status in {200, 204}, found


def test_life_cycle_events_are_ordered(hr: Scim, follower: Follower) -> None:
    """Created, changed, ended, back, deleted: each is told once, as RFC 9967 names it, and the copy is the directory
    at every step.
    """
    ada = hr.create("ada")
    path = person_path(ada)
    assert follower.follow() == [(path, ["prov:create:full"])]
    assert hr.patch(ada, {"op": "replace", "path": "title", "value": "Dr"})[0] == 200
    assert hr.patch(ada, ENDED)[0] == 200
    assert hr.patch(ada, BACK, If_Match=hr.tag(ada))[0] == 200
    assert follower.follow() == [
        (path, ["prov:put:full"]),
        (path, ["prov:put:full", "prov:deactivate"]),
        (path, ["prov:put:full", "prov:activate"]),
    ]
    assert follower.copy == {path: plain(one) for path, one in follower.read().items()}
    assert follower.copy[path]["title"] == "Dr"
    assert hr("DELETE", f"/Users/{ada}")[0] == 204
    assert follower.follow() == [(path, ["prov:delete"])]
    assert follower.copy == follower.read() == {}


def test_set_follows_the_rfcs(hr: Scim, follower: Follower) -> None:
    """SE-1, C50; RFC 8417 §2.2, RFC 9967 §2.1, §2.2: sub_id and no sub, no exp, txn, iat, toe, the ETag as version,
    data as GET shows it.
    """
    path = person_path(hr.create("ada"))
    (claims,) = follower.poll().values()
    assert set(claims) == {"iss", "aud", "jti", "iat", "toe", "txn", "sub_id", "events"}
    assert claims["iss"] == ISSUER
    assert claims["sub_id"] == {"format": "scim", "uri": path}
    payload = claims["events"][f"{URN}prov:create:full"]
    status, seen = follower("GET", path)
    assert status == 200
    assert {**seen["meta"], "location": ""} == {**payload["data"]["meta"], "location": ""}
    assert plain(seen) == plain(payload["data"])
    assert payload["version"] == seen["meta"]["version"]
    assert "attributes" not in payload
    assert follower("GET", path, If_None_Match=payload["version"]) == (304, None)


def test_notice_names_attributes_without_values(hr: Scim) -> None:
    """RFC 9967 §2.4: exactly one of data and attributes; a notice holds no value, and names nothing that the
    receiver may not read.
    """
    notified = Follower("notified", full=False, attributes={"userName", "title"}).begin()
    ada = hr.create("ada", title="Dr", nickName="Lovelace")
    hr.patch(ada, {"op": "replace", "value": {"title": "Prof", "nickName": "Countess"}})
    hr.patch(ada, ENDED)
    created, changed, ended = notified.poll().values()
    assert created["events"][f"{URN}prov:create:notice"]["attributes"] == ["title", "userName", "active"]
    assert changed["events"][f"{URN}prov:put:notice"]["attributes"] == ["title"]
    assert ended["events"].keys() == {f"{URN}prov:put:notice", f"{URN}prov:deactivate"}
    assert ended["events"][f"{URN}prov:deactivate"] == {}
    assert all("data" not in payload for claims in (created, changed, ended) for payload in claims["events"].values())
    seen = notified("GET", created["sub_id"]["uri"])[1]
    assert seen.keys() == {"schemas", "id", "userName", "title", "active", "meta"}


def test_attributes_out_of_scope_do_not_reach_a_receiver(hr: Scim) -> None:
    """Least privilege: attributes outside its scope are in no event and no page, and their changes do not exist for
    it.
    """
    narrow = Follower("narrow", attributes={"userName"}, kinds=["User"]).begin()
    ada = hr.create("ada", title="Dr", **{ENTERPRISE: {"costCenter": "4711", "manager": {"value": "x"}}})
    group(hr, "secret project", ada)
    assert [what for _, what in narrow.follow()] == [["prov:create:full"]]
    hr.patch(ada, {"op": "replace", "path": "title", "value": "Prof"})
    assert narrow.follow() == []
    (seen,) = narrow.copy.values()
    assert seen.keys() == {"schemas", "id", "userName", "active"}
    assert ENTERPRISE not in seen["schemas"]
    assert narrow("GET", "/Groups")[0] == 404
    assert not {"secret", "4711", "Dr"} & set(str(narrow.told).replace("'", " ").split())


def test_full_scope_excludes_secrets_and_source_ids(hr: Scim, follower: Follower) -> None:
    """Ruling 10, P38: no password in whatever spelling, no key of a source's record, nothing that a source was not
    believed about.
    """
    hr(
        "POST",
        "/Users",
        user(
            "ada",
            password="hunter2-hunter2",
            externalId="hr-0001",
            roles=[{"value": "root"}],
            **{ENTERPRISE: {"manager": {"value": "a-record-id"}}},
        ),
    )
    follower.follow()
    everything = str(follower.told)
    for secret in (
        "hunter2",
        "hr-0001",
        "a-record-id",
        "root",
        str(Record.objects.get().id),
        str(Person.objects.get().account_id),
    ):
        assert secret not in everything
    assert "ada@example.org" in everything
    assert "hunter2" not in str(list(FeedEvent.objects.values()))


def test_without_a_change_no_event_is_written(hr: Scim, follower: Follower) -> None:
    """A PATCH that changes nothing, a read, a refused request, and a leaver who is ended again are no events."""
    ada = hr.create("ada")
    staff = group(hr, "staff", ada)
    hr.patch(ada, ENDED)
    follower.follow()
    before = FeedEvent.objects.count()
    hr.patch(ada, ENDED)
    hr.patch(ada, {"op": "replace", "path": "userName", "value": "ada"})
    hr.patch(ada, {"op": "add", "path": "nope", "value": 1})
    hr("POST", "/Users", user("ada"))
    hr("GET", "/Users")
    patch_group(hr, staff, {"op": "add", "path": "members", "value": [{"value": ada}]})
    patch_group(hr, staff, {"op": "remove", "path": 'members[value eq "7ad53b9f-5f1c-4cd6-93d3-0f3b3e5b3a58"]'})
    hr.patch(ada, {"op": "add", "path": "externalId", "value": "changes-the-record-and-not-the-person"})
    assert FeedEvent.objects.count() == before
    assert follower.follow() == []


def test_event_is_in_the_transaction_of_its_change(hr: Scim, follower: Follower) -> None:
    """No dual write: what is rolled back was never told, and an event that cannot be written takes its change with
    it.
    """
    ada = hr.create("ada")
    staff = group(hr, "staff")
    follower.follow()
    before = transaction.savepoint()
    hr.patch(ada, ENDED)
    patch_group(hr, staff, {"op": "add", "path": "members", "value": [{"value": ada}]})
    assert len(follower.poll()) == 2
    transaction.savepoint_rollback(before)
    assert follower.follow() == []
    assert Person.objects.get().active


def test_change_fails_with_its_event(hr: Scim, follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    """Atomic the other way round too."""
    ada = hr.create("ada")

    def broken(**_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(FeedEvent.objects, "create", broken)
    with pytest.raises(RuntimeError):
        hr.patch(ada, {"op": "replace", "path": "title", "value": "Dr"})
    monkeypatch.undo()
    assert "title" not in Record.objects.get(id=ada).resource
    assert [what for _, what in follower.follow()] == [["prov:create:full"]]


def test_suspension_and_end_by_a_manager_are_events(hr: Scim, follower: Follower) -> None:
    """`active` is whether the account may do anything: a manager's suspension and end are told in their transaction,
    and once.
    """
    from django.core.management import call_command

    path = person_path(hr.create("ada"))
    follower.follow()
    for verb in ("suspend", "resume", "end", "end"):
        call_command("person", verb, "ada")
    assert follower.follow() == [
        (path, ["prov:put:full", "prov:deactivate"]),
        (path, ["prov:put:full", "prov:activate"]),
        (path, ["prov:put:full", "prov:deactivate"]),
    ]
    assert follower.copy == {path: plain(one) for path, one in follower.read().items()}


# --- groups -----------------------------------------------------------------------------------------------------------


def test_group_events_have_people_as_members(hr: Scim, follower: Follower) -> None:
    """RFC 9967 §5: members come and go by PATCH; whoever is deleted leaves their groups in the same transaction."""
    ada, bob = hr.create("ada"), hr.create("bob")
    inner = group(hr, "inner", bob)
    outer = group(hr, "outer", ada, inner)
    ada_path, outer_path = person_path(ada), f"/Groups/{outer}"
    follower.follow()
    assert follower.copy[outer_path]["members"] == {ada_path.rpartition("/")[2]: "User", inner: "Group"}
    patch_group(
        hr,
        outer,
        {"op": "add", "path": "members", "value": [{"value": bob}]},
        {"op": "replace", "path": "displayName", "value": "Outer"},
    )
    assert (
        hr(
            "PUT",
            f"/Groups/{outer}",
            {"schemas": [GROUP], "displayName": "Outer", "members": [{"value": ada}, {"value": inner}]},
        )[0]
        == 200
    )
    assert hr("DELETE", f"/Groups/{inner}")[0] == 204
    assert hr("DELETE", f"/Users/{ada}")[0] == 204
    told = follower.follow()
    assert told == [
        (outer_path, ["prov:patch:full"]),
        (outer_path, ["prov:patch:full"]),
        (outer_path, ["prov:patch:full"]),
        (f"/Groups/{inner}", ["prov:delete"]),
        (outer_path, ["prov:patch:full"]),
        (ada_path, ["prov:delete"]),
    ]
    assert len({claims["txn"] for claims in follower.told[-2:]}) == 1
    assert len({claims["txn"] for claims in follower.told}) == len(follower.told) - 2
    assert follower.copy == {path: plain(one) for path, one in follower.read().items()}
    assert (
        follower.told[-2]["events"][f"{URN}prov:patch:full"]["version"]
        == follower("GET", outer_path)[1]["meta"]["version"]
    )


def joined(connect: Callable[..., Scim]) -> tuple[Scim, Scim, str, str]:
    """Two sources whose records of one person are joined; their ids."""
    matching.add_rule("employeeNumber", now=clock.now())
    hr, security = connect("hr"), connect("security")
    number = {ENTERPRISE: {"employeeNumber": "7"}}
    first, second = hr.create("ada", **number), security.create("adalove")
    group(security, "cleared", second)
    group(hr, "staff", first)
    security.patch(second, {"op": "replace", "value": number})
    case = matching.waiting().get()
    matching.join(case.record, case.person, attribute=case.attribute, now=clock.now(), actor="operator")
    return hr, security, first, second


def test_join_and_split_are_events(connect: Callable[..., Scim], follower: Follower) -> None:
    """A person without a record left is deleted, and their group membership moves to the other; a split restores
    both. One txn each.
    """
    _, _, first, second = joined(connect)
    person = person_path(first)
    assert person_path(second) == person
    told = follower.follow()
    lost = next(path for path, what in told if what == ["prov:delete"])
    assert [what for path, what in told if path == lost] == [["prov:create:full"], ["prov:put:full"], ["prov:delete"]]
    assert follower.copy == {path: plain(one) for path, one in follower.read().items()}
    match = matching.Match.objects.get(state=MatchState.JOINED)
    matching.split(match, now=clock.now(), actor="operator")
    back = follower.follow()
    assert (lost, ["prov:create:full"]) in back
    assert len({claims["txn"] for claims in follower.told[-len(back) :]}) == 1
    assert follower.copy == {path: plain(one) for path, one in follower.read().items()}
    matching.join(
        Record.objects.get(id=second),
        Person.objects.get(id=person.rpartition("/")[2]),
        now=clock.now(),
        actor="operator",
    )
    follower.follow()
    assert follower.copy == {path: plain(one) for path, one in follower.read().items()}


def test_two_records_in_one_group_are_one_member(connect: Callable[..., Scim], follower: Follower) -> None:
    """A manager joins two records of one source: whoever is in a group by both is in it until both are gone."""
    hr = connect("hr")
    one, other = hr.create("ada"), hr.create("ada2")
    staff = group(hr, "staff", one, other)
    person = Record.objects.get(id=one).person
    matching.join(Record.objects.get(id=other), person, now=clock.now(), actor="operator")
    follower.follow()
    assert follower.copy[f"/Groups/{staff}"]["members"] == {str(person.id): "User"}
    patch_group(hr, staff, {"op": "remove", "path": f'members[value eq "{one}"]'})
    assert follower.follow() == []
    patch_group(hr, staff, {"op": "add", "path": "members", "value": [{"value": one}]})
    assert follower.follow() == []
    hr("DELETE", f"/Users/{other}")
    follower.follow()
    patch_group(hr, staff, {"op": "remove", "path": "members"})
    assert follower.follow() == [(f"/Groups/{staff}", ["prov:patch:full"])]
    assert follower.copy == {path: plain(one) for path, one in follower.read().items()}


# --- delivery ---------------------------------------------------------------------------------------------------------


def test_unacknowledged_events_are_sent_again(hr: Scim, follower: Follower) -> None:
    """RFC 8936 §2.4: the same jti and claims until it is acknowledged; 0 events is an acknowledgement alone."""
    for name in ("ada", "bob", "cid"):
        hr.create(name)
    first = follower.poll(maxEvents=2)
    assert len(first) == 2
    assert follower.poll(maxEvents=2) == first
    status, found = follower("POST", "/Events", {"maxEvents": 0, "ack": list(first)[:1]})
    assert (status, found) == (200, {"sets": {}, "moreAvailable": True})
    rest = follower.poll()
    assert next(iter(rest)) == list(first)[1]
    assert len(rest) == 2
    assert follower.poll(ack=[*rest, *first]) == {}
    assert follower("POST", "/Events", {})[1] == {"sets": {}, "moreAvailable": False}


def test_acknowledgement_is_for_its_receiver(hr: Scim, follower: Follower) -> None:
    """Another's jti, an unknown one and nonsense are passed over; nobody can make another miss anything."""
    other = Follower("other").begin()
    hr.create("ada")
    mine, theirs = follower.poll(), other.poll()
    assert not mine.keys() & theirs.keys()
    assert follower.poll(ack=[*theirs, "nonsense", "", "1-" + "0" * 32, "x" * 128]) == mine
    assert other.poll() == theirs
    assert follower.poll(ack=list(mine)) == {}
    assert other.poll() == theirs


def test_set_errors_are_shown_to_the_operator(hr: Scim, follower: Follower) -> None:
    """RFC 8936 §2.2 setErrs: not told again, and seen in `feed show`."""
    hr.create("ada")
    (jti,) = follower.poll()
    assert follower.poll(setErrs={jti: {"err": "invalid_key", "description": "?"}}) == {}
    assert follower.fresh().last_error == f"{jti}: invalid_key"
    assert Taken.objects.get().error == "invalid_key"


@pytest.mark.parametrize(
    "asked",
    [
        [],
        "x",
        b"null",
        {"maxEvents": -1},
        {"maxEvents": True},
        {"maxEvents": "1"},
        {"maxEvents": 1.5},
        {"returnImmediately": 1},
        {"ack": "x"},
        {"ack": [1]},
        {"ack": ["x" * 129]},
        {"ack": ["x"] * 1001},
        {"setErrs": []},
        {"setErrs": {"x": {}}},
        {"setErrs": {"x": {"err": ""}}},
        {"setErrs": {"x": {"err": "a\nb"}}},
        {"setErrs": {"x" * 129: {"err": "a"}}},
        b"{",
        b'{"ack":[],"ack":[]}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_bad_poll_is_refused(follower: Follower, asked: Any) -> None:
    """RFC 8936 §2.5.1: 400, in SCIM's words, and nothing is taken."""
    status, found = follower("POST", "/Events", asked)
    assert (status, found["status"]) == (400, "400")


def test_bodies_and_methods(follower: Follower) -> None:
    assert follower("POST", "/Events", {}, Content_Type="text/plain")[0] == 415
    assert follower("POST", "/Events", b'{"a":"' + b"x" * 1_100_000 + b'"}')[0] == 413
    assert follower("GET", "/Events")[0] == 405
    assert follower("POST", "/Users", {})[0] == 405
    assert follower("GET", "/Users?filter=active%20eq%20true")[0] == 403
    assert follower("GET", "/Users?count=many")[0] == follower("GET", "/Users?cursor=nonsense")[0] == 400
    assert follower("GET", "/Users/nobody")[0] == 404


def test_only_a_receiver_may_poll(hr: Scim, follower: Follower) -> None:
    """C27, P37: unknown, expired, ended, disabled and a source's own: one 401. A receiver's token opens no source's
    door.
    """
    token = follower.token
    for bad in ("nonsense", "", hr.token, token + "x", token[:-1]):
        follower.token = bad
        assert follower("POST", "/Events", {})[0] == follower("GET", "/Users")[0] == 401
    hr.token, follower.token = token, token
    assert hr("GET", "/Users")[0] == hr("POST", "/Users", user())[0] == 401
    assert follower("POST", "/Events", {})[0] == 200
    receivers.disable(follower.receiver, now=clock.now())
    assert follower("POST", "/Events", {})[0] == 401
    receivers.enable(follower.receiver, now=clock.now() - timedelta(minutes=1))
    assert follower("POST", "/Events", {})[0] == 409
    follower.begin()
    new = receivers.rotate(follower.receiver, now=clock.now(), expires_at=clock.now() + timedelta(seconds=60))
    assert follower("POST", "/Events", {})[0] == 401
    follower.token = new
    assert follower("POST", "/Events", {})[0] == 200
    follower.receiver.credentials.update(expires_at=clock.now() - timedelta(seconds=1))
    assert follower("POST", "/Events", {})[0] == 401


def test_receiver_is_rate_limited(follower: Follower) -> None:
    Receiver.objects.update(most_per_minute=3)
    follower.receiver.refresh_from_db()
    assert {follower("POST", "/Events", {})[0] for _ in range(5)} >= {200, 429}


def test_new_receiver_reads_a_snapshot_first(hr: Scim) -> None:
    """What was on its way when it was registered is in what it reads: so it waits some seconds, reads, and then is
    told.
    """
    hr.create("ada")
    new = Follower("new")
    assert new("POST", "/Events", {})[0] == 409
    Receiver.objects.update(since=clock.now())
    assert new("GET", "/Users")[0] == 503
    Receiver.objects.update(since=clock.now() - timedelta(seconds=6))
    assert new("GET", "/Users")[0] == 200
    assert "/Groups" in new("POST", "/Events", {})[1]["detail"]
    assert new.begin().poll() == {}


def test_receiver_that_falls_behind_must_read_again(
    hr: Scim, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bounded by age and by count; a receiver that has lost events is refused until it has read everything, and then
    loses none.
    """
    monkeypatch.setattr(delivery, "MOST_WAITING", 2)
    other = Follower("other", attributes={"userName"}).begin()
    for name in ("ada", "bob", "cid"):
        hr.create(name)
    other.follow()
    FeedEvent.objects.update(at=clock.now() - timedelta(minutes=6))
    assert delivery.delete_delivered(now=clock.now()) == 3
    assert follower("POST", "/Events", {})[0] == 409
    assert other("POST", "/Events", {})[0] == 200
    dan = hr.create("dan")
    follower.begin()
    hr.patch(dan, ENDED)
    follower.follow()
    assert follower.copy == {path: plain(one) for path, one in follower.read().items()}
    FeedEvent.objects.update(at=clock.now() - timedelta(days=8))
    delivery.delete_delivered(now=clock.now())
    assert other("POST", "/Events", {})[0] == 409
    assert follower("POST", "/Events", {})[0] == 200


def test_events_taken_by_all_are_deleted(hr: Scim, follower: Follower) -> None:
    """Not before the last one took it, and not before every transaction has ended that could bring an older one."""
    other = Follower("other").begin()
    hr.create("ada")
    follower.follow()
    assert delivery.delete_delivered(now=clock.now()) == 0
    later = clock.now() + timedelta(minutes=6)
    assert delivery.delete_delivered(now=later) == 0
    assert len(other.follow()) == 1
    assert delivery.delete_delivered(now=later) == 1
    assert not FeedEvent.objects.exists()
    assert not Taken.objects.exists()


def test_narrowed_scope_applies_to_waiting_events(hr: Scim, follower: Follower) -> None:
    """`feed allow`: what it may no longer see is in no SET, also of what happened before; what is new to it, it
    reads first.
    """
    hr.create("ada", title="Dr")
    receivers.allow(follower.receiver, kinds=["User"], full=True, attributes={"userName"})
    (claims,) = follower.poll().values()
    assert "title" not in claims["events"][f"{URN}prov:create:full"]["data"]
    receivers.allow(follower.receiver, kinds=["User", "Group"], full=True, attributes={"userName", "title"})
    assert follower("POST", "/Events", {})[0] == 409


# --- cost, and what is claimed
# ------------------------------------------------------------------------------------------


def said_by(work: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        work()
    return [one["sql"] for one in captured.captured_queries]


def test_event_costs_one_statement_and_none_without_receivers(hr: Scim) -> None:
    """The writer pays one INSERT for a person's change, however many follow; without a receiver nothing at all."""
    ada = hr.create("ada")

    def change(title: str) -> list[str]:
        return said_by(lambda: hr.patch(ada, {"op": "replace", "path": "title", "value": title}))

    alone = change("A")
    assert not any("feedevent" in sql for sql in alone)
    Follower("one"), Follower("two")
    followed = change("B")
    assert len(followed) == len(alone) + 1
    assert sum('INSERT INTO "scim_feedevent"' in sql for sql in followed) == 1


def test_service_provider_config_lists_the_feed_when_enabled(hr: Scim) -> None:
    """RFC 9967 §4: absent while nobody is registered; no asynchronous requests; only URIs that are told."""
    assert "securityEvents" not in hr("GET", "/ServiceProviderConfig")[1]
    Follower()
    found = hr("GET", "/ServiceProviderConfig")[1]["securityEvents"]
    assert found["asyncRequest"] == "none"
    assert set(found["eventUris"]) == {
        f"{URN}prov:{one}"
        for one in (
            "create:full",
            "create:notice",
            "put:full",
            "put:notice",
            "patch:full",
            "patch:notice",
            "delete",
            "activate",
            "deactivate",
        )
    }


def test_feed_commands(hr: Scim, capsys: pytest.CaptureFixture[str]) -> None:
    """The least by default; a token of 90 days that is shown once and kept hashed; what it could not use is shown."""
    import json

    from django.core.management import call_command
    from django.core.management.base import CommandError

    def feed(*words: str) -> Any:
        call_command("feed", *words, "--json")
        return json.loads(capsys.readouterr().out)

    added = feed("add", "payroll")
    assert added["base"] == f"{ISSUER}/scim/v2/Feed"
    assert added["token"] not in str(list(Receiver.objects.values())) + str(
        list(receivers.ReceiverCredential.objects.values())
    )
    shown = feed("show", "payroll")
    assert (shown["follows"], shown["full"], shown["attributes"]) == (
        ["User"],
        False,
        ["displayName", "name", "userName"],
    )
    assert shown["credentials"][0]["expires"] is not None
    assert feed("allow", "payroll", "--add", "title", "--remove", "name", "--groups", "yes", "--full", "yes")[
        "attributes"
    ] == ["displayName", "title", "userName"]
    hr.create("ada")
    assert feed("list")[0]["waiting"] == 1
    assert feed("rotate", "payroll", "--overlap", "1h")["token"] != added["token"]
    assert feed("end", "payroll", str(shown["credentials"][0]["number"])) == "ended"
    assert "disabled" in feed("disable", "payroll")
    assert "read everything" in feed("enable", "payroll")
    for words in (
        ["add", "payroll"],
        ["add", "No Name"],
        ["show", "nobody"],
        ["end", "payroll", "0"],
        ["add", "x", "--attribute", "nope"],
    ):
        with pytest.raises(CommandError):
            feed(*words)


def test_receivers_error_text_is_printed_as_text(hr: Scim, capsys: pytest.CaptureFixture[str]) -> None:
    """C78: what somebody who follows us could not use is shown, and not obeyed."""
    follower = Follower().begin()
    assert follower("POST", "/Events", {"setErrs": {"a\x1b]0;owned\x07\x1b[31m": {"err": "invalid_request"}}})[0] == 200
    call_command("feed", "show", "payroll")
    found = capsys.readouterr().out
    assert ("\x1b" in found, "\\x1b]0;owned\\x07" in found) == (False, True)
