"""Recovery codes: how many are left, new ones at will, as a file (RC-3, NT-1, P2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import time_machine

from demo.browser import Browser
from derived import clock
from derived.changes import by_person
from derived.errors import Reason, Refused
from derived.ledger.locking import under_lock
from derived.models import Account, Credential, Event, RecoveryCode
from idp.login.session import login_of
from idp.models import AuthenticationEvent
from tests.fixtures.signing_in import after_password, with_code
from tests.fixtures.world import ISSUER, http

if TYPE_CHECKING:
    from demo.browser import Page
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
NOON = "2026-11-23T12:00:00Z"


def url_of(row: Credential) -> str:
    return f"{ISSUER}/devices/roots/{row.id}/codes"


def renewed(browser: Browser) -> Page:
    page = browser.get(url_of(Credential.objects.get(kind="password_totp")))
    return browser.submit(page, page.form_to("/codes") if page.forms()[0].action else page.forms()[0])


@pytest.mark.database
def test_codes_left_are_told_and_new_ones_replace_them(world: World) -> None:
    """My devices counts them; after new ones none of the old serves, each new one does, and the person is told."""
    with time_machine.travel(NOON, tick=False) as now:
        person, desktop = world.enrolled()
        old = list(person.recovery_codes)
        spent = RecoveryCode.objects.order_by("id").values_list("id", flat=True)[:3]
        RecoveryCode.objects.filter(id__in=list(spent)).update(consumed_at="2026-11-22T12:00:00Z")
        page = desktop.get(f"{ISSUER}/devices")
        assert "7 left" in page.html
        assert "/codes" in page.html
        page = desktop.get(url_of(Credential.objects.get()))
        assert "You have 7 of 10 codes left." in page.words()
        assert page.link_to("/devices"), "there is a way out"
        new = renewed(desktop).by_class("recovery-code")
        assert (len(set(new)), set(new) & set(old)) == (10, set())
        assert "10 left" in desktop.get(f"{ISSUER}/devices").html
        assert Event.objects.filter(kind="credential.recovery_codes_replaced", actor="person").count() == 1
        told = world.mails("home.alex@example.org", "was changed")
        assert ["Its recovery codes were replaced by new ones" in str(one.body) for one in told] == [True]
        now.shift(120)
        for code, works in ((old[9], False), (new[0], True)):
            browser = Browser(http())
            after_password(browser, person)
            assert (with_code(browser, code).path == "/login/recover/totp") is works


def test_codes_are_replaced_by_a_login_as_strong_as_the_pair(world: World) -> None:
    """P2, also under the lock: who finds an open browser gets no codes."""
    with time_machine.travel(NOON, tick=False) as now:
        _, desktop = world.enrolled()
        row = Credential.objects.get()
        weak = login_of(AuthenticationEvent.objects.select_related("credential__root", "credential__parent").get())
        now.shift(1201)
        page = desktop.get(url_of(row))
        assert page.status == 403
        assert not page.by_class("recovery-code")
        with pytest.raises(Refused) as refused:
            under_lock(
                row.account_id,
                lambda account: by_person.replace_recovery_codes(account, row.id, ["x"], login=weak, now=clock.now()),
            )
        assert refused.value.reason == Reason.LOGIN_TOO_OLD
        assert RecoveryCode.objects.filter(consumed_at__isnull=True).count() == 10
        assert Account.objects.get().events.filter(kind="credential.recovery_codes_replaced").count() == 0


def test_codes_are_saved_as_a_file_without_scripts(world: World) -> None:
    """A plain response that nothing keeps: the page sends what it shows, and nothing else than codes comes back."""
    _, desktop = world.enrolled()
    page = renewed(desktop)
    codes = page.by_class("recovery-code")
    form = page.form_to("/recovery-codes/download")
    response = desktop._http.post(
        f"{ISSUER}/recovery-codes/download",
        data={"csrfmiddlewaretoken": form.fields["csrfmiddlewaretoken"], "code": codes},
        headers={"Referer": page.url, "Origin": ISSUER},
    )
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["Content-Disposition"] == 'attachment; filename="recovery-codes.txt"'
    assert response.headers["Cache-Control"] == "no-store"
    assert [line for line in response.text.splitlines() if line in codes] == codes
    assert ISSUER in response.text
    for bad in ([], codes[:1] * 11, ["<b>"], [codes[0] + "\r\nx"], [codes[0].lower()]):
        data = {"csrfmiddlewaretoken": form.fields["csrfmiddlewaretoken"], "code": bad}
        headers = {"Referer": page.url, "Origin": ISSUER}
        assert desktop._http.post(f"{ISSUER}/recovery-codes/download", data=data, headers=headers).status_code == 400
    with http() as stranger:
        assert stranger.post("/recovery-codes/download", data={"code": codes}).status_code == 403


def test_replacing_the_app_says_what_stops_and_has_a_way_out(world: World) -> None:
    """Before anything changes; the way out changes nothing."""
    _, desktop = world.enrolled()
    row = Credential.objects.get()
    page = desktop.get(f"{ISSUER}/devices/roots/{row.id}/app")
    assert "The app that you use now stops working as soon as this one is connected" in page.html
    assert "Keep the app that I have" in page.html
    assert page.link_to("/devices")
    row.refresh_from_db()
    assert row.state == "active"
