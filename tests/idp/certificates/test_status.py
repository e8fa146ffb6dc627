"""Revocation: fresh signed words only, two mechanisms side by side, kept ones first, and silence is no (C22, AU-2)."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from derived.errors import Reason, Refused, Unavailable
from idp.certificates import engine, prefetch, validate
from idp.models import PkiObject
from tests.fixtures.certificate_refusals import refusal

if TYPE_CHECKING:
    from demo.pki import Card
    from tests.fixtures.pki_with_responder import PkiSetup


def accepted(pki_setup: PkiSetup, card: Card) -> bool:
    """Whether a card may sign in now."""
    return validate(card.der, (), now=pki_setup.now).derived is False


def forget() -> None:
    """Nothing is kept."""
    PkiObject.objects.all().delete()


@pytest.mark.database
@pytest.mark.parametrize("silent", ["ocsp", "crl"])
def test_revoked_card_is_refused_by_ocsp_or_crl_alone(pki_setup: PkiSetup, silent: str) -> None:
    """AU-2: the OCSP responder alone, or the CRL alone, is enough to refuse, also where the other says good."""
    card = pki_setup.pki.card()
    pki_setup.pki.revoke(card)
    pki_setup.responder.modes[silent] = "lying" if silent == "crl" else "dead"
    assert refusal(pki_setup, card) == Reason.CERTIFICATE_REVOKED


def test_revoked_wins_over_good(pki_setup: PkiSetup) -> None:
    """C22: a lying OCSP responder does not outvote the CRL."""
    card = pki_setup.pki.card()
    pki_setup.pki.revoke(card)
    pki_setup.responder.modes["ocsp"] = "lying"
    assert refusal(pki_setup, card) == Reason.CERTIFICATE_REVOKED


@pytest.mark.parametrize("silent", ["ocsp", "crl"])
@pytest.mark.parametrize("mode", ["dead", "stale", "rubbish", "stranger", "refusing"])
def test_one_status_mechanism_is_enough(pki_setup: PkiSetup, silent: str, mode: str) -> None:
    """C22: while the other answers, or what is kept is fresh, a login goes on."""
    if silent == "crl":
        accepted(pki_setup, pki_setup.pki.card())  # the authorities' CRLs are kept, and the agency's with them
        PkiObject.objects.filter(source__endswith="/crl/agency.crl").delete()
    pki_setup.responder.modes[silent] = mode  # type: ignore[assignment]
    assert accepted(pki_setup, pki_setup.pki.card())


@pytest.mark.parametrize("mode", ["dead", "stale", "rubbish", "stranger", "refusing"])
def test_missing_status_is_refused(pki_setup: PkiSetup, mode: str) -> None:
    """C22: no response, an old one, one by another signer, or garbage: the status is unknown, so nobody signs in
    (503).
    """
    pki_setup.responder.set_all(mode)  # type: ignore[arg-type]
    with pytest.raises(Unavailable) as caught:
        validate(pki_setup.pki.card().der, (), now=pki_setup.now)
    assert caught.value.reason == Reason.CERTIFICATE_STATUS_UNKNOWN


def test_slow_responder_does_not_fail_the_login(pki_setup: PkiSetup) -> None:
    """C22: OCSP hangs; the CRL answers; the next login does not wait for it again."""
    (pki_setup.folder / "validation.toml").write_text(
        (pki_setup.folder / "validation.toml").read_text() + "answer_seconds = 1\n"
    )
    pki_setup.responder.modes["ocsp"] = "slow"
    card = pki_setup.pki.card()
    started = time.monotonic()
    assert accepted(pki_setup, card)
    first = time.monotonic() - started
    started = time.monotonic()
    assert accepted(pki_setup, card)
    assert first < 5
    assert time.monotonic() - started < 0.8
    assert pki_setup.asked().count("/ocsp/agency") == 1


def test_status_lookup_time_is_bounded(pki_setup: PkiSetup) -> None:
    """C22: with everything hanging, the answer is no within the configured seconds."""
    (pki_setup.folder / "validation.toml").write_text(
        (pki_setup.folder / "validation.toml").read_text() + "answer_seconds = 1\ntotal_seconds = 2\n"
    )
    pki_setup.responder.set_all("slow")
    started = time.monotonic()
    assert refusal(pki_setup, pki_setup.pki.card()) == Reason.CERTIFICATE_STATUS_UNKNOWN
    assert time.monotonic() - started < 5


@pytest.mark.database
def test_cached_response_serves_until_it_is_stale(pki_setup: PkiSetup) -> None:
    """C22: asked once, used until it is stale, and no longer."""
    card = pki_setup.pki.card()
    assert accepted(pki_setup, card)
    pki_setup.asked()
    assert accepted(pki_setup, card)
    assert pki_setup.asked() == []
    pki_setup.responder.set_all("dead")
    pki_setup.later(hours=11)
    assert accepted(pki_setup, card)  # OCSP answers hold 12 hours, CRLs 18
    pki_setup.later(hours=8)
    assert refusal(pki_setup, card) == Reason.CERTIFICATE_STATUS_UNKNOWN


def test_revocation_is_seen_after_the_cache_time(pki_setup: PkiSetup) -> None:
    """C22: ten minutes later OCSP is asked again, though the kept answer would still hold."""
    card = pki_setup.pki.card()
    assert accepted(pki_setup, card)
    pki_setup.pki.revoke(card)
    pki_setup.later(minutes=11)
    assert refusal(pki_setup, card) == Reason.CERTIFICATE_REVOKED


def test_operators_limit_wins_over_next_update(pki_setup: PkiSetup) -> None:
    """C22: the operator's limit wins over a long nextUpdate."""
    pki_setup.lay(policy="card_status_hours = 2\n")
    card = pki_setup.pki.card()
    assert accepted(pki_setup, card)
    pki_setup.responder.set_all("dead")
    pki_setup.later(hours=1, minutes=50)
    assert accepted(pki_setup, card)
    pki_setup.later(minutes=10)
    assert refusal(pki_setup, card) == Reason.CERTIFICATE_STATUS_UNKNOWN


