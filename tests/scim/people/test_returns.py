"""A source that reactivates somebody whom it had ended reads the truth, and managers hear of it."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.core.management import CommandError, call_command

from derived import clock
from derived.errors import Refused
from derived.models import AccountStatus, OutboxRow
from scim.models import RoleName, Source
from scim.people import disabling, matching, returns
from tests.fixtures.roles import appoint
from tests.fixtures.scim_client import ASSURANCE, CORE, Scim, user
from tests.fixtures.scim_records import _number, _record
from tests.fixtures.world import ISSUER

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fixtures.world import World

pytestmark = pytest.mark.database

_OFF = {"op": "replace", "path": "active", "value": False}
_ON = {"op": "replace", "path": "active", "value": True}
_PENDING = {"readmission": "pending"}


def test_a_waiting_return_is_answered_truthfully(hr: Scim) -> None:
    """PATCH, PUT, GET, lists and filters say `active: false`, and the extension says why, until a manager agrees."""
    record_id = hr.create("ada")
    hr.patch(record_id, _OFF)
    status, answer = hr.patch(record_id, _ON)
    assert (status, answer["active"], answer[ASSURANCE], answer["schemas"]) == (200, False, _PENDING, [CORE, ASSURANCE])
    tag = answer["meta"]["version"]
    read = hr("GET", f"/Users/{record_id}")[1]
    assert read == answer
    assert hr("PUT", f"/Users/{record_id}", user("ada", active=True))[1]["active"] is False
    assert hr.names("?filter=active eq true") == []
    assert hr.names("?filter=active eq false") == ["ada"]
    assert hr.names(f'?filter={ASSURANCE}:readmission eq "pending"') == ["ada"]
    assert hr("GET", f"/Users/{record_id}?attributes=active")[1]["active"] is False

    returns.readmit(_record(record_id).person, now=clock.now(), actor="operator")
    read = hr("GET", f"/Users/{record_id}")[1]
    assert (read["active"], ASSURANCE in read) == (True, False)
    assert read["meta"]["version"] != tag
    assert hr.names("?filter=active eq true") == ["ada"]


def test_a_source_that_takes_its_return_back(hr: Scim) -> None:
    """`active: false` again: nothing waits, and nothing is said about it; a proven return counts at once."""
    record_id = hr.create("ada")
    for operation in (_OFF, _ON, _OFF):
        answer = hr.patch(record_id, operation)[1]
    assert (answer["active"], ASSURANCE in answer, returns.waiting().count()) == (False, False, 0)
    hr.patch(record_id, _ON)
    answer = hr.patch(record_id, _ON, If_Match=hr.tag(record_id))[1]
    assert (answer["active"], ASSURANCE in answer) == (True, False)
    assert hr.names("?filter=active eq true") == ["ada"]
    assert _record(record_id).person.account.is_active


def test_the_word_is_read_only(hr: Scim) -> None:
    """A source that sends back what it read changes nothing by it."""
    record_id = hr.create("ada")
    hr.patch(record_id, _OFF)
    read = hr.patch(record_id, _ON)[1]
    assert hr("PUT", f"/Users/{record_id}", read)[0] == 200
    assert returns.waiting().count() == 0, "`active: false` was read, and sent back: it takes the return back"
    assert hr("PUT", f"/Users/{record_id}", user("ada", active=False, **{ASSURANCE: _PENDING}))[0] == 200
    assert ASSURANCE not in hr("GET", f"/Users/{record_id}")[1]
    assert hr.patch(record_id, {"op": "replace", "path": f"{ASSURANCE}:readmission", "value": "x"})[0] == 400


def test_after_a_source_was_disabled_and_enabled(hr: Scim) -> None:
    """Its people wait for a manager too, and it reads that."""
    record_id = hr.create("ada")
    source = Source.objects.get()
    disabling.disable_source(source, now=clock.now())
    disabling.enable_source(source, now=clock.now())
    read = hr("GET", f"/Users/{record_id}")[1]
    assert (read["active"], read[ASSURANCE]) == (False, _PENDING)
    assert hr.names("?filter=active eq true") == []


def test_a_return_that_waits_after_the_fact(world: World) -> None:
    """A proven return whose address moves before the person has enrolled again waits from then on: that is answered."""
    world.enrolled("alex@example.org")
    hr = Scim(world.token)
    record_id = hr("GET", '/Users?filter=userName eq "alex@example.org"')[1]["Resources"][0]["id"]
    hr.patch(record_id, _OFF)
    with time_machine.travel(clock.now() + timedelta(days=31)):
        assert hr.patch(record_id, _ON, If_Match=hr.tag(record_id))[1]["active"] is True
        moved = {"op": "replace", "path": 'emails[type eq "work"].value', "value": "thief@example.org"}
        answer = hr.patch(record_id, moved, If_Match=hr.tag(record_id))[1]
        assert (answer["active"], answer[ASSURANCE]["readmission"]) == (False, "pending")
        assert hr.tag(record_id) == answer["meta"]["version"]
        assert hr.names("?filter=active eq true") == []


def test_managers_are_mailed_once(world: World) -> None:
    """With a link to the person's page; a source that goes to and fro mails once a day."""
    world.enrolled("mona@example.org")
    appoint("mona@example.org", RoleName.MANAGER)
    hr = Scim(world.token)
    world.push("alex@example.org")
    record_id = hr("GET", '/Users?filter=userName eq "alex@example.org"')[1]["Resources"][0]["id"]
    for operation in (_OFF, _ON, _OFF, _ON):
        hr.patch(record_id, operation)
    assert OutboxRow.objects.filter(kind="return.waits").count() == 1
    told = world.mails("mona@example.org", "waits to come back")[0]
    assert f"{ISSUER}/console/people/{_record(record_id).person_id}" in told.body


@pytest.mark.parametrize("why", ["nothing waits", "a manager ended", "another source"])
def test_readmit_refuses_what_it_cannot_do(hr: Scim, connect: Callable[..., Scim], why: str) -> None:
    """In words, with nothing changed; it printed success and left the account ended."""
    matching.add_rule("employeeNumber", now=clock.now())
    record_id = hr.create("ada", **_number("7"))
    expected = "No source wants"
    if why == "a manager ended":
        call_command("person", "end", "ada", stdout=io.StringIO())
        hr.patch(record_id, _OFF)
        hr.patch(record_id, _ON)
        expected = "for good"
    elif why == "another source":
        second = connect("second", adopts=("employeeNumber",))
        second.patch(second.create("ada2", **_number("7")), _OFF)
        hr.patch(record_id, _OFF)
        hr.patch(record_id, _ON)
        expected = "second still says"
    with pytest.raises(CommandError, match=expected):
        call_command("person", "readmit", str(_record(record_id).person_id))
    with pytest.raises(Refused):
        returns.readmit(_record(record_id).person, now=clock.now(), actor="operator")
    record = _record(record_id)
    assert record.person.account.events.filter(kind="person.readmitted").count() == 0
    assert (record.returns_at is None) == (why == "nothing waits")
    assert (record.person.account.status == AccountStatus.ACTIVE) == (why == "nothing waits")


def test_readmit_says_what_it_did(hr: Scim) -> None:
    """The account's state after it."""
    record_id = hr.create("ada")
    hr.patch(record_id, _OFF)
    hr.patch(record_id, _ON)
    out = io.StringIO()
    call_command("person", "readmit", str(_record(record_id).person_id), stdout=out)
    assert "the account is active" in out.getvalue()
