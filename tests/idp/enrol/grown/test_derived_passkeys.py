"""Passkeys that grow from a root, over HTTP: made here or on a phone, used once, capped, and never a root (PK-1 to
PK-4, EL-2, C4 to C6, C12, C14).
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine

from demo.browser import Browser
from derived import clock
from derived.changes import revoke
from derived.errors import Reason
from derived.ledger.locking import under_lock
from derived.minting.fido.metadata import ModelPolicy
from derived.models import BoundKey, Credential, Event, Passkey, Request
from derived.rules.assurance import AAL
from derived.rules.kinds import Kind
from derived.rules.rulebook import ApprovedDevices, KindRules, Rulebook
from idp.models import AuthenticationEvent, Binding
from tests.fixtures.certificate_authority import add, csr_for, issued
from tests.fixtures.passkey_pages import (
    ADD_DERIVED,
    PHONE,
    asked,
    grow,
    listed,
    newest_event,
    register,
    sign_in,
    stranger,
    with_card,
)
from tests.fixtures.software_authenticator import Maker, SoftKey
from tests.fixtures.world import AAL as ACR
from tests.fixtures.world import ISSUER, claims, http

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from demo.browser import Page
    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db


class Phone:
    """A phone's browser, and its page."""

    def __init__(self, code: str, username: str = "") -> None:
        self.browser, self.shown = Browser(http()), {"code": code, "username": username}

    def post(self, path: str, **fields: str) -> httpx.Response:
        page = self.browser.get(PHONE)
        form = page.form_with("code")
        assert form is not None
        token = form.fields["csrfmiddlewaretoken"]
        return self.browser._http.post(
            PHONE + path, data={"csrfmiddlewaretoken": token, **fields}, headers={"Referer": PHONE, "Origin": ISSUER}
        )

    def options(self) -> httpx.Response:
        return self.post("/options", **self.shown)

    def answer(self, response: dict[str, Any], name: str = "My phone") -> httpx.Response:
        return self.post("/answer", **self.shown, name=name, response=json.dumps(response))

    def status(self, binding_id: str) -> str:
        return str(self.post(f"/{binding_id}").json().get("status", "refused"))

    def make(self, key: SoftKey, name: str = "My phone") -> dict[str, Any]:
        made = self.answer(key.create(self.options().json()), name)
        assert made.status_code == 202, made.text
        found: dict[str, Any] = made.json()
        return found


def show_code(desktop: Browser) -> tuple[Page, str, str]:
    page = desktop.get(ADD_DERIVED)
    form = next(one for one in page.forms() if one.action.endswith("/devices/add"))
    page = desktop.submit(page, form)
    assert page.status == 200, page.words()
    return page, page.by_id("binding-code"), page.by_id("binding-code-short")


def by_phone(world: World, desktop: Browser, key: SoftKey) -> Credential:
    page, code, _ = show_code(desktop)
    phone = Phone(code)
    bound = phone.make(key)
    assert "My phone" in world.confirm(desktop, page).words()
    assert phone.status(bound["binding_id"]) == "bound"
    return Credential.objects.get(kind=Kind.DERIVED_PASSKEY)


# --- through the browser ----------------------------------------------------------------------------------------------


