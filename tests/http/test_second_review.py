"""What a second pair of eyes broke in the provider, each as it is refused now (C13, C16, C23, C41, C45, C52; P29, P55; ruling 2, ruling 21)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine

from demo.browser import Browser
from derived import clock
from derived.changes import suspend
from derived.ledger.locking import under_lock
from derived.models import Account, Credential
from device import proofs
from device.errors import ProtocolError
from device.key import DeviceKey
from idp import clients, outbound, wire
from idp.config import Config
from idp.models import AuthenticationEvent, ClientKeys, ClientPolicy
from idp.oidc.endpoints import resource
from scim.models import Person as Directory
from tests.card.test_parties import AUTHORITY, call, house, made
from tests.http.signing import jwks, new_key
from tests.http.test_client_auth import signer
from tests.http.test_client_keys import opened
from tests.http.test_device_grant import answered, begun, polled, television
from tests.http.test_registration import GOOD, initial, registered, send
from tests.http.test_services import asked, service
from tests.world import CALLBACK, ISSUER, claims, http, userinfo

if TYPE_CHECKING:
    from tests.world import World

__all__ = ["house"]
pytestmark = pytest.mark.django_db
API = "https://api.example/"


def test_a_pause_is_not_forgotten_by_reloading(world: World) -> None:
    """A client's `most_idle` asks for the longest pause since the login; the refused request does not shorten it."""
    person, browser = world.enrolled()
    app = world.app()
    ClientPolicy.objects.update(most_idle=timedelta(minutes=10))
    with time_machine.travel(clock.now() + timedelta(minutes=30), tick=True):
        for _ in range(2):
            assert browser.get(app.url(), stop_at=CALLBACK).path == "/login"
        browser.get(f"{ISSUER}/devices")
        page = browser.get(app.url(), stop_at=CALLBACK)
        assert page.path == "/login"
        assert "code=" in person.sign_in(browser, page, stop_at=CALLBACK).stopped_at


def test_a_bound_client_does_not_refresh_to_an_unbound_token(house: World) -> None:
    """C23: neither without its certificate nor with somebody's DPoP key in its place."""
    card, app = made(by=AUTHORITY), house.app(certificate_bound=True)
    _, desktop = house.enrolled()
    form = {
        "grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": app.verifier, "client_id": app.client_id,
        "client_secret": app.secret, "code": house.ask(app, desktop)["code"],
    }  # fmt: skip
    tokens = call(card, "/oidc/token", form).json()
    assert "x5t#S256" in claims(tokens["access_token"])["cnf"]
    proof = proofs.dpop(DeviceKey.generate(), "POST", url=f"{ISSUER}/oidc/token", now=clock.now())
    assert app.refresh(tokens["refresh_token"]).status_code == 400
    assert app.refresh(tokens["refresh_token"], dpop=proof).status_code == 400


def test_a_replacement_keeps_what_an_operator_tightened(world: World) -> None:
    """RFC 7592 §2.2, P29, C52: a PUT names none of it, so it stays."""
    made_ = registered()
    tightened = {
        "most_session": timedelta(minutes=15), "most_idle": timedelta(minutes=5), "access_token_life": timedelta(seconds=60),
        "refresh_life": timedelta(hours=1), "dpop_required": True, "par_required": True, "scopes": "openid", "access_token_format": "opaque", "dpop_nonce": True,
    }  # fmt: skip
    ClientPolicy.objects.update(**tightened)
    changed = send(
        "PUT",
        made_["registration_client_uri"],
        made_["registration_access_token"],
        {**GOOD, "client_id": made_["client_id"]},
    )
    assert changed.status_code == 200, changed.text
    assert ClientPolicy.objects.values(*tightened).get() == tightened


def test_who_registers_itself_gets_pairwise_subjects(world: World) -> None:
    """Ruling 21: it cannot ask for public ones."""
    refused = send("POST", "/oidc/register", initial(), {**GOOD, "subject_type": "public"})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata")
    assert registered()["subject_type"] == "pairwise"


@pytest.mark.database
@pytest.mark.parametrize("operations", [5, None, "verify", {}])
def test_an_odd_key_is_no_crash_and_keeps_nobody_waiting(world: World, operations: object) -> None:
    """C45: `key_ops` of any type, inline and at the client's own address; who asks next is answered at once."""
    document = jwks(new_key())
    document["keys"][0]["key_ops"] = operations
    assert send("POST", "/oidc/register", initial(), {**GOOD, "jwks": document}).status_code == 400
    with opened() as place:
        place.body = json.dumps(document).encode()
        app = signer(world, jwks=None, jwks_uri=place.url)
        for _ in range(2):
            assert app.post("/oidc/introspect", {"token": "x"}).status_code == 401
    kept = ClientKeys.objects.get()
    assert kept.tries == kept.answered


def test_the_name_of_a_token_is_no_token(world: World) -> None:
    """A service's `jti`, which introspection and logs may show, opens nothing."""
    app = service(world)
    token = asked(app).json()["access_token"]
    jti = claims(token)["jti"]
    assert app.introspect(token)["active"] is True
    assert app.introspect(jti) == {"active": False}
    with http() as agent:
        assert (
            agent.post(
                "/oidc/introspect", data={"token": token}, headers={"Authorization": f"Bearer {jti}"}
            ).status_code
            == 401
        )


