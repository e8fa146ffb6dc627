"""My apps: what a person allowed is listed, and taken back with all that it holds (C54, ID-10, IV-7)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from oidc_provider.models import UserConsent

from derived.models import Event
from tests.fixtures.world import ISSUER

if TYPE_CHECKING:
    from demo.browser import Browser, Page
    from tests.fixtures.world import App, World

pytestmark = pytest.mark.django_db
NOON = "2026-11-23T12:00:00Z"


def allow(app: App, browser: Browser, **changed: str) -> str:
    """Answer the consent page with yes; the code."""
    page = browser.get(app.url(**changed), stop_at=app.redirect_uri)
    page = browser.submit(page, page.form_with("decision"), values={"decision": "allow"}, stop_at=app.redirect_uri)  # type: ignore[arg-type]
    return page.stopped_at.partition("code=")[2].partition("&")[0]


def take_back(browser: Browser) -> Page:
    page = browser.get(f"{ISSUER}/apps")
    return browser.submit(page, page.form_to("/withdraw"))


@pytest.mark.database
def test_allowed_app_is_listed_and_taken_back(world: World) -> None:
    """Which application, what it may, since when, last used; then it holds nothing and has to ask again."""
    with time_machine.travel(NOON, tick=False) as now:
        _, desktop = world.enrolled()
        app = world.app(consent=True)
        assert "you have allowed none" in desktop.get(f"{ISSUER}/apps").words()
        tokens = app.redeem(allow(app, desktop, scope="openid email offline_access")).json()
        now.shift(timedelta(minutes=10))
        tokens = app.refresh(tokens["refresh_token"]).json()
        now.shift(timedelta(minutes=3))
        page = desktop.get(f"{ISSUER}/apps")
        assert page.status == 200
        listed = page.html
        for shown in ("Travel desk", "see your e-mail address", "stay signed in when you are away"):
            assert shown in listed
        assert "see your name" not in listed
        assert "23 Nov 2026, 12:00" in listed, "allowed"
        assert "23 Nov 2026, 12:10" in listed, "last used"
        page = take_back(desktop)
        assert page.path == "/apps"
        assert "Travel desk was signed out, and has to ask you again." in page.words()
        assert "you have allowed none" in desktop.get(f"{ISSUER}/apps").html
        assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
        assert not app.introspect(tokens["access_token"])["active"]
        assert not UserConsent.objects.exists()
        assert "Allow" in desktop.get(app.url(), stop_at=app.redirect_uri).words()
    assert Event.objects.get(kind="consent.withdrawn").body == {"client": app.client_id}


def test_app_that_needs_no_consent_is_listed_and_signed_out(world: World) -> None:
    """It holds tokens of the person all the same."""
    _, desktop = world.enrolled()
    app = world.app()
    tokens = world.tokens(app, desktop, scope="openid offline_access")
    page = desktop.get(f"{ISSUER}/apps")
    assert "Travel desk" in page.words()
    assert "lets it in, so it does not ask you" in page.html
    assert "Travel desk was signed out." in take_back(desktop).words()
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_apps_of_another_person_are_out_of_reach(world: World) -> None:
    """P2: a number in the address ends nothing of somebody else."""
    _, desktop = world.enrolled()
    app = world.app(consent=True)
    tokens = app.redeem(allow(app, desktop, scope="openid offline_access")).json()
    page = desktop.get(f"{ISSUER}/apps")
    form = page.form_to("/withdraw")
    _, other = world.enrolled("kim@example.org")
    theirs = other.get(f"{ISSUER}/apps")
    assert "Travel desk" not in theirs.html
    form.fields["csrfmiddlewaretoken"] = theirs.form_to("/oidc/logout/confirmed").fields["csrfmiddlewaretoken"]
    assert other.submit(theirs, form).status == 404
    assert app.introspect(tokens["access_token"])["active"]


def test_consent_that_no_longer_counts_is_not_listed(world: World) -> None:
    """C54: after its 90 days, or under another name, the application asks anew, and holds nothing that was allowed."""
    with time_machine.travel(NOON, tick=False) as now:
        person, desktop = world.enrolled()
        allow(world.app(consent=True), desktop)
        assert "Travel desk" in desktop.get(f"{ISSUER}/apps").html
        now.shift(timedelta(days=91))
        assert "Travel desk" not in world.signed_in(person).get(f"{ISSUER}/apps").html
