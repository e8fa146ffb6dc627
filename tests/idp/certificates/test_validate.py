"""Every failure with its own reason, on a PKI in the shape of the Federal one (AU-2, AU-3, C22, C24, X1)."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from demo.pki import (
    ANY_USAGE,
    CARD_AUTH,
    CLIENT_AUTH,
    DERIVED,
    DERIVED_HARDWARE,
    EMAIL_PROTECTION,
    HARDWARE,
    PARTNER_AUTH,
    PIV_AUTH,
    SERVER_AUTH,
    SMARTCARD_LOGON,
    UNMAPPED,
    Card,
    number_of,
)
from derived.errors import Reason
from derived.rules.kinds import Kind
from idp.certificates import is_configured, validate
from tests.fixtures.certificate_refusals import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fixtures.pki_with_responder import PkiSetup


@pytest.mark.parametrize("issuer", ["agency", "other"])
def test_valid_card_is_accepted_and_described(pki_setup: PkiSetup, issuer: str) -> None:
    """AU-2, C24: a good card yields the facts that it is bound by."""
    identity, number = uuid.uuid4(), number_of(agency=32, credential=92446)
    card = pki_setup.pki.card(
        issuer=issuer, uuid=identity, fasc_n=number, upn="alex@agency.example", email="alex@agency.example"
    )
    found = validate(card.der, (), now=pki_setup.now)
    assert (found.fasc_n, found.card_uuid, found.policies) == (number.hex(), str(identity), (PIV_AUTH,))
    assert found.serial == f"{card.certificate.serial_number:x}"
    assert found.ski == x509.SubjectKeyIdentifier.from_public_key(card.key.public_key()).digest.hex()
    assert (found.kind, found.derived, found.hardware, found.der) == (Kind.PIV_CARD, False, True, card.der)
    assert "alex@" not in repr(found.holds)
    assert found.subject.startswith("CN=ALEX MOSS")


def test_authorities_of_the_same_name_are_told_apart(pki_setup: PkiSetup) -> None:
    """C24: what a card is bound by differs between two authorities of the same name, whatever identifiers they
    write.
    """
    number, identity = number_of(credential=7), uuid.uuid4()
    here = validate(pki_setup.pki.card(fasc_n=number, uuid=identity).der, (), now=pki_setup.now)
    twin = pki_setup.pki.authority("twin", "Demo Agency CA", organisation="Ramet Demo Agency")
    pki_setup.pki.certify(twin, by=pki_setup.pki.authorities["bridge"])
    pki_setup.lay()
    there = validate(pki_setup.pki.card(issuer="twin", fasc_n=number, uuid=identity).der, (), now=pki_setup.now)
    assert here.issuer == there.issuer
    assert here.issuer_key != there.issuer_key
    assert not set(here.holds) & set(there.holds)


def test_issuer_identity_survives_cross_certificates(pki_setup: PkiSetup) -> None:
    """C24: a second certificate for the same authority does not make its cards unknown."""
    card = pki_setup.pki.card()
    before = validate(card.der, (), now=pki_setup.now)
    pki_setup.pki.certify(pki_setup.pki.authorities["agency"], by=pki_setup.pki.authorities["root"])
    pki_setup.lay()
    assert validate(card.der, (), now=pki_setup.now).issuer_key == before.issuer_key


def test_partner_policy_is_mapped(pki_setup: PkiSetup) -> None:
    """AU-2: the required policy is met after policy mapping, and the partner's use of our OID for itself is not."""
    assert validate(pki_setup.pki.card(issuer="partner", policy=PARTNER_AUTH).der, (), now=pki_setup.now).policies == (
        PIV_AUTH,
    )
    assert refusal(pki_setup, pki_setup.pki.card(issuer="partner", policy=PIV_AUTH)) == Reason.CERTIFICATE_WRONG_POLICY


