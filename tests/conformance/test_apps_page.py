"""The snippets of docs/apps.md sign people in, up and out, exactly as they are printed there.

Each application is registered by `client add --preset`, and gets the settings that this command prints.
"""

from __future__ import annotations

import json
import os
import runpy
import secrets
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from demo.relying_party import AAL
from demo.server import free_port
from tests.conformance.stage import browser
from tests.fixtures.apps_page import registered, served, snippet
from tests.fixtures.node_packages import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.browser import Browser, Page
    from demo.person import Person
    from tests.conformance.stage import Stage

BASE = "https://app.example"
CALLBACK, BYE = f"{BASE}/callback", f"{BASE}/"
STRONG = f"{AAL}2?phishing_resistant=true"
_DJANGO = Path(__file__).with_name("django_desk")


@pytest.fixture(scope="module")
def authlib(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The functions of the snippet, with the settings of a client that `client add` printed."""
    _, names = registered(stage.ramet, "authlib", BASE)
    program = tmp_path_factory.mktemp("authlib") / "app.py"
    program.write_text(snippet("python", "# authlib"))
    return runpy.run_path(str(program), init_globals=names)


@pytest.fixture(scope="module")
def people(stage: Stage) -> list[Person]:
    """Three people; each signs in for two tests, because an authenticator has two codes without a wait."""
    return [stage.person(), stage.person(), stage.person()] * 2


def test_authlib_signs_in_up_and_out(stage: Stage, people: list[Person], authlib: dict[str, Any]) -> None:
    """Claims at userinfo, a class by `acr_values`, and back to the application after signing out."""
    person, session = people.pop(), dict[str, Any]()
    with browser() as desktop:
        page = desktop.get(authlib["start"](session), stop_at=CALLBACK)
        page = person.sign_in(desktop, page, stop_at=CALLBACK)
        claims, about = authlib["finish"](session, page.stopped_at)
        assert (about["preferred_username"], about["sub"]) == (person.username, claims["sub"])
        assert claims["acr"] == f"{AAL}2"
        key = stage.add_passkey(desktop)
        page = desktop.get(authlib["start"](session, acr_values=STRONG), stop_at=CALLBACK)
        assert page.path == "/login"
        page = stage.sign_in_with_passkey(key, desktop, page, stop_at=CALLBACK)
        again, _ = authlib["finish"](session, page.stopped_at)
        assert (again["acr"], again["auth_time"] >= claims["auth_time"]) == (STRONG, True)
        page = desktop.get(authlib["sign_out"](session, BYE), stop_at=BYE)
        assert page.stopped_at == BYE
        assert desktop.get(authlib["start"](session), stop_at=CALLBACK).path == "/login"


def test_authlib_refuses_an_answer_to_another_request(
    stage: Stage, people: list[Person], authlib: dict[str, Any]
) -> None:
    """Its state, and the nonce of the ID token."""
    person, session, other = people.pop(), dict[str, Any](), dict[str, Any]()
    with browser() as desktop:
        url = authlib["start"](session)
        authlib["start"](other)
        page = person.sign_in(desktop, desktop.get(url, stop_at=CALLBACK), stop_at=CALLBACK)
    with pytest.raises(Exception, match=r"(?i)state"):
        authlib["finish"](other, page.stopped_at)
    with pytest.raises(Exception, match="nonce"):
        authlib["finish"]({**session, "nonce": "another"}, page.stopped_at)


def test_mozilla_django_oidc_signs_in_up_and_out(stage: Stage, people: list[Person], tmp_path: Path) -> None:
    """A Django project of three files: `login_required`, a view for stronger sign-ins, and the library's logout."""
    shutil.copytree(_DJANGO, tmp_path, dirs_exist_ok=True)
    for name in ("settings.py", "oidc.py", "urls.py"):
        with (tmp_path / name).open("a") as file:
            file.write(snippet("python", f"# {name}: mozilla-django-oidc"))
    port = free_port()
    url = f"http://localhost:{port}"
    _, environment = registered(stage.ramet, "mozilla-django-oidc", url)
    inherited = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environment |= {**inherited, "PORT": str(port), "SESSION_SECRET": secrets.token_hex(16)}
    with served([sys.executable, "serve.py"], environment, url=url, folder=tmp_path), browser() as desktop:
        claims = _signs_in_and_up(stage, people.pop(), desktop, desktop.get(f"{url}/profile"), url=url)
        assert claims["acr"] == STRONG
        page = desktop.get(f"{url}/")
        assert page.by_id("signed-in") == "True"
        page = desktop.submit(page, page.form_to("/oidc/logout/"))
        assert (page.url, page.by_id("signed-in")) == (f"{url}/", "False")
        assert _is_login(stage, desktop.get(f"{url}/profile"))


def test_express_openid_connect_signs_in_up_and_out(
    node: str, stage: Stage, people: list[Person], tmp_path: Path
) -> None:
    """Its own middleware for pages, one of the page's for stronger sign-ins, and its own `/logout`."""
    with _express(node, stage, tmp_path, "express-openid-connect") as url, browser() as desktop:
        claims = _signs_in_and_up(stage, people.pop(), desktop, desktop.get(f"{url}/profile"), url=url)
        assert claims["acr"] == STRONG
        page = desktop.get(f"{url}/logout")
        assert (page.url.rstrip("/"), _json(page)) == (url, {"signedIn": False})
        assert _is_login(stage, desktop.get(f"{url}/profile"))


def test_auth_js_signs_in_up_and_out(node: str, stage: Stage, people: list[Person], tmp_path: Path) -> None:
    """Name and address come from the ID token, `acr` too, and signing out ends both sessions."""
    with _express(node, stage, tmp_path, "authjs", first="// Auth.js") as url, browser() as desktop:
        page = desktop.get(f"{url}/auth/signin")
        page = desktop.submit(page, page.form_to("/auth/signin/ramet"))
        claims = _signs_in_and_up(stage, people.pop(), desktop, page, url=url)
        assert claims["acr"] == STRONG
        page = desktop.get(f"{url}/sign-out")
        page = desktop.submit(page, page.form_to("/auth/signout"))
        assert (page.url, _json(page)) == (f"{url}/", None)
        page = desktop.get(f"{url}/auth/signin")
        assert _is_login(stage, desktop.submit(page, page.form_to("/auth/signin/ramet")))


@contextmanager
def _express(node: str, stage: Stage, folder: Path, preset: str, *, first: str = "") -> Iterator[str]:
    (folder / "app.mjs").write_text(snippet("js", first or f"// {preset}"))
    (folder / "node_modules").symlink_to(PACKAGES)
    _, environment = registered(stage.ramet, preset, f"http://localhost:{free_port()}")
    url = environment["BASE_URL"]
    environment |= {"SESSION_SECRET": secrets.token_hex(16), "PATH": os.environ["PATH"]}
    with served([node, "app.mjs"], environment, url=url, folder=folder):
        yield url


def _signs_in_and_up(stage: Stage, person: Person, desktop: Browser, page: Page, *, url: str) -> dict[str, Any]:
    """Sign in with a password and a code, then with a passkey where the application wants that."""
    assert _is_login(stage, page)
    page = person.sign_in(desktop, page)
    assert page.url.startswith(url), page.words()
    claims = _json(page if page.path == "/profile" else desktop.get(f"{url}/"))
    assert claims.get("email", claims.get("user", {}).get("email")) == f"{person.username}@example.org"
    assert claims["acr"] == f"{AAL}2"
    key = stage.add_passkey(desktop)
    page = desktop.get(f"{url}/payments")
    if (form := page.form_with("csrfToken")) is not None:
        page = desktop.submit(page, form)
    assert _is_login(stage, page)
    page = stage.sign_in_with_passkey(key, desktop, page)
    assert page.url == f"{url}/payments", page.words()
    again: dict[str, Any] = _json(page)
    assert (again["sub"], again["auth_time"] >= claims["auth_time"]) == (claims["sub"], True)
    return again


def _is_login(stage: Stage, page: Page) -> bool:
    return page.url.startswith(f"{stage.issuer}/login")


def _json(page: Page) -> Any:
    return json.loads(page.html)
