"""Renaming, removing and reporting one's own ways of signing in (P2, AU-1, AU-8, IV-5 to IV-7; rulings 5, 14)."""

from __future__ import annotations

import json
from datetime import timedelta
from http import HTTPStatus
from io import StringIO
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.core.management import call_command

from demo.browser import Browser
from derived import clock
from derived.changes import by_person, revoke
from derived.errors import Reason, Refused
from derived.ledger import audit, status
from derived.ledger.locking import under_lock
from derived.models import Account, Credential, Event
from derived.rules.assurance import AAL
from idp import pages
from idp.models import AuthenticationEvent, UndoLink
from tests.fixtures.signing_in import at, key, sign_in_with, strong
from tests.fixtures.world import ISSUER, http

if TYPE_CHECKING:
    from demo.browser import Page
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
NOON = "2026-11-23T12:00:00Z"


def post(browser: Browser, row: Credential, what: str, **values: str) -> Page:
    url = f"{ISSUER}/devices/roots/{row.id}/{what}"
    page = browser.get(url)
    form = next((one for one in page.forms() if one.method == "post"), None)
    if form is None:  # the page did not even ask: send it all the same
        token = browser._http.cookies.get("ramet_csrf", "")
        response = browser._http.post(
            url, data={"csrfmiddlewaretoken": token, **values}, headers={"Referer": url, "Origin": ISSUER}
        )
        from demo.browser import Page

        assert page.status == response.status_code, "GET and POST agree"
        return Page(str(response.url), response.status_code, response.text)
    return browser.submit(page, form, values=values)


@pytest.mark.parametrize("what", ["rename", "remove"])
@pytest.mark.parametrize("affected", [AAL.AAL2, AAL.AAL3])
@pytest.mark.parametrize("session", ["AAL1", "AAL2", "AAL3", "derived", "stale", "just fresh"])
def test_weaker_session_changes_no_stronger_root(world: World, session: str, affected: AAL, what: str) -> None:
    """P2, AU-8, EL-2: {session} × {rename, remove} × {what it is worth}: 403 by GET and by POST, or it happens."""
    with time_machine.travel(NOON, tick=False) as now:
        _, desktop = world.enrolled()
        account = Account.objects.get()
        row = key(account.id) if affected == AAL.AAL2 else strong(account.id)
        level = {"AAL1": AAL.AAL1, "AAL3": AAL.AAL3}.get(session, AAL.AAL2)
        if session == "derived":
            phone = world.device(desktop)
            now.shift(1)
            desktop = sign_in_with(phone)
        elif level == AAL.AAL3:
            Credential.objects.filter(kind="password_totp").update(
                kind="piv_card", aal=AAL.AAL3
            )  # stands in for a card login
            at(AAL.AAL3)
        else:
            at(level)
        now.shift(
            timedelta(minutes=20, seconds=1 if session == "stale" else 0) if session in {"stale", "just fresh"} else 0
        )
        page = post(desktop, row, what, name="New name")
        may = session in {"AAL2", "AAL3", "just fresh"} and level >= affected
        row.refresh_from_db()
        changed = row.name == "New name" or row.state == "revoked"
        assert (changed, page.status) == (may, 200 if may else 403), page.words()
        assert Event.objects.filter(kind__in=["credential.renamed", "credential.revoked"]).exists() is may


def test_change_is_checked_again_under_the_lock(world: World) -> None:
    """P2: what the page allowed is asked once more with the account locked."""
    _, _ = world.enrolled()
    account, row = Account.objects.get(), strong(Account.objects.get().id)
    from idp.login.session import login_of

    weak = login_of(AuthenticationEvent.objects.select_related("credential__root", "credential__parent").get())
    for work in (
        lambda locked: by_person.rename(locked, row.id, "x", login=weak, now=clock.now(), actor="t"),
        lambda locked: by_person.remove(locked, row.id, login=weak, now=clock.now(), actor="t"),
    ):
        with pytest.raises(Refused, match="step_up_needed"):
            under_lock(account.id, work)


