"""Relying parties that prove themselves with a certificate, and tokens bound to it (RFC 8705; C22, C23, C36, P51)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from demo.card_office import open_office, start
from demo.proxy import nginx
from derived import clock
from device import proofs
from device.key import DeviceKey
from idp import clients
from idp.clients import BadRegistration
from idp.models import Probe
from tests.fixtures.card_reader import PLACE, Reader
from tests.fixtures.client_certificates import AUTHORITY, DN, SERVER, call, in_set, lay, made, x5t
from tests.fixtures.live_server import Live
from tests.fixtures.served_behind_nginx import MISSING
from tests.fixtures.signing_client import jwks, new_key
from tests.fixtures.world import CALLBACK, ISSUER, App, World, claims, http

if TYPE_CHECKING:
    from pathlib import Path

    from demo.pki import Card


def knows(app: App, card: Card | None, **reader: Any) -> bool:
    response = call(card, "/oidc/introspect", {"token": "x", "client_id": app.client_id}, **reader)
    assert response.status_code in {200, 401}, response.text
    if response.status_code == 401:
        assert response.json()["error"] == "invalid_client"
    return response.status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        {"dn": DN}, {"dns": "rp.example.org"}, {"dns": "RP.example.org"}, {"uri": "https://rp.example.org/app"},
        {"email": "ops@rp.example.org"}, {"ip": "192.0.2.7"},
    ],
    ids=str,
)  # fmt: skip
def test_certificate_with_the_registered_name_is_accepted(certificate_world: World, name: dict[str, str]) -> None:
    """RFC 8705 §2.1.2: each of the five names, and the client_id beside it."""
    app = certificate_world.app(auth_method="tls_client_auth", tls_subject=name)
    assert knows(app, made(by=AUTHORITY))


@pytest.mark.parametrize(
    ("name", "bent"),
    [
        ({"dn": DN}, {"dn": "CN=Travel desk,O=Evil,C=US"}), ({"dn": DN}, {"dn": "CN=Travel desk,O=Example"}),
        ({"dn": DN}, {"dn": "O=Example,CN=Travel desk,C=US"}),
        ({"dns": "rp.example.org"}, {"names": [x509.DNSName("*.example.org")]}),
        ({"dns": "rp.example.org"}, {"names": [x509.DNSName("xrp.example.org")]}),
        ({"dns": "rp.example.org"}, {"names": None, "dn": "CN=rp.example.org"}),
        ({"email": "ops@rp.example.org"}, {"names": [x509.DNSName("ops.rp.example.org")]}),
        ({"uri": "https://rp.example.org/app"}, {"names": [x509.UniformResourceIdentifier("https://rp.example.org/app/")]}),
        ({"ip": "192.0.2.7"}, {"names": [x509.DNSName("192.0.2.7")]}),
        ({"dn": DN}, {"by": None}), ({"dn": DN}, {"eku": (SERVER,)}), ({"dn": DN}, {"days": 1, "old": 2}),
        ({"dn": DN}, {"old": -1}),
        ({"dn": DN}, {"by": made(ca=True, dn="CN=Parties,O=Example,C=US")}), ({"dn": DN}, {"ca": True}),
        ({"dn": DN}, {"by": made(by=AUTHORITY, dn="CN=leaf")}),
        ({"dn": DN}, {"key": ec.generate_private_key(ec.SECP521R1())}),
    ],
    ids=range(17),
)  # fmt: skip
def test_any_other_certificate_is_refused(certificate_world: World, name: dict[str, str], bent: dict[str, Any]) -> None:
    """C22, C36: another name, another authority of the same name, no authority, another purpose, another time, a
    weak key.
    """
    app = certificate_world.app(auth_method="tls_client_auth", tls_subject=name)
    assert not knows(app, made(**{"by": AUTHORITY, **bent}))


def test_card_authorities_are_not_trusted_for_clients(certificate_world: World, tmp_path: Path) -> None:
    """Two folders, two trust stores: a card is no relying party, and without a folder no certificate is accepted."""
    app = certificate_world.app(auth_method="tls_client_auth", tls_subject={"dn": DN})
    assert knows(app, made(by=AUTHORITY))
    (tmp_path / "pki" / "clients" / "parties.pem").unlink()
    assert not knows(app, made(by=AUTHORITY))
    (tmp_path / "pki" / "anchors" / "parties.pem").write_bytes(AUTHORITY.pem)
    assert not knows(app, made(by=AUTHORITY))


def test_certificate_with_status_pointers_needs_a_good_status(certificate_world: World) -> None:
    """C22: fails closed: 503 in the protocol's form, and nobody is let in."""
    points = x509.CRLDistributionPoints(
        [x509.DistributionPoint([x509.UniformResourceIdentifier("http://127.0.0.1:9/x.crl")], None, None, None)]
    )
    app = certificate_world.app(auth_method="tls_client_auth", tls_subject={"dn": DN})
    for path in ("/oidc/token", "/oidc/introspect", "/oidc/revoke", "/oidc/par"):
        form = {"token": "x", "grant_type": "refresh_token", "refresh_token": "x", "client_id": app.client_id}
        response = call(made(by=AUTHORITY, more=[points]), path, form)
        assert (response.status_code, response.json()["error"]) == (503, "temporarily_unavailable")


