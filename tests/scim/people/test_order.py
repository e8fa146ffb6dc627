"""The order of pushes: numbered ones converge, a deactivation is sticky, and who comes back does so on proof or on a
manager's word.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from derived import clock
from derived.errors import Refused
from derived.models import AccountStatus, OutboxRow
from idp.signals import worker
from scim.errors import ScimError
from scim.models import Person, Record, Source
from scim.people import provision, returns
from scim.protocol import trust
from tests.fixtures import ledger_rows
from tests.fixtures.scim_client import Scim, user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


_OFF = {"op": "replace", "path": "active", "value": False}
_ON = {"op": "replace", "path": "active", "value": True}


def _person(record_id: str) -> Person:
    return Record.objects.select_related("person__account").get(id=record_id).person


def _push(scim: Scim, name: str, number: int, **said: Any) -> int:
    """What a queue does with one numbered event: look the record up, then PUT it, or POST it where there is none."""
    body = user(name, externalId=name, meta={"version": str(number)}, **said)
    found = scim("GET", f'/Users?filter=externalId+eq+"{name}"&attributes=id')[1]["Resources"]
    return scim("PUT", f"/Users/{found[0]['id']}", body)[0] if found else scim("POST", "/Users", body)[0]


_EVENTS: list[dict[str, Any]] = [
    {"number": 1, "active": True, "title": "Clerk"},
    {"number": 2, "active": False},
    {"number": 3, "active": True, "nickName": "A"},
    {"number": 4, "active": False, "title": "Boss"},
    {"number": 4, "active": True, "title": "Zar"},
    {"number": 4, "active": False, "title": "Aide"},
]


def _final(scim: Scim, name: str, events: Iterable[dict[str, Any]]) -> tuple[Any, ...]:
    for event in events:
        assert _push(
            scim, name, event["number"], **{key: value for key, value in event.items() if key != "number"}
        ) in {200, 201, 412}
    return _state(name)


def _state(name: str) -> tuple[Any, ...]:
    person = Person.objects.select_related("account").get(records__external_id=name)
    record = person.records.get()
    resource = {
        key: value for key, value in record.resource.items() if key not in {"userName", "externalId", "name", "emails"}
    }
    shown = {key: value for key, value in person.profile.items() if key not in {"userName", "name", "emails"}}
    return resource, shown, person.active, person.account.status, record.source_version


def _walk(scim: Scim, left: tuple[int, ...], ends: list[tuple[Any, ...]]) -> None:
    """Every order of what is left, each push made once for all orders that begin alike."""
    if not left:
        ends.append(_state("p"))
        return
    for at in left:
        savepoint = transaction.atomic()
        savepoint._from_testcase = True  # type: ignore[attr-defined]  # the engine's own transactions are durable ones
        with savepoint:
            event = dict(_EVENTS[at])
            _store(scim, "p", event.pop("number"), **event)
            _walk(scim, tuple(other for other in left if other != at), ends)
            transaction.set_rollback(True)


def _store(scim: Scim, name: str, number: int, **said: Any) -> None:
    """One event, straight to the engine."""
    source, body = Source.objects.get(name="hr"), user(name, externalId=name, meta={"version": str(number)}, **said)
    found = source.records.filter(external_id=name, deleted_at=None).first()
    with contextlib.suppress(ScimError):
        if found is None:
            provision.create_user(source, body, now=clock.now())
        else:
            provision.replace_user(source, str(found.id), body, now=clock.now())


def test_all_orders_of_six_numbered_events_converge(hr: Scim) -> None:
    """All 720 orders of six events, of which three share a number and disagree: one final state, deactivated (C29,
    I8).
    """
    ends: list[tuple[Any, ...]] = []
    _walk(hr, tuple(range(6)), ends)
    assert len(ends) == 720
    assert ends.count(ends[0]) == 720
    assert ends[0][2:] == (False, AccountStatus.TERMINATED, 4)
    assert ends[0][0]["title"] == "Boss"


@pytest.mark.database
@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0), (2, 4, 0, 5, 1, 3)])
def test_orders_over_http_converge(hr: Scim, order: tuple[int, ...]) -> None:
    """The same over HTTP, with what a queue does: look up, then PUT or POST; each event twice."""
    assert _final(hr, "expected", _EVENTS) == _final(hr, "other", [_EVENTS[at] for at in order for _ in range(2)])


@pytest.mark.database
@settings(max_examples=12)
@given(data=st.data())
def test_any_numbered_history_with_replays_converges(hr: Scim, data: st.DataObject) -> None:
    """Any history, shuffled, with duplicates and replays, ends as the history in order does (C29)."""
    Source.objects.update(brake_count=10_000)  # its many endings are of many examples
    titles = st.sampled_from(["", "a", "b"])
    events = data.draw(
        st.lists(
            st.fixed_dictionaries({"number": st.integers(0, 5), "active": st.booleans(), "title": titles}),
            min_size=1,
            max_size=6,
        )
    )
    shuffled = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=4))))
    tag = f"{secrets.token_hex(8)}"
    in_order = sorted(events, key=lambda event: event["number"])
    assert _final(hr, f"a{tag}", in_order) == _final(hr, f"b{tag}", shuffled)


@pytest.mark.database
def test_numbered_push_must_state_active(hr: Scim) -> None:
    """A numbered push that leaves `active` to what was there would depend on the order; it is refused."""
    assert hr("POST", "/Users", user("a", meta={"version": "1"}))[1]["scimType"] == "invalidValue"
    assert hr("POST", "/Users", user("a", active=True, meta={"version": "1"}))[0] == 201


@pytest.mark.database
def test_delayed_push_does_not_restore_a_deleted_record(hr: Scim) -> None:
    """After a DELETE, the past of the same record makes nobody; a newer number is a new hire, and a new subject
    (C28, C29).
    """
    record_id = hr.create(active=True, externalId="7", meta={"version": "5"})
    assert hr("DELETE", f"/Users/{record_id}")[0] == 204
    for number in ("3", "5"):
        assert hr("POST", "/Users", user(active=True, externalId="7", meta={"version": number}))[0] == 412
    again = hr("POST", "/Users", user(active=True, externalId="7", meta={"version": "6"}))[1]["id"]
    assert _person(again).account_id != _person(record_id).account_id


@pytest.mark.database
@pytest.mark.parametrize("shape", ["patch", "pathless", "put", "any tag"])
def test_unversioned_return_waits_for_a_manager(hr: Scim, shape: str) -> None:
    """Nobody can say that it is newer than the end: the source reads that it waits (C29, ruling 11)."""
    record_id = hr.create()
    while worker.step(now=clock.now()):  # the first invitation is sent: the next one is a mail of its own
        pass
    hr.patch(record_id, _OFF)
    invitations = OutboxRow.objects.filter(kind="invite").count()
    match shape:
        case "patch":
            answer = hr.patch(record_id, _ON)
        case "pathless":
            answer = hr.patch(record_id, {"op": "replace", "value": {"active": "True"}})
        case "any tag":
            answer = hr.patch(record_id, _ON, If_Match="*")
        case _:
            answer = hr("PUT", f"/Users/{record_id}", user(active=True))
    assert (answer[0], answer[1]["active"], hr("GET", f"/Users/{record_id}")[1]["active"]) == (200, False, False)
    person = _person(record_id)
    assert (person.active, person.account.status) == (False, AccountStatus.TERMINATED)
    assert [one.id for one in returns.waiting()] == [Record.objects.get(id=record_id).id]
    hr.patch(record_id, {"op": "replace", "path": "title", "value": "Boss"}, If_Match=hr.tag(record_id))
    assert not _person(record_id).active
    returns.readmit(person, now=clock.now(), actor="operator")
    person = _person(record_id)
    assert (person.active, person.account.status) == (True, AccountStatus.ACTIVE)
    assert OutboxRow.objects.filter(kind="invite").count() == invitations + 1
    assert person.account.events.get(kind="person.readmitted").actor == "operator"
    with pytest.raises(Refused):
        returns.readmit(person, now=clock.now(), actor="operator")


@pytest.mark.database
def test_waiting_return_can_be_proved_or_withdrawn(hr: Scim) -> None:
    """The source's later proof needs no manager; its later end takes the wish away."""
    record_id = hr.create()
    hr.patch(record_id, _OFF)
    hr.patch(record_id, _ON)
    hr.patch(record_id, _OFF)
    assert not returns.waiting().exists()
    hr.patch(record_id, _ON)
    assert hr.patch(record_id, _ON, If_Match=hr.tag(record_id))[0] == 200
    assert not returns.waiting().exists()
    assert _person(record_id).account.status == AccountStatus.ACTIVE


