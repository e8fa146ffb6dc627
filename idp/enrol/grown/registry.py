"""The pages and protocols of what is grown here: one module of this package per kind, found by the kind's name (a package has a module `pages`).

So a new kind of credential is a file here, and nothing that is listed elsewhere (docs/adding-a-kind.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, cast

from derived.rules.kinds import POLICIES, Kind, policy_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.urls import URLPattern

    from derived.minting.proven import VerifiedProof
    from idp.models import Binding


@dataclass(frozen=True, kw_only=True)
class Offer:
    """How My devices offers to add one. url: a page of ours."""

    label: str
    url: str


class Grows(Protocol):
    """What such a module has.

    urlpatterns: its pages. OFFER: None where it is added by *Add a device* only. CODE_PAGE: where a new device brings its code
    (a path of ours), "" for a kind that does not come that way. It may have `is_offered`, asked each time.
    """

    urlpatterns: Sequence[URLPattern]
    OFFER: Offer | None
    CODE_PAGE: str

    def proven(self, row: Binding) -> VerifiedProof:
        """What a device answered over a binding code, for kinds that come that way."""


def module(kind: Kind) -> Grows | None:
    """The module of a kind, or None where there is none."""
    name = f"{__package__}.{kind.value}"
    found = find_spec(name) if policy_of(kind).is_derived else None
    if found is None:
        return None
    return cast("Grows", import_module(f"{name}.pages" if found.submodule_search_locations else name))


def code_page(kind: str) -> str:
    """Where a new device brings its code for a kind, or "" where none comes that way; kind: as a form named it."""
    found = module(Kind(kind)) if kind in POLICIES else None
    return found.CODE_PAGE if found is not None else ""


def modules() -> list[Grows]:
    """All of them."""
    return [found for kind in POLICIES if (found := module(kind)) is not None]


def urlpatterns() -> list[URLPattern]:
    """Their pages."""
    return [pattern for one in modules() for pattern in one.urlpatterns]


def offers() -> list[Offer]:
    """What My devices offers besides a device."""
    return [one.OFFER for one in modules() if one.OFFER is not None and getattr(one, "is_offered", _always)()]


def _always() -> bool:
    """For a kind that says nothing of when it is offered."""
    return True
