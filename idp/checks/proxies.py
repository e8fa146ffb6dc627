"""System checks of the proxies in front: the listed ones, and traces of unlisted ones (P52; ramet.E048, W049)."""

from __future__ import annotations

import ipaddress

from django.core import checks
from django.core.checks import Error, register
from django.db import DatabaseError

from derived import clock
from idp.config import config
from idp.edge import unlisted
from idp.login.hop import UNIX


@register
def proxies_are_listed(**_context: object) -> list[Error | checks.Warning]:
    """The address of a caller is read from a listed proxy only; behind any other all callers are one."""
    return [*_entries(), *_seen()]


def _entries() -> list[Error]:
    hint = "List single addresses, or unix for a proxy on the UNIX socket."
    return [
        Error(f"“{one}” in RAMET_TRUSTED_PROXIES is not one address", hint=hint, id="ramet.E048")
        for one in config().trusted_proxies
        if one != UNIX and not _is_one_address(one)
    ]


def _is_one_address(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False


def _seen() -> list[checks.Warning]:
    try:
        peer = unlisted.last_reported(now=clock.now())
    except DatabaseError:  # before the first migration
        return []
    if not peer:
        return []
    hint = (
        f"If {peer} is your proxy, add it to RAMET_TRUSTED_PROXIES: until then every caller has its address, and one"
        " stranger's guesses slow everybody's sign-in. If it is not, somebody sends forged header fields from there."
    )
    return [checks.Warning(f"{peer} sends X-Forwarded-For and is not listed", hint=hint, id="ramet.W049")]
