"""Positions, checkpoints, the operator's chain and an accepted restore, in process (C90, ruling 30)."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.core.management import CommandError, call_command
from joserfc import jws
from joserfc.jwk import KeySet

from derived import clock
from derived.changes import revoke
from derived.errors import Reason
from derived.keyring import KeyPurpose
from derived.ledger import audit
from derived.ledger.locking import under_lock
from derived.models import Account, Event, LedgerState, SigningKey
from idp.checks.witness import database_agrees_with_its_witness
from idp.clients import registration
from idp.keys import keyring
from idp.models import ClientPolicy
from idp.witness import operator_chain, restored, standing, writing
from idp.witness.folder import Damaged, Folder
from idp.witness.operator_chain import OPERATOR
from idp.witness.standing import Standing
from scim.access import roles
from scim.models import DecisionSystem, Person, Role, Source, SourceCredential
from scim.people import provision
from tests.fixtures.audit_chain import account
from tests.fixtures.roles import with_a_key
from tests.fixtures.world import World, http

if TYPE_CHECKING:
    from idp.clients.party import RelyingParty

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def end(owner: Account) -> None:
    under_lock(
        owner.id,
        lambda locked: revoke.everything(
            locked, because=Reason.DEACTIVATED_BY_SOURCE, now=clock.now(), actor="source:hr"
        ),
    )


def test_the_first_write_is_a_checkpoint_of_everything(witness_folder: Folder) -> None:
    """An installation that is older than its witness: heads and endings from before are in it too."""
    stays, leaves = account(), account()
    end(leaves)
    writing.Writer().write(now=clock.now())
    lines = list(witness_folder.lines())
    assert {name for line in lines for name in line.heads} >= {str(stays.id), str(leaves.id)}
    assert [ending.account for line in lines for ending in line.endings] == [str(leaves.id)]
    assert lines[-1].statement
    assert LedgerState.objects.get().compared_at is not None


def test_a_position_holds_what_has_changed_since(witness_folder: Folder) -> None:
    """Heads of the chains that grew, and each ending once."""
    writer, stays, leaves = writing.Writer(), account(), account()
    writer.write(now=clock.now())
    before = len(list(witness_folder.lines()))
    writer.write(now=clock.now())
    assert len(list(witness_folder.lines())) == before
    end(leaves)
    for _ in range(2):
        writer.write(now=clock.now())
    lines = list(witness_folder.lines())[before:]
    assert {name for line in lines for name in line.heads} == {str(leaves.id)}
    assert [ending.account for line in lines for ending in line.endings] == [str(leaves.id)]
    assert not any(line.statement for line in lines)
    assert str(stays.id) not in {name for line in lines for name in line.heads}


@pytest.mark.parametrize("what", ["position", "checkpoint"])
def test_a_write_that_is_torn_between_two_lines_is_made_up_for(
    witness_folder: Folder, tmp_path: Path, what: str
) -> None:
    """The lines that reached the disk promise nothing for those that did not."""
    writing.Writer().write(now=clock.now())
    ended, lines = account(), len(list(witness_folder.lines()))
    end(ended)

    def write() -> None:
        if what == "checkpoint":
            writing.checkpoint(now=clock.now())
        else:
            writing.Writer().write(now=clock.now())

    write()
    file = next((tmp_path / "witness").glob("*.jsonl"))
    whole = file.read_text().splitlines(keepends=True)
    assert len(whole) > lines + 1
    file.write_text("".join(whole[: lines + 1]) + '{"at":"2026')
    write()
    endings = [ending for line in witness_folder.lines() for ending in line.endings]
    assert str(ended.id) in {ending.account for ending in endings} or what == "checkpoint"
    assert writing.known_heads().get(str(ended.id)) == dict(audit.heads())[ended.id]
    call_command("audit", "verify")


def test_a_line_never_goes_before_the_newest(witness_folder: Folder, tmp_path: Path) -> None:
    """A checkpoint whose time was taken before midnight waited for the writer of the next day's first line."""
    midnight = datetime(2031, 1, 2, tzinfo=UTC)
    account()
    writing.checkpoint(now=midnight)
    account()
    writing.checkpoint(now=midnight - timedelta(seconds=1))
    assert [file.name for file in (tmp_path / "witness").glob("*.jsonl")] == ["2031-01-02.jsonl"]
    call_command("audit", "verify")


