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
from derived.errors import Reason, Refused, Unavailable
from derived.rules.kinds import Kind
from idp.certificates import is_configured, validate

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.certificates.conftest import Bench


def refusal(bench: Bench, card: Card | bytes, chain: tuple[bytes, ...] = ()) -> Reason:
    """Why a certificate is refused."""
    der = card if isinstance(card, bytes) else card.der
    with pytest.raises((Refused, Unavailable)) as caught:
        validate(der, chain, now=bench.now)
    return caught.value.reason


@pytest.mark.parametrize("issuer", ["agency", "other"])
def test_a_card_is_accepted_and_described(bench: Bench, issuer: str) -> None:
    """AU-2, C24: a good card yields the facts that it is bound by."""
    identity, number = uuid.uuid4(), number_of(agency=32, credential=92446)
    card = bench.pki.card(
        issuer=issuer, uuid=identity, fasc_n=number, upn="alex@agency.example", email="alex@agency.example"
    )
    found = validate(card.der, (), now=bench.now)
    assert (found.fasc_n, found.card_uuid, found.policies) == (number.hex(), str(identity), (PIV_AUTH,))
    assert found.serial == f"{card.certificate.serial_number:x}"
    assert found.ski == x509.SubjectKeyIdentifier.from_public_key(card.key.public_key()).digest.hex()
    assert (found.kind, found.derived, found.hardware, found.der) == (Kind.PIV_CARD, False, True, card.der)
    assert "alex@" not in repr(found.holds)
    assert found.subject.startswith("CN=ALEX MOSS")


def test_two_authorities_of_one_name_are_two(bench: Bench) -> None:
    """C24: what a card is bound by differs between two authorities of the same name, whatever identifiers they write."""
    number, identity = number_of(credential=7), uuid.uuid4()
    here = validate(bench.pki.card(fasc_n=number, uuid=identity).der, (), now=bench.now)
    twin = bench.pki.authority("twin", "Demo Agency CA", organisation="Ramet Demo Agency")
    bench.pki.certify(twin, by=bench.pki.authorities["bridge"])
    bench.lay()
    there = validate(bench.pki.card(issuer="twin", fasc_n=number, uuid=identity).der, (), now=bench.now)
    assert here.issuer == there.issuer
    assert here.issuer_key != there.issuer_key
    assert not set(here.holds) & set(there.holds)


def test_the_key_of_an_issuer_stays_the_same_across_cross_certificates(bench: Bench) -> None:
    """C24: a second certificate for the same authority does not make its cards unknown."""
    card = bench.pki.card()
    before = validate(card.der, (), now=bench.now)
    bench.pki.certify(bench.pki.authorities["agency"], by=bench.pki.authorities["root"])
    bench.lay()
    assert validate(card.der, (), now=bench.now).issuer_key == before.issuer_key


def test_a_partners_policy_is_mapped(bench: Bench) -> None:
    """AU-2: the required policy is met after policy mapping, and the partner's use of our OID for itself is not."""
    assert validate(bench.pki.card(issuer="partner", policy=PARTNER_AUTH).der, (), now=bench.now).policies == (
        PIV_AUTH,
    )
    assert refusal(bench, bench.pki.card(issuer="partner", policy=PIV_AUTH)) == Reason.CERTIFICATE_WRONG_POLICY


@pytest.mark.parametrize(("hardware", "policy"), [(False, DERIVED), (True, DERIVED_HARDWARE)])
def test_a_derived_certificate_is_told_as_one(bench: Bench, hardware: bool, policy: str) -> None:  # noqa: FBT001 - a parameter of the test
    """AU-3, EL-2: derived PIV signs in as derived, never as a parent; only …3.41 promises hardware."""
    found = validate(bench.pki.derived(hardware=hardware).der, (), now=bench.now)
    assert (found.derived, found.hardware, found.policies, found.kind) == (
        True,
        hardware,
        (policy,),
        Kind.DERIVED_CERTIFICATE,
    )


def test_of_several_policies_the_weakest_counts(bench: Bench) -> None:
    """AU-3: a certificate that claims both is derived, and not in hardware."""
    found = validate(bench.pki.card(policy=(PIV_AUTH, DERIVED, DERIVED_HARDWARE)).der, (), now=bench.now)
    assert (found.derived, found.hardware) == (True, False)


