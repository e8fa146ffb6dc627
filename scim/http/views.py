"""SCIM over HTTP: requests are parsed and bounded here, responses are application/scim+json (RFC 7644)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from django.utils.crypto import salted_hmac

from derived import clock
from scim import callers as auth
from scim.errors import ScimError, invalid_value, not_found
from scim.feed import writing as feed
from scim.http import body, bulk, cursors, documents, listing, query
from scim.http.answers import json_response, scim_view
from scim.http.pushes import noted
from scim.models import Membership
from scim.people import directory, groups, provision
from scim.protocol import tags
from scim.protocol.group import GROUP
from scim.protocol.normalise import Form, normalise
from scim.protocol.projection import Projection, projection
from scim.protocol.user import USER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest

    from scim.http.query import ListQuery
    from scim.models import Group, Source
    from scim.people.directory import Row
    from scim.protocol.schema import Json, Resource, ResourceType

_LONGEST_NAME = 32
_MOST_SHOWN = 300  # members; a larger group is answered without a body after a PATCH


@scim_view("GET", "HEAD", "POST")
def users(request: HttpRequest) -> HttpResponse:
    """`/Users`: list this source's people, or create one."""
    source = _source(request)
    if request.method == "POST":
        with noted(request, source, "Users"):
            shown = _projection(request, USER)
            return _one(request, provision.create_user(source, body.of(request), now=clock.now()), shown, status=201)
    return _list(request, source, query.of_parameters(parameters(request), [USER]))


@scim_view("GET", "HEAD", "POST")
def all_groups(request: HttpRequest) -> HttpResponse:
    """`/Groups`: list this source's groups, or create one."""
    source = _source(request)
    if request.method == "POST":
        with noted(request, source, "Groups"):
            shown = _projection(request, GROUP)
            return _one(request, groups.create_group(source, body.of(request), now=clock.now()), shown, status=201)
    return _list(request, source, query.of_parameters(parameters(request), [GROUP]))


@scim_view("POST")
def search(request: HttpRequest, kinds: Sequence[ResourceType] = documents.RESOURCE_TYPES) -> HttpResponse:
    """`/.search`, `/Users/.search` and `/Groups/.search`: a page for a query in the body."""
    return _list(request, _source(request), query.of_body(body.of(request), kinds))


@scim_view("GET", "HEAD")
def all_resources(request: HttpRequest) -> HttpResponse:
    """`/`: a page of all resources, people first (RFC 7644 §3.4.2.1)."""
    return _list(request, _source(request), query.of_parameters(parameters(request), documents.RESOURCE_TYPES))


@scim_view("GET", "HEAD", "PUT", "PATCH", "DELETE")
def user(request: HttpRequest, unverified_id: str) -> HttpResponse:
    """`/Users/{id}`: read, replace, patch or delete a person of this source."""
    source = _source(request)
    with noted(request, source, "Users", unverified_id):
        return _user(request, source, unverified_id)


def _user(request: HttpRequest, source: Source, unverified_id: str) -> HttpResponse:
    shown = _projection(request, USER)
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
            return _seen(request, directory.find(source, unverified_id), shown)
    return _one(request, record, shown)


@scim_view("GET", "HEAD", "PUT", "PATCH", "DELETE")
def group(request: HttpRequest, unverified_id: str) -> HttpResponse:
    """`/Groups/{id}`: read, replace, patch or delete a group of this source."""
    source = _source(request)
    with noted(request, source, "Groups", unverified_id):
        return _group(request, source, unverified_id)


def _group(request: HttpRequest, source: Source, unverified_id: str) -> HttpResponse:
    shown = _projection(request, GROUP)
    if_match, now = request.headers.get("If-Match"), clock.now()
    match request.method:
        case "PUT":
            found = groups.replace_group(source, unverified_id, body.of(request), if_match=if_match, now=now)
        case "PATCH":
            found = groups.patch_group(source, unverified_id, body.of(request), if_match=if_match, now=now)
            if shown.only is None and shown.shows("members") and _is_large(found):
                location = directory.location(found, base=_base(request))
                return HttpResponse(status=204, headers={"ETag": found.etag, "Location": location})
        case "DELETE":
            groups.delete_group(source, unverified_id, if_match=if_match, now=now)
            return HttpResponse(status=204)
        case _:
            return _seen(request, directory.find_group(source, unverified_id), shown)
    return _one(request, found, shown)


@scim_view("GET", "HEAD")
def service_provider_config(request: HttpRequest) -> HttpResponse:
    """`/ServiceProviderConfig`: the supported features, readable without authentication."""
    return _document(request, documents.service_provider_config(_base(request), has_feed=feed.is_followed()))


