"""The person and the static clients of the suite's plans, two clients of each kind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from joserfc.jwk import RSAKey

from derived.changes import issue
from derived.ledger.locking import under_lock
from derived.rules.eligibility import BoundBy, BoundVia
from derived.rules.kinds import Kind
from idp import clients
from idp.clients import Registration
from idp.config import config
from idp.conformance import PASSWORD, PERSON, certificate
from idp.conformance.suite import base_of
from idp.enrol.roots.invitations import recovery_codes, recovery_hash
from idp.login import password, totp
from scim.callers import key_of_client
from scim.models import Person, Source
from scim.people import provision, sources

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from derived.models import Account, Credential

SCOPES = ("openid", "profile", "email", "phone", "address", "offline_access")
ALG = "PS256"
SOURCE = "conformance"
PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_USER = "urn:ietf:params:scim:schemas:core:2.0:User"


@dataclass(frozen=True, kw_only=True)
class Static:
    """One static client of the suite's configuration.

    secret, or jwks: its private keys, or certificate: its certificate and key as PEM.
    """

    client_id: str
    secret: str | None = None
    jwks: Mapping[str, Any] | None = None
    certificate: tuple[str, str] | None = None


def person(*, now: datetime) -> Person:
    """The test person, with a password and the fixed second factor; made if missing."""
    found = Person.objects.filter(user_name=PERSON).first()
    if found is not None:
        return found
    source, _ = sources.register_source(SOURCE, vouched_ial=2, now=now)
    found = provision.create_user(source, _everything(), now=now).person
    hashed = password.hashed(PASSWORD)

    def work(account: Account) -> Credential:
        credential_id = uuid4()
        return issue.password_totp(
            account,
            credential_id=credential_id,
            password_hash=hashed,
            totp_seed=totp.wrap(totp.new_seed(), owner=credential_id),
            totp_step=0,
            recovery_code_hashes=[recovery_hash(code) for code in recovery_codes()],
            bound_by=BoundBy(how=BoundVia.INVITATION),
            now=now,
            actor="operator",
        )

    if not found.account.credentials.filter(kind=Kind.PASSWORD_TOTP).exists():
        under_lock(found.account_id, work)
    return found


def _everything() -> dict[str, Any]:
    """A value for every claim of the scopes profile, email, phone and address."""
    return {
        "schemas": [_USER], "userName": PERSON, "active": True, "displayName": "Cleo M. Forme", "nickName": "Cleo",
        "name": {"givenName": "Cleo", "middleName": "Maria", "familyName": "Forme", "formatted": "Cleo M. Forme"},
        "profileUrl": "https://ramet.example/cleo", "locale": "en-US", "timezone": "America/New_York",
        "preferredLanguage": "en",
        "photos": [{"value": "https://ramet.example/cleo.png", "type": "photo"}],
        "emails": [{"value": PERSON, "type": "work", "primary": True}],
        "phoneNumbers": [{"value": "+1 555 0100", "type": "work", "primary": True}],
        "addresses": [{
            "type": "work", "primary": True, "formatted": "1 Mossy Lane\nRockville, MD 20850\nUSA",
            "streetAddress": "1 Mossy Lane",
            "locality": "Rockville", "region": "MD", "postalCode": "20850", "country": "US",
        }],
    }  # fmt: skip


def load(suite: str, alias: str, *, keys: Mapping[str, Any], now: datetime) -> dict[str, Static]:
    """Register every client, or set the suite's address; secrets are new each time.

    keys: private JWK Sets by the client's name, where given.

    Raises: BadRegistration.
    """
    base = base_of(suite, alias)
    callbacks = (
        f"{base}/callback",
        f"{base}/callback?dummy1=lorem&dummy2=ipsum",
    )  # the second client's of the FAPI plans
    common = Registration(
        name="Conformance suite",
        redirect_uris=callbacks,
        scopes=SCOPES,
        post_logout_uris=(f"{base}/post_logout_redirect",),
    )
    plain = replace(common, pkce_optional=True, nonce_optional=True, id_token_alg="RS256")  # noqa: S106 - an algorithm
    signing = replace(
        common,
        auth_method="private_key_jwt",
        auth_alg=ALG,
        id_token_alg=ALG,
        par_required=True,
        dpop_required=True,
        nonce_optional=True,
    )
    machine = replace(
        signing, redirect_uris=(), post_logout_uris=(), scopes=("scim",), grants=(clients.CLIENT_CREDENTIALS,)
    )
    wanted = {
        "basic": plain,
        "basic2": plain,
        "post": replace(plain, auth_method="client_secret_post"),
        "backchannel": replace(plain, backchannel_logout_uri=f"{base}/backchannel_logout"),
        "fapi": signing,
        "fapi2": signing,
        "signing": replace(signing, request_alg=ALG, request_required=True),
        "signing2": replace(signing, request_alg=ALG, request_required=True),
        "machine": machine,
        "machine2": machine,
    }
    if config().certificate_url:
        mtls = replace(
            signing,
            auth_method="self_signed_tls_client_auth",
            auth_alg="",
            dpop_required=False,
            certificate_bound=True,
        )
        wanted |= {"mtls": mtls, "mtls2": mtls}
    made = {name: _registered(f"{alias}-{name}", one, keys.get(name), now=now) for name, one in wanted.items()}
    source = Source.objects.get(name=SOURCE)
    for name in ("machine", "machine2"):  # the resource of client credentials is SCIM
        key = key_of_client(made[name].client_id)
        if not source.credentials.filter(key=key).exists():
            sources.admit_client(source, made[name].client_id, expires_at=None, now=now)
    return made


def _registered(client_id: str, wanted: Registration, given: Mapping[str, Any] | None, *, now: datetime) -> Static:
    private: dict[str, Any] | None = None
    shown: tuple[str, str] | None = None
    if wanted.auth_method == "self_signed_tls_client_auth":
        jwks, shown = certificate.of_client(client_id, now=now)
        wanted = replace(wanted, jwks=jwks)
    if wanted.auth_method == "private_key_jwt":
        private = dict(
            given
            or {"keys": [RSAKey.generate_key(2048, {"alg": ALG, "use": "sig", "kid": client_id}).as_dict(private=True)]}
        )
        public = [{name: value for name, value in one.items() if name not in PRIVATE} for one in private["keys"]]
        wanted = replace(wanted, jwks={"keys": public})
    wanted = replace(wanted, client_id=client_id, name=f"Conformance suite {client_id}")
    party = clients.find(client_id)
    if party is None:
        _, secret = clients.register(wanted, now=now)
    else:
        changes = {
            name: getattr(wanted, name)
            for name in ("redirect_uris", "post_logout_uris", "backchannel_logout_uri", "jwks")
        }
        party, secret = clients.change(party, now=now, **changes)
        secret = secret or (None if private or shown else clients.rotate_secret(party))
    return Static(client_id=client_id, secret=secret, jwks=private, certificate=shown)
