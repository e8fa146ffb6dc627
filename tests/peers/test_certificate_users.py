"""A certificate in the hands of programs that we did not write: nginx, OpenVPN, FreeRADIUS, strongSwan's EST client,
pkilint.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from demo.agency_site import AgencySite
from demo.browser import Browser
from demo.card_office import CardOffice, open_office, start
from demo.proxy import nginx
from device.client import Answered, Code, DeviceClient
from tests.environment import KIND
from tests.fixtures import vpn_and_radius
from tests.fixtures.certificate_authority import PASSPHRASE, csr, key_pem, new_key, openssl
from tests.fixtures.live_server import CALLBACK, Live
from tests.fixtures.passkey_pages import sent
from tests.fixtures.software_authenticator import SoftKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.browser import Page
    from demo.pki import Card

pytestmark = pytest.mark.slow
STATUS = "http://pki.mossy.example"


@dataclass
class IssuingServer:
    """A served Ramet with a worker, its certificate host behind nginx, an authority, and people with cards."""

    live: Live
    card_office: CardOffice
    folder: Path
    people: int = 0

    @property
    def published(self) -> Path:
        return self.live.var / "published" / "pki"

    def person(self) -> tuple[dict[str, Any], Browser]:
        """Somebody with a card, signed in with it at a desk; IAL as HR vouches."""
        self.people += 1
        found = self.live.people(1, enrolled=False)[0]
        card = self.card_office.pki.card(person=f"PERSON {self.people}")
        path = self.folder / f"card-{self.people}.pem"
        path.write_bytes(card.pem)
        self.live.ramet.ask("card", "bind", found["username"], "--certificate", str(path))
        browser = Browser(self.card_office.client(card))
        page = press_at(self.live.issuer, browser)
        assert page.path == "/devices", page.words()
        return found, browser

    def certificate(self, browser: Browser, name: str = "VPN") -> tuple[Path, Path]:
        """Made by the page from a request; the files that a client has."""
        key = new_key()
        page = browser.get(f"{self.live.issuer}/devices/certificates/add")
        form = page.form_with("way")
        assert form is not None, page.words()
        values = {
            "name": name,
            "passphrase": PASSPHRASE,
            "way": "request",
            "request": csr(key, subject=page.by_id("request-challenge")).decode(),
        }
        page = browser.submit(page, form, values=values)
        chain, private = (
            self.folder / f"{name}-{time.monotonic_ns()}.pem",
            self.folder / f"{name}-{time.monotonic_ns()}.key",
        )
        chain.write_text(browser.get(f"{page.url}/pem").html)
        private.write_bytes(key_pem(key))
        return chain, private

    def end(self, person: dict[str, Any]) -> float:
        """HR's `active:false`; when it was acknowledged."""
        assert self.live.call(self.live.deactivation(person)).status == 200
        return time.monotonic()

    def on_the_list(self, chain: Path, seconds: float = 60) -> float:
        """When a certificate stood on the list that is published."""
        number = x509.load_pem_x509_certificates(chain.read_bytes())[0].serial_number
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            lists = [x509.load_der_x509_crl(path.read_bytes()) for path in self.published.glob("*-0.crl")]
            if any(one.get_revoked_certificate_by_serial_number(number) for one in lists):
                return time.monotonic()
            time.sleep(0.05)
        raise AssertionError("not on the list within a minute (C92)")


@pytest.fixture(scope="module")
def issuing_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IssuingServer]:
    if not nginx():
        pytest.skip("nginx is missing: apt-get install --no-install-recommends nginx-light")
    folder = tmp_path_factory.mktemp("town")
    card_office = open_office(folder)
    assert card_office is not None
    live = Live(extra=card_office.proxy.variables)
    card_office.pki.write(live.var / "pki")
    (folder / "passphrase").write_text("correct horse battery\n")
    live.ramet.ask(
        "ca", "init", "--organisation", "Mossy Agency", "--url", STATUS, "--root-file", str(folder / "root.pem"),
        "--root-passphrase-file", str(folder / "passphrase"),
    )  # fmt: skip
    start(card_office, live.ramet)
    assert live.ramet.ask("card", "probe")["passed"] is True
    yield IssuingServer(live, card_office, folder)
    card_office.close()
    live.stop()


