"""The authorization endpoint: a stored request, whose gates are evaluated at every step (E1, P1, P50).

    GET/POST /oidc/authorize            parse, store, go on
    GET      /oidc/authorize/ID         go on (after a login; ID is bound to the browser that began)
    POST     /oidc/authorize/ID/account go on with the signed-in account, or another
    POST     /oidc/authorize/ID/consent the person's decision

A stored request is bound to the browser that began it.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from authlib.oauth2.rfc6749 import OAuth2Error
from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_noop
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.errors import AlreadySpent, Reason, Refused
from derived.ledger import status
from derived.ledger.locking import under_lock
from derived.ledger.single_use import claim_once
from idp import clients, pages
from idp.clients import names
from idp.errors import UNMET, error_response
from idp.keys import wrapper
from idp.login import choices, purpose
from idp.login.session import (
    KEPT_ANSWERS,
    browser_hash,
    is_live,
    login_of,
    note_idle,
    session_under_lock,
    signed_in,
    was_idle,
)
from idp.models import AuthorizationRequest, Code, PushedRequest
from idp.oidc import lifetimes
from idp.oidc.authorization.decision import AgeLimits, Decision, Next, decide
from idp.oidc.claims import claims
from idp.oidc.claims.words import in_words
from idp.oidc.issuing.families import has_no_agreement
from idp.oidc.requests import answers, gate, refusals
from idp.oidc.requests import pushed as pushed_requests
from idp.oidc.requests.answers import DeclinedRequest
from idp.oidc.requests.ask import Ask
from idp.oidc.requests.intake import UntrustedRequest, admit, malformed
from idp.secrets import hash_secret, opaque
from scim.access import entitlements

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from derived.models import Account
    from idp.clients import RelyingParty
    from idp.models import LoginSession
    from idp.oidc.claims.acr import AchievedLevel
    from idp.oidc.requests.intake import AdmittedRequest

_ASKED, _CHOSEN = "asked", "chosen"
_ANSWERS, _MOST_ANSWERS = KEPT_ANSWERS, 5
_OVER = gettext_noop("This sign-in has expired or was begun in another browser.")
_ANSWERED = gettext_noop("This sign-in is finished: the application has received its answer.")
_LINK_WORDS = {
    "client_uri": gettext_noop("Website"),
    "policy_uri": gettext_noop("Privacy policy"),
    "tos_uri": gettext_noop("Terms of service"),
    "logo_uri": gettext_noop("Logo"),
}


@csrf_exempt
@refusals.logged
@require_http_methods(["GET", "POST"])
def authorize(request: HttpRequest) -> HttpResponse:
    """OpenID Connect Core §3.1.2.1; both methods, the parameters from one place only."""
    now = clock.now()
    try:
        parameters = _parameters(request)
        if pushed_requests.is_pushed(parameters.get("request_uri", "")):
            parameters = {name: parameters[name] for name in ("client_id", "request_uri") if name in parameters}
            found, pushed = pushed_requests.load(request, parameters, now=now)
        else:
            found, pushed = admit(request, parameters, now=now), None
    except UntrustedRequest as error:
        return refusals.noted(request, _page(request, str(error)), "invalid_request", str(error))
    except DeclinedRequest as refusal:
        response = answers.error_response(request, refusal)
        return refusals.noted(request, response, refusal.error, refusal.words)
    except OAuth2Error as error:
        return refusals.noted(request, _page(request, error.description), error.error, error.description or "")
    if request.method == "POST" and settings.SESSION_COOKIE_NAME not in request.COOKIES:
        # A POST from another site comes without the cookie (SameSite=Lax), and a new cookie would replace it.
        response = HttpResponse(status=303)
        response["Location"] = f"{request.path}?{urlencode(parameters)}"
        return response
    return _go_on(request, _store(request, found, pushed, now=now), found.party)


def _parameters(request: HttpRequest) -> dict[str, str]:
    """The known parameters, from the place that the method names.

    Raises: DeclinedRequest, UntrustedRequest, OAuth2Error.
    """
    try:
        raw = request.META.get("QUERY_STRING", "") if request.method == "GET" else None
        return gate.parameters(raw) if raw is not None else gate.form(request)
    except gate.MalformedRequest as error:
        raise malformed(request, error) from error


def _store(
    request: HttpRequest, found: AdmittedRequest, pushed: PushedRequest | None, *, now: datetime
) -> AuthorizationRequest:
    return AuthorizationRequest.objects.create(
        id=opaque(),
        client=found.party.client,
        browser=browser_hash(request),
        redirect_uri=found.redirect_uri,
        pushed=pushed,
        ask=found.ask.stored(),
        created_at=now,
        expires_at=now + lifetimes.REQUEST,
    )


def pending(request: HttpRequest, flow: str, *, now: datetime) -> AuthorizationRequest | None:
    """The waiting request of that id, if this browser began it and it is not over."""
    if not flow.isprintable():
        return None
    row = AuthorizationRequest.objects.select_related("client").filter(
        id=flow, browser=browser_hash(request), consumed_at__isnull=True, expires_at__gt=now
    )
    return row.first()


@require_http_methods(["GET"])
def go_on(request: HttpRequest, flow: str) -> HttpResponse:
    """After a login: every gate again."""
    row, party = _resumed(request, flow)
    if row is None or party is None:
        return _repeated(request, flow)
    return _go_on(request, row, party)


@require_http_methods(["POST"])
def account(request: HttpRequest, flow: str) -> HttpResponse:
    """Choose the account (`prompt=select_account`): the signed-in account, or another after a login."""
    row, party = _resumed(request, flow)
    if row is None or party is None:
        return _repeated(request, flow)
    session = signed_in(request)
    if request.POST.get("account") != "this" or session is None:
        return _log_in(row, Decision(next=Next.LOG_IN))
    request.session[_CHOSEN] = _answer_binding(row, session)
    return _go_on(request, row, party)


@require_http_methods(["POST"])
def consent(request: HttpRequest, flow: str) -> HttpResponse:
    """Record the person's consent or refusal, and evaluate every gate again."""
    row, party = _resumed(request, flow)
    if row is None or party is None:
        return _repeated(request, flow)
    if request.POST.get("decision") != "allow":
        error, words = ("access_denied", gettext_noop("The person said no."))
        if request.POST.get("decision") == "cannot":
            error, words = UNMET, gettext_noop("The person did not sign in as strongly as was asked.")
        return _refuse(request, row, error, words, now=clock.now())
    session = signed_in(request)
    said = session is not None and request.session.get(_ASKED) == [
        *_answer_binding(row, session),
        *_client_as_shown(party),
    ]
    return _go_on(request, row, party, allowed=said)


