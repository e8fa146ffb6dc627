"""Linking: with proof, by a fresh root sign-in, for one account, in one browser, once (P32, P33, AU-1, AU-8; rulings
5, 14).
"""

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
from tests.fixtures.lying_provider import AAL2
from tests.fixtures.world import AAL, ISSUER, http

if TYPE_CHECKING:
    from tests.fixtures.linked_upstream import AtUpstream

ADD = f"{ISSUER}/devices/roots/upstream/liar/add"


def test_linked_upstream_is_capped_by_the_login_that_linked_it(at_upstream: AtUpstream) -> None:
    """Ruling 5: the upstream may be trusted for AAL3; linked from AAL2 it stays AAL2."""
    Upstream.objects.update(cap=3)
    at_upstream.lying_provider.acr = f"{AAL}3"
    assert at_upstream.link().path == "/devices"
    row = at_upstream.credential()
    assert (row.kind, row.aal, row.root_id, row.evidence["bound_by"], row.evidence["issuer"]) == (
        "upstream",
        2,
        None,
        "login",
        at_upstream.lying_provider.issuer,
    )


def test_linking_is_notified_to_every_address(at_upstream: AtUpstream) -> None:
    """NT-1, BI-5."""
    at_upstream.link()
    told = at_upstream.world.mails("alex@example.org", "way to sign in")
    assert {one.to[0] for one in told} == {"alex@example.org", "home.alex@example.org"}


def test_linking_requires_a_new_login_at_the_upstream(at_upstream: AtUpstream) -> None:
    """P32: the linked identity is the one that the person proves there now, not that of an earlier user of the
    browser.
    """
    query = {name: values[0] for name, values in parse_qs(urlsplit(at_upstream.link_page()).query).items()}
    assert (query["prompt"], query["max_age"]) == ("login", "0")


def test_linking_needs_a_login(at_upstream: AtUpstream) -> None:
    """Without a session the page leads to the login page, and back."""
    assert Browser(http()).get(ADD).path == "/login"


def test_stale_login_links_nothing(at_upstream: AtUpstream) -> None:
    """AU-8: twenty minutes, at the page and at the end of the trip."""
    away = at_upstream.link_page()
    with time_machine.travel(clock.now() + timedelta(minutes=20, seconds=1), tick=True):
        assert at_upstream.desktop.get(ADD).path == "/login"
    with time_machine.travel(clock.now() + timedelta(minutes=15), tick=True):
        late = at_upstream.link_page()
    with time_machine.travel(clock.now() + timedelta(minutes=21), tick=True):
        assert at_upstream.desktop.get(at_upstream.lying_provider.signs_in(late)).status == 403
    assert away
    assert not UpstreamIdentity.objects.exists()


def test_device_login_links_nothing(linked: AtUpstream) -> None:
    """EL-2: nothing but a root adds a root."""
    from idp.models import AuthenticationEvent

    AuthenticationEvent.objects.update(root=False)
    assert linked.desktop.get(ADD).path == "/login"


@pytest.mark.database
def test_link_intent_is_single_use(at_upstream: AtUpstream) -> None:
    """P32, CVE-2025-46815: the same answer, or another identity under the same intent, links nothing more."""
    away = at_upstream.link_page()
    first = at_upstream.lying_provider.signs_in(away)
    assert at_upstream.desktop.get(first).path == "/devices"
    assert at_upstream.desktop.get(first).status == 400
    at_upstream.lying_provider.subject = "subject-2"
    assert at_upstream.desktop.get(at_upstream.lying_provider.signs_in(away)).status == 400
    assert UpstreamIdentity.objects.count() == 1


def test_link_intent_is_tied_to_its_browser(at_upstream: AtUpstream) -> None:
    """P32, P35: another person's browser does not get the intruder's identity linked, nor the other way round."""
    at_upstream.world.push("sam@example.org")
    _, sams = at_upstream.world.enrolled("sam@example.org")
    assert sams.get(at_upstream.lying_provider.signs_in(at_upstream.link_page())).status == 400
    assert not UpstreamIdentity.objects.exists()


def test_link_intent_ends_with_its_session(at_upstream: AtUpstream) -> None:
    """P32: ended elsewhere meanwhile: nothing is linked."""
    away = at_upstream.link_page()
    LoginSession.objects.update(ended_at=clock.now())
    page = at_upstream.desktop.get(at_upstream.lying_provider.signs_in(away))
    assert (page.status, UpstreamIdentity.objects.count()) == (403, 0)


def test_link_intent_is_tied_to_its_session(at_upstream: AtUpstream) -> None:
    """P32: the session is the one that asked, not whichever is there when the answer comes."""
    away = at_upstream.link_page()
    LoginSession.objects.update(ended_at=clock.now())
    at_upstream.person.sign_in(at_upstream.desktop, at_upstream.desktop.get(f"{ISSUER}/login"))
    assert at_upstream.desktop.get(at_upstream.lying_provider.signs_in(away)).status == 403
    assert not UpstreamIdentity.objects.exists()


def test_login_trip_links_nothing(at_upstream: AtUpstream) -> None:
    """P32: the purpose is in our row, not in the answer."""
    page = at_upstream.sign_in(at_upstream.desktop)
    assert (page.status, UpstreamIdentity.objects.count()) == (403, 0)


@pytest.mark.database
def test_upstream_identity_belongs_to_one_account(linked: AtUpstream) -> None:
    """P32: held by another account: refused; by this one: it is there already."""
    _, sams = linked.world.enrolled("sam@example.org")
    page = linked.link(sams)
    assert (page.status, "another account" in page.words()) == (409, True)
    assert linked.link().status == 409
    assert UpstreamIdentity.objects.count() == 1


def test_upstream_without_a_level_is_not_linked(at_upstream: AtUpstream) -> None:
    """AU-7: an ID token without a level is no root."""
    at_upstream.lying_provider.acr = None
    assert at_upstream.link().status == 403
    assert not UpstreamIdentity.objects.exists()


def test_disabled_upstream_is_not_linked(at_upstream: AtUpstream) -> None:
    """P26."""
    away = at_upstream.link_page()
    Upstream.objects.update(disabled_at=clock.now())
    assert at_upstream.desktop.get(at_upstream.lying_provider.signs_in(away)).status == 403
    assert not UpstreamIdentity.objects.exists()


def test_linked_upstream_login_adds_a_device(linked: AtUpstream) -> None:
    """EL-1: a fresh AAL2 sign-in at a linked upstream is a root sign-in like any other."""
    browser = Browser(http())
    assert linked.sign_in(browser).path == "/devices"
    device = linked.world.device(browser)
    row = Credential.objects.get(id=device.enrolment.credential_id)  # type: ignore[union-attr]
    assert (row.aal, row.root_id) == (2, linked.credential().id)
    assert linked.lying_provider.acr == AAL2
