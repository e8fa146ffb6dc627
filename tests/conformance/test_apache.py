"""Debian's Apache with mod_auth_openidc protects its pages with `make run`."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from demo.relying_party import AAL
from demo.server import free_port
from tests.conformance.stage import browser
from tests.fixtures.apps_page import registered, snippet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.browser import Browser, Page
    from demo.person import Person
    from tests.conformance.stage import Stage

CONFIGURATION = Path(__file__).with_name("httpd.conf")
pytestmark = pytest.mark.usefixtures("program")  # first of all: what is to be skipped starts no server
MODULES = Path("/usr/lib/apache2/modules")
_HOW = "mod_auth_openidc is missing: apt-get install --no-install-recommends apache2 libapache2-mod-auth-openidc"
_START_SECONDS = 20
_TOLD_SECONDS = 15
_PAGE = """<!doctype html><html lang="en"><title>Protected</title><main>
<p id="user"><!--#echo var="REMOTE_USER" --></p><p id="sub"><!--#echo var="OIDC_CLAIM_sub" --></p>
<p id="acr"><!--#echo var="OIDC_CLAIM_acr" --></p>
<p id="email"><!--#echo var="OIDC_CLAIM_email" --></p></main></html>"""


@dataclass(frozen=True)
class Site:
    """A running Apache."""

    url: str
    log: Path = field(repr=False)

    def page(self, name: str) -> str:
        """The URL of one of its pages."""
        return f"{self.url}/{name}.shtml"


