"""Reports: endings (EV-8), access reviews, issuance; as commands, files and pages of the console."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.core.management import call_command

from derived import clock
from derived.changes import access_review
from derived.errors import Reason
from derived.ledger.locking import under_lock
from derived.models import Account, Credential, Event
from idp.evidence import endings, statistics
from idp.models import AuthenticationEvent
from idp.signals import care
from scim.models import Person, RoleName
from tests.fixtures import ledger_rows
from tests.fixtures.audit_chain import account
from tests.fixtures.roles import appoint
from tests.fixtures.world import ISSUER, World

if TYPE_CHECKING:
    from pathlib import Path

    from demo.browser import Browser
    from idp.witness.folder import Folder

pytestmark = pytest.mark.django_db
ALEX, MONA = "alex@example.org", "mona@example.org"


def left(world: World) -> Account:
    """Alex, who used a phone and an app, and was ended by the source."""
    _, desktop = world.enrolled(ALEX)
    field = world.phone_app()
    world.device(desktop).login(field.client_id, passphrase="seven mossy stones")
    world.deactivate(ALEX)
    return Account.objects.get(person__login_name=ALEX)


def told(**more: str) -> list[dict[str, Any]]:
    out = io.StringIO()
    today = clock.now().date().isoformat()
    words = [word for name, value in more.items() for word in (f"--{name}", value)]
    call_command("evidence", "endings", "--from", today, *words, "--json", stdout=out)
    found: list[dict[str, Any]] = json.loads(out.getvalue())
    return found


@pytest.mark.database
def test_a_leaver_has_a_line_with_seconds_and_no_later_success(world: World) -> None:
    """EV-8: received, ended, seconds, credentials by kind, the last success before, none after."""
    owner = left(world)
    ended = owner.events.get(kind="account.terminated").at
    [line] = told()
    assert (line["person"], line["by"], line["because"]) == (ALEX, "source:hr", "deactivated_by_source")
    assert (line["seconds"], line["late"], line["success_after"]) == (0.0, False, "none")
    assert line["credentials"] == "device_key:1 password_totp:1"
    assert line["received"] == line["ended"] == ended.isoformat()
    assert line["effective"] <= line["received"]
    assert "" < line["last_success_before"] < line["ended"] < line["accepted_offline_until"]


def test_a_success_afterwards_comes_first_and_is_named(world: World) -> None:
    """EV-8, worst first: a sign-in with something old after the ending can only be a fault, and is not hidden."""
    owner = left(world)
    row = Credential.objects.filter(account=owner, kind="password_totp").get()
    login = AuthenticationEvent.objects.filter(account=owner).latest("at")
    world.push("zoe@example.org")
    world.deactivate("zoe@example.org")
    late = clock.now() + timedelta(seconds=1)
    AuthenticationEvent.objects.create(account=owner, credential=row, factors=login.factors, aal=2, root=True, at=late)
    lines = endings.report(clock.now() - timedelta(hours=1), late, impact="high")
    assert [one["person"] for one in lines] == [ALEX, "zoe@example.org"]
    assert lines[0]["success_after"] == late.isoformat()


def test_who_came_back_has_no_success_after_the_ending(world: World) -> None:
    """EV-8: what was issued in the new epoch is another life."""
    owner = left(world)
    world.reactivate(ALEX)
    owner.refresh_from_db()
    assert owner.status == "active"
    ledger_rows.root_of(owner)
    assert [one["success_after"] for one in told()] == ["none"]


@pytest.mark.database
def test_a_held_person_counts_from_the_arrival_of_the_statement(world: World) -> None:
    """EV-8: held at once by the brake, ended by a manager two hours later: late at every impact level."""
    record = world.push(ALEX)
    owner = Account.objects.get(person__login_name=ALEX)
    began = clock.now()
    from derived.changes import revoke, suspend
    from derived.ledger import audit

    def hold(locked: Account) -> None:
        suspend.suspend(locked, now=began, actor="source:hr")
        audit.record(locked, "person.held", now=began, actor="source:hr", body={"source": "hr"})

    under_lock(owner.id, hold)
    with time_machine.travel(began + timedelta(hours=5), tick=False):
        under_lock(owner.id, lambda locked: revoke.everything(
            locked, because=Reason.ENDED_BY_MANAGER, now=clock.now(), actor="manager:x"
        ))  # fmt: skip
        [line] = endings.report(began, clock.now(), impact="moderate")
    assert (line["received"], line["seconds"], line["late"]) == (began.isoformat(), 5 * 3600.0, True)
    assert record


def test_hardware_that_came_back_stands_in_the_line(world: World) -> None:
    """PS-4 d; a dry run records nothing."""
    left(world)
    words = ("evidence", "returned", ALEX, "--item", "card 0042", "--to", "Omar")
    call_command(*words, "--dry-run", stdout=io.StringIO())
    assert not Event.objects.filter(kind="hardware.returned").exists()
    call_command(*words, stdout=io.StringIO())
    assert [one["hardware_returned"] for one in told()] == ["card 0042 Omar"]


@pytest.mark.database
def test_the_review_report_names_each_decision_and_its_proof() -> None:
    """EV-9: the snapshot, the decision, who, and the event that proves the removal."""
    owner = account(events=0)
    root = ledger_rows.root_of(owner)
    row = ledger_rows.recorded(owner, kind="device_key", root=root, parent=root)
    now = clock.now()

    def open_one(locked: Account) -> bool:
        return access_review.open_review(
            locked, deadline=now + timedelta(days=7), objections=lambda _: ["too old"], now=now, actor="manager:x"
        )

    assert under_lock(owner.id, open_one)
    assert not under_lock(owner.id, open_one)  # one at a time
    [line] = statistics.access_reviews(now - timedelta(hours=1), now)
    assert (line["decision"], line["objections"], line["state_now"]) == ("open", "too old", "active")
    care.lapse_reviews(now=now + timedelta(days=8))
    [line] = statistics.access_reviews(now - timedelta(hours=1), now)
    assert (line["decision"], line["decided_by"], line["state_now"]) == ("suspended", "worker", "suspended")
    lapsed = owner.events.get(kind=access_review.LAPSED)
    assert line["proof"] == f"event {lapsed.seq} of account {owner.id}"
    assert line["credential"] == str(row.id)


@pytest.mark.database
def test_issuance_is_counted_by_kind(world: World, tmp_path: Path) -> None:
    """Issued, ended by reason, living; as files too."""
    left(world)
    now = clock.now()
    rows = {one["kind"]: one for one in statistics.issuance(now - timedelta(hours=1), now)}
    assert (rows["device_key"]["issued"], rows["device_key"]["living"]) == (1, 0)
    assert rows["device_key"]["ended_because"] == "deactivated_by_source:1"
    folder = tmp_path / "report"
    call_command(
        "evidence", "statistics", "--from", now.date().isoformat(), "--folder", str(folder), stdout=io.StringIO()
    )
    assert sorted(one.name for one in folder.iterdir()) == ["statistics.csv", "statistics.html"]
    assert "device_key" in (folder / "statistics.html").read_text()


def reader(world: World, *names: RoleName) -> Browser:
    person, _ = world.enrolled(MONA)
    appoint(MONA, *names)
    browser = world.signed_in(person)
    appoint(MONA)
    return browser


def test_an_auditor_reads_and_downloads_evidence(world: World, witness_folder: Folder) -> None:
    """The page shows a report, and gives an export as one archive with its program."""
    left(world)
    browser = reader(world, RoleName.AUDITOR)
    page = browser.get(f"{ISSUER}/console/evidence")
    assert page.status == 200, page.words()
    today = clock.now().date().isoformat()
    page = browser.get(f"{ISSUER}/console/evidence?report=endings&first={today}&last={today}")
    assert ALEX in page.html
    token = browser._http.cookies.get("ramet_csrf", "")
    files = {"evidence.json", "evidence.jws", "evidence.html", "evidence.csv", "verify.py"}
    for form, names in (
        ({"report": "endings", "first": today, "last": today}, {"endings.csv", "endings.html"}),
        (
            {"first": today, "last": today},
            files,
        ),
        ({"person": ALEX}, files),
    ):
        got = browser._http.post(
            f"{ISSUER}/console/evidence/download", data={"csrfmiddlewaretoken": token, **form},
            headers={"Referer": f"{ISSUER}/console/evidence", "Origin": ISSUER},
        )  # fmt: skip
        assert got.status_code == 200, got.text
        with zipfile.ZipFile(io.BytesIO(got.content)) as archive:
            assert {one.partition("/")[2] for one in archive.namelist()} == names
    mona = Person.objects.get(login_name=MONA)
    assert Event.objects.filter(kind="evidence.exported", actor=f"manager:{mona.id}").count() == 2


@pytest.mark.parametrize(
    "form", [{"first": "x", "last": "y"}, {"first": "2026-02-01", "last": "2026-01-01"}, {"person": "nobody"},
             {"person": MONA, "pinned": "0" * 64}],
)  # fmt: skip
def test_a_form_that_names_nothing_says_so_and_keeps_what_was_typed(
    world: World, witness_folder: Folder, form: dict[str, str]
) -> None:
    browser = reader(world, RoleName.AUDITOR)
    browser.get(f"{ISSUER}/console/evidence")
    token = browser._http.cookies.get("ramet_csrf", "")
    got = browser._http.post(
        f"{ISSUER}/console/evidence/download", data={"csrfmiddlewaretoken": token, **form},
        headers={"Referer": f"{ISSUER}/console/evidence", "Origin": ISSUER},
    )  # fmt: skip
    assert got.status_code == 400
    assert 'role="alert"' in got.text
    assert all(value in got.text for value in form.values())


def test_the_help_desk_sees_no_evidence(world: World) -> None:
    """RL-9: a 404 on every way in."""
    browser = reader(world, RoleName.HELP_DESK)
    assert browser.get(f"{ISSUER}/console/evidence").status == 404


@pytest.mark.database
def test_the_command_opens_reviews_and_a_dry_run_opens_none(world: World) -> None:
    """EV-9: of one person; a second one is not opened while one waits."""
    _, desktop = world.enrolled(ALEX)
    world.device(desktop)

    def opened(*more: str) -> list[dict[str, Any]]:
        out = io.StringIO()
        call_command("review", "open", "--person", ALEX, "--days", "14", "--json", *more, stdout=out)
        found: list[dict[str, Any]] = json.loads(out.getvalue())
        return found

    assert [one["kind"] for one in opened("--dry-run")] == ["device_key"]
    assert not access_review.open_reviews().exists()
    assert [one["kind"] for one in opened()] == ["device_key"]
    assert opened() == []
    assert access_review.open_reviews().count() == 1
