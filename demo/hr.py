"""Human Resources: an identity source that pushes people over SCIM 2.0 (RFC 7644) with its bearer credential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_SCIM_JSON = "application/scim+json"


class HumanResources:
    """One source.

    base: the SCIM base URL, such as `https://…/scim/v2`.
    token: its bearer credential.
    """

    def __init__(self, http: httpx.Client, *, base: str, token: str) -> None:
        self._http = http
        self._base = base
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": _SCIM_JSON, "Accept": _SCIM_JSON}

    def hire(self, user: dict[str, Any]) -> httpx.Response:
        """`POST /Users` (RFC 7644 §3.3)."""
        return self._http.post(f"{self._base}/Users", json=user, headers=self._headers)

    def find(self, user_name: str) -> dict[str, Any] | None:
        """`GET /Users?filter=userName eq "…"` (RFC 7644 §3.4.2): the one user of this name, or None."""
        query = {"filter": f'userName eq "{user_name}"'}
        response = self._http.get(f"{self._base}/Users", params=query, headers=self._headers).raise_for_status()
        found: list[dict[str, Any]] = response.json().get("Resources", [])
        return found[0] if found else None

    def set_active(self, user_id: str, *, active: bool) -> httpx.Response:
        """`PATCH /Users/{id}`: set `active` (RFC 7644 §3.5.2).

        A reactivation sends the entity tag of the present version, which proves that it is newer than the end.
        """
        operation = {"op": "replace", "path": "active", "value": active}
        body = {"schemas": [PATCH], "Operations": [operation]}
        headers = dict(self._headers)
        if active:
            headers["If-Match"] = self._http.get(f"{self._base}/Users/{user_id}", headers=self._headers).headers.get(
                "ETag", ""
            )
        return self._http.patch(f"{self._base}/Users/{user_id}", json=body, headers=headers)


def user(user_name: str, *, names: tuple[str, str], email: str, number: str, department: str) -> dict[str, Any]:
    """A User resource of an HR system: core and enterprise extension (RFC 7643 §4.1, §4.3).

    names: given and family name.
    number: the employee number.
    """
    given, family = names
    return {
        "schemas": [USER, ENTERPRISE],
        "userName": user_name,
        "externalId": f"hr-{number}",
        "name": {"givenName": given, "familyName": family, "formatted": f"{given} {family}"},
        "displayName": f"{given} {family}",
        "emails": [{"value": email, "type": "work", "primary": True}],
        "active": True,
        ENTERPRISE: {"employeeNumber": number, "department": department},
    }
