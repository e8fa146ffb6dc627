"""Every way in which a DPoP proof can be wrong, at the token endpoint and at a resource (C18, C20, C21, DK-3, DK-4,
P48, P49; RFC 9449).
"""

from __future__ import annotations

import base64
import hashlib
import json
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import time_machine
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from derived import clock
from derived.models import Spent
from device import proofs
from device.key import DeviceKey
from idp.config import config
from idp.models import ClientPolicy
from idp.oidc.proofs import nonce
from tests.fixtures.signing_client import signer
from tests.fixtures.world import CALLBACK, ISSUER, App, answer, claims, http, userinfo

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db
NOON = "2026-11-23T12:00:00Z"
KEY, OTHER = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
P384, ED25519, RSA2048 = ECKey.generate_key("P-384"), OKPKey.generate_key("Ed25519"), RSAKey.generate_key(2048)
GONE = object()


def _b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _public(key: Any) -> dict[str, Any]:
    return {name: value for name, value in key.as_dict(private=False).items() if name != "kid"}


def proof(
    key: Any = KEY,
    path: str = "/oidc/token",
    method: str = "POST",
    *,
    header: Any = None,
    payload: str | None = None,
    **changed: Any,
) -> str:
    """A good proof, with parts changed; GONE leaves one out."""
    now = int(clock.now().timestamp())
    body = {
        "htm": method,
        "htu": ISSUER + path,
        "iat": now,
        "jti": _b64(json.dumps(str(changed) + str(header)).encode())[:200] + "x",
        **changed,
    }
    head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": _public(key), **(header or {})}
    body = {name: value for name, value in body.items() if value is not GONE}
    head = {name: value for name, value in head.items() if value is not GONE}
    text = payload if payload is not None else json.dumps(body)
    return _signed(head, text, key)


def _signed(head: dict[str, Any], text: str, key: Any) -> str:
    """Signed as the header says where an engine would, else over the very bytes that stand there."""
    curve = {"P-256": "ES256", "P-384": "ES384"}.get(key.as_dict().get("crv"), "")
    fits = {"EC": [curve], "OKP": ["EdDSA"], "RSA": ["PS256", "RS256"], "oct": ["HS256"]}[key.key_type]
    alg = head["alg"] if head.get("alg") in fits else fits[0]
    made = jws.serialize_compact({"alg": alg}, text, key, algorithms=[str(alg)])
    protected = _b64(json.dumps(head).encode())
    raw = jws.JWSRegistry.algorithms[str(alg)].sign(f"{protected}.{made.split('.')[1]}".encode(), key)
    return f"{protected}.{made.split('.')[1]}.{_b64(raw)}"


def _spoilt(change: Callable[[str], str]) -> Callable[[], str]:
    return lambda: change(proof())


def _hs256() -> str:
    secret = OctKey.import_key(json.dumps(_public(KEY)))
    return proof(secret, header={"alg": "HS256", "jwk": _public(KEY)})


def _flipped(whole: str) -> str:
    head, body, signature = whole.split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[5] ^= 1
    return f"{head}.{body}.{_b64(bytes(raw))}"


