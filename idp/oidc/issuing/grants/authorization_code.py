"""Redeem an authorization code (RFC 6749 §4.1.3) under the account's lock; a mismatch spends it too (C25, C26)."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from authlib.oauth2.rfc6749 import InvalidGrantError
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from derived.changes import revoke
from derived.errors import AlreadySpent, Reason, Refused
from derived.ledger.locking import under_lock_of
from derived.ledger.single_use import claim_key
from idp import clients
from idp.login.session import has_live_credentials, has_not_ended, login_of
from idp.models import Code
from idp.oidc.claims import acr, claims
from idp.oidc.issuing.families import NewFamily, open_family, require_entitled
from idp.oidc.issuing.grants.base import GrantBase
from idp.oidc.issuing.statements import CODE, OWNER_OF_CODE, RowWithRules
from idp.oidc.issuing.tokens import Granted
from idp.oidc.requests.ask import Ask
from idp.oidc.requests.target import audience, still_allowed
from idp.secrets import hash_secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from derived.models import Account
    from idp.clients import RelyingParty
    from idp.oidc.proofs.bound import ProofBinding

_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")


class AuthorizationCodeGrant(GrantBase):
    """`grant_type=authorization_code`."""

    GRANT_TYPE = "authorization_code"
    REQUIRED = ("code", "redirect_uri")
    SPENDS_PROOF = True

    def validate_token_request(self) -> None:
        """Also require the verifier, unless this client is excused from PKCE (C33; `invalid_grant`: RFC 7636 §4.6)."""
        super().validate_token_request()
        if self.request.client.needs_pkce and not self.request.form.get("code_verifier"):
            raise InvalidGrantError("Missing code_verifier in request: the code was requested with a code_challenge.")

    def grant(self, party: RelyingParty, *, bound: ProofBinding, now: datetime) -> Granted:
        """Redeem the code of this request."""
        form = self.request.form
        presented = PresentedCode(
            code=form["code"],
            redirect_uri=form["redirect_uri"],
            code_verifier=form.get("code_verifier", ""),
            resource=form.get("resource", ""),
            bound=bound,
        )
        return redeem(party, presented, spend_proof=self.spend_proof, now=now)


@dataclass(frozen=True, kw_only=True)
class PresentedCode:
    """A code with the values that it is compared with, from a token request."""

    code: str
    redirect_uri: str
    code_verifier: str
    resource: str
    bound: ProofBinding


def redeem(party: RelyingParty, presented: PresentedCode, *, spend_proof: Callable[[], None], now: datetime) -> Granted:
    """Redeem a code, once; a second attempt ends the family of the first (RFC 9700 §4.5).

    Raises: Refused.
    """
    code_hash = hash_secret(presented.code, kind="code")

    def work(found: RowWithRules[Code]) -> Granted:
        row, party.has_rules = found.row, found.has_rules
        row.session.account = account = row.account
        ask = Ask.restored(row.request.ask)
        spend_proof()
        refused = None
        try:
            _compare(row, ask, party, presented)
            value = _require_live(row, ask, account, party, now=now)
        except Refused as why:
            refused = why
        family_id = uuid4()
        if not claim_key(Code, code_hash, now=now, family_id=None if refused else family_id):
            if row.family is not None:
                revoke.credential(row.family, account=account, because=Reason.REPLAY_DETECTED, now=now, actor="worker")
            raise AlreadySpent(spends=True)
        if refused is not None:
            raise refused
        scope = party.get_allowed_scope(ask.scope)
        target = audience(presented.resource, still_allowed(ask.resources, party), scope)
        new = NewFamily(
            party=party,
            event=row.event,
            session=row.session,
            scope=scope,
            acr=value,
            nonce=ask.nonce,
            bound=presented.bound,
            refreshes=True,
            resources=ask.resources,
            fal=2 if ask.nonce and ask.code_challenge else 1,
            claims={"userinfo": list(ask.claims.userinfo), "id_token": list(ask.claims.id_token)},
            family_id=family_id,
        )
        grant, refresh_token = open_family(account, new, now=now)
        return Granted(
            grant=grant,
            account=account,
            party=party,
            scope=scope,
            audience=target,
            bound=presented.bound,
            refresh_token=refresh_token,
            nonce=ask.nonce,
        )

    return under_lock_of(OWNER_OF_CODE, code_hash, lambda: CODE.first(code_hash=code_hash), work)


def _compare(row: Code, ask: Ask, party: RelyingParty, presented: PresentedCode) -> None:
    """Require the client, redirect URI, PKCE verifier and DPoP key of the request; else spend the code (P13, C20)."""
    same = (
        row.request.client_id == party.client.pk
        and row.request.redirect_uri == presented.redirect_uri
        and _verifies(presented.code_verifier, ask.code_challenge)
        and (not ask.dpop_jkt or hmac.compare_digest(ask.dpop_jkt, presented.bound.jkt))
    )
    if not same:
        raise Refused(Reason.BAD_CODE, spends=True)


def _verifies(code_verifier: str, code_challenge: str) -> bool:
    """True if a verifier matches its challenge; either without the other is a downgrade, and refused.

    See E6b, C33, P20.
    """
    if not code_challenge or not code_verifier:
        return not code_challenge and not code_verifier
    if _VERIFIER.fullmatch(code_verifier) is None:
        return False
    return hmac.compare_digest(create_s256_code_challenge(code_verifier), code_challenge)


def _require_live(row: Code, ask: Ask, account: Account, party: RelyingParty, *, now: datetime) -> str:
    """Evaluate the gates that may have changed since the code was created (C1, C16), and return the `acr`."""
    if (
        row.epoch != account.epoch
        or not has_not_ended(row.session, now=now)
        or not has_live_credentials(row.event, account, now=now)
    ):
        raise Refused(Reason.LOGIN_ENDED, spends=True)
    require_entitled(account, party, spends=True, now=now)
    login = login_of(row.event)
    value = acr.satisfied_class(ask, login)
    if value is None or not party.admits(login):
        raise Refused(Reason.LEVEL_NOT_REACHED, spends=True)
    discloses = claims.scopes_for_consent(ask, allowed=party.policy.scopes)
    # The person is read only if consent is needed.
    if party.client.require_consent and clients.consent_needed(party, account.person, discloses, now=now):
        raise Refused(Reason.BAD_CODE, spends=True)
    return value
