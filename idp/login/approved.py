"""What a grown credential may be worth at this sign-in by the rules of today: a device taken off the list counts for less at once (RQ-4, RQ-5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derived.rules.assurance import AAL
from derived.rules.kinds import Kind, Label, policy_of
from derived.rules.rulebook import DeviceFacts
from idp.policies import issuance as rulebook

if TYPE_CHECKING:
    from derived.models import Credential
    from scim.models import Person


def at_most(credential: Credential, level: AAL) -> AAL:
    """The level, or what the rulebook leaves of it.

    A kind that lives only in approved devices is worth one factor in another; AAL3 takes what it took when it was issued.
    Raises: Unavailable(KEY_UNAVAILABLE) for a rulebook that is not understood.
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
