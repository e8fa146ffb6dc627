"""The claims of the scope `assurance`: origin of the login credential, its label, and dates (FA-2, FA-3, FA-8).

The same values are in the ID token and at userinfo (FA-5). Unknown or untrue claims are omitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from derived.ledger import status
from derived.rules.assurance import IAL
from derived.rules.kinds import Kind, Label

if TYPE_CHECKING:
    from derived.models import Account, Credential
    from idp.models import Grant

SCOPE = "assurance"
_ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def fal(grant: Grant) -> int:
    """The federation assurance level under a grant.

    Without a nonce and PKCE an assertion is not injection-protected (FA-1); an upstream's level is never raised (AS-6).
    """
    return min(2 if grant.nonce else 1, grant.fal, grant.event.fal)


def assurance_claims(grant: Grant, account: Account) -> dict[str, Any]:
    """The claims of the scope, beside `tokens.login_claims`."""
    credential, person = grant.event.credential, account.person
    organization = (person.profile.get(_ENTERPRISE) or {}).get("organization")
    return {
        "fal": fal(grant),
        "credential_origin": "derived" if credential.root_id else "root",
        "credential_kind": credential.kind,
        "home_organization": organization if isinstance(organization, str) else None,
        "piv_federation": (not grant.relayed and is_piv(credential, account)) or None,
        "updated_at": int(person.updated_at.timestamp()),
    }


def is_piv(credential: Credential, account: Account) -> bool:
    """True for a PIV card, or a derived PIV credential, of a person at IAL3."""
    is_card = credential.kind == Kind.PIV_CARD and credential.root_id is None
    return status.ial(account) == IAL.IAL3 and (is_card or status.label(credential, account) == Label.DERIVED_PIV)
