"""The context of every template: the issuer, the contact, and the signed-in person."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import DatabaseError

from derived import clock
from idp.config import config
from idp.login import purpose
from idp.login.session import signed_in
from idp.policies import site
from scim.access import roles
from scim.models import RoleName

if TYPE_CHECKING:
    from django.http import HttpRequest

    from scim.models import Person

_OWNER: Final = RoleName.OWNER  # decides at /access/review


def context(request: HttpRequest) -> dict[str, Any]:
    """Return the values that every template may use (a Django context processor)."""
    brand, person = site.settings(), _person(request)
    return {
        "issuer": config().issuer,
        "languages": [one for one in settings.LANGUAGES if one[0] in brand.languages],
        "contact": brand.contact or config().contact,
        "site": brand,
        "person": person,
        "enters_console": partial(_enters_console, person),
        "login_query": purpose.of_request(request).query() if hasattr(request, "session") else "",
    }


def _enters_console(person: Person | None) -> bool:
    """True if a role opens the console; asked only where a page has its navigation."""
    try:
        return person is not None and roles.live(now=clock.now()).filter(person=person).exclude(role=_OWNER).exists()
    except DatabaseError:
        return False


def _person(request: HttpRequest) -> Person | None:
    try:
        session = signed_in(request) if hasattr(request, "session") else None
    except DatabaseError:  # the page that reports an unavailable database must render without it
        return None
    return getattr(session.account, "person", None) if session else None
