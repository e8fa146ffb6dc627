"""The pages of a certificate: by a request, for another device by a code, or as a PKCS #12 file (X-8)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods

from derived import clock
from derived.authority import keeping
from derived.changes import renew
from derived.errors import Reason, Refused, Unavailable
from derived.minting import csr
from derived.models import IssuedCertificate
from derived.rules.eligibility import refusal
from derived.rules.lifecycle import LIVING
from idp import pages
from idp.config import config
from idp.enrol.device_names import clean_name
from idp.enrol.grown.certificate import attestation_api as attesting
from idp.enrol.grown.certificate import by_code as ordering
from idp.enrol.grown.certificate import est
from idp.enrol.grown.certificate import form as requested
from idp.enrol.grown.certificate import issuing as certificates
from idp.enrol.grown.registry import Offer
from idp.errors import answer_to, error_response
from idp.keys import wrapper
from idp.login.session import login_of, signed_in
from idp.login.views import fresh_login_needed
from idp.models import CertificateOrder
from idp.secrets import grouped

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from django.http import HttpRequest

    from idp.models import LoginSession

_ADD = "/devices/certificates/add"
OFFER = Offer(label=gettext_noop("Certificate for a VPN or a web server"), url=_ADD)
CODE_PAGE = ""  # a device brings its code to EST
_SIGN_IN_AGAIN = gettext_noop("Adding a certificate needs a sign-in with two factors in the last 20 minutes.")
_SHOWN_ONCE = "certificate-code"
_LEAST_TRANSPORT = 12
_WAYS = ("request", "device", "file")
_NOT_FOR_THIS = gettext_noop(
    "This request does not contain the challenge of this page, so it does not show that you hold its key now. Make a"
    " new request with the challenge below as its common name (CN) or challenge password."
)
_WORDS = {
    Reason.BAD_PROOF: (
        gettext_noop(
            "This is not one certificate signing request, or it is not signed by its own key, or the proof of its "
            "hardware does not hold for"
            " it. A request begins with “-----BEGIN CERTIFICATE REQUEST-----”; paste it or choose its file, not both."
        )
    ),
    Reason.CHALLENGE_MISSING: _NOT_FOR_THIS,
    Reason.KEY_TOO_WEAK: gettext_noop("A certificate needs a passphrase here: its key alone is one factor."),
}
_NOT_THE_KEY = {
    Reason.BAD_PROOF: _WORDS[Reason.BAD_PROOF],
    Reason.CHALLENGE_MISSING: _NOT_FOR_THIS,
    Reason.CREDENTIAL_NOT_LIVE: (
        gettext_noop(
            "This request is for another key, or what the certificate grew from has ended. Add a new "
            "certificate instead."
        )
    ),
}
_PRIVATE = gettext_noop(
    "You pasted a private key. It is not secret any more: delete it, make a new key and a new "
    "request, and paste only the request."
)


def is_offered() -> bool:
    """True if there is an authority."""
    return keeping.current(now=clock.now()) is not None


def _why_not(session: LoginSession, *, now: datetime) -> str:
    reason = refusal(login_of(session.event), now=now)
    if reason is None:
        return ""
    return _SIGN_IN_AGAIN if reason == Reason.LOGIN_TOO_OLD else error_response(reason).words


@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Choose name, passphrase and way."""
    session, now = signed_in(request), clock.now()
    if session is None:
        return fresh_login_needed("", next_path=_ADD)
    if why := _why_not(session, now=now):
        return fresh_login_needed(why, next_path=_ADD)
    if keeping.current(now=now) is None:
        return pages.problem(
            request,
            error_response(Reason.NO_AUTHORITY).words,
            status=503,
            next_step=gettext_noop("Add a device key in My devices instead."),
        )
    if request.method == "GET":
        return _form(request, session, "")
    try:
        return _made(request, session, now=now)
    except (Refused, Unavailable) as refused:
        if refused.reason in {Reason.LOGIN_TOO_OLD, Reason.LOGIN_ENDED}:
            return fresh_login_needed(_SIGN_IN_AGAIN, next_path=_ADD)
        pasted_key = requested.has_private_key(request)
        found = answer_to(refused)
        words = _PRIVATE if pasted_key else _WORDS.get(refused.reason, found.words)
        return _form(request, session, words, status=found.status)


