"""Invitations and bindings (BI-1 to BI-6, NT-1 to NT-3, C5, C6, C12, C14, C15, IV-7; rulings 1, 3, 4)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine

from demo.browser import Browser
from derived import clock
from derived.models import Credential, DeviceKey, Event, PasswordAndTotp, RecoveryCode, Request
from derived.rules.assurance import AAL
from device import proofs
from device.client import Code, DeviceClient
from device.errors import ProtocolError
from device.key import DeviceKey as Key
from idp.models import Binding, Invitation
from tests.fixtures.signing_in import PASSPHRASE, sign_in_with, submit_device
from tests.fixtures.world import ISSUER, claims, http

if TYPE_CHECKING:
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
NOON = "2026-11-23T12:00:00Z"


def new_device() -> DeviceClient:
    return DeviceClient(http=http(), clock=clock.now, sleep=lambda _: None)


def answer(
    code: str, key: Key | None = None, *, username: str = "", passphrase: str = PASSPHRASE, **more: Any
) -> tuple[Key, Any]:
    key = key or Key.generate()
    spoken, phone = Code(text=code, username=username), new_device()
    challenge, offered = phone.ask_challenge(ISSUER, spoken, key=key)
    return key, phone.bind(
        ISSUER,
        spoken,
        key=key,
        challenge=challenge,
        device_name="Phone",
        passphrase=passphrase,
        clients=more.get("clients", offered),
    )


def refused(status: int, error: str) -> Any:
    return pytest.raises(ProtocolError, match=error)


# --- invitations ------------------------------------------------------------------------------------------------------


def test_opening_an_invitation_does_not_consume_it(world: World) -> None:
    """Ruling 3: mail scanners open links."""
    world.push()
    link = world.invitation("alex@example.org")
    for _ in range(3):
        assert Browser(http()).get(link).status == 200
    assert Invitation.objects.get().consumed_at is None


def test_invitation_is_single_use_and_stored_hashed(world: World) -> None:
    """Issue 2.2."""
    person, _ = world.enrolled()
    link = world.mails(person.username, "invitation")[-1].body.split("/invitation/")[1].split()[0]
    assert not Invitation.objects.filter(token_hash=link).exists()
    assert Browser(http()).get(f"{ISSUER}/invitation/{link}").status == 410


def test_invitation_expires_after_a_day(world: World) -> None:
    """RC-3's 24 hours for e-mail."""
    with time_machine.travel(NOON, tick=False) as now:
        world.push()
        link = world.invitation("alex@example.org")
        now.shift(timedelta(hours=24) - timedelta(seconds=1))
        assert Browser(http()).get(link).status == 200
        now.shift(1)
        assert Browser(http()).get(link).status == 410


@pytest.mark.parametrize(
    "change", [{"emails": [{"value": "new@example.org", "type": "work", "primary": True}]}, {"active": False}]
)
def test_invitation_is_void_after_an_address_change_or_end(world: World, change: dict[str, Any]) -> None:
    """Ruling 3: another address, or an ending."""
    world.push()
    link = world.invitation("alex@example.org")
    assert world.patch("alex@example.org", change).status_code == 200
    assert Browser(http()).get(link).status == 410


def test_corrected_address_is_invited_again(world: World) -> None:
    """Ruling 3: a mistyped address is an ordinary case."""
    world.push()
    world.mails()
    world.patch("alex@example.org", {"emails": [{"value": "right@example.org", "type": "work", "primary": True}]})
    assert world.mails("right@example.org", "invitation")


def test_person_without_an_address_is_no_error(world: World) -> None:
    """Ruling 3."""
    world.push("noaddress@example.org", emails=[])
    assert world.mails("noaddress@example.org") == []