def test_nginx_admits_the_holder_until_the_revocation(issuing_server: IssuingServer) -> None:
    """Nginx with ssl_client_certificate and ssl_crl: the name is there; a stranger and a leaver are not let in."""
    person, browser = issuing_server.person()
    chain, key = issuing_server.certificate(browser, "site")
    site = AgencySite(issuing_server.folder / "site", issuing_server.published)
    site.start()
    try:
        assert site.visit(chain, key).startswith("welcome UID=racer-")
        stranger = issuing_server.card_office.pki.card()
        (issuing_server.folder / "stranger.pem").write_bytes(stranger.pem)
        (issuing_server.folder / "stranger.key").write_bytes(stranger.key_pem)
        assert site.visit(issuing_server.folder / "stranger.pem", issuing_server.folder / "stranger.key") == ""
        acknowledged = issuing_server.end(person)
        listed = issuing_server.on_the_list(chain) - acknowledged
        assert listed < 60
        site.reload()
        assert site.visit(chain, key) == ""
    finally:
        site.stop()


def test_openvpn_admits_the_holder_until_the_revocation(issuing_server: IssuingServer) -> None:
    """OpenVPN with crl-verify: a whole handshake, and none after the list has changed."""
    person, browser = issuing_server.person()
    chain, key = issuing_server.certificate(browser, "vpn")
    vpn = vpn_and_radius.OpenVpn(issuing_server.folder / "vpn", issuing_server.published)
    vpn.start()
    try:
        assert vpn.admits(chain, key)
        issuing_server.end(person)
        issuing_server.on_the_list(chain)
        assert not vpn.admits(chain, key)
    finally:
        vpn.stop()


def test_freeradius_admits_the_holder_until_the_revocation(issuing_server: IssuingServer) -> None:
    """FreeRADIUS and eapol_test: EAP-TLS succeeds, and fails once the list has been read again."""
    person, browser = issuing_server.person()
    chain, key = issuing_server.certificate(browser, "wifi")
    radius = vpn_and_radius.Radius(issuing_server.folder / "radius", issuing_server.published)
    radius.start()
    try:
        assert radius.admits(chain, key)
        issuing_server.end(person)
        issuing_server.on_the_list(chain)
        radius.stop()
        radius.start()
        assert not radius.admits(chain, key)
    finally:
        radius.stop()


# --- EST, by strongSwan
# ------------------------------------------------------------------------------------------------