def test_a_checkpoint_is_signed_chained_and_daily(witness_folder: Folder) -> None:
    """RFC 9162 root and size over all heads; signed by a published key; the hash of the one before it."""
    writer, now = writing.Writer(), clock.now()
    account()
    for days in (0, 0.5, 1.1):
        writer.write(now=now + timedelta(days=days))
    statements = [line.statement for line in witness_folder.lines() if line.statement]
    assert len(statements) == 2
    with http() as agent:
        keys = KeySet.import_key_set(agent.get("/.well-known/ramet-checkpoint-keys").json())
    found = [jws.deserialize_compact(statement, keys, algorithms=["ES256"]) for statement in statements]
    claims = [json.loads(one.payload) for one in found]
    assert {one.protected["typ"] for one in found} == {"ramet-checkpoint+jwt"}
    assert [one["previous"] for one in claims] == ["", hashlib.sha256(statements[0].encode()).hexdigest()]
    heads = {str(account_id): head for account_id, head in audit.heads()}
    assert (claims[1]["size"], claims[1]["root"]) == (len(heads), writing.root(heads))
    assert "d" not in keys.as_dict(private=False)["keys"][0]


def test_a_database_behind_its_witness_writes_nothing(witness_folder: Folder) -> None:
    """The witness of the lost time stays as it is, and a grown database with other Events does not pass for it."""
    writing.Writer().write(now=clock.now())
    newest = witness_folder.newest()
    assert newest is not None
    assert newest.newest is not None
    other = (newest.newest[0], "f" * 64)
    assert standing.compare(newest, now=clock.now()) == Standing.CURRENT
    moved = type(newest)(at=newest.at, generation=newest.generation, newest=other)
    with witness_folder.held():
        witness_folder.append([moved])
    before = len(list(witness_folder.lines()))
    account()
    writing.Writer().write(now=clock.now())
    assert len(list(witness_folder.lines())) == before
    assert standing.refusal()


@pytest.mark.parametrize(
    ("age", "expected"),
    [(None, Standing.CURRENT), (timedelta(minutes=1), Standing.CURRENT), (timedelta(minutes=3), Standing.LOST)],
)
def test_without_a_witness(witness_folder: Folder, age: timedelta | None, expected: Standing) -> None:
    """A first start needs none; a second machine believes one that has compared just now; a lost witness is noticed."""
    now = clock.now()
    LedgerState.objects.update(compared_at=None if age is None else now - age)
    assert standing.compare(None, now=now) == expected


@pytest.mark.parametrize(("number", "expected"), [(1, Standing.OLDER), (2, Standing.CURRENT), (3, Standing.OLDER)])
def test_generations(witness_folder: Folder, number: int, expected: Standing) -> None:
    """A lower generation is older whatever its Events; so is a higher one that nobody accepted (`test_rewritten`)."""
    account()
    LedgerState.objects.update(generation=2)
    writing.checkpoint(now=clock.now())
    LedgerState.objects.update(generation=number)
    assert standing.compare(witness_folder.newest(), now=clock.now()) == expected


