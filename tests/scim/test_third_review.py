"""What a third pair of eyes broke in the SCIM service, each as it is refused now (C27 to C29, C75, C76; ruling 9, ruling 11)."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command
from django.db import connection

from derived import clock
from derived.models import Credential
from scim.http import bulk
from scim.models import Match, MatchState, Person, Record
from scim.people import matching, returns
from scim.protocol import trust
from tests.scim.conftest import ASSURANCE, ENTERPRISE, Scim, user
from tests.scim.follower import Follower

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.database

_KEYED = {*trust.EVERY, trust.EMPLOYEE_NUMBER}


def _record(record_id: str) -> Record:
    return Record.objects.select_related("person__account", "source").get(id=record_id)


def _number(number: str) -> dict[str, Any]:
    return {ENTERPRISE: {"employeeNumber": number}}


# --- values that came in through a path -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        'emails[value eq "ada@x.org\\u000aBcc: eve@x.org"].type',
        'emails[value eq "ada\\u0007@x.org"].type',
        'x509Certificates[value eq "no base64!"].type',
        "emails[value eq null].type",
        'phoneNumbers[value eq "\\u001b"].type',
    ],
)
def test_what_a_value_path_describes_is_a_value_like_any_other(hr: Scim, path: str) -> None:
    """C76: an element that `add` makes out of its own filter is checked and made canonical; none smuggles a line into an address."""
    ada = hr.create("ada")
    before = hr("GET", f"/Users/{ada}")[1]
    status, found = hr.patch(ada, {"op": "add", "path": path, "value": "work"})
    after = hr("GET", f"/Users/{ada}")[1]
    if status == 200:
        assert all("value" not in one or one["value"] for one in found["emails"]), found
    assert after["emails"] == before["emails"] or "eq null" in path, after
    assert "x509Certificates" not in after
    assert "phoneNumbers" not in after


def test_value_paths_add_no_more_than_fits(hr: Scim) -> None:
    """The bound on the number of values holds for whichever operation adds them."""
    ada = hr.create("ada", phoneNumbers=[{"value": str(number)} for number in range(995)])
    status, found = hr.patch(
        ada, *({"op": "add", "path": f'phoneNumbers[value eq "+{number}"].type', "value": "x"} for number in range(10))
    )
    assert (status, found["scimType"]) == (400, "invalidValue")


def test_a_patch_cannot_hold_the_lock_for_minutes(hr: Scim) -> None:
    """C75: a thousand operations over a thousand values are refused, or done, in little time."""
    ada, begun = hr.create("ada", phoneNumbers=[{"value": str(number)} for number in range(1000)]), time.process_time()
    many = ({"op": "replace", "path": "phoneNumbers[value pr].display", "value": str(number)} for number in range(1000))
    lists = (
        {"op": "add", "path": "phoneNumbers", "value": [{"value": str(one)} for one in range(1000)]} for _ in range(30)
    )
    assert hr.patch(ada, *many)[1]["scimType"] == "invalidValue"
    assert hr.patch(ada, *lists)[0] == 200
    assert time.process_time() - begun < 10  # of this process: it took a minute


# --- numbers and times ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "at",
    [
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00Z",
        "2026-11-26T09:00:00+00:00:00.000001",
    ],
)
def test_a_time_at_the_edge_of_the_calendar(hr: Scim, at: str) -> None:
    """`meta.lastModified` is a stranger's text: no 5xx now, and none at the next read."""
    ada = hr.create("ada")
    pushed = user("ada", active=True, title="x", meta={"version": "7", "lastModified": at})
    assert hr("PUT", f"/Users/{ada}", pushed)[0] == 200
    assert hr.patch(ada, {"op": "replace", "path": "title", "value": "y"})[0] == 200
    assert hr("GET", f"/Users/{ada}")[0] == 200


def test_a_filter_is_stopped_also_where_everything_passes(hr: Scim, monkeypatch: pytest.MonkeyPatch) -> None:
    """C75: the time that asking rows one by one may take does not depend on the answer."""
    for name in ("ada", "bob"):
        hr.create(name)
    monkeypatch.setattr("scim.http.listing._LONGEST", -1.0)
    assert hr("GET", '/Users?filter=not (title eq "x")')[1]["scimType"] == "tooMany"


