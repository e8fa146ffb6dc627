"""The authentication context class that answers a request (ruling 16, TK-2, TK-3; C2, C42).

Pure: computed from an `Authentication`, never from the requested value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.login.need import PHR, PHRH, SUPPORTED, AchievedLevel, acr_of_level, is_satisfied

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from derived.rules.assurance import Authentication
    from idp.oidc.requests.ask import Ask

__all__ = [
    "PHR",
    "PHRH",
    "SUPPORTED",
    "AchievedLevel",
    "acr_of_level",
    "first_satisfied",
    "is_satisfied",
    "known_classes",
    "required_classes",
    "satisfied_class",
]


def known_classes(values: Iterable[str]) -> list[str]:
    """The known classes among the requested ones, in order; others are ignored."""
    return [value for value in dict.fromkeys(values) if value in SUPPORTED]


def first_satisfied(asked: Sequence[str], login: Authentication) -> str | None:
    """The first requested class that is true of this login; its plain level without known classes; else None."""
    wanted = known_classes(asked)
    if not wanted:
        return acr_of_level(login.aal)
    return next((value for value in wanted if is_satisfied(value, AchievedLevel.of(login))), None)


def required_classes(ask: Ask) -> tuple[str, ...] | None:
    """The classes of which a login must satisfy one: an essential `claims.acr`, or else `acr_values`.

    Empty for any login.
    None if an essential class is requested and none is known: no login satisfies that (§5.5.1.1).
    """
    if ask.claims.acr_is_essential and ask.claims.acr:
        return tuple(known_classes(ask.claims.acr)) or None
    return tuple(known_classes(ask.acr_values))


def satisfied_class(ask: Ask, login: Authentication) -> str | None:
    """The class that answers a request, or None if the login does not satisfy it.

    A voluntary `claims.acr` only selects among true classes; without it the answer is the plain level.
    """
    must = required_classes(ask)
    if must is None:
        return None
    if must:
        return first_satisfied(must, login)
    return first_satisfied(ask.claims.acr, login) or acr_of_level(login.aal)