NESTED = '{"htm":' + "[" * 2000 + "]" * 2000 + "}"
WRONG: dict[str, Callable[[], str]] = {
    # the header
    "typ JWT": lambda: proof(header={"typ": "JWT"}),
    "typ missing": lambda: proof(header={"typ": GONE}),
    "typ of an access token": lambda: proof(header={"typ": "at+jwt"}),
    "typ of a login proof": lambda: proof(header={"typ": "ramet-login+jwt"}),
    "typ is a list": lambda: proof(header={"typ": ["dpop+jwt"]}),
    "alg none, unsigned": lambda: (
        f"{_b64(json.dumps({'typ': 'dpop+jwt', 'alg': 'none', 'jwk': _public(KEY)}).encode())}.{proof().split('.')[1]}."
    ),
    "alg none, signed": lambda: proof(header={"alg": "none"}),
    "alg HS256 under an oct jwk": lambda: proof(
        OctKey.generate_key(256), header={"alg": "HS256", "jwk": {"kty": "oct", "k": "AAAA"}}
    ),
    "alg HS256 under the public key": _hs256,
    "alg missing": lambda: proof(header={"alg": GONE}),
    "alg a number": lambda: proof(header={"alg": 256}),
    "alg unknown": lambda: proof(header={"alg": "ES256K"}),
    "alg RS256 over an EC key": lambda: proof(header={"alg": "RS256"}),
    "alg ES256 over an RSA key": lambda: proof(RSA2048, header={"alg": "ES256"}),
    "alg ES256 over a P-384 key": lambda: proof(P384, header={"alg": "ES256"}),
    "crit": lambda: proof(header={"crit": ["exp"], "exp": 1}),
    "b64 false": lambda: proof(header={"b64": False, "crit": ["b64"]}),
    "jwk missing": lambda: proof(header={"jwk": GONE}),
    "jwk a text": lambda: proof(header={"jwk": json.dumps(_public(KEY))}),
    "jwk a list": lambda: proof(header={"jwk": [_public(KEY)]}),
    "jwk with d": lambda: proof(header={"jwk": KEY.as_dict(private=True)}),
    "jwk with an empty d": lambda: proof(header={"jwk": {**_public(KEY), "d": ""}}),
    "jwk with k": lambda: proof(header={"jwk": {**_public(KEY), "k": "AAAA"}}),
    "jwk of RSA with p and q": lambda: proof(RSA2048, header={"alg": "PS256", "jwk": RSA2048.as_dict(private=True)}),
    "jwk of another key": lambda: proof(header={"jwk": _public(OTHER)}),
    "jwk without y": lambda: proof(header={"jwk": {name: one for name, one in _public(KEY).items() if name != "y"}}),
    "jwk with a number as x": lambda: proof(header={"jwk": {**_public(KEY), "x": 5}}),
    "jwk not on the curve": lambda: proof(header={"jwk": {**_public(KEY), "x": _public(OTHER)["x"]}}),
    "jwk of an unknown kind": lambda: proof(header={"jwk": {**_public(KEY), "kty": "XX"}}),
    "kid instead of jwk": lambda: proof(header={"jwk": GONE, "kid": KEY.thumbprint()}),
    "x5c instead of jwk": lambda: proof(header={"jwk": GONE, "x5c": ["AAAA"]}),
    # the claims
    "htm missing": lambda: proof(htm=GONE),
    "htm of another method": lambda: proof(htm="GET"),
    "htm in lower case": lambda: proof(htm="post"),
    "htm a list": lambda: proof(htm=["POST"]),
    "htu missing": lambda: proof(htu=GONE),
    "htu of another endpoint": lambda: proof(htu=f"{ISSUER}/oidc/userinfo"),
    "htu of another host": lambda: proof(htu="http://evil.example/oidc/token"),
    "htu of another scheme": lambda: proof(htu=f"{ISSUER}/oidc/token".replace("http:", "https:")),
    "htu of another port": lambda: proof(htu=f"{ISSUER}/oidc/token".replace(":8000", ":8001")),
    "htu with a slash more": lambda: proof(htu=f"{ISSUER}/oidc/token/"),
    "htu with a user": lambda: proof(htu=f"{ISSUER}/oidc/token".replace("://", "://a@")),
    "htu with an encoded slash": lambda: proof(htu=f"{ISSUER}/oidc%2Ftoken"),
    "htu that climbs to another endpoint": lambda: proof(htu=f"{ISSUER}/oidc/token/../userinfo"),
    "htu with the default port of the other scheme": lambda: proof(htu=f"{ISSUER}:443/oidc/token"),
    "htu with a port that is none": lambda: proof(htu="http://localhost:port/oidc/token"),
    "htu relative": lambda: proof(htu="/oidc/token"),
    "htu a list": lambda: proof(htu=[f"{ISSUER}/oidc/token"]),
    "iat missing": lambda: proof(iat=GONE),
    "iat 61 s ago": lambda: proof(iat=int(clock.now().timestamp()) - 61),
    "iat 11 s ahead": lambda: proof(iat=int(clock.now().timestamp()) + 11),
    "iat in milliseconds": lambda: proof(iat=int(clock.now().timestamp()) * 1000),
    "iat a text": lambda: proof(iat=str(int(clock.now().timestamp()))),
    "iat a truth": lambda: proof(iat=True),
    "iat endless": lambda: proof(iat=10**400),
    "jti missing": lambda: proof(jti=GONE),
    "jti empty": lambda: proof(jti=""),
    "jti a number": lambda: proof(jti=5),
    "jti too long": lambda: proof(jti="j" * 257),
    "jti with a line feed": lambda: proof(jti="j\nj"),
    "jti with a NUL": lambda: proof(jti="j\u0000j"),
    "claims a list": lambda: proof(payload="[]"),
    "claims not JSON": lambda: proof(payload="htm=POST"),
    "claims nested without end": lambda: proof(payload=NESTED),
    # the whole
    "signature missing": _spoilt(lambda whole: whole.rsplit(".", 1)[0]),
    "signature empty": _spoilt(lambda whole: whole.rsplit(".", 1)[0] + "."),
    "signature of one bit less": _spoilt(_flipped),
    "cut by a character": _spoilt(lambda whole: whole[:-1]),
    "five parts": _spoilt(lambda whole: whole + ".x.y"),
    "not base64url": _spoilt(lambda whole: "!" + whole[1:]),
    "two proofs": _spoilt(lambda whole: f"{whole}, {proof(jti='two')}"),
    "empty": lambda: "",
    "a text": lambda: "proof",
}
RIGHT: dict[str, Callable[[], str]] = {
    "ES256": proof,
    "ES384": lambda: proof(P384, header={"alg": "ES384"}),
    "EdDSA": lambda: proof(ED25519, header={"alg": "EdDSA"}),
    "PS256": lambda: proof(RSA2048, header={"alg": "PS256"}),
    "RS256": lambda: proof(RSA2048, header={"alg": "RS256"}),
    "htu with query and fragment": lambda: proof(htu=f"{ISSUER}/oidc/token?a=b#c"),
    "htu with scheme and host in capitals": lambda: proof(htu=f"{ISSUER.upper()}/oidc/token"),
    "htu with encoded letters": lambda: proof(htu=f"{ISSUER}/%6Fidc/%74oken"),
    "htu with dot segments": lambda: proof(htu=f"{ISSUER}/./oidc/x/../token"),
    "iat 60 s ago": lambda: proof(iat=int(clock.now().timestamp()) - 60),
    "iat 10 s ahead": lambda: proof(iat=int(clock.now().timestamp()) + 10),
    "jti of 256 characters": lambda: proof(jti="j" * 256),
    "claims that we do not know": lambda: proof(extension={"a": [1]}),
}