def _answer_binding(row: AuthorizationRequest, session: LoginSession) -> list[str]:
    """The binding of an answer: this request, and the session of the person on the page."""
    return [row.id, str(session.id)]


def _client_as_shown(party: RelyingParty) -> list[str]:
    """The client as the person saw it, so that consent does not cover a later name or version (C54)."""
    return [str(party.policy.version), party.name]


def _resumed(request: HttpRequest, flow: str) -> tuple[AuthorizationRequest | None, RelyingParty | None]:
    row = pending(request, flow, now=clock.now())
    party = clients.party_of(row.client) if row else None
    if (
        party is None or row is None or not party.check_redirect_uri(row.redirect_uri)
    ):  # the session may have been ended since
        return None, None
    return row, party


@dataclass(frozen=True)
class _PersonAnswers:
    """The person's answers for this request in this session.

    allowed: consent was given on the page. chosen: the signed-in account was selected.
    """

    allowed: bool
    chosen: bool


def _go_on(
    request: HttpRequest, row: AuthorizationRequest, party: RelyingParty, *, allowed: bool = False
) -> HttpResponse:
    now = clock.now()
    ask = Ask.restored(row.ask)
    if has_no_agreement(party, now=now):
        refusal = error_response(Reason.NO_AGREEMENT)
        return _refuse(request, row, refusal.error, refusal.words, now=now)
    session = signed_in(request)
    said = _PersonAnswers(
        allowed, chosen=session is not None and request.session.get(_CHOSEN) == _answer_binding(row, session)
    )
    decision = _decision(row, ask, party, session, said=said, now=now)
    match decision.next:
        case Next.LOG_IN:
            return _log_in(row, decision)
        case Next.CHOOSE:
            return pages.permit_form_target(
                pages.page(request, "account", dict(_client_names(row, party))), row.redirect_uri
            )
        case Next.CONSENT:
            assert session is not None  # noqa: S101 - consent is never requested before a login
            request.session[_ASKED] = [*_answer_binding(row, session), *_client_as_shown(party)]
            values: dict[str, object] = {
                **_client_names(row, party),
                "mixed": names.looks_like_another(party.name),
                "links": _client_links(party),
                "scopes": [
                    {"name": one, "words": in_words(one)}
                    for one in claims.scopes_for_consent(ask, allowed=party.policy.scopes).split()
                ],
            }
            return pages.permit_form_target(pages.page(request, "consent", values), row.redirect_uri)
        case Next.REFUSE:
            return _refuse(request, row, decision.error, decision.words, now=now)
        case Next.GRANT:
            return _grant(request, row, ask, party, session, said=said, now=now)


