"""The WSGI application that `manage.py serve` runs: pages with all that a browser needs, machines with what a machine needs."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from _typeshed.wsgi import StartResponse


class Utf8Request(WSGIRequest):
    """A request whose Content-Type never changes how it is read: we speak UTF-8, and say so.

    Django's own switches to any codec that a caller names, and parses the query to do so, outside of all that turns an
    exception into a refusal: `charset=base64`, or 101 parameters beside any charset, were a bare 500.
    """

    def _set_content_type_params(self, meta: Mapping[str, Any]) -> None:
        try:
            found = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except Exception:  # noqa: BLE001 - Python's mail parser, on a stranger's header
            found = ("", {})
        self.content_type, self.content_params = found


class Handler(WSGIHandler):
    """Django's handler, for such requests."""

    request_class = Utf8Request


class MachineHandler(Handler):
    """For what programs call (`edge.MACHINES`): no cookie is read or set there, so nothing that serves cookies runs.

    The edge stays in front of it: hosts, sizes, refusals and headers are the same. A test sees that every view there needs no more.
    """

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: FBT001, FBT002 - Django's signature
        """The edge, and nothing else."""
        with _with_settings(MIDDLEWARE=["idp.edge.Edge"]):
            super().load_middleware(is_async)


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
from idp.edge import is_of_a_machine  # noqa: E402 - Django's apps come first

_pages, _machines = Handler(), MachineHandler()


def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Whoever it is for."""
    handler = _machines if is_of_a_machine(environ.get("PATH_INFO", "")) else _pages
    return cast("Iterable[bytes]", handler(environ, start_response))
