"""An authorization request to an upstream: own state, nonce and PKCE, for one browser, once, ten minutes (P32, P35).

Authlib's client writes the requests and reads the responses over `idp.outbound`; its missing checks are here and in
`idtoken` (security.md §1.2).
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qs, urlencode, urlsplit

from authlib.common.errors import AuthlibBaseError
from authlib.oauth2.client import OAuth2Client
from django.urls import reverse

from derived import clock
from derived.errors import Reason, Refused, Unavailable
from derived.ledger.locking import transacted
from derived.ledger.single_use import claim_once
from idp import outbound
from idp.config import config
from idp.keys import wrapper
from idp.models import UpstreamLogin
from idp.outbound import NotFetched
from idp.secrets import hash_secret, opaque
from idp.upstreams import documents, idtoken, presets, registry, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from derived.rules.assurance import Assertion
    from idp.models import LoginSession, Upstream

_Untyped: TypeAlias = Any  # of Authlib, or JSON
logger = logging.getLogger(__name__)

LASTS = timedelta(minutes=10)
LOGIN, LINK = "login", "link"
USUAL_AGE = 20 * 60  # the highest age of a login there, equal to that of a login here for issuance (AU-8)
_PURPOSE = "upstream-trip"
_SECONDS, _MOST = 5.0, 128 * 1024
_SERVER_ERROR = 500


@dataclass(frozen=True, kw_only=True)
class UpstreamResult:
    """The result of a request: the subject at the upstream, its assertion, and the time of the login."""

    upstream: Upstream
    subject: str
    asserted: Assertion
    at: datetime


def callback_uri(upstream: Upstream) -> str:
    """The redirect URI for an upstream, separate for each against mix-up (RFC 9700 §4.4)."""
    return config().issuer + reverse("upstream-callback", args=[upstream.slug])


def begin(  # noqa: PLR0913 - the purpose of the request
    upstream: Upstream,
    *,
    browser: str,
    purpose: str,
    fresh: bool,
    now: datetime,
    acr_values: str = "",
    session: LoginSession | None = None,
) -> str:
    """Store a request; returns it with the URL for the browser.

    browser: its hash; the response must come to the same one. fresh: the person must sign in there anew. acr_values:
    instead of the upstream's usual. session: the signed-in session, for a link.
    Raises: Refused(UPSTREAM_UNTRUSTED), Unavailable(UPSTREAM_UNREACHABLE).
    """
    endpoint = documents.metadata(upstream, now=now)["authorization_endpoint"]
    says_auth_time = presets.preset_of(upstream.preset).says_auth_time
    state, nonce, verifier = opaque(), opaque(), opaque()
    row = UpstreamLogin(
        upstream=upstream,
        browser=browser,
        state_hash=hash_secret(state, kind="upstream-state"),
        purpose=purpose,
        nonce_hash=hash_secret(nonce, kind="upstream-nonce"),
        account=session.account if session else None,
        session=session,
        max_age=_max_age(fresh=fresh, purpose=purpose, says_auth_time=says_auth_time),
        created_at=now,
        expires_at=now + LASTS,
    )
    kept = json.dumps({"verifier": verifier, "nonce": nonce}).encode()
    row.code_verifier = wrapper().wrap(kept, purpose=_PURPOSE, owner=str(row.id))
    row.save(force_insert=True)
    wanted: dict[str, str] = {"nonce": nonce, **_level_parameters(upstream, acr_values)}
    if fresh or purpose == LINK or not says_auth_time:
        wanted["prompt"] = "login"
    if row.max_age is not None:
        wanted["max_age"] = str(row.max_age)
    url, _ = _client(upstream).create_authorization_url(endpoint, state=state, code_verifier=verifier, **wanted)
    return str(url)


def stored_state(url: str) -> str:
    """The stored form of the state in the URL of a request."""
    return hash_secret(parse_qs(urlsplit(url).query)["state"][0], kind="upstream-state")


def _max_age(*, fresh: bool, purpose: str, says_auth_time: bool) -> int | None:
    """The highest age of the login there; requested for a relying party even if it cannot be answered (C10)."""
    if not says_auth_time:
        return 0 if fresh and purpose == LOGIN else None
    return 0 if fresh or purpose == LINK else USUAL_AGE


def _level_parameters(upstream: Upstream, acr_values: str) -> dict[str, str]:
    """The request of a level: by `acr_values`, or by the `claims` parameter if another claim lists it."""
    values = (acr_values or upstream.acr_values).split()
    if not values:
        return {}
    if upstream.aal_claim.endswith("[]"):
        one = {"essential": True, "value": values[0]} if len(values) == 1 else {"essential": True, "values": values}
        return {"claims": json.dumps({"id_token": {upstream.aal_claim.removesuffix("[]"): one}})}
    return {"acr_values": " ".join(values)}


def find_pending(slug: str, state: str, *, browser: str, now: datetime) -> UpstreamLogin:
    """The trip that this answer belongs to, not spent yet.

    Raises: Refused(UPSTREAM_UNTRUSTED) for another browser's, another upstream's, a used or an old one (P35).
    """
    row = (
        UpstreamLogin.objects.select_related("upstream", "account", "session__account")
        .filter(
            state_hash=hash_secret(state, kind="upstream-state"),
            upstream_id=slug,
            browser=browser,
            consumed_at__isnull=True,
            expires_at__gt=now,
        )
        .first()
    )
    if row is None:
        raise Refused(Reason.UPSTREAM_UNTRUSTED)
    return row


def complete(row: UpstreamLogin, answer: Mapping[str, str], *, now: datetime) -> UpstreamResult:
    """Spend the request, exchange the code, verify the ID token, and map its claims.

    answer: the parameters of the callback, each once.
    Raises: Refused(UPSTREAM_UNTRUSTED), Refused(UPSTREAM_REFUSED), Refused(UPSTREAM_DISABLED),
    Refused(UPSTREAM_SAYS_NOTHING); Unavailable(UPSTREAM_UNREACHABLE).
    """
    if not transacted(lambda: claim_once(UpstreamLogin.objects.filter(id=row.id), now=now)):
        raise Refused(Reason.UPSTREAM_UNTRUSTED)
    upstream = registry.usable(row.upstream_id)
    known = documents.metadata(upstream, now=now)
    if answer.get("iss", upstream.issuer) != upstream.issuer or (known["iss_promised"] and "iss" not in answer):
        raise Refused(Reason.UPSTREAM_UNTRUSTED)  # a mix-up (RFC 9207 §2.4)
    if "error" in answer or not answer.get("code"):
        logger.info("upstream %s refused a login", upstream.slug)
        raise Refused(Reason.UPSTREAM_REFUSED)
    kept = json.loads(wrapper().unwrap(bytes(row.code_verifier), purpose=_PURPOSE, owner=str(row.id)))
    tokens = _exchange(upstream, known["token_endpoint"], answer["code"], kept["verifier"])
    since = None if row.max_age is None else row.created_at - timedelta(seconds=row.max_age)
    claims = idtoken.verified(
        upstream,
        tokens.get("id_token"),
        nonce=kept["nonce"],
        access_token=tokens.get("access_token"),
        since=since,
        now=now,
    )
    asserted = words.assertion_of(upstream, claims)
    if not asserted.aal:
        raise Refused(Reason.UPSTREAM_SAYS_NOTHING)
    return UpstreamResult(
        upstream=upstream, subject=claims["sub"], asserted=asserted, at=_login_time(row, claims, now=now)
    )


def _login_time(row: UpstreamLogin, claims: Mapping[str, Any], *, now: datetime) -> datetime:
    """The time of the login there, if stated; never before a requested login, nor after now."""
    told = claims.get("auth_time")
    if told is None:  # every request to such an upstream requires a new login
        return min(row.created_at, now)
    at = datetime.fromtimestamp(told, tz=UTC)
    return min(max(at, row.created_at) if row.max_age == 0 else at, now)


class _Session:
    """An HTTP session for Authlib's client, over the guarded fetcher."""

    def __init__(self, upstream: Upstream) -> None:
        self._slug, self._allowed = upstream.slug, registry.hosts(upstream)

    def post(self, url: str, *, data: Mapping[str, str], headers: Mapping[str, str], auth: _Untyped) -> _Response:
        """Post a form.

        Raises: NotFetched.
        """
        uri, sent, body = auth.prepare("POST", url, dict(headers), urlencode(data))
        with documents.asking.answering(self._slug, now=clock.now()):
            found = outbound.fetch(
                uri,
                allowed_hosts=self._allowed,
                method="POST",
                content=body.encode(),
                headers=sent,
                most_bytes=_MOST,
                seconds=_SECONDS,
            )
        return _Response(found.status, found.body)


