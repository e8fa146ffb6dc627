"""Bounds on parameters before any parsing: repeats, lengths, characters (C43, C76, A9, A11, A12, E23; J5)."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from authlib.oauth2.rfc6749 import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.http import HttpRequest

_TEXT = re.compile(r"[\x20-\x7e]*")
# the characters that RFC 6749 appendix A permits in most parameters
_UNQUOTED = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_MOST_PARAMETERS = 200
_MOST = 2048
_MOST_REPEATED = 8192
_TOO_LONG = "too long"
_LENGTHS = {
    "client_id": 255,
    "redirect_uri": 500,
    "scope": 500,
    "state": 2048,
    "nonce": 255,
    "response_type": 64,
    "grant_type": 128,
    "response_mode": 32,
    "code_challenge": 128,
    "code_challenge_method": 16,
    "prompt": 64,
    "max_age": 10,
    "acr_values": 500,
    "login_hint": 320,
    "ui_locales": 100,
    "claims": 4096,
    "id_token_hint": 8192,
    "code": 128,
    "device_code": 128,
    "code_verifier": 128,
    "refresh_token": 128,
    "client_secret": 255,
    "token": 8192,
    "token_type_hint": 32,
    "assertion": 4096,
    "client_assertion": 8192,
    "passphrase": 256,
    "resource": 500,
    "dpop_jkt": 64,
    "request": 8192,
    "request_uri": 500,
    "post_logout_redirect_uri": 500,
}
# Read too, and of no length of their own.
_UNBOUNDED = frozenset({"client_assertion_type", "registration"})
_REPEATED = frozenset({"resource"})  # RFC 8707 §2: repeated values are joined by spaces
_FREE = frozenset({"passphrase", "login_hint", "claims", "state", "ui_locales"})


class MalformedRequest(InvalidRequestError):  # type: ignore[misc]  # Authlib is untyped
    """A parameter is repeated, too long, or has forbidden characters; the description names it.

    sound: the other parameters, from which the client and its redirect URI may still be known (RFC 6749 §4.1.2.1).
    """

    def __init__(self, description: str, sound: Mapping[str, str]) -> None:
        super().__init__(description)
        self.sound = dict(sound)


def is_known(name: str) -> bool:
    """True for a parameter that Ramet reads; all others are ignored (RFC 6749 §3.1, §3.2; ruling 34)."""
    return name in _LENGTHS or name in _UNBOUNDED


def parameters(raw: str) -> dict[str, str]:
    """The known parameters of a query or of a form body.

    Raises: MalformedRequest; InvalidRequestError for too many parameters.
    """
    try:
        # An undecodable value stays one: a known parameter with it is refused below, an unknown one is ignored.
        pairs = parse_qsl(raw, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS, errors="surrogateescape")
    except ValueError:
        raise InvalidRequestError("The request is not form-encoded or has too many parameters.") from None
    return bounded(pairs)


def bounded(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The known parameters of any origin, each checked by itself; empty means omitted (RFC 6749 §3.1).

    Raises: MalformedRequest naming the first faulty parameter.
    """
    found: dict[str, str] = {}
    faults: dict[str, str] = {}
    for name, value in pairs:
        if not is_known(name):
            continue
        if name in found and name not in _REPEATED:
            faults.setdefault(name, f"Parameter {name} comes more than once.")
            found[name] = ""
        elif words := _fault(name, value):
            faults.setdefault(name, words)
            # An answer repeats the state as it was, and the client may have made it too long.
            found[name] = value if name == "state" and _TOO_LONG in words and len(value) <= _MOST_REPEATED else ""
        else:
            found[name] = f"{found[name]} {value}" if name in found else value
    kept = {name: value for name, value in found.items() if value != ""}
    if faults:
        raise MalformedRequest(next(iter(faults.values())), kept)
    return kept


def _fault(name: str, value: str) -> str:
    """The fault of a value, or ""."""
    if _FORBIDDEN.search(value):
        return f"Parameter {name} has control characters, or is not UTF-8."
    if name not in _FREE and not (_UNQUOTED if name in _LENGTHS else _TEXT).fullmatch(value):
        return f"Parameter {name} has characters that are not allowed in it."
    return f"Parameter {name} is {_TOO_LONG}." if len(value) > _LENGTHS.get(name, _MOST) else ""


def form(request: HttpRequest) -> dict[str, str]:
    """The form of a POST to a protocol endpoint, whose URL has no query (A9).

    Raises: InvalidRequestError.
    """
    if request.META.get("QUERY_STRING"):
        raise InvalidRequestError("Send parameters in the body, not in the URL.")
    if request.content_type != "application/x-www-form-urlencoded":
        raise InvalidRequestError("Send the body as application/x-www-form-urlencoded.")
    try:
        raw = request.body.decode("ascii")
    except UnicodeDecodeError:
        raise InvalidRequestError("The body is not form-encoded.") from None
    return parameters(raw)


def headers(request: HttpRequest) -> Mapping[str, str]:
    """The headers that the engine may see; a Basic credential that is not clean never gets there (A12).

    Raises: InvalidRequestError.
    """
    authorization = request.headers.get("Authorization", "")
    if not authorization:
        return {}
    if len(authorization) > _MOST or not _TEXT.fullmatch(authorization):
        raise InvalidRequestError("The Authorization header is malformed.")
    scheme, _, credentials = authorization.partition(" ")
    if not scheme or not credentials.strip():
        raise InvalidRequestError("The Authorization header is malformed.")  # the engine would split it in two, unasked
    if scheme.lower() == "basic":
        try:
            decoded = b64decode(credentials.strip(), validate=True).decode("ascii")
        except (Base64Error, ValueError):
            raise InvalidRequestError("The Authorization header is malformed.") from None
        if ":" not in decoded or not _TEXT.fullmatch(decoded):
            raise InvalidRequestError("The Authorization header is malformed.")
    return {"Authorization": authorization}