def _client_names(row: AuthorizationRequest, party: RelyingParty) -> dict[str, str]:
    """The client's name for a page, and the host of its redirect URI, which it cannot choose freely."""
    parts = urlsplit(row.redirect_uri)
    return {
        "client_name": names.display_name(party.name),
        "client_host": parts.netloc or parts.scheme,
        "request_id": row.id,
    }


def _client_links(party: RelyingParty) -> list[dict[str, str]]:
    """The pages that a client registered about itself (RFC 7591 §2), each with its host.

    The logo is a link too: an image of the client's choice on this page could pass for a part of it, and fetching it
    would tell the client who is looking, or make this server fetch and store what a client serves.
    """
    shown = party.policy.shown
    return [
        {"words": words, "uri": shown[name], "host": urlsplit(shown[name]).netloc}
        for name, words in _LINK_WORDS.items()
        if shown.get(name)
    ]


def _log_in(row: AuthorizationRequest, decision: Decision) -> HttpResponse:
    return redirect(purpose.asked(flow=row.id, why=decision.words, need=decision.need).url())


def _refuse(request: HttpRequest, row: AuthorizationRequest, error: str, words: str, *, now: datetime) -> HttpResponse:
    """Send an error to the relying party, and end the request."""
    AuthorizationRequest.objects.filter(id=row.id, consumed_at__isnull=True).update(consumed_at=now)
    PushedRequest.objects.filter(pk=row.pushed_id, consumed_at__isnull=True).update(consumed_at=now)
    ask = Ask.restored(row.ask)
    request.ramet_claimed_client = row.client.client_id  # type: ignore[attr-defined]
    answer = {"mode": ask.response_mode, "state": ask.state, "error": error, "words": words}
    return refusals.noted(request, _answered(request, row, answer), error, words)


def _decision(  # noqa: PLR0913 - the evidence
    row: AuthorizationRequest,
    ask: Ask,
    party: RelyingParty,
    session: LoginSession | None,
    *,
    said: _PersonAnswers,
    now: datetime,
) -> Decision:
    consent_needed = False
    reachable: list[AchievedLevel] = []
    if session is not None:
        person = session.account.person
        consent_needed = not said.allowed and clients.consent_needed(
            party, person, claims.scopes_for_consent(ask, allowed=party.policy.scopes), now=now
        )
        reachable = [
            choices.best_login_of(one)
            for one in status.living(session.account_id)
            if status.is_live(one, session.account, now=now)
        ]
    if said.allowed:
        ask = replace(ask, prompt=tuple(one for one in ask.prompt if one != "consent"))
    return decide(
        ask,
        login_of(session.event) if session else None,
        asked_at=row.created_at,
        min_aal=party.min_aal,
        reachable=reachable,
        consent_needed=consent_needed,
        now=now,
        phishing_resistant=party.policy.phishing_resistant,
        is_meant=session is None or ask.meant in {"", clients.subject_of(party, session.account)},
        chosen=said.chosen,
        is_entitled=session is None or entitlements.may_enter(session.account.person, party.client_id, now=now),
        limits=AgeLimits(
            most_session=party.policy.most_session,
            most_idle=party.policy.most_idle,
            idle=was_idle(session) if session else timedelta(),
        ),
    )