@scim_view("GET", "HEAD")
def resource_types(request: HttpRequest, unverified_name: str | None = None) -> HttpResponse:
    """`/ResourceTypes` and a single type, readable without authentication."""
    return _documents(request, documents.resource_types(_base(request)), unverified_name)


@scim_view("GET", "HEAD")
def schemas(request: HttpRequest, unverified_name: str | None = None) -> HttpResponse:
    """`/Schemas` and a single schema, readable without authentication."""
    return _documents(request, documents.schemas(_base(request)), unverified_name)


@scim_view("POST")
def bulk_operations(request: HttpRequest) -> HttpResponse:
    """`/Bulk`: several operations in a request (RFC 7644 §3.7)."""
    source = _source(request)
    with noted(request, source, "Bulk"):
        asked = bulk.parse(normalise(body.of(request), source.normalisers, Form.BULK))
        return json_response(bulk.run(source, asked, base=_base(request), now=clock.now()))


@scim_view("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
def me_not_offered(request: HttpRequest) -> HttpResponse:
    """`/Me`: not offered (501, RFC 7644 §3.11), because the caller is a source and not a person."""
    _source(request)
    raise ScimError(
        501, None, "A source is not a person, so /Me is not offered. People ask for themselves at /oidc/userinfo."
    )


@scim_view("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
def unknown_url(_request: HttpRequest, /, **_rest: str) -> HttpResponse:
    """Answer every other URL with a SCIM 404."""
    raise not_found()


def _source(request: HttpRequest) -> Source:
    return auth.of_request(request, now=clock.now())


def _base(request: HttpRequest) -> str:
    """The base URL of this request's resources, by the URL of the request; the roots are named as their namespaces."""
    match = request.resolver_match
    came_by = match.namespace or match.url_name if match else None
    return request.build_absolute_uri(reverse("scim:users", current_app=came_by)).removesuffix(USER.endpoint)


def _is_large(found: Group) -> bool:
    return Membership.objects.filter(group=found)[_MOST_SHOWN : _MOST_SHOWN + 1].exists()


def _seen(request: HttpRequest, row: Row, shown: Projection) -> HttpResponse:
    if tags.names(request.headers.get("If-None-Match"), row.etag):
        return HttpResponse(status=304, headers={"ETag": row.etag})
    return _one(request, row, shown)


def _one(request: HttpRequest, row: Row, shown: Projection, *, status: int = 200) -> HttpResponse:
    base = _base(request)
    response = json_response(listing.view(row, shown, base=base), status=status)
    response["ETag"] = row.etag
    response["Location"] = directory.location(row, base=base)
    return response


def _list(request: HttpRequest, source: Source, asked: ListQuery) -> HttpResponse:
    now, listed, key = clock.now(), listing.key_of(source, asked), cursor_key()
    after = cursors.unseal(asked.cursor, listed, key=key, now=now) if asked.cursor else None
    found = listing.page(source, asked, base=_base(request), after=after)
    further = cursors.seal(found.after, listed, key=key, now=now) if found.after else None
    start = asked.start if asked.cursor is None else None
    return json_response(documents.list_response(found.resources, total=found.total, start=start, after=further))


def cursor_key() -> bytes:
    """The MAC key of list cursors."""
    return salted_hmac("scim.cursor", "", secret=settings.SECRET_KEY, algorithm="sha256").digest()


def parameters(request: HttpRequest) -> dict[str, str]:
    """The query parameters; a duplicate is refused."""
    found: dict[str, str] = {}
    for name, values in request.GET.lists():
        if len(values) > 1:
            raise invalid_value(f"{name[:_LONGEST_NAME]} is given twice.")
        found[name] = str(values[0])
    return found


def _projection(request: HttpRequest, kind: ResourceType) -> Projection:
    given = parameters(request)
    return projection(kind, attributes=given.get("attributes"), excluded=given.get("excludedAttributes"))


def _document(request: HttpRequest, content: Resource) -> HttpResponse:
    if "filter" in request.GET:
        raise ScimError(403, None, "Discovery cannot be filtered.")
    return json_response(content)


def _documents(request: HttpRequest, found: list[Resource], unverified_name: str | None) -> HttpResponse:
    if unverified_name is None:
        return _document(request, documents.list_response(found, total=len(found), start=1))
    wanted: list[Json] = [one for one in found if str(one["id"]).lower() == unverified_name.lower()]
    if not wanted or not isinstance(wanted[0], dict):
        raise not_found()
    return _document(request, wanted[0])
