"""Binding a card: by invitation, under a login, in the place of an old one, by a manager (C24; AU-1, P2; rulings 3,
5, 8).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.core.management import CommandError, call_command

from derived import clock
from derived.changes import revoke
from derived.errors import Reason
from derived.ledger import status
from derived.ledger.locking import under_lock
from derived.models import Account, Credential, Event
from idp.models import Invitation, LoginSession, Probe
from tests.fixtures.card_pages import ALEX, why
from tests.fixtures.world import AAL, ISSUER, answer, claims

if TYPE_CHECKING:
    from pathlib import Path

    from demo.browser import Browser, Page
    from demo.person import Person
    from tests.fixtures.card_reader import CardSetup, Reader
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
ADD = f"{ISSUER}/devices/roots/card/add"
SAM = "sam@example.org"


def enrolled(world: World, reader: Reader, username: str = ALEX) -> tuple[Person, Browser]:
    """A person with password and app, signed in at a desk with a reader."""
    person, _ = world.enrolled(username)
    browser = reader.browser()
    page = person.sign_in(browser, browser.get(f"{ISSUER}/login"))
    assert page.path == "/devices", page.words()
    return person, browser


def add(card_setup: CardSetup, browser: Browser, **values: str) -> Page:
    page = browser.get(ADD)
    if page.path == "/login":
        return page
    form = next(one for one in page.forms() if one.method == "post")
    return browser.submit(page, form, values=values)


def card_row(account_of: str = ALEX) -> Credential:
    return Credential.objects.get(kind="piv_card", state="active", account__person__login_name=account_of)


@pytest.mark.database
def test_invitation_is_accepted_with_a_card(card_setup: CardSetup, world: World) -> None:
    """Ruling 3: the first authenticator; the card proves AAL3 by itself, and the person is signed in."""
    world.push(ALEX)
    link = world.invitation(ALEX)
    card = card_setup.pki.card()
    browser = card_setup.reader(card).browser()
    assert browser.get(f"{link}/card").status == 200
    assert Invitation.objects.get().consumed_at is None  # opening spends nothing
    page = card_setup.sign_in(browser, page=browser.get(f"{link}/card"))
    assert page.path == "/devices", page.words()
    row = card_row()
    assert (row.aal, row.root_id, row.evidence["bound_by"]) == (3, None, "invitation")
    assert status.was_ever_enrolled(row.account)
    assert card_setup.sign_in(card_setup.reader(card).browser()).path == "/devices"


def test_invitation_binds_one_card(card_setup: CardSetup, world: World) -> None:
    """I3: two trips with one link; the second finds it consumed, and binds nothing."""
    world.push(ALEX)
    link = world.invitation(ALEX)
    first, second = (card_setup.reader(card_setup.pki.card()).browser() for _ in range(2))
    urls = []
    for browser in (first, second):
        page = browser.get(f"{link}/card")
        urls.append(browser.submit(page, page.forms()[0], stop_at="https://").stopped_at)
    assert first.get(urls[0]).path == "/devices"
    assert second.get(urls[1]).status == 410
    assert Credential.objects.filter(kind="piv_card").count() == 1
    assert LoginSession.objects.count() == 1


@pytest.mark.parametrize("wrong", ["derived", "card_auth"])
def test_derived_certificate_does_not_accept_an_invitation(card_setup: CardSetup, world: World, wrong: str) -> None:
    """AU-3: and the invitation is still valid."""
    world.push(ALEX)
    link = world.invitation(ALEX)
    browser = card_setup.reader(getattr(card_setup.pki, wrong)()).browser()
    page = card_setup.sign_in(browser, page=browser.get(f"{link}/card"))
    assert why(page) in {Reason.NOT_A_ROOT, Reason.CERTIFICATE_WRONG_POLICY}
    assert not Credential.objects.exists()
    assert browser.get(link).status == 200


@pytest.mark.database
def test_card_added_under_a_password_is_capped_at_aal2(card_setup: CardSetup, world: World) -> None:
    """Ruling 5: no ladder; the token says AAL2, and still that it was phishing-resistant."""
    card = card_setup.pki.card()
    _, browser = enrolled(world, card_setup.reader(card))
    page = add(card_setup, browser)
    assert page.path == "/devices", page.words()
    assert "worth AAL2" in page.html
    assert card_row().aal == 2
    fresh = card_setup.reader(card).browser()
    card_setup.sign_in(fresh)
    app = world.app(min_aal=1)
    page = fresh.get(app.url(acr_values=AAL + "3"), stop_at=app.redirect_uri)
    assert answer(page)["error"] == "unmet_authentication_requirements"
    page = fresh.get(app.url(acr_values="phr"), stop_at=app.redirect_uri)
    page = (
        page
        if page.stopped_at
        else fresh.submit(page, page.form_with("decision"), values={"decision": "allow"}, stop_at=app.redirect_uri)
    )
    found = claims(app.redeem(answer(page)["code"]).json()["id_token"])
    assert (found["acr"], found["aal"]) == ("phr", 2)


def test_adding_an_aal3_card_needs_an_aal3_login(card_setup: CardSetup, world: World, tmp_path: Path) -> None:
    """AU-1, P2: AAL2 login, AAL3-capable account, AAL3 card: step up; nothing is bound."""
    reader = card_setup.reader(card_setup.pki.card())
    _person, browser = enrolled(world, reader)
    card_setup.bind(ALEX, card_setup.pki.card(), tmp_path)
    page = browser.get(ADD)
    form = page.form_with("replaces")
    assert form is not None  # replacing the card that is there does not ask for that very card
    page = browser.submit(page, form, values={"replaces": ""})
    assert page.path == "/login"
    assert Credential.objects.filter(kind="piv_card").count() == 1


def test_stale_login_adds_no_card(card_setup: CardSetup, world: World) -> None:
    """AU-8: twenty minutes, checked again when the card comes back."""
    reader = card_setup.reader(card_setup.pki.card())
    _, browser = enrolled(world, reader)
    page = browser.get(ADD)
    ticket = browser.submit(page, page.forms()[-1], stop_at="https://").stopped_at
    back = browser.get(ticket, stop_at=f"{ISSUER}/devices/roots/card/done").stopped_at
    session = (
        LoginSession.objects.get(account__person__login_name=ALEX, ended_at=None)
        if LoginSession.objects.count() == 1
        else LoginSession.objects.order_by("-created_at")[0]
    )
    type(session.event).objects.filter(id=session.event_id).update(at=clock.now() - timedelta(minutes=21))
    assert browser.get(back).path == "/login"
    assert not Credential.objects.filter(kind="piv_card").exists()
    with time_machine.travel(clock.now() + timedelta(minutes=21), tick=True):
        assert browser.get(ADD).path == "/login"


@pytest.mark.database
def test_card_of_another_account_is_refused(card_setup: CardSetup, world: World, tmp_path: Path) -> None:
    """C24: neither under a login, nor by invitation, nor by a manager; and the page does not reveal its holder."""
    card = card_setup.pki.card()
    world.push(ALEX)
    card_setup.bind(ALEX, card, tmp_path)
    _, browser = enrolled(world, card_setup.reader(card), SAM)
    page = add(card_setup, browser)
    assert (why(page), page.status) == (Reason.HELD_BY_ANOTHER, 409)
    assert ALEX not in page.html
    with pytest.raises(CommandError, match="another account"):
        card_setup.bind(SAM, card, tmp_path)
    world.push("kim@example.org")
    third = card_setup.reader(card).browser()
    page = card_setup.sign_in(third, page=third.get(f"{world.invitation('kim@example.org')}/card"))
    assert why(page) == Reason.HELD_BY_ANOTHER
    assert card_row().account.person.login_name == ALEX


def test_card_of_a_terminated_account_may_be_bound_again(card_setup: CardSetup, world: World, tmp_path: Path) -> None:
    """A card goes with its holder: what a terminated account held is free."""
    card = card_setup.pki.card()
    world.push(ALEX)
    card_setup.bind(ALEX, card, tmp_path)
    world.deactivate(ALEX)
    world.push(SAM)
    assert card_setup.bind(SAM, card, tmp_path).account.person.login_name == SAM


def test_same_card_is_not_bound_twice(card_setup: CardSetup, world: World) -> None:
    """One row for one card."""
    card = card_setup.pki.card()
    _, browser = enrolled(world, card_setup.reader(card))
    add(card_setup, browser)
    page = add(card_setup, browser, replaces="")
    assert why(page) == Reason.ALREADY_ENROLLED
    assert Credential.objects.filter(kind="piv_card").count() == 1


def test_new_card_replaces_the_old_one(card_setup: CardSetup, world: World, tmp_path: Path) -> None:
    """Ruling 8: children of the old card move to the new one, at no higher level; the old one signs nobody in."""
    old, new = card_setup.pki.card(), card_setup.pki.card()
    world.push(ALEX)
    first = card_setup.bind(ALEX, old, tmp_path)
    reader = card_setup.reader(old)
    browser = reader.browser()
    card_setup.sign_in(browser)
    phone = world.device(browser)
    reader.card = new
    page = add(card_setup, browser, replaces=str(first.id))
    assert page.path == "/devices", page.words()
    row = card_row()
    grown = Credential.objects.get(id=phone.enrolment.credential_id)
    assert (row.aal, grown.root_id, grown.parent_id, grown.aal) == (3, row.id, row.id, 2)
    first.refresh_from_db()
    assert (first.state, first.end_reason) == ("revoked", Reason.REPLACED)
    assert why(card_setup.sign_in(card_setup.reader(old).browser())) == Reason.CREDENTIAL_UNKNOWN
    assert grown.state == "pending"
    assert Event.objects.filter(kind="credential.reparented", account=row.account).count() == 1


def test_replacement_under_a_weaker_login_lowers_derived_credentials(
    card_setup: CardSetup, world: World, tmp_path: Path
) -> None:
    """Rulings 5 and 8: the lost card is replaced under password and code; AAL3 is lost until a manager vouches."""
    reader = card_setup.reader(card_setup.pki.card())
    _, browser = enrolled(world, reader)
    first = card_setup.bind(ALEX, card_setup.pki.card(), tmp_path)

    def lose(account: Account) -> None:
        revoke.credential(first, account=account, because=Reason.REPORTED_BY_PERSON, now=clock.now(), actor="person")

    under_lock(first.account_id, lose)
    page = add(card_setup, browser, replaces=str(first.id))
    assert page.path == "/devices", page.words()
    assert card_row().aal == 2


def test_compromised_card_is_not_replaced(card_setup: CardSetup, world: World, tmp_path: Path) -> None:
    """Ruling 8: children never move from a compromised root; it is not offered."""
    reader = card_setup.reader(card_setup.pki.card())
    _, browser = enrolled(world, reader)
    first = card_setup.bind(ALEX, card_setup.pki.card(), tmp_path)

    def lose(account: Account) -> None:
        revoke.credential(first, account=account, because=Reason.COMPROMISED, now=clock.now(), actor="manager")

    under_lock(first.account_id, lose)
    page = browser.get(ADD)
    assert "replaces" not in page.html
    page = browser.submit(page, page.forms()[-1], values={"replaces": str(first.id)})
    assert page.path == "/devices"
    assert not Event.objects.filter(kind="credential.reparented").exists()
    with pytest.raises(CommandError, match="no such card"):
        card_setup.bind(ALEX, card_setup.pki.card(), tmp_path, "--replaces", str(first.id))


def test_manager_replaces_a_card_at_its_level(card_setup: CardSetup, world: World, tmp_path: Path) -> None:
    """Ruling 8: identity vouched by a manager."""
    world.push(ALEX)
    first = card_setup.bind(ALEX, card_setup.pki.card(), tmp_path)
    second = card_setup.bind(ALEX, card_setup.pki.card(), tmp_path, "--replaces", str(first.id))
    assert (second.aal, second.account_id) == (3, first.account_id)


def test_other_persons_card_is_not_replaced(card_setup: CardSetup, world: World, tmp_path: Path) -> None:
    """The id in the form is checked against the person's own cards."""
    world.push(SAM)
    theirs = card_setup.bind(SAM, card_setup.pki.card(), tmp_path)
    _, browser = enrolled(world, card_setup.reader(card_setup.pki.card()))
    page = add(card_setup, browser, replaces=str(theirs.id))
    assert page.path == "/devices"
    theirs.refresh_from_db()
    assert theirs.state == "active"
    assert card_row().aal == 2


