"""httpx's way into the application in this process: through the edge's rules for header fields, without a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import httpx

from idp import rsgi
from idp.edge import intake, routes

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass
class Fields:
    """Header fields, as granian gives them."""

    pairs: list[tuple[str, str]]

    def items(self) -> list[tuple[str, str]]:
        return self.pairs


@dataclass
class Scope:
    """A request's head, as granian gives it."""

    method: str
    path: str
    query_string: str = ""
    headers: Fields = field(default_factory=lambda: Fields([]))
    client: str = "127.0.0.1:40000"
    scheme: str = "http"
    http_version: str = "1.1"
    authority: str | None = None


def environ(
    method: str, path: str, fields: Iterable[tuple[str, str]] = (), *, query: str = "", client: str = "127.0.0.1"
) -> dict[str, Any]:
    """The environ of a request with these fields; client: its address, or "" for a UNIX socket."""
    pairs = [(name.lower(), value) for name, value in fields]
    address = f"[{client}]:40000" if ":" in client else f"{client}:40000" if client else ""
    return intake.environ(Scope(method, path, query, Fields(pairs), address))


def answer(asked: dict[str, Any], body: bytes = b"") -> rsgi.Answer:
    """The answer to it, from this thread."""
    if len(body) > (most := routes.most_body(asked["PATH_INFO"])) and intake.REFUSED not in asked:
        asked[intake.REFUSED], body = intake.too_large(most), b""
    return rsgi.answer(asked, b"" if intake.REFUSED in asked else body)


class InProcess(httpx.BaseTransport):
    """A caller at this address."""

    def __init__(self, client: str = "127.0.0.1") -> None:
        self.client = client

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path, _, query = request.url.raw_path.partition(b"?")
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        asked = environ(
            request.method,
            unquote_to_bytes(path).decode("utf-8", "replace"),
            fields,
            query=query.decode("latin-1"),
            client=self.client,
        )
        asked["wsgi.url_scheme"] = request.url.scheme
        status, headers, content = answer(asked, request.read())
        return httpx.Response(status, headers=headers, content=content if request.method != "HEAD" else b"")
