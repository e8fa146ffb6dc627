"""The outbox in the console: the rows that wait, how old they are and why; a manager can try them again (ruling 31)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.shortcuts import redirect
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.ledger import outbox
from idp import pages
from idp.console.guards import allows
from idp.console.waiting import listed
from scim.access.roles import Verb

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from scim.models import Person

_MOST_DIGITS = 18  # of a row number
_MOST = 100


@require_http_methods(["GET", "POST"])
@allows(Verb.READ, post=Verb.CARE)
def deliveries(request: HttpRequest, _manager: Person) -> HttpResponse:
    """The rows that were not delivered, the oldest first; a POST makes one due at once."""
    now = clock.now()
    if request.method == "POST":
        number = request.POST.get("number", "")
        rows = outbox.undelivered().filter(id=int(number) if number.isdecimal() and len(number) <= _MOST_DIGITS else 0)
        tried = outbox.retry(rows, now=now)
        request.session["notice"] = (
            gettext_noop("It is tried again now.") if tried else gettext_noop("It was delivered already.")
        )
        return redirect("console-deliveries")
    values = {
        "rows": listed(outbox.undelivered(), most=_MOST, now=now),
        "depth": outbox.depth(now=now),
        "most": _MOST,
        "notice": request.session.pop("notice", None),
    }
    return pages.page(request, "console_deliveries", values)
