"""The process's one OAuth server."""

from __future__ import annotations

from functools import lru_cache

from idp.oidc.issuing.server import Server, build


@lru_cache(maxsize=1)
def server() -> Server:
    """Built on first use, when the apps are ready."""
    return build()
