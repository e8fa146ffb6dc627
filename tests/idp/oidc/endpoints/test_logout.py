"""RP-initiated logout (C48, E11): who is signed out at once, who is asked first, and where nobody is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
import time_machine

from demo.browser import Browser
from derived import clock
from derived.keyring import KeyPurpose
from derived.models import SigningKey
from idp.keys import keyring
from tests.fixtures.world import ISSUER, http

if TYPE_CHECKING:
    from demo.browser import Page
    from tests.fixtures.world import App, World

pytestmark = pytest.mark.django_db
BYE = "https://app.example/bye"


def relying_party(world: World, **changed: object) -> App:
    """A client with an address to return to."""
    return world.app(**{"post_logout_uris": [BYE], **changed})


def leave(browser: Browser, **query: str) -> Page:
    """Go to the end-session endpoint."""
    return browser.get(f"{ISSUER}/oidc/logout?{urlencode(query)}", stop_at="https://")


def is_signed_in(browser: Browser) -> bool:
    """Whether this browser's session lives."""
    return browser.get(f"{ISSUER}/devices").path == "/devices"


def test_expired_hint_of_this_session_is_accepted(world: World) -> None:
    """§4: expired is accepted; sub and sid are of this session; state comes back as it was."""
    with time_machine.travel("2026-11-23T12:00:00Z", tick=False) as travelled:
        _, desktop = world.enrolled()
        hint = world.tokens(relying_party(world), desktop)["id_token"]
        travelled.shift(45 * 60)
        page = leave(
            desktop,
            id_token_hint=hint,
            post_logout_redirect_uri=BYE,
            state="s t&a=te",
            ui_locales="fr",
            logout_hint="x",
        )
        assert page.stopped_at == f"{BYE}?state=s+t%26a%3Dte"
        assert not is_signed_in(desktop)


def test_without_an_address_a_page_is_shown(world: World) -> None:
    """A valid hint alone signs out at once, and the page confirms it; without any parameter the page asks first."""
    _, desktop = world.enrolled()
    hint = world.tokens(relying_party(world), desktop)["id_token"]
    page = leave(desktop, id_token_hint=hint)
    assert (page.status, page.stopped_at, is_signed_in(desktop)) == (200, "", False)
    for query in ({}, {"state": "x"}):
        person, browser = world.enrolled(f"only{len(query)}@example.org")
        page = leave(browser, **query)
        assert is_signed_in(browser)
        page = browser.submit(page, page.form_to("confirmed"), stop_at="https://")
        assert (page.status, page.stopped_at, is_signed_in(browser)) == (200, "", False), person


def test_without_a_valid_hint_the_person_is_asked(world: World) -> None:
    """C48: another person's hint, one of another session, none but a client_id: the question names the host; the
    answer needs our form.
    """
    person, desktop = world.enrolled()
    _, others = world.enrolled("other@example.org")
    app = relying_party(world)
    hints = [world.tokens(app, others)["id_token"], world.tokens(app, world.signed_in(person))["id_token"], ""]
    for hint in hints:
        page = leave(desktop, id_token_hint=hint, client_id=app.client_id, post_logout_redirect_uri=BYE, state="s")
        assert page.stopped_at == ""
        assert "app.example" in page.html
        forged = desktop.submit(
            page, page.form_to("confirmed"), values={"csrfmiddlewaretoken": "x" * 64}, stop_at="https://"
        )
        assert (forged.status, is_signed_in(desktop)) == (403, True)
    page = desktop.submit(page, page.form_to("confirmed"), stop_at="https://")
    assert (page.stopped_at, is_signed_in(desktop)) == (f"{BYE}?state=s", False)


