"""Paths are found in a mesh, shortest first, and looking for them is bounded (row 3a)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from asn1crypto import x509 as asn1
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko_certvalidator.sig_validate import DefaultSignatureValidator

from demo.pki import Pki
from derived.errors import Reason, Refused
from idp.certificates import paths, validate
from tests.fixtures.pki_with_responder import NOW

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from tests.fixtures.pki_with_responder import PkiSetup


def engine_form(certificate: Certificate) -> asn1.Certificate:
    """As the builder takes it."""
    return asn1.Certificate.load(certificate.public_bytes(Encoding.DER))


def mesh(size: int, *, anchored: bool) -> tuple[asn1.Certificate, list[asn1.Certificate], asn1.Certificate]:
    """A leaf, a pool in which each of `size` authorities is certified by five others, and an anchor."""
    pki = Pki(now=NOW, base_url="http://127.0.0.1:1")
    root = pki.authority("root", "Root", organisation="Mesh")
    anchor = pki.certify(root, by=root)
    made = [pki.authority(f"ca{number}", f"CA {number}", organisation="Mesh") for number in range(size)]
    pool = [
        pki.certify(one, by=made[(index + step) % size]) for index, one in enumerate(made) for step in (1, 3, 7, 20, 55)
    ]
    if anchored:
        pool.append(pki.certify(made[4], by=root))
    return engine_form(pki.card(issuer="ca0").certificate), [engine_form(one) for one in pool], engine_form(anchor)


def test_mesh_of_two_hundred_authorities_takes_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """C22: counted, not timed: at most 32 paths, none deeper than six, the shortest first."""
    leaf, pool, anchor = mesh(200, anchored=True)
    asked = []
    real = paths._Node.may_have_issued
    monkeypatch.setattr(paths._Node, "may_have_issued", lambda upper, lower: asked.append(1) or real(upper, lower))
    found = list(paths.build(leaf, pool, [anchor]))
    assert 1 <= len(found) <= paths.MOST_PATHS
    assert all(len(path) <= paths.DEEPEST + 1 and path[0] is leaf and path[-1] is anchor for path in found)
    assert [len(path) for path in found] == sorted(len(path) for path in found)
    assert len(found[0]) == 5  # leaf, CA 0, CA 1 or 3, CA 4, anchor
    assert len(asked) < 10_000


def test_mesh_without_an_anchor_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """C22: where no anchor certified anybody, no step is taken."""
    leaf, pool, anchor = mesh(200, anchored=False)
    asked = []
    real = paths._Node.may_have_issued
    monkeypatch.setattr(paths._Node, "may_have_issued", lambda upper, lower: asked.append(1) or real(upper, lower))
    assert list(paths.build(leaf, pool, [anchor])) == []
    assert len(asked) < 100


def test_paths_have_six_certificates_at_most() -> None:
    """C22: a chain of seven below the anchor is not found, one of six is."""
    pki = Pki(now=NOW, base_url="http://127.0.0.1:1")
    above = pki.authority("root", "Root", organisation="Chain")
    anchor = engine_form(pki.certify(above, by=above))
    pool, lengths = [], []
    for number in range(6):
        below = pki.authority(f"ca{number}", f"CA {number}", organisation="Chain")
        pool.append(engine_form(pki.certify(below, by=above)))
        lengths.append(
            [len(path) for path in paths.build(engine_form(pki.card(issuer=below.label).certificate), pool, [anchor])]
        )
        above = below
    assert lengths == [[3], [4], [5], [6], [7], []]


def test_forged_cross_certificates_cost_a_bounded_number_of_signatures(
    pki_setup: PkiSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C22: forty forged certificates by the bridge, with its name and key identifier; a card of the agency's twin is
    refused after 32 paths.
    """
    agency, bridge = pki_setup.pki.authorities["agency"], pki_setup.pki.authorities["bridge"]
    for number in range(40):
        der = bytearray(pki_setup.pki.certify(agency, by=bridge).public_bytes(Encoding.DER))
        der[-1] ^= 1
        (pki_setup.folder / "intermediates" / f"{number}.der").write_bytes(bytes(der))
    pki_setup.responder.modes["aia"] = "dead"
    checks = []
    real = DefaultSignatureValidator.validate_signature
    monkeypatch.setattr(
        DefaultSignatureValidator, "validate_signature", lambda *args, **more: checks.append(1) or real(*args, **more)
    )
    card = pki_setup.pki.card(issuer="outside", key_ids=False)
    with pytest.raises(Refused) as caught:
        validate(card.der, (), now=pki_setup.now)
    assert caught.value.reason == Reason.CERTIFICATE_UNTRUSTED
    assert paths.MOST_PATHS < len(checks) <= paths.MOST_PATHS * 2 + 1  # each fails at its second
