"""The only door to django-oidc-provider: its `Client` with our policy, as Authlib wants a client to look.

The registry's row gives name, type and consent settings, so that a site which runs it today keeps its clients. Secrets,
redirect URIs and scopes live in our own tables, hashed or one row each, and the registry's columns for them stay empty.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import ClientMixin
from django.db import transaction
from oidc_provider.models import Client, UserConsent

from derived.assurance import AAL
from derived.keyring import Purpose
from idp import uris
from idp.config import config
from idp.keys import keyring
from idp.models import ClientPolicy, RegisteredUri
from idp.secrets import stored

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from derived.assurance import Authentication
    from derived.models import Account
    from scim.models import Person

SCOPES = ("openid", "profile", "email", "offline_access", "assurance")
ID_TOKEN_ALGS = ("ES256", "RS256", "PS256", "EdDSA")
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class RelyingParty(ClientMixin):  # type: ignore[misc]  # Authlib is untyped
    """One client: the registry's row and our policy."""

    def __init__(self, policy: ClientPolicy) -> None:
        self.policy = policy
        self.client: Client = policy.client

    @property
    def client_id(self) -> str:
        """RFC 6749 §2.2."""
        return str(self.client.client_id)

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.client.name or self.client_id)

    @property
    def is_public(self) -> bool:
        """Whether it has no secret (RFC 6749 §2.1)."""
        return self.policy.auth_method == "none"

    @property
    def min_aal(self) -> AAL:
        """Below this level nobody enters."""
        return AAL(self.policy.min_aal)

    @property
    def needs_pkce(self) -> bool:
        """Whether its requests must carry a challenge: always, but for a confidential client that is excused (C33)."""
        return self.is_public or not self.policy.pkce_optional

    @property
    def needs_nonce(self) -> bool:
        """Whether its OpenID requests must carry a nonce: always, but for a confidential client that is excused (FA-1)."""
        return self.is_public or not self.policy.nonce_optional

    def admits(self, login: Authentication) -> bool:
        """Whether this login is as strong as everybody's must be who enters here (C16)."""
        return login.aal >= self.min_aal and (login.phishing_resistant or not self.policy.phishing_resistant)

    def redirect_uris(self) -> list[str]:
        """The registered redirect URIs, in the order of registration: the first is the sector of pairwise subjects."""
        return [row.uri for row in sorted(self.policy.uris.all(), key=lambda row: row.id) if row.use == "redirect"]

    def post_logout_uris(self) -> list[str]:
        """The registered post-logout redirect URIs."""
        return [row.uri for row in self.policy.uris.all() if row.use == "post_logout"]

    # What Authlib asks of a client (its ClientMixin names the methods).

    def get_client_id(self) -> str:
        """The client_id."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """There is none: every request names its redirect_uri (A3)."""

    def get_allowed_scope(self, scope: str | None) -> str:
        """The requested scope, cut to what this client is allowed (C52)."""
        allowed = self.policy.scopes.split()
        return " ".join(dict.fromkeys(one for one in (scope or "").split() if one in allowed))

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether it is one of the registered, whole (C31)."""
        kind = self.policy.application_type
        return any(uris.same(redirect_uri, known, application_type=kind) for known in self.redirect_uris())

    def check_client_secret(self, client_secret: str) -> bool:
        """Compare by hash, in constant time (C71)."""
        return bool(self.policy.secret_hash) and hmac.compare_digest(
            stored(client_secret, kind="client-secret"), self.policy.secret_hash
        )

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:  # noqa: ARG002 - Authlib's signature
        """Its one way to authenticate; basic and post carry the same secret."""
        if self.policy.auth_method == "client_secret_basic":
            return method in {"client_secret_basic", "client_secret_post"}
        return method == self.policy.auth_method

    def check_response_type(self, response_type: str) -> bool:
        """Code, and nothing else (C32)."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Code and refresh for all, the device assertion for those registered for it."""
        if grant_type == DEVICE_GRANT:
            return self.policy.device_assertion
        return grant_type in {"authorization_code", "refresh_token"}


def find(client_id: str) -> RelyingParty | None:
    """The client of that id, if it is there and not disabled."""
    if not client_id or not client_id.isprintable():  # a NUL is an error to PostgreSQL, and a client to nobody
        return None
    policy = (
        ClientPolicy.objects.filter(client__client_id=client_id, disabled_at__isnull=True)
        .select_related("client")
        .prefetch_related("uris")
        .first()
    )
    return RelyingParty(policy) if policy else None


def of(client: Client) -> RelyingParty | None:
    """The relying party of a registry row, unless it is disabled."""
    return find(client.client_id)


def for_devices() -> list[RelyingParty]:
    """The clients that a device may be allowed to serve without a browser (ruling 2)."""
    rows = ClientPolicy.objects.filter(device_assertion=True, disabled_at__isnull=True).select_related("client")
    return [RelyingParty(row) for row in rows.prefetch_related("uris").order_by("client__name")]


