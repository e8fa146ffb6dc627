"""Files as directories and spreadsheets write them, by `source import`; and which rule each breaks (README)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command

from derived.models import Account
from scim.models import Group, Membership, Person, Record
from scim.protocol.account_state import ATTRIBUTES
from scim.protocol.targets import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fixtures.scim_client import Scim

pytestmark = pytest.mark.database

FILES = Path("tests/data/people")


@pytest.fixture
def take_in(hr: Scim, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """`source import` of one of the files."""
    assert hr

    def work(name: str | Path, *options: str) -> dict[str, Any]:
        call_command("source", "import", str(FILES / name), "--source", "hr", *options, "--json")
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return work


def _refused(found: dict[str, Any]) -> dict[int, str]:
    return {one["line"]: one["why"] for one in found["refused_lines"]}


def test_accounts_that_their_directory_disables_do_not_come_in_active(take_in: Callable[..., dict[str, Any]]) -> None:
    """Each directory states it in its own attribute; the entries' names say what must come out."""
    found = take_in("disabled.ldif")
    assert not found["refused_lines"]
    states = {one.user_name: one.account.status for one in Person.objects.select_related("account")}
    assert len(states) == len(re.findall("^dn", (FILES / "disabled.ldif").read_text(), re.MULTILINE))
    assert {name for name, state in states.items() if (state == "active") != name.startswith("in-")} == set()
    text = (FILES / "disabled.ldif").read_text().lower()
    assert {name for name in ATTRIBUTES if f"\n{name}:" not in text} == {
        "isdeleted",
        "enabled",
        "accountenabled",
        "nsroledn",
        "orclactiveenddate",
    }


def test_an_account_that_is_disabled_later_ends(hr: Scim, take_in: Callable[..., dict[str, Any]]) -> None:
    """The person was active, and the next export says that the account is locked: everything ends."""
    hr.create("out-ad")
    hr.create("in-ad")
    assert take_in("disabled.ldif")["ended"] == 1
    assert not Account.objects.get(person__user_name="out-ad").is_active
    assert Account.objects.get(person__user_name="in-ad").is_active


def test_the_grammar_of_ldif(take_in: Callable[..., dict[str, Any]]) -> None:
    """RFC 2849's folding and comments; options, unwanted base64 and several naming values change no attribute."""
    assert not take_in("grammar.ldif")["refused_lines"]
    found = {one.resource["userName"]: one.resource for one in Record.objects.all()}
    assert set(found) == {"rod", "second", "plain", "opt", "photo", "hübner", "a,b"}
    assert (found["rod"]["displayName"], found["rod"]["name"]) == ("Rodrigo", {"familyName": "Folded with a space"})
    assert (found["opt"]["displayName"], found["opt"]["name"]) == ("Plain Name", {"givenName": "Nur Deutsch"})
    assert [one["value"] for one in found["opt"]["emails"]] == ["opt@example.org"]


def test_a_malformed_entry_is_refused_by_its_line_and_the_others_come_in(
    hr: Scim, take_in: Callable[..., dict[str, Any]]
) -> None:
    """No entry stops the next one, and no URL is fetched."""
    found = take_in("faults.ldif")
    assert sorted(hr.names()) == ["good", "last"]
    said = list(_refused(found).values())
    expected = [
        "line that begins",
        "sn is not base64",
        "mail is a URL",
        "sn is not text",
        "(delete)",
        "no dn",
        "userName",
    ]
    assert all(part in text for part, text in zip(expected, said, strict=True)), said
    text = (FILES / "faults.ldif").read_text().splitlines()
    assert all(text[line - 1].startswith(("dn:", "objectClass")) for line in _refused(found))


def test_what_is_no_person_is_counted_apart(hr: Scim, take_in: Callable[..., dict[str, Any]]) -> None:
    """A domain, an OU, a computer and groups are neither people nor faults."""
    found = take_in("tree.ldif")
    assert (found["skipped"], found["refused"]) == ({"containers": 2, "others": 1, "groups": 2}, 0)
    assert sorted(hr.names()) == ["ada", "bob"]
    assert not Group.objects.exists()


