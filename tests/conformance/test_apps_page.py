"""The snippets of docs/apps.md sign people in, up and out, exactly as they are printed there."""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING, Any

import pytest

from demo.relying_party import AAL
from tests.conformance.stage import browser
from tests.fixtures.apps_page import snippet

if TYPE_CHECKING:
    from tests.conformance.stage import Stage

CALLBACK, BYE = "https://app.example/callback", "https://app.example/"


@pytest.fixture(scope="module")
def authlib(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The functions of the snippet, with the settings of a client that `client add` printed."""
    added = ("client", "add", "Authlib desk", "--redirect-uri", CALLBACK, "--post-logout-redirect-uri", BYE)
    made = stage.ramet.ask(*added)
    names: dict[str, Any] = {
        "ISSUER": made["issuer"],
        "CLIENT_ID": made["client_id"],
        "CLIENT_SECRET": made["client_secret"],
        "REDIRECT_URI": made["redirect_uris"][0],
    }
    program = tmp_path_factory.mktemp("authlib") / "app.py"
    program.write_text(snippet("python", "# authlib"))
    return runpy.run_path(str(program), init_globals=names)


def test_authlib_signs_in_up_and_out(stage: Stage, authlib: dict[str, Any]) -> None:
    """Claims at userinfo, a class by `acr_values`, and back to the application after signing out."""
    person, session = stage.person(), dict[str, Any]()
    with browser() as desktop:
        page = desktop.get(authlib["start"](session), stop_at=CALLBACK)
        page = person.sign_in(desktop, page, stop_at=CALLBACK)
        claims, about = authlib["finish"](session, page.stopped_at)
        assert (about["preferred_username"], about["sub"]) == (person.username, claims["sub"])
        page = desktop.get(authlib["start"](session, acr_values=f"{AAL}2", prompt="login"), stop_at=CALLBACK)
        assert page.path == "/login"
        page = person.sign_in(desktop, page, stop_at=CALLBACK)
        again, _ = authlib["finish"](session, page.stopped_at)
        assert (again["acr"], again["auth_time"] >= claims["auth_time"]) == (f"{AAL}2", True)
        page = desktop.get(authlib["sign_out"](session, BYE), stop_at=BYE)
        assert page.stopped_at == BYE
        assert desktop.get(authlib["start"](session), stop_at=CALLBACK).path == "/login"


def test_authlib_refuses_an_answer_to_another_request(stage: Stage, authlib: dict[str, Any]) -> None:
    """Its state, and the nonce of the ID token."""
    person, session, other = stage.person(), dict[str, Any](), dict[str, Any]()
    with browser() as desktop:
        url = authlib["start"](session)
        authlib["start"](other)
        page = person.sign_in(desktop, desktop.get(url, stop_at=CALLBACK), stop_at=CALLBACK)
    with pytest.raises(Exception, match=r"(?i)state"):
        authlib["finish"](other, page.stopped_at)
    with pytest.raises(Exception, match="nonce"):
        authlib["finish"]({**session, "nonce": "another"}, page.stopped_at)
