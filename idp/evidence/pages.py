"""The page of evidence in the console: exports as one file, and reports as tables and files (RL-9)."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.models import Checkpoint
from idp import pages
from idp.console.guards import allows, name_of
from idp.evidence import endings, export, sheets, statistics
from idp.evidence.export import NoCheckpoint, Scope
from idp.policies import site
from scim.access.roles import Verb
from scim.people.directory import person_by_login_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

    from scim.models import Person

_SHOWN = 200
_REPORTS = ("endings", "reviews", "statistics")
_BAD_DATES = "Give two days, the first one first."
_NO_PERSON = "There is no person with this login name."
_NO_CHECKPOINT = "There is no such checkpoint. Leave the field empty, or copy all 64 characters."


class BadForm(ValueError):
    """A form that names no scope; its text is for the page."""


@require_http_methods(["GET"])
@allows(Verb.READ)
def evidence(request: HttpRequest, _reader: Person) -> HttpResponse:
    """Show what can be exported, and the report that the address names."""
    now, name = clock.now(), request.GET.get("report", "")
    if name not in _REPORTS:
        return _page(request, request.GET)
    try:
        first, last = _period(request.GET, now=now)
    except BadForm as error:
        return _page(request, request.GET, error=str(error))
    rows = _rows(name, first, last)
    return _page(
        request,
        request.GET,
        report=name,
        title=sheets.TITLES[name],
        names=[one.replace("_", " ") for one in rows[0]] if rows else [],
        rows=[one.values() for one in rows[:_SHOWN]],
        more=max(0, len(rows) - _SHOWN),
    )


@require_http_methods(["POST"])
@allows(Verb.READ)
def download(request: HttpRequest, reader: Person) -> HttpResponse:
    """An export, or a report, as one archive."""
    now, name = clock.now(), request.POST.get("report", "")
    try:
        if name in _REPORTS:
            first, last = _period(request.POST, now=now)
            rows = _rows(name, first, last)
            made = sheets.files(name, rows, first=first.isoformat(), last=last.isoformat())
            return _archive(f"{name}-{now:%Y%m%d}", made)
        made = export.make(
            _scope(request.POST, now=now), pinned=request.POST.get("pinned", "").split(), actor=name_of(reader), now=now
        )
    except BadForm as error:
        return _page(request, request.POST, error=str(error))
    except NoCheckpoint:
        return _page(request, request.POST, error=_NO_CHECKPOINT)
    return _archive(f"evidence-{now:%Y%m%d-%H%M%S}", made)


def _page(request: HttpRequest, typed: Mapping[str, str], *, error: str = "", **more: object) -> HttpResponse:
    """The page, with what was typed, else with the days of the present quarter."""
    today = clock.now().date()
    quarter = today.replace(month=today.month - (today.month - 1) % 3, day=1)
    values: dict[str, Any] = {
        "error": error,
        "typed": typed,
        "reports": sheets.TITLES.items(),
        "first_day": quarter.isoformat(),
        "last_day": today.isoformat(),
        "pins": export.pins() if Checkpoint.objects.exclude(root="").exists() else None,
        **more,
    }
    return pages.page(request, "console_evidence", values, status=400 if error else 200)


def _rows(name: str, first: datetime, last: datetime) -> list[dict[str, Any]]:
    match name:
        case "endings":
            return endings.report(first, last, impact=site.settings().impact)
        case "reviews":
            return statistics.access_reviews(first, last)
        case _:
            return statistics.issuance(first, last)


def _period(given: Mapping[str, str], *, now: datetime) -> tuple[datetime, datetime]:
    """The period of two days, both included; nothing ends later than now.

    Raises: BadForm.
    """
    try:
        first, last = parse_date(given.get("first", "")), parse_date(given.get("last", ""))
    except ValueError:
        first = last = None
    if first is None or last is None or first > last or first > now.date():
        raise BadForm(_BAD_DATES)
    begins, ends = (datetime.combine(day, time.min, tzinfo=UTC) for day in (first, min(last, now.date())))
    return begins, min(ends + timedelta(days=1), now)


def _scope(given: Mapping[str, str], *, now: datetime) -> Scope:
    """The scope of a form: a person by login name, else a period.

    Raises: BadForm.
    """
    if login_name := given.get("person", "").strip():
        person = person_by_login_name(login_name[:256])
        if person is None:
            raise BadForm(_NO_PERSON)
        return Scope(account=person.account_id)
    first, last = _period(given, now=now)
    return Scope(first=first, last=last)


def _archive(name: str, made: Mapping[str, bytes]) -> HttpResponse:
    """Files as one ZIP archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, content in made.items():
            archive.writestr(f"{name}/{file}", content)
    response = HttpResponse(packed.getvalue(), content_type="application/zip")
    response["Content-Disposition"] = f'attachment; filename="{name}.zip"'
    response["Cache-Control"] = "no-store"
    return response
