"""The profile, row by row: X-1 to X-6, C91; by parsing, and by openssl's strictest."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from derived.errors import Reason, Refused
from derived.minting import authority as minting
from derived.minting import certificate as certificate_module
from derived.minting import profile, signing
from derived.minting.certificate import (
    DERIVED_PIV,
    DERIVED_PIV_HARDWARE,
    LONGEST_LIFE,
    AuthorityUrls,
    CertificateContent,
    builder,
    new_serial,
    policies_of,
)
from derived.minting.signing import MemorySigner
from derived.rules.assurance import AAL
from derived.rules.kinds import Label
from idp.management.commands.ca import GENERIC
from tests.fixtures.certificate_authority import csr, issued, new_key, openssl, published

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fixtures.world import World

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
WHERE = AuthorityUrls(
    crl="http://pki.example/pki/a-0.crl", issuer="http://pki.example/pki/a.cer", ocsp="http://pki.example/pki/ocsp"
)


@pytest.fixture(scope="module")
def issuer() -> tuple[x509.Certificate, MemorySigner]:
    """A root and an issuing key, without a database."""
    root, key = (
        MemorySigner(ec.generate_private_key(ec.SECP384R1())),
        MemorySigner(ec.generate_private_key(ec.SECP384R1())),
    )
    above = minting.root_certificate(root, organisation="Agency", now=NOW)
    made = minting.issuing_certificate(
        key.public_key,
        above,
        root,
        common_name="Issuing",
        organisation="Agency",
        oid=GENERIC,
        crl=WHERE.crl,
        issuer=WHERE.issuer,
        now=NOW,
    )
    return made, key


def order(**changed: Any) -> CertificateContent:
    good: dict[str, Any] = {
        "key": new_key().public_key(),
        "serial": new_serial(),
        "uuid": uuid.uuid4(),
        "organisation": "Agency",
        "name": "Alex Moss",
        "login": "alex@example.org",
        "policies": (GENERIC,),
        "not_before": NOW,
        "not_after": NOW + timedelta(days=365),
        "addresses": WHERE,
    }
    return CertificateContent(**{**good, **changed})


def made(issuer: tuple[x509.Certificate, MemorySigner], **changed: Any) -> x509.Certificate:
    return signing.sign_certificate(builder(order(**changed), issuer[0]), issuer[1])


def policies(certificate: x509.Certificate) -> list[str]:
    found = certificate.extensions.get_extension_for_class(x509.CertificatePolicies)
    assert not found.critical
    return [one.policy_identifier.dotted_string for one in found.value]


def test_piv_policies_need_the_piv_label() -> None:
    """X-1: every combination of label, level and promise; .41 takes AAL3, and none of them is there without the
    promise.
    """
    for label in Label:
        for level in (AAL.AAL2, AAL.AAL3):
            for asserts in (True, False):
                found = policies_of(label, level, own=GENERIC, asserts_piv=asserts)
                piv = label == Label.DERIVED_PIV and asserts
                assert found == ((DERIVED_PIV_HARDWARE if level == AAL.AAL3 else DERIVED_PIV,) if piv else (GENERIC,))


def test_certificate_is_for_client_authentication_only(issuer: tuple[x509.Certificate, MemorySigner]) -> None:
    """X-2: keyUsage is critical and digitalSignature alone; clientAuth and no other purpose; no CA."""
    extensions = made(issuer).extensions
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    value = usage.value
    assert usage.critical
    assert value.digital_signature
    assert not any((
        value.content_commitment, value.key_encipherment, value.data_encipherment, value.key_agreement,
        value.key_cert_sign, value.crl_sign,
    ))  # fmt: skip
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    with pytest.raises(x509.ExtensionNotFound):
        extensions.get_extension_for_class(x509.BasicConstraints)


def test_certificate_points_to_crl_issuer_and_ocsp_over_http(
    issuer: tuple[x509.Certificate, MemorySigner],
) -> None:
    """X-4."""
    extensions = made(issuer).extensions
    [point] = extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert [one.value for one in point.full_name or ()] == [WHERE.crl]
    assert (point.reasons, point.crl_issuer, point.relative_name) == (None, None, None)
    access = {
        one.access_method: one.access_location.value
        for one in extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    }
    assert access == {
        AuthorityInformationAccessOID.CA_ISSUERS: WHERE.issuer,
        AuthorityInformationAccessOID.OCSP: WHERE.ocsp,
    }
    assert all(url.startswith("http://") for url in access.values())


_RSA = {size: rsa.generate_private_key(65537, size).public_key() for size in (2048, 3072)}
LAST_DAY = datetime(2030, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("key", "not_after", "good"),
    [
        (_RSA[2048], LAST_DAY, True), (_RSA[2048], LAST_DAY + timedelta(seconds=1), False),
        (_RSA[3072], LAST_DAY + timedelta(seconds=1), True),
        (ec.generate_private_key(ec.SECP256R1()).public_key(), LAST_DAY + timedelta(days=1), True),
        (ec.generate_private_key(ec.SECP384R1()).public_key(), LAST_DAY + timedelta(days=1), True),
    ],
    ids=["2048 to the last day", "2048 a second longer", "3072", "P-256", "P-384"],
)  # fmt: skip
def test_rsa_2048_certificate_ends_with_2030(
    issuer: tuple[x509.Certificate, MemorySigner],
    key: Any,
    not_after: datetime,
    good: bool,  # noqa: FBT001
) -> None:
    """X-5: the boundary is a second wide."""
    start = not_after - timedelta(days=300)
    if good:
        assert made(issuer, key=key, not_before=start, not_after=not_after).not_valid_after_utc == not_after
        return
    with pytest.raises(Refused) as refused:
        made(issuer, key=key, not_before=start, not_after=not_after)
    assert refused.value.reason == Reason.WEAK_KEY


def test_validity_is_three_years_at_most_and_within_the_issuers(issuer: tuple[x509.Certificate, MemorySigner]) -> None:
    """X-6, C91: notAfter ≤ the parent's."""
    assert made(issuer, not_after=NOW + LONGEST_LIFE).not_valid_after_utc == NOW + LONGEST_LIFE
    late = issuer[0].not_valid_after_utc - timedelta(days=1)
    for start, end in ((NOW, NOW + LONGEST_LIFE + timedelta(seconds=1)), (late, late + timedelta(days=2)), (NOW, NOW)):
        with pytest.raises(Refused):
            made(issuer, not_before=start, not_after=end)


