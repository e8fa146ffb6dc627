"""The outermost middleware: hosts, sizes, response headers, and refusals when no decision is possible (I9)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import DisallowedHost, RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent
from django.db import DatabaseError, DataError
from django.http import HttpResponse, JsonResponse
from django.utils.translation import gettext, gettext_noop

from derived import clock
from derived.errors import RametError, Reason, Refused, TryLater, Unavailable
from idp import pages
from idp.config import config
from idp.edge import caller, intake, routes, space, unlisted
from idp.errors import answer_to, error_response, retry_after
from idp.gate import Caller, gate
from idp.login import hop
from idp.witness import standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

logger = logging.getLogger(__name__)

_CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)


_FULL = gettext_noop("The server has no space left on its disk. Try again later.")


class Edge:
    """Middleware around everything else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._space = space.beside_database()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, or refuse in the form of the caller's protocol."""
        unlisted.report(now=clock.now())
        try:
            if request.path not in routes.PROBES:  # a load balancer probes by address
                request.get_host()
        except DisallowedHost:
            return _harden(HttpResponse("unknown host", status=400, content_type="text/plain"))
        if (words := standing.refusal()) and request.path not in routes.PROBES:
            return _harden(_refusal(request, 503, "temporarily_unavailable", words))
        if (
            self._space
            and self._space.was_short()
            and routes.lane(request.path, request.method or "") not in space.SERVED
        ):
            return _harden(_refusal(request, 503, "temporarily_unavailable", _FULL))
        if not _is_at_its_host(request):
            return _harden(HttpResponse("nothing here", status=404, content_type="text/plain"))
        if len(request.META.get("QUERY_STRING", "")) > routes.MOST_QUERY:
            return _harden(_refusal(request, 414, "invalid_request", gettext_noop("The address is too long.")))
        if (
            request.method not in {"GET", "HEAD"}
            and request.content_type == "multipart/form-data"
            and (no := _no_file(request))
        ):
            return _harden(no)
        if refused := request.META.get(intake.REFUSED):
            logger.info(
                "refused at the edge: %s, from %s: %s", refused.status, request.META[intake.PEER], refused.words
            )
            return _harden(_refusal(request, refused.status, refused.error, refused.words))
        try:
            _gate(request)
        except TryLater as refused:
            found = answer_to(refused)
            return _harden(_refusal(request, found.status, found.error, found.words, retry_after(refused)))
        return _harden(self._get_response(request))

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The last handler: a refusal that a view did not handle, or an unavailable dependency."""
        match error:
            case Refused() | Unavailable():
                found = answer_to(error)
                return _refusal(request, found.status, found.error, found.words, retry_after(error))
            case DataError():  # a NUL or a number that PostgreSQL cannot store is the caller's fault (E23)
                return _refusal(
                    request, 400, "invalid_request", gettext_noop("The request has a value that cannot be.")
                )
            case DatabaseError():
                logger.error("the database did not answer: %s", type(error).__name__)
                found = error_response(Reason.DATABASE_BUSY)
                return _refusal(request, found.status, found.error, found.words)
            case RequestDataTooBig() | TooManyFieldsSent():
                return _refusal(request, 413, "invalid_request", gettext_noop("The request is too large."))
            case DisallowedHost():
                return HttpResponse("unknown host", status=400, content_type="text/plain")
            case SuspiciousOperation() | UnicodeDecodeError():
                return _refusal(request, 400, "invalid_request", gettext_noop("The request is malformed."))
            case RametError():
                return _refusal(request, 400, "invalid_request", gettext_noop("The request was refused."))
            case _:
                return None


def _no_file(request: HttpRequest) -> HttpResponse | None:
    """The refusal of an uploaded file, except at the few URLs that take one within a limit: files stay in memory."""
    most = routes.most_file(request.path)
    length = request.META.get("CONTENT_LENGTH") or ""
    if not most:
        return _refusal(
            request,
            415 if request.path.startswith(routes.SCIM) else 400,
            "invalid_request",
            gettext_noop("Nothing here takes files."),
        )
    if not length.isdecimal() or len(length) > len(str(most)) or int(length) > most:
        return _refusal(
            request,
            413,
            "invalid_request",
            gettext("A file here has at most %(most_1024)s KiB.") % {"most_1024": most // 1024},
        )
    return None


def _is_at_its_host(request: HttpRequest) -> bool:
    """True if the URL belongs to this host: certificates are presented at the certificate host only; EST is at both."""
    if request.path in routes.PROBES or request.path.startswith(routes.AT_BOTH_HOSTS):
        return True
    return hop.is_certificate_host(request) == request.path.startswith("/certificate/")


def _gate(request: HttpRequest) -> None:
    """Count a stranger's request before anything is read for it.

    Raises: TryLater.
    """
    if (kind := routes.kind(request.path)) is not None:
        cookie = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
        gate(Caller(caller.network(request.META[intake.PEER]), cookie), kind)


def _refusal(request: HttpRequest, status: int, error: str, words: str, retry: int = 5) -> HttpResponse:
    if request.path.startswith(routes.SCIM):
        body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": str(status), "detail": words}
        response: HttpResponse = JsonResponse(body, status=status, content_type="application/scim+json")
    elif request.path.startswith(routes.PROTOCOL):
        response = JsonResponse({"error": error, "error_description": words}, status=status)
    else:
        response = pages.problem(request, words, status=status)
    if status in {429, 503}:
        response["Retry-After"] = str(retry)
    return response


def _harden(response: HttpResponse) -> HttpResponse:
    response.headers.setdefault("Content-Security-Policy", _CSP)  # unless the page has set its own
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("X-Frame-Options", "DENY")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    if config().is_https:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    return response
