"""Ask for a token that is strong and fresh enough; say exactly what is missing (RFC 6750 §3, RFC 9449 §7.1, RFC 9470; TK-4).

A token says how somebody signed in, once. It never says that they are present now (SS-5): `max_age` is how an API asks.
"""  # noqa: E501

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

from resource_server.proofs import ALGS, BadProof, Call, Seen, key_of
from resource_server.tokens import BadToken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_P = ParamSpec("_P")
_R = TypeVar("_R")
_LEVELS = "http://idmanagement.gov/ns/assurance/aal/"
_STALE = 5  # seconds that two clocks may differ


class _Worth(Protocol):
    def claims(self, token: str, *, now: int) -> dict[str, Any]:
        """The claims of a good token."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a token must be: of one of these classes, from a login of at most so many seconds ago, with these scopes."""

    acr_values: tuple[str, ...] = ()
    max_age: int | None = None
    scope: str = ""


class Challenge(Exception):
    """The answer to a call that may not go on. headers: `WWW-Authenticate`. body: for people who read logs."""

    def __init__(self, status: int, scheme: str, **said: str | None) -> None:
        super().__init__(said.get("error") or "a token is needed")
        self.status = status
        kept = {name: one for name, one in said.items() if one is not None}
        self.body: dict[str, str] = kept
        self.headers = {"WWW-Authenticate": f"{scheme} " + ", ".join(f'{name}="{one}"' for name, one in kept.items())}


@dataclass
class Api:
    """One API. worth: `Verified` or `Introspected`. bound: whether unbound (bearer) tokens are refused. clock: seconds, UTC."""  # noqa: E501

    worth: _Worth
    bound: bool = False
    clock: Callable[[], float] = time.time
    seen: Seen = field(default_factory=Seen, repr=False)

    def admit(self, call: Call, need: Need) -> dict[str, Any]:
        """The claims of the token of a call that may go on.

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
        except BadToken as error:
            raise self._challenge(401, "invalid_token", f"The access token is not good here: {error}.") from error
        except BadProof as error:
            why = f"The DPoP proof is {error}."
            raise Challenge(
                401, "DPoP", error="invalid_dpop_proof", error_description=why, algs=" ".join(ALGS)
            ) from error
        if not set(need.scope.split()) <= set(str(claims.get("scope", "")).split()):
            why = "The access token has not the scope."
            raise Challenge(403, scheme, error="insufficient_scope", error_description=why, scope=need.scope)
        if weakness := _weakness(claims, need, now=now):
            raise self._challenge(401, "insufficient_user_authentication", weakness, need, scheme=scheme)
        return claims

    def _require_key(self, call: Call, scheme: str, token: str, cnf: Mapping[str, str], *, now: int) -> None:
        """A bound token in its scheme and with its proof; a token that is bound in a way that is not known here is refused."""  # noqa: E501
        if set(cnf) - {"jkt"}:
            raise BadToken("it is bound to something that this API does not see")
        if bool(cnf) != (scheme == "DPoP") or (self.bound and not cnf):
            raise BadToken("it came in another scheme than it was issued for")
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
    """Why a token is not strong or fresh enough, or "" (RFC 9470 §3)."""
    if need.acr_values and not any(_is(one, claims) for one in need.acr_values):
        return "A stronger sign-in is needed."
    at = claims.get("auth_time")
    if need.max_age is not None and not (isinstance(at, int) and now - at <= need.max_age + _STALE):
        return "A more recent sign-in is needed."
    return ""


def _is(wanted: str, claims: Mapping[str, Any]) -> bool:
    """Whether a token is of a class: it says so, or the class is a plain level and its `aal` is no less."""
    level, aal = wanted.removeprefix(_LEVELS), claims.get("aal")
    return claims.get("acr") == wanted or (level.isdigit() and isinstance(aal, int) and aal >= int(level))


def protect(
    api: Api, *, acr_values: tuple[str, ...] = (), max_age: int | None = None, scope: str = ""
) -> Callable[[Callable[Concatenate[Call, dict[str, Any], _P], _R]], Callable[Concatenate[Call, _P], _R]]:
    """Let a view be called with `(call, claims)` when the token is good enough; `Challenge` says what to answer otherwise."""  # noqa: E501
    need = Need(acr_values=acr_values, max_age=max_age, scope=scope)

    def around(view: Callable[Concatenate[Call, dict[str, Any], _P], _R]) -> Callable[Concatenate[Call, _P], _R]:
        @wraps(view)
        def admitted(call: Call, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
            return view(call, api.admit(call, need), *args, **kwargs)

        return admitted

    return around