# --- matching ---------------------------------------------------------------------------------------------------------


def _enrol(person: Person) -> None:
    Credential.objects.create(
        account=person.account,
        epoch=person.account.epoch,
        kind="password_totp",
        state="active",
        aal=2,
        ial=0,
        created_at=clock.now(),
    )


def test_a_changed_key_drags_nobody_into_another_account(connect: Callable[..., Scim]) -> None:
    """C27, ruling 9: a joined record that says another number now does not pull the person of that number in: HR has two of them."""
    matching.add_rule("employeeNumber", now=clock.now())
    hr, badges = connect("hr", trusted_for=_KEYED), connect("badges", trusted_for=_KEYED)
    ada, bob = hr.create("ada", **_number("1")), hr.create("bob", **_number("2"))
    badge = badges.create("badge", **_number("1"))
    assert _record(badge).person == _record(ada).person
    _enrol(_record(ada).person)
    assert badges.patch(badge, {"op": "replace", "path": f"{ENTERPRISE}:employeeNumber", "value": "2"})[0] == 200
    assert _record(bob).person != _record(ada).person
    assert _record(bob).person.account.is_active
    assert Match.objects.filter(state=MatchState.WAITING).exists()


def test_a_record_made_anew_does_not_undo_a_managers_word(connect: Callable[..., Scim]) -> None:
    """What a manager split or kept apart is not joined by rule again because its source deletes the record and pushes it anew."""
    matching.add_rule("employeeNumber", now=clock.now())
    hr, badges = connect("hr", trusted_for=_KEYED), connect("badges", trusted_for=_KEYED)
    ada = hr.create("ada", **_number("1"))
    badge = badges.create("badge", **_number("1"))
    matching.split(Match.objects.get(state=MatchState.JOINED), now=clock.now(), actor="manager:m")
    assert badges("DELETE", f"/Users/{badge}")[0] == 204
    again = badges.create("badge", **_number("1"))
    assert _record(again).person != _record(ada).person


def test_a_source_may_always_vouch_for_less(connect: Callable[..., Scim]) -> None:
    """AS-1: what a source says of one person's proofing is never raised to what it could have said."""
    hr = connect("hr", vouched_ial=2)
    one, none = hr.create("ada", **{ASSURANCE: {"ial": 1}}), hr.create("bob", **{ASSURANCE: {"ial": 0}})
    assert [
        _record(each).person.account.ial
        for each in (one, none, hr.create("cyd"), hr.create("dee", **{ASSURANCE: {"ial": 3}}))
    ] == [1, 0, 2, 2]


def test_deleting_a_record_vouches_for_nobody(connect: Callable[..., Scim]) -> None:
    """A tombstone says no; it does not say the most that its source may."""
    hr = connect("hr", vouched_ial=3, trusted_for=_KEYED | {trust.IAL})
    directory = connect("directory", trusted_for=_KEYED)
    matching.add_rule("employeeNumber", now=clock.now())
    ada = hr.create("ada", **{ASSURANCE: {"ial": 1}}, **_number("1"))
    directory.create("al", **_number("1"))
    assert hr("DELETE", f"/Users/{ada}")[0] == 204
    assert _record(ada).person.account.ial <= 1


# --- files and bulk ---------------------------------------------------------------------------------------------------


