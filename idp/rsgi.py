"""The application that `manage.py serve` runs, by granian's RSGI: a request is read whole, then answered in a thread.

RSGI, and not WSGI, because it passes header names unchanged, and lets a body be awaited with a deadline before a thread
is used. Django's handlers stay synchronous, one request per thread. There are two handlers: for pages with everything a
browser needs, and for machines.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import django
from django.conf import settings
from django.core import signals
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.urls import set_script_prefix
from django.utils.http import parse_header_parameters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django.http import HttpRequest
    from django.urls import ResolverMatch

    from idp.edge.intake import Scope, Transport

logger = logging.getLogger(__name__)
_MOST_FIXED = 64  # paths; the routes of programs without a variable part are fewer


class Utf8Request(WSGIRequest):
    """A request whose Content-Type never changes how it is read: UTF-8, always.

    Django's own switches to any codec that a caller names, and parses the query to do so, outside of all that turns an
    exception into a refusal: `charset=base64`, or 101 parameters beside any charset, were a bare 500.
    """

    def _set_content_type_params(self, meta: Mapping[str, Any]) -> None:
        try:
            found = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except Exception:  # noqa: BLE001 - Python's mail parser, on an unverified header
            found = ("", {})
        self.content_type, self.content_params = found


class Handler(WSGIHandler):
    """Django's handler, for such requests."""

    request_class = Utf8Request

    def answer(self, environ: dict[str, Any]) -> Answer:
        """The whole answer to a whole request."""
        set_script_prefix("/")
        signals.request_started.send(sender=self.__class__, environ=environ)
        response = self.get_response(self.request_class(environ))
        try:
            content = b"".join(response)
            cookies = [("set-cookie", morsel.OutputString()) for morsel in response.cookies.values()]
            return response.status_code, [*response.items(), *cookies], content
        finally:
            response.close()  # sends `request_finished`, which looks after this thread's database connection


class MachineHandler(Handler):
    """The handler for programs (`edge.routes`): no cookies are read or set, so no middleware for them runs.

    The edge still runs in front: hosts, sizes, refusals and headers are the same. A test holds that every view there
    needs no more.
    """

    def __init__(self) -> None:
        self._fixed: dict[str, ResolverMatch] = {}
        super().__init__()

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: FBT001, FBT002 - Django's signature
        """The edge, and nothing else."""
        with _with_settings(MIDDLEWARE=["idp.edge.middleware.Edge"]):
            super().load_middleware(is_async)

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        """The view: paths without a variable part are looked up, and not compared with every pattern again."""
        found = self._fixed.get(request.path_info)
        if found is None:
            found = super().resolve_request(request)
            if not found.args and not found.kwargs and len(self._fixed) < _MOST_FIXED:
                self._fixed[request.path_info] = found
        request.resolver_match = found
        return found


@contextmanager
def _with_settings(**changed: object) -> Iterator[None]:
    """Django reads its middleware from its settings alone, once, when a handler is made."""
    was = {name: getattr(settings, name) for name in changed}
    try:
        for name, value in changed.items():
            setattr(settings, name, value)
        yield
    finally:
        for name, value in was.items():
            setattr(settings, name, value)


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
django.setup(set_prefix=False)
from idp.edge import caller, intake, listeners, routes  # noqa: E402 - Django's apps come first
from idp.edge.answered import AnsweredRequests  # noqa: E402
from idp.edge.lanes import Job, Lane  # noqa: E402

Answer = tuple[int, list[tuple[str, str]], bytes]
_BUSY: Answer = (
    503,
    [("content-type", "text/plain"), ("cache-control", "no-store"), ("retry-after", "5")],
    b"Too many requests are waiting. Try again in a few seconds.",
)
_FAILED: Answer = (500, [("content-type", "text/plain"), ("cache-control", "no-store")], b"Internal error.")

_pages, _machines = Handler(), MachineHandler()


def answer(environ: dict[str, Any], body: bytes = b"") -> Answer:
    """Answer one request that is whole, in this thread."""
    handler = _machines if routes.is_of_a_machine(environ["PATH_INFO"]) else _pages
    return handler.answer(intake.with_body(environ, body))


class Application:
    """The callable of granian, on its event loop; nothing here waits for a database, a lock or a slow caller."""

    def __init__(self, threads: int) -> None:
        self.lanes = {name: Lane(name, count or threads) for name, count in routes.LANES.items()}
        self._held = intake.Held()
        self._answered = AnsweredRequests()

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Once for each process, before it serves."""
        listeners.watch(loop)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Once for each process, after it has served."""
        self._answered.end_all()
        loop.run_until_complete(asyncio.sleep(0))

    async def __rsgi__(self, scope: Scope, transport: Transport) -> None:
        """Read, and let a thread answer."""
        self._answered.end_all()
        environ = intake.environ(scope)
        network = caller.network(environ[intake.PEER])
        body = b""
        # Prepared documents (discovery, keys) can be served here, before any thread.
        if intake.REFUSED not in environ and intake.has_body(environ):
            body = await intake.read(environ, transport, self._held, network)
        ended = self._answered.begin()

        def run() -> None:
            try:
                transport.response_bytes(*answer(environ, body))
            except BaseException:
                logger.exception("a request was not answered")
                transport.response_bytes(*_FAILED)
            finally:
                self._answered.add(ended)

        def shed() -> None:
            try:
                transport.response_bytes(*_BUSY)
            finally:
                self._answered.add(ended)

        lane = self.lanes[routes.lane(environ["PATH_INFO"], environ["REQUEST_METHOD"])]
        lane.submit(Job(network, run, shed))
        try:
            await ended
        finally:
            if body:
                self._held.drop(network, len(body))