def test_derived_passkey_is_pending_until_its_first_login(world: World) -> None:
    """PK-4, BI-6, RQ-1: pending; the first login activates it at the capped level; the record has its evidence."""
    person, desktop = world.enrolled()
    key = SoftKey()
    assert grow(desktop, key).path == "/login/passkey"
    row = Credential.objects.get(kind=Kind.DERIVED_PASSKEY)
    assert (row.state, row.aal, row.ial, row.label, row.root.kind if row.root else "") == (
        "pending",
        2,
        2,
        "generic",
        "password_totp",
    )
    for name, value in {
        "phishing_resistant": True,
        "backup_eligible": False,
        "backed_up": False,
        "attestation": "none",
        "exportable": "unproven",
        "relayed": False,
        "factors": ["passkey", "user_verification"],
    }.items():
        assert row.evidence[name] == value, name
    assert Request.objects.get(credential=row).device_type == "passkey"
    desktop = world.signed_in(person)
    assert "Waits for its first sign-in" in desktop.get(f"{ISSUER}/devices").words()
    app, browser = world.app(), stranger()
    assert sign_in(browser, key).path == "/devices"
    row.refresh_from_db()
    assert row.state == "active"
    found = claims(world.tokens(app, browser)["id_token"])
    assert (found["acr"], set(found["amr"]), found["credential_label"], found["ial"]) == (
        ACR + "2",
        {"pop", "user", "mfa"},
        "generic",
        2,
    )
    assert "Derived passkey" in browser.get(f"{ISSUER}/devices").words()
    assert "grew from another way" in browser.get(f"{ISSUER}/devices/passkey/{row.id}").words()


def test_first_use_needs_user_verification(world: World) -> None:
    """PK-4, AU-4: without a PIN or finger it stays pending; once active such a login is AAL1."""
    _, desktop = world.enrolled()
    key = SoftKey()
    grow(desktop, key)
    key.verifies = False
    assert sign_in(stranger(), key).path == "/login/passkey"
    assert Credential.objects.get(kind=Kind.DERIVED_PASSKEY).state == "pending"
    key.verifies = True
    sign_in(stranger(), key)
    key.verifies = False
    sign_in(stranger(), key)
    assert (newest_event().aal, newest_event().root) == (1, False)


def test_passkey_without_user_verification_is_not_created(world: World) -> None:
    """Ruling 1, P3: the browser was asked for verification, and the flag is checked all the same."""
    _, desktop = world.enrolled()
    page = grow(desktop, SoftKey(verifies=False))
    assert page.status >= 400
    assert not Credential.objects.filter(kind=Kind.DERIVED_PASSKEY).exists()


def test_derived_passkey_needs_a_fresh_root_login(world: World) -> None:
    """AU-8, EL-1, EL-2: neither an old one, nor one with a device or a grown passkey."""
    person, desktop = world.enrolled()
    grow(desktop, SoftKey())
    with time_machine.travel(clock.now() + timedelta(minutes=21), tick=False):
        desktop.get(f"{ISSUER}/devices")
        assert desktop.get(ADD_DERIVED).path == "/login"
    key = SoftKey()
    grow(world.signed_in(person), key)
    browser = stranger()
    assert sign_in(browser, key).path == "/devices"
    for path in (ADD_DERIVED, f"{ISSUER}/devices/roots/passkey/add"):
        assert browser.get(path).path == "/login"
    page = browser.get(f"{ISSUER}/devices")
    token = page.forms()[0].fields["csrfmiddlewaretoken"]
    headers = {"Referer": page.url, "Origin": ISSUER}
    for kind in ("device_key", "derived_passkey"):
        answer = browser._http.post(
            f"{ISSUER}/devices/add", data={"csrfmiddlewaretoken": token, "kind": kind}, headers=headers
        )
        assert answer.status_code == 302
        assert answer.headers["location"].startswith("/login")
    assert (
        browser._http.post(
            f"{ISSUER}/devices/passkey/options", data={"csrfmiddlewaretoken": token}, headers=headers
        ).status_code
        == 403
    )
    assert not Binding.objects.exists()


