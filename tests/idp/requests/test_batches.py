"""Many requests from a file: dry run, once for each row, pause, one approval of the list; and the command."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command

from derived import clock
from derived.models import Account, Event, OutboxRow, Request
from idp.requests import batches
from idp.requests.batches import WrongFile
from scim.models import Person, RequestBatch, RoleName, Source
from scim.people import provision
from tests.fixtures.requesting import ALEX, MONA, OMAR, SAM, approval, ask, decide, person, state, with_root
from tests.fixtures.roles import appoint
from tests.fixtures.world import CORE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.world import World

HEADER = "external_id,kind,form_factor,purpose"


@pytest.fixture
def office(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Mona and Omar, managers; requests take one approval."""
    for name in (ALEX, MONA, OMAR, SAM):
        world.push(name)
    for name in (MONA, OMAR):
        appoint(name, RoleName.MANAGER)
    monkeypatch.setattr("idp.policies.issuance.rules", lambda: approval("one"))
    return world


def _people(count: int) -> None:
    source = Source.objects.get(name="hr")
    for number in range(count):
        name = f"p{number}@example.org"
        body = {"schemas": [CORE], "userName": name, "externalId": f"E{number}", "emails": [{"value": name}]}
        provision.create_user(source, body, now=clock.now())


def _file(numbers: Any, *more: str) -> bytes:
    lines = [f"E{number},device_key,phone,Work on the road" for number in numbers]
    return "\n".join([HEADER, *lines, *more, ""]).encode()


def _command(*words: str, by: str = MONA) -> Any:
    out = io.StringIO()
    call_command("request", *words, *(["--as", by] if by else []), "--json", stdout=out)
    return json.loads(out.getvalue())


