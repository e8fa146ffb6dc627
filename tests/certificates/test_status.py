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
from tests.certificates.test_validate import refusal

if TYPE_CHECKING:
    from demo.pki import Card
    from tests.certificates.conftest import Bench

pytestmark = pytest.mark.database


def accepted(bench: Bench, card: Card) -> bool:
    """Whether a card may sign in now."""
    return validate(card.der, (), now=bench.now).derived is False


def forget() -> None:
    """Nothing is kept."""
    PkiObject.objects.all().delete()


@pytest.mark.parametrize("silent", ["ocsp", "crl"])
def test_a_revoked_card_is_refused_by_either_mechanism(bench: Bench, silent: str) -> None:
    """AU-2: the OCSP responder alone, or the CRL alone, is enough to refuse, also where the other says good."""
    card = bench.pki.card()
    bench.pki.revoke(card)
    bench.responder.modes[silent] = "lying" if silent == "crl" else "dead"
    assert refusal(bench, card) == Reason.CERTIFICATE_REVOKED


def test_revoked_wins_over_good(bench: Bench) -> None:
    """C22: a lying OCSP responder does not outvote the CRL."""
    card = bench.pki.card()
    bench.pki.revoke(card)
    bench.responder.modes["ocsp"] = "lying"
    assert refusal(bench, card) == Reason.CERTIFICATE_REVOKED


@pytest.mark.parametrize("silent", ["ocsp", "crl"])
@pytest.mark.parametrize("mode", ["dead", "stale", "rubbish", "stranger", "refusing"])
def test_one_mechanism_is_enough(bench: Bench, silent: str, mode: str) -> None:
    """C22: while the other answers, or what is kept is fresh, a login goes on."""
    if silent == "crl":
        accepted(bench, bench.pki.card())  # the authorities' CRLs are kept, and the agency's with them
        PkiObject.objects.filter(source__endswith="/crl/agency.crl").delete()
    bench.responder.modes[silent] = mode  # type: ignore[assignment]
    assert accepted(bench, bench.pki.card())


@pytest.mark.parametrize("mode", ["dead", "stale", "rubbish", "stranger", "refusing"])
def test_silence_is_no(bench: Bench, mode: str) -> None:
    """C22: no answer, an old one, one by somebody else, or rubbish: nobody can know, so nobody signs in (503)."""
    bench.responder.set_all(mode)  # type: ignore[arg-type]
    with pytest.raises(Unavailable) as caught:
        validate(bench.pki.card().der, (), now=bench.now)
    assert caught.value.reason == Reason.CERTIFICATE_STATUS_UNKNOWN


def test_a_slow_responder_costs_seconds_and_no_login(bench: Bench) -> None:
    """C22: OCSP hangs; the CRL answers; the next login does not wait for it again."""
    (bench.folder / "validation.toml").write_text(
        (bench.folder / "validation.toml").read_text() + "answer_seconds = 1\n"
    )
    bench.responder.modes["ocsp"] = "slow"
    card = bench.pki.card()
    started = time.monotonic()
    assert accepted(bench, card)
    first = time.monotonic() - started
    started = time.monotonic()
    assert accepted(bench, card)
    assert first < 5
    assert time.monotonic() - started < 0.8
    assert bench.asked().count("/ocsp/agency") == 1


def test_all_of_it_together_is_bounded(bench: Bench) -> None:
    """C22: with everything hanging, the answer is no within the configured seconds."""
    (bench.folder / "validation.toml").write_text(
        (bench.folder / "validation.toml").read_text() + "answer_seconds = 1\ntotal_seconds = 2\n"
    )
    bench.responder.set_all("slow")
    started = time.monotonic()
    assert refusal(bench, bench.pki.card()) == Reason.CERTIFICATE_STATUS_UNKNOWN
    assert time.monotonic() - started < 5


