"""The device authorization grant (RFC 8628; C13, P68): a person approves a device's request by typing its code.

    POST /oidc/device_authorization   the device's request
    GET  /device                      a form for the code that the device shows; no link carries the code
    POST /device                      look up the code, and show the requesting client
    POST /device/approval             the person's decision

Off for every client except those registered for it. Its logins have AAL2 at most, because codes can be sent to people.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import OAuth2Error, UnauthorizedClientError
from django.http import JsonResponse
from django.utils.translation import gettext_noop
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import AlreadySpent, Reason, Refused
from derived.ledger import status
from derived.ledger.locking import under_lock
from derived.rules.assurance import AAL
from idp import clients, pages
from idp.clients import DEVICE_CODE
from idp.config import config
from idp.errors import UNMET, answer_to, error_response
from idp.gate import Caller, Kind, gate
from idp.login import choices, throttle
from idp.login.need import AchievedLevel, is_satisfied
from idp.login.session import is_live, session_under_lock, signed_in, was_idle
from idp.login.views import fresh_login_needed
from idp.models import DeviceAuthorization
from idp.oidc import lifetimes
from idp.oidc.authorization.decision import AgeLimits, Decision, Next, decide
from idp.oidc.claims import acr
from idp.oidc.claims.words import in_words
from idp.oidc.issuing.families import has_no_agreement, relayed_login
from idp.oidc.issuing.provider import server
from idp.oidc.requests import target
from idp.oidc.requests.ask import Ask
from idp.oidc.requests.refusals import logged
from idp.secrets import grouped, hash_secret, new_code, normalise_code, opaque
from scim.access import entitlements

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse
    from oidc_provider.models import Client

    from derived.models import Account
    from idp.clients import RelyingParty
    from idp.models import LoginSession

_ASKED = "device-asked"
_CODE_LENGTH = 8
_INTERVAL = 5
_MOST = AchievedLevel(aal=AAL.AAL2, phishing_resistant=False, hardware_protected=False)
_UNKNOWN = gettext_noop(
    "There is no device waiting with this code. Check it on the device: a code works for ten minutes, and once."
)
_OVER = gettext_noop("This was decided already, or took too long. Start again on the device.")


# --- endpoints of the device ---


@csrf_exempt
@logged
@require_http_methods(["POST"])
def device_authorization(request: HttpRequest) -> HttpResponse:
    """RFC 8628 §3.1, §3.2."""
    try:
        caller = Caller(throttle.network(request))
        party, parameters = server().authenticated(request, count_unproven=lambda: gate(caller, Kind.PUSH))
        body = _new_authorization(request, party, parameters, now=clock.now())
    except OAuth2Error as error:
        return server().refuse(error)
    response = JsonResponse(body)
    response["Cache-Control"] = "no-store"
    return response


def _new_authorization(
    request: HttpRequest, party: RelyingParty, parameters: dict[str, str], *, now: datetime
) -> dict[str, Any]:
    if not party.check_grant_type(DEVICE_CODE):
        raise UnauthorizedClientError("This client may not use this grant type.")
    if has_no_agreement(party, now=now):
        raise UnauthorizedClientError(error_response(Reason.NO_AGREEMENT).words)
    wanted = acr.known_classes(parameters.get("acr_values", "").split())
    if (
        party.min_aal > _MOST.aal
        or party.policy.phishing_resistant
        or (wanted and not any(is_satisfied(one, _MOST) for one in wanted))
    ):
        raise OAuth2Error(
            error=UNMET,
            description="A code that is typed on another device reaches AAL2, and is not phishing-resistant.",
        )
    device_code, user_code = opaque(), new_code(_CODE_LENGTH)
    DeviceAuthorization.objects.create(
        device_hash=hash_secret(device_code, kind="device-code"),
        user_hash=_hash(user_code),
        client=party.client,
        scope=party.get_allowed_scope(parameters.get("scope")),
        resources=target.requested_resources(parameters.get("resource", ""), party),
        acr_values=wanted,
        browser=request.headers.get("User-Agent", "")[:120],
        network=throttle.network(request),
        interval=_INTERVAL,
        created_at=now,
        expires_at=now + lifetimes.DEVICE_CODE,
    )
    return {
        "device_code": device_code,
        "user_code": grouped(user_code),
        "verification_uri": f"{config().issuer}/device",
        "expires_in": int(lifetimes.DEVICE_CODE.total_seconds()),
        "interval": _INTERVAL,
    }


def _hash(user_code: str) -> str:
    return hash_secret(user_code, kind="user-code")


# --- pages of the person ---


@require_http_methods(["GET", "POST"])
def enter(request: HttpRequest) -> HttpResponse:
    """The form for the code; a correct code shows the requesting client."""
    session = signed_in(request)
    if session is None:
        return fresh_login_needed("", next_path="/device")
    if request.method == "GET":
        return _code_form(request, None)
    now = clock.now()
    place = throttle.backoff_key(request, f"device-code {session.account_id}")
    try:
        throttle.count_attempt(place, now=now)
    except Refused as refused:
        return pages.with_wait(_code_form(request, answer_to(refused).words, status=429), refused)
    row = _pending(now=now, user_hash=_hash(normalise_code(request.POST.get("code", "")[:64])))
    if row is None:
        return _code_form(request, _UNKNOWN, status=400)
    throttle.reset_backoff(place)
    request.session[_ASKED] = [str(row.id), str(session.id)]
    return _step(request, row, session, allowed=False, now=now)


def _code_form(request: HttpRequest, error: str | None, *, status: int = 200) -> HttpResponse:
    return pages.page(request, "device_code", {"error": error}, status=status)


def _pending(*, now: datetime, **which: str) -> DeviceAuthorization | None:
    rows = DeviceAuthorization.objects.filter(status="waiting", expires_at__gt=now, **which)
    return rows.select_related("client").first()


@require_http_methods(["GET", "POST"])
def approval(request: HttpRequest) -> HttpResponse:
    """The person's decision on the request shown in this session; after another login it is shown again."""
    session = signed_in(request)
    if session is None:
        return fresh_login_needed("", next_path="/device")
    asked, now = request.session.get(_ASKED) or ["", ""], clock.now()
    row = _pending(now=now, id=asked[0]) if asked[1] == str(session.id) else None
    if row is None:
        return pages.problem(request, _OVER, status=400)
    decision = request.POST.get("decision", "")
    if decision == "deny":
        _decide(row, session, "denied", now=now)
        return pages.page(request, "device_decided", {"allowed": False, "client_name": row.client.name})
    return _step(request, row, session, allowed=decision == "allow", now=now)


