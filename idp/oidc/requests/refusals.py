"""One log line for each refused request: the client, the error, the reason, and an id that the caller gets too.

No personal data and no secrets: the words are Ramet's own, and a client that is not registered is not named. The lines
are limited per client and reason, and altogether, so that nobody can fill the log.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import threading
import time
from functools import wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

    from idp.clients import RelyingParty

HEADER = "X-Request-Id"
MOST_ALIKE, MOST, WINDOW = 5, 200, 60.0  # lines in a window of seconds, in this process
# Answers that are no fault of anybody: a silent sign-in that found nobody, a device that waits, a person who said no.
_EXPECTED = frozenset({
    "login_required", "consent_required", "interaction_required", "access_denied", "authorization_pending", "slow_down",
    "use_dpop_nonce",
})  # fmt: skip
# Quoted parts of a reason are values of the caller; the apostrophe of "client's" quotes nothing.
_VALUE = re.compile(r"""(?<!\w)(?:'[^']*'|"[^"]*")""")
_WORDS = {"unsupported_grant_type": "grant_type is missing, or none that Ramet has"}
logger = logging.getLogger(__name__)


class Limiter:
    """The lines of a window, alike and altogether."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._mutex = clock, threading.Lock()
        self._since, self._counts, self._all, self._left_out = 0.0, dict[str, int](), 0, 0

    def permits(self, kind: str) -> tuple[bool, int]:
        """Whether one more line of a kind may be written, and how many were left out in the window before."""
        with self._mutex:
            now, left_out = self._clock(), 0
            if now - self._since >= WINDOW:
                left_out = self._left_out
                self._since, self._counts, self._all, self._left_out = now, {}, 0, 0
            if len(self._counts) < MOST or kind in self._counts:
                self._counts[kind] = self._counts.get(kind, 0) + 1
            is_first = self._counts.get(kind, MOST_ALIKE + 1) <= MOST_ALIKE and self._all < MOST
            self._all += is_first
            self._left_out += not is_first
            return is_first, left_out


limiter = Limiter()


def claim(request: HttpRequest, party: RelyingParty) -> None:
    """Remember the registered client that a request names, proven or not, for the log line."""
    request.ramet_claimed_client = party.client_id  # type: ignore[attr-defined]


def noted(request: HttpRequest, response: HttpResponse, error: str, words: str) -> HttpResponse:
    """The answer to a refused request, with the id of its log line."""
    request_id = secrets.token_hex(16)
    response[HEADER] = request_id
    claimed = str(getattr(request, "ramet_claimed_client", "not registered"))
    # The route, which names no request, so that all its paths count as alike.
    where = f"/{request.resolver_match.route}" if request.resolver_match else request.path
    reason = _VALUE.sub("…", words) or _WORDS.get(error, "no reason")
    is_permitted, left_out = limiter.permits(f"{claimed} {where} {error} {reason}")
    if not is_permitted:
        return response
    if left_out:
        logger.warning("%d more refused requests of the last minute were not written", left_out)
    level = logging.INFO if error in _EXPECTED else logging.WARNING
    # Not "error: reason": the word after `invalid_token:` would be masked as a token.
    logger.log(level, "refused: client %s, %s, %s, %s (request %s)", claimed, where, error, reason, request_id)
    return response


def logged(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorate an endpoint of programs: each refused request that it has not noted itself is one log line.

    Its errors are JSON in OAuth's form, or text in Ramet's own words.
    """

    @wraps(view)
    def around(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        response = view(request, *args, **kwargs)
        if response.status_code < HTTPStatus.BAD_REQUEST or HEADER in response:
            return response
        return noted(request, response, *_stated(response))

    return around


def _stated(response: HttpResponse) -> tuple[str, str]:
    """The error of a refused request and its reason, from the answer."""
    kind, text = response.headers.get("Content-Type", "").partition(";")[0], response.content.decode()
    if kind == "application/json":
        said: dict[str, Any] = json.loads(text)
        return str(said.get("error", "")), str(said.get("error_description", ""))
    error = HTTPStatus(response.status_code).phrase.lower().replace(" ", "_")
    if "Allow" in response:
        return error, f"this endpoint takes {response['Allow']}"
    return error, text.strip() if kind == "text/plain" else ""