@pytest.mark.parametrize(("synced", "attested", "approved", "login", "level"), [
    (False, True, True, 3, 3), (False, True, False, 3, 2), (False, False, True, 3, 2), (True, True, True, 3, 2),
    (False, True, True, 2, 2),
])  # fmt: skip
def test_level_caps_of_a_derived_passkey(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    synced: bool,  # noqa: FBT001
    attested: bool,  # noqa: FBT001
    approved: bool,  # noqa: FBT001
    login: int,
    level: int,
) -> None:
    """PK-1: BE is AAL2. PK-2: without attestation AAL2. RQ-5: AAL3 takes a model on the list. AS-2: and a login at
    AAL3. AS-5: less is never AAL3.
    """
    person, desktop = world.enrolled()
    maker = Maker()
    monkeypatch.setattr("idp.policies.fido_metadata.known", lambda: listed(maker))
    monkeypatch.setattr("idp.policies.fido_metadata.policy", ModelPolicy)
    monkeypatch.setattr(
        "idp.policies.issuance.rules",
        lambda: Rulebook(approved=ApprovedDevices(aaguids=frozenset({maker.aaguid} if approved else set()))),
    )
    if login == 3:
        from scim.models import Person as Row

        with_card(Row.objects.get(login_name=person.username).account)
    key = SoftKey(maker=maker if attested else None, synced=synced)
    grow(desktop, key)
    row = Credential.objects.get(kind=Kind.DERIVED_PASSKEY)
    assert row.aal == level
    browser, app = stranger(), world.app()
    sign_in(browser, key)
    assert (newest_event().aal, newest_event().root) == (level, False)
    wanted = world.ask(app, browser, acr_values=f"{ACR}3", prompt="none")
    assert ("code" in wanted) == (level == 3), wanted


def test_syncable_key_is_refused_where_syncing_is_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """PK-3."""
    _, desktop = world.enrolled()
    monkeypatch.setattr(
        "idp.policies.issuance.rules", lambda: Rulebook(terms={Kind.DERIVED_PASSKEY: KindRules(synced=frozenset())})
    )
    assert "a device of this kind" in grow(desktop, SoftKey(synced=True)).words()
    assert not Credential.objects.filter(kind=Kind.DERIVED_PASSKEY).exists()
    grow(desktop, SoftKey())
    assert Credential.objects.filter(kind=Kind.DERIVED_PASSKEY).exists()


def test_same_key_is_never_bound_twice(world: World) -> None:
    """C5, C6: as a root, as a grown one, after it was revoked, by anybody; and an existing one is named in the
    options.
    """
    person, desktop = world.enrolled()
    root, grown = SoftKey(), SoftKey()
    register(desktop, root)
    grow(desktop, grown)
    desktop = world.signed_in(person)
    options = asked(desktop, desktop.get(ADD_DERIVED), f"{ISSUER}/devices/passkey/options")
    assert len(options["excludeCredentials"]) == 2
    assert options["authenticatorSelection"]["userVerification"] == "required"
    row = Credential.objects.get(kind=Kind.DERIVED_PASSKEY)
    under_lock(
        row.account_id,
        lambda account: revoke.credential(
            row, account=account, because=Reason.REMOVED_BY_PERSON, now=clock.now(), actor="t"
        ),
    )
    _, other = world.enrolled("bo@example.org")
    before = BoundKey.objects.count()
    for browser in (desktop, other):
        assert "registered here already" in grow(browser, root).words()
        assert "registered here already" in grow(browser, grown).words()
        assert "registered here already" in register(browser, grown).words()
        copied = SoftKey(key=grown.key)  # another id, the same key
        assert "registered here already" in grow(browser, copied).words()
        assert "registered here already" in register(browser, copied).words()
    assert (BoundKey.objects.count(), Passkey.objects.count()) == (before, 2)
    assert sign_in(stranger(), grown).path == "/login/passkey"  # IV-9


@pytest.mark.database
@pytest.mark.parametrize("registering", [register, grow], ids=["root", "derived"])
def test_registration_without_proof_does_not_burn_the_key_of_another(
    authority: dict[str, Any], world: World, registering: Callable[[Browser, SoftKey], Page]
) -> None:
    """C5: `none` proves nothing, so a public key that was copied into a registration stays free for its holder."""
    _, desktop = world.enrolled()
    _, sam = world.enrolled("sam@example.org")
    mine, used, attesting = SoftKey(), SoftKey(), SoftKey(self_attests=True)
    for key in (mine, used):
        copied = SoftKey(key=key.key)
        registering(sam, copied)  # another authenticator's answer with this public key
    registering(sam, attesting)
    assert Passkey.objects.filter(attestation="self").count() == 1
    assert issued(desktop, mine.key).certificate.public_key() == mine.key.public_key()
    # Once its holder has proven a key, in the registration or by a login, no other proof takes it over.
    copy = SoftKey(key=used.key)
    assert "registered here already" in registering(desktop, copy).words()
    assert sign_in(stranger(), copied).path != "/login/passkey"
    for key in (used, attesting):
        assert add(desktop, request=csr_for(desktop, key.key)).status == 409  # type: ignore[arg-type]


