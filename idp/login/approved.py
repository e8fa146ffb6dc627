"""The level of a derived credential under the operator's present rules (RQ-4, RQ-5).

A device that is taken off the list of approved devices counts for less at its next login.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.rules.assurance import AAL
from derived.rules.kinds import Kind, Label, policy_of
from derived.rules.rulebook import DeviceFacts
from idp.policies import issuance as rulebook

if TYPE_CHECKING:
    from derived.models import Credential
    from scim.models import Person


def capped_level(credential: Credential, level: AAL) -> AAL:
    """The level, capped by the rulebook.

    A kind that is limited to approved devices counts as a single factor in any other; AAL3 takes what issuance at AAL3
    took.
    Raises: Unavailable(KEY_UNAVAILABLE) for an invalid rulebook.
    """
    kind = Kind(credential.kind)
    if not policy_of(kind).is_derived:
        return level
    rules, device = rulebook.rules(), DeviceFacts(**credential.evidence.get("device", {}))
    if rules.of(kind).only_approved and not rules.approved.lists(device):
        return min(level, AAL.AAL1)
    if level < AAL.AAL3:
        return level
    person: Person | None = getattr(credential.account, "person", None)
    return min(level, rules.most(kind, Label(credential.label), device, person=(person and person.login_name) or ""))