def pki(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """StrongSwan's tool; it speaks of plugins that Debian leaves out."""
    return subprocess.run(
        [vpn_and_radius.program("pki", "strongswan-pki"), *arguments], capture_output=True, check=False, timeout=60
    )


def test_strongswan_enrols_and_renews_over_est(issuing_server: IssuingServer) -> None:
    """RFC 7030 with a client that we did not write: cacerts, simpleenroll with a code (202 until the desktop
    approves), simplereenroll.
    """
    person, browser = issuing_server.person()
    url, ca = issuing_server.card_office.proxy.url, str(issuing_server.card_office.proxy.ca_file)
    folder = issuing_server.folder / "est"
    folder.mkdir()
    done = pki("--estca", "--url", url, "--cacert", ca, "--caout", str(folder / "ca.pem"), "--outform", "pem")
    assert done.returncode == 0, done.stderr.decode()
    authorities = [
        one for path in sorted(folder.glob("ca*")) for one in x509.load_pem_x509_certificates(path.read_bytes())
    ]
    assert len(authorities) == 2, done.stderr.decode()
    issuing = folder / "issuing.pem"
    issuing.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in authorities))

    page = browser.get(f"{issuing_server.live.issuer}/devices/certificates/add")
    form = page.form_with("way")
    assert form is not None
    page = browser.submit(page, form, values={"name": "Gateway", "passphrase": PASSPHRASE, "way": "device"})
    code = page.by_id("certificate-code")

    def request(name: str, challenge: str) -> Path:
        key = new_key()
        (folder / f"{name}.key").write_bytes(key_pem(key))
        der = x509.load_pem_x509_csr(csr(key, subject=challenge)).public_bytes(Encoding.DER)
        (folder / f"{name}.req").write_bytes(der)
        return folder / f"{name}.req"

    trust = [
        option
        for one in [ca, *(str(folder / f"authority-{number}.pem") for number in range(2))]
        for option in ("--cacert", one)
    ]
    for number, one in enumerate(authorities):
        (folder / f"authority-{number}.pem").write_bytes(one.public_bytes(Encoding.PEM))
    answers: list[subprocess.CompletedProcess[bytes]] = []
    asking = threading.Thread(target=lambda: answers.append(pki(
        "--est", "--url", url, "--in", str(request("first", code)), *trust,
        "--userpass", f"{person['username']}:{code}", "--interval", "1",
        "--maxpolltime", "30", "--outform", "pem",
    )))  # fmt: skip
    asking.start()
    until = time.monotonic() + 20
    while '/confirm"' not in (page := browser.get(page.url)).html and time.monotonic() < until:
        time.sleep(0.2)
    public = openssl("pkey", "-in", str(folder / "first.key"), "-pubout", "-outform", "DER").stdout
    assert hashlib.sha256(public).hexdigest().upper().startswith(page.by_id("fingerprint").replace(" ", ""))
    browser.submit(page, page.form_to("/confirm"))
    asking.join(timeout=40)
    [done] = answers
    assert done.returncode == 0, done.stderr.decode()
    (folder / "first.pem").write_bytes(done.stdout)
    first = x509.load_pem_x509_certificate(done.stdout)

    [own] = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.UniformResourceIdentifier
    )
    renewed = pki(
        "--est", "--url", url, "--in", str(request("second", own)), *trust, "--cert", str(folder / "first.pem"),
        "--key", str(folder / "first.key"),
        "--outform", "pem",
    )  # fmt: skip
    assert renewed.returncode == 0, renewed.stderr.decode()
    second = x509.load_pem_x509_certificate(renewed.stdout)
    assert (second.subject, second.issuer) == (first.subject, first.issuer)
    assert second.public_key() != first.public_key()
    assert second.serial_number != first.serial_number
    again = pki(
        "--est",
        "--url",
        url,
        "--in",
        str(request("third", own)),
        *trust,
        "--cert",
        str(folder / "first.pem"),
        "--key",
        str(folder / "first.key"),
    )
    assert again.returncode != 0  # a line, not a tree (MT-5)


# --- a linter
# ----------------------------------------------------------------------------------------------------------


