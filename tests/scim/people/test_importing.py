"""People in files: the same engine, a rehearsal that writes nothing, and lines that can be found again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command

from derived import clock
from derived.models import AccountStatus, OutboxRow
from scim.models import Person, Record
from scim.protocol import tables
from tests.fixtures.scim_client import ENTERPRISE, Scim
from tests.fixtures.scim_records import _record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.database

_CSV = """userName,externalId,given_name,family_name,email,employeeNumber,department,active
ada,1,Ada,Lovelace,ada@example.org,7,IT,true
bob,2,Bob,"Builder, Jr.",bob@example.org,8,Works,true
cyd,3,Cyd,,cyd@example.org,9,"a
b",true
bad\u200b,4,X,Y,,,,true
short,5
ada,6,Ada,Twice,,,,true
"""
_LDIF = """version: 1

# a comment
dn: uid=ada,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: ada
cn:: QWRhIEzDtnZlbGFjZQ==
givenName: Ada
sn: Love
 lace
mail: ada@example.org
mail: ada@home.example
userPassword: canary-s3cret
employeeNumber: 7

dn: uid=bob,dc=example
uid: bob
nsAccountLock: TRUE

dn: uid=x
changetype: delete
"""


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """`source import` of a text."""

    def work(name: str, text: str, *options: str) -> Any:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        call_command("source", "import", str(path), "--source", "hr", *options, "--json")
        return json.loads(capsys.readouterr().out)

    return work


def _counts(found: dict[str, Any]) -> dict[str, int]:
    return {name: value for name, value in found.items() if isinstance(value, int) and value and name != "dry_run"}


def test_rehearsal_then_import_then_nothing(hr: Scim, run: Callable[..., Any]) -> None:
    """The rehearsal says what the import then does, and writes nothing; a second import changes nothing."""
    rehearsed = run("people.csv", _CSV, "--dry-run")
    assert (_counts(rehearsed), Record.objects.count(), OutboxRow.objects.count()) == (
        {"created": 3, "refused": 3},
        0,
        0,
    )
    assert [one["line"] for one in rehearsed["refused_lines"]] == [6, 7, 8]
    assert "line 2" in rehearsed["refused_lines"][2]["why"]
    done = run("people.csv", _CSV)
    assert _counts(done) == _counts(rehearsed)
    ada = Person.objects.get(login_name="ada")
    assert (ada.account.status, ada.profile[ENTERPRISE], ada.addresses()) == (
        AccountStatus.ACTIVE,
        {"employeeNumber": "7", "department": "IT"},
        ["ada@example.org"],
    )
    assert OutboxRow.objects.filter(kind="invite").count() == 3
    assert _counts(run("people.csv", _CSV)) == {"unchanged": 3, "refused": 3}
    assert sorted(hr.names()) == ["ada", "bob", "cyd"]


def test_import_changes_ends_and_returns(hr: Scim, run: Callable[..., Any]) -> None:
    """A changed line changes, `active: false` ends, and who was ended waits for a manager, as over SCIM."""
    hr.create("ada", externalId="1")
    hr.create("bob", externalId="2")
    gone = hr.create("cyd", externalId="3")
    hr.patch(gone, {"op": "replace", "path": "active", "value": False})
    text = "externalId,userName,title,active\n1,ada,Boss,true\n2,bob,,false\n3,cyd,,true\n"
    expected = {"changed": 1, "ended": 1, "wants to return": 1}
    assert _counts(run("p.csv", text, "--dry-run")) == expected
    assert _counts(run("p.csv", text)) == expected
    states = {one.user_name: one.account.status for one in Person.objects.select_related("account")}
    assert states == {"ada": "active", "bob": "terminated", "cyd": "terminated"}


def test_complete_import_ends_missing_people(hr: Scim, run: Callable[..., Any]) -> None:
    """A file of everybody ends the others; not where a line was refused: they may be among those."""
    hr.create("ada")
    hr.create("bob")
    with pytest.raises(CommandError, match="nobody is ended"):
        run("p.csv", "userName\nada\nx\u200b\n", "--complete")
    assert Person.objects.filter(active=True).count() == 2
    assert _counts(run("p.csv", "userName\nada\n", "--complete", "--dry-run"))["ended"] == 1
    assert Person.objects.filter(active=True).count() == 2
    run("p.csv", "userName\nada\nnew\n", "--complete")
    assert sorted(Person.objects.filter(active=True).values_list("user_name", flat=True)) == ["ada", "new"]


def test_ldif(hr: Scim, run: Callable[..., Any]) -> None:
    """inetOrgPerson: folded lines, base64, several addresses, a lock; no password is kept."""
    found = run("p.ldif", _LDIF)
    assert (_counts(found), found["refused_lines"][0]["line"]) == ({"created": 2, "refused": 1}, 20)
    record = Record.objects.get(user_name_fold="ada")
    assert (record.resource["displayName"], record.resource["name"]["familyName"], len(record.resource["emails"])) == (
        "Ada L\u00f6velace",
        "Lovelace",
        2,
    )
    assert "canary" not in str(record.pushed)
    assert not Record.objects.get(user_name_fold="bob").active
    assert sorted(hr.names()) == ["ada", "bob"]


def test_json_lines(hr: Scim, run: Callable[..., Any]) -> None:
    """A SCIM User per line; what is none is refused by its line."""
    found = run("p.jsonl", '{"userName": "ada", "title": "Boss"}\n\n[]\n{"userName": "bob", "salary": 1}\n')
    assert (_counts(found), [one["line"] for one in found["refused_lines"]]) == ({"created": 1, "refused": 2}, [3, 4])
    assert hr.names() == ["ada"]


@pytest.mark.parametrize(
    ("name", "text"), [("p.csv", "userName,salary\na,1\n"), ("p.txt", "x"), ("p.csv", b"\xff".decode("latin-1"))]
)
def test_malformed_file_is_refused(hr: Scim, run: Callable[..., Any], name: str, text: str) -> None:
    """An unknown column, another ending: refused before anybody is touched, in words."""
    with pytest.raises(CommandError):
        run(name, text)
    assert hr.names() == []


def test_extension_columns() -> None:
    """Columns name attributes of every schema, with types."""
    text = b"userName,ial,name.givenName,emails.home\na,2,A,h@x\n"
    entry = tables.read(text, "csv", now=clock.now()).people[0]
    assert entry.body["emails"] == [{"value": "h@x", "type": "home", "primary": True}]
    assert entry.body["urn:ramet:params:scim:schemas:extension:assurance:1.0:User"] == {"ial": 2}


def test_new_hire_with_an_old_name_is_another_person(
    hr: Scim, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """C28: a line of a file with another externalId is not the person who has the user name."""
    old = hr.create("jdoe", externalId="1")
    path = tmp_path / "people.csv"
    path.write_text("userName,externalId\njdoe,2\n", encoding="utf-8")
    call_command("source", "import", str(path), "--source", "hr", "--json")
    assert json.loads(capsys.readouterr().out)["refused"]
    assert _record(old).external_id == "1"