def test_enrolment_writes_one_root_with_its_evidence(world: World) -> None:
    """Issue 2.2, BI-6: AAL2, the IAL that HR vouched for, seed wrapped, ten hashed recovery codes."""
    person, _ = world.enrolled()
    root = Credential.objects.get()
    assert (root.kind, root.state, root.aal, root.ial, root.root_id) == ("password_totp", "active", 2, 2, None)
    assert root.evidence == {
        "factors": ["password", "totp"],
        "phishing_resistant": False,
        "hardware": False,
        "protection": "software",
        "exportable": True,
        "bound_by": "invitation",
    }
    verifier = PasswordAndTotp.objects.get()
    assert person.totp_secret.encode() not in bytes(verifier.totp_seed)
    assert verifier.password_hash.startswith("argon2$argon2id$")
    assert RecoveryCode.objects.count() == len(person.recovery_codes) == 10
    assert not RecoveryCode.objects.filter(code_hash__in=person.recovery_codes).exists()


def test_weak_password_is_refused_with_a_message(world: World) -> None:
    """AU-6."""
    world.push()
    page = Browser(http()).get(world.invitation("alex@example.org"))
    browser = Browser(http())
    page = browser.get(page.url)
    for password, again in (
        ("short12", "short12"),
        ("password1234", "password1234"),
        ("long enough one", "long enough two"),
    ):
        refused_page = browser.submit(page, page.forms()[0], values={"password": password, "password_again": again})
        assert refused_page.status == 400
        assert "alert" in refused_page.html


# --- who may begin ----------------------------------------------------------------------------------------------------


def test_adding_a_device_needs_a_fresh_login(world: World) -> None:
    """AU-8: after 20 minutes the person signs in again first."""
    with time_machine.travel(NOON, tick=False) as now:
        person, desktop = world.enrolled()
        now.shift(timedelta(minutes=20, seconds=1))
        page = desktop.get(f"{ISSUER}/devices")
        page = desktop.submit(page, page.form_to("/devices/add"))
        assert page.path == "/login"
        assert "20 minutes" in page.html
        assert Binding.objects.count() == 0
        person.sign_in(desktop, page)
        assert world.begin_binding(desktop)[1]


def test_derived_credential_adds_no_device(world: World) -> None:
    """Trap 10, C4: a browser that signed in with its device key may not add another."""
    _, desktop = world.enrolled()
    phone = world.device(desktop)
    tablet = sign_in_with(phone)
    page = tablet.get(f"{ISSUER}/devices")
    assert page.path == "/devices"
    page = tablet.submit(page, page.form_to("/devices/add"))
    assert page.path == "/login"
    assert Binding.objects.count() == 1


# --- the code ---------------------------------------------------------------------------------------------------------


def test_code_is_shown_once_and_stored_hashed(world: World) -> None:
    """BI-3, I10."""
    _, desktop = world.enrolled()
    page, code, short = world.begin_binding(desktop)
    row = Binding.objects.get()
    assert code.replace("-", "") not in (row.code_hash, row.short_hash)
    assert len(code.replace("-", "")) == 24
    assert len(short.replace("-", "")) == 8
    again = desktop.get(page.url)
    assert code not in again.html
    assert not any(code in str(mail.body) for mail in world.mails())


@pytest.mark.parametrize("form", ["long", "short", "typed badly"])
def test_both_forms_of_a_code_bind(world: World, form: str) -> None:
    """BI-1: 120 bits alone, or 40 bits with the user name."""
    person, desktop = world.enrolled()
    world.phone_app()
    page, code, short = world.begin_binding(desktop)
    if form == "long":
        _, answered = answer(code)
    elif form == "short":
        _, answered = answer(short, username=person.username.upper())
    else:
        _, answered = answer(short.lower().replace("-", " ").replace("0", "o"), username=person.username)
    shown = desktop.get(page.url)
    assert answered.number in shown.html
    assert answered.device_name == "Phone"
    world.confirm(desktop, page)
    assert Credential.objects.get(kind="device_key").state == "pending"


def test_code_expires_after_ten_minutes(world: World) -> None:
    """BI-2."""
    with time_machine.travel(NOON, tick=False) as now:
        _, desktop = world.enrolled()
        _, code, _ = world.begin_binding(desktop)
        now.shift(600)
        with refused(400, "invalid_grant"):
            answer(code)


def test_code_is_single_use(world: World) -> None:
    """BI-2: the same key, the same code, a second answer."""
    _, desktop = world.enrolled()
    _, code, _ = world.begin_binding(desktop)
    key, _ = answer(code)
    with refused(400, "invalid_grant"):
        answer(code, key)


