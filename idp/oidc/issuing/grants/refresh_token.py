"""Refresh (RFC 6749 §6, RFC 9700 §4.14): rotation, and reuse of an old token ends the family (C3, C26, ruling 17)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from derived.changes import revoke
from derived.errors import AlreadySpent, Reason, Refused
from derived.ledger.locking import under_lock_of
from derived.ledger.single_use import claim_key
from idp.models import RefreshToken
from idp.oidc.issuing.families import ConsentEnded, add_refresh_token
from idp.oidc.issuing.grants.base import GrantBase, narrowed
from idp.oidc.issuing.live import require_live
from idp.oidc.issuing.statements import OWNER_OF_REFRESH_TOKEN, REFRESH_TOKEN, RowWithRules
from idp.oidc.issuing.tokens import Granted
from idp.oidc.proofs.bound import ProofBinding
from idp.oidc.requests.target import audience, still_allowed
from idp.secrets import hash_secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from idp import models
    from idp.clients import RelyingParty


class RefreshTokenGrant(GrantBase):
    """`grant_type=refresh_token`."""

    GRANT_TYPE = "refresh_token"
    REQUIRED = ("refresh_token",)
    SPENDS_PROOF = True

    def grant(self, party: RelyingParty, *, bound: ProofBinding, now: datetime) -> Granted:
        """Rotate the token of this request."""
        form = self.request.form
        presented = PresentedRefreshToken(
            token=form["refresh_token"],
            scope=form.get("scope"),
            resource=form.get("resource", ""),
            bound=bound,
        )
        return rotate(party, presented, spend_proof=self.spend_proof, now=now)


@dataclass(frozen=True, kw_only=True)
class PresentedRefreshToken:
    """A refresh token with the scope, the resource and the binding of its request."""

    token: str
    bound: ProofBinding
    scope: str | None = None
    resource: str = ""


def rotate(
    party: RelyingParty, presented: PresentedRefreshToken, *, spend_proof: Callable[[], None], now: datetime
) -> Granted:
    """New tokens for a refresh token: the same login, the same `auth_time`, never a higher level (TK-5).

    Raises: Refused; InvalidScopeError.
    """
    token_hash = hash_secret(presented.token, kind="refresh-token")

    def work(found: RowWithRules[RefreshToken]) -> Granted:
        row, party.has_rules = found.row, found.has_rules
        spend_proof()
        grant, account = row.grant, row.grant.family.account
        if grant.client_id != party.client.pk:
            raise Refused(Reason.BAD_CODE)
        if row.consumed_at is not None:
            revoke.credential(grant.family, account=account, because=Reason.REPLAY_DETECTED, now=now, actor="worker")
            raise AlreadySpent(spends=True)
        try:
            require_live(grant, account, party, now=now)
        except ConsentEnded as ended:  # for good: it does not come back to life with the next consent
            revoke.credential(
                grant.family, account=account, because=Reason.CONSENT_ENDED, now=now, actor=f"client:{party.client_id}"
            )
            raise Refused(Reason.LOGIN_ENDED, spends=True) from ended
        bound = _binding(grant, party, presented.bound)
        narrow = party.get_allowed_scope(narrowed(presented.scope, grant.scope))
        target = audience(presented.resource, still_allowed(grant.resources, party), narrow)
        fresh = None
        if party.is_public or not (grant.jkt or grant.x5t):
            if not claim_key(RefreshToken, token_hash, now=now):
                raise AlreadySpent
            if party.is_public and bound.jkt and not grant.jkt:  # from now on it is bound (RFC 9449 §5)
                grant.jkt = bound.jkt
                grant.save(update_fields=["jkt"])
            fresh = add_refresh_token(grant, now=now)
        elif row.expires_at <= now:
            raise AlreadySpent
        return Granted(
            grant=grant,
            account=account,
            party=party,
            scope=narrow,
            audience=target,
            refresh_token=fresh,
            bound=bound,
        )

    return under_lock_of(OWNER_OF_REFRESH_TOKEN, token_hash, lambda: REFRESH_TOKEN.first(token_hash=token_hash), work)


def _binding(grant: models.Grant, party: RelyingParty, shown: ProofBinding) -> ProofBinding:
    """The binding of the new access token: the key or the certificate of this request.

    The refresh token of a public client is bound to the key and certificate of its grant (RFC 9449 §5, RFC 8705 §7.1).
    That of a confidential client is bound to the client's authentication, so the key may be a new one; but the kind of
    binding stays, or the new token would be bound to nothing (C21, C23; ruling 26).
    Raises: Refused(BAD_PROOF).
    """
    held = ProofBinding(jkt=grant.jkt, x5t=grant.x5t)
    if party.is_public:
        is_kept = held.is_proven_by(shown)
    else:
        is_kept = bool(shown.jkt or not held.jkt) and bool(shown.x5t or not held.x5t)
    if not is_kept or (party.policy.certificate_bound and not (held.jkt or shown.x5t)):
        raise Refused(Reason.BAD_PROOF)
    return ProofBinding(jkt=shown.jkt, x5t=shown.x5t if held.x5t else "")
