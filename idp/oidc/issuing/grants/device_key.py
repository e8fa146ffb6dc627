"""Tokens for an app, by an assertion that its device key signed (in the form of RFC 7523; ruling 2).

The protocol is in docs/device-protocol.md §4.

Authlib's JWT-bearer grant is not used: it reads `iss` as a client, names no algorithms, and parses before it verifies
(A20).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from authlib.oauth2.rfc6749 import OAuth2Error

from derived.errors import Reason, Refused
from derived.ledger.locking import under_lock
from idp.clients import DEVICE_GRANT
from idp.config import config
from idp.login import device, throttle
from idp.login.session import login_of, record_login
from idp.oidc.claims import acr
from idp.oidc.issuing.families import NewFamily, open_family
from idp.oidc.issuing.grants.base import GrantBase
from idp.oidc.issuing.tokens import Granted
from idp.oidc.requests.target import audience, requested_resources

if TYPE_CHECKING:
    from datetime import datetime

    from derived.models import Account
    from idp.clients import RelyingParty
    from idp.login.device import ProvenDevice
    from idp.models import AuthenticationEvent
    from idp.oidc.proofs.bound import ProofBinding

TYP = "ramet-device+jwt"
THUMBPRINT_URI = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:"  # RFC 9278


class DeviceKeyGrant(GrantBase):
    """`grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer`."""

    GRANT_TYPE = DEVICE_GRANT
    REQUIRED = ("assertion",)

    def grant(self, party: RelyingParty, *, bound: ProofBinding, now: datetime) -> Granted:
        """Verify the key, then the passphrase if there is one, then decide under the lock."""
        jkt = bound.jkt
        if not jkt:
            raise OAuth2Error(error="invalid_dpop_proof", description="Send a DPoP proof by the device key.")
        form = self.request.form
        expected = {
            "iss": THUMBPRINT_URI + jkt,
            "aud": config().issuer,
            "client_id": party.client_id,
        }
        proven = device.prove(form["assertion"], typ=TYP, expected=expected, now=now)
        _same_device(proven, party, jkt)
        passphrase = form.get("passphrase")
        if passphrase is not None:
            device.check_passphrase(proven, passphrase, now=now)
        wanted = _Wanted(
            passphrase=passphrase is not None,
            bound=bound,
            resources=requested_resources(form.get("resource", ""), party),
            scope=party.get_allowed_scope(form.get("scope")),
            acr_values=form.get("acr_values", "").split(),
        )
        return _decide(proven, party, wanted, now=now)


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """The tokens that a device requests; passphrase: whether the device passphrase was verified."""

    passphrase: bool
    bound: ProofBinding
    resources: list[str]
    scope: str
    acr_values: list[str]


def _same_device(proven: ProvenDevice, party: RelyingParty, jkt: str) -> None:
    """Require that assertion, DPoP proof and ledger have the same key, and that the client was fixed at binding."""
    credential = proven.credential
    if not hmac.compare_digest(str(credential.jkt), jkt) or proven.claims.get("sub") != str(credential.id):
        raise Refused(Reason.BAD_PROOF)
    if proven.claims.get("exp") is None or party.client_id not in proven.device.clients:
        raise Refused(Reason.BAD_PROOF)


def _decide(proven: ProvenDevice, party: RelyingParty, wanted: _Wanted, *, now: datetime) -> Granted:
    target = audience("", wanted.resources, wanted.scope)

    def login(account: Account) -> AuthenticationEvent:
        if not wanted.passphrase and not device.verifies_user(proven.credential):
            return device.repeat_login(proven, account, now=now)
        event = record_login(
            account,
            proven.credential,
            device.factors_of(proven.credential, passphrase=wanted.passphrase),
            now=now,
            claim=lambda locked: device.claim_login(proven, locked, now=now),
        )
        throttle.clear_guesses(account, proven.credential, now=now)
        return event

    def work(account: Account) -> Granted:
        event = login(account)
        evidence = login_of(event)
        value = acr.first_satisfied(wanted.acr_values, evidence)
        if value is None or not party.admits(evidence):
            raise Refused(Reason.LEVEL_NOT_REACHED)
        if party.policy.most_session is not None and now - evidence.at > party.policy.most_session:
            raise Refused(Reason.LOGIN_ENDED)
        new = NewFamily(
            party=party,
            event=event,
            scope=wanted.scope,
            acr=value,
            bound=wanted.bound,
            resources=wanted.resources,
            refreshes="offline_access" in wanted.scope.split(),
        )
        grant, refresh_token = open_family(account, new, now=now)
        return Granted(
            grant=grant,
            account=account,
            party=party,
            scope=wanted.scope,
            audience=target,
            bound=wanted.bound,
            refresh_token=refresh_token,
        )

    return under_lock(proven.credential.account_id, work)
