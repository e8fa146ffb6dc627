"""Tokens from a `Grant` of any grant type (RFC 9068, OpenID Connect Core §2; C38, C39, FA-1).

Signing happens after the account's lock is released; the keys are read before it is taken, so a missing key refuses
before anything is claimed.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from derived.ledger import status
from derived.ledger.prepared_sql import insert_rows
from derived.rules.assurance import AAL
from idp.clients import RelyingParty, subject_of
from idp.config import config
from idp.keys import keyring
from idp.models import OpaqueToken, ServiceToken
from idp.oidc.claims import acr, assurance
from idp.oidc.claims.acr import AchievedLevel
from idp.oidc.claims.claims import assemble, attributes, by_name
from idp.oidc.issuing.families import login_of_grant
from idp.oidc.lifetimes import ACCESS_TOKEN, ID_TOKEN
from idp.secrets import hash_secret, opaque

if TYPE_CHECKING:
    from datetime import datetime

    from derived.keyring import TokenSigner
    from derived.models import Account
    from derived.rules.assurance import Authentication
    from idp.models import Grant
    from idp.oidc.proofs.bound import ProofBinding

ACCESS_TOKEN_ALG = "ES256"  # noqa: S105 - an algorithm
_OPAQUE = "opaque"


@dataclass(frozen=True, kw_only=True)
class Granted:
    """The result of a grant type, ready to be signed.

    audience: of the access token. bound: the key or certificate of the access token. refresh_token: the clear text.
    scope: of this access token, at most the grant's. nonce: at the first issuance only.
    """

    grant: Grant
    account: Account
    party: RelyingParty
    scope: str
    audience: str
    bound: ProofBinding
    refresh_token: str | None = None
    nonce: str = ""


@dataclass(frozen=True, kw_only=True)
class ServiceGranted:
    """The result for a client's own token: no person, no ID token, no refresh token (E9)."""

    party: RelyingParty
    scope: str
    audience: str
    bound: ProofBinding


@dataclass(frozen=True)
class Signing:
    """The keys that will sign."""

    access_token: TokenSigner
    id_token: TokenSigner


def signing_keys(party: RelyingParty, *, now: datetime) -> Signing:
    """The keys that will sign, fetched before anything is claimed.

    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    for_access, for_id = ACCESS_TOKEN_ALG, party.policy.id_token_alg
    access_token = keyring().signer(for_access, kid=party.kid(for_access), now=now)
    same = for_id == for_access
    return Signing(access_token, access_token if same else keyring().signer(for_id, kid=party.kid(for_id), now=now))


def login_claims(grant: Grant, account: Account, login: Authentication | None = None) -> dict[str, Any]:
    """The claims about the login of a grant, computed from its evidence and its ancestors now (C2, TK-5).

    `acr` is the one that was answered, as long as it is still true; a fallen level lowers it, nothing raises it.
    """
    login = login or login_of_grant(grant)
    level = min(login.aal, AAL(grant.family.aal))
    keeps = acr.is_satisfied(grant.acr, AchievedLevel.of(login, at_most=level))
    return {
        "acr": grant.acr if keeps else acr.acr_of_level(level),
        "amr": list(login.amr),
        "auth_time": int(grant.event.at.timestamp()),
        "aal": int(level),
        "ial": int(status.ial(account)),
        "credential_label": status.label(grant.event.credential, account)
        or "",  # absent for credentials that were not derived here (EL-2, AS-3)
        "idp": login.upstream,  # the upstream that vouched for this login (FA-8)
    }


def token_response(granted: Granted | ServiceGranted, signing: Signing, *, now: datetime) -> dict[str, Any]:
    """The token response (RFC 6749 §5.1) for a grant."""
    if isinstance(granted, ServiceGranted):
        return _service_response(granted, signing.access_token, now=now)
    grant = granted.grant
    about = login_claims(grant, granted.account)
    until = _expiry(grant, granted.party, now=now)
    if granted.party.policy.access_token_format == _OPAQUE:
        access_token = _opaque(granted, until=until, now=now)
    else:
        access_token = _access_token(granted, about, signing.access_token, until=until, now=now)
    body: dict[str, Any] = {
        "access_token": access_token,
        "token_type": granted.bound.token_type,
        "expires_in": int((until - now).total_seconds()),
        "scope": granted.scope,
    }
    if granted.refresh_token:
        body["refresh_token"] = granted.refresh_token
    if "openid" in granted.scope.split():
        body["id_token"] = _id_token(granted, about, access_token, signing.id_token, now=now)
    return body


def _service_response(granted: ServiceGranted, signer: TokenSigner, *, now: datetime) -> dict[str, Any]:
    """RFC 6749 §4.4.3; the row that `resource` reads is the token's life."""
    party, bound = granted.party, granted.bound
    until = now + min(ACCESS_TOKEN, party.policy.access_token_life or ACCESS_TOKEN)
    secret = opaque()
    id_hash = hash_secret(secret, kind="service-token")  # the stored name of a token must not be the token
    insert_rows(
        ServiceToken(
            id_hash=id_hash,
            client=party.client,
            scope=granted.scope,
            audience=granted.audience,
            jkt=bound.jkt,
            x5t=bound.x5t,
            created_at=now,
            expires_at=until,
        )
    )
    claims = {
        "iss": config().issuer,
        "sub": party.client_id,
        "aud": granted.audience,
        "exp": int(until.timestamp()),
        "iat": int(now.timestamp()),
        "jti": id_hash,
        "client_id": party.client_id,
        "scope": granted.scope,
        "cnf": bound.cnf,
    }
    is_opaque = party.policy.access_token_format == _OPAQUE
    token = secret if is_opaque else signer.sign(assemble({}, claims), typ="at+jwt")
    life = int((until - now).total_seconds())
    return {"access_token": token, "token_type": bound.token_type, "expires_in": life, "scope": granted.scope}


