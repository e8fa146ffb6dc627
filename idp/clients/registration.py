"""Register a client, and change one: the rules are applied to the whole resulting client (P45)."""

from __future__ import annotations

import secrets
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from django.db import transaction
from oidc_provider.models import Client

from derived.keyring import KeyPurpose
from idp.clients import jwk, terms
from idp.clients.party import RelyingParty
from idp.clients.terms import BadRegistration, Registration
from idp.config import config
from idp.keys import keyring
from idp.models import ClientKeys, ClientPolicy, RegisteredUri
from idp.secrets import hash_secret

if TYPE_CHECKING:
    from datetime import datetime

_Field: TypeAlias = Any  # of Registration
# Fields that are not a column of that name.
_ELSEWHERE = frozenset(
    {"name", "redirect_uris", "post_logout_uris", "public", "auth_method", "consent", "scopes", "client_id", "jwks"}
)
_COLUMNS = tuple(one.name for one in fields(Registration) if one.name not in _ELSEWHERE)
# The parts of a client that a person consents to (C54): a change of them needs consent again.
_CONSENTED = ("name", "scopes", "redirect_uris", "shown")


def register(wanted: Registration, *, now: datetime) -> tuple[RelyingParty, str | None]:
    """Register a client; the secret is returned once and stored as a hash.

    Raises: BadRegistration.
    """
    wanted = terms.with_pinned_alg(wanted)
    terms.require(wanted)
    _require_certificate_host(wanted)
    if wanted.client_id and Client.objects.filter(client_id=wanted.client_id).exists():
        raise BadRegistration(f"client_id {wanted.client_id!r} is taken", about="client_id")
    _publish_keys(wanted, now=now)
    secret = _new_secret() if wanted.has_secret else None
    with transaction.atomic():
        client = Client.objects.create(
            name=wanted.name,
            client_id=wanted.client_id or secrets.token_hex(16),
            require_consent=wanted.consent,
            reuse_consent=True,
            client_type="public" if wanted.public else "confidential",
        )
        policy = ClientPolicy(client=client, created_at=now, secret_hash=_hashed(secret))
        _write(policy, wanted)
    return RelyingParty(policy), secret


def registration_of(party: RelyingParty) -> Registration:
    """A client as it is."""
    policy, client = party.policy, party.client
    return Registration(
        name=client.name,
        client_id=client.client_id,
        public=policy.auth_method == "none",
        auth_method=policy.auth_method,
        consent=client.require_consent,
        scopes=policy.scopes.split(),
        jwks=policy.jwks,
        redirect_uris=party.redirect_uris(),
        post_logout_uris=party.post_logout_uris(),
        **{name: getattr(policy, name) for name in _COLUMNS},
    )


def change(party: RelyingParty, *, now: datetime, **changes: _Field) -> tuple[RelyingParty, str | None]:
    """Change a client: the rules apply to the result, keys of a former URL are deleted, and old consents end.

    A secret is returned, once, if the client begins to have one.
    Raises: BadRegistration.
    """
    with transaction.atomic():
        policy = ClientPolicy.objects.select_for_update().get(pk=party.policy.pk)
        policy.client = Client.objects.select_for_update().get(pk=party.client.pk)
        was = registration_of(RelyingParty(policy))
        wanted = terms.with_pinned_alg(replace(was, **changes))
        terms.require(wanted)
        if (wanted.method, wanted.certificate_bound) != (was.method, was.certificate_bound):
            _require_certificate_host(wanted)
        _require_same_subjects(was, wanted)
        if wanted.client_id != was.client_id:
            raise BadRegistration("a client keeps its client_id", about="client_id")
        _publish_keys(wanted, now=now)
        secret = _new_secret() if wanted.has_secret and not was.has_secret else None
        if not wanted.has_secret or secret:
            policy.secret_hash = _hashed(secret)
        if any(_comparable(getattr(was, name)) != _comparable(getattr(wanted, name)) for name in _CONSENTED):
            policy.version += 1
        if wanted.jwks_uri != was.jwks_uri:  # keys fetched from the former URL are no longer the client's (P46)
            ClientKeys.objects.filter(policy=policy).delete()
        policy.client.name, policy.client.require_consent = wanted.name, wanted.consent
        policy.client.client_type = "public" if wanted.public else "confidential"
        policy.client.save()
        _write(policy, wanted)
    return RelyingParty(policy), secret


