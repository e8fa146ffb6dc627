"""The User schema, its enterprise extension and Ramet's, as data (RFC 7643 §4.1, §4.3 and §8.7.1)."""

from __future__ import annotations

from scim.protocol.assurance import ASSURANCE
from scim.protocol.schema import Attribute, Mutability, ResourceType, Returned, Schema, Type

CORE_URN = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE_URN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

_LONG = 1024
_BLOB = 64 * 1024


def _plural(  # noqa: PLR0913 - the characteristics in which RFC 7643's plural attributes differ
    name: str,
    description: str,
    *,
    types: tuple[str, ...] = (),
    kind: Type = Type.STRING,
    identifier: bool = False,
    longest: int = 256,
    references: tuple[str, ...] = (),
) -> Attribute:
    """A multi-valued attribute with the default sub-attributes of RFC 7643 §2.4."""
    value = Attribute(
        name="value",
        type=kind,
        identifier=identifier,
        longest=longest,
        reference_types=references,
        case_exact=kind in {Type.REFERENCE, Type.BINARY},
        description=f"The value ({description.lower().rstrip('.')}).",
    )
    rest = (
        Attribute(name="display", description="A display name."),
        Attribute(name="type", canonical_values=types, description="What it is used for."),
        Attribute(name="primary", type=Type.BOOLEAN, description="Whether it is the preferred one; true at most once."),
    )
    return Attribute(
        name=name, type=Type.COMPLEX, multi_valued=True, sub_attributes=(value, *rest), description=description
    )


_NAME = Attribute(
    name="name",
    type=Type.COMPLEX,
    description="The parts of the person's name.",
    sub_attributes=(
        Attribute(name="formatted", longest=_LONG, description="The full name, as it is written."),
        Attribute(name="familyName", description="The family name."),
        Attribute(name="givenName", description="The given name."),
        Attribute(name="middleName", description="The middle names."),
        Attribute(name="honorificPrefix", description="The title before the name."),
        Attribute(name="honorificSuffix", description="The suffix after the name."),
    ),
)

_ADDRESSES = Attribute(
    name="addresses",
    type=Type.COMPLEX,
    multi_valued=True,
    description="Postal addresses.",
    sub_attributes=(
        Attribute(name="formatted", longest=_LONG, description="The address, as it is written."),
        Attribute(name="streetAddress", longest=_LONG, description="Street, house, floor."),
        Attribute(name="locality", description="City."),
        Attribute(name="region", description="State or region."),
        Attribute(name="postalCode", description="Postal code."),
        Attribute(name="country", description="Country, ISO 3166-1 alpha-2."),
        Attribute(name="type", canonical_values=("work", "home", "other"), description="What it is used for."),
        Attribute(name="primary", type=Type.BOOLEAN, description="Whether it is the preferred one."),
    ),
)

_GROUPS = Attribute(
    name="groups",
    type=Type.COMPLEX,
    multi_valued=True,
    mutability=Mutability.READ_ONLY,
    description="The groups that the person is in.",
    sub_attributes=(
        Attribute(name="value", mutability=Mutability.READ_ONLY, case_exact=True, description="The group's id."),
        Attribute(
            name="$ref",
            type=Type.REFERENCE,
            mutability=Mutability.READ_ONLY,
            case_exact=True,
            reference_types=("Group",),
            description="Where the group is.",
        ),
        Attribute(name="display", mutability=Mutability.READ_ONLY, description="The group's name."),
        Attribute(
            name="type",
            mutability=Mutability.READ_ONLY,
            canonical_values=("direct", "indirect"),
            description="Whether membership is direct or indirect.",
        ),
    ),
)

_CORE = Schema(
    urn=CORE_URN,
    name="User",
    description="A person, as one source describes them.",
    attributes=(
        Attribute(
            name="userName",
            required=True,
            identifier=True,
            uniqueness="server",
            description="The person's name at this source; unique per source, in any case.",
        ),
        _NAME,
        Attribute(name="displayName", description="The name to show."),
        Attribute(name="nickName", description="The casual name."),
        Attribute(
            name="profileUrl",
            type=Type.REFERENCE,
            case_exact=True,
            reference_types=("external",),
            longest=_LONG,
            description="A page about the person.",
        ),
        Attribute(name="title", description="The position, such as Vice President."),
        Attribute(name="userType", description="The relation to the organisation, such as Contractor."),
        Attribute(name="preferredLanguage", description="As in the Accept-Language header."),
        Attribute(name="locale", description="For numbers, dates and currency, such as en-US."),
        Attribute(name="timezone", description="An IANA time zone."),
        Attribute(
            name="active",
            type=Type.BOOLEAN,
            description="Whether the person belongs here; false ends the account and every credential.",
        ),
        Attribute(
            name="password",
            mutability=Mutability.WRITE_ONLY,
            returned=Returned.NEVER,
            longest=_LONG,
            description="Accepted and dropped: no source sets a credential.",
        ),
        _plural("emails", "E-mail addresses.", types=("work", "home", "other"), identifier=True),
        _plural("phoneNumbers", "Telephone numbers.", types=("work", "home", "mobile", "fax", "pager", "other")),
        _plural("ims", "Instant messaging addresses.", types=("aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq")),
        _plural(
            "photos",
            "Pictures of the person.",
            types=("photo", "thumbnail"),
            kind=Type.REFERENCE,
            longest=_BLOB,
            references=("external",),
        ),
        _ADDRESSES,
        _GROUPS,
        _plural("entitlements", "Entitlements; data of the source, never authority here.", longest=_LONG),
        _plural("roles", "Roles; data of the source, never authority here.", longest=_LONG),
        _plural("x509Certificates", "Certificates.", kind=Type.BINARY, longest=_BLOB),
    ),
)

_ENTERPRISE = Schema(
    urn=ENTERPRISE_URN,
    name="EnterpriseUser",
    description="Attributes of employment.",
    attributes=(
        Attribute(
            name="employeeNumber", identifier=True, description="The number that the organisation gave the person."
        ),
        Attribute(name="costCenter", description="Cost centre."),
        Attribute(name="organization", description="Organisation."),
        Attribute(name="division", description="Division."),
        Attribute(name="department", description="Department."),
        Attribute(
            name="manager",
            type=Type.COMPLEX,
            description="The person's manager.",
            sub_attributes=(
                Attribute(name="value", case_exact=True, description="The id of the manager's record."),
                Attribute(
                    name="$ref",
                    type=Type.REFERENCE,
                    case_exact=True,
                    reference_types=("User",),
                    longest=_LONG,
                    description="Where the manager's record is.",
                ),
                Attribute(name="displayName", mutability=Mutability.READ_ONLY, description="The manager's name."),
            ),
        ),
    ),
)

USER = ResourceType(
    name="User",
    endpoint="/Users",
    description="People, as this source describes them.",
    core=_CORE,
    extensions=(_ENTERPRISE, ASSURANCE),
)