@pytest.mark.parametrize(("hardware", "policy"), [(False, DERIVED), (True, DERIVED_HARDWARE)])
# a parameter of the test
def test_derived_certificate_is_recognised(pki_setup: PkiSetup, hardware: bool, policy: str) -> None:  # noqa: FBT001
    """AU-3, EL-2: derived PIV signs in as derived, never as a parent; only …3.41 promises hardware."""
    found = validate(pki_setup.pki.derived(hardware=hardware).der, (), now=pki_setup.now)
    assert (found.derived, found.hardware, found.policies, found.kind) == (
        True,
        hardware,
        (policy,),
        Kind.DERIVED_CERTIFICATE,
    )


def test_weakest_of_several_policies_counts(pki_setup: PkiSetup) -> None:
    """AU-3: a certificate that claims both is derived, and not in hardware."""
    found = validate(pki_setup.pki.card(policy=(PIV_AUTH, DERIVED, DERIVED_HARDWARE)).der, (), now=pki_setup.now)
    assert (found.derived, found.hardware) == (True, False)


RSA_1024 = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is the test
BENT: list[tuple[str, Reason, Callable[[PkiSetup], Card]]] = [
    ("card authentication", Reason.CERTIFICATE_WRONG_POLICY, lambda b: b.pki.card_auth()),
    (
        "card authentication that claims more",
        Reason.CERTIFICATE_WRONG_POLICY,
        lambda b: b.pki.card(policy=(PIV_AUTH, "2.16.840.1.101.3.2.1.3.17")),
    ),
    (
        "card authentication by its usage",
        Reason.CERTIFICATE_WRONG_POLICY,
        lambda b: b.pki.card(eku=(CLIENT_AUTH, "2.16.840.1.101.3.6.8")),
    ),
    ("another policy", Reason.CERTIFICATE_WRONG_POLICY, lambda b: b.pki.card(policy=HARDWARE)),
    ("an unknown policy", Reason.CERTIFICATE_WRONG_POLICY, lambda b: b.pki.card(policy=UNMAPPED)),
    ("no policy", Reason.CERTIFICATE_WRONG_POLICY, lambda b: b.pki.card(policy=())),
    ("any policy", Reason.CERTIFICATE_WRONG_POLICY, lambda b: b.pki.card(policy="2.5.29.32.0")),
    ("signature", Reason.CERTIFICATE_NOT_FOR_AUTHENTICATION, lambda b: b.pki.signature()),
    (
        "signature with our policy",
        Reason.CERTIFICATE_NOT_FOR_AUTHENTICATION,
        lambda b: b.pki.signature(policy=PIV_AUTH, eku=(CLIENT_AUTH,)),
    ),
    ("encryption", Reason.CERTIFICATE_NOT_FOR_AUTHENTICATION, lambda b: b.pki.encryption(policy=PIV_AUTH, eku=None)),
    (
        "key encipherment only",
        Reason.CERTIFICATE_NOT_FOR_AUTHENTICATION,
        lambda b: b.pki.card(key_usage=("key_encipherment",)),
    ),
    ("no key usage", Reason.CERTIFICATE_NOT_FOR_AUTHENTICATION, lambda b: b.pki.card(key_usage=None)),
    ("e-mail only", Reason.CERTIFICATE_NOT_FOR_AUTHENTICATION, lambda b: b.pki.card(eku=(EMAIL_PROTECTION,))),
    ("server only", Reason.CERTIFICATE_NOT_FOR_AUTHENTICATION, lambda b: b.pki.card(eku=(SERVER_AUTH,))),
    ("logon only", Reason.CERTIFICATE_NOT_FOR_AUTHENTICATION, lambda b: b.pki.card(eku=(SMARTCARD_LOGON,))),
    ("any usage only", Reason.CERTIFICATE_NOT_FOR_AUTHENTICATION, lambda b: b.pki.card(eku=(ANY_USAGE,))),
    ("an authority", Reason.CERTIFICATE_NOT_FOR_AUTHENTICATION, lambda b: b.pki.card(ca=True)),
    (
        "an authority by usage",
        Reason.CERTIFICATE_NOT_FOR_AUTHENTICATION,
        lambda b: b.pki.card(key_usage=("digital_signature", "key_cert_sign")),
    ),
    (
        "expired",
        Reason.CERTIFICATE_EXPIRED,
        lambda b: b.pki.card(not_before=b.now - timedelta(days=9), not_after=b.now - timedelta(seconds=1)),
    ),
    ("not yet valid", Reason.CERTIFICATE_NOT_YET_VALID, lambda b: b.pki.card(not_before=b.now + timedelta(seconds=1))),
    ("outside", Reason.CERTIFICATE_UNTRUSTED, lambda b: b.pki.card(issuer="outside")),
    ("another agency's name", Reason.CERTIFICATE_UNTRUSTED, lambda b: b.pki.card(organisation="Ramet Other Agency")),
    ("weak RSA", Reason.CERTIFICATE_MALFORMED, lambda b: b.pki.card(key=RSA_1024)),
    ("another curve", Reason.CERTIFICATE_MALFORMED, lambda b: b.pki.card(key=ec.generate_private_key(ec.SECP521R1()))),
    ("a short digest", Reason.CERTIFICATE_MALFORMED, lambda b: b.pki.card(digest=hashes.SHA224())),
    ("a FASC-N of another length", Reason.CERTIFICATE_MALFORMED, lambda b: b.pki.card(fasc_n=b"\x01" * 24)),
    (
        "two UUIDs",
        Reason.CERTIFICATE_MALFORMED,
        lambda b: b.pki.card(more_names=[x509.UniformResourceIdentifier(f"urn:uuid:{uuid.uuid4()}")]),
    ),
    (
        "no UUID in the URN",
        Reason.CERTIFICATE_MALFORMED,
        lambda b: b.pki.card(uuid="none", more_names=[x509.UniformResourceIdentifier("urn:uuid:alex")]),
    ),
    (
        "two FASC-Ns",
        Reason.CERTIFICATE_MALFORMED,
        lambda b: b.pki.card(
            more_names=[x509.OtherName(x509.ObjectIdentifier("2.16.840.1.101.3.6.6"), b"\x04\x19" + bytes(25))]
        ),
    ),
    (
        "an unknown critical extension",
        Reason.CERTIFICATE_UNTRUSTED,
        lambda b: b.pki.card(more=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("2.999.1"), b"\x05\x00"), True)]),
    ),
]