def test_other_persons_root_is_404(world: World) -> None:
    """C29: another person's credential is 404, whatever is asked, and stays."""
    _, desktop = world.enrolled()
    world.enrolled("kim@example.org")
    kims = Credential.objects.get(account__person__login_name="kim@example.org")
    for what in ("rename", "remove", "report"):
        assert post(desktop, kims, what, name="x").status == 404
    kims.refresh_from_db()
    assert (kims.state, kims.name) == ("active", "Password and authenticator app")


@pytest.mark.parametrize("other", ["none", "weak key", "disabled", "key"])
def test_last_usable_root_cannot_be_removed(world: World, other: str) -> None:
    """Ruling 14: a key that needs a password beside it, and a disabled one, do not count."""
    _, desktop = world.enrolled()
    account = Account.objects.get()
    pair = Credential.objects.get()
    if other != "none":
        row = key(account.id, verified=other != "weak key")
        if other == "disabled":
            Credential.objects.filter(id=row.id).update(failures=status.MOST_FAILURES)
    page = post(desktop, pair, "remove")
    pair.refresh_from_db()
    assert pair.state == ("revoked" if other == "key" else "active")
    assert page.status == (200 if other == "key" else 409), page.words()


def test_last_way_in_is_not_offered_for_removal(world: World) -> None:
    """Where a person presses nothing wrong, no "Conflict 409" answers: the list and the page say what to do."""
    _, desktop = world.enrolled()
    pair = Credential.objects.get()
    url = f"/devices/roots/{pair.id}/remove"
    page = desktop.get(f"{ISSUER}/devices")
    assert url not in page.html
    assert "the only way by which you can sign in" in page.html
    page = desktop.get(ISSUER + url)
    assert page.status == 409
    assert "is your last way of signing in" in page.words()
    assert "/devices/roots/passkey/add" in page.html
    assert f"/devices/roots/{pair.id}/report" in page.html
    assert not {"Conflict", "409"} & set(page.words().split())
    key(Account.objects.get().id)
    assert url in desktop.get(f"{ISSUER}/devices").html


@pytest.mark.parametrize("status_code", [400, 403, 404, 405, 409, 410, 413, 429, 500, 503])
def test_error_page_has_a_title_in_plain_words(status_code: int) -> None:
    """No page for people is headed by the phrase of a status code."""
    from django.test import RequestFactory

    page = pages.problem(RequestFactory().get("/"), "words", status=status_code).content.decode()
    assert HTTPStatus(status_code).phrase not in page


def test_removed_root_leaves_its_devices(world: World) -> None:
    """Trap 1: and ends the sessions that stood on it, at once."""
    _, desktop = world.enrolled()
    key(Account.objects.get().id)
    phone = world.device(desktop)
    page = post(desktop, Credential.objects.get(kind="password_totp"), "remove")
    assert page.path == "/login"
    assert "was removed" in page.html
    assert Credential.objects.get(id=phone.enrolment.credential_id).state == "pending"


@pytest.mark.parametrize("session", ["AAL1", "AAL2", "derived", "stale"])
def test_loss_may_be_reported_with_any_login(world: World, session: str) -> None:
    """IV-7, LC-8, ruling 14: one factor suffices; what grew from it lives on."""
    with time_machine.travel(NOON, tick=False) as now:
        _, desktop = world.enrolled()
        phone = world.device(desktop)
        if session == "derived":
            now.shift(1)
            desktop = sign_in_with(phone)
        at(AAL.AAL1 if session == "AAL1" else AAL.AAL2)
        now.shift(1201 if session == "stale" else 0)
        root = Credential.objects.get(kind="password_totp")
        post(desktop, root, "report", used="no")
        root.refresh_from_db()
        assert (root.state, root.end_reason) == ("revoked", "reported_by_person")
        assert Credential.objects.get(id=phone.enrolment.credential_id).state != "revoked"
        assert audit.verify(Account.objects.get()) is None