def heard(app: App, value: str) -> tuple[int, str]:
    """What a token request with a proof and an unknown refresh token is told: about the token, if the proof was
    good.
    """
    response = app.post("/oidc/token", {"grant_type": "refresh_token", "refresh_token": "x" * 43}, DPoP=value)
    return response.status_code, response.json()["error"]


@pytest.mark.parametrize("name", WRONG)
def test_wrong_proof_is_refused_at_the_token_endpoint(world: World, name: str) -> None:
    """C18, DK-3, ruling 19: 400 invalid_dpop_proof, and nothing was remembered of it (P49)."""
    with time_machine.travel(NOON, tick=False):
        assert heard(world.app(), WRONG[name]()) == (400, "invalid_dpop_proof")
    assert not Spent.objects.exists()


def test_number_of_vectors() -> None:
    """C18."""
    assert len(WRONG) >= 60


@pytest.mark.parametrize("name", RIGHT)
def test_valid_proof_is_accepted(world: World, name: str) -> None:
    """The other side of the table: each algorithm, the edges of time and length."""
    with time_machine.travel(NOON, tick=False):
        assert heard(world.app(), RIGHT[name]()) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("issuer", "named"),
    [
        ("https://id.example", "https://id.example:443"), ("https://id.example:443", "https://ID.example"),
        ("http://localhost", "HTTP://LOCALHOST:80"), ("https://[2001:db8::1]:8443", "https://[2001:DB8::1]:8443"),
    ],
)  # fmt: skip
def test_default_port_is_no_part_of_htu(world: World, monkeypatch: pytest.MonkeyPatch, issuer: str, named: str) -> None:
    """RFC 9449 §4.3, RFC 3986 §6.2.3."""
    monkeypatch.setitem(config().__dict__, "issuer", issuer)
    app = world.app()
    assert heard(app, proof(htu=f"{named}/oidc/token"))[1] == "invalid_grant"
    assert heard(app, proof(htu=f"{named}1/oidc/token"))[1] == "invalid_dpop_proof"


