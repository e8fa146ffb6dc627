"""The WSGI application that `manage.py serve` runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping


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


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
django.setup(set_prefix=False)
application = Handler()
