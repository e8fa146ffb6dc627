"""Addresses at which browsers, search engines and strangers look at every site."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from demo.browser import Browser
from derived import clock
from derived.models import Credential
from idp import home
from idp.config import Config
from tests.fixtures.world import ISSUER, http

if TYPE_CHECKING:
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db


def test_favicon_and_robots_answer() -> None:
    """A browser finds the picture of our pages; search engines are asked to stay away."""
    with http() as agent:
        found = agent.get("/favicon.ico")
        assert (found.status_code, found.headers["Location"]) == (302, "/static/ramet/logo.svg")
        found = agent.get("/robots.txt")
        assert (found.status_code, found.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
        assert found.text == "User-agent: *\nDisallow: /\n"


@pytest.mark.database
def test_change_password_leads_to_its_page(world: World) -> None:
    """A password manager opens it: signed in at the page itself, else after the sign-in."""
    person, desktop = world.enrolled()
    url = f"{ISSUER}/.well-known/change-password"
    page = f"/devices/roots/{Credential.objects.get().id}/password"
    assert desktop.get(url).path == page
    stranger = Browser(http())
    asked = stranger.get(url)
    assert asked.path == "/login"
    assert person.sign_in(stranger, asked).path == page
    Credential.objects.update(kind="piv_card")
    assert desktop.get(url).path == "/devices"


def test_security_txt_says_where_to_report_if_the_operator_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9116 §2.5: Contact and Expires are required; without the setting there is no such page."""
    with http() as agent:
        assert agent.get("/.well-known/security.txt").status_code == 404
        monkeypatch.setenv("RAMET_SECURITY_CONTACT", "mailto:security@example.org, https://example.org/report")
        monkeypatch.setattr(home, "config", Config)
        found = agent.get("/.well-known/security.txt")
    assert (found.status_code, found.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    fields = [line.split(": ", 1) for line in found.text.splitlines()]
    assert [value for name, value in fields if name == "Contact"] == [
        "mailto:security@example.org",
        "https://example.org/report",
    ]
    [expires] = [datetime.fromisoformat(value) for name, value in fields if name == "Expires"]
    assert timedelta(days=170) < expires - clock.now() < timedelta(days=366)
    assert ["Canonical", f"{ISSUER}/.well-known/security.txt"] in fields