def test_a_new_hire_with_an_old_name_is_another_person(
    hr: Scim, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """C28: a line of a file with another externalId is not the person who has the user name."""
    old = hr.create("jdoe", externalId="1")
    path = tmp_path / "people.csv"
    path.write_text("userName,externalId\njdoe,2\n", encoding="utf-8")
    call_command("source", "import", str(path), "--source", "hr", "--json")
    assert json.loads(capsys.readouterr().out)["refused"]
    assert _record(old).external_id == "1"


def test_references_in_reverse_cost_little(hr: Scim) -> None:
    """C75: a bulk request in which each operation waits for the next is answered in the time of any other."""
    last = 1000
    padding = [{"value": f"{number}"} for number in range(60)]
    asked = [
        {
            "method": "POST",
            "path": "/Groups",
            "bulkId": str(place),
            "data": {"schemas": ["x"], "displayName": f"bulkId:{place + 1}", "x": padding},
        }
        for place in range(last)
    ]
    body = {"schemas": [bulk.URN], "Operations": asked}
    assert len(json.dumps(body)) < 2 * 1024 * 1024
    request, begun = bulk.parse(body), time.process_time()
    bulk.run(_source(), request, base="https://x", now=clock.now())
    assert time.process_time() - begun < 6


def _source() -> Any:
    from scim.models import Source

    return Source.objects.get()


@pytest.mark.parametrize(
    "filler", ["\u034f", "\u3164", "\ufe0f", "\uffa0", "\u2800", "\U000e0101", "\u180b", "\u200d", "\u2066"]
)
def test_no_name_differs_from_another_by_nothing(hr: Scim, filler: str) -> None:
    """C76: what a reader cannot see is in no identifier, whatever Unicode calls it; a matching key is one."""
    for body in (user(f"ada{filler}"), user("ada", externalId=f"1{filler}"), user("ada", **_number(f"7{filler}"))):
        status, found = hr("POST", "/Users", body)
        assert (status, found["scimType"]) == (400, "invalidValue")


def test_whoever_gets_another_login_name_has_no_certificate_with_the_old_one(connect: Callable[..., Scim]) -> None:
    """MT-4: the login name of a joined record becomes the person's when a manager says so; that is a change of name too."""
    matching.add_rule("employeeNumber", now=clock.now())
    hr, directory = (
        connect("hr", trusted_for=_KEYED, precedence=20),
        connect("directory", trusted_for=_KEYED, precedence=5),
    )
    ada, joined = (
        hr.create("ada", displayName="Ada", **_number("1")),
        directory.create("alovelace", displayName="Ada", **_number("1")),
    )
    person = _record(ada).person
    assert person.login_name == "ada"
    root = Credential.objects.create(
        account=person.account,
        epoch=person.account.epoch,
        kind="password_totp",
        state="active",
        aal=2,
        ial=0,
        created_at=clock.now(),
    )
    shown = Credential.objects.create(
        account=person.account,
        epoch=person.account.epoch,
        kind="certificate",
        state="active",
        aal=2,
        ial=0,
        root=root,
        parent=root,
        evidence={"names": ["Ada", "ada"]},
        created_at=clock.now(),
    )
    assert not returns.adopt(_record(joined), now=clock.now(), actor="manager:m")
    assert returns.adopt(_record(joined), now=clock.now(), actor="manager:n")
    assert _record(ada).person.login_name == "alovelace"
    shown.refresh_from_db()
    assert shown.state != "active"
    assert shown.end_reason == "name_changed"


@pytest.mark.parametrize("name", ["[/x]", "[red]ada", "a:smile:"])
def test_a_name_is_no_markup_of_the_operators_terminal(hr: Scim, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """C78: a source's name breaks no list of the operator's, and is shown as it is."""
    hr.create(name)
    call_command("person", "list")
    assert name in capsys.readouterr().out


def test_a_receiver_says_nothing_to_the_operators_terminal(hr: Scim, capsys: pytest.CaptureFixture[str]) -> None:
    """C78: what somebody who follows us could not use is shown, and not obeyed."""
    follower = Follower().begin()
    assert follower("POST", "/Events", {"setErrs": {"a\x1b]0;owned\x07\x1b[31m": {"err": "invalid_request"}}})[0] == 200
    call_command("feed", "show", "payroll")
    found = capsys.readouterr().out
    assert ("\x1b" in found, "\\x1b]0;owned\\x07" in found) == (False, True)


@pytest.mark.postgresql  # SQLite has no connection that could go
@pytest.mark.django_db(transaction=True)
def test_a_database_that_goes_away_within_a_request_is_told_as_such(hr: Scim) -> None:
    """C75: 503 and not 500, also where the limit of a statement can no longer be taken back."""
    ada = hr.create("ada")

    def gone(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        if "scim_record" in sql:
            connection.connection.pgconn.finish()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(gone):
        status, _ = hr("GET", f"/Users/{ada}")
    connection.close()
    assert status == 503
