"""An access token at a resource: verified, then read from the ledger at every use.

See TK-1, I2; RFC 9068 §4, RFC 9449 §7.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from derived.errors import Refused
from idp import clients, models
from idp.clients import subject_of
from idp.config import config
from idp.keys import keyring
from idp.models import OpaqueToken, ServiceToken
from idp.oidc.claims.claims import assemble
from idp.oidc.issuing.live import require_live
from idp.oidc.issuing.statements import GRANT, GRANT_AND_PERSON, OPAQUE_TOKEN, OPAQUE_TOKEN_AND_PERSON
from idp.oidc.issuing.tokens import ACCESS_TOKEN_ALG
from idp.oidc.proofs import dpop
from idp.oidc.proofs import mutual_tls as certificate
from idp.oidc.proofs import own_jwts as issued
from idp.oidc.proofs.bound import ProofBinding
from idp.secrets import hash_secret

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from idp.clients import RelyingParty
    from idp.models import Grant


@dataclass(frozen=True)
class LiveToken:
    """A verified access token of a live grant; grant: None for a client's own token."""

    claims: dict[str, Any]
    grant: Grant | None
    party: RelyingParty


def live_grant(grant: Grant, *, has_rules: bool, now: datetime) -> tuple[Grant, RelyingParty] | None:
    """A grant, read with everything it depends on, and its client, if all of that is live now.

    has_rules: whether access rules exist for its client, as the same statement has read.
    """
    party = clients.party_of(grant.client)
    if party is None:
        return None
    party.has_rules = has_rules
    try:
        require_live(grant, grant.family.account, party, now=now)
    except Refused:
        return None
    return grant, party


def live_token(
    token: str, *, now: datetime, asked_by: RelyingParty | None = None, person: bool = False
) -> LiveToken | None:
    """An access token with its grant, or None if it is forged, expired, of an ended grant, or by a retired key.

    asked_by: a client that may only know its own tokens and those for its resources, checked before the ledger is read,
    so that timing reveals nothing (C40). person: also read the person, in the same statement.
    """
    if "." not in token:
        return _live_opaque(token, asked_by=asked_by, person=person, now=now)
    signed = issued.signed(token, typ="at+jwt", algs=[ACCESS_TOKEN_ALG])
    if signed is None:
        return None
    claims, exp = signed.claims, signed.claims.get("exp")
    if not isinstance(exp, int) or exp <= now.timestamp():
        return None
    if not _may_know(asked_by, client_id=str(claims.get("client_id")), audience=str(claims.get("aud"))):
        return None
    if "grant_id" not in claims:
        live = _live_service(str(claims.get("jti", "")), asked_by=asked_by, now=now)
        return live if keyring().is_published(signed.kid) else None
    try:
        family_id = UUID(str(claims["grant_id"]))
    except ValueError:
        return None
    read = (GRANT_AND_PERSON if person else GRANT).first(kid=signed.kid, family_id=family_id)
    found = live_grant(read.row, has_rules=read.has_rules, now=now) if read else None
    return LiveToken(claims, *found) if found else None


def grant_of(token: str) -> Grant | None:
    """The grant of an access token, live or not, for revocation (C41)."""
    if "." not in token:
        row = (
            OpaqueToken.objects.select_related("grant__family")
            .filter(token_hash=hash_secret(token, kind="access-token"))
            .first()
        )
        return row.grant if row else None
    claims = issued.claims(token, typ="at+jwt", algs=[ACCESS_TOKEN_ALG]) or {}
    try:
        family_id = UUID(str(claims.get("grant_id")))
    except ValueError:
        return None
    return models.Grant.objects.select_related("family").filter(family_id=family_id).first()


def _may_know(asker: RelyingParty | None, *, client_id: str, audience: str) -> bool:
    return asker is None or client_id == asker.client_id or audience in asker.policy.serves