def _form(request: HttpRequest, session: LoginSession, error: str, *, status: int = 200) -> HttpResponse:
    way = request.POST.get("way", "request")
    values = {
        "error": error,
        "challenge": requested.challenge(session),
        "name": request.POST.get("name", "")[:80],
        "way": way if way in _WAYS else "request",
        "request_text": ""
        if "PRIVATE KEY" in request.POST.get("request", "")
        else request.POST.get("request", "")[: csr.MOST_BYTES],
        "least_transport": _LEAST_TRANSPORT,
        "proof_text": request.POST.get("proof", "")[: csr.MOST_BYTES]
        if "PRIVATE KEY" not in request.POST.get("proof", "")
        else "",
    }
    return pages.page(request, "certificate_add", values, status=status)


def _made(request: HttpRequest, session: LoginSession, *, now: datetime) -> HttpResponse:
    """Issue the certificate of the form.

    Raises: Refused, Unavailable.
    """
    name, way = clean_name(request.POST.get("name", "")[:200]), request.POST.get("way", "")
    key = requested.key(request, session) if way == "request" else None
    kept = requested.kept(request, key, now=now) if key is not None else None
    transport = request.POST.get("transport", "")
    if way not in _WAYS or (way == "file" and (len(transport) < _LEAST_TRANSPORT or not transport.isprintable())):
        raise Refused(Reason.WEAK_SECRET)
    passphrase_hash = certificates.good_passphrase(session.account, request.POST.get("passphrase", ""), name=name)
    if key is not None:
        made = certificates.make(
            session,
            certificates.CertificateOptions(key=key, name=name, passphrase_hash=passphrase_hash, kept=kept),
            now=now,
        )
        return redirect("certificate", credential_id=made.credential_id)
    if way == "device":
        begun = ordering.begin(session, name=name, passphrase_hash=passphrase_hash, now=now)
        request.session["certificate_order"] = {"id": str(begun.order.id), "codes": _sealed(begun)}
        return redirect("certificate-order", order_id=begun.order.id)
    made, sealed = certificates.make_pkcs12(
        session, name=name, passphrase_hash=passphrase_hash, transport=transport, now=now
    )
    return _download(sealed, "application/x-pkcs12", f"{made.uuid}.p12")


def _download(content: bytes, content_type: str, name: str) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


# --- what was made ----------------------------------------------------------------------------------------------------


def _mine(session: LoginSession, credential_id: UUID) -> IssuedCertificate | None:
    return (
        IssuedCertificate.objects.select_related("credential", "authority")
        .filter(
            credential=credential_id,
            credential__account=session.account_id,
            credential__epoch=session.account.epoch,
            released_at__isnull=False,
            credential__state__in=LIVING,
        )
        .first()
    )


