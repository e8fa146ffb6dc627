"""Clients that sign, a hundred at the same moment: an assertion serves once, and their keys are fetched once (P16,
C25, C45).
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from joserfc import jwt

from tests.fixtures.live_server import CALLBACK, Live, Request
from tests.fixtures.served_keys import opened
from tests.fixtures.signing_client import ASSERTION, jwks, new_key

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.database, pytest.mark.slow]
MANY = 100


def caller(live: Live, key: Any, **where: Any) -> Callable[[str], Request]:
    """A client registered with keys; what it asks with a given jti."""
    registered = {
        "auth_method": "private_key_jwt",
        "auth_alg": "ES256",
        "redirect_uris": [CALLBACK],
        "name": "Signer",
        **where,
    }
    client_id = live.inside.ask("client", **registered)["client_id"]

    def asked(jti: str) -> Request:
        now = int(time.time())
        claims = {"iss": client_id, "sub": client_id, "aud": live.issuer, "iat": now, "exp": now + 60, "jti": jti}
        assertion = jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key)
        body = urlencode({"token": "x", "client_assertion_type": ASSERTION, "client_assertion": assertion}).encode()
        return Request("POST", "/oidc/introspect", {"Content-Type": "application/x-www-form-urlencoded"}, body)

    return asked


def test_assertion_is_single_use(live: Live) -> None:
    """P16: one of 100 requests is authenticated."""
    key = new_key()
    request = caller(live, key, jwks=jwks(key))(secrets.token_hex(8))
    answers = live.together([request] * MANY)
    assert sorted(one.status for one in answers) == [200] + [401] * (MANY - 1)


def test_client_keys_are_fetched_once(live: Live) -> None:
    """C45: a hundred first logins at once: one question, and all of them get its answer; in several processes."""
    key = new_key()
    with opened() as house:
        house.show(key)
        house.wait = 0.2
        asked = caller(live, key, jwks_uri=house.url)
        answers = live.together([asked(secrets.token_hex(8)) for _ in range(MANY)])
        assert {one.status for one in answers} == {200}
        assert house.asked == 1
