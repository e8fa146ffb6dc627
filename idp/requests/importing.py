"""The pages of imports: try a file out, import it, see how far it is, pause it, and approve its list at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.shortcuts import redirect
from django.urls import path
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import Reason, Refused
from idp import pages
from idp.errors import answer_to
from idp.requests import batches, listing, steps
from idp.requests.batches import MOST_ROWS, WrongFile
from idp.requests.deciding import approvers_only
from scim.access import roles
from scim.access.approving import Decision
from scim.models import RequestBatch, RoleName, Source

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

    from idp.requests.batches import Outcome
    from scim.models import Person

_MOST_SHOWN = 200


def _require_manager(person: Person) -> None:
    """Require the role that asks for everybody.

    Raises: NoRequest.
    """
    if not roles.has(person, RoleName.MANAGER, now=clock.now()):
        raise listing.NoRequest


@require_http_methods(["GET", "POST"])
@approvers_only
def imports(request: HttpRequest, person: Person) -> HttpResponse:
    """List imports; try a file out, or import it."""
    _require_manager(person)
    if request.method == "GET":
        return _page(request, "", [])
    source, now = request.POST.get("source", ""), clock.now()
    given = request.FILES.get("file")
    content = b"".join(given.chunks()) if given is not None else b""
    try:
        rows = batches.read(content, source=source if Source.objects.filter(name=source).exists() else "")
        if request.POST.get("act") != "import":
            return _page(request, "", batches.dry_run(rows, person, now=now))
        batch = batches.begin(rows, person, f"person:{person.id}", now=now)
    except WrongFile as wrong:
        return _page(request, str(wrong), [], status=400)
    return redirect("console-batch", batch_id=batch.id)


def _page(request: HttpRequest, error: str, found: list[Outcome], *, status: int = 200) -> HttpResponse:
    counted = {name: sum(one.state == name for one in found) for name in ("would", "known", "failed")}
    values = {
        "batches": [{"row": one, "by": steps.who(one.by)} for one in batches.recent()],
        "sources": list(Source.objects.order_by("name").values_list("name", flat=True)),
        "source": request.POST.get("source", ""),
        "most": MOST_ROWS,
        "error": error,
        "tried": counted if found else None,
        "failures": [one for one in found if one.state == "failed"][:_MOST_SHOWN],
        "notice": request.session.pop("notice", None),
    }
    return pages.page(request, "console_batches", values, status=status)


@require_http_methods(["GET", "POST"])
@approvers_only
def one_import(request: HttpRequest, person: Person, batch_id: UUID) -> HttpResponse:
    """Show how far an import is; pause it, resume it, or approve everything of it that waits."""
    _require_manager(person)
    batch = RequestBatch.objects.filter(id=batch_id).first()
    if batch is None:
        raise listing.NoRequest
    if request.method == "GET":
        return _of_import(request, batch, "")
    now = clock.now()
    match request.POST.get("act"):
        case "pause":
            batches.pause(batch, now=now)
        case "resume":
            batches.resume(batch, now=now)
        case "approve":
            decision = Decision(approves=True, words="", shown="")
            try:
                done = batches.approve(batch, person, request.POST.get("terms", ""), decision, now=now)
            except Refused as refused:
                return _of_import(request, batch, answer_to(refused).words, status=409)
            request.session["notice"] = f"Approved: {done['approved']}. Not yours to decide: {done['left']}."
        case _:
            raise Refused(Reason.ILLEGAL_MOVE)
    return redirect("console-batch", batch_id=batch.id)


def _of_import(request: HttpRequest, batch: RequestBatch, error: str, *, status: int = 200) -> HttpResponse:
    waiting = batches.waiting_of(batch)
    values = {
        "batch": batch,
        "by": steps.who(batch.by),
        "counts": batches.counts(batch),
        "failures": batch.rows.filter(state="failed").order_by("number")[:_MOST_SHOWN],
        "waiting": [
            {"id": one.id, "title": steps.title(one), "of": one.account.person.display_name()}
            for one in waiting[:_MOST_SHOWN]
        ],
        "number_waiting": len(waiting),
        "terms": batches.list_hash(waiting),
        "error": error,
        "notice": request.session.pop("notice", None),
    }
    return pages.page(request, "console_batch", values, status=status)


urlpatterns = [
    path("console/batches", imports, name="console-batches"),
    path("console/batches/<uuid:batch_id>", one_import, name="console-batch"),
]