def test_a_kept_answer_spares_the_network_and_serves_while_all_is_dead(bench: Bench) -> None:
    """C22: asked once, used until it is stale, and no longer."""
    card = bench.pki.card()
    assert accepted(bench, card)
    bench.asked()
    assert accepted(bench, card)
    assert bench.asked() == []
    bench.responder.set_all("dead")
    bench.later(hours=11)
    assert accepted(bench, card)  # OCSP answers hold 12 hours, CRLs 18
    bench.later(hours=8)
    assert refusal(bench, card) == Reason.CERTIFICATE_STATUS_UNKNOWN


def test_a_revocation_is_seen_when_the_kept_answer_gets_old(bench: Bench) -> None:
    """C22: ten minutes later OCSP is asked again, though the kept answer would still hold."""
    card = bench.pki.card()
    assert accepted(bench, card)
    bench.pki.revoke(card)
    bench.later(minutes=11)
    assert refusal(bench, card) == Reason.CERTIFICATE_REVOKED


def test_old_news_are_not_believed_though_their_issuer_would(bench: Bench) -> None:
    """C22: the operator's limit wins over a long nextUpdate."""
    bench.lay(policy="card_status_hours = 2\n")
    card = bench.pki.card()
    assert accepted(bench, card)
    bench.responder.set_all("dead")
    bench.later(hours=1, minutes=50)
    assert accepted(bench, card)
    bench.later(minutes=10)
    assert refusal(bench, card) == Reason.CERTIFICATE_STATUS_UNKNOWN


def test_a_stricter_limit_holds_for_what_is_kept_already(bench: Bench) -> None:
    """C22: an operator shortens the limit; answers kept under the old one are not believed longer."""
    card = bench.pki.card()
    assert accepted(bench, card)
    bench.lay(policy="card_status_hours = 2\n")
    bench.responder.set_all("dead")
    bench.later(hours=3)
    assert refusal(bench, card) == Reason.CERTIFICATE_STATUS_UNKNOWN


def test_an_older_answer_played_back_does_not_replace_a_newer(bench: Bench) -> None:
    """C22: on a plain-http road, yesterday's CRL that still holds cannot undo a revocation already seen."""
    card = bench.pki.card(ocsp_too=False)
    bench.pki.revoke(card)
    assert refusal(bench, card) == Reason.CERTIFICATE_REVOKED
    bench.pki.authorities["agency"].revoked.clear()
    bench.later(hours=2)
    bench.responder.clock = lambda: bench.now - timedelta(hours=3)
    assert refusal(bench, card) == Reason.CERTIFICATE_REVOKED


@pytest.mark.parametrize("silent", ["ocsp", "crl"])
def test_listed_is_revoked_whatever_the_date(bench: Bench, silent: str) -> None:
    """C22: an authority's clock is ahead of ours, so the revocation seems to lie in the future; it counts."""
    card = bench.pki.card()
    bench.pki.revoke(card, at=bench.now + timedelta(seconds=50))
    if silent == "crl":
        bench.responder.modes["crl"] = "lying"
    else:
        bench.responder.modes["ocsp"] = "dead"
    assert refusal(bench, card) == Reason.CERTIFICATE_REVOKED


