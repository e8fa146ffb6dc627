"""The feed of SCIM events, polled (RFC 8936) as signed Security Event Tokens (RFC 8417, RFC 9967).

Every poll is answered at once with the events that exist: a long poll would hold one of the few threads that serve
logins. RFC 8936 §2.5 leaves the time-out to the parties; Ramet's is zero, whatever `returnImmediately` says. SETs are
built and signed when they are polled, outside any lock; a repeated event has the same `jti` and the same claims.

A SET cannot serve as a credential: it has no `sub` and no `exp`, and a `typ` that no other part of Ramet reads; no
credential has the type `secevent+jwt` (RFC 8417 §4).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.http import HttpResponse, JsonResponse

from derived import clock
from idp.config import config
from idp.keys import keyring
from scim.errors import invalid_syntax, invalid_value
from scim.feed import delivery, events, receivers
from scim.http import body
from scim.http.answers import scim_view

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

    from derived.keyring import TokenSigner
    from scim.feed.delivery import PendingEvent
    from scim.models import Receiver
    from scim.protocol.schema import Json

logger = logging.getLogger(__name__)

TYP, ALG = "secevent+jwt", "ES256"
_MOST_JTIS, _LONGEST_JTI, _LONGEST_WORD = 1_000, 128, 40
_LARGEST = 1024 * 1024  # of one answer, but for its first SET


@dataclass(frozen=True)
class Poll:
    """The poll request of a receiver; errors: events that it could not use, with reasons."""

    most: int
    taken: list[str]
    errors: Mapping[str, str]


def parse(asked: Json) -> Poll:
    """The request of RFC 8936 §2.2; members that it does not know are passed over.

    Raises: ScimError 400.
    """
    if not isinstance(asked, dict):
        raise invalid_syntax("The body must be a JSON object.")
    most, taken, errors = asked.get("maxEvents", delivery.MOST_EVENTS), asked.get("ack", []), asked.get("setErrs", {})
    if isinstance(most, bool) or not isinstance(most, int) or most < 0:
        raise invalid_value("maxEvents must be a number, 0 or more.")
    if not isinstance(asked.get("returnImmediately", False), bool):
        raise invalid_value("returnImmediately must be true or false.")
    if not isinstance(taken, list) or not isinstance(errors, dict) or len(taken) + len(errors) > _MOST_JTIS:
        raise invalid_value(f"ack must be a list and setErrs an object, with {_MOST_JTIS} SETs at the most.")
    texts = [one for one in taken if isinstance(one, str)]
    if len(texts) != len(taken) or any(len(one) > _LONGEST_JTI for one in [*texts, *errors]):
        raise invalid_value("ack and setErrs name SETs by their jti.")
    return Poll(most, texts, {jti: _string(said) for jti, said in errors.items()})


def _string(said: Json) -> str:
    err = said.get("err") if isinstance(said, dict) else None
    if not isinstance(err, str) or not err.isprintable() or not 0 < len(err) <= _LONGEST_WORD:
        raise invalid_value("Each member of setErrs says its err.")
    return err


@scim_view("POST")
def poll(request: HttpRequest) -> HttpResponse:
    """`/scim/v2/Feed/Events`: acknowledge events, and return pending ones."""
    now = clock.now()
    receiver = receivers.of_request(request, now=now)
    asked = parse(body.of(request))
    delivery.acknowledge(receiver, asked.taken, errors=asked.errors)
    for jti, err in asked.errors.items():
        logger.warning("receiver %s could not use SET %s: %s", receiver.name, jti, err)
    waiting, more = delivery.pending(receiver, most=asked.most, base=_base(), now=now)
    sets, size = dict[str, str](), 0
    if waiting:
        signer = keyring().signer(ALG, now=now)
        for one in waiting:
            sets[one.jti] = _signed(one, receiver, signer)
            size += len(sets[one.jti])
            if size > _LARGEST:
                break
    response = JsonResponse({"sets": sets, "moreAvailable": more or len(sets) < len(waiting)})
    response["Cache-Control"] = "no-store"
    return response


def audience(receiver: Receiver) -> str:
    """The `aud` of a receiver's SETs."""
    return f"{_base()}/{receiver.name}"


def _base() -> str:
    return f"{config().issuer}/scim/v2/Feed"


def _signed(one: PendingEvent, receiver: Receiver, signer: TokenSigner) -> str:
    event, at = one.event, int(one.event.at.timestamp())
    claims: dict[str, object] = {
        "iss": config().issuer,
        "aud": audience(receiver),
        "jti": one.jti,
        "iat": at,
        "toe": at,
        "txn": event.txn,
        "sub_id": {"format": "scim", "uri": events.path(event.kind, event.subject)},
        "events": one.payloads,
    }
    return signer.sign(claims, typ=TYP)
