"""The purpose of a login: the request or page that it is for, sealed, and carried by every page and form of it.

Each tab has its own: a login in one leads to the end of that one, whatever other tabs of the browser began since. The
seal keeps a link from showing a reason, or leading to a place, that Ramet did not write.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.core import signing
from django.core.exceptions import SuspiciousOperation
from django.http.request import UnreadablePostError
from django.urls import reverse

from derived import clock
from idp.login.need import Need
from idp.login.session import signed_in

if TYPE_CHECKING:
    from django.http import HttpRequest

FIELD = "for"
_SALT, _TRIPS, _MOST_TRIPS = "ramet.login-purpose", "trips", 10
_LONGEST, _LONGEST_FLOW, _LONGEST_PATH = 4096, 43, 500


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """The purpose of a login.

    flow: the id of the waiting authorization request; next_path: else a page of this site. why: the reason for the
    person. need: the requirements of the login. asked_at: when the person was sent to sign in, or None.
    """

    flow: str = ""
    next_path: str = ""
    why: str = ""
    need: Need | None = None
    asked_at: datetime | None = None

    def __bool__(self) -> bool:
        return bool(self.flow or self.next_path or self.why)

    def sealed(self) -> str:
        """The form in a URL, signed."""
        kept = {
            "flow": self.flow,
            "next": self.next_path,
            "why": self.why,
            "need": self.need.stored() if self.need else None,
            "at": self.asked_at.timestamp() if self.asked_at else None,
        }
        return signing.dumps({name: value for name, value in kept.items() if value}, salt=_SALT, compress=True)

    def query(self) -> str:
        """The query of every address of this login, with its question mark; "" without a purpose."""
        return f"?{urlencode({FIELD: self.sealed()})}" if self else ""

    def url(self, route: str = "login") -> str:
        """The address of a step of this login."""
        return reverse(route) + self.query()

    def destination(self) -> str:
        """The end of this login: the waiting authorization request, a page of this site, or My devices."""
        if self.flow:
            return reverse("authorize-go-on", args=[self.flow])
        return self.next_path or reverse("devices")

    @classmethod
    def opened(cls, sealed: str) -> Purpose:
        """The purpose of a sealed form; none for a text that Ramet did not seal."""
        try:
            kept: dict[str, Any] = signing.loads(sealed, salt=_SALT) if len(sealed) <= _LONGEST else {}
        except signing.BadSignature:
            return cls()
        return cls(
            flow=kept.get("flow", ""),
            next_path=kept.get("next", ""),
            why=kept.get("why", ""),
            need=Need.restored(kept["need"]) if kept.get("need") else None,
            asked_at=datetime.fromtimestamp(kept["at"], tz=UTC) if kept.get("at") else None,
        )


def asked(*, flow: str = "", next_path: str = "", why: str = "", need: Need | None = None) -> Purpose:
    """The purpose of a login that is asked for now."""
    return Purpose(flow=flow, next_path=safe_path(next_path), why=why, need=need, asked_at=clock.now())


def of_request(request: HttpRequest) -> Purpose:
    """The purpose of the login that a request is a step of."""
    if not hasattr(request, "ramet_purpose"):
        request.ramet_purpose = _stated(request)  # type: ignore[attr-defined]
    found: Purpose = request.ramet_purpose  # type: ignore[attr-defined]
    return found


def _stated(request: HttpRequest) -> Purpose:
    """The purpose in the fields of a request; none if they cannot be read, as on the page that says so."""
    try:
        sealed = request.POST.get(FIELD) or request.GET.get(FIELD, "")
        return Purpose.opened(sealed) if sealed else _plain(request)
    except (SuspiciousOperation, UnreadablePostError):
        return Purpose()


def _plain(request: HttpRequest) -> Purpose:
    """The purpose that a link names: a waiting request, or a page of this site."""
    flow = request.GET.get("flow", "")[:_LONGEST_FLOW]
    if flow and flow.isprintable() and "/" not in flow:
        return Purpose(flow=flow)
    return Purpose(next_path=safe_path(request.GET.get("next", "")))


def is_fulfilled(request: HttpRequest) -> bool:
    """True if this browser has signed in since it was asked to: by a form that was sent twice, or in another tab."""
    asked_at, session = of_request(request).asked_at, signed_in(request)
    return asked_at is not None and session is not None and session.event.at > asked_at


def keep(request: HttpRequest, trip: str) -> None:
    """Keep the purpose of this login while the browser is elsewhere; trip: the stored name of the way back."""
    kept = dict(list(request.session.get(_TRIPS, {}).items())[-_MOST_TRIPS + 1 :])
    request.session[_TRIPS] = {**kept, trip: of_request(request).sealed()}


def recall(request: HttpRequest, trip: str) -> None:
    """Take up the purpose that was kept for a way back."""
    request.ramet_purpose = Purpose.opened(request.session.get(_TRIPS, {}).get(trip, ""))  # type: ignore[attr-defined]


def safe_path(wanted: str) -> str:
    """A path of this site, or nothing."""
    clean = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if clean and len(wanted) <= _LONGEST_PATH else ""
