"""Systems that decide on requests: signed decisions in, webhooks out (RFC 7519; Standard Webhooks 1.0).

A decision is a JWT of type `ramet-decision+jwt`, signed by the system's key: `iss` its name, `aud` the issuer, `sub`
the request, `jti` once, at most five minutes from `iat` to `exp`, `decision` approve or refuse, `terms` the hash of the
terms, `words` for a refusal. The owner of a system answers for it: it decides nothing that they asked for, or that is
for them.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods
from joserfc import jwt
from joserfc.errors import JoseError

from derived import clock
from derived.changes import requests
from derived.errors import Reason, Refused, Unavailable
from derived.keyring import KeyPurpose
from derived.ledger import outbox
from derived.ledger.single_use import spend
from derived.minting.device_key import bounded_json
from derived.models import Request
from derived.rules.requests import Approval, RequestState
from idp import outbound
from idp.clients.jwk import BadKey, accepted_key
from idp.config import config
from idp.errors import answer_to
from idp.keys import keyring
from idp.oidc.requests.refusals import logged
from idp.requests import terms
from scim.access import approving, same_human
from scim.models import DecisionSystem, Person

if TYPE_CHECKING:
    from collections.abc import Callable

    from derived.models import OutboxRow

DECISION_TYP = "ramet-decision+jwt"
LONGEST = timedelta(minutes=5)
_SKEW = timedelta(seconds=60)
_MOST_TOKEN, _DOTS, _MOST_TEXT = 8 * 1024, 2, 128
_ALG = "EdDSA"
WEBHOOK = "request.webhook"
_SECONDS, _MOST_ANSWER = 3.0, 64 * 1024


# --- decisions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SignedDecision:
    """A verified decision of a system."""

    system: DecisionSystem
    request: str
    jti: str
    approves: bool
    terms: str
    words: str
    expires_at: datetime


def verified(token: str, *, now: datetime) -> SignedDecision:
    """The decision in a token that a registered system has signed.

    Raises: Refused(BAD_PROOF), for every fault alike.
    """
    try:
        header, claims = (_json_part(token, number) for number in (0, 1))
        system = DecisionSystem.objects.select_related("owner__account").get(
            name=str(claims.get("iss"))[:_MOST_TEXT], ended_at__isnull=True
        )
        key = accepted_key(system.jwk)
        if header.get("typ") != DECISION_TYP or header.get("alg") not in key.algs or "crit" in header:
            raise Refused(Reason.BAD_PROOF)
        found = jwt.decode(token, key.key, algorithms=[str(header["alg"])]).claims
    except (JoseError, ValueError, BadKey, DecisionSystem.DoesNotExist):
        raise Refused(Reason.BAD_PROOF) from None
    issued, expires = found.get("iat"), found.get("exp")
    texts = {name: found.get(name, "") for name in ("sub", "jti", "decision", "terms", "words")}
    if (
        found.get("aud") != config().issuer
        or not all(isinstance(one, str) and len(one) <= requests.MOST_WORDS for one in texts.values())
        or not texts["jti"]
        or texts["decision"] not in {"approve", "refuse"}
        or not _is_fresh(issued, expires, now=now)
    ):
        raise Refused(Reason.BAD_PROOF)
    return SignedDecision(
        system=system,
        request=texts["sub"],
        jti=texts["jti"],
        approves=texts["decision"] == "approve",
        terms=texts["terms"],
        words=texts["words"],
        expires_at=datetime.fromtimestamp(int(str(expires)), tz=UTC),
    )


def _json_part(token: str, number: int) -> dict[str, Any]:
    if len(token) > _MOST_TOKEN or token.count(".") != _DOTS or not token.isascii():
        raise ValueError
    return bounded_json(token.split(".")[number])


def _is_fresh(issued: object, expires: object, *, now: datetime) -> bool:
    """True for numbers of which `iat` is past, `exp` to come, and both at most five minutes apart."""
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in (issued, expires)):
        return False
    moment = int(now.timestamp())
    begin, end = int(str(issued)), int(str(expires))
    return moment < end <= begin + LONGEST.total_seconds() and begin <= moment + _SKEW.total_seconds()


def decide(decision: SignedDecision, *, now: datetime) -> Request:
    """Record a system's decision on a request that needs a system's approval.

    Raises: Refused(BAD_PROOF) for a token that was used; Refused(NOT_AN_APPROVER) where people decide;
    Refused(ILLEGAL_MOVE) where its owner is involved, or for no such request; as `requests.decide`.
    """
    request_id = same_human.as_uuid(decision.request)
    if request_id is None:
        raise Refused(Reason.ILLEGAL_MOVE)
    owner: Person = decision.system.owner

    def work(row: Request) -> Request:
        name = decision.system.name
        if not spend(DECISION_TYP, name, decision.jti, expires_at=decision.expires_at + _SKEW):
            raise Refused(Reason.BAD_PROOF)
        present, approval = terms.present(row)
        made = requests.Deciding(
            by=f"{approving.SYSTEM}:{name}",
            role=approving.SYSTEM,
            approves=decision.approves,
            words=decision.words,
            shown=decision.terms,
            terms=present,
            approval=approval,
        )
        if not approving.stands(row, now=now):
            requests.lapse(row, Reason.NOT_ENTITLED, now=now)
            raise Refused(Reason.NOT_ENTITLED, spends=True)
        try:
            if row.approval != Approval.SYSTEM:
                raise Refused(Reason.NOT_AN_APPROVER)
            if not owner.account.is_active or approving.is_involved(owner, row, now=now):
                raise Refused(Reason.ILLEGAL_MOVE)
            return requests.decide(row, made, now=now)
        except Refused as refused:  # its `jti` is spent, whatever the answer
            raise Refused(refused.reason, spends=True) from refused

    return requests.under_locks_of(request_id, work, also=(owner.account_id,))


@csrf_exempt
@logged
@require_http_methods(["POST"])
def decisions(request: HttpRequest) -> JsonResponse:
    """Take a signed decision, as `application/jwt`."""
    now = clock.now()
    if request.content_type != "application/jwt" or len(request.body) > _MOST_TOKEN:
        words = "Send the decision as application/jwt, of at most 8 KiB."
        return JsonResponse({"error": "invalid_request", "error_description": words}, status=400)
    try:
        row = decide(verified(request.body.decode("ascii", "replace").strip(), now=now), now=now)
    except (Refused, Unavailable) as refused:
        if refused.reason == Reason.BAD_PROOF:
            words = "The decision is not signed by a registered system, or it is expired, or was used."
            return JsonResponse({"error": "invalid_token", "error_description": words}, status=401)
        found = answer_to(refused)
        return JsonResponse({"error": found.error, "error_description": found.words}, status=found.status)
    return JsonResponse({"request": str(row.id), "state": row.state})


# --- the register -----------------------------------------------------------------------------------------------------


def add(name: str, owner: Person, jwk: object, url: str, *, now: datetime) -> DecisionSystem:
    """Register a system by its public key; url: for webhooks, or "".

    Raises: ValueError, in words.
    """
    key = accepted_key(jwk)
    parts = urlsplit(url)
    if url and (parts.scheme != "https" or not parts.hostname or parts.username or parts.fragment):
        message = "the URL of webhooks begins with https:// and a host"
        raise ValueError(message)
    if DecisionSystem.objects.filter(name=name).exists():
        message = f"there is a system {name} already"
        raise ValueError(message)
    public = {part: value for part, value in key.key.as_dict(private=False).items() if part != "kid"}
    return DecisionSystem.objects.create(name=name, owner=owner, jwk=public, url=url, created_at=now)


def public_key(*, now: datetime) -> str:
    """The key that verifies webhooks, as Standard Webhooks write it."""
    row = keyring().ensure(KeyPurpose.WEBHOOKS, _ALG, now=now)
    raw = str(row.public_jwk["x"]) + "="
    return "whpk_" + raw.replace("-", "+").replace("_", "/")


# --- webhooks ---------------------------------------------------------------------------------------------------------


def tell(row: Request, state: str, *, now: datetime) -> None:
    """Enqueue a webhook for each system with a URL."""
    for system in DecisionSystem.objects.filter(ended_at__isnull=True).exclude(url="").order_by("id"):
        name = f"hook:{system.name}"
        payload = {"client_id": name, "system": system.name, "request": str(row.id), "state": state}
        receiver = f"client:{name}:{row.id}"
        outbox.enqueue(kind=WEBHOOK, receiver=receiver, account=row.account, payload=payload, now=now)


@dataclass(frozen=True)
class Webhook:
    """A signed webhook and its receiver: everything for the network part, which reads no database."""

    client_id: str
    uri: str
    own: str
    body: bytes
    sign: Callable[[bytes], bytes]

    def post(self, *, now: datetime) -> int:
        """Post it: three seconds in all, no redirects, a verified certificate; returns the HTTP status.

        The signature covers id, time and body (`v1a`: Ed25519).
        Raises: NotFetched.
        """
        moment = str(int(now.timestamp()))
        signature = b64encode(self.sign(b".".join((self.own.encode(), moment.encode(), self.body)))).decode()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": self.own,
            "webhook-timestamp": moment,
            "webhook-signature": f"v1a,{signature}",
        }
        parts = urlsplit(self.uri)
        host = (parts.hostname or "").lower()
        return outbound.fetch(
            self.uri,
            allowed_hosts=frozenset({f"{host}:{parts.port}" if parts.port else host}),
            method="POST",
            content=self.body,
            headers=headers,
            most_bytes=_MOST_ANSWER,
            seconds=_SECONDS,
            cut=True,
        ).status


def webhook(row: OutboxRow, *, now: datetime) -> Webhook | None:
    """The webhook of a row, with ids and a link only; None if its system has ended.

    Raises: Unavailable(KEY_UNAVAILABLE).
    """
    system = DecisionSystem.objects.filter(name=row.payload["system"], ended_at__isnull=True).exclude(url="").first()
    found = Request.objects.filter(id=row.payload["request"]).first()
    if system is None or found is None:
        return None
    state = RequestState(str(row.payload["state"]))
    data = {
        "request": str(found.id),
        "terms": found.terms_hash,
        "link": f"{config().issuer}/console/requests/{found.id}",
    }
    said = {"type": f"request.{state.value}", "timestamp": row.created_at.isoformat(), "data": data}
    body = json.dumps(said, separators=(",", ":")).encode()
    sign = keyring().byte_signer(KeyPurpose.WEBHOOKS, now=now)
    return Webhook(f"hook:{system.name}", system.url, f"msg_{row.id}", body, sign)


urlpatterns = [path("requests/decisions", decisions, name="request-decisions")]