def test_groups_of_a_directory(hr: Scim, take_in: Callable[..., dict[str, Any]]) -> None:
    """By DN or by login name, one inside the other; a rehearsal writes nothing, and a second import changes nothing."""
    assert take_in("tree.ldif", "--groups", "--dry-run")["groups"] == {"created": 2}
    assert not Group.objects.exists()
    found = take_in("tree.ldif", "--groups")
    assert (found["groups"], found["unknown_members"], found["skipped"]) == (
        {"created": 2},
        1,
        {"containers": 2, "others": 1},
    )
    groups = {one["displayName"]: one for one in hr("GET", "/Groups")[1]["Resources"]}
    assert groups["engines"]["externalId"] == "6f9619ff-8b86-d011-b42d-00c04fc964ff"
    types = {name: sorted(one["type"] for one in group["members"]) for name, group in groups.items()}
    assert types == {"engines": ["Group", "User"], "all": ["User", "User"]}
    versions = sorted(Group.objects.values_list("id", "version"))
    take_in("tree.ldif", "--groups")
    assert sorted(Group.objects.values_list("id", "version")) == versions
    assert Membership.objects.count() == 4


def test_what_a_spreadsheet_rounds_or_computes_is_refused_by_line(
    hr: Scim, take_in: Callable[..., dict[str, Any]]
) -> None:
    """In the words of a person who has the file open in a spreadsheet."""
    said = _refused(take_in("rounded.csv"))
    assert set(said) == {2, 3, 4, 5}
    assert "employeeNumber holds the formula" in said[2]
    assert "externalId 1.23457E+11 was rounded by a spreadsheet" in said[3]
    assert "title holds the formula" in said[5]
    assert hr.names() == ["eve"]


def test_empty_columns_at_the_end(hr: Scim, take_in: Callable[..., dict[str, Any]]) -> None:
    """They are ignored, as is an empty row; a cell without a column and a word that is no boolean are told."""
    said = _refused(take_in("columns.csv"))
    assert set(said) == {5, 6}
    assert "5 cells, and the first line names 3 columns" in said[5]
    assert "active must be true or false, and is 'perhaps'" in said[6]
    assert sorted(hr.names()) == ["ada", "bob"]


@pytest.mark.parametrize(
    ("name", "read_as"),
    [
        ("semicolon.csv", "windows-1252, delimiter ;"),
        ("unicode-text.csv", "utf-16, delimiter tab"),
        ("sep.csv", "utf-8, delimiter |"),
    ],
)
def test_encoding_and_delimiter_are_found_out(take_in: Callable[..., dict[str, Any]], name: str, read_as: str) -> None:
    """And shown, so that a wrong guess is seen in the rehearsal."""
    found = take_in(name)
    assert (found["created"], found["read_as"]) == (1, read_as)
    record = Record.objects.get()
    assert (record.resource["userName"], record.resource["name"]) == ("jörg", {"familyName": "Müller"})


def test_encoding_and_delimiter_by_option(take_in: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """What is said is believed; what cannot be read so is refused whole, before anybody is touched."""
    path = tmp_path / "p.csv"
    path.write_bytes("userName;surname\ncyril;Иванов\n".encode("windows-1251"))
    assert take_in(path.resolve(), "--encoding", "windows-1251", "--delimiter", ";")["created"] == 1
    assert Record.objects.get().resource["name"] == {"familyName": "Иванов"}
    with pytest.raises(CommandError, match="--encoding"):
        take_in(path.resolve(), "--encoding", "utf-8")
    with pytest.raises(CommandError, match="names no attribute"):
        take_in(path.resolve(), "--delimiter", "tab")


def test_export_of_active_directory(take_in: Callable[..., dict[str, Any]]) -> None:
    """`Enabled` False is a disabled account, whatever the format."""
    take_in("directory.csv")
    states = {one.user_name: one.account.is_active for one in Person.objects.select_related("account")}
    assert states == {"ada": True, "bob": False}


@pytest.mark.parametrize("form", ["csv", "ldif", "jsonl"])
def test_a_template_is_a_file_that_can_be_imported(
    take_in: Callable[..., dict[str, Any]], tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--template` writes an example and never over a file."""
    path = tmp_path / f"people.{form}"
    call_command("source", "import", str(path), "--template", "--json")
    assert str(path) in capsys.readouterr().out
    found = take_in(path.resolve())
    assert (found["created"], found["refused"]) == (2, 0)
    assert dict(Record.objects.values_list("user_name_fold", "active")) == {"ada": True, "bob": False}
    with pytest.raises(CommandError):
        call_command("source", "import", str(path), "--template")


def test_the_documented_columns_are_the_columns() -> None:
    """docs/hr.md names every column that has a name of its own here, and every attribute that disables."""
    documented = set(re.findall(r"`([^`]+)`", Path("docs/hr.md").read_text()))
    assert {name for name in {*COLUMNS, *ATTRIBUTES} if name not in {one.lower() for one in documented}} == set()