def test_serial_numbers_are_long_positive_and_random() -> None:
    """C91: more than 64 random bits from `secrets`, in at most 20 octets."""
    numbers = [new_serial() for _ in range(500)]
    assert len({one & (2**64 - 1) for one in numbers}) == 500
    assert all(64 < one.bit_length() <= 159 for one in numbers)
    assert sum(one >> 70 & 1 for one in numbers) in range(150, 350)


@pytest.mark.django_db
@pytest.mark.database
def test_certificate_has_its_own_uuid_and_nothing_of_the_request(authority: dict[str, Any], world: World) -> None:
    """X-3, C91: a name, a purpose and a CA flag of the request are not in it; each certificate has a UUID of its
    own.
    """
    _, desktop = world.enrolled()
    asked = (
        x509.BasicConstraints(ca=True, path_length=None),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        x509.SubjectAlternativeName(
            [x509.DNSName("vpn.example.org"), x509.UniformResourceIdentifier("urn:uuid:" + "0" * 32)]
        ),
    )
    seen = set()
    for name in ("One", "Two"):
        key = new_key()
        held = issued(desktop, key, name=name)
        plain = csr(key, subject="root", extensions=asked)
        assert b"CERTIFICATE REQUEST" in plain
        names = held.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        [uri] = list(names.value)
        assert isinstance(uri, x509.UniformResourceIdentifier)
        assert uuid.UUID(uri.value) == held.row.uuid
        seen.add(uri.value)
        subject = {one.oid: one.value for one in held.certificate.subject}
        assert subject == {
            NameOID.ORGANIZATION_NAME: "Mossy Agency", NameOID.COMMON_NAME: "Alex Moss",
            NameOID.USER_ID: "alex@example.org",
        }  # fmt: skip
    assert len(seen) == 2


@pytest.mark.django_db
@pytest.mark.database
def test_strict_verifiers_accept_the_certificate(authority: dict[str, Any], world: World, tmp_path: Path) -> None:
    """Openssl with every list and an explicit policy, and `cryptography`'s own verifier: two that we did not write."""
    _, desktop = world.enrolled()
    held = issued(desktop)
    certificate, _ = held.write(tmp_path)
    here = published()
    strict = [
        "verify", "-x509_strict", "-crl_check_all", "-CAfile", str(here / "authorities.pem"), "-CRLfile",
        str(here / "lists.pem"),
        "-purpose", "sslclient", "-explicit_policy", "-policy",
    ]  # fmt: skip
    assert b"OK" in openssl(*strict, GENERIC, str(certificate)).stdout
    assert openssl(*strict, DERIVED_PIV, str(certificate), check=False).returncode != 0
    everything = x509.load_pem_x509_certificates((here / "authorities.pem").read_bytes())
    roots = [one for one in everything if one.subject == one.issuer]
    verifier = PolicyBuilder().store(Store(roots)).time(datetime.now(tz=UTC)).build_client_verifier()
    chain = verifier.verify(held.certificate, [one for one in everything if one.subject != one.issuer]).chain
    assert len(chain) == 3


