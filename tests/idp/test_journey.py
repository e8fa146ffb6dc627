"""The road through all three storeys, step by step, as the issue tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fixtures.world import AAL, ISSUER, claims, userinfo

if TYPE_CHECKING:
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db


def test_pushed_person_logs_in_at_aal2(world: World) -> None:
    """Password and TOTP are AAL2, with the IAL that HR vouched for (AS-1, FA-1, TK-5)."""
    person, _ = world.enrolled()
    app = world.app()
    browser = world.signed_in(person)
    found = world.tokens(app, browser)
    about = claims(found["id_token"])
    assert about["acr"] == f"{AAL}2"
    assert (about["aal"], about["ial"], about["amr"]) == (2, 2, ["mfa", "otp", "pwd"])
    assert (about["iss"], about["aud"], about["nonce"]) == (ISSUER, app.client_id, "n-1")
    assert {"jti", "sid", "auth_time", "at_hash"} <= about.keys()
    known = userinfo(found["access_token"])
    assert known.status_code == 200
    assert known.json()["sub"] == about["sub"]
    assert known.json()["email"] == "alex@example.org"


def test_phone_reaches_aal2_with_its_passphrase(world: World) -> None:
    """Key and passphrase are AAL2; the key alone is AAL1, and is refused what it cannot reach (DK-2, ruling 2)."""
    _, desktop = world.enrolled()
    app = world.phone_app()
    phone = world.device(desktop)
    tokens = phone.login(app.client_id, passphrase="seven mossy stones", scope="openid offline_access")
    about = claims(tokens.id_token or "")
    assert (about["acr"], about["aal"], about["ial"], about["amr"]) == (f"{AAL}2", 2, 2, ["mfa", "pop", "pwd"])
    assert claims(tokens.access_token)["cnf"] == {"jkt": phone.enrolment.key.jkt}
    assert phone.userinfo(tokens.access_token)["sub"] == about["sub"]
    alone = claims(phone.login(app.client_id, passphrase=None, scope="openid").id_token or "")
    assert (alone["acr"], alone["aal"], alone["auth_time"]) == (f"{AAL}1", 1, about["auth_time"])


def test_active_false_ends_every_artefact(world: World) -> None:
    """One PATCH, and every artefact of the person is refused from the next request on (C7, IV-1, IV-11)."""
    from device.errors import ProtocolError

    person, desktop = world.enrolled()
    app, field_app = world.app(), world.phone_app()
    phone = world.device(desktop)
    mobile = phone.login(field_app.client_id, passphrase="seven mossy stones", scope="openid offline_access")
    browser = world.signed_in(person)
    found = world.tokens(app, browser, scope="openid offline_access")
    code = world.ask(app, browser)["code"]
    page, binding_code, _ = world.begin_binding(desktop)

    world.deactivate()

    assert browser.get(f"{ISSUER}/devices").path == "/login"
    assert app.refresh(found["refresh_token"]).json()["error"] == "invalid_grant"
    assert app.introspect(found["access_token"]) == {"active": False}
    assert app.introspect(found["refresh_token"]) == {"active": False}
    assert userinfo(found["access_token"]).status_code == 401
    assert app.redeem(code).json()["error"] == "invalid_grant"
    assert desktop.get(page.url).path == "/login"
    for attempt in (
        lambda: phone.login(field_app.client_id, passphrase="seven mossy stones"),
        lambda: phone.refresh(field_app.client_id, mobile.refresh_token or ""),
        lambda: phone.userinfo(mobile.access_token),
        lambda: phone.ask_challenge(
            ISSUER, __import__("device.client").client.Code(text=binding_code), key=phone.enrolment.key
        ),
    ):
        with pytest.raises(ProtocolError):
            attempt()


def test_reactivation_restores_no_credential(world: World) -> None:
    """A rehire is invited anew and binds anew (C30)."""
    person, desktop = world.enrolled()
    app = world.phone_app()
    phone = world.device(desktop)
    phone.login(app.client_id, passphrase="seven mossy stones")
    world.deactivate()
    before = len(world.mails(person.username, "invitation"))
    world.reactivate(person.username)
    from demo.browser import Browser
    from device.errors import ProtocolError
    from tests.fixtures.world import http

    with pytest.raises(ProtocolError):
        phone.login(app.client_id, passphrase="seven mossy stones")
    browser = Browser(http())
    page = browser.get(f"{ISSUER}/login")
    page = browser.submit(page, page.forms()[0], values={"username": person.username, "password": person.password})
    assert page.path == "/login"
    assert page.status == 400
    assert len(world.mails(person.username, "invitation")) == before + 1
    world.enrolled(person.username)
