"""npm's oidc-client-ts in a real browser: a public client, by the snippet of docs/apps.md."""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from demo.relying_party import AAL
from demo.server import free_port
from tests.fixtures.apps_page import registered, snippet
from tests.fixtures.node_packages import PACKAGES, node_with_packages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.browser.visitor import Visitor
    from tests.fixtures.served_for_browsers import ServedForBrowsers

_PAGE = """<!doctype html><html lang="en"><title>An app</title><link rel="icon" href="data:,">
<script type="importmap">{"imports": {
  "oidc-client-ts": "/node_modules/oidc-client-ts/dist/esm/oidc-client-ts.js",
  "jwt-decode": "/node_modules/jwt-decode/build/esm/index.js"
}}</script>
<h1></h1><button id="in">Sign in</button><button id="again">Sign in again</button><button id="out">Sign out</button>
<script type="module">
  import { person, signIn, signInAgain, signOut } from "/app.js";
  for (const [id, act] of Object.entries({ in: signIn, again: signInAgain, out: signOut })) {
    document.getElementById(id).onclick = () => act();
  }
  const found = await person();
  document.body.dataset.claims = JSON.stringify(found);
  document.querySelector("h1").textContent = found ? `Hello, ${found.name}` : "Nobody is signed in";
</script></html>"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def _serving(folder: Path, port: int) -> Iterator[None]:
    server = ThreadingHTTPServer(("localhost", port), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def app(served: ServedForBrowsers, tmp_path: Path) -> Iterator[str]:
    """The URL of a page whose script is the snippet."""
    node_with_packages()
    port = free_port()
    made, printed = registered(served.ramet, "oidc-client-ts", f"http://localhost:{port}")
    assert "client_secret" not in made
    constants = "".join(f"const {name} = {json.dumps(printed[name])};\n" for name in ("ISSUER", "CLIENT_ID"))
    (tmp_path / "app.js").write_text(constants + snippet("js", "// oidc-client-ts"))
    (tmp_path / "index.html").write_text(_PAGE)
    (tmp_path / "node_modules").symlink_to(PACKAGES)
    with _serving(tmp_path, port):
        yield f"http://localhost:{port}/"


def test_oidc_client_ts_signs_in_up_and_out(served: ServedForBrowsers, app: str, desktop: Visitor) -> None:
    """PKCE and a nonce without a secret, userinfo from another origin, `max_age`, and both sessions end."""
    person, page = served.employee("Ida", "Lund"), desktop.page

    def claims() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(page.locator("body").get_attribute("data-claims") or "null")
        return found

    page.goto(app)
    desktop.reads("Nobody is signed in")
    desktop.press("Sign in")
    desktop.give_password(person)
    desktop.give_code(person)
    desktop.reads("Hello, Ida Lund")
    first = claims()
    assert (first["preferred_username"], first["email"]) == (person.username, person.email)
    assert (first["iss"], first["acr"], page.url) == (served.url, f"{AAL}2", app)

    desktop.press("Sign in again")
    expect(page.get_by_label("User name")).to_have_value(person.username)
    desktop.give_password(person)
    desktop.give_code(person)
    desktop.reads("Hello, Ida Lund")
    again = claims()
    assert (again["sub"], again["acr"]) == (first["sub"], f"{AAL}2")
    assert again["auth_time"] >= first["auth_time"]  # both may be in one second

    desktop.press("Sign out")
    desktop.is_at(app)
    desktop.reads("Nobody is signed in")
    desktop.press("Sign in")
    desktop.is_at(f"{served.url}/login")
