"""Which authentication context class answers a request (ruling 16, TK-2, TK-3; C2, C42).

Pure: everything is computed from an `Authentication`, nothing from what was asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.login.need import PHR, PHRH, SUPPORTED, Reached, is_true, of_level

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from derived.assurance import Authentication

__all__ = ["PHR", "PHRH", "SUPPORTED", "Reached", "first_true", "is_true", "known", "of_level"]


def known(values: Iterable[str]) -> list[str]:
    """The requested classes that we know, in the order asked; others are ignored."""
    return [value for value in dict.fromkeys(values) if value in SUPPORTED]


def first_true(asked: Sequence[str], login: Authentication) -> str | None:
    """The first requested class that is true of this login; its plain level if nothing known was asked; None if none is true."""
    wanted = known(asked)
    if not wanted:
        return of_level(login.aal)
    return next((value for value in wanted if is_true(value, Reached.of(login))), None)
