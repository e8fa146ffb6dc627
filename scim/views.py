"""SCIM over HTTP: what comes in is parsed and bounded here, what goes out is application/scim+json (RFC 7644)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Concatenate, ParamSpec

from django.core.exceptions import RequestDataTooBig
from django.http import HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt

from derived import clock
from derived.errors import RametError, Unavailable
from scim import auth, body, directory, documents, provision, query
from scim.errors import ScimError, invalid_value, not_found
from scim.projection import Projection, projection
from scim.user import USER

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

    from scim.models import Record, Source
    from scim.query import Query
    from scim.schema import Json, Resource

P = ParamSpec("P")

CONTENT_TYPE = "application/scim+json"
_LONGEST_NAME = 32


def scim(*methods: str) -> Callable[[Callable[Concatenate[HttpRequest, P], HttpResponse]], Callable[..., HttpResponse]]:
    """A view for some methods, whose every refusal has SCIM's form (RFC 7644 §3.12)."""

    def wrap(view: Callable[Concatenate[HttpRequest, P], HttpResponse]) -> Callable[..., HttpResponse]:
        @csrf_exempt
        @functools.wraps(view)
        def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            try:
                _check_method(request, methods)
                return view(request, *args, **kwargs)
            except ScimError as error:
                return _refusal(error, methods)
            except RequestDataTooBig:
                return _refusal(ScimError(413, None, "The body is larger than 1 MiB."), methods)
            except UnreadablePostError:
                return _refusal(ScimError(400, "invalidSyntax", "The body could not be read."), methods)
            except Unavailable:
                return _refusal(ScimError(503, None, "Try again later."), methods)
            except RametError:
                return _refusal(ScimError(409, None, "The account's state does not allow this."), methods)

        return wrapped

    return wrap


def _check_method(request: HttpRequest, methods: tuple[str, ...]) -> None:
    if request.method not in methods:
        raise ScimError(405, None, f"Here one may {', '.join(methods)}.")


def _refusal(error: ScimError, methods: tuple[str, ...]) -> HttpResponse:
    response = JsonResponse(error.body(), status=error.status, content_type=CONTENT_TYPE)
    match error.status:
        case 401:
            response["WWW-Authenticate"] = 'Bearer realm="scim"'
        case 405:
            response["Allow"] = ", ".join(methods)
        case 429 | 503:
            response["Retry-After"] = "60" if error.status == 429 else "2"  # noqa: PLR2004 - statuses of HTTP
        case _:
            pass
    return response


@scim("GET", "HEAD", "POST")
def users(request: HttpRequest) -> HttpResponse:
    """`/Users`: a page of this source's people, or a new one."""
    source = _source(request)
    if request.method == "POST":
        shown = _projection(request)
        return _one(request, provision.create_user(source, body.of(request), now=clock.now()), shown, status=201)
    return _list(request, source, query.of_parameters(_parameters(request), USER))


@scim("POST")
def search(request: HttpRequest) -> HttpResponse:
    """`/.search` and `/Users/.search`: a page, asked for in a body (people are all there is to search)."""
    return _list(request, _source(request), query.of_body(body.of(request), USER))


@scim("GET", "HEAD", "PUT", "PATCH", "DELETE")
def user(request: HttpRequest, unverified_id: str) -> HttpResponse:
    """`/Users/{id}`: one of this source's people."""
    source = _source(request)
    shown = _projection(request)
    if_match, now = request.headers.get("If-Match"), clock.now()
    match request.method:
        case "PUT":
            record = provision.replace_user(source, unverified_id, body.of(request), if_match=if_match, now=now)
        case "PATCH":
            record = provision.patch_user(source, unverified_id, body.of(request), if_match=if_match, now=now)
        case "DELETE":
            provision.delete_user(source, unverified_id, if_match=if_match, now=now)
            return HttpResponse(status=204)
        case _:
            record = directory.find(source, unverified_id)
            if record.etag in (request.headers.get("If-None-Match") or ""):
                return HttpResponse(status=304, headers={"ETag": record.etag})
    return _one(request, record, shown)


@scim("GET", "HEAD")
def service_provider_config(request: HttpRequest) -> HttpResponse:
    """`/ServiceProviderConfig`: what is supported; anyone may read it."""
    return _document(request, documents.service_provider_config(_base(request)))


@scim("GET", "HEAD")
def resource_types(request: HttpRequest, unverified_name: str | None = None) -> HttpResponse:
    """`/ResourceTypes` and one of them; anyone may read them."""
    return _documents(request, documents.resource_types(_base(request)), unverified_name)


@scim("GET", "HEAD")
def schemas(request: HttpRequest, unverified_name: str | None = None) -> HttpResponse:
    """`/Schemas` and one of them; anyone may read them."""
    return _documents(request, documents.schemas(_base(request)), unverified_name)


@scim("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
def nowhere(_request: HttpRequest, /, **_rest: str) -> HttpResponse:
    """Answer for every other address, in SCIM's words."""
    raise not_found()


def _source(request: HttpRequest) -> Source:
    return auth.of_request(request, now=clock.now())


def _base(request: HttpRequest) -> str:
    return request.build_absolute_uri(reverse("scim:users")).removesuffix(USER.endpoint)


def _answer(content: Resource, *, status: int = 200) -> HttpResponse:
    return JsonResponse(content, status=status, content_type=CONTENT_TYPE)


def _one(request: HttpRequest, record: Record, shown: Projection, *, status: int = 200) -> HttpResponse:
    base = _base(request)
    response = _answer(shown.of(directory.view(record, base=base)), status=status)
    response["ETag"] = record.etag
    response["Location"] = directory.location(record, base=base)
    return response


def _list(request: HttpRequest, source: Source, asked: Query) -> HttpResponse:
    base = _base(request)
    total, records = directory.page(source, asked.tree, start=asked.start, count=asked.count, base=base)
    page = [asked.shown.of(directory.view(record, base=base)) for record in records]
    return _answer(documents.list_response(page, total=total, start=asked.start))


def _parameters(request: HttpRequest) -> dict[str, str]:
    """The query parameters; one that is given twice has no meaning."""
    found: dict[str, str] = {}
    for name, values in request.GET.lists():
        if len(values) > 1:
            raise invalid_value(f"{name[:_LONGEST_NAME]} is given twice.")
        found[name] = str(values[0])
    return found


def _projection(request: HttpRequest) -> Projection:
    given = _parameters(request)
    return projection(USER, attributes=given.get("attributes"), excluded=given.get("excludedAttributes"))


def _document(request: HttpRequest, content: Resource) -> HttpResponse:
    if "filter" in request.GET:
        raise ScimError(403, None, "Discovery cannot be filtered.")
    return _answer(content)


def _documents(request: HttpRequest, found: list[Resource], unverified_name: str | None) -> HttpResponse:
    if unverified_name is None:
        return _document(request, documents.list_response(found, total=len(found), start=1))
    wanted: list[Json] = [one for one in found if str(one["id"]).lower() == unverified_name.lower()]
    if not wanted or not isinstance(wanted[0], dict):
        raise not_found()
    return _document(request, wanted[0])
