"""The device authorization grant: off by default, typed, read, decided, redeemed once, worth AAL2 at most (RFC 8628;
C13, A8, P34, P68).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine

from demo.browser import Browser
from derived import clock
from derived.models import Account, AccountStatus, Credential
from idp.clients import DEVICE_CODE
from idp.models import AuthenticationEvent, ClientPolicy, DeviceAuthorization, Grant, LoginSession
from scim.models import AccessRule
from tests.fixtures.device_grant import answered, begun, polled, television, typed
from tests.fixtures.world import AAL, ISSUER, App, claims, http, userinfo

if TYPE_CHECKING:
    import httpx

    from demo.person import Person
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
NOON = "2026-11-23T12:00:00Z"


@pytest.fixture
def person_and_browser(world: World) -> tuple[Person, Browser]:
    return world.enrolled()


def error(response: httpx.Response) -> str:
    return f"{response.json()['error']}"


def test_device_gets_tokens_after_approval(app: App, person_and_browser: tuple[Person, Browser]) -> None:
    """RFC 8628 from end to end; 600 s, 5 s, no link that brings the code along; the page says who asks, from where,
    and warns (C13).
    """
    asked = begun(app)
    assert (asked["expires_in"], asked["interval"], asked["verification_uri"]) == (600, 5, f"{ISSUER}/device")
    assert "verification_uri_complete" not in asked
    assert error(polled(app, asked)) == "authorization_pending"
    page = typed(person_and_browser[1], asked["user_code"].lower().replace("-", " "))
    for said in (
        "Wall screen",
        "WallScreen/1.0 (Hall 3)",
        "network",
        "Did someone send you this code?",
        "see your name",
    ):
        assert said in page.html
    page = person_and_browser[1].submit(page, page.form_to("/device/approval"), values={"decision": "allow"})
    assert "Allowed" in page.words()
    tokens = polled(app, asked).json()
    about = claims(tokens["id_token"])
    assert (about["acr"], about["aal"], about["fal"], about["aud"]) == (f"{AAL}2", 2, 1, app.client_id)
    assert userinfo(tokens["access_token"]).json()["preferred_username"] == "alex@example.org"
    assert app.refresh(tokens["refresh_token"]).status_code == 200
    assert error(polled(app, asked)) == "invalid_grant"


def test_device_grant_is_off_by_default(world: World) -> None:
    """C13: neither begun nor redeemed by a client without the grant; and not where it was taken away since."""
    plain = world.app(public=True)
    assert error(plain.post("/oidc/device_authorization", {"scope": "openid"})) == "unauthorized_client"
    assert error(plain.post("/oidc/token", {"grant_type": DEVICE_CODE, "device_code": "x"})) == "unauthorized_client"
    app = television(world)
    asked = begun(app)
    _, browser = world.enrolled()
    ClientPolicy.objects.update(grants=[])
    assert typed(browser, asked["user_code"]).status == 400


@pytest.mark.parametrize("decision", ["deny", "", "maybe"])
def test_only_an_approval_grants(app: App, person_and_browser: tuple[Person, Browser], decision: str) -> None:
    """§3.5: a denial is reported to the device; any other decision value shows the question again."""
    asked = begun(app)
    answered(person_and_browser[1], asked["user_code"], decision)
    assert error(polled(app, asked)) == ("access_denied" if decision == "deny" else "authorization_pending")


@pytest.mark.database
def test_polling_too_often_slows_down(app: App) -> None:
    """§3.5: five seconds more each time."""
    with time_machine.travel(NOON, tick=False) as moved:
        asked = begun(app)
        assert error(polled(app, asked)) == "authorization_pending"
        moved.shift(4)
        assert error(polled(app, asked)) == "slow_down"
        moved.shift(9)
        assert error(polled(app, asked)) == "slow_down"
        moved.shift(15)
        assert error(polled(app, asked)) == "authorization_pending"


def test_user_code_expires_after_ten_minutes(world: World, app: App) -> None:
    """A8, P19: for the person and for the device, with no worker; approved in time and fetched too late is too late."""
    with time_machine.travel(NOON, tick=False) as moved:
        _, browser = world.enrolled()
        late, approved = begun(app), begun(app)
        answered(browser, approved["user_code"])
        moved.shift(600)
        assert error(polled(app, late)) == error(polled(app, approved)) == "expired_token"
        assert typed(browser, late["user_code"]).status == 400


def test_typing_codes_is_throttled(app: App, person_and_browser: tuple[Person, Browser]) -> None:
    """C13: wrong codes are slowed per browser, right ones are not; the words are the same for a used and an unknown
    code.
    """
    browser, asked = person_and_browser[1], begun(app)
    answered(browser, asked["user_code"])
    used = typed(browser, asked["user_code"])
    unknown = typed(browser, "ABCD-EFGH")
    assert (used.status, unknown.status) == (400, 400)
    assert used.by_id("error") == unknown.by_id("error") if 'id="error"' in used.html else True
    seen = [typed(browser, "ABCD-EFGH").status for _ in range(8)]
    assert seen[-1] == 429
    assert typed(browser, begun(app)["user_code"]).status == 429


def test_typing_a_code_needs_a_login(world: World, app: App, person_and_browser: tuple[Person, Browser]) -> None:
    """The page leads to the login and back, and the code is typed then; another browser's question is not answered
    here.
    """
    asked, stranger = begun(app), Browser(http())
    page = stranger.get(f"{ISSUER}/device")
    assert page.path == "/login"
    page = person_and_browser[0].sign_in(stranger, page)
    assert page.path == "/device"
    typed(person_and_browser[1], asked["user_code"])
    assert stranger.get(f"{ISSUER}/device/approval").status == 400
    assert error(polled(app, asked)) == "authorization_pending"


@pytest.mark.parametrize("terms", [{"min_aal": 3}, {"phishing_resistant": True}])
def test_levels_above_aal2_are_refused_at_once(world: World, terms: dict[str, Any]) -> None:
    """C13: AAL3 and phishing resistance are not to be had by reading out a code, nor by acr_values."""
    app = television(world, **terms)
    assert error(app.post("/oidc/device_authorization", {"scope": "openid"})) == "unmet_authentication_requirements"
    other = television(world)
    for value in (f"{AAL}3", "phr", "phrh"):
        assert (
            error(other.post("/oidc/device_authorization", {"scope": "openid", "acr_values": value}))
            == "unmet_authentication_requirements"
        )


def test_aal3_login_is_aal2_by_device_code(world: World, app: App, person_and_browser: tuple[Person, Browser]) -> None:
    """C13: whatever the person signed in with, the device's tokens say AAL2, and never that they are
    phishing-resistant.
    """
    from idp.models import AuthenticationEvent

    Credential.objects.update(aal=3, kind="piv_card")
    AuthenticationEvent.objects.update(aal=3, phishing_resistant=True, hardware=True, factors=["piv_card", "piv_pin"])
    asked = begun(app, acr_values=f"phr {AAL}2", scope="openid offline_access")
    answered(person_and_browser[1], asked["user_code"])
    tokens = polled(app, asked).json()
    assert (claims(tokens["id_token"])["acr"], claims(tokens["access_token"])["aal"]) == (f"{AAL}2", 2)
    ClientPolicy.objects.update(phishing_resistant=True)
    assert app.refresh(tokens["refresh_token"]).json()["error"] in {
        "invalid_grant",
        "unmet_authentication_requirements",
    }
    assert userinfo(tokens["access_token"]).status_code == 401


def _end_session(_: World) -> None:
    LoginSession.objects.update(ended_at=clock.now())


def _suspend(_: World) -> None:
    from derived.models import Account

    Account.objects.update(status=AccountStatus.SUSPENDED)


BETWEEN = {
    "the person left": (lambda world: world.deactivate(), {"invalid_grant", "access_denied"}),
    "the session ended": (_end_session, {"invalid_grant"}),
    "the account is suspended": (_suspend, {"invalid_grant"}),
    "the root ended": (
        lambda _: Credential.objects.update(state="revoked", ended_at=clock.now(), end_reason="compromised"),
        {"invalid_grant"},
    ),
    "the client wants AAL3 now": (
        lambda _: ClientPolicy.objects.update(min_aal=3),
        {"unmet_authentication_requirements"},
    ),
    "the client wants a phishing-resistant login now": (
        lambda _: ClientPolicy.objects.update(phishing_resistant=True),
        {"unmet_authentication_requirements"},
    ),
    "the client lost the grant": (lambda _: ClientPolicy.objects.update(grants=[]), {"unauthorized_client"}),
    "the client is disabled": (lambda _: ClientPolicy.objects.update(disabled_at=clock.now()), {"invalid_client"}),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_every_gate_is_checked_again_at_redemption(
    world: World, app: App, person_and_browser: tuple[Person, Browser], name: str
) -> None:
    """C16, P24, P25, P34: what changed between the yes and the tokens counts."""
    asked = begun(app)
    answered(person_and_browser[1], asked["user_code"])
    change, errors = BETWEEN[name]
    change(world)
    assert error(polled(app, asked)) in errors
    assert not Grant.objects.filter(relayed=True).exists()


def test_gates_are_checked_at_approval(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """C16: a login that is too old for this client is made anew first, and then the question is shown again."""
    app = television(world, most_session=timedelta(minutes=5))
    with time_machine.travel(clock.now() + timedelta(minutes=10), tick=False):
        person, browser = person_and_browser
        asked = begun(app)
        page = typed(browser, asked["user_code"])
        assert page.path == "/login"
        page = person.sign_in(browser, page)
        assert (page.path, person.asked[-1]) == ("/device/approval", "consent")
        assert "access_token" in polled(app, asked).json()


def test_access_rules_apply_to_the_device_grant(app: App, person_and_browser: tuple[Person, Browser]) -> None:
    """EN-1, C16: asked when it is approved, and again when it is redeemed."""
    first, second = begun(app), begun(app)
    answered(person_and_browser[1], first["user_code"])
    AccessRule.objects.create(client_key=app.client_id, kind="person", subject="somebody else", created_at=clock.now())
    assert error(polled(app, first)) == "invalid_grant"
    assert typed(person_and_browser[1], second["user_code"]).status == 403
    assert error(polled(app, second)) == "access_denied"


def test_device_code_belongs_to_one_client(world: World, app: App, person_and_browser: tuple[Person, Browser]) -> None:
    """P13, P14: not another client, not as another kind of code."""
    asked = begun(app)
    answered(person_and_browser[1], asked["user_code"])
    assert error(polled(television(world), asked)) == "invalid_grant"
    assert error(app.redeem(asked["device_code"])) == "invalid_grant"
    assert error(app.refresh(asked["device_code"])) == "invalid_grant"
    assert error(polled(app, {"device_code": asked["user_code"]})) == "invalid_grant"
    assert "access_token" in polled(app, asked).json()


def test_scope_is_reduced_to_the_clients(world: World, person_and_browser: tuple[Person, Browser]) -> None:
    """A8, C52: cut when asked for, and again when redeemed."""
    app = television(world, scopes="openid profile email")
    asked = begun(app, scope="openid email admin:all offline_access")
    assert DeviceAuthorization.objects.get().scope == "openid email"
    answered(person_and_browser[1], asked["user_code"])
    ClientPolicy.objects.update(scopes="openid")
    assert polled(app, asked).json()["scope"] == "openid"


def test_tokens_open_no_page(app: App, person_and_browser: tuple[Person, Browser]) -> None:
    """C13, SS-5: they open no page of ours, whatever header or cookie they come in."""
    asked = begun(app)
    answered(person_and_browser[1], asked["user_code"])
    token = polled(app, asked).json()["access_token"]
    for headers in ({"Authorization": f"Bearer {token}"}, {"Cookie": f"ramet_session={token}"}):
        page = http().get("/devices/add", headers=headers)
        assert (page.status_code, page.headers["Location"].partition("?")[0]) == (302, "/login")
        assert http().get("/devices", headers=headers).status_code == 302
    refused = http().post(
        "/enrol/v1/challenges", json={"code": token, "jwk": {}}, headers={"Authorization": f"Bearer {token}"}
    )
    assert refused.status_code == 400


def test_codes_are_stored_hashed(app: App) -> None:
    """I10."""
    asked = begun(app)
    row = DeviceAuthorization.objects.get()
    assert {row.device_hash, row.user_hash} & {
        asked["device_code"],
        asked["user_code"],
        asked["user_code"].replace("-", ""),
    } == set()


def test_device_may_bind_its_tokens(app: App, person_and_browser: tuple[Person, Browser]) -> None:
    """P48: DPoP holds in this grant as in every other, and a client that must, must."""
    from device import proofs
    from device.key import DeviceKey

    asked, key = begun(app, scope="openid offline_access"), DeviceKey.generate()
    answered(person_and_browser[1], asked["user_code"])
    ClientPolicy.objects.update(dpop_required=True)
    assert error(polled(app, asked)) == "invalid_request"
    proof = proofs.dpop(key, "POST", url=f"{ISSUER}/oidc/token", now=clock.now(), nonce=app.nonce())
    form: dict[str, str | None] = {"grant_type": DEVICE_CODE, "device_code": asked["device_code"]}
    tokens = app.post("/oidc/token", form, DPoP=proof).json()
    assert (tokens["token_type"], claims(tokens["access_token"])["cnf"]) == ("DPoP", {"jkt": key.jkt})


def test_removing_the_grant_ends_its_families(world: World) -> None:
    """C13, C16: an operator takes the grant from a client."""
    app = television(world)
    _, browser = world.enrolled()
    begun_ = begun(app, scope="openid offline_access")
    answered(browser, begun_["user_code"])
    tokens = polled(app, begun_).json()
    ClientPolicy.objects.update(grants=[])
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_relayed_login_has_no_piv_flag(world: World) -> None:
    """C13, P68, FA-3: what was relayed does not carry the PIV flag."""
    app = television(world)
    _, browser = world.enrolled()
    Credential.objects.update(aal=3, kind="piv_card")
    Account.objects.update(ial=3)
    AuthenticationEvent.objects.update(
        aal=3, phishing_resistant=True, hardware=True, amr=["hwk", "mfa", "sc"], factors=["piv_card", "piv_pin"]
    )
    begun_ = begun(app, scope="openid assurance")
    answered(browser, begun_["user_code"])
    told = claims(polled(app, begun_).json()["id_token"])
    assert (told["aal"], told.get("piv_federation")) == (2, None)