def test_stricter_limit_applies_to_cached_responses(pki_setup: PkiSetup) -> None:
    """C22: an operator shortens the limit; answers kept under the old one are not believed longer."""
    card = pki_setup.pki.card()
    assert accepted(pki_setup, card)
    pki_setup.lay(policy="card_status_hours = 2\n")
    pki_setup.responder.set_all("dead")
    pki_setup.later(hours=3)
    assert refusal(pki_setup, card) == Reason.CERTIFICATE_STATUS_UNKNOWN


@pytest.mark.database
def test_replayed_older_response_does_not_replace_a_newer(pki_setup: PkiSetup) -> None:
    """C22: over plain http, yesterday's CRL that is still valid cannot undo a revocation that was seen already."""
    card = pki_setup.pki.card(ocsp_too=False)
    pki_setup.pki.revoke(card)
    assert refusal(pki_setup, card) == Reason.CERTIFICATE_REVOKED
    pki_setup.pki.authorities["agency"].revoked.clear()
    pki_setup.later(hours=2)
    pki_setup.responder.clock = lambda: pki_setup.now - timedelta(hours=3)
    assert refusal(pki_setup, card) == Reason.CERTIFICATE_REVOKED


@pytest.mark.parametrize("silent", ["ocsp", "crl"])
def test_listed_serial_is_revoked_whatever_the_date(pki_setup: PkiSetup, silent: str) -> None:
    """C22: an authority's clock is ahead of ours, so the revocation seems to lie in the future; it counts."""
    card = pki_setup.pki.card()
    pki_setup.pki.revoke(card, at=pki_setup.now + timedelta(seconds=50))
    if silent == "crl":
        pki_setup.responder.modes["crl"] = "lying"
    else:
        pki_setup.responder.modes["ocsp"] = "dead"
    assert refusal(pki_setup, card) == Reason.CERTIFICATE_REVOKED


@pytest.mark.parametrize(("ahead", "good"), [(55, True), (65, False)])
# a parameter of the test
def test_responder_clock_may_be_a_minute_ahead(pki_setup: PkiSetup, ahead: int, good: bool) -> None:  # noqa: FBT001
    """C22: clocks differ a little; answers from further ahead are not believed."""
    pki_setup.responder.clock = lambda: pki_setup.now + timedelta(minutes=5, seconds=ahead)
    if good:
        assert accepted(pki_setup, pki_setup.pki.card())
    else:
        assert refusal(pki_setup, pki_setup.pki.card()) == Reason.CERTIFICATE_STATUS_UNKNOWN


def test_revoked_authority_invalidates_its_cards(pki_setup: PkiSetup) -> None:
    """AU-2: the whole path is asked about; the card itself was not revoked, so its issuer is what is not trusted."""
    pki_setup.pki.revoke_authority("agency", by="bridge")
    assert refusal(pki_setup, pki_setup.pki.card()) == Reason.CERTIFICATE_UNTRUSTED
    assert accepted(pki_setup, pki_setup.pki.card(issuer="other"))


