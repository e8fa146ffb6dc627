"""npm's openid-client (a certified relying party library) logs people in at `make run`."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from joserfc.jwk import ECKey

from demo.relying_party import AAL
from tests.conformance.stage import browser
from tests.fixtures.node_packages import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.browser import Browser
    from demo.person import Person
    from tests.conformance.stage import Stage

pytestmark = pytest.mark.usefixtures("node")  # first of all: what is to be skipped starts no server


@pytest.fixture(scope="module")
def person(stage: Stage) -> Person:
    """One of the demo people."""
    return stage.person()


@pytest.fixture(scope="module")
def desktop() -> Iterator[Browser]:
    """The person's browser: it signs in for the first relying party, and is known to the next."""
    with browser() as found:
        yield found


def _log_in(node: str, asked: dict[str, Any], person: Person, desktop: Browser) -> dict[str, Any]:
    """Let the relying party ask, the person answer, and the relying party look at everything."""
    with subprocess.Popen(
        [node, "relying_party.mjs"], cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            authorize = _exchange(child, asked)["authorize"]
            page = desktop.get(authorize, stop_at=asked["redirect_uri"])
            page = person.sign_in(desktop, page, stop_at=asked["redirect_uri"])
            assert page.stopped_at, f"{page.path} ({page.status}): {page.words()}"
            seen: dict[str, Any] = _exchange(child, {"callback": page.stopped_at})["seen"]
        finally:
            child.kill()
    return seen


def _exchange(child: subprocess.Popen[str], line: dict[str, Any]) -> dict[str, Any]:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(line) + "\n")
    child.stdin.flush()
    answer: dict[str, Any] = json.loads(child.stdout.readline() or '{"failed": "node ended"}')
    assert "failed" not in answer, answer["failed"]
    return answer


