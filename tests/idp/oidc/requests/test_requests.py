"""What a request may ask for, and how its answer comes back: PKCE, nonce, form_post, claims, accounts (C33, C34,
C42, FA-1, FA-5).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import time_machine

from demo.browser import Browser
from derived import clock
from idp import clients
from idp.models import ClientPolicy
from tests.fixtures.world import AAL, CALLBACK, ISSUER, answer, claims, http, userinfo

if TYPE_CHECKING:
    from demo.browser import Page
    from tests.fixtures.world import App, World

pytestmark = pytest.mark.django_db
UNMET = "unmet_authentication_requirements"


def excuse(app: App, **terms: Any) -> App:
    """Change a client's terms, as an operator does."""
    ClientPolicy.objects.filter(client__client_id=app.client_id).update(**terms)
    return app


@pytest.mark.parametrize("excused", [False, True])
@pytest.mark.parametrize("verifier", [False, True])
@pytest.mark.parametrize("method", [False, True])
@pytest.mark.parametrize("challenge", [False, True])
def test_challenge_method_and_verifier_must_match(
    world: World,
    challenge: bool,  # noqa: FBT001
    method: bool,  # noqa: FBT001
    verifier: bool,  # noqa: FBT001
    excused: bool,  # noqa: FBT001
) -> None:
    """C33, E6b, P20: eight combinations, for a client that is excused from PKCE and for one that is not."""
    _, desktop = world.enrolled()
    app = excuse(world.app(), pkce_optional=excused)
    changed: dict[str, str | None] = {}
    if not challenge:
        changed["code_challenge"] = None
    if not method:
        changed["code_challenge_method"] = None
    found = world.ask(app, desktop, **changed)
    if challenge != method or (not challenge and not excused):
        assert found["error"] == "invalid_request"
        return
    response = app.redeem(found["code"], code_verifier=app.verifier if verifier else None)
    if challenge == verifier:
        about = claims(response.json()["id_token"])
        assert about["fal"] == (2 if challenge else 1)
    else:
        assert response.json()["error"] in {"invalid_grant", "invalid_request"}
        assert app.redeem(found["code"], code_verifier=app.verifier if challenge else None).status_code == (
            400 if excused else 200
        )


def test_public_client_always_needs_pkce(world: World) -> None:
    """Whatever its row says."""
    _, desktop = world.enrolled()
    app = excuse(world.app(public=True), pkce_optional=True, nonce_optional=True)
    assert world.ask(app, desktop, code_challenge=None, code_challenge_method=None)["error"] == "invalid_request"
    assert world.ask(app, desktop, nonce=None)["error"] == "invalid_request"


def test_login_without_a_nonce_is_fal1(world: World) -> None:
    """FA-1: an excused client gets tokens, and they say what they are; plain OAuth needs no nonce."""
    _, desktop = world.enrolled()
    app = excuse(world.app(), nonce_optional=True)
    about = claims(world.tokens(app, desktop, nonce=None)["id_token"])
    assert (about["fal"], "nonce" in about) == (1, False)
    assert claims(world.tokens(app, desktop)["id_token"])["fal"] == 2
    assert "id_token" not in world.tokens(world.app(), desktop, nonce=None, scope="profile")


def posted(page: Page) -> tuple[str, dict[str, str]]:
    """The form of a form_post answer."""
    form = page.forms()[0]
    return form.action, dict(form.fields)


def test_form_post_is_a_form_with_a_button(world: World) -> None:
    """Codes and errors alike, `iss` and `state` with them; the page's form ends at the client and nowhere else
    (P59).
    """
    _, desktop = world.enrolled()
    app = world.app()
    page = desktop.get(app.url(response_mode="form_post", state='"><script>alert(1)</script>'))
    action, fields = posted(page)
    assert (page.status, action, fields["iss"], fields["state"]) == (
        200,
        CALLBACK,
        ISSUER,
        '"><script>alert(1)</script>',
    )
    assert "<script>alert" not in page.html
    assert app.redeem(fields["code"]).status_code == 200
    for changed in ({"prompt": "none", "max_age": "0"}, {"nonce": None}, {"response_type": "token"}, {"claims": "x"}):
        action, fields = posted(desktop.get(app.url(response_mode="form_post", **changed)))
        assert (action, fields["state"], fields["iss"], "code" in fields) == (CALLBACK, "st&te=1", ISSUER, False), (
            changed
        )
    response = desktop._http.get(app.url(response_mode="form_post"))
    policy = response.headers["Content-Security-Policy"]
    assert "form-action 'self' https://app.example;" in policy + ";"
    assert "unsafe-inline" not in policy
    assert response.headers["Cache-Control"] == "no-store"


