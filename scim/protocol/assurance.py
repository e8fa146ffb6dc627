"""Our extension of the User schema, as data: who checked whose identity, when, and who the person is to whom.

Every source may push it, and is shown it again; only what a source is trusted for reaches a person (`scim.protocol.trust`). What it
means is in `scim.people.consequences`: a status of `suspended` stops the account until the source that said so says `active`, and
`eligible: false` ends what was derived and mints no more (EL-4). Leaving is `active: false` of the core schema (ruling 11).
"""

from __future__ import annotations

from scim.protocol.schema import Attribute, Schema, Type

ASSURANCE_URN = "urn:ramet:params:scim:schemas:extension:assurance:1.0:User"

ASSURANCE = Schema(
    urn=ASSURANCE_URN,
    name="Assurance",
    description="How the person's identity was checked, and whether they may hold derived credentials.",
    attributes=(
        Attribute(
            name="ial",
            type=Type.INTEGER,
            description="The identity assurance level, 1 to 3; never more than the operator lets this source vouch for.",
        ),
        Attribute(name="proofedAt", type=Type.DATETIME, description="When the identity was proofed."),
        Attribute(name="proofedBy", description="The authority that proofed it."),
        Attribute(name="homeOrganization", description="The organisation that the person belongs to."),
        Attribute(
            name="affiliation",
            canonical_values=("employee", "contractor", "affiliate", "member", "guest"),
            description="What the person is to that organisation.",
        ),
        Attribute(name="eligible", type=Type.BOOLEAN, description="Whether the person may hold derived credentials."),
        Attribute(
            name="status",
            canonical_values=("active", "suspended"),
            description="suspended stops everything for a while; active lets it go on.",
        ),
        Attribute(
            name="pivIdentifier",
            identifier=True,
            case_exact=True,
            description="What the person's PIV card says of them: the card UUID or the FASC-N; records may be joined by it.",
        ),
        Attribute(
            name="personIdentifier",
            identifier=True,
            case_exact=True,
            description="An identifier of the person that this source has verified; records may be joined by it.",
        ),
    ),
)
