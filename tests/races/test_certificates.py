"""Certificates with a hundred at the same moment: one code, one decision, one renewal, one new name (I3, C12, MT-2,
MT-4, MT-5).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs7

from tests.fixtures.certificate_authority import csr, new_key
from tests.fixtures.live_server import CARDS, PROXY_SECRET, Answer, Live, Request, page_form
from tests.fixtures.proxy_hop import said
from tests.fixtures.races import MANY

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.database, pytest.mark.slow]


@pytest.fixture
def with_authority(live: Live) -> Iterator[Live]:
    """The live Ramet, with an authority."""
    before = len(live.complaints())
    live.inside.ask("authority")
    yield live
    assert live.complaints()[before:] == []


def est(operation: str, key: Any, challenge: str, **headers: str) -> Request:
    der = x509.load_pem_x509_csr(csr(key, subject=challenge)).public_bytes(Encoding.DER)
    return Request(
        "POST", f"/.well-known/est/{operation}", {"Content-Type": "application/pkcs10", **headers}, b64encode(der)
    )


def over_a_handshake(pem: str, key: Any) -> Request:
    """What the proxy of the certificate host hands on."""
    shown = {"Host": CARDS, **said(PROXY_SECRET, pem=pem.encode())}
    names = x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    [own] = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    return est("simplereenroll", key, own, **shown)


def basic(person: dict[str, Any], code: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{person['username']}:{code}".encode()).decode()}


def made(answer: Answer) -> x509.Certificate:
    [found] = pkcs7.load_der_pkcs7_certificates(b64decode(answer.body))
    return found


def statuses(answers: list[Answer]) -> Counter[int]:
    assert len(answers) == MANY
    assert all(0 < answer.status < 500 for answer in answers), Counter(answer.status for answer in answers)
    return Counter(answer.status for answer in answers)


def test_one_code_yields_one_certificate(with_authority: Live) -> None:
    """A hundred requests by one device are one; a hundred approvals yield one certificate; a hundred fetch that one
    (BI-2, RFC 7030 §4.2.3).
    """
    person, key = with_authority.people(1)[0], new_key()
    order = with_authority.inside.ask("certificate_order", login=person["login"])
    ask = est("simpleenroll", key, order["code"], **basic(person, order["code"]))
    assert statuses(with_authority.together([ask] * MANY)) == {202: MANY}
    shown = with_authority.inside.ask("fingerprint", order=order["id"])
    yes = page_form(f"/devices/certificates/orders/{order['id']}/confirm", person["session"], fingerprint=shown)
    assert statuses(with_authority.together([yes] * MANY))[302] == 1
    found = with_authority.inside.ask("certificates", account=person["account"])
    assert (found["recorded"], found["released"]) == (1, 1)
    answers = with_authority.together([ask] * MANY)
    assert statuses(answers) == {200: MANY}
    assert len({made(answer).serial_number for answer in answers}) == 1


def test_hundred_keys_with_one_code_burn_it(with_authority: Live) -> None:
    """C12, C14: at most one is recorded; then the code is burnt, and no approval issues anything."""
    person = with_authority.people(1)[0]
    order = with_authority.inside.ask("certificate_order", login=person["login"])
    code = order["code"]
    asks = [est("simpleenroll", new_key(), code, **basic(person, code)) for _ in range(MANY)]
    counted = statuses(with_authority.together(asks))
    assert counted[202] == 1
    assert counted.keys() <= {202, 401, 429}
    yes = page_form(
        f"/devices/certificates/orders/{order['id']}/confirm",
        person["session"],
        fingerprint=with_authority.inside.ask("fingerprint", order=order["id"]),
    )
    assert with_authority.call(yes).status in {400, 409}
    assert with_authority.inside.ask("certificates", account=person["account"])["recorded"] == 0


def test_certificate_is_renewed_once(with_authority: Live) -> None:
    """MT-2, MT-5: a hundred new keys over handshakes with the old one: one successor."""
    person = with_authority.people(1)[0]
    old = with_authority.inside.ask("certificate", login=person["login"])
    answers = with_authority.together([over_a_handshake(old["pem"], new_key()) for _ in range(MANY)])
    assert statuses(answers)[200] == 1
    found = with_authority.inside.ask("certificates", account=person["account"])
    assert (found["recorded"], found["released"]) == (2, 2)
    serial = next(made(answer).serial_number for answer in answers if answer.status == 200)
    assert serial != x509.load_pem_x509_certificate(old["pem"].encode()).serial_number


def test_certificate_gets_its_new_name_once(with_authority: Live) -> None:
    """MT-4: the same key a hundred times: one with the new name, and the old one has ended."""
    person = with_authority.people(1)[0]
    old = with_authority.inside.ask("certificate", login=person["login"])
    with_authority.inside.ask("renamed", account=person["account"])
    key = load_pem_private_key(old["key"].encode(), None)
    assert statuses(with_authority.together([over_a_handshake(old["pem"], key)] * MANY))[200] == 1
    found = with_authority.inside.ask("certificates", account=person["account"])
    assert (found["recorded"], found["released"], found["listed"]) == (2, 2, 1)