@pytest.mark.filterwarnings("ignore:Key size")
def test_weak_rsa_key_is_refused(world: World) -> None:
    """C69: RSA from 2048 bits."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    small = RSAKey.import_key(rsa.generate_private_key(65537, 1024))  # noqa: S505 - weak on purpose
    assert heard(world.app(), proof(small, header={"alg": "PS256"}))[1] == "invalid_dpop_proof"


# --- nonces -----------------------------------------------------------------------------------------------------------


def test_public_client_needs_a_nonce(world: World) -> None:
    """§8: asked for with the error, carried by the next proof, and renewed in the answers."""
    app = world.app(public=True)
    first = app.post("/oidc/token", {"grant_type": "refresh_token", "refresh_token": "x"}, DPoP=proof())
    assert (first.status_code, first.json()["error"]) == (400, "use_dpop_nonce")
    given = first.headers["DPoP-Nonce"]
    again = app.post("/oidc/token", {"grant_type": "refresh_token", "refresh_token": "x"}, DPoP=proof(nonce=given))
    assert again.json()["error"] == "invalid_grant"
    assert again.headers["DPoP-Nonce"]
    assert not Spent.objects.filter(key=first.headers["DPoP-Nonce"]).exists()


@pytest.mark.parametrize("value", [GONE, "", 5, None, ["x"], "x", "x" * 32, "é" * 32, "\ud800"])
def test_foreign_nonce_gets_use_dpop_nonce(world: World, value: object) -> None:
    """§8, and the proof is not spent by it: no 500 for any value."""
    app = world.app(public=True)
    assert heard(app, proof(nonce=value)) == (400, "use_dpop_nonce")
    assert not Spent.objects.exists()


def test_nonce_expires(world: World) -> None:
    """§8: it is accepted for two minutes at least and four at most; no server stores it."""
    with time_machine.travel(NOON, tick=False) as moved:
        app = world.app(public=True)
        given = nonce.current(now=clock.now())
        moved.shift(120)
        assert heard(app, proof(nonce=given))[1] == "invalid_grant"
        moved.shift(120)
        assert heard(app, proof(nonce=given))[1] == "use_dpop_nonce"


def test_nonce_of_another_installation_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a MAC under a key that the nodes share: they agree, and nobody else can make one."""
    now = clock.now()
    mine = nonce.current(now=now)
    assert nonce.is_current(mine, now=now)
    assert nonce.current(now=now + timedelta(seconds=240)) != mine
    monkeypatch.setitem(config().__dict__, "kek_bytes", b"k" * 32)
    assert not nonce.is_current(mine, now=now)


def test_nonce_requirement_is_per_client(world: World) -> None:
    """On for public clients, off for others, and either way round where it is registered so; one that comes unasked
    must be ours.
    """
    web, strict = world.app(), world.app(name="Strict", dpop_nonce=True)
    loose = world.app(name="Loose", public=True, dpop_nonce=False)
    assert heard(web, proof()) == heard(loose, proof(OTHER)) == (400, "invalid_grant")
    assert heard(strict, proof(jti="a"))[1] == "use_dpop_nonce"
    assert heard(web, proof(jti="b", nonce="x"))[1] == "use_dpop_nonce"
    assert heard(web, proof(jti="c", nonce=nonce.current(now=clock.now())))[1] == "invalid_grant"


# --- at a resource ----------------------------------------------------------------------------------------------------


@pytest.fixture
def bound(world: World) -> str:
    """An access token that is bound to KEY, of a client whose proofs carry a nonce."""
    _, browser = world.enrolled()
    app = world.app(dpop_nonce=True, dpop_required=True)
    return str(
        app.redeem(world.ask(app, browser)["code"], dpop=proof(nonce=nonce.current(now=clock.now()))).json()[
            "access_token"
        ]
    )