def test_status_of_the_authorities_is_required(pki_setup: PkiSetup) -> None:
    """C22: OCSP answers good for the card, and no status exists for its issuer."""
    card = pki_setup.pki.card()
    accepted(pki_setup, card)
    PkiObject.objects.filter(source__endswith="/crl/bridge.crl").delete()
    pki_setup.responder.modes["crl"] = "dead"
    assert refusal(pki_setup, card) == Reason.CERTIFICATE_STATUS_UNKNOWN


@pytest.mark.parametrize("by_card", [False, True])
def test_delta_crl_counts(pki_setup: PkiSetup, by_card: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """C22: revoked since the base, told by the delta that the CRL, or the certificate, names."""
    pki_setup.responder.delta = True
    pki_setup.responder.names_delta = not by_card
    pki_setup.responder.modes["ocsp"] = "dead"
    card, other = pki_setup.pki.card(delta=by_card), pki_setup.pki.card(delta=by_card)
    pki_setup.pki.revoke(card)
    assert refusal(pki_setup, card) == Reason.CERTIFICATE_REVOKED
    assert accepted(pki_setup, other)
    assert "/crl/agency-delta.crl" in pki_setup.asked()


def test_missing_delta_makes_the_crl_useless(pki_setup: PkiSetup) -> None:
    """C22: the base names a delta; without it, revocations since the base are unknown."""
    pki_setup.responder.delta = True
    pki_setup.responder.modes["ocsp"] = "dead"
    real = pki_setup.responder.answer
    pki_setup.responder.answer = lambda path, body: (404, "text/plain", b"") if "delta" in path else real(path, body)  # type: ignore[method-assign]
    assert refusal(pki_setup, pki_setup.pki.card()) == Reason.CERTIFICATE_STATUS_UNKNOWN


def _request(pki_setup: PkiSetup, card: Card) -> bytes:
    issuer = pki_setup.pki.authorities["agency"].certificates[0]
    return (
        ocsp.OCSPRequestBuilder()
        .add_certificate(card.certificate, issuer, hashes.SHA1())  # noqa: S303
        .build()
        .public_bytes(Encoding.DER)
    )


@pytest.mark.parametrize(
    "fault", ["no purpose", "expired", "another authority", "another nonce", "for another card", "good by nobody"]
)
def test_responder_must_be_authorised(pki_setup: PkiSetup, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 6960 §4.2.2.2: OCSPSigning by the same authority, valid now; the answer is about this card and our
    question.
    """
    card, another = pki_setup.pki.card(), pki_setup.pki.card()
    agency, outside = pki_setup.pki.authorities["agency"], pki_setup.pki.authorities["outside"]
    signers = {
        "no purpose": lambda: pki_setup.pki.make_responder(agency, may_sign=False),
        "expired": lambda: pki_setup.pki.make_responder(agency, not_after=pki_setup.now - timedelta(minutes=1)),
        "another authority": lambda: pki_setup.pki.make_responder(outside),  # of the same name
        "good by nobody": lambda: (pki_setup.pki.responder_of(agency)[0], ec.generate_private_key(ec.SECP256R1())),
    }
    real = pki_setup.pki.ocsp

    def bent(request: bytes, **how: object) -> bytes:
        if fault == "another nonce":
            asked = ocsp.load_der_ocsp_request(request)
            other = (
                ocsp.OCSPRequestBuilder()
                .add_certificate_by_hash(
                    asked.issuer_name_hash,
                    asked.issuer_key_hash,
                    asked.serial_number,
                    hashes.SHA1(),  # noqa: S303
                )
                .add_extension(x509.OCSPNonce(b"x" * 32), critical=False)
                .build()
            )
            return real(other.public_bytes(Encoding.DER), **how)  # type: ignore[arg-type]
        if fault == "for another card":
            return real(_request(pki_setup, another), **how)  # type: ignore[arg-type]
        return real(request, **{**how, "signer": signers[fault]()})  # type: ignore[arg-type]

    accepted(pki_setup, another)  # the authorities' CRLs are kept
    PkiObject.objects.filter(source__endswith="/crl/agency.crl").delete()
    pki_setup.responder.modes["crl"] = "dead"
    pki_setup.later(seconds=10)
    monkeypatch.setattr(pki_setup.pki, "ocsp", bent)
    assert refusal(pki_setup, card) == Reason.CERTIFICATE_STATUS_UNKNOWN
    monkeypatch.setattr(pki_setup.pki, "ocsp", real)
    pki_setup.later(seconds=10)
    assert accepted(pki_setup, card)


@pytest.mark.parametrize("how", [{"delegated": False}, {"nonce": False}])
def test_authority_signed_response_and_missing_nonce_are_accepted(
    pki_setup: PkiSetup, how: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 6960, RFC 9654: the authority may sign itself; many responders echo no nonce, and then freshness counts."""
    real = pki_setup.pki.ocsp
    monkeypatch.setattr(pki_setup.pki, "ocsp", lambda request, **more: real(request, **{**more, **how}))
    card = pki_setup.pki.card()
    accepted(pki_setup, pki_setup.pki.card())
    PkiObject.objects.filter(source__endswith="/crl/agency.crl").delete()
    pki_setup.responder.modes["crl"] = "dead"
    pki_setup.later(seconds=10)
    assert accepted(pki_setup, card)


def test_unverifiable_response_is_not_cached(pki_setup: PkiSetup) -> None:
    """C22: what cannot be verified is not kept."""
    card = pki_setup.pki.card()
    accepted(pki_setup, card)
    before = {row.key: bytes(row.body) for row in PkiObject.objects.filter(body__isnull=False)}
    pki_setup.responder.set_all("stranger")
    pki_setup.later(hours=2)
    assert accepted(pki_setup, card)
    assert {row.key: bytes(row.body) for row in PkiObject.objects.filter(body__isnull=False)} == before
    assert PkiObject.objects.filter(last_error="not usable").exists()


def test_certificate_without_status_pointers_is_refused(pki_setup: PkiSetup) -> None:
    """C22: a certificate that names no source of news gets none."""
    assert refusal(pki_setup, pki_setup.pki.card(pointers=False)) == Reason.CERTIFICATE_STATUS_UNKNOWN


@pytest.mark.parametrize("only", ["ocsp", "crl"])
def test_operator_may_choose_one_mechanism(pki_setup: PkiSetup, only: str) -> None:
    """C22: with `status_from` only that one is asked (here the authorities have CRLs alone)."""
    pki_setup.lay(policy=f'status_from = ["{only}"]\n')
    card = pki_setup.pki.card()
    if only == "crl":
        assert accepted(pki_setup, card)
        assert not [path for path in pki_setup.asked() if path.startswith("/ocsp")]
    else:
        assert refusal(pki_setup, card) == Reason.CERTIFICATE_STATUS_UNKNOWN
        assert not [path for path in pki_setup.asked() if path.startswith("/crl")]


@pytest.mark.database
def test_worker_prefetches_crls(pki_setup: PkiSetup) -> None:
    """C22: after an hour kept CRLs are fetched again; a login then needs no network; a stranger's list is not taken."""
    card = pki_setup.pki.card(ocsp_too=False)
    accepted(pki_setup, card)
    pki_setup.asked()
    assert prefetch(now=pki_setup.now) == 0
    assert prefetch(now=pki_setup.later(minutes=61)) == 3
    assert pki_setup.asked() == ["/crl/agency.crl", "/crl/bridge.crl", "/crl/root.crl"]
    assert accepted(pki_setup, card)
    assert pki_setup.asked() == []
    pki_setup.responder.modes["crl"] = "stranger"
    assert prefetch(now=pki_setup.later(minutes=61)) == 0
    assert accepted(pki_setup, card)


def test_refusal_and_outage_are_different_errors(pki_setup: PkiSetup) -> None:
    """Revoked is a refusal; unknown status is an invitation to try again."""
    card = pki_setup.pki.card()
    pki_setup.pki.revoke(card)
    with pytest.raises(Refused):
        validate(card.der, (), now=pki_setup.now)


@pytest.mark.parametrize(
    ("issuer", "base", "delta", "kept"),
    [("agency", 1, 3, 2), ("agency", 3, 3, 2), ("agency", 5, 3, 1), ("agency", 0, 3, 1), ("other", 1, 3, 1)],
)
def test_delta_belongs_to_its_base(pki_setup: PkiSetup, issuer: str, base: int, delta: int, kept: int) -> None:
    """RFC 5280 §5.2.4: same issuer, and a base neither older than the delta's own base nor newer than the delta."""
    lists = [pki_setup.pki.crl(issuer, number=base), pki_setup.pki.crl("agency", delta=True, number=delta)]
    assert len(engine.combinable([found for found in map(engine._crl, lists) if found is not None])) == kept