@pytest.mark.parametrize(("ahead", "good"), [(55, True), (65, False)])
def test_a_responder_may_be_a_minute_ahead(bench: Bench, ahead: int, good: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """C22: clocks differ a little; answers from further ahead are not believed."""
    bench.responder.clock = lambda: bench.now + timedelta(minutes=5, seconds=ahead)
    if good:
        assert accepted(bench, bench.pki.card())
    else:
        assert refusal(bench, bench.pki.card()) == Reason.CERTIFICATE_STATUS_UNKNOWN


def test_a_revoked_authority_takes_its_cards_along(bench: Bench) -> None:
    """AU-2: the whole path is asked about; the card itself was not revoked, so its issuer is what is not trusted."""
    bench.pki.revoke_authority("agency", by="bridge")
    assert refusal(bench, bench.pki.card()) == Reason.CERTIFICATE_UNTRUSTED
    assert accepted(bench, bench.pki.card(issuer="other"))


def test_news_of_the_authorities_are_needed(bench: Bench) -> None:
    """C22: OCSP says good of the card; nobody says anything of its issuer."""
    card = bench.pki.card()
    accepted(bench, card)
    PkiObject.objects.filter(source__endswith="/crl/bridge.crl").delete()
    bench.responder.modes["crl"] = "dead"
    assert refusal(bench, card) == Reason.CERTIFICATE_STATUS_UNKNOWN


@pytest.mark.parametrize("by_card", [False, True])
def test_a_delta_crl_counts(bench: Bench, by_card: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """C22: revoked since the base, told by the delta that the CRL, or the certificate, names."""
    bench.responder.delta = True
    bench.responder.names_delta = not by_card
    bench.responder.modes["ocsp"] = "dead"
    card, other = bench.pki.card(delta=by_card), bench.pki.card(delta=by_card)
    bench.pki.revoke(card)
    assert refusal(bench, card) == Reason.CERTIFICATE_REVOKED
    assert accepted(bench, other)
    assert "/crl/agency-delta.crl" in bench.asked()


def test_a_named_delta_that_does_not_come_leaves_the_crl_silent(bench: Bench) -> None:
    """C22: the base promises a delta; without it nobody knows what was revoked since."""
    bench.responder.delta = True
    bench.responder.modes["ocsp"] = "dead"
    real = bench.responder.answer
    bench.responder.answer = lambda path, body: (404, "text/plain", b"") if "delta" in path else real(path, body)  # type: ignore[method-assign]
    assert refusal(bench, bench.pki.card()) == Reason.CERTIFICATE_STATUS_UNKNOWN


def _request(bench: Bench, card: Card) -> bytes:
    issuer = bench.pki.authorities["agency"].certificates[0]
    return (
        ocsp.OCSPRequestBuilder()
        .add_certificate(card.certificate, issuer, hashes.SHA1())  # noqa: S303
        .build()
        .public_bytes(Encoding.DER)
    )


@pytest.mark.parametrize(
    "fault", ["no purpose", "expired", "another authority", "another nonce", "for another card", "good by nobody"]
)
def test_a_responder_must_be_entitled(bench: Bench, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 6960 §4.2.2.2: OCSPSigning by the same authority, valid now; the answer is about this card and our question."""
    card, another = bench.pki.card(), bench.pki.card()
    agency, outside = bench.pki.authorities["agency"], bench.pki.authorities["outside"]
    signers = {
        "no purpose": lambda: bench.pki.make_responder(agency, may_sign=False),
        "expired": lambda: bench.pki.make_responder(agency, not_after=bench.now - timedelta(minutes=1)),
        "another authority": lambda: bench.pki.make_responder(outside),  # of the same name
        "good by nobody": lambda: (bench.pki.responder_of(agency)[0], ec.generate_private_key(ec.SECP256R1())),
    }
    real = bench.pki.ocsp

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
            return real(_request(bench, another), **how)  # type: ignore[arg-type]
        return real(request, **{**how, "signer": signers[fault]()})  # type: ignore[arg-type]

    accepted(bench, another)  # the authorities' CRLs are kept
    PkiObject.objects.filter(source__endswith="/crl/agency.crl").delete()
    bench.responder.modes["crl"] = "dead"
    bench.later(seconds=10)
    monkeypatch.setattr(bench.pki, "ocsp", bent)
    assert refusal(bench, card) == Reason.CERTIFICATE_STATUS_UNKNOWN
    monkeypatch.setattr(bench.pki, "ocsp", real)
    bench.later(seconds=10)
    assert accepted(bench, card)


@pytest.mark.parametrize("how", [{"delegated": False}, {"nonce": False}])
def test_other_ways_to_answer_are_good(bench: Bench, how: dict[str, bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 6960, RFC 9654: the authority may sign itself; many responders echo no nonce, and then freshness counts."""
    real = bench.pki.ocsp
    monkeypatch.setattr(bench.pki, "ocsp", lambda request, **more: real(request, **{**more, **how}))
    card = bench.pki.card()
    accepted(bench, bench.pki.card())
    PkiObject.objects.filter(source__endswith="/crl/agency.crl").delete()
    bench.responder.modes["crl"] = "dead"
    bench.later(seconds=10)
    assert accepted(bench, card)


def test_a_bad_answer_does_not_push_out_a_good_one(bench: Bench) -> None:
    """C22: what cannot be verified is not kept."""
    card = bench.pki.card()
    accepted(bench, card)
    before = {row.key: bytes(row.body) for row in PkiObject.objects.filter(body__isnull=False)}
    bench.responder.set_all("stranger")
    bench.later(hours=2)
    assert accepted(bench, card)
    assert {row.key: bytes(row.body) for row in PkiObject.objects.filter(body__isnull=False)} == before
    assert PkiObject.objects.filter(last_error="not usable").exists()


def test_a_card_without_pointers_cannot_be_known(bench: Bench) -> None:
    """C22: a certificate that names no source of news gets none."""
    assert refusal(bench, bench.pki.card(pointers=False)) == Reason.CERTIFICATE_STATUS_UNKNOWN


@pytest.mark.parametrize("only", ["ocsp", "crl"])
def test_an_operator_may_choose_one_mechanism(bench: Bench, only: str) -> None:
    """C22: with `status_from` only that one is asked (here the authorities have CRLs alone)."""
    bench.lay(policy=f'status_from = ["{only}"]\n')
    card = bench.pki.card()
    if only == "crl":
        assert accepted(bench, card)
        assert not [path for path in bench.asked() if path.startswith("/ocsp")]
    else:
        assert refusal(bench, card) == Reason.CERTIFICATE_STATUS_UNKNOWN
        assert not [path for path in bench.asked() if path.startswith("/crl")]


def test_the_worker_fetches_crls_before_they_are_needed(bench: Bench) -> None:
    """C22: after an hour kept CRLs are fetched again; a login then needs no network; a stranger's list is not taken."""
    card = bench.pki.card(ocsp_too=False)
    accepted(bench, card)
    bench.asked()
    assert prefetch(now=bench.now) == 0
    assert prefetch(now=bench.later(minutes=61)) == 3
    assert bench.asked() == ["/crl/agency.crl", "/crl/bridge.crl", "/crl/root.crl"]
    assert accepted(bench, card)
    assert bench.asked() == []
    bench.responder.modes["crl"] = "stranger"
    assert prefetch(now=bench.later(minutes=61)) == 0
    assert accepted(bench, card)


def test_a_refusal_is_not_an_outage(bench: Bench) -> None:
    """The two exceptions differ: revoked is a rule's no, unknown is an invitation to try again."""
    card = bench.pki.card()
    bench.pki.revoke(card)
    with pytest.raises(Refused):
        validate(card.der, (), now=bench.now)


@pytest.mark.parametrize(
    ("issuer", "base", "delta", "kept"),
    [("agency", 1, 3, 2), ("agency", 3, 3, 2), ("agency", 5, 3, 1), ("agency", 0, 3, 1), ("other", 1, 3, 1)],
)
def test_a_delta_belongs_to_its_base(bench: Bench, issuer: str, base: int, delta: int, kept: int) -> None:
    """RFC 5280 §5.2.4: same issuer, and a base neither older than the delta's own base nor newer than the delta."""
    lists = [bench.pki.crl(issuer, number=base), bench.pki.crl("agency", delta=True, number=delta)]
    assert len(engine.combinable([found for found in map(engine._crl, lists) if found is not None])) == kept
