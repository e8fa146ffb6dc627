"""Step-up as a resource server sees it, from the API's 401 through authorize and back (RFC 9470, TK-4, SS-5; issue
4, done when 3).
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import time_machine

from demo.api import AAL2, AAL3, application
from derived import clock
from device import proofs
from device.key import DeviceKey
from idp.models import ClientPolicy
from resource_server import Api, Introspected, Verified
from tests.fixtures.dpop import dpop
from tests.fixtures.world import ISSUER, App, claims, http

if TYPE_CHECKING:
    from demo.browser import Browser
    from demo.person import Person
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
RESOURCE, BASE = "https://api.example/", "http://api.localhost"


@pytest.fixture
def app(world: World) -> App:
    """A client that may ask for the API."""
    app = world.app()
    ClientPolicy.objects.filter(pk=app.party.policy.pk).update(resources=[RESOURCE])
    return app


def worth(world: World, kind: str) -> Verified | Introspected:
    if kind == "verified":
        return Verified(issuer=ISSUER, resource=RESOURCE, http=http())
    server = world.app(name="The API")
    ClientPolicy.objects.filter(pk=server.party.policy.pk).update(serves=[RESOURCE])
    return Introspected(
        issuer=ISSUER, resource=RESOURCE, http=http(), client_id=server.client_id, client_secret=str(server.secret)
    )


def served(api: Api) -> httpx.Client:
    return httpx.Client(transport=httpx.WSGITransport(app=application(api, base=BASE)), base_url=BASE)


@pytest.fixture(params=["verified", "introspected"])
def api(world: World, request: pytest.FixtureRequest) -> httpx.Client:
    """The sample API, in both ways of knowing what a token is worth."""
    return served(Api(worth=worth(world, request.param), clock=lambda: clock.now().timestamp()))


def challenge(response: httpx.Response) -> dict[str, str]:
    """What a WWW-Authenticate header says."""
    return dict(re.findall(r'([a-z_]+)="([^"]*)"', response.headers["WWW-Authenticate"]))


def called(api: httpx.Client, method: str, path: str, token: str) -> httpx.Response:
    return api.request(method, path, headers={"Authorization": f"Bearer {token}"})


def token(world: World, app: App, browser: Browser, person: Person | None = None, **changed: str | None) -> str:
    return str(world.tokens(app, browser, person, resource=RESOURCE, **changed)["access_token"])


def test_fresher_login_is_requested_and_suffices(world: World, app: App, api: httpx.Client) -> None:
    """TK-4, SS-6: an hour-old login may look, not pay; the client repeats its request with what the API said, the
    person signs in, and it pays.
    """
    person, browser = world.enrolled()
    with time_machine.travel(clock.now() + timedelta(minutes=50)):
        first = token(world, app, browser)
        assert called(api, "GET", "/trips", first).status_code == 200
        refused = called(api, "POST", "/payments", first)
        said = challenge(refused)
        assert (refused.status_code, said["error"], said["acr_values"], said["max_age"]) == (
            401,
            "insufficient_user_authentication",
            AAL2,
            "300",
        )
        again = token(world, app, browser, person, acr_values=said["acr_values"], max_age=said["max_age"])
        assert person.asked.count("totp") >= 1
        paid = called(api, "POST", "/payments", again)
        assert (paid.status_code, paid.json()["acr"]) == (200, AAL2)


def test_stronger_login_is_requested_and_suffices(world: World, api: httpx.Client) -> None:
    """TK-4: a phone without its passphrase is AAL1; with it, as the API asked, AAL2."""
    _, desktop = world.enrolled()
    app = world.phone_app()
    ClientPolicy.objects.filter(pk=app.party.policy.pk).update(resources=[RESOURCE], dpop_nonce=False)
    phone = world.device(desktop)
    key = phone.enrolment.key
    phone.login(app.client_id, passphrase="seven mossy stones")

    def login(passphrase: str | None, acr_values: str | None) -> str:
        signed = proofs.assertion(
            key, phone.enrolment.credential_id, issuer=ISSUER, client_id=app.client_id, now=clock.now()
        )
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": signed, "scope": "openid",
            "resource": RESOURCE,
            "passphrase": passphrase, "acr_values": acr_values,
        }  # fmt: skip
        return str(app.post("/oidc/token", form, DPoP=dpop(key)).json()["access_token"])

    def pay(value: str) -> httpx.Response:
        proof = proofs.dpop(key, "POST", url=f"{BASE}/payments", now=clock.now(), access_token=value)
        return api.post("/payments", headers={"Authorization": f"DPoP {value}", "DPoP": proof})

    refused = pay(login(None, None))
    assert (refused.status_code, challenge(refused)["error"]) == (401, "insufficient_user_authentication")
    assert pay(login("seven mossy stones", challenge(refused)["acr_values"])).status_code == 200


def test_unreachable_level_gets_unmet_authentication_requirements(world: World, app: App, api: httpx.Client) -> None:
    """Ruling 16: the client is told `unmet_authentication_requirements`, and gets no lesser token."""
    person, browser = world.enrolled()
    refused = called(api, "POST", "/vault", token(world, app, browser))
    assert challenge(refused)["acr_values"] == AAL3
    back = world.ask(app, browser, person, acr_values=challenge(refused)["acr_values"], resource=RESOURCE)
    assert back["error"] == "unmet_authentication_requirements"
    assert "code" not in back


def test_higher_level_satisfies_a_lower_requirement(world: World) -> None:
    """TK-2: AAL3 satisfies AAL2; a phishing-resistant class needs a phishing-resistant login."""
    from resource_server.protect import _is

    assert _is(AAL2, {"acr": AAL3, "aal": 3})
    assert not _is(AAL3, {"acr": AAL2, "aal": 2})
    assert not _is("phr", {"acr": AAL3, "aal": 3})
    assert _is("phr", {"acr": "phr", "aal": 1})
    assert not _is(f"{AAL2}?phishing_resistant=true", {"acr": AAL2, "aal": 2})


def test_invalid_access_token_gets_a_challenge(world: World, app: App, api: httpx.Client) -> None:
    """C38, J2: no token, another audience, an ID token, a forged one, an expired one; each with its challenge."""
    _, browser = world.enrolled()
    plain = world.tokens(app, browser)
    good = token(world, app, browser)
    assert challenge(api.get("/trips")) == {}
    assert api.get("/trips").status_code == 401
    for bad in (plain["access_token"], plain["id_token"], good[:-2], "x", "a.b.c"):
        refused = called(api, "GET", "/trips", bad)
        assert (refused.status_code, challenge(refused)["error"]) == (401, "invalid_token"), bad
    with time_machine.travel(clock.now() + timedelta(seconds=310)):
        assert called(api, "GET", "/trips", good).status_code == 401
    assert called(api, "GET", "/trips", good).status_code == 200


def test_dpop_bound_token_needs_its_proof(world: World, app: App, api: httpx.Client) -> None:
    """RFC 9449 §7: for this request, this token, by its key, once; never as a bearer token (C21, P48)."""
    _, browser = world.enrolled()
    key, other = DeviceKey.generate(), DeviceKey.generate()
    value = app.redeem(world.ask(app, browser, resource=RESOURCE)["code"], dpop=dpop(key)).json()["access_token"]

    def proof(signer: DeviceKey = key, **changed: Any) -> str:
        given: dict[str, Any] = {
            "method": "GET",
            "url": f"{BASE}/trips",
            "now": clock.now(),
            "access_token": value,
            **changed,
        }
        return proofs.dpop(signer, given.pop("method"), **given)

    def call(shown: str | None, scheme: str = "DPoP") -> int:
        return api.get(
            "/trips", headers={"Authorization": f"{scheme} {value}", **({"DPoP": shown} if shown else {})}
        ).status_code

    good = proof()
    assert call(good) == 200
    wrong = [
        good,
        None,
        "x",
        proof(other),
        proof(method="POST"),
        proof(url=f"{BASE}/payments"),
        proof(access_token="y"),
        proof(access_token=None),
    ]
    assert [call(one) for one in wrong] == [401] * len(wrong)
    assert call(proof(now=clock.now() - timedelta(seconds=61))) == 401
    assert call(None, "Bearer") == call(proof(), "Bearer") == 401
    private = key.sign({"typ": "dpop+jwt", "jwk": key.private_jwk()}, {"htm": "GET"})
    assert call(private) == 401


def test_introspection_sees_revocation_at_once(world: World, app: App) -> None:
    """TK-1: introspection sees an ended family; local verification accepts the token until it expires, after 300
    seconds at most.
    """
    _, browser = world.enrolled()
    asking, believing = (served(Api(worth=worth(world, kind))) for kind in ("introspected", "verified"))
    value = token(world, app, browser)
    assert claims(value)["exp"] - claims(value)["iat"] <= 300
    app.post("/oidc/revoke", {"token": value})
    assert (
        called(asking, "GET", "/trips", value).status_code,
        called(believing, "GET", "/trips", value).status_code,
    ) == (401, 200)


def test_api_may_refuse_unbound_tokens(world: World, app: App) -> None:
    """C21, and its challenge names the scheme."""
    _, browser = world.enrolled()
    strict = served(Api(worth=worth(world, "verified"), bound=True))
    refused = called(strict, "GET", "/trips", token(world, app, browser))
    assert (refused.status_code, refused.headers["WWW-Authenticate"].startswith("DPoP ")) == (401, True)
