"""The process's one server of the token endpoint, with its grants."""

from __future__ import annotations

from functools import lru_cache

from idp.oidc.issuing.grants.authorization_code import AuthorizationCodeGrant
from idp.oidc.issuing.grants.client_credentials import ClientCredentialsGrant
from idp.oidc.issuing.grants.device_code import DeviceCodeGrant
from idp.oidc.issuing.grants.device_key import DeviceKeyGrant
from idp.oidc.issuing.grants.refresh_token import RefreshTokenGrant
from idp.oidc.issuing.server import Server


@lru_cache(maxsize=1)
def server() -> Server:
    """Return the server, built on first use, when the apps are ready.

    A grant type is offered if it is registered here; discovery reads the same list.
    """
    built = Server()
    for grant in (AuthorizationCodeGrant, RefreshTokenGrant, DeviceKeyGrant, DeviceCodeGrant, ClientCredentialsGrant):
        built.register_grant(grant)
    return built
