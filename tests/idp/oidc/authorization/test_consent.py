"""What a person is asked to allow, by whom, and for how long that holds (C54, C77, E1)."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest
import time_machine
from oidc_provider.models import Client, UserConsent

from derived import clock
from idp.clients import names
from idp.models import ClientPolicy
from tests.fixtures.signing_in import try_password
from tests.fixtures.world import CALLBACK, ISSUER, answer, claims, userinfo

if TYPE_CHECKING:
    from demo.browser import Browser, Page
    from tests.fixtures.world import App, World

pytestmark = pytest.mark.django_db


def asks(browser: Browser, app: App, **changed: str) -> Page | None:
    """The consent page, if there is one."""
    page = browser.get(app.url(**changed), stop_at=CALLBACK)
    return page if page.form_with("decision") else None


def allow(browser: Browser, app: App, **changed: str) -> None:
    """Say yes."""
    page = asks(browser, app, **changed)
    assert page is not None
    assert "code" in answer(
        browser.submit(page, page.form_with("decision"), values={"decision": "allow"}, stop_at=CALLBACK)
    )  # type: ignore[arg-type]


def test_consent_is_to_one_version_of_a_client(world: World) -> None:
    """C54: a renamed client, one whose version rose, and a new scope ask again; what was allowed to the old one is
    not carried over.
    """
    _, desktop = world.enrolled()
    app = world.app(consent=True)
    policy, client = (
        ClientPolicy.objects.filter(client__client_id=app.client_id),
        Client.objects.filter(client_id=app.client_id),
    )
    allow(desktop, app, scope="openid email")
    assert asks(desktop, app, scope="openid email") is None
    assert asks(desktop, app, scope="openid") is None
    assert asks(desktop, app, scope="openid email profile")
    policy.update(version=2)
    assert asks(desktop, app, scope="openid")
    allow(desktop, app, scope="openid")
    assert asks(desktop, app, scope="openid") is None
    assert asks(desktop, app, scope="openid email"), "that was allowed to the version before"
    client.update(name="Travel  desk of your bank")
    assert asks(desktop, app, scope="openid")


def test_page_links_to_what_a_client_says_about_itself(world: World) -> None:
    """RFC 7591 §2: policy, terms, website and logo as links, with their hosts; the page itself loads none of them."""
    _, desktop = world.enrolled()
    said = {
        "client_uri": "https://app.example/",
        "policy_uri": "https://law.example/policy?a=1&b=2",
        "tos_uri": "https://app.example/terms",
        "logo_uri": "https://images.example:8443/logo.png",
    }
    page = asks(desktop, world.app(consent=True, shown=said))
    assert page is not None
    links = dict(
        re.findall(r'<a href="([^"]*)" rel="noopener noreferrer nofollow" target="_blank">([^<]*)</a>', page.html)
    )
    assert {html.unescape(uri): words for uri, words in links.items()} == {
        said["client_uri"]: "Website",
        said["policy_uri"]: "Privacy policy",
        said["tos_uri"]: "Terms of service",
        said["logo_uri"]: "Logo",
    }
    assert "at images.example:8443<" in page.html
    assert 'src="https://' not in page.html
    plain = asks(desktop, world.app(name="Plain", consent=True))
    assert plain is not None
    assert "says about itself" not in plain.html


@pytest.mark.database
@pytest.mark.parametrize("how", ["renamed", "withdrawn", "run out", "removed by the person"])
def test_tokens_end_with_their_consent(world: World, how: str) -> None:
    """C54, P1: at userinfo and introspection at once, at refresh for good; a new consent does not bring the old
    family back.
    """
    _, desktop = world.enrolled()
    app, other = world.app(consent=True), world.app(name="Needs none")
    asked, untouched = {"scope": "openid email offline_access"}, world.tokens(other, desktop)
    allow(desktop, app, **asked)
    held, second = world.tokens(app, desktop, **asked), world.tokens(app, desktop, **asked)
    assert userinfo(held["access_token"]).status_code == 200
    if how == "removed by the person":
        page = desktop.get(f"{ISSUER}/devices")
        family = claims(second["access_token"])["grant_id"]
        desktop.submit(page, page.form_to(f"/devices/apps/{family}/end"))
    elif how == "renamed":
        Client.objects.filter(client_id=app.client_id).update(name="Another name")
    elif how == "withdrawn":
        UserConsent.objects.all().delete()
    else:
        UserConsent.objects.update(expires_at=clock.now())
    assert userinfo(held["access_token"]).status_code == 401
    assert app.introspect(held["access_token"]) == {"active": False}
    assert app.introspect(held["refresh_token"]) == {"active": False}
    assert app.refresh(held["refresh_token"]).json()["error"] == "invalid_grant"
    allow(desktop, app, **asked)
    assert app.refresh(held["refresh_token"]).json()["error"] == "invalid_grant"
    assert userinfo(held["access_token"]).status_code == 401
    assert userinfo(untouched["access_token"]).status_code == 200


def test_consent_without_recorded_terms_is_asked_again(world: World) -> None:
    """The terms that the person saw are unknown."""
    _, desktop = world.enrolled()
    app = world.app(consent=True)
    allow(desktop, app)
    UserConsent.objects.get().terms.delete()
    assert asks(desktop, app)


def test_consent_to_an_outdated_page_is_asked_again(world: World) -> None:
    """E1: the client is renamed while the page stands: what is remembered is not more than was seen, and what is
    granted is asked again.
    """
    _, desktop = world.enrolled()
    app = world.app(consent=True)
    page = asks(desktop, app)
    assert page is not None
    Client.objects.filter(client_id=app.client_id).update(name="Another name")
    after = desktop.submit(page, page.form_with("decision"), values={"decision": "allow"}, stop_at=CALLBACK)  # type: ignore[arg-type]
    assert after.stopped_at == ""
    assert after.form_with("decision")
    assert "Another name" in after.html


@pytest.mark.parametrize(
    ("name", "seen", "warns"),
    [
        ("Tra\u202evel\u200b desk", "Travel desk", False),
        ("Pаypal", "Pаypal", True),
        ("Ｐａｙｐａｌ", "Ｐａｙｐａｌ", True),
        ("Reisebüro Köln", "Reisebüro Köln", False),
        ("Банк", "Банк", False),
        ("<b>x</b>", "&lt;b&gt;x&lt;/b&gt;", False),
        ("旅行デスク", "旅行デスク", False),
        ("\u2066\u200f", "An application without a name", False),
        ("a" * 100, "a" * 80, False),
    ],
)
def test_client_name_cannot_deceive(world: World, name: str, seen: str, warns: bool) -> None:  # noqa: FBT001
    """C77: no sign that turns text around, nothing hidden, markup as text, a word of warning; and the address beside
    it.
    """
    person, desktop = world.enrolled()
    app = world.app(consent=True)
    Client.objects.filter(client_id=app.client_id).update(name=name)
    page = asks(desktop, app)
    assert page is not None
    assert f"<bdi>{seen}</bdi>" in page.html
    assert ("Look twice" in page.html) is warns
    assert "app.example" in page.html
    assert not {"\u202e", "\u200b", "\u2066", "\u200f"} & set(page.html)
    assert names.looks_like_another(name) is warns
    assert person.username in page.html


NOON = "2026-11-23T12:00:00Z"


def test_consent_is_tied_to_the_person_who_was_asked(world: World) -> None:
    """E1, C1: the page that one person was shown says nothing for another who signed in to this browser since."""
    with time_machine.travel(NOON, tick=False) as now:
        _, browser = world.enrolled()
        kim, _ = world.enrolled("kim@example.org")
        app = world.app(consent=True)
        now.shift(60)
        page = browser.get(app.url(), stop_at=CALLBACK)
        assert page.form_to("/consent")
        kim.sign_in(browser, try_password(browser, kim.username, kim.password))
        page = browser.submit(page, page.form_to("/consent"), values={"decision": "allow"}, stop_at=CALLBACK)
        assert not page.stopped_at
        assert "kim@example.org" in page.html
        assert browser.submit(page, page.form_to("/consent"), values={"decision": "allow"}, stop_at=CALLBACK).stopped_at
