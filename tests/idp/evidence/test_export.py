"""Exports that an auditor verifies offline, isolated from all packages (EV-1, EV-2, EV-3, EV-4, EV-5, EV-6)."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.core.management import CommandError, call_command

from derived import clock
from derived.changes import revoke
from derived.errors import Reason
from derived.ledger import audit
from derived.ledger.locking import under_lock
from derived.models import Account, Credential, Event, EventDetail
from idp.evidence import export, sheets, verify
from idp.evidence.canonical import canonical
from idp.evidence.export import Scope
from idp.witness import writing
from tests.fixtures import ledger_rows
from tests.fixtures.audit_chain import account, without_triggers
from tests.fixtures.world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from idp.witness.folder import Folder

pytestmark = pytest.mark.django_db


def verified(folder: Path, made: dict[str, bytes], pins: dict[str, str]) -> tuple[int, str]:
    """Write an export and run its own program, isolated: no site-packages, no environment, no network."""
    folder.mkdir(exist_ok=True)
    for name, content in made.items():
        (folder / name).write_bytes(content)
    ran = subprocess.run(
        [sys.executable, "-I", "-S", str(folder / "verify.py"), str(folder), "--key", pins["key"], "--checkpoint",
         pins["checkpoint"]], capture_output=True, text=True, timeout=60, check=False, env={}, cwd=folder,
    )  # fmt: skip
    assert not ran.stderr, ran.stderr
    return ran.returncode, ran.stdout


def signed_again(made: dict[str, bytes], change: Callable[[dict[str, Any]], object]) -> dict[str, bytes]:
    """An export that the operator changed and signed anew, with right digests: only the trees can tell."""
    document = json.loads(made["evidence.json"])
    change(document)
    document["digests"] = [
        hashlib.sha256(json.dumps(one, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        for one in document["records"]
    ]
    signed = canonical(document)
    jws = export._detached(signed, now=clock.now())
    return {**made, "evidence.json": signed, "evidence.jws": jws.encode()}


def rehashed(chain: dict[str, Any]) -> None:
    """Number and hash the Events of a chain anew, as somebody does who took one out."""
    previous = audit.GENESIS
    for seq, event in enumerate(chain["events"], start=1):
        event["seq"] = seq
        previous = event["hash"] = verify.linked(chain["account"], event, previous)


def person() -> tuple[Account, Credential, Credential]:
    """An account with a root and a device that grew from it, both recorded."""
    owner = account(events=0)
    root = ledger_rows.root_of(owner)
    return owner, root, ledger_rows.derived_of(owner, root)


def chain_of(document: dict[str, Any], owner: Account) -> dict[str, Any]:
    return next(one for one in document["chains"] if one["account"] == str(owner.id))


def test_an_export_is_verified_offline(witness_folder: Folder, tmp_path: Path) -> None:
    """EV-2: of a person, against a key and a checkpoint from before."""
    owner, _, _ = person()
    account()
    writing.checkpoint(now=clock.now())
    pins = export.pins()
    under_lock(owner.id, lambda locked: audit.record(locked, "test", now=clock.now(), actor="x", personal={"a": "b"}))
    younger = account()
    for subject in (owner, younger):
        made = export.make(Scope(account=subject.id), pinned=[pins["checkpoint"]], actor="auditor", now=clock.now())
        code, said = verified(tmp_path / str(subject.id), made, pins)
        assert code == 0, said
        assert said.startswith("OK: ")
    document = json.loads(made["evidence.json"])
    assert canonical(document) == made["evidence.json"]


def test_another_key_or_checkpoint_is_not_taken(witness_folder: Folder, tmp_path: Path) -> None:
    """What is pinned decides, not what the export names."""
    owner = account()
    made = export.make(Scope(account=owner.id), actor="auditor", now=clock.now())
    pins = export.pins()
    code, said = verified(tmp_path / "x", made, {**pins, "key": "x" * 43})
    assert code == 1
    assert "not signed by a pinned key" in said
    code, said = verified(tmp_path / "x", made, {**pins, "checkpoint": "0" * 64})
    assert code == 1
    assert "the pinned checkpoint is not in the export" in said


@pytest.mark.parametrize("part", ["event", "record", "detail"])
def test_a_changed_byte_names_the_record(witness_folder: Folder, tmp_path: Path, part: str) -> None:
    """EV-3: the Event or the record in which it stands."""
    owner, _, device = person()
    made = export.make(Scope(account=owner.id), actor="auditor", now=clock.now())
    document = json.loads(made["evidence.json"])
    match part:
        case "event":
            chain_of(document, owner)["events"][1]["actor"] += "!"
            named = f"account {owner.id}, event 2"
        case "record":
            number = next(at for at, one in enumerate(document["records"]) if one["credential"] == str(device.id))
            document["records"][number]["kind"] = "passkex"
            named = f"record {number} (credential {device.id})"
        case _:
            event = next(one for one in chain_of(document, owner)["events"] if "details" in one)
            event["details"]["name"]["value"] += "!"
            named = f"account {owner.id}, event {event['seq']}: its detail name"
    code, said = verified(tmp_path / "x", {**made, "evidence.json": canonical(document)}, export.pins())
    assert code == 1
    assert named in said, said
    assert "is not signed" in said


def test_a_record_that_was_left_out_is_named(witness_folder: Folder, tmp_path: Path) -> None:
    """EV-5: of a person, also where the operator signs the rest anew; and a chain is not given twice."""
    owner, _, device = person()
    made = export.make(Scope(account=owner.id), actor="auditor", now=clock.now())
    less = signed_again(made, lambda document: document["records"].pop())
    code, said = verified(tmp_path / "less", less, export.pins())
    assert code == 1
    assert f"credential {device.id}: its record was left out" in said
    twice = signed_again(made, lambda document: document["chains"].append(document["chains"][0]))
    code, said = verified(tmp_path / "twice", twice, export.pins())
    assert code == 1
    assert "it is here twice" in said


@pytest.mark.database
def test_a_past_period_verifies_after_later_events(witness_folder: Folder, tmp_path: Path) -> None:
    """A credential of the period that ended after it: its record tells of the period, and the export is whole."""
    begins = clock.now()
    with time_machine.travel(begins, tick=False) as now:
        writing.checkpoint(now=clock.now())
        now.shift(timedelta(hours=1))
        owner, _, device = person()
        now.shift(timedelta(hours=1))
        ends = clock.now()
        writing.checkpoint(now=clock.now())
        pins = export.pins()
        now.shift(timedelta(hours=1))
        under_lock(
            owner.id,
            lambda locked: revoke.credential(
                device, account=locked, because=Reason.COMPROMISED, now=clock.now(), actor="x"
            ),
        )
        scope = Scope(first=begins, last=ends)
        made = export.make(scope, pinned=[pins["checkpoint"]], actor="auditor", now=clock.now())
        code, said = verified(tmp_path / "x", made, pins)
    assert code == 0, said


def test_a_deleted_event_is_found_against_an_old_checkpoint(witness_folder: Folder, tmp_path: Path) -> None:
    """EV-4: whoever owns the database, the keys and this program deletes an Event and builds the chain anew."""
    owner = account()
    writing.checkpoint(now=clock.now())
    pins = export.pins()
    under_lock(owner.id, lambda locked: audit.record(locked, "test", now=clock.now(), actor="x"))
    made = export.make(Scope(account=owner.id), pinned=[pins["checkpoint"]], actor="auditor", now=clock.now())
    assert verified(tmp_path / "x", made, pins)[0] == 0

    def without_second(document: dict[str, Any]) -> None:
        chain = chain_of(document, owner)
        del chain["events"][1]
        rehashed(chain)
        for path in chain["paths"].values():
            path["seq"] = min(path["seq"], len(chain["events"]))

    code, said = verified(tmp_path / "x", signed_again(made, without_second), pins)
    assert code == 1
    assert f"account {owner.id}" in said
    assert "an event was removed" in said


def test_a_proof_at_the_pinned_checkpoint_cannot_be_left_out(witness_folder: Folder, tmp_path: Path) -> None:
    """EV-4: nor can an account be called younger than it is."""
    owner = account()
    account()
    writing.checkpoint(now=clock.now())
    pins = export.pins()
    under_lock(owner.id, lambda locked: audit.record(locked, "test", now=clock.now(), actor="x"))
    made = export.make(Scope(account=owner.id), pinned=[pins["checkpoint"]], actor="auditor", now=clock.now())

    def without_path(document: dict[str, Any]) -> None:
        del chain_of(document, owner)["paths"][pins["checkpoint"]]

    def younger(document: dict[str, Any]) -> None:
        without_path(document)
        chain_of(document, owner)["absent"][pins["checkpoint"]] = []

    for change in (without_path, younger):
        code, said = verified(tmp_path / "x", signed_again(made, change), pins)
        assert code == 1
        assert "nothing proves its chain" in said


@pytest.mark.database
def test_a_period_leaves_nobody_out(witness_folder: Folder, tmp_path: Path) -> None:
    """EV-5: a leaver whose chain, or whose leaf, was taken out of a period, by whoever holds the signing key."""
    leaver, stays = account(), account()
    writing.checkpoint(now=clock.now())
    pins, first = export.pins(), clock.now()
    under_lock(
        leaver.id,
        lambda locked: revoke.everything(locked, because=Reason.ENDED_BY_MANAGER, now=clock.now(), actor="source:hr"),
    )
    newcomer, root, _ = person()
    scope = Scope(first=first, last=clock.now())
    made = export.make(scope, actor="auditor", now=clock.now())
    document = json.loads(made["evidence.json"])
    shown = {one["account"] for one in document["chains"]}
    assert {str(leaver.id), str(newcomer.id)} <= shown
    assert str(stays.id) not in shown
    assert str(root.id) in {one["credential"] for one in document["records"]}
    code, said = verified(tmp_path / "x", made, pins)
    assert code == 0, said

    def without_chain(document: dict[str, Any]) -> None:
        document["chains"].remove(chain_of(document, leaver))

    def without_leaf(document: dict[str, Any]) -> None:
        without_chain(document)
        for leaves in document["leaves"].values():
            leaves[:] = [one for one in leaves if one[0] != str(leaver.id)]

    def frozen(document: dict[str, Any]) -> None:
        without_chain(document)
        before = {one[0]: one for one in document["leaves"][document["begins"]]}
        leaves = document["leaves"][document["as_of"]]
        leaves[:] = [before[one[0]] if one[0] == str(leaver.id) else one for one in leaves]

    for change, words in (
        (without_chain, "its chain was left out"), (without_leaf, "do not give its root"),
        (frozen, "do not give its root"),
    ):  # fmt: skip
        code, said = verified(tmp_path / "x", signed_again(made, change), pins)
        assert code == 1, change
        assert words in said


def test_an_erased_person_verifies_and_shows_no_details(witness_folder: Folder, tmp_path: Path) -> None:
    """EV-6: the details are gone, and their commitments prove that nothing else is."""
    owner, _, device = person()
    made = export.make(Scope(account=owner.id), actor="auditor", now=clock.now())
    pins, name = export.pins(), device.name
    assert name in made["evidence.json"].decode()
    EventDetail.objects.filter(event__account=owner).delete()
    Credential.objects.filter(account=owner).update(name="")
    made = export.make(Scope(account=owner.id), pinned=[pins["checkpoint"]], actor="auditor", now=clock.now())
    code, said = verified(tmp_path / "x", made, pins)
    assert code == 0, said
    for content in ("evidence.json", "evidence.html", "evidence.csv"):
        assert name not in made[content].decode()
    assert "commitments" in made["evidence.json"].decode()


def test_a_database_whose_chain_was_built_anew_does_not_verify(witness_folder: Folder, tmp_path: Path) -> None:
    """EV-4, in the database: the leaves that were kept and the chain differ."""
    owner = account()
    writing.checkpoint(now=clock.now())
    pins = export.pins()
    without_triggers()
    Event.objects.filter(account=owner, seq=2).update(actor="somebody else")
    made = export.make(Scope(account=owner.id), pinned=[pins["checkpoint"]], actor="auditor", now=clock.now())
    code, said = verified(tmp_path / "x", made, pins)
    assert code == 1
    assert "an event was removed, added or changed" in said


def test_a_record_of_issuance_tells_everything(witness_folder: Folder) -> None:
    """EV-1: of a phone: request, rules, cap, parent, login, device, first use, notices, end."""
    world = World()
    _, desktop = world.enrolled()
    world_app = world.phone_app()
    phone = world.device(desktop)
    phone.login(world_app.client_id, passphrase="seven mossy stones")
    world.mails()
    owner = Account.objects.get(person__login_name="alex@example.org")
    row = Credential.objects.get(account=owner, kind="device_key")
    under_lock(
        owner.id,
        lambda locked: revoke.credential(
            row, account=locked, because=Reason.REMOVED_BY_PERSON, now=clock.now(), actor="person"
        ),
    )
    made = export.make(Scope(account=owner.id, credential=row.id), actor="auditor", now=clock.now())
    [record] = json.loads(made["evidence.json"])["records"]
    assert record["person"]["login_name"] == "alex@example.org"
    assert record["request"]["by"] == "person"
    assert record["rules"] == "defaults"
    assert record["cap"]["limits"]
    assert record["parent"]["kind"] == "password_totp"
    assert record["login"]["login_aal"] == 2
    assert record["proofing"]["by"].startswith("source:")
    assert record["attestation"]["factors"]
    assert record["key"]
    assert record["where"] == "http://localhost:8000"
    assert [one["outcome"] for one in record["notices"] if one["kind"] == "device.bound"] == ["delivered"]
    assert record["first_use"]["at"]
    assert record["end"] == {**record["end"], "because": "removed_by_person", "by": "person"}
    assert record["events"][0][1] == "credential.issued"
    assert {"evidence.json", "evidence.jws", "evidence.html", "evidence.csv", "verify.py"} == set(made)
    assert "password totp" not in made["evidence.html"].decode()
    assert str(row.id) in made["evidence.html"].decode()


def test_cells_that_begin_a_formula_are_quoted() -> None:
    """PG-4, in every file: a spreadsheet computes nothing of ours."""
    rows = [{"name": text} for text in ("=cmd", "+1", "-1", "@x", "\tx", "plain", "a=b")]
    lines = sheets.csv_of(rows).splitlines()
    assert lines[1:] == ['"\'=cmd"', '"\'+1"', '"\'-1"', '"\'@x"', '"\'\tx"', '"plain"', '"a=b"']


def test_the_command_writes_a_folder_and_says_how_to_verify_it(
    witness_folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A period by days; the export is an Event of the operator's chain."""
    account()
    today = clock.now().date()
    call_command("evidence", "export", str(tmp_path / "out"), "--from", str(today - timedelta(days=1)), "--json")
    told = json.loads(capsys.readouterr().out)
    words = told["verify"].split()[1:]
    ran = subprocess.run(
        [sys.executable, *words], cwd=tmp_path / "out", capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert Event.objects.filter(kind="evidence.exported", actor="operator").count() == 1


@pytest.mark.parametrize(
    "given",
    [[], ["--person", "nobody"], ["--credential", "x"], ["--from", "yesterday"], ["--to", "2026-01-01"],
     ["--from", "2026-02-01", "--to", "2026-01-01"], ["--person", "a", "--from", "2026-01-01"],
     ["--from", "2026-01-01", "--pinned", "0" * 64]],
)  # fmt: skip
def test_a_scope_that_is_none_writes_nothing(witness_folder: Folder, tmp_path: Path, given: list[str]) -> None:
    """Each says what to do."""
    account()
    with pytest.raises(CommandError, match=r"\."):
        call_command("evidence", "export", str(tmp_path / "out"), *given)
    assert not (tmp_path / "out").exists()