def test_a_witness_that_was_deleted_is_not_begun_anew(
    witness_folder: Folder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that has seen it refuses at once, and the worker begins no other one, until an operator accepts."""
    standing.require_comparison()
    writer = writing.Writer()
    writer.write(now=clock.now())
    standing.look(now=clock.now())
    assert not standing.refusal()
    file = next((tmp_path / "witness").glob("*.jsonl"))
    text = file.read_text()
    file.unlink()
    account()
    caplog.clear()
    for some in (writer, writing.Writer()):
        some.write(now=clock.now())
    assert "missing" in standing.refusal()
    assert len([one for one in caplog.records if one.levelname == "ERROR"]) == 1
    with http() as agent:
        assert agent.get("/readyz").json()["status"] == "witness"
    standing.require_comparison()  # a process that starts: another machine may hold it
    writing.Writer().write(now=clock.now())
    for verb in ("checkpoint", "verify"):
        with pytest.raises(CommandError, match="witness of this database is missing"):
            call_command("audit", verb)
    assert not file.exists()
    file.write_text(text)
    assert standing.look(now=clock.now()) == Standing.CURRENT
    file.unlink()
    call_command("restore", "accept")
    assert file.exists()
    assert standing.look(now=clock.now()) == Standing.CURRENT
    writing.Writer().write(now=clock.now())
    call_command("audit", "verify")


def test_a_witness_that_cannot_be_read_stops_no_running_process(
    witness_folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that does not answer stops a process that starts only."""
    writing.checkpoint(now=clock.now())
    assert standing.look(now=clock.now()) == Standing.CURRENT

    def refused(_self: Folder) -> None:
        raise OSError

    monkeypatch.setattr("idp.witness.folder.Folder.newest", refused)
    assert standing.look(now=clock.now()) == Standing.CURRENT
    standing.require_comparison()
    assert standing.look(now=clock.now()) == Standing.LOST


def test_a_file_of_the_witness_that_was_removed_or_shortened_is_told(witness_folder: Folder, tmp_path: Path) -> None:
    """A worker that has read further writes nothing more into it."""
    writer = writing.Writer()
    writer.write(now=clock.now())
    account()
    writer.write(now=clock.now())
    file = next((tmp_path / "witness").glob("*.jsonl"))
    lines = file.read_text().splitlines(keepends=True)
    for text in ("".join(lines[:-1]), None):
        (tmp_path / "witness" / "2020-01-01.jsonl").write_text("".join(lines))
        file.unlink()
        if text is not None:
            file.write_text(text)
        with pytest.raises(Damaged):
            writer.write(now=clock.now())


@pytest.mark.parametrize("change", ["older", "other"])
def test_accounts_that_lack_events_of_their_chains_are_refused(witness_folder: Folder, change: str) -> None:
    """All tables but the Events were restored: a process that starts refuses, `check` says it, and none may accept."""
    owner = account()
    writing.Writer().write(now=clock.now())
    end(owner)
    writing.Writer().write(now=clock.now())
    last = Event.objects.get(account=owner, seq=4)
    head = (4, last.hash) if change == "older" else (owner.events.count(), "0" * 64)
    Account.objects.filter(id=owner.id).update(status="active", audit_seq=head[0], audit_head=head[1])
    standing.require_comparison()
    for _ in range(2):
        assert standing.look(now=clock.now()) == Standing.PARTIAL
    with http() as agent:
        assert agent.get("/readyz").json()["status"] == "restored"
    assert [warning.id for warning in database_agrees_with_its_witness()] == ["ramet.W055"]
    for words in (("restore", "accept"), ("source", "list")):
        with pytest.raises(CommandError, match="a part of the database was restored"):
            call_command(*words)
    owner.refresh_from_db()
    last = owner.events.order_by("-seq")[0]
    Account.objects.filter(id=owner.id).update(audit_seq=last.seq, audit_head=last.hash)
    assert standing.look(now=clock.now()) == Standing.CURRENT


def _operator_events() -> list[Event]:
    return list(Event.objects.filter(account_id=OPERATOR).order_by("seq"))


def test_the_operators_chain_records_what_was_configured(witness_folder: Folder) -> None:
    """Sources, clients, roles and keys; by a command, and by SQL that went past all commands."""
    call_command("source", "add", "payroll", "--precedence", "50", "--json")
    first = _operator_events()
    source = Source.objects.get(name="payroll")
    name = f"scim.source:{source.pk}"
    assert name in first[-1].body["changed"]
    assert first[-1].actor == "operator"
    Source.objects.filter(pk=source.pk).update(vouched_ial=3)
    Source.objects.filter(pk=source.pk).update(last_said="GET /Users")
    assert operator_chain.record_changes(now=clock.now(), actor="worker") == 1
    last = _operator_events()[-1]
    assert (last.actor, set(last.body["changed"])) == ("worker", {name})
    assert operator_chain.record_changes(now=clock.now(), actor="worker") == 0
    assert audit.verify(Account.objects.get(id=OPERATOR)) is None
    assert Account.objects.get(id=OPERATOR).status == "terminated"
    assert "payroll" not in json.dumps([event.body for event in _operator_events()])


def test_a_policy_file_is_in_the_operators_chain(
    witness_folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule of issuance that was changed or removed on the disk."""
    config = operator_chain.config().model_copy(update={"var": tmp_path})
    monkeypatch.setattr("idp.witness.operator_chain.config", lambda: config)
    file = tmp_path / "issuance.toml"
    for text, changes in (("a = 1", None), ("a = 2", 1), ("a = 2", 0), ("", 1)):
        file.write_text(text)
        found = operator_chain.record_changes(now=clock.now(), actor="worker")
        assert changes is None or found == changes
    file.unlink()
    assert operator_chain.record_changes(now=clock.now(), actor="worker") == 1
    assert _operator_events()[-1].body["changed"] == {"file:issuance.toml": ""}


def test_accepting_ends_sessions_families_and_codes_and_nothing_else(witness_folder: Folder) -> None:
    """One bump of every epoch: passwords, devices and managers go on; logins do not; the CRL numbers jump."""
    world = World()
    person, desktop = world.enrolled()
    call_command("person", "appoint", "alex@example.org")
    app = world.app()
    code = world.ask(app, desktop)["code"]
    before = Account.objects.get(person__login_name="alex@example.org")
    LedgerState.objects.update(compared_at=_ago(hours=1))
    standing.require_comparison()
    assert standing.look(now=clock.now()) == Standing.LOST
    lacking = restored.accept(now=clock.now())
    assert lacking == restored.Difference()
    assert app.redeem(code).json()["error"] == "invalid_grant"
    assert desktop.get("http://localhost:8000/devices").path == "/login"
    again = world.signed_in(person)
    with_a_key("alex@example.org")
    assert again.get("http://localhost:8000/console").status == 200
    after = Account.objects.get(id=before.id)
    assert (after.epoch, after.status) == (before.epoch + 1, "active")
    accepted = [event for event in _operator_events() if event.kind == "operator.restore_accepted"]
    assert [event.body["generation"] for event in accepted] == [2]
    assert audit.verify(after) is None


def test_accepting_applies_the_endings_that_the_database_lacks(witness_folder: Folder) -> None:
    """An account and one credential that ended after the backup; an account that the backup does not have."""
    from tests.fixtures.ledger_rows import root_of

    leaves, loses = account(), account()
    lost, kept = root_of(loses), root_of(account())
    writing.checkpoint(now=clock.now())
    newest = witness_folder.newest()
    assert newest is not None
    ended = [
        writing.Ending(str(leaves.id), 9, "1" * 64, "", Reason.DEACTIVATED_BY_SOURCE.value),
        writing.Ending(str(loses.id), 9, "2" * 64, str(lost.id), Reason.REMOVED_BY_PERSON.value),
        writing.Ending("00000000-0000-4000-8000-000000000000", 1, "3" * 64, "", Reason.DEACTIVATED_BY_SOURCE.value),
    ]
    with witness_folder.held():
        witness_folder.append(
            [type(newest)(at=newest.at, generation=1, newest=(10**9, "4" * 64), endings=tuple(ended))]
        )
    assert standing.look(now=clock.now()) == Standing.OLDER
    restored.accept(now=clock.now())
    for row in (leaves, loses, lost, kept):
        row.refresh_from_db()
    assert (leaves.status, loses.status) == ("terminated", "active")
    assert (lost.state, kept.state) == ("revoked", "active")
    assert standing.look(now=clock.now()) == Standing.CURRENT
    assert restored.difference(now=clock.now()) == restored.Difference(unknown=[])


def test_accepting_takes_away_again_what_an_operator_took_away(
    witness_folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tokens, secrets, sources, clients, keys and managers of after the backup; what was given back stays."""
    World().enrolled()
    payroll, _ = provision.register_source("payroll", now=clock.now())
    for name in ("partner", "paused"):
        provision.register_source(name, now=clock.now())
    call_command("source", "disable", "paused", "--yes")
    call_command("person", "appoint", "alex@example.org")
    clients = [_client(name) for name in ("rotated", "disabled", "untouched")]
    kid = keyring().ensure(KeyPurpose.TOKENS, "ES256", now=clock.now()).kid
    alex = Person.objects.get(login_name="alex@example.org")
    desk = DecisionSystem.objects.create(name="desk", owner=alex, jwk={}, created_at=clock.now())
    writer = writing.Writer()
    writer.write(now=clock.now())
    tables = [Source, SourceCredential, ClientPolicy, SigningKey, Role, DecisionSystem]
    backup = [(model, list(model.objects.values())) for model in tables]

    call_command("source", "rotate", "payroll")
    call_command("source", "disable", "partner", "--yes")
    call_command("source", "enable", "paused")
    call_command("client", "rotate-secret", clients[0].client_id)
    call_command("client", "disable", clients[1].client_id)
    call_command("key", "revoke", kid)
    call_command("person", "dismiss", "alex@example.org")
    call_command("request", "end-system", desk.name)
    writer.write(now=clock.now())
    lines = len(list(witness_folder.lines()))
    writer.write(now=clock.now())
    assert len(list(witness_folder.lines())) == lines

    SigningKey.objects.filter(purpose=KeyPurpose.TOKENS, state="active").delete()
    for model, rows in backup:
        for row in rows:
            model.objects.update_or_create(pk=row[model._meta.pk.attname], defaults=row)
    credential = payroll.credentials.order_by("id")[0]
    assert credential.is_live(now=clock.now())
    newest = witness_folder.newest()
    assert newest is not None
    with witness_folder.held():
        witness_folder.append([type(newest)(at=newest.at, generation=1, newest=(10**9, "4" * 64))])
    capsys.readouterr()
    call_command("restore", "accept", "--json")
    told = json.loads(capsys.readouterr().out)["taken_away"]
    assert len(told) == 7
    for words in (
        "source rotate payroll",
        "source enable partner",
        "client rotate-secret",
        "client enable",
        kid,
        "alex",
        "system desk",
    ):
        assert len([one for one in told if words in one]) == 1, (words, told)
    assert DecisionSystem.objects.get().ended_at is not None
    credential.refresh_from_db()
    assert not credential.is_live(now=clock.now())
    assert Source.objects.get(name="payroll").disabled_at is None
    assert Source.objects.get(name="partner").disabled_at is not None
    hashes = {row["pk"]: row["secret_hash"] for row in ClientPolicy.objects.values("pk", "secret_hash")}
    before = {row["client_id"]: row["secret_hash"] for row in dict(backup)[ClientPolicy]}
    assert [hashes[one.policy.pk] == before[one.policy.pk] for one in clients] == [False, True, True]
    assert [ClientPolicy.objects.get(pk=one.policy.pk).disabled_at is None for one in clients] == [True, False, True]
    assert SigningKey.objects.get(kid=kid).state == "revoked"
    assert not roles.live(now=clock.now()).exists()


def _client(name: str) -> RelyingParty:
    party, secret = registration.register(
        registration.Registration(name=name, redirect_uris=("https://app.example/cb",)), now=clock.now()
    )
    assert secret
    return party


@pytest.mark.parametrize(("standing_is", "found"), [("older", "ramet.W050"), ("lost", "ramet.W051")])
def test_the_system_check_warns(
    witness_folder: Folder, monkeypatch: pytest.MonkeyPatch, standing_is: str, found: str
) -> None:
    """A warning, so that `serve` starts and answers 503; `manage.py check` tells the remedy."""
    monkeypatch.setattr("idp.checks.witness.witness", lambda: witness_folder)
    writing.checkpoint(now=clock.now())
    assert database_agrees_with_its_witness() == []
    if standing_is == "older":
        LedgerState.objects.update(generation=0)
    else:
        monkeypatch.setattr("idp.checks.witness.witness", lambda: Folder(Path("/nowhere")))
        LedgerState.objects.update(compared_at=_ago(hours=1))
    assert [warning.id for warning in database_agrees_with_its_witness()] == [found]


def _ago(**span: float) -> datetime:
    return clock.now() - timedelta(**span)


def test_a_source_is_registered_without_the_operators_account(db: None) -> None:
    """The operator's chain begins with the first command or the first checkpoint, not before."""
    provision.register_source("hr", now=clock.now())
    assert not Account.objects.filter(id=OPERATOR).exists()