def _step(
    request: HttpRequest, row: DeviceAuthorization, session: LoginSession, *, allowed: bool, now: datetime
) -> HttpResponse:
    """Every gate of the client, as at the authorization endpoint; then the question, or the answer."""
    party = clients.party_of(row.client)
    if party is None or not party.check_grant_type(DEVICE_CODE):
        return pages.problem(request, _OVER, status=400)
    if has_no_agreement(party, now=now):
        _decide(row, session, "denied", now=now)
        return pages.problem(request, error_response(Reason.NO_AGREEMENT).words, status=403)
    decision = _decision(row, party, session, allowed=allowed, now=now)
    if decision.next == Next.LOG_IN:
        return fresh_login_needed(decision.words, next_path="/device/approval", need=decision.need)
    if decision.next == Next.CONSENT:
        return pages.page(request, "device_approval", _approval_values(row, party))
    if decision.next != Next.GRANT:
        _decide(row, session, "denied", now=now)
        return pages.problem(request, decision.words, status=403)
    try:
        _decide(row, session, "approved", now=now)
    except Refused:
        return pages.problem(request, _OVER, status=400)
    return pages.page(request, "device_decided", {"allowed": True, "client_name": party.name})


def _approval_values(row: DeviceAuthorization, party: RelyingParty) -> dict[str, Any]:
    return {
        "client_name": party.name,
        "browser": row.browser,
        "network": row.network,
        "asked_at": row.created_at,
        "scopes": [{"name": one, "words": in_words(one)} for one in row.scope.split()],
    }


def _decision(
    row: DeviceAuthorization, party: RelyingParty, session: LoginSession, *, allowed: bool, now: datetime
) -> Decision:
    policy = party.policy
    reachable = [
        replace(one, aal=min(one.aal, _MOST.aal), phishing_resistant=False, hardware_protected=False)
        for one in (
            choices.best_login_of(held)
            for held in status.living(session.account_id)
            if status.is_live(held, session.account, now=now)
        )
    ]
    return decide(
        Ask(scope=row.scope, acr_values=tuple(row.acr_values)),
        relayed_login(session.event),
        asked_at=row.created_at,
        min_aal=party.min_aal,
        reachable=reachable,
        consent_needed=not allowed,
        now=now,
        phishing_resistant=policy.phishing_resistant,
        is_entitled=entitlements.may_enter(session.account.person, party.client_id, now=now),
        limits=AgeLimits(most_session=policy.most_session, most_idle=policy.most_idle, idle=was_idle(session)),
    )


def _decide(row: DeviceAuthorization, session: LoginSession, outcome: str, *, now: datetime) -> None:
    """Write the answer, once, under the account's lock.

    Raises: Refused.
    """

    def work(account: Account) -> None:
        fresh = session_under_lock(session.id, account)
        if not is_live(fresh, now=now):
            raise Refused(Reason.LOGIN_ENDED)
        rows = DeviceAuthorization.objects.filter(id=row.id, status="waiting", expires_at__gt=now)
        decided = {
            "account": account,
            "epoch": account.epoch,
            "session": fresh,
            "event": fresh.event,
            "decided_at": now,
        }
        if rows.update(status=outcome, **decided) != 1:
            raise AlreadySpent

    under_lock(session.account_id, work)


def forget_approvals(account: Account, client: Client, *, now: datetime) -> None:
    """Deny what the person approved for this client and no device has redeemed yet; the caller holds the lock."""
    rows = DeviceAuthorization.objects.filter(account=account, client=client, status="approved", consumed_at=None)
    rows.update(status="denied", decided_at=now)
