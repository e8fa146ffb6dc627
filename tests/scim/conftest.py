"""Sources with real tokens, and a client that speaks SCIM for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from derived import clock
from scim.people import provision

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpResponse

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ASSURANCE = "urn:ramet:params:scim:schemas:extension:assurance:1.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class Scim:
    """One source's connector: JSON in, (status, JSON) out."""

    def __init__(self, token: str) -> None:
        self.token = token
        self._client = Client(raise_request_exception=True)
        self.last: HttpResponse | None = None

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Send one request below /scim/v2; headers: as keyword arguments, underscores for hyphens."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent.setdefault("Authorization", f"Bearer {self.token}")
        kind = sent.pop("Content-Type", "application/scim+json")
        self.last = self._client.generic(method, "/scim/v2" + path, data, content_type=kind, headers=sent)
        return self.last.status_code, json.loads(self.last.content) if self.last.content else None

    def create(self, user_name: str = "ada", **attributes: Any) -> str:
        """Push a person; their SCIM id."""
        status, found = self("POST", "/Users", user(user_name, **attributes))
        assert status == 201, found
        return str(found["id"])

    def patch(self, record_id: str, *operations: dict[str, Any], **headers: str) -> tuple[int, Any]:
        """Patch a person."""
        return self("PATCH", f"/Users/{record_id}", {"schemas": [PATCH], "Operations": list(operations)}, **headers)

    def tag(self, record_id: str) -> str:
        """The entity tag of a person's present version."""
        return str(self("GET", f"/Users/{record_id}")[1]["meta"]["version"])

    def names(self, query: str = "") -> list[str]:
        """The user names of a list."""
        status, found = self("GET", f"/Users{query}")
        assert status == 200, found
        return [one["userName"] for one in found["Resources"]]


def user(user_name: str = "ada", **attributes: Any) -> dict[str, Any]:
    """A User as a source pushes one."""
    emails = [{"value": f"{user_name}@example.org", "type": "work", "primary": True}]
    name = {"givenName": user_name.title(), "familyName": "Example"}
    return {"schemas": [CORE], "userName": user_name, "name": name, "emails": emails, **attributes}


@pytest.fixture
def connect(db: None) -> Callable[..., Scim]:
    """Register a source and connect as it."""
    return lambda name="hr", **how: Scim(provision.register_source(name, now=clock.now(), **how)[1])


@pytest.fixture
def hr(connect: Callable[..., Scim]) -> Scim:
    """The usual source."""
    return connect()
