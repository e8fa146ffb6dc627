"""Guards of the console's pages: an appointment in the present epoch, AAL2, and a fresh login for each change."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from derived import clock
from derived.errors import Reason, Refused
from derived.rules.assurance import AAL
from derived.rules.kinds import MINT_FRESHNESS
from idp import pages
from idp.errors import error_response
from idp.login.session import login_of, signed_in
from idp.login.views import fresh_login_needed
from scim.access import roles, same_human
from scim.models import RoleName

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

    from scim.models import Person

P = ParamSpec("P")
View = "Callable[Concatenate[HttpRequest, Person, P], HttpResponse]"
_TWO_FACTORS = "Deciding for other people needs a sign-in with two factors."
_STRONGEST = "A check in person needs a sign-in at the highest level (AAL3): with your card or security key."
_FRESH = "Deciding for other people needs a sign-in in the last 20 minutes."


def managers_only(view: Callable[Concatenate[HttpRequest, Person, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorate a page for managers; other visitors get an answer that names what is missing."""
    return _guarded(view, _manages, "/console")


def officers_only(view: Callable[Concatenate[HttpRequest, Person, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorate what gives AAL3 to others: a manager who is signed in at AAL3 (X-9)."""
    return _guarded(view, _manages, "/console", least=AAL.AAL3)


def deciders_only(view: Callable[Concatenate[HttpRequest, Person, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorate a page for those who decide on requests for access: managers, and owners of a client."""
    return _guarded(
        view,
        lambda person: roles.has(person, RoleName.MANAGER, RoleName.OWNER, now=clock.now()),
        "/access/review",
    )


def _manages(person: Person) -> bool:
    return roles.has(person, RoleName.MANAGER, now=clock.now())


def _guarded(
    view: Callable[Concatenate[HttpRequest, Person, P], HttpResponse],
    may_enter: Callable[[Person], bool],
    home: str,
    *,
    least: AAL = AAL.AAL2,
) -> Callable[..., HttpResponse]:
    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        session = signed_in(request)
        back = request.path if request.method == "GET" else home
        if session is None:
            return fresh_login_needed("", next_path=back)
        person: Person = session.account.person
        if not may_enter(person):
            return pages.problem(request, "There is no page at this address.", status=404)
        login = login_of(session.event)
        if login.aal < least:
            needed = _TWO_FACTORS if least == AAL.AAL2 else _STRONGEST
            return fresh_login_needed(needed, next_path=back)
        if request.method == "POST" and clock.now() - login.at > MINT_FRESHNESS:
            return fresh_login_needed(_FRESH, next_path=back)
        try:
            return view(request, person, *args, **kwargs)
        except Refused as refused:
            words: Any = error_response(refused.reason)
            return pages.problem(
                request,
                words.words,
                status=words.status,
                next_step="Go back to what waits: somebody may have decided this already.",
            )

    return wrapped


def require_another(manager: Person, found: Person) -> None:
    """Require that a manager does not decide for themselves, under whatever record (RQ-3, `scim.access.same_human`).

    Raises: Refused(ILLEGAL_MOVE).
    """
    if same_human.may_be_one(manager, found):
        raise Refused(Reason.ILLEGAL_MOVE)


def name_of(manager: Person) -> str:
    """The actor in events for a manager or owner."""
    return f"manager:{manager.id}"