def test_a_place_inside_is_not_fetched_for_an_issuer_of_an_intranet(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P55: only an issuer on loopback may reach loopback, whatever its domain is called."""
    far = Config(issuer="https://sso.agency.local", kek="A" * 43 + "=")
    monkeypatch.setattr("idp.clients.metadata.config", lambda: far)
    monkeypatch.setattr(outbound, "config", lambda: far)
    with opened() as place:
        refused = send("POST", "/oidc/register", initial(), {**GOOD, "sector_identifier_uri": place.url})
    assert refused.status_code == 400
    assert "list every" not in refused.text


def test_a_logout_address_that_resolves_inside_is_not_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """P55: of a client that registered itself, the address is judged when it is used."""
    import ipaddress

    from idp.signals.backchannel import LogoutMessage

    far, seen = Config(issuer="https://login.example.org", kek="A" * 43 + "="), []
    monkeypatch.setattr(outbound, "config", lambda: far)
    monkeypatch.setattr(wire, "resolved", lambda host, deadline: [ipaddress.ip_address("10.0.0.5")])
    monkeypatch.setattr(
        outbound,
        "_send",
        lambda url, addresses, *_, **__: (
            seen.append(addresses) or outbound.FetchedResponse(status=200, headers={}, body=b"")
        ),
    )
    LogoutMessage(None, "rebind", "https://rebind.example/x", "t", outside=True).send(now=clock.now())
    assert seen == []


def test_what_a_client_may_no_longer_do_its_grants_may_not_either(world: World) -> None:
    """C16, C52: a resource and scopes that were taken away are gone at refresh and at userinfo."""
    _, browser = world.enrolled()
    app = world.app()
    ClientPolicy.objects.update(resources=[API])
    aimed = world.tokens(app, browser, resource=API, scope="openid email offline_access")
    plain = world.tokens(app, browser, scope="openid email offline_access")
    assert "email" in userinfo(plain["access_token"]).json()
    ClientPolicy.objects.update(resources=[], scopes="openid")
    refused = app.refresh(aimed["refresh_token"])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
    assert "email" not in userinfo(plain["access_token"]).json()
    assert app.refresh(plain["refresh_token"]).json()["scope"] == "openid"


def test_without_the_device_grant_its_families_end(world: World) -> None:
    """C13, C16: an operator takes the grant from a client."""
    app = television(world)
    _, browser = world.enrolled()
    begun_ = begun(app, scope="openid offline_access")
    answered(browser, begun_["user_code"])
    tokens = polled(app, begun_).json()
    ClientPolicy.objects.update(grants=[])
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_device_gets_nothing_on_a_login_that_is_too_old_for_the_client(world: World) -> None:
    """Ruling 2: every gate of the relying party applies to an assertion, `most_session` too."""
    _, desktop = world.enrolled()
    app = world.phone_app()
    phone = world.device(desktop)
    ClientPolicy.objects.update(most_session=timedelta(minutes=15))
    phone.login(app.client_id, passphrase="seven mossy stones")
    with (
        time_machine.travel(clock.now() + timedelta(days=3), tick=True),
        pytest.raises(ProtocolError, match="invalid_grant"),
    ):
        phone.login(app.client_id, passphrase=None)


def test_a_typed_code_is_no_piv_federation(world: World) -> None:
    """C13, P68, FA-3: what was relayed does not carry the PIV flag."""
    app = television(world)
    _, browser = world.enrolled()
    Credential.objects.update(aal=3, kind="piv_card")
    Account.objects.update(ial=3)
    AuthenticationEvent.objects.update(
        aal=3, phishing_resistant=True, hardware=True, amr=["hwk", "mfa", "sc"], factors=["piv_card", "piv_pin"]
    )
    begun_ = begun(app, scope="openid assurance")
    answered(browser, begun_["user_code"])
    told = claims(polled(app, begun_).json()["id_token"])
    assert (told["aal"], told.get("piv_federation")) == (2, None)


@pytest.mark.database
def test_a_revocation_holds_also_while_the_account_is_suspended(world: World) -> None:
    """C41: a 200 means that it ended, whatever was live at that moment."""
    person, browser = world.enrolled()
    app = world.app()
    tokens = world.tokens(app, browser, scope="openid offline_access")
    account = Directory.objects.get(login_name=person.username).account
    under_lock(account.id, lambda locked: suspend.suspend(locked, now=clock.now(), actor="operator"))
    assert app.post("/oidc/revoke", {"token": tokens["access_token"]}).status_code == 200
    under_lock(account.id, lambda locked: suspend.resume(locked, now=clock.now(), actor="operator"))
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert resource.grant_of("no token") is None


def test_a_waiting_request_does_not_go_to_an_address_that_was_taken_away(world: World) -> None:
    """C31: the redirect URI is looked at again when the person comes back from the login page."""
    person, _ = world.enrolled()
    app, browser = world.app(), Browser(http())
    page = browser.get(app.url(), stop_at=CALLBACK)
    assert page.path == "/login"
    clients.change(app.party, now=clock.now(), redirect_uris=["https://new.example/cb"])
    assert not person.sign_in(browser, page, stop_at=CALLBACK).stopped_at


def test_two_native_apps_on_loopback_are_not_one_sector(world: World) -> None:
    """C53, ruling 21: everybody may register that address, so it joins nobody."""
    here = {"application_type": "native", "token_endpoint_auth_method": "none"}
    first = registered(redirect_uris=["http://127.0.0.1/cb"], **here)
    second = registered(redirect_uris=["http://127.0.0.1/other"], client_name="Other", **here)
    person, _ = world.enrolled()
    account = Directory.objects.get(login_name=person.username).account
    parties = [clients.find(one["client_id"]) for one in (first, second)]
    assert len({clients.subject_of(party, account) for party in parties if party}) == 2
