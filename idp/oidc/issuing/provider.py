"""The process's one server of the token endpoint, with its grants."""

from __future__ import annotations

from functools import lru_cache

from idp.oidc.issuing.grants import authorization_code, client_credentials, device_code, device_key, refresh_token
from idp.oidc.issuing.server import Server


@lru_cache(maxsize=1)
def server() -> Server:
    """Return the server, built on first use, when the apps are ready.

    A grant type is offered if it is registered here; discovery reads the same list.
    """
    built = Server()
    for module in (authorization_code, refresh_token, device_key, device_code, client_credentials):
        built.register_grant(module.Grant)
    return built
