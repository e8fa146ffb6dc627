"""Back-channel logout: one signed token per client and session, to the URI that the client registered (C49, C84)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from derived import outbox
from derived.models import Account, OutboxRow
from idp import clients
from idp.clients import subject
from idp.config import config
from idp.keys import keyring
from idp.models import Grant, LoginSession
from idp.oidc.lifetimes import LOGOUT_TOKEN
from idp.secrets import opaque

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

_TIMEOUT = httpx.Timeout(3.0)
_EVENT = "http://schemas.openid.net/event/backchannel-logout"


class NotDelivered(Exception):
    """The relying party did not take the token; it is tried again later."""


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
        outbox.enqueue(kind="logout", receiver=f"client:{key[0]}", account=account, payload=payload, now=now)


def _concerned(row: OutboxRow, account: Account) -> QuerySet[Grant]:
    grants = Grant.objects.filter(family__account=account)
    if session := row.payload.get("session"):
        return grants.filter(session_id=session)
    if credential := row.payload.get("credential"):
        LoginSession.objects.filter(account=account, event__credential_id=credential, ended_at__isnull=True).update(
            ended_at=row.created_at
        )
        return grants.filter(event__credential_id=credential)
    return grants


def deliver(row: OutboxRow, *, now: datetime) -> None:
    """Send one logout token.

    Raises: NotDelivered.
    """
    party = clients.find(str(row.payload["client_id"]))
    if party is None or row.account is None or not party.policy.backchannel_logout_uri:
        return
    claims: dict[str, object] = {
        "iss": config().issuer, "sub": subject(party, row.account), "aud": party.client_id, "iat": int(now.timestamp()),
        "exp": int((now + LOGOUT_TOKEN).timestamp()), "jti": opaque(), "events": {_EVENT: {}},
    }
    if row.payload.get("sid"):
        claims["sid"] = row.payload["sid"]
    token = keyring().sign(claims, typ="logout+jwt", alg=party.policy.id_token_alg, now=now)
    try:
        with httpx.Client(timeout=_TIMEOUT, follow_redirects=False, trust_env=False) as client:
            answer = client.post(party.policy.backchannel_logout_uri, data={"logout_token": token})
    except httpx.HTTPError as error:
        raise NotDelivered(type(error).__name__) from error
    if answer.status_code not in {200, 204}:
        message = f"it answered {answer.status_code}"
        raise NotDelivered(message)
