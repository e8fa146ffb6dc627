"""Another Ramet, in processes of its own, as the upstream of this one: nothing of it is made up (AU-7, AS-6, C10)."""

from __future__ import annotations

import json
from io import StringIO
from typing import TYPE_CHECKING

import httpx
import pytest
from django.core.management import call_command

from demo.authenticator import Authenticator
from demo.browser import Browser
from demo.person import Person
from idp.models import AuthenticationEvent, Upstream
from tests.fixtures.in_process import InProcess
from tests.fixtures.lying_provider import AAL2, asked
from tests.fixtures.world import ISSUER, claims

if TYPE_CHECKING:
    from tests.fixtures.live_server import Live
    from tests.fixtures.world import World

PASSWORD = "mossy stones by the river"  # of everybody that `tests.fixtures.inside` makes
pytestmark = [pytest.mark.slow]
CALLBACK = f"{ISSUER}/login/upstream/second/callback"


def desktop(live: Live, session: str) -> Browser:
    """One browser for both: this Ramet in this process, the other over loopback, where its person is signed in.

    It calls from a network of its own, since other tests of the shared server guess passwords from theirs.
    """
    own_network = httpx.HTTPTransport(local_address="127.0.7.7")
    agent = httpx.Client(mounts={"all://localhost:8000": InProcess(), "all://127.0.0.1": own_network}, timeout=60)
    agent.cookies.set("ramet_session", session, domain="127.0.0.1")
    assert live.issuer.startswith("http://127.0.0.1:")
    return Browser(agent)


def person_of(theirs: dict[str, str]) -> Person:
    """Somebody of the other Ramet, with what they know."""
    return Person(
        theirs["username"],
        "Race Runner",
        theirs["username"],
        password=PASSWORD,
        totp_secret=theirs["totp_secret"],
        authenticator=Authenticator(theirs["totp_secret"]),
    )


@pytest.fixture
def second(world: World, live: Live, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    client = live.client(name="First Ramet", redirect_uris=[CALLBACK])
    monkeypatch.setenv("RAMET_UPSTREAM_SECRET", client["client_secret"])
    said = StringIO()
    call_command(
        "upstream",
        "add",
        "second",
        "--issuer",
        live.issuer,
        "--client-id",
        client["client_id"],
        "--preset",
        "ramet",
        "--label",
        "Second Ramet",
        "--json",
        stdout=said,
    )
    assert json.loads(said.getvalue())["register_this_redirect_uri_there"] == CALLBACK
    said = StringIO()
    call_command("upstream", "check", "second", "--json", stdout=said)
    assert json.loads(said.getvalue())["keys"] >= 1
    return Upstream.objects.get(slug="second")


def test_login_at_a_second_ramet_is_mapped(second: Upstream, world: World, live: Live) -> None:
    """AU-7: `acr` aal/2 there, by the table of the preset, is AAL2 here; its `amr` is true, and its name is in our
    token.
    """
    theirs = live.people(1)[0]
    person, _ = world.enrolled()
    browser = desktop(live, theirs["session"])
    page = person.sign_in(browser, browser.get(f"{ISSUER}/login"))
    assert page.path == "/devices", page.words()
    page = browser.get(f"{ISSUER}/devices/roots/upstream/second/add")
    page = browser.submit(page, page.forms()[-1])
    assert page.url.startswith(live.issuer), page.words()  # it has to sign in there anew: P32
    assert page.path == "/login", page.words()
    there = person_of(theirs)
    page = there.sign_in(browser, page)
    assert page.url == f"{ISSUER}/devices", (page.url, page.words())

    app, fresh = world.app(), desktop(live, "")
    page = fresh.get(app.url(acr_values=AAL2))
    page = fresh.get(page.link_to("/login/upstream/second"))
    page = fresh.submit(page, page.forms()[-1], stop_at=app.redirect_uri)
    page = there.sign_in(fresh, page, stop_at=app.redirect_uri)
    told = claims(app.redeem(asked(page.stopped_at)["code"]).json()["id_token"])
    assert (told["acr"], told["aal"], told["idp"], told["fal"]) == (AAL2, 2, live.issuer, 2)
    assert told["amr"] == ["mfa", "otp", "pwd"]
    assert AuthenticationEvent.objects.filter(upstream=live.issuer).latest("id").aal == 2
