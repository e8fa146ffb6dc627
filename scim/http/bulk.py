"""Bulk: up to a thousand operations in one request (RFC 7644 §3.7).

Each operation is a transaction of its own, as in a single request: a failed operation changes nothing, and the others
stay. A `bulkId` names the resource that another operation creates. Operations run in order, except that an operation
with a reference waits until its target is created. In a cycle of groups, one is created without its missing members and
gets them as soon as they exist (§3.7.1).
Nothing acknowledged is lost, and the response acknowledges everything at once: the disk is flushed once, after the last
operation (`derived.ledger.locking`).
"""

from __future__ import annotations

import re
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from derived.errors import RametError
from derived.ledger.locking import flushed_once
from scim import callers
from scim.errors import ScimError, invalid_syntax, invalid_value
from scim.http.answers import as_scim
from scim.http.documents import MOST_BULK
from scim.models import Source
from scim.people import directory, groups, provision, refusals
from scim.people.refusals import RefusedRequest
from scim.protocol import operations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from scim.people.directory import Row
    from scim.protocol.schema import Json, Resource

URN = operations.BULK_URN
RESPONSE_URN = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
_REFERENCE = "bulkid:"
_LONGEST_ID = 256
_PATH = re.compile(r"/(Users|Groups)(?:/([^/?]+))?/?")
MOST_SECONDS = 30  # of a thread, for one bulk
_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(kw_only=True)
class BulkOperation:
    """An operation, with its position in the request.

    target: the id in its path, None for a POST. waits: referenced bulkIds that are still to be created.
    """

    place: int
    method: str
    kind: str
    target: str | None
    bulk_id: str | None
    version: str | None
    data: Json
    later: list[Json] = field(default_factory=list)
    waits: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class BulkRequest:
    """A bulk request; fail_on_errors: the number of failures after which the rest is skipped, None for no limit."""

    operations: list[BulkOperation]
    fail_on_errors: int | None


def parse(body: Json) -> BulkRequest:
    """The operations of a bulk request, in a form that can be answered one by one.

    Raises: ScimError invalidSyntax for another message; 413 above a thousand operations.
    """
    if not isinstance(body, dict):
        raise invalid_syntax("The body must be a JSON object.")
    parts = {key.lower(): value for key, value in body.items()}
    schemas, asked, limit = parts.get("schemas"), parts.get("operations"), parts.get("failonerrors")
    if not isinstance(schemas, list) or URN.lower() not in {str(urn).lower() for urn in schemas}:
        raise invalid_syntax(f"schemas must name {URN}.")
    if not isinstance(asked, list) or not asked:
        raise invalid_syntax("Operations must be a list with at least one operation.")
    if len(asked) > MOST_BULK:
        raise ScimError(413, None, f"There are more than {MOST_BULK} operations.")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise invalid_syntax("failOnErrors must be a number above 0.")
    found = [_operation(place, one) for place, one in enumerate(asked)]
    named = [one.bulk_id for one in found if one.bulk_id is not None]
    if len(set(named)) < len(named):
        raise invalid_syntax("A bulkId is given twice.")
    return BulkRequest(found, limit)


def _operation(place: int, given: Json) -> BulkOperation:
    if not isinstance(given, dict):
        raise invalid_syntax("An operation must be a JSON object.")
    parts = {key.lower(): value for key, value in given.items()}
    method, path, bulk_id, version = (parts.get(name) for name in ("method", "path", "bulkid", "version"))
    where = _PATH.fullmatch(path) if isinstance(path, str) else None
    if not isinstance(method, str) or method.upper() not in _METHODS or where is None:
        raise invalid_syntax(
            "An operation needs a method (POST, PUT, PATCH or DELETE) and a path (/Users, /Groups or one of them)."
        )
    if bulk_id is not None and not (isinstance(bulk_id, str) and 0 < len(bulk_id) <= _LONGEST_ID):
        raise invalid_syntax("A bulkId must be a string.")
    if (method.upper() == "POST") != (where[2] is None) or (method.upper() == "POST" and bulk_id is None):
        raise invalid_syntax("A POST goes to /Users or /Groups and has a bulkId; everything else goes to one of them.")
    if version is not None and not isinstance(version, str):
        raise invalid_syntax("A version must be a string.")
    return BulkOperation(
        place=place,
        method=method.upper(),
        kind=where[1],
        target=where[2],
        bulk_id=bulk_id if isinstance(bulk_id, str) else None,
        version=version,
        data=parts.get("data"),
    )


