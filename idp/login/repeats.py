"""A login form that is sent twice at once, as a double click sends it: the second answer leads where the first one led.

The first answer changes the cookie, and the browser may never see it, because the second press ended that request. So
the second request comes without a login, and with a code or a challenge that is spent. It is known by the cookie of
before and by the very form, and gets a cookie of its own for the same session. Whoever has only one of the two, such as
a stranger who planted the cookie or who saw the code, gets nothing.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.sessions.models import Session

from idp.login.browser_store import SessionStore
from idp.secrets import hash_secret

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

_LASTS = timedelta(seconds=60)
_ROW = 40  # characters of a key in Django's table


def keep(request: HttpRequest, data: dict[str, Any], *, now: datetime) -> None:
    """Keep what this browser's store holds after the login of this form, in the transaction of the login."""
    if (name := _name(request)) is not None:
        row = Session(session_key=name, session_data=SessionStore().encode(data), expire_date=now + _LASTS)
        row.save()


def take_up(request: HttpRequest, *, now: datetime) -> bool:
    """Give this browser the login that the same form got a moment ago; False if there is none."""
    name = _name(request)
    row = Session.objects.filter(session_key=name, expire_date__gt=now).first() if name else None
    data = SessionStore().decode(row.session_data) if row else {}
    if not data:
        return False
    request.session = SessionStore()
    request.session.update(data)
    return True


def _name(request: HttpRequest) -> str | None:
    """The name of this form from this browser; None for a request that is not a form of a known browser."""
    cookie = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    if request.method != "POST" or not cookie:
        return None
    form = hashlib.sha256(request.POST.urlencode().encode()).hexdigest()
    return hash_secret(f"{cookie}\n{request.path}\n{form}", kind="repeated-form")[:_ROW]
