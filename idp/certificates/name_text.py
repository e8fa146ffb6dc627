"""Distinguished names as issuers write them: compared by RFC 5280 §7.1, and as text (RFC 4514).

asn1crypto prepares names by stringprep of Unicode 3.2 (RFC 4518), and raises for newer letters and for right-to-left
letters beside others; cryptography reads no TeletexString of Latin-1 and no PrintableString with `@`, `_` or `&`. Real
cards have all of these in a subject that binds nothing. `prepared` replaces asn1crypto's preparation: the same steps
without the prohibitions, so that equal names stay equal and no name is refused.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from asn1crypto import core
from asn1crypto import x509 as asn1

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography import x509

_SPACES = re.compile(r"[\s\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_UNSEEN = frozenset({"Cc", "Cf"})  # controls and formats are mapped to nothing (RFC 4518 §2.2)
_TO_NOTHING = re.compile(r"[\u034f\u180b-\u180d\ufe00-\ufe0f\ufffc]")
_SPECIAL = re.compile(r'[",+;<>\\]')
_PRINTABLE = b"\x13"
_PRINTABLE_ONLY = re.compile(rb"[A-Za-z0-9 '()+,\-./:=?]*")  # X.680
_SHORT = {
    "2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "STREET", "2.5.4.10": "O",
    "2.5.4.11": "OU", "0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
}  # fmt: skip


def prepared(text: str) -> str:
    """A value of a name in the form for comparison: without case, and with single spaces."""
    text = _TO_NOTHING.sub("", _SPACES.sub(" ", text))
    text = "".join(one for one in text if unicodedata.category(one) not in _UNSEEN)
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return f" {_SPACES.sub(' ', text).strip()} "


def install() -> None:
    """Let asn1crypto compare names by `prepared`, and read a TeletexString as Latin-1, as their issuers write it."""
    asn1.NameTypeAndValue._ldap_string_prep = lambda _self, string: prepared(string)  # noqa: SLF001 - its only place
    core.TeletexString._encoding = "latin-1"  # noqa: SLF001 - likewise


def readable(der: bytes, unverified: asn1.Certificate) -> bytes:
    """A certificate with each PrintableString of its names that has other characters marked as UTF8String.

    For `cryptography`, which otherwise reads nothing of it; the length stays. Its signature is checked over the
    original octets.
    unverified: the same certificate, as asn1crypto reads it.
    """
    changed = bytearray(der)
    for name in (unverified.subject, unverified.issuer):
        for rdn in name.chosen:
            for pair in rdn:
                value = pair["value"].dump()
                if value[:1] == _PRINTABLE and not _PRINTABLE_ONLY.fullmatch(value[2:]):
                    whole, start = pair.dump(), 0
                    while (start := der.find(whole, start)) >= 0:
                        changed[start + len(whole) - len(value)] = core.UTF8String.tag
                        start += len(whole)
    return bytes(changed)


def values_of(name: asn1.Name) -> list[str]:
    """The values of a name, decoded.

    Raises: ValueError for octets that are no text of their type.
    """
    return [str(pair["value"].native) for rdn in name.chosen for pair in rdn]


def text_of(name: Callable[[], x509.Name], unverified: asn1.Name) -> str:
    """A name as RFC 4514 text; name: as `cryptography` reads it, where it can.

    unverified: the same name, as asn1crypto reads it.
    """
    try:
        return name().rfc4514_string()
    except ValueError:
        rdns = ["+".join(_pair(pair) for pair in rdn) for rdn in unverified.chosen]
        return ",".join(reversed(rdns))


def _pair(pair: asn1.NameTypeAndValue) -> str:
    value = _SPECIAL.sub(lambda found: f"\\{found[0]}", str(pair["value"].native)).replace("\x00", "\\00")
    value = f"\\{value}" if value.startswith(("#", " ")) else value
    return f"{_SHORT.get(pair['type'].dotted, pair['type'].dotted)}={value}"
