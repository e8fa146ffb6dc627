"""What is over is forgotten, and nothing that counts: the ledger, its record, and what something living hangs on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.db import connection

from derived import clock
from derived.ledger import audit
from derived.models import Account, Credential, Event
from idp.models import (
    AuthenticationEvent,
    AuthorizationRequest,
    Binding,
    Code,
    Grant,
    LoginSession,
    PushedRequest,
    RefreshToken,
)
from idp.signals import purging
from tests.fixtures.world import ISSUER, http

if TYPE_CHECKING:
    from tests.fixtures.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def purged_after(travelled: time_machine.Coordinates, **span: float) -> dict[str, int]:
    travelled.shift(timedelta(**span))
    return purging.purge(now=clock.now())


def test_expired_rows_are_deleted(world: World) -> None:
    """A day after their time requests, codes and refresh tokens; ninety days after it logins, sessions, families and
    bindings.
    """
    with time_machine.travel("2026-01-05T12:00:00Z", tick=False) as travelled:
        _, desktop = world.enrolled()
        app = world.app()
        kept = world.tokens(app, desktop, scope="openid offline_access")
        world.tokens(app, desktop)
        world.device(desktop)
        assert purging.purge(now=clock.now()) == {}
        gone = purged_after(travelled, hours=50)
        assert {"AuthorizationRequest": 2, "RefreshToken": 1}.items() <= gone.items()  # a code goes with its request
        assert not AuthorizationRequest.objects.exists()
        assert not Code.objects.exists()
        assert (Grant.objects.count(), Binding.objects.count()) == (2, 1)
        fresh = app.refresh(kept["refresh_token"]).json()
        assert "access_token" in fresh, "a family that lives keeps its login and its session"
        ledger, record = Credential.objects.count(), Event.objects.count()
        while gone := purged_after(travelled, days=10):
            if (clock.now() - AuthenticationEvent.objects.latest("at").at).days < 90:
                assert not {"AuthenticationEvent", "LoginSession", "Grant", "Binding"} & set(gone)
        purged_after(travelled, days=60)
        Credential.objects.filter(kind="token_family").update(
            state="expired", ended_at=clock.now(), end_reason="expired"
        )  # as housekeeping does
        purged_after(travelled, days=91)
        left = {
            model.__name__: model.objects.count()
            for model in (AuthenticationEvent, LoginSession, Grant, RefreshToken, Binding, PushedRequest)
        }
        assert set(left.values()) == {0}, left
        assert (Credential.objects.count(), Event.objects.count()) == (ledger, record)
        for account in Account.objects.all():
            assert audit.verify(account) is None


def test_login_of_a_living_family_is_kept(world: World) -> None:
    """However old it is: the family's `auth_time` is its."""
    with time_machine.travel("2026-01-05T12:00:00Z", tick=False) as travelled:
        _, desktop = world.enrolled()
        world.tokens(world.app(), desktop, scope="openid offline_access")
        before = AuthenticationEvent.objects.count()
        Credential.objects.filter(kind="token_family").update(expires_at=clock.now() + timedelta(days=400))
        RefreshToken.objects.update(expires_at=clock.now() + timedelta(days=400))
        purged_after(travelled, days=200)
        assert Grant.objects.get().event in AuthenticationEvent.objects.all()
        assert LoginSession.objects.filter(id=Grant.objects.get().session_id).exists()
        assert AuthenticationEvent.objects.count() <= before


def test_unanswered_requests_are_deleted_in_batches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """In transactions of a few rows, as many as needed, up to a bound; the rest in the next pass."""
    monkeypatch.setattr(purging, "_AT_ONCE", 3)
    monkeypatch.setattr(purging, "_MOST_BATCHES", 2)
    app = world.app()
    with time_machine.travel("2026-01-05T12:00:00Z", tick=False) as travelled:
        for _ in range(8):
            with http() as stranger:
                assert stranger.get(app.url().removeprefix(ISSUER)).status_code == 302
        assert purged_after(travelled, days=3)["AuthorizationRequest"] == 6
        assert AuthorizationRequest.objects.count() == 2
        assert purging.purge(now=clock.now())["AuthorizationRequest"] == 2


def test_hashes_have_one_index() -> None:
    """performance.md: Django's second index of each text key costs every write of a token on PostgreSQL, and nobody
    asks by prefix.
    """
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_indexes WHERE indexname LIKE %s", ["%\\_like"])
        twice = {row[0] for row in cursor.fetchall()}
    assert not twice & {
        "idp_code",
        "idp_authorizationrequest",
        "idp_refreshtoken",
        "idp_opaquetoken",
        "idp_servicetoken",
        "derived_spent",
        "derived_credential",
    }
