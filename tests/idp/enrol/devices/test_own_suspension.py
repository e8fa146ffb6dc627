"""A device that its person suspends, and lifts again signed in another way (LC-2, LC-3; 63B-4 §4.3)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine

from derived import clock
from derived.changes import suspend
from derived.errors import Reason
from derived.ledger import audit
from derived.ledger.locking import under_lock
from derived.models import Account, Credential
from device.errors import ProtocolError
from tests.fixtures.world import ISSUER

if TYPE_CHECKING:
    from demo.browser import Browser, Page
    from device.client import DeviceClient
    from tests.fixtures.world import App, World

pytestmark = pytest.mark.django_db
PASSPHRASE = "seven mossy stones"


def suspended_phone(world: World) -> tuple[Browser, DeviceClient, App]:
    """A phone that works, and that its person has suspended on the page."""
    _, desktop = world.enrolled()
    app, phone = world.phone_app(), world.device(desktop)
    phone.login(app.client_id, passphrase=PASSPHRASE)
    page = desktop.get(f"{ISSUER}/devices")
    page = desktop.submit(page, page.form_to("/suspend"))
    assert "is suspended" in page.html
    with pytest.raises(ProtocolError):
        phone.login(app.client_id, passphrase=PASSPHRASE)
    return desktop, phone, app


def lift(desktop: Browser) -> Page:
    row = Credential.objects.get(kind="device_key")
    page = desktop.get(f"{ISSUER}/devices")
    form = page.form_to("/rename")
    form.action = f"/devices/{row.id}/lift"
    return desktop.submit(page, form, values={"name": "x"})


def test_an_own_suspension_is_lifted_by_another_way(world: World) -> None:
    """LC-2: suspended phone, live root: active again, and the notices say so."""
    desktop, phone, app = suspended_phone(world)
    page = desktop.get(f"{ISSUER}/devices")
    assert "You suspended it." in page.html
    page = desktop.submit(page, page.form_to("/lift"))
    assert "can sign in again" in page.html
    phone.login(app.client_id, passphrase=PASSPHRASE)
    account = Account.objects.get()
    kinds = list(account.events.filter(credential__kind="device_key").values_list("kind", flat=True))
    assert kinds[-2:] == ["credential.suspended", "credential.lifted"]
    assert audit.verify(account) is None
    assert world.mails(subject="is suspended")


def test_a_stale_sign_in_lifts_nothing(world: World) -> None:
    """A fresh one is asked for, and the device stays as it is."""
    desktop, _, _ = suspended_phone(world)
    with time_machine.travel(clock.now() + timedelta(minutes=25), tick=True):
        page = lift(desktop)
    assert page.path == "/login"
    assert Credential.objects.get(kind="device_key").state == "suspended"


@pytest.mark.parametrize("stopped", ["manager", "manager alone", "frozen"])
def test_the_stop_of_somebody_else_is_not_lifted(world: World, stopped: str) -> None:
    """LC-3: after a freeze, a manager's stop of the same device, or of a device that nobody had suspended."""
    desktop, _, _ = suspended_phone(world)
    account, row = Account.objects.get(), Credential.objects.get(kind="device_key")

    def stop(locked: Account) -> None:
        if stopped == "manager alone":
            suspend.lift(locked, row, now=clock.now(), actor="manager:x")
        if stopped == "frozen":
            suspend.freeze(locked, now=clock.now(), actor="person")
        else:
            because = Reason.ENDED_BY_MANAGER
            assert suspend.credential(locked, row, because=because, now=clock.now(), actor="manager:x")

    under_lock(account.id, stop)
    if stopped != "frozen":
        assert "You suspended it." not in desktop.get(f"{ISSUER}/devices").html
        page = lift(desktop)
        assert page.status == 409
        assert "You cannot lift this yourself" in page.html
    else:
        assert desktop.get(f"{ISSUER}/devices").path == "/login"
    row.refresh_from_db()
    assert row.state == "suspended"
    account.refresh_from_db()
    assert audit.verify(account) is None
