"""Pushed authorization requests (RFC 9126): bound, short-lived, spent by the decision, through the same gates (C35,
P50, A9, C20).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
import time_machine

from demo.browser import Browser
from derived import clock
from device import proofs
from device.key import DeviceKey
from idp.models import ClientPolicy, PushedRequest
from tests.fixtures.world import CALLBACK, ISSUER, answer, claims, http

if TYPE_CHECKING:
    from httpx import Response

    from tests.fixtures.world import App, World

pytestmark = pytest.mark.django_db
UNMET = "unmet_authentication_requirements"


def push(app: App, dpop: str | None = None, **changed: str | None) -> Response:
    """What the client sends over the back channel."""
    headers = {"DPoP": dpop} if dpop else {}
    return app.post("/oidc/par", dict(app.parameters(**changed)), **headers)


def start(app: App, request_uri: str, **more: str) -> str:
    """Where the browser is sent."""
    return f"{ISSUER}/oidc/authorize?{urlencode({'client_id': app.client_id, 'request_uri': request_uri, **more})}"


def pushed(app: App, **changed: str | None) -> str:
    """A request_uri."""
    response = push(app, **changed)
    assert response.status_code == 201, response.text
    return str(response.json()["request_uri"])


def dpop(key: DeviceKey, path: str) -> str:
    """A proof."""
    return proofs.dpop(key, "POST", url=ISSUER + path, now=clock.now())


def test_pushed_request_leads_to_a_login(world: World) -> None:
    """§2.2, §4: 201 with an opaque request_uri; nothing of the request passes through the browser."""
    _, desktop = world.enrolled()
    app = world.app()
    response = push(app)
    body = response.json()
    assert (response.status_code, body["expires_in"], response.headers["Cache-Control"]) == (201, 90, "no-store")
    assert body["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    assert len(body["request_uri"].rsplit(":", 1)[1]) == 43
    assert body["request_uri"].rsplit(":", 1)[1] not in str(PushedRequest.objects.values())
    found = answer(desktop.get(start(app, body["request_uri"]), stop_at=CALLBACK))
    assert (found["state"], found["iss"]) == ("st&te=1", ISSUER)
    assert claims(app.redeem(found["code"]).json()["id_token"])["nonce"] == "n-1"


def test_only_client_id_and_request_uri_are_read_from_the_browser(world: World) -> None:
    """§4: what else stands in the address is not looked at, a repeat apart (C43)."""
    _, desktop = world.enrolled()
    app = world.app()
    more = {
        "scope": "openid profile email assurance",
        "state": "evil",
        "redirect_uri": "https://evil.example/",
        "nonce": "evil",
        "request": "x.y.z",
    }
    found = answer(desktop.get(start(app, pushed(app, scope="openid"), **more), stop_at=CALLBACK))
    assert found["state"] == "st&te=1"
    tokens = app.redeem(found["code"]).json()
    assert (tokens["scope"], claims(tokens["id_token"])["nonce"]) == ("openid", "n-1")


def test_request_uri_is_spent_by_the_decision(world: World) -> None:
    """Ruling 20: loaded twice before the person decides, decided once, whichever page they decide on."""
    person, desktop = world.enrolled()
    app = world.app(consent=True)
    uri = pushed(app)
    first, second = (desktop.get(start(app, uri), stop_at=CALLBACK) for _ in range(2))
    elsewhere = world.signed_in(person)
    third = elsewhere.get(start(app, uri), stop_at=CALLBACK)
    values = {"decision": "allow"}
    assert "code" in answer(desktop.submit(second, second.form_with("decision"), values=values, stop_at=CALLBACK))  # type: ignore[arg-type]
    for browser, page in ((desktop, first), (elsewhere, third)):
        late = browser.submit(page, page.form_with("decision"), values=values, stop_at=CALLBACK)  # type: ignore[arg-type]
        assert (late.status, late.stopped_at) == (400, "")
    assert desktop.get(start(app, uri), stop_at=CALLBACK).status == 400


@pytest.mark.parametrize("changed", [{"prompt": "none", "max_age": "0"}, {"acr_values": "phr"}])
def test_request_uri_is_spent_by_a_refusal(world: World, changed: dict[str, str]) -> None:
    """An error that went back to the client is a decision."""
    _, desktop = world.enrolled()
    app = world.app()
    uri = pushed(app, **changed)
    assert "error" in answer(desktop.get(start(app, uri), stop_at=CALLBACK))
    page = desktop.get(start(app, uri), stop_at=CALLBACK)
    assert (page.status, page.stopped_at) == (400, "")


def test_request_uri_expires_after_ninety_seconds(world: World) -> None:
    """C35; the person still has ten minutes for the login."""
    with time_machine.travel("2026-11-23T12:00:00Z", tick=False) as moved:
        person, _ = world.enrolled()
        moved.shift(60)
        app = world.app()
        uri, late = pushed(app), pushed(app)
        moved.shift(89)
        browser = Browser(http())
        page = browser.get(start(app, uri), stop_at=CALLBACK)
        moved.shift(2)
        assert Browser(http()).get(start(app, late), stop_at=CALLBACK).status == 400
        moved.shift(120)
        assert "code" in answer(person.sign_in(browser, page, stop_at=CALLBACK))


def test_request_uri_belongs_to_its_client(world: World) -> None:
    """RFC 9126 §2.2: and no other names it, nor does a prefix or a neighbour of it (P18)."""
    _, desktop = world.enrolled()
    app, other = world.app(), world.app(name="Other desk")
    uri = pushed(app)
    for target in (
        start(other, uri),
        start(app, uri[:-1]),
        start(app, uri + "A"),
        start(app, uri[:-43]),
        start(app, uri).replace("client_id", "x"),
    ):
        page = desktop.get(target, stop_at=CALLBACK)
        assert (page.status, page.stopped_at) == (400, ""), target
    assert "code" in answer(desktop.get(start(app, uri), stop_at=CALLBACK))


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"nonce": None}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"dpop_jkt": "short"}, "invalid_request"),
        ({"claims": "]"}, "invalid_request"),
        ({"request": "e30.e30."}, "request_not_supported"),
    ],
)  # fmt: skip
def test_wrong_request_is_refused_when_pushed(world: World, changed: dict[str, str | None], error: str) -> None:
    """§2.3: JSON, 400, and nothing is stored."""
    app = world.app()
    response = push(app, **changed)
    assert (response.status_code, response.json()["error"]) == (400, error)
    assert not PushedRequest.objects.exists()


def test_par_authenticates_clients(world: World) -> None:
    """§2: no secret, a wrong one, another client's name; and nothing in the URL (A9)."""
    app, other = world.app(), world.app(name="Other desk")
    with http() as agent:
        assert agent.post("/oidc/par", data=app.parameters()).status_code == 401
        assert agent.post("/oidc/par", data=app.parameters(), auth=(app.client_id, "wrong")).status_code == 401
        mixed = agent.post("/oidc/par", data=app.parameters(), auth=(other.client_id, str(other.secret)))
        assert mixed.status_code in {400, 401}
        assert (
            agent.post("/oidc/par?x=1", data=app.parameters(), auth=(app.client_id, str(app.secret))).status_code == 400
        )
        assert agent.get("/oidc/par").status_code == 405
    assert push(world.app(public=True)).status_code == 201