def test_another_key_burns_the_code(world: World) -> None:
    """C12: a relayed code binds only the device that came first, or none."""
    _, desktop = world.enrolled()
    page, code, _ = world.begin_binding(desktop)
    key, phone = Key.generate(), new_device()
    challenge, _ = phone.ask_challenge(ISSUER, Code(text=code), key=key)
    with refused(400, "invalid_grant"):
        phone.ask_challenge(ISSUER, Code(text=code), key=Key.generate())
    with refused(400, "invalid_grant"):
        phone.bind(
            ISSUER, Code(text=code), key=key, challenge=challenge, device_name="x", passphrase=PASSPHRASE, clients=[]
        )
    assert desktop.json(page.url + "/status")["status"] == "locked"


def test_short_code_takes_five_guesses(world: World) -> None:
    """C12: then only the long form is accepted; without the user name the short form is refused."""
    person, desktop = world.enrolled()
    _, code, short = world.begin_binding(desktop)
    with refused(400, "invalid_grant"):
        answer(short)
    for _ in range(5):
        with refused(400, "invalid_grant"):
            answer("AAAA-AAAA", username=person.username)
    with pytest.raises(ProtocolError):
        answer(short, username=person.username)
    assert Binding.objects.get().status == "waiting"
    answer(code)


def test_new_code_invalidates_the_previous_one(world: World) -> None:
    """One at a time."""
    _, desktop = world.enrolled()
    _, first, _ = world.begin_binding(desktop)
    _, second, _ = world.begin_binding(desktop)
    with refused(400, "invalid_grant"):
        answer(first)
    answer(second)


# --- the key ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("passphrase", "error"),
    [
        ("", "access_denied"),
        ("short", "invalid_request"),
        ("password123", "invalid_request"),
        ("alex@example.org", "invalid_request"),
    ],
)
def test_key_without_a_good_passphrase_is_refused(world: World, passphrase: str, error: str) -> None:
    """Ruling 1, DK-2: a key alone is one factor; the code is not spent by trying."""
    _, desktop = world.enrolled()
    _, code, _ = world.begin_binding(desktop)
    with refused(403, error):
        answer(code, key := Key.generate(), passphrase=passphrase)
    answer(code, key)


def test_key_that_was_ever_bound_is_refused(world: World) -> None:
    """C5, C6: live, revoked, or another person's."""
    _, desktop = world.enrolled()
    phone = world.device(desktop)
    key = phone.enrolment.key
    for browser in (desktop, world.enrolled("kim@example.org")[1]):
        _, code, _ = world.begin_binding(browser)
        with refused(409, "bound before"):
            answer(code, key)
    page = desktop.get(f"{ISSUER}/devices/{phone.enrolment.credential_id}/remove")
    desktop.submit(page, page.form_to("/remove"))
    _, code, _ = world.begin_binding(desktop)
    with refused(409, "bound before"):
        answer(code, key)


def test_proof_over_another_challenge_is_refused(world: World) -> None:
    """DK-1: fresh, ours, this one; and a challenge expires after five minutes."""
    with time_machine.travel(NOON, tick=False) as now:
        _, desktop = world.enrolled()
        _, code, _ = world.begin_binding(desktop)
        key, phone, spoken = Key.generate(), new_device(), Code(text=code)
        old, _ = phone.ask_challenge(ISSUER, spoken, key=key)
        fresh, _ = phone.ask_challenge(ISSUER, spoken, key=key)
        for challenge in (old, "x" * 43):
            with refused(400, "invalid_request"):
                phone.bind(
                    ISSUER, spoken, key=key, challenge=challenge, device_name="x", passphrase=PASSPHRASE, clients=[]
                )
        now.shift(301)
        with refused(400, "invalid_request"):
            phone.bind(ISSUER, spoken, key=key, challenge=fresh, device_name="x", passphrase=PASSPHRASE, clients=[])


# --- the desktop's yes ------------------------------------------------------------------------------------------------


