"""A check that the proxy of the certificate host replaces forged headers, through the public address (H4).

The probe sends `RametHop` in every spelling, repeated and empty, by GET and POST, with and without a body, in several
orders, and beside it the names that a careless server would confuse with it, each with a mark in it. The received
headers are examined before any name is folded. The check passes if each request arrives through the trusted proxy
(which has replaced the forged field by its own) without the mark in a relevant header, or is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from idp.config import config
from idp.login import hop
from idp.login.card import PROBE, PROBE_LASTS
from idp.models import Probe
from idp.outbound import NotFetched, fetch
from idp.secrets import hash_secret, opaque

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest

_ASKED = f"{PROBE}-asked"
_LASTS = timedelta(seconds=60)
_REPEAT = timedelta(hours=12)
_SECONDS = 5.0
_STRIPPED = "forged headers are stripped"
_OK, _REFUSED = 200, range(400, 500)
_ARRIVED = "ramet.arrived"
_SPELLINGS = (hop.NAME, hop.NAME.lower(), hop.NAME.upper())
_LIKE_IT = ("Ramet-Hop", "Ramet_Hop", "Ramet_hop")
_FORMER = ("Ramet-Proxy-Secret", "Ramet-Client-Cert", "Ramet-Tls-Resumed")
_OF_OTHERS = ("Client-Cert", "Client-Cert-Chain")
_FORWARDED = ("X-Forwarded-For", "X-Forwarded-Proto", "Forwarded")


@dataclass(frozen=True)
class Attempt:
    """One request of the probe: its method, its forged header fields in their order, and its body."""

    method: str
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def attempts(mark: str) -> Iterator[Attempt]:
    """Every forgery with the mark in it, and then honest requests, which must be believed."""
    methods = (("GET", b""), ("POST", b"a=b"), ("POST", b""), ("GET", b"a=b"))
    for forged in _forgeries(f"secret={mark}; resumed=.; pem={mark}"):
        for method, body in methods:
            yield Attempt(method, forged, body)
    for names in (_LIKE_IT, _both_spellings(_FORMER), _both_spellings(_OF_OTHERS), _both_spellings(_FORWARDED)):
        forged = tuple((name, mark) for name in names)
        yield Attempt("GET", forged)
        yield Attempt("POST", forged[::-1], b"a=b")
    for method, body in methods:
        yield Attempt(method, (), body)


def _forgeries(value: str) -> Iterator[tuple[tuple[str, str], ...]]:
    """The field itself: in each spelling, repeated, and beside an empty one, before and after."""
    yield tuple((name, value) for name in _SPELLINGS[:1])
    yield tuple((name, value) for name in _SPELLINGS)
    yield ((hop.NAME, ""), (hop.NAME, value))
    yield ((_SPELLINGS[1], value), ("Accept-Language", "en"), (_SPELLINGS[2], ""))


def _both_spellings(names: tuple[str, ...]) -> tuple[str, ...]:
    """Each name with hyphens and with underscores, which some servers take for the same."""
    return tuple(spelling for name in names for spelling in (name.replace("-", "_"), name))


def run(*, now: datetime) -> tuple[bool, str]:
    """Probe the certificate host; returns whether the check passed, and words for the operator."""
    passed, words = True, ""
    for number in range(sum(1 for _ in attempts(""))):
        passed, words = _attempt(number, now=now)
        if not passed:
            break
    else:
        words = _STRIPPED
    Probe.objects.update_or_create(name=PROBE, defaults={"at": now, "passed": passed, "words": words[:300]})
    return passed, words


def _attempt(number: int, *, now: datetime) -> tuple[bool, str]:
    nonce = opaque()
    attempt = list(attempts(nonce))[number]
    asked = {"nonce_hash": hash_secret(nonce, kind="probe"), "at": now, "passed": False, "words": ""}
    Probe.objects.update_or_create(name=_ASKED, defaults=asked)
    try:
        got = fetch(
            f"{config().certificate_url}/certificate/probe/{nonce}",
            allowed_hosts=frozenset({hop.netloc()}),
            method=attempt.method,
            content=attempt.body or None,
            fields=attempt.fields,
            most_bytes=4096,
            seconds=_SECONDS,
        )
    except NotFetched as error:
        return False, f"the certificate host could not be reached: {error}"
    if attempt.fields and got.status in _REFUSED:
        return True, ""
    row = Probe.objects.get(name=_ASKED)  # what the certificate host itself saw, not what anybody said
    if row.words:
        return row.passed, row.words
    return False, "the probe did not arrive at this Ramet" if got.status == _OK else _wrong_status(got.status)


def _wrong_status(status: int) -> str:
    return f"the certificate host answered {status}"


def result_of(request: HttpRequest, nonce: str, *, now: datetime) -> bool | None:
    """The result of a probe at the certificate host; None for an unknown or old probe."""
    row = Probe.objects.filter(
        name=_ASKED, nonce_hash=hash_secret(nonce[:64], kind="probe"), at__gt=now - _LASTS
    ).first()
    if row is None:
        return None
    forged = _came_through(request.META.get(_ARRIVED, ()), nonce)
    if forged:
        words = f"forged headers came through: {', '.join(sorted(forged))}"
    elif not hop.is_from_proxy(request):
        words = (
            "the request did not come through a listed peer with the secret: compare the proxy's "
            "configuration with ours"
        )
    else:
        words = _STRIPPED
    passed = not forged and hop.is_from_proxy(request)
    Probe.objects.filter(name=_ASKED, nonce_hash=row.nonce_hash).update(passed=passed, words=words, nonce_hash="")
    return passed


def _came_through(arrived: list[tuple[str, str]], nonce: str) -> set[str]:
    """The fields of the hop that carry the forged values; of X-Forwarded-For the proxy writes only the end."""
    found = {name for name, value in arrived if name in {hop.NAME.lower(), "x-forwarded-proto"} and nonce in value}
    forwarded = ",".join(value for name, value in arrived if name == "x-forwarded-for")
    return found | ({"x-forwarded-for"} if nonce in forwarded.rpartition(",")[2] else set())


def probe_if_due(*, now: datetime) -> None:
    """For the worker: probe again before the last result is too old, and while it is not good."""
    if not config().certificate_url:
        return
    if not Probe.objects.filter(name=PROBE, passed=True, at__gt=now - _REPEAT).exists():
        run(now=now)


def has_passed(*, now: datetime) -> bool:
    """True if the last probe passed recently."""
    return Probe.objects.filter(name=PROBE, passed=True, at__gt=now - PROBE_LASTS).exists()
