"""The `claims` parameter (OpenID Connect Core §5.5): single claims, and a required `acr` (C42, FA-5)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_SUB = 255
_MOST_NESTING = (
    120  # braces and brackets together: far more than a request that names every claim, far less than a stack
)
_MOST_NAMES = 50
_LONGEST_NAME = 100
_MALFORMED = "claims is a JSON object with the members userinfo and id_token, as OpenID Connect Core 5.5 says."
_TWICE = "claims is encoded twice: give your library the JSON object itself, not a text that holds it."


@dataclass(frozen=True, kw_only=True)
class AskedClaims:
    """The supported content of the parameter.

    userinfo, id_token: names of claims. acr: classes, in order of preference; acr_is_essential: one of them must be
    true. sub: the only person who may answer, or "" for any.
    """

    userinfo: tuple[str, ...] = ()
    id_token: tuple[str, ...] = ()
    acr: tuple[str, ...] = ()
    acr_is_essential: bool = False
    sub: str = ""

    @property
    def names(self) -> frozenset[str]:
        """Every requested claim, of either member."""
        return frozenset(self.userinfo) | frozenset(self.id_token)

    @classmethod
    def restored(cls, value: Mapping[str, Any]) -> AskedClaims:
        """From JSON."""
        kept = {name: tuple(value.get(name, ())) for name in ("userinfo", "id_token", "acr")}
        return cls(**kept, acr_is_essential=bool(value.get("acr_is_essential")), sub=str(value.get("sub", "")))


def parse(text: str) -> AskedClaims:
    """Read the parameter; "" for none.

    Raises: InvalidRequestError.
    """
    if not text:
        return AskedClaims()
    if text.count("{") + text.count("[") > _MOST_NESTING:
        raise InvalidRequestError(_MALFORMED)
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequestError(_MALFORMED) from None
    if not isinstance(asked, dict):
        raise InvalidRequestError(_TWICE if isinstance(asked, str) else _MALFORMED)
    userinfo, id_token = _member(asked, "userinfo"), _member(asked, "id_token")
    about_acr = id_token.get("acr") or {}
    subjects = {value for member in (userinfo, id_token) for value in _values(member.get("sub") or {})}
    if len(subjects) > 1:
        raise InvalidRequestError("claims asks for more than one sub.")
    return AskedClaims(
        userinfo=tuple(userinfo),
        id_token=tuple(id_token),
        acr=tuple(_values(about_acr)),
        acr_is_essential=about_acr.get("essential") is True,
        sub="".join(subjects),
    )


def _member(asked: dict[str, Any], name: str) -> dict[str, dict[str, Any] | None]:
    """One of the two members: every name maps to null or to an object (§5.5.1)."""
    found = asked.get(name) or {}
    if not isinstance(found, dict) or len(found) > _MOST_NAMES or any(len(one) > _LONGEST_NAME for one in found):
        raise InvalidRequestError(_MALFORMED)
    if any(one is not None and not isinstance(one, dict) for one in found.values()):
        raise InvalidRequestError(_MALFORMED)
    return found


def _values(wanted: dict[str, Any]) -> list[str]:
    """The `value` or the `values` of one claim that are texts."""
    several = wanted.get("values")
    given = [*(several if isinstance(several, list) else []), wanted.get("value")]
    return [one for one in dict.fromkeys(one for one in given if isinstance(one, str)) if len(one) <= _LONGEST_SUB][
        :_MOST_NAMES
    ]