@pytest.mark.database
def test_never_active_record_is_activated_by_any_push(hr: Scim) -> None:
    """Staged before their first day, a joiner is opened by an unversioned push: nothing of theirs had ended
    (okta-002).
    """
    record_id = hr.create(active=False)
    hr.patch(record_id, _ON)
    assert _person(record_id).account.status == AccountStatus.ACTIVE


@pytest.mark.database
@settings(max_examples=12)
@given(pushes=st.lists(st.booleans(), min_size=1, max_size=5))
def test_unversioned_deactivation_is_sticky_in_any_order(hr: Scim, pushes: list[bool]) -> None:
    """Of unversioned pushes in any order, one `active: false` is enough (C29)."""
    record_id = hr.create(f"u{secrets.token_hex(8)}")
    for active in pushes:
        hr.patch(record_id, {**_ON, "value": active})
    assert _person(record_id).active is all(pushes)


@pytest.mark.database
def test_readmission_restores_no_credential(hr: Scim) -> None:
    """Readmitted, the person has what they had before: no credential (C30)."""
    record_id = hr.create()
    account = _person(record_id).account
    row = ledger_rows.recorded(account)
    hr.patch(record_id, _OFF)
    hr.patch(record_id, _ON)
    returns.readmit(_person(record_id), now=clock.now(), actor="operator")
    row.refresh_from_db()
    assert row.state == "revoked"
    assert _person(record_id).account.epoch > row.epoch


@pytest.mark.database
def test_deletion_ends_only_with_trust_in_active(connect: Callable[..., Scim]) -> None:
    """A delete by a source that is not believed about `active` is a retraction and no end."""
    scim = connect("badge", trusted_for=trust.PRESETS["security"])
    record_id = scim.create("x")
    assert scim("DELETE", f"/Users/{record_id}")[0] == 204
    assert _person(record_id).account.status == AccountStatus.TERMINATED
