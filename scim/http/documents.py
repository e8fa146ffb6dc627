"""The discovery documents (RFC 7643 §5 to §7, RFC 7644 §4): exactly the supported features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scim.feed.events import ALL_URIS
from scim.http.cursors import LIFE
from scim.protocol.group import GROUP
from scim.protocol.schema import COMMON, Json, Resource, Type
from scim.protocol.user import USER

if TYPE_CHECKING:
    from scim.protocol.schema import Attribute, ResourceType, Schema

MOST_RESULTS = 200
MOST_BULK = 1000
LARGEST_PAYLOAD = 1024 * 1024  # equal to `scim.http.body`'s limit
DEFAULT_RESULTS = 100
RESOURCE_TYPES = (USER, GROUP)
LIST_URN = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_CORE = "urn:ietf:params:scim:schemas:core:2.0"


def service_provider_config(base: str, *, has_feed: bool = False) -> Resource:
    """The supported features (RFC 7643 §5); base: the URL of the SCIM root, without a trailing slash.

    has_feed: whether the feed has a receiver.
    """
    unsupported: Json = {"supported": False}
    return {
        "schemas": [f"{_CORE}:ServiceProviderConfig"],
        "patch": {"supported": True},
        "bulk": {"supported": True, "maxOperations": MOST_BULK, "maxPayloadSize": LARGEST_PAYLOAD},
        "filter": {"supported": True, "maxResults": MOST_RESULTS},
        "changePassword": unsupported,
        "sort": {"supported": True},
        "etag": {"supported": True},
        "pagination": {
            "cursor": True,
            "index": True,
            "defaultPaginationMethod": "index",
            "defaultPageSize": DEFAULT_RESULTS,
            "maxPageSize": MOST_RESULTS,
            "cursorTimeout": int(LIFE.total_seconds()),
        },
        **({"securityEvents": {"asyncRequest": "none", "eventUris": list(ALL_URIS)}} if has_feed else {}),
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "One token per identity source, in the Authorization header.",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            }
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": f"{base}/ServiceProviderConfig"},
    }


def resource_type(kind: ResourceType, base: str) -> Resource:
    """A resource type (RFC 7643 §6)."""
    return {
        "schemas": [f"{_CORE}:ResourceType"],
        "id": kind.name,
        "name": kind.name,
        "description": kind.description,
        "endpoint": kind.endpoint,
        "schema": kind.core.urn,
        "schemaExtensions": [{"schema": schema.urn, "required": False} for schema in kind.extensions],
        "meta": {"resourceType": "ResourceType", "location": f"{base}/ResourceTypes/{kind.name}"},
    }


def schema(found: Schema, base: str) -> Resource:
    """A schema (RFC 7643 §7); common attributes are described where they differ from the RFC."""
    return {
        "schemas": [f"{_CORE}:Schema"],
        "id": found.urn,
        "name": found.name,
        "description": found.description,
        "attributes": [_attribute(attribute) for attribute in _described(found)],
        "meta": {"resourceType": "Schema", "location": f"{base}/Schemas/{found.urn}"},
    }


def resource_types(base: str) -> list[Resource]:
    """Every resource type."""
    return [resource_type(kind, base) for kind in RESOURCE_TYPES]


def schemas(base: str) -> list[Resource]:
    """Every schema in use, once."""
    found = {each.urn: each for kind in RESOURCE_TYPES for each in (kind.core, *kind.extensions)}
    return [schema(each, base) for each in found.values()]


def list_response(
    resources: list[Resource], *, total: int | None, start: int | None = None, after: str | None = None
) -> Resource:
    """A page of resources (RFC 7644 §3.4.2).

    start: 1-based, None in a cursor list; after: the cursor of the next page.
    """
    page: list[Json] = list(resources)
    return {
        "schemas": [LIST_URN],
        **({} if total is None else {"totalResults": total}),
        **({} if start is None else {"startIndex": start}),
        "itemsPerPage": len(page),
        **({} if after is None else {"nextCursor": after}),
        "Resources": page,
    }


def _described(found: Schema) -> tuple[Attribute, ...]:
    external = tuple(attribute for attribute in COMMON if attribute.name == "externalId")
    return external + found.attributes if found.urn in {kind.core.urn for kind in RESOURCE_TYPES} else found.attributes


def _attribute(attribute: Attribute) -> Json:
    found: Resource = {
        "name": attribute.name,
        "type": attribute.type.value,
        "multiValued": attribute.multi_valued,
        "description": attribute.description,
        "required": attribute.required,
        "mutability": attribute.mutability.value,
        "returned": attribute.returned.value,
    }
    if attribute.type == Type.COMPLEX:
        return {**found, "subAttributes": [_attribute(sub) for sub in attribute.sub_attributes]}
    if attribute.type in {Type.STRING, Type.REFERENCE, Type.BINARY}:
        found |= {"caseExact": attribute.case_exact, "uniqueness": attribute.uniqueness}
    if attribute.canonical_values:
        found["canonicalValues"] = list(attribute.canonical_values)
    if attribute.reference_types:
        found["referenceTypes"] = list(attribute.reference_types)
    return found