def test_nothing_is_issued_before_the_desktops_approval(world: World) -> None:
    """C14: pending; a refusal is final; another number, another session or another person cannot approve."""
    person, desktop = world.enrolled()
    page, code, _ = world.begin_binding(desktop)
    key, answered = answer(code)
    assert not Credential.objects.filter(kind="device_key").exists()
    assert new_device().binding_status(ISSUER, answered.binding_id, key=key)["status"] == "pending"
    shown = desktop.get(page.url)
    form = shown.form_to("/confirm")
    wrong = f"{(int(answered.number) + 1 - 10) % 90 + 10}"
    assert desktop.submit(shown, form, values={"number": wrong}).status == 400
    second = world.signed_in(person)
    assert second.get(page.url).status == 404
    stranger = world.enrolled("kim@example.org")[1]
    assert stranger.get(page.url).status == 404
    for other in (second, stranger):
        token = other.get(f"{ISSUER}/devices").forms()[0].fields["csrfmiddlewaretoken"]
        assert other.submit(shown, form, values={"csrfmiddlewaretoken": token}).status == 400
    assert not Credential.objects.filter(kind="device_key").exists()
    desktop.submit(shown, shown.form_to("/refuse"))
    assert new_device().binding_status(ISSUER, answered.binding_id, key=key)["status"] == "refused"
    assert desktop.submit(shown, form).status == 400


def test_approval_needs_a_login_that_is_still_fresh(world: World) -> None:
    """AU-8, EL-4: every gate is checked again at the approval."""
    with time_machine.travel(NOON, tick=False) as now:
        person, desktop = world.enrolled()
        now.shift(timedelta(minutes=15))
        page, code, _ = world.begin_binding(desktop)
        answer(code)
        now.shift(timedelta(minutes=6))
        after = world.confirm(desktop, page)
        assert after.path == "/login"
        assert not Credential.objects.filter(kind="device_key").exists()
        back = person.sign_in(desktop, after)
        assert back.path == page.path
        desktop.submit(back, back.form_to("/confirm"))
        assert Credential.objects.filter(kind="device_key").exists()


def test_approval_is_refused_after_the_person_ended(world: World) -> None:
    """EL-4, C7: ended between the binding request and the approval."""
    _, desktop = world.enrolled()
    page, code, _ = world.begin_binding(desktop)
    answer(code)
    shown = desktop.get(page.url)
    world.deactivate()
    desktop.submit(shown, shown.form_to("/confirm"))
    assert not Credential.objects.filter(kind="device_key").exists()


def test_issued_key_records_its_evidence(world: World) -> None:
    """BI-6, AS-1, AS-2, RQ-1, RE-1: kind, root, level, evidence, request, Event."""
    _, desktop = world.enrolled()
    phone = world.device(desktop)
    row = Credential.objects.get(id=phone.enrolment.credential_id)
    root = Credential.objects.get(kind="password_totp")
    assert (row.kind, row.state, row.aal, row.ial) == ("device_key", "pending", 2, 2)
    assert (row.root_id, row.parent_id, row.jkt) == (root.id, root.id, phone.enrolment.key.jkt)
    for name, value in {
        "factors": ["device_key", "device_passphrase"],
        "phishing_resistant": False,
        "protection": "software",
        "exportable": "unproven",
    }.items():
        assert row.evidence[name] == value
    assert Request.objects.get(credential=row).login_aal == 2
    assert Event.objects.filter(credential=row, kind="credential.issued").count() == 1
    assert "passphrase" not in str(DeviceKey.objects.get().jwk)


def test_weaker_root_lowers_its_derived_credentials(world: World) -> None:
    """design.md: the root turns out weaker than recorded, and the caps fall with it at once; never up again (C2)."""
    _, desktop = world.enrolled()
    app = world.phone_app()
    phone = world.device(desktop)
    before = phone.login(app.client_id, passphrase=PASSPHRASE, scope="openid offline_access")
    Credential.objects.filter(kind="password_totp").update(aal=AAL.AAL1)
    assert claims(phone.login(app.client_id, passphrase=PASSPHRASE, scope="openid").id_token or "")["aal"] == 1
    after = claims(phone.refresh(app.client_id, before.refresh_token or "").id_token or "")
    assert (after["aal"], after["acr"][-1]) == (1, "1")


