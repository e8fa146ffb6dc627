"""What programs call is served without what serves cookies: every view there needs none, and every other has it
(P22, C11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from derived import clock
from derived.keyring import KeyPurpose
from idp import rsgi
from idp.edge.routes import is_of_a_machine
from idp.keys import keyring
from idp.models import RegistrationToken
from tests.fixtures.world import http

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.world import World

pytestmark = pytest.mark.django_db

METADATA, JWKS = "/.well-known/openid-configuration", "/oidc/jwks"
# Pages of people, however their addresses begin.
OF_PEOPLE = {
    "authorize",
    "authorize-go-on",
    "authorize-account",
    "authorize-consent",
    "logout",
    "logout-confirmed",
    "device-code",
    "device-approval",
}


def patterns(resolver: URLResolver, before: str = "/") -> Iterator[tuple[str, URLPattern]]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from patterns(entry, before + str(entry.pattern))
        else:
            yield before + str(entry.pattern), entry


def test_machine_views_need_no_cookie() -> None:
    """A view that depends on a session or a form token would be open, or broken: it is exempt, or only reads."""
    of_machines = {path: entry for path, entry in patterns(get_resolver()) if is_of_a_machine(path)}
    assert {entry.name for entry in of_machines.values()} >= {
        "token",
        "introspect",
        "userinfo",
        "par",
        "jwks",
        "discovery",
        "bulk",
        "enrol-bind",
    }
    assert {entry.name for entry in of_machines.values()} & OF_PEOPLE == set()
    reads = {"jwks", "discovery", "discovery-oauth", "livez", "readyz", "pki-file", "checkpoint-keys"}
    guarded = {
        entry.name for entry in of_machines.values() if not getattr(entry.callback, "csrf_exempt", False)
    } - reads
    assert {name for name in guarded if name} == set()


@pytest.mark.parametrize(
    "path",
    [
        "/oidc/token",
        "/oidc/introspect",
        "/oidc/userinfo",
        "/oidc/par",
        "/oidc/revoke",
        "/oidc/register",
        "/oidc/device_authorization",
        "/scim/v2/Users",
        "/scim/v2/Bulk",
        "/enrol/v1/challenges",
        "/enrol/v1/bindings",
        "/pki/ocsp",
        METADATA,
        JWKS,
        "/readyz",
        "/oidc/nowhere",
        "/pki/no.crl",
    ],
)
def test_machine_views_have_the_security_headers(path: str) -> None:
    """Without a session it neither breaks nor sets a cookie; the edge's headers are on every answer."""
    with http() as agent:
        for method in ("GET", "POST"):
            response = agent.request(method, path)
            assert response.status_code < 500, (method, path)
            assert "set-cookie" not in response.headers
            assert {"content-security-policy", "x-content-type-options", "cache-control"} <= set(response.headers), (
                method,
                path,
            )


def test_pages_keep_session_and_csrf() -> None:
    """The login page is served by the other handler."""
    assert not any(
        is_of_a_machine(path)
        for path in ("/login", "/oidc/authorize", "/oidc/logout", "/devices", "/device", "/console", "/enrol", "/")
    )
    assert rsgi._pages._middleware_chain is not rsgi._machines._middleware_chain
    with http() as agent:
        assert "ramet_csrf" in str(agent.get("/login").headers.get("set-cookie"))


def test_discovery_bytes_and_etag_follow_changes() -> None:
    """An ETag for its very bytes; If-None-Match gets 304; once registration opens, bytes and tag differ."""
    with http() as agent:
        first = agent.get(METADATA)
        again = agent.get(METADATA, headers={"If-None-Match": f'"x", W/{first.headers["ETag"]}'})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
        assert again.headers["cache-control"] == first.headers["cache-control"] == "public, max-age=3600"
        assert "registration_endpoint" not in first.json()
        RegistrationToken.objects.create(
            token_hash="0" * 64,
            label="x",
            uses_left=1,
            created_at=clock.now(),
            expires_at=clock.now().replace(year=2099),
        )
        opened = agent.get(METADATA, headers={"If-None-Match": first.headers["ETag"]})
        assert opened.status_code == 200
        assert opened.json()["registration_endpoint"].endswith("/oidc/register")


def test_rotated_keys_appear_in_the_cached_jwks_at_once() -> None:
    """C73: the bytes are kept, which keys there are is asked; a rotated key is there before it signs."""
    now = clock.now()
    key = keyring().ensure(KeyPurpose.TOKENS, "ES256", now=now)
    with http() as agent:
        first = agent.get(JWKS)
        assert key.kid in {one["kid"] for one in first.json()["keys"]}
        assert agent.get(JWKS, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
        coming = keyring().rotate(KeyPurpose.TOKENS, "ES256", now=now)
        assert {key.kid, coming.kid} <= {one["kid"] for one in agent.get(JWKS).json()["keys"]}
        keyring().revoke(key.kid, now=now)
        after = agent.get(JWKS, headers={"If-None-Match": first.headers["ETag"]})
        assert after.status_code == 200
        assert key.kid not in {one["kid"] for one in after.json()["keys"]}
        assert all("d" not in one for one in after.json()["keys"])


@pytest.mark.parametrize("path", ["/login", "/oidc/token", "/oidc/logout", "/enrol/v1/bindings", "/scim/v2/Users"])
def test_file_uploads_are_refused_before_they_are_read(world: World, path: str) -> None:
    """J5, R31: nothing here takes a file, so none is spooled to the disk."""
    response = http().post(path, files={"file": ("a", b"x" * 4_000_000)})
    assert response.status_code in {400, 415}
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
