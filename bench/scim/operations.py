"""The rows of the table: for each, requests in a server's own spelling; each change has its own person."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from bench.scim.people import body, mark

if TYPE_CHECKING:
    from collections.abc import Callable

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
_OPERATIONS_OF_A_BULK = 1000
_STEP = 7_919  # a prime, so that consecutive numbers are far apart


class Server(Protocol):
    """A measured server. without: the rows that it does not offer, with the reason."""

    name: str
    port: int
    root: str
    headers: dict[str, str]
    group: str
    users: int
    members: int
    without: dict[str, str]

    def id_of(self, number: int) -> str:
        """The SCIM id of a filled person."""
        ...

    def megabytes(self) -> float:
        """The memory of its worker, in megabytes."""
        ...

    def cpu(self) -> float:
        """Its processor time, in seconds."""
        ...

    def stop(self) -> None:
        """Stop the server."""
        ...


@dataclass
class Asked:
    """The next person for each kind of request to one server: joiners, leavers (from the end), members."""

    created: int = 0
    left: int = 0
    joined: int = 0
    looked_at: int = 0

    def give_back(self, before: Asked, made: int, sent: int) -> None:
        """Return the people of requests that were not sent."""
        for name in ("created", "left", "joined"):
            moved = (getattr(self, name) - getattr(before, name)) // made
            setattr(self, name, getattr(before, name) + moved * sent)


def request(server: Server, method: str, path: str, value: Any = None) -> bytes:  # noqa: ANN401 - JSON
    """One request as bytes."""
    data = b"" if value is None else json.dumps(value).encode()
    lines = [
        f"{method} {server.root}{path} HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        "Accept: application/scim+json",
    ]
    lines += [f"{name}: {value}" for name, value in server.headers.items()]
    if data:
        lines += ["Content-Type: application/scim+json", f"Content-Length: {len(data)}"]
    return "\r\n".join([*lines, "", ""]).encode() + data


def _anybody(server: Server, asked: Asked) -> int:
    asked.looked_at += 1
    return asked.looked_at * _STEP % server.users + 1


def _new(server: Server, asked: Asked) -> dict[str, Any]:
    asked.created += 1
    return body(mark(server.users * 10 + asked.created))


def create(server: Server, asked: Asked) -> bytes:
    """Create a person."""
    return request(server, "POST", "/Users", _new(server, asked))


def get(server: Server, asked: Asked) -> bytes:
    """Get a person by id."""
    return request(server, "GET", f"/Users/{server.id_of(_anybody(server, asked))}")


def find(server: Server, asked: Asked) -> bytes:
    """Find a person by userName."""
    name = f'userName eq "{body(mark(_anybody(server, asked)))["userName"]}"'
    return request(server, "GET", f"/Users?filter={quote(name)}")


def _page(start: int) -> str:
    return f"/Users?startIndex={start}&count=100"


def first_page(server: Server, _asked: Asked) -> bytes:
    """The first page of 100."""
    return request(server, "GET", _page(1))


def middle_page(server: Server, _asked: Asked) -> bytes:
    """A page of 100 in the middle."""
    return request(server, "GET", _page(server.users // 2 + 1))


def last_page(server: Server, _asked: Asked) -> bytes:
    """The last page of 100."""
    return request(server, "GET", _page(server.users - 99))


def leave(server: Server, asked: Asked) -> bytes:
    """Deactivate a person, each once."""
    asked.left += 1
    message = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]}
    return request(server, "PATCH", f"/Users/{server.id_of(server.users - asked.left)}", message)


def join(server: Server, asked: Asked) -> bytes:
    """Add a member to the large group, each once."""
    asked.joined += 1
    member = server.id_of(server.members + asked.joined)
    message = {"schemas": [PATCH], "Operations": [{"op": "add", "path": "members", "value": [{"value": member}]}]}
    return request(server, "PATCH", f"/Groups/{server.group}", message)


def bulk(server: Server, asked: Asked) -> bytes:
    """Create 1,000 people in one bulk."""
    posts = [
        {"method": "POST", "path": "/Users", "bulkId": str(place), "data": _new(server, asked)}
        for place in range(_OPERATIONS_OF_A_BULK)
    ]
    return request(server, "POST", "/Bulk", {"schemas": [BULK], "Operations": posts})


@dataclass(frozen=True)
class Row:
    """One row. aim: the target per second. connections: in parallel. most: the number of prepared requests."""

    title: str
    made: Callable[[Server, Asked], bytes]
    aim: float
    connections: int = 4
    most: int = 3000
    good: tuple[int, ...] = (200,)


ROWS = {
    "create": Row("create", create, 400, good=(201,)),
    "get": Row("GET by id", get, 700, most=6000),
    "find": Row("filter userName eq", find, 600, most=5000),
    "first": Row("page of 100, first", first_page, 60, connections=2, most=600),
    "middle": Row("page of 100, middle", middle_page, 60, connections=2, most=600),
    "last": Row("page of 100, last", last_page, 60, connections=2, most=600),
    "leave": Row("PATCH active:false, with its cascade", leave, 250, most=1200),
    "join": Row("one member into the large group", join, 100, connections=2, most=800, good=(200, 204)),
    "bulk": Row("bulk of 1,000 creates", bulk, 0.5, connections=1, most=1),
}