def test_claims_appear_where_they_were_requested(world: World) -> None:
    """FA-5: name and e-mail in userinfo, in the ID token only when `claims` asks; never more than the client's
    scopes could open.
    """
    _, desktop = world.enrolled()
    app = world.app()
    tokens = world.tokens(app, desktop)
    assert not {"email", "name"} & claims(tokens["id_token"]).keys()
    asked = json.dumps(
        {
            "id_token": {"email": None, "aal": {"essential": True}, "iss": {"value": "https://evil.example"}},
            "userinfo": {"name": {"essential": True}, "unheard_of": None},
        }
    )
    tokens = world.tokens(app, desktop, scope="openid", claims=asked)
    about = claims(tokens["id_token"])
    assert (about["email"], about["iss"], about["aal"], "name" in about) == ("alex@example.org", ISSUER, 2, False)
    said = userinfo(tokens["access_token"]).json()
    assert (said["name"], "email" in said, "unheard_of" in said) == ("Alex Moss", False, False)
    again = claims(app.refresh(tokens["refresh_token"]).json()["id_token"])
    assert again["email"] == "alex@example.org"
    narrow = world.app(scopes=["openid"])
    tokens = world.tokens(narrow, desktop, scope="openid", claims=asked)
    assert "email" not in claims(tokens["id_token"])
    assert "name" not in userinfo(tokens["access_token"]).json()


@pytest.mark.database
def test_client_may_have_the_claims_of_its_scopes_in_the_id_token(world: World) -> None:
    """FA-5: off by default; as far as the scope goes, at the code and at a refresh, beside the `claims` parameter."""
    _, browser = world.enrolled()
    plain, rich = world.app(), world.app(name="Rich", claims_in_id_token=True)
    assert not {"name", "email"} & claims(world.tokens(plain, browser)["id_token"]).keys()
    tokens = world.tokens(rich, browser, scope="openid email offline_access")
    about = claims(tokens["id_token"])
    assert (about["email"], "name" in about) == ("alex@example.org", False)
    about = claims(rich.refresh(tokens["refresh_token"]).json()["id_token"])
    assert about["email"] == "alex@example.org"
    asked = json.dumps({"id_token": {"given_name": None}})
    about = claims(world.tokens(rich, browser, scope="openid email", claims=asked)["id_token"])
    assert (about["email"], about["given_name"], "family_name" in about) == ("alex@example.org", "Alex", False)
    clients.change(rich.party, now=clock.now(), claims_in_id_token=False)
    assert "email" not in claims(world.tokens(rich, browser)["id_token"])


def test_claims_that_are_encoded_twice_are_told_so(world: World) -> None:
    """Auth.js makes JSON of `claims` itself, so a text that is JSON already arrives as a text in a text."""
    asked = json.dumps(json.dumps({"id_token": {"email": None}}))
    found = world.ask(world.app(), Browser(http()), claims=asked)
    assert found["error"] == "invalid_request"
    assert "encoded twice" in found["error_description"]


def test_claims_by_name_need_consent(world: World) -> None:
    """C54: a consent to `openid` is no consent to an e-mail address that `claims` asks for."""
    _, desktop = world.enrolled()
    app = world.app(consent=True)
    page = desktop.get(app.url(scope="openid"))
    desktop.submit(page, page.form_with("decision"), values={"decision": "allow"}, stop_at=CALLBACK)  # type: ignore[arg-type]
    page = desktop.get(app.url(scope="openid", claims='{"id_token": {"email": null}}'), stop_at=CALLBACK)
    assert page.form_with("decision")
    assert "your e-mail address" in page.html


@pytest.mark.database
@pytest.mark.parametrize(
    ("asked", "acr_values", "answered"),
    [
        ({"essential": True, "value": f"{AAL}3"}, None, UNMET),
        ({"essential": True, "values": ["urn:unheard-of"]}, None, UNMET),
        ({"essential": True, "values": [f"{AAL}3", f"{AAL}2"]}, None, f"{AAL}2"),
        ({"essential": True, "value": f"{AAL}3"}, f"{AAL}1", UNMET),
        ({"essential": True}, None, f"{AAL}2"),
        ({"values": [f"{AAL}3"]}, None, f"{AAL}2"),
        ({"values": [f"{AAL}3", f"{AAL}1"]}, None, f"{AAL}1"),
        ({"value": "phr"}, None, f"{AAL}2"),
        (None, None, f"{AAL}2"),
        ({"value": f"{AAL}1"}, f"{AAL}3", UNMET),
    ],
)  # fmt: skip
def test_acr_by_the_claims_parameter(
    world: World, asked: dict[str, Any] | None, acr_values: str | None, answered: str
) -> None:
    """Ruling 16: essential and unmet is the error, voluntary is the true level; never a quiet downgrade (AS-5, C42)."""
    _, desktop = world.enrolled()
    app = world.app()
    for prompt in (None, "none"):
        found = world.ask(
            app, desktop, prompt=prompt, acr_values=acr_values, claims=json.dumps({"id_token": {"acr": asked}})
        )
        if answered == UNMET:
            assert found["error"] == UNMET
        else:
            assert claims(app.redeem(found["code"]).json()["id_token"])["acr"] == answered