def lint(tool: str, *arguments: str) -> list[str]:
    """What pkilint has found that is not just information."""
    command = [
        str(sys.executable).removesuffix("python") + tool,
        "lint",
        *arguments,
        "--severity",
        "WARNING",
        "--format",
        "JSON",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout, done.stderr
    return [one["code"] for result in json.loads(done.stdout)["results"] for one in result["finding_descriptions"]]


def test_pkilint_finds_nothing(issuing_server: IssuingServer) -> None:
    """Pkilint's RFC 5280 and 6960 rules: the authorities', a person's, the lists, an answer."""
    _, browser = issuing_server.person()
    chain, _ = issuing_server.certificate(browser, "lint")
    everything = [
        *x509.load_pem_x509_certificates(chain.read_bytes()),
        *x509.load_pem_x509_certificates((issuing_server.published / "authorities.pem").read_bytes()),
    ]
    for number, one in enumerate(everything):
        path = issuing_server.folder / f"lint-{number}.der"
        path.write_bytes(one.public_bytes(Encoding.DER))
        found = lint("lint_pkix_cert", str(path))
        # X-3 asks for a urn:uuid, and this linter takes only what looks like an address of the web.
        assert found == (["pkix.invalid_uri_syntax"] if number == 0 else []), one.subject.rfc4514_string()
    for path in issuing_server.published.glob("*.crl"):
        assert lint("lint_crl", "-t", "CRL", "-p", "PKIX", str(path)) == [], path.name
    leaf, issuer = everything[0], everything[1]
    question = (
        x509.ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, leaf.signature_hash_algorithm or _none()).build()
    )
    answer = httpx.post(f"{issuing_server.live.issuer}/pki/ocsp", content=question.public_bytes(Encoding.DER))
    (issuing_server.folder / "answer.der").write_bytes(answer.content)
    assert lint("lint_ocsp_response", str(issuing_server.folder / "answer.der")) == []


def _none() -> Any:
    raise AssertionError


# --- the whole
# ---------------------------------------------------------------------------------------------------------


