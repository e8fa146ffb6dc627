"""Scopes in words, for the people who allow them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_noop

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORDS = {
    "openid": gettext_noop("know that it is you"),
    "profile": gettext_noop("see your name and user name"),
    "email": gettext_noop("see your e-mail address"),
    "phone": gettext_noop("see your telephone number"),
    "address": gettext_noop("see your postal address"),
    "offline_access": gettext_noop("stay signed in when you are away"),
    "assurance": gettext_noop("see how strongly you signed in and how your identity was checked"),
}


def in_words(scope: str) -> str:
    """A scope as the rest of “It may …”; a scope that is not known here as itself."""
    return _WORDS.get(scope, scope)


def in_order(scopes: Iterable[str]) -> list[str]:
    """Scopes as people read them: the known ones from the least to the most, then the others by name."""
    known = list(_WORDS)
    return sorted(scopes, key=lambda scope: (known.index(scope) if scope in _WORDS else len(known), scope))