# --- first login, and the notices -------------------------------------------------------------------------------------


def test_first_login_needs_the_passphrase_and_activates(world: World) -> None:
    """PK-4, BI-5."""
    _, desktop = world.enrolled()
    app = world.phone_app()
    phone = world.device(desktop)
    with refused(400, "invalid_grant"):
        phone.login(app.client_id, passphrase=None)
    with refused(400, "invalid_grant"):
        phone.login(app.client_id, passphrase="wrong passphrase")
    assert Credential.objects.get(kind="device_key").state == "pending"
    phone.login(app.client_id, passphrase=PASSPHRASE)
    assert Credential.objects.get(kind="device_key").state == "active"


def test_browser_login_with_device_key_and_passphrase(world: World) -> None:
    """Protocol §5: AAL2; a wrong passphrase, an old challenge or another browser's challenge is refused."""
    _, desktop = world.enrolled()
    phone = world.device(desktop)
    assert sign_in_with(phone, "wrong passphrase").get(f"{ISSUER}/devices").path == "/login"
    browser = Browser(http())
    page = browser.get(f"{ISSUER}/login/device")
    assert submit_device(browser, page, phone, PASSPHRASE).path == "/devices"
    assert submit_device(browser, page, phone, PASSPHRASE).status == 400
    other = Browser(http())
    theirs = other.get(f"{ISSUER}/login/device")
    token = theirs.form_with("passphrase").fields["csrfmiddlewaretoken"]  # type: ignore[union-attr]
    assert submit_device(other, page, phone, PASSPHRASE, csrfmiddlewaretoken=token).status == 400
    about = claims(world.tokens(world.app(), browser)["id_token"])
    assert (about["aal"], about["amr"]) == (2, ["mfa", "pop", "pwd"])


def test_every_address_gets_a_notice_with_a_revocation_link(world: World) -> None:
    """NT-1, NT-2, NT-3, C15, ruling 4: GET asks, POST revokes, and nothing restores."""
    person, desktop = world.enrolled()
    phone = world.device(desktop)
    told = [mail for mail in world.mails(subject="device") if "/undo/" in str(mail.body)]
    assert {mail.to[0] for mail in told} == {person.username, f"home.{person.username}"}
    link = next(word for word in str(told[0].body).split() if "/undo/" in word)
    browser = Browser(http())
    page = browser.get(link)
    assert page.status == 200
    assert Credential.objects.get(kind="device_key").state == "pending"
    browser.submit(page, page.forms()[-1])
    row = Credential.objects.get(id=phone.enrolment.credential_id)
    assert (row.state, row.end_reason) == ("revoked", "disowned_by_person")
    assert browser.get(link).status == 410
    with refused(400, "invalid_grant"):
        phone.login(world.phone_app().client_id, passphrase=PASSPHRASE)
    assert any(
        "ended" in mail.subject.lower() or "removed" in mail.subject.lower() for mail in world.mails(person.username)
    )


def test_notice_also_goes_to_former_addresses(world: World) -> None:
    """Trap 3, NT-1: changing the address does not hide later bindings from the old one."""
    _, desktop = world.enrolled()
    world.mails()
    world.patch("alex@example.org", {"emails": [{"value": "attacker@example.net", "type": "work", "primary": True}]})
    world.device(desktop)
    told = {mail.to[0] for mail in world.mails(subject="device") if "/undo/" in str(mail.body)}
    assert "attacker@example.net" in told
    assert {"alex@example.org", "home.alex@example.org"} <= told


