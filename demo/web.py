"""Serve a WSGI application in threads of this process, with or without TLS; for demonstrations only."""

from __future__ import annotations

import ssl
import threading
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from wsgiref.types import WSGIApplication


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - codes stand in these lines
        """Log nothing: request lines have authorization codes in them."""


@contextmanager
def serving(
    app: WSGIApplication, *, host: str, port: int, certificate: tuple[Path, Path] | None = None
) -> Iterator[WSGIServer]:
    """Serve the app in threads until the block ends.

    certificate: the PEM files of a TLS certificate and its key.
    """
    server = make_server(host, port, app, server_class=_ThreadingServer, handler_class=_QuietHandler)
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="web", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