def run(source: Source, asked: BulkRequest, *, base: str, now: datetime) -> Resource:
    """Run the operations, and return the response message with their results in order.

    Operations after the limit of failures are neither run nor answered (§3.7.3); those after the limit of time are
    answered with 503, to be sent again. Each operation counts as a request of the source.
    Raises: ScimError 429.
    """
    callers.check_rate(callers.rate_key(source), source.most_per_minute, now=now, count=len(asked.operations) - 1)
    with flushed_once(lambda: Source.objects.filter(id=source.id).update(last_seen_at=now)):
        return _Run(source, asked, base=base, now=now).all()


class _Run:
    """A bulk request in progress; made: the id behind each bulkId."""

    def __init__(self, source: Source, asked: BulkRequest, *, base: str, now: datetime) -> None:
        self._source, self._asked, self._base, self._now = source, asked, base, now
        self._made: dict[str, str] = {}
        self._waiting_for: dict[str, list[BulkOperation]] = defaultdict(list)
        self._answers: dict[int, Resource] = {}
        self._errors = 0
        self._ends = time.monotonic() + MOST_SECONDS

    def all(self) -> Resource:
        waiting, skipped = deque(self._asked.operations), 0
        unmade = {one.bulk_id for one in waiting if one.method == "POST" and one.bulk_id}
        # computed once: each of a thousand operations may be asked a thousand times whether it can run
        for operation in waiting:
            operation.waits = {name for name in _references(operation.data, operation.target) if name in unmade}
            for name in operation.waits:
                self._waiting_for[name].append(operation)
        while waiting and not self._is_over():
            operation = waiting.popleft()
            if operation.waits and skipped <= len(waiting):
                waiting.append(operation)
                skipped += 1
                continue
            if operation.waits:
                _put_off(operation, operation.waits)
            skipped = 0
            self._one(operation)
            for other in self._waiting_for.pop(operation.bulk_id or "", ()):
                other.waits.discard(operation.bulk_id or "")
        self._complete()
        ordered: list[Json] = [self._answers[place] for place in sorted(self._answers)]
        return {"schemas": [RESPONSE_URN], "Operations": ordered}

    def _is_over(self) -> bool:
        return self._asked.fail_on_errors is not None and self._errors >= self._asked.fail_on_errors

    def _one(self, operation: BulkOperation) -> None:
        try:
            if time.monotonic() > self._ends:
                raise ScimError(
                    503, None, f"The bulk reached its limit of {MOST_SECONDS} s. Send this operation again."
                )
            row = self._done(operation)
        except (ScimError, RametError) as error:
            self._refused(operation, as_scim(error))
            return
        if operation.bulk_id is not None and row is not None:
            self._made[operation.bulk_id] = str(row.id)
        self._answers[operation.place] = self._answer(operation, row)

    def _refused(self, operation: BulkOperation, error: ScimError) -> None:
        self._errors += 1
        self._note(operation, error)
        place = {} if operation.target is None else {"location": f"{self._base}/{operation.kind}/{operation.target}"}
        self._answers[operation.place] = {
            **_head(operation),
            **place,
            "status": str(error.status),
            "response": error.body(),
        }

    def _note(self, operation: BulkOperation, error: ScimError) -> None:
        """Keep the refusal for the operator."""
        target = self._made.get((operation.target or "")[len(_REFERENCE) :]) or operation.target or ""
        refused = RefusedRequest.of_body(operation.method, operation.kind, target[:80], operation.data)
        refusals.note(self._source, refused, error, now=self._now)

    def _answer(self, operation: BulkOperation, row: Row | None) -> Resource:
        if row is None:
            location = f"{self._base}/{operation.kind}/{self._resolved(operation.target)}"
            return {**_head(operation), "location": location, "status": "204"}
        status = "201" if operation.method == "POST" else "200"
        return {
            **_head(operation),
            "location": directory.location(row, base=self._base),
            "version": row.etag,
            "status": status,
        }

    def _done(self, operation: BulkOperation) -> Row | None:
        """Run an operation as in a single request."""
        source, now, data = self._source, self._now, self._resolved(operation.data)
        target, tag = str(self._resolved(operation.target or "")), operation.version
        match operation.method, operation.kind:
            case "POST", "Users":
                return provision.create_user(source, data, now=now)
            case "POST", _:
                return groups.create_group(source, data, now=now)
            case "PUT", "Users":
                return provision.replace_user(source, target, data, if_match=tag, now=now)
            case "PUT", _:
                return groups.replace_group(source, target, data, if_match=tag, now=now)
            case "PATCH", "Users":
                return provision.patch_user(source, target, data, if_match=tag, now=now)
            case "PATCH", _:
                return groups.patch_group(source, target, data, if_match=tag, now=now)
            case _, "Users":
                provision.delete_user(source, target, if_match=tag, now=now)
            case _:
                groups.delete_group(source, target, if_match=tag, now=now)
        return None

    def _resolved(self, value: Json) -> Json:
        """The value with every `bulkId:` reference replaced by an id.

        Raises: ScimError invalidValue for a reference to a resource that was not created.
        """
        if isinstance(value, str) and value.lower().startswith(_REFERENCE):
            made = self._made.get(value[len(_REFERENCE) :])
            if made is None:
                raise invalid_value("A bulkId refers to no resource that was created.")
            return made
        if isinstance(value, list):
            return [self._resolved(one) for one in value]
        return {key: self._resolved(one) for key, one in value.items()} if isinstance(value, dict) else value

    def _complete(self) -> None:
        """Add the members that a cycle of groups postponed and that exist by now."""
        for operation in self._asked.operations:
            answer = self._answers.get(operation.place)
            if not operation.later or answer is None or "response" in answer:
                continue
            target = self._made.get(operation.bulk_id or "") or str(self._resolved(operation.target or ""))
            try:
                message: Json = {
                    "schemas": [operations.URN],
                    "Operations": [{"op": "add", "path": "members", "value": self._resolved(operation.later)}],
                }
                group = groups.patch_group(self._source, target, message, now=self._now)
            except (ScimError, RametError) as error:
                self._refused(operation, as_scim(error))
                continue
            answer["version"] = group.etag


def _head(operation: BulkOperation) -> Resource:
    named: Resource = {} if operation.bulk_id is None else {"bulkId": operation.bulk_id}
    return {"method": operation.method, **named}


def _references(*values: Json) -> Iterator[str]:
    """The bulkIds that a value refers to."""
    waiting: list[Json] = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if value.lower().startswith(_REFERENCE):
                yield value[len(_REFERENCE) :]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()


def _put_off(operation: BulkOperation, missing: set[str]) -> None:
    """Postpone the missing members of a new or replaced group; any other cycle is refused."""
    data = operation.data
    if operation.kind != "Groups" or operation.method not in {"POST", "PUT"} or not isinstance(data, dict):
        return
    for key, members in data.items():
        if key.lower() == "members" and isinstance(members, list):
            operation.later = [one for one in members if set(_references(one)) & missing]
            operation.data = {**data, key: [one for one in members if one not in operation.later]}
