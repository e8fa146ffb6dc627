"""The authentication context class that answers a request (ruling 16, TK-2, TK-3; C2, C42).

Pure: computed from an `Authentication`, never from the requested value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.login.need import PHR, PHRH, SUPPORTED, Reached, is_true, of_level

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from derived.rules.assurance import Authentication
    from idp.oidc.requests.ask import Ask

__all__ = ["PHR", "PHRH", "SUPPORTED", "Reached", "answered", "first_true", "is_true", "known", "needed", "of_level"]


def known(values: Iterable[str]) -> list[str]:
    """The known classes among the requested ones, in order; others are ignored."""
    return [value for value in dict.fromkeys(values) if value in SUPPORTED]


def first_true(asked: Sequence[str], login: Authentication) -> str | None:
    """The first requested class that is true of this login; its plain level without known classes; else None."""
    wanted = known(asked)
    if not wanted:
        return of_level(login.aal)
    return next((value for value in wanted if is_true(value, Reached.of(login))), None)


def needed(ask: Ask) -> tuple[str, ...] | None:
    """The classes of which a login must satisfy one: an essential `claims.acr`, or else `acr_values`.

    Empty for any login.
    None if an essential class is requested and none is known: no login satisfies that (§5.5.1.1).
    """
    if ask.claims.acr_is_essential and ask.claims.acr:
        return tuple(known(ask.claims.acr)) or None
    return tuple(known(ask.acr_values))


def answered(ask: Ask, login: Authentication) -> str | None:
    """The class that answers a request, or None if the login does not satisfy it.

    A voluntary `claims.acr` only selects among true classes; without it the answer is the plain level.
    """
    must = needed(ask)
    if must is None:
        return None
    if must:
        return first_true(must, login)
    return first_true(ask.claims.acr, login) or of_level(login.aal)
