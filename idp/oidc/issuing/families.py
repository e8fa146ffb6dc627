"""Opening a token family, and adding a refresh token to it; the caller holds the account's lock."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from derived.changes import issue
from derived.errors import Reason, Refused
from derived.ledger.prepared_sql import insert_rows
from derived.rules.assurance import AAL
from idp import clients
from idp.agreements import register
from idp.login.session import login_of
from idp.models import Grant, RefreshToken
from idp.oidc.claims import claims
from idp.oidc.lifetimes import ACCESS_TOKEN, OFFLINE
from idp.secrets import hash_secret, opaque
from scim.access import entitlements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from django.db.models import Model

    from derived.models import Account, Credential
    from derived.rules.assurance import Authentication
    from idp.clients import RelyingParty
    from idp.models import AuthenticationEvent, LoginSession
    from idp.oidc.proofs.bound import ProofBinding


def relayed_login(event: AuthenticationEvent) -> Authentication:
    """A login approved for another device: AAL2 at most, and never phishing-resistant (C13, P68)."""
    login = login_of(event)
    return replace(login, aal=min(login.aal, AAL.AAL2), phishing_resistant=False, hardware_protected=False)


def login_of_grant(grant: Grant) -> Authentication:
    """The evidence of a grant's login, as far as it counts for the grant."""
    return relayed_login(grant.event) if grant.relayed else login_of(grant.event)


def require_entitled(account: Account, party: RelyingParty, *, now: datetime, spends: bool = False) -> None:
    """Require that the person may enter this client, for every grant type (C16, P34, EN-1).

    Raises: Refused(NO_AGREEMENT) if the client needs a trust agreement and has none; Refused(NOT_ENTITLED).
    """
    if has_no_agreement(party, now=now):
        raise Refused(Reason.NO_AGREEMENT, spends=spends)
    if party.has_rules and not entitlements.may_enter(account.person, party.client_id, now=now):
        raise Refused(Reason.NOT_ENTITLED, spends=spends)


def has_no_agreement(party: RelyingParty, *, now: datetime) -> bool:
    """True if the operator requires trust agreements, and this client has none in force (63C-4 §4.3)."""
    return register.refuses(party.client_id, disclosed=lambda: claims.disclosed(party.policy.scopes), now=now)


class ConsentEnded(Refused):
    """The person's consent no longer covers what the client holds."""


def require_allowed(grant: Grant, account: Account, party: RelyingParty, *, now: datetime) -> None:
    """Require the person's consent, if the grant rests on it (C54, P1).

    Not withdrawn, not expired, for this client version.
    A grant approved on another device, or fixed at binding, was allowed there.
    Raises: ConsentEnded.
    """
    if not party.client.require_consent or grant.relayed or grant.session_id is None:
        return
    names = [name for listed in grant.claims.values() for name in listed]
    by_names = claims.scopes_disclosing(names, allowed=party.policy.scopes)
    if clients.consent_needed(party, account.person, " ".join([*grant.scope.split(), *by_names]), now=now):
        raise ConsentEnded(Reason.LOGIN_ENDED)


@dataclass(frozen=True, kw_only=True)
class NewFamily:
    """The terms of a token family that a grant type opens.

    event: the login. session: None if the family does not end with one. acr: the answered class. bound: the key or
    certificate of its tokens. refreshes: whether it gets a refresh token. fal: the highest federation level. claims:
    requested by name, per place. relayed: the login was approved for another device. family_id: its id, if the consumed
    code names it already.
    """

    party: RelyingParty
    event: AuthenticationEvent
    scope: str
    acr: str
    bound: ProofBinding
    refreshes: bool
    session: LoginSession | None = None
    nonce: str = ""
    resources: Sequence[str] = ()
    fal: int = 2
    claims: dict[str, list[str]] = field(default_factory=dict)
    relayed: bool = False
    family_id: UUID | None = None

    @property
    def login(self) -> Authentication:
        """The login on which the family rests."""
        return relayed_login(self.event) if self.relayed else login_of(self.event)

    @property
    def is_offline(self) -> bool:
        """True if the family outlives the session (OpenID Connect Core §11)."""
        return "offline_access" in self.scope.split()

    def life(self, *, now: datetime) -> timedelta:
        """From now to the end of the family, at most the client's limit."""
        if self.is_offline:
            life = OFFLINE[AAL(max(self.login.aal, AAL.AAL1))]
        else:
            life = self.session.expires_at - now if self.session is not None else ACCESS_TOKEN
        return min(life, self.party.policy.refresh_life or life)


def open_family(account: Account, new: NewFamily, *, now: datetime) -> tuple[Grant, str | None]:
    """Open a family in the ledger, with its grant and its first refresh token in clear (None without one).

    Raises: Refused(ACCOUNT_NOT_ACTIVE), Refused(CREDENTIAL_NOT_LIVE), Refused(NOT_ENTITLED).
    """
    require_entitled(account, new.party, now=now)
    grant = Grant(
        client=new.party.client,
        event=new.event,
        session=new.session,
        scope=new.scope,
        resources=list(new.resources),
        acr=new.acr,
        nonce=new.nonce,
        jkt=new.bound.jkt,
        x5t=new.bound.x5t,
        offline=new.is_offline,
        fal=new.fal,
        claims=new.claims,
        relayed=new.relayed,
    )
    token = opaque() if new.refreshes else None

    def hanging(family: Credential) -> list[Model]:
        grant.family = family
        return [grant, _refresh_token(token, grant, now=now)] if token else [grant]

    issue.token_family(
        account,
        used=new.event.credential,
        login=new.login,
        client_id=new.party.client_id,
        lifetime=new.life(now=now),
        now=now,
        actor=f"client:{new.party.client_id}",
        family_id=new.family_id,
        hanging=hanging,
    )
    return grant, token


def add_refresh_token(grant: Grant, *, now: datetime) -> str:
    """A new refresh token, in clear; it lives as long as its family."""
    token = opaque()
    insert_rows(_refresh_token(token, grant, now=now))
    return token


def _refresh_token(token: str, grant: Grant, *, now: datetime) -> RefreshToken:
    expires_at = grant.family.expires_at or now
    return RefreshToken(
        token_hash=hash_secret(token, kind="refresh-token"), grant=grant, created_at=now, expires_at=expires_at
    )
