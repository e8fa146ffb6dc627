"""The Group schema, as data (RFC 7643 §4.2 and §8.7.1)."""

from __future__ import annotations

from scim.protocol.schema import Attribute, Mutability, ResourceType, Schema, Type

CORE_URN = "urn:ietf:params:scim:schemas:core:2.0:Group"
MOST_MEMBERS = 20_000  # in one message; as many as a body of 1 MiB can name

MEMBERS = Attribute(
    name="members",
    type=Type.COMPLEX,
    multi_valued=True,
    most=MOST_MEMBERS,
    description="The members of the group.",
    sub_attributes=(
        Attribute(
            name="value", case_exact=True, mutability=Mutability.IMMUTABLE, description="The id of the member's record."
        ),
        Attribute(
            name="$ref",
            type=Type.REFERENCE,
            case_exact=True,
            mutability=Mutability.IMMUTABLE,
            longest=1024,
            reference_types=("User", "Group"),
            description="Where the member's record is.",
        ),
        Attribute(
            name="type",
            mutability=Mutability.IMMUTABLE,
            canonical_values=("User", "Group"),
            description="The member's resource type; determined if missing.",
        ),
        Attribute(
            name="display",
            mutability=Mutability.READ_ONLY,
            description="Accepted and ignored; the member's own record has its name.",
        ),
    ),
)

_CORE = Schema(
    urn=CORE_URN,
    name="Group",
    description="A group, as one source describes it.",
    attributes=(
        Attribute(name="displayName", required=True, description="The name to show; need not be unique."),
        MEMBERS,
    ),
)

GROUP = ResourceType(name="Group", endpoint="/Groups", description="Groups, as this source describes them.", core=_CORE)
