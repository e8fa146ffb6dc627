"""The context of every template: the issuer, the contact, and the signed-in person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import DatabaseError

from idp.config import config
from idp.login import purpose
from idp.login.session import signed_in
from idp.policies import site

if TYPE_CHECKING:
    from django.http import HttpRequest

    from scim.models import Person


def context(request: HttpRequest) -> dict[str, Any]:
    """Return the values that every template may use (a Django context processor)."""
    brand = site.settings()
    return {
        "issuer": config().issuer,
        "languages": [one for one in settings.LANGUAGES if one[0] in brand.languages],
        "contact": brand.contact or config().contact,
        "site": brand,
        "person": _person(request),
        "login_query": purpose.of_request(request).query if hasattr(request, "session") else "",
    }


def _person(request: HttpRequest) -> Person | None:
    try:
        session = signed_in(request) if hasattr(request, "session") else None
    except DatabaseError:  # the page that reports an unavailable database must render without it
        return None
    return getattr(session.account, "person", None) if session else None
