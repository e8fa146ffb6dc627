"""Certificates that grow from a PIV card: the label, its policy, and the look back after a week (EL-2, EL-3, X-1, X-10)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from cryptography import x509

from demo.pki import number_of
from derived import clock
from derived.changes import review_after_loss
from derived.models import Authority, Credential, IssuedCertificate
from idp.management.commands.ca import GENERIC
from idp.signals import tending
from tests.x509.office import issued

if TYPE_CHECKING:
    from pathlib import Path

    from demo.pki import Card
    from tests.card.desk import Desk
    from tests.world import World
    from tests.x509.office import Holding

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ALEX, AGENCY = "alex@example.org", 4700
PIV = "2.16.840.1.101.3.2.1.3.40"


def grown(desk: Desk, world: World, folder: Path, card: Card, *, ial: int = 3) -> Holding:
    """A certificate from a sign-in with a card."""
    world.push(ALEX)
    row = desk.bind(ALEX, card, folder)
    type(row.account).objects.filter(id=row.account_id).update(ial=ial)
    browser = desk.reader(card).browser()
    assert desk.sign_in(browser).path == "/devices"
    return issued(browser)


def policies(held: Holding) -> list[str]:
    return [
        one.policy_identifier.dotted_string
        for one in held.certificate.extensions.get_extension_for_class(x509.CertificatePolicies).value
    ]


@pytest.mark.parametrize(
    ("agency", "ial", "asserts", "label", "policy"),
    [
        (AGENCY, 3, True, "derived_piv", PIV), (AGENCY, 3, False, "derived_piv", GENERIC), (AGENCY, 2, True, "generic", GENERIC),
        (9999, 3, True, "generic", GENERIC),
    ],
    ids=["home agency, IAL3", "an authority without that promise", "IAL2", "a foreign agency"],
)  # fmt: skip
def test_the_piv_policy_is_for_the_piv_label(
    desk: Desk,
    world: World,
    tmp_path: Path,
    agency: int,
    ial: int,
    asserts: bool,  # noqa: FBT001
    label: str,
    policy: str,
) -> None:
    """X-1, EL-2, EL-3: .40 only for a card of the home agency, a person at IAL3, and an authority that may say so; .41 never (X-9)."""
    Authority.objects.update(asserts_piv=asserts)
    held = grown(desk, world, tmp_path, desk.pki.card(fasc_n=number_of(agency=agency)), ial=ial)
    assert (held.row.credential.label, policies(held)) == (label, [policy])
    assert held.row.policies == [policy]
    assert held.row.credential.aal == 2
    card = Credential.objects.get(kind="piv_card")
    assert str(held.row.uuid) != card.certificates.get().card_uuid


def test_a_card_that_was_revoked_within_the_week_puts_it_up_for_review(
    desk: Desk, world: World, tmp_path: Path
) -> None:
    """X-10: revoked on day 3, flagged on day 7; it still works, because a lost card is not a lost person (trap 1)."""
    card = desk.pki.card(fasc_n=number_of(agency=AGENCY))
    held = grown(desk, world, tmp_path, card)
    began = clock.now()
    with time_machine.travel(began + timedelta(days=3), tick=True):
        desk.pki.revoke(card)
        tending.review_certificates(now=clock.now())
        assert not review_after_loss.marked().exists()
    with time_machine.travel(began + timedelta(days=7, minutes=5), tick=True):
        tending.review_certificates(now=clock.now())
        assert [one.id for one in review_after_loss.marked()] == [held.row.credential_id]
        assert Credential.objects.get(id=held.row.credential_id).state == "active"
        assert IssuedCertificate.objects.get(pk=held.row.pk).rechecked_at is not None
        tending.review_certificates(now=clock.now())
        assert review_after_loss.marked().count() == 1


def test_a_good_card_is_asked_about_once_and_a_silent_office_again(desk: Desk, world: World, tmp_path: Path) -> None:
    """X-10: no word is no answer for a week more; then it is let be."""
    card = desk.pki.card(fasc_n=number_of(agency=AGENCY))
    held: Any = grown(desk, world, tmp_path, card).row
    began = clock.now()
    desk.responder.set_all("dead")
    for days, asked in ((8, False), (15, True)):
        with time_machine.travel(began + timedelta(days=days), tick=True):
            tending.review_certificates(now=clock.now())
            assert (IssuedCertificate.objects.get(pk=held.pk).rechecked_at is not None) is asked
    assert not review_after_loss.marked().exists()