@pytest.mark.parametrize("how", [{"x5c": True}, {"x5t": True}, {}], ids=str)
def test_self_signed_certificate_is_matched_with_the_jwks(certificate_world: World, how: dict[str, bool]) -> None:
    """RFC 8705 §2.2: the certificate itself, its thumbprint, or its key; another certificate of the key only where
    the set names the key.
    """
    card = made()
    app = certificate_world.app(auth_method="self_signed_tls_client_auth", jwks=in_set(card, **how))
    assert knows(app, card)
    assert not knows(app, made())
    assert knows(app, made(key=card.key)) is (not how)
    assert not knows(app, made(key=card.key, days=1, old=2))


def test_certificate_headers_are_trusted_from_the_proxy_only(certificate_world: World) -> None:
    """P51, C22, ruling 7: without the secret, from another peer, on the main host, resumed, or before the probe has
    passed.
    """
    app, card = certificate_world.app(auth_method="tls_client_auth", tls_subject={"dn": DN}), made(by=AUTHORITY)
    assert knows(app, card)
    assert not knows(app, None)
    assert not knows(app, card, secret="x" * 40)
    assert not knows(app, card, peer="203.0.113.9")
    assert not knows(app, card, resumed="r")
    with httpx.Client(transport=Reader(card=card)) as agent:
        assert (
            agent.post(f"{ISSUER}/oidc/introspect", data={"token": "x", "client_id": app.client_id}).status_code == 401
        )
        assert (
            agent.post(
                f"{ISSUER}/certificate/oidc/introspect", data={"token": "x", "client_id": app.client_id}
            ).status_code
            == 404
        )
    Probe.objects.update(passed=False)
    assert not knows(app, card)


def test_certificate_replaces_no_other_method(certificate_world: World) -> None:
    """C36: with a certificate of its own, a secret client still needs its secret, and a certificate client has none."""
    card = made(by=AUTHORITY)
    secret, by_key = (
        certificate_world.app(),
        certificate_world.app(auth_method="private_key_jwt", auth_alg="ES256", jwks=jwks(new_key())),
    )
    assert not knows(secret, card)
    assert not knows(by_key, card)
    app = certificate_world.app(auth_method="tls_client_auth", tls_subject={"dn": DN})
    response = call(card, "/oidc/introspect", {"token": "x", "client_id": app.client_id, "client_secret": "x"})
    assert response.status_code == 401
    assert knows(certificate_world.app(public=True), card) is False  # introspection is for confidential clients
    clients.change(app.party, now=clock.now(), tls_subject={"dns": "other.example.org"})
    assert not knows(app, card)


