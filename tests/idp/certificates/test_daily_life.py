"""Cards and folders as they are in daily life: unusable files, old roots, and names in every alphabet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding

from derived.errors import Reason
from idp.certificates import describe, left_out, validate
from tests.fixtures.certificate_refusals import refusal

if TYPE_CHECKING:
    from demo.pki import Key
    from tests.fixtures.pki_with_responder import PkiSetup

_SERIAL, _ISSUER, _SUBJECT = 1, 3, 5  # of the fields of a TBSCertificate


def _tlv(tag: int, body: bytes) -> bytes:
    size = len(body)
    length = bytes([size]) if size < 128 else bytes([0x82, size >> 8, size & 255])
    return bytes([tag]) + length + body


def _name(der: bytes, field: int, tag: int, text: bytes) -> bytes:
    """A name of a certificate whose common name has this type and these octets."""
    rdns = asn1.Certificate.load(der)["tbs_certificate"][field].chosen
    pair = _tlv(0x30, bytes.fromhex("0603550403") + _tlv(tag, text))
    return _tlv(
        0x30, b"".join(_tlv(0x31, pair) if one[0]["type"].native == "common_name" else one.dump() for one in rdns)
    )


def _changed(der: bytes, key: Key, changes: dict[int, bytes]) -> bytes:
    """A certificate with other fields, signed again with its issuer's key."""
    found = asn1.Certificate.load(der)
    fields = [found["tbs_certificate"][index].dump() for index in range(len(found["tbs_certificate"]))]
    for index, field in changes.items():
        fields[index] = field
    inner = _tlv(0x30, b"".join(fields))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        signature = key.sign(inner, ec.ECDSA(hashes.SHA256()))
    else:
        signature = key.sign(inner, padding.PKCS1v15(), hashes.SHA256())
    return _tlv(0x30, inner + found["signature_algorithm"].dump() + _tlv(3, b"\x00" + signature))


