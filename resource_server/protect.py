"""Require a token of a class and age, and name what is missing (RFC 6750 §3, RFC 9449 §7.1, RFC 9470; TK-4).

A token states how its person signed in once, and never that they are present now (SS-5): `max_age` asks for that.
"""

from __future__ import annotations

import hmac
import logging
import time
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

from resource_server.metadata import Unavailable
from resource_server.proofs import ALGS, BadProof, Call, Seen, key_of
from resource_server.tokens import BadToken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_P = ParamSpec("_P")
_R = TypeVar("_R")
_LEVELS = "http://idmanagement.gov/ns/assurance/aal/"
_UNAVAILABLE = 503
logger = logging.getLogger(__name__)
_STALE = 5  # seconds that two clocks may differ


class _Worth(Protocol):
    def claims(self, token: str, *, now: int) -> dict[str, Any]:
        """Verify a token; return its claims."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """A requirement on tokens: one of these classes, a login at most `max_age` seconds old, and these scopes."""

    acr_values: tuple[str, ...] = ()
    max_age: int | None = None
    scope: str = ""


class Challenge(Exception):
    """The refusal of a call. headers: `WWW-Authenticate`, or `Retry-After` for a 503. body: the reason as JSON."""

    def __init__(self, status: int, scheme: str, **said: str | None) -> None:
        super().__init__(said.get("error") or "a token is needed")
        self.status = status
        kept = {name: one for name, one in said.items() if one is not None}
        self.body: dict[str, str] = kept
        said_so = f"{scheme} " + ", ".join(f'{name}="{one}"' for name, one in kept.items())
        self.headers = {"Retry-After": "5"} if status == _UNAVAILABLE else {"WWW-Authenticate": said_so}


@dataclass
class Api:
    """One API.

    worth: `Verified` or `Introspected`. bound: whether bearer tokens are refused. clock: seconds since epoch.
    """

    worth: _Worth
    bound: bool = False
    clock: Callable[[], float] = time.time
    seen: Seen = field(default_factory=Seen, repr=False)

    def admit(self, call: Call, need: Need) -> dict[str, Any]:
        """Admit a call; return the claims of its token.

        Raises: Challenge.
        """
        now = int(self.clock())
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        scheme = {"bearer": "Bearer", "dpop": "DPoP"}.get(scheme.lower(), "")
        if not scheme or not token:
            raise self._challenge(401, None, "", need)
        try:
            claims = self.worth.claims(token, now=now)
            self._require_key(call, scheme, token, claims.get("cnf") or {}, now=now)
        except Unavailable as error:
            logger.warning("a call could not be decided: %s", error)
            raise Challenge(
                503, scheme, error="temporarily_unavailable", error_description="Try again in a moment."
            ) from error
        except BadToken as error:
            raise self._challenge(401, "invalid_token", f"The access token was refused: {error}.") from error
        except BadProof as error:
            why = f"The DPoP proof is {error}."
            raise Challenge(
                401, "DPoP", error="invalid_dpop_proof", error_description=why, algs=" ".join(ALGS)
            ) from error
        if not set(need.scope.split()) <= set(str(claims.get("scope", "")).split()):
            why = "The access token does not have the scope."
            raise Challenge(403, scheme, error="insufficient_scope", error_description=why, scope=need.scope)
        if weakness := _weakness(claims, need, now=now):
            raise self._challenge(401, "insufficient_user_authentication", weakness, need, scheme=scheme)
        return claims

    def _require_key(self, call: Call, scheme: str, token: str, cnf: Mapping[str, str], *, now: int) -> None:
        """Require the scheme and the proof of a bound token; another kind of binding is refused."""
        if set(cnf) - {"jkt"}:
            raise BadToken("it is bound by a method that this API does not support")
        if bool(cnf) != (scheme == "DPoP") or (self.bound and not cnf):
            raise BadToken("it was sent with another authentication scheme than it was issued for")
        if cnf and not hmac.compare_digest(key_of(call, token, seen=self.seen, now=now), cnf["jkt"]):
            raise BadToken("it is bound to another key")

    def _challenge(
        self, status: int, error: str | None, why: str, need: Need | None = None, *, scheme: str = ""
    ) -> Challenge:
        asked = need or Need()
        return Challenge(
            status,
            scheme or ("DPoP" if self.bound else "Bearer"),
            error=error,
            error_description=why or None,
            acr_values=" ".join(asked.acr_values) or None,
            max_age=None if asked.max_age is None else str(asked.max_age),
        )


def _weakness(claims: Mapping[str, Any], need: Need, *, now: int) -> str:
    """The reason why a token does not meet a requirement, or "" (RFC 9470 §3)."""
    if need.acr_values and not any(_is(one, claims) for one in need.acr_values):
        return "A stronger sign-in is needed."
    at = claims.get("auth_time")
    if need.max_age is not None and not (isinstance(at, int) and now - at <= need.max_age + _STALE):
        return "A more recent sign-in is needed."
    return ""


def _is(wanted: str, claims: Mapping[str, Any]) -> bool:
    """True if a token is of a class: by its `acr`, or by its `aal` where the class is a plain level."""
    level, aal = wanted.removeprefix(_LEVELS), claims.get("aal")
    return claims.get("acr") == wanted or (level.isdigit() and isinstance(aal, int) and aal >= int(level))


def protect(
    api: Api, *, acr_values: tuple[str, ...] = (), max_age: int | None = None, scope: str = ""
) -> Callable[[Callable[Concatenate[Call, dict[str, Any], _P], _R]], Callable[Concatenate[Call, _P], _R]]:
    """Decorate a view: call it with `(call, claims)` if the token meets the requirement, else raise `Challenge`."""
    need = Need(acr_values=acr_values, max_age=max_age, scope=scope)

    def around(view: Callable[Concatenate[Call, dict[str, Any], _P], _R]) -> Callable[Concatenate[Call, _P], _R]:
        @wraps(view)
        def admitted(call: Call, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
            return view(call, api.admit(call, need), *args, **kwargs)

        return admitted

    return around
