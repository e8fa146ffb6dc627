"""What is done to the parts of a valid request: dropped, repeated, swapped, made long, deep, foreign, or another
type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fuzz.wire import FORM, JSON, SCIM, Draft, Jws, Pairs

if TYPE_CHECKING:
    from random import Random

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"]
TYPES = [
    FORM,
    JSON,
    SCIM,
    "",
    "text/plain",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "application/json; charset=utf-16",
    "application/scim+json; charset=\x7f",
    FORM + "; charset=nonsense",
    "a/b; =; ;;",
    "application/xml",
    ";",
    "\u00e9/\u00e9",
    "multipart/form-data; boundary=" + "x" * 300,
    FORM + "; charset=utf-7",
    JSON + "; charset=base64",
    FORM + "; charset*=x'y'%ff",
    SCIM + "; charset=rot13",
    "x" * 20_000,
    FORM + "; " * 3000,
]
TEXTS = [
    "",
    " ",
    "\x00",
    "a\x00b",
    "\ud800",
    "\udfff\ud800",
    "\U0001f4a3" * 40,
    "A" * 300,
    "A" * 5000,
    "%",
    "%00",
    "%zz",
    "../../etc/passwd",
    "\r\nSet-Cookie: x=1",
    "' OR 1=1 --",
    '"',
    "\\",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "\u202eevil",
    "e\u0301",
    "\uff11\uff12\uff13",
    "\u00b2",
    "-1",
    "0",
    "1e999",
    "9" * 40,
    "null",
    "true",
    "[]",
    "{}",
    "NaN",
    "a" * 43,
    "//evil.example/",
    "https://evil.example/cb",
    "https://app.example/callback.evil.example",
    "https://app.example@evil.example/callback",
    "javascript:alert(1)",
    "/\\evil.example",
    "\u2028",
    "\x85",
    "\x7f",
    "\ufeff",
    "\ufffe",
    "urn:ietf:params:oauth:jwk-thumbprint:sha-256:x",
    "eyJhbGciOiJub25lIn0.e30.",
    "..",
    "a.b.c",
    "....",
    "eyJ9.eyJ9.eyJ9",
    "=" * 44,
    "a" * 64,
    "00000000-0000-0000-0000-000000000000",
    "openid openid",
    "plain",
    "none",
]
BYTES = [b"%", b"%f", b"%ED%A0%80", b"%C0%AF", b"%FF", b"%00", b"+", b"&&&", b"=", b";", b"%26client_id%3Dx", b"a=b"]
NUMBERS = [0, -1, 1, 2**31, 2**63, 2**64, 10**40, -(10**40), 1.5, 1e308, True, False, None]
ATTRIBUTES = [
    "userName",
    'emails[type eq "work"].value',
    "emails[",
    "name.",
    "name.givenName.x",
    "urn:ietf:params:scim:schemas:core:2.0:User:userName",
    "active",
    "password",
    "id",
    "meta.version",
    "groups",
    'emails[type eq "work"',
    "a" * 3000,
    "urn:x:y",
    "emails[value pr]",
    "schemas",
]
FILTERS = [
    'userName eq "a"',
    "userName eq",
    "not (userName pr)",
    "(" * 40 + "userName pr" + ")" * 40,
    'userName co "' + "x" * 3000 + '"',
    'nothing eq "x"',
    "userName pr and " * 150 + "userName pr",
    'emails[type eq "work" and value co "@"]',
    "active eq 1",
    'userName eq "\x00"',
    'meta.lastModified gt "x"',
    "userName eq null",
    "userName gt true",
    "emails[",
    "\u00e9 pr",
    'id eq "x" or',
    'userName eq "\\ud800"',
    'userName eq "\\"',
    "1 eq 1",
    'userName.x.y eq "z"',
    "active gt true",
    'externalId sw "\uff11"',
    "[",
    ")",
    "not",
    "pr pr pr",
]
HEADERS = [
    "Authorization",
    "DPoP",
    "Origin",
    "Referer",
    "If-Match",
    "If-None-Match",
    "Accept",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "Host",
    "Accept-Language",
    "X-HTTP-Method-Override",
    "Content-Encoding",
    "Range",
    "User-Agent",
    "Content-Type",
    "Expect",
    "X-CSRFToken",
    "Accept-Encoding",
]
VALUES = [
    "Bearer",
    "Bearer  x",
    "Basic",
    "Basic !!!!",
    "Basic Og==",
    "Basic YTpi",
    "Basic /////w==",
    "DPoP",
    "DPoP x.y.z",
    "Negotiate x",
    "*",
    'W/"1"',
    "localhost:8000",
    "evil.example",
    "localhost:99999",
    "[::1",
    "gzip",
    "-1",
    "1",
    "99999999999999999999",
    "abc",
    "chunked",
    "null",
    "https://evil.example",
    "127.0.0.1, evil",
    "::ffff:127.0.0.1",
    "100-continue",
    "bytes=0-",
    "x" * 9000,
]


def nasty(random: Random) -> Any:
    """A value for a parameter."""
    kind = random.random()
    if kind < 0.7:
        return random.choice(TEXTS)
    return random.choice(BYTES) if kind < 0.85 else random.choice(FILTERS + ATTRIBUTES)


def nasty_json(random: Random) -> Any:
    """A value for a member."""
    kind = random.random()
    if kind < 0.35:
        return random.choice(TEXTS)
    if kind < 0.6:
        return random.choice(NUMBERS)
    if kind < 0.7:
        return random.choice(ATTRIBUTES + FILTERS)
    nested: Any = random.choice(NUMBERS)
    for _ in range(random.choice([1, 2, 20, 40, 200])):
        nested = [nested] if random.random() < 0.5 else {random.choice(["a", "value", "type", ""]): nested}
    return nested


def mutated(draft: Draft, random: Random) -> Draft:
    """A copy with one to four things wrong; once in twenty with nothing wrong at all."""
    found = draft.copy()
    if random.random() < 0.05:
        return found
    for _ in range(random.choice([1, 1, 1, 2, 2, 3, 4])):
        random.choice(_choices(found))(found, random)
    if random.random() < 0.06:
        found.raw = _bitten(found.body(), random)
    return found


def _choices(draft: Draft) -> list[Any]:
    """What can be done to this one: where its meaning is, twice as often."""
    choices: list[Any] = [_method, _type, _header, _header, _cookie, _path, _query]
    if draft.form is not None:
        choices += [_form] * 12
    if draft.document is not None:
        choices += [_document] * 12
    if draft.query:
        choices += [_query] * 6
    if draft.headers:
        choices += [_own_header] * 4
    return choices


def _method(draft: Draft, random: Random) -> None:
    draft.method = random.choice(METHODS)


def _type(draft: Draft, random: Random) -> None:
    draft.content_type = random.choice(TYPES)


def _header(draft: Draft, random: Random) -> None:
    draft.headers[random.choice(HEADERS)] = random.choice(VALUES) if random.random() < 0.7 else random.choice(TEXTS)


def _own_header(draft: Draft, random: Random) -> None:
    name = random.choice(sorted(draft.headers))
    value = draft.headers[name]
    if isinstance(value, Jws) and random.random() < 0.8:
        _jws(value, random)
    elif random.random() < 0.3:
        del draft.headers[name]
    else:
        draft.headers[name] = _edited(str(value), random) if isinstance(value, str) else random.choice(VALUES)


def _cookie(draft: Draft, random: Random) -> None:
    if draft.cookies and random.random() < 0.5:
        del draft.cookies[random.choice(sorted(draft.cookies))]
    else:
        name = random.choice(["ramet_session", "ramet_csrf", "ramet_known", "x", ""])
        draft.cookies[name] = random.choice([*TEXTS, "x" * 64000, '"quoted', "a;b", "\\073"])


def _path(draft: Draft, random: Random) -> None:
    parts = draft.path.split("/")
    where = random.randrange(1, len(parts))
    parts[where] = random.choice(
        ["", "%00", "%2e%2e", "%ff", "a" * 2000, "%F0%9F%92%A3", "..", "x", "%0d%0a", "%C0%AF", parts[where] + "%20"]
    )
    draft.path = "/".join(parts)


def _query(draft: Draft, random: Random) -> None:
    _pairs(draft.query, random)


def _form(draft: Draft, random: Random) -> None:
    assert draft.form is not None
    _pairs(draft.form, random)


def _pairs(pairs: Pairs, random: Random) -> None:
    if not pairs or random.random() < 0.12:
        names = [
            "request",
            "request_uri",
            "claims",
            "registration",
            "prompt",
            "filter",
            "count",
            "resource",
            "",
            "\x00",
            "client_id",
            "attributes",
        ]
        pairs.append((random.choice(names), nasty(random)))
        return
    where, kind = random.randrange(len(pairs)), random.random()
    name, value = pairs[where]
    if kind < 0.15:
        del pairs[where]
    elif kind < 0.25:
        pairs.append((name, value if random.random() < 0.5 else nasty(random)))
    elif isinstance(value, Jws) and kind < 0.9:
        _jws(value, random)
    elif kind < 0.4 and isinstance(value, str):
        pairs[where] = (name, _edited(value, random))
    elif kind < 0.43:
        pairs += [(f"p{number}", "x") for number in range(random.choice([20, 60, 200]))]
    else:
        pairs[where] = (name, nasty(random))


def _edited(value: str, random: Random) -> str:
    """The same text with a small thing wrong."""
    where = random.randrange(len(value) + 1)
    return random.choice([
        value[:where], value[:where] + random.choice(TEXTS) + value[where:], value + value, value.swapcase(),
        value[::-1], value + "=", " " + value,
    ])  # fmt: skip


def _jws(token: Jws, random: Random) -> None:
    """Another claim or header, still rightly signed; or a signature that is wrong."""
    if random.random() < 0.1:
        token.spoilt = True
        return
    part = token.header if random.random() < 0.4 else token.payload
    names = (
        ["alg", "typ", "kid", "jwk", "crit", "b64", "zip", "x5c", "jku"]
        if part is token.header
        else [*part, "exp", "nbf", "ath", "nonce", "cnf"]
    )
    name = random.choice(names)
    if name in part and random.random() < 0.25:
        del part[name]
    elif name == "jwk" and isinstance(part.get(name), dict):
        part[name] = {**part[name], random.choice(["x", "y", "d", "crv", "kty", "k"]): nasty_json(random)}
    else:
        part[name] = (
            random.choice(["none", "HS256", "RS256", "ES256", "EdDSA", ["b64"], 1])
            if name == "alg"
            else nasty_json(random)
        )


def _document(draft: Draft, random: Random) -> None:
    """One node of the JSON tree: gone, another type, deeper, or twice."""
    holders = list(_holders(draft.document))
    if not holders or random.random() < 0.05:
        draft.document = nasty_json(random)
        return
    holder = random.choice(holders)
    if isinstance(holder, list):
        where: Any = random.randrange(len(holder)) if holder else None
    else:
        where = random.choice(sorted(holder)) if holder else None
    if where is None or random.random() < 0.1:
        _grow(holder, random)
    elif isinstance(holder[where], Jws) and random.random() < 0.8:
        _jws(holder[where], random)
    elif random.random() < 0.2:
        del holder[where]
    else:
        holder[where] = nasty_json(random)


def _grow(holder: Any, random: Random) -> None:
    if isinstance(holder, list):
        holder += [nasty_json(random) for _ in range(random.choice([1, 3, 60]))]
    else:
        holder[str(random.choice(TEXTS + ATTRIBUTES))] = nasty_json(random)


def _holders(value: Any) -> Any:
    if isinstance(value, dict | list):
        yield value
        for one in value.values() if isinstance(value, dict) else value:
            yield from _holders(one)


def _bitten(body: bytes, random: Random) -> bytes:
    """Bytes cut, flipped, doubled or put in."""
    where = random.randrange(len(body) + 1)
    return random.choice([
        body[:where], body[:where] + bytes([random.randrange(256)]) + body[where + 1 :], body + body,
        b"\xff\xfe" + body, b"\xef\xbb\xbf" + body,
        body[:where] + b"\x00" + body[where:], b"[" * 5000, b'{"a":' * 3000, b"\x1f\x8b\x08" + body,
        body.replace(b'"', b"'"),
        b'{"schemas":[],"schemas":[]}', b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--',
    ])  # fmt: skip