TELETEX, PRINTABLE, UTF8 = 20, 19, 12
NAMES = {
    "Latin-1 in a TeletexString": (TELETEX, "MÜLLER JÖRG ß".encode("latin-1"), "CN=MÜLLER JÖRG ß"),
    "@, _ and & in a PrintableString": (PRINTABLE, b"a_b@example.org & c", "CN=a_b@example.org & c"),
    "Hebrew beside Latin": (UTF8, "Cohen כהן 7".encode(), "CN=Cohen כהן 7"),
    "Arabic beside Latin": (UTF8, "علي Ali".encode(), "CN=علي Ali"),
    "letters newer than Unicode 3.2": (UTF8, "ẞ ꟶ 𞤀".encode(), "CN=ẞ ꟶ 𞤀"),
    "an emoji": (UTF8, "Ada \U0001fae0".encode(), "CN=Ada \U0001fae0"),
    "a comma": (TELETEX, "Müller, Jörg".encode("latin-1"), "CN=Müller\\, Jörg"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_subject_in_any_alphabet_refuses_no_card(pki_setup: PkiSetup, name: str) -> None:
    """The subject binds nothing; it is kept as text."""
    tag, octets, text = NAMES[name]
    card = pki_setup.pki.card()
    der = _changed(
        card.der, pki_setup.pki.authorities["agency"].key, {_SUBJECT: _name(card.der, _SUBJECT, tag, octets)}
    )
    plain = validate(card.der, (), now=pki_setup.now)
    found = validate(der, (), now=pki_setup.now)
    assert text in found.subject
    assert (found.issuer, found.issuer_key, found.der) == (plain.issuer, plain.issuer_key, der)


def test_a_name_with_a_nul_is_refused_still(pki_setup: PkiSetup) -> None:
    """Two readers see two names in it."""
    card = pki_setup.pki.card()
    der = _changed(
        card.der, pki_setup.pki.authorities["agency"].key, {_SUBJECT: _name(card.der, _SUBJECT, UTF8, b"a\x00b")}
    )
    assert refusal(pki_setup, der) == Reason.CERTIFICATE_MALFORMED


@pytest.mark.parametrize("name", ["Latin-1 in a TeletexString", "Hebrew beside Latin"])
def test_an_issuer_in_any_alphabet(pki_setup: PkiSetup, name: str) -> None:
    """RFC 5280 §7.1: a card and its CA are chained by equal names, whatever their letters."""
    tag, octets, _text = NAMES[name]
    agency = pki_setup.pki.authorities["agency"]
    files = list((pki_setup.folder / "intermediates").iterdir())
    [certified] = [
        one for one in pki_setup.pki.intermediates() if one.subject == agency.name and one.issuer != one.subject
    ][:1]
    upper = next(one for one in pki_setup.pki.authorities.values() if one.name == certified.issuer)
    plain = certified.public_bytes(Encoding.DER)
    ca = _changed(plain, upper.key, {_SUBJECT: _name(plain, _SUBJECT, tag, octets)})
    card = pki_setup.pki.card(pointers=False)
    der = _changed(card.der, agency.key, {_ISSUER: _name(card.der, _ISSUER, tag, octets)})
    (pki_setup.folder / "intermediates" / "renamed.der").write_bytes(ca)
    assert files
    # Its CRLs are of the old name, so that the status stays unknown: the path is found and valid up to there.
    assert refusal(pki_setup, der) == Reason.CERTIFICATE_STATUS_UNKNOWN


def test_an_unusable_intermediate_is_left_out_and_named(pki_setup: PkiSetup) -> None:
    """A leaf, a text, a CA with serial 0, a broken one inside a bundle: cards are accepted, and the operator hears."""
    folder, card = pki_setup.folder / "intermediates", pki_setup.pki.card()
    agency = pki_setup.pki.intermediates()[0]
    key = next(one for one in pki_setup.pki.authorities.values() if one.name == agency.issuer).key
    zero = _changed(agency.public_bytes(Encoding.DER), key, {_SERIAL: b"\x02\x01\x00"})
    (folder / "README").write_text("The intermediates of our agency.\n")
    (folder / "leaf.der").write_bytes(card.der)
    (folder / "zero.der").write_bytes(zero)
    (folder / "broken.pem").write_text(
        x509.load_der_x509_certificate(card.der).public_bytes(Encoding.PEM).decode()
        + pki_setup.pki.intermediates()[1].public_bytes(Encoding.PEM).decode()
    )
    assert validate(card.der, (), now=pki_setup.now).subject.startswith("CN=ALEX MOSS")
    told = "\n".join(left_out())
    assert [name in told for name in ("README", "leaf.der", "zero.der", "broken.pem, certificate 1")] == [True] * 4
    assert "certificate 2" not in told
    assert "(4 left out)" in describe()


@pytest.mark.parametrize("folder", ["anchors", "clients"])
def test_an_unusable_anchor_stops_every_card_still(pki_setup: PkiSetup, folder: str) -> None:
    """What is trusted is never guessed."""
    (pki_setup.folder / folder).mkdir(exist_ok=True)
    (pki_setup.folder / folder / "README").write_text("x")
    assert refusal(pki_setup, pki_setup.pki.card()) == Reason.CERTIFICATE_LOGIN_OFF


def test_an_anchor_with_serial_0_serves(pki_setup: PkiSetup) -> None:
    """RFC 5280 §6.1.1 (d): of a trust anchor only the name and the key count."""
    pki, folder = pki_setup.pki, pki_setup.folder / "anchors"
    found = x509.load_pem_x509_certificates(pki.anchors_pem())
    for path in folder.iterdir():
        path.unlink()
    for number, one in enumerate(found):
        key = next(it for it in pki.authorities.values() if it.name == one.subject).key
        der = _changed(one.public_bytes(Encoding.DER), key, {_SERIAL: b"\x02\x01\x00"})
        (folder / f"{number}.der").write_bytes(der)
    assert validate(pki.card().der, (), now=pki_setup.now).subject.startswith("CN=ALEX MOSS")