@pytest.mark.parametrize(("why", "reason", "bent"), BENT, ids=[row[0] for row in BENT])
def test_each_failure_has_its_reason(
    pki_setup: PkiSetup, why: str, reason: Reason, bent: Callable[[PkiSetup], Card]
) -> None:
    """AU-2, AU-3, X1: what is wrong is refused, and a person is told which it is."""
    assert refusal(pki_setup, bent(pki_setup)) == reason


@pytest.mark.parametrize("eku", [None, (CLIENT_AUTH,), (CLIENT_AUTH, ANY_USAGE), (CLIENT_AUTH, SMARTCARD_LOGON)])
def test_client_auth_usage_may_be_absent(pki_setup: PkiSetup, eku: Any) -> None:
    """AU-2: the FPKI profile leaves the extended usage out or names clientAuth among others."""
    assert validate(pki_setup.pki.card(eku=eku).der, (), now=pki_setup.now).policies == (PIV_AUTH,)


@pytest.mark.parametrize("moment", ["not_before", "not_after"])
def test_validity_bounds_are_inclusive(pki_setup: PkiSetup, moment: str) -> None:
    """AU-2: both ends are inclusive (RFC 5280 §4.1.2.5)."""
    card = pki_setup.pki.card(
        not_before=pki_setup.now - timedelta(hours=moment == "not_after"),
        not_after=pki_setup.now + timedelta(hours=moment == "not_before"),
    )
    assert validate(card.der, (), now=pki_setup.now).policies == (PIV_AUTH,)


