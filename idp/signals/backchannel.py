"""Back-channel logout: one signed token per client and session, to the URI that the client registered (C49, C84)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import httpx
from django.db.models import Q

from derived import outbox
from idp import clients
from idp.clients import subject
from idp.config import config
from idp.keys import keyring
from idp.models import Grant, LoginSession
from idp.oidc.lifetimes import LOGOUT_TOKEN
from idp.secrets import opaque

if TYPE_CHECKING:
    import ssl
    from datetime import datetime

    from django.db.models import QuerySet

    from derived.models import Account, OutboxRow

_TIMEOUT = httpx.Timeout(3.0)
_EVENT = "http://schemas.openid.net/event/backchannel-logout"


def fan_out(row: OutboxRow, *, now: datetime) -> None:
    """Turn one ending into one row per client and session that it concerns, each delivered by itself."""
    account = row.account
    if account is None:
        return
    seen: set[tuple[str, str]] = set()
    for grant in _concerned(row, account).select_related("client", "session"):
        party = clients.of(grant.client)
        key = (grant.client.client_id, grant.session.sid if grant.session else "")
        if party is None or not party.policy.backchannel_logout_uri or key in seen:
            continue
        seen.add(key)
        payload = {"client_id": key[0], "sid": key[1]}
        outbox.enqueue(kind="logout", receiver=f"client:{key[0]}:{account.id}", account=account, payload=payload, now=now)


def _concerned(row: OutboxRow, account: Account) -> QuerySet[Grant]:
    grants = Grant.objects.filter(family__account=account)
    if session := row.payload.get("session"):
        return grants.filter(session_id=session)
    if credential := row.payload.get("credential"):
        LoginSession.objects.filter(
            Q(event__credential_id=credential) | Q(event__beside_id=credential), account=account, ended_at__isnull=True
        ).update(
            ended_at=row.created_at
        )
        return grants.filter(Q(event__credential_id=credential) | Q(event__beside_id=credential))
    return grants


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    """Public authorities, and those that this machine's operator added: relying parties often live inside."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


@dataclass(frozen=True)
class Letter:
    """One logout token and where it goes: all that the network part needs, so that it touches no database."""

    row: OutboxRow
    uri: str
    token: str

    def send(self) -> str:
        """Post it (three seconds, no redirects, a verified certificate); why it was not taken, or ""."""
        try:
            with httpx.Client(timeout=_TIMEOUT, follow_redirects=False, trust_env=False, verify=_trust()) as client:
                answer = client.post(self.uri, data={"logout_token": self.token})
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return type(error).__name__
        return "" if answer.status_code in {200, 204} else f"it answered {answer.status_code}"


def letter(row: OutboxRow, *, now: datetime) -> Letter | None:
    """The logout token that a row stands for, or None where its client wants none any more.

    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    party = clients.find(str(row.payload["client_id"]))
    if party is None or row.account is None or not party.policy.backchannel_logout_uri:
        return None
    claims: dict[str, object] = {
        "iss": config().issuer, "sub": subject(party, row.account), "aud": party.client_id, "iat": int(now.timestamp()),
        "exp": int((now + LOGOUT_TOKEN).timestamp()), "jti": opaque(), "events": {_EVENT: {}},
    }
    if row.payload.get("sid"):
        claims["sid"] = row.payload["sid"]
    token = keyring().sign(claims, typ="logout+jwt", alg=party.policy.id_token_alg, now=now)
    return Letter(row, party.policy.backchannel_logout_uri, token)