def _live_opaque(token: str, *, asked_by: RelyingParty | None, person: bool, now: datetime) -> LiveToken | None:
    read = (OPAQUE_TOKEN_AND_PERSON if person else OPAQUE_TOKEN).first(
        token_hash=hash_secret(token, kind="access-token")
    )
    if read is None or (row := read.row).expires_at <= now:
        return _live_service(hash_secret(token, kind="service-token"), asked_by=asked_by, now=now)
    if not _may_know(asked_by, client_id=row.grant.client.client_id, audience=row.audience):
        return None
    found = live_grant(row.grant, has_rules=read.has_rules, now=now)
    if found is None:
        return None
    grant, party = found
    claims = {
        "iss": config().issuer,
        "sub": subject_of(party, grant.family.account),
        "aud": row.audience,
        "client_id": party.client_id,
        "scope": row.scope,
        "exp": int(row.expires_at.timestamp()),
        "iat": int(row.created_at.timestamp()),
        "cnf": ProofBinding(jkt=row.jkt, x5t=row.x5t).cnf,
    }
    return LiveToken(assemble({}, claims), grant, party)


def service_row(jti: str, *, now: datetime) -> ServiceToken | None:
    """The row of a client's own token, by its `jti`, while it lives."""
    rows = ServiceToken.objects.filter(id_hash=jti, ended_at__isnull=True, expires_at__gt=now)
    return rows.select_related("client__policy").first()


def _live_service(jti: str, *, asked_by: RelyingParty | None, now: datetime) -> LiveToken | None:
    row = service_row(jti, now=now)
    if row is None or not _may_know(asked_by, client_id=row.client.client_id, audience=row.audience):
        return None
    party = clients.party_of(row.client)
    if party is None or party.is_public or not party.check_grant_type("client_credentials"):
        return None
    scope = party.get_allowed_scope(row.scope)  # a scope that the client has lost is lost for its tokens too (C16)
    claims = {
        "iss": config().issuer,
        "sub": party.client_id,
        "aud": row.audience,
        "client_id": party.client_id,
        "scope": scope,
        "exp": int(row.expires_at.timestamp()),
        "iat": int(row.created_at.timestamp()),
        "jti": jti,
        "cnf": ProofBinding(jkt=row.jkt, x5t=row.x5t).cnf,
    }
    return LiveToken({**assemble({}, claims), "scope": scope}, None, party)


class Unauthorized(Exception):
    """RFC 6750 §3.1, RFC 9449 §7.1: a 401 with its challenge."""

    def __init__(self, scheme: str, error: str | None, words: str = "", *, algs: tuple[str, ...] = dpop.ALGS) -> None:
        super().__init__(words)
        self.scheme, self.error, self.words, self.algs = scheme, error, words, algs

    def challenge(self) -> str:
        """The WWW-Authenticate value."""
        parts = [f'realm="{config().issuer}"']
        if self.error:
            parts += [f'error="{self.error}"', f'error_description="{self.words}"']
        if self.scheme == "DPoP":
            parts.append(f'algs="{" ".join(self.algs)}"')
        return f"{self.scheme} {', '.join(parts)}"


def authenticate(request: HttpRequest, *, now: datetime) -> LiveToken:
    """The live token of a call to Ramet's own resources: in the header only, with its own scheme (C18, C21).

    Raises: Unauthorized; never Refused(BAD_PROOF).
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    scheme = {"bearer": "Bearer", "dpop": "DPoP"}.get(scheme.lower(), "")
    if not scheme or not token:
        raise Unauthorized("Bearer", None)
    found = live_token(token, now=now, person=True)
    if found is None or found.claims.get("aud") != config().issuer:
        raise Unauthorized(scheme, "invalid_token", "The access token is invalid, expired or revoked.")
    bound_to = (found.claims.get("cnf") or {}).get("jkt", "")
    if bool(bound_to) != (scheme == "DPoP"):
        raise Unauthorized(
            "DPoP" if bound_to else "Bearer", "invalid_token", "The access token needs the other scheme."
        )
    if bound_to:
        _require_proof(request, token, bound_to, found.party, now=now)
    x5t = (found.claims.get("cnf") or {}).get("x5t#S256", "")
    if x5t and not hmac.compare_digest(certificate.thumbprint(request, now=now) or "", x5t):
        raise Unauthorized(
            scheme, "invalid_token", "The access token is bound to a certificate that was not presented here."
        )
    return found


def _require_proof(request: HttpRequest, token: str, bound_to: str, party: RelyingParty, *, now: datetime) -> None:
    try:
        jkt = dpop.verify(request, party, now=now, access_token=token)
    except Refused as refused:
        raise Unauthorized(
            "DPoP", dpop.error_of(refused), dpop.error_description_of(refused), algs=dpop.algs_of(party)
        ) from refused
    if not hmac.compare_digest(jkt, bound_to):
        raise Unauthorized("DPoP", "invalid_token", "The access token is bound to another key.")
