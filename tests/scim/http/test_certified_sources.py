"""Sources that show a certificate, or their client's own token, and what is not good enough (RFC 8705; P37, H1-H4,
C22, C23, P51).
"""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.management import CommandError, call_command

from derived import clock
from derived.errors import Reason, Refused
from device import proofs
from device.key import DeviceKey
from idp.certificates import parties, revocation
from idp.models import Probe
from scim.models import Source, SourceCredential
from scim.people import disabling, sources
from tests.fixtures import card_reader
from tests.fixtures.card_reader import PLACE, Reader
from tests.fixtures.client_certificates import AUTHORITY, DN, call, lay, made, x5t
from tests.fixtures.proxy_hop import said
from tests.fixtures.world import ISSUER, World, http

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.pki import Card

USERS = f"https://{PLACE}/certificate/scim/v2/Users"
NAME = "dns:rp.example.org"
POINTS = x509.CRLDistributionPoints(
    [x509.DistributionPoint([x509.UniformResourceIdentifier("http://127.0.0.1:9/x.crl")], None, None, None)]
)


@pytest.fixture
def certificate_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, db: None) -> Iterator[World]:
    """A certificate host, an authority for parties, and the source hr, which may show a certificate with a name."""
    with card_reader.opened(tmp_path, monkeypatch):
        lay(tmp_path)
        found = World()
        call_command("source", "admit", "hr", "--certified-name", NAME, stdout=StringIO())
        yield found


def other_source() -> tuple[Source, str]:
    return sources.register_source("other", now=clock.now())


def asks(card: Card | None, url: str = USERS, *, authorization: str = "", **reader: Any) -> int:
    """A source lists its people, at the certificate host."""
    headers = {"Authorization": authorization} if authorization else {}
    with httpx.Client(transport=Reader(card=card, **reader)) as agent:
        response = agent.get(url, headers=headers)
    assert response.status_code in {200, 401, 404, 503}, response.text
    if response.status_code == 401:
        assert response.headers["Content-Type"] == "application/scim+json"
    return response.status_code


def test_source_authenticates_with_a_certificate(certificate_world: World) -> None:
    """A person is made, found again under the address that they were made at, and belongs to that source; a renewed
    certificate goes on.
    """
    body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada"}
    with httpx.Client(transport=Reader(card=made(by=AUTHORITY))) as agent:
        response = agent.post(USERS, json=body, headers={"Content-Type": "application/scim+json"})
    assert response.status_code == 201, response.text
    location = response.headers["Location"]
    assert location.startswith(f"{USERS}/")
    assert response.json()["meta"]["location"] == location
    assert asks(made(by=AUTHORITY), location) == 200
    assert certificate_world.scim("GET", f"/Users/{response.json()['id']}").json()["userName"] == "ada"
    assert Source.objects.get(name="hr").last_seen_at is not None


@pytest.mark.parametrize(
    "name",
    ["dn:" + DN, "uri:https://rp.example.org/app", "email:ops@rp.example.org", "ip:192.0.2.7", "dns:RP.example.ORG"],
)
def test_each_kind_of_certificate_name(certificate_world: World, name: str) -> None:
    """RFC 8705 §2.1.2: each of the five, for the one source that it was given to."""
    sources.end_credential(
        certificate_world.source, SourceCredential.objects.get(key__startswith="certified:").id, now=clock.now()
    )
    assert asks(made(by=AUTHORITY)) == 401
    call_command("source", "admit", "hr", "--certified-name", name, stdout=StringIO())
    assert asks(made(by=AUTHORITY)) == 200


@pytest.mark.database
@pytest.mark.parametrize(
    "bent",
    [
        {"by": made(ca=True, dn="CN=Parties,O=Example,C=US")},
        {"by": None},
        {"days": 1, "old": 2},
        {"old": -1},
        {"eku": (x509.ExtendedKeyUsageOID.SERVER_AUTH,)},
        {"names": [x509.DNSName("hr.example.org")]},
        {"names": None, "dn": "CN=rp.example.org"},
        {"ca": True},
        {"key": ec.generate_private_key(ec.SECP521R1())},
        {"by": made(by=AUTHORITY, dn="CN=leaf")},
    ],
    ids=[
        "another authority of that name",
        "no authority",
        "expired",
        "not yet",
        "for servers",
        "another name",
        "name in the subject",
        "an authority",
        "odd key",
        "by a leaf",
    ],
)
def test_any_other_certificate_is_refused(certificate_world: World, bent: dict[str, Any]) -> None:
    """C22, P37: one thing is wrong with it."""
    assert asks(made(**{"by": AUTHORITY, **bent})) == 401


