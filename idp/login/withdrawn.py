"""Keys whose model is not believed any more: FIDO reports it as broken, or the operator has taken it off the list (PK-2, RQ-4).

They stay, as what any unattested key is: AAL2 at most. Nothing is raised again by a better word later: the key is bound anew.
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
    """A key that was attested, and is not believed any more."""

    credential: Credential
    model: str


def found(known: Metadata, policy: ModelPolicy) -> list[Withdrawn]:
    """The living keys that were attested as a model which is not admitted now; an unknown model is not."""
    rows = Passkey.objects.filter(attested=True, credential__state__in=LIVING).select_related("credential__account")
    return [
        Withdrawn(credential=key.credential, model=key.model)
        for key in rows.order_by("credential__account_id", "credential__created_at")
        if not is_believed(key, known, policy)
    ]


def is_believed(key: Passkey, known: Metadata, policy: ModelPolicy) -> bool:
    """Whether the model that a key was attested as is admitted now; asked at each sign-in with it (TH-4)."""
    model = known.model(str(key.credential.evidence.get("listed_as", "")))
    return model is not None and policy.admits(model)


def withdraw(one: Withdrawn, *, now: datetime, actor: str) -> None:
    """Take from a key, and from the logins that were made with it, what its attestation gave."""

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
