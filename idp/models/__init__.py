"""The tables of `idp`, a module per subject; every class is re-exported here.

    clients        policies, registration tokens, keys, URIs and consent of clients
    login          login events, sessions, WebAuthn ceremonies, throttles
    certificates   logins by certificate, fetched objects of authorities, probes
    upstreams      upstream OpenID providers and logins in progress
    oidc           pushed and waiting requests, codes, token families, tokens
    agreements     trust agreements with clients, redress cases
    enrol          invitations, undo links, bindings, certificate orders

Each row that authorises a request carries account, epoch and credential, and every read joins the Account and the
Credential, so that a single change of the Account ends it (design.md). Secrets are stored as SHA-256 of high-entropy
values. May import `derived.models` and the registry of django-oidc-provider.
"""

from __future__ import annotations

from idp.models.agreements import RedressCase, TrustAgreement
from idp.models.certificates import CertificateLogin, PkiObject, Probe
from idp.models.clients import ClientKeys, ClientPolicy, ConsentTerms, RegisteredUri, RegistrationToken
from idp.models.enrol import Binding, CertificateOrder, Invitation, RecoveryAttempt, UndoLink
from idp.models.login import AuthenticationEvent, Ceremony, LoginSession, Throttle
from idp.models.oidc import (
    AuthorizationRequest,
    Code,
    DeviceAuthorization,
    Grant,
    OpaqueToken,
    PushedRequest,
    RefreshToken,
    ServiceToken,
)
from idp.models.upstreams import Upstream, UpstreamLogin

__all__ = [
    "AuthenticationEvent",
    "AuthorizationRequest",
    "Binding",
    "Ceremony",
    "CertificateLogin",
    "CertificateOrder",
    "ClientKeys",
    "ClientPolicy",
    "Code",
    "ConsentTerms",
    "DeviceAuthorization",
    "Grant",
    "Invitation",
    "LoginSession",
    "OpaqueToken",
    "PkiObject",
    "Probe",
    "PushedRequest",
    "RecoveryAttempt",
    "RedressCase",
    "RefreshToken",
    "RegisteredUri",
    "RegistrationToken",
    "ServiceToken",
    "Throttle",
    "TrustAgreement",
    "UndoLink",
    "Upstream",
    "UpstreamLogin",
]