@pytest.mark.database
@pytest.mark.parametrize(("age", "queued"), [(timedelta(days=7), True), (timedelta(days=7, seconds=1), False)])
def test_recent_bindings_are_put_up_for_review(world: World, age: timedelta, queued: bool) -> None:  # noqa: FBT001
    """IV-5, LC-8: listed for managers and told to the person with a link that revokes; a manager settles it."""
    with time_machine.travel(NOON, tick=False) as now:
        person, desktop = world.enrolled()
        phone = world.device(desktop)
        now.shift(age)
        desktop = world.signed_in(person)
        post(desktop, Credential.objects.get(kind="password_totp"), "report", used="no")
        out = StringIO()
        call_command("credential", "list", "--review", "--json", stdout=out)
        found = json.loads(out.getvalue())
        assert [one["id"] for one in found] == ([phone.enrolment.credential_id] if queued else [])
        told = world.mails(person.username, "check what was added")
        assert bool(told) is queued
        if queued:
            call_command("credential", "reviewed", phone.enrolment.credential_id, stdout=StringIO())
            out = StringIO()
            call_command("credential", "list", "--review", "--json", stdout=out)
            assert json.loads(out.getvalue()) == []


@pytest.mark.parametrize(
    ("since", "state"),
    [
        ("2026-11-23", "revoked"),
        ("2026-11-25", "pending"),
        ("", "pending"),
        ("2027-01-01", "pending"),
        ("nonsense", "pending"),
    ],
)
def test_reported_misuse_ends_what_was_issued_since(world: World, since: str, state: str) -> None:
    """IV-6: from the day given; without a day that makes sense nothing happens, and the page says so."""
    with time_machine.travel(NOON, tick=False) as now:
        person, desktop = world.enrolled()
        phone = world.device(desktop)
        now.shift(timedelta(days=2))
        desktop = world.signed_in(person)
        root = Credential.objects.get(kind="password_totp")
        page = post(desktop, root, "report", used="yes", since=since)
        root.refresh_from_db()
        good = since.startswith("2026")
        assert (root.state, root.end_reason) == (("revoked", "compromised") if good else ("active", ""))
        assert page.status == (200 if good else 400)
        assert Credential.objects.get(id=phone.enrolment.credential_id).state == state


def test_page_explains_the_level_of_each_root(world: World) -> None:
    """BI-6, ruling 5, TH-1: strength in words, the ceiling, and what wrong tries have disabled."""
    _, desktop = world.enrolled()
    row = key(Account.objects.get().id)
    Credential.objects.filter(id=row.id).update(failures=status.MOST_FAILURES)
    html = desktop.get(f"{ISSUER}/devices").html
    for words in (
        "Two factors (AAL2)",
        "Can be phished",
        "Resists phishing",
        "added through your invitation",
        "your identity team added it",
        "Too many wrong tries",
    ):
        assert words in html, words


# --- notices and their links ------------------------------------------------------------------------------------------


def link_in(world: World, to: str, subject: str) -> str:
    return next(word for word in str(world.mails(to, subject)[-1].body).split() if "/undo/" in word)


def test_every_change_is_notified_with_a_freeze_link(world: World) -> None:
    """NT-1 to NT-4, trap 3, IV-7, MT-7, ruling 4: by POST, once; every session ends at once, and only a manager
    resumes.
    """
    person, desktop = world.enrolled()
    row = key(Account.objects.get().id)
    world.mails()
    world.patch(person.username, {"emails": [{"value": "attacker@example.net", "type": "work", "primary": True}]})
    post(desktop, row, "rename", name="Red key")
    told = {mail.to[0] for mail in world.mails(subject="was changed")}
    assert {"alex@example.org", "home.alex@example.org", "attacker@example.net"} <= told
    link = link_in(world, "home.alex@example.org", "was changed")
    stranger = Browser(http())
    page = stranger.get(link)
    assert "Neither can you" in page.html
    assert Account.objects.get().status == "active"
    assert stranger.submit(page, page.forms()[-1]).status == 200
    assert Account.objects.get().status == "suspended"
    assert desktop.get(f"{ISSUER}/devices").path == "/login"
    assert stranger.get(link).status == 410
    assert Event.objects.get(kind="account.suspended").body["because"] == "frozen_by_person"
    assert world.mails("home.alex@example.org", "frozen")
    call_command("person", "resume", person.username, stdout=StringIO())
    assert desktop.get(f"{ISSUER}/devices").path == "/devices"
    row.refresh_from_db()
    assert row.name == "Red key"  # it restores nothing