def _changed(
    issuer: tuple[x509.Certificate, MemorySigner],
    wanted: CertificateContent,
    change: Callable[[list[x509.Extension[Any]]], list[x509.Extension[Any]]],
) -> x509.Certificate:
    """The ordered certificate with other extensions, signed by the right key."""
    certificate, key = issuer
    made = builder(wanted, certificate)
    made._extensions = change(list(made._extensions))
    return signing.sign_certificate(made, key)


def _without(kind: Any) -> Any:
    return lambda all_of_it: [one for one in all_of_it if not isinstance(one.value, kind)]


def _flipped(kind: Any) -> Any:
    return lambda all_of_it: [
        x509.Extension(one.oid, not one.critical, one.value) if isinstance(one.value, kind) else one
        for one in all_of_it
    ]


def _instead(value: Any, *, critical: bool = False) -> Any:
    return lambda all_of_it: (
        [one for one in all_of_it if one.oid != value.oid] + [x509.Extension(value.oid, critical, value)]
    )


STRANGE: dict[str, Any] = {
    **{
        f"no {kind.__name__}": _without(kind)
        for kind in (
            x509.KeyUsage,
            x509.ExtendedKeyUsage,
            x509.CertificatePolicies,
            x509.SubjectAlternativeName,
            x509.CRLDistributionPoints,
            x509.AuthorityInformationAccess,
            x509.SubjectKeyIdentifier,
            x509.AuthorityKeyIdentifier,
        )
    },
    "key usage that is not critical": _flipped(x509.KeyUsage),
    "policies that are critical": _flipped(x509.CertificatePolicies),
    "anyEKU": _instead(
        x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH, x509.ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    ),
    "more use of the key": _instead(certificate_module.key_usage("digital_signature", "key_agreement"), critical=True),
    "a list over https": _instead(certificate_module.distribution_points("https://pki.example/x.crl")),
    "a foreign policy": _instead(certificate_module.policies("1.2.3.4")),
    "an authority": _instead(x509.BasicConstraints(ca=True, path_length=None), critical=True),
    "something more": _instead(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")),
    "name constraints": _instead(x509.TLSFeature([x509.TLSFeatureType.status_request])),
}


@pytest.mark.parametrize("strange", STRANGE)
def test_deviation_from_the_order_is_detected(issuer: tuple[x509.Certificate, MemorySigner], strange: str) -> None:
    """X-1 to X-4, C91: one extension less, more, other, or of another weight."""
    wanted = order()
    right = signing.sign_certificate(builder(wanted, issuer[0]), issuer[1])
    assert profile.faults(right, wanted, issuer[0], builder(wanted, issuer[0])) == []
    assert profile.faults(
        _changed(issuer, wanted, STRANGE[strange]), wanted, issuer[0], builder(wanted, issuer[0])
    ) == ["other extensions"]


def test_explicit_ca_false_is_no_deviation(issuer: tuple[x509.Certificate, MemorySigner]) -> None:
    """X-2: cA absent or false."""
    wanted = order()
    made = _changed(issuer, wanted, _instead(x509.BasicConstraints(ca=False, path_length=None)))
    assert profile.faults(made, wanted, issuer[0], builder(wanted, issuer[0])) == []


def test_other_key_number_name_time_or_signature_is_detected(issuer: tuple[x509.Certificate, MemorySigner]) -> None:
    """C91: a key, a number, a name, a time, a signature of somebody else's."""
    wanted = order()
    right = signing.sign_certificate(builder(wanted, issuer[0]), issuer[1])
    from dataclasses import replace

    other = {
        "another key": {"key": ec.generate_private_key(ec.SECP256R1()).public_key()},
        "another serial number": {"serial": wanted.serial + 1},
        "another subject": {"name": "Somebody"},
        "another time": {"not_after": wanted.not_after - timedelta(days=1)},
    }
    for words, change in other.items():
        asked = replace(wanted, **change)
        assert words in profile.faults(right, asked, issuer[0], builder(asked, issuer[0]))
    stranger = MemorySigner(ec.generate_private_key(ec.SECP384R1()))
    forged = signing.sign_certificate(builder(wanted, issuer[0]), stranger)
    assert profile.faults(forged, wanted, issuer[0], builder(wanted, issuer[0])) == ["not signed by the authority"]