@pytest.mark.database
def test_a_reserved_key_that_its_holder_has_proven_elsewhere_signs_nobody_in(
    authority: dict[str, Any], world: World
) -> None:
    """C5: a passkey without proof gives way to a proof of its key, and its own first login comes too late."""
    _, desktop = world.enrolled()
    _, sam = world.enrolled("sam@example.org")
    key = SoftKey()
    register(sam, key)
    assert issued(desktop, key.key).certificate.public_key() == key.key.public_key()
    browser = stranger()
    assert sign_in(browser, key).path == "/login/passkey"
    assert browser.get(f"{ISSUER}/devices").path == "/login"


def test_derived_passkey_ends_with_its_person_or_by_link(world: World) -> None:
    """IV-1, IV-9, BI-5: HR ends the person; or the notice's link ends the passkey."""
    _, desktop = world.enrolled()
    one, two = SoftKey(), SoftKey()
    grow(desktop, one, name="One")
    mail = world.mails(subject="device was added")[-1]
    link = next(word for word in str(mail.body).split() if "/undo/" in word)
    browser = stranger()
    page = browser.get(link)
    browser.submit(page, page.forms()[0])
    assert sign_in(stranger(), one).path == "/login/passkey"
    browser = world.signed_in(world.enrolled("bo@example.org")[0])
    grow(browser, two)
    signed = stranger()
    assert sign_in(signed, two).path == "/devices"
    world.deactivate("bo@example.org")
    assert signed.get(f"{ISSUER}/devices").path == "/login"
    assert sign_in(stranger(), two).path == "/login/passkey"


# --- on a phone -------------------------------------------------------------------------------------------------------


@pytest.mark.database
def test_phone_creates_a_passkey_and_signs_in(world: World) -> None:
    """C14, BI-1: both screens show one number; the desktop approves; the phone signs in, which activates the
    passkey.
    """
    _, desktop = world.enrolled()
    page, code, _ = show_code(desktop)
    phone, key = Phone(code), SoftKey()
    bound = phone.make(key)
    assert phone.status(bound["binding_id"]) == "pending"
    assert not Credential.objects.filter(kind=Kind.DERIVED_PASSKEY).exists()
    seen = desktop.get(page.url)
    assert f">{bound['number']}<" in seen.html
    assert "My phone" in seen.words()
    world.confirm(desktop, page)
    assert phone.status(bound["binding_id"]) == "bound"
    row = Credential.objects.get(kind=Kind.DERIVED_PASSKEY)
    assert (row.state, row.aal, row.name, row.evidence["relayed"]) == ("pending", 2, "My phone", True)
    assert Binding.objects.get().answered is None
    sign_in(phone.browser, key)
    row.refresh_from_db()
    assert (row.state, newest_event().aal, newest_event().root) == ("active", 2, False)
    assert "a code on another screen" in phone.browser.get(f"{ISSUER}/devices/passkey/{row.id}").words()


def test_short_code_needs_the_user_name(world: World) -> None:
    """BI-1."""
    person, desktop = world.enrolled()
    _, _, short = show_code(desktop)
    assert Phone(short).options().status_code == 400
    assert Phone(short, person.username).options().status_code == 200


