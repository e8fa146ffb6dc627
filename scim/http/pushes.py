"""Writes of a source over HTTP: a refused one is kept for the operator (`scim.people.refusals`)."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from django.core.exceptions import RequestDataTooBig
from django.http.request import RawPostDataException, UnreadablePostError

from derived import clock
from derived.errors import RametError
from scim.errors import ScimError
from scim.http.answers import as_scim
from scim.people import refusals
from scim.people.refusals import RefusedRequest
from scim.protocol import endings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest

    from scim.models import Source
    from scim.protocol.schema import Json

_READS = frozenset({"GET", "HEAD"})


@contextlib.contextmanager
def noted(request: HttpRequest, source: Source, kind: str, unverified_id: str = "") -> Iterator[None]:
    """Keep the refusal of a write, and raise it again. kind: Users, Groups or Bulk."""
    try:
        yield
    except (ScimError, RequestDataTooBig, UnreadablePostError, RametError) as error:
        if request.method not in _READS:
            refusals.note(source, _refused(request, kind, unverified_id), as_scim(error), now=clock.now())
        raise


def _refused(request: HttpRequest, kind: str, unverified_id: str) -> RefusedRequest:
    raw, method = _raw(request), str(request.method)
    return RefusedRequest(
        method=method,
        kind=kind,
        target=unverified_id[:80],
        may_end=kind != "Groups" and endings.may_end(method, raw),
        unverified_body=_json(raw),
    )


def _raw(request: HttpRequest) -> bytes | None:
    """The body; None if it is too large, or was cut off."""
    try:
        return request.body
    except (RequestDataTooBig, UnreadablePostError, RawPostDataException):
        return None


def _json(raw: bytes | None) -> Json:
    """The JSON of a refused body, as far as it is any; only identifiers are read from it."""
    try:
        found: Json = json.loads((raw or b"null").decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return found