def test_card_trip_is_tied_to_its_session(card_setup: CardSetup, world: World) -> None:
    """C11: begun by Alex, and Sam is signed in here when it comes back."""
    reader = card_setup.reader(card_setup.pki.card())
    _, browser = enrolled(world, reader)
    page = browser.get(ADD)
    ticket = browser.submit(page, page.forms()[-1], stop_at="https://").stopped_at
    back = browser.get(ticket, stop_at=f"{ISSUER}/devices/roots/card/done").stopped_at
    sam, _ = world.enrolled(SAM)
    page = browser.get(f"{ISSUER}/login")
    sam.sign_in(browser, page)
    assert why(browser.get(back)) == Reason.ALREADY_SPENT
    assert not Credential.objects.filter(kind="piv_card").exists()


def test_new_card_is_notified_to_every_address(card_setup: CardSetup, world: World) -> None:
    """NT-1: with a link."""
    _, browser = enrolled(world, card_setup.reader(card_setup.pki.card()))
    add(card_setup, browser)
    told = {one.to[0] for one in world.mails() if "card" in (one.subject + str(one.body)).lower()}
    assert {ALEX, f"home.{ALEX}"} <= told


@pytest.mark.database
def test_card_list_and_card_status(
    card_setup: CardSetup, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`card list` and `card status`."""
    world.push(ALEX)
    card_setup.bind(ALEX, card_setup.pki.card(), tmp_path)
    call_command("card", "list", ALEX, "--json")
    call_command("card", "status", "--json")
    said = capsys.readouterr().out
    assert '"aal": 3' in said
    assert "forged headers are stripped" in said


def test_a_card_is_offered_only_where_cards_are_on(card_setup: CardSetup, world: World) -> None:
    """*My devices* offers no way of signing in that ends on a page saying that it is switched off."""
    _, browser = enrolled(world, card_setup.reader(card_setup.pki.card()))
    assert "/devices/roots/card/add" in browser.get(f"{ISSUER}/devices").html
    Probe.objects.all().delete()
    page = browser.get(f"{ISSUER}/devices")
    assert "/devices/roots/card/add" not in page.html
    assert "/devices/roots/passkey/add" in page.html
