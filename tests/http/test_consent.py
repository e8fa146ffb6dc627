"""What a person is asked to allow, by whom, and for how long that holds (C54, C77, E1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from oidc_provider.models import Client, UserConsent

from idp.clients import names
from idp.models import ClientPolicy
from tests.world import CALLBACK, answer

if TYPE_CHECKING:
    from demo.browser import Browser, Page
    from tests.world import App, World

pytestmark = pytest.mark.django_db


def asks(browser: Browser, app: App, **changed: str) -> Page | None:
    """The consent page, if there is one."""
    page = browser.get(app.url(**changed), stop_at=CALLBACK)
    return page if page.form_with("decision") else None


def allow(browser: Browser, app: App, **changed: str) -> None:
    """Say yes."""
    page = asks(browser, app, **changed)
    assert page is not None
    assert "code" in answer(browser.submit(page, page.form_with("decision"), values={"decision": "allow"}, stop_at=CALLBACK))  # type: ignore[arg-type]


def test_a_consent_is_to_one_version_of_a_client(world: World) -> None:
    """C54: a renamed client, one whose version rose, and a new scope ask again; what was allowed to the old one is not carried over."""
    _, desktop = world.enrolled()
    app = world.app(consent=True)
    policy, client = ClientPolicy.objects.filter(client__client_id=app.client_id), Client.objects.filter(client_id=app.client_id)
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


def test_a_consent_of_the_registry_alone_is_asked_for_again(world: World) -> None:
    """Nobody knows what the person saw."""
    _, desktop = world.enrolled()
    app = world.app(consent=True)
    allow(desktop, app)
    UserConsent.objects.get().terms.delete()
    assert asks(desktop, app)


def test_a_yes_to_an_old_page_is_no_yes_to_a_new_name(world: World) -> None:
    """E1: the client is renamed while the page stands: what is remembered is not more than was seen, and what is granted is asked again."""
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
        ("Tra\u202evel\u200b desk", "Travel desk", False), ("Pаypal", "Pаypal", True), ("Ｐａｙｐａｌ", "Ｐａｙｐａｌ", True),
        ("Reisebüro Köln", "Reisebüro Köln", False), ("Банк", "Банк", False), ("<b>x</b>", "&lt;b&gt;x&lt;/b&gt;", False), ("旅行デスク", "旅行デスク", False),
        ("\u2066\u200f", "An application without a name", False), ("a" * 100, "a" * 80, False),
    ],
)  # fmt: skip
def test_a_name_cannot_deceive(world: World, name: str, seen: str, warns: bool) -> None:  # noqa: FBT001
    """C77: no sign that turns text around, nothing hidden, markup as text, a word of warning; and the address beside it."""
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