def test_requested_sub_must_match(world: World) -> None:
    """Core §5.5.1: `claims.id_token.sub.value` is a hint that must hold."""
    _, desktop = world.enrolled()
    app = world.app()
    mine = claims(world.tokens(app, desktop)["id_token"])["sub"]
    assert "code" in world.ask(app, desktop, prompt="none", claims=json.dumps({"id_token": {"sub": {"value": mine}}}))
    other = json.dumps({"id_token": {"sub": {"value": "somebody"}}})
    assert world.ask(app, desktop, prompt="none", claims=other)["error"] == "login_required"


def test_select_account_offers_both_accounts(world: World) -> None:
    """A page, not a logout (E12, E21): continue with the signed-in account, or with another."""
    with time_machine.travel("2026-11-23T12:00:00Z", tick=False) as clock:
        _, desktop = world.enrolled()
        other, _ = world.enrolled("other@example.org")
        app = world.app()
        clock.shift(60)
        page = desktop.get(app.url(prompt="select_account"), stop_at=CALLBACK)
        form = page.form_with("account")
        assert form is not None
        assert "alex@example.org" in page.html
        found = answer(desktop.submit(page, form, values={"account": "this"}, stop_at=CALLBACK))
        assert answer(desktop.submit(page, form, values={"account": "this"}, stop_at=CALLBACK)) == found
        mine = claims(app.redeem(found["code"]).json()["id_token"])["sub"]
        assert desktop.submit(page, form, values={"account": "this"}, stop_at=CALLBACK).status == 400, (
            "the code is used"
        )
        clock.shift(61)
        assert desktop.submit(page, form, values={"account": "this"}, stop_at=CALLBACK).status == 400
        page = desktop.get(app.url(prompt="select_account"), stop_at=CALLBACK)
        page = desktop.submit(page, page.form_with("account"), values={"account": "other"}, stop_at=CALLBACK)  # type: ignore[arg-type]
        assert page.path == "/login"
        found = answer(other.sign_in(desktop, page, stop_at=CALLBACK))
        assert claims(app.redeem(found["code"]).json()["id_token"])["sub"] != mine


def test_account_choice_answers_one_request(world: World) -> None:
    """It is no pass for the next request, and needs the page's own form."""
    with time_machine.travel("2026-11-23T12:00:00Z", tick=False) as clock:
        _, desktop = world.enrolled()
        app = world.app()
        clock.shift(60)
        first = desktop.get(app.url(prompt="select_account"), stop_at=CALLBACK)
        second = desktop.get(app.url(prompt="select_account"), stop_at=CALLBACK)
        form = first.form_with("account")
        assert form is not None
        assert (
            desktop.submit(
                first, form, values={"account": "this", "csrfmiddlewaretoken": "x" * 64}, stop_at=CALLBACK
            ).status
            == 403
        )
        desktop.submit(first, form, values={"account": "this"}, stop_at=CALLBACK)
        flow = second.form_with("account").action.split("/")[-2]  # type: ignore[union-attr]
        assert desktop.get(f"{ISSUER}/oidc/authorize/{flow}", stop_at=CALLBACK).form_with("account")


def test_client_may_require_phishing_resistance(world: World) -> None:
    """C16: at authorize, at redemption and at refresh; the person is told what is missing."""
    person, desktop = world.enrolled()
    app = world.app()
    tokens = world.tokens(app, desktop)
    code = world.ask(app, desktop)["code"]
    excuse(app, phishing_resistant=True)
    assert world.ask(app, desktop)["error"] == UNMET
    assert world.ask(app, Browser(http()), person)["error"] == UNMET
    assert app.redeem(code).json()["error"] == UNMET
    assert app.refresh(tokens["refresh_token"]).json()["error"] == UNMET
    assert userinfo(tokens["access_token"]).status_code == 401
    page = Browser(http()).get(app.url())
    assert page.path == "/login"
    assert page.form_with("password") is not None, "a password is enough beside a security key"
    assert "a code from an app is not enough here" in page.html


def test_ui_locales_and_display_are_ignored(world: World) -> None:
    """Core §3.1.2.1: accepted, and passed over where there is nothing to choose."""
    _, desktop = world.enrolled()
    app = world.app()
    found = world.ask(
        app, desktop, ui_locales="fr-CA de", claims_locales="ja", display="popup", extra="1", acr_values="0 urn:x"
    )
    assert "code" in found
