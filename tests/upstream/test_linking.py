"""Linking: with proof, by a fresh root sign-in, for one account, in one browser, once (P32, P33, AU-1, AU-8; rulings 5, 14)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine

from demo.browser import Browser
from derived import clock
from derived.models import Credential, UpstreamIdentity
from idp.models import LoginSession, Upstream
from tests.upstream.liar import AAL2
from tests.world import AAL, ISSUER, http

if TYPE_CHECKING:
    from tests.upstream.conftest import House

pytestmark = pytest.mark.database
ADD = f"{ISSUER}/devices/roots/upstream/liar/add"


def test_a_link_is_a_root_at_no_more_than_the_login_that_made_it(house: House) -> None:
    """Ruling 5: the upstream may be trusted for AAL3; linked from AAL2 it stays AAL2."""
    Upstream.objects.update(cap=3)
    house.liar.acr = f"{AAL}3"
    assert house.link().path == "/devices"
    row = house.credential()
    assert (row.kind, row.aal, row.root_id, row.evidence["bound_by"], row.evidence["issuer"]) == (
        "upstream",
        2,
        None,
        "login",
        house.liar.issuer,
    )


def test_linking_is_told_to_every_address(house: House) -> None:
    """NT-1, BI-5."""
    house.link()
    told = house.world.mails("alex@example.org", "way to sign in")
    assert {one.to[0] for one in told} == {"alex@example.org", "home.alex@example.org"}


def test_a_new_login_there_is_always_asked_for(house: House) -> None:
    """P32: what is linked is whom the person proves to be there now, not who used the browser before."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(house.link_page()).query).items()}
    assert (query["prompt"], query["max_age"]) == ("login", "0")


def test_nobody_links_without_signing_in(house: House) -> None:
    """A stranger is sent to the sign-in page, and back."""
    assert Browser(http()).get(ADD).path == "/login"


def test_an_old_login_links_nothing(house: House) -> None:
    """AU-8: twenty minutes, at the page and at the end of the trip."""
    away = house.link_page()
    with time_machine.travel(clock.now() + timedelta(minutes=20, seconds=1), tick=True):
        assert house.desktop.get(ADD).path == "/login"
    with time_machine.travel(clock.now() + timedelta(minutes=15), tick=True):
        late = house.link_page()
    with time_machine.travel(clock.now() + timedelta(minutes=21), tick=True):
        assert house.desktop.get(house.liar.signs_in(late)).status == 403
    assert away
    assert not UpstreamIdentity.objects.exists()


def test_a_device_links_nothing(linked: House) -> None:
    """EL-2: nothing but a root adds a root."""
    from idp.models import AuthenticationEvent

    AuthenticationEvent.objects.update(root=False)
    assert linked.desktop.get(ADD).path == "/login"


def test_an_intent_serves_once(house: House) -> None:
    """P32, CVE-2025-46815: the same answer, or another identity under the same intent, links nothing more."""
    away = house.link_page()
    first = house.liar.signs_in(away)
    assert house.desktop.get(first).path == "/devices"
    assert house.desktop.get(first).status == 400
    house.liar.subject = "subject-2"
    assert house.desktop.get(house.liar.signs_in(away)).status == 400
    assert UpstreamIdentity.objects.count() == 1


def test_an_intent_serves_in_its_browser_only(house: House) -> None:
    """P32, P35: another person's browser does not get the intruder's identity linked, nor the other way round."""
    house.world.push("sam@example.org")
    _, sams = house.world.enrolled("sam@example.org")
    assert sams.get(house.liar.signs_in(house.link_page())).status == 400
    assert not UpstreamIdentity.objects.exists()


def test_an_intent_ends_with_its_session(house: House) -> None:
    """P32: ended elsewhere meanwhile: nothing is linked."""
    away = house.link_page()
    LoginSession.objects.update(ended_at=clock.now())
    page = house.desktop.get(house.liar.signs_in(away))
    assert (page.status, UpstreamIdentity.objects.count()) == (403, 0)


def test_an_intent_is_not_taken_over_by_a_later_session_of_the_same_browser(house: House) -> None:
    """P32: the session is the one that asked, not whichever is there when the answer comes."""
    away = house.link_page()
    LoginSession.objects.update(ended_at=clock.now())
    house.person.sign_in(house.desktop, house.desktop.get(f"{ISSUER}/login"))
    assert house.desktop.get(house.liar.signs_in(away)).status == 403
    assert not UpstreamIdentity.objects.exists()


def test_a_login_trip_links_nothing(house: House) -> None:
    """P32: the purpose is in our row, not in the answer."""
    page = house.sign_in(house.desktop)
    assert (page.status, UpstreamIdentity.objects.count()) == (403, 0)


def test_an_identity_belongs_to_one_account(linked: House) -> None:
    """P32: held by another account: refused; by this one: it is there already."""
    _, sams = linked.world.enrolled("sam@example.org")
    page = linked.link(sams)
    assert (page.status, "another account" in page.words()) == (409, True)
    assert linked.link().status == 409
    assert UpstreamIdentity.objects.count() == 1


def test_a_silent_upstream_is_not_linked(house: House) -> None:
    """AU-7: who says nothing of the level is not a root."""
    house.liar.acr = None
    assert house.link().status == 403
    assert not UpstreamIdentity.objects.exists()


def test_an_upstream_that_is_disabled_meanwhile_is_not_linked(house: House) -> None:
    """P26."""
    away = house.link_page()
    Upstream.objects.update(disabled_at=clock.now())
    assert house.desktop.get(house.liar.signs_in(away)).status == 403
    assert not UpstreamIdentity.objects.exists()


def test_a_link_grows_a_device(linked: House) -> None:
    """EL-1: a fresh AAL2 sign-in at a linked upstream is a root sign-in like any other."""
    browser = Browser(http())
    assert linked.sign_in(browser).path == "/devices"
    device = linked.world.device(browser)
    row = Credential.objects.get(id=device.enrolment.credential_id)  # type: ignore[union-attr]
    assert (row.aal, row.root_id) == (2, linked.credential().id)
    assert linked.liar.acr == AAL2