def test_tokens_are_bound_to_the_certificate(certificate_world: World) -> None:
    """C23: x5t#S256 in the token; it serves with that certificate only, re-issued ones of the same key are others;
    refresh is bound too.
    """
    card = made(by=AUTHORITY)
    app = certificate_world.app(auth_method="tls_client_auth", tls_subject={"dn": DN}, certificate_bound=True)
    _, desktop = certificate_world.enrolled()
    form = {
        "grant_type": "authorization_code",
        "redirect_uri": CALLBACK,
        "code_verifier": app.verifier,
        "client_id": app.client_id,
    }
    response = call(card, "/oidc/token", {**form, "code": certificate_world.ask(app, desktop)["code"]})
    assert response.status_code == 200, response.text
    tokens = response.json()
    assert claims(tokens["access_token"])["cnf"] == {"x5t#S256": x5t(card)}
    again = made(by=AUTHORITY, key=card.key)

    def userinfo(shown: Card | None) -> int:
        with httpx.Client(transport=Reader(card=shown)) as agent:
            bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
            return agent.get(f"https://{PLACE}/certificate/oidc/userinfo", headers=bearer).status_code

    assert userinfo(card) == 200
    assert userinfo(again) == 401
    assert userinfo(None) == 401
    with http() as agent:
        assert (
            agent.get("/oidc/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}).status_code
            == 401
        )
    refreshed = call(
        card,
        "/oidc/token",
        {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": app.client_id},
    )
    assert refreshed.status_code == 200, refreshed.text
    assert claims(refreshed.json()["access_token"])["cnf"] == {"x5t#S256": x5t(card)}


def test_discovery_lists_the_mtls_aliases(certificate_world: World, tmp_path: Path) -> None:
    """RFC 8705 §5; C55: what is on, and nothing else."""
    assert certificate_world
    with http() as agent:
        found = agent.get("/.well-known/openid-configuration").json()
        (tmp_path / "pki" / "clients" / "parties.pem").unlink()
        later = agent.get("/.well-known/openid-configuration").json()
    assert found["mtls_endpoint_aliases"]["token_endpoint"] == f"https://{PLACE}/certificate/oidc/token"
    assert {"tls_client_auth", "self_signed_tls_client_auth"} <= set(found["token_endpoint_auth_methods_supported"])
    assert "tls_client_auth" not in later["token_endpoint_auth_methods_supported"]


def test_discovery_without_a_certificate_host(world: World) -> None:
    """C55."""
    assert world
    with http() as agent:
        found = agent.get("/.well-known/openid-configuration").json()
    assert "mtls_endpoint_aliases" not in found
    assert not {"tls_client_auth", "self_signed_tls_client_auth"} & set(found["token_endpoint_auth_methods_supported"])


@pytest.mark.parametrize(
    "subject",
    [
        {},
        {"dn": ""},
        {"dn": "not a name"},
        {"dn": DN, "dns": "x"},
        {"cn": "x"},
        {"ip": "999.1.1.1"},
        {"dns": ""},
        {"dns": 5},
        {"dn": "x" * 300},
    ],
    ids=str,
)
def test_invalid_certificate_name_is_not_registered(world: World, subject: dict[str, Any]) -> None:
    """RFC 8705 §2.1.2: exactly one."""
    with pytest.raises(BadRegistration, match="one name"):
        world.app(auth_method="tls_client_auth", tls_subject=subject)


@pytest.mark.slow
def test_relying_party_authenticates_through_nginx(tmp_path: Path) -> None:
    """The shipped configuration, a real handshake, a UNIX socket: both methods; and curl-like forgery is nothing."""
    if not nginx():
        pytest.skip(MISSING)
    card_office = open_office(tmp_path)
    assert card_office is not None
    live = Live(extra=card_office.proxy.variables)
    try:
        card_office.pki.write(live.var / "pki")
        lay(live.var)
        start(card_office, live.ramet)
        live.ramet.ask("card", "probe")
        own, certified, stranger = made(), made(by=AUTHORITY), made(dn="CN=stranger")
        known = live.client(auth_method="self_signed_tls_client_auth", jwks=in_set(own, x5c=True))["client_id"]
        named = live.client(auth_method="tls_client_auth", tls_subject={"dn": DN})["client_id"]

        def ask(card: Card | None, client_id: str, **forged: str) -> int:
            with card_office.client(card, **forged) as agent:
                form = {"token": "x", "client_id": client_id, "padding": "x" * 2000, "more": "y" * 2000}
                return agent.post(f"{card_office.proxy.url}/certificate/oidc/introspect", data=form).status_code

        assert [ask(own, known), ask(certified, named)] == [200, 200]
        assert [
            ask(one, two)
            for one, two in ((stranger, known), (stranger, named), (None, known), (own, named), (certified, known))
        ] == [401] * 5
        live.ramet.ask("source", "add", "payroll", "--preset", "hr", "--precedence", "10")
        live.ramet.ask("source", "admit", "payroll", "--certified-name", "dns:rp.example.org")

        def pushes(card: Card | None, **forged: str) -> int:
            with card_office.client(card, **forged) as agent:
                body = (
                    '{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada"}' + " " * 100_000
                )  # larger than a pipe: an answer must not get lost
                return agent.post(
                    f"{card_office.proxy.url}/certificate/scim/v2/Users",
                    content=body,
                    headers={"Content-Type": "application/scim+json"},
                ).status_code

        assert [pushes(one) for one in (certified, stranger, own, None)] == [201, 401, 401, 401]
        pem = own.pem.decode().replace("\n", "%0A").replace(" ", "%20").replace("+", "%2B")
        assert (
            ask(None, known, **{"RametHop": f"secret={'g' * 64}; resumed=.; pem={pem}", "Client-Cert": ":AAAA:"}) == 401
        )
    finally:
        card_office.close()
        live.stop()


@pytest.mark.django_db
def test_bound_client_does_not_refresh_to_an_unbound_token(certificate_world: World) -> None:
    """C23: neither without its certificate nor with somebody's DPoP key in its place."""
    card, app = made(by=AUTHORITY), certificate_world.app(certificate_bound=True)
    _, desktop = certificate_world.enrolled()
    form = {
        "grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": app.verifier,
        "client_id": app.client_id,
        "client_secret": app.secret, "code": certificate_world.ask(app, desktop)["code"],
    }  # fmt: skip
    tokens = call(card, "/oidc/token", form).json()
    assert "x5t#S256" in claims(tokens["access_token"])["cnf"]
    proof = proofs.dpop(DeviceKey.generate(), "POST", url=f"{ISSUER}/oidc/token", now=clock.now())
    assert app.refresh(tokens["refresh_token"]).status_code == 400
    assert app.refresh(tokens["refresh_token"], dpop=proof).status_code == 400
