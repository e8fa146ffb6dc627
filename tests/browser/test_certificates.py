"""A certificate from the pages: pasted, and for another device without any script; held against WCAG."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from playwright.sync_api import expect

from demo.server import CommandFailed
from tests.x509.office import PASSPHRASE, csr, new_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.conftest import Arrive
    from tests.browser.place import Place


@pytest.fixture
def authority(place: Place, tmp_path: Path) -> None:
    """One for the whole place; the root of the first is thrown away with its folder."""
    (tmp_path / "passphrase").write_text("correct horse battery\n")
    try:
        place.ramet.ask(
            "ca", "init", "--organisation", "Mossy Agency", "--root-file", str(tmp_path / "root.pem"),
            "--root-passphrase-file", str(tmp_path / "passphrase"),
        )  # fmt: skip
    except CommandFailed as failed:
        assert "rotate" in str(failed)


@pytest.mark.usefixtures("authority")
def test_a_request_is_pasted_and_a_certificate_downloaded(place: Place, arrive: Arrive) -> None:
    """What is wrong is said beside what was typed; then the certificate, its text and its file."""
    person = place.employee("Wilma", "Berg")
    plain = arrive()
    plain.sign_in(person, f"{place.url}/devices")
    plain.page.get_by_role("link", name="Certificate for a VPN").click()
    plain.reads("Add a certificate")
    plain.look("certificate-add")
    plain.page.get_by_label("Name", exact=True).fill("VPN on my laptop")
    plain.page.get_by_label("Passphrase for signing in here with it", exact=True).fill(PASSPHRASE)
    plain.page.get_by_label("The request, as text").fill("not a request")
    plain.press("Make the certificate")
    expect(plain.page.locator("#error")).to_contain_text("This is not one certificate signing request")
    plain.look("certificate-add-error")
    plain.page.get_by_label("Passphrase for signing in here with it", exact=True).fill(PASSPHRASE)
    plain.page.get_by_label("The request, as text").fill(csr(new_key()).decode())
    plain.press("Make the certificate")
    plain.reads("VPN on my laptop")
    plain.look("certificate")
    with plain.page.expect_download() as download:
        plain.page.get_by_role("link", name="Download the certificate").click()
    assert len(x509.load_pem_x509_certificates(download.value.path().read_bytes())) == 2
    plain.page.goto(f"{place.url}/devices")
    expect(plain.page.get_by_role("heading", name="VPN on my laptop")).to_be_visible()
    plain.look("certificate-listed")


@pytest.mark.usefixtures("authority")
def test_another_device_asks_and_the_desktop_says_yes(place: Place, arrive: Arrive) -> None:
    """The code once; then the fingerprint and the question; then the outcome."""
    person = place.employee("Xaver", "Lund")
    plain = arrive(scripts=False)
    plain.sign_in(person, f"{place.url}/devices/certificates/add")
    plain.page.goto(f"{place.url}/devices/certificates/add")
    plain.page.get_by_label("Name", exact=True).fill("Router")
    plain.page.get_by_label("Passphrase for signing in here with it", exact=True).fill(PASSPHRASE)
    plain.page.get_by_label("Another device makes it").check()
    plain.press("Make the certificate")
    plain.reads("A certificate for another device")
    plain.look("certificate-code")
    code = plain.page.locator("#certificate-code").inner_text()
    der = x509.load_pem_x509_csr(csr(new_key())).public_bytes(Encoding.DER)
    basic = b64encode(f"{person.username}:{code}".encode()).decode()
    asked = httpx.post(
        f"{place.url}/.well-known/est/simpleenroll", content=b64encode(der),
        headers={"Content-Type": "application/pkcs10", "Authorization": f"Basic {basic}"},
    )  # fmt: skip
    assert asked.status_code == 202, asked.text
    plain.page.get_by_role("link", name="My device has asked").click()
    plain.reads("Is this the key of your device?")
    plain.look("certificate-asked")
    plain.press("Yes, it is mine: make the certificate")
    plain.reads("The certificate was made")
    plain.look("certificate-made")