def origins() -> set[str]:
    """Every origin that a registered browser app may call from."""
    found: set[str] = set()
    for listed in ClientPolicy.objects.filter(disabled_at__isnull=True).exclude(origins=[]).values_list("origins", flat=True):
        found.update(listed)
    return found


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What an operator says about a new client."""

    name: str
    redirect_uris: Sequence[str] = ()
    post_logout_uris: Sequence[str] = ()
    application_type: str = "web"
    public: bool = False
    device_assertion: bool = False
    dpop_required: bool = False
    dpop_nonce: bool | None = None
    consent: bool = False
    scopes: Sequence[str] = SCOPES
    min_aal: int = 1
    most_idle: timedelta | None = None
    most_session: timedelta | None = None
    id_token_alg: str = "ES256"  # noqa: S105 - an algorithm
    subject_type: str = "public"
    backchannel_logout_uri: str = ""
    client_id: str = ""


class BadRegistration(ValueError):
    """What is wrong with a registration, in words for the operator."""


def register(wanted: Registration, *, now: datetime) -> tuple[RelyingParty, str | None]:
    """Register a client; the secret is returned once and kept as a hash.

    Raises: BadRegistration.
    """
    _check(wanted)
    keyring().ensure(Purpose.TOKENS, wanted.id_token_alg, now=now)  # published before its first signature
    secret = None if wanted.public else secrets.token_hex(32)  # alphanumeric: some clients do not form-encode it
    with transaction.atomic():
        client = Client.objects.create(
            name=wanted.name, client_id=wanted.client_id or secrets.token_hex(12),
            client_type="public" if wanted.public else "confidential", require_consent=wanted.consent, reuse_consent=True,
        )
        policy = ClientPolicy.objects.create(
            client=client, secret_hash=stored(secret, kind="client-secret") if secret else "",
            auth_method="none" if wanted.public else "client_secret_basic", application_type=wanted.application_type,
            scopes=" ".join(dict.fromkeys(wanted.scopes)), id_token_alg=wanted.id_token_alg, min_aal=wanted.min_aal,
            most_idle=wanted.most_idle, most_session=wanted.most_session,
            dpop_required=wanted.dpop_required, dpop_nonce=wanted.dpop_nonce, device_assertion=wanted.device_assertion,
            subject_type=wanted.subject_type, backchannel_logout_uri=wanted.backchannel_logout_uri,
            origins=_origins(wanted), created_at=now,
        )
        pairs = [("redirect", uri) for uri in wanted.redirect_uris] + [("post_logout", uri) for uri in wanted.post_logout_uris]
        RegisteredUri.objects.bulk_create(RegisteredUri(policy=policy, use=use, uri=uri) for use, uri in dict.fromkeys(pairs))
    return RelyingParty(policy), secret


def _check(wanted: Registration) -> None:
    if not wanted.name.strip() or len(wanted.name) > 80 or not wanted.name.isprintable():  # noqa: PLR2004
        message = "name: 1 to 80 printable characters"
        raise BadRegistration(message)
    for uri in [*wanted.redirect_uris, *wanted.post_logout_uris]:
        if why := uris.objection(uri, application_type=wanted.application_type):
            message = f"redirect URI {uri!r} is refused: {why}"
            raise BadRegistration(message)
    if wanted.backchannel_logout_uri and (why := uris.objection(wanted.backchannel_logout_uri, application_type="web")):
        message = f"back-channel logout URI is refused: {why}"
        raise BadRegistration(message)
    if not wanted.redirect_uris and not wanted.device_assertion:
        message = "give at least one --redirect-uri (or --device for an app that only uses device assertions)"
        raise BadRegistration(message)
    if wanted.id_token_alg not in ID_TOKEN_ALGS:
        message = f"ID token algorithm: one of {', '.join(ID_TOKEN_ALGS)}"
        raise BadRegistration(message)
    if unknown := [scope for scope in wanted.scopes if scope not in SCOPES]:
        message = f"unknown scope {unknown[0]!r}: choose from {', '.join(SCOPES)}"
        raise BadRegistration(message)
    if wanted.min_aal not in {1, 2, 3} or wanted.subject_type not in {"public", "pairwise"}:
        message = "min_aal is 1, 2 or 3; subject_type is public or pairwise"
        raise BadRegistration(message)
    if wanted.client_id and Client.objects.filter(client_id=wanted.client_id).exists():
        message = f"client_id {wanted.client_id!r} is taken"
        raise BadRegistration(message)


def _origins(wanted: Registration) -> list[str]:
    """The origins of a browser app are those of its redirect URIs."""
    if wanted.application_type != "browser":
        return []
    found = [f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, wanted.redirect_uris)]
    return list(dict.fromkeys(found))


def subject(party: RelyingParty, account: Account) -> str:
    """The `sub` that a relying party knows an account by: opaque, stable, never reused (FA-4, C53, ruling 21)."""
    if party.policy.subject_type == "public":
        return str(account.id)
    sector = urlsplit(party.redirect_uris()[0]).hostname or party.client_id if party.redirect_uris() else party.client_id
    parts = [sector.encode(), str(account.id).encode()]
    message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    key = hmac.digest(config().kek_bytes, b"ramet/pairwise", hashlib.sha256)
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def consent_needed(party: RelyingParty, person: Person, scope: str, *, now: datetime) -> bool:
    """Whether this person still has to allow this client these scopes."""
    if not party.client.require_consent:
        return False
    given = UserConsent.objects.filter(user=person, client=party.client, expires_at__gt=now).first()
    return given is None or not set(scope.split()) <= set(given.scope)


def remember_consent(party: RelyingParty, person: Person, scope: str, *, now: datetime, until: datetime) -> None:
    """Keep what a person allowed."""
    with transaction.atomic():
        given, _ = UserConsent.objects.select_for_update().get_or_create(
            user=person, client=party.client, defaults={"expires_at": until, "date_given": now}
        )
        given.scope = sorted(set(given.scope) | set(scope.split()))
        given.expires_at = until
        given.save()