def shown(token: str, **changed: Any) -> str:
    """A proof for userinfo over this token."""
    parts = {"ath": proofs._base64url(hashlib.sha256(token.encode()).digest()), "nonce": nonce.current(now=clock.now())}
    return proof(changed.pop("key", KEY), "/oidc/userinfo", "GET", **{**parts, **changed})


def test_bound_token_needs_its_proof_at_a_resource(bound: str) -> None:
    """C18, C21, P48: scheme, proof, key, method, address, ath and nonce; 401 with the challenge of RFC 9449 §7.1."""
    assert claims(bound)["cnf"] == {"jkt": KEY.thumbprint()}
    wrong = {
        "no proof": (None, "invalid_dpop_proof"), "ath missing": (shown(bound, ath=GONE), "invalid_dpop_proof"),
        "ath of another": (shown(bound + "x"), "invalid_dpop_proof"),
        "ath padded": (shown(bound, ath="=" * 44), "invalid_dpop_proof"),
        "ath a number": (shown(bound, ath=5), "invalid_dpop_proof"),
        "another key": (shown(bound, key=OTHER), "invalid_token"),
        "for the token endpoint": (shown(bound, htu=f"{ISSUER}/oidc/token"), "invalid_dpop_proof"),
        "for POST": (shown(bound, htm="POST"), "invalid_dpop_proof"),
        "no nonce": (shown(bound, nonce=GONE), "use_dpop_nonce"),
        "old nonce": (shown(bound, nonce="x" * 32), "use_dpop_nonce"),
    }  # fmt: skip
    for name, (value, error) in wrong.items():
        answer = userinfo(bound, "DPoP", **({"DPoP": value} if value else {}))
        challenge = answer.headers["WWW-Authenticate"]
        assert (answer.status_code, f'error="{error}"' in challenge, challenge.startswith("DPoP ")) == (
            401,
            True,
            True,
        ), name
        assert answer.headers["DPoP-Nonce"] == nonce.current(now=clock.now()), name
    assert userinfo(bound).status_code == userinfo(bound, DPoP=shown(bound, jti="z")).status_code == 401
    good = shown(bound)
    answer = userinfo(bound, "DPoP", DPoP=good)
    assert (answer.status_code, answer.headers["DPoP-Nonce"]) == (200, nonce.current(now=clock.now()))
    assert userinfo(bound, "DPoP", DPoP=good).status_code == 401


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "PS256", "ES384", "RS256"])
def test_algorithms_of_a_fapi_client(world: World, alg: str) -> None:
    """FAPI 2.0 Security Profile §5.4.1, ruling 26: PS256, ES256, EdDSA; at the token endpoint, PAR and a resource."""
    client, is_allowed = signer(world, par_required=True, dpop_required=True), alg in {"ES256", "EdDSA", "PS256"}
    key = {"ES256": OTHER, "EdDSA": ED25519, "PS256": RSA2048, "ES384": P384, "RS256": RSA2048}[alg]
    head = {"alg": alg}

    def called(path: str, form: dict[str, str], sent: str) -> Any:
        with http() as agent:
            fields = {**form, **client.fields(client.sign(client.claims()))}
            return agent.post(path, data=fields, headers={"DPoP": sent})

    _, browser = world.enrolled()
    asked = called("/oidc/par", client.app.parameters(), proof(path="/oidc/par")).json()["request_uri"]
    query = urlencode({"client_id": client.app.client_id, "request_uri": asked})
    code = answer(browser.get(f"{ISSUER}/oidc/authorize?{query}", stop_at=CALLBACK))["code"]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": client.app.verifier,
    }
    token = called("/oidc/token", form, proof(jti="first")).json()["access_token"]
    again = {"grant_type": "refresh_token", "refresh_token": "x" * 43}
    wanted = "invalid_grant" if is_allowed else "invalid_dpop_proof"
    assert called("/oidc/token", again, proof(key, header=head)).json()["error"] == wanted
    pushed = called("/oidc/par", client.app.parameters(), proof(key, "/oidc/par", header=head, jti="pushed"))
    assert pushed.json().get("error") == (None if is_allowed else "invalid_dpop_proof")
    challenge = userinfo(token, "DPoP", DPoP=shown(token, key=key, header=head)).headers["WWW-Authenticate"]
    assert ("invalid_token" if is_allowed else "invalid_dpop_proof") in challenge
    if not is_allowed:
        assert 'algs="ES256 EdDSA PS256"' in challenge