def test_without_a_hint_and_a_client_id_nobody_is_redirected(world: World) -> None:
    """§2: the address may well be registered, but no client is named; the person is asked, and told."""
    _, desktop = world.enrolled()
    relying_party(world)
    page = leave(desktop, post_logout_redirect_uri=BYE, state="s")
    assert (page.status, page.stopped_at, is_signed_in(desktop)) == (200, "", True)
    assert "did not say which one it is" in page.words()
    assert "not registered" not in page.words()
    page = desktop.submit(page, page.form_to("confirmed"), stop_at="https://")
    assert (page.status, page.stopped_at, is_signed_in(desktop)) == (200, "", False)
    assert leave(desktop, post_logout_redirect_uri=BYE).stopped_at == ""
    page = leave(desktop, post_logout_redirect_uri=BYE, client_id="unknown")
    assert (page.status, page.words().count("is not registered")) == (400, 1)
    assert "address" not in page.words()
    assert "still signed in" not in page.words()  # nobody is


def test_refused_sign_out_says_that_nothing_ended(world: World) -> None:
    """A wrong address to return to: the person is told that the session goes on, and where to end it."""
    _, desktop = world.enrolled()
    app = relying_party(world)
    page = leave(desktop, post_logout_redirect_uri="https://other.example/", client_id=app.client_id)
    assert (page.status, is_signed_in(desktop)) == (400, True)
    assert "you are still signed in here" in page.words()


def test_hint_by_a_retired_key(world: World) -> None:
    """§4, C42: a key that its age retired is good for a hint, at the sign-in and the logout; a revoked one is not."""
    with time_machine.travel("2026-11-23T12:00:00Z", tick=False) as travelled:
        person, desktop = world.enrolled()
        app = relying_party(world)
        hint = world.tokens(app, desktop)["id_token"]
        keyring().rotate(KeyPurpose.TOKENS, "ES256", now=clock.now())
        for _ in range(2):
            travelled.shift(timedelta(days=40))
            keyring().advance(now=clock.now())
        key = SigningKey.objects.get(state="retired")
        browser = world.signed_in(person)
        asked = {"prompt": "none", "id_token_hint": hint}
        assert "code" in world.ask(app, browser, **asked)
        page = leave(browser, id_token_hint=hint, post_logout_redirect_uri=BYE)
        assert page.stopped_at == ""  # of another session: the person is asked
        assert "app.example" in page.html
        page = browser.submit(page, page.form_to("confirmed"), stop_at="https://")
        assert (page.stopped_at, is_signed_in(browser)) == (BYE, False)
        keyring().revoke(key.kid, now=clock.now())
        assert SigningKey.objects.get(kid=key.kid).state == "revoked"
        travelled.shift(60)
        browser = world.signed_in(person)
        refused = world.ask(app, browser, **asked)
        assert (refused["error"], "Somebody" in refused["error_description"]) == ("login_required", False)
        page = leave(browser, id_token_hint=hint, post_logout_redirect_uri=BYE)
        assert page.form_to("confirmed")
        assert "app.example" not in page.html


def test_forged_hint_is_asked_about_and_not_redirected(world: World) -> None:
    """E11: alg none, a changed payload: not even to a registered address, with or without a session."""
    _, desktop = world.enrolled()
    app = relying_party(world)
    head, payload, signature = world.tokens(app, desktop)["id_token"].split(".")
    for forged in (f"eyJhbGciOiJub25lIn0.{payload}.", f"{head}.{payload[:-2]}AA.{signature}", "x"):
        asked = {"id_token_hint": forged, "client_id": app.client_id, "post_logout_redirect_uri": BYE, "state": "s"}
        page = leave(desktop, **asked)
        assert page.form_to("confirmed")
        assert "app.example" not in page.html
        assert is_signed_in(desktop)
        assert leave(Browser(http()), **asked).stopped_at == ""


@pytest.mark.parametrize(
    "uri",
    [
        BYE + "/",
        BYE + "?x=1",
        "https://evil.example/",
        "https://app.example/callback",
        "javascript:alert(1)",
        "https://app.example/bye#x",
    ],
)
def test_only_a_registered_address_is_redirected_to(world: World, uri: str) -> None:
    """Whole, and for signing out: also with a good hint; the session stays."""
    _, desktop = world.enrolled()
    app = relying_party(world)
    hint = world.tokens(app, desktop)["id_token"]
    for query in (
        {"id_token_hint": hint},
        {"client_id": app.client_id},
        {"id_token_hint": hint, "client_id": app.client_id},
    ):
        page = leave(desktop, **query, post_logout_redirect_uri=uri)
        assert (page.status, page.stopped_at, is_signed_in(desktop)) == (400, "", True)