def test_removing_a_device_ends_its_sessions_and_tokens(world: World) -> None:
    """IV-9, IV-11, TK-1: at once; the root and its sessions stay."""
    _, desktop = world.enrolled()
    app = world.phone_app()
    phone = world.device(desktop)
    tokens = phone.login(app.client_id, passphrase=PASSPHRASE, scope="openid offline_access")
    tablet = sign_in_with(phone)
    page = desktop.get(f"{ISSUER}/devices/{phone.enrolment.credential_id}/remove")
    assert desktop.submit(page, page.form_to("/remove")).path == "/devices"
    assert tablet.get(f"{ISSUER}/devices").path == "/login"
    for attempt in (
        lambda: phone.refresh(app.client_id, tokens.refresh_token or ""),
        lambda: phone.userinfo(tokens.access_token),
    ):
        with pytest.raises(ProtocolError):
            attempt()
    assert desktop.get(f"{ISSUER}/devices").path == "/devices"


def test_other_persons_devices_cannot_be_removed_or_renamed(world: World) -> None:
    """I7 for people."""
    _, desktop = world.enrolled()
    phone = world.device(desktop)
    stranger = world.enrolled("kim@example.org")[1]
    token = stranger.get(f"{ISSUER}/devices").forms()[0].fields["csrfmiddlewaretoken"]
    for path in ("remove", "rename"):
        url = f"{ISSUER}/devices/{phone.enrolment.credential_id}/{path}"
        assert stranger._http.post(url, data={"csrfmiddlewaretoken": token, "name": "mine"}).status_code == 404
    assert Credential.objects.get(id=phone.enrolment.credential_id).name == "Alex's phone"


# --- the assertion ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spoil", ["audience", "client", "subject", "old", "long", "typ", "other key", "no dpop", "other dpop", "no exp"]
)
def test_wrong_assertion_is_refused(world: World, spoil: str) -> None:
    """Ruling 2, P13, P16, P44: every part is compared."""
    _, desktop = world.enrolled()
    app, other = world.phone_app(), world.phone_app()
    phone = world.device(desktop)
    phone.login(app.client_id, passphrase=PASSPHRASE)
    key, now = phone.enrolment.key, int(clock.now().timestamp())
    signer = Key.generate() if spoil == "other key" else key
    body: dict[str, Any] = {
        "iss": proofs.THUMBPRINT_URN + signer.jkt,
        "sub": phone.enrolment.credential_id,
        "aud": ISSUER,
        "client_id": app.client_id,
        "iat": now,
        "exp": now + 60,
        "jti": "j" * 24,
    }
    body |= {
        "audience": {"aud": [ISSUER]},
        "client": {"client_id": other.client_id},
        "subject": {"sub": app.client_id},
        "old": {"iat": now - 61, "exp": now - 1},
        "long": {"exp": now + 61},
    }.get(spoil, {})
    if spoil == "no exp":
        del body["exp"]
    assertion = signer.sign({"typ": "JWT" if spoil == "typ" else "ramet-device+jwt", "kid": signer.jkt}, body)
    prover = Key.generate() if spoil == "other dpop" else signer
    headers = (
        {}
        if spoil == "no dpop"
        else {"DPoP": proofs.dpop(prover, "POST", url=f"{ISSUER}/oidc/token", now=clock.now(), nonce=app.nonce())}
    )
    form: dict[str, str | None] = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": assertion,
        "passphrase": PASSPHRASE,
    }
    response = app.post("/oidc/token", form, **headers)
    assert response.status_code == 400
    assert response.json()["error"] in {"invalid_grant", "invalid_dpop_proof"}


def test_assertion_is_single_use(world: World) -> None:
    """P16: jti once."""
    _, desktop = world.enrolled()
    app = world.phone_app()
    phone = world.device(desktop)
    key = phone.enrolment.key
    assertion = proofs.assertion(
        key, phone.enrolment.credential_id, issuer=ISSUER, client_id=app.client_id, now=clock.now()
    )
    form: dict[str, str | None] = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": assertion,
        "passphrase": PASSPHRASE,
    }
    for expected in (200, 400):
        dpop = proofs.dpop(key, "POST", url=f"{ISSUER}/oidc/token", now=clock.now(), nonce=app.nonce())
        assert app.post("/oidc/token", form, DPoP=dpop).status_code == expected


