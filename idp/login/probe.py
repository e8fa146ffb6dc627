"""Whether the proxy of the certificate host strips what a client forges: asked through the public address, as a stranger would (H4).

The probe sends every header that could carry a certificate or the secret, in both spellings, with a mark in it. It has passed
if the request arrives through the believed hop (so the proxy put its own secret in the place of ours) and the mark nowhere.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from idp.config import config
from idp.login import hop
from idp.login.card import PROBE, PROBE_LASTS
from idp.models import Probe
from idp.outbound import NotFetched, fetch
from idp.secrets import hash_secret, opaque

if TYPE_CHECKING:
    from django.http import HttpRequest

_ASKED = f"{PROBE}-asked"
_LASTS = timedelta(seconds=60)
_REPEAT = timedelta(hours=12)
_FORGED = ("Client-Cert", "Client-Cert-Chain", "Ramet-Client-Cert", "Ramet-Proxy-Secret", "Ramet-Tls-Resumed")


def forged(nonce: str) -> dict[str, str]:
    """What the probe sends: each header with a hyphen and with an underscore, which some servers take for the same."""
    return {spelling: f":{nonce}:" for name in _FORGED for spelling in (name, name.replace("-", "_"))}


def run(*, now: datetime) -> tuple[bool, str]:
    """Probe the certificate host once; whether it passed, and words for the operator."""
    nonce = opaque()
    asked = {"nonce_hash": hash_secret(nonce, kind="probe"), "at": now, "passed": False, "words": ""}
    Probe.objects.update_or_create(name=_ASKED, defaults=asked)
    words = ""
    try:
        got = fetch(
            f"{config().certificate_url}/certificate/probe/{nonce}",
            allowed_hosts=frozenset({hop.netloc()}),
            headers=forged(nonce),
            most_bytes=4096,
            seconds=5.0,
        )
        if got.status != HTTPStatus.OK:
            words = f"the certificate host answered {got.status}"
    except NotFetched as error:
        words = f"the certificate host could not be reached: {error}"
    row = Probe.objects.get(name=_ASKED)  # what the certificate host itself saw, not what anybody said
    passed = row.passed and not words
    found = {"at": now, "passed": passed, "words": words or row.words or "the probe did not arrive at this Ramet"}
    Probe.objects.update_or_create(name=PROBE, defaults=found)
    return passed, str(found["words"])


def look(request: HttpRequest, nonce: str, *, now: datetime) -> bool | None:
    """On the certificate host: what arrived of a probe; None for one that nobody sent, or long ago."""
    row = Probe.objects.filter(
        name=_ASKED, nonce_hash=hash_secret(nonce[:64], kind="probe"), at__gt=now - _LASTS
    ).first()
    if row is None:
        return None
    arrived = [name for name in hop.HEADERS if nonce in str(request.META.get(name, ""))]
    if arrived:
        words = f"forged headers came through: {', '.join(name.removeprefix('HTTP_').replace('_', '-').lower() for name in arrived)}"
    elif not hop.is_believed(request):
        words = "the request did not come through a listed peer with the secret: compare the proxy's configuration with ours"
    else:
        words = "forged headers are stripped"
    passed = not arrived and hop.is_believed(request)
    Probe.objects.filter(name=_ASKED, nonce_hash=row.nonce_hash).update(passed=passed, words=words, nonce_hash="")
    return passed


def repeat(*, now: datetime) -> None:
    """For the worker: probe again before the last result is too old, and while it is not good."""
    if not config().certificate_url:
        return
    if not Probe.objects.filter(name=PROBE, passed=True, at__gt=now - _REPEAT).exists():
        run(now=now)


def has_passed(*, now: datetime) -> bool:
    """Whether the last probe passed, not too long ago."""
    return Probe.objects.filter(name=PROBE, passed=True, at__gt=now - PROBE_LASTS).exists()