def test_bytes_that_are_no_certificate_are_refused(pki_setup: PkiSetup) -> None:
    """X1: trailing bytes, nothing, PEM, two in one, and a tampered byte."""
    card = pki_setup.pki.card()
    for bad in (
        b"",
        b"\x30",
        card.pem,
        card.der + b"\x00",
        card.der + card.der,
        card.der[:-1],
        b"\x30\x80" + card.der,
        bytes(20_000),
    ):
        assert refusal(pki_setup, bad) == Reason.CERTIFICATE_MALFORMED
    tampered = bytearray(card.der)
    tampered[-5] ^= 1
    assert refusal(pki_setup, bytes(tampered)) == Reason.CERTIFICATE_UNTRUSTED


@pytest.mark.filterwarnings("ignore")  # here a warning is an error, and would hide who refuses
def test_negative_serial_number_is_refused(pki_setup: PkiSetup) -> None:
    """X1: a serial number is positive (RFC 5280 §4.1.2.2)."""
    card = pki_setup.pki.card(serial=(1 << 159) - 1)
    der = card.der.replace(b"\x02\x14\x7f", b"\x02\x14\xff")  # negative
    assert refusal(pki_setup, der) == Reason.CERTIFICATE_MALFORMED


def test_duplicate_extension_is_refused(pki_setup: PkiSetup) -> None:
    """X1: which of two key usages counts is not for a parser to choose."""
    twice = [
        (x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.3.6.1.4.1.999.1.{n}"), b"\x05\x00"), False)
        for n in (1, 2)
    ]
    card = pki_setup.pki.card(more=twice)
    der = card.der.replace(x509_oid(2), x509_oid(1))
    assert der != card.der
    assert refusal(pki_setup, der) == Reason.CERTIFICATE_MALFORMED


def x509_oid(last: int) -> bytes:
    """1.3.6.1.4.1.999.1.LAST as DER."""
    return bytes.fromhex("06092b060104018767") + bytes([1, last])


def test_without_anchors_card_login_is_refused(pki_setup: PkiSetup) -> None:
    """C22: no anchor, no card login; a folder with a fault counts as none."""
    card = pki_setup.pki.card()
    (pki_setup.folder / "validation.toml").write_text("accept_anything = true\n")
    assert refusal(pki_setup, card) == Reason.CERTIFICATE_LOGIN_OFF
    assert not is_configured()
    pki_setup.lay()
    assert is_configured()
    (pki_setup.folder / "anchors" / "common-policy.pem").unlink()
    assert refusal(pki_setup, card) == Reason.CERTIFICATE_LOGIN_OFF
    assert not is_configured()


def test_client_sent_certificates_are_not_trusted(pki_setup: PkiSetup) -> None:
    """C22: a chain that ends in the client's own root is untrusted; the missing middle of a trusted one may come
    from it.
    """
    pki_setup.lay(intermediates=False, policy="")
    outside = pki_setup.pki.authorities["outside"].certificates[0]
    stranger = pki_setup.pki.card(issuer="outside")
    from cryptography.hazmat.primitives.serialization import Encoding

    assert refusal(pki_setup, stranger, (outside.public_bytes(Encoding.DER),)) == Reason.CERTIFICATE_UNTRUSTED
    pki_setup.responder.modes["aia"] = "dead"
    card = pki_setup.pki.card(issuer="other")
    assert refusal(pki_setup, card) == Reason.CERTIFICATE_UNTRUSTED
    assert validate(card.der, [b"rubbish", *reversed(card.chain_der), card.der], now=pki_setup.now).policies == (
        PIV_AUTH,
    )


def test_missing_issuers_are_fetched_from_listed_hosts_only(pki_setup: PkiSetup) -> None:
    """C22: AIA is followed where the operator allows it, and nowhere else."""
    card = pki_setup.pki.card()
    pki_setup.lay(intermediates=False)
    assert validate(card.der, (), now=pki_setup.now).policies == (PIV_AUTH,)
    assert {"/aia/agency.p7c", "/aia/bridge.p7c"} <= set(pki_setup.asked())
    validate(pki_setup.pki.card().der, (), now=pki_setup.now)
    assert not [path for path in pki_setup.asked() if path.startswith("/aia")]  # kept


def test_unlisted_host_is_never_contacted(pki_setup: PkiSetup) -> None:
    """C22, C45: without an allow-list no request is sent, and nobody signs in without a status."""
    (pki_setup.folder / "validation.toml").write_text("")
    assert refusal(pki_setup, pki_setup.pki.card()) == Reason.CERTIFICATE_STATUS_UNKNOWN
    assert pki_setup.asked() == []


@pytest.mark.parametrize(
    ("bend", "reason"),
    [
        ({"not_after_days": 1}, Reason.CERTIFICATE_UNTRUSTED),
        ({"usable": False}, Reason.CERTIFICATE_UNTRUSTED),
        ({"policies": (HARDWARE,)}, Reason.CERTIFICATE_WRONG_POLICY),
        ({"within": "Elsewhere"}, Reason.CERTIFICATE_UNTRUSTED),
    ],
)
def test_faulty_authority_is_refused(pki_setup: PkiSetup, bend: dict[str, Any], reason: Reason) -> None:
    """AU-2: an expired authority, one that may not certify, one without the policy, one outside its names."""
    made = pki_setup.pki.authority("bent", "Bent CA", organisation="Ramet Demo Agency")
    if days := bend.pop("not_after_days", None):
        bend["not_after"] = pki_setup.now - timedelta(days=days)
    pki_setup.pki.certify(made, by=pki_setup.pki.authorities["bridge"], **bend)
    pki_setup.lay()
    assert refusal(pki_setup, pki_setup.pki.card(issuer="bent")) == reason


def test_path_length_constraint_is_enforced(pki_setup: PkiSetup) -> None:
    """AU-2: an agency that may certify cards may not certify another authority."""
    below = pki_setup.pki.authority("below", "Below CA", organisation="Ramet Demo Agency")
    pki_setup.pki.certify(below, by=pki_setup.pki.authorities["agency"])
    pki_setup.lay()
    assert refusal(pki_setup, pki_setup.pki.card(issuer="below")) == Reason.CERTIFICATE_UNTRUSTED


def test_any_policy_on_a_leaf_is_no_policy(pki_setup: PkiSetup) -> None:
    """X1: anyPolicy on a card is no promise, also where an operator refuses no policy by name."""
    pki_setup.lay(policy="refused = []\n")
    assert refusal(pki_setup, pki_setup.pki.card(policy="2.5.29.32.0")) == Reason.CERTIFICATE_WRONG_POLICY


def test_refused_policy_is_refused_after_mapping(pki_setup: PkiSetup) -> None:
    """AU-3: a partner's one name for both promises means the one without a PIN as well."""
    odd = pki_setup.pki.authority("odd", "Odd CA", organisation="Ramet Demo Agency")
    pki_setup.pki.certify(
        odd, by=pki_setup.pki.authorities["bridge"], mapped={PIV_AUTH: PARTNER_AUTH, CARD_AUTH: PARTNER_AUTH}
    )
    pki_setup.lay()
    assert refusal(pki_setup, pki_setup.pki.card(issuer="odd", policy=PARTNER_AUTH)) == Reason.CERTIFICATE_WRONG_POLICY


def test_name_constraints_of_the_anchor_count(pki_setup: PkiSetup) -> None:
    """AU-2: names that the root allows itself bind everything below it (x509-limbo's false accepts)."""
    root = pki_setup.pki.authorities["root"]
    root.certificates.clear()
    pki_setup.pki.certify(root, by=root, within="Elsewhere")
    pki_setup.lay()
    assert refusal(pki_setup, pki_setup.pki.card()) == Reason.CERTIFICATE_UNTRUSTED
