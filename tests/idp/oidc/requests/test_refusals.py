"""Each refused request is one log line: the client, the error, the reason, and an id; no personal data, no secrets."""

from __future__ import annotations

import json
import logging
import re
from io import StringIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.urls import URLPattern, URLResolver, get_resolver

from demo.browser import Browser
from idp.logs import redacted
from idp.oidc.requests import refusals
from idp.oidc.requests.refusals import HEADER, MOST, MOST_ALIKE, WINDOW, Limiter
from tests.fixtures.world import ISSUER, http, userinfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A limiter of its own, and lines of every level."""
    monkeypatch.setattr(refusals, "limiter", Limiter())
    caplog.set_level(logging.INFO, logger=refusals.logger.name)


def call(*words: str) -> Any:
    output = StringIO()
    call_command(*words, "--json", stdout=output)
    return json.loads(output.getvalue())


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
        assert "invalid_request, PKCE is required" in line
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
    assert sum(limiter.permits(str(number))[0] for number in range(2 * MOST)) == MOST - 1
    assert len(limiter._counts) <= MOST
    now[0] += WINDOW
    assert limiter.permits("a") == (True, MOST + 1)  # those beyond the limit of all lines are counted too


# Views that programs call, and that write no line here.
_OTHERWISE = {
    "scim": "a refused push is a row of its own (scim.people.refusals)",
    "feed-events": "as SCIM",
    "ocsp": "an answer in OCSP's own form",
    "ocsp-get": "an answer in OCSP's own form",
    "probe": "a picture that a browser fetches",
}


def _views(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, URLPattern]]:
    for one in resolver.url_patterns:
        if isinstance(one, URLPattern):
            yield before + str(one.pattern), one
        elif "scim" not in str(one.pattern):
            yield from _views(one, before + str(one.pattern))


def _protocol_routes() -> dict[str, URLPattern]:
    """Every view that another site or a program may post to, by its route; a view of two routes once."""
    found = {}
    for route, one in _views(get_resolver()):
        if getattr(one.callback, "csrf_exempt", False) and str(one.name).removeprefix("certificate-") not in _OTHERWISE:
            found.setdefault(one.callback, (route, one))
    return dict(found.values())


def _examples(route: str) -> str:
    return "/" + re.sub(r"<(\w+):\w+>", lambda found: str(uuid4()) if found[1] == "uuid" else "x", route)


@pytest.mark.parametrize("route", sorted(_protocol_routes()))
def test_no_endpoint_refuses_without_a_line(caplog: pytest.LogCaptureFixture, route: str) -> None:
    """Whatever a caller without a right sends: what is refused has the id of its one line."""
    for method in ("GET", "POST", "PUT", "DELETE"):
        body = {"x": "y"} if method in {"POST", "PUT"} else None
        response = http().request(method, _examples(route), data=body)
        if response.status_code < 400:
            assert (HEADER in response.headers, lines(caplog)) == (False, []), method
            continue
        line = said(caplog, response)
        assert f"client not registered, /{route}, " in line
        assert ", no reason (" not in line
        assert "[masked]" not in redacted(line)


def test_the_matrix_has_the_endpoints_of_discovery() -> None:
    """None of those that a program posts to is left out by mistake."""
    published = http().get("/.well-known/openid-configuration").json()
    posted = {urlsplit(url).path[1:] for name, url in published.items() if name.endswith("_endpoint")}
    assert posted - _protocol_routes().keys() == set()
    assert {"oidc/register", "oidc/register/<str:client_id>", "enrol/v1/bindings"} <= _protocol_routes().keys()


def test_values_of_a_registration_are_in_no_line(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The answer quotes the bad value, for its sender; the line does not."""
    token = call("client", "token", "CI")["initial_access_token"]
    body = {"redirect_uris": ["https://canary@app.example/cb"], "client_name": "client's canary"}
    response = http().post("/oidc/register", json=body, headers={"Authorization": f"Bearer {token}"})
    assert (response.status_code, "canary@app.example" in response.text) == (400, True)
    line = said(caplog, response)
    assert "/oidc/register, invalid_redirect_uri, … is refused: " in line
    assert "canary" not in line
