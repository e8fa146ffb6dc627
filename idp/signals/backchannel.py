"""Back-channel logout: one signed token per client and session, to the URI that the client registered (C49, C84)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from django.db.models import Q

from derived.ledger import outbox
from idp import clients, outbound
from idp.clients import subject_of
from idp.clients.metadata import is_own_host
from idp.config import config
from idp.keys import keyring
from idp.models import Grant, LoginSession
from idp.oidc.lifetimes import LOGOUT_TOKEN
from idp.outbound import NotFetched
from idp.secrets import opaque
from idp.signals.outcomes import Failed, Outcome, outcome_of

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from derived.models import Account, OutboxRow

_SECONDS = 3.0
_MOST_RECEIVER = 255
_MOST_BYTES = 64 * 1024
_REST = timedelta(seconds=30)
_RESTING: dict[str, datetime] = {}  # of this worker: by client_id, until when a client that did not answer rests
_EVENT = "http://schemas.openid.net/event/backchannel-logout"


def fan_out(row: OutboxRow, *, now: datetime) -> None:
    """Turn one ending into one row per client and session that it concerns, each delivered by itself."""
    account = row.account
    if account is None:
        return
    seen: set[tuple[str, str]] = set()
    for grant in _concerned_grants(row, account).select_related("client", "session"):
        party = clients.party_of(grant.client)
        key = (grant.client.client_id, grant.session.sid if grant.session else "")
        if party is None or not party.policy.backchannel_logout_uri or key in seen:
            continue
        seen.add(key)
        payload = {"client_id": key[0], "sid": key[1]}
        # A token logs one session out, so none waits for another one's (ruling 31).
        receiver = f"client:{key[0]}:{account.id}:{key[1]}"[:_MOST_RECEIVER]
        outbox.enqueue(kind="logout", receiver=receiver, account=account, payload=payload, now=now)


def _concerned_grants(row: OutboxRow, account: Account) -> QuerySet[Grant]:
    grants = Grant.objects.filter(family__account=account)
    if session := row.payload.get("session"):
        return grants.filter(session_id=session)
    if credential := row.payload.get("credential"):
        LoginSession.objects.filter(
            Q(event__credential_id=credential) | Q(event__beside_id=credential), account=account, ended_at__isnull=True
        ).update(ended_at=row.created_at)
        return grants.filter(Q(event__credential_id=credential) | Q(event__beside_id=credential))
    return grants


class ForeignHost(Exception):
    """A client that registered itself has a logout URI on a host that is not its own; nothing is sent there."""


@dataclass(frozen=True)
class LogoutMessage:
    """A logout token and its receiver: everything for the network part, which reads no database.

    outside: the client registered the URI itself: public addresses only (C45), on a host of its redirect URIs.
    """

    row: OutboxRow
    client_id: str
    uri: str
    token: str
    outside: bool = False

    def send(self, *, now: datetime) -> Outcome:
        """Post the token: three seconds in all, no redirects, a verified certificate.

        A client that did not answer rests for a while: `resting` (C83).
        """
        parts = urlsplit(self.uri)
        host = (parts.hostname or "").lower()
        try:
            answer = outbound.fetch(
                self.uri,
                allowed_hosts=frozenset({f"{host}:{parts.port}" if parts.port else host}),
                method="POST",
                content=urlencode({"logout_token": self.token}).encode(),
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                most_bytes=_MOST_BYTES,
                seconds=_SECONDS,
                outside=self.outside,
                cut=True,
            )
        except NotFetched as error:
            _RESTING[self.client_id] = now + _REST
            return Failed(str(error))
        _RESTING.pop(self.client_id, None)
        return outcome_of(answer.status)


def resting(*, now: datetime) -> set[str]:
    """The ids of the clients that did not answer a moment ago: their rows are not leased, and delay no other (C83)."""
    for client_id in [one for one, until in _RESTING.copy().items() if until <= now]:
        _RESTING.pop(client_id, None)
    return set(_RESTING)


def logout_message(row: OutboxRow, *, now: datetime) -> LogoutMessage | None:
    """The logout token of a row, or None if its client no longer takes any.

    Raises: Unavailable(KEY_UNAVAILABLE); ForeignHost.
    """
    party = clients.find(str(row.payload["client_id"]))
    if party is None or row.account is None or not party.policy.backchannel_logout_uri:
        return None
    uri, outside = party.policy.backchannel_logout_uri, bool(party.policy.registration_hash)
    if outside and not is_own_host(uri, party.redirect_uris(), clients.registration_of(party).hosts):
        raise ForeignHost(party.client_id)
    claims: dict[str, object] = {
        "iss": config().issuer,
        "sub": subject_of(party, row.account),
        "aud": party.client_id,
        "iat": int(now.timestamp()),
        "exp": int((now + LOGOUT_TOKEN).timestamp()),
        "jti": opaque(),
        "events": {_EVENT: {}},
    }
    if row.payload.get("sid"):
        claims["sid"] = row.payload["sid"]
    token = keyring().sign(claims, typ="logout+jwt", alg=party.policy.id_token_alg, now=now)
    return LogoutMessage(row, party.client_id, uri, token, outside=outside)