@dataclass(frozen=True)
class _Response:
    """The part of a response that Authlib's client reads."""

    status_code: int
    body: bytes

    def json(self) -> _Untyped:
        """Raises: ValueError."""
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("too deep") from error

    def raise_for_status(self) -> None:
        """Raises: NotFetched."""
        if self.status_code >= _SERVER_ERROR:
            raise NotFetched(f"it answered {self.status_code}")


def _client(upstream: Upstream, *, secret: str | None = None) -> OAuth2Client:
    return OAuth2Client(
        _Session(upstream),
        client_id=upstream.client_id,
        client_secret=secret,
        token_endpoint_auth_method=upstream.auth_method,
        scope=upstream.scope,
        redirect_uri=callback_uri(upstream),
        code_challenge_method="S256",
    )


def _exchange(upstream: Upstream, endpoint: str, code: str, verifier: str) -> Mapping[str, Any]:
    """The token response.

    Raises: Refused(UPSTREAM_REFUSED) for an error response, Refused(UPSTREAM_UNTRUSTED) for an invalid one;
    Unavailable(UPSTREAM_UNREACHABLE).
    """
    client = _client(upstream, secret=registry.secret(upstream))
    try:
        found = client.fetch_token(endpoint, grant_type="authorization_code", code=code, code_verifier=verifier)
    except NotFetched as error:
        logger.warning("the token endpoint of upstream %s did not answer: %s", upstream.slug, error)
        raise Unavailable(Reason.UPSTREAM_UNREACHABLE) from error
    except AuthlibBaseError as error:
        logger.warning("the token endpoint of upstream %s refused: %s", upstream.slug, str(error.error)[:60])
        raise Refused(Reason.UPSTREAM_REFUSED) from error
    except (ValueError, TypeError) as error:
        logger.warning("the token endpoint of upstream %s gave no token response", upstream.slug)
        raise Refused(Reason.UPSTREAM_UNTRUSTED) from error
    return dict(found)
