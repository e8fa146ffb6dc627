"""Whatever bytes come, the answer is a refusal (X1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given, settings
from hypothesis import strategies as st

from derived.errors import Reason, Refused, Unavailable
from idp.certificates import configuration, validate
from tests.fixtures.live_server import LONG
from tests.fixtures.pki_with_responder import NOW

if TYPE_CHECKING:
    from tests.fixtures.pki_with_responder import PkiSetup

FUZZ = settings(max_examples=300 if LONG else 100)


@FUZZ
@given(der=st.binary(max_size=400), chain=st.lists(st.binary(max_size=100), max_size=3))
@example(der=b"0\x80", chain=[])
def test_random_bytes_are_refused(pki_setup: PkiSetup, der: bytes, chain: list[bytes]) -> None:
    """Random bytes are malformed."""
    with pytest.raises(Refused) as caught:
        validate(der, chain, now=NOW)
    assert caught.value.reason == Reason.CERTIFICATE_MALFORMED


@FUZZ
@given(data=st.data())
def test_mutated_certificates_are_refused(pki_setup: PkiSetup, data: st.DataObject) -> None:
    """A good certificate with a few bytes changed, cut out or doubled: never accepted, and never anything but a
    refusal.
    """
    card = _card(pki_setup)
    der = bytearray(card)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(der) - 1))
        match data.draw(st.sampled_from(["change", "cut", "double"])):
            case "change":
                der[at] ^= data.draw(st.integers(1, 255))
            case "cut":
                del der[at]
            case _:
                der.insert(at, der[at])
    if bytes(der) == card:
        return
    with pytest.raises((Refused, Unavailable)):
        validate(bytes(der), [bytes(der)], now=NOW)


@FUZZ
@given(data=st.data())
def test_mutated_chains_are_handled(pki_setup: PkiSetup, data: st.DataObject) -> None:
    """Anything may be sent beside the leaf: the good leaf is accepted or refused, with no other exception."""
    whole = bytearray(pki_setup.pki.intermediates()[data.draw(st.integers(0, 4))].public_bytes(Encoding.DER))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    try:
        validate(_card(pki_setup), [bytes(whole)], now=NOW)
    except (Refused, Unavailable):
        return


_CARDS: dict[int, bytes] = {}


def _card(pki_setup: PkiSetup) -> bytes:
    return _CARDS.setdefault(id(pki_setup), pki_setup.pki.card().der)


BAD = [
    ("unknown = 1", "unknown is not known"),
    ("accepted = []", "accepted must not be empty"),
    ("accepted = ['2.5.29.32.0']", "not usable"),
    ("accepted = ['PIV']", "not usable"),
    ("accepted = '2.16'", "must be a list"),
    ("fetch_from = ['http://crl.example']", "not usable"),
    ("fetch_from = ['*.example']", "not usable"),
    ("card_status_hours = 0", "whole number"),
    ("card_status_hours = true", "whole number"),
    ("card_status_hours = 1000", "whole number"),
    ("status_from = ['none']", "not usable"),
    ("accepted = [", "validation.toml"),
    ("refused = ['2.16.840.1.101.3.2.1.3.13']", "stands twice"),
    ("answer_seconds = 5\ntotal_seconds = 2", "total_seconds"),
]


@pytest.mark.parametrize(("text", "words"), BAD, ids=[row[0] for row in BAD])
def test_policy_mistake_stops_the_start(pki_setup: PkiSetup, text: str, words: str) -> None:
    """C22: an unknown key or a bad value is an error of the system check, never ignored."""
    from idp.checks.pki_folder import pki_folder_is_usable

    assert pki_folder_is_usable() == []
    (pki_setup.folder / "validation.toml").write_text(text + "\n")
    [fault, *_] = pki_folder_is_usable()
    assert fault.id == "ramet.E030"
    assert words in fault.msg


@pytest.mark.parametrize(
    "content", [b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "leaf"]
)
def test_invalid_anchor_stops_the_start(pki_setup: PkiSetup, content: bytes | str) -> None:
    """C22: an unreadable anchor, or an end-entity certificate among the anchors, stops the start."""
    from idp.checks.pki_folder import pki_folder_is_usable

    (pki_setup.folder / "anchors" / "x.pem").write_bytes(
        pki_setup.pki.card().pem if isinstance(content, str) else content
    )
    assert [fault.id for fault in pki_folder_is_usable()] == ["ramet.E030"]
    with pytest.raises(configuration.BadConfiguration):
        configuration.current()


def test_expired_anchor_is_reported(pki_setup: PkiSetup) -> None:
    """The operator gets a warning; no certificate below it is accepted."""
    from datetime import timedelta

    import time_machine

    from idp.checks.pki_folder import pki_folder_is_usable

    with time_machine.travel(NOW + timedelta(days=4000)):
        assert [fault.id for fault in pki_folder_is_usable()] == ["ramet.W031"]