def _expiry(grant: Grant, party: RelyingParty, *, now: datetime) -> datetime:
    """The expiry of an access token: at most its family's, Ramet's and its client's limits (A2)."""
    life = min(ACCESS_TOKEN, party.policy.access_token_life or ACCESS_TOKEN)
    return min(now + life, grant.family.expires_at or now)


def _opaque(granted: Granted, *, until: datetime, now: datetime) -> str:
    token = opaque()
    insert_rows(
        OpaqueToken(
            token_hash=hash_secret(token, kind="access-token"),
            grant=granted.grant,
            scope=granted.scope,
            audience=granted.audience,
            jkt=granted.bound.jkt,
            x5t=granted.bound.x5t,
            created_at=now,
            expires_at=until,
        )
    )
    return token


def _access_token(
    granted: Granted, about: dict[str, Any], signer: TokenSigner, *, until: datetime, now: datetime
) -> str:
    grant = granted.grant
    reserved = {
        **about,
        "iss": config().issuer,
        "sub": subject_of(granted.party, granted.account),
        "aud": granted.audience,
        "exp": int(until.timestamp()),
        "iat": int(now.timestamp()),
        "jti": opaque(),
        "client_id": granted.party.client_id,
        "scope": granted.scope,
        "grant_id": str(grant.family_id),
        "cnf": granted.bound.cnf,
    }
    return signer.sign(assemble({}, reserved), typ="at+jwt")


def _id_token(granted: Granted, about: dict[str, Any], access_token: str, signer: TokenSigner, *, now: datetime) -> str:
    grant = granted.grant
    reserved = {
        **about,
        "iss": config().issuer,
        "sub": subject_of(granted.party, granted.account),
        "aud": granted.party.client_id,
        "exp": int((now + ID_TOKEN).timestamp()),
        "iat": int(now.timestamp()),
        "jti": opaque(),
        "nonce": granted.nonce,
        "fal": assurance.fal(grant),
        "at_hash": _half_hash(access_token, signer.alg),
        "sid": grant.session.sid if grant.session else None,
        "cnf": _subscriber_key(granted),
    }
    if assurance.SCOPE in granted.scope.split():
        reserved |= assurance.assurance_claims(grant, granted.account)
    names, policy = grant.claims.get("id_token", ()), granted.party.policy
    about_person = attributes(granted.account.person, granted.scope) if policy.claims_in_id_token else {}
    if names:
        about_person |= by_name(granted.account.person, names, allowed=policy.scopes)
    return signer.sign(assemble(about_person, reserved), typ="JWT")


def _subscriber_key(granted: Granted) -> dict[str, str] | None:
    """The `cnf` of an ID token: the derived key of the person, if the login and the request were made with it.

    The key of a client is never there: SP 800-63C-4 uses `cnf` for the key of the subscriber (FAL3).
    """
    jkt = granted.bound.jkt
    return {"jkt": jkt} if jkt and jkt == granted.grant.event.credential.jkt else None


def _half_hash(value: str, alg: str) -> str:
    digest = hashlib.sha512(value.encode()) if alg == "EdDSA" else hashlib.sha256(value.encode())
    raw = digest.digest()
    return urlsafe_b64encode(raw[: len(raw) // 2]).rstrip(b"=").decode()