def test_one_login_three_credentials_one_patch_ends_them(  # noqa: PLR0915 - a whole journey
    issuing_server: IssuingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue 6, done when 1: a phone key, a passkey and a certificate from one PIV login; used; a tree; one PATCH
    ends them all.
    """
    live = issuing_server.live
    field_app = live.client(
        name="Field app",
        redirect_uris=["org.example.field:/cb"],
        application_type="native",
        public=True,
        device_assertion=True,
    )
    desk_app = live.client(name="Travel desk", redirect_uris=[CALLBACK])
    person, desktop = issuing_server.person()

    phone = _phone(issuing_server, desktop)
    key = SoftKey(origin=live.issuer)
    page = desktop.get(f"{live.issuer}/devices/passkey/add")
    page = sent(
        desktop, page, key.create(options(live.issuer, desktop, page, "/devices/passkey/options")), name="Tablet"
    )
    assert page.path == "/login/passkey", page.words()
    chain, private = issuing_server.certificate(desktop, "whole")

    tokens = phone.login(field_app["client_id"], passphrase=PASSPHRASE)
    assert _claims(tokens.id_token)["acr"].endswith("aal/2")
    tablet = Browser(httpx.Client(timeout=30))
    page = tablet.get(f"{live.issuer}/login/passkey")
    page = sent(tablet, page, key.get(options(live.issuer, tablet, page, "/login/passkey/options")))
    assert page.path == "/devices", page.words()

    laptop = Browser(issuing_server.card_office.client(_as_card(chain, private)))
    page = press_at(live.issuer, laptop)
    page = laptop.submit(page, page.form_with("passphrase") or page.forms()[0], values={"passphrase": PASSPHRASE})
    assert page.path == "/devices", page.words()
    answer, verifier = live.authorization(desk_app, str(laptop._http.cookies["ramet_session"]))
    redeemed = live.call(live.token_request(
        desk_app, grant_type="authorization_code", code=answer.location["code"], redirect_uri=CALLBACK,
        code_verifier=verifier
    ))  # fmt: skip
    said = _claims(redeemed.json()["id_token"])
    assert (said["acr"].rpartition("/")[2], said["aal"], sorted(said["amr"])) == ("2", 2, ["mfa", "pop", "pwd"])
    listed = laptop.get(f"{live.issuer}/devices").html
    assert all(name in listed for name in ("s phone", "Tablet", "whole"))
    tree = live.ramet.ask("credential", "tree", person["username"])
    assert {"device_key", "derived_passkey", "certificate"} <= set(json.dumps(tree).replace('"', " ").split())

    site = AgencySite(issuing_server.folder / "whole-site", issuing_server.published)
    vpn = vpn_and_radius.OpenVpn(issuing_server.folder / "whole-vpn", issuing_server.published, renegotiates=2)
    site.start()
    vpn.start()
    tunnel = vpn.client(chain, private, "tunnel")
    try:
        assert "welcome" in site.visit(chain, private)
        tunnel.start()
        assert vpn.server.wait_for(vpn.UP), vpn.server.said()
        before = len(vpn.server.said())
        acknowledged = issuing_server.end(person)
        listed = issuing_server.on_the_list(chain) - acknowledged
        assert vpn.server.wait_for(vpn.REVOKED, start=before, seconds=60), vpn.server.said(before)
        refused = time.monotonic() - acknowledged
        with capsys.disabled():
            print(  # noqa: T201
                f"\nafter active:false: on the list {listed:.1f} s, refused by the running VPN {refused:.1f} s ({KIND})"
            )
        assert refused < 60
        site.reload()
        assert site.visit(chain, private) == ""
    finally:
        tunnel.stop()
        vpn.stop()
        site.stop()
    with pytest.raises(Exception, match=r"invalid_grant|access_denied"):
        phone.login(field_app["client_id"], passphrase=PASSPHRASE)
    for browser in (desktop, tablet, laptop):
        assert browser.get(f"{live.issuer}/devices").path == "/login"
    page = tablet.get(f"{live.issuer}/login/passkey")
    assert (
        sent(tablet, page, key.get(options(live.issuer, tablet, page, "/login/passkey/options"))).path
        == "/login/passkey"
    )
    again = press_at(live.issuer, Browser(issuing_server.card_office.client(_as_card(chain, private))))
    assert "certificate_revoked" in again.html


def _phone(issuing_server: IssuingServer, desktop: Browser) -> DeviceClient:
    page = show_code_at_issuer(issuing_server.live.issuer, desktop)
    device, numbers = DeviceClient(), list[Answered]()
    code = Code(text=page.by_id("binding-code"))
    enrolling = threading.Thread(target=lambda: device.enroll(
        issuing_server.live.issuer, code, device_name="Alex's phone", passphrase=PASSPHRASE, on_number=numbers.append
    ))  # fmt: skip
    enrolling.start()
    until = time.monotonic() + 20
    while not numbers and time.monotonic() < until:
        time.sleep(0.1)
    page = desktop.get(page.url)
    desktop.submit(page, page.form_to("/confirm"), values={"number": numbers[0].number})
    enrolling.join(timeout=20)
    return device


def options(issuer: str, browser: Browser, page: Page, path: str) -> dict[str, Any]:
    """What the page's script asks for."""
    form = page.form_with("response")
    assert form is not None, page.words()
    said = browser._http.post(
        issuer + path,
        data={"csrfmiddlewaretoken": form.fields["csrfmiddlewaretoken"]},
        headers={"Referer": page.url, "Origin": issuer},
    )
    assert said.status_code == 200, said.text
    found: dict[str, Any] = said.json()
    return found


def press_at(issuer: str, browser: Browser) -> Page:
    """Press the button of the card page."""
    page = browser.get(f"{issuer}/login/card")
    return browser.submit(page, page.form_to("/login/card"))


def show_code_at_issuer(issuer: str, browser: Browser) -> Any:
    page = browser.get(f"{issuer}/devices")
    return browser.submit(page, page.form_to("/devices/add"))


def _claims(token: str | None) -> dict[str, Any]:
    from base64 import urlsafe_b64decode

    found: dict[str, Any] = json.loads(urlsafe_b64decode(str(token).split(".")[1] + "=="))
    return found


def _as_card(chain: Path, private: Path) -> Card:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from demo.pki import Card

    leaf, *more = x509.load_pem_x509_certificates(chain.read_bytes())
    return Card(leaf, load_pem_private_key(private.read_bytes(), None), "ours", tuple(more))  # type: ignore[arg-type]
