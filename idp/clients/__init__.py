"""The relying parties: identity, rights, and authentication.

    party          a client in Authlib's form; the only module that uses django-oidc-provider's `Client`
    registry       the registry's rows, brought over or cleaned
    terms          the rules of registration, for the whole resulting client (P45)
    registration   register and change a client
    metadata       client metadata (RFC 7591), read and written
    names          the display of a client's name
    jwk            accepted public keys
    keys           the public keys of a client: inline, or fetched from its URL
    signed         JWTs that a client signed: assertions and request objects
    consents       the consents of people

The registry's row has name, type and consent settings, so that a site which runs it today keeps its clients. Secrets,
redirect URIs and scopes are in Ramet's own tables, hashed or one row each, and the registry's columns for them stay
empty. May import `idp.uris`, `idp.keys`, `idp.outbound`, `idp.models`, `idp.config` and packages below them.
"""

from __future__ import annotations

from idp.clients.consents import consent_needed, remember_consent, remembered_consents, withdraw_consent
from idp.clients.party import (
    RelyingParty,
    find,
    find_by_number,
    find_in_any_state,
    parties_for_devices,
    party_of,
    registered_origins,
    subject_of,
)
from idp.clients.registration import change, hashed_secret, register, registration_of, rotate_secret
from idp.clients.terms import (
    CLIENT_ALGS,
    CLIENT_CREDENTIALS,
    DEVICE_CODE,
    DEVICE_GRANT,
    FAPI_ALGS,
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
    "FAPI_ALGS",
    "ID_TOKEN_ALGS",
    "MORE_GRANTS",
    "MORE_SCOPES",
    "SCOPES",
    "SERVICE_SCOPES",
    "BadRegistration",
    "Registration",
    "RelyingParty",
    "change",
    "consent_needed",
    "find",
    "find_by_number",
    "find_in_any_state",
    "hashed_secret",
    "parties_for_devices",
    "party_of",
    "register",
    "registered_origins",
    "registration_of",
    "remember_consent",
    "remembered_consents",
    "rotate_secret",
    "subject_of",
    "withdraw_consent",
]
