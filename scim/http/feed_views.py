"""The feed over HTTP: `/Feed/Users` and `/Feed/Groups`, as cursor lists and single resources.

`/Feed` is the base of the relative subject paths in a SET (RFC 9967 §2.1). `/Feed/Events`, which receivers poll, is
signed, and therefore in `idp.signals.feed`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpResponse
from django.urls import reverse

from derived import clock
from scim.errors import ScimError, invalid_value
from scim.feed import receivers
from scim.http import cursors, documents
from scim.http import feed_snapshot as following
from scim.http.answers import json_response, scim_view
from scim.http.views import cursor_key, parameters
from scim.protocol import tags
from scim.protocol.user import USER

if TYPE_CHECKING:
    from django.http import HttpRequest

_KNOWN = frozenset({"count", "cursor"})
_LONGEST_CURSOR = 512
_MOST_DIGITS = 9


@scim_view("GET", "HEAD")
def feed_list(request: HttpRequest, kind: str) -> HttpResponse:
    """`/Feed/Users` and `/Feed/Groups`: a page of all resources visible to this receiver."""
    now = clock.now()
    receiver = receivers.of_request(request, now=now)
    given = parameters(request)
    if strange := sorted(given.keys() - _KNOWN):
        raise ScimError(403, None, f"A feed takes only count and cursor; {strange[0][:32]} does not apply.")
    listed, key = following.list_identity(receiver, kind), cursor_key()
    after = cursors.unseal(given["cursor"][:_LONGEST_CURSOR], listed, key=key, now=now) if given.get("cursor") else None
    found, further = following.page_for(
        receiver, kind, count=_count(given.get("count")), after=after, base=_base(request), now=now
    )
    sealed = cursors.seal(further, listed, key=key, now=now) if further else None
    return json_response(documents.list_response(found, total=None, after=sealed))


@scim_view("GET", "HEAD")
def feed_resource(request: HttpRequest, kind: str, unverified_id: str) -> HttpResponse:
    """`/Feed/Users/{id}` and `/Feed/Groups/{id}`: a single resource, for receivers of notices."""
    receiver = receivers.of_request(request, now=clock.now())
    found = following.resource_for(receiver, kind, unverified_id, base=_base(request))
    about = found["meta"]
    etag = str(about["version"]) if isinstance(about, dict) else ""
    if tags.names(request.headers.get("If-None-Match"), etag):
        return HttpResponse(status=304, headers={"ETag": etag})
    response = json_response(found)
    response["ETag"] = etag
    return response


def _base(request: HttpRequest) -> str:
    came_by = request.resolver_match.namespace if request.resolver_match else None
    return request.build_absolute_uri(reverse("scim:feed-users", current_app=came_by)).removesuffix(USER.endpoint)


def _count(unverified: str | None) -> int:
    """The page size; numbers outside 0 to 200 are clamped (RFC 7644 §3.4.2.4)."""
    if unverified is None:
        return documents.DEFAULT_RESULTS
    digits = unverified.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS):
        raise invalid_value("count must be a number.")
    return max(0, min(int(unverified), documents.MOST_RESULTS))
