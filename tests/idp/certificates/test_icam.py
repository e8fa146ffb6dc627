"""The ICAM test cards that GSA publishes (CC0), where they are at hand; without them there is nothing to run, and no
skip.

Their CRLs are old: fresh ones are signed here with the published keys of the authorities, and kept as if they had
been fetched.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from derived.errors import Reason, Refused, Unavailable
from idp.certificates import configuration, store, validate

if TYPE_CHECKING:
    from derived.changes.issue import VerifiedCertificate

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "vectors" / "icam"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PIV_AUTH = "2.16.840.1.101.3.2.1.48.11"  # the test cards' own names for the policies
CARD_AUTH = "2.16.840.1.101.3.2.1.48.13"
_ROOT = "ICAM_Test_Card_PIV_Root_CA_-_gold_gen1-3"

# (folder, file, verdict): what the folder's name says is wrong with it, in our words.
CARDS: list[tuple[str, str, Reason | None]] = [
    ("01_Golden_PIV", "piv_auth", None),
    ("05_Tampered_Certificates", "piv_auth", Reason.CERTIFICATE_UNTRUSTED),
    ("12_Certs_not_yet_valid", "piv_auth", Reason.CERTIFICATE_NOT_YET_VALID),
    ("13_Certs_are_expired", "piv_auth", Reason.CERTIFICATE_EXPIRED),
    ("20_Card_Authent_UUID_mismatch", "piv_auth", Reason.CERTIFICATE_WRONG_POLICY),  # …48.24: another policy
    ("24_Revoked_Certificates", "piv_auth", Reason.CERTIFICATE_REVOKED),
    ("37_Golden_FIPS_201-2_PIV_PPS_F512_D64", "piv_auth", None),
    ("42_OCSP_Expired", "piv_auth", None),  # its faults are in OCSP answers; a fresh CRL answers
    ("44_OCSP_revoked_wo_nocheck", "piv_auth", None),
    ("46_Golden_FIPS_201-2_PIV", "piv_auth", None),
    ("46_Golden_FIPS_201-2_PIV_ICI_8", "piv_auth", None),
    ("46_Golden_FIPS_201-2_PIV_ICI_9", "piv_auth", None),
    ("47_Golden_FIPS_201-2_PIV_SAN_Order", "piv_auth", None),
    ("47_Golden_FIPS_201-2_PIV_SAN_Order-X", "piv_auth", Reason.CERTIFICATE_EXPIRED),
    ("53_FIPS_201-2_Large_Card_Auth_Cert", "piv_auth", None),
    ("58_Revoked_Card_Auth_Cert", "piv_auth", None),
]
CARDS += [
    (folder, "card_auth", Reason.CERTIFICATE_WRONG_POLICY)
    for folder in ("01_Golden_PIV", "46_Golden_FIPS_201-2_PIV", "53_FIPS_201-2_Large_Card_Auth_Cert")
]
CARDS = CARDS if FOLDER.is_dir() else []


@cache
def _p12(name: str) -> tuple[object, x509.Certificate]:
    key, certificate, _ = pkcs12.load_key_and_certificates((FOLDER / "ca" / f"{name}.p12").read_bytes(), None)
    assert certificate is not None
    return key, certificate


def _lists(certificate: x509.Certificate) -> list[str]:
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return []
    return [
        name.value
        for point in points
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier)
    ]


def _keep_fresh_lists(certificates: list[x509.Certificate], revoked: set[int]) -> None:
    """Sign, for each certificate, its issuer's CRL with the issuer's published key, and keep it under its address."""
    authorities = [_p12(path.stem) for path in sorted((FOLDER / "ca").glob("*_CA_*.p12"))]
    for certificate in certificates:
        for key, issuer in authorities:
            try:
                certificate.verify_directly_issued_by(issuer)
            except Exception:  # noqa: BLE001, S112 - not its issuer
                continue
            entries = [
                x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - timedelta(days=9)).build()
                for serial in revoked
            ]
            made = (
                x509.CertificateRevocationListBuilder(
                    issuer.subject, NOW - timedelta(hours=1), NOW + timedelta(hours=17), revoked_certificates=entries
                )
                .add_extension(x509.CRLNumber(1), critical=False)
                .sign(key, hashes.SHA256())
            )
            for url in _lists(certificate):
                store.store_object(
                    store.StatusRequest(kind="crl", url=url),
                    made.public_bytes(Encoding.DER),
                    until=NOW + timedelta(hours=17),
                    now=NOW,
                )


@pytest.mark.parametrize(("folder", "file", "verdict"), CARDS, ids=[f"{row[0]}-{row[1]}" for row in CARDS])
def test_published_icam_cards(
    db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, file: str, verdict: Reason | None
) -> None:
    """AU-2, AU-3: each published test card is accepted, or refused for what its folder says is wrong with it."""
    monkeypatch.setattr(configuration, "folder", lambda: tmp_path)
    for name in ("anchors", "intermediates"):
        (tmp_path / name).mkdir()
    authorities = [_p12(path.stem)[1] for path in sorted((FOLDER / "ca").glob("*PIV_*Signing_CA_*.p12"))]
    _, root = _p12(_ROOT)
    (tmp_path / "anchors" / "root.der").write_bytes(root.public_bytes(Encoding.DER))
    (tmp_path / "intermediates" / "all.pem").write_bytes(
        b"".join(one.public_bytes(Encoding.PEM) for one in authorities)
    )
    (tmp_path / "validation.toml").write_text(f'accepted = ["{PIV_AUTH}"]\nrefused = ["{CARD_AUTH}"]\n')
    data = (FOLDER / folder / f"{file}.crt").read_bytes()
    card = (x509.load_pem_x509_certificate if b"-----BEGIN" in data else x509.load_der_x509_certificate)(data)
    revoked = {card.serial_number} if verdict is Reason.CERTIFICATE_REVOKED else set()
    _keep_fresh_lists([card, *authorities], revoked)
    assert _verdict(card.public_bytes(Encoding.DER)) == verdict


def _verdict(der: bytes) -> Reason | None:
    try:
        found: VerifiedCertificate = validate(der, (), now=NOW)
    except (Refused, Unavailable) as refusal:
        return refusal.reason
    assert len(found.fasc_n) == 50
    assert found.policies == (PIV_AUTH,)
    return None
