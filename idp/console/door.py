"""Who may be here: an appointed manager of the present epoch, at AAL2 or more; and for every act, freshly signed in."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from derived import clock
from derived.assurance import AAL
from derived.errors import Refused
from derived.kinds import MINT_FRESHNESS
from idp import pages
from idp.errors import answer
from idp.login.session import login_of, signed_in
from idp.login.views import fresh_login_needed
from scim.models import Manager

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

    from scim.models import Person

P = ParamSpec("P")
View = "Callable[Concatenate[HttpRequest, Person, P], HttpResponse]"
_TWO_FACTORS = "The console needs a sign-in with two factors."
_FRESH = "Deciding for other people needs a sign-in in the last 20 minutes."


def is_manager(person: Person) -> bool:
    """Whether a person was appointed in the present epoch of their account (C30)."""
    return Manager.objects.filter(person=person, epoch=person.account.epoch, ended_at__isnull=True).exists()


def managers_only(view: Callable[Concatenate[HttpRequest, Person, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """A page of the console: the view is given the manager, or the visitor an answer that says what is missing."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        session = signed_in(request)
        back = request.path if request.method == "GET" else "/console"
        if session is None:
            return fresh_login_needed(request, "", next_path=back)
        person: Person = session.account.person
        if not is_manager(person):
            return pages.problem(request, "There is no page at this address.", status=404)
        login = login_of(session.event)
        if login.aal < AAL.AAL2:
            return fresh_login_needed(request, _TWO_FACTORS, next_path=back)
        if request.method == "POST" and clock.now() - login.at > MINT_FRESHNESS:
            return fresh_login_needed(request, _FRESH, next_path=back)
        try:
            return view(request, person, *args, **kwargs)
        except Refused as refused:
            words: Any = answer(refused.reason)
            return pages.problem(request, words.words, status=words.status, next_step="Go back to the console: somebody may have decided this already.")

    return wrapped


def name_of(manager: Person) -> str:
    """How the record names whoever decides."""
    return f"manager:{manager.id}"