@pytest.mark.parametrize(
    ("used", "reason"),
    [("no", "reported as lost or stolen on the My devices page"), ("yes", "somebody else has used it, or may use it")],
)
def test_mail_after_a_reported_loss_says_what_was_reported(world: World, used: str, reason: str) -> None:
    """NT-1: the person pressed "Lost or stolen", and is not told that it was "not theirs"."""
    person, desktop = world.enrolled()
    post(desktop, Credential.objects.get(kind="password_totp"), "report", used=used, since=f"{clock.now():%Y-%m-%d}")
    told = world.mails(person.username, "has ended")[-1]
    assert reason in str(told.body)
    assert "not yours" not in str(told.body)


def test_mail_after_an_undone_addition_says_that_it_was_not_theirs(world: World) -> None:
    """BI-5: the other reason, which the link of a notice means."""
    person, _ = world.enrolled()
    link = link_in(world, person.username, "was added to your account")
    browser = Browser(http())
    page = browser.get(link)
    browser.submit(page, page.forms()[-1])
    assert "not yours, through a link in a notice" in str(world.mails(person.username, "has ended")[-1].body)


def test_undo_link_of_an_addition_ends_its_derived_credentials(world: World) -> None:
    """BI-5: “that was not me” is about the root and all of its devices."""
    person, desktop = world.enrolled()
    link = link_in(world, person.username, "was added to your account")
    world.device(desktop)
    page = Browser(http()).get(link)
    browser = Browser(http())
    page = browser.get(link)
    browser.submit(page, page.forms()[-1])
    assert set(Credential.objects.exclude(kind="token_family").values_list("state", "end_reason")) == {
        ("revoked", "disowned_by_person")
    }


@pytest.mark.parametrize(
    ("age", "status_code"), [(timedelta(days=7) - timedelta(seconds=1), 200), (timedelta(days=7), 410)]
)
def test_undo_link_lives_a_week_and_is_stored_hashed(world: World, age: timedelta, status_code: int) -> None:
    """NT-3, ruling 10: made when the mail is sent."""
    with time_machine.travel(NOON, tick=False) as now:
        person, _ = world.enrolled()
        assert link_in(world, person.username, "was added")
        link = link_in(world, person.username, "was added")
        assert not UndoLink.objects.filter(token_hash=link.rsplit("/", 1)[1]).exists()
        now.shift(age)
        assert Browser(http()).get(link).status == status_code


def test_notice_of_a_managers_end_offers_no_freeze(world: World) -> None:
    """NT-4: the notice of an ending by others names whom to ask."""
    person, _ = world.enrolled()
    row = key(Account.objects.get().id)
    under_lock(
        row.account_id,
        lambda account: revoke.credential(
            row, account=account, because=Reason.ENDED_BY_MANAGER, now=clock.now(), actor="t"
        ),
    )
    assert "/undo/" not in str(world.mails(person.username, "has ended")[-1].body)


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "0000-00-00", "١٢٣٤-٠١-٠١", ""])
def test_loss_on_an_impossible_date_is_refused(world: World, day: str) -> None:
    """The form shows an error, not a 500."""
    _, desktop = world.enrolled()
    root = Credential.objects.get(kind="password_totp")
    page = desktop.get(f"{ISSUER}/devices/roots/{root.id}/report")
    assert desktop.submit(page, page.form_to("/report"), values={"used": "yes", "since": day}).status in {400, 200}
    assert Credential.objects.get(id=root.id).state == "active"
