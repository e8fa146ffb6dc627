"""Care by the worker: reminders, unused accounts, reviews with a deadline (LC-1, LC-7, EV-9)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.core import mail as sent
from django.core.management import CommandError, call_command

from derived import clock
from derived.changes import access_review, issue, suspend
from derived.ledger import audit
from derived.ledger.locking import under_lock
from derived.models import Account, Credential, OutboxRow
from idp.config import config
from idp.signals import care, worker
from scim.access import roles
from scim.models import Person, Role, RoleName
from tests.fixtures import ledger_rows
from tests.fixtures.audit_chain import account
from tests.fixtures.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db


@pytest.fixture
def high_impact() -> Iterator[None]:
    """A system of high impact."""
    file = config().var / "site.toml"
    file.write_text('impact = "high"\n')
    yield
    file.unlink()


def device() -> tuple[Account, Credential]:
    owner = account(events=0)
    return owner, active(owner)


def active(owner: Account) -> Credential:
    """A device that was used once."""
    root = owner.credentials.filter(root__isnull=True).first() or ledger_rows.root_of(owner)
    row = ledger_rows.derived_of(owner, root)
    under_lock(owner.id, lambda locked: issue.activate(row, account=locked, now=clock.now(), actor="person"))
    row.refresh_from_db()
    return row


@pytest.mark.database
def test_each_reminder_is_sent_once_by_two_workers() -> None:
    """LC-1: at 30, 14, 7 and 1 days."""
    _, row = device()
    assert row.expires_at is not None
    found = []
    for left in (40, 30, 29, 20, 14, 7, 3, 1, 0.5):
        with time_machine.travel(row.expires_at - timedelta(days=left), tick=False):
            sent_now = care.remind(now=clock.now()) + care.remind(now=clock.now())
            found.append((left, sent_now))
    assert [left for left, count in found if count] == [30, 14, 7, 1]
    assert all(count <= 1 for _, count in found)
    days = [one.payload["days"] for one in OutboxRow.objects.filter(kind="credential.expiring").order_by("id")]
    assert days == [30, 14, 7, 1]


def test_a_second_worker_that_chose_the_same_rows_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """LC-1: the choice is made before the lock, and the reminder is spent under it."""
    _, row = device()
    assert row.expires_at is not None
    now = row.expires_at - timedelta(days=13)
    chosen = list(care._due(now=now))
    assert care.remind(now=now) == 1
    monkeypatch.setattr(care, "_due", lambda **_: iter(chosen))
    assert care.remind(now=now) == 0


def test_what_was_issued_for_days_has_no_reminder_of_weeks() -> None:
    """A pass of a week is not announced on the day of its issue."""
    _, row = device()
    Credential.objects.filter(id=row.id).update(expires_at=clock.now() + timedelta(days=5))
    assert care.remind(now=clock.now()) == 0
    assert care.remind(now=clock.now() + timedelta(days=4, hours=1)) == 1


def test_the_mail_of_a_reminder_names_the_day_and_the_page() -> None:
    world = World()
    _, desktop = world.enrolled()
    app, phone = world.phone_app(), world.device(desktop)
    phone.login(app.client_id, passphrase="seven mossy stones")
    row = Credential.objects.get(kind="device_key")
    assert row.expires_at is not None
    with time_machine.travel(row.expires_at - timedelta(days=6, hours=12), tick=True):
        worker.housekeeping(now=clock.now())
        letters = world.mails(subject="expires in 7 days")
    assert [one.to for one in letters] == [["alex@example.org"], ["home.alex@example.org"]]
    letter = str(letters[0].body)
    assert "Alex's phone" in letter
    assert "/devices" in letter
    assert row.expires_at.strftime("%-d %B %Y") in letter


@pytest.mark.database
@pytest.mark.usefixtures("high_impact")
def test_an_account_that_nobody_used_is_suspended() -> None:
    """LC-7: after 36 days at high impact; a resumed one has its time again; and the person is told."""
    world = World()
    world.enrolled()
    owner = Account.objects.get(person__login_name="alex@example.org")
    used = max(row.last_used_at or row.created_at for row in owner.credentials.all())
    with time_machine.travel(used + timedelta(days=34), tick=False):
        assert care.suspend_unused(now=clock.now()) == 0
    with time_machine.travel(used + timedelta(days=36), tick=False):
        assert care.suspend_unused(now=clock.now()) == 1
        assert care.suspend_unused(now=clock.now()) == 0
        owner.refresh_from_db()
        assert owner.status == "suspended"
        assert owner.events.latest("seq").body == {"because": "unused", "days": 35}
        assert audit.verify(owner) is None
        assert world.mails("alex@example.org", "was not used")
        under_lock(owner.id, lambda locked: suspend.resume(locked, now=clock.now(), actor="manager:x"))
        assert care.suspend_unused(now=clock.now()) == 0


def test_the_level_of_impact_decides_and_emergency_access_is_exempt() -> None:
    """LC-7: 90 days without a word of the operator; sealed keys lie for years."""
    world = World()
    world.enrolled()
    owner = Account.objects.get(person__login_name="alex@example.org")
    late = clock.now() + timedelta(days=91)
    assert care.suspend_unused(now=clock.now() + timedelta(days=89)) == 0
    role = Role.objects.create(
        person=Person.objects.get(account=owner), role=RoleName.EMERGENCY, epoch=owner.epoch, since=clock.now(),
        until=clock.now() + roles.LONGEST, given_by="operator", reason="sealed",
    )  # fmt: skip
    assert care.suspend_unused(now=late) == 0
    role.delete()
    assert care.suspend_unused(now=late) == 1


@pytest.mark.database
def test_an_undecided_review_suspends_at_its_deadline() -> None:
    """EV-9: what was on the snapshot; a decision in time keeps it, and later ones were never asked about."""
    (owner, row), (kept, other) = device(), device()
    deadline = clock.now() + timedelta(days=14)
    for one in (owner, kept):
        under_lock(
            one.id,
            lambda locked: access_review.open_review(
                locked, deadline=deadline, objections=lambda _: [], now=clock.now(), actor="manager:x"
            ),
        )
    later = active(owner)
    under_lock(kept.id, lambda locked: access_review.keep_all(locked, now=clock.now(), actor="manager:x"))
    assert care.lapse_reviews(now=deadline - timedelta(minutes=1)) == 0
    assert care.lapse_reviews(now=deadline) == 1
    assert care.lapse_reviews(now=deadline) == 0
    states = {one.id: one.state for one in Credential.objects.filter(id__in=[row.id, other.id, later.id])}
    assert states == {row.id: "suspended", other.id: "active", later.id: "active"}
    lapsed = owner.events.get(kind=access_review.LAPSED)
    assert lapsed.body["suspended"] == [str(row.id)]
    assert not sent.outbox
    assert OutboxRow.objects.get(kind="credential.suspended").payload["because"] == "review_overdue"


def test_the_command_suspends_lifts_and_revokes_and_rehearses_each(capsys: pytest.CaptureFixture[str]) -> None:
    """MT-8: a dry run writes no event, and says what would happen."""
    owner, row = device()

    def run(verb: str, *more: str) -> str:
        call_command("credential", verb, str(row.id), *more)
        row.refresh_from_db()
        return f"{row.state}: {capsys.readouterr().out.strip()}"

    events = owner.events.count()
    assert run("suspend", "--dry-run") == "active: Pocket phone would be suspended: a dry run"
    assert run("revoke", "--dry-run") == "active: 1 would end: a dry run"
    assert owner.events.count() == events
    assert run("suspend") == "suspended: Pocket phone is suspended"
    assert run("lift", "--dry-run") == "suspended: Pocket phone could be used again: a dry run"
    assert run("lift") == "active: Pocket phone may be used again"
    assert run("revoke") == "revoked: 1 ended"
    with pytest.raises(CommandError, match="not active"):
        call_command("credential", "suspend", str(row.id))
    assert audit.verify(Account.objects.get(id=owner.id)) is None


@pytest.mark.database
def test_a_wrong_clock_does_not_suspend_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """LC-7: a day's suspensions have a bound, which an operator reads in the log."""
    monkeypatch.setattr(care, "_LEAST_A_DAY", 2)
    owners = [account(events=0) for _ in range(4)]
    for owner in owners:
        ledger_rows.root_of(owner)
    late = clock.now() + timedelta(days=400)
    assert care.suspend_unused(now=late) == 2
    assert care.suspend_unused(now=late) == 0
    assert care.suspend_unused(now=late + timedelta(days=2)) == 2
