"""A sample API with a requirement for each request (RFC 9470): the trips of a traveller, payments, and the vault.

    GET  /trips      any live token for this API
    POST /payments   AAL2, from a sign-in of the last five minutes
    POST /vault      AAL3

`python -m demo.api --issuer URL --resource URI` serves it on loopback; see docs/step-up.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx

from demo.server import free_port
from demo.web import serving
from resource_server import Api, Call, Challenge, Verified, protect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

AAL2, AAL3 = (f"http://idmanagement.gov/ns/assurance/aal/{level}" for level in (2, 3))
FRESH = 300


def views(api: Api) -> dict[tuple[str, str], Callable[[Call], dict[str, Any]]]:
    """The views, by method and path."""

    @protect(api)
    def trips(_call: Call, claims: dict[str, Any]) -> dict[str, Any]:
        return {"traveller": claims["sub"], "trips": ["Moss Valley, in May"]}

    @protect(api, acr_values=(AAL2,), max_age=FRESH)
    def pay(_call: Call, claims: dict[str, Any]) -> dict[str, Any]:
        return {"paid_by": claims["sub"], "acr": claims["acr"]}

    @protect(api, acr_values=(AAL3,))
    def vault(_call: Call, claims: dict[str, Any]) -> dict[str, Any]:
        return {"opened_by": claims["sub"]}

    return {("GET", "/trips"): trips, ("POST", "/payments"): pay, ("POST", "/vault"): vault}


def application(api: Api, *, base: str) -> WSGIApplication:
    """The API. base: its public URL, for which DPoP proofs are made; never taken from the Host header."""
    table = views(api)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method, path = str(environ["REQUEST_METHOD"]), str(environ.get("PATH_INFO", "/"))
        view = table.get((method, path))
        names = {"authorization": "HTTP_AUTHORIZATION", "dpop": "HTTP_DPOP"}
        call = Call(
            method=method,
            url=base + path,
            headers={name: str(environ[key]) for name, key in names.items() if key in environ},
        )
        headers: dict[str, str] = {}
        try:
            status, body = (200, view(call)) if view else (404, {"error": "not_found"})
        except Challenge as challenge:
            status, body, headers = challenge.status, challenge.body, challenge.headers
        start_response(
            f"{status} {HTTPStatus(status).phrase}",
            [("Content-Type", "application/json"), ("Cache-Control", "no-store"), *headers.items()],
        )
        return [json.dumps(body).encode()]

    return app


def main() -> None:
    """Serve the API until Ctrl+C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--issuer", default="http://localhost:8000", help="where Ramet is")
    parser.add_argument(
        "--resource", default="https://api.example.org/", help="this API's resource indicator: the `aud` of its tokens"
    )
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    options = parser.parse_args()
    port = options.port or free_port()
    base = f"http://127.0.0.1:{port}"
    api = Api(worth=Verified(issuer=options.issuer, resource=options.resource, http=httpx.Client(timeout=10)))
    with serving(application(api, base=base), host="127.0.0.1", port=port):
        sys.stdout.write(f"the sample API is at {base}: GET /trips, POST /payments, POST /vault\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)
