"""A request in parts, and its way into the application as a server would bring it: any bytes, nothing tidied up."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, unquote_to_bytes

from tests.fixtures import in_process

if TYPE_CHECKING:
    from device.key import DeviceKey

FORM, JSON, SCIM = "application/x-www-form-urlencoded", "application/json", "application/scim+json"
Pairs = list[tuple[str, Any]]


@dataclass
class Jws:
    """A JWS that is signed when it is sent, so that its parts may be changed before, and the signature still be
    right.
    """

    header: dict[str, Any]
    payload: dict[str, Any]
    key: DeviceKey = field(repr=False)
    spoilt: bool = False

    def compact(self) -> str:
        """The serialisation; spoilt: with another signature."""
        try:
            token = self.key.sign(self.header, self.payload)
        except Exception:  # noqa: BLE001 - joserfc will not sign every header that a fuzzer thinks of
            token = f"{_encoded(self.header)}.{_encoded(self.payload)}.{'A' * 86}"
        return token[:-8] + "AAAAAAAA" if self.spoilt else token


def _encoded(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode("utf-8", "replace")).rstrip(b"=").decode()


@dataclass
class Draft:
    """One request in parts. form and document exclude each other; raw wins over both."""

    method: str
    path: str
    query: Pairs = field(default_factory=list)
    form: Pairs | None = None
    document: Any = None
    raw: bytes | None = None
    content_type: str = ""
    headers: dict[str, Any] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)

    def copy(self) -> Draft:
        """One that may be spoilt."""
        return deepcopy(self)

    def body(self) -> bytes:
        """The bytes of the body."""
        if self.raw is not None:
            return self.raw
        if self.form is not None:
            return encoded(self.form).encode("ascii")
        return b"" if self.document is None else json.dumps(plain(self.document)).encode("ascii")


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


def plain(value: Any) -> Any:
    """A JSON tree with its signatures made."""
    if isinstance(value, Jws):
        return value.compact()
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def encoded(pairs: Pairs) -> str:
    """A query or a form body; a value of bytes goes out as it is, percent signs and all."""
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in pairs)


def _quoted(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1").encode("ascii", "replace").decode()
    return quote_plus(str(plain(value)), encoding="utf-8", errors="surrogatepass")


def _header(value: Any) -> str:
    """A header's value as it arrives: latin-1, without what no server lets through."""
    text = str(plain(value)).encode("utf-8", "surrogatepass").decode("latin-1")
    return "".join(one for one in text if one not in "\r\n\x00")


def deliver(draft: Draft, *, address: str) -> Answer:
    """Send it to the application; an exception that leaves the application is a fault of its own."""
    body = draft.body()
    fields = [("host", "localhost:8000"), ("content-type", _header(draft.content_type))]
    fields += [("content-length", str(len(body)))]
    for name, value in draft.headers.items():
        if name.lower() in {"host", "content-type", "content-length"}:
            fields = [one for one in fields if one[0] != name.lower()]
        fields.append((name, _header(value)))
    if draft.cookies:
        fields.append(("cookie", _header("; ".join(f"{name}={value}" for name, value in draft.cookies.items()))))
    path = unquote_to_bytes(draft.path.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
    asked = in_process.environ(draft.method, path, fields, query=encoded(draft.query), client=address)
    status, headers, content = in_process.answer(asked, body)
    return Answer(status, {name.lower(): value for name, value in headers}, content)
