"""Keys whose model is no longer trusted: reported by FIDO, or taken off the operator's list (PK-2, RQ-4).

Such a key continues as an unattested key: AAL2 at most. Nothing raises it again: the key must be bound anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from derived.changes.lower_level import lower
from derived.errors import Reason
from derived.ledger import audit
from derived.ledger.locking import under_lock
from derived.models import Credential, Passkey
from derived.rules.assurance import AAL, Factor, VerifiedFactors
from derived.rules.lifecycle import LIVING
from idp.models import AuthenticationEvent

if TYPE_CHECKING:
    from datetime import datetime

    from derived.minting.fido.metadata import Metadata, ModelPolicy
    from derived.models import Account


@dataclass(frozen=True, kw_only=True)
class Withdrawn:
    """An attested key whose model is no longer trusted."""

    credential: Credential
    model: str


def find_withdrawn(known: Metadata, policy: ModelPolicy) -> list[Withdrawn]:
    """The living keys that were attested as a model which is not admitted now; an unknown model is not."""
    rows = Passkey.objects.filter(attested=True, credential__state__in=LIVING).select_related("credential__account")
    return [
        Withdrawn(credential=key.credential, model=key.model)
        for key in rows.order_by("credential__account_id", "credential__created_at")
        if not is_model_trusted(key, known, policy)
    ]


def is_model_trusted(key: Passkey, known: Metadata, policy: ModelPolicy) -> bool:
    """True if the attested model of a key is admitted now; evaluated at each login with it (TH-4)."""
    model = known.model(str(key.credential.evidence.get("listed_as", "")))
    return model is not None and policy.admits(model)


def withdraw(one: Withdrawn, *, now: datetime, actor: str) -> None:
    """Remove the effect of its attestation from a key, and from logins with it."""

    def work(account: Account) -> None:
        row = one.credential
        if not Passkey.objects.filter(credential=row, attested=True).update(attested=False, hardware=False):
            return
        audit.record(
            account,
            "passkey.model_withdrawn",
            now=now,
            actor=actor,
            credential=row,
            body={"listed_as": str(row.evidence.get("listed_as", "")), "because": Reason.MODEL_NOT_TRUSTED.value},
        )
        lower(account, row, to=AAL.AAL2, because=Reason.MODEL_NOT_TRUSTED, now=now, actor=actor)
        for event in AuthenticationEvent.objects.filter(credential=row, hardware=True):
            shown = VerifiedFactors(factors=frozenset(Factor(value) for value in event.factors))
            AuthenticationEvent.objects.filter(id=event.id).update(
                hardware=False, amr=list(shown.amr), aal=min(AAL(event.aal), shown.reach)
            )

    under_lock(one.credential.account_id, work)