def _believes(seen: dict[str, Any], stage: Stage, person: Person, *, client_id: str) -> None:
    """What holds for every kind of client."""
    claims = seen["claims"]
    assert claims["iss"] == stage.issuer
    assert client_id in ([claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"])
    assert claims["acr"] == AAL + "2"
    assert claims["at_hash"]
    assert {"pwd", "otp", "mfa"} <= {*claims["amr"]}
    assert seen["userinfo"]["sub"] == claims["sub"]
    assert seen["userinfo"]["preferred_username"] == person.username
    assert seen["otherState"] == "OAUTH_INVALID_RESPONSE"
    assert 0 < seen["token"]["expires_in"] <= 300
    again = seen["refreshed"]["claims"]
    if again is not None:
        assert (again["sub"], again["auth_time"], again["acr"]) == (claims["sub"], claims["auth_time"], claims["acr"])
    assert seen["endSession"].startswith(stage.issuer)
    assert seen["refreshAfter"] == "invalid_grant"
    assert seen["userinfoAfter"] != "accepted"


def test_client_secret_basic_web_app(node: str, stage: Stage, person: Person, desktop: Browser) -> None:
    """The client of `demo.json`: discovery, code with PKCE, state and nonce, userinfo, refresh, introspection,
    revocation.
    """
    known = stage.demo["clients"][0]
    asked = {
        "issuer": stage.issuer, "client_id": known["client_id"], "client_secret": known["client_secret"],
        "redirect_uri": known["redirect_uris"][0], "method": "basic", "dpop": False,
    }  # fmt: skip
    seen = _log_in(node, asked, person, desktop)
    _believes(seen, stage, person, client_id=known["client_id"])
    assert seen["token"]["token_type"].lower() == "bearer"
    assert seen["introspection"]["active"] is True
    assert seen["introspection"]["sub"] == seen["claims"]["sub"]
    assert seen["introspectionAfter"] == {"active": False}


@pytest.mark.parametrize(
    ("options", "method", "dpop"),
    [
        ((), "post", False),
        (("--dpop",), "basic", True),
        (("--public", "--native", "--dpop"), "none", True),
        (("--public", "--native"), "none", False),
        (("--id-token-alg", "RS256"), "basic", False),
        (("--id-token-alg", "EdDSA"), "basic", False),
        (("--pairwise",), "basic", False),
    ],
    ids=["post", "dpop", "native-dpop", "native", "RS256", "EdDSA", "pairwise"],
)
def test_other_kinds_of_clients(
    node: str,
    stage: Stage,
    person: Person,
    desktop: Browser,
    options: tuple[str, ...],
    method: str,
    dpop: bool,  # noqa: FBT001
) -> None:
    """Secret in the body; DPoP with a secret and without; an installed app; other signature algorithms; pairwise
    subjects.
    """
    redirect_uri = "http://127.0.0.1/callback" if method == "none" else "https://app.example.org/callback"
    made = stage.ramet.ask(
        "client", "add", f"App {'-'.join(options) or method}", "--redirect-uri", redirect_uri, *options
    )
    asked = {
        "issuer": stage.issuer, "client_id": made["client_id"], "client_secret": made.get("client_secret"),
        "redirect_uri": redirect_uri, "method": method, "dpop": dpop,
    }  # fmt: skip
    seen = _log_in(node, asked, person, desktop)
    _believes(seen, stage, person, client_id=made["client_id"])
    assert seen["token"]["token_type"].lower() == ("dpop" if dpop else "bearer")
    if dpop and made.get("client_secret"):
        assert seen["introspection"]["cnf"]["jkt"]
    if method == "none":
        assert seen["refreshed"]["rotated"] is True


_STRICT = """
import json, sys
from derived import clock
from idp import clients
from idp.clients import Registration, SCOPES, SERVICE_SCOPES, CLIENT_CREDENTIALS, DEVICE_CODE
party, _ = clients.register(Registration(
    name="Strict desk", redirect_uris=["https://strict.example.org/callback"],
    auth_method="private_key_jwt", auth_alg="ES256",
    jwks={"keys": [json.loads(%r)]}, request_alg="ES256", request_required=True,
    par_required=True, dpop_required=True, dpop_nonce=True,
    grants=[CLIENT_CREDENTIALS, DEVICE_CODE], scopes=[*SCOPES, *SERVICE_SCOPES],
), now=clock.now())
print(json.dumps({"client_id": party.client_id}))
"""


def test_strictest_client(node: str, stage: Stage, person: Person, desktop: Browser) -> None:
    """Issue 4, done when 2: private_key_jwt, JAR in PAR, PKCE, DPoP with nonces, refresh, introspection, revocation;
    a device; a service.
    """
    key = ECKey.generate_key("P-256")
    kid = key.thumbprint()
    public = {**key.as_dict(private=False), "kid": kid, "alg": "ES256", "use": "sig"}
    made = json.loads(stage.ramet.manage("shell", "-v", "0", "-c", _STRICT % json.dumps(public)).splitlines()[-1])
    redirect_uri = "https://strict.example.org/callback"
    asked = {
        "issuer": stage.issuer, "client_id": made["client_id"], "redirect_uri": redirect_uri,
        "jwk": {**key.as_dict(private=True), "kid": kid},
    }  # fmt: skip
    with subprocess.Popen(
        [node, "strict.mjs"], cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            page = desktop.get(_exchange(child, asked)["authorize"], stop_at=redirect_uri)
            page = person.sign_in(desktop, page, stop_at=redirect_uri)
            assert page.stopped_at, f"{page.path} ({page.status}): {page.words()}"
            device = _exchange(child, {"callback": page.stopped_at})["device"]
            page = desktop.get(device["verification_uri"])
            page = desktop.submit(page, page.form_with("code"), values={"code": device["user_code"]})
            desktop.submit(page, page.form_to("/device/approval"), values={"decision": "allow"})
            seen = _exchange(child, {"typed": True})["seen"]
        finally:
            child.kill()
    assert seen["plain"] != "accepted"  # this client's requests are signed
    assert "request_uri=" in seen["url"]
    assert "scope" not in seen["url"]
    assert (seen["token_type"], seen["claims"]["acr"]) == ("dpop", AAL + "2")
    assert seen["userinfo"]["preferred_username"] == person.username
    assert seen["introspection"]["active"]
    assert seen["introspection"]["cnf"]["jkt"]
    assert seen["anotherKey"] != "accepted"
    assert seen["introspectionAfter"] == {"active": False}
    assert seen["refreshAfter"] == "invalid_grant"
    assert (seen["device"]["token_type"], seen["device"]["interval"], seen["device"]["claims"]["acr"]) == (
        "dpop",
        5,
        AAL + "2",
    )
    assert (seen["service"]["active"], seen["service"]["sub"]) == (True, made["client_id"])
