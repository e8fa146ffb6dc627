"""A system that follows us, as the RFCs and docs/feed.md tell it to: it polls, verifies, takes, and keeps a copy of what it is told."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

from django.test import Client
from joserfc import jwt
from joserfc.jwk import KeySet

from derived import clock
from scim.feed import receivers
from scim.models import Receiver

ISSUER = "http://localhost:8000"
URN = "urn:ietf:params:scim:event:"
QUIET = timedelta(seconds=6)


class Follower:
    """One receiver; people and groups: its copy, by relative path."""

    def __init__(self, name: str = "payroll", **how: Any) -> None:
        now = clock.now()
        given = {
            "kinds": ["User", "Group"],
            "full": True,
            "attributes": receivers.PRESETS["everything"],
            "expires_at": now + timedelta(days=90),
            **how,
        }
        self.receiver, self.token = receivers.register(name, now=now - QUIET, **given)
        self.copy: dict[str, dict[str, Any]] = {}
        self.told: list[dict[str, Any]] = []
        self._known: set[str] = set()
        self._client = Client(raise_request_exception=True)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """One request below /scim/v2/Feed."""
        sent = {
            "Authorization": f"Bearer {self.token}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        kind = sent.pop("Content-Type", "application/json")
        answer = self._client.generic(method, "/scim/v2/Feed" + path, data, content_type=kind, headers=sent)
        return answer.status_code, json.loads(answer.content) if answer.content else None

    def fresh(self) -> Receiver:
        """Its row as it is now."""
        return Receiver.objects.get(id=self.receiver.id)

    # --- reading everything -----------------------------------------------------------------------------------------------

    def read(self, *, count: int = 100) -> dict[str, dict[str, Any]]:
        """All that it may see, by relative path."""
        found: dict[str, dict[str, Any]] = {}
        for kind in self.fresh().kinds:
            cursor = ""
            while True:
                status, page = self("GET", f"/{kind}s?count={count}" + (f"&cursor={cursor}" if cursor else ""))
                assert status == 200, page
                found |= {f"/{kind}s/{one['id']}": one for one in page["Resources"]}
                cursor = page.get("nextCursor", "")
                if not cursor:
                    break
        return found

    def begin(self) -> Follower:
        """Read everything, as whoever follows us does first."""
        self.copy = {path: plain(one) for path, one in self.read().items()}
        return self

    # --- being told -------------------------------------------------------------------------------------------------------

    def poll(self, **asked: Any) -> dict[str, dict[str, Any]]:
        """The claims of what waits, verified by our published keys, by jti."""
        status, found = self("POST", "/Events", {"returnImmediately": True, **asked})
        assert status == 200, found
        if not found["sets"]:
            return {}
        keys = KeySet.import_key_set(json.loads(self._client.get("/oidc/jwks").content))
        claims = {}
        for jti, token in found["sets"].items():
            verified = jwt.decode(token, keys, algorithms=["ES256"])
            assert verified.header["typ"] == "secevent+jwt"
            assert verified.claims["jti"] == jti
            assert verified.claims["aud"] == f"{ISSUER}/scim/v2/Feed/{self.receiver.name}"
            claims[jti] = dict(verified.claims)
        return claims

    def follow(self, *, at_once: int = 100) -> list[tuple[str, list[str]]]:
        """Poll, apply and take until nothing waits; the subjects and events, in order."""
        seen: list[tuple[str, list[str]]] = []
        taken: list[str] = []
        while sets := self.poll(maxEvents=at_once, ack=taken):
            for claims in sets.values():
                self.told.append(claims)
                self.apply(claims)
                seen.append((claims["sub_id"]["uri"], [uri.removeprefix(URN) for uri in claims["events"]]))
            taken = list(sets)
        return seen

    def apply(self, claims: dict[str, Any]) -> None:
        """Do to the copy what happened to us; once more is the same."""
        path, repeated = claims["sub_id"]["uri"], claims["jti"] in self._known
        self._known.add(claims["jti"])
        for uri, payload in claims["events"].items():
            match uri.removeprefix(URN):
                case "prov:create:full" | "prov:put:full":
                    self.copy[path] = plain(payload["data"])
                case "prov:patch:full":
                    for operation in payload["data"]["Operations"]:
                        self._operate(self.copy[path], operation, repeated=repeated)
                case "prov:delete":
                    self.copy.pop(path, None)
                case "prov:activate" | "prov:deactivate":
                    assert path not in self.copy or self.copy[path]["active"] is uri.endswith(":activate")
                case other:
                    raise AssertionError(other)

    def _operate(self, group: dict[str, Any], operation: dict[str, Any], *, repeated: bool) -> None:
        match operation["op"], operation["path"]:
            case "add", "members":
                group["members"] |= {one["value"]: one["type"] for one in operation["value"]}
            case "replace", "displayName":
                group["displayName"] = operation["value"]
            case "remove", path:
                wanted = re.fullmatch(r'members\[value eq "([0-9a-f-]{36})"\]', path)
                assert wanted, path
                assert repeated or wanted[1] in group["members"]
                group["members"].pop(wanted[1], None)


def plain(resource: dict[str, Any]) -> dict[str, Any]:
    """A resource without `meta`, whose members have no order."""
    found = {name: value for name, value in resource.items() if name != "meta"}
    if "members" in found:
        found["members"] = {one["value"]: one["type"] for one in found["members"]}
    return found
