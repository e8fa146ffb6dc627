"""Find the module of each kind by its name in this package (docs/adding-a-kind.md); a package has a module `pages`."""

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
    """The entry of a kind in My devices. url: a page of Ramet."""

    label: str
    url: str


class DerivedKindModule(Protocol):
    """The interface of a kind's module.

    urlpatterns: its pages. OFFER: None if it is added by *Add a device* only. CODE_PAGE: the path where a new device
    brings its code, "" for a kind without codes. Optional: `is_offered`, evaluated each time.
    """

    urlpatterns: Sequence[URLPattern]
    OFFER: Offer | None
    CODE_PAGE: str

    def proven(self, row: Binding) -> VerifiedProof:
        """What a device answered over a binding code, for kinds that come that way."""


def module(kind: Kind) -> DerivedKindModule | None:
    """The module of a kind, or None."""
    name = f"{__package__}.{kind.value}"
    found = find_spec(name) if policy_of(kind).is_derived else None
    if found is None:
        return None
    return cast("DerivedKindModule", import_module(f"{name}.pages" if found.submodule_search_locations else name))


def code_page(kind: str) -> str:
    """The path where a new device brings its code for a kind, or ""; kind: an unverified form value."""
    found = module(Kind(kind)) if kind in POLICIES else None
    return found.CODE_PAGE if found is not None else ""


def modules() -> list[DerivedKindModule]:
    """The modules of all kinds."""
    return [found for kind in POLICIES if (found := module(kind)) is not None]


def urlpatterns() -> list[URLPattern]:
    """The pages of all kinds."""
    return [pattern for one in modules() for pattern in one.urlpatterns]


def offers() -> list[Offer]:
    """The offers in My devices, besides a device."""
    return [one.OFFER for one in modules() if one.OFFER is not None and getattr(one, "is_offered", _always)()]


def _always() -> bool:
    """The default of `is_offered`."""
    return True
