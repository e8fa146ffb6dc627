"""Card logins (PIV, CAC): begun here, proven on the certificate host, completed in the same browser (ruling 7).

    1. The browser gets a ticket: `begin`. Its hash is stored with the hash of that browser.
    2. On the certificate host the browser presents its card; the result is stored with the ticket, and the browser
       returns with a secret that no other browser has: `present`.
    3. Here, in the same browser, once: `arrived`. An attacker who makes another person follow the ticket has no result,
       and that person's browser did not begin the login.

The owner of a card is found by its certificate alone, or by the same card under the same issuer (C24); never by a name.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import asdict
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_noop

from derived import clock
from derived.changes import issue, renew
from derived.changes.issue import VerifiedCertificate
from derived.errors import AlreadySpent, Reason, Refused, Unavailable
from derived.ledger import audit, exclusive_holders, status
from derived.ledger.single_use import claim_once
from derived.models import CardCertificate, Credential
from derived.rules.assurance import AAL, Factor, VerifiedFactors
from derived.rules.kinds import Kind
from derived.rules.lifecycle import LIVING
from idp import certificates
from idp.certificates import own
from idp.config import config
from idp.login import hop
from idp.login.session import browser_hash
from idp.login.ways import Way
from idp.models import CertificateLogin, Probe
from idp.policies import attestation
from idp.secrets import hash_secret, opaque

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

    from derived.models import Account

LASTS = timedelta(minutes=3)
PROBE = "certificate-host"
PROBE_LASTS = timedelta(hours=24)
_KINDS = (Kind.PIV_CARD, Kind.DERIVED_CERTIFICATE)


def factors_with_passphrase(credential: Credential) -> VerifiedFactors:
    """The factors of a certificate issued here with its passphrase; hardware evidence counts while it is trusted.

    See X-7.
    """
    factors, kept = {Factor.CERTIFICATE, Factor.DEVICE_PASSPHRASE}, attestation.is_trusted(credential.evidence)
    if kept and credential.evidence.get("activation") == "per_use":
        factors.add(Factor.USER_VERIFICATION)
    return VerifiedFactors(factors=frozenset(factors), hardware=kept)


class CardPurpose(StrEnum):
    """The purposes of presenting a certificate; each has its own final page."""

    LOGIN = "login"
    ADD = "add"
    INVITATION = "invitation"


_ENDS_AT = {
    CardPurpose.LOGIN: "/login/card/done",
    CardPurpose.ADD: "/devices/roots/card/done",
    CardPurpose.INVITATION: "/invitation/card/done",
}


def is_on(*, now: datetime) -> bool:
    """True if card logins are possible: a host, trust anchors, and a passed probe (H4)."""
    if not config().certificate_url or not certificates.is_configured():
        return False
    return Probe.objects.filter(name=PROBE, passed=True, at__gt=now - PROBE_LASTS).exists()


def require_on(*, now: datetime) -> None:
    """Raises: Refused(CERTIFICATE_LOGIN_OFF)."""
    if not is_on(now=now):
        raise Refused(Reason.CERTIFICATE_LOGIN_OFF)


def offers(_request: HttpRequest) -> list[Way]:
    """The way of signing in with a card, where it is on."""
    if not is_on(now=clock.now()):
        return []
    return [
        Way(
            name="card",
            kind=Kind.PIV_CARD,
            label=gettext_noop("Use your PIV or CAC card"),
            hint=gettext_noop("Insert the card first; you will be asked for its PIN."),
            url="/login/card",
            reaches=AAL.AAL3,
            phishing_resistant=True,
            hardware=True,
        )
    ]


def begin(request: HttpRequest, purpose: CardPurpose, *, subject: str = "", now: datetime) -> str:
    """Begin; returns the URL on the certificate host.

    subject: bound to the attempt and compared at its end (an account, an invitation).
    Raises: Refused(CERTIFICATE_LOGIN_OFF).
    """
    require_on(now=now)
    ticket = opaque()
    CertificateLogin.objects.create(
        browser=browser_hash(request),
        ticket_hash=hash_secret(ticket, kind="certificate-ticket"),
        purpose=purpose.value,
        subject=subject,
        created_at=now,
        expires_at=now + LASTS,
    )
    return f"{config().certificate_url}/certificate/{ticket}"


def stored_ticket(url: str) -> str:
    """The stored form of the ticket in a URL on the certificate host."""
    return hash_secret(url.rsplit("/", 1)[1], kind="certificate-ticket")


def ticket_of_result(request: HttpRequest) -> str:
    """The stored form of the ticket whose result a request brings; "" for none."""
    result_hash = hash_secret(request.GET.get("result", "")[:64], kind="certificate-result")
    return CertificateLogin.objects.filter(result_hash=result_hash).values_list("ticket_hash", flat=True).first() or ""


def present(request: HttpRequest, ticket: str, *, now: datetime) -> str:
    """Check the certificate once, on the certificate host; returns the URL on the main host.

    A fault is reported on the main host, where the person began.
    Raises: AlreadySpent for a ticket that is used, expired or unknown.
    """
    row = CertificateLogin.objects.filter(
        ticket_hash=hash_secret(ticket, kind="certificate-ticket"), expires_at__gt=now
    ).first()
    if row is None or not CertificateLogin.objects.filter(id=row.id, presented_at__isnull=True).update(
        presented_at=now
    ):
        raise AlreadySpent
    result = opaque()
    row.result_hash = hash_secret(result, kind="certificate-result")
    try:
        shown = hop.presented_certificate(request)
        row.verified = _serialised(certificates.validate(shown.unverified_leaf, shown.unverified_chain, now=now))
    except (Refused, Unavailable) as refused:
        row.reason = refused.reason.value
    row.save(update_fields=["result_hash", "verified", "reason"])
    return f"{config().issuer}{_ENDS_AT[CardPurpose(row.purpose)]}?result={result}"


def take_result(
    request: HttpRequest, purpose: CardPurpose, *, now: datetime
) -> tuple[CertificateLogin, VerifiedCertificate]:
    """The row to claim and the verified certificate, on the main host; a result in another browser is spent.

    Raises: AlreadySpent; Refused with the reason of the certificate's refusal; Unavailable(CERTIFICATE_STATUS_UNKNOWN).
    """
    require_on(now=now)
    row = (
        CertificateLogin.objects.filter(
            result_hash=hash_secret(request.GET.get("result", "")[:64], kind="certificate-result"),
            consumed_at__isnull=True,
            expires_at__gt=now,
        )
        .exclude(result_hash="")
        .first()
    )
    if row is None:
        raise AlreadySpent
    if row.browser != browser_hash(request) or row.purpose != purpose.value:
        CertificateLogin.objects.filter(id=row.id).update(consumed_at=now)
        raise AlreadySpent
    if row.reason:
        CertificateLogin.objects.filter(id=row.id).update(consumed_at=now)
        reason = Reason(row.reason)
        raise Unavailable(reason) if reason == Reason.CERTIFICATE_STATUS_UNKNOWN else Refused(reason)
    return row, _restored(row.verified or {})


def spend_result(row: CertificateLogin, *, now: datetime) -> None:
    """Under the account's lock: the result serves once.

    Raises: AlreadySpent.
    """
    if not claim_once(CertificateLogin.objects.filter(id=row.id), now=now):
        raise AlreadySpent


def credential_of(verified: VerifiedCertificate, *, now: datetime) -> Credential | None:
    """The live credential to which a certificate belongs: that certificate, or the same card with a newer one (C24).

    The same card is the same FASC-N and the same card UUID from the same issuer's key. A name or an address is nothing,
    and the same numbers from another authority are another card.
    """
    if verified.ours:
        row = own.issued_row(verified.der)
        live = row is not None and status.is_live(row.credential, row.credential.account, now=now)
        return row.credential if row is not None and live else None
    exact = _of_live(now=now).filter(
        issuer_key=verified.issuer_key, serial=verified.serial, ski=verified.ski, fingerprint=verified.fingerprint
    )
    same_card = CardCertificate.objects.none()
    if verified.fasc_n and verified.card_uuid:
        same_card = _of_live(now=now).filter(
            issuer_key=verified.issuer_key,
            fasc_n=verified.fasc_n,
            card_uuid=verified.card_uuid,
            credential__kind=verified.kind,
        )
    found = exact.first() or same_card.first()
    return found.credential if found and found.credential.kind == verified.kind else None


def _of_live(*, now: datetime) -> QuerySet[CardCertificate]:
    rows = status.live_only(Credential.objects.filter(kind__in=_KINDS), now=now)
    return (
        CardCertificate.objects.filter(credential__in=rows, superseded_at__isnull=True)
        .select_related("credential__account", "credential__root", "credential__parent")
        .order_by("-seen_at")
    )


def record_certificate(
    credential: Credential, verified: VerifiedCertificate, account: Account, *, now: datetime
) -> None:
    """Record a card's newer certificate, under the account's lock.

    Raises: Refused(HELD_BY_ANOTHER), Refused(CREDENTIAL_NOT_LIVE).
    """
    if verified.ours:
        renew.end_renewed(account, credential, now=now, actor="person")
        return
    known = CardCertificate.objects.filter(credential=credential, superseded_at__isnull=True)
    if known.filter(fingerprint=verified.fingerprint).exists():
        return
    latest = known.order_by("-seen_at").first()
    if (
        latest is None
        or latest.not_after > verified.not_after
        or CardCertificate.objects.filter(credential=credential, fingerprint=verified.fingerprint).exists()
    ):
        raise Refused(Reason.CREDENTIAL_NOT_LIVE)  # an older certificate of the card, which a newer one has superseded
    exclusive_holders.require_free(verified.holds, account)
    issue.record_certificate(credential, verified, now=now)
    exclusive_holders.assign(verified.holds, account, credential)
    body = {"issuer": verified.issuer, "serial": verified.serial, "fingerprint": verified.fingerprint}
    audit.record(account, "credential.certificate_seen", now=now, actor="person", credential=credential, body=body)


def cards_of(account: Account) -> list[Credential]:
    """The account's cards of its present epoch, newest first, with ended ones, without compromised keys (ruling 8)."""
    rows = account.credentials.filter(kind=Kind.PIV_CARD, epoch=account.epoch).exclude(
        end_reason__in=[Reason.COMPROMISED, Reason.REPLACED]
    )
    return sorted(rows.order_by("-created_at"), key=lambda row: row.state not in LIVING)


def _serialised(verified: VerifiedCertificate) -> dict[str, Any]:
    return {**asdict(verified), "der": b64encode(verified.der).decode(), "not_after": verified.not_after.isoformat()}


def _restored(kept: dict[str, Any]) -> VerifiedCertificate:
    der, until = b64decode(kept["der"]), datetime.fromisoformat(kept["not_after"])
    return VerifiedCertificate(**{**kept, "der": der, "not_after": until, "policies": tuple(kept["policies"])})
