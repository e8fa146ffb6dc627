"""The address of the caller: the socket's, or as stated by a listed proxy (P52)."""

from __future__ import annotations

import ipaddress
import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from idp.config import config
from idp.login import hop

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)
NOWHERE = str(ipaddress.IPv4Address(0))  # an unknown place, as a label
_PREFIXES = {4: 24, 6: 48}  # a network, by the version of IP
_MOST_ADDRESS = 64
_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_FORWARDED")


def address(meta: Mapping[str, Any]) -> str:
    """The caller's address; a listed proxy's X-Forwarded-For is read from its end, which that proxy wrote.

    `Forwarded` (RFC 7239) is never read: two fields that say the same thing would let a client choose.
    """
    peer = meta["REMOTE_ADDR"]
    if not is_from_listed_proxy(meta):
        return canonical(peer)
    forwarded = meta.get("HTTP_X_FORWARDED_FOR", "")
    for place in reversed(forwarded.split(",") if forwarded else ()):
        found = canonical(_without_port(place.strip()))
        if found == NOWHERE:
            _tell_unreadable(peer)
        if found not in _listed():
            return found
    return canonical(peer)


@lru_cache(maxsize=64)  # once for each proxy
def _tell_unreadable(peer: str) -> None:
    logger.error(
        "the listed proxy %s sends an X-Forwarded-For that does not end with an address: all its callers are counted "
        "as one, and brake each other. Let it write the caller's address there",
        peer or "on the UNIX socket",
    )


def _without_port(text: str) -> str:
    """The address in an entry of a proxy that also writes the caller's port: `192.0.2.1:4711`, `[2001:db8::1]:4711`."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    before, colon, _ = text.partition(":")
    return before if colon and text.count(":") == 1 else text


def is_from_listed_proxy(meta: Mapping[str, Any]) -> bool:
    """True if the request's forwarding headers count: its peer is listed, or is the certificate host's proxy."""
    peer = meta["REMOTE_ADDR"]
    return peer in _listed() or canonical(peer) in _listed() or hop.has_proxy_fields(meta)


def without_forwarding(meta: dict[str, Any]) -> dict[str, Any]:
    """The request without the headers of a listed proxy, for a request from any other peer."""
    for name in _FORWARDED:
        meta.pop(name, None)
    return meta


def canonical(text: str) -> str:
    """The canonical spelling of an address: no zone, and IPv4 as such if a dual-stack socket gave it as IPv6."""
    return _canonical(text) if len(text) <= _MOST_ADDRESS else NOWHERE


@lru_cache(maxsize=4096)
def _canonical(text: str) -> str:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return NOWHERE
    return str(getattr(found, "ipv4_mapped", None) or found)


@lru_cache(maxsize=4096)
def network(found: str) -> str:
    """The /24 or /48 of an address: within it, callers take turns."""
    place = ipaddress.ip_address(found)
    return str(ipaddress.ip_network(f"{place}/{_PREFIXES[place.version]}", strict=False))


def _listed() -> frozenset[str]:
    return _both_spellings(config().trusted_proxies)


@lru_cache(maxsize=8)
def _both_spellings(listed: tuple[str, ...]) -> frozenset[str]:
    return frozenset(listed) | {canonical(one) for one in listed if canonical(one) != NOWHERE}