def _grant(  # noqa: PLR0913 - the evidence
    request: HttpRequest,
    row: AuthorizationRequest,
    ask: Ask,
    party: RelyingParty,
    session: LoginSession | None,
    *,
    said: _PersonAnswers,
    now: datetime,
) -> HttpResponse:
    """Create the code under the account's lock, if every gate still passes there."""
    assert session is not None  # noqa: S101 - GRANT is never decided without a login
    code = opaque()

    def work(account: Account) -> None:
        fresh = session_under_lock(session.id, account)
        note_idle(fresh, was_idle(session))
        if not is_live(fresh, now=now):
            raise Refused(Reason.LOGIN_ENDED)
        if _decision(row, ask, party, fresh, said=said, now=now).next != Next.GRANT:
            raise Refused(Reason.ACCOUNT_CHANGED)
        if not claim_once(AuthorizationRequest.objects.filter(id=row.id), now=now):
            raise AlreadySpent
        if row.pushed_id and not claim_once(PushedRequest.objects.filter(pk=row.pushed_id), now=now):
            raise AlreadySpent  # another page of the same pushed request was answered before (ruling 20)
        Code.objects.create(
            code_hash=hash_secret(code, kind="code"),
            request=row,
            session=fresh,
            event=fresh.event,
            account=account,
            epoch=account.epoch,
            created_at=now,
            expires_at=now + lifetimes.CODE,
        )

    try:
        under_lock(session.account_id, work)
    except AlreadySpent:
        if request.method == "POST":  # the same form, sent twice at once: on to the answer that the first one got
            return redirect("authorize-go-on", flow=row.id)
        raise
    if said.allowed:
        clients.remember_consent(
            party,
            session.account.person,
            claims.scopes_for_consent(ask, allowed=party.policy.scopes),
            now=now,
            until=now + lifetimes.CONSENT,
        )
    return _answered(request, row, {"mode": ask.response_mode, "state": ask.state, "code": code})


def _answered(request: HttpRequest, row: AuthorizationRequest, answer: dict[str, str]) -> HttpResponse:
    """Send the answer, and keep it where the person took part: a form may be sent twice, and a page be loaded again.

    It is wrapped, because no code is stored in clear (I10), and kept for the life of a code.
    """
    if request.path != reverse("authorize"):
        kept = json.dumps({**answer, "redirect_uri": row.redirect_uri}).encode()
        sealed = b64encode(wrapper().wrap(kept, purpose=_ANSWERS, owner=row.id)).decode()
        until = (clock.now() + lifetimes.CODE).timestamp()
        latest = list(request.session.get(_ANSWERS, {}).items())[-_MOST_ANSWERS + 1 :]
        request.session[_ANSWERS] = {**dict(latest), row.id: [sealed, until]}
    return answers.authorization_response(request, row.redirect_uri, **answer)


def _repeated(request: HttpRequest, flow: str) -> HttpResponse:
    """The answer to a request that is over: the one that it got, if it got it just now in this browser."""
    sealed, until = request.session.get(_ANSWERS, {}).get(flow, ("", 0))
    if until <= clock.now().timestamp():
        # A form that was sent twice at once may come before the answer to the first is kept: look once more.
        return redirect("authorize-go-on", flow=flow) if request.method == "POST" else _page(request, _OVER)
    answer = json.loads(wrapper().unwrap(b64decode(sealed), purpose=_ANSWERS, owner=flow))
    if "code" in answer and not Code.objects.filter(request=flow, consumed_at__isnull=True).exists():
        return _page(request, _ANSWERED)  # a second use of its code would end the tokens of the first
    return answers.authorization_response(request, answer.pop("redirect_uri"), **answer)


def _page(request: HttpRequest, words: str | None) -> HttpResponse:
    """An error that may not be sent anywhere: the person sees it (P41)."""
    return pages.problem(
        request,
        words or gettext_noop("The request is malformed."),
        status=400,
        title=gettext_noop("This sign-in cannot go on"),
        next_step=gettext_noop("Go back to the application and start again. If this happens again, tell its operator."),
    )