def test_hint_and_client_id_must_agree(world: World) -> None:
    """§2: they must agree."""
    _, desktop = world.enrolled()
    app, other = relying_party(world), relying_party(world, name="Other desk")
    hint = world.tokens(app, desktop)["id_token"]
    page = leave(desktop, id_token_hint=hint, client_id=other.client_id, post_logout_redirect_uri=BYE)
    assert (page.status, page.stopped_at, is_signed_in(desktop)) == (400, "", True)


def test_hint_of_a_pairwise_client_is_accepted(world: World) -> None:
    """Ruling 21: the hint's sub is compared as this client knows the person."""
    _, desktop = world.enrolled()
    app = relying_party(world, subject_type="pairwise")
    hint = world.tokens(app, desktop)["id_token"]
    assert leave(desktop, id_token_hint=hint, post_logout_redirect_uri=BYE).stopped_at == BYE
    assert not is_signed_in(desktop)


def test_post_works_like_get(world: World) -> None:
    """§2, from our site and from another one, whose POST comes without the cookie."""
    person, desktop = world.enrolled()
    app = relying_party(world)
    asked = {"id_token_hint": world.tokens(app, desktop)["id_token"], "post_logout_redirect_uri": BYE, "state": "s"}
    with http() as stranger:
        response = stranger.post("/oidc/logout", data=asked)
    assert response.status_code == 303
    assert "set-cookie" not in response.headers
    assert desktop.get(ISSUER + response.headers["Location"], stop_at=BYE).stopped_at == f"{BYE}?state=s"
    assert not is_signed_in(desktop)
    browser = world.signed_in(person)
    asked["id_token_hint"] = world.tokens(app, browser)["id_token"]
    response = browser._http.post("/oidc/logout", data=asked)
    assert (response.status_code, response.headers["Location"]) == (302, f"{BYE}?state=s")


def test_logout_ends_families_of_the_session(world: World) -> None:
    """C48, ruling 17: no silent login afterwards, and no refresh."""
    _, desktop = world.enrolled()
    app = relying_party(world)
    tokens = world.tokens(app, desktop)
    leave(desktop, id_token_hint=tokens["id_token"])
    assert world.ask(app, desktop, prompt="none")["error"] == "login_required"
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_native_app_is_redirected_to_after_logout(world: World) -> None:
    """RP-Initiated Logout 1.0: a registered private scheme is an address to return to."""
    app = world.app(
        redirect_uris=["org.example.app:/cb"],
        post_logout_uris=["org.example.app:/bye"],
        application_type="native",
        public=True,
    )
    asked = f"/oidc/logout?client_id={app.client_id}&post_logout_redirect_uri=org.example.app:/bye&state=s"
    response = http().get(asked)
    assert (response.status_code, response.headers.get("Location")) == (302, "org.example.app:/bye?state=s")


def test_own_pages_sign_out_by_one_form(world: World) -> None:
    """One press on any page of ours ends the session; the form carries our token, so no other site can send it."""
    _, desktop = world.enrolled()
    page = desktop.get(f"{ISSUER}/devices")
    form = page.form_to("/oidc/logout/confirmed")
    assert form.framed
    forged = replace(form, fields={"csrfmiddlewaretoken": "0" * 32})
    assert desktop.submit(page, forged).status == 403
    page = desktop.submit(page, form)
    assert (page.status, "You are signed out" in page.words()) == (200, True)
    assert desktop.get(f"{ISSUER}/devices").path == "/login"
    assert "/oidc/logout" not in desktop.get(f"{ISSUER}/login").html