@require_http_methods(["GET"])
def shown(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Show a certificate and its downloads."""
    session = signed_in(request)
    if session is None:
        return fresh_login_needed("", next_path=request.path)
    row = _mine(session, credential_id)
    if row is None:
        return pages.problem(
            request, gettext_noop("There is no such certificate of yours, or it has ended."), status=404
        )
    values = {
        "certificate": row,
        "text": _pem(row),
        "subject": certificates.certificate(row).subject.rfc4514_string(),
        "host": config().certificate_url,
        "renews_by_est": bool(config().certificate_url),
    }
    return pages.page(request, "certificate", values)


@require_http_methods(["GET"])
def pem(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """The certificate and the ones that a client sends along."""
    session = signed_in(request)
    row = _mine(session, credential_id) if session else None
    if row is None:
        return pages.problem(
            request, gettext_noop("There is no such certificate of yours, or it has ended."), status=404
        )
    return _download(_pem(row).encode(), "application/x-pem-file", f"{row.uuid}.pem")


def _pem(row: IssuedCertificate) -> str:
    return "".join(
        one.public_bytes(Encoding.PEM).decode() for one in [certificates.certificate(row), *certificates.between(row)]
    )


@require_http_methods(["GET", "POST"])
def reissue(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Issue the certificate again with the present name, for a caller who proves its key (MT-4)."""
    session, now = signed_in(request), clock.now()
    if session is None:
        return fresh_login_needed("", next_path=request.path)
    if why := _why_not(session, now=now):
        return fresh_login_needed(why, next_path=request.path)
    row = _mine(session, credential_id)
    if row is None or not renew.is_on_hold_for_name(row.credential, session.account, now=now):
        return pages.problem(
            request,
            gettext_noop("No certificate of yours waits for a new name here."),
            status=404,
            next_step=gettext_noop("See My devices."),
        )
    values: dict[str, Any] = {
        "certificate": row,
        "challenge": requested.challenge(session),
        "name": session.account.person.display_name(),
        "error": "",
    }
    if request.method == "GET":
        return pages.page(request, "certificate_reissue", values)
    try:
        made = certificates.reissued(row, requested.key(request, session), session=session, now=now)
    except (Refused, Unavailable) as refused:
        if refused.reason in {Reason.LOGIN_TOO_OLD, Reason.LOGIN_ENDED}:
            return fresh_login_needed(_SIGN_IN_AGAIN, next_path=request.path)
        found = answer_to(refused)
        words = _PRIVATE if requested.has_private_key(request) else _NOT_THE_KEY.get(refused.reason, found.words)
        return pages.page(request, "certificate_reissue", {**values, "error": words}, status=found.status)
    return redirect("certificate", credential_id=made.credential_id)


# --- for another device -----------------------------------------------------------------------------------------------


def _sealed(begun: ordering.NewOrder) -> str:
    """Encrypt both forms of a code for the page that shows them, so that the session store has no clear code (I10)."""
    codes = f"{begun.code} {begun.short_code}".encode()
    return b64encode(wrapper().wrap(codes, purpose=_SHOWN_ONCE, owner=str(begun.order.id))).decode()


def _codes(request: HttpRequest, row: CertificateOrder, state: str) -> tuple[str, str]:
    """The two forms, when the page is shown first; empty afterwards."""
    kept = request.session.get("certificate_order") or {}
    if kept.get("id") != str(row.id):
        return "", ""
    request.session.pop("certificate_order")
    if state != "waiting":
        return "", ""
    code, short_code = (
        wrapper().unwrap(b64decode(kept["codes"]), purpose=_SHOWN_ONCE, owner=str(row.id)).decode().split()
    )
    return grouped(code), grouped(short_code)


@require_http_methods(["GET"])
def ordered(request: HttpRequest, order_id: UUID) -> HttpResponse:
    """Show the code, then the fingerprint of its key, then the outcome."""
    session, now = signed_in(request), clock.now()
    if session is None:
        return fresh_login_needed("", next_path=request.path)
    row = CertificateOrder.objects.filter(id=order_id, session=session).select_related("account__person").first()
    if row is None:
        return pages.problem(
            request,
            gettext_noop("This was begun in another browser."),
            status=404,
            next_step=gettext_noop("Add the certificate from My devices."),
        )
    state = ordering.state(row, now=now)
    code, short_code = _codes(request, row, state)
    values: dict[str, Any] = {
        "order": row,
        "state": state,
        "code": code,
        "short_code": short_code,
        "username": row.account.person.login_name,
        "fingerprint": ordering.fingerprint(row),
        "hardware": (row.answered or {}).get("level", ""),
        "issuer": config().issuer,
        "expires_at": row.expires_at,
    }
    return pages.page(request, "certificate_order", values)


@require_http_methods(["POST"])
def confirm(request: HttpRequest, order_id: UUID) -> HttpResponse:
    """Confirm that the key is the device's."""
    session = signed_in(request)
    if session is None:
        return fresh_login_needed("", next_path=f"/devices/certificates/orders/{order_id}")
    try:
        ordering.confirm(order_id, session, request.POST.get("fingerprint", ""), now=clock.now())
    except (Refused, Unavailable) as refused:
        if refused.reason == Reason.LOGIN_TOO_OLD:
            return fresh_login_needed(_SIGN_IN_AGAIN, next_path=f"/devices/certificates/orders/{order_id}")
        found = answer_to(refused)
        return pages.problem(
            request, found.words, status=found.status, next_step=gettext_noop("Begin again from My devices.")
        )
    return redirect("certificate-order", order_id=order_id)


@require_http_methods(["POST"])
def refuse(request: HttpRequest, order_id: UUID) -> HttpResponse:
    """Refuse the order."""
    session = signed_in(request)
    if session is None:
        return fresh_login_needed("", next_path="/devices")
    ordering.refuse(order_id, session, now=clock.now())
    return redirect("certificate-order", order_id=order_id)


urlpatterns = [
    path("devices/certificates/add", add, name="certificate-add"),
    path("devices/certificates/<uuid:credential_id>", shown, name="certificate"),
    path("devices/certificates/<uuid:credential_id>/pem", pem, name="certificate-pem"),
    path("devices/certificates/<uuid:credential_id>/reissue", reissue, name="certificate-reissue"),
    path("devices/certificates/orders/<uuid:order_id>", ordered, name="certificate-order"),
    path("devices/certificates/orders/<uuid:order_id>/confirm", confirm, name="certificate-confirm"),
    path("devices/certificates/orders/<uuid:order_id>/refuse", refuse, name="certificate-refuse"),
    *attesting.urlpatterns,
    *est.urlpatterns,
]