def test_binding_by_code_is_capped_at_aal2(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """C14, PK-2: an attested hardware key, from a login at AAL3, on an approved model, is AAL2 by code, and not
    `phrh`.
    """
    person, desktop = world.enrolled()
    maker = Maker()
    monkeypatch.setattr("idp.policies.fido_metadata.known", lambda: listed(maker))
    monkeypatch.setattr("idp.policies.fido_metadata.policy", ModelPolicy)
    monkeypatch.setattr(
        "idp.policies.issuance.rules", lambda: Rulebook(approved=ApprovedDevices(aaguids=frozenset({maker.aaguid})))
    )
    from scim.models import Person as Row

    with_card(Row.objects.get(login_name=person.username).account)
    key = SoftKey(maker=maker)
    row = by_phone(world, desktop, key)
    sign_in(stranger(), key)
    assert (row.aal, newest_event().aal, newest_event().hardware) == (2, 2, False)


@pytest.mark.database
def test_second_browser_burns_the_code(world: World) -> None:
    """C12: the relayed code binds only the browser that showed it first; another one ends it for both."""
    _, desktop = world.enrolled()
    page, code, _ = show_code(desktop)
    victim, attacker, key = Phone(code), Phone(code), SoftKey()
    options = victim.options().json()
    assert attacker.options().status_code == 400
    assert victim.answer(key.create(options)).status_code == 400
    assert Binding.objects.get().status == "burnt"
    assert "locked" in desktop.get(page.url).words()
    assert not Credential.objects.filter(kind=Kind.DERIVED_PASSKEY).exists()


@pytest.mark.database
def test_different_numbers_reveal_a_relayed_code(world: World) -> None:
    """C14, PoisonSeed: an attacker who used the code first waits for the desktop's approval; the person has no
    number to compare, refuses, and nothing is created.
    """
    _, desktop = world.enrolled()
    page, code, _ = show_code(desktop)
    attacker, key = Phone(code), SoftKey()
    bound = attacker.make(key, "My phone")
    assert Phone(code).options().status_code == 400  # the victim's own phone is told that something is wrong
    seen = desktop.get(page.url)
    desktop.submit(seen, seen.form_to("/refuse"))
    assert attacker.status(bound["binding_id"]) == "refused"
    assert sign_in(attacker.browser, key).path == "/login/passkey"
    assert not Credential.objects.filter(kind=Kind.DERIVED_PASSKEY).exists()


def test_binding_is_tied_to_both_browsers(world: World) -> None:
    """C14, P23: the confirmation belongs to the session that showed the code, the challenge to the phone that asked
    for it.
    """
    person, desktop = world.enrolled()
    page, code, _ = show_code(desktop)
    phone, key = Phone(code), SoftKey()
    made = key.create(phone.options().json())
    thief = Phone(code)
    assert thief.answer(made).status_code == 400
    bound = phone.answer(made).json()
    assert thief.status(bound["binding_id"]) == "refused"
    other = world.signed_in(person)
    assert other.get(page.url).status == 404
    token = other.get(f"{ISSUER}/devices").forms()[0].fields["csrfmiddlewaretoken"]
    answer = other._http.post(
        f"{page.url}/confirm",
        data={"csrfmiddlewaretoken": token, "number": bound["number"]},
        headers={"Referer": page.url, "Origin": ISSUER},
    )
    assert answer.status_code == 400
    assert not Credential.objects.filter(kind=Kind.DERIVED_PASSKEY).exists()


def test_phones_registration_is_verified(world: World) -> None:
    """C59, DK-1, P69: another origin, an old or foreign challenge, no user verification, twice: each refused, and
    the code stays valid.
    """
    _, desktop = world.enrolled()
    page, code, _ = show_code(desktop)
    phone = Phone(code)
    options = phone.options().json()
    wrong: list[dict[str, Any]] = [
        SoftKey(origin="https://ramet.example.evil").create(options),
        SoftKey().create({**options, "challenge": "AAAA"}),
        SoftKey().create(options, crossOrigin=True),
        SoftKey(verifies=False).create(options),
        {"id": "x"},
    ]
    for one in wrong:
        assert phone.answer(one).status_code == 400
    newer = phone.options().json()  # a fresh challenge replaces the old one
    assert phone.answer(SoftKey().create(options)).status_code == 400
    key = SoftKey()
    assert phone.answer(key.create(newer)).status_code == 202
    assert phone.answer(key.create(newer)).status_code == 400
    assert world.confirm(desktop, page).status == 200
    assert Credential.objects.filter(kind=Kind.DERIVED_PASSKEY).count() == 1


def test_code_is_for_one_kind(world: World) -> None:
    """BI-2: a code for a device creates no passkey, nor the other way round; both expire after ten minutes, and a
    new one invalidates the old.
    """
    _, desktop = world.enrolled()
    _, device_code, _ = world.begin_binding(desktop)
    assert Phone(device_code).options().status_code == 400
    _, code, _ = show_code(desktop)
    answer = http().post(f"{ISSUER}/enrol/v1/challenges", json={"code": code, "jwk": {}})
    assert answer.status_code == 400
    with time_machine.travel(clock.now() + timedelta(minutes=10, seconds=1), tick=False):
        assert Phone(code).options().status_code == 400
    assert Phone(code).options().status_code == 200
    token = desktop.get(f"{ISSUER}/devices").forms()[0].fields["csrfmiddlewaretoken"]
    for kind in ("password_totp", "token_family", "piv_card", "nonsense", ""):
        headers = {"Referer": f"{ISSUER}/devices", "Origin": ISSUER}
        assert (
            desktop._http.post(
                f"{ISSUER}/devices/add", data={"csrfmiddlewaretoken": token, "kind": kind}, headers=headers
            ).status_code
            == 400
        )


def test_desktop_session_must_still_be_live(world: World) -> None:
    """C7, C9: signed out, or ended by HR, between the code and the approval: nothing is created."""
    _, desktop = world.enrolled()
    page, code, _ = show_code(desktop)
    phone = Phone(code)
    made = SoftKey().create(phone.options().json())
    world.deactivate("alex@example.org")
    assert phone.answer(made).status_code == 400
    assert desktop.get(page.url).path == "/login"


@pytest.mark.database
def test_withdrawn_model_lowers_a_derived_passkey(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """PK-2, RQ-4: like a root's."""
    from idp.login import withdrawn

    person, desktop = world.enrolled()
    maker = Maker()
    monkeypatch.setattr("idp.policies.fido_metadata.known", lambda: listed(maker))
    monkeypatch.setattr("idp.policies.fido_metadata.policy", ModelPolicy)
    monkeypatch.setattr(
        "idp.policies.issuance.rules", lambda: Rulebook(approved=ApprovedDevices(aaguids=frozenset({maker.aaguid})))
    )
    from scim.models import Person as Row

    with_card(Row.objects.get(login_name=person.username).account)
    key = SoftKey(maker=maker)
    grow(desktop, key)
    sign_in(stranger(), key)
    bad = withdrawn.find_withdrawn(listed(maker, statuses=("REVOKED",)), ModelPolicy())
    assert [one.credential.kind for one in bad] == ["derived_passkey"]
    withdrawn.withdraw(bad[0], now=clock.now(), actor="t")
    assert Credential.objects.get(kind=Kind.DERIVED_PASSKEY).aal == 2
    assert AuthenticationEvent.objects.latest("id").aal == AAL.AAL2
    assert Event.objects.filter(kind="passkey.model_withdrawn").exists()


def test_copied_passkey_does_not_activate_it(world: World) -> None:
    """PK-4, C59: an assertion with a lower counter is refused, and does not count as the first login."""
    _, desktop = world.enrolled()
    key = SoftKey()
    grow(desktop, key)
    Passkey.objects.update(sign_count=1000)
    sign_in(stranger(), key)
    assert Credential.objects.get(kind="derived_passkey").state == "pending"
    assert Event.objects.filter(kind="passkey.sign_count_regressed").exists()