def test_authority_is_part_of_the_name(certificate_world: World, tmp_path: Path) -> None:
    """The same name, certified by another authority that this house also knows, is another name."""
    second = made(ca=True, dn="CN=Others,O=Example,C=US", days=3000)
    (tmp_path / "pki" / "clients" / "others.pem").write_bytes(second.pem)
    assert (asks(made(by=AUTHORITY)), asks(made(by=second))) == (200, 401)
    with pytest.raises(CommandError, match="choose an authority"):
        call_command("source", "admit", "hr", "--certified-name", "dns:x.example.org")
    other, _ = other_source()
    fingerprint = next(one for one, name in parties.authorities().items() if "Others" in name)
    call_command("source", "admit", "other", "--certified-name", NAME, "--authority", fingerprint, stdout=StringIO())
    assert (asks(made(by=AUTHORITY)), asks(made(by=second))) == (200, 200)
    assert Source.objects.get(id=other.id).last_seen_at is not None


def test_revoked_and_unknown_status_certificates_are_refused(
    certificate_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C22: revoked is refused; unknown status is 503, in SCIM's form; for an unknown certificate no responder is
    asked.
    """
    card = made(by=AUTHORITY, more=[POINTS])
    assert asks(card) == 503
    assert asks(made(more=[POINTS])) == 401
    called: list[int] = []

    def revoked(*_: Any, **__: Any) -> None:
        called.append(1)
        raise Refused(Reason.CERTIFICATE_REVOKED)

    monkeypatch.setattr(revocation, "require_good", revoked)
    assert asks(card) == 401
    assert called
    called.clear()
    assert asks(made(by=AUTHORITY, more=[POINTS], names=[x509.DNSName("stranger.example.org")])) == 401
    assert not called


def test_certificate_headers_are_trusted_from_the_proxy_only(certificate_world: World) -> None:
    """H1-H4, C22, ruling 7: none, forged, from another peer, resumed, on the main host, or before the probe has
    passed.
    """
    card = made(by=AUTHORITY)
    assert asks(None) == 401
    assert asks(card, secret="x" * 40) == 401
    assert asks(card, peer="203.0.113.9") == 401
    assert asks(card, resumed="r") == 401
    assert asks(None, more={"Client-Cert": ":AAAA:"}) == 401
    assert asks(card, f"{ISSUER}/scim/v2/Users", more=said("s" * 40, pem=card.pem)) == 401
    assert asks(card, f"{ISSUER}/certificate/scim/v2/Users") == 404
    assert asks(None, f"https://{PLACE}/scim/v2/Users", authorization=f"Bearer {certificate_world.token}") == 404
    Probe.objects.update(passed=False)
    assert asks(card) == 401


def test_pinned_certificate(certificate_world: World) -> None:
    """By its fingerprint: this one, from whomever it is, today; not another of the same key and name; ended at once."""
    card = made()
    assert asks(card) == 401
    other, _ = other_source()
    row = sources.admit_certificate(
        other, card.certificate.fingerprint(card.certificate.signature_hash_algorithm).hex(), now=clock.now()
    )
    assert asks(card) == 200
    assert asks(made(key=card.key)) == 401
    with time_machine.travel(clock.now() + timedelta(days=31)):
        Probe.objects.update(at=clock.now())
        assert asks(card) == 401
    sources.end_credential(other, row.id, now=clock.now())
    assert asks(card) == 401


def test_disabled_ended_and_expired_sources_are_refused(certificate_world: World) -> None:
    """The source, or its credential; and heard again."""
    card = made(by=AUTHORITY)
    call_command("source", "disable", "hr", "--yes", stdout=StringIO())
    assert asks(card) == 401
    call_command("source", "enable", "hr", stdout=StringIO())
    assert asks(card) == 200
    SourceCredential.objects.filter(key__startswith="certified:").update(expires_at=clock.now())
    assert asks(card) == 401


def test_two_sources_in_one_request_are_refused(certificate_world: World) -> None:
    """A certificate of one and a token of another, or two names of two: refused; both of one are welcome, and a bad
    token spoils a good certificate.
    """
    card = made(by=AUTHORITY)
    _, token = other_source()
    assert asks(card, authorization=f"Bearer {certificate_world.token}") == 200
    assert asks(made(), authorization=f"Bearer {token}") == 200  # a certificate that is nobody's says nothing
    assert asks(card, authorization=f"Bearer {token}") == 401
    assert asks(card, authorization="Bearer nonsense") == 401
    assert asks(card, authorization="Basic eDp4") == 401
    disabling.disable_source(certificate_world.source, now=clock.now())
    assert asks(card, authorization=f"Bearer {token}") == 401  # also where one of the two is not heard
    disabling.enable_source(certificate_world.source, now=clock.now())
    call_command("source", "admit", "other", "--certified-name", "uri:https://rp.example.org/app", stdout=StringIO())
    assert asks(card) == 401


def test_admission_rules(certificate_world: World) -> None:
    """One name is one source's; no fingerprint that is none; `show` says what each is."""
    other_source()
    for bad in (
        ["--certified-name", NAME],
        ["--certified-name", "ip:999.1.1.1"],
        ["--certificate", "zz"],
        ["--certified-name", "dns:a.example", "--authority", "ab" * 32],
    ):
        with pytest.raises(CommandError, match=r"speaks for another|no certificate|64 hexadecimal|choose an authority"):
            call_command("source", "admit", "other", *bad)
    said = StringIO()
    call_command("source", "show", "hr", "--json", stdout=said)
    assert "dns:rp.example.org, certified by" in said.getvalue()
    assert certificate_world


# --- the third way: a client's own token
# ----------------------------------------------------------------------------------


def lists(token: str, *, scheme: str = "Bearer", **headers: str) -> int:
    with http() as agent:
        return agent.get("/scim/v2/Users", headers={"Authorization": f"{scheme} {token}", **headers}).status_code


@pytest.mark.database
def test_token_for_another_resource_or_scope_is_refused(certificate_world: World) -> None:
    """RFC 8707, C38: audience and scope; a disabled client, a disabled source, an ended admission."""
    there = "https://api.example/people"
    app = certificate_world.app(
        redirect_uris=[], grants=["client_credentials"], scopes=["scim", "introspect"], resources=[there]
    )
    row = sources.admit_client(certificate_world.source, app.client_id, now=clock.now())

    def token(**more: str) -> str:
        return str(
            app.post("/oidc/token", {"grant_type": "client_credentials", "scope": "scim", **more}).json()[
                "access_token"
            ]
        )

    good = token()
    assert lists(good) == 200
    assert lists(token(resource=there)) == 401
    assert lists(token(scope="introspect")) == 401
    assert lists(good, scheme="DPoP") == 401
    disabling.disable_source(certificate_world.source, now=clock.now())
    assert lists(good) == 401
    disabling.enable_source(certificate_world.source, now=clock.now())
    assert lists(good) == 200
    call_command("client", "disable", app.client_id, stdout=StringIO())
    assert lists(good) == 401
    call_command("client", "enable", app.client_id, stdout=StringIO())
    sources.end_credential(certificate_world.source, row.id, now=clock.now())
    assert lists(good) == 401


def test_bound_token_needs_its_key(certificate_world: World) -> None:
    """C18, C21: a DPoP-bound token as a bearer token, without a proof, or with another key's, is refused."""
    app = certificate_world.app(redirect_uris=[], grants=["client_credentials"], scopes=["scim"], dpop_required=True)
    sources.admit_client(certificate_world.source, app.client_id, now=clock.now())
    key, thief, url = DeviceKey.generate(), DeviceKey.generate(), f"{ISSUER}/scim/v2/Users"
    proof = proofs.dpop(key, "POST", url=f"{ISSUER}/oidc/token", now=clock.now())
    token = app.post("/oidc/token", {"grant_type": "client_credentials", "scope": "scim"}, DPoP=proof).json()[
        "access_token"
    ]

    def proven(by: DeviceKey, method: str = "GET") -> str:
        return proofs.dpop(by, method, url=url, now=clock.now(), access_token=token)

    assert lists(token) == 401
    assert lists(token, scheme="DPoP") == 401
    assert lists(token, DPoP=proven(key)) == 401
    assert lists(token, scheme="DPoP", DPoP=proven(thief)) == 401
    assert lists(token, scheme="DPoP", DPoP=proven(key, "POST")) == 401
    assert lists(token, scheme="DPoP", DPoP=proven(key)) == 200


def test_certificate_bound_token_needs_its_certificate(certificate_world: World) -> None:
    """C23: x5t#S256: at the certificate host, with that certificate and no other; and not where it is another
    source's.
    """
    app = certificate_world.app(
        redirect_uris=[],
        grants=["client_credentials"],
        scopes=["scim"],
        auth_method="tls_client_auth",
        tls_subject={"dn": DN},
        certificate_bound=True,
    )
    sources.admit_client(certificate_world.source, app.client_id, now=clock.now())
    card = made(by=AUTHORITY)
    token = call(
        card, "/oidc/token", {"grant_type": "client_credentials", "scope": "scim", "client_id": app.client_id}
    ).json()["access_token"]
    assert asks(card, authorization=f"Bearer {token}") == 200
    assert asks(made(by=AUTHORITY, key=card.key), authorization=f"Bearer {token}") == 401
    assert asks(None, authorization=f"Bearer {token}") == 401
    assert lists(token) == 401
    assert x5t(card)
    other, _ = other_source()
    SourceCredential.objects.filter(key__startswith="certified:").update(source=other)
    assert asks(card, authorization=f"Bearer {token}") == 401