def test_device_serves_only_the_clients_fixed_at_binding(world: World) -> None:
    """Ruling 2: not one that was registered later, nor one without the permission."""
    _, desktop = world.enrolled()
    app = world.phone_app()
    phone = world.device(desktop)
    later, web = world.phone_app(), world.app(name="No", public=True)
    phone.login(app.client_id, passphrase=PASSPHRASE)
    with refused(400, "invalid_grant"):
        phone.login(later.client_id, passphrase=PASSPHRASE)
    with refused(400, "unauthorized_client"):
        phone.login(web.client_id, passphrase=PASSPHRASE)


def test_key_alone_is_one_factor_with_the_auth_time_of_the_last_login(world: World) -> None:
    """Ruling 2, DK-2, trap 7: no level, no auth_time, no AAL2 by asking, and the client's minimum holds."""
    with time_machine.travel(NOON, tick=False) as now:
        _, desktop = world.enrolled()
        app = world.phone_app()
        strict = world.app(
            name="Strict",
            redirect_uris=["org.example.strict:/cb"],
            application_type="native",
            public=True,
            device_assertion=True,
            min_aal=2,
        )
        phone = world.device(desktop)
        whole = claims(phone.login(app.client_id, passphrase=PASSPHRASE).id_token or "")
        now.shift(3600)
        alone = claims(phone.login(app.client_id, passphrase=None).id_token or "")
        assert (alone["aal"], alone["amr"], alone["auth_time"]) == (1, ["pop"], whole["auth_time"])
        assert whole["cnf"] == alone["cnf"] == {"jkt": phone.enrolment.key.jkt}  # the person's own derived key
        for call in (
            lambda: phone.login(
                app.client_id, passphrase=None, acr_values="http://idmanagement.gov/ns/assurance/aal/2"
            ),
            lambda: phone.login(strict.client_id, passphrase=None),
        ):
            with refused(400, "unmet_authentication_requirements"):
                call()


def test_wrong_passphrases_are_counted_and_disable(world: World) -> None:
    """TH-1, ruling 13: the signature comes first, so a stranger without the key counts nothing."""
    with time_machine.travel(NOON, tick=False) as now:
        _, desktop = world.enrolled()
        app = world.phone_app()
        phone = world.device(desktop)
        phone.login(app.client_id, passphrase=PASSPHRASE)
        stranger = DeviceClient(
            type(phone.enrolment)(**{**vars(phone.enrolment), "key": Key.generate()}), http=http(), clock=clock.now
        )
        with pytest.raises(ProtocolError):
            stranger.login(app.client_id, passphrase="wrong passphrase")
        assert Credential.objects.get(kind="device_key").failures == 0
        with pytest.raises(ProtocolError):
            phone.login(app.client_id, passphrase="wrong passphrase")
        assert Credential.objects.get(kind="device_key").failures == 1
        Credential.objects.filter(kind="device_key").update(failures=100)
        now.shift(timedelta(hours=1))
        with refused(400, "invalid_grant"):
            phone.login(app.client_id, passphrase=PASSPHRASE)


def test_person_has_at_most_ten_devices(world: World) -> None:
    """EL-5."""
    _, desktop = world.enrolled()
    for _ in range(10):
        world.device(desktop)
    page, code, _ = world.begin_binding(desktop)
    answer(code)
    assert world.confirm(desktop, page).status == 403


@pytest.mark.parametrize(
    "path", ["/enrol/v1/challenges", "/enrol/v1/bindings", "/enrol/v1/bindings/3f2a9c1e-0000-4000-8000-000000000000"]
)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"\xff",
        b'{"code": 5}',
        b'{"code": null}',
        b'{"code":"\\u0000"}',
        b'{"code":"\\ud800"}',
        b'{"a":NaN}',
        b"[" * 5000,
        b'{"code":"x","jwk":[],"proof":"a.b.c","device_name":"x","clients":[5]}',
        b"{" + b" " * 20000 + b"}",
    ],
)
def test_bad_json_gets_a_clear_error(world: World, path: str, body: bytes) -> None:
    """The protocol's own error, never a 5xx."""
    response = http().post(path, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"] in {"invalid_request", "invalid_grant"}
    assert http().get(path).status_code == 405
    assert http().post(path, data={"a": "b"}).status_code == 400
