"""An upstream is capped or disabled: levels fall at once, and what is too weak then waits (C2, P26, MT-7; design.md,
row 4).
"""

from __future__ import annotations

import json
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command

from demo.browser import Browser
from derived import clock
from derived.changes import issue, lower_level, suspend
from derived.errors import Reason, Refused
from derived.ledger import audit, status
from derived.ledger.locking import under_lock
from derived.models import Account, Credential, Event
from derived.rules.assurance import AAL
from idp.models import Upstream
from tests.fixtures.lying_provider import AAL2, asked
from tests.fixtures.world import ISSUER, claims, http

if TYPE_CHECKING:
    from device.client import DeviceClient
    from tests.fixtures.linked_upstream import AtUpstream
    from tests.fixtures.world import App

AAL1 = "http://idmanagement.gov/ns/assurance/aal/1"
pytestmark = pytest.mark.database


def run(*arguments: str) -> Any:
    said = StringIO()
    call_command("upstream", *arguments, "--json", stdout=said)
    return json.loads(said.getvalue())


def tokens_of(linked: AtUpstream, app: App, browser: Browser) -> dict[str, Any]:
    page = linked.sign_in(browser, app.url(scope="openid offline_access"), stop_at=app.redirect_uri)
    found: dict[str, Any] = app.redeem(asked(page.stopped_at)["code"]).json()
    return found


def grown(linked: AtUpstream) -> tuple[Browser, DeviceClient, Credential]:
    browser = Browser(http())
    linked.sign_in(browser)
    device = linked.world.device(browser)
    assert device.enrolment is not None
    row = Credential.objects.get(id=device.enrolment.credential_id)
    under_lock(row.account_id, lambda locked: issue.activate(row, account=locked, now=clock.now(), actor="person"))
    row.refresh_from_db()
    return browser, device, row


def test_cap_applies_at_the_next_introspection_and_refresh(linked: AtUpstream) -> None:
    """C2, TK-5: tokens say the lower level from then on; the old `acr` is not repeated."""
    app, browser = linked.world.app(), Browser(http())
    tokens = tokens_of(linked, app, browser)
    assert app.introspect(tokens["access_token"])["aal"] == 2
    assert "1 links looked at" in run("cap", "liar", "--aal", "1")
    found = app.introspect(tokens["access_token"])
    assert (found["active"], found["aal"], found["acr"]) == (True, 1, AAL1)
    refreshed = app.refresh(tokens["refresh_token"]).json()
    assert claims(refreshed["id_token"])["aal"] == 1
    assert claims(refreshed["access_token"])["acr"] == AAL1


def test_earlier_session_issues_nothing_after_the_cap(linked: AtUpstream) -> None:
    """EL-1: what the browser is signed in at falls with the upstream."""
    browser = Browser(http())
    linked.sign_in(browser)
    page = browser.get(f"{ISSUER}/devices")
    run("cap", "liar", "--aal", "1")
    assert browser.submit(page, page.form_to("/devices/add")).path == "/login"


def test_device_below_aal2_is_suspended_for_review(linked: AtUpstream) -> None:
    """design.md row 4: the device is suspended, its holder is told, its link stays at AAL1; a cap up gives nothing
    back.
    """
    _, _, row = grown(linked)
    assert "1 credentials suspended" in run("cap", "liar", "--aal", "1")
    row.refresh_from_db()
    link = linked.credential()
    assert (row.state, link.state, link.aal) == ("suspended", "active", 1)
    assert status.level(Credential.objects.select_related("root", "parent").get(id=row.id)) == AAL.AAL1
    assert linked.world.mails("alex@example.org", "suspended")
    run("cap", "liar", "--aal", "3")
    assert linked.credential().aal == 1
    assert "0 credentials suspended" in run("cap", "liar", "--aal", "1")  # a second run changes nothing


def test_device_of_another_root_is_untouched(linked: AtUpstream) -> None:
    """Trap 1: only what grew from the upstream falls with it."""
    device = linked.world.device(linked.desktop)
    assert device.enrolment is not None
    Credential.objects.filter(id=device.enrolment.credential_id).update(state="active")
    run("cap", "liar", "--aal", "1")
    assert Credential.objects.get(id=device.enrolment.credential_id).state == "active"


def test_disabling_ends_every_use_and_suspends_the_link(linked: AtUpstream) -> None:
    """P26, CVE-2026-1486: sessions and tokens through it are refused at once, and its derived credentials are
    suspended.
    """
    app, browser = linked.world.app(), Browser(http())
    tokens = tokens_of(linked, app, browser)
    grower, _, row = grown(linked)
    assert "2 credentials suspended" in run("disable", "liar")
    row.refresh_from_db()
    assert (row.state, linked.credential().state) == ("suspended", "suspended")
    assert app.introspect(tokens["access_token"]) == {"active": False}
    assert app.refresh(tokens["refresh_token"]).status_code == 400
    assert browser.get(f"{ISSUER}/devices").path == "/login"
    assert grower.get(f"{ISSUER}/devices").path == "/login"
    assert linked.desktop.get(f"{ISSUER}/devices").path == "/devices"
    assert audit.verify(Account.objects.get(id=row.account_id)) is None


