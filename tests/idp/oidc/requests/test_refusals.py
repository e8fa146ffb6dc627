"""Each refused request is one log line: the client, the error, the reason, and an id; no personal data, no secrets."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from demo.browser import Browser
from idp.oidc.requests import refusals
from idp.oidc.requests.refusals import HEADER, MOST, MOST_ALIKE, WINDOW, Limiter
from tests.fixtures.world import ISSUER, http, userinfo

if TYPE_CHECKING:
    import httpx

    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A limiter of its own, and lines of every level."""
    monkeypatch.setattr(refusals, "limiter", Limiter())
    caplog.set_level(logging.INFO, logger=refusals.logger.name)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines since the last look."""
    found = [one.getMessage() for one in caplog.records if one.name == refusals.logger.name]
    caplog.clear()
    return found


def said(caplog: pytest.LogCaptureFixture, response: httpx.Response) -> str:
    """The one line of a response, which names its id."""
    (line,) = lines(caplog)
    assert f"(request {response.headers[HEADER]})" in line
    return line


def test_each_endpoint_writes_one_line(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Authorization, PAR, token, introspection, revocation, userinfo, logout; nothing for an answer."""
    _, browser = world.enrolled()
    app = world.app()
    tokens = world.tokens(app, browser)
    assert userinfo(tokens["access_token"]).status_code == 200
    assert lines(caplog) == []
    name = f"client {app.client_id}"
    with http() as agent:
        line = said(caplog, agent.get(app.url(code_challenge=None)))
        assert name in line
        assert "invalid_request: PKCE is required" in line
        assert name in said(caplog, agent.get(app.url(redirect_uri="https://evil.example/")))
        assert "client not registered" in said(caplog, agent.get(app.url(client_id="somebody@example.org")))
        assert "login_required" in said(caplog, agent.get(app.url(prompt="none")))
        assert name in said(caplog, agent.get(f"/oidc/logout?client_id={app.client_id}&post_logout_redirect_uri=x"))
    assert f"{name}, /oidc/par, invalid_request" in said(caplog, app.post("/oidc/par", {"response_type": "code"}))
    assert f"{name}, /oidc/token, invalid_grant" in said(caplog, app.redeem("x" * 43))
    assert f"{name}, /oidc/introspect, invalid_request" in said(caplog, app.post("/oidc/introspect", {"x": "y"}))
    assert f"{name}, /oidc/revoke, invalid_request" in said(caplog, app.post("/oidc/revoke", {"x": "y"}))
    assert "/oidc/userinfo, invalid_token" in said(caplog, userinfo("x"))
    app.secret = "wrong"
    assert f"{name}, /oidc/token, invalid_client" in said(caplog, app.redeem("x" * 43))


def test_no_personal_data_and_no_secrets(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """What a caller sends is in no line: names, hints, codes, states, secrets."""
    person, browser = world.enrolled()
    app = world.app(consent=True)
    marks = {"state": "CANARY-state", "nonce": "CANARY-nonce", "login_hint": person.username}
    browser.get(app.url(**marks, scope="openid CANARY-scope", prompt="CANARY"), stop_at=app.redirect_uri)
    page = browser.get(app.url(**marks), stop_at=app.redirect_uri)
    browser.submit(page, page.form_with("decision"), values={"decision": "deny"}, stop_at=app.redirect_uri)  # type: ignore[arg-type]
    app.redeem("CANARY-code")
    Browser(http()).get(f"{ISSUER}/oidc/authorize?client_id=CANARY-client&CANARY=1&state=CANARY")
    found = lines(caplog)
    assert len(found) == 4, found
    assert not [one for one in found if "CANARY" in one or person.username in one or (app.secret or "-") in one]


def test_lines_are_limited() -> None:
    """Alike and altogether; the next window says how many were left out."""
    now = [100.0]
    limiter = Limiter(clock=lambda: now[0])
    assert [limiter.permits("a")[0] for _ in range(MOST_ALIKE + 3)] == [True] * MOST_ALIKE + [False] * 3
    assert limiter.permits("b") == (True, 0)
    now[0] += WINDOW
    assert limiter.permits("a") == (True, 3)
    assert sum(limiter.permits(str(number))[0] for number in range(2 * MOST)) < MOST
    assert len(limiter._counts) <= MOST