@pytest.mark.database
def test_dry_run_of_a_thousand_rows(office: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """WF-21: 997 rows would become requests, three would not, and nothing is written; the people are a few here."""
    _people(3)
    subjects = {f"E{number}": Person.objects.get(login_name=f"p{number}@example.org") for number in range(3)}
    one = subjects["E0"]
    monkeypatch.setattr(batches, "_person", lambda row: subjects.get(row["external_id"], one) if row["external_id"]
                        else (_ for _ in ()).throw(batches.WrongField("external_id", "empty")))  # fmt: skip
    monkeypatch.setattr(batches, "key_of", lambda row, _subject, kind: f"{row['external_id']}{kind}")
    before = [model.objects.count() for model in (Request, Event, OutboxRow, RequestBatch)]
    wrong = (",device_key,phone,Work", "E1,car,phone,Work on", "E2,device_key,phone,x")
    rows = batches.read(_file(range(10, 1007), *wrong), source="hr")
    found = batches.dry_run(rows, person(MONA), now=clock.now())
    assert [sum(each.state == name for each in found) for name in ("would", "failed")] == [997, 3]
    assert [each.number for each in found if each.why] == [998, 999, 1000]
    assert [model.objects.count() for model in (Request, Event, OutboxRow, RequestBatch)] == before


@pytest.mark.database
def test_same_file_twice(office: World, tmp_path: Path) -> None:
    """WF-22: the second import knows every row; one that was withdrawn since is asked again."""
    _people(3)
    file = tmp_path / "phones.csv"
    file.write_bytes(_file(range(3), "E7,device_key,phone,Work on the road"))
    first = _command("import", str(file), "--source", "hr")
    assert {name: first[name] for name in ("done", "known", "failed")} == {"done": 3, "known": 0, "failed": 1}
    assert first["failures"] == [{"row": 4, "why": "external_id: The source hr has no person E7."}]
    again = _command("import", str(file), "--source", "hr")
    assert (again["done"], again["known"], Request.objects.count()) == (0, 3, 3)
    dry = _command("import", str(file), "--source", "hr", "--dry-run")
    assert (dry["would"], dry["known"], dry["failed"]) == (0, 3, 1)
    row = Request.objects.first()
    assert row is not None
    _command("withdraw", str(row.id))
    assert _command("import", str(file), "--source", "hr")["done"] == 1


@pytest.mark.database
def test_one_approval_covers_the_shown_list(office: World, tmp_path: Path) -> None:
    """The hash is over the requests and their terms; whoever imported them approves none."""
    _people(2)
    rows = batches.read(_file(range(2)), source="hr")
    batch = batches.begin(rows, person(MONA), f"person:{person(MONA).id}", now=clock.now())
    while batches.work(batch, now=clock.now(), most=1):
        pass
    shown = _command("progress", str(batch.id))["terms"]
    with pytest.raises(CommandError, match="has changed"):
        _command("approve", "--batch", str(batch.id), "--terms", "x", by=OMAR)
    assert _command("approve", "--batch", str(batch.id), "--terms", shown) == {"approved": 0, "left": 2}
    assert _command("approve", "--batch", str(batch.id), "--terms", shown, by=OMAR) == {"approved": 2, "left": 0}
    assert set(Request.objects.values_list("state", flat=True)) == {"approved"}


@pytest.mark.database
def test_paused_import(office: World) -> None:
    """No row is worked on until somebody resumes it; then the worker goes on."""
    _people(2)
    rows = batches.read(_file(range(2)), source="hr")
    batch = batches.begin(rows, person(MONA), f"person:{person(MONA).id}", now=clock.now())
    _command("pause", str(batch.id))
    office.mails()
    assert (Request.objects.count(), batches.counts(batch)["waiting"]) == (0, 2)
    _command("resume", str(batch.id))
    office.mails()
    batch.refresh_from_db()
    assert (Request.objects.count(), batch.finished_at is not None) == (2, True)
    assert _command("imports")[0]["state"] == "finished"


WRONG = [
    b"", b"\xff", b"login_name,kind\n", b"login_name,kind,form_factor,purpose\n",
    b"who,kind,form_factor,purpose\na,b,c,d\n",
    b"login_name,kind,form_factor,purpose\na,b,c\n", b"login_name,kind,form_factor,purpose\na,b,c,d,e\n",
    HEADER.encode() + b"\n" + b"a,b,c,d\n" * 1001, HEADER.encode() + b"\na,b,c," + b"d" * 401 + b"\n",
]  # fmt: skip


@pytest.mark.parametrize("content", WRONG)
def test_wrong_files(content: bytes) -> None:
    with pytest.raises(WrongFile):
        batches.read(content)


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.database
def test_command_acts_as_a_person(office: World) -> None:
    """Nobody asks or decides without a name, and a request that was asked at a terminal is not approved at one."""
    with pytest.raises(CommandError, match="--as NAME"):
        call_command("request", "ask", ALEX, "device_key", "--form-factor", "phone", "--purpose", "Work on the road")
    made = _command("ask", ALEX, "device_key", "--form-factor", "phone", "--purpose", "Work on the road")
    assert made["state"] == "waiting"
    with pytest.raises(CommandError, match="not possible"):
        _command("approve", made["request"], "--terms", made["terms"], by=OMAR)
    row = Request.objects.get()
    assert decide(row, OMAR).state == "approved"
    assert "Approved by" in _command("show", made["request"])["steps"]
    assert _command("list", "--state", "approved", "--person", ALEX)[0]["request"] == made["request"]


@pytest.mark.database
def test_two_approvals_at_a_terminal_are_not_two_people(office: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idp.policies.issuance.rules", lambda: approval("two"))
    row = ask()
    _command("approve", str(row.id), "--terms", row.terms_hash, by=OMAR)
    with pytest.raises(CommandError, match="not possible"):
        _command("approve", str(row.id), "--terms", row.terms_hash)
    assert decide(row, MONA).state == "approved"


@pytest.mark.database
def test_other_verbs(office: World, tmp_path: Path) -> None:
    """Refusals, delegations and systems."""
    row = ask()
    assert _command("refuse", str(row.id), "--because", "You have one")["state"] == "refused"
    assert "decides for you" in _command("delegate", OMAR, "--days", "5")
    with pytest.raises(CommandError):
        _command("delegate", OMAR, "--days", "31")
    key = tmp_path / "key.json"
    key.write_text(json.dumps({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}))
    url = "https://desk.example/hook"
    assert "whpk_" in _command("add-system", "desk", "--owner", OMAR, "--key", str(key), "--url", url, by="")
    assert _command("systems")[0]["owner"] == OMAR
    assert _command("end-system", "desk", by="") == "ended"
    assert _command("systems") == []
    for words in (["show", "x"], ["progress", "x"], ["end-system", "desk"], ["import", str(tmp_path / "none")]):
        with pytest.raises(CommandError):
            _command(*words, by="" if words[0] == "end-system" else MONA)
    assert state(row) == "refused"
    assert Account.objects.exists()
    with_root()
