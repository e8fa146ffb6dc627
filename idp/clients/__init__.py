"""The relying parties: who they are, what they may do, and what they prove themselves with.

    party          one client, as Authlib wants it to look; the only door to django-oidc-provider's `Client`
    terms          what may be registered: every rule, asked of the whole resulting client (P45)
    registration   registering and changing one
    jwk            which public keys are good enough
    keys           the public keys of one client: inline, or fetched from its own address
    signed         what a client signed: assertions and request objects
    consents       what people allowed it

The registry's row gives name, type and consent settings, so that a site which runs it today keeps its clients. Secrets,
redirect URIs and scopes live in our own tables, hashed or one row each, and the registry's columns for them stay empty.
May import `idp.uris`, `idp.keys`, `idp.outbound`, `idp.models`, `idp.config` and below.
"""

from __future__ import annotations

from idp.clients.consents import consent_needed, remember_consent, withdraw_consent
from idp.clients.party import RelyingParty, any_of, find, for_devices, of, origins, subject
from idp.clients.registration import change, described, hashed_secret, register, rotate_secret
from idp.clients.terms import (
    CLIENT_ALGS,
    CLIENT_CREDENTIALS,
    DEVICE_CODE,
    DEVICE_GRANT,
    ID_TOKEN_ALGS,
    MORE_GRANTS,
    MORE_SCOPES,
    SCOPES,
    SERVICE_SCOPES,
    BadRegistration,
    Registration,
)

__all__ = [
    "CLIENT_ALGS",
    "CLIENT_CREDENTIALS",
    "DEVICE_CODE",
    "DEVICE_GRANT",
    "ID_TOKEN_ALGS",
    "MORE_GRANTS",
    "MORE_SCOPES",
    "SCOPES",
    "SERVICE_SCOPES",
    "BadRegistration",
    "Registration",
    "RelyingParty",
    "any_of",
    "change",
    "consent_needed",
    "described",
    "find",
    "for_devices",
    "hashed_secret",
    "of",
    "origins",
    "register",
    "remember_consent",
    "rotate_secret",
    "subject",
    "withdraw_consent",
]
