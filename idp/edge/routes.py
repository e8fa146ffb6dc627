"""The properties of a path before any reading: its callers, its largest body, and its lane."""

from __future__ import annotations

import re

from idp.gate import Kind

SCIM = ("/scim/", "/certificate/scim/")
PROBES = ("/livez", "/readyz")
AT_BOTH_HOSTS = "/.well-known/est/"
# Their errors are JSON objects in OAuth's form.
PROTOCOL = (
    "/oidc/token",
    "/oidc/par",
    "/oidc/introspect",
    "/oidc/revoke",
    "/oidc/userinfo",
    "/oidc/jwks",
    "/oidc/register",
    "/oidc/device_authorization",
    "/enrol/v1/",
    "/requests/decisions",
    "/.well-known/",
    "/pki/",
    "/certificate/oidc/",
)
# Called by programs only: their views read no cookie, and run without the middleware for cookies (`idp.rsgi`).
MACHINES = (
    "/oidc/token",
    "/oidc/par",
    "/oidc/introspect",
    "/oidc/revoke",
    "/oidc/userinfo",
    "/oidc/jwks",
    "/oidc/register",
    "/oidc/device_authorization",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/.well-known/ramet-checkpoint-keys",
    "/certificate/oidc/",
    *SCIM,
    "/pki/",
    "/enrol/v1/",
    "/requests/decisions",
    *PROBES,
)
TAKES_FILES = {
    re.compile(r"/devices/certificates/(add|[0-9a-f-]{36}/reissue)"): 128 * 1024,
    re.compile(r"/console/people/[0-9a-f-]{36}/checks"): 768 * 1024,
    re.compile(r"/console/batches"): 768 * 1024,
}
_MOST_BODY = 256 * 1024
_MOST_FILE = 1024 * 1024  # the page names the file that is too large; this only bounds the memory
_MOST_SCIM = 1024 * 1024
MOST_QUERY = 16 * 1024

# The name of a lane and its threads; None: as many as `manage.py serve --threads` says.
LANES: dict[str, int | None] = {
    "live": 1, "ready": 1, "endings": 2, "scim": 2, "scim-reads": 1, "bulk": 1, "others": None,
}  # fmt: skip
# Requests that end a credential or token, or ask for its status.
_ENDINGS = re.compile(
    r"(?:/certificate)?/oidc/(?:revoke|introspect)|/oidc/logout(?:/.*)?|/undo/.*|/sessions/.*|/devices/(?:.*/)?(?:remove|report|end)"
)
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_BULK = re.compile(r"(?:/certificate)?/scim/v2/Bulk/?")


# The kind of an anonymous request for `idp.gate`, by the first path that matches. Other paths of programs begin with
# the authentication of a client, a source or a token.
_GATED: tuple[tuple[re.Pattern[str], Kind | None], ...] = (
    (re.compile(r"/requests/decisions"), Kind.CODE),
    (re.compile(r"/static/.*|/oidc/logout.*|/undo/.*|/sessions/.*"), None),
    (re.compile(r"/oidc/authorize"), Kind.AUTHORIZE),
    (re.compile(r"/login/upstream/.*|/devices/roots/upstream/.*"), Kind.UPSTREAM),
    (re.compile(r"/enrol/v1/.*|/enrol/passkey/.*|/\.well-known/est/simpleenroll"), Kind.CODE),
)


def kind(path: str) -> Kind | None:
    """What a stranger's request at this path counts as; None where nothing is read or written for a stranger."""
    if is_of_a_machine(path) and not path.startswith(("/enrol/", "/requests/")):
        return None
    for place, found in _GATED:
        if place.fullmatch(path):
            return found
    return None if path.startswith(AT_BOTH_HOSTS) else Kind.PAGE


def is_of_a_machine(path: str) -> bool:
    """True if only programs call this URL."""
    return path.startswith(MACHINES)


def most_file(path: str) -> int:
    """The most bytes of a form with files at this path; 0 where none are taken."""
    return next((size for place, size in TAKES_FILES.items() if place.fullmatch(path)), 0)


def most_body(path: str) -> int:
    """The most bytes of a request's body that are read at this path."""
    if path.startswith(SCIM):
        return _MOST_SCIM
    return _MOST_FILE if most_file(path) else _MOST_BODY


def lane(path: str, method: str) -> str:
    """The lane whose threads answer this request; long searches of a source delay no ending by another one."""
    if path in PROBES:
        return "live" if path == "/livez" else "ready"
    if path.startswith(SCIM):
        if method in _READS or path.endswith("/.search"):
            return "scim-reads"
        return "bulk" if _BULK.fullmatch(path) else "scim"
    return "endings" if _ENDINGS.fullmatch(path) else "others"