def test_client_may_be_required_to_push(world: World) -> None:
    """C35: required per client; every other way in is refused."""
    _, desktop = world.enrolled()
    app = world.app()
    ClientPolicy.objects.filter(client__client_id=app.client_id).update(par_required=True)
    assert world.ask(app, desktop)["error"] == "invalid_request"
    posted = desktop._http.post("/oidc/authorize", data=app.parameters())
    assert "error=invalid_request" in posted.headers["Location"]
    assert "code" in answer(desktop.get(start(app, pushed(app)), stop_at=CALLBACK))


def test_confidential_aal3_client_must_push(world: World) -> None:
    """C35: whatever its registration; a public client cannot authenticate a push, and is not required to."""
    _, desktop = world.enrolled()
    app, public = world.app(), world.app(public=True)
    ClientPolicy.objects.update(min_aal=3)
    assert world.ask(app, desktop)["error"] == "invalid_request"
    assert answer(desktop.get(start(app, pushed(app)), stop_at=CALLBACK))["error"] == UNMET
    assert world.ask(public, desktop)["error"] == UNMET


def test_every_gate_is_checked_after_the_push(world: World) -> None:
    """P1: the client is disabled, its address withdrawn, its level raised, the person ended, between the push and
    the page.
    """
    person, desktop = world.enrolled()
    app = world.app()
    policy = ClientPolicy.objects.filter(client__client_id=app.client_id)
    uri = pushed(app)
    policy.update(min_aal=3)
    assert answer(desktop.get(start(app, uri), stop_at=CALLBACK))["error"] == UNMET
    policy.update(min_aal=1, disabled_at=clock.now())
    assert push(app).status_code == 401
    policy.update(disabled_at=None)
    uri = pushed(app)
    policy.update(disabled_at=clock.now())
    assert desktop.get(start(app, uri), stop_at=CALLBACK).status == 400
    policy.update(disabled_at=None)
    policy.get().uris.update(uri="https://moved.example/cb")
    assert desktop.get(start(app, uri), stop_at=CALLBACK).status == 400
    policy.get().uris.update(uri=CALLBACK)
    world.deactivate(person.username)
    assert desktop.get(start(app, uri), stop_at=CALLBACK).path == "/login"


def test_code_is_bound_to_the_pushed_key(world: World) -> None:
    """RFC 9449 §10.1, C20: by a proof, by dpop_jkt, by both if they agree; a proof that is not good is refused."""
    _, desktop = world.enrolled()
    app, key, other = world.app(), DeviceKey.generate(), DeviceKey.generate()
    for proof, named in ((True, False), (False, True), (True, True)):

        def code(proof: bool = proof, named: bool = named) -> str:  # noqa: FBT001
            uri = push(
                app, dpop(key, "/oidc/par") if proof else None, **({"dpop_jkt": key.jkt} if named else {})
            ).json()["request_uri"]
            return answer(desktop.get(start(app, uri), stop_at=CALLBACK))["code"]

        for wrong in (None, dpop(other, "/oidc/token")):
            refused = app.redeem(code(), dpop=wrong)
            assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
        assert app.redeem(code(), dpop=dpop(key, "/oidc/token")).json()["token_type"] == "DPoP"
    mismatch = push(app, dpop=dpop(key, "/oidc/par"), dpop_jkt=other.jkt)
    assert (mismatch.status_code, mismatch.json()["error"]) == (400, "invalid_dpop_proof")
    for bad in (dpop(key, "/oidc/token"), "x.y.z"):
        assert push(app, dpop=bad).json()["error"] == "invalid_dpop_proof"


def test_discovery_lists_par(world: World) -> None:
    """Generated from the configuration; a request by reference to another host is not listed."""
    said = http().get("/.well-known/openid-configuration").json()
    assert said["pushed_authorization_request_endpoint"] == f"{ISSUER}/oidc/par"
    assert (said["require_pushed_authorization_requests"], said["request_uri_parameter_supported"]) == (False, False)
    found = answer(Browser(http()).get(world.app().url(request_uri="https://app.example/r"), stop_at=CALLBACK))
    assert found["error"] == "request_uri_not_supported"