def test_binding_is_enforced_at_refresh_and_introspection(world: World) -> None:
    """P48, C18: refresh with another key or none is refused, introspection says the key, and both without touching
    the family.
    """
    _, browser = world.enrolled()
    app = world.app(public=True)
    once = nonce.current(now=clock.now())
    tokens = app.redeem(world.ask(app, browser, scope="openid offline_access")["code"], dpop=proof(nonce=once)).json()
    assert (
        app.refresh(tokens["refresh_token"], dpop=proof(OTHER, nonce=once, jti="a")).json()["error"] == "invalid_grant"
    )
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    fresh = app.refresh(tokens["refresh_token"], dpop=proof(nonce=once, jti="b")).json()
    assert (fresh["token_type"], claims(fresh["access_token"])["cnf"]) == ("DPoP", {"jkt": KEY.thumbprint()})


def test_reference_device_learns_the_nonce(world: World) -> None:
    """§8: the phone's app is public, so its first request is told, and the second carries it."""
    _, desktop = world.enrolled()
    app = world.phone_app()
    phone = world.device(desktop)
    tokens = phone.login(app.client_id, passphrase="seven mossy stones", scope="openid offline_access")
    assert phone.userinfo(tokens.access_token)["sub"]
    assert phone.refresh(app.client_id, str(tokens.refresh_token)).token_type == "DPoP"


@pytest.mark.database
def test_browser_app_may_read_the_nonce(world: World) -> None:
    """§8 and CORS: the header is exposed to registered origins."""
    app = world.app(name="SPA", application_type="browser", public=True, redirect_uris=["https://spa.example/cb"])
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": app.client_id}
    answer = http().post("/oidc/token", data=form, headers={"Origin": "https://spa.example", "DPoP": proof()})
    assert answer.headers["DPoP-Nonce"]
    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert {"DPoP-Nonce", "X-Request-Id"} <= set(exposed.split(", "))


def test_reference_device_proofs_have_the_same_form(world: World) -> None:
    """The proofs of the reference client are of this form."""
    key = DeviceKey.generate()
    ClientPolicy.objects.update(dpop_nonce=False)
    assert (
        heard(world.app(), proofs.dpop(key, "POST", url=f"{ISSUER}/oidc/token", now=clock.now()))[1] == "invalid_grant"
    )


def test_lone_surrogate_in_a_proof_is_refused(world: World) -> None:
    """E23: a lone surrogate in `ath` is a bad proof, not a server error."""
    from device import proofs
    from device.key import DeviceKey

    _, desktop = world.enrolled()
    app, key = world.app(), DeviceKey.generate()
    code = world.ask(app, desktop)["code"]
    token = app.redeem(code, dpop=proofs.dpop(key, "POST", url=f"{ISSUER}/oidc/token", now=clock.now())).json()[
        "access_token"
    ]
    body = {
        "htm": "GET",
        "htu": f"{ISSUER}/oidc/userinfo",
        "iat": int(clock.now().timestamp()),
        "jti": "j" * 20,
        "ath": "\ud800",
    }
    proof = key.sign({"typ": "dpop+jwt", "jwk": key.public_jwk}, body)
    assert userinfo(token, "DPoP", DPoP=proof).status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        {"crit": 5},
        {"crit": [5]},
        {"kid": []},
        {"kid": {}},
        {"kid": None},
        {"alg": ["ES256"]},
        {"typ": []},
        {"jwk": 5},
        {"b64": False},
    ],
)
def test_malformed_jws_header_is_refused(world: World, header: dict[str, Any]) -> None:
    """E23, J5: the library raises on these, and anybody may send them."""
    kid = http().get("/oidc/jwks").json()["keys"][0]["kid"]
    for typ in ("at+jwt", "JWT"):
        parts = ({"typ": typ, "alg": "ES256", "kid": kid, **header}, {"iss": ISSUER})
        token = ".".join(
            [*(urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in parts), "A" * 86]
        )
        assert userinfo(token).status_code == 401
        assert http().get("/oidc/logout", params={"id_token_hint": token}).status_code == 200
