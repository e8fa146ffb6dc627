"""The form of every response: application/scim+json, and errors per RFC 7644 §3.1 and §3.12."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Concatenate, ParamSpec

from django.core.exceptions import RequestDataTooBig
from django.http import HttpResponse, JsonResponse
from django.http.request import RawPostDataException, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from derived.errors import RametError, Unavailable
from scim.errors import ScimError
from scim.http import patience

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

    from scim.protocol.schema import Resource

P = ParamSpec("P")

CONTENT_TYPE = "application/scim+json"
_RETRY_AFTER = {429: "60", 503: "2"}  # seconds


def scim_view(
    *methods: str,
) -> Callable[[Callable[Concatenate[HttpRequest, P], HttpResponse]], Callable[..., HttpResponse]]:
    """Decorate a view: permitted methods, SCIM errors for every refusal, and a bound on its SQL statements."""

    def wrap(view: Callable[Concatenate[HttpRequest, P], HttpResponse]) -> Callable[..., HttpResponse]:
        @csrf_exempt
        @functools.wraps(view)
        def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            try:
                _check_method(request, methods)
                with patience.limited_statements():
                    return view(request, *args, **kwargs)
            except (ScimError, RequestDataTooBig, UnreadablePostError, RametError) as error:
                _read_to_the_end(request)
                return error_response(as_scim(error), methods)

        return wrapped

    return wrap


def _read_to_the_end(request: HttpRequest) -> None:
    """Read the rest of the body within the limit, because proxies lose a response on a connection closed early."""
    with contextlib.suppress(RequestDataTooBig, UnreadablePostError, RawPostDataException):
        _ = request.body


def as_scim(error: Exception) -> ScimError:
    """The SCIM error for exceptions of other packages."""
    match error:
        case ScimError():
            return error
        case RequestDataTooBig():
            return ScimError(413, None, "The body is larger than 1 MiB.")
        case UnreadablePostError():
            return ScimError(400, "invalidSyntax", "The body could not be read.")
        case Unavailable():
            return ScimError(503, None, "Try again later.")
        case _:
            return ScimError(409, None, "The account's state does not allow this.")


def _check_method(request: HttpRequest, methods: tuple[str, ...]) -> None:
    if request.method not in methods:
        raise ScimError(405, None, f"The permitted methods are {', '.join(methods)}.")


def error_response(error: ScimError, methods: tuple[str, ...]) -> HttpResponse:
    """The error response."""
    response = JsonResponse(error.body(), status=error.status, content_type=CONTENT_TYPE)
    match error.status:
        case 501:
            # otherwise Django logs it as a server fault
            response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
        case 401:
            response["WWW-Authenticate"] = 'Bearer realm="scim"'
        case 405:
            response["Allow"] = ", ".join(methods)
        case 429 | 503:
            response["Retry-After"] = _RETRY_AFTER[error.status]
        case _:
            pass
    return response


def json_response(content: Resource, *, status: int = 200) -> HttpResponse:
    """The response with a resource."""
    return JsonResponse(content, status=status, content_type=CONTENT_TYPE)