@pytest.fixture(scope="package")
def program() -> str:
    """Apache, with the module."""
    found = shutil.which("apache2", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None or not (MODULES / "mod_auth_openidc.so").exists():
        pytest.skip(_HOW)
    return found


@pytest.fixture(scope="module")
def site(program: str, stage: Stage) -> Iterator[Site]:
    """A web server of this module's own, registered as a relying party with back-channel logout."""
    port = free_port()
    url = f"http://localhost:{port}"
    after_logout = f"{url}/open.shtml"
    _, printed = registered(stage.ramet, "mod-auth-openidc", url, "--post-logout-redirect-uri", after_logout)
    # Not below pytest's own folder: Apache gives up root, and its owner alone may look into that one.
    with tempfile.TemporaryDirectory(prefix="ramet-apache-") as name:
        here = Path(name)
        here.chmod(0o755)
        (here / "pages" / "payments").mkdir(parents=True)
        for page in ("open", "protected", "strong", "stronger", "payments/today"):
            (here / "pages" / f"{page}.shtml").write_text(_PAGE)
        (here / "openidc.conf").write_text(snippet("apache", "OIDCProviderMetadataURL"))
        settings = {
            **printed, "AFTER_LOGOUT": after_logout, "PASSPHRASE": secrets.token_hex(16),
            "HERE": name, "PORT": str(port), "MODULES": str(MODULES),
        }  # fmt: skip
        with _served(program, settings, here=here):
            yield Site(url, here / "error.log")


@contextmanager
def _served(program: str, settings: dict[str, str], *, here: Path) -> Iterator[None]:
    command = [program, "-DFOREGROUND", "-f", str(CONFIGURATION)]
    if os.geteuid() == 0:
        command += ["-C", "User www-data", "-C", "Group www-data"]  # it refuses to serve as root
    environment = {"PATH": os.environ.get("PATH", ""), **settings}
    with (here / "stderr.log").open("wb") as output, subprocess.Popen(command, env=environment, stderr=output) as child:
        try:
            _wait_until_it_answers(child, f"http://localhost:{settings['PORT']}/open.shtml", here)
            yield
        finally:
            child.terminate()
            child.wait(timeout=20)


def _wait_until_it_answers(child: subprocess.Popen[bytes], url: str, here: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        assert child.poll() is None, (here / "stderr.log").read_text()
        try:
            if httpx.get(url).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < until, (here / "stderr.log").read_text()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def person(site: Site, stage: Stage) -> Person:
    """One of the demo people."""
    return stage.person()


@pytest.fixture(scope="module")
def desktop() -> Iterator[Browser]:
    """The person's browser."""
    with browser() as found:
        yield found


def _open(site: Site, person: Person, desktop: Browser, *, name: str) -> Page:
    """Open a page of the site; sign in if Ramet asks."""
    return person.sign_in(desktop, desktop.get(site.page(name)))


def test_protected_page_shows_subject_and_acr(stage: Stage, site: Site, person: Person, desktop: Browser) -> None:
    """The module verified discovery, code with PKCE, nonce, ID token and userinfo; its page shows the claims."""
    assert httpx.get(site.page("protected")).headers["Location"].startswith(f"{stage.issuer}/oidc/authorize?")
    page = _open(site, person, desktop, name="protected")
    assert (page.status, page.url) == (200, site.page("protected")), site.log.read_text()[-2000:]
    assert len(page.by_id("sub")) > 8
    assert page.by_id("user").startswith(person.username)
    assert page.by_id("acr") == AAL + "2"
    assert page.by_id("email") == f"{person.username}@example.org"


def test_module_authorises_by_acr(site: Site, person: Person, desktop: Browser) -> None:
    """`Require claim acr:…` admits AAL2 where AAL2 is required, and refuses it where AAL3 is."""
    assert _open(site, person, desktop, name="strong").status == 200
    assert _open(site, person, desktop, name="stronger").status in {401, 403}


def test_module_asks_for_a_stronger_sign_in(stage: Stage, site: Site, person: Person, desktop: Browser) -> None:
    """`OIDCUnAutzAction auth` with `acr_values`: a passkey after the password and the code."""
    assert _open(site, person, desktop, name="protected").by_id("acr") == AAL + "2"
    key = stage.add_passkey(desktop)
    page = desktop.get(site.page("payments/today"))
    asked = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page.html)
    assert asked, f"{page.url} ({page.status}): {page.html}"
    page = desktop.get(unescape(asked[1]))  # the module's page goes on by itself in a browser
    assert page.url.startswith(f"{stage.issuer}/login"), f"{page.url} ({page.status}): {page.words()}"
    page = stage.sign_in_with_passkey(key, desktop, page)
    assert (page.status, page.url) == (200, site.page("payments/today")), site.log.read_text()[-2000:]
    assert page.by_id("acr") == f"{AAL}2?phishing_resistant=true"


def test_logout_at_the_site_ends_the_session_at_the_provider(stage: Stage, site: Site, person: Person) -> None:
    """The module's own logout goes through our end_session_endpoint and comes back; then both ask for a login again."""
    with browser() as desktop:
        assert _open(site, person, desktop, name="protected").url == site.page("protected")
        page = desktop.get(f"{site.url}/redirect_uri?logout={site.page('open')}")
        assert page.url.startswith(site.page("open")), f"{page.url} ({page.status}): {page.words()}"
        assert desktop.get(site.page("protected")).form_with("username", "password") is not None
        assert desktop.get(f"{stage.issuer}/devices").form_with("username", "password") is not None


def test_backchannel_logout_ends_a_leavers_session_within_seconds(
    stage: Stage, site: Site, person: Person, desktop: Browser
) -> None:
    """HR ends the person: the worker's logout token reaches the module, which ends its own session."""
    assert _open(site, person, desktop, name="protected").url == site.page("protected")
    hr = stage.human_resources()
    found = hr.find(person.username)
    assert found is not None
    assert hr.set_active(found["id"], active=False).is_success
    until = time.monotonic() + _TOLD_SECONDS
    while desktop.get(site.page("protected")).url == site.page("protected"):
        assert time.monotonic() < until, "the site still knows somebody who left"
        time.sleep(0.2)
    page = desktop.get(site.page("protected"))
    assert page.form_with("username", "password") is not None, f"{page.url} ({page.status}): {page.words()}"
