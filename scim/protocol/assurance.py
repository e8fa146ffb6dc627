"""Ramet's extension of the User schema, as data: identity proofing, affiliation, eligibility and status.

Every source may write it and reads it back; only attributes that a source is trusted for reach a person
(`scim.protocol.trust`). Its effects are in `scim.people.consequences`: `status: suspended` suspends the account until
the same source says `active`, `deceased` ends the account without mail to it (LC-6), and `eligible: false` ends
derived credentials and forbids new ones (EL-4). Leaving is `active: false` of the core schema (ruling 11).
"""

from __future__ import annotations

from scim.protocol.schema import Attribute, Mutability, Schema, Type

ASSURANCE_URN = "urn:ramet:params:scim:schemas:extension:assurance:1.0:User"
READMISSION_PENDING = "pending"
DECEASED = "deceased"

ASSURANCE = Schema(
    urn=ASSURANCE_URN,
    name="Assurance",
    description="How the person's identity was checked, and whether they may hold derived credentials.",
    attributes=(
        Attribute(
            name="ial",
            type=Type.INTEGER,
            description="The identity assurance level, 1 to 3; never above the level this source may vouch for.",
        ),
        Attribute(name="proofedAt", type=Type.DATETIME, description="When the identity was proofed."),
        Attribute(name="proofedBy", description="The authority that proofed it."),
        Attribute(name="homeOrganization", description="The organisation that the person belongs to."),
        Attribute(
            name="affiliation",
            canonical_values=("employee", "contractor", "affiliate", "member", "guest"),
            description="The person's relation to that organisation.",
        ),
        Attribute(name="eligible", type=Type.BOOLEAN, description="Whether the person may hold derived credentials."),
        Attribute(
            name="status",
            canonical_values=("active", "suspended", DECEASED),
            description="suspended suspends the account; active resumes it; deceased ends everything, without mail.",
        ),
        Attribute(
            name="pivIdentifier",
            identifier=True,
            case_exact=True,
            description="The card UUID or the FASC-N of the person's PIV card; records may be joined by it.",
        ),
        Attribute(
            name="personIdentifier",
            identifier=True,
            case_exact=True,
            description="An identifier of the person that this source has verified; records may be joined by it.",
        ),
        Attribute(
            name="readmission",
            mutability=Mutability.READ_ONLY,
            canonical_values=(READMISSION_PENDING,),
            description="pending while this source's active: true waits for a manager; active is false until then.",
        ),
    ),
)
