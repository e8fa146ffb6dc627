"""Search for people in the console: pages of fifty, filters in the address, and a file of the results (PG-1, PG-4)."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.models import AccountStatus
from idp import pages
from idp.console.guards import allows
from scim.access import roles
from scim.access.roles import Verb
from scim.models import Source
from scim.people import searching
from scim.people.searching import Place, Sought

if TYPE_CHECKING:
    from django.http import HttpRequest

    from scim.models import Person
    from scim.people.searching import Hit

_MOST_ROWS = 10_000  # of a file
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that begins so
_COLUMNS = ("login name", "name", "state", "id")


@require_http_methods(["GET"])
@allows(Verb.SEE)
def people(request: HttpRequest, person: Person) -> HttpResponse:
    """Find people; with `format=csv` a file, for those who may read all."""
    given = {name: request.GET.get(name, "")[: searching.LONGEST] for name in ("q", "source", "state")}
    if not all(value.isprintable() for value in given.values()):
        given = dict.fromkeys(given, "")
    sought = Sought(text=given["q"].strip(), source=given["source"], state=_state(given["state"]))
    reads = bool(roles.may(person, Verb.READ, now=clock.now()))
    if request.GET.get("format") == "csv":
        if not reads:
            raise Http404
        return _file(sought)
    after = _place(request)
    hits, more = searching.page(sought, after=after)
    is_gone = not hits and after is None and request.GET.get("gone") == "yes"
    if is_gone:
        hits = searching.gone(sought.text)
    kept = {name: value for name, value in given.items() if value}
    values = {
        "hits": [_shown(one) for one in hits],
        "sought": given,
        "is_gone": is_gone,
        "sources": list(Source.objects.order_by("name").values_list("name", flat=True)),
        "states": list(AccountStatus.values),
        "more": urlencode(kept | {"value": more.value, "record": str(more.record)}) if more else "",
        "file": urlencode(kept | {"format": "csv"}) if reads else "",
        "gone": urlencode(kept | {"gone": "yes"}) if sought.text and not hits and not is_gone else "",
    }
    return pages.page(request, "console_people", values)


def _state(typed: str) -> str:
    return typed if typed in AccountStatus.values else ""


def _place(request: HttpRequest) -> Place | None:
    value, record = request.GET.get("value", ""), request.GET.get("record", "")
    try:
        return Place(value[: 2 * searching.LONGEST], UUID(record)) if record and "\0" not in value else None
    except ValueError:
        return None


def _shown(hit: Hit) -> dict[str, Any]:
    return {
        "id": hit.person.id,
        "name": hit.person.display_name(),
        "login_name": hit.person.login_name,
        "state": hit.person.account.status,
        "by": hit.by,
    }


def _file(sought: Sought) -> HttpResponse:
    """The results as CSV, ten thousand rows at most; a cell that a spreadsheet would run is quoted."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    seen: set[UUID] = set()
    hits, more = searching.page(sought)
    while hits:
        for hit in hits:
            if hit.person.id not in seen:
                row = (hit.person.login_name or "", hit.person.display_name(), hit.person.account.status)
                writer.writerow([*(cell(one) for one in row), hit.person.id])
                seen.add(hit.person.id)
        if more is None or len(seen) >= _MOST_ROWS:
            break
        hits, more = searching.page(sought, after=more)
    return HttpResponse(
        text.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="people.csv"'},
    )


def cell(text: str) -> str:
    """A cell of a file for spreadsheets: what would run as a formula begins with an apostrophe."""
    return f"'{text}" if text.startswith(_FORMULA) else text
