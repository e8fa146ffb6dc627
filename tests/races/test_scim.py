"""Sources that say the same, or the opposite, at the same moment (C27, C29, ID-1); and a server that is killed in a
bulk (promise 5).
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from http.client import HTTPException
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import pytest

from tests.fixtures.live_server import LONG, PATCH, Answer, Live, Request, document

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = [pytest.mark.database, pytest.mark.slow]

MANY = 100 if LONG else 20
IN_BULK = 1000 if LONG else 80
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


def _user(name: str, **more: Any) -> dict[str, Any]:
    return {"schemas": [CORE], "userName": name, "emails": [{"value": f"{name}@example.org"}], **more}


def _push(token: str, method: str, path: str, value: Any = None) -> Request:
    bearer = {"Authorization": f"Bearer {token}"}
    return (
        Request(method, f"/scim/v2{path}", bearer)
        if value is None
        else document(method, f"/scim/v2{path}", value, **bearer)
    )


def _patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": list(operations)}


def _statuses(answers: Iterable[Answer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)


@pytest.mark.parametrize("same", ["userName", "externalId"])
def test_one_of_many_joiners_with_one_name_is_created(live: Live, same: str) -> None:
    """One 201; all others 409 uniqueness, whichever of the two names is shared and however it is spelled."""
    name = f"same-{token_hex(4)}"
    bodies = [
        _user(name.upper() if n % 2 else name) if same == "userName" else _user(f"{name}-{n}", externalId=name)
        for n in range(MANY)
    ]
    answers = live.together(_push(live.scim_token, "POST", "/Users", body) for body in bodies)
    assert _statuses(answers) == {201: 1, 409: MANY - 1}
    assert {answer.json()["scimType"] for answer in answers if answer.status == 409} == {"uniqueness"}
    found = live.inside.ask("whole", prefix=name)
    assert (found["records"], found["lacking"], found["broken"], found["orphans"]) == (1, [], [], 0)


def test_person_pushed_by_two_sources_at_once_is_joined(live: Live) -> None:
    """By the operator's rule both records come to one person, whoever is first; each source is told 201, and no
    account is left over.
    """
    tag = token_hex(4)
    tokens = [live.inside.ask("source", name=f"{side}-{tag}") for side in ("left", "right")]
    live.inside.ask("match_by", attribute="employeeNumber")
    pairs = [
        _push(token, "POST", "/Users", _user(f"pair{tag}-{n}-{side}", **{ENTERPRISE: {"employeeNumber": f"{tag}-{n}"}}))
        for n in range(MANY // 2)
        for side, token in enumerate(tokens)
    ]
    answers = live.together(pairs)
    assert _statuses(answers) == {201: len(pairs)}, [answer.text for answer in answers if answer.status != 201]
    found = live.inside.ask("owners", prefix=f"pair{tag}")
    of_number = [{found["people"][f"pair{tag}-{n}-{side}"] for side in (0, 1)} for n in range(MANY // 2)]
    assert [len(people) for people in of_number] == [1] * (MANY // 2)
    assert (found["ended"], found["waiting"]) == ([], 0)


def test_no_group_member_is_lost(live: Live) -> None:
    """Many add one member each to one group, and half of them take another out: the group holds exactly who should
    be in it.
    """
    people = [str(one["scim_id"]) for one in live.people(MANY, enrolled=False)]
    old, new = people[: MANY // 2], people[MANY // 2 :]
    made = live.call(
        _push(
            live.scim_token,
            "POST",
            "/Groups",
            {"schemas": [GROUP], "displayName": "Race", "members": [{"value": one} for one in old]},
        )
    )
    assert made.status == 201, made.text
    group = f"/Groups/{made.json()['id']}"
    come = [_patch({"op": "add", "path": "members", "value": [{"value": one}]}) for one in new]
    go = [_patch({"op": "remove", "path": f'members[value eq "{one}"]'}) for one in old[::2]]
    assert _statuses(live.together(_push(live.scim_token, "PATCH", group, body) for body in [*come, *go])) == {
        200: len(come) + len(go)
    }
    found = live.call(_push(live.scim_token, "GET", group)).json()
    assert {one["value"] for one in found["members"]} == {*new, *old[1::2]}
    assert found["meta"]["version"] == f'W/"{1 + len(come) + len(go)}"'


def test_deleted_record_stays_deleted(live: Live) -> None:
    """DELETE against changes that would bring somebody back: each change is 200 before or 404 after, and in the end
    all is ended.
    """
    person = live.people(1)[0]
    where = f"/Users/{person['scim_id']}"
    change = _push(
        live.scim_token,
        "PATCH",
        where,
        _patch(
            {"op": "replace", "path": "active", "value": True},
            {"op": "replace", "path": "title", "value": token_hex(4)},
        ),
    )
    answers = live.together([change] * (MANY // 2) + [_push(live.scim_token, "DELETE", where)] + [change] * (MANY // 2))
    assert set(_statuses(answers)) <= {200, 204, 404}
    assert _statuses(answers)[204] == 1
    assert live.call(_push(live.scim_token, "GET", where)).status == 404
    assert live.inside.ask("ledger", account=person["account"])["living"] == []


def _workers(live: Live) -> list[int]:
    """The processes that serve: children of the one that was started as `serve`."""
    parent = next(child.pid for name, child in live.ramet._children if name == "serve")
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat, command = (
                    (folder / "stat").read_text().rpartition(") ")[2].split(),
                    (folder / "cmdline").read_text(),
                )
            except OSError:
                continue
            if int(stat[1]) == parent and "resource_tracker" not in command:
                found.append(int(folder.name))
    return found


def test_killed_bulk_can_be_sent_again(live: Live) -> None:
    """R1: `kill -9` within a bulk: nothing was acknowledged, every stored record is complete, and the same bulk
    again creates the rest and no duplicate.
    """
    name = f"bulk-{token_hex(4)}"
    posts = [
        {"method": "POST", "path": "/Users", "bulkId": f"b{n}", "data": _user(f"{name}-{n}")} for n in range(IN_BULK)
    ]
    request, said = _push(live.scim_token, "POST", "/Bulk", {"schemas": [BULK], "Operations": posts}), []

    def send() -> None:
        try:
            said.append(live.call(request))
        except (OSError, HTTPException):
            said.append(None)

    sender = threading.Thread(target=send)
    sender.start()
    until = time.monotonic() + 60
    while live.inside.ask("pushed", prefix=name) < IN_BULK // 5:
        assert time.monotonic() < until
    for worker in _workers(live):
        os.kill(worker, signal.SIGKILL)
    sender.join(timeout=60)
    assert said == [None]
    live.ramet.wait_until_ready()
    found = live.inside.ask("whole", prefix=name)
    assert IN_BULK // 5 <= found["records"] < IN_BULK
    assert (found["lacking"], found["broken"], found["orphans"]) == ([], [], 0)
    again = live.call(request).json()["Operations"]
    assert Counter(one["status"] for one in again) == {"201": IN_BULK - found["records"], "409": found["records"]}
    after = live.inside.ask("whole", prefix=name)
    assert (after["records"], after["lacking"], after["broken"], after["orphans"]) == (IN_BULK, [], [], 0)
