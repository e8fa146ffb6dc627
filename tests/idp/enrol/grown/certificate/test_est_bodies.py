"""Bodies that people's tools send to EST: PEM is read, and what is no request is told in words."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from tests.fixtures.certificate_authority import csr, key_pem, new_key
from tests.fixtures.certificate_enrolment import ALEX, EST, certificate_in, confirm, order
from tests.fixtures.world import http

if TYPE_CHECKING:
    import httpx

    from tests.fixtures.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def _post(code: str, body: bytes, kind: str = "application/pkcs10") -> httpx.Response:
    basic = "Basic " + b64encode(f"{ALEX}:{code}".encode()).decode()
    with http() as agent:
        return agent.post(f"{EST}/simpleenroll", content=body, headers={"Authorization": basic, "Content-Type": kind})


def test_pem_is_read(authority: dict[str, Any], world: World) -> None:
    """`curl --data-binary @request.pem`: the desktop is asked, and then the certificate comes."""
    _, desktop = world.enrolled()
    page, code, _ = order(desktop)
    body = csr(new_key(), subject=code)
    assert body.startswith(b"-----BEGIN CERTIFICATE REQUEST-----")
    assert _post(code, body).status_code == 202
    confirm(desktop, page)
    certificate_in(_post(code, body))


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ("pem", "application/x-www-form-urlencoded", "Content-Type: application/pkcs10"),
        ("pem", "application/x-pem-file", "Content-Type: application/pkcs10"),
        ("der", "application/pkcs10", "base64"),
        ("with key", "application/pkcs10", "make a new one"),
        ("large", "application/pkcs10", "of this size"),
    ],
)
def test_what_is_no_request_is_told_in_words(
    authority: dict[str, Any], world: World, body: str, kind: str, words: str
) -> None:
    """400 with one line for a person at a device's console, and the code is not spent."""
    _, desktop = world.enrolled()
    _, code, _ = order(desktop)
    key = new_key()
    pem = csr(key, subject=code)
    sent = {"pem": pem, "der": b"\x30\x82\xff", "with key": pem + key_pem(key), "large": b"A" * 40_000}[body]
    answer = _post(code, sent, kind)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert words in answer.text
    assert _post(code, pem).status_code == 202