RSA_1024 = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is the test
BENT: list[tuple[str, Reason, Callable[[Bench], Card]]] = [
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
def test_each_failure_has_its_reason(bench: Bench, why: str, reason: Reason, bent: Callable[[Bench], Card]) -> None:
    """AU-2, AU-3, X1: what is wrong is refused, and a person is told which it is."""
    assert refusal(bench, bent(bench)) == reason


@pytest.mark.parametrize("eku", [None, (CLIENT_AUTH,), (CLIENT_AUTH, ANY_USAGE), (CLIENT_AUTH, SMARTCARD_LOGON)])
def test_client_authentication_may_be_named_or_left_out(bench: Bench, eku: Any) -> None:
    """AU-2: the FPKI profile leaves the extended usage out or names clientAuth among others."""
    assert validate(bench.pki.card(eku=eku).der, (), now=bench.now).policies == (PIV_AUTH,)


@pytest.mark.parametrize("moment", ["not_before", "not_after"])
def test_the_edges_of_validity_belong_to_it(bench: Bench, moment: str) -> None:
    """AU-2: both ends are inclusive (RFC 5280 §4.1.2.5)."""
    card = bench.pki.card(
        not_before=bench.now - timedelta(hours=moment == "not_after"),
        not_after=bench.now + timedelta(hours=moment == "not_before"),
    )
    assert validate(card.der, (), now=bench.now).policies == (PIV_AUTH,)


def test_bytes_that_are_no_certificate(bench: Bench) -> None:
    """X1: trailing bytes, nothing, PEM, two in one, and a tampered byte."""
    card = bench.pki.card()
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
        assert refusal(bench, bad) == Reason.CERTIFICATE_MALFORMED
    tampered = bytearray(card.der)
    tampered[-5] ^= 1
    assert refusal(bench, bytes(tampered)) == Reason.CERTIFICATE_UNTRUSTED


@pytest.mark.filterwarnings("ignore")  # here a warning is an error, and would hide who refuses
def test_a_serial_number_below_zero(bench: Bench) -> None:
    """X1: a serial number is positive (RFC 5280 §4.1.2.2)."""
    card = bench.pki.card(serial=(1 << 159) - 1)
    der = card.der.replace(b"\x02\x14\x7f", b"\x02\x14\xff")  # negative
    assert refusal(bench, der) == Reason.CERTIFICATE_MALFORMED


def test_a_doubled_extension_is_malformed(bench: Bench) -> None:
    """X1: which of two key usages counts is not for a parser to choose."""
    twice = [
        (x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.3.6.1.4.1.999.1.{n}"), b"\x05\x00"), False)
        for n in (1, 2)
    ]
    card = bench.pki.card(more=twice)
    der = card.der.replace(x509_oid(2), x509_oid(1))
    assert der != card.der
    assert refusal(bench, der) == Reason.CERTIFICATE_MALFORMED


def x509_oid(last: int) -> bytes:
    """1.3.6.1.4.1.999.1.LAST as DER."""
    return bytes.fromhex("06092b060104018767") + bytes([1, last])


def test_without_anchors_nobody_signs_in(bench: Bench) -> None:
    """C22: no anchor, no card login; a folder with a fault counts as none."""
    card = bench.pki.card()
    (bench.folder / "validation.toml").write_text("accept_anything = true\n")
    assert refusal(bench, card) == Reason.CERTIFICATE_LOGIN_OFF
    assert not is_configured()
    bench.lay()
    assert is_configured()
    (bench.folder / "anchors" / "common-policy.pem").unlink()
    assert refusal(bench, card) == Reason.CERTIFICATE_LOGIN_OFF
    assert not is_configured()


def test_what_a_client_sends_is_material_and_not_trust(bench: Bench) -> None:
    """C22: a chain that ends in the client's own root is untrusted; the missing middle of a trusted one may come from it."""
    bench.lay(intermediates=False, policy="")
    outside = bench.pki.authorities["outside"].certificates[0]
    stranger = bench.pki.card(issuer="outside")
    from cryptography.hazmat.primitives.serialization import Encoding

    assert refusal(bench, stranger, (outside.public_bytes(Encoding.DER),)) == Reason.CERTIFICATE_UNTRUSTED
    bench.responder.modes["aia"] = "dead"
    card = bench.pki.card(issuer="other")
    assert refusal(bench, card) == Reason.CERTIFICATE_UNTRUSTED
    assert validate(card.der, [b"rubbish", *reversed(card.chain_der), card.der], now=bench.now).policies == (PIV_AUTH,)


def test_missing_issuers_are_fetched_from_listed_hosts_only(bench: Bench) -> None:
    """C22: AIA is followed where the operator allows it, and nowhere else."""
    card = bench.pki.card()
    bench.lay(intermediates=False)
    assert validate(card.der, (), now=bench.now).policies == (PIV_AUTH,)
    assert {"/aia/agency.p7c", "/aia/bridge.p7c"} <= set(bench.asked())
    validate(bench.pki.card().der, (), now=bench.now)
    assert not [path for path in bench.asked() if path.startswith("/aia")]  # kept


def test_no_host_is_asked_that_is_not_listed(bench: Bench) -> None:
    """C22, C45: without an allow-list nothing leaves the house, and nobody signs in without news."""
    (bench.folder / "validation.toml").write_text("")
    assert refusal(bench, bench.pki.card()) == Reason.CERTIFICATE_STATUS_UNKNOWN
    assert bench.asked() == []


@pytest.mark.parametrize(
    ("bend", "reason"),
    [
        ({"not_after_days": 1}, Reason.CERTIFICATE_UNTRUSTED),
        ({"usable": False}, Reason.CERTIFICATE_UNTRUSTED),
        ({"policies": (HARDWARE,)}, Reason.CERTIFICATE_WRONG_POLICY),
        ({"within": "Elsewhere"}, Reason.CERTIFICATE_UNTRUSTED),
    ],
)
def test_a_fault_of_an_authority(bench: Bench, bend: dict[str, Any], reason: Reason) -> None:
    """AU-2: an expired authority, one that may not certify, one without the policy, one outside its names."""
    made = bench.pki.authority("bent", "Bent CA", organisation="Ramet Demo Agency")
    if days := bend.pop("not_after_days", None):
        bend["not_after"] = bench.now - timedelta(days=days)
    bench.pki.certify(made, by=bench.pki.authorities["bridge"], **bend)
    bench.lay()
    assert refusal(bench, bench.pki.card(issuer="bent")) == reason


def test_a_path_length_is_kept(bench: Bench) -> None:
    """AU-2: an agency that may certify cards may not certify another authority."""
    below = bench.pki.authority("below", "Below CA", organisation="Ramet Demo Agency")
    bench.pki.certify(below, by=bench.pki.authorities["agency"])
    bench.lay()
    assert refusal(bench, bench.pki.card(issuer="below")) == Reason.CERTIFICATE_UNTRUSTED


def test_a_leaf_that_claims_any_policy_claims_none(bench: Bench) -> None:
    """X1: anyPolicy on a card is no promise, also where an operator refuses no policy by name."""
    bench.lay(policy="refused = []\n")
    assert refusal(bench, bench.pki.card(policy="2.5.29.32.0")) == Reason.CERTIFICATE_WRONG_POLICY


def test_a_refused_policy_is_refused_after_mapping_too(bench: Bench) -> None:
    """AU-3: a partner's one name for both promises means the one without a PIN as well."""
    odd = bench.pki.authority("odd", "Odd CA", organisation="Ramet Demo Agency")
    bench.pki.certify(odd, by=bench.pki.authorities["bridge"], mapped={PIV_AUTH: PARTNER_AUTH, CARD_AUTH: PARTNER_AUTH})
    bench.lay()
    assert refusal(bench, bench.pki.card(issuer="odd", policy=PARTNER_AUTH)) == Reason.CERTIFICATE_WRONG_POLICY


def test_the_anchors_own_constraints_count(bench: Bench) -> None:
    """AU-2: names that the root allows itself bind everything below it (x509-limbo's false accepts)."""
    root = bench.pki.authorities["root"]
    root.certificates.clear()
    bench.pki.certify(root, by=root, within="Elsewhere")
    bench.lay()
    assert refusal(bench, bench.pki.card()) == Reason.CERTIFICATE_UNTRUSTED
