"""The public keys of a client: inline, or fetched from its URL by the guarded fetcher (C45, P55, J6).

Fetched keys are stored in the database per client, so that all nodes agree and no client can name another's key. They
are fetched again after five minutes, or for an unknown kid, but at most once a minute, also after a failed fetch; a set
that cannot be fetched again is used for an hour. A withdrawn key is therefore accepted for five minutes if its URL
answers, and for an hour at most.
"""

from __future__ import annotations

import json
import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from django.db.models import F, Q

from derived.errors import Reason, Refused
from idp import outbound
from idp.clients import jwk
from idp.models import ClientKeys
from idp.outbound import NotFetched

if TYPE_CHECKING:
    from datetime import datetime

    from idp.clients.jwk import PublicKey
    from idp.clients.party import RelyingParty

Json: TypeAlias = Any  # of another party, not verified
logger = logging.getLogger(__name__)

FRESH = timedelta(minutes=5)
STALE = timedelta(hours=1)
REFETCH = timedelta(seconds=60)
_SECONDS = 2.0
_MOST_BYTES = 256 * 1024
_OK = 200


def keys_of(party: RelyingParty, *, kid: str | None = None, now: datetime) -> list[PublicKey]:
    """The signature keys of a client; with a kid, those of that name.

    Never call it inside a transaction or under a lock: it may fetch the client's URL, which takes up to two seconds.
    """
    policy = party.policy
    if policy.jwks is not None:
        return _named(jwk.fetched_keys(policy.jwks), kid)
    if not policy.jwks_uri:
        return []
    row, _ = ClientKeys.objects.get_or_create(policy=policy, uri=policy.jwks_uri)
    found = _named(_stored_keys(row, now=now), kid)
    if (not found or row.fetched_at is None or now - row.fetched_at >= FRESH) and _refreshed(party, row, now=now):
        found = _named(_stored_keys(row, now=now), kid)
    return found


def key_for(party: RelyingParty, *, alg: str, kid: str | None = None, now: datetime) -> PublicKey:
    """The one key that a signature of this client must be by: the named one, or the only one that fits (J6).

    Raises: Refused(BAD_PROOF).
    """
    found = [key for key in keys_of(party, kid=kid, now=now) if alg in key.algs]
    if len(found) != 1:
        raise Refused(Reason.BAD_PROOF)
    return found[0]


def stored_set(party: RelyingParty, *, now: datetime) -> dict[str, Any]:
    """The whole stored set, with its certificates."""
    keys_of(party, now=now)
    if party.policy.jwks is not None:
        return dict(party.policy.jwks)
    row = ClientKeys.objects.filter(policy=party.policy, uri=party.policy.jwks_uri).first()
    return dict(row.jwks) if row and row.fetched_at and now - row.fetched_at < STALE else {"keys": []}


def _named(keys: list[PublicKey], kid: str | None) -> list[PublicKey]:
    return keys if kid is None else [key for key in keys if key.kid == kid]


def _stored_keys(row: ClientKeys, *, now: datetime) -> list[PublicKey]:
    if row.fetched_at is None or now - row.fetched_at >= STALE:
        return []
    return jwk.fetched_keys(row.jwks)


def _refreshed(party: RelyingParty, row: ClientKeys, *, now: datetime) -> bool:
    """Fetch once for concurrent callers, who wait for the result; returns whether the set may have changed."""
    rows = ClientKeys.objects.filter(pk=row.pk)
    due = Q(tried_at__isnull=True) | Q(tried_at__lte=now - REFETCH)
    if rows.filter(due).update(tried_at=now, tries=F("tries") + 1) != 1:
        return _wait_for_fetch(row)
    found = None
    try:
        found = fetch(party)
    except NotFetched as error:
        logger.warning("the keys of client %s could not be fetched: %s", party.client_id, error)
    finally:  # in any case: waiting callers hold threads
        rows.update(answered=F("tries"), **({} if found is None else {"jwks": found, "fetched_at": now}))
    if found is None:
        return False
    row.jwks, row.fetched_at = found, now
    return True


def _wait_for_fetch(row: ClientKeys) -> bool:
    """Wait for the result of another request's fetch."""
    until = time.monotonic() + _SECONDS + 0.5
    while (found := ClientKeys.objects.filter(pk=row.pk).first()) is not None:
        if found.answered >= found.tries or time.monotonic() > until:
            is_new = found.fetched_at != row.fetched_at
            row.jwks, row.fetched_at = found.jwks, found.fetched_at
            return is_new
        time.sleep(0.05)
    return False


def fetch(party: RelyingParty) -> dict[str, Any]:
    """The set at a client's jwks_uri now, in its stored form.

    Raises: NotFetched.
    """
    found = json_at(party.policy.jwks_uri, frozenset(party.policy.hosts))
    try:
        jwk.fetched_keys(found)
        return jwk.stored_form(found)
    except jwk.BadKey as error:
        raise NotFetched(str(error)) from error


def json_at(url: str, hosts: frozenset[str]) -> Json:
    """A small JSON document of a client's own: from a public address, or from a host that an operator allowed it.

    Raises: NotFetched.
    """
    answer = outbound.fetch_public(
        url, inside=hosts, headers={"Accept": "application/json"}, most_bytes=_MOST_BYTES, seconds=_SECONDS
    )
    if answer.status != _OK:
        raise NotFetched(f"it answered {answer.status}")
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise NotFetched("it is not JSON") from error
