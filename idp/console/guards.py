"""Guards of the console's pages: the matrix of roles, a phishing-resistant login at AAL2, a fresh one for each change.

`allows(Verb…)` is the decorator of a page; `require` asks again about the person whom an act concerns.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec
from uuid import UUID

from django.http import Http404
from django.utils.translation import gettext_noop

from derived import clock
from derived.errors import Reason, Refused
from derived.rules.assurance import AAL
from derived.rules.kinds import MINT_FRESHNESS
from idp import pages
from idp.errors import error_response
from idp.login.session import login_of, signed_in
from idp.login.views import fresh_login_needed
from scim.access import roles
from scim.models import Person, RoleName

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

    from scim.access.roles import Answer, Verb

P = ParamSpec("P")
_TWO_FACTORS = gettext_noop(
    "Deciding for other people needs a passkey, a security key or a card, because a fake site cannot use those. If you "
    "have none yet, sign in and add one in My account."
)
_STRONGEST = gettext_noop(
    "A check in person needs a sign-in at the highest level (AAL3): with your card or security key."
)
_FRESH = gettext_noop("Deciding for other people needs a sign-in in the last 20 minutes.")


def allows(
    verb: Verb, *, post: Verb | None = None, least: AAL = AAL.AAL2
) -> Callable[[Callable[Concatenate[HttpRequest, Person, P], HttpResponse]], Callable[..., HttpResponse]]:
    """Decorate a page for people whose role allows an act: on everybody, or on the person in its address.

    post: the act of its POST, if another one. Others get a 404.
    """

    def decorate(view: Callable[Concatenate[HttpRequest, Person, P], HttpResponse]) -> Callable[..., HttpResponse]:
        def may_enter(person: Person, method: str, about: Person | None) -> bool:
            wanted, now = post if post and method == "POST" else verb, clock.now()
            return bool(
                roles.may(person, wanted, now=now)
                or (about is not None and about.id != person.id and roles.may(person, wanted, about=about, now=now))
            )

        wrapped = _guarded(view, may_enter, "/console", least=least)
        wrapped.verbs = {"GET": verb, "POST": post or verb}  # type: ignore[attr-defined]
        return wrapped

    return decorate


def managers_only(view: Callable[Concatenate[HttpRequest, Person, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorate a page for identity managers only, whatever the matrix says of other roles."""
    return _guarded(
        view, lambda person, _method, _about: roles.has(person, RoleName.MANAGER, now=clock.now()), "/console"
    )


def deciders_only(view: Callable[Concatenate[HttpRequest, Person, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorate a page for those who decide on requests for access: managers, and owners of a client."""
    return _guarded(
        view,
        lambda person, _method, _about: roles.has(person, RoleName.MANAGER, RoleName.OWNER, now=clock.now()),
        "/access/review",
    )


def _guarded(
    view: Callable[Concatenate[HttpRequest, Person, P], HttpResponse],
    may_enter: Callable[[Person, str, Person | None], bool],
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
        if not may_enter(person, request.method or "", _person(kwargs.get("person_id"))):
            return _nothing_here(request)
        login = login_of(session.event)
        if login.aal < least or not login.phishing_resistant:
            needed = _TWO_FACTORS if login.aal >= least or least == AAL.AAL2 else _STRONGEST
            return fresh_login_needed(needed, next_path=back)
        if request.method == "POST" and clock.now() - login.at > MINT_FRESHNESS:
            return fresh_login_needed(_FRESH, next_path=back)
        try:
            return view(request, person, *args, **kwargs)
        except Http404:
            return _nothing_here(request)
        except Refused as refused:
            words: Any = error_response(refused.reason)
            return pages.problem(
                request,
                words.words,
                status=words.status,
                next_step=gettext_noop("Go back to what waits: somebody may have decided this already."),
            )

    return wrapped


def _person(person_id: object) -> Person | None:
    if not isinstance(person_id, UUID):
        return None
    return Person.objects.select_related("account").filter(id=person_id).first()


def _nothing_here(request: HttpRequest) -> HttpResponse:
    return pages.problem(request, gettext_noop("There is no page at this address."), status=404)


def require(person: Person, verb: Verb, *about: Person) -> Answer:
    """Require that a role of this person allows an act on other people: never on themselves, under whatever record.

    Raises: Http404 without such a role; Refused(ILLEGAL_MOVE) if the role allows it on others only (RQ-3).
    """
    now = clock.now()
    answers = [roles.may(person, verb, about=one, now=now) for one in about]
    if about and all(answers) and all(one.id != person.id for one in about):
        return answers[0]
    if roles.may(person, verb, now=now):
        raise Refused(Reason.ILLEGAL_MOVE)
    raise Http404


def name_of(person: Person) -> str:
    """The actor in events for a person who acts in the console."""
    return f"manager:{person.id}"
