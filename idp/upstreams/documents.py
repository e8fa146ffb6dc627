"""An upstream's metadata and keys (OpenID Connect Discovery 1.0 §4): fetched by the guarded fetcher, kept, bounded.

Its statements about algorithms, levels and other issuers are ignored: the operator sets those.
"""

from __future__ import annotations

import json
import logging
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from derived.errors import Reason, Refused, Unavailable
from idp import outbound
from idp.models import Upstream
from idp.outbound import NotFetched
from idp.upstreams.registry import hosts, netloc, safe_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

logger = logging.getLogger(__name__)

FRESH = timedelta(hours=1)
STALE = timedelta(hours=24)  # how long the last metadata is used while it cannot be fetched
REMEMBERED = timedelta(minutes=1)  # how long a failed fetch is not repeated
REFETCH = timedelta(minutes=5)  # an unknown kid fetches the keys again, at most this often
_MOST = 256 * 1024
_OK = 200
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_MOST_KEYS = 50


class _Asking:
    """Upstreams that this process is asking at present, and those that did not answer within the last minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._failed: dict[str, datetime] = {}
        self._silent: dict[str, datetime] = {}
        self._trying: set[str] = set()

    def clear(self) -> None:
        """Forget all failures."""
        with self._lock:
            self._failed.clear()
            self._silent.clear()

    @contextmanager
    def answering(self, slug: str, *, now: datetime) -> Iterator[None]:
        """Ask for one login; after an answer that did not come, one thread at a time for a minute.

        So a provider that is down holds one thread, and is used again as soon as it answers.
        Raises: NotFetched, and what is raised inside.
        """
        with self._lock:
            silent = self._silent.get(slug)
            alone = silent is not None and timedelta() <= now - silent < REMEMBERED
            if alone and slug in self._trying:
                raise NotFetched("it did not answer a moment ago, and is being asked again")
            if alone:
                self._trying.add(slug)
        try:
            yield
        except NotFetched:
            self._silent[slug] = now
            raise
        else:
            self._silent.pop(slug, None)
        finally:
            if alone:
                self._trying.discard(slug)

    @contextmanager
    def once(self, slug: str, *, now: datetime) -> Iterator[None]:
        """Fetch, unless another thread does or a fetch failed within the last minute; no request waits for another.

        Raises: NotFetched, and what is raised inside.
        """
        with self._lock:
            failed = self._failed.get(slug)
            if failed is not None and timedelta() <= now - failed < REMEMBERED:
                raise NotFetched("it did not answer within the last minute")
            if slug in self._busy:
                raise NotFetched("it is being asked at present")
            self._busy.add(slug)
        try:
            yield
        except NotFetched:
            self._failed[slug] = now
            raise
        else:
            self._failed.pop(slug, None)
        finally:
            self._busy.discard(slug)


asking = _Asking()


def metadata(upstream: Upstream, *, now: datetime) -> dict[str, Any]:
    """Its metadata, an hour old at most where it answers.

    Raises: Refused(UPSTREAM_UNTRUSTED) where it names another issuer, or addresses that are not its own;
    Unavailable(UPSTREAM_UNREACHABLE).
    """
    kept: dict[str, Any] = upstream.metadata
    if kept and upstream.metadata_at and now - upstream.metadata_at < FRESH:
        return kept
    try:
        with asking.once(upstream.slug, now=now):
            found = _document(upstream, f"{upstream.issuer.rstrip('/')}/.well-known/openid-configuration")
    except NotFetched as error:
        logger.warning("the metadata of upstream %s could not be fetched: %s", upstream.slug, error)
        if kept and upstream.metadata_at and now - upstream.metadata_at < STALE:
            return kept
        raise Unavailable(Reason.UPSTREAM_UNREACHABLE) from error
    if words := objection(upstream, found):
        logger.warning("the metadata of upstream %s was refused: %s", upstream.slug, words)
        raise Refused(Reason.UPSTREAM_UNTRUSTED)
    used = {name: found[name] for name in ("issuer", *_ENDPOINTS)}
    used["iss_promised"] = found.get("authorization_response_iss_parameter_supported") is True
    Upstream.objects.filter(slug=upstream.slug).update(metadata=used, metadata_at=now)
    upstream.metadata, upstream.metadata_at = used, now
    return used


def objection(upstream: Upstream, found: dict[str, Any]) -> str:
    """The fault of this upstream's metadata, or ""."""
    if found.get("issuer") != upstream.issuer:
        return "it names another issuer"
    for name in _ENDPOINTS:
        if not safe_url(found.get(name)):
            return f"its {name} is not an https address"
        if netloc(found[name]) not in hosts(upstream):
            return f"its {name} is on another host; list that with --host if it is the upstream's"
    return ""


def key_of(upstream: Upstream, kid: str, *, now: datetime) -> dict[str, Any]:
    """The one public key of that name, fetched again at most every five minutes (security.md §1.2).

    Raises: Refused(UPSTREAM_UNTRUSTED) where it has none; Unavailable(UPSTREAM_UNREACHABLE).
    """
    age = now - upstream.jwks_at if upstream.jwks_at else None
    found = _keys_named(upstream.jwks, kid)
    if age is None or age >= FRESH or (not found and age >= REFETCH):
        found = _keys_named(fetch_keys(upstream, now=now), kid)
    if len(found) != 1:
        raise Refused(Reason.UPSTREAM_UNTRUSTED)
    return found[0]


def fetch_keys(upstream: Upstream, *, now: datetime) -> dict[str, Any]:
    """The public keys, fetched now and kept.

    Raises: Unavailable(UPSTREAM_UNREACHABLE).
    """
    try:
        where = metadata(upstream, now=now)["jwks_uri"]
        with asking.answering(upstream.slug, now=now):
            fetched = _document(upstream, where)
    except NotFetched as error:
        logger.warning("the keys of upstream %s could not be fetched: %s", upstream.slug, error)
        raise Unavailable(Reason.UPSTREAM_UNREACHABLE) from error
    keys = fetched.get("keys")
    listed = [one for one in keys if isinstance(one, dict)][:_MOST_KEYS] if isinstance(keys, list) else []
    found = {"keys": listed}
    Upstream.objects.filter(slug=upstream.slug).update(jwks=found, jwks_at=now)
    upstream.jwks, upstream.jwks_at = found, now
    return found


def _keys_named(jwks: dict[str, Any], kid: str) -> list[dict[str, Any]]:
    """Keys of that name that may verify a signature; a symmetric one never does."""
    return [
        one
        for one in jwks.get("keys", [])
        if one.get("kid") == kid and one.get("use", "sig") == "sig" and one.get("kty") in {"EC", "RSA", "OKP"}
    ]


def _document(upstream: Upstream, url: str) -> dict[str, Any]:
    """A JSON object.

    Raises: NotFetched.
    """
    answer = outbound.fetch(
        url, allowed_hosts=hosts(upstream), headers={"Accept": "application/json"}, most_bytes=_MOST
    )
    if answer.status != _OK:
        raise NotFetched(f"it answered {answer.status}")
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise NotFetched("it is not JSON") from error
    if not isinstance(found, dict):
        raise NotFetched("it is not a JSON object")
    return found
