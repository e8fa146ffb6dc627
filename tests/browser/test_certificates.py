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
from tests.fixtures.certificate_authority import PASSPHRASE, csr, new_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.conftest import Arrive
    from tests.fixtures.served_for_browsers import ServedForBrowsers


@pytest.fixture
def authority(served: ServedForBrowsers, tmp_path: Path) -> None:
    """One for the whole place; the root of the first is thrown away with its folder."""
    (tmp_path / "passphrase").write_text("correct horse battery\n")
    try:
        served.ramet.ask(
            "ca", "init", "--organisation", "Mossy Agency", "--root-file", str(tmp_path / "root.pem"),
            "--root-passphrase-file", str(tmp_path / "passphrase"),
        )  # fmt: skip
    except CommandFailed as failed:
        assert "rotate" in str(failed)


@pytest.mark.usefixtures("authority")
def test_pasted_request_yields_a_downloadable_certificate(served: ServedForBrowsers, arrive: Arrive) -> None:
    """Errors stand beside the field; then the page offers the certificate, its text and its file."""
    person = served.employee("Wilma", "Berg")
    plain = arrive()
    plain.sign_in(person, f"{served.url}/devices")
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
    challenge = plain.page.locator("#request-challenge").inner_text()
    plain.page.get_by_label("The request, as text").fill(csr(new_key(), subject=challenge).decode())
    plain.press("Make the certificate")
    plain.reads("VPN on my laptop")
    plain.look("certificate")
    with plain.page.expect_download() as download:
        plain.page.get_by_role("link", name="Download the certificate").click()
    assert len(x509.load_pem_x509_certificates(download.value.path().read_bytes())) == 2
    plain.page.goto(f"{served.url}/devices")
    expect(plain.page.get_by_role("heading", name="VPN on my laptop")).to_be_visible()
    plain.look("certificate-listed")


@pytest.mark.usefixtures("authority")
def test_desktop_approves_a_request_of_another_device(served: ServedForBrowsers, arrive: Arrive) -> None:
    """The code is shown once; then the fingerprint with the approval form; then the outcome."""
    person = served.employee("Xaver", "Lund")
    plain = arrive(scripts=False)
    plain.sign_in(person, f"{served.url}/devices/certificates/add")
    plain.page.goto(f"{served.url}/devices/certificates/add")
    plain.page.get_by_label("Name", exact=True).fill("Router")
    plain.page.get_by_label("Passphrase for signing in here with it", exact=True).fill(PASSPHRASE)
    plain.page.get_by_label("Another device makes it").check()
    plain.press("Make the certificate")
    plain.reads("A certificate for another device")
    plain.look("certificate-code")
    code = plain.page.locator("#certificate-code").inner_text()
    der = x509.load_pem_x509_csr(csr(new_key(), subject=code)).public_bytes(Encoding.DER)
    basic = b64encode(f"{person.username}:{code}".encode()).decode()
    asked = httpx.post(
        f"{served.url}/.well-known/est/simpleenroll", content=b64encode(der),
        headers={"Content-Type": "application/pkcs10", "Authorization": f"Basic {basic}"},
    )  # fmt: skip
    assert asked.status_code == 202, asked.text
    plain.page.get_by_role("link", name="My device has asked").click()
    plain.reads("Is this the key of your device?")
    plain.look("certificate-asked")
    plain.press("Yes, it is mine: make the certificate")
    plain.reads("The certificate was made")
    plain.look("certificate-made")
