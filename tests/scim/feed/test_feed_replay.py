"""The proof that the feed is complete: whatever happens to a directory, whoever replays the feed over an empty copy
has its state.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from derived import clock
from derived.errors import RametError
from scim.models import Match, MatchState, Person, Record
from scim.people import matching, provision
from tests.fixtures.feed_follower import Follower, plain
from tests.fixtures.scim_client import ENTERPRISE, GROUP, PATCH, Scim, user

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.django_db, pytest.mark.database]

LONG = os.environ.get("RAMET_TEST_LONG") == "1"

ACTS = [
    "create",
    "create",
    "create",
    "put",
    "patch",
    "patch",
    "delete",
    "deactivate",
    "activate",
    "status",
    "group",
    "group",
    "members",
    "members",
    "members",
    "rename group",
    "delete group",
    "manager joins",
    "manager splits",
    "operator",
    "bulk",
    "follow",
    "overtaken",
]


class Directory:
    """Two sources that are joined by number, and everything that can happen to them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.sources = [self._source(f"hr-{one}") for one in (1, 2)]
        self.people: list[tuple[Scim, str]] = []
        self.groups: list[tuple[Scim, str]] = []
        self.made = 0

    def _source(self, name: str) -> Scim:
        trusted = provision.register_source(name, now=clock.now())[1]
        return Scim(trusted)

    def act(self, what: str) -> None:
        """One of them, on somebody."""
        getattr(self, what.replace(" ", "_"))()

    def _fields(self) -> dict[str, Any]:
        pick = self.random.choice
        fields = {
            "title": pick(["Dr", "Prof", None]),
            "nickName": pick(["a", None]),
            "emails": pick([[{"value": "x@example.org"}], None]),
        }
        number = pick(["1", "2", "3", None])
        return {
            **{name: value for name, value in fields.items() if value},
            **({ENTERPRISE: {"employeeNumber": number}} if number else {}),
        }

    def _one(self) -> tuple[Scim, str] | None:
        return self.random.choice(self.people) if self.people else None

    def create(self) -> None:
        source, self.made = self.random.choice(self.sources), self.made + 1
        status, found = source(
            "POST", "/Users", user(f"person{self.made}", active=self.random.random() < 0.9, **self._fields())
        )
        if status == 201:
            self.people.append((source, found["id"]))

    def bulk(self) -> None:
        source = self.random.choice(self.sources)
        operations = [
            {
                "method": "POST",
                "path": "/Users",
                "bulkId": f"b{one}",
                "data": user(f"bulk{self.made}{one}", **self._fields()),
            }
            for one in range(2)
        ]
        operations.append(
            {
                "method": "POST",
                "path": "/Groups",
                "bulkId": "g",
                "data": {"schemas": [GROUP], "displayName": "b", "members": [{"value": "bulkId:b0"}]},
            }
        )
        source(
            "POST",
            "/Bulk",
            {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations},
        )
        self.made += 1

    def put(self) -> None:
        if one := self._one():
            one[0]("PUT", f"/Users/{one[1]}", user(f"person{self.random.randrange(9)}", **self._fields()))

    def patch(self) -> None:
        if one := self._one():
            one[0].patch(one[1], {"op": "replace", "value": self._fields() or {"title": "X"}})

    def status(self) -> None:
        if one := self._one():
            word = self.random.choice(["suspended", "active"])
            one[0].patch(
                one[1],
                {
                    "op": "replace",
                    "value": {"urn:ramet:params:scim:schemas:extension:assurance:1.0:User": {"status": word}},
                },
            )

    def deactivate(self) -> None:
        if one := self._one():
            one[0].patch(one[1], {"op": "replace", "value": {"active": False}})

    def activate(self) -> None:
        if one := self._one():
            one[0].patch(one[1], {"op": "replace", "value": {"active": True}}, If_Match=self.random.choice(["*", ""]))

    def delete(self) -> None:
        if one := self._one():
            one[0]("DELETE", f"/Users/{one[1]}")

    def group(self) -> None:
        source = self.random.choice(self.sources)
        status, found = source(
            "POST", "/Groups", {"schemas": [GROUP], "displayName": "g", "members": self._members(source)}
        )
        if status == 201:
            self.groups.append((source, found["id"]))

    def _members(self, source: Scim) -> list[dict[str, str]]:
        mine = [one for whose, one in [*self.people, *self.groups] if whose is source]
        return [{"value": one} for one in self.random.sample(mine, min(len(mine), self.random.randrange(3)))]

    def members(self) -> None:
        if not self.groups:
            return
        source, group = self.random.choice(self.groups)
        op, members = self.random.choice(["add", "remove", "replace"]), self._members(source)
        if self.random.random() < 0.3:
            source("PUT", f"/Groups/{group}", {"schemas": [GROUP], "displayName": "put", "members": members})
        else:
            operations = (
                [{"op": op, "path": "members", "value": members}]
                if op != "remove"
                else [{"op": "remove", "path": f'members[value eq "{one["value"]}"]'} for one in members]
            )
            source("PATCH", f"/Groups/{group}", {"schemas": [PATCH], "Operations": operations})

    def rename_group(self) -> None:
        if self.groups:
            source, group = self.random.choice(self.groups)
            source(
                "PATCH",
                f"/Groups/{group}",
                {
                    "schemas": [PATCH],
                    "Operations": [{"op": "replace", "path": "displayName", "value": self.random.choice("abc")}],
                },
            )

    def delete_group(self) -> None:
        if self.groups:
            source, group = self.random.choice(self.groups)
            source("DELETE", f"/Groups/{group}")

    def manager_joins(self) -> None:
        records, people = (
            list(Record.objects.filter(deleted_at=None).order_by("created_at")),
            list(Person.objects.order_by("created_at")),
        )
        if records:
            self._tried(
                lambda: matching.join(
                    self.random.choice(records), self.random.choice(people), now=clock.now(), actor="operator"
                )
            )

    def manager_splits(self) -> None:
        matches = list(Match.objects.filter(state=MatchState.JOINED).order_by("id"))
        if matches:
            self._tried(lambda: matching.split(self.random.choice(matches), now=clock.now(), actor="operator"))

    def operator(self) -> None:
        people = list(Person.objects.order_by("created_at"))
        if people:
            verb, who = self.random.choice(["suspend", "resume", "end", "readmit"]), str(self.random.choice(people).id)
            self._tried(lambda: call_command("person", verb, who, stdout=open("/dev/null", "w")))  # noqa: PTH123, SIM115

    def _tried(self, work: Callable[[], object]) -> None:
        try:
            work()
        except (RametError, CommandError):
            return


@settings(max_examples=200 if LONG else 4)
@given(seed=st.integers(0, 2**32), acts=st.lists(st.sampled_from(ACTS), min_size=25, max_size=45))
def test_replay_equals_the_directory(db: None, seed: int, acts: list[str]) -> None:
    """Over any history of two joined sources, groups in groups, managers and operators, taken in any portions."""
    before = transaction.savepoint()
    try:
        _replay(seed, acts)
    finally:
        transaction.savepoint_rollback(before)


def _replay(seed: int, acts: list[str]) -> None:
    matching.add_rule("employeeNumber", now=clock.now())
    directory, follower = Directory(seed), Follower().begin()
    assert follower.copy == {}
    for act in acts:
        if act == "follow":
            follower.follow(at_once=directory.random.randrange(1, 9))
        elif act == "overtaken":  # it asks and does not take: all is told again, and applied twice
            for claims in follower.poll(maxEvents=1).values():
                follower.apply(claims)
        else:
            directory.act(act)
    follower.follow(at_once=directory.random.randrange(1, 9))
    assert follower.copy == {path: plain(one) for path, one in follower.read(count=7).items()}
