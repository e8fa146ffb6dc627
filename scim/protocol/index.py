"""The indexed part of a resource: columns and rows for lookups; pure.

The columns hold the values that `scim.protocol.tree` compares: folded unless the attribute is `caseExact`, None if
unassigned. So a search in SQL by code points gives the same result as the evaluator (`scim.http.select`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scim.protocol.user import ENTERPRISE_URN
from scim.protocol.values import fold

if TYPE_CHECKING:
    from scim.protocol.schema import Json, Resource


def columns(resource: Resource) -> dict[str, str | bool | None]:
    """The columns of `models.Record` for a canonical User, by name."""
    name, enterprise = resource.get("name"), resource.get(ENTERPRISE_URN)
    external, active = resource.get("externalId"), resource.get("active")
    return {
        "user_name_fold": fold(str(resource["userName"])),
        "external_id": external if isinstance(external, str) else None,
        "display_name_fold": _folded(resource.get("displayName")),
        "family_name_fold": _folded(name.get("familyName") if isinstance(name, dict) else None),
        "employee_number_fold": _folded(enterprise.get("employeeNumber") if isinstance(enterprise, dict) else None),
        "shows_active": active if isinstance(active, bool) else None,
    }


def emails(resource: Resource) -> list[str]:
    """The folded e-mail addresses of a canonical User, without duplicates."""
    found = resource.get("emails")
    values = [one.get("value") for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return list(dict.fromkeys(fold(value) for value in values if isinstance(value, str)))


def _folded(value: Json) -> str | None:
    return fold(value) if isinstance(value, str) else None