def rotate_secret(party: RelyingParty) -> str:
    """A new secret; the old one ends now.

    Raises: BadRegistration where it has none.
    """
    if not registration_of(party).has_secret:
        raise BadRegistration(f"This client has no secret: it authenticates by {party.policy.auth_method}.")
    secret = _new_secret()
    ClientPolicy.objects.filter(pk=party.policy.pk).update(secret_hash=_hashed(secret))
    return secret


def _write(policy: ClientPolicy, wanted: Registration) -> None:
    for name in _COLUMNS:
        value = getattr(wanted, name)
        setattr(
            policy,
            name,
            list(value) if isinstance(value, tuple) else dict(value) if name in {"tls_subject", "shown"} else value,
        )
    policy.auth_method = wanted.method
    policy.scopes = " ".join(dict.fromkeys(wanted.scopes))
    policy.jwks = jwk.stored_form(wanted.jwks) if wanted.jwks is not None else None
    policy.origins = _origins(wanted)
    policy.save()
    pairs = [("redirect", uri) for uri in wanted.redirect_uris] + [
        ("post_logout", uri) for uri in wanted.post_logout_uris
    ]
    kept = list(dict.fromkeys(pairs))
    known = [(row.use, row.uri) for row in policy.uris.order_by("id")]
    if known != kept:  # the first one counts: written anew, in the order given
        policy.uris.all().delete()
        RegisteredUri.objects.bulk_create(RegisteredUri(policy=policy, use=use, uri=uri) for use, uri in kept)


def _require_same_subjects(was: Registration, wanted: Registration) -> None:
    """A person's subject never moves (FA-4, C53).

    Raises: BadRegistration.
    """

    def sector(one: Registration) -> object:
        first = one.sector_identifier_uri or next(iter(one.redirect_uris), "")
        return one.subject_type, urlsplit(first).hostname if one.subject_type == "pairwise" else None

    if sector(was) != sector(wanted):
        raise BadRegistration(
            "this would give every person another subject: register a new client instead", about="subject_type"
        )


def _require_certificate_host(wanted: Registration) -> None:
    """Require a certificate host for authentication by certificate (RFC 8705 §5).

    Raises: BadRegistration.
    """
    if config().certificate_url:
        return
    words = (
        "needs a host where certificates are shown, and this provider has none: set RAMET_CERTIFICATE_URL "
        "(docs/operating.md)"
    )
    if wanted.method in terms.TLS_METHODS:
        raise BadRegistration(f"{wanted.method} {words}", about="token_endpoint_auth_method")
    if wanted.certificate_bound:
        raise BadRegistration(
            f"binding tokens to a certificate {words}", about="tls_client_certificate_bound_access_tokens"
        )


def _publish_keys(wanted: Registration, *, now: datetime) -> None:
    """Every key that will sign for it is published before its first signature."""
    for alg in {wanted.id_token_alg, wanted.userinfo_alg, wanted.introspection_alg} - {""}:
        keyring().ensure(KeyPurpose.TOKENS, alg, now=now)


def _comparable(value: object) -> object:
    return sorted(str(one) for one in value) if isinstance(value, (list, tuple)) else value


def _new_secret() -> str:
    return secrets.token_hex(32)  # alphanumeric: some clients do not form-encode it


def hashed_secret(secret: str) -> str:
    """The stored form of a secret (C71)."""
    return hash_secret(secret, kind="client-secret")


def _hashed(secret: str | None) -> str:
    return hashed_secret(secret) if secret else ""


def _origins(wanted: Registration) -> list[str]:
    """The origins of a browser app are those of its redirect URIs."""
    if wanted.application_type != "browser":
        return []
    found = [f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, wanted.redirect_uris)]
    return list(dict.fromkeys(found))
