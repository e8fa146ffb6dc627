"""Certificates that grow from a PIV card: the label, its policy, and the look back after a week (EL-2, EL-3, X-1,
X-10).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine

from demo.pki import number_of
from derived import clock
from derived.changes import review_after_loss
from derived.ledger.locking import under_lock
from derived.models import Authority, Credential, IssuedCertificate
from idp.management.commands.ca import GENERIC
from idp.signals import tending
from tests.fixtures.certificate_authority import issued
from tests.fixtures.certificate_enrolment import policies

if TYPE_CHECKING:
    from pathlib import Path

    from demo.pki import Card
    from tests.fixtures.card_reader import CardSetup
    from tests.fixtures.certificate_authority import Holding
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
ALEX, AGENCY = "alex@example.org", 4700
PIV = "2.16.840.1.101.3.2.1.3.40"


def grown(cards_and_authority: CardSetup, world: World, folder: Path, card: Card, *, ial: int = 3) -> Holding:
    """A certificate from a sign-in with a card."""
    world.push(ALEX)
    row = cards_and_authority.bind(ALEX, card, folder)
    type(row.account).objects.filter(id=row.account_id).update(ial=ial)
    browser = cards_and_authority.reader(card).browser()
    assert cards_and_authority.sign_in(browser).path == "/devices"
    return issued(browser)


@pytest.mark.parametrize(
    ("agency", "ial", "asserts", "label", "policy"),
    [
        (AGENCY, 3, True, "derived_piv", PIV), (AGENCY, 3, False, "derived_piv", GENERIC),
        (AGENCY, 2, True, "generic", GENERIC),
        (9999, 3, True, "generic", GENERIC),
    ],
    ids=["home agency, IAL3", "an authority without that promise", "IAL2", "a foreign agency"],
)  # fmt: skip
def test_policy_40_needs_the_piv_label(
    cards_and_authority: CardSetup,
    world: World,
    tmp_path: Path,
    agency: int,
    ial: int,
    asserts: bool,  # noqa: FBT001
    label: str,
    policy: str,
) -> None:
    """X-1, EL-2, EL-3: .40 only for a card of the home agency, a person at IAL3, and an authority that may say so;
    .41 never (X-9).
    """
    Authority.objects.update(asserts_piv=asserts)
    held = grown(
        cards_and_authority, world, tmp_path, cards_and_authority.pki.card(fasc_n=number_of(agency=agency)), ial=ial
    )
    assert (held.row.credential.label, policies(held)) == (label, [policy])
    assert held.row.policies == [policy]
    assert held.row.credential.aal == 2
    card = Credential.objects.get(kind="piv_card")
    assert str(held.row.uuid) != card.certificates.get().card_uuid


@pytest.mark.database
def test_card_revoked_within_a_week_flags_its_certificate(
    cards_and_authority: CardSetup, world: World, tmp_path: Path
) -> None:
    """X-10: revoked on day 3, flagged on day 7; it still works, because a lost card is not a lost person (trap 1)."""
    card = cards_and_authority.pki.card(fasc_n=number_of(agency=AGENCY))
    held = grown(cards_and_authority, world, tmp_path, card)
    began = clock.now()
    with time_machine.travel(began + timedelta(days=3), tick=True):
        cards_and_authority.pki.revoke(card)
        tending.review_certificates(now=clock.now())
        assert not review_after_loss.marked().exists()
    with time_machine.travel(began + timedelta(days=7, minutes=5), tick=True):
        tending.review_certificates(now=clock.now())
        assert [one.id for one in review_after_loss.marked()] == [held.row.credential_id]
        assert Credential.objects.get(id=held.row.credential_id).state == "active"
        assert IssuedCertificate.objects.get(pk=held.row.pk).rechecked_at is not None
        tending.review_certificates(now=clock.now())
        assert review_after_loss.marked().count() == 1


@pytest.mark.database
def test_card_revoked_after_the_first_check_is_found_the_next_day(
    cards_and_authority: CardSetup, world: World, tmp_path: Path
) -> None:
    """LC-4: good on day 7, revoked on day 12: a review, once; what was derived lives on."""
    card = cards_and_authority.pki.card(fasc_n=number_of(agency=AGENCY))
    held = grown(cards_and_authority, world, tmp_path, card)
    began = clock.now()
    for day, found in ((7, 0), (12, 0), (13, 1), (14, 1)):
        with time_machine.travel(began + timedelta(days=day, minutes=5 * day), tick=True):
            if day == 12:
                tending.review_certificates(now=clock.now())
                cards_and_authority.pki.revoke(card)
            else:
                tending.review_certificates(now=clock.now())
            assert review_after_loss.marked().count() == found, day
    assert Credential.objects.get(id=held.row.credential_id).state == "active"
    account = Credential.objects.get(id=held.row.credential_id).account
    under_lock(
        account.id,
        lambda locked: review_after_loss.record_reviewed(locked, held.row.credential, now=clock.now(), actor="m"),
    )
    with time_machine.travel(began + timedelta(days=16), tick=True):
        tending.review_certificates(now=clock.now())
    assert not review_after_loss.marked().exists()


def test_card_status_is_checked_once_and_retried_without_answer(
    cards_and_authority: CardSetup, world: World, tmp_path: Path
) -> None:
    """X-10: no word is no answer for a week more; then it is let be."""
    card = cards_and_authority.pki.card(fasc_n=number_of(agency=AGENCY))
    held: Any = grown(cards_and_authority, world, tmp_path, card).row
    began = clock.now()
    cards_and_authority.responder.set_all("dead")
    for days, asked in ((8, False), (15, True)):
        with time_machine.travel(began + timedelta(days=days), tick=True):
            tending.review_certificates(now=clock.now())
            assert (IssuedCertificate.objects.get(pk=held.pk).rechecked_at is not None) is asked
    assert not review_after_loss.marked().exists()