def test_enabling_restores_nothing(linked: AtUpstream) -> None:
    """MT-7: only a manager lifts, and only to the level that is left."""
    _, _, row = grown(linked)
    run("disable", "liar")
    run("enable", "liar")
    assert linked.sign_in().status == 403
    call_command("credential", "lift", str(linked.credential().id), stdout=StringIO())
    assert linked.sign_in().path == "/devices"
    assert linked.credential().aal == 1
    with pytest.raises(CommandError, match="too low"):
        call_command("credential", "lift", str(row.id), stdout=StringIO())


@pytest.mark.parametrize("to", [AAL.AAL2, AAL.AAL3])
def test_level_never_rises(linked: AtUpstream, to: AAL) -> None:
    """Ruling 8 in spirit: `lower` only lowers, and writes nothing where there is nothing to lower."""
    Credential.objects.filter(id=linked.credential().id).update(aal=2)
    link, before = linked.credential(), Event.objects.count()

    def work(account: Account) -> int:
        return lower_level.lower(
            account, link, to=to, because=Reason.UPSTREAM_CAPPED, now=clock.now(), actor="operator"
        )

    assert under_lock(link.account_id, work) == 0
    assert (linked.credential().aal, Event.objects.count()) == (2, before)


def test_families_fall_with_their_root(linked: AtUpstream) -> None:
    """C2: the level of every descendant is the least on its chain, families of devices included."""
    _, _, row = grown(linked)
    now = clock.now()
    family = Credential.objects.create(
        account=row.account,
        epoch=1,
        kind="token_family",
        state="active",
        root=row.root,
        parent=row,
        aal=2,
        ial=0,
        created_at=now,
    )
    run("cap", "liar", "--aal", "1")
    fresh = Credential.objects.select_related("root", "parent").get(id=family.id)
    assert (fresh.aal, status.level(fresh)) == (2, AAL.AAL1)


@pytest.mark.parametrize("state", ["active", "revoked", "pending"])
def test_only_suspended_credentials_are_lifted(linked: AtUpstream, state: str) -> None:
    """MT-3, MT-7: a lift is no way back from an end."""
    link = linked.credential()
    more = {"ended_at": clock.now()} if state == "revoked" else {}
    Credential.objects.filter(id=link.id).update(state=state, **more)
    with pytest.raises(Refused) as refused:
        under_lock(link.account_id, lambda account: suspend.lift(account, link, now=clock.now(), actor="operator"))
    assert refused.value.reason == Reason.ILLEGAL_MOVE
    assert linked.credential().state == state


def test_later_logins_are_capped(linked: AtUpstream) -> None:
    """C10: new logins feel the cap from the first instant, also where nothing was lowered yet."""
    Upstream.objects.update(cap=1)
    app, browser = linked.world.app(), Browser(http())
    page = linked.sign_in(browser, app.url(), stop_at=app.redirect_uri)
    assert claims(app.redeem(asked(page.stopped_at)["code"]).json()["id_token"])["acr"] == AAL1
    assert linked.lying_provider.acr == AAL2


def test_clients_minimum_holds_after_the_cap(linked: AtUpstream) -> None:
    """P34, C16: what fell below the client's minimum gets nothing more: not at refresh, not at introspection, not by
    a new sign-in.
    """
    app, browser = linked.world.app(min_aal=2), Browser(http())
    tokens = tokens_of(linked, app, browser)
    run("cap", "liar", "--aal", "1")
    assert app.refresh(tokens["refresh_token"]).status_code == 400
    assert app.introspect(tokens["access_token"]) == {"active": False}
    fresh = Browser(http())
    assert "/login/upstream/liar" not in fresh.get(app.url()).html, "a way that cannot reach the minimum is not offered"
    linked.sign_in(fresh, f"{ISSUER}/login")
    page = fresh.get(app.url(), stop_at=app.redirect_uri)
    assert asked(page.stopped_at).get("error") == "unmet_authentication_requirements" or not page.stopped_at


def test_disabled_upstreams_are_not_offered(linked: AtUpstream) -> None:
    """P26: neither as a way in nor for linking; what is linked is not offered for linking again."""
    from django.test import RequestFactory

    from idp.enrol.roots import upstream_links
    from idp.login import upstream

    request, account = RequestFactory().get("/login"), linked.credential().account
    way = upstream.offers(request)[0]
    assert (way.url, way.reaches, way.phishing_resistant) == ("/login/upstream/liar", AAL.AAL2, False)
    assert upstream_links.offers(account) == []
    Credential.objects.filter(id=linked.credential().id).update(state="suspended")
    assert upstream_links.offers(account) == []
    Credential.objects.filter(id=linked.credential().id).update(state="revoked", ended_at=clock.now())
    assert upstream_links.offers(account) == [{"name": "Liar & Sons", "url": "/devices/roots/upstream/liar/add"}]
    run("disable", "liar")
    assert upstream.offers(request) == upstream_links.offers(account) == []
