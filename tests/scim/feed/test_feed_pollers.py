"""Two pollers of one receiver, side by side with who writes: nothing is lost, each sees each subject in order, all
is taken.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from derived import clock
from scim.feed import delivery
from scim.models import Taken
from scim.people import provision
from tests.fixtures.feed_follower import Follower
from tests.fixtures.scim_client import Scim

_PARALLEL = (
    connection.vendor == "postgresql"
)  # SQLite's test database is one connection: there they come one after the other
pytestmark = [pytest.mark.django_db(transaction=_PARALLEL), pytest.mark.database]

_CHANGES, _PEOPLE, _IDLE = 6, 3, 8


def write(hr: Scim, people: list[str]) -> None:
    """Change everybody, again and again."""
    for change in range(_CHANGES):
        for one in people:
            assert hr.patch(one, {"op": "replace", "path": "title", "value": str(change)})[0] == 200


def poll(follower: Follower) -> list[tuple[str, int]]:
    """Ask and take until nothing has come for a while; what came, as subjects and versions."""
    seen: list[tuple[str, int]] = []
    taken: list[str] = []
    idle = 0
    while idle < _IDLE:
        sets = follower.poll(maxEvents=4, ack=taken)
        idle, taken = 0 if sets else idle + 1, list(sets)
        seen += [
            (one["sub_id"]["uri"], int(next(iter(one["events"].values()))["version"][3:-1])) for one in sets.values()
        ]
    return seen


def alone(follower: Follower) -> list[tuple[str, int]]:
    """Poll in a thread, whose connection ends with it."""
    try:
        return poll(follower)
    finally:
        connection.close()


def test_two_pollers_and_a_writer() -> None:
    """RFC 8936 §2.4: at least once, whoever asks; two acknowledgements of one event are one."""
    hr = Scim(provision.register_source("hr", now=clock.now())[1])
    followers = [Follower(), Follower("copy")]
    followers[1].receiver, followers[1].token = followers[0].receiver, followers[0].token
    for kind in ("User", "Group"):
        delivery.read_begins(followers[0].fresh(), kind)
    people = [hr.create(f"person{one}") for one in range(_PEOPLE)]
    if _PARALLEL:
        with ThreadPoolExecutor(2) as pool:
            waiting = [pool.submit(alone, one) for one in followers]
            write(hr, people)
            told = [one.result() for one in waiting]
    else:
        told = [poll(followers[0])]
        write(hr, people)
    told.append(poll(followers[0]))
    versions: dict[str, set[int]] = {}
    for seen in told:
        for path, version in seen:
            versions.setdefault(path, set()).add(version)
        for path in versions:
            mine = [version for where, version in seen if where == path]
            assert mine == sorted(set(mine))
    assert [len(found) for found in versions.values()] == [_CHANGES + 1] * _PEOPLE
    assert Taken.objects.count() == _PEOPLE * (_CHANGES + 1)
    assert followers[1].poll() == {}
