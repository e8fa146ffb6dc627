"""What of a resource is kept in columns and rows of its own, to find it by; pure.

The columns hold what `scim.protocol.tree` compares: folded where the attribute is not `caseExact`, None where it is unassigned.
So a search in SQL by code points says the same as the evaluator (`scim.http.select`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scim.protocol.user import ENTERPRISE_URN
from scim.protocol.values import fold

if TYPE_CHECKING:
    from scim.protocol.schema import Json, Resource


def columns(resource: Resource) -> dict[str, str | bool | None]:
    """The columns of `models.Record` for a canonical User, by their names."""
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
    """The folded e-mail addresses of a canonical User, each once."""
    found = resource.get("emails")
    values = [one.get("value") for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return list(dict.fromkeys(fold(value) for value in values if isinstance(value, str)))


def _folded(value: Json) -> str | None:
    return fold(value) if isinstance(value, str) else None
